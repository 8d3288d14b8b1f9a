"""The searching expert: it reads a task backwards into its command, and looks into a file where the words do not do.

It knows how generated tasks are worded and nothing of the files.
"""

from __future__ import annotations

from functools import lru_cache
from re import Pattern

from ..core import Info
from ..plain import backwards
from .generate import templates


@lru_cache(maxsize=1)
def _patterns() -> list[tuple[Pattern[str], str]]:
    rows = [row for rows in templates().values() for row in rows]
    return [(backwards(row["ask"], lambda slot: r"\S+?"), row["gold"]) for row in rows]


class BashSearcher:
    """An expert without privilege for generated tasks."""

    def begin(self, goal: str, observation: str, info: Info) -> None:
        """Start an episode."""
        self._slots, self._gold = next(
            ((found.groupdict(), gold) for pattern, gold in _patterns() if (found := pattern.fullmatch(goal))), ({}, "")
        )
        self._done = ""

    def observe(self, action: str, observation: str, info: Info) -> None:
        """Read where a column is, and whether the command was given."""
        if action == self._look():
            columns = observation.split(",")
            if (column := self._slots["column"]) in columns:
                self._slots["index"] = str(columns.index(column) + 1)
        self._done = action

    def _look(self) -> str:
        return f"head -n 1 {self._slots['csv']}" if "column" in self._slots else ""

    def act(self, hint: str | None = None) -> str:
        """Return the next action: a look at the columns, the command, `submit`."""
        if "{index}" in self._gold and "index" not in self._slots and self._done != self._look():
            return self._look()
        try:
            command = self._gold.format(**self._slots)
        except KeyError:  # the file has no such column
            return "submit"
        return "submit" if not command or self._done == command else command
