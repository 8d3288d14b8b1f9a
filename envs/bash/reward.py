"""InterCode's reward for Bash: what became of the files, and what was printed last."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from math import erf, log, sqrt

from .tree import Change

_PART = 0.33


def similarity(one: str, two: str) -> float:
    """Cosine of two texts' TF-IDF vectors over the two of them.

    cos = Σ xᵢyᵢ / (|x||y|), xᵢ = nᵢ(ln(3 / (1 + dᵢ)) + 1), nᵢ the copies of word i in the text, dᵢ in {1, 2} the texts
    that hold it; texts without a word: 1 where they are equal, else 0.
    Source: InterCode's use of scikit-learn. Ours: words of one letter count, so that "5 files" is not "7 files".

    Returns:
        cos in [0, 1].
    >>> similarity("a b", "b a"), similarity("5 files", "7 files") < 0.5, similarity("", "\\n")
    (1.0, True, 0.0)
    """
    x, y = (Counter(re.findall(r"\w+", text.lower())) for text in (one, two))
    if not x and not y:
        return float(one == two)
    if x == y:
        return 1.0

    def weighted(counts: Counter[str]) -> dict[str, float]:
        return {w: n * (log(3 / (1 + (w in x) + (w in y))) + 1) for w, n in counts.items()}

    a, b = weighted(x), weighted(y)
    norm = sqrt(sum(v * v for v in a.values()) * sum(v * v for v in b.values()))
    return sum(v * b.get(w, 0.0) for w, v in a.items()) / norm if norm else 0.0


def reward(made: Mapping[str, Change], gold: Mapping[str, Change], said: str, gold_said: str) -> float:
    """InterCode's reward of an episode.

    r = 0.01 + 0.33(1 - erf(m + e)) + 0.33 s/c + 0.33 cos, each part rounded to two places: m and e the gold changes
    (path and status) that are missing and those that are extra, s of the c common new or modified paths equal to the
    gold's (1 where c = 0), cos the similarity of the last output to the gold's.
    Source: InterCode, arXiv 2306.14898, and its code. Ours: modified files are compared too, where its code compares
    only new ones; folders and modes count; a new folder's files count one by one, where git names the folder alone.

    Args:
        made: what the agent's commands changed.
        gold: what the gold command changed.
        said: the agent's last output.
        gold_said: the gold command's output.
    Returns:
        r in [0.01, 1].
    >>> reward({}, {}, "4", "4"), reward({}, {}, "4", "5")
    (1.0, 0.67)
    """
    ours, theirs = ({(path, change.status) for path, change in c.items()} for c in (made, gold))
    files = round(_PART * (1 - erf(len(ours ^ theirs))), 2)
    common = [path for path, status in ours & theirs if status != "D"]
    same = sum(_same(made[path], gold[path]) for path in common)
    content = round(_PART * same / len(common), 2) if common else _PART
    return round(0.01 + files + content + round(_PART * similarity(said, gold_said), 2), 2)


def _same(one: Change, two: Change) -> bool:
    return one.entry is not None and two.entry is not None and one.entry.same(two.entry)
