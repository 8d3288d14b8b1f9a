"""Errors that a user can mend: one line, the offending value, the legal ones, the fix."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class Unknown(LookupError):
    """A name that nothing answers to."""


class Unavailable(RuntimeError):
    """A world that this machine cannot run, and what would let it."""


def unknown(what: str, name: str, legal: Iterable[str]) -> Unknown:
    """Return the error for an unknown name, with the nearest legal one first.

    >>> print(unknown("env", "alfwold", ["alfworld", "webshop"]))
    env 'alfwold' is unknown: did you mean 'alfworld'? There are alfworld, webshop
    """
    names = sorted(legal)
    near = get_close_matches(name, names, 1, 0.4)
    guess = f"did you mean {near[0]!r}? " if near else ""
    return Unknown(f"{what} {name!r} is unknown: {guess}There are {', '.join(names)}")
