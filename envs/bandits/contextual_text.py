"""How a contextual bandit reads, and the algorithm that reads it.

Line forms are those of EVOLvE's package (RH, and AG with LinUCB's side information); the story's words are ours.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from ..core import Info
from .contextual import CONTEXTUAL, Ridge, ridge
from .searcher import Drawing
from .views import Scenario, header

_EVENT = re.compile(r"^Context: .*\[([^\]]*)\]$|^Action: (.+)\nReward: (\S+)$", re.MULTILINE)


def person(context: Sequence[float], who: str = "a user") -> str:
    """Return a user in words.

    >>> person([0.6, -0.8])
    'a user, tastes [0.60, -0.80]'
    """
    return f"{who}, tastes [{', '.join(f'{c:.2f}' for c in context)}]"


def goal(horizon: int) -> str:
    """Return the goal in words."""
    return f"Choose a film for each of {horizon} users and earn as much reward as you can."


def opening(s: Scenario, horizon: int) -> str:
    """Return the story, with the films' names, and the goal."""
    return f"{s.base.format(k=len(s.names), names='; '.join(s.names))} {goal(horizon)}"


def result(name: str, reward: float) -> str:
    """Return what an action brought.

    >>> result("Night Ferry", 0.5)
    'Action: Night Ferry\\nReward: 0.5'
    """
    return f"Action: {name}\nReward: {reward!r}"


def raw(people: Sequence[str], names: Sequence[str], rewards: Sequence[float]) -> str:
    """Return RH: every user with the action and its reward."""
    return "".join(f"\nContext: {p}\n{result(n, r)}\n" for p, n, r in zip(people, names, rewards, strict=True))


def side(names: Sequence[str], fit: Ridge, x: Sequence[float], alpha: float = 0.5) -> str:
    """Return AG's side information: what LinUCB expects of every film for this user, and its bonus."""
    value, width = fit.values(np.array([x]))
    rows = (
        f'{n}: {{"exploration bonus": {alpha * w:.2f}, "exploitation value": {v:.2f}}}\n'
        for n, v, w in zip(names, value[0].tolist(), width[0].tolist(), strict=True)
    )
    return "Side Information for decision making:\n" + "".join(rows)


def question(who: str, guide: str = "") -> str:
    """Return the question that ends a prompt."""
    return (
        "\n\nYou have a new user: PLEASE RESPOND ONLY WITH A CHOICE of MOVIES LISTED ABOVE AND NO TEXT EXPLANATION.\n\n"
        f"Context: {who}\n{guide}Action: "
    )


def prompt(s: Scenario, horizon: int, past: str, n: int, who: str, guide: str = "") -> str:
    """Return the entire prompt: story, history, question."""
    return f"{opening(s, horizon)}\n\n{header(n)}{past}{question(who, guide)}"


class ContextualSearcher(Drawing):
    """LinUCB, linear Thompson sampling, greedy or random, from what the observations say."""

    def __init__(self, name: str = "linucb") -> None:
        self._policy = CONTEXTUAL[name]

    def begin(self, goal: str, observation: str, info: Info) -> None:
        """Take the films' names and read the first user."""
        self._arms = sorted(info.get("admissible") or ())
        self._rng = self._begun(observation)
        self._fit: Ridge | None = None
        self._read(observation)

    def observe(self, action: str, observation: str, info: Info) -> None:
        """Learn from the last reward and read the next user; a whole prompt is read from its beginning."""
        if "So far you have interacted" in observation:
            self._fit = None
        self._read(observation)

    def _read(self, observation: str) -> None:
        for tastes, name, reward in _EVENT.findall(observation):
            if tastes:
                self._x = np.array([[float(c) for c in tastes.split(", ")]])
            else:
                self._learn(self._arms.index(name), float(reward))

    def _regression(self) -> Ridge:
        if self._fit is None:
            self._fit = ridge(1, len(self._arms), self._x.shape[1])
        return self._fit

    def _learn(self, arm: int, reward: float) -> None:
        self._regression().add(self._x, np.array([arm]), np.array([reward]))

    def act(self, hint: str | None = None) -> str:
        """Return the algorithm's film for the present user; a hint is not taken."""
        return self._arms[int(self._policy(self._regression(), self._x, self._rng)[0])]
