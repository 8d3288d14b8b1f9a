"""Agents without a model: chance, the privileged ceiling, the searching expert, a replay, a person."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from ..envs.core import Info, Privileged, Searcher
from ..memory.core import Turn
from .core import Decision


class RandomAgent:
    """Uniform over the admissible actions; draws are keyed by (seed, episode, t)."""

    name = "random"

    def __init__(self) -> None:
        self._seed = 0

    def begin(self, seed: int) -> None:
        """Key the draws of a rollout."""
        self._seed = seed

    def act(self, turns: Sequence[Turn]) -> list[Decision]:
        """Return a random admissible action a turn."""
        out = []
        for turn in turns:
            if not turn.admissible:
                raise LookupError("agent 'random' needs admissible actions, this world lists none")
            rng = np.random.default_rng([self._seed, turn.episode, turn.t])
            out.append(Decision(turn.admissible[int(rng.integers(len(turn.admissible)))]))
        return out


class OracleAgent:
    """The first action of the world's own plan: the ceiling of a table, never a student."""

    name = "oracle"

    def act_privileged(self, turns: Sequence[Turn], privileged: Sequence[Privileged]) -> list[Decision]:
        """Return the planned action; the first admissible one where there is no plan."""
        return [
            Decision(p.actions[0] if p.actions else (t.admissible or ("",))[0])
            for t, p in zip(turns, privileged, strict=True)
        ]


class SearcherAgent:
    """The world's searching expert, one a running episode."""

    name = "searcher"

    def __init__(self, make_searcher: Callable[[str], Searcher]) -> None:
        self._make = make_searcher
        self._experts: dict[int, Searcher] = {}

    def begin(self, seed: int) -> None:
        """Forget every episode."""
        self._experts.clear()

    def release(self, episode: int) -> None:
        """Forget an episode that ended."""
        self._experts.pop(episode, None)

    def act(self, turns: Sequence[Turn]) -> list[Decision]:
        """Return the expert's next action in every episode."""
        out = []
        for turn in turns:
            info = Info(goal=turn.goal, admissible=turn.admissible)
            if turn.t == 0:
                self._experts[turn.episode] = self._make(turn.goal)
                self._experts[turn.episode].begin(turn.goal, turn.observation, info)
            else:
                self._experts[turn.episode].observe(turn.action or "", turn.observation, info)
            out.append(Decision(self._experts[turn.episode].act()))
        return out


class ReplayAgent:
    """Says again what was said, by episode number."""

    name = "replay"

    def __init__(self, actions: Mapping[int, Sequence[str]]) -> None:
        self._actions = actions

    def act(self, turns: Sequence[Turn]) -> list[Decision]:
        """Return the recorded action of each turn."""
        return [Decision(self._actions[t.episode][t.t]) for t in turns]


class HumanAgent:
    """A person at a terminal."""

    name = "human"

    def __init__(self, ask: Callable[[Turn], str]) -> None:
        self._ask = ask

    def act(self, turns: Sequence[Turn]) -> list[Decision]:
        """Ask for one action a turn."""
        return [Decision(self._ask(t)) for t in turns]
