"""Losses as pure functions: tensors in, tensors out."""

from __future__ import annotations

import torch
from torch import Tensor


def token_logps(logits: Tensor, targets: Tensor) -> Tensor:
    """Log-probability of each target.

    log p_i = z_i[y_i] − logsumexp(z_i)

    Args:
        logits: z, shape (N, V), any real. targets: y, shape (N,), in [0, V).
    Returns:
        log p, shape (N,), float32, ≤ 0.
    >>> token_logps(torch.zeros(1, 4), torch.tensor([2])).exp()
    tensor([0.2500])
    """
    logits = logits.float()
    return logits.gather(-1, targets[:, None])[:, 0] - torch.logsumexp(logits, -1)


def weighted_nll(logp: Tensor, weights: Tensor) -> Tensor:
    """Weighted mean negative log-likelihood, the loss of behaviour cloning.

    L = −Σ_i w_i log p_i / Σ_i w_i
    Source: SFT with a mask, LEAP arXiv 2410.05434 Sec. 3; w is 1 on the tokens of an action and 0 elsewhere.

    Args:
        logp: shape (N,). weights: shape (N,), ≥ 0, not all 0.
    Returns:
        a scalar, ≥ 0.
    >>> weighted_nll(torch.tensor([-1.0, -3.0]), torch.tensor([1.0, 0.0]))
    tensor(1.)
    """
    return -(weights * logp).sum() / weights.sum()


def dpo(chosen: Tensor, rejected: Tensor, ref_chosen: Tensor, ref_rejected: Tensor, beta: float) -> Tensor:
    """Direct preference optimisation, mean over pairs.

    L = −log σ(β [(log π(y⁺) − log π_ref(y⁺)) − (log π(y⁻) − log π_ref(y⁻))])
    Source: arXiv 2305.18290, Eq. 7; LEAP arXiv 2410.05434 uses it with y⁺ corrected and y⁻ the student's own.

    Args:
        chosen, rejected: log π of the replies, shape (B,). ref_chosen, ref_rejected: log π_ref, shape (B,).
        beta: β > 0.
    Returns:
        a scalar, > 0.
    Raises:
        ValueError: beta is not positive.
    >>> z = torch.zeros(1)
    >>> dpo(z, z, z, z, beta=0.1)
    tensor(0.6931)
    """
    if beta <= 0:
        raise ValueError(f"beta={beta}: needs to be positive")
    margin = (chosen - ref_chosen) - (rejected - ref_rejected)
    return -torch.nn.functional.logsigmoid(beta * margin).mean()
