"""The methods: one file tells one method, readable beside its paper."""

from __future__ import annotations

from typing import Any

from .awr import Awr, Iql
from .bc import BC, FilteredBC
from .dagger import Dagger
from .digiq import DigiQ
from .dpo import StepDpo
from .evolve import Evolve
from .grpo import Gigpo, Grpo
from .hir import Hir
from .leap import Leap
from .oreo import Oreo
from .read import Read
from .rise import Rise
from .score import Score

METHODS: dict[str, type[Any]] = {
    m.id: m
    for m in (BC, FilteredBC, Dagger, Leap, Rise, Score, DigiQ, Read, Awr, Iql, Oreo, StepDpo, Grpo, Gigpo, Evolve, Hir)
}

__all__ = ["METHODS"]
