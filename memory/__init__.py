"""What is remembered: within an episode as a prompt, across episodes as a store of trajectories."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..envs.errors import unknown
from .core import Counter, Memory, Role, Segment, Turn, count_words
from .diff import DiffMemory
from .history import LEAST, FullMemory, Limits, NotesMemory, SummaryMemory, WindowMemory
from .past import PastMemory, PrecededMemory, episodes, room
from .trajectory import Part, Step, Trajectory

MEMORIES = {
    "full": "everything that was said, in order",
    "window": "window:K, the opening text and the last K actions with what followed; 0, the goal and the newest observation",
    "diff": "diff:CODEC (forward, u0, cells, paper), the opening text, then each action and what it changed",
    "summary": "summary:K, the opening text, a summary of what is older, and the last K to 2K actions",
    "past": "past:K,from=FILE,by=bm25,inner=SPEC, K past successes with the nearest goals, then what the inner memory keeps",
    "notes": "notes,budget=N, the agent's own lines NOTE: … and as many actions as fit",
}
_LIMITS: dict[str, Callable[[str], Any]] = {"budget": int, "low": float}
_SWITCH = {"yes": True, "no": False}
_OPTIONS: dict[str, dict[str, Callable[[str], Any]]] = {
    "diff": {"unit": str, "show": _SWITCH.__getitem__},
    "past": {"from": Path, "inner": str, "share": float, "by": str},
}


def make_memory(spec: str, count: Counter = count_words) -> Memory:
    """Return the memory of a spec: `full`, `window:4`, `diff:u0`, `diff:cells,budget=512,low=0.75,show=yes`.

    Raises:
        LookupError: no such memory; names the nearest. ValueError: an option with a value it cannot have.
    """
    return memory_maker(spec, count)()


def memory_maker(spec: str, count: Counter = count_words) -> Callable[[], Memory]:
    """Return a function that makes memories of a spec; the spec is checked now."""
    name, *pairs = spec.split(",")
    kind, _, argument = name.partition(":")
    if kind not in MEMORIES:
        raise unknown("memory", spec, MEMORIES)
    legal = _LIMITS | _OPTIONS.get(kind, {})
    options: dict[str, Any] = {}
    for pair in pairs:
        key, _, text = pair.partition("=")
        if key not in legal:
            raise unknown(f"option of memory {kind},", key, legal)
        try:
            options[key] = legal[key](text)
        except (ValueError, KeyError):
            raise ValueError(f"memory {spec!r}: {key}={text!r} has not the form of {key}") from None
    if "low" in options and "budget" not in options:
        raise ValueError(f"memory {spec!r}: low is a share of a budget; add budget=N, or leave it out")
    limits = Limits(**{k: options.pop(k) for k in _LIMITS if k in options})
    if kind in ("window", "summary"):
        if not argument.isdigit():
            raise LookupError(f"memory {spec!r}: write {kind}:K, for example {kind}:4")
        windowed = WindowMemory if kind == "window" else SummaryMemory
        k = int(argument)
        windowed(k)
        return lambda: windowed(k, count, limits)
    if kind == "diff":
        codec = argument or "forward"
        DiffMemory(codec, **options)
        return lambda: DiffMemory(codec, count, limits, **options)
    if kind == "past":
        return _past(spec, argument, options, count, limits)
    if argument:
        raise LookupError(f"memory {spec!r}: {kind} takes nothing behind a colon; write {kind}")
    if kind == "notes" and limits.budget is None:
        raise LookupError(f"memory {spec!r}: write notes,budget=N, for example notes,budget=1024")
    plain = NotesMemory if kind == "notes" else FullMemory
    return lambda: plain(count, limits)


def _past(spec: str, k: str, options: dict[str, Any], count: Counter, limits: Limits) -> Callable[[], Memory]:
    file, share = options.get("from"), options.get("share", 0.5)
    if not k.isdigit() or int(k) < 1 or file is None:
        raise LookupError(f"memory {spec!r}: write past:K,from=FILE, for example past:2,from=runs/x/trajectories")
    if not 0 < share < 1:
        raise ValueError(f"memory {spec!r}: share={share} needs a share of the budget in (0, 1)")
    if "share" in options and limits.budget is None:
        raise ValueError(f"memory {spec!r}: share is a share of a budget; add budget=N, or leave it out")
    left = None if limits.budget is None else limits.budget - room(limits.budget, share)
    if left is not None and left < LEAST:
        raise ValueError(
            f"memory {spec!r}: budget={limits.budget} with share={share} leaves {left} tokens for the episode, which needs "
            f"at least {LEAST}: raise budget, or lower share"
        )
    inner, by = options.get("inner", "full"), options.get("by", "bm25")

    def within(budget: int | None) -> Memory:
        return make_memory(inner if budget is None else f"{inner},budget={budget},low={limits.low}", count)

    within(limits.budget)
    episodes(file, by)
    return lambda: PastMemory(within, file, int(k), share, count, limits, by)


__all__ = [
    "MEMORIES", "Counter", "DiffMemory", "FullMemory", "Limits", "Memory", "NotesMemory", "Part", "PastMemory",
    "PrecededMemory", "Role", "Segment", "Step",
    "SummaryMemory", "Trajectory", "Turn", "WindowMemory", "count_words", "make_memory", "memory_maker",
]  # fmt: skip
