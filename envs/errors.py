"""Errors that a user can mend: one line, the offending value, the legal ones, the fix."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches


class Unknown(LookupError):
    """A name that nothing answers to."""


class Unavailable(RuntimeError):
    """A world that this machine cannot run, and what would let it."""


class WorldDied(RuntimeError):
    """What a world runs on (a device, a sandbox, a browser) stopped answering; `step` may raise it in mid-episode."""


def choice(name: str, value: str, legal: Sequence[str]) -> str:
    """Return a setting's value that is among the legal ones.

    Raises:
        ValueError: it is not.
    """
    if value not in legal:
        raise ValueError(f"{name}={value!r}: choose one of {', '.join(legal)}")
    return value


def at_least(name: str, value: int, least: int) -> int:
    """Return a setting's value that is no less than the least.

    Raises:
        ValueError: it is less.
    """
    if value < least:
        raise ValueError(f"{name}={value}: needs at least {least}")
    return value


def unknown(what: str, name: str, legal: Iterable[str]) -> Unknown:
    """Return the error for an unknown name, with the nearest legal one first.

    >>> print(unknown("env", "alfwold", ["alfworld", "webshop"]))
    env 'alfwold' is unknown: did you mean 'alfworld'? There are alfworld, webshop
    """
    names = sorted(legal)
    near = get_close_matches(name, names, 1, 0.4)
    guess = f"did you mean {near[0]!r}? " if near else ""
    return Unknown(f"{what} {name!r} is unknown: {guess}There are {', '.join(names)}")
