"""What is said of a bandit algorithm beside its reward. Arms are (T, B) and means (B, K), as in `engine`."""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, lgamma, pi, sqrt

import numpy as np

from .engine import Floats, Ints


def regret(means: Floats, arms: Ints) -> Floats:
    """Cumulative expected regret: R_t = Σ_{i ≤ t} (μ* − μ_{a_i}).

    Args:
        means: (B, K). arms: (T, B).
    Returns:
        (T, B), never falling.

    >>> regret(np.array([[0.25, 0.75]]), np.array([[0], [1], [0]])).ravel()
    array([0.5, 0.5, 1. ])
    """
    lost = means.max(axis=1) - np.take_along_axis(means, arms.T, axis=1).T
    total: Floats = lost.cumsum(axis=0)
    return total


def pulls(arms: Ints, k: int) -> Ints:
    """How often each arm was pulled, (B, K).

    >>> pulls(np.array([[0], [1], [0]]), k=3)
    array([[2, 1, 0]])
    """
    return np.stack([(arms == a).sum(axis=0) for a in range(k)], axis=1)


def min_frac(arms: Ints, k: int) -> Floats:
    """How evenly one explored: K · min_a N_a / T, 1 for uniform pulls, 0 when an arm was never tried; (B,).

    Source: EVOLvE arXiv 2410.06238 and arXiv 2403.15371, Sec. 3.

    >>> min_frac(np.array([[0], [1], [0], [0]]), k=2)
    array([0.5])
    """
    share: Floats = k * pulls(arms, k).min(axis=1) / len(arms)
    return share


def opt_frac(arms: Ints, best: Ints) -> Floats:
    """Share of rounds that pulled the best arm, (B,).

    >>> opt_frac(np.array([[0], [1], [0], [0]]), np.array([0]))
    array([0.75])
    """
    share: Floats = (arms == best).mean(axis=0)
    return share


def greedy_frac(arms: Ints, rewards: Floats, k: int) -> Floats:
    """Share of rounds, once every arm was tried, whose arm had the best average so far; NaN if that never was; (B,).

    Source: arXiv 2403.15371, Sec. 3; that rounds with untried arms are left out is ours.

    >>> greedy_frac(np.array([[0], [1], [0], [1]]), np.array([[1.0], [0.0], [1.0], [0.0]]), k=2)
    array([0.5])
    """
    horizon, batch = arms.shape
    rows = np.arange(batch)
    n, s = np.zeros((batch, k)), np.zeros((batch, k))
    greedy, ready = np.zeros(batch), np.zeros(batch)
    for t in range(horizon):
        a, tried = arms[t], (n > 0).all(axis=1)
        averages = s / np.maximum(n, 1)
        greedy += tried & (averages[rows, a] >= averages.max(axis=1))
        ready += tried
        n[rows, a] += 1
        s[rows, a] += rewards[t]
    share: Floats = np.where(ready > 0, greedy / np.maximum(ready, 1), np.nan)
    return share


def suffix_failure(arms: Ints, best: Ints, t: int) -> float:
    """Share of bandits whose best arm is never pulled after round t: they gave it up for good.

    Source: SuffFailFreq(t) of arXiv 2403.15371, Sec. 3 (there reported at t = T/2).

    >>> suffix_failure(np.array([[0], [1], [1]]), np.array([0]), t=1)
    1.0
    """
    if not 0 <= t < len(arms):
        raise ValueError(f"t={t}: needs a round from 0 to {len(arms) - 1}")
    return float((~(arms[t:] == best).any(axis=0)).mean())


def report(means: Floats, arms: Ints, rewards: Floats) -> dict[str, float]:
    """Return the means over B bandits of all of the above at the end: what stands beside an algorithm in a table.

    Args:
        means: (B, K). arms, rewards: (T, B), T ≥ 2.
    """
    k, best = means.shape[1], means.argmax(axis=1)
    final = regret(means, arms)[-1]
    return {
        "n": float(len(means)),
        "regret": float(final.mean()),
        "regret_sem": float(final.std(ddof=1) / sqrt(len(final))) if len(final) > 1 else 0.0,
        "reward": float(rewards.sum(axis=0).mean()),
        "opt_frac": float(opt_frac(arms, best).mean()),
        "min_frac": float(min_frac(arms, k).mean()),
        "greedy_frac": float(np.nan_to_num(greedy_frac(arms, rewards, k)).mean()),
        "suffix_failure": suffix_failure(arms, best, len(arms) // 2),
    }


def welch(a: Floats, b: Floats) -> tuple[float, float]:
    """Welch's t and its two-sided p: t = (ā − b̄) / √(s_a²/n_a + s_b²/n_b), ν by Welch and Satterthwaite.

    p = ∫_{arctan(|t|/√ν)}^{π/2} cos^{ν−1}θ dθ · 2 Γ((ν+1)/2) / (√π Γ(ν/2)), by Gauss–Legendre quadrature.

    Args:
        a, b: samples, at least two each, (n_a,) and (n_b,).

    >>> t, p = welch(np.array([1.0, 2.0, 3.0, 4.0]), np.array([3.0, 4.0, 5.0, 6.0]))
    >>> round(t, 3), round(p, 3)
    (-2.191, 0.071)
    """
    if min(len(a), len(b)) < 2:
        raise ValueError(f"Welch's test of {len(a)} and {len(b)} numbers: needs at least 2 each")
    va, vb = a.var(ddof=1) / len(a), b.var(ddof=1) / len(b)
    if va + vb == 0:
        return (0.0, 1.0) if a.mean() == b.mean() else (float(np.sign(a.mean() - b.mean())) * np.inf, 0.0)
    t = float((a.mean() - b.mean()) / np.sqrt(va + vb))
    nu = float((va + vb) ** 2 / (va**2 / (len(a) - 1) + vb**2 / (len(b) - 1)))
    low = np.arctan(abs(t) / sqrt(nu))
    nodes, weights = np.polynomial.legendre.leggauss(400)
    theta = low + (nodes + 1) * (pi / 2 - low) / 2
    area = float((weights * np.cos(theta) ** (nu - 1)).sum() * (pi / 2 - low) / 2)
    return t, min(1.0, 2 * area * exp(lgamma((nu + 1) / 2) - lgamma(nu / 2)) / sqrt(pi))


def win_rates(rewards: dict[str, Floats], level: float = 0.05) -> dict[str, float]:
    """Share of rivals that each algorithm beats: higher mean reward and Welch's p below the level.

    Source: EVOLvE arXiv 2410.06238, Sec. 5 (pairwise win rate over 30 runs, p < .05); average over settings yourself.

    Args:
        rewards: for each algorithm, its total reward in every run, (runs,).

    >>> win_rates({"a": np.array([9.0, 9.1, 9.2]), "b": np.array([1.0, 1.1, 1.2])})
    {'a': 1.0, 'b': 0.0}
    """
    if len(rewards) < 2:
        raise ValueError(f"win rates among {list(rewards)}: needs at least 2 algorithms")
    won = dict.fromkeys(rewards, 0)
    for one, a in rewards.items():
        for other, b in rewards.items():
            if one != other:
                t, p = welch(a, b)
                won[one] += t > 0 and p < level
    return {name: count / (len(rewards) - 1) for name, count in won.items()}


@dataclass(frozen=True, slots=True)
class Growth:
    """A fit of cumulative regret. beta: its linear part, 0 for a sublinear one. rmse: of the fit, to print beside it."""

    lam: float
    alpha: float
    beta: float
    offset: float
    rmse: float


def growth(curve: Floats, gap: float = 1.0) -> Growth:
    """Fit R(t) = λ (ln t)^α / Δ + β t + c by least squares, λ ≥ 0, 0 ≤ β, 0 ≤ α ≤ 10.

    Source: EVOLvE arXiv 2410.06238, Sec. 6. Only β can be told from data: λ, α and c trade off against one another,
    so compare no α across horizons. Ours: a grid over α, each solved exactly, instead of a descent from a start.

    Args:
        curve: mean cumulative regret at t = 1..T, (T,), T ≥ 4. gap: Δ > 0.

    >>> round(growth(0.3 * np.arange(1.0, 101.0)).beta, 3)
    0.3
    """
    if len(curve) < 4:
        raise ValueError(f"a curve of {len(curve)} rounds: the fit needs at least 4")
    y, t = curve[1:], np.arange(2.0, len(curve) + 1)
    best = Growth(0.0, 0.0, 0.0, 0.0, np.inf)
    for alpha in np.linspace(0.0, 10.0, 101):
        columns = {"lam": np.log(t) ** alpha / gap, "beta": t}
        for kept in (("lam", "beta"), ("lam",), ("beta",), ()):
            design = np.stack([*(columns[c] for c in kept), np.ones_like(t)], axis=1)
            weights = np.linalg.lstsq(design, y, rcond=None)[0]
            found = dict(zip(kept, weights[:-1].tolist(), strict=True))
            if all(v >= 0 for v in found.values()):
                rmse = float(np.sqrt(np.mean((design @ weights - y) ** 2)))
                if rmse < best.rmse - 1e-12:
                    best = Growth(found.get("lam", 0.0), float(alpha), found.get("beta", 0.0), float(weights[-1]), rmse)
    return best
