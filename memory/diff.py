"""Diff history: the first observation in full, then each action and what it changed.

Source: diff History, arXiv 2312.07540, Sec. 3 (unified diff of consecutive observations with no context lines). Ours: the
codecs `forward` and `cells`, which leave out what is removed; a full observation wherever the patch would not be
shorter, so that a diff history is never longer than the full one; and a budget that forgets in long strides. All of it
is inverted exactly by `observations`.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterator, Sequence
from difflib import SequenceMatcher
from typing import Any

from ..envs.errors import choice
from .core import Counter, Segment, Turn, count_words, total
from .history import FullMemory, Limits

CODECS = ("forward", "u0", "cells", "paper")
UNITS = ("line", "sentence")
_HUNK = re.compile(r"^@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@$")
_CELL = re.compile(r"^~(\d+):(\d+),(\d+) (.*)$", re.DOTALL)
_SENTENCE = re.compile(r"(?<=[.!?]) (?=\S)")
_KEY = "="


def operations(a: Sequence[str], b: Sequence[str]) -> list[tuple[int, int, int, int]]:
    """Return the changed spans (a_from, a_to, b_from, b_to) between two lists of lines, in order.

    What both begin and end with is set aside first; lists of one length that differ in few places are compared place
    by place, as screens are; only the rest is searched for the longest match (and never with difflib's `autojunk`).
    """
    head, short = 0, min(len(a), len(b))
    while head < short and a[head] == b[head]:
        head += 1
    tail = 0
    while tail < short - head and a[-1 - tail] == b[-1 - tail]:
        tail += 1
    mid_a, mid_b = a[head : len(a) - tail], b[head : len(b) - tail]
    if not mid_a and not mid_b:
        return []
    if not mid_a or not mid_b or (len(mid_a) == 1 and len(mid_b) == 1):
        return [(head, head + len(mid_a), head, head + len(mid_b))]
    if len(mid_a) == len(mid_b):
        changed = [i for i, (x, y) in enumerate(zip(mid_a, mid_b, strict=True)) if x != y]
        if 2 * len(changed) <= len(mid_a):
            return [(head + i, head + j, head + i, head + j) for i, j in _runs(changed)]
    codes = SequenceMatcher(None, mid_a, mid_b, autojunk=False).get_opcodes()
    return [(head + i, head + j, head + k, head + m) for tag, i, j, k, m in codes if tag != "equal"]


def _runs(places: Sequence[int]) -> list[tuple[int, int]]:
    out: list[tuple[int, int]] = []
    for i in places:
        if out and out[-1][1] == i:
            out[-1] = (out[-1][0], i + 1)
        else:
            out.append((i, i + 1))
    return out


def _span(start: int, length: int) -> str:
    begin = start + 1 if length else start
    return str(begin) if length == 1 else f"{begin},{length}"


def encode(a: Sequence[str], b: Sequence[str], codec: str) -> str:
    """Return the patch from `a` to `b`.

    `u0`: a unified diff without context, as GNU patch reads it. `forward`: the same without the removed lines. `cells`:
    where a line is only rewritten in part, the part alone: "~line:from,length new text" (line counted from 1, columns
    from 0). `paper`: difflib.unified_diff word for word, as the paper's data has it.

    >>> print(encode(["door closed", "cup"], ["door open", "cup"], "u0"))
    @@ -1 +1 @@
    -door closed
    +door open
    >>> print(encode(["HP:14(16) T:7", "cup"], ["HP:13(16) T:7", "cup"], "cells"))
    ~1:4,1 3
    """
    if codec == "paper":
        return "\n".join(list(difflib.unified_diff(a, b, n=0, lineterm=""))[2:])
    out = []
    for i, j, k, m in operations(a, b):
        if codec == "cells" and j - i == m - k:
            out += [_cell(i + n, a[i + n], b[k + n]) for n in range(j - i)]
            continue
        out.append(f"@@ -{_span(i, j - i)} +{_span(k, m - k)} @@")
        if codec == "u0":
            out += ["-" + line for line in a[i:j]]
        out += ["+" + line for line in b[k:m]]
    return "\n".join(out)


def _cell(index: int, old: str, new: str) -> str:
    head, short = 0, min(len(old), len(new))
    while head < short and old[head] == new[head]:
        head += 1
    tail = 0
    while tail < short - head and old[-1 - tail] == new[-1 - tail]:
        tail += 1
    return f"~{index + 1}:{head},{len(old) - tail - head} {new[head : len(new) - tail]}"


def decode(a: Sequence[str], patch: str) -> list[str]:
    """Apply a patch of any codec; the inverse of `encode`.

    Raises:
        ValueError: a line belongs to no codec.
    """
    out: list[str] = []
    at = 0
    for line in patch.split("\n") if patch else []:
        if line.startswith("+"):
            out.append(line[1:])
        elif hunk := _HUNK.match(line):
            start, length = int(hunk[1]), int(hunk[2] or 1)
            begin = start - 1 if length else start
            out += a[at:begin]
            at = begin + length
        elif cell := _CELL.match(line):
            row, first, size = int(cell[1]) - 1, int(cell[2]), int(cell[3])
            out += [*a[at:row], a[row][:first] + cell[4] + a[row][first + size :]]
            at = row + 1
        elif not line.startswith("-"):
            raise ValueError(f"patch line {line[:40]!r}: starts with none of @@, +, -, ~")
    return [*out, *a[at:]]


def is_patch(said: str) -> bool:
    """Whether a segment of a diff history is a patch; else it is an observation in full."""
    return said == "" or said.startswith(("@@ -", "~"))


def sentences(text: str) -> list[str]:
    """Return a text's sentences, with an empty one where a line ends; `prose` is the exact inverse.

    >>> sentences("A room. A cup.\\nGo on.")
    ['A room.', 'A cup.', '', 'Go on.']
    """
    out: list[str] = []
    for n, line in enumerate(text.split("\n")):
        out += [""] * (n > 0) + (_SENTENCE.split(line) if line else [])
    return out


def prose(units: Sequence[str]) -> str:
    """Return the text of `sentences`."""
    lines: list[list[str]] = [[]]
    for unit in units:
        if unit:
            lines[-1].append(unit)
        else:
            lines.append([])
    return "\n".join(" ".join(line) for line in lines)


class DiffMemory(FullMemory):
    """Full first observation, then patches; a patch that is not shorter gives way to the observation, marked "=".

    Over the budget the oldest steps go, and the observation that the rest builds on is written in full (a keyframe).

    codec: see `encode`. unit: what is compared, `line`, or `sentence` for prose. show: append the whole current
    observation to every view, behind "Now:". normalise: applied to an observation before it is compared, for ids and
    clocks that change without meaning; what it leaves out is left out of the history.
    """

    append_only = True

    def __init__(
        self,
        codec: str = "forward",
        count: Counter = count_words,
        limits: Limits | None = None,
        unit: str = "line",
        show: bool = False,
        normalise: Callable[[str], str] | None = None,
    ) -> None:
        for name, value, legal in (("codec", codec, CODECS), ("unit", unit, UNITS)):
            choice(f"diff: {name}", value, legal)
        super().__init__(count, limits)
        self._codec, self._unit, self._show = codec, unit, show
        self._normal = normalise or (lambda text: text)
        self.append_only = not show

    def begin(self, goal: str, observation: str, info: dict[str, Any], episode: int = 0) -> None:
        """Start an episode."""
        observation = self._normal(observation)
        super().begin(goal, observation, info, episode)
        self._first = self._lines = self._split(observation)

    def _split(self, observation: str) -> list[str]:
        return observation.split("\n") if self._unit == "line" else sentences(observation)

    def _join(self, lines: Sequence[str]) -> str:
        return "\n".join(lines) if self._unit == "line" else prose(lines)

    def _say(self, observation: str) -> str:
        observation = self._normal(observation)
        lines = self._split(observation)
        patch = encode(self._lines, lines, self._codec)
        self._lines = lines
        if len(patch) < len(observation):
            return patch
        return _KEY + observation if observation == "" or observation[0] in "@=~" else observation

    def _apply(self, lines: list[str], said: str) -> list[str]:
        if is_patch(said):
            return decode(lines, said)
        return self._split(said.removeprefix(_KEY))

    def _digest(self, gone: Sequence[tuple[Segment, Segment]]) -> str:
        for _, said in gone:
            self._first = self._apply(self._first, said.text)
        return f"{super()._digest(gone)}\n{_KEY}{self._join(self._first)}"

    def observations(self) -> Iterator[str]:
        """Yield every observation that the view still covers, rebuilt from the history alone."""
        lines = self._first
        yield self._join(lines)
        for _, said in self._steps:
            lines = self._apply(lines, said.text)
            yield self._join(lines)

    def _now(self) -> list[Segment]:
        """Return the current observation as the view shows it behind the history, where it does."""
        return [Segment("user", f"Now:\n{self._join(self._lines)}")] if self._show and self._steps else []

    def _beside(self) -> int:
        return total(self._now(), self._count)

    def view(self) -> Turn:
        """Return the history, with the whole current observation behind it where `show` asks for it."""
        kept = (*self._head, *(s for step in self._steps for s in step), *self._now())
        return self._turn(kept, self._tokens + self._beside())
