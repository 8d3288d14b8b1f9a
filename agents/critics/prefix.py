"""What the beginning of a joint plan is worth: Q(s, a¹ … aᵘ), the rest of the team left to its usual ways."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch

from .critic import Critic
from .features import Features, HashedFeatures
from .relations import RelationFeatures
from .sentences import SentenceFeatures

if TYPE_CHECKING:  # PettingZoo is imported when a world of several agents is
    from ...envs.team import TeamEnv
    from ..team import TeamTurn

Plan = Mapping[str, str]
HASHES: dict[str, Callable[..., Features]] = {
    "hashed": HashedFeatures,
    "sentences": SentenceFeatures,
    "relations": RelationFeatures,
}


class Judge(Protocol):
    """Values the beginnings of plans in one state; the empty plan's value is that of the state."""

    def __call__(self, turn: TeamTurn, plan: Plan) -> float:
        """Return Q(s, plan)."""


def prefix_text(plan: Plan, agents: Sequence[str]) -> str:
    """Return a plan's beginning as a critic reads it, with a mark for who has not spoken.

    >>> prefix_text({"Alice": "WAIT"}, ["Alice", "Bob"])
    'Alice WAIT; Bob ?'
    """
    return "; ".join(f"{a} {plan.get(a, '?')}" for a in agents)


class PrefixCritic:
    """One network for all beginnings of a plan, the absent agents marked as such; the mean of the heads counts.

    Source: ReAd, arXiv 2405.14314, Eq. 2 and Alg. 1: regression on the Monte-Carlo return of the same step marginalises
    over what the others did in the data. Ours: prefixes of one order only, since no others are asked for, and the empty
    one, which is V, in place of Q(s, WAIT)/γ, which is wrong where time passes while waiting.

    critic: of its Q heads only.
    """

    def __init__(self, critic: Critic) -> None:
        self.critic = critic
        self.value = lru_cache(maxsize=1 << 16)(self._compute)

    def __call__(self, turn: TeamTurn, plan: Plan) -> float:
        """Return Q(s, plan)."""
        return self.value(turn.state, prefix_text(plan, turn.agents))

    @torch.inference_mode()
    def _compute(self, state: str, prefix: str) -> float:
        row = torch.from_numpy(np.ascontiguousarray(self.critic.features([state], [prefix])))
        return float(self.critic.q_heads(row).mean())

    def forget(self) -> None:
        """Drop remembered values: the heads have changed."""
        self.value.cache_clear()

    def save(self, folder: Path) -> None:
        """Write the critic."""
        self.critic.save(folder)

    @classmethod
    def load(cls, folder: Path) -> PrefixCritic:
        """Read what `save` wrote, where the features are hashes, which their name tells.

        Raises:
            ValueError: they are a model's: load a Critic with them and wrap it.
        """
        name = json.loads((folder / "critic.json").read_text())["features"]
        kind, _, size = name.partition("-")
        if kind not in HASHES:
            raise ValueError(
                f"{folder}: features {name!r} need their model: PrefixCritic(Critic.load(folder, features))"
            )
        return cls(Critic.load(folder, HASHES[kind](int(size))))


@dataclass(frozen=True, slots=True)
class _Known:
    """What the exact critic knows of a state: the value of every joint plan."""

    agents: tuple[str, ...]
    plans: tuple[tuple[str, ...], ...]
    values: np.ndarray


class ExactPrefix:
    """The ceiling: Q from the world's own planner, the rest of the team acting uniformly at random this once.

    Q(s, a) = r + γ V(s') with V(s') = γ^(d−1), 1 at the goal, where d is the exact number of steps left. A state is
    reached by executing the plans before it in a world of the critic's own, which needs a fork and an exact distance.

    make_env: makes that world. gamma: γ in (0, 1). most: joint plans of a state at most.
    Raises, when first asked:
        LookupError: the world has no fork or no exact distance, or a state has more joint plans than `most`.
    """

    def __init__(self, make_env: Callable[[], TeamEnv], gamma: float = 0.95, most: int = 4096) -> None:
        if not 0 < gamma < 1:
            raise ValueError(f"gamma={gamma}: needs a value in (0, 1)")
        self._env, self.gamma, self.most = make_env(), gamma, most
        self._states: dict[tuple[str, str], _Known] = {}

    def __call__(self, turn: TeamTurn, plan: Plan) -> float:
        """Return the mean of Q(s, a) over the joint plans a that begin so."""
        known = self._known(turn)
        fits = [all(plan.get(a, x) == x for a, x in zip(known.agents, row, strict=True)) for row in known.plans]
        if not any(fits):  # an action that the world does not list changes nothing: r = 0, s' = s
            return self.gamma * float(known.values.max())
        return float(known.values[fits].mean())

    def _known(self, turn: TeamTurn) -> _Known:
        key = (turn.task, turn.state)
        if key not in self._states:
            env = self._env
            _, infos = env.reset(seed=0, options={"task": turn.task})
            if env.privileged(turn.agents[0]).distance is None:
                raise LookupError(f"critic=exact: {type(env).__name__} tells no exact distance; fit a critic")
            for plan in turn.past:
                *_, infos = env.step(dict(plan))
            self._states[key] = self._explore(infos, turn.agents)
        return self._states[key]

    def _explore(self, infos: Mapping[str, Mapping[str, Any]], agents: tuple[str, ...]) -> _Known:
        env = self._env
        options = [tuple(infos[a].get("admissible") or ()) for a in agents]
        count = int(np.prod([len(o) for o in options]))
        if not 0 < count <= self.most:
            raise LookupError(f"critic=exact: {count} joint plans in one state, needs 1 to {self.most}; fit a critic")
        here, plans = env.snapshot(), tuple(product(*options))
        values = np.empty(len(plans))
        for i, row in enumerate(plans):
            _, _, terminated, _, infos_after = env.step(dict(zip(agents, row, strict=True)))
            won = bool(infos_after[agents[0]]["success"])
            values[i] = 1.0 if won else 0.0 if any(terminated.values()) else self.gamma * self._value(agents[0])
            env.restore(here)
        return _Known(agents, plans, values)

    def _value(self, agent: str) -> float:
        left = self._env.privileged(agent).distance  # None: the goal is out of reach from here
        return 0.0 if left is None else float(self.gamma ** (left - 1))
