"""What a reader would type into the search bar: a few queries made of an instruction's own words."""

from __future__ import annotations

import re
from functools import lru_cache

MOST = 400  # letters of a query
_PRICE = re.compile(r",? and price lower than (\d+\.\d\d) dollars$")
_CLAUSE = re.compile(r",|;|\?|\. | (?:with|that|which|featuring|and|for|in|as|has|comes|made)(?= )")
_FILLER_TEXT = """
a am an and any are as be buy buying by can color colored comes could do featuring find flavor flavored for from get
has have hello help holds i i'd i'm im in interested is it let like looking made me must my need needs of offers on
one or order our please price ran out scented search searching see she shopping should show size smells so sold some
son style than that the them there to trying two version want wants we where which wife with would you your
"""
_FILLER = frozenset(_FILLER_TEXT.split())


def ceiling(instruction: str) -> float | None:
    """Return the most that may be paid, None where nothing is said.

    >>> ceiling("a red hat, and price lower than 20.00 dollars")
    20.0
    """
    found = _PRICE.search(instruction)
    return float(found[1]) if found else None


def plain(instruction: str) -> str:
    """Return an instruction without its price."""
    return _PRICE.sub("", instruction)


def content(text: str) -> list[str]:
    """Return the words of a text that describe something.

    >>> content("i am looking for a gluten free snack, size 2 oz")
    ['gluten', 'free', 'snack', '2', 'oz']
    """
    return [w for w in re.findall(r"[^\s,;:?!()\[\]]+", text.lower()) if w not in _FILLER]


@lru_cache(maxsize=4096)
def suggest(instruction: str) -> tuple[str, ...]:
    """Return up to four queries: the words that describe something, the first clauses of them, and the whole.

    >>> suggest("i need a vegan protein shake that is soy-free, and price lower than 20.00 dollars")
    ('vegan protein shake soy-free', 'vegan protein shake', 'soy-free', 'i need a vegan protein shake that is soy-free')
    """
    whole = plain(instruction)
    clauses = [" ".join(content(c)) for c in _CLAUSE.split(whole)]
    found = [" ".join(content(whole)), *[c for c in clauses if c][:2], " ".join(whole.lower().split())]
    cut = (q[:MOST].translate(str.maketrans("", "", "[]")).strip() for q in found)
    return tuple(dict.fromkeys(q for q in cut if q)) or ("shop",)
