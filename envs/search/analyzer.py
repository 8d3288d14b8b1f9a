"""How text becomes search terms: Lucene's English analysis.

Words by the Unicode segmentation rules (UAX #29), without possessives, lower-case, without 33 stop words, stemmed. A
Chinese or Japanese character is a word, and so is a pictograph.
"""

from __future__ import annotations

import re
from functools import lru_cache

from .stemmer import stem

STOP_TEXT = """
a an and are as at be but by for if in into is it no not of on or such that the their then there these they this to
was will with
"""
STOP = frozenset(STOP_TEXT.split())
_SINGLE = "\u2e80-\u2fdf\u3005-\u3007\u3021-\u3029\u3040-\u309f\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_PICTURE = (
    "\u00a9\u00ae\u203c\u2049\u2122\u2139\u2194-\u2199\u21a9\u21aa\u231a\u231b\u2328\u2388\u23cf\u23e9-\u23f3\u23f8-\u23fa"
    "\u24c2\u25aa\u25ab\u25b6\u25c0\u25fb-\u25fe\u2600-\u2605\u2607-\u2612\u2614-\u2685\u2690-\u2705\u2708-\u2712\u2714"
    "\u2716\u271d\u2721\u2728\u2733\u2734\u2744\u2747\u274c\u274e\u2753-\u2755\u2757\u2763-\u2767\u2795-\u2797\u27a1\u27b0"
    "\u27bf\u2934\u2935\u2b05-\u2b07\u2b1b\u2b1c\u2b50\u2b55\u3030\u303d\u3297\u3299\U0001f000-\U0001faff"
)
_MARK = "[\u0300-\u036f\u200d\ufe00-\ufe0f\u00ad\U0001f3fb-\U0001f3ff]"
_NUMBER_SIGN = (
    "\u00b2\u00b3\u00b9\u00bc-\u00be\u2070-\u2089\u2150-\u215f\u2460-\u249b\u24ea-\u24ff\u2776-\u2793\uff9e\uff9f"
)
_LETTER = rf"(?:[^\W\d_{_SINGLE}{_NUMBER_SIGN}]{_MARK}*)"
_DIGIT = rf"(?:\d{_MARK}*)"
_WORD = re.compile(
    rf"[{_PICTURE}][\ufe0f\U0001f3fb-\U0001f3ff]*(?:\u200d[{_PICTURE}][\ufe0f\U0001f3fb-\U0001f3ff]*)*|[{_SINGLE}]{_MARK}*"
    rf"|_*(?:{_LETTER}+(?:[:.'\u00b7\u2018\u2019\u2024\u2027\uff07\uff0e\uff1a](?={_LETTER}){_LETTER}+)*"
    rf"|{_DIGIT}+(?:[,;.'\u2018\u2019\u2024\u2044\uff07\uff0c\uff0e\uff1b](?={_DIGIT}){_DIGIT}+)*|(?<=\w)_+(?=\w))+_*"
)


@lru_cache(maxsize=1 << 18)
def term(word: str) -> str:
    """Return the index term of a lower-case word, empty for a stop word.

    >>> term("women's"), term("the")
    ('women', '')
    """
    if word[-2:] in ("'s", "\u2019s", "\uff07s"):
        word = word[:-2]
    return "" if word in STOP else stem(word)


def words(text: str) -> list[str]:
    """Return the words of a text, lower-case.

    >>> words("Men's 1,000-watt T-shirt, U.S.A. ★")
    ["men's", '1,000', 'watt', 't', 'shirt', 'u.s.a', '★']
    """
    return _WORD.findall(text.lower())


def terms(text: str) -> list[str]:
    """Return the index terms of a text, in order.

    >>> terms("The women's running shoes")
    ['women', 'run', 'shoe']
    """
    return [t for t in map(term, words(text)) if t]
