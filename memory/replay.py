"""A stored episode read again through a memory: what the agent saw before each of its actions."""

from __future__ import annotations

from collections.abc import Iterator

from ..envs.core import TextEnv
from .core import Memory, Turn
from .trajectory import Step, Trajectory


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


def again(env: TextEnv, trajectory: Trajectory) -> Iterator[Step]:
    """Play an episode again and yield each of its steps while the world stands where it was taken.

    The last action is not played: behind it nobody asks, and of a world that died it is what killed it.

    Raises:
        ValueError: the environment answers otherwise than it did.
    """
    observation, _ = env.reset(seed=trajectory.seed, options={"task": trajectory.task})
    for t, step in enumerate(trajectory.steps):
        if observation != step.observation:
            raise ValueError(f"task {trajectory.task!r} step {t}: the world differs from the recorded one")
        yield step
        if t + 1 < len(trajectory.steps):
            observation, *_ = env.step(step.action)
