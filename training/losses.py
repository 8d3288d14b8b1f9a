"""Losses as pure functions: tensors in, tensors out."""

from __future__ import annotations

import torch
from torch import Tensor

from .advantages import soft_bellman_residual


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


def weighted_nll(logp: Tensor, weights: Tensor, total: float | None = None) -> Tensor:
    """Weighted mean negative log-likelihood, the loss of behaviour cloning.

    L = −Σ_i w_i log p_i / Σ_i w_i
    Source: SFT with a mask, LEAP arXiv 2410.05434 Sec. 3; w is 1 on the tokens of an action and 0 elsewhere.

    Args:
        logp: shape (N,). weights: shape (N,), ≥ 0, not all 0. total: Σ_i w_i of the whole batch, where these are a part
        of it; the parts' losses then sum to the batch's.
    Returns:
        a scalar, ≥ 0.
    >>> weighted_nll(torch.tensor([-1.0, -3.0]), torch.tensor([1.0, 0.0]))
    tensor(1.)
    """
    return -(weights * logp).sum() / (weights.sum() if total is None else total)


def k3(logp: Tensor, ref: Tensor) -> Tensor:
    """Estimate of KL(π ‖ π_ref) from one token that π drew; never negative, unbiased, of low variance.

    k3 = ρ − log ρ − 1, with ρ = π_ref / π
    Source: Schulman, "Approximating KL divergence", 2020; per token in SCoRe's and GRPO's code. As a loss on tokens of
    π its gradient is that of KL(π_ref ‖ π).

    Args:
        logp, ref: log π and log π_ref of the tokens, shape (N,).
    Returns:
        shape (N,), ≥ 0, and 0 where the two agree.
    >>> k3(torch.tensor([0.5]).log(), torch.tensor([0.25]).log())
    tensor([0.1931])
    """
    log_ratio = ref - logp
    return log_ratio.exp() - log_ratio - 1


def reinforce(logp: Tensor, adv: Tensor, ref: Tensor, beta: Tensor) -> Tensor:
    """REINFORCE with a KL penalty, summed over tokens; divide by the number of episodes.

    L = Σ_i [−A_i log π_i + β_i k3(π_i, π_ref,i)]
    Source: Williams 1992, Eq. 11; SCoRe, arXiv 2409.12917, Eq. 2. Every token of a reply carries the reply's advantage.

    Args:
        logp: log π of the tokens said, shape (N,). adv: A, shape (N,), of any sign, without gradient.
        ref: log π_ref, shape (N,). beta: β ≥ 0 of each token, shape (N,).
    Returns:
        a scalar.
    >>> half = torch.tensor([0.5]).log()
    >>> reinforce(half, torch.tensor([2.0]), half, torch.tensor([0.1]))
    tensor(1.3863)
    """
    return (beta * k3(logp, ref) - adv * logp).sum()


def clipped(logp: Tensor, old: Tensor, adv: Tensor, ref: Tensor, beta: Tensor, epsilon: float) -> Tensor:
    """PPO's clipped surrogate with a KL penalty, summed over tokens; divide by the number of tokens.

    L = Σ_i [−min(ρ_i A_i, clip(ρ_i, 1 − ε, 1 + ε) A_i) + β_i k3(π_i, π_ref,i)], with ρ_i = π_i / π_old,i
    Source: GRPO, arXiv 2402.03300, Eq. 3. Where π = π_old its gradient is that of `reinforce`.

    Args:
        logp, old, ref: log π, log π_old and log π_ref of the tokens said, shape (N,). adv: A, shape (N,), of any sign.
        beta: β ≥ 0 of each token, shape (N,). epsilon: ε in (0, 1).
    Returns:
        a scalar.
    Raises:
        ValueError: ε lies outside (0, 1).
    >>> one, two = torch.tensor([0.0]), torch.tensor([2.0]).log()
    >>> clipped(two, one, torch.tensor([1.0]), two, one, 0.2)
    tensor(-1.2000)
    """
    if not 0 < epsilon < 1:
        raise ValueError(f"epsilon={epsilon}: needs a value between 0 and 1")
    ratio = (logp - old).exp()
    gain = torch.minimum(ratio * adv, ratio.clamp(1 - epsilon, 1 + epsilon) * adv)
    return (beta * k3(logp, ref) - gain).sum()


def soft_bellman(v_t: Tensor, r_t: Tensor, log_ratio: Tensor, beta: float) -> tuple[Tensor, Tensor]:
    """OREO's losses of value and policy, a term a step each.

    L_V = δ_t², and L_π = (sg δ_t + β (ℓ_t − sg ℓ_t))², whose value is δ² and whose gradient is 2 β δ_t ∇ℓ_t, with
    ℓ_t = log π(a_t|s_t)/π_ref(a_t|s_t) and δ_t of `soft_bellman_residual`. In δ_t no gradient goes through any ℓ.
    Source: OREO, arXiv 2412.16145, Eq. 7 and the two objectives after it.

    Args:
        v_t, r_t, log_ratio: V(s_t), rewards and ℓ_t of one episode, shape (..., T). beta: β ≥ 0.
    Returns:
        L_V and L_π, shape (..., T), ≥ 0 and equal; they differ in what they move.
    >>> soft_bellman(torch.tensor([0.5]), torch.tensor([1.03]), torch.tensor([0.3]), 0.1)
    (tensor([0.2500]), tensor([0.2500]))
    """
    delta = soft_bellman_residual(v_t, r_t, log_ratio.detach(), beta)
    return delta**2, (delta.detach() + beta * (log_ratio - log_ratio.detach())) ** 2
