"""Contextual bandits of low rank, many side by side, and the linear algorithms for them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Protocol

import numpy as np
from numpy.random import Generator

from .engine import Floats, Ints, Play


@dataclass(frozen=True, slots=True)
class Linear:
    """B bandits whose reward is linear in what is known of the user: r = xᵀw_a + σ z.

    weights: (B, K, d). contexts: (T, B, d), the users that will come. luck: (T, B), standard normal. sd: σ ≥ 0.
    """

    weights: Floats
    contexts: Floats
    luck: Floats
    sd: float

    def means(self) -> Floats:
        """Expected reward of every arm for every user, (T, B, K)."""
        expected: Floats = np.einsum("tbd,bkd->tbk", self.contexts, self.weights)
        return expected


def low_rank(rng: Generator, arms: int, rank: int) -> Floats:
    """Return synthetic arms: w_a = S v_a, v_a a random direction, S = diag(1, 1/√2, …, 1/√d), scaled to ‖S‖_F = √d.

    A user u and an arm a then agree by uᵀ S v_a, the form that EVOLvE's package reconstructs from MovieLens ratings.

    Returns:
        (arms, rank).

    >>> low_rank(np.random.default_rng(0), arms=4, rank=3).shape
    (4, 3)
    """
    v = rng.standard_normal((arms, rank))
    v /= np.linalg.norm(v, axis=1, keepdims=True)
    spectrum = 1 / np.sqrt(np.arange(1, rank + 1))
    weights: Floats = v * spectrum * np.sqrt(rank / (spectrum**2).sum())
    return weights


def directions(rng: Generator, count: int, rank: int) -> Floats:
    """Return random users of norm 1, rounded to the two digits in which they are told, (count, rank)."""
    u = rng.standard_normal((count, rank))
    told: Floats = (u / np.linalg.norm(u, axis=1, keepdims=True)).round(2) + 0.0
    return told


@dataclass(frozen=True, slots=True)
class Ridge:
    """A ridge regression for every arm of every bandit. inverse: A⁻¹ (B, K, d, d); b: (B, K, d); A = I + Σ x xᵀ, b = Σ r x."""

    inverse: Floats
    b: Floats

    def add(self, x: Floats, arms: Ints, rewards: Floats) -> None:
        """Learn one reward a bandit, in place: A⁻¹ ← A⁻¹ − (A⁻¹x)(A⁻¹x)ᵀ / (1 + xᵀA⁻¹x) (Sherman and Morrison).

        x: (B, d). arms, rewards: (B,).
        """
        rows = np.arange(len(arms))
        inverse = self.inverse[rows, arms]
        ax = np.einsum("bij,bj->bi", inverse, x)
        scale = 1.0 + np.einsum("bi,bi->b", x, ax)
        self.inverse[rows, arms] = inverse - ax[:, :, None] * ax[:, None, :] / scale[:, None, None]
        self.b[rows, arms] += rewards[:, None] * x

    def values(self, x: Floats) -> tuple[Floats, Floats]:
        """Return xᵀA⁻¹b, the predicted reward, and √(xᵀA⁻¹x), its width; both (B, K)."""
        ax = np.einsum("bkij,bj->bki", self.inverse, x)
        width = np.sqrt(np.maximum(np.einsum("bki,bi->bk", ax, x), 0.0))
        return np.einsum("bki,bki->bk", ax, self.b), width


def ridge(batch: int, arms: int, d: int) -> Ridge:
    """Return regressions that have seen nothing: A = I, b = 0."""
    return Ridge(np.tile(np.eye(d), (batch, arms, 1, 1)), np.zeros((batch, arms, d)))


class ContextualPolicy(Protocol):
    """Chooses one arm for each of B users, (B,)."""

    def __call__(self, fit: Ridge, x: Floats, rng: Generator) -> Ints:
        """Return the arms for the users x, (B, d)."""


def linucb(fit: Ridge, x: Floats, rng: Generator | None = None, *, alpha: float = 0.5) -> Ints:
    """LinUCB with disjoint arms: argmaxₐ xᵀθₐ + α √(xᵀAₐ⁻¹x), θₐ = Aₐ⁻¹bₐ; ties go to the first arm.

    Source: arXiv 1003.0146, Algorithm 1; α = .5 as in EVOLvE's package.

    >>> fit = ridge(1, 2, 1)
    >>> fit.add(np.array([[1.0]]), np.array([0]), np.array([0.2]))
    >>> linucb(fit, np.array([[1.0]]), alpha=0.5), linucb(fit, np.array([[1.0]]), alpha=0.0)
    (array([1]), array([0]))
    """
    value, width = fit.values(x)
    best: Ints = (value + alpha * width).argmax(axis=1)
    return best


def linear_thompson(fit: Ridge, x: Floats, rng: Generator, *, scale: float = 0.5) -> Ints:
    """Linear Thompson sampling: argmaxₐ of draws from N(xᵀθₐ, v² xᵀAₐ⁻¹x). Source: arXiv 1209.3352, arms disjoint."""
    value, width = fit.values(x)
    best: Ints = (value + scale * width * rng.standard_normal(value.shape)).argmax(axis=1)
    return best


def any_arm(fit: Ridge, x: Floats, rng: Generator) -> Ints:
    """Any arm, uniformly."""
    arms: Ints = rng.integers(fit.b.shape[1], size=(len(x),))
    return arms


CONTEXTUAL: dict[str, ContextualPolicy] = {
    "linucb": linucb,
    "thompson": linear_thompson,
    "greedy": partial(linucb, alpha=0.0),
    "random": any_arm,
}


def play(world: Linear, policy: ContextualPolicy, rng: Generator) -> Play:
    """Play a policy for T rounds on B contextual bandits at once; arms and rewards are (T, B)."""
    horizon, batch, d = world.contexts.shape
    fit = ridge(batch, world.weights.shape[1], d)
    rows = np.arange(batch)
    arms, rewards = np.empty((horizon, batch), np.int64), np.empty((horizon, batch))
    for t, x in enumerate(world.contexts):
        a = policy(fit, x, rng)
        r = np.einsum("bd,bd->b", x, world.weights[rows, a]) + world.sd * world.luck[t]
        fit.add(x, a, r)
        arms[t], rewards[t] = a, r
    return Play(arms, rewards)


def contextual_regret(world: Linear, arms: Ints) -> Floats:
    """Cumulative expected regret, Σ maxₐ x_tᵀwₐ − x_tᵀw_{a_t}, (T, B)."""
    means = world.means()
    lost = means.max(axis=2) - np.take_along_axis(means, arms[:, :, None], axis=2)[:, :, 0]
    total: Floats = lost.cumsum(axis=0)
    return total
