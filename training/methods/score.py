"""SCoRe: on-policy reinforcement learning of a second attempt that is better than the first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from ...agents.teachers import Correction
from ...envs.core import TextEnv
from ...envs.errors import at_least, positive
from ...memory.trajectory import Trajectory
from ..advantages import leave_one_out
from ..attempts import require, right
from ..lab import Lab
from ..reinforce import Ascent, spoken
from .core import dataset
from .rise import blind, first_attempts, shown


@dataclass(frozen=True)
class Score:
    """Self-correction by reinforcement learning, in two attempts y_1, y_2 at a question x; nobody says what was wrong.

    Round 0: SFT on the first attempts of demonstrations gives π_ref. Then on-policy REINFORCE, K samples a question,
    the baseline of each the mean of the others:
      Stage I   max E[r(y_2)] − β_2 KL(π(y_1|x) ‖ π_ref(y_1|x)): learn to correct while the first attempt stays;
      Stage II  max E[r(y_1) + r(y_2) + α (r(y_2) − r(y_1))] − β_1 KL(π ‖ π_ref) over both attempts.
    Source: SCoRe, arXiv 2409.12917, Eq. 3 and 4; α, β, the per-token k3 and that each attempt is credited with its own
    reward only (γ = 0) from its code. A stage is split into rounds of `updates` steps, each round with an optimizer of
    its own, so that a run can be gone on with between any two.

    demonstrations: of round 0; 0 leaves the model as it is. twice: see RISE. stage1, stage2: rounds of each stage;
    stage1=0 is the paper's ablation. updates: gradient steps in a round. questions, samples: x and K of a step. alpha: α,
    the paper's 10; 0 is its ablation. beta1, beta2: its 0.01 and 0.1. temperature: of the attempts; 1 keeps the gradient unbiased.
    epochs0, lr0: of round 0. lr: of the policy gradient; None takes 3e-4 for tiny, 2e-5 for adapters.
    """

    id: ClassVar[str] = "score"
    summary: ClassVar[str] = "reinforces a second attempt that mends the first"
    source: ClassVar[str] = "arXiv 2409.12917"
    protocol: ClassVar[Mapping[str, Any]] = {"turns": 2, "feedback": "blind"}
    demonstrations: int = 600
    twice: bool = False
    stage1: int = 2
    stage2: int = 2
    updates: int = 20
    questions: int = 16
    samples: int = 8
    alpha: float = 10.0
    beta1: float = 0.01
    beta2: float = 0.1
    temperature: float = 1.0
    epochs0: float = 6.0
    lr0: float | None = None
    lr: float | None = None

    def __post_init__(self) -> None:
        at_least(0, "score.", demonstrations=self.demonstrations, stage1=self.stage1, stage2=self.stage2)
        at_least(1, "score.", updates=self.updates, questions=self.questions)
        at_least(2, "score.", samples=self.samples)
        positive("score.", epochs0=self.epochs0)
        at_least(0, "score.", alpha=self.alpha, beta1=self.beta1, beta2=self.beta2)
        if self.temperature <= 0:
            raise ValueError(f"score.temperature={self.temperature}: samples must differ, so it needs to be positive")

    def check(self, env: TextEnv) -> None:
        """Raise where the world does not verify two attempts, or tells what was wrong."""
        world = require(self.id, env)
        if world.turns != 2:
            raise ValueError(f"env.turns={world.turns}: score trains two attempts; give env.turns=2")
        blind("score corrects unaided", world)

    @property
    def needs(self) -> tuple[str, ...]:
        """A verifier; the oracle where it demonstrates."""
        return ("attempts", "oracle") if self.demonstrations else ("attempts",)

    @property
    def rounds(self) -> int:
        """The demonstrations' round and those of both stages."""
        return 1 + self.stage1 + self.stage2

    def collect(self, lab: Lab, k: int) -> list[Trajectory]:
        """Return demonstrations in round 0; later rounds play while they update."""
        return shown(lab, self.demonstrations, self.twice) if k == 0 else []

    def label(self, lab: Lab, k: int, trajectories: Sequence[Trajectory]) -> list[list[Correction]]:
        """Return the demonstrations' first attempts, with `twice` their second ones too."""
        return [first_attempts(t, 1 + self.twice) for t in trajectories]

    def update(self, lab: Lab, k: int, data: Sequence[Sequence[Trajectory]]) -> dict[str, float]:
        """Fit the demonstrations, then take `updates` on-policy steps a round."""
        if k == 0:
            rows = dataset(lab, data[0])
            return lab.student.fit(rows, lab.rng(3, k), epochs=self.epochs0, lr=self.lr0) if rows else {}
        stage = 1 if k <= self.stage1 else 2
        ascent = Ascent(lab.student, lab.run.part("checkpoints", "00"), lr=self.lr)
        log = [self._step(lab, ascent, stage, k, u) for u in range(self.updates)]
        tail = log[-max(1, len(log) // 4) :]
        means = {key: sum(row[key] for row in tail) / len(tail) for key in tail[0]}
        return means | {"stage": stage, "steps": len(log), "played": sum(row["played"] for row in log)}

    def _step(self, lab: Lab, ascent: Ascent, stage: int, k: int, u: int) -> dict[str, float]:
        policy = lab.student.policy(self.temperature)
        tasks = lab.tasks("train", self.questions, k, u)
        played = lab.play(policy, [t for t in tasks for _ in range(self.samples)], k, u)
        hits = torch.from_numpy(right(played, 2)).float()  # (Q K, 2)
        advantages, kl = credit(hits.view(len(tasks), self.samples, 2), stage, self.alpha, self.beta1, self.beta2)
        student = lab.student
        rows = spoken(student, policy, played, advantages.view(-1, 2).tolist(), [kl] * len(played))
        done = ascent.step(rows, len(played)) | {"acc@t1": float(hits[:, 0].mean()), "acc@t2": float(hits[:, 1].mean())}
        done["played"] = len(played)
        if student.on_step is not None:
            student.on_step({"step": u + 1, "steps": self.updates, **done})
        return done


def credit(r: Tensor, stage: int, alpha: float, beta1: float, beta2: float) -> tuple[Tensor, tuple[float, float]]:
    """Advantages of both attempts, and the β of each attempt's KL.

    Stage I: y_1 earns nothing, y_2 earns r(y_2); β = (β_2, 0). Stage II: y_1 earns r(y_1), y_2 earns
    r(y_2) + α (r(y_2) − r(y_1)); β = (β_1, β_1). Of each, less a baseline.
    Source: SCoRe, arXiv 2409.12917, Eq. 3 and 4, with γ = 0. When y_2 is said, −α r(y_1) is settled, so it belongs into
    the baseline of y_2, where it takes no part of the gradient and much of its variance: what α does is to weigh the
    second attempt 1 + α times.

    Args:
        r: rewards, shape (Q, K, 2): questions, samples, attempts.
    Returns:
        advantages, shape (Q, K, 2); the β of the two attempts.
    >>> credit(torch.tensor([[[1.0, 1.0], [1.0, 0.0]]]), 2, 10.0, 0.01, 0.1)[0].tolist()
    [[[0.0, 11.0], [0.0, -11.0]]]
    """
    first, second = r.unbind(-1)
    if stage == 1:
        return torch.stack([torch.zeros_like(first), leave_one_out(second)], -1), (beta2, 0.0)
    earned = second + alpha * (second - first)
    return torch.stack([leave_one_out(first), leave_one_out(earned + alpha * first)], -1), (beta1, beta1)
