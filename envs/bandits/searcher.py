"""A bandit algorithm as a reader: it counts what the observations say and knows nothing else."""

from __future__ import annotations

import re
from zlib import crc32

import numpy as np

from ..core import Info
from .algorithms import algorithm
from .engine import Counts
from .views import choices

_LINE = re.compile(r"^(.+) \w+, reward (\S+)$", re.MULTILINE)
_ROW = re.compile(r"^(.+) \w+, (\d+) times, average reward ([-\d.]+)", re.MULTILINE)
_SD = re.compile(r"standard deviation of ([\d.]*\d)")


class Drawing:
    """One who draws from what it was handed for an episode; from its first observation, where it was handed nothing."""

    _handed: np.random.Generator | None = None

    def draw_from(self, rng: np.random.Generator) -> None:
        """Draw from this in the episode that begins next."""
        self._handed = rng

    def _begun(self, observation: str) -> np.random.Generator:
        rng, self._handed = self._handed, None
        return np.random.default_rng(crc32(observation.encode())) if rng is None else rng


class BanditSearcher(Drawing):
    """UCB, KL-UCB, Thompson, greedy or random, from any of the three views.

    A header ("So far you have interacted") means that the observation holds the whole history, else it adds one pull.
    """

    def __init__(self, name: str = "ucb") -> None:
        self._name = name
        algorithm(name, None)

    def begin(self, goal: str, observation: str, info: Info) -> None:
        """Read the arms and the kind of reward."""
        self._arms = choices(observation) or list(info.get("admissible") or ())
        noise = _SD.search(observation)
        self._policy = algorithm(self._name, float(noise[1]) if noise else None)
        self._rng = self._begun(observation)
        self._clear()

    def _clear(self) -> None:
        self._n, self._s = np.zeros((1, len(self._arms))), np.zeros((1, len(self._arms)))

    def observe(self, action: str, observation: str, info: Info) -> None:
        """Count what an observation reports."""
        if "So far you have interacted" in observation:
            self._clear()
        for name, paid in _LINE.findall(observation):
            self._add(name, 1, float(paid))
        for name, times, mean in _ROW.findall(observation):
            self._add(name, int(times), int(times) * float(mean))

    def _add(self, name: str, n: int, s: float) -> None:
        arm = self._arms.index(name)
        self._n[0, arm] += n
        self._s[0, arm] += s

    def act(self, hint: str | None = None) -> str:
        """Return the algorithm's arm; a hint is not taken, for it would tell what no history shows."""
        counts = Counts(self._n, self._s, int(self._n.sum()))
        return self._arms[int(self._policy(counts, self._rng)[0])]
