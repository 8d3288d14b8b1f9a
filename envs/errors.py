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


def at_least(least: float, where: str = "", /, **values: float) -> None:
    """Raise ValueError for the first of some settings that is below what it needs; `where` goes before its name."""
    for name, value in values.items():
        if not value >= least:
            raise ValueError(f"{where}{name}={value}: needs at least {least}")


def only_with(switch: str, /, **values: object) -> None:
    """Raise ValueError for the first of some settings that is given (not None), where only `switch` would read it."""
    for name, value in values.items():
        if value is not None:
            raise ValueError(f"{name}={value!r}: read with {switch} only; add that, or leave {name} out")


def positive(where: str = "", /, **values: float) -> None:
    """Raise ValueError for the first of some settings that is not above 0; `where` goes before its name."""
    for name, value in values.items():
        if not value > 0:
            raise ValueError(f"{where}{name}={value}: needs to be positive")


def share(where: str = "", /, **values: float) -> None:
    """Raise ValueError for the first of some settings that is not from 0 to 1; `where` goes before its name."""
    for name, value in values.items():
        if not 0 <= value <= 1:
            raise ValueError(f"{where}{name}={value}: needs a share, from 0 to 1")


def unknown(what: str, name: str, legal: Iterable[str]) -> Unknown:
    """Return the error for an unknown name, with the nearest legal one first.

    >>> print(unknown("env", "alfwold", ["alfworld", "webshop"]))
    env 'alfwold' is unknown: did you mean 'alfworld'? There are alfworld, webshop
    """
    names = sorted(legal)
    near = get_close_matches(name, names, 1, 0.4)
    guess = f"did you mean {near[0]!r}? " if near else ""
    return Unknown(f"{what} {name!r} is unknown: {guess}There are {', '.join(names)}")
