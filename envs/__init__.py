"""The worlds: text in, text out. They know nothing of memory, agents or training."""

from .core import CHARSET, SPLITS, Info, Privileged, Searcher, TextEnv
from .errors import Unavailable, Unknown, WorldDied, unknown
from .registry import listing, make, make_single, make_team, options, register, spec, teams

__all__ = [
    "CHARSET", "SPLITS", "Info", "Privileged", "Searcher", "TextEnv", "Unavailable", "Unknown", "WorldDied", "listing",
    "make", "make_single", "make_team", "options", "register", "spec", "teams", "unknown",
]  # fmt: skip
