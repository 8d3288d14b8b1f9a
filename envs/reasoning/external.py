"""Every task of the package `reasoning-gym`, an optional extra."""

from __future__ import annotations

import importlib
from typing import Any

from .. import ids
from ..core import SPLITS
from ..errors import unknown
from .grade import UNREAD, Grade, answer_part
from .problems import Problem

PASS_MARK = 0.99
"""The package gives some wrong answers .01 to .05, so only a score of nearly 1 counts as right."""

APART = 10_000_000  # more than a split's problems
_BLOCKS = ((0xA0, 0x250), (0x370, 0x400), (0x2000, 0x2C00), (0xFE00, 0xFE10), (0x1F300, 0x1FB00), (0xE0100, 0xE01F0))


class ReasoningGym:
    """Problems of one of the package's data sets; each split has a seed of its own, far from the others'.

    The package draws its item k from the seed + k, so neighbouring seeds would share nearly all their problems. Two splits
    may still draw the same problem by chance.
    """

    def __init__(self, name: str, seed: int, sizes: dict[str, int]) -> None:
        try:
            package = importlib.import_module("reasoning_gym")
        except ImportError:
            raise ImportError(
                f"source='reasoning-gym:{name}': the package is missing; pip install 'agentgym-lab[reasoning]'"
            ) from None
        known = list(importlib.import_module("reasoning_gym.factory").DATASETS)
        known.remove("composite")  # a mixture of others, which needs a configuration
        if name not in known:
            raise unknown("reasoning-gym task", name, known)
        self._name = name
        self._sets: dict[str, Any] = {
            s: package.create_dataset(name, seed=(len(SPLITS) * seed + i) * APART, size=sizes[s])
            for i, s in enumerate(SPLITS)
        }

    def tasks(self, split: str) -> list[str]:
        """Return ids such as `test/00003-leg_counting`."""
        return ids.listed(split, {s: len(d) for s, d in self._sets.items()}, (self._name,))

    def problem(self, task: str) -> Problem:
        """Return the problem of an id."""
        split, index = ids.read(task, (self._name,))
        data = self._sets[split]
        if index >= len(data):
            raise ValueError(f"task {task!r}: {split} has {len(data)} problems")
        entry = data[index]

        def grade(answer: str, reply: str) -> Grade:
            said = answer_part(reply)
            if not said:
                return Grade(False, 0.0, UNREAD, readable=False)
            try:
                score = min(1.0, max(0.0, float(data.score_answer(answer=said, entry=entry))))
            except Exception:  # a hundred scorers by other hands: what one of them cannot read is a wrong answer
                score = 0.0
            right = score >= PASS_MARK
            return Grade(right, score, "That is right." if right else "That is wrong.")

        return Problem(entry["question"], str(entry["answer"] or ""), self._name, grade)

    def alphabet(self) -> str:
        """Return the letters, signs, boxes and pictures that its tasks draw with."""
        return "".join(chr(c) for a, b in _BLOCKS for c in range(a, b))
