"""What an agent is worth: success with a Wilson interval, and the means beside it."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from ..memory.trajectory import Trajectory

Z95 = 1.959963984540054


def wilson(successes: int, n: int, z: float = Z95) -> tuple[float, float]:
    """Wilson score interval of a proportion.

    (p + z²/2n ± z √(p(1−p)/n + z²/4n²)) / (1 + z²/n)
    Source: E. B. Wilson, J. Am. Stat. Assoc. 22 (1927).

    Args:
        successes: in [0, n]. n: trials, ≥ 1. z: the normal quantile, 1.96 for 95 %.
    Returns:
        (low, high), in [0, 1].
    Raises:
        ValueError: n < 1, or successes outside [0, n].
    >>> [round(x, 3) for x in wilson(8, 10)]
    [0.49, 0.943]
    """
    if n < 1 or not 0 <= successes <= n:
        raise ValueError(f"{successes} successes of {n}: needs 0 <= successes <= n and n >= 1")
    p = successes / n
    centre = p + z * z / (2 * n)
    half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return max(0.0, (centre - half) / (1 + z * z / n)), min(1.0, (centre + half) / (1 + z * z / n))


def mean_ci(values: Sequence[float], z: float = Z95) -> dict[str, Any]:
    """Return the mean and its normal 95 % interval; the interval of a single value is that value.

    >>> mean_ci([1.0, 1.0])
    {'mean': 1.0, 'ci95': [1.0, 1.0]}
    """
    n = len(values)
    mean = sum(values) / n
    spread = math.sqrt(sum((v - mean) ** 2 for v in values) / max(1, n - 1) / n)
    return {"mean": mean, "ci95": [mean - z * spread, mean + z * spread]}


def proportion(flags: Sequence[bool]) -> dict[str, Any]:
    """Return the share of True with its Wilson interval."""
    return {"mean": sum(flags) / len(flags), "ci95": list(wilson(sum(flags), len(flags)))}


def paired(after: Sequence[bool], before: Sequence[bool], z: float = Z95) -> dict[str, Any]:
    """Return the difference of two shares of the same n items with its 95 % interval.

    The normal interval of the differences, and where no two items differ, which leaves that one no width, z/(n + 2): that
    of half an item added to each of the four cells (A. Agresti and Y. Min, Statistics in Medicine 24 (2005)).

    >>> [round(x, 3) for x in paired([True, False], [True, False])["ci95"]]
    [-0.49, 0.49]
    """
    if list(after) == list(before):
        half = z / (len(after) + 2)
        return {"mean": 0.0, "ci95": [-half, half]}
    return mean_ci([float(a) - float(b) for a, b in zip(after, before, strict=True)], z)


def pooled_share(shares: Sequence[dict[str, Any]], n: Sequence[int]) -> dict[str, Any]:
    """Return the share of runs of n episodes each, taken together, with its Wilson interval.

    >>> pooled_share([proportion([True, False]), proportion([True, True])], [2, 2])["mean"]
    0.75
    """
    won = sum(round(s["mean"] * k) for s, k in zip(shares, n, strict=True))
    return {"mean": won / sum(n), "ci95": list(wilson(won, sum(n)))}


def pooled_mean(means: Sequence[dict[str, Any]], n: Sequence[int]) -> dict[str, Any]:
    """Return the mean of runs of n episodes each, taken together; its interval is that of a sum of independent means.

    >>> pooled_mean([{"mean": 1.0, "ci95": [-2.0, 4.0]}, {"mean": -1.0, "ci95": [-5.0, 3.0]}], [5, 5])
    {'mean': 0.0, 'ci95': [-2.5, 2.5]}
    """
    parts = [k / sum(n) for k in n]
    mean = sum(p * m["mean"] for p, m in zip(parts, means, strict=True))
    spread = math.hypot(*(p * (m["ci95"][1] - m["ci95"][0]) / 2 for p, m in zip(parts, means, strict=True)))
    return {"mean": mean, "ci95": [mean - spread, mean + spread]}


def summary(trajectories: Sequence[Trajectory], *, split: str, split_hash: str, seconds: float) -> dict[str, Any]:
    """Return the evaluation object that `eval --json` prints and `result.json` keeps.

    Raises:
        ValueError: there are no trajectories.
    """
    if not trajectories:
        raise ValueError("no episodes to sum up: give --episodes at least 1")
    first = trajectories[0]
    kinds: dict[str, list[bool]] = defaultdict(list)
    for t in trajectories:
        kinds[t.kind].append(t.success)
    return {
        "env": first.env,
        "agent": first.agent,
        "split": split,
        "split_hash": split_hash,
        "episodes": len(trajectories),
        "seed": first.seed,
        "memory": first.memory,
        "success": proportion([t.success for t in trajectories]),
        "score": mean_ci([t.score for t in trajectories]),
        "steps": mean_ci([float(len(t.steps)) for t in trajectories]),
        "queries": mean_ci([float(sum(s.queries for s in t.steps)) for t in trajectories]),
        "invalid": mean_ci([sum(s.invalid for s in t.steps) / max(1, len(t.steps)) for t in trajectories]),
        "kinds": {k: {"n": len(v), "success": proportion(v)} for k, v in sorted(kinds.items())},
        "died": sum("died" in t.meta for t in trajectories),
        "seconds": round(seconds, 3),
    }
