"""A stored episode read again through a memory: what the agent saw before each of its actions."""

from __future__ import annotations

from collections.abc import Iterator

from .core import Memory, Turn
from .trajectory import Trajectory


def turns(trajectory: Trajectory, memory: Memory, episode: int = 0, last: bool = False) -> Iterator[Turn]:
    """Yield what the agent read before each step of a trajectory, through a memory of the same kind.

    last: also what it would have read after the final step.
    """
    task, goal, steps = trajectory.task, trajectory.goal, trajectory.steps
    first = {"goal": goal, "admissible": steps[0].admissible if steps else None, "task": task}
    memory.begin(goal, trajectory.observations[0], first, episode)
    for t, step in enumerate(steps):
        yield memory.view()
        over = t + 1 == len(steps)
        admissible = None if over else steps[t + 1].admissible
        if not over or last:
            info = {"goal": goal, "admissible": admissible, "task": task}
            memory.record(step.action, trajectory.observations[t + 1], info, step.reply)
    if last:
        yield memory.view()
