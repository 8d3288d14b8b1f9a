"""Steps that were taken from the very same state of the world, found by playing episodes again."""

from __future__ import annotations

from collections.abc import Hashable

from ..envs.core import TextEnv
from ..memory.replay import again
from ..memory.trajectory import Trajectory

ANCHORS = ("state", "observation")


def require(method: str, env: TextEnv, anchor: str) -> None:
    """Raise where a world cannot tell its states."""
    if anchor == "state" and type(env).state is TextEnv.state:
        raise ValueError(f"{type(env).__name__} names no state to compare actions in: set {method}.anchor=observation")


def anchors(env: TextEnv, trajectory: Trajectory, anchor: str = "state") -> list[Hashable]:
    """Return the state in which each step was taken, with its task; or what the world said there.

    Raises:
        ValueError: the environment answers otherwise than it did.
    """
    if anchor == "observation":
        return [(trajectory.task, s.observation) for s in trajectory.steps]
    return [(trajectory.task, env.state()) for _ in again(env, trajectory)]
