"""A view as people read it, line by line; patches in the colours that readers of patches know."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from . import memory_maker
from .core import Counter, Turn, count_words
from .diff import DiffMemory, is_patch
from .replay import turns
from .store import read

ACTION, HUNK, ADDED, REMOVED, PLAIN = "bold", "cyan", "green", "red", ""


def lines(turn: Turn, patches: bool) -> list[tuple[str, str]]:
    """Return a view's lines with their styles, in rich's names; joined by newlines they are `turn.text`.

    patches: whether the memory writes diffs, so that a line "-x" of an observation in full is not taken for a removed one.
    """
    out = []
    for n, segment in enumerate(turn.segments):
        if segment.role == "assistant":
            out += [(ACTION, line) for line in f"> {segment.text}".split("\n")]
        else:
            patch = patches and n > 0 and is_patch(segment.text)
            out += [(_style(line) if patch else PLAIN, line) for line in segment.text.split("\n")]
    return out


def _style(line: str) -> str:
    return {"@": HUNK, "-": REMOVED, "+": ADDED, "~": ADDED}.get(line[:1], PLAIN)


@dataclass(frozen=True, slots=True)
class Shown:
    """One episode as a memory holds it.

    title: number, task, goal and outcome. lines: see `lines`. tokens: of the view; whole: of everything that was said.
    """

    episode: int
    title: str
    lines: tuple[tuple[str, str], ...]
    tokens: int
    whole: int

    def row(self) -> dict[str, Any]:
        """Return it as JSON takes it, the lines as one text."""
        text = "\n".join(line for _, line in self.lines)
        return {"episode": self.episode, "title": self.title, "tokens": self.tokens, "whole": self.whole, "text": text}


def episodes(
    file: Path, memory: str, episode: int | None = None, step: int | None = None, count: Counter | None = None
) -> tuple[list[Shown], int]:
    """Return a file's episodes as a memory holds them, and the number of bytes that the file has lost.

    episode: only this one. step: before this action; after the last one by default.

    Raises:
        LookupError: there is no such memory, episode or step.
    """
    make = memory_maker(memory, count or count_words)
    full = memory_maker("full", count or count_words)
    stored, lost = read(file)
    if episode is not None and not 0 <= episode < len(stored):
        raise LookupError(f"episode {episode}: {file} has episodes 0 to {len(stored) - 1}")
    out = []
    for n, t in enumerate(stored):
        if episode not in (None, n):
            continue
        at = len(t.steps) if step is None else step
        if not 0 <= at <= len(t.steps):
            raise LookupError(f"step {at}: episode {n} has steps 0 to {len(t.steps)}")
        holds = make()
        view, whole = (next(islice(turns(t, m, last=True), at, None)) for m in (holds, full()))
        outcome = f"{'success' if t.success else 'failure'} in {len(t.steps)} steps by {t.agent}"
        title = f"episode {n}, {t.task}: {t.goal}: {outcome}"
        shown = tuple(lines(view, isinstance(holds, DiffMemory)))
        out.append(Shown(n, title, shown, view.tokens, whole.tokens))
    return out, lost
