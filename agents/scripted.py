"""Agents without a model: chance, the privileged ceiling, the searching expert, a replay, a person."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from ..envs.core import Draws, Info, Privileged, Searcher
from ..envs.errors import share
from ..memory.core import Turn
from .core import Decision


class _Drawing:
    """One who draws, by the seed of the rollout."""

    _seed = 0

    def begin(self, seed: int) -> None:
        """Key the draws of a rollout."""
        self._seed = seed


class RandomAgent(_Drawing):
    """Uniform over the admissible actions; draws are keyed by (seed, episode, t)."""

    name = "random"

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


class HabitualAgent(_Drawing):
    """Follows the world's plan, but for bad habits and slips: a demonstrator who is wrong in the same way every time.

    Mistakes that are merely random average out, and cloning them greedily recovers the oracle; a habit does not.
    Draws are keyed by (seed, episode, t).

    habit: the wrong action that a user prefers somewhere, as `TextEnv.habit`. user: whose habits. p_wrong: the share of
    places with a bad habit. p_follow: how often a habit is followed. p_slip: how often any admissible action is taken.
    """

    name = "habitual"

    def __init__(
        self,
        habit: Callable[[int, str, Sequence[str], float], str | None],
        user: int = 0,
        p_wrong: float = 0.7,
        p_follow: float = 0.7,
        p_slip: float = 0.05,
    ) -> None:
        share(p_wrong=p_wrong, p_follow=p_follow, p_slip=p_slip)
        self._habit, self.user = habit, user
        self.p_wrong, self.p_follow, self.p_slip = p_wrong, p_follow, p_slip

    def act_privileged(self, turns: Sequence[Turn], privileged: Sequence[Privileged]) -> list[Decision]:
        """Return the planned action, the habit or a slip; the first admissible action where there is no plan.

        Raises:
            ValueError: the world lists no admissible actions.
        """
        out = []
        for turn, state in zip(turns, privileged, strict=True):
            if not turn.admissible:
                raise ValueError("agent 'habitual' needs admissible actions, this world lists none")
            rng = np.random.default_rng([self._seed, turn.episode, turn.t])
            slip, follow = rng.random(2)
            wrong = self._habit(self.user, turn.observation, turn.admissible, self.p_wrong)
            if slip < self.p_slip:
                action = turn.admissible[int(rng.integers(len(turn.admissible)))]
            elif wrong is not None and follow < self.p_follow:
                action = wrong
            else:
                action = state.actions[0] if state.actions else turn.admissible[0]
            out.append(Decision(action))
        return out


class NoisyAgent(_Drawing):
    """A stand-in for a planner of known skill: with probability `right` the oracle's action, else a random one.

    In each episode it starts with a random number, 0 to `wander`, of random actions, so that data from it covers states
    off the planner's way. An answer counts as one query. Draws are keyed by (seed, episode, t).
    """

    def __init__(self, right: float, wander: int = 0) -> None:
        if not 0 <= right <= 1 or wander < 0:
            raise ValueError(f"right={right}, wander={wander}: need a probability in [0, 1] and at least 0")
        self.right, self.wander, self.name = right, wander, f"noisy:{right:g}"

    def act_privileged(self, turns: Sequence[Turn], privileged: Sequence[Privileged]) -> list[Decision]:
        """Return the planned action or a random one."""
        out = []
        for turn, knows in zip(turns, privileged, strict=True):
            if not turn.admissible:
                raise ValueError(f"agent {self.name!r} needs admissible actions, this world lists none")
            lost = int(np.random.default_rng([self._seed, 1, turn.episode]).integers(self.wander + 1))
            rng = np.random.default_rng([self._seed, 0, turn.episode, turn.t])
            right = rng.random() < self.right and turn.t >= lost and bool(knows.actions)
            any_ = turn.admissible[int(rng.integers(len(turn.admissible)))]
            out.append(Decision(knows.actions[0] if right else any_, queries=1))
        return out


class SearcherAgent(_Drawing):
    """The world's searching expert, one a running episode; the draws of one that draws are keyed by (seed, episode)."""

    name = "searcher"

    def __init__(self, make_searcher: Callable[[str], Searcher]) -> None:
        self._make = make_searcher
        self._experts: dict[int, Searcher] = {}

    def begin(self, seed: int) -> None:
        """Forget every episode and key the draws."""
        super().begin(seed)
        self._experts.clear()

    def release(self, episode: int) -> None:
        """Forget an episode that ended."""
        self._experts.pop(episode, None)

    def fork(self, episode: int, into: int) -> None:
        """Let the expert of a running episode go on in another one as well, from where it is."""
        self._experts[into] = copy.deepcopy(self._experts[episode])

    def act(self, turns: Sequence[Turn]) -> list[Decision]:
        """Return the expert's next action in every episode."""
        out = []
        for turn in turns:
            info = Info(goal=turn.goal, admissible=turn.admissible)
            if turn.t == 0:
                expert = self._experts[turn.episode] = self._make(turn.goal)
                if isinstance(expert, Draws):
                    expert.draw_from(np.random.default_rng([self._seed, turn.episode]))
                expert.begin(turn.goal, turn.observation, info)
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
