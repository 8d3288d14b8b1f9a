"""The searching expert: it reads the schema through SHOW TABLES and DESCRIBE, then writes the query.

It never touches the database. It knows the patterns of the generated questions and reads them backwards: the words of a
question, looked up in the schema that it has read, fill the slots of the pattern's query.
"""

from __future__ import annotations

import re
from functools import lru_cache

from ..core import Info
from ..plain import backwards
from .generate import templates
from .names import Column, Table, Value, plural, words

_DESCRIBE = re.compile(r"\s*describe\s+(\w+)\s*;?\s*", re.IGNORECASE)


@lru_cache(maxsize=64)
def _patterns(nouns: tuple[str, ...], columns: tuple[str, ...]) -> list[tuple[re.Pattern[str], str]]:
    """Return the questions' patterns and their queries, given what a slot for a noun or a column may say."""
    legal = {"words": columns, "one": nouns, "many": nouns}

    def inner(slot: str) -> str:
        return "|".join(legal[slot.split(".")[-1]]) if "." in slot else ".+?"

    return [(backwards(row["ask"], inner), row["sql"]) for rows in templates().values() for row in rows]


def _endings(text: str) -> list[str]:
    parts = text.split()
    return [" ".join(parts[i:]) for i in range(len(parts))]


def _column(table: Table, text: str) -> Column | None:
    exact = [c for c in table.columns if c.words == text]
    return next(iter(exact or [c for c in table.columns if c.words.endswith(" " + text)]), None)


class SqlSearcher:
    """An expert without privilege for generated questions."""

    def begin(self, goal: str, observation: str, info: Info) -> None:
        """Start an episode."""
        self._goal = goal
        self._names: list[str] | None = None
        self._tables: dict[str, Table] = {}
        self._ready = False

    def observe(self, action: str, observation: str, info: Info) -> None:
        """Read the schema where an action showed it."""
        lines = [line.split(" |") for line in observation.splitlines()]
        if action.strip().lower().startswith("show tables"):
            self._names = [line[0] for line in lines[1:]]
        elif (named := _DESCRIBE.fullmatch(action)) and lines[0][0] == "column":
            columns = tuple(Column(line[0], words(line[0])) for line in lines[1:])
            refers = tuple(
                (m[1], line[0]) for line in lines[1:] if len(line) > 2 and (m := re.match(r" -> (\w+)\.", line[2]))
            )
            self._tables[named[1]] = Table(named[1], words(named[1]), columns, refers)
        self._ready = action.strip() == self._query()

    def act(self, hint: str | None = None) -> str:
        """Return the next action."""
        if self._names is None:
            return "SHOW TABLES"
        unread = [name for name in self._names if name not in self._tables]
        if unread:
            return f"DESCRIBE {unread[0]}"
        return "submit" if self._ready else self._query() or "submit"

    def _query(self) -> str | None:
        nouns = {n for t in self._tables.values() for n in (t.one, plural(t.one), t.one.removesuffix("s"))}
        nouns |= {t.one[:-3] + "y" for t in self._tables.values() if t.one.endswith("ies")}
        said = {e for t in self._tables.values() for c in t.columns for e in _endings(c.words)}
        longest = (tuple(sorted(group, key=lambda n: (-len(n), n))) for group in (nouns, said))
        for pattern, sql in _patterns(*longest):
            if (found := pattern.fullmatch(self._goal)) and (slots := self._slots(found.groupdict())):
                try:
                    return sql.format(**slots)
                except KeyError:
                    continue
        return None

    def _table(self, noun: str) -> Table | None:
        return next((t for t in self._tables.values() if noun in (t.one, plural(t.one)) or plural(noun) == t.one), None)

    def _slots(self, said: dict[str, str]) -> dict[str, object] | None:
        """Return what fills a query's slots, None where the schema has no such table or column."""
        slots: dict[str, object] = {}
        for group, text in said.items():
            if group in ("value", "other", "count"):
                slots[group] = Value(text)
            elif group in ("C__many", "C__one", "P__many", "P__one", "G__many", "G__one"):
                slots[group[0]] = self._table(text)
        for group, text in said.items():
            if group.endswith("cat__words") or group == "num__words":
                owner = slots.get({"p": "P", "g": "G"}.get(group[0], "C"))
                slots[group.partition("__")[0]] = _column(owner, text) if isinstance(owner, Table) else None
        if None in slots.values():
            return None
        for slot, child, parent in (("fk", "C", "P"), ("fk2", "P", "G")):
            below, above = slots.get(child), slots.get(parent)
            if isinstance(below, Table) and isinstance(above, Table):
                if above.name not in dict(below.refers):
                    return None
                slots[slot] = below.reference(above)
        return slots
