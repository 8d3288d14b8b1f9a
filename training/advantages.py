"""Returns, targets and weights of value learning; time runs along the last axis of one episode."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Sequence

import torch
from torch import Tensor


def returns(r_t: Tensor, gamma: float) -> Tensor:
    """Discounted returns of one episode.

    G_t = r_t + γ G_{t+1}, with G_T = 0.

    Args:
        r_t: rewards, shape (T,). gamma: γ in [0, 1].
    Returns:
        G_t, shape (T,).
    >>> returns(torch.tensor([0.0, 0.0, 1.0]), 0.5)
    tensor([0.2500, 0.5000, 1.0000])
    """
    return lambda_returns(r_t, torch.zeros_like(r_t), gamma, 1.0)


def lambda_returns(r_t: Tensor, v_tp1: Tensor, gamma: float, lam: float) -> Tensor:
    """λ-returns of one episode.

    G_t = r_t + γ [(1 − λ) v_{t+1} + λ G_{t+1}], with G_T = v_T.
    Source: Sutton and Barto 2018, Eq. 12.18 (recursive form). λ = 0 is one-step TD; λ = 1 with v_T = 0 is Monte Carlo.

    Args:
        r_t: rewards, shape (T,). v_tp1: values of the states after them, shape (T,); the last is 0 where the episode
        terminated, and the critic's where it was truncated. gamma: γ in [0, 1]. lam: λ in [0, 1].
    Returns:
        G_t, shape (T,).
    Raises:
        ValueError: shapes differ, or γ or λ lies outside [0, 1].
    >>> lambda_returns(torch.tensor([0.0, 1.0]), torch.tensor([0.5, 0.0]), 1.0, 0.0)
    tensor([0.5000, 1.0000])
    """
    if r_t.shape != v_tp1.shape or r_t.ndim != 1:
        raise ValueError(f"r_t {tuple(r_t.shape)} and v_tp1 {tuple(v_tp1.shape)}: need one shape (T,)")
    for name, value in (("gamma", gamma), ("lam", lam)):
        if not 0 <= value <= 1:
            raise ValueError(f"{name}={value}: needs a value in [0, 1]")
    out = torch.empty_like(r_t)
    ahead = v_tp1[-1] if len(v_tp1) else r_t.new_zeros(())
    for t in range(len(r_t) - 1, -1, -1):
        ahead = r_t[t] + gamma * ((1 - lam) * v_tp1[t] + lam * ahead)
        out[t] = ahead
    return out


def td_target(r_t: Tensor, v_tp1: Tensor, terminated: Tensor, gamma: float) -> Tensor:
    """One-step target of Q.

    y_t = r_t + γ (1 − d_t) v_{t+1}, with d_t = 1 only where the world itself ended the episode.
    Source: Digi-Q, arXiv 2502.15760, Eq. 2; its release counts a time limit as an end, which teaches that late states
    are worthless. Ours bootstraps there.

    Args:
        r_t, v_tp1, terminated: any one shape.
    >>> td_target(torch.tensor([0.0, 0.0]), torch.tensor([2.0, 2.0]), torch.tensor([True, False]), 0.5)
    tensor([0., 1.])
    """
    return r_t + gamma * (1 - terminated.float()) * v_tp1


def expectile_loss(diff: Tensor, tau: float) -> Tensor:
    """Asymmetric squared error; its minimiser is the τ-expectile.

    L(u) = |τ − 1[u < 0]| u², u = target − value.
    Source: IQL, arXiv 2110.06169, Eq. 5. τ = 0.5 is half the squared error.

    Args:
        diff: u, any shape. tau: τ in (0, 1); near 1 the value tends to the best action's.
    >>> expectile_loss(torch.tensor([1.0, -1.0]), 0.9)
    tensor([0.9000, 0.1000])
    """
    if not 0 < tau < 1:
        raise ValueError(f"tau={tau}: needs a value in (0, 1)")
    return torch.where(diff < 0, 1 - tau, tau) * diff**2


def advantage_weights(adv: Tensor, beta: float) -> Tensor:
    """Exponential advantage weights of a behaviour-cloning loss.

    w_t = exp(A_t / β), clipped at e³ so that one outlier cannot own a batch.
    Source: AWR, arXiv 1910.00177, Eq. 8; the clip is ours.

    Args:
        adv: A_t, any shape. beta: temperature β > 0; small imitates only the best.
    Returns:
        w_t, in (0, e³].
    Raises:
        ValueError: beta is not positive.
    >>> advantage_weights(torch.tensor([0.0]), beta=1.0)
    tensor([1.])
    """
    if beta <= 0:
        raise ValueError(f"beta={beta}: needs a positive temperature")
    return (adv / beta).clamp(max=3.0).exp()


def leave_one_out(r: Tensor) -> Tensor:
    """Advantage of each of K samples over the mean of the others.

    A_k = r_k − Σ_{j≠k} r_j / (K − 1)
    Source: REINFORCE leave-one-out, Kool et al. 2019; Ahmadian et al., arXiv 2402.14740, Eq. 8. The baseline does not
    depend on the sample, so the gradient stays unbiased.

    Args:
        r: rewards of samples from one state, shape (..., K), K ≥ 2.
    Returns:
        A, shape (..., K); each group sums to 0.
    Raises:
        ValueError: a single sample has no others.
    >>> leave_one_out(torch.tensor([1.0, 0.0, 0.0]))
    tensor([ 1.0000, -0.5000, -0.5000])
    """
    k = r.shape[-1]
    if k < 2:
        raise ValueError(f"{k} sample: a leave-one-out baseline needs at least 2 of one state")
    return (r - r.mean(-1, keepdim=True)) * (k / (k - 1))


def group_relative(r: Tensor, scale: bool = True) -> Tensor:
    """Advantage of each of K samples over the mean of all K, in units of their spread.

    A_k = (r_k − r̄) / (s + 10⁻⁶), with s the standard deviation of the K (over K − 1); without `scale` A_k = r_k − r̄.
    Source: GRPO, arXiv 2402.03300, Sec. 4.1. Without `scale` as in Dr. GRPO, arXiv 2503.20783: the spread weighs
    groups that nearly always win, or lose, above the others.

    Args:
        r: rewards of samples from one state, shape (..., K), K ≥ 1.
    Returns:
        A, shape (..., K); each group sums to 0, and is 0 where all got the same.
    >>> group_relative(torch.tensor([1.0, 0.0]))
    tensor([ 0.7071, -0.7071])
    """
    if r.shape[-1] < 2:
        return torch.zeros_like(r)
    alike = r.amax(-1, keepdim=True) == r.amin(-1, keepdim=True)
    gap = (r - r.mean(-1, keepdim=True)).masked_fill(alike, 0.0)  # the mean's rounding, in units of that rounding
    return gap / (r.std(-1, keepdim=True) + 1e-6) if scale else gap


def anchored(g_t: Tensor, states: Sequence[Hashable], scale: bool = True) -> Tensor:
    """Advantage of each step over all steps that were taken from the same state.

    Source: GiGPO, arXiv 2505.10978, Sec. 3 (anchor states), with the advantage of `group_relative`.

    Args:
        g_t: discounted returns from N steps on, shape (N,). states: a key of the state of each.
    Returns:
        A, shape (N,); 0 for a step that is alone in its state.
    Raises:
        ValueError: there is not one state a step.
    >>> anchored(torch.tensor([1.0, 5.0, 0.0]), ["a", "b", "a"], scale=False)
    tensor([ 0.5000,  0.0000, -0.5000])
    """
    places: dict[Hashable, list[int]] = defaultdict(list)
    for i, (state, _) in enumerate(zip(states, g_t, strict=True)):
        places[state].append(i)
    out = torch.zeros_like(g_t)
    for some in places.values():
        out[some] = group_relative(g_t[some], scale)
    return out


def soft_bellman_residual(v_t: Tensor, r_t: Tensor, log_ratio: Tensor, beta: float) -> Tensor:
    """What a value lacks under the KL-regularised optimum, summed to the end of the episode.

    δ_t = V(s_t) − Σ_{i≥t} (r_i − β log π(a_i|s_i)/π_ref(a_i|s_i)).
    Source: OREO, arXiv 2412.16145, Eq. 7 (telescoped; γ = 1).

    Args:
        v_t, r_t, log_ratio: shape (T,). beta: β ≥ 0.
    Returns:
        δ_t, shape (T,); zero everywhere at the optimum.
    >>> soft_bellman_residual(torch.tensor([1.0]), torch.tensor([1.0]), torch.tensor([0.0]), 0.1)
    tensor([0.])
    """
    gains = r_t - beta * log_ratio
    return v_t - gains.flip(-1).cumsum(-1).flip(-1)


def best_of_n(q: Tensor, v: Tensor, quantile: float = 0.0) -> tuple[Tensor, Tensor, Tensor]:
    """Best-of-N policy extraction: which candidate to clone in every state, and in which states.

    i*_b = argmax_i A_bi with A_bi = Q_bi − V_b; clone where A_{b,i*} is at least the given quantile of all A_{b,i*}.
    Source: Digi-Q, arXiv 2502.15760, Sec. 4.3. Its release clones where A > 0.05 or 0.1; an absolute bound
    starves early states, whose advantages are discounted most. Ours is relative, and by default none.

    Args:
        q: Q of N candidates in B states, shape (B, N), −inf where a state has fewer. v: V, shape (B,).
        quantile: in [0, 1); 0 keeps every state.
    Returns:
        i*, shape (B,); A of it, shape (B,); whether the state is kept, shape (B,), True somewhere.
    Raises:
        ValueError: the quantile lies outside [0, 1).
    >>> best_of_n(torch.tensor([[0.1, 0.5], [0.4, 0.3]]), torch.tensor([0.25, 0.25]), 0.5)[0::2]
    (tensor([1, 0]), tensor([ True, False]))
    """
    if not 0 <= quantile < 1:
        raise ValueError(f"quantile={quantile}: needs a value in [0, 1)")
    best, index = (q - v[:, None]).max(-1)
    return index, best, best >= torch.quantile(best, quantile)
