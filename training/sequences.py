"""Whole episodes as one training sequence: a trunk that happened, and branches that a teacher would have taken.

A corrected action hangs on the student's own history. Training one sample a step would read that history once a step;
here the episode is read once. The ids that happened form the trunk; a correction is a short branch beside it, which
sees the trunk up to its step and itself, and which nothing after it sees.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

IGNORE = -100


@dataclass(frozen=True, slots=True)
class Example:
    """One sequence of n tokens.

    ids, positions: what is read, and where in its own line of the tree it stands. branch: 0 for the trunk, else the
    branch's number. targets: the id to predict after each token, IGNORE where none. weights: of each target. cut: how many
    lessons were left out, as they lie behind its longest.
    """

    ids: tuple[int, ...]
    positions: tuple[int, ...]
    branch: tuple[int, ...]
    targets: tuple[int, ...]
    weights: tuple[float, ...]
    cut: int = 0


@dataclass(frozen=True, slots=True)
class Reply:
    """A step as token ids: what was read since the last step, what was said, what should be learned there.

    context: new ids since the last step's reply. aside: ids behind them that this step alone reads, a screen that the
    memory shows and does not keep. said: the ids that the episode went on with.
    learn: the ids to be made likely after `context`, None for nothing. weight: of this step's loss.
    ended: whether the stop follows what is learned; it does not where a reply was cut at its longest.
    """

    context: tuple[int, ...]
    said: tuple[int, ...]
    learn: tuple[int, ...] | None
    weight: float = 1.0
    ended: bool = True
    aside: tuple[int, ...] = ()


def build(steps: Sequence[Reply], stop: int, *, max_tokens: int = 4096) -> Example:
    """Lay steps out as one example.

    Args:
        steps: the episode, in order. stop: the id that ends a reply; it is learned, not read.
        max_tokens: the episode is cut after the last step that fits.
    Raises:
        ValueError: the first step alone is longer than max_tokens.
    """
    ids: list[int] = []
    pos: list[int] = []
    branch: list[int] = []
    targets: list[int] = []
    weights: list[float] = []
    at = cut = 0

    def put(tokens: Sequence[int], where: int, which: int) -> None:
        ids.extend(tokens)
        pos.extend(range(where, where + len(tokens)))
        branch.extend([which] * len(tokens))
        targets.extend([IGNORE] * len(tokens))
        weights.extend([0.0] * len(tokens))

    for number, step in enumerate(steps, 1):
        learn = None if step.learn is None else (*step.learn, stop) if step.ended else step.learn
        same = step.learn == step.said and not step.aside
        beside = () if same or learn is None else (*step.aside, *learn[:-1])
        need = len(step.context) + len(step.said) + len(beside)
        if len(ids) + need > max_tokens:
            if number == 1:
                raise ValueError(f"the first step has {need} tokens, more than max_tokens={max_tokens}: raise it")
            cut = sum(s.learn is not None for s in steps[number - 1 :])
            break
        put(step.context, at, 0)
        at += len(step.context)
        mark = len(ids) + len(step.aside) - 1
        put(beside, at, number)
        if learn is not None and not same:
            for k, token in enumerate(learn):
                targets[mark + k], weights[mark + k] = token, step.weight
        said = len(ids)
        put(step.said, at, 0)
        at += len(step.said)
        if learn is not None and same:
            targets[mark], weights[mark] = learn[0], step.weight
            for k, token in enumerate(learn[1:]):
                targets[said + k], weights[said + k] = token, step.weight
    return Example(tuple(ids), tuple(pos), tuple(branch), tuple(targets), tuple(weights), cut)


@dataclass(frozen=True, slots=True)
class Batch:
    """Examples padded on the right: ids, positions, targets, weights (B, T); mask (B, 1, T, T) or None if causal."""

    ids: Tensor
    positions: Tensor
    mask: Tensor | None
    targets: Tensor
    weights: Tensor


def collate(examples: Sequence[Example], device: torch.device | str = "cpu") -> Batch:
    """Pad examples to one length and build the tree's attention mask where any example branches.

    Lengths are multiples of 64, short ones of 32: a CPU compiles its bfloat16 kernels anew for every shape it meets.
    """
    longest = max(len(e.ids) for e in examples)
    unit = 32 if longest <= 128 else 64
    length = -(-longest // unit) * unit

    def pad(rows: Sequence[Sequence[float]], fill: float, dtype: torch.dtype) -> Tensor:
        out = torch.full((len(rows), length), fill, dtype=dtype)
        for i, row in enumerate(rows):
            out[i, : len(row)] = torch.tensor(row, dtype=dtype)
        return out.to(device)

    branch = pad([e.branch for e in examples], 0, torch.long)
    mask = None
    if bool(branch.any()):
        causal = torch.ones(length, length, dtype=torch.bool, device=device).tril()
        own = (branch[:, None, :] == 0) | (branch[:, None, :] == branch[:, :, None])
        mask = (causal & own)[:, None]
    return Batch(
        pad([e.ids for e in examples], 0, torch.long),
        pad([e.positions for e in examples], 0, torch.long),
        mask,
        pad([e.targets for e in examples], IGNORE, torch.long),
        pad([e.weights for e in examples], 0.0, torch.float32),
    )
