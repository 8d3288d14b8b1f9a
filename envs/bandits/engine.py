"""Many bandits side by side: what their arms pay, and a policy played on all of them at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Bandits:
    """B bandits of K arms. means: (B, K). sd: of the Gaussian noise; None for rewards of 0 or 1."""

    means: Floats
    sd: float | None = None

    @property
    def best(self) -> Ints:
        """The best arm of each, (B,)."""
        arms: Ints = self.means.argmax(axis=1)
        return arms


@dataclass(frozen=True, slots=True)
class Counts:
    """All that a bandit algorithm needs to know of the past. n: pulls, s: summed rewards, both (B, K); t: rounds."""

    n: Floats
    s: Floats
    t: int

    @property
    def means(self) -> Floats:
        """The average reward of every arm, 0 where it was never pulled, (B, K)."""
        averages: Floats = self.s / np.maximum(self.n, 1.0)
        return averages


class Policy(Protocol):
    """Chooses one arm for each of B bandits, (B,)."""

    def __call__(self, counts: Counts, rng: Generator) -> Ints:
        """Return the arms."""


@dataclass(frozen=True, slots=True)
class Play:
    """What was pulled and paid. arms, rewards: (T, B)."""

    arms: Ints
    rewards: Floats


def bernoulli(rng: Generator, batch: int, arms: int, gap: float) -> Bandits:
    """Return bandits whose best arm, at a random place, pays 1 with probability (1 + Δ)/2, all others (1 − Δ)/2.

    Source: EVOLvE arXiv 2410.06238, Sec. 3 (easy Δ = .5, hard Δ = .2).

    >>> bernoulli(np.random.default_rng(0), batch=1, arms=2, gap=0.5).means.sum().item()
    1.0
    """
    means = np.full((batch, arms), 0.5 - gap / 2)
    means[np.arange(batch), rng.integers(arms, size=batch)] = 0.5 + gap / 2
    return Bandits(means)


def gaussian(rng: Generator, batch: int, arms: int, sd: float) -> Bandits:
    """Return bandits with means μ ~ N(0, σ²) and noise of the same σ.

    Source: EVOLvE's package: its "variance" (1 easy, 3 hard) is used as a standard deviation, and so here.
    """
    return Bandits(rng.normal(0.0, sd, (batch, arms)), sd)


def uniform(rng: Generator, batch: int, arms: int, sd: float | None = 0.3) -> Bandits:
    """Return bandits with means μ ~ U[0, 1]; DPT's setting (arXiv 2306.14892, Sec. 4) is 5 arms and noise of sd .3."""
    return Bandits(rng.random((batch, arms)), sd)


def noise(bandits: Bandits, horizon: int, seeds: Sequence[np.random.SeedSequence]) -> Floats:
    """Return each bandit's own stream of luck, (T, B): one number a round whichever arm is pulled.

    So two algorithms on one bandit meet the same luck, and a bandit pays the same alone as in a batch.
    """
    streams = [np.random.default_rng(s) for s in seeds]
    if bandits.sd is None:
        return np.stack([g.random(horizon) for g in streams], axis=1)
    return np.stack([g.standard_normal(horizon) for g in streams], axis=1)


def fresh_noise(bandits: Bandits, horizon: int, rng: Generator) -> Floats:
    """Return luck for all bandits from one generator, (T, B): quicker where none is played alone."""
    shape = (horizon, len(bandits.means))
    return rng.random(shape) if bandits.sd is None else rng.standard_normal(shape)


def pay(means: Floats, luck: Floats, sd: float | None) -> Floats:
    """Return the rewards of arms with these means: 1[u < μ] for uniform luck u, or μ + σ z for normal luck z.

    >>> pay(np.array([0.4, 0.6]), np.array([0.5, 0.5]), None)
    array([0., 1.])
    """
    paid: Floats = (luck < means).astype(np.float64) if sd is None else means + sd * luck
    return paid


def play(bandits: Bandits, policy: Policy, luck: Floats, rng: Generator) -> Play:
    """Play a policy for T rounds on B bandits at once.

    Args:
        bandits: B bandits of K arms.
        policy: sees the counts so far, which it must not change, and the generator.
        luck: (T, B), from `noise`.
        rng: what the policy draws from.
    Returns:
        The arms and rewards, (T, B).

    >>> first = lambda counts, rng: np.zeros(1, dtype=np.int64)
    >>> play(Bandits(np.array([[1.0, 0.0]])), first, np.array([[0.3], [0.9]]), np.random.default_rng(0)).rewards.ravel()
    array([1., 1.])
    """
    horizon, batch = luck.shape
    k = bandits.means.shape[1]
    n, s = np.zeros((batch, k)), np.zeros((batch, k))
    flat_n, flat_s, means = n.ravel(), s.ravel(), bandits.means.ravel()
    rows = np.arange(batch) * k
    arms, rewards = np.empty((horizon, batch), np.int64), np.empty((horizon, batch))
    for t in range(horizon):
        a = policy(Counts(n, s, t), rng)
        at = rows + a
        r = pay(means[at], luck[t], bandits.sd)
        flat_n[at] += 1.0
        flat_s[at] += r
        arms[t], rewards[t] = a, r
    return Play(arms, rewards)
