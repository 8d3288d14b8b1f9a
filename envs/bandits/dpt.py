"""In-context data of the Decision-Pretrained Transformer: what it is trained on, and the algorithms it is set against."""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.random import Generator

from .algorithms import greedy, inverse_root, thompson_gaussian
from .engine import Bandits, Floats, Ints, Play, Policy, fresh_noise, pay

BASELINES: dict[str, Policy] = {
    "empirical mean": greedy,
    "ucb": partial(inverse_root, c=1.0),
    "lcb": partial(inverse_root, c=-0.8),
    "thompson": partial(thompson_gaussian, sd=0.3, prior_mean=0.5, prior_var=1 / 12),
}
"""arXiv 2306.14892, Sec. 4: `ucb` and `thompson` for online play, `lcb` for offline data, `empirical mean` for both."""


def behaviour(rng: Generator, batch: int, arms: int) -> Floats:
    """Return the roll-in distributions, p = (1 − w) Dirichlet(1) + w 1[a = a'], a' uniform, w from {0, .1, …, 1}.

    Source: arXiv 2306.14892, App. A, and its code.

    Returns:
        (batch, arms), rows sum to 1.
    """
    w = rng.integers(11, size=(batch, 1)) / 10
    p = (1 - w) * rng.dirichlet(np.ones(arms), batch)
    p[np.arange(batch), rng.integers(arms, size=batch)] += w[:, 0]
    return p


def roll_in(bandits: Bandits, horizon: int, rng: Generator) -> tuple[Play, Ints]:
    """Return in-context data sets and their labels, the optimal arms.

    Args:
        bandits: B bandits. horizon: T, pulls a data set.
    Returns:
        Arms and rewards, (T, B); labels, (B,). The loss is the cross-entropy of the label after 0 .. T pulls.
    """
    edges = behaviour(rng, *bandits.means.shape).cumsum(axis=1)[:, :-1]
    luck = fresh_noise(bandits, horizon, rng)
    arms = (rng.random((horizon, len(edges), 1)) > edges).sum(axis=2)
    return Play(arms, pay(bandits.means[np.arange(len(edges)), arms], luck, bandits.sd)), bandits.best
