"""Reflexion: what failed is tried again, with the agent's own notes on why it failed before it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Protocol

from ..memory import PrecededMemory
from ..memory.core import Counter, Memory, count_words
from ..memory.trajectory import Trajectory

NOTES = 3
Play = Callable[[Callable[[], Memory], Sequence[str]], list[Trajectory]]


class Reflective(Protocol):
    """An agent that draws a lesson from a failure."""

    def reflect(self, trajectory: Trajectory) -> str:
        """Return the lesson in words."""


def attempt(
    agent: Reflective,
    play: Play,
    make_memory: Callable[[], Memory],
    played: Sequence[Trajectory],
    attempts: int,
    count: Counter = count_words,
) -> tuple[list[Trajectory], list[float]]:
    """Play the tasks that failed again, up to `attempts` times in all, each time with its notes before the history.

    Source: Reflexion, arXiv 2303.11366, Algorithm 1, with success as the world tells it for the evaluator and the last
    NOTES reflections of a task kept, as there. The notes stand beside the memory's budget, not in it.

    play: plays tasks with memories of that maker. played: the first attempts, one a task.

    Returns:
        the last attempt of every task, its notes in `meta["notes"]`; the share of tasks solved after each attempt.
    """
    notes: dict[str, list[str]] = defaultdict(list)

    def before(goal: str, info: dict[str, Any]) -> str:
        lines = [f"- {n}" for n in notes[str(info["task"])]]
        return "\n".join(["You have tried this task before and failed. Your notes:", *lines, ""]) if lines else ""

    def remember() -> Memory:
        return PrecededMemory(lambda _: make_memory(), before, count)

    last = {t.task: t for t in played}
    shares = [sum(t.success for t in last.values()) / len(last)]
    for _ in range(attempts - 1):
        failed = [task for task, t in last.items() if not t.success]
        for task in failed:
            notes[task] = [*notes[task], agent.reflect(last[task])][-NOTES:]
        for t in play(remember, failed) if failed else ():
            last[t.task] = replace(t, meta=t.meta | {"notes": list(notes[t.task])})
        shares.append(sum(t.success for t in last.values()) / len(last))
    return list(last.values()), shares
