"""What a world of several agents is: PettingZoo's parallel environment, in text, with the Info of `TextEnv`."""

from __future__ import annotations

import hashlib
import re
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from gymnasium import spaces
from pettingzoo import ParallelEnv

from .core import CHARSET, Info, Privileged, shown

Texts = dict[str, str]
Infos = dict[str, Info]


class TeamEnv(ParallelEnv[str, str, str]):  # type: ignore[misc]
    """A world of text for several agents who act at the same time towards one goal.

    A subclass gives `tasks`, `_begin` and `_act`. It may give `privileged`, `snapshot` and `restore`. Bad text never
    raises: the world answers, the step counts, and that agent's `info["invalid"]` is True. An agent whose action is
    missing from `step` does the world's idle action. The episode ends for all at once.
    """

    metadata: dict[str, Any] = {"render_modes": ["ansi"], "name": "team_v0", "is_parallelizable": True}
    render_mode: str | None = "ansi"
    team = 2

    def __init__(self, agents: Sequence[str], *, max_length: int = 8192, charset: str = CHARSET) -> None:
        self.possible_agents = list(agents)
        self.agents: list[str] = []
        self.observation_spaces = {a: spaces.Text(max_length, min_length=0, charset=charset) for a in agents}
        self.action_spaces = {a: spaces.Text(512, min_length=0, charset=charset) for a in agents}
        self._rng: np.random.Generator | None = None

    @abstractmethod
    def tasks(self, split: str) -> Sequence[str]:
        """Return the ids of a split's tasks; `train`, `valid` and `test` share none."""

    @abstractmethod
    def _begin(self, task: str) -> tuple[Texts, Infos]:
        """Set the world to the start of a task and return the first observations."""

    @abstractmethod
    def _act(self, actions: Texts) -> tuple[Texts, dict[str, float], bool, bool, Infos]:
        """Apply the actions: observations, rewards, terminated, truncated, infos."""

    def observation_space(self, agent: str) -> spaces.Text:
        """Return the texts that an agent may read."""
        return self.observation_spaces[agent]

    def action_space(self, agent: str) -> spaces.Text:
        """Return the texts that an agent may write."""
        return self.action_spaces[agent]

    def split_hash(self, split: str) -> str:
        """Return a short hash of a split's task ids, to print beside results."""
        return hashlib.sha256("\n".join(self.tasks(split)).encode()).hexdigest()[:12]

    def reset(
        self, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Texts, dict[str, dict[str, Any]]]:
        """Begin `options["task"]`, or a train task drawn from the environment's own generator.

        Other options are ignored: PettingZoo's own test passes some.
        """
        if seed is not None or self._rng is None:
            self._rng = np.random.default_rng(seed)
        task = (options or {}).get("task")
        if task is None:
            ids = self.tasks("train")
            task = ids[int(self._rng.integers(len(ids)))]
        observations, infos = self._begin(task)
        self.agents = list(self.possible_agents)
        return observations, {a: shown(i) for a, i in infos.items()}

    def step(
        self, actions: Mapping[str, str]
    ) -> tuple[Texts, dict[str, float], dict[str, bool], dict[str, bool], dict[str, dict[str, Any]]]:
        """Apply one action of every agent."""
        if not self.agents:
            raise RuntimeError("step() after the episode ended or before reset(): call reset() first")
        strangers = sorted(set(actions) - set(self.possible_agents))
        if strangers:
            raise ValueError(f"actions for {strangers[0]!r}: the agents are {', '.join(self.possible_agents)}")
        observations, rewards, terminated, truncated, infos = self._act(dict(actions))
        everyone = self.agents
        if terminated or truncated:
            self.agents = []
        return (
            observations, rewards, dict.fromkeys(everyone, bool(terminated)), dict.fromkeys(everyone, bool(truncated)),
            {a: shown(i) for a, i in infos.items()},
        )  # fmt: skip

    def privileged(self, agent: str) -> Privileged:
        """Return what only that agent's teacher may know; raises where the world has no such knowledge."""
        raise LookupError(f"{type(self).__name__} has no privileged state: choose a method that needs none")

    def snapshot(self) -> object:
        """Return an exact, cheap copy of the state for `restore`."""
        raise LookupError(f"{type(self).__name__} cannot be forked: it has no snapshot")

    def restore(self, snapshot: object) -> None:
        """Return to a snapshot of the same environment."""
        raise LookupError(f"{type(self).__name__} cannot be forked: it has no snapshot")


def said(text: str) -> str:
    """Return the action in an agent's answer: what follows its last "Action:", else all of it, on one line.

    >>> said("Pot 1 is empty.\\nAction:  'Put Onion  in pot 1'.")
    'Put Onion in pot 1'
    """
    last = re.split(r"(?i)\baction\s*:", str(text))[-1]
    return " ".join(last.split()).strip(" '\"`.")
