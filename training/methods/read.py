"""ReAd: a team's planner learns from the advantages of its own plans, and at test time is told them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch

from ...agents.critics import Critic, PrefixCritic, SentenceFeatures
from ...agents.critics.prefix import prefix_text
from ...agents.scripted import NoisyAgent
from ...agents.teachers import Correction
from ...envs.errors import at_least
from ...memory.trajectory import Trajectory
from ..advantages import advantage_weights
from ..examples import own_actions
from ..lab import Lab
from ..prefixes import fit, prefixes, state_text
from .core import dataset


@dataclass(frozen=True)
class Read:
    """Demonstrations, then the planner's own actions, imitated by their advantages; agents speak one after another.

    L = −Σ_t Σ_i exp(Aⁱ_t / β) log π(aⁱ_t | s_t, a¹ … aⁱ⁻¹) with Aⁱ = Q(s, a¹ … aⁱ) − Q(s, a¹ … aⁱ⁻¹).
    Source: ReAd, arXiv 2405.14314, Eq. 9 (the best policy near the planner) and Alg. 1 (the critic). The paper turns
    Eq. 9 into a filter at test time, which needs no training: `agentgym eval --team read-s,critic=RUN/critic`. To fit
    the planner to Eq. 9 as it stands is advantage-weighted regression (AWR, arXiv 1910.00177): that is this method.
    The critic is fitted to the round's own episodes alone, since A is of the planner that played them.

    demonstrations: of round 0, by the world's planner, right with probability `right`. iterations: rounds after it.
    episodes: played in each, the train tasks over and over. temperature: of play. beta: of the weights, in units of the
    return. gamma: of the return. steps, size, width: of the critic. epochs0, epochs, lr: of the fits.
    """

    id: ClassVar[str] = "read"
    summary: ClassVar[str] = "a team learns from, and is told, the advantage of every member's part in a plan"
    source: ClassVar[str] = "arXiv 2405.14314"
    needs: ClassVar[tuple[str, ...]] = ("oracle",)
    team: ClassVar[str] = "only"
    demonstrations: int = 300
    right: float = 1.0
    iterations: int = 1
    episodes: int = 300
    temperature: float = 1.0
    beta: float = 0.2
    gamma: float = 0.95
    steps: int = 1500
    size: int = 1024
    width: int = 128
    epochs0: float = 4.0
    epochs: float = 2.0
    lr: float | None = None

    def __post_init__(self) -> None:
        at_least(1, "read.", demonstrations=self.demonstrations, episodes=self.episodes, steps=self.steps)
        if self.beta <= 0:
            raise ValueError(f"read.beta={self.beta}: needs a positive temperature")

    @property
    def rounds(self) -> int:
        """The demonstrations' round and `iterations` more."""
        return 1 + self.iterations

    def collect(self, lab: Lab, k: int) -> list[Trajectory]:
        """Return demonstrations in round 0, then the planner's own episodes."""
        if k == 0:
            return lab.play(NoisyAgent(self.right), self._tasks(lab, self.demonstrations, k), k, label="demonstrate")
        return lab.play(lab.student.policy(self.temperature), self._tasks(lab, self.episodes, k), k, label="roll out")

    def _tasks(self, lab: Lab, n: int, k: int) -> list[str]:
        some = lab.tasks("train", n, k)
        return [some[i % len(some)] for i in range(n)]

    def label(self, lab: Lab, k: int, trajectories: Sequence[Trajectory]) -> list[list[Correction]]:
        """Return every agent's own actions, in round 0 as they are, then weighed by their advantages."""
        if k == 0:
            return [own_actions(t) for t in trajectories]
        critic = PrefixCritic(Critic(SentenceFeatures(self.size), self.width, seed=lab.seed))
        data = prefixes(trajectories, critic.critic.features, self.gamma)
        done = fit(critic, data, steps=self.steps, rng=lab.rng(5, k))
        lab.say(f"  critic: squared error {done['loss']:.4f} of a variance of {done['variance']:.4f}")
        critic.save(lab.run.path / "critic")
        return [weighed(t, critic, self.beta) for t in trajectories]

    def update(self, lab: Lab, k: int, data: Sequence[Sequence[Trajectory]]) -> dict[str, float]:
        """Fit the planner to the labels of this round."""
        epochs = self.epochs0 if k == 0 else self.epochs
        return lab.student.fit(dataset(lab, data[k]), lab.rng(3, k), epochs=epochs, lr=self.lr)


def weighed(trajectory: Trajectory, critic: PrefixCritic, beta: float) -> list[Correction]:
    """Return every agent's own actions, weighed by exp(Aⁱ/β), part by part."""
    out = []
    for step in trajectory.steps:
        agents = [p.agent for p in step.parts]
        state = state_text(trajectory.goal, step.observation)
        plans = [{p.agent: p.action for p in step.parts[:u]} for u in range(len(agents) + 1)]
        values = torch.tensor([critic.value(state, prefix_text(plan, agents)) for plan in plans])
        weights = advantage_weights(values[1:] - values[:-1], beta).tolist()
        out += [Correction(p.action, p.thought, w) for p, w in zip(step.parts, weights, strict=True)]
    return out
