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

from .losses import token_logps, weighted_nll
from .sequences import IGNORE, Batch, Example, collate


def batches(examples: Sequence[Example], batch_tokens: int, rng: np.random.Generator) -> Iterator[list[int]]:
    """Yield batches of indices of like lengths, each of at most `batch_tokens` padded tokens, in random order."""
    noise = rng.random(len(examples))
    order = sorted(range(len(examples)), key=lambda i: (len(examples[i].ids) // 48, noise[i]))
    groups: list[list[int]] = [[]]
    for i in order:
        longest = max([len(examples[j].ids) for j in groups[-1]] + [len(examples[i].ids)])
        if groups[-1] and longest * (len(groups[-1]) + 1) > batch_tokens:
            groups.append([])
        groups[-1].append(i)
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
    """Return log p of every target of a batch, shape (N,), and their weights; the head runs only where a target is."""
    hidden = model.get_decoder()(
        input_ids=batch.ids, position_ids=batch.positions, attention_mask=batch.mask, use_cache=False
    ).last_hidden_state
    where = batch.targets != IGNORE
    chosen = hidden[where]
    spare = -len(chosen) % 256  # few shapes, as in collate
    logits = model.get_output_embeddings()(torch.nn.functional.pad(chosen, (0, 0, 0, spare)))[: len(chosen)]
    return token_logps(logits, batch.targets[where]), batch.weights[where]


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


def move(model: Any, optimizers: Sequence[torch.optim.Optimizer], clip: float) -> None:
    """Take a step along the gradients, their norm at most `clip`, and clear them."""
    torch.nn.utils.clip_grad_norm_([p for p in model.parameters() if p.requires_grad], clip)
    for o in optimizers:
        o.step()
        o.zero_grad()


def _plan(examples: Sequence[Example], epochs: float, batch_tokens: int, rng: np.random.Generator) -> list[list[int]]:
    """The batches of all epochs, the last of which may be a part of one."""
    plan: list[list[int]] = []
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
    optimizer: Callable[[Any, float], list[torch.optim.Optimizer]] = muon,
    warmup: float = 0.05,
    cooldown: float = 0.5,
    clip: float = 1.0,
    bf16: bool | None = None,
    on_step: Callable[[dict[str, float]], None] | None = None,
) -> dict[str, float]:
    """Minimise the weighted negative log-likelihood; the rate warms up, holds, then falls to zero linearly.

    Returns:
        loss (mean of the last tenth of the steps), steps, tokens.
    Raises:
        ValueError: there is nothing to learn. FloatingPointError: the loss is not finite; the model is as it was
        before that step.
    """
    if not any(w > 0 for e in examples for w in e.weights):
        raise ValueError(f"nothing to learn: none of {len(examples)} episodes carries a target")
    device = model.device
    bf16 = fast_bf16(device) if bf16 is None else bf16
    optimizers = optimizer(model, lr)
    rates = scaled(optimizers)
    plan = _plan(examples, epochs, batch_tokens, rng)
    losses: list[float] = []
    tokens = 0
    model.train()
    for k, indices in enumerate(plan):
        done = k / len(plan)
        rates(min(1.0, (done + 1 / len(plan)) / warmup) * min(1.0, (1 - done) / cooldown))
        batch = collate([examples[i] for i in indices], device)
        with amp(device, bf16):
            logp, weights = logps(model, batch)
        loss = weighted_nll(logp, weights)
        if not bool(torch.isfinite(loss)):
            raise FloatingPointError(f"loss {float(loss)} at step {k + 1} of {len(plan)}: lower the learning rate {lr}")
        loss.backward()  # type: ignore[no-untyped-call]
        move(model, optimizers, clip)
        losses.append(float(loss.detach()))
        tokens += sum(len(examples[i].ids) for i in indices)
        if on_step is not None:
            on_step({"step": k + 1, "steps": len(plan), "loss": losses[-1], "tokens": tokens})
    model.eval()
    tail = losses[-max(1, len(losses) // 10) :]
    return {"loss": sum(tail) / len(tail), "steps": len(plan), "tokens": tokens}
