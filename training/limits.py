"""Out of memory, in words: what was too much, and the setting that halves it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

MARKS = ("out of memory", "can't allocate memory", "bad_alloc", "cannot allocate memory")


class OutOfMemory(RuntimeError):
    """There is too little memory for what was asked; the message names the setting that halves it."""


@contextmanager
def memory_for(what: str, fix: str) -> Iterator[None]:
    """Name what took too much memory, and what to set for half of it.

    Raises:
        OutOfMemory: the machine or the card has no memory left.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        short = isinstance(error, MemoryError | torch.OutOfMemoryError)
        if isinstance(error, OutOfMemory) or not (short or any(m in str(error).lower() for m in MARKS)):
            raise
        raise OutOfMemory(f"out of memory: {what}; for half of it {fix}") from error
