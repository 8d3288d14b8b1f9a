"""One loop that fits a causal model to weighted sequences: every method that imitates goes through it.

TRL's SFTTrainer reads a sample a row with one mask; it can express neither the branches of `sequences` nor a weight a
step, so the loop is ours.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..agents.forward import logits, states
from ..envs.errors import at_least, positive
from . import processes
from .limits import memory_for
from .losses import token_logps, weighted_nll
from .sequences import IGNORE, Batch, Example, collate

LATELY = 3  # steps whose mean loss tells whether a fit diverges


def filled(order: Sequence[int], examples: Sequence[Example], most: int) -> list[list[int]]:
    """Group indices in their order, each group of at most `most` padded tokens or of one sequence."""
    groups: list[list[int]] = [[]]
    for i in order:
        longest = max([len(examples[j].ids) for j in groups[-1]] + [len(examples[i].ids)])
        if groups[-1] and longest * (len(groups[-1]) + 1) > most:
            groups.append([])
        groups[-1].append(i)
    return groups


def batches(examples: Sequence[Example], batch_tokens: int, rng: np.random.Generator) -> Iterator[list[int]]:
    """Yield batches of indices of like lengths, each of at most `batch_tokens` padded tokens, in random order."""
    noise = rng.random(len(examples))
    order = sorted(range(len(examples)), key=lambda i: (len(examples[i].ids) // 48, noise[i]))
    groups = filled(order, examples, batch_tokens)
    for k in rng.permutation(len(groups)):
        yield groups[int(k)]


def amp(device: torch.device, enabled: bool) -> Any:
    """Return bfloat16 autocast for a device, or nothing."""
    return torch.autocast(device.type, torch.bfloat16) if enabled else contextlib.nullcontext()


def fast_bf16(device: torch.device) -> bool:
    """Whether bfloat16 products are fast here: on a GPU, or on a CPU with matrix tiles."""
    if device.type != "cpu":
        return True
    return bool(torch.cpu._is_amx_tile_supported())  # no public name for it in torch 2.13


def logps(model: Any, batch: Batch) -> tuple[Tensor, Tensor]:
    """Return log p of every target of a batch, shape (N,), and their weights."""
    return spoken(model, batch, hidden(model, batch))


def hidden(model: Any, batch: Batch) -> Tensor:
    """Return the last hidden layer of a batch, shape (B, T, d)."""
    found: Tensor = states(model, batch.ids, batch.positions, batch.mask, use_cache=False).last_hidden_state
    return found


def spoken(model: Any, batch: Batch, hidden: Tensor) -> tuple[Tensor, Tensor]:
    """Return `logps` of a batch from its last hidden layer; the head runs only where a target is."""
    where = batch.targets != IGNORE
    chosen = hidden[where]
    spare = -len(chosen) % 256  # few shapes, as in collate
    said = logits(model, torch.nn.functional.pad(chosen, (0, 0, 0, spare)))[: len(chosen)]
    return token_logps(said, batch.targets[where]), batch.weights[where]


def muon(model: Any, lr: float) -> list[torch.optim.Optimizer]:
    """Return Muon for the matrices and AdamW for the rest, the pair that trains small models fastest.

    Source: Muon, K. Jordan 2024, as in torch.optim; the matrices' rate is ten times the embeddings'.
    """
    named = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
    matrices = [p for n, p in named if p.ndim == 2 and "embed" not in n and "lm_head" not in n]
    rest = [p for n, p in named if not (p.ndim == 2 and "embed" not in n and "lm_head" not in n)]
    return [
        torch.optim.Muon(matrices, lr=10 * lr, weight_decay=0.01),
        torch.optim.AdamW(rest, lr=lr, betas=(0.9, 0.95), weight_decay=0.0),
    ]


def adamw(model: Any, lr: float) -> list[torch.optim.Optimizer]:
    """Return AdamW for what trains: adapters and large models."""
    return [torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=lr, betas=(0.9, 0.95))]


def scaled(optimizers: Sequence[torch.optim.Optimizer]) -> Callable[[float], None]:
    """Return a function that sets every learning rate to a share of what it is now."""
    base = [(group, group["lr"]) for o in optimizers for group in o.param_groups]

    def scale(share: float) -> None:
        for group, rate in base:
            group["lr"] = rate * share

    return scale


def move(model: Any, optimizers: Sequence[torch.optim.Optimizer], clip: float) -> float:
    """Take a step along the gradients, cut to a norm of `clip`, and clear them; return the norm that they had.

    Where that is not finite there is no step: the model is as it was.
    """
    norm = float(torch.nn.utils.clip_grad_norm_([p for p in model.parameters() if p.requires_grad], clip))
    for o in optimizers:
        if math.isfinite(norm):
            o.step()
        o.zero_grad()
    return norm


def descend(
    model: Any,
    examples: Sequence[Example],
    batch: Sequence[int],
    *,
    pass_tokens: int | None,
    bf16: bool,
    usual: float | None = None,
) -> float:
    """Add the gradient of a batch's loss to the weights' and return the loss, the weighted mean over its targets.

    usual: what a target weighs on average in the whole fit; the gradient is then that of the loss times what the
    batch's targets weigh beside it. Without it a weight that all of a batch share would say nothing.
    This process reads its share of the batch, in passes of at most `pass_tokens` padded tokens; the sums are those of
    one pass over the whole batch.
    """
    own = list(batch[processes.rank() :: processes.size()])
    parts = filled(own, examples, pass_tokens) if pass_tokens else [own]
    alone = len(own) == len(batch) and len(parts) == 1
    whole, worth = None, 1.0
    if not alone or usual is not None:
        whole, targets = _weight(examples, batch)
        worth = 1.0 if usual is None else whole / targets / usual
    loss = torch.zeros((), device=model.device)
    for part in filter(None, parts):
        with memory_for(*_told(examples, part)):
            loaded = collate([examples[i] for i in part], model.device)
            with amp(model.device, bf16):
                logp, weights = logps(model, loaded)
            share = weighted_nll(logp, weights, None if alone else whole)
            (worth * share).backward()  # type: ignore[no-untyped-call]
        loss += share.detach()
    if processes.size() > 1:
        trained = [p for p in model.parameters() if p.requires_grad]
        for p in trained:
            p.grad = torch.zeros_like(p) if p.grad is None else p.grad
        processes.add([loss, *(p.grad for p in trained)])
    return float(loss)


def _weight(examples: Sequence[Example], batch: Sequence[int]) -> tuple[float, int]:
    """The weight of a batch's targets, and their number."""
    weights = [w for i in batch for w, t in zip(examples[i].weights, examples[i].targets, strict=True) if t != IGNORE]
    return sum(weights), len(weights)


def _told(examples: Sequence[Example], part: Sequence[int]) -> tuple[str, str]:
    """What is read at once, and the setting that halves it."""
    longest = max(len(examples[i].ids) for i in part)
    key, value = ("run.pass_tokens", longest * len(part) // 2) if len(part) > 1 else ("run.max_tokens", longest // 2)
    return f"a fit reads {len(part)} x {longest} tokens at once", f"set {key}={value}"


def _worse_than_guessing(model: Any, losses: Sequence[float]) -> bool:
    """Whether the last steps' loss is twice that of a model which finds every id as likely as any other, and has grown.

    A model that was sure of other things may begin so.
    """
    lately = losses[-LATELY:]
    bound = max(2 * math.log(model.config.vocab_size), 1.5 * losses[0])
    return len(lately) == LATELY and sum(lately) / LATELY > bound


def _diverged(
    what: str, k: int, plan: Sequence[Any], lr: float, bf16: bool, norms: Sequence[float], heaviest: float
) -> FloatingPointError:
    """The error of a fit that diverges at step k, with what may have done it, the likeliest first."""
    suspects = [f"the learning rate {lr:g}"]
    if norms:
        suspects.append(f"gradients (norm {norms[0]:.3g} at the first step, {norms[-1]:.3g} before this one)")
    if heaviest > 10:
        suspects.append(f"a target of weight {heaviest:.3g}")
    if bf16:
        suspects.append("bfloat16")
    return FloatingPointError(f"{what} at step {k + 1} of {len(plan)}; suspects: {', '.join(suspects)}")


def _plan(
    examples: Sequence[Example], epochs: float, steps: int | None, batch_tokens: int, rng: np.random.Generator
) -> list[list[int]]:
    """The batches of all epochs, the last of which may be a part of one; with `steps`, so many batches."""
    plan: list[list[int]] = []
    if steps is not None:
        while len(plan) < steps:
            plan += batches(examples, batch_tokens, rng)
        return plan[:steps]
    while len(plan) == 0 or epochs > 0:
        one = list(batches(examples, batch_tokens, rng))
        plan += one[: math.ceil(len(one) * min(1.0, epochs))]
        epochs -= 1
    return plan


def fit(
    model: Any,
    examples: Sequence[Example],
    *,
    epochs: float,
    lr: float,
    batch_tokens: int,
    rng: np.random.Generator,
    steps: int | None = None,
    overall: bool = False,
    optimizer: Callable[[Any, float], list[torch.optim.Optimizer]] = muon,
    warmup: float = 0.05,
    cooldown: float = 0.5,
    clip: float = 1.0,
    bf16: bool | None = None,
    pass_tokens: int | None = None,
    on_step: Callable[[dict[str, float]], None] | None = None,
) -> dict[str, float]:
    """Minimise the weighted negative log-likelihood; the rate warms up, holds, then falls to zero linearly.

    Sequences without a target, as of an episode that was cut before its first one, are left out.

    steps: of the optimizer, in place of `epochs`. batch_tokens: padded tokens of a step. overall: whether a target's
    weight counts beside all others; otherwise it counts beside those of its batch alone, and a batch holds sequences of
    like lengths. pass_tokens: of a step's tokens, how many are read at once; None for all. It changes the memory that a
    step takes, not the step.

    Returns:
        loss (mean of the last tenth of the steps), steps, tokens.
    Raises:
        ValueError: there is nothing to learn. OutOfMemory: names the setting that halves it. FloatingPointError: the
        loss diverges, which is to say that it or its gradient is not finite (the model is as it was before that step),
        or that its mean over three steps is twice that of a model which knows nothing, ln V; names the suspects.
    """
    if steps is not None:
        at_least(1, steps=steps)
    else:
        positive(epochs=epochs)
    given, examples = len(examples), [e for e in examples if any(w > 0 for w in e.weights)]
    if not examples:
        raise ValueError(f"nothing to learn: none of {given} episodes carries a target")
    device = model.device
    bf16 = fast_bf16(device) if bf16 is None else bf16
    optimizers = optimizer(model, lr)
    rates = scaled(optimizers)
    plan = _plan(examples, epochs, steps, batch_tokens, rng)
    usual = None
    if overall:
        weight, targets = _weight(examples, range(len(examples)))
        usual = weight / targets
    losses: list[float] = []
    norms: list[float] = []
    tokens = 0
    model.train()
    for k, indices in enumerate(plan):
        done = k / len(plan)
        rates(min(1.0, (done + 1 / len(plan)) / warmup) * min(1.0, (1 - done) / cooldown))
        losses.append(descend(model, examples, indices, pass_tokens=pass_tokens, bf16=bf16, usual=usual))
        norm = move(model, optimizers, clip) if math.isfinite(losses[-1]) else math.nan
        if not math.isfinite(norm) or _worse_than_guessing(model, losses):
            heaviest = max(w for i in indices for w in examples[i].weights)
            raise _diverged(f"loss {losses[-1]:.4g}, gradient norm {norm:.3g}", k, plan, lr, bf16, norms, heaviest)
        norms.append(norm)
        tokens += sum(len(examples[i].ids) for i in indices)
        if on_step is not None:
            on_step({"step": k + 1, "steps": len(plan), "loss": losses[-1], "tokens": tokens})
    model.eval()
    tail = losses[-max(1, len(losses) // 10) :]
    return {"loss": sum(tail) / len(tail), "steps": len(plan), "tokens": tokens}
