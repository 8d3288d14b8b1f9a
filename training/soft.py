"""Fitting a critic to the KL-regularised optimum by soft Bellman consistency (OREO)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..agents.critics import Critic
from ..memory.core import Memory, Turn
from ..memory.replay import turns
from ..memory.trajectory import Trajectory
from .critics import descend
from .losses import soft_bellman

MOST_BYTES = 2 << 30


@dataclass(frozen=True, slots=True)
class Paths:
    """E episodes of N steps in all, with every action that might have been taken; d is the features' size.

    s: features of states, (N, d). x: of their up to A actions, (N, A, d). logp: log π_ref of these, −inf where there are
    fewer, (N, A). taken: which was, (N,). r: (N,). last: features of the state behind each episode, (E, d). cut: whether
    a time limit ended it there, (E,). bounds: where episodes begin, and N, (E + 1,).
    """

    s: Tensor
    x: Tensor
    logp: Tensor
    taken: Tensor
    r: Tensor
    last: Tensor
    cut: Tensor
    bounds: tuple[int, ...]


def uniform(turn: Turn) -> list[float]:
    """Return log-probabilities of a policy that has no preference among the admissible actions."""
    n = len(turn.admissible or ())
    return [-math.log(n)] * n


def paths(
    trajectories: Sequence[Trajectory],
    critic: Critic,
    make_memory: Callable[[], Memory],
    reference: Callable[[Turn], Sequence[float]] = uniform,
) -> Paths:
    """Return episodes with all admissible actions as features; reference: log π_ref of a turn's admissible actions.

    Raises:
        ValueError: there are no episodes, an action was not admissible, or the features take over two GiB.
    """
    if not trajectories:
        raise ValueError("no episodes to learn values from")
    states: list[str] = []
    listed: list[tuple[str, ...]] = []
    logp: list[Sequence[float]] = []
    last, bounds = [], [0]
    for t in trajectories:
        *read, end = turns(t, make_memory(), last=True)
        for turn, step in zip(read, t.steps, strict=True):
            if not turn.admissible or step.action not in turn.admissible:
                raise ValueError(f"task {t.task!r}: action {step.action!r} is not among the admissible ones")
            states.append(critic.text(turn))
            listed.append(turn.admissible)
            logp.append(reference(turn))
        last.append(critic.text(end))
        bounds.append(len(states))
    most, steps = max(map(len, listed)), [s for t in trajectories for s in t.steps]
    if (needed := 2 * len(states) * most * critic.features.size) > MOST_BYTES:
        raise ValueError(f"{len(states)} states of {most} actions take {needed >> 20} MiB: give fewer episodes")
    x = np.zeros((len(states), most, critic.features.size), dtype=np.float16)
    reach = torch.full((len(states), most), -math.inf)
    for i, (state, actions) in enumerate(zip(states, listed, strict=True)):
        x[i, : len(actions)] = critic.features([state] * len(actions), actions)
        reach[i, : len(actions)] = torch.tensor(logp[i])
    f = critic.features
    return Paths(
        torch.from_numpy(np.ascontiguousarray(f(states))), torch.from_numpy(x), reach,
        torch.tensor([a.index(s.action) for a, s in zip(listed, steps, strict=True)]),
        torch.tensor([s.reward for s in steps]), torch.from_numpy(np.ascontiguousarray(f(last))),
        torch.tensor([not t.steps[-1].terminated for t in trajectories]), tuple(bounds),
    )  # fmt: skip


def soft_value(q: Tensor, logp: Tensor, beta: float) -> Tensor:
    """Soft value of states.

    V = β log Σ_a π_ref(a|s) exp(Q(s, a)/β), which is the greatest of E_π[Q] − β KL(π ‖ π_ref) over all π.
    Source: OREO, arXiv 2412.16145, Sec. 3 (soft Bellman optimality).

    Args:
        q: Q(s, a), shape (..., A). logp: log π_ref, shape (..., A), −inf for no action. beta: β > 0.
    Returns:
        V, shape (...).
    >>> soft_value(torch.tensor([[1.0, 1.0]]), torch.tensor([[0.5, 0.5]]).log(), 0.1)
    tensor([1.])
    """
    return beta * torch.logsumexp(logp + q / beta, -1)


def fit_soft(
    critic: Critic,
    data: Paths,
    *,
    beta: float = 0.1,
    steps: int = 1500,
    batch: int = 16,
    lr: float = 1e-3,
    rng: np.random.Generator,
) -> dict[str, float]:
    """Fit Q and V so that along every path V(s_t) = Σ_{i≥t} (r_i − β log π(a_i|s_i)/π_ref(a_i|s_i)), with no discount.

    The losses are OREO's (`losses.soft_bellman`), without its KL penalty on π. There π is a language model's
    (`methods/oreo.py`); here it is the critic's own, π ∝ π_ref exp(Q/β), so that β log π/π_ref = Q − V_Q with V_Q as in
    `soft_value`, and L = (V_Q − V̄)² ties Q to V, where no gradient goes through V̄. At the optimum Q(s, a) = r + V(s'),
    and V = V_Q. Where a time limit cut the episode, V̄ of what lay behind it is added to its last reward.

    beta: temperature of the KL, in units of reward. batch: episodes.
    Returns:
        loss_v, loss_pi (means of the last tenth), steps.
    Raises:
        ValueError: beta is not positive. FloatingPointError: a loss is not finite.
    """
    if beta <= 0:
        raise ValueError(f"beta={beta}: needs a positive temperature")
    optimizer = torch.optim.AdamW([*critic.q_heads.parameters(), *critic.v_heads.parameters()], lr=lr)
    log = np.empty((steps, 2))
    for step in range(steps):
        chosen = rng.integers(len(data.cut), size=batch)
        losses = [_losses(critic, data, int(e), beta) for e in chosen]
        loss_v, loss_pi, tie = (torch.stack(one).mean() for one in zip(*losses, strict=True))
        descend(optimizer, loss_v + loss_pi + tie, lr, step, steps)
        log[step] = float(loss_v.detach()), float(loss_pi.detach())
    tail = log[-max(1, steps // 10) :].mean(0)
    return {"loss_v": float(tail[0]), "loss_pi": float(tail[1]), "steps": float(steps)}


def _losses(critic: Critic, data: Paths, episode: int, beta: float) -> tuple[Tensor, Tensor, Tensor]:
    """Return the three losses of one episode, each head its own policy."""
    own = slice(data.bounds[episode], data.bounds[episode + 1])
    v = critic.v_heads(data.s[own])  # (K, T)
    x = data.x[own]
    q = critic.q_heads(x.flatten(0, 1)).unflatten(1, x.shape[:2])  # (K, T, A)
    soft = soft_value(q, data.logp[own], beta)
    lean = q.gather(-1, data.taken[own].expand(len(q), -1)[..., None]).squeeze(-1) - soft  # β log ρ, (K, T)
    r = data.r[own].expand_as(lean)
    if data.cut[episode]:
        with torch.no_grad():
            behind = critic.v_heads(data.last[episode : episode + 1])  # (K, 1)
        r = torch.cat([r[:, :-1], r[:, -1:] + behind], 1)
    loss_v, loss_pi = soft_bellman(v, r, lean, 1.0)
    return loss_v.mean(), loss_pi.mean(), ((soft - v.detach()) ** 2).mean()
