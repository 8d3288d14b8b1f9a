"""A user who is wrong in the same way every time: what offline data should be collected with.

Mistakes that are merely random average out, and cloning them greedily recovers the oracle; a habit does not. On a share
of the pages this user prefers one wrong action, always the same one whatever the task, and mostly follows it.
"""

from __future__ import annotations

import random
import zlib
from collections.abc import Sequence

from ..core import Info, TextEnv
from .noise import uniform
from .searcher import read_screen


def habit(seed: int, observation: str, admissible: Sequence[str], p_wrong: float) -> str | None:
    """Return the wrong action that a user prefers on a page, None where it has no bad habit there.

    A habit is to press one button, to type the first text that comes to mind into one field, or to think that all is done.

    Args:
        seed: the user.
        observation: the screen as text.
        admissible: what can be done now.
        p_wrong: the share of pages with a bad habit, in [0, 1].
    >>> habit(0, "[0] title Network\\n[1] switch Wi-Fi: on", ["click 1"], p_wrong=1.0)
    'click 1'
    """
    screen = read_screen(observation)
    if _chance(seed, screen.page, "") >= p_wrong:
        return None
    liked = [(_chance(seed, screen.page, "done"), "done")] if "done" in admissible and screen.page != "home" else []
    for i, e in enumerate(screen.elements):
        if e.kind == "edit":
            action = next((a for a in admissible if a.startswith(f"type {i} ")), "")
        else:
            action = f"click {i}" if e.kind != "item" else ""
        if action in admissible:
            liked.append((_chance(seed, screen.page, e.text), action))
    return max(liked)[1] if liked else None


def _chance(seed: int, page: str, label: str) -> float:
    return uniform(zlib.crc32(f"{page}|{label}".encode()), seed, 6)


class Habitual:
    """Follows the oracle, but for bad habits and slips; the same seed is the same user. It plays as a Searcher does.

    seed: the user, and with the goal its luck. p_wrong: the share of pages with a bad habit. p_follow: how often a habit
    is followed. p_slip: how often any admissible action is taken instead.
    """

    def __init__(
        self, env: TextEnv, seed: int = 0, p_wrong: float = 0.7, p_follow: float = 0.7, p_slip: float = 0.05
    ) -> None:
        for name, p in (("p_wrong", p_wrong), ("p_follow", p_follow), ("p_slip", p_slip)):
            if not 0 <= p <= 1:
                raise ValueError(f"{name}={p}: needs a probability, from 0 to 1")
        self.env, self.seed = env, seed
        self.p_wrong, self.p_follow, self.p_slip = p_wrong, p_follow, p_slip

    def begin(self, goal: str, observation: str, info: Info) -> None:
        """Start an episode."""
        self.rng = random.Random(f"{self.seed} {info.get('task', '')} {goal}")
        self.observe("", observation, info)

    def observe(self, action: str, observation: str, info: Info) -> None:
        """Read what an action brought."""
        self.observation, self.admissible = observation, info.get("admissible") or ()

    def act(self, hint: str | None = None) -> str:
        """Return the next action."""
        if self.admissible and self.rng.random() < self.p_slip:
            return self.rng.choice(self.admissible)
        wrong = habit(self.seed, self.observation, self.admissible, self.p_wrong)
        if wrong is not None and self.rng.random() < self.p_follow:
            return wrong
        plan = self.env.privileged().actions
        return plan[0] if plan else "done"
