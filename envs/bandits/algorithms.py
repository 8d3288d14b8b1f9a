"""Bandit algorithms: counts in, arms out, for B bandits at once. Ties go to the first arm."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.random import Generator

from ..errors import choice
from .engine import Counts, Floats, Ints, Policy


def _untried_first(value: Floats, n: Floats) -> Ints:
    """Return the best arm by value; an arm that was never pulled comes before all others, in index order."""
    best: Ints = np.where(n == 0, np.inf, value).argmax(axis=1)
    return best


def bonus(n: Floats, t: int, alpha: float = 0.5) -> Floats:
    """Exploration bonus of UCB: √(α ln t / n), ∞ for an arm never pulled.

    Source: EVOLvE's package, where α stands under the root; MABWiser's α equals √(α/2) here.

    Args:
        n: pulls, any shape. t: rounds played, ≥ 0. alpha: > 0.

    >>> bonus(np.array([2.0, 0.0]), t=2, alpha=0.5).round(3)
    array([0.416,   inf])
    """
    value: Floats = np.where(n == 0, np.inf, np.sqrt(alpha * np.log(max(t, 1)) / np.maximum(n, 1.0)))
    return value


def ucb(counts: Counts, rng: Generator | None = None, *, alpha: float = 0.5) -> Ints:
    """Upper confidence bound: every arm once in index order, then argmaxₐ x̄ₐ + √(α ln t / nₐ).

    Source: UCB1 (Auer 2002) with EVOLvE's α = .5 under the root.

    >>> ucb(Counts(np.array([[9.0, 1.0]]), np.array([[5.0, 0.5]]), 10))
    array([1])
    """
    inverse = 1.0 / np.maximum(counts.n, 1.0)
    value = counts.s * inverse
    value += np.sqrt(inverse * (alpha * np.log(max(counts.t, 1))))
    return _untried_first(value, counts.n)


def greedy(counts: Counts, rng: Generator | None = None) -> Ints:
    """Every arm once, then the best average and no bonus. (The package of EVOLvE ships UCB under this name.)

    >>> greedy(Counts(np.array([[9.0, 1.0]]), np.array([[5.0, 0.5]]), 10))
    array([0])
    """
    return _untried_first(counts.means, counts.n)


def inverse_root(counts: Counts, rng: Generator | None = None, *, c: float = 1.0) -> Ints:
    """DPT's UCB baseline: every arm once, then argmaxₐ x̄ₐ + c/√nₐ, without the logarithm; c < 0 is its LCB."""
    return _untried_first(counts.means + c / np.sqrt(np.maximum(counts.n, 1.0)), counts.n)


def kl_bound(p: Floats, limit: Floats, rounds: int = 20) -> Floats:
    """Upper bound of a Bernoulli mean: max{q ≥ p : kl(p, q) ≤ limit}, by bisection to 2^-rounds.

    kl(p, q) = p ln(p/q) + (1 − p) ln((1 − p)/(1 − q)). Source: arXiv 1102.2490, Eq. 1.

    Args:
        p: averages, any shape, in [0, 1]. limit: of the same shape, ≥ 0.

    >>> kl_bound(np.array([0.0, 0.5]), np.array([np.log(2), 0.0])).round(3)
    array([0.5, 0.5])
    """
    tiny = 1e-12
    p = np.clip(p, tiny, 1 - tiny)
    low, high = p.copy(), np.ones_like(p)
    for _ in range(rounds):
        q = np.clip((low + high) / 2, tiny, 1 - tiny)
        inside = p * np.log(p / q) + (1 - p) * np.log((1 - p) / (1 - q)) <= limit
        low, high = np.where(inside, q, low), np.where(inside, high, q)
    return low


def kl_ucb(counts: Counts, rng: Generator | None = None, *, rounds: int = 20) -> Ints:
    """KL-UCB for 0/1 rewards: argmaxₐ max{q : nₐ kl(x̄ₐ, q) ≤ ln t}.

    Source: arXiv 1102.2490, Algorithm 1 with c = 0.

    >>> kl_ucb(Counts(np.array([[9.0, 1.0]]), np.array([[5.0, 1.0]]), 10))
    array([1])
    """
    limit = np.log(max(counts.t, 1)) / np.maximum(counts.n, 1.0)
    return _untried_first(kl_bound(counts.means, limit, rounds), counts.n)


def thompson(counts: Counts, rng: Generator) -> Ints:
    """Thompson sampling for 0/1 rewards: argmaxₐ of draws from Beta(1 + sₐ, 1 + nₐ − sₐ)."""
    best: Ints = rng.beta(1.0 + counts.s, 1.0 + np.maximum(counts.n - counts.s, 0.0)).argmax(axis=1)
    return best


def posterior(counts: Counts, sd: float, prior_mean: float = 0.0, prior_var: float = np.inf) -> tuple[Floats, Floats]:
    """Mean and variance of a Gaussian arm's mean: precision 1/v = 1/v₀ + n/σ², m = v (m₀/v₀ + s/σ²).

    An arm never pulled under a flat prior has variance ∞ and mean m₀.

    >>> m, v = posterior(Counts(np.array([[4.0]]), np.array([[2.0]]), 4), sd=1.0)
    >>> m.item(), v.item()
    (0.5, 0.25)
    """
    precision = 1.0 / prior_var + counts.n / sd**2
    with np.errstate(divide="ignore"):
        var = 1.0 / precision
    mean = np.where(
        precision == 0, prior_mean, (prior_mean / prior_var + counts.s / sd**2) / np.maximum(precision, 1e-300)
    )
    return mean, var


def thompson_gaussian(
    counts: Counts, rng: Generator, *, sd: float, prior_mean: float = 0.0, prior_var: float = np.inf
) -> Ints:
    """Thompson sampling with known noise σ: draws from each arm's Gaussian posterior; untried arms of a flat prior first.

    DPT's baseline has prior N(1/2, 1/12), the moments of U[0, 1].
    """
    mean, var = posterior(counts, sd, prior_mean, prior_var)
    draws = mean + np.sqrt(np.where(np.isinf(var), 0.0, var)) * rng.standard_normal(mean.shape)
    best: Ints = np.where(np.isinf(var), np.inf, draws).argmax(axis=1)
    return best


def random(counts: Counts, rng: Generator) -> Ints:
    """Any arm, uniformly."""
    batch, k = counts.n.shape
    arms: Ints = rng.integers(k, size=(batch,))
    return arms


ALGORITHMS: dict[str, Callable[[float | None], Policy]] = {
    "ucb": lambda sd: ucb,
    "kl-ucb": lambda sd: kl_ucb,
    "thompson": lambda sd: thompson if sd is None else partial(thompson_gaussian, sd=sd),
    "greedy": lambda sd: greedy,
    "random": lambda sd: random,
}


def algorithm(name: str, sd: float | None) -> Policy:
    """Return an algorithm for rewards with Gaussian noise of this sd, or of 0 and 1 where it is None.

    Raises:
        ValueError: the name is none of ours, or the algorithm is for 0/1 rewards only.
    """
    choice("expert", name, list(ALGORITHMS))
    if name == "kl-ucb" and sd is not None:
        raise ValueError("expert='kl-ucb': it is for rewards of 0 and 1; for real rewards choose ucb or thompson")
    return ALGORITHMS[name](sd)
