"""Retrieval: past successes with the nearest goals stand before the history of a new episode."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from ..envs.search import Index
from .core import Counter, Memory, Segment, Turn, count_words
from .embed import Embeddings
from .history import Limits
from .store import gather
from .trajectory import Trajectory


class PrecededMemory:
    """An inner memory with a text before its history, fixed when an episode begins.

    make_inner: takes the budget that the text leaves, None for no budget. before: takes goal and info, and returns the
    text, empty for none.
    """

    def __init__(
        self,
        make_inner: Callable[[int | None], Memory],
        before: Callable[[str, dict[str, Any]], str],
        count: Counter = count_words,
        budget: int | None = None,
    ) -> None:
        self._make, self._before, self._count, self._budget = make_inner, before, count, budget
        self._inner = make_inner(budget)
        self.append_only = self._inner.append_only

    def begin(self, goal: str, observation: str, info: dict[str, Any], episode: int = 0) -> None:
        """Start an episode, with the text that it deserves."""
        text = self._before(goal, info)
        self._head = (Segment("user", text),) if text else ()
        self._size = self._count(text) if text else 0
        self._inner = self._make(None if self._budget is None else self._budget - self._size)
        self._inner.begin(goal, observation, info, episode)

    def record(self, action: str, observation: str, info: dict[str, Any], reply: str | None = None) -> None:
        """Hand a step to the inner memory."""
        self._inner.record(action, observation, info, reply)

    def view(self) -> Turn:
        """Return the text and the inner memory's view."""
        turn = self._inner.view()
        return replace(turn, segments=(*self._head, *turn.segments), tokens=turn.tokens + self._size)


class PastMemory(PrecededMemory):
    """The `k` past successes whose goals are nearest, the nearest last, then what an inner memory keeps.

    An episode never meets one of its own task, so that training on the episodes that it draws from shows it no answers;
    among goals equally near the shortest episode comes first. Under a budget the past takes at most `share` of it: an
    episode that does not fit is told by its actions alone, or left out.
    by: `bm25`, by shared words, where a goal that shares none is never near; else the encoder of `Embeddings`, by meaning.
    Source: retrieval of past episodes by goal, as in-context examples, after RAP, arXiv 2402.03610, there at every step;
    ours is once an episode, so that the prefix stays valid.
    """

    def __init__(
        self,
        make_inner: Callable[[int | None], Memory],
        source: Path,
        k: int,
        share: float = 0.5,
        count: Counter = count_words,
        limits: Limits | None = None,
        by: str = "bm25",
    ) -> None:
        self._past, self._index = episodes(source, by)
        self._k = k
        budget = (limits or Limits()).budget
        self._room = None if budget is None else room(budget, share)
        super().__init__(make_inner, self._recall, count, budget)

    def _recall(self, goal: str, info: dict[str, Any]) -> str:
        ranked = (self._past[int(i)] for i in self._index.search(goal, len(self._past)))
        text = ""
        for t in [t for t in ranked if t.task != info.get("task")][: self._k]:
            for told in (transcript(t), deeds(t)):
                whole = f"{told}\n\n{text}"
                if self._room is None or self._count(whole) <= self._room:
                    text = whole
                    break
        return text


@lru_cache(maxsize=8)
def _indexed(source: Path, by: str, stamp: tuple[int, ...]) -> tuple[tuple[Trajectory, ...], Index | Embeddings]:
    """Return a source's successes, shortest first, and the index of their goals; `stamp` changes when the files do."""
    won = [t for t in gather([source])[0] if t.success]
    if not won:
        raise ValueError(f"{source}: no successful episode to remember")
    won.sort(key=lambda t: (len(t.steps), t.task))
    ids, goals = [f"{i:08d}" for i in range(len(won))], [t.goal for t in won]
    return tuple(won), Index(ids, goals) if by == "bm25" else Embeddings(ids, goals, by)


def episodes(source: Path, by: str = "bm25") -> tuple[tuple[Trajectory, ...], Index | Embeddings]:
    """Return the successes of a store or a folder of stores, and the index of their goals.

    Raises:
        FileNotFoundError: it, or the encoder, is not there. ImportError: the encoder is not installed. ValueError: it holds
            no success.
    """
    files = sorted(source.rglob("*")) if source.is_dir() else [source]
    return _indexed(source, by, tuple(f.stat().st_mtime_ns for f in files))


def room(budget: int, share: float) -> int:
    """Return the tokens of a budget that the past may take."""
    return int(budget * share)


def transcript(t: Trajectory) -> str:
    """Return an episode in words."""
    said = [f"> {s.action}\n{o}" for s, o in zip(t.steps, t.observations[1:], strict=True)]
    return "\n".join([f"Earlier you reached the goal: {t.goal}", t.observations[0], *said])


def deeds(t: Trajectory) -> str:
    """Return an episode's actions alone."""
    return f"Earlier you reached the goal: {t.goal}\nby: {'; '.join(t.actions)}."
