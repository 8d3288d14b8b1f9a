"""Step DPO: in a state that several episodes share, the action that led further is preferred to the others."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch

from ...agents.teachers import Correction
from ...envs.core import TextEnv
from ...envs.errors import at_least, choice, positive, share
from ...memory.trajectory import Trajectory
from ..advantages import returns
from ..anchors import ANCHORS, anchors, require
from ..examples import own_actions
from ..lab import Lab
from ..preferences import prefer
from .bc import demonstrate
from .core import dataset


@dataclass(frozen=True)
class StepDpo:
    """Direct preference optimisation on pairs of actions in one state.

    Round 0: SFT on demonstrations gives π_0. Round i ≥ 1:
      1. play `group` episodes of each train task by π_{i−1};
      2. Q̂(s, a): the mean discounted return after a over all steps of a task's episodes that took a in the very same
         state s; the best a⁺ of a state is preferred, in the history of each step that took an a⁻ with
         Q̂(s, a⁺) − Q̂(s, a⁻) ≥ margin;
      3. DPO from π_{i−1}, which is the reference too.
    Source: DPO, arXiv 2305.18290, Eq. 7, on steps as Agent Q, arXiv 2408.07199, Sec. 4.3. There a search tree tells the
    values of siblings; here they come from where episodes meet, as in GiGPO (arXiv 2505.10978), so no step is played
    twice. The update is LEAP's, through TRL.

    demonstrations: of round 0. iterations: rounds after it. tasks, group: played in each. temperature: of play. gamma:
    of the returns. margin: see 2. anchor: what makes two states the same, state or observation. beta: of DPO. pairs: at
    most so many a round, drawn at random, since each is read with its whole history. epochs0, lr0: of round 0. lr: of
    DPO; None takes 5e-5 for tiny, 5e-6 for adapters.
    """

    id: ClassVar[str] = "dpo"
    summary: ClassVar[str] = "prefers, where episodes meet, the action that led further"
    source: ClassVar[str] = "arXiv 2305.18290"
    needs: ClassVar[tuple[str, ...]] = ("oracle",)
    protocol: ClassVar[Mapping[str, Any]] = {}
    demonstrations: int = 300
    iterations: int = 2
    tasks: int = 60
    group: int = 8
    temperature: float = 1.0
    gamma: float = 0.95
    margin: float = 0.1
    anchor: str = "state"
    beta: float = 0.1
    pairs: int = 500
    epochs0: float = 6.0
    lr0: float | None = None
    lr: float | None = None

    def __post_init__(self) -> None:
        choice("dpo.anchor", self.anchor, ANCHORS)
        for name, low in {"demonstrations": 1, "iterations": 0, "tasks": 1, "group": 2, "pairs": 1}.items():
            at_least(low, "dpo.", **{name: getattr(self, name)})
        positive("dpo.", temperature=self.temperature, margin=self.margin, beta=self.beta, epochs0=self.epochs0)
        share("dpo.", gamma=self.gamma)

    def check(self, env: TextEnv) -> None:
        """Raise where the world cannot tell its states."""
        require(self.id, env, self.anchor)

    @property
    def rounds(self) -> int:
        """The demonstrations' round and `iterations` more."""
        return 1 + self.iterations

    def collect(self, lab: Lab, k: int) -> list[Trajectory]:
        """Return demonstrations first, then `group` episodes a task by the student."""
        if k == 0:
            return demonstrate(lab, self.demonstrations)
        tasks = [t for t in lab.tasks("train", self.tasks, k) for _ in range(self.group)]
        played = lab.play(lab.student.policy(self.temperature), tasks, k, label="roll out")
        lab.say(f"  roll out: {sum(t.success for t in played)} of {len(played)} train episodes succeeded")
        return played

    def label(self, lab: Lab, k: int, trajectories: Sequence[Trajectory]) -> list[list[Correction]]:
        """Return what is preferred at each step; None where nothing is better by the margin."""
        if k == 0:
            return [own_actions(t) for t in trajectories]
        env = lab.make_env()
        rows = better(trajectories, [anchors(env, t, self.anchor) for t in trajectories], self.gamma, self.margin)
        lab.say(f"  label: a better action is known at {sum(c.action is not None for row in rows for c in row)} steps")
        return rows

    def update(self, lab: Lab, k: int, data: Sequence[Sequence[Trajectory]]) -> dict[str, float]:
        """Fit the demonstrations, then prefer."""
        if k == 0:
            return lab.student.fit(dataset(lab, data[0]), lab.rng(3, k), epochs=self.epochs0, lr=self.lr0)
        return prefer(lab, k, data[k], self.pairs, beta=self.beta, lr=self.lr)


def better(
    trajectories: Sequence[Trajectory], states: Sequence[Sequence[Hashable]], gamma: float, margin: float
) -> list[list[Correction]]:
    """Return, for every step, the action that did best in its state, where it beat the step's own by the margin."""
    told: dict[Hashable, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for t, keys in zip(trajectories, states, strict=True):
        ahead = returns(torch.tensor([s.reward for s in t.steps]), gamma).tolist()
        for key, action, g in zip(keys, t.actions, ahead, strict=True):
            told[key][action].append(g)
    value = {key: {a: sum(g) / len(g) for a, g in some.items()} for key, some in told.items()}
    best = {key: max(some, key=some.__getitem__) for key, some in value.items()}
    return [
        [
            Correction(best[key] if value[key][best[key]] - value[key][action] >= margin else None)
            for key, action in zip(keys, t.actions, strict=True)
        ]
        for t, keys in zip(trajectories, states, strict=True)
    ]
