"""OREO: a policy and a value that agree, along stored episodes, as the best policy near the old one would."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from ...agents.critics import READS, Critic, HashedFeatures
from ...agents.teachers import Correction
from ...envs.errors import at_least, choice, positive
from ...memory.trajectory import Trajectory
from .. import update
from ..critics import fit, save_critic, transitions
from ..examples import own_actions
from ..lab import Lab
from ..losses import k3, soft_bellman
from ..reinforce import Said, own_words
from ..sequences import collate
from .bc import demonstrate, roll_out_all
from .core import dataset


@dataclass(frozen=True)
class Oreo:
    """Offline learning by the soft Bellman equation.

    Round 0: SFT on demonstrations gives π_0. Round i ≥ 1, with π_ref = π_{i−1}:
      1. play π_ref on train tasks; failures are kept, and from here on the world is not asked again;
      2. with δ_t = V(s_t) − Σ_{j≥t} (r_j − β log π(a_j|s_j)/π_ref(a_j|s_j)), which is 0 everywhere at the optimum of
         E Σ r − β KL(π ‖ π_ref), take steps together on V by the mean of δ² and on π by the mean of
         (sg δ_t + β (log π(a_t|s_t) − sg log π(a_t|s_t)))² + α k3(π ‖ π_ref): of each δ_t, π moves its own action only.
    Source: OREO, arXiv 2412.16145, Eq. 7 and the losses after it, on whole actions (its "step-level"); sg stops the
    gradient. Deviations: V is a head on frozen features of the text, not a second language model, and starts from the
    Monte-Carlo returns, which solve Eq. 7 where π is π_ref; γ = 1, so a long way to success counts as a short one; a time
    limit is an end, nothing is expected behind it. Value at test time (its beam search) is not here.

    demonstrations: of round 0. iterations: rounds after it, the paper's 1. episodes: played in each. temperature: of
    play. beta, alpha: β and α of above. batch: episodes in a step. passes: over the episodes. critic_steps, width, reads:
    of V before the first step, see `agents.critics`. critic_lr: of V from then on; 0 leaves it at the
    returns, which takes the joint solution out. epochs0, lr0: of round 0. lr: of π, by AdamW; None
    takes 1e-4 for tiny, 1e-5 for adapters.
    """

    id: ClassVar[str] = "oreo"
    summary: ClassVar[str] = "fits policy and value to the soft Bellman equation on stored episodes"
    source: ClassVar[str] = "arXiv 2412.16145"
    needs: ClassVar[tuple[str, ...]] = ("oracle",)
    demonstrations: int = 300
    iterations: int = 1
    episodes: int = 300
    temperature: float = 1.0
    beta: float = 0.05
    alpha: float = 0.01
    batch: int = 8
    passes: int = 2
    critic_steps: int = 1500
    critic_lr: float = 1e-4
    width: int = 256
    reads: str = "screen"
    epochs0: float = 6.0
    lr0: float | None = None
    lr: float | None = None

    def __post_init__(self) -> None:
        whole = ("demonstrations", "episodes", "batch", "passes", "critic_steps", "width")
        at_least(1, "oreo.", **{name: getattr(self, name) for name in whole})
        positive("oreo.", temperature=self.temperature, beta=self.beta, epochs0=self.epochs0)
        at_least(0, "oreo.", iterations=self.iterations)
        at_least(0, "oreo.", critic_lr=self.critic_lr)
        choice("oreo.reads", self.reads, READS)

    @property
    def rounds(self) -> int:
        """The demonstrations' round and `iterations` more."""
        return 1 + self.iterations

    def collect(self, lab: Lab, k: int) -> list[Trajectory]:
        """Return demonstrations first, then the student's own episodes, won or not."""
        if k == 0:
            return demonstrate(lab, self.demonstrations)
        return roll_out_all(lab, k, self.episodes, self.temperature)

    def label(self, lab: Lab, k: int, trajectories: Sequence[Trajectory]) -> list[list[Correction]]:
        """Return the episodes' own actions."""
        return [own_actions(t) for t in trajectories]

    def update(self, lab: Lab, k: int, data: Sequence[Sequence[Trajectory]]) -> dict[str, float]:
        """Fit the demonstrations, then policy and value to the equation."""
        if k == 0:
            return lab.student.fit(dataset(lab, data[0]), lab.rng(3, k), epochs=self.epochs0, lr=self.lr0)
        critic = Critic(HashedFeatures(), self.width, heads=1, seed=lab.seed, reads=self.reads)
        seen = transitions(data[k], critic, lab.make_memory, gamma=1.0)
        fit(critic, seen, objective="mc", steps=self.critic_steps, gamma=1.0, rng=lab.rng(5, k))
        lab.also = lambda folder: save_critic(folder / "critic", critic)
        return self._solve(lab, k, data[k], critic, seen.v)

    def _solve(
        self, lab: Lab, k: int, played: Sequence[Trajectory], critic: Critic, features: Tensor
    ) -> dict[str, float]:
        """Take the steps; `features` are those of every step's state, in order."""
        student, rng = lab.student, lab.rng(3, k)
        first = np.cumsum([0, *(len(t.steps) for t in played)])
        rows = [words(lab, t) for t in played]
        with torch.no_grad():
            refs = [self._logps(student, r)[0] for r in rows]
        optimizers = [
            *update.adamw(student.model, (1e-5 if student.adapted else 1e-4) if self.lr is None else self.lr),
            torch.optim.AdamW(critic.v_heads.parameters(), lr=self.critic_lr, weight_decay=1e-4),
        ]
        plan = [
            some
            for _ in range(self.passes)
            for some in np.array_split(rng.permutation(len(played)), -(-len(played) // self.batch))
        ]
        log = np.zeros((len(plan), 3))
        for n, some in enumerate(plan):
            steps = int(sum(len(played[i].steps) for i in some))
            for i in some:
                logp, at = self._logps(student, rows[i])
                ratio = torch.zeros(len(played[i].steps)).index_add(0, at.long().cpu(), (logp - refs[i]).cpu())
                r_t = torch.tensor([s.reward for s in played[i].steps])
                v = critic.v_heads(features[first[i] : first[i + 1]])[0]
                loss_v, loss_pi = (x.sum() / steps for x in soft_bellman(v, r_t, ratio, self.beta))
                kl = k3(logp, refs[i]).sum().cpu() / steps
                torch.autograd.backward(loss_v + loss_pi + self.alpha * kl)
                log[n] += float(loss_v.detach()), float(loss_pi.detach()), float(kl.detach())
            if not np.isfinite(log[n]).all():
                raise FloatingPointError(f"loss {log[n].tolist()} at step {n + 1} of {len(plan)}: lower oreo.lr")
            norm = update.move(student.model, optimizers, 1.0)
            if not math.isfinite(norm):
                raise FloatingPointError(f"gradient norm {norm} at step {n + 1} of {len(plan)}: lower oreo.lr")
            if student.on_step is not None:
                student.on_step({"step": n + 1, "steps": len(plan), "loss": log[n, 1], "kl": log[n, 2]})
        tail = log[-max(1, len(log) // 4) :].mean(0)
        return {"loss_v": float(tail[0]), "loss": float(tail[1]), "kl": float(tail[2]), "steps": len(plan)}

    @staticmethod
    def _logps(student: Any, rows: Sequence[Said]) -> tuple[Tensor, Tensor]:
        """Return log p of every token said in an episode, and the number of its step, both (N,)."""
        device = student.model.device
        with update.amp(device, update.fast_bf16(device)):
            return update.logps(student.model, collate([r.example for r in rows], device))


def words(lab: Lab, trajectory: Trajectory) -> list[Said]:
    """Return an episode's sampled ids, each with the number of its step where own_words puts an advantage."""
    student, n = lab.student, len(trajectory.steps)
    return own_words(
        trajectory, range(n), [0.0] * n, student.renderer.stop, longest=student.policy().max_new_tokens,
        max_tokens=student.max_tokens,
    )  # fmt: skip
