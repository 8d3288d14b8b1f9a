"""Porter's stemmer with the departures of its author's own program, which Lucene carries.

Source: M. F. Porter, An algorithm for suffix stripping, 1980; the departures are `bli -> ble`, `logi -> log`, and words of
one or two letters stay as they are. The snowball stemmer of the same name has neither.
"""

from __future__ import annotations

_STEP2 = (
    ("ational", "ate"), ("tional", "tion"), ("enci", "ence"), ("anci", "ance"), ("izer", "ize"), ("bli", "ble"),
    ("alli", "al"), ("entli", "ent"), ("eli", "e"), ("ousli", "ous"), ("ization", "ize"), ("ation", "ate"),
    ("ator", "ate"), ("alism", "al"), ("iveness", "ive"), ("fulness", "ful"), ("ousness", "ous"), ("aliti", "al"),
    ("iviti", "ive"), ("biliti", "ble"), ("logi", "log"),
)  # fmt: skip
_STEP3 = (
    ("icate", "ic"), ("ative", ""), ("alize", "al"), ("iciti", "ic"), ("ical", "ic"), ("ful", ""), ("ness", ""),
)  # fmt: skip
_STEP4 = (
    "al", "ance", "ence", "er", "ic", "able", "ible", "ant", "ement", "ment", "ent", "sion", "tion", "ou", "ism", "ate",
    "iti", "ous", "ive", "ize",
)  # fmt: skip


def _shape(word: str) -> str:
    """Return a word's letters as c (consonant) and v (vowel); y is a vowel after a consonant."""
    out = ""
    for letter in word:
        vowel = letter in "aeiou" or (letter == "y" and out.endswith("c"))
        out += "v" if vowel else "c"
    return out


def measure(word: str) -> int:
    """Return how many times a vowel run is followed by a consonant run.

    >>> [measure(w) for w in ("tree", "trouble", "oaten")]
    [0, 1, 2]
    """
    return _shape(word).count("vc")


def _double(word: str) -> bool:
    return len(word) > 1 and word[-1] == word[-2] and _shape(word)[-1] == "c"


def _short(word: str) -> bool:
    """Whether a word ends consonant, vowel, consonant, the last not w, x or y."""
    return _shape(word).endswith("cvc") and word[-1] not in "wxy"


def _plural(word: str) -> str:
    if word.endswith(("sses", "ies")):
        return word[:-2]
    return word[:-1] if word.endswith("s") and not word.endswith("ss") else word


def _past(word: str) -> str:
    if word.endswith("eed"):
        return word[:-1] if measure(word[:-3]) > 0 else word
    ending = next((e for e in ("ed", "ing") if word.endswith(e)), "")
    stem = word.removesuffix(ending)
    if not ending or "v" not in _shape(stem):
        return word
    if stem.endswith(("at", "bl", "iz")):
        return stem + "e"
    if _double(stem):
        return stem if stem[-1] in "lsz" else stem[:-1]
    return stem + "e" if measure(stem) == 1 and _short(stem) else stem


def _replace(word: str, table: tuple[tuple[str, str], ...]) -> str:
    for ending, other in table:
        if word.endswith(ending):
            stem = word[: -len(ending)]
            return stem + other if measure(stem) > 0 else word
    return word


def _strip(word: str) -> str:
    for ending in _STEP4:
        if word.endswith(ending):
            stem = word[: -3 if ending in ("sion", "tion") else -len(ending)]
            return stem if measure(stem) > 1 else word
    return word


def _tidy(word: str) -> str:
    m = measure(word)
    if word.endswith("e") and (m > 1 or (m == 1 and not _short(word[:-1]))):
        word = word[:-1]
    return word[:-1] if word.endswith("ll") and m > 1 else word


def stem(word: str) -> str:
    """Return the stem of a lower-case word.

    >>> [stem(w) for w in ("shoes", "relational", "hopping", "possibly", "technology", "as")]
    ['shoe', 'relat', 'hop', 'possibl', 'technolog', 'as']
    """
    if len(word) <= 2:
        return word
    word = _past(_plural(word))
    if word.endswith("y") and "v" in _shape(word[:-1]):
        word = word[:-1] + "i"
    return _tidy(_strip(_replace(_replace(word, _STEP2), _STEP3)))
