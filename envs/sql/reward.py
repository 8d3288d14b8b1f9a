"""InterCode's reward for SQL: how much of the gold rows was brought, in the gold order."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections import Counter
from collections.abc import Sequence
from math import sqrt

from .database import Result, Row


def row_text(row: Row) -> str:
    """Return what of a row is compared; floats count to six places, so that the order of a sum does not matter."""
    return str(tuple(round(v, 6) if isinstance(v, float) else v for v in row))


def kendall_tau(x: Sequence[str], y: Sequence[str]) -> float | None:
    """Kendall's rank correlation with ties.

    τ_b = (C - D) / √((n₀ - n₁)(n₀ - n₂)), C and D the concordant and discordant pairs, n₀ = n(n-1)/2, n₁ and n₂ the
    pairs tied in x and in y.
    Source: Kendall, Biometrika 33 (1945); InterCode takes it from SciPy.

    Args:
        x: n values, compared by their order.
        y: n values beside them.
    Returns:
        τ_b in [-1, 1], None where it is not defined: fewer than two values, or all alike.
    >>> kendall_tau("abc", "abc"), kendall_tau("bac", "abc"), kendall_tau("aa", "aa")
    (1.0, 0.3333333333333333, None)
    """
    n = len(x)
    pairs = n * (n - 1) // 2
    tied_x, tied_y = _tied(Counter(x)), _tied(Counter(y))
    if pairs in (tied_x, tied_y):
        return None
    balance, seen = 0, list[str]()
    order = sorted(range(n), key=x.__getitem__)
    start = 0
    while start < n:
        stop = start
        while stop < n and x[order[stop]] == x[order[start]]:
            stop += 1
        block = [y[i] for i in order[start:stop]]
        for value in block:  # pairs of this block with smaller x: concordant below, discordant above
            balance += bisect_left(seen, value) - (len(seen) - bisect_right(seen, value))
        for value in block:
            insort(seen, value)
        start = stop
    return balance / sqrt((pairs - tied_x) * (pairs - tied_y))


def _tied(counts: Counter[str]) -> int:
    return sum(n * (n - 1) // 2 for n in counts.values())


def _common(rows: Sequence[str], shared: Counter[str]) -> list[str]:
    left, out = shared.copy(), []
    for row in rows:
        if left[row] > 0:
            left[row] -= 1
            out.append(row)
    return out


def reward(answer: Result | None, gold: Result) -> float:
    """InterCode's reward of an answer.

    r = Σ min(aₖ, gₖ) / Σ max(aₖ, gₖ) · τ, aₖ and gₖ the copies of row k in answer and gold, τ Kendall's correlation of
    the common rows as they stand in each; the product is rounded to two places, and τ left out where it is not defined.
    Two empty results: 1; an error of either query, or no query: 0.
    Source: InterCode, arXiv 2306.14898, and its code (intercode-bench 0.1.22).

    Args:
        answer: the last query's result, None before the first.
        gold: the gold query's result.
    Returns:
        r in [-1, 1]; negative where the rows stand in the wrong order.
    >>> gold = Result(("n",), ((1,), (2,), (3,)))
    >>> reward(gold, gold), reward(Result(("n",), ((1,), (2,))), gold), reward(Result(error="no"), gold)
    (1.0, 0.67, 0.0)
    """
    if answer is None or answer.error is not None or gold.error is not None:
        return 0.0
    a, g = [row_text(r) for r in answer.rows], [row_text(r) for r in gold.rows]
    if a == g:
        return 1.0
    counts_a, counts_g = Counter(a), Counter(g)
    shared = counts_a & counts_g
    overlap = shared.total() / (counts_a | counts_g).total()
    tau = kendall_tau(_common(a, shared), _common(g, shared)) if shared else None
    return overlap if tau is None else round(tau * overlap, 2)
