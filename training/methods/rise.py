"""RISE: at every attempt of its own, the student learns the best of several next ones."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from ...agents.teachers import Correction, retrace, turns
from ...envs.core import TextEnv
from ...envs.errors import at_least, choice, positive
from ...envs.reasoning import Attempts
from ...memory.trajectory import Trajectory
from ..attempts import judge, propose, require
from ..examples import own_actions
from ..lab import Lab
from .bc import demonstrate, roll_out
from .core import Idle, dataset

TEACHERS = ("self", "oracle")


@dataclass(frozen=True)
class Rise:
    """Recursive introspection: one question as a decision process of several turns.

    The state after i attempts is s_i = (x, y_1, f_1, …, y_i, f_i): question, attempts, and what was said to them; the
    reward of an attempt is 1 where it is right. Round 0: SFT on the first attempts of demonstrations. Round i ≥ 1:
      1. roll π_{i−1} out for all turns on train questions;
      2. at every state visited, draw N replies from π_{i−1} and keep the best ỹ (self-distillation), or take the
         oracle's (distillation);
      3. from π_{i−1}, maximise Σ exp(r(ỹ)/τ) log π(ỹ | s) over rounds 1..i, the loss on ỹ alone, never on the attempts
         before it.
    Source: RISE, arXiv 2407.18219, Eq. 4 and Algorithm 1; τ, N and the loss on the last turn from its code. Evaluated
    in as many turns as the world gives: m1@t1, m5@t1, m1@t5, p1@t5 (training/attempts.py). Its code shows a window of
    two attempts: --memory window:2. Deviations: its code stops at a right attempt, we go on, since at evaluation too
    nobody says that it is right; weights count beside those of their batch (update.fit).

    demonstrations: of round 0; 0 leaves the model as it is. twice: round 0 shows second attempts too, each after the
    answer to another question, to a model that could not answer twice in one conversation otherwise. iterations: rounds
    after it. episodes: rolled out in each. candidates: N, the paper's 16. tau: τ, its code's 0.4. teacher: self or
    oracle. attempts: of an episode, the first so many that are taught, None for all; its code has 2, and 1 is the ablation
    that leaves out the idea. temperature: of the rollout and the candidates. epochs0, epochs, lr: of the fits.
    """

    id: ClassVar[str] = "rise"
    summary: ClassVar[str] = "learns the best of several replies to its own earlier attempts"
    source: ClassVar[str] = "arXiv 2407.18219"
    protocol: ClassVar[Mapping[str, Any]] = {"turns": 5, "feedback": "blind"}
    idle: ClassVar[Idle] = (("teacher", "oracle", ("candidates",)),)
    demonstrations: int = 600
    twice: bool = False
    iterations: int = 2
    episodes: int = 300
    candidates: int = 16
    tau: float = 0.4
    teacher: str = "self"
    attempts: int | None = None
    temperature: float = 1.0
    epochs0: float = 6.0
    epochs: float = 3.0
    lr: float | None = None

    def __post_init__(self) -> None:
        choice("rise.teacher", self.teacher, TEACHERS)
        positive("rise.", tau=self.tau, epochs0=self.epochs0, epochs=self.epochs)
        positive("rise.", temperature=self.temperature)  # candidates must differ
        at_least(0, "rise.", demonstrations=self.demonstrations, iterations=self.iterations)
        at_least(1, "rise.", episodes=self.episodes, candidates=self.candidates)
        if self.attempts is not None:
            at_least(1, "rise.", attempts=self.attempts)

    def check(self, env: TextEnv) -> None:
        """Raise where the world does not verify several attempts."""
        world = require(self.id, env)
        if self.twice:
            blind("rise.twice shows answers to other questions", world)

    @property
    def needs(self) -> tuple[str, ...]:
        """A verifier; the oracle where it demonstrates or teaches."""
        return ("attempts", "oracle") if self.demonstrations or self.teacher == "oracle" else ("attempts",)

    @property
    def rounds(self) -> int:
        """The demonstrations' round and `iterations` more."""
        return 1 + self.iterations

    def collect(self, lab: Lab, k: int) -> list[Trajectory]:
        """Return demonstrations in round 0, then the student's own attempts."""
        if k == 0:
            return shown(lab, self.demonstrations, self.twice)
        return roll_out(lab, k, self.episodes, self.temperature)

    def label(self, lab: Lab, k: int, trajectories: Sequence[Trajectory]) -> list[list[Correction]]:
        """Return the improved attempt at every state, weighed by exp(r/τ)."""
        if k == 0:
            return [first_attempts(t, 1 + self.twice) for t in trajectories]
        taught = [replace(t, steps=t.steps[: self.attempts]) for t in trajectories]
        rows = self._oracle(lab, taught) if self.teacher == "oracle" else self._best(lab, k, taught)
        return [row + [Correction(None)] * (len(t.steps) - len(row)) for row, t in zip(rows, trajectories, strict=True)]

    def _oracle(self, lab: Lab, trajectories: Sequence[Trajectory]) -> list[list[Correction]]:
        env = lab.make_env()
        return [[Correction(p.actions[0], None, weight(1.0, self.tau)) for p in retrace(env, t)] for t in trajectories]

    def _best(self, lab: Lab, k: int, trajectories: Sequence[Trajectory]) -> list[list[Correction]]:
        """The best of N replies at every state; the first drawn of equals."""
        env = lab.make_env()
        states = [s for t in trajectories for s in turns(t, lab.make_memory())]
        drawn = iter(propose(lab, states, self.candidates, self.temperature, k))
        rows, solved = [], 0
        for t in trajectories:
            row = []
            for _ in t.steps:
                replies = next(drawn)
                rewards = judge(env, t.task, [d.action for d in replies])
                best = max(range(len(replies)), key=rewards.__getitem__)
                solved += rewards[best] >= 1
                row.append(Correction(replies[best].action, replies[best].thought, weight(rewards[best], self.tau)))
            rows.append(row)
        lab.say(f"  label: at {solved} of {len(states)} states one of {self.candidates} replies is right")
        return rows

    def update(self, lab: Lab, k: int, data: Sequence[Sequence[Trajectory]]) -> dict[str, float]:
        """Fit the demonstrations, then regress on the improved attempts of all rounds since."""
        if k == 0:
            rows = dataset(lab, data[0])
            return lab.student.fit(rows, lab.rng(3, k), epochs=self.epochs0, lr=self.lr) if rows else {}
        rows = dataset(lab, [t for group in data[1:] for t in group])
        return lab.student.fit(rows, lab.rng(3, k), epochs=self.epochs, lr=self.lr)


def weight(reward: float, tau: float) -> float:
    """Return exp(r/τ), the weight of reward-weighted regression (RISE arXiv 2407.18219, Eq. 4).

    >>> round(weight(1.0, 0.4), 3), weight(0.0, 0.4)
    (12.182, 1.0)
    """
    return math.exp(reward / tau)


def shown(lab: Lab, n: int, twice: bool) -> list[Trajectory]:
    """Return n demonstrations; with `twice` their first attempt is the answer to another question of them.

    From it neither repeating nor mending is learned: what comes from elsewhere says nothing about the question.
    """
    played = demonstrate(lab, n) if n else []
    if not twice:
        return played
    env, order = lab.make_env(), lab.rng(23).permutation(len(played))
    other = [played[int(i)].steps[0].action for i in order]
    return [astray(t, said, judge(env, t.task, [said])[0]) for t, said in zip(played, other, strict=True)]


def astray(trajectory: Trajectory, said: str, reward: float) -> Trajectory:
    """Return an episode with another first attempt, to which a world that is blind says the same."""
    first, *rest = trajectory.steps
    return replace(trajectory, steps=(replace(first, action=said, reward=reward), *rest))


def blind(method: str, world: Attempts) -> None:
    """Raise where the world tells what was wrong, for what takes it to say the same to every answer."""
    if world.feedback != "blind":
        raise ValueError(f"env.feedback={world.feedback!r}: {method}; give env.feedback=blind")


def first_attempts(trajectory: Trajectory, n: int) -> list[Correction]:
    """Return what a demonstration last says as what should be learned at its first n attempts, and nothing after them."""
    right = own_actions(trajectory)[-1]
    return [right if i < n else Correction(None) for i in range(len(trajectory.steps))]
