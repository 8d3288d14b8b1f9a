"""A policy-gradient step on what the student itself has just said."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..agents.policy import Policy
from ..memory.trajectory import Trajectory
from . import update
from .limits import memory_for
from .losses import clipped, k3, reinforce
from .sequences import IGNORE, Batch, Example, Reply, build, collate
from .student import Student


@dataclass(frozen=True, slots=True)
class Said:
    """A sequence of sampled ids.

    example: its weights are the tokens' advantages, of any sign. kl: their β. times: how many episodes said it, whose
    advantages and β are summed in it.
    """

    example: Example
    kl: tuple[float, ...]
    times: int = 1


def merged(rows: Sequence[Said]) -> list[Said]:
    """Return equal sequences as one, with the sums of their advantages and of their β, in the order of the first ones.

    The loss of REINFORCE is linear in both, so its gradient is the same, for fewer tokens: samples of one question that
    a policy is nearly sure of are often the same. The clipped surrogate is not linear.
    """
    same: dict[tuple[tuple[int, ...], ...], list[Said]] = {}
    for r in rows:
        e = r.example
        same.setdefault((e.ids, e.positions, e.branch, e.targets), []).append(r)

    def summed(columns: Iterable[Sequence[float]]) -> tuple[float, ...]:
        return tuple(map(sum, zip(*columns, strict=True)))

    return [
        Said(
            replace(some[0].example, weights=summed(r.example.weights for r in some)),
            summed(r.kl for r in some),
            sum(r.times for r in some),
        )
        for some in same.values()
    ]


def own_words(
    trajectory: Trajectory,
    advantages: Sequence[float],
    kl: Sequence[float],
    stop: int,
    *,
    longest: int,
    max_tokens: int = 4096,
) -> list[Said]:
    """Return the very ids that an episode read and sampled, each step with its advantage and its weight of the KL.

    One sequence holds all steps whose views extend each other. A reply of `longest` tokens was cut: it has no stop.

    Raises:
        ValueError: the episode is not a language model's.
    """
    out: list[Said] = []
    runs: list[list[tuple[Reply, float]]] = []
    for step, advantage, beta in zip(trajectory.steps, advantages, kl, strict=True):
        if not step.context_ids:
            raise ValueError(f"task {trajectory.task!r}: no token ids are kept, so {trajectory.agent!r} is no policy")
        whole = len(step.token_ids) < longest
        reply = Reply(step.context_ids, step.token_ids, step.token_ids, float(advantage), ended=whole)
        if step.fresh or not runs:
            runs.append([])
        runs[-1].append((reply, float(beta)))
    for run in runs:
        example = build([r for r, _ in run], stop, max_tokens=max_tokens)
        penalty = build([replace(r, weight=beta) for r, beta in run], stop, max_tokens=max_tokens)
        out.append(Said(example, penalty.weights))
    return out


def spoken(
    student: Student, policy: Policy, played: Sequence[Trajectory], advantages: Sequence[Sequence[float]],
    kl: Sequence[Sequence[float]],
) -> list[Said]:  # fmt: skip
    """Return the words of some episodes that the student's policy has just played; of each its steps' numbers."""
    longest = policy.max_new_tokens if student.mode == "generate" else sys.maxsize  # a chosen action is never cut
    stop, limits = student.renderer.stop, {"longest": longest, "max_tokens": student.max_tokens}
    episodes = zip(played, advantages, kl, strict=True)
    return [words for t, adv, betas in episodes for words in own_words(t, adv, betas, stop, **limits)]


class Ascent:
    """REINFORCE with a KL penalty to a reference; an optimizer that lives through some on-policy updates.

    The reference is the student with a checkpoint's weights, kept as one copy of what trains. Dropout stays off, so
    that the tokens' probabilities are those with which they were drawn. Optimizers are those of a fit: Muon, for adapters
    AdamW.
    """

    def __init__(self, student: Student, reference: Path, *, lr: float | None, clip: float = 1.0) -> None:
        self._model, self._batch_tokens, self._clip = student.model, student.pass_tokens or 8192, clip
        self._lr, self._steps = (2e-5 if student.adapted else 3e-4) if lr is None else lr, 0
        self._optimizers = (update.adamw if student.adapted else update.muon)(self._model, self._lr)
        self._bf16 = update.fast_bf16(self._model.device)
        now = weights(self._model)
        student.restore(reference)
        self._reference = weights(self._model)
        put(self._model, now)
        self._model.eval()

    def step(
        self, rows: Sequence[Said], size: int, *, passes: int = 1, epsilon: float | None = None
    ) -> dict[str, float]:
        """Take a step on some words, or with the clipped surrogate of ratio 1 ± epsilon one in each of some passes.

        size: what the summed loss is divided by, as the number of episodes.

        Returns, of the last pass:
            loss; kl: mean k3 of the tokens; surprise: mean −log π of the tokens, which falls to 0 as the policy settles.
        Raises:
            FloatingPointError: the loss or its gradient is not finite; names the step and the suspects. The model is as
            it was before that pass.
        """
        less = f"set run.pass_tokens={self._batch_tokens // 2}"
        with memory_for(f"a policy gradient reads up to {self._batch_tokens} tokens at once", less):
            return self._step(merged(rows) if epsilon is None else rows, size, passes, epsilon)

    def _step(self, rows: Sequence[Said], size: int, passes: int, epsilon: float | None) -> dict[str, float]:
        examples = [r.example for r in rows]
        groups = list(update.batches(examples, self._batch_tokens, np.random.default_rng(0)))
        loaded = [collate([examples[i] for i in g], self._model.device) for g in groups]
        with torch.no_grad(), exchanged(self._model, self._reference):
            refs = [self._logps(b)[0] for b in loaded]

        def numbers(of: Callable[[Said], tuple[float, ...]]) -> list[Tensor]:
            told = [[replace(examples[i], weights=of(rows[i])) for i in g] for g in groups]
            return [
                collate(some, self._model.device).weights[b.targets != IGNORE]
                for some, b in zip(told, loaded, strict=True)
            ]

        penalties, times = numbers(lambda r: r.kl), numbers(lambda r: (float(r.times),) * len(r.kl))
        olds: list[Tensor] = []
        for _ in range(passes):
            done = self._pass(loaded, refs, penalties, times, olds, size, epsilon)
        return done

    def _pass(
        self, loaded: Sequence[Batch], refs: Sequence[Tensor], penalties: Sequence[Tensor], times: Sequence[Tensor],
        olds: list[Tensor], size: int, epsilon: float | None,
    ) -> dict[str, float]:  # fmt: skip
        """Take one optimizer step; the first pass leaves the log-probabilities of the policy that spoke in `olds`."""
        totals = torch.zeros(4, dtype=torch.float64)
        for n, (batch, ref, beta, often) in enumerate(zip(loaded, refs, penalties, times, strict=True)):
            logp, adv = self._logps(batch)
            if len(olds) == n:
                olds.append(logp.detach())
            if epsilon is None:
                loss = reinforce(logp, adv, ref, beta) / size
            else:
                loss = clipped(logp, olds[n], adv, ref, beta, epsilon) / size
            loss.backward()  # type: ignore[no-untyped-call]
            with torch.no_grad():
                seen = [(often * k3(logp, ref)).sum(), -(often * logp).sum(), often.sum()]
                totals += torch.stack([loss, *seen]).double().cpu()
        self._steps += 1
        finite = bool(torch.isfinite(totals).all())
        norm = update.move(self._model, self._optimizers, self._clip) if finite else math.nan
        if not math.isfinite(norm):
            largest = max(float(b.weights.abs().max()) for b in loaded)
            raise FloatingPointError(
                f"policy-gradient loss {float(totals[0]):.4g}, gradient norm {norm:.3g} at step {self._steps}; suspects: "
                f"the learning rate {self._lr:g}, a KL of {float(totals[1] / totals[3]):.3g}, advantages of up to {largest:.3g}"
            )
        return {
            "loss": float(totals[0]),
            "kl": float(totals[1] / totals[3]),
            "surprise": float(totals[2] / totals[3]),
        }

    def _logps(self, batch: Batch) -> tuple[Tensor, Tensor]:
        with update.amp(self._model.device, self._bf16):
            return update.logps(self._model, batch)


def weights(model: Any) -> dict[str, Tensor]:
    """Return a copy of what trains."""
    return {n: p.detach().clone() for n, p in model.named_parameters() if p.requires_grad}


def put(model: Any, held: Mapping[str, Tensor]) -> None:
    """Set what trains."""
    with torch.no_grad():
        for n, p in model.named_parameters():
            if n in held:
                p.copy_(held[n])


@contextmanager
def exchanged(model: Any, held: Mapping[str, Tensor]) -> Iterator[None]:
    """Lend the model other weights for a while."""
    now = weights(model)
    put(model, held)
    try:
        yield
    finally:
        put(model, now)
