"""The methods: one file tells one method, readable beside its paper."""

from __future__ import annotations

from typing import Any

from .bc import BC, FilteredBC
from .dagger import Dagger
from .leap import Leap
from .rise import Rise
from .score import Score

METHODS: dict[str, type[Any]] = {
    "bc": BC, "filtered-bc": FilteredBC, "dagger": Dagger, "leap": Leap, "rise": Rise, "score": Score,
}  # fmt: skip

__all__ = ["METHODS"]
