"""How things are called in words and in SQL: the question speaks of record labels, the database of `RecordLabel`."""

from __future__ import annotations

import re
from dataclasses import dataclass

STYLES = ("plain", "plural", "prefixed", "camel")


def plural(word: str) -> str:
    """Return the plural of a noun.

    >>> [plural(w) for w in ("book", "company", "record label")]
    ['books', 'companies', 'record labels']
    """
    return word[:-1] + "ies" if re.search(r"[^aeiou]y$", word) else word + "s"


def words(identifier: str) -> str:
    """Return the words of an identifier.

    >>> words("RecordLabelId"), words("blood_type")
    ('record label id', 'blood type')
    """
    return re.sub(r"(?<=[a-z])(?=[A-Z])|_", " ", identifier).lower()


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its identifier and its words."""

    name: str
    words: str

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class Table:
    """A table: its identifier, its noun, its columns (the key first, then what names a row), and what refers where."""

    name: str
    one: str
    columns: tuple[Column, ...]
    refers: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        return self.name

    @property
    def many(self) -> str:
        """The noun's plural."""
        return plural(self.one)

    @property
    def key(self) -> Column:
        """The primary key."""
        return self.columns[0]

    @property
    def label(self) -> Column:
        """What a row is called by."""
        return self.columns[1]

    def reference(self, other: Table) -> str:
        """Return the identifier of the column that refers to another table."""
        return dict(self.refers)[other.name]


@dataclass(frozen=True, slots=True)
class Value:
    """A value as a question writes it and, in `sql`, as a query does."""

    text: str

    def __str__(self) -> str:
        return self.text

    @property
    def sql(self) -> str:
        """The value as an SQL string."""
        return "'" + self.text.replace("'", "''") + "'"


def _join(text: str, style: str) -> str:
    return "".join(w[0].upper() + w[1:] for w in text.split()) if style == "camel" else text.replace(" ", "_")


def table(one: str, columns: tuple[str, ...], parent: str | None, style: str) -> Table:
    """Return a table named in one of the STYLES, with a key of its own and a reference to its parent's."""

    def named(noun: str) -> str:
        return _join(plural(noun) if style == "plural" else noun, style)

    prefix = f"{one} " if style == "prefixed" else ""
    key = "id" if style in ("plain", "camel") else f"{one} id"
    fields = [Column(_join(key, style), key), *(Column(_join(prefix + c, style), c) for c in columns)]
    refers: tuple[tuple[str, str], ...] = ()
    if parent is not None:
        fields.append(Column(_join(f"{parent} id", style), f"{parent} id"))
        refers = ((named(parent), fields[-1].name),)
    return Table(named(one), one, tuple(fields), refers)
