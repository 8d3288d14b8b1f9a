"""The methods: one file tells one method, readable beside its paper."""

from __future__ import annotations

from typing import Any

from .bc import BC, FilteredBC
from .dagger import Dagger
from .leap import Leap
from .read import Read

METHODS: dict[str, type[Any]] = {"bc": BC, "filtered-bc": FilteredBC, "dagger": Dagger, "leap": Leap, "read": Read}

__all__ = ["METHODS"]
