"""What is said of several attempts. right: (N, T), whether attempt t at problem n was correct; a problem that was solved
early and ended counts as right from then on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]


def right_at(right: Bools) -> Floats:
    """Accuracy of each attempt, Acc@t, (T,).

    >>> right_at(np.array([[False, True], [True, True]]))
    array([0.5, 1. ])
    """
    share: Floats = right.mean(axis=0)
    return share


def pass_at(right: Bools) -> Floats:
    """Share of problems that some attempt up to t solved, (T,): RISE's p1@t, which stops with an oracle.

    Source: RISE arXiv 2407.18219, Sec. 5.

    >>> pass_at(np.array([[True, False], [False, False]]))
    array([0.5, 0.5])
    """
    share: Floats = np.maximum.accumulate(right, axis=1).mean(axis=0)
    return share


def correction(right: Bools) -> dict[str, float]:
    """Self-correction from the first attempt to the last: Δ = Acc@tT − Acc@t1 = Δ(i→c) − Δ(c→i).

    Source: SCoRe arXiv 2409.12917, Sec. 3. i→c: share of problems that became right, c→i: that became wrong.

    >>> correction(np.array([[False, True], [True, True]]))["delta"]
    0.5
    """
    first, last = right[:, 0], right[:, -1]
    return {
        "acc@t1": float(first.mean()),
        f"acc@t{right.shape[1]}": float(last.mean()),
        "delta": float(last.mean() - first.mean()),
        "i->c": float((~first & last).mean()),
        "c->i": float((first & ~last).mean()),
    }


def edited(answers: Sequence[Sequence[str]]) -> Bools:
    """Whether the last answer is another than the first, (N,); its mean is the edit rate.

    Source: SCoRe arXiv 2409.12917, Sec. 4, where a rate near 0 shows a policy that has collapsed to repeating itself.

    >>> edited([["12", "12"], ["12", "15"]])
    array([False,  True])
    """
    return np.array([row[0] != row[-1] for row in answers], dtype=bool)


def voted(answers: Sequence[Sequence[str]], right: Bools) -> Bools:
    """Whether the majority's answer is right, (N,).

    answers, right: (N, K), K votes at each problem and whether each is correct.

    >>> voted([["12", "15", "15"]], np.array([[False, True, True]]))
    array([ True])
    """
    rows = [list(row) for row in answers]
    won = [majority(row) for row in rows]
    found = [bool(w and r[row.index(w)]) for w, row, r in zip(won, rows, right, strict=True)]
    return np.array(found, dtype=bool)


def majority(answers: Sequence[str]) -> str:
    """Return the commonest answer that is not empty, the earliest of equals; empty where there is none.

    Over k attempts of one episode it gives RISE's m1@tk, over k parallel first attempts its mk@t1.

    >>> majority(["12", "", "15", "15"])
    '15'
    """
    counted = Counter(a for a in answers if a)
    return counted.most_common(1)[0][0] if counted else ""
