"""Fitting the token-level critic to stored episodes (ILQL)."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..agents.critics.tokens import TokenCritic
from ..memory.core import Memory
from ..memory.replay import turns
from ..memory.trajectory import Trajectory
from .advantages import expectile_loss
from .critics import descend


@dataclass(frozen=True, slots=True)
class Tokens:
    """M tokens of stored actions, as what came before them; d is the features' size.

    h, h_next: features before a token and before the next one, (M, d). token: ids, (M,). r: reward, 0 but at an action's
    end, (M,). discount: of the value that follows: 1 within an action, γ at its end, 0 where the world ended, (M,).
    """

    h: Tensor
    h_next: Tensor
    token: Tensor
    r: Tensor
    discount: Tensor


def tokens(
    trajectories: Sequence[Trajectory], critic: TokenCritic, make_memory: Callable[[], Memory], gamma: float
) -> Tokens:
    """Return every token of the actions of episodes, read through a memory of the kind that acted.

    Raises:
        ValueError: there are no episodes.
    """
    if not trajectories:
        raise ValueError("no episodes to learn values from")
    before: list[tuple[str, str]] = []
    after: list[tuple[str, str]] = []
    ids: list[int] = []
    r: list[float] = []
    discount: list[float] = []
    for t in trajectories:
        read = [critic.text(turn) for turn in turns(t, make_memory(), last=True)]
        for step, state, then in zip(t.steps, read, read[1:], strict=False):
            said = critic.beginnings(step.action)
            before += [(state, b) for b in said]
            after += [*((state, b) for b in said[1:]), (then, "")]
            ids += critic.tokens(step.action)
            inner = len(said) - 1
            r += [0.0] * inner + [step.reward]
            discount += [1.0] * inner + [0.0 if step.terminated else gamma]
    pairs = {p: i for i, p in enumerate(dict.fromkeys([*before, *after]))}
    rows = critic.rows([s for s, _ in pairs], [b for _, b in pairs])
    return Tokens(
        rows[[pairs[p] for p in before]], rows[[pairs[p] for p in after]], torch.tensor(ids), torch.tensor(r),
        torch.tensor(discount),
    )  # fmt: skip


def fit(
    critic: TokenCritic,
    data: Tokens,
    *,
    steps: int = 2000,
    batch: int = 256,
    lr: float = 1e-3,
    tau: float = 0.7,
    alpha: float = 0.0,
    ema: float = 0.1,
    rng: np.random.Generator,
) -> dict[str, float]:
    """Fit token-level Q and V.

    L = (Q(h, w) − [r + γ_h V(h')])² + L^τ(Q̄(h, w) − V(h)) + α · (−log softmax Q(h, ·)[w]),
    with L^τ the expectile loss and Q̄ a slowly following copy. The last term (CQL) presses tokens down that the data
    has not said; it also moves those that it has, so α = 0 for exact values.
    Source: ILQL, arXiv 2206.11871, Sec. 4.2. Ours: γ_h is γ at an action's end only, and the least of the
    heads is the target: of one head values are exact in the limit, of two they lie lower, the more so the more words an
    action has.

    Returns:
        loss_q, loss_v (means of the last tenth), steps.
    Raises:
        ValueError: alpha is negative. FloatingPointError: a loss is not finite.
    """
    if alpha < 0:
        raise ValueError(f"alpha={alpha}: needs at least 0")
    q, v = critic.q_heads, critic.v_heads
    slow = copy.deepcopy(q)
    optimizer = torch.optim.AdamW([*q.parameters(), *v.parameters()], lr=lr, weight_decay=1e-4)
    log = np.empty((steps, 2))
    for step in range(steps):
        i = torch.from_numpy(rng.integers(len(data.token), size=batch))
        said = data.token[i].expand(len(q.w1), -1)[..., None]  # (K, n, 1)
        with torch.no_grad():
            y_q = data.r[i] + data.discount[i] * v(data.h_next[i]).amin(0)
            y_v = slow(data.h[i]).gather(-1, said).squeeze(-1).amin(0)
        every = q(data.h[i])
        loss_q = ((every.gather(-1, said).squeeze(-1) - y_q) ** 2).mean()
        loss_v = expectile_loss(y_v - v(data.h[i]), tau).mean()
        loss = loss_q + loss_v
        if alpha:
            loss = loss + alpha * F.cross_entropy(every.flatten(0, 1), said.flatten())
        descend(optimizer, loss, lr, step, steps)
        with torch.no_grad():
            for a, b in zip(slow.parameters(), q.parameters(), strict=True):
                a.lerp_(b, ema)
        log[step] = float(loss_q.detach()), float(loss_v.detach())
    tail = log[-max(1, steps // 10) :].mean(0)
    return {"loss_q": float(tail[0]), "loss_v": float(tail[1]), "steps": float(steps)}
