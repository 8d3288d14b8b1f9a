"""Text of a machine made fit for a text space."""

from __future__ import annotations

import re
from collections.abc import Callable
from string import Formatter

from .core import CHARSET

_LEGAL = frozenset(CHARSET)


def plain(text: str, limit: int) -> str:
    """Return the text with a tab as a space, any other foreign character as `?`, cut to a limit with a note of it.

    >>> plain("caf\\u00e9\\tbar", 100)
    'caf? bar'
    >>> plain("abcdefgh" * 9, 40)
    'abcdefghab ... [72 characters in all]'
    """
    clean = text if _LEGAL.issuperset(text) else "".join(c if c in _LEGAL else " " if c == "\t" else "?" for c in text)
    if len(clean) <= limit:
        return clean
    return f"{clean[: max(0, limit - 30)]} ... [{len(clean):,} characters in all]"


def backwards(template: str, legal: Callable[[str], str] = lambda slot: ".+?") -> re.Pattern[str]:
    """Return the pattern that reads a format string's slots back from a text made by it; a dot in a name becomes `__`.

    legal: gives what a slot may say, as a regular expression.

    >>> backwards("Move {a.name} to {b}, not to {a.name}.").fullmatch("Move x to y z, not to x.").groupdict()
    {'a__name': 'x', 'b': 'y z'}
    """
    pattern, seen = "", set[str]()
    for literal, slot, _, _ in Formatter().parse(template):
        pattern += re.escape(literal)
        if slot:
            group = slot.replace(".", "__")
            pattern += f"(?P={group})" if group in seen else f"(?P<{group}>{legal(slot)})"
            seen.add(group)
    return re.compile(pattern)
