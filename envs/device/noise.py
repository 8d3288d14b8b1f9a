"""Interruptions of the phone: a pure function of a key and the step, so the task never sees them and a fork repeats them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType

from .apps import book

_MASK = (1 << 64) - 1


@dataclass(frozen=True, slots=True)
class Noise:
    """How rough the phone is: chances a step of a popup and of slow loading, and a chance a label of another name."""

    p_popup: float = 0.0
    p_slow: float = 0.0
    p_label: float = 0.0


LEVELS = {"none": Noise(), "light": Noise(0.03, 0.03, 0.1), "heavy": Noise(0.08, 0.08, 0.3)}


def uniform(key: int, t: int, stream: int) -> float:
    """Return a number in [0, 1) that depends on nothing but its arguments.

    SplitMix64's finaliser over key, step and stream.
    """
    z = (key + 0x9E3779B97F4A7C15 * (8 * t + stream + 1)) & _MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
    return ((z ^ (z >> 31)) >> 11) / (1 << 53)


def popup(noise: Noise, key: int, t: int) -> int:
    """Return which popup comes at step t, -1 for none."""
    if noise.p_popup == 0 or uniform(key, t, 0) >= noise.p_popup:
        return -1
    return int(uniform(key, t, 1) * len(book().popups))


def loading(noise: Noise, key: int, t: int) -> int:
    """Return for how many steps the screen loads from step t: 0, 1 or 2."""
    if noise.p_slow == 0 or uniform(key, t, 2) >= noise.p_slow:
        return 0
    return 1 + int(uniform(key, t, 3) * 2)


@lru_cache(maxsize=512)
def labels(noise: Noise, key: int) -> MappingProxyType[str, str]:
    """Return what this version of the phone calls some of its buttons."""
    out = {}
    for i, (label, others) in enumerate(book().synonyms.items()):
        if uniform(key, i, 4) < noise.p_label:
            out[label] = others[int(uniform(key, i, 5) * len(others))]
    return MappingProxyType(out)
