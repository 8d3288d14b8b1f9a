"""Diff history: the first observation in full, then each action and what it changed.

Source: diff History, arXiv 2312.07540, Sec. 3 (unified diff of consecutive observations with no context lines). Ours: a
`forward` codec that leaves out the removed lines, and a full observation wherever the patch would not be shorter, so that
a diff history is never longer than the full one. Both are inverted exactly by `observations`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from difflib import SequenceMatcher
from typing import Any

from .core import Counter, count_words
from .history import FullMemory

CODECS = ("u0", "forward")
_HUNK = re.compile(r"^@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@$")
_KEY = "="


def operations(a: list[str], b: list[str]) -> list[tuple[int, int, int, int]]:
    """Return the changed spans (a_from, a_to, b_from, b_to) between two lists of lines, in order."""
    head = 0
    while head < min(len(a), len(b)) and a[head] == b[head]:
        head += 1
    tail = 0
    while tail < min(len(a), len(b)) - head and a[-1 - tail] == b[-1 - tail]:
        tail += 1
    mid_a, mid_b = a[head : len(a) - tail], b[head : len(b) - tail]
    if not mid_a and not mid_b:
        return []
    if not mid_a or not mid_b:
        return [(head, head + len(mid_a), head, head + len(mid_b))]
    codes = SequenceMatcher(None, mid_a, mid_b, autojunk=False).get_opcodes()
    return [(head + i, head + j, head + k, head + m) for tag, i, j, k, m in codes if tag != "equal"]


def _span(start: int, length: int) -> str:
    begin = start + 1 if length else start
    return str(begin) if length == 1 else f"{begin},{length}"


def encode(a: list[str], b: list[str], codec: str) -> str:
    """Return the patch from `a` to `b`; `u0` is a unified diff without context, `forward` has no removed lines.

    >>> print(encode(["door closed", "cup"], ["door open", "cup"], "u0"))
    @@ -1 +1 @@
    -door closed
    +door open
    """
    out = []
    for i, j, k, m in operations(a, b):
        out.append(f"@@ -{_span(i, j - i)} +{_span(k, m - k)} @@")
        if codec == "u0":
            out += ["-" + line for line in a[i:j]]
        out += ["+" + line for line in b[k:m]]
    return "\n".join(out)


def decode(a: list[str], patch: str) -> list[str]:
    """Apply a patch of either codec; the inverse of `encode`."""
    out: list[str] = []
    at = 0
    for line in patch.split("\n") if patch else []:
        hunk = _HUNK.match(line)
        if hunk:
            start, length = int(hunk[1]), int(hunk[2] or 1)
            begin = start - 1 if length else start
            out += a[at:begin]
            at = begin + length
        elif line.startswith("+"):
            out.append(line[1:])
    return out + a[at:]


class DiffMemory(FullMemory):
    """Full first observation, then patches; a patch that is not shorter gives way to the observation, marked "="."""

    append_only = True

    def __init__(self, codec: str = "forward", count: Counter = count_words) -> None:
        if codec not in CODECS:
            raise ValueError(f"diff:{codec}: the codecs are {', '.join(CODECS)}")
        super().__init__(count)
        self._codec = codec

    def begin(self, goal: str, observation: str, info: dict[str, Any], episode: int = 0) -> None:
        """Start an episode."""
        super().begin(goal, observation, info, episode)
        self._first = self._lines = observation.split("\n")
        self._said: list[str] = []

    def _say(self, observation: str) -> str:
        lines = observation.split("\n")
        patch = encode(self._lines, lines, self._codec)
        self._lines = lines
        said = patch if len(patch) < len(observation) else observation
        if said is observation and (observation == "" or observation[0] in "@="):
            said = _KEY + observation
        self._said.append(said)
        return said

    def observations(self) -> Iterator[str]:
        """Yield every observation, rebuilt from the history alone."""
        lines = self._first
        yield "\n".join(lines)
        for said in self._said:
            if said.startswith("@@ -") or said == "":
                lines = decode(lines, said)
            else:
                lines = (said[1:] if said.startswith(_KEY) else said).split("\n")
            yield "\n".join(lines)
