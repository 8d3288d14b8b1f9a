"""Features of states that are told in sentences, each of which is one fact."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import repeat

from ...envs.errors import at_least
from .features import Half, hashed

_FACT = re.compile(r"[\n;]|\.\s|\.$")
_CLAUSE = re.compile(r",\s|:\s")


class SentenceFeatures:
    """Signed hashes of whole sentences and their clauses; with an action, of its parts and of every pair of facts.

    An action may be a plan, its parts set apart by semicolons. Pairs are of a part with a sentence ("is the cube that
    she moves to on the table?") and of two parts ("does he sweep where she is?"). Where words would tell only that a
    cube and a dustpan are mentioned, a sentence tells which cube lies in it. Rows have length one.
    """

    def __init__(self, size: int = 2048) -> None:
        at_least(2, size=size)
        self.size = size
        self.name = f"sentences-{size}"
        self.options: Mapping[str, int] = {"size": size}

    def __call__(self, states: Sequence[str], actions: Sequence[str] | None = None) -> Half:
        """Return the features, shape (n, size)."""
        pairs = zip(states, actions or repeat(None, len(states)), strict=True)
        return hashed([_features(s, a) for s, a in pairs], self.size)


def _features(state: str, action: str | None) -> list[str]:
    facts = list(dict.fromkeys(f.strip() for f in _FACT.split(state) if f.strip()))
    out = facts + [c for f in facts for c in _CLAUSE.split(f) if c != f]
    if action is None:
        return out
    parts = [p.strip() for p in action.split(";")]
    return [
        *out,
        *(f"a|{p}" for p in parts),
        *(f"{f}|{p}" for f in facts for p in parts),
        *(f"{p}|{q}" for i, p in enumerate(parts) for q in parts[:i]),
    ]
