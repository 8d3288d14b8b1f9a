"""LEAP: a privileged teacher corrects the student on the student's own histories."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from ...agents.chat import load_chat
from ...agents.teachers import Correction, ModelTeacher, OracleTeacher, SelfTeacher, Teacher, retrace
from ...envs.errors import at_least, choice, positive, share
from ...memory.trajectory import Trajectory
from ..examples import keep, kept, own_actions
from ..lab import Lab
from ..preferences import prefer
from .bc import demonstrate, roll_out
from .core import Idle, dataset

TEACHERS = ("oracle", "self", "model")
UPDATES = ("sft", "dpo")
MIXES = ("batch", "whole")


@dataclass(frozen=True)
class Leap:
    """Learning from privileged experts.

    Round 0: SFT on demonstrations gives π_0. Round i ≥ 1:
      1. roll π_{i−1} out on train tasks;
      2. for episodes that score at most `threshold`, a privileged expert gives π^E(a | h_t, s_t) at every step, on the
         student's own history h_t; the other episodes are not corrected;
      3. train π_i from π_{i−1} on rounds 0..i in equal parts (`mix`): SFT on the corrected actions, or DPO with chosen =
         corrected, rejected = the student's own.
    Source: LEAP, arXiv 2410.05434, Algorithm 1; code sanjibanc/leap_llm. The expert there is GPT-4o with the
    privileged state; ours is the world's planner behind a realizability filter (agents/teachers.py). Two deviations.
    The paper draws as many steps from each round as the smallest has; we keep all steps and let each weigh
    smallest / size, by default beside those of its batch (`mix`). And a correction that an episode was given three
    times at the same observation is left out from then on, since a student that walks in circles would fill the round
    with one lesson.

    demonstrations: of round 0. iterations: rounds after it. episodes: rolled out in each. threshold: the paper's 0.
    temperature: of rollouts; the paper's 0.3. teacher: oracle, self (the student with the privileged state in its
    prompt) or model (`chat`, a "module:object" that is a langchain-core chat model). privilege: share of steps at
    which an unrealizable oracle action is taught all the same. hint, trust: see OracleTeacher. update_by: sft or dpo.
    mix: what a step's weight counts beside. `whole`: all steps of the fit, the paper's equal parts in the mean. `batch`:
    those of its batch; batches hold episodes of like lengths and so seldom both failures and demonstrations, so that
    rounds weigh about as they have tokens (docs/results.md compares the two).
    beta: of DPO, the paper's 0.01 for 8 B parameters; ours 0.1. pairs: at most so many preferences a round, drawn at
    random, since each is read with its whole history; so the rounds mix there as they have pairs, not in equal parts.
    dpo_lr: of DPO, which takes one epoch; None takes 5e-5 for tiny, 5e-6 for adapters. epochs0, epochs, lr: of the fit
    of round 0 and of the later ones; lr None takes the student's own.
    """

    id: ClassVar[str] = "leap"
    summary: ClassVar[str] = "a privileged teacher corrects the student on its own histories"
    source: ClassVar[str] = "arXiv 2410.05434"
    idle: ClassVar[Idle] = (
        ("update_by", "sft", ("beta", "pairs", "dpo_lr")),
        ("update_by", "dpo", ("epochs", "mix")),
        ("teacher", "self", ("privilege", "hint", "trust")),
        ("teacher", "model", ("privilege", "hint", "trust")),
    )
    demonstrations: int = 300
    iterations: int = 3
    episodes: int = 300
    threshold: float = 0.0
    temperature: float = 0.3
    teacher: str = "oracle"
    chat: str | None = None
    privilege: float = 0.0
    hint: bool = False
    trust: bool = True
    update_by: str = "sft"
    mix: str = "batch"
    beta: float = 0.1
    pairs: int = 500
    dpo_lr: float | None = None
    epochs0: float = 6.0
    epochs: float = 4.0
    lr: float | None = None

    def __post_init__(self) -> None:
        for name, value, legal in (
            ("teacher", self.teacher, TEACHERS), ("update_by", self.update_by, UPDATES), ("mix", self.mix, MIXES),
        ):  # fmt: skip
            choice(f"{self.id}.{name}", value, legal)
        if (self.teacher == "model") != (self.chat is not None):
            raise ValueError("leap.teacher=model goes with leap.chat=module:object, and only with it")
        at_least(1, f"{self.id}.", demonstrations=self.demonstrations, episodes=self.episodes, pairs=self.pairs)
        at_least(0, f"{self.id}.", iterations=self.iterations, temperature=self.temperature)
        positive(f"{self.id}.", epochs0=self.epochs0, epochs=self.epochs, beta=self.beta)
        share(f"{self.id}.", privilege=self.privilege)

    @property
    def needs(self) -> tuple[str, ...]:
        """The oracle; as a teacher it falls back on the searching expert."""
        return ("oracle", "searcher") if self.teacher == "oracle" else ("oracle",)

    @property
    def rounds(self) -> int:
        """The demonstrations' round and `iterations` more."""
        return 1 + self.iterations

    def collect(self, lab: Lab, k: int) -> list[Trajectory]:
        """Return demonstrations in round 0, then the student's episodes that need correction."""
        if k == 0:
            return demonstrate(lab, self.demonstrations)
        played = roll_out(lab, k, self.episodes, self.temperature)
        poor = [t for t in played if t.score <= self.threshold]
        won = sum(t.success for t in played)
        lab.say(f"  roll out: {won} of {len(played)} train episodes succeeded, {len(poor)} go to the teacher")
        return poor

    def label(self, lab: Lab, k: int, trajectories: Sequence[Trajectory]) -> list[list[Correction]]:
        """Return the teacher's correction of every step."""
        if k == 0:
            return [own_actions(t) for t in trajectories]
        env = lab.make_env()
        return [few(t, self._teacher(lab, k, t).correct(t, retrace(env, t))) for t in trajectories]

    def _teacher(self, lab: Lab, k: int, trajectory: Trajectory) -> Teacher:
        if self.teacher == "self":
            return SelfTeacher(lab.student.policy(), lab.make_memory)
        if self.teacher == "model":
            return ModelTeacher(load_chat(str(self.chat)))
        return OracleTeacher(
            lambda: lab.make_searcher(trajectory.task), self.privilege, self.hint, self.trust, seed=lab.seed + k
        )

    def update(self, lab: Lab, k: int, data: Sequence[Sequence[Trajectory]]) -> dict[str, float]:
        """Train π_k from π_{k−1} on all rounds so far in equal parts."""
        mixed = equal([g for g in data if g])
        if self.update_by == "dpo" and k > 0:
            return prefer(lab, k, mixed, self.pairs, beta=self.beta, lr=self.dpo_lr)
        epochs = self.epochs0 if k == 0 else self.epochs
        whole = self.mix == "whole"
        return lab.student.fit(dataset(lab, mixed), lab.rng(3, k), epochs=epochs, lr=self.lr, overall=whole)


def few(trajectory: Trajectory, corrections: Sequence[Correction], most: int = 3) -> list[Correction]:
    """Leave out what the episode was told `most` times at the same observation."""
    told: Counter[tuple[str, str | None]] = Counter()
    out = []
    for step, right in zip(trajectory.steps, corrections, strict=True):
        lesson = (step.observation, right.action)
        told[lesson] += 1
        out.append(right if told[lesson] <= most else Correction(None))
    return out


def equal(groups: Sequence[Sequence[Trajectory]]) -> list[Trajectory]:
    """Return all trajectories with their steps weighed so that every group weighs as much as the smallest."""
    sizes = [sum(c.weight for t in g for c in kept(t) if c.action is not None) for g in groups]
    least = min(s for s in sizes if s)
    return [
        keep(t, [replace(c, weight=c.weight * least / size) for c in kept(t)])
        for g, size in zip(groups, sizes, strict=True)
        for t in g
        if size
    ]
