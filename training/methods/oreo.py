"""OREO: a policy and a value that agree, along stored episodes, as the best policy near the old one would."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from ...agents.critics.critic import Heads
from ...agents.teachers import Correction
from ...envs.errors import at_least, positive
from ...memory.trajectory import Trajectory
from .. import update
from ..advantages import returns
from ..critics import descend
from ..examples import examples, own_actions
from ..lab import Lab
from ..limits import memory_for
from ..losses import k3, soft_bellman
from ..sequences import IGNORE, Example, collate
from ..student import Student
from .bc import demonstrate, roll_out_all
from .core import dataset

HALVES = 2


@dataclass(frozen=True)
class Oreo:
    """Offline learning by the soft Bellman equation.

    Round 0: SFT on demonstrations gives π_0. Round i ≥ 1, with π_ref = π_{i−1}:
      1. play π_ref on train tasks; failures are kept, the demonstrations are added, and from here on the world is not
         asked again;
      2. with δ_t = V(s_t) − Σ_{j≥t} (r_j − β log π(a_j|s_j)/π_ref(a_j|s_j)), which is 0 everywhere at the optimum of
         E Σ r − β KL(π ‖ π_ref), take steps together on V by the mean of δ² and on π by the mean of
         (sg δ_t + β (log π(a_t|s_t) − sg log π(a_t|s_t)))² + α k3(π ‖ π_ref): of each δ_t, π moves its own action only.
    Source: OREO, arXiv 2412.16145, Eq. 7 and the losses after it, on whole actions (its "step-level"); sg stops the
    gradient. Deviations: V is a head on the frozen last layer of π_ref where an action begins, not a second language model,
    and starts from the Monte-Carlo returns, which solve Eq. 7 where π is π_ref; there is a head for each of two halves of
    the episodes, and δ of one half moves the other's V, since a V that has seen its few hundred episodes knows their
    returns by heart and leaves π nothing to do; γ = 1, so a long way to success counts as a short one; a time limit is
    an end, nothing is expected behind it. Value at test time (its beam search) is not here.

    demonstrations: of round 0. iterations: rounds after it, the paper's 1. episodes: played in each. temperature: of
    play. beta, alpha: β and α of above. batch: episodes in a step. passes: over the episodes. critic_steps, width: of
    V before the first step, and of its hidden layer. critic_lr: of V from then on; 0 leaves it at the returns, which takes
    the joint solution out. epochs0, lr0: of round 0. lr: of π, by the optimizers of a fit; None takes 1e-4 for tiny, 1e-5
    for adapters; in the second half of the steps all rates fall to 0.
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
    critic_steps: int = 300
    critic_lr: float = 1e-4
    width: int = 256
    epochs0: float = 6.0
    lr0: float | None = None
    lr: float | None = None

    def __post_init__(self) -> None:
        whole = ("demonstrations", "episodes", "batch", "passes", "critic_steps", "width")
        at_least(1, "oreo.", **{name: getattr(self, name) for name in whole})
        positive("oreo.", temperature=self.temperature, beta=self.beta, epochs0=self.epochs0)
        at_least(0, "oreo.", iterations=self.iterations, critic_lr=self.critic_lr, alpha=self.alpha)

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
        played, rng = [*data[0], *data[k]], lab.rng(3, k)
        rows = [words(lab, t) for t in played]
        with torch.no_grad():
            refs = [read(lab.student, r, len(t.steps)) for r, t in zip(rows, played, strict=True)]
        g = torch.cat([returns(torch.tensor([s.reward for s in t.steps]), 1.0) for t in played])
        half = torch.tensor([i % HALVES for i, t in enumerate(played) for _ in t.steps])
        v = Heads(refs[0].before.shape[1], self.width, HALVES, torch.Generator().manual_seed(lab.seed))
        self._start(v, torch.cat([r.before for r in refs]), g, half, lab.rng(5, k))
        most = max(sum(len(e.ids) for e in some) for some in rows)
        fix = f"set run.max_tokens={max(len(e.ids) for some in rows for e in some) // 2}, or take a --memory that repeats less"
        with memory_for(f"OREO reads an episode of up to {most} tokens at once, whatever run.pass_tokens is", fix):
            return self._solve(lab, v, played, rows, refs, rng)

    def _start(self, v: Heads, x: Tensor, g: Tensor, half: Tensor, rng: np.random.Generator) -> None:
        """Fit every head to the returns of the steps that are not of its half."""
        lr = 1e-3
        optimizer = torch.optim.AdamW(v.parameters(), lr=lr, weight_decay=1e-4)
        for step in range(self.critic_steps):
            i = torch.from_numpy(rng.integers(len(g), size=256))
            own = half[i] == torch.arange(HALVES)[:, None]
            descend(optimizer, (((v(x[i]) - g[i]) ** 2) * ~own).mean(), lr, step, self.critic_steps)

    def _solve(
        self, lab: Lab, v: Heads, played: Sequence[Trajectory], rows: Sequence[Sequence[Example]], refs: Sequence[Read],
        rng: np.random.Generator,
    ) -> dict[str, float]:  # fmt: skip
        """Take the steps on π and V together."""
        student = lab.student
        lr = (1e-5 if student.adapted else 1e-4) if self.lr is None else self.lr
        optimizers = [
            *(update.adamw if student.adapted else update.muon)(student.model, lr),
            torch.optim.AdamW(v.parameters(), lr=self.critic_lr, weight_decay=1e-4),
        ]
        rates = update.scaled(optimizers)
        plan = [
            some
            for _ in range(self.passes)
            for some in np.array_split(rng.permutation(len(played)), -(-len(played) // self.batch))
        ]
        log = np.zeros((len(plan), 3))
        for n, some in enumerate(plan):
            steps = int(sum(len(played[i].steps) for i in some))
            for i in some:
                now, ref = read(student, rows[i], len(played[i].steps)), refs[i]
                r_t = torch.tensor([s.reward for s in played[i].steps])
                ratio = torch.zeros(len(r_t)).index_add(0, ref.step, now.logp - ref.logp)
                of_v, of_pi = soft_bellman(v(ref.before), r_t, ratio, self.beta)  # (HALVES, T)
                own = torch.arange(HALVES) == i % HALVES
                loss_v, loss_pi = of_v[~own].sum() / steps, of_pi[own].sum() / steps
                kl = k3(now.logp, ref.logp).sum() / steps
                torch.autograd.backward(loss_v + loss_pi + self.alpha * kl)
                log[n] += float(loss_v.detach()), float(loss_pi.detach()), float(kl.detach())
            if not np.isfinite(log[n]).all():
                raise FloatingPointError(f"loss {log[n].tolist()} at step {n + 1} of {len(plan)}: lower oreo.lr")
            rates(min(1.0, 2 * (1 - n / len(plan))))
            norm = update.move(student.model, optimizers, 1.0)
            if not math.isfinite(norm):
                raise FloatingPointError(f"gradient norm {norm} at step {n + 1} of {len(plan)}: lower oreo.lr")
            if student.on_step is not None:
                student.on_step({"step": n + 1, "steps": len(plan), "loss": log[n, 1], "kl": log[n, 2]})
        tail = log[-max(1, len(log) // 4) :].mean(0)
        return {"loss_v": float(tail[0]), "loss": float(tail[1]), "kl": float(tail[2]), "steps": len(plan)}


@dataclass(frozen=True, slots=True)
class Read:
    """What a model makes of an episode of T steps and N tokens that were said.

    logp: log p of every token, (N,). step: of which step it is, (N,). before: the last hidden layer where each step's
    first token is to be said, (T, d); 0 at steps behind the model's longest sequence.
    """

    logp: Tensor
    step: Tensor
    before: Tensor


def read(student: Student, rows: Sequence[Example], steps: int) -> Read:
    """Return what the student's model makes of an episode of some steps, on the CPU; `before` without a gradient."""
    batch = collate(rows, student.model.device)
    with update.amp(student.model.device, update.fast_bf16(student.model.device)):
        hidden = update.hidden(student.model, batch)
        logp, step = update.spoken(student.model, batch, hidden)
    step = step.long().cpu() - 1
    first = torch.cat([torch.tensor([True]), step[1:] != step[:-1]])
    before = torch.zeros(steps, hidden.shape[-1])
    before[step[first]] = hidden.detach()[batch.targets != IGNORE].float().cpu()[first]
    return Read(logp.cpu(), step, before)


def words(lab: Lab, trajectory: Trajectory) -> list[Example]:
    """Return an episode's own words as targets, each with 1 + the number of its step for a weight."""
    numbered = [replace(own, weight=t) for t, own in enumerate(own_actions(trajectory), 1)]
    student = lab.student
    return examples(
        trajectory, numbered, lab.make_memory, student.renderer, mode=student.mode, max_tokens=student.max_tokens
    )
