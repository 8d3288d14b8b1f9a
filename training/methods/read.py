"""ReAd: a team's planner learns from the advantages of its own plans, and at test time is told them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch

from ...agents.core import Decision
from ...agents.critics import Critic, PrefixCritic, SentenceFeatures
from ...agents.critics.prefix import prefix_text
from ...agents.read import too_low
from ...agents.scripted import NoisyAgent
from ...agents.teachers import Correction, turns
from ...agents.team import again, hearing
from ...envs.core import SPLITS
from ...envs.errors import at_least, positive, share, unknown
from ...memory.core import Turn
from ...memory.trajectory import Trajectory
from ..advantages import advantage_weights
from ..examples import keep, kept, own_actions, reply_text
from ..lab import Lab
from ..prefixes import fit, prefixes, state_text
from ..sequences import Example, Reply, build
from ..student import Student

SKILL, WANDER = 0.7, 8  # of those who play for the critic alone


@dataclass(frozen=True)
class Read:
    """Demonstrations, then these and the planner's own actions by their advantages; agents speak one after another.

    L = −Σ_t Σ_i exp(Aⁱ_t / β) log π(aⁱ_t | s_t, a¹ … aⁱ⁻¹) with Aⁱ = Q(s, a¹ … aⁱ) − Q(s, a¹ … aⁱ⁻¹).
    Source: ReAd, arXiv 2405.14314, Eq. 9 (the best policy near the planner) and Alg. 1 (the critic). The paper turns
    Eq. 9 into a filter at test time, which needs no training: `agentgym eval --team read-s,critic=RUN/critic`. To fit
    the planner to Eq. 9 as it stands is advantage-weighted regression (AWR, arXiv 1910.00177): that is this method.
    The critic is fitted to the round's own episodes, since A is of the planner that played them. Weights count beside
    those of their batch (update.fit).

    demonstrations: of round 0, by the world's planner, right with probability `right`. refused: the share of all
    decisions that are learned a second time, behind a random action that was called too low, so that the planner has
    seen what feedback looks like. iterations: rounds after it. episodes: played in each. at: the task that is played,
    as the paper's critic is of one level; the train tasks over and over by default. others: episodes by a planner that
    is right seven times of ten, half of them after random steps, from which the critic learns, too, for states that the
    planner itself hardly reaches (the paper sets the world into such states). temperature: of play. beta: of the
    weights, in units of the return. gamma: of the return. steps, size, width: of the critic. epochs0, epochs, lr: of the
    fits.
    """

    id: ClassVar[str] = "read"
    summary: ClassVar[str] = "a team learns from, and is told, the advantage of every member's part in a plan"
    source: ClassVar[str] = "arXiv 2405.14314"
    needs: ClassVar[tuple[str, ...]] = ("oracle",)
    team: ClassVar[str] = "only"
    protocol: ClassVar[Mapping[str, Any]] = {}
    demonstrations: int = 60
    right: float = 1.0
    refused: float = 0.5
    iterations: int = 1
    episodes: int = 60
    others: int = 0
    at: str | None = None
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
        at_least(1, "read.", width=self.width)
        at_least(2, "read.", size=self.size)
        at_least(0, "read.", others=self.others, iterations=self.iterations, temperature=self.temperature)
        share("read.", right=self.right, refused=self.refused, gamma=self.gamma)
        positive("read.", beta=self.beta, epochs0=self.epochs0, epochs=self.epochs)

    def check(self, env: Any) -> None:
        """Raise where the world has no task `at`."""
        every = [t for split in SPLITS for t in env.tasks(split)]
        if self.at is not None and self.at not in every:
            raise unknown("read.at, a task", self.at, every)

    @property
    def rounds(self) -> int:
        """The demonstrations' round and `iterations` more."""
        return 1 + self.iterations

    def collect(self, lab: Lab, k: int) -> list[Trajectory]:
        """Return demonstrations in round 0, then the planner's own episodes."""
        if k == 0:
            return lab.play(NoisyAgent(self.right), self._tasks(lab, self.demonstrations, k), k, label="demonstrate")
        return lab.play(lab.student.policy(self.temperature), self._tasks(lab, self.episodes, k), k, label="roll out")

    def _others(self, lab: Lab, k: int) -> list[Trajectory]:
        """Return what the critic learns from beside the planner's own episodes."""
        if not self.others:
            return []
        tasks = self._tasks(lab, self.others, k)
        near, far = NoisyAgent(SKILL), NoisyAgent(SKILL, WANDER)
        return [*lab.play(near, tasks[::2], k, 1), *lab.play(far, tasks[1::2], k, 2)]

    def _tasks(self, lab: Lab, n: int, k: int) -> list[str]:
        if self.at is not None:
            return [self.at] * n
        some = lab.tasks("train", n, k)
        return [some[i % len(some)] for i in range(n)]

    def label(self, lab: Lab, k: int, trajectories: Sequence[Trajectory]) -> list[list[Correction]]:
        """Return every agent's own actions, in round 0 as they are, then weighed by their advantages."""
        if k == 0:
            return [own_actions(t) for t in trajectories]
        critic = PrefixCritic(Critic(SentenceFeatures(self.size), self.width, seed=lab.seed))
        data = prefixes([*trajectories, *self._others(lab, k)], critic.critic.features, self.gamma)
        done = fit(critic, data, steps=self.steps, rng=lab.rng(5, k))
        lab.say(f"  critic: squared error {done['loss']:.4f} of a variance of {done['variance']:.4f}")
        critic.save(lab.run.path / "critic")
        return [weighed(t, critic, self.beta) for t in trajectories]

    def update(self, lab: Lab, k: int, data: Sequence[Sequence[Trajectory]]) -> dict[str, float]:
        """Fit the planner to the labels of this round; after round 0 also to the demonstrations, weighed as its own."""
        rng, some = lab.rng(9, k), list(data[k])
        if k:
            critic = PrefixCritic.load(lab.run.path / "critic")
            some += [keep(t, weighed(t, critic, self.beta)) for t in data[0]]
        rows = [e for t in some for e in decisions(t, lab, self.refused, rng)]
        return lab.student.fit(rows, lab.rng(3, k), epochs=self.epochs if k else self.epochs0, lr=self.lr)


def decisions(trajectory: Trajectory, lab: Lab, refused: float, rng: np.random.Generator) -> list[Example]:
    """Return every decision of a labelled episode; a share of them again behind a random action that scores too low.

    Both are read in one sequence: what should be said first is a branch beside what was refused. A decision that lists
    one action is left out where the student chooses among those that are listed.
    """
    out, student, team = [], lab.student, [p.agent for p in trajectory.steps[0].parts]
    rights = kept(trajectory)
    for i, who in enumerate(team):
        for t, turn in enumerate(turns(trajectory.seat(who), lab.make_memory())):
            part, right = trajectory.steps[t].parts[i], rights[t * len(team) + i]
            others = [a for a in part.admissible or () if a != part.action]
            if student.mode == "choose" and not others:
                continue
            wrong = others[int(rng.integers(len(others)))] if others and rng.random() < refused else None
            score = -float(rng.random())
            for replies in _tries(hearing(turn, part.heard), who, right, wrong, score, student):
                out.append(build(replies, student.renderer.stop, max_tokens=student.max_tokens))
    return out


def _tries(
    turn: Turn, who: str, right: Correction, wrong: str | None, score: float, student: Student
) -> list[list[Reply]]:
    """Return a decision, and what was said after another action was refused, as one sequence where one extends the other."""
    renderer, weight = student.renderer, right.weight
    learn = tuple(renderer.reply(reply_text(right.action or "", right.reason, student.mode)))
    prompt = tuple(renderer.prompt(turn))
    if wrong is None:
        return [[Reply(prompt, learn, learn, weight)]]
    said = tuple(renderer.reply(wrong))
    told = tuple(renderer.prompt(hearing(turn, "", again(Decision(wrong), too_low(f"{who}: {wrong}", score, 0.0)))))
    before = prompt + said
    if told[: len(before)] != before:
        return [[Reply(p, learn, learn, weight)] for p in (prompt, told)]
    return [[Reply(prompt, said, learn, weight), Reply(told[len(before) :], learn, learn, weight)]]


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
