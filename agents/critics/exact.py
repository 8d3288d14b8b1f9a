"""The ceiling of every critic of one agent: values from the world's own planner."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ...envs.core import TextEnv


class ExactCritic:
    """Q*(s, a) and V*(s) of a world that is asked rather than read: it needs a fork and a planner.

    V*(s) = γ^(d−1), where d is the planner's number of actions left and the last of them pays 1; Q*(s, a) is 1 where a
    wins, 0 where the world ends without a win or the planner sees no way on, else γ V*(s'). Step limits do not count. d is
    `Privileged.distance` where the world has it exactly, else the length of its plan.

    gamma: γ in (0, 1).
    """

    def __init__(self, gamma: float = 0.95) -> None:
        if not 0 < gamma < 1:
            raise ValueError(f"gamma={gamma}: needs a value in (0, 1)")
        self.gamma = gamma

    def v(self, env: TextEnv) -> float:
        """Return V* of the world as it stands; 0 where the planner sees no way on."""
        knows = env.privileged()
        left = len(knows.actions) if knows.distance is None else knows.distance
        return float(self.gamma ** (left - 1)) if left else 0.0

    def q(self, env: TextEnv, actions: Sequence[str]) -> NDArray[np.float32]:
        """Return Q* of actions in the world as it stands, and leave it so, shape (n,).

        Raises:
            LookupError: the world has no fork, or no planner.
        """
        here = env.snapshot()
        known: dict[str, float] = {}
        for action in dict.fromkeys(actions):
            _, _, terminated, _, info = env.step(action)
            known[action] = 1.0 if info["success"] else 0.0 if terminated else self.gamma * self.v(env)
            env.restore(here)
        return np.array([known[a] for a in actions], dtype=np.float32)

    def best(self, env: TextEnv, actions: Sequence[str]) -> str:
        """Return an action of the greatest Q*."""
        return actions[int(np.argmax(self.q(env, actions)))]
