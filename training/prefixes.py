"""Fitting the critic of plans' beginnings to a team's stored episodes, by regression on Monte-Carlo returns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..agents.critics.features import Features
from ..agents.critics.prefix import PrefixCritic, prefix_text
from ..memory.trajectory import Trajectory
from .advantages import returns
from .critics import descend


@dataclass(frozen=True, slots=True)
class Prefixes:
    """N beginnings of plans: features (N, d) as halves, Monte-Carlo returns g (N,), how many had spoken u (N,)."""

    x: Tensor
    g: Tensor
    u: Tensor


def state_text(goal: str, observation: str) -> str:
    """Return what a prefix critic reads of a state."""
    return f"{goal}\n{observation}"


def prefixes(trajectories: Sequence[Trajectory], features: Features, gamma: float) -> Prefixes:
    """Return every beginning of every plan of some episodes, the empty one and the whole included.

    G_t = Σ_k γᵏ r_{t+k} is the target of all beginnings of step t. A plan that the world rejected is among them, with
    r = 0 and s' = s, so that the critic learns that it is useless. Time is part of the state where the world tells it.
    Source: ReAd, arXiv 2405.14314, Alg. 1, without the subsets in other orders, which are never asked for.

    Raises:
        ValueError: there are no episodes, or not a team's.
    """
    if not trajectories or not all(s.parts for t in trajectories for s in t.steps):
        raise ValueError("no episodes of a team to learn values from")
    states: list[str] = []
    plans: list[str] = []
    g: list[float] = []
    spoken: list[int] = []
    for t in trajectories:
        ahead = returns(torch.tensor([s.reward for s in t.steps]), gamma).tolist()
        for step, value in zip(t.steps, ahead, strict=True):
            agents = [p.agent for p in step.parts]
            for u in range(len(agents) + 1):
                states.append(state_text(t.goal, step.observation))
                plans.append(prefix_text({p.agent: p.action for p in step.parts[:u]}, agents))
                g.append(value)
                spoken.append(u)
    x = torch.from_numpy(np.ascontiguousarray(features(states, plans)))
    return Prefixes(x, torch.tensor(g), torch.tensor(spoken))


def fit(
    critic: PrefixCritic,
    data: Prefixes,
    *,
    steps: int = 2000,
    batch: int = 256,
    lr: float = 1e-3,
    decay: float = 1e-2,
    rng: np.random.Generator,
) -> dict[str, float]:
    """Minimise (Q(s, a¹ … aᵘ) − G)² over all beginnings.

    Returns:
        loss (mean of the last tenth), steps, and the variance of G, which a constant would leave.
    Raises:
        FloatingPointError: the loss is not finite.
    """
    heads = critic.critic.q_heads
    optimizer = torch.optim.AdamW(heads.parameters(), lr=lr, weight_decay=decay)
    losses = np.empty(steps)
    for step in range(steps):
        i = torch.from_numpy(rng.integers(len(data.g), size=batch))
        loss = ((heads(data.x[i]) - data.g[i]) ** 2).mean()
        descend(optimizer, loss, lr, step, steps)
        losses[step] = float(loss.detach())
    critic.forget()
    tail = losses[-max(1, steps // 10) :].mean()
    return {"loss": float(tail), "steps": float(steps), "variance": float(data.g.var())}
