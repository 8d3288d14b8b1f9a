"""The methods: one file tells one method, readable beside its paper."""

from __future__ import annotations

from typing import Any

from .bc import BC, FilteredBC
from .dagger import Dagger
from .digiq import DigiQ
from .leap import Leap
from .read import Read
from .rise import Rise
from .score import Score

METHODS: dict[str, type[Any]] = {m.id: m for m in (BC, FilteredBC, Dagger, Leap, Rise, Score, DigiQ, Read)}

__all__ = ["METHODS"]
