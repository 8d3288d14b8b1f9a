"""BM25 that ranks as Lucene does, in numpy."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from .analyzer import terms

K1, B = np.float32(0.9), np.float32(0.4)


def lossy_length(length: int) -> int:
    """Return a document's length as one byte can hold it: exact below 40, four significant bits above.

    Source: Lucene, SmallFloat.intToByte4.

    >>> [lossy_length(n) for n in (7, 39, 41, 100, 1000)]
    [7, 39, 40, 96, 984]
    """
    rest = length - 24
    shift = max(rest.bit_length() - 4, 0) if rest > 0 else 0
    return length if rest <= 0 else 24 + (rest >> shift << shift)


class Index:
    """An inverted index over documents that have ids.

    score(q, d) = Σ_t n_t · idf_t · (1 - 1 / (1 + f_td / (k1 (1 - b + b · len_d / avg)))), idf_t = ln(1 + (N - df_t + .5) /
    (df_t + .5)), n_t how often the query says t, len_d as one byte holds it, N and avg over documents that have a term.
    Source: Lucene 9, BM25Similarity, as Pyserini runs it (k1 .9, b .4): terms scored in float32, summed in float64, equal
    scores ordered by id.
    """

    def __init__(self, ids: Sequence[str], texts: Sequence[str]) -> None:
        order = sorted(range(len(ids)), key=ids.__getitem__)
        self.ids = [ids[i] for i in order]
        self._vocabulary: dict[str, int] = {}
        number = self._vocabulary.setdefault
        flat: list[int] = []
        lengths = np.zeros(len(order), np.int64)
        for row, i in enumerate(order):
            found = [number(t, len(self._vocabulary)) for t in terms(texts[i])]
            flat += found
            lengths[row] = len(found)
        rows = np.repeat(np.arange(len(order)), lengths)
        keys, counts = np.unique(np.array(flat, np.int64) * max(len(order), 1) + rows, return_counts=True)
        self._rows = (keys % max(len(order), 1)).astype(np.int32)
        self._starts = np.searchsorted(keys, np.arange(len(self._vocabulary) + 1) * max(len(order), 1))
        filled = int((lengths > 0).sum())
        frequency = np.diff(self._starts)
        self._idf = np.log(1 + (filled - frequency + 0.5) / (frequency + 0.5)).astype(np.float32)
        average = np.float32(lengths.sum() / max(filled, 1))
        lossy = np.array([lossy_length(int(n)) for n in lengths], np.float32)
        inverse = np.float32(1) / (K1 * ((np.float32(1) - B) + B * lossy / max(average, np.float32(1e-9))))
        self._saturation = np.float32(1) + counts.astype(np.float32) * inverse[self._rows]

    def scores(self, query: str) -> npt.NDArray[np.float32]:
        """Return every document's score, shape (len(ids),)."""
        total = np.zeros(len(self.ids))
        for one, n in Counter(terms(query)).items():
            at = self._vocabulary.get(one)
            if at is not None:
                part = slice(self._starts[at], self._starts[at + 1])
                weight = np.float32(n) * self._idf[at]
                total[self._rows[part]] += weight - weight / self._saturation[part]
        return total.astype(np.float32)

    def search(self, query: str, k: int = 50) -> list[str]:
        """Return the ids of the k best documents that share a term with the query, best first."""
        score = self.scores(query)
        hits = np.flatnonzero(score)
        if len(hits) > k:
            least = np.partition(score[hits], len(hits) - k)[len(hits) - k]
            hits = hits[score[hits] >= least]
        best = hits[np.argsort(-score[hits], kind="stable")][:k]
        return [self.ids[i] for i in best]
