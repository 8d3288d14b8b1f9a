"""What is said of several attempts. right: (N, T), whether attempt t at problem n was correct; a problem that was solved
early and ended counts as right from then on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Bools = NDArray[np.bool_]


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
