"""What is remembered: within an episode as a prompt, across episodes as a store of trajectories."""

from __future__ import annotations

from collections.abc import Callable

from ..envs.errors import unknown
from .core import Counter, Memory, Role, Segment, Turn, count_words
from .diff import DiffMemory
from .history import FullMemory, WindowMemory
from .trajectory import Step, Trajectory

MEMORIES = {
    "full": "everything that was said, in order",
    "window": "window:K, the opening text and the last K actions with what followed",
    "diff": "diff:forward or diff:u0, the opening text, then each action and what it changed",
}


def make_memory(spec: str, count: Counter = count_words) -> Memory:
    """Return the memory of a spec: `full`, `window:4`, `diff`, `diff:u0`.

    Raises:
        LookupError: no such memory; names the nearest.
    """
    return memory_maker(spec, count)()


def memory_maker(spec: str, count: Counter = count_words) -> Callable[[], Memory]:
    """Return a function that makes memories of a spec; the spec is checked now."""
    kind, _, argument = spec.partition(":")
    if kind == "full" and not argument:
        return lambda: FullMemory(count)
    if kind == "window":
        if not argument.isdigit():
            raise LookupError(f"memory {spec!r}: write window:K, for example window:4")
        k = int(argument)
        WindowMemory(k)
        return lambda: WindowMemory(k, count)
    if kind == "diff":
        codec = argument or "forward"
        DiffMemory(codec)
        return lambda: DiffMemory(codec, count)
    raise unknown("memory", spec, MEMORIES)


__all__ = [
    "MEMORIES", "Counter", "DiffMemory", "FullMemory", "Memory", "Role", "Segment", "Step", "Trajectory", "Turn",
    "WindowMemory", "count_words", "make_memory", "memory_maker",
]  # fmt: skip
