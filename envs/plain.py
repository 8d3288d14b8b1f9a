"""Text of a machine made fit for a text space."""

from __future__ import annotations

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
