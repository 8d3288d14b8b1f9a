"""Procedural databases and questions: any number, four levels, answers that are never empty.

A schema is a chain of three tables, each referring to the one before. How tables and columns are named differs from
database to database, so that the schema must be read. `train` and `valid` share schemas and no database; `test` has
schemas of its own. Every question with more than one row in its answer states the order, because the reward counts it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import Any

import numpy as np

from .database import Database, Row
from .names import STYLES, Column, Table, Value, table

LEVELS = ("easy", "medium", "hard", "extra")
SIZES = {"train": 2000, "valid": 200, "test": 200}
PER_DATABASE = 20
_ROWS = ((5, 8), (8, 14), (24, 48))


@dataclass(frozen=True, slots=True)
class Question:
    """A question in words, the query that answers it, how hard it is, and the database it is about."""

    text: str
    gold: str
    kind: str
    database: str


@dataclass(frozen=True, slots=True)
class Made:
    """A generated database: its tables from the first ancestor on, what each column holds, and its rows."""

    name: str
    tables: tuple[Table, ...]
    kinds: tuple[dict[str, str], ...]
    rows: tuple[tuple[Row, ...], ...]

    def statements(self) -> list[str]:
        """Return the SQL that builds it."""
        out = []
        for one, kinds, rows in zip(self.tables, self.kinds, self.rows, strict=True):
            fields = [f"{c} {_type(kinds.get(c.words, 'number'))}" for c in one.columns]
            fields[0] += " PRIMARY KEY"
            for other, column in one.refers:
                key = next(t.key for t in self.tables if t.name == other)
                fields.append(f"FOREIGN KEY ({column}) REFERENCES {other}({key})")
            out.append(f"CREATE TABLE {one} ({', '.join(fields)})")
            values = ", ".join(f"({', '.join(_literal(v) for v in row)})" for row in rows)
            out.append(f"INSERT INTO {one} VALUES {values}")
        return out


def _type(spec: str) -> str:
    return {"label": "TEXT", "category": "TEXT", "money": "REAL"}.get(spec.split()[0], "INTEGER")


def _literal(value: object) -> str:
    return Value(value).sql if isinstance(value, str) else str(value)


@lru_cache(maxsize=2)
def _data(name: str) -> dict[str, Any]:
    rows: dict[str, Any] = json.loads(resources.files(__package__).joinpath(name).read_text(encoding="utf-8"))
    return rows


def templates() -> dict[str, list[dict[str, str]]]:
    """Return the questions' patterns by level: `ask` in words and `sql`, with the same slots."""
    return _data("questions.json")


def schemas(split: str) -> list[str]:
    """Return the names of the schemas of a split."""
    drawn = "test" if split == "test" else "train"
    return [name for name, schema in _data("schemas.json")["schemas"].items() if schema["split"] == drawn]


def _column(spec: str, n: int, rng: np.random.Generator) -> list[object]:
    """Draw n values of a column; labels never repeat."""
    pools = _data("schemas.json")["pools"]
    what, _, rest = spec.partition(" ")
    if what == "label":
        first, second = (pools[p] for p in rest.split())
        drawn = rng.choice(len(first) * len(second), size=n, replace=False)
        return [f"{first[i // len(second)]} {second[i % len(second)]}" for i in drawn]
    if what == "category":
        legal = pools[rest[1:]] if rest.startswith("@") else rest.split("|")
        some = rng.permutation(len(legal))[: max(2, len(legal) - 2)]
        return [legal[some[i]] for i in rng.integers(len(some), size=n)]
    low, high = map(int, rest.split())
    if what == "money":
        return [round(float(v), 2) for v in rng.uniform(low, high, size=n)]
    return [int(v) for v in rng.integers(low, high + 1, size=n)]


@lru_cache(maxsize=256)
def database(split: str, index: int, seed: int = 0) -> Made:
    """Return database `index` of a split; the same arguments give the same rows."""
    if split not in SIZES or index < 0:
        raise ValueError(f"database {index} of split {split!r}: the splits are {sorted(SIZES)}, an index is 0 or more")
    rng = np.random.default_rng([seed, list(SIZES).index(split), index])
    names = schemas(split)
    name = names[index % len(names)]
    style = STYLES[int(rng.integers(len(STYLES)))]
    tables: list[Table] = []
    kinds, rows = [], []
    above = 0
    for (one, specs), (least, most) in zip(
        _data("schemas.json")["schemas"][name]["tables"].items(), _ROWS, strict=True
    ):
        n = int(rng.integers(least, most + 1))
        columns = [list(range(1, n + 1)), *(_column(spec, n, rng) for spec in specs.values())]
        if tables:  # one ancestor in five has no descendant
            kept = rng.permutation(above)[: max(2, above - max(1, above // 5))] + 1
            columns.append([int(kept[i]) for i in rng.integers(len(kept), size=n)])
        tables.append(table(one, tuple(specs), tables[-1].one if tables else None, style))
        kinds.append(dict(specs))
        rows.append(tuple(zip(*columns, strict=True)))
        above = n
    return Made(name, tuple(tables), tuple(kinds), tuple(rows))


def _slots(made: Made, template: dict[str, str], rng: np.random.Generator) -> dict[str, object] | None:
    """Draw what fills a template's slots; None where the drawn tables lack a column for it."""
    text = template["ask"] + template["sql"]
    depth = 2 if "{G" in text else 1 if "{P" in text else 0
    at = int(rng.integers(depth, len(made.tables)))
    slots: dict[str, object] = {"count": int(rng.integers(2, 5))}
    for role, level in zip("CPG", range(at, at - depth - 1, -1), strict=False):
        slots[role] = made.tables[level]

    def column(level: int, *whats: str) -> Column | None:
        legal = [c for c in made.tables[level].columns if made.kinds[level].get(c.words, "").split(" ")[0] in whats]
        return legal[int(rng.integers(len(legal)))] if legal else None

    for slot, level, whats in (
        ("num", at, ("number", "money")), ("cat", at, ("category",)), ("pcat", at - 1, ("category",)),
        ("gcat", at - 2, ("category",)),
    ):  # fmt: skip
        if "{" + slot in text:
            slots[slot] = column(level, *whats)
            if slots[slot] is None:
                return None
    if depth:
        slots["fk"] = made.tables[at].reference(made.tables[at - 1])
    if depth == 2:
        slots["fk2"] = made.tables[at - 1].reference(made.tables[at - 2])
    if of := template.get("value"):
        role, _, attribute = of.partition(".")
        level = at - 1 if role in ("P", "pcat") else at
        held = getattr(slots[role], attribute) if attribute else slots[role]
        here = [str(row[made.tables[level].columns.index(held)]) for row in made.rows[level]]
        drawn = rng.permutation(len(here))
        slots["value"] = Value(here[drawn[0]])
        others = [here[i] for i in drawn if here[i] != here[drawn[0]]]
        slots["other"] = Value(others[0]) if others else None
    return slots


@lru_cache(maxsize=4096)
def make(split: str, index: int, seed: int = 0) -> Question:
    """Return question `index` of a split; levels go round, and PER_DATABASE neighbours share a database."""
    number = index // PER_DATABASE
    made = database(split, number, seed)
    level = LEVELS[index % len(LEVELS)]
    rng = np.random.default_rng([seed, list(SIZES).index(split), number, index])
    built = _built(split, number, seed)
    while True:
        legal = templates()[level]
        template = legal[int(rng.integers(len(legal)))]
        slots = _slots(made, template, rng)
        if slots is None or ("{other}" in template["ask"] and slots["other"] is None):
            continue
        gold = template["sql"].format(**slots)
        found = built.run(gold)
        if 0 < len(found.rows) <= 30 and all(v is not None for row in found.rows for v in row):
            return Question(template["ask"].format(**slots), gold, level, f"{split}/{number}")


@lru_cache(maxsize=8)
def _built(split: str, number: int, seed: int) -> Database:
    return Database.built(database(split, number, seed).statements())
