"""A causal model's forward pass over trees of tokens, the same for every architecture: masks, logits, and how far it reads."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

PROBE = 12
TOLERANCE = 0.1
"""Tokens of the probe; nats in the mean, where bfloat16 alone differs by some thousandths."""


def states(model: Any, ids: Tensor, positions: Tensor, allowed: Tensor | None, **more: Any) -> Any:
    """Return what the model's decoder makes of some tokens.

    ids, positions: (B, T). allowed: (B, 1, T, reach), True where a token may look, or None for all before it. more: as the
    decoder takes it.
    """
    return model.get_decoder()(input_ids=ids, position_ids=positions, attention_mask=as_taken(model, allowed), **more)


def as_taken(model: Any, allowed: Tensor | None) -> Tensor | None:
    """Return a mask as the model's attention takes it: eager attention adds it to its scores, the others read True."""
    if allowed is None or model.config._attn_implementation != "eager":
        return allowed
    weight = next(p for p in model.parameters() if p.is_floating_point())
    mask = torch.zeros(allowed.shape, dtype=weight.dtype, device=allowed.device)
    return mask.masked_fill_(~allowed, torch.finfo(weight.dtype).min)


def logits(model: Any, hidden: Tensor) -> Tensor:
    """Return the logits of some last hidden states, (…, d) to (…, V), with what an architecture does to them at the end."""
    out: Tensor = model.get_output_embeddings()(hidden)
    config = model.config.get_text_config()
    if scaling := getattr(config, "logits_scaling", None):  # Granite
        out = out / scaling
    if scale := getattr(config, "logit_scale", None):  # Cohere
        out = out * scale
    if cap := getattr(config, "final_logit_softcapping", None):  # Gemma 2
        out = cap * torch.tanh(out / cap)
    return out


def reach(model: Any) -> int:
    """Return how many tokens the model reads as it was made to: its positions, or the window of layers that have one.

    A mask of our own is used in every layer as it is, so behind such a window a layer would see more than it was made for.
    """
    config = model.config.get_text_config()
    kinds = getattr(config, "layer_types", None)
    window = getattr(config, "sliding_window", None) if getattr(config, "use_sliding_window", True) else None
    if window is None or (kinds is not None and "sliding_attention" not in kinds):
        return int(config.max_position_embeddings)
    return min(int(config.max_position_embeddings), int(window))


@torch.inference_mode()
def check(model: Any, name: str) -> None:
    """Compare with the model's own forward pass on a few tokens.

    Raises:
        ValueError: they differ, so nothing that is computed here would be the model's.
    """
    size = model.get_input_embeddings().weight.shape[0]
    ids = torch.arange(3, 3 + 7 * PROBE, 7, device=model.device)[None] % size
    allowed = torch.ones(1, 1, PROBE, PROBE, dtype=torch.bool, device=model.device).tril()
    positions = torch.arange(PROBE, device=model.device)[None]
    ours = logits(model, states(model, ids, positions, allowed, use_cache=False).last_hidden_state)
    theirs = model(input_ids=ids, use_cache=False).logits
    gap = float((ours.float().log_softmax(-1) - theirs.float().log_softmax(-1)).abs().mean())
    if not gap < TOLERANCE:
        raise ValueError(
            f"model {name!r}: its architecture ({model.config.model_type}) does to its logits or its attention what is not "
            f"known here, {gap:.2f} nats a token; take another model, or ask it by chat:MODULE:OBJECT"
        )
