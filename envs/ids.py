"""Names of tasks: `test/00003`, or `test/00003-edit` where kinds take turns."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from .errors import choice

SPLITS = ("train", "valid", "test")
_APART = 10_000_000  # seeds between one split's first and the next one's: an id has seven digits at most
_ID = re.compile(r"(train|valid|test)/([0-9]{5,7})")


def _named(split: str, index: int, kinds: Sequence[str]) -> str:
    return f"{split}/{index:05d}" + (f"-{kinds[index % len(kinds)]}" if kinds else "")


def listed(split: str, sizes: Mapping[str, int], kinds: Sequence[str] = ()) -> list[str]:
    """Return a split's ids, the kinds in turn.

    >>> listed("test", {"test": 3}, ("find", "edit"))
    ['test/00000-find', 'test/00001-edit', 'test/00002-find']
    """
    return [_named(split, i, kinds) for i in range(sizes[choice("split", split, SPLITS)])]


def read(task: str, kinds: Sequence[str] = ()) -> tuple[str, int]:
    """Return the split and the number of an id.

    Raises:
        ValueError: it is none that `listed` writes for these kinds.
    >>> read("valid/00003-edit", ("find", "edit"))
    ('valid', 3)
    """
    found = _ID.match(task)
    if found and task == _named(found[1], int(found[2]), kinds):
        return found[1], int(found[2])
    raise ValueError(f"task {task!r}: write it as env.tasks('test') does, for example {_named('test', 0, kinds)!r}")


def seed_of(task: str, kinds: Sequence[str] = ()) -> int:
    """Return the seed of an id; no two ids of any splits have the same.

    Raises:
        ValueError: as `read`.
    >>> seed_of("train/00003"), seed_of("test/00003")
    (3, 20000003)
    """
    split, index = read(task, kinds)
    return SPLITS.index(split) * _APART + index
