"""Problems, and where they come from: made by rule, or whatever a user's source supplies."""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Protocol

from .. import ids
from ..errors import choice
from .families import FAMILIES, LEVELS
from .grade import Grade, Grader, grade_number


@dataclass(frozen=True, slots=True)
class Problem:
    """A question with its answer and the verifier that compares a reply with it."""

    question: str
    answer: str
    kind: str
    grader: Grader = field(default=grade_number, repr=False)

    def check(self, reply: str) -> Grade:
        """Grade a reply."""
        return self.grader(self.answer, reply)


class Source(Protocol):
    """Supplies problems by task id; the splits share no problem."""

    def tasks(self, split: str) -> list[str]:
        """Return a split's ids."""

    def problem(self, task: str) -> Problem:
        """Return the problem of an id, always the same; ValueError for an id that is none."""

    def alphabet(self) -> str:
        """Return the characters that occur in questions beyond ASCII."""


def _home(text: str) -> str:
    """Return the split to which a problem belongs: eight tenths train, one each valid and test, by its hash."""
    return (*("train",) * 8, "valid", "test")[hashlib.sha256(text.encode()).digest()[0] % 10]


@lru_cache(maxsize=4096)
def make_problem(seed: int, split: str, index: int, family: str, level: int) -> Problem:
    """Return a problem of a family whose text belongs to the split, so that no two splits share a question.

    Ours: the generator is seeded by all arguments, and draws that belong to another split are passed over. A family
    whose questions do not tell all (`guess`) is not divided: every number may be thought of in every split.
    """
    rng = random.Random(f"{seed} {split} {index} {family} {level}")
    rule = FAMILIES[family]
    while True:
        question, answer = rule.make(rng, level)
        if not rule.public or _home(question) == split:
            return Problem(question, answer, f"{family}-{level}", rule.grader)


class Procedural:
    """Problems made by rule.

    family: one name, or `mixed` for all but `ring` and `guess`, in turn. level: 1 to 5, or None for 1 to 3.
    """

    def __init__(self, family: str, level: int | None, seed: int, sizes: dict[str, int]) -> None:
        choice("family", family, ["mixed", *FAMILIES])
        if level is not None and level not in LEVELS:
            raise ValueError(f"level={level}: choose one of {', '.join(map(str, LEVELS))}, or None for 1 to 3 in turn")
        if seed < 0:
            raise ValueError(f"seed={seed}: needs 0 or more")
        self._seed, self._sizes = seed, sizes
        families = [n for n, f in FAMILIES.items() if f.mixed] if family == "mixed" else [family]
        levels = LEVELS[:3] if level is None else (level,)
        self._kinds = [f"{name}-{n}" for n in levels for name in families]

    def tasks(self, split: str) -> list[str]:
        """Return ids such as `test/00003-sequence-1`."""
        return ids.listed(split, self._sizes, self._kinds)

    def problem(self, task: str) -> Problem:
        """Return the problem of an id."""
        split, index = ids.read(task, self._kinds)
        family, level = self._kinds[index % len(self._kinds)].split("-")
        return make_problem(self._seed, split, index, family, int(level))

    def alphabet(self) -> str:
        """Return nothing: rules write ASCII."""
        return ""
