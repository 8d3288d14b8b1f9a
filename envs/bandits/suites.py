"""Which bandits a suite holds, and the bandit behind a task's name."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np

from .. import ids
from ..core import SPLITS
from ..errors import choice
from . import engine
from .engine import Bandits

SIZES = {"train": 2000, "valid": 100, "test": 100}
GAPS = {"easy": 0.5, "hard": 0.2}
SDS = {"easy": 1.0, "hard": 3.0}


@dataclass(frozen=True, slots=True)
class Family:
    """A kind of bandit under a scenario. law: bernoulli or gaussian with a level easy or hard, or dpt."""

    law: str
    level: str
    arms: int
    horizon: int
    scenario: str

    @property
    def name(self) -> str:
        """What a task's id ends with."""
        return f"{self.law}-{self.level}-{self.arms}-{self.scenario}"

    def bandits(self, rng: np.random.Generator, batch: int = 1) -> Bandits:
        """Draw bandits of this family."""
        if self.law == "bernoulli":
            return engine.bernoulli(rng, batch, self.arms, GAPS[self.level])
        if self.law == "gaussian":
            return engine.gaussian(rng, batch, self.arms, SDS[self.level])
        return engine.uniform(rng, batch, self.arms)


def _evolve(arms: int, level: str, laws: tuple[str, ...], horizon: int | None = None) -> list[Family]:
    steps = horizon or {"easy": 300, "hard": 1000}[level]
    return [Family(law, level, arms, steps, s) for s, law in product(("video", "clothes"), laws)]


_BOTH = ("bernoulli", "gaussian")
SUITES: dict[str, tuple[Family, ...]] = {
    "small": tuple(
        Family(law, "easy", k, 40, s)
        for k, law, s in product((2, 5), _BOTH, ("buttons", "video"))
    ),
    "full": tuple(
        f
        for k, scenario, level in product((5, 20), ("video", "clothes"), ("easy", "hard"))
        for f in _evolve(k, level, _BOTH)
        if f.scenario == scenario
    ),
    "core": (*_evolve(20, "hard", ("bernoulli",)), *_evolve(5, "easy", ("bernoulli",), 1000)),
    "hardcore": tuple(_evolve(20, "hard", ("bernoulli",))),
    "hardcore+": tuple(_evolve(20, "hard", _BOTH)),
    "dpt": (Family("dpt", "uniform", 5, 500, "buttons"),),
}  # fmt: skip
"""`small` is ours, for small models. The others are EVOLvE's: FullBench (16), CoreBench, HardCore, HardCorePlus, with
their horizons; in the package CoreBench's easy bandits have the hard gap, here the easy one. `dpt` is arXiv 2306.14892."""


def families(suite: str) -> tuple[Family, ...]:
    """Return a suite.

    Raises:
        ValueError: there is no such suite.
    """
    return SUITES[choice("suite", suite, list(SUITES))]


def names(suite: str) -> tuple[str, ...]:
    """Return the families' names.

    >>> names("hardcore")
    ('bernoulli-hard-20-video', 'bernoulli-hard-20-clothes')
    """
    return tuple(f.name for f in families(suite))


def parse(suite: str, task: str) -> tuple[Family, list[int]]:
    """Return a task's family and the key of its randomness, (split, index).

    Raises:
        ValueError: the id is not one of the suite's.
    """
    split, index = ids.read(task, names(suite))
    return families(suite)[index % len(families(suite))], [SPLITS.index(split), index]


def streams(world_seed: int, key: list[int]) -> list[np.random.SeedSequence]:
    """Return the seeds of a task's arms, of its luck and of what replaces an unreadable choice: three that never meet."""
    return np.random.SeedSequence([world_seed, *key]).spawn(3)
