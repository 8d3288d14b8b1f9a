"""Memories of one episode that keep text as it was said: all of it, or its latest part."""

from __future__ import annotations

from typing import Any

from .core import Counter, Segment, Turn, count_words, total


class FullMemory:
    """Everything, in order; a view always extends the last one."""

    append_only = True

    def __init__(self, count: Counter = count_words) -> None:
        self._count = count

    def begin(self, goal: str, observation: str, info: dict[str, Any], episode: int = 0) -> None:
        """Start an episode."""
        self._goal, self._episode, self._t = goal, episode, 0
        self._admissible = info.get("admissible")
        self._segments = [Segment("user", _opening(goal, observation))]
        self._last = observation
        self._action: str | None = None
        self._tokens = total(self._segments, self._count)

    def record(self, action: str, observation: str, info: dict[str, Any], reply: str | None = None) -> None:
        """Append an action and what followed."""
        new = [Segment("assistant", reply or action), Segment("user", self._say(observation))]
        self._segments += new
        self._tokens += total(new, self._count)
        self._t += 1
        self._admissible = info.get("admissible")
        self._last, self._action = observation, action

    def _say(self, observation: str) -> str:
        return observation

    def _turn(self, segments: tuple[Segment, ...], tokens: int) -> Turn:
        return Turn(segments, self._goal, self._admissible, self._episode, self._t, tokens, self._last, self._action)

    def view(self) -> Turn:
        """Return the whole episode."""
        return self._turn(tuple(self._segments), self._tokens)


class WindowMemory(FullMemory):
    """The opening text and the last `k` actions with what followed; what lies between is forgotten."""

    append_only = False

    def __init__(self, k: int, count: Counter = count_words) -> None:
        if k < 1:
            raise ValueError(f"window:{k}: a window keeps at least 1 action")
        super().__init__(count)
        self._k = k

    def view(self) -> Turn:
        """Return the opening text and the window."""
        kept = (self._segments[0], *self._segments[1:][-2 * self._k :])
        return self._turn(kept, total(kept, self._count))


def _opening(goal: str, observation: str) -> str:
    """Return the first observation, with the goal where the world does not state it itself."""
    return observation if goal in observation else f"{observation}\n\nGoal: {goal}"
