"""Tasks: a template of `data/tasks.json`, filled from words and rows by a seed, becomes a start and a wanted end.

A level says what it takes: 0 one tap on the open screen; 1 find the screen; 2 fill a form; 3 pick one among many;
4 carry what was read elsewhere, or answer; 5 several things on a rough phone; 6 notice that it cannot be done.
"""

from __future__ import annotations

import hashlib
import random
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from types import SimpleNamespace
from typing import Any

from .apps import Row, book, data, named
from .state import Db, Fact, Frame, State, difference, frame, merged, replaced, setting, with_row, with_setting

LEVELS = tuple(f"L{i}" for i in range(7))
PHONES = 128


@dataclass(frozen=True, slots=True)
class Template:
    """A kind of task, as written in the data: what is drawn, picked or absent, the goal, and the wanted changes in order."""

    name: str
    level: int
    goal: str
    want: tuple[tuple[Any, ...], ...] = ()
    before: tuple[tuple[Any, ...], ...] = ()
    draw: Mapping[str, str] | None = None
    pick: Mapping[str, Sequence[Any]] | None = None
    absent: Mapping[str, Sequence[Any]] | None = None
    flip: tuple[str, ...] = ()
    start: str = "home"
    at: str = ""
    answer: str = ""
    infeasible: str = ""
    source: str = ""
    copy: str = ""


@dataclass(frozen=True, slots=True)
class Change:
    """One wanted change, in full: a setting's value, or a row that goes (`old`), comes (`new`) or becomes another."""

    table: str
    old: Row | None = None
    new: Row | None = None


@dataclass(frozen=True, slots=True)
class Task:
    """A task made: where it starts, the goal in words, and when it is won.

    changes: what is wanted, in a sensible order. end: the tables with all of it made; wanted: how they differ from the
    start. at: the page to stop on. answer: what to answer. infeasible: the page to be looked at when giving up. source:
    (table, row) of what has to be read; copy: the field of it that is carried elsewhere.
    """

    template: str
    level: int
    goal: str
    start: State
    end: Db
    wanted: Counter[Fact]
    changes: tuple[Change, ...]
    at: str = ""
    answer: str = ""
    infeasible: str = ""
    source: tuple[str, Row] | None = None
    copy: str = ""


@lru_cache(maxsize=1)
def templates() -> dict[str, Template]:
    """Return every template by name."""
    out = {}
    for raw in data("tasks.json"):
        raw["source"] = raw.pop("from", "")
        lists = {
            k: tuple(tuple(op) if isinstance(op, list) else op for op in v)
            for k, v in raw.items()
            if isinstance(v, list)
        }
        out[raw["name"]] = Template(**(raw | lists))
    return out


@lru_cache(maxsize=2)
def _words(unseen: bool) -> dict[str, Any]:
    """Return the word lists; open lists are cut, so that `test` has names and titles of its own."""
    raw = data("words.json")
    cut = {k: v[2 * len(v) // 3 :] if unseen else v[: 2 * len(v) // 3] for k, v in raw["open"].items()}
    return {"lists": raw["closed"] | cut, "patterns": raw["patterns"], "rows": raw["rows"]}


class _Maker:
    """Draws words and rows for one task from one generator."""

    def __init__(self, rng: random.Random, unseen: bool) -> None:
        self.rng = rng
        self.words = _words(unseen)

    def draw(self, what: str) -> str:
        if what in self.words["lists"]:
            return str(self.rng.choice(self.words["lists"][what]))
        pattern = self.words["patterns"][what]
        filled = re.sub(r"\{(\w+)\}", lambda m: self.draw(m[1]), pattern)
        return re.sub("#", lambda _: str(self.rng.randrange(1, 10)), filled)

    def fresh(self, what: str, used: set[str]) -> str:
        """Draw something that the phone does not hold yet; words of short lists may come again."""
        value = self.draw(what)
        for _ in range(0 if what in self.words["lists"] else 1000):
            if value not in used:
                break
            value = self.draw(what)
        return value

    def db(self) -> Db:
        """Draw all that a phone holds."""
        out: dict[str, tuple[Row, ...]] = {
            "settings": tuple((name, self.rng.choice(options)) for name, (_, *options) in book().settings.items())
        }
        for table, plan in self.words["rows"].items():
            used: set[str] = set()
            rows = []
            for _ in range(self.rng.randint(plan["least"], plan["most"])):
                first = self.fresh(plan["fields"][0], used)
                used.add(first)
                rows.append((first, *(self.draw(f) for f in plan["fields"][1:])))
            out[table] = tuple(rows)
        return out


@lru_cache(maxsize=3 * PHONES)
def phone(split: str, number: int, seed: int) -> Db:
    """Return what one owner's phone holds; a split has PHONES of them, shared by its tasks."""
    return _Maker(_generator(f"{seed} {split} phone {number}"), split == "test").db()


def _generator(words: str) -> random.Random:
    return random.Random(int.from_bytes(hashlib.sha256(words.encode()).digest()[:8], "big"))


def make(name: str, split: str, index: int, seed: int = 0) -> Task:
    """Return the task of a template at a place in a split; the same arguments give the same task."""
    rng = _generator(f"{seed} {split} {index} {name}")
    maker = _Maker(rng, split == "test")
    while True:  # a phone may hold nothing that the template needs: then another one
        task = _fill(templates()[name], maker, phone(split, rng.randrange(PHONES), seed))
        if task is not None:
            return task


def _fill(template: Template, maker: _Maker, db: Db) -> Task | None:
    for op in template.before:
        if op[0] == "trim":
            db = {**db, op[1]: db[op[1]][: op[2]]}
    picked = _picked(template, maker, db)
    if picked is None:
        return None
    tables = {key: table for key, (table, *_) in (template.pick or {}).items()}
    names = _drawn(template, maker, db)
    names |= {k: SimpleNamespace(**named(tables[k], rows[0])) for k, rows in picked.items()}
    if template.flip:
        names |= _flipped(template, maker, db)

    def changes(ops: Sequence[tuple[Any, ...]]) -> list[Change]:
        out = []
        for kind, target, *rest in ops:
            if kind == "set":
                out.append(Change("settings", new=(target.format_map(names), rest[0].format_map(names))))
            elif kind == "add":
                out.append(Change(target, new=tuple(rest[0][f].format_map(names) for f in book().tables[target])))
            elif kind in ("remove", "change"):
                for row in picked[target]:
                    after = {k: v.format_map(names) for k, v in rest[0].items()} if rest else None
                    new = None if after is None else merged(tables[target], row, after)
                    out.append(Change(tables[target], row, new))
        return out

    before = changes(template.before)
    for change in before:
        db = applied(db, change)
    for change in before:
        if change.table != "settings":
            rows = db[change.table]
            db = {**db, change.table: tuple(maker.rng.sample(rows, len(rows)))}
    wanted = () if template.infeasible else tuple(changes(template.want))
    end = db
    for change in wanted:
        end = applied(end, change)
    opened = frame(template.start, picked["r"][0] if "r" in picked else None)
    stack = (Frame("home"),) if template.start == "home" else (Frame("home"), opened)
    return Task(
        template=template.name, level=template.level, goal=template.goal.format_map(names),
        start=State(db, stack), end=end, wanted=difference(db, end), changes=wanted, at=template.at,
        answer=template.answer.format_map(names), infeasible=template.infeasible, copy=template.copy,
        source=(tables[template.source], picked[template.source][0]) if template.source else None,
    )  # fmt: skip


def _picked(template: Template, maker: _Maker, db: Db) -> dict[str, list[Row]] | None:
    """The rows that a template is about; None where the phone holds none that fit."""
    picked: dict[str, list[Row]] = {}
    for key, (table, *rest) in (template.pick or {}).items():
        where = rest[0] if rest else {}
        fit = [r for r in db[table] if where.items() <= named(table, r).items() and [r] not in picked.values()]
        if not fit or (len(rest) == 2 and not 2 <= len(fit) <= 4):
            return None
        picked[key] = fit if len(rest) == 2 else [maker.rng.choice(fit)]
    return picked


def _drawn(template: Template, maker: _Maker, db: Db) -> dict[str, Any]:
    """The texts that a template makes up, none of which the phone holds."""
    used = {cell for rows in db.values() for row in rows for cell in row}
    names: dict[str, Any] = {}
    for k, v in (template.draw or {}).items():
        names[k] = maker.fresh(v, used)
        used.add(names[k])
    return names


def _flipped(template: Template, maker: _Maker, db: Db) -> dict[str, Any]:
    """A setting of a template and another value for it."""
    key = maker.rng.choice(template.flip)
    label, *options = book().settings[key]
    others = [o for o in options if o != setting(db, key)]
    return {"setting": key, "label": label, "value": maker.rng.choice(others)}


def applied(db: Db, change: Change) -> Db:
    """Return the tables with a change made."""
    if change.table == "settings" and change.new is not None:
        return with_setting(db, *change.new)
    if change.old is not None:
        return replaced(db, change.table, change.old, change.new)
    assert change.new is not None
    return with_row(db, change.table, change.new)
