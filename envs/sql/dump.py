"""A MySQL dump, such as InterCode's, as statements for SQLite."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path

_STRING = re.compile(r"'((?:[^'\\]|\\.|'')*)'", re.DOTALL)
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "0": ""}
_DATABASE = re.compile(r"CREATE DATABASE\s.*?`(\w+)`")
_DROPPED = re.compile(r"^(UNIQUE |FULLTEXT |SPATIAL )?KEY |^CONSTRAINT ")
_NOISE = re.compile(
    r" (COLLATE|CHARACTER SET) \w+| AUTO_INCREMENT| unsigned| ON UPDATE CURRENT_TIMESTAMP| COMMENT '(?:[^'\\]|\\.)*'"
)
_TEXT = re.compile(r"^(`[^`]+`) ((?:long|medium|tiny)?text|(?:var)?char\(\d+\)|enum\([^)]*\))")


def _string(found: re.Match[str]) -> str:
    text = re.sub(r"\\(.)", lambda m: _ESCAPES.get(m[1], m[1]), found[1].replace("''", "'"), flags=re.DOTALL)
    return "'" + text.replace("'", "''") + "'"


def _create(lines: list[str]) -> str:
    """Return a table's definition: text compares as MySQL's does, whatever its case; keys but the primary are left out.

    >>> _create(["CREATE TABLE `t` (", "  `a` text COLLATE utf8mb4_bin,", "  KEY `a` (`a`)", ") ENGINE=InnoDB;"])
    'CREATE TABLE `t` (`a` text COLLATE NOCASE)'
    """
    fields = []
    for line in lines[1:-1]:
        field = line.strip().rstrip(",")
        if _DROPPED.match(field):
            continue
        if field.startswith("PRIMARY KEY"):
            field = re.sub(r"`\(\d+\)", "`", field)
        field = _NOISE.sub("", field)
        fields.append(_TEXT.sub(r"\1 text COLLATE NOCASE", field) if field.startswith("`") else field)
    return f"{lines[0].rstrip(' (')} ({', '.join(fields)})"


@lru_cache(maxsize=2)
def databases(file: Path) -> dict[str, list[str]]:
    """Return the statements that build each database of a dump."""
    out: dict[str, list[str]] = {}
    current: list[str] = []
    block: list[str] = []
    for line in file.read_text(encoding="utf-8").split("\n"):
        if block:
            block.append(line)
            if line.startswith(")"):
                current.append(_create(block))
                block = []
        elif line.startswith("CREATE TABLE"):
            block = [line]
        elif line.startswith("INSERT INTO"):
            current.append(_STRING.sub(_string, line.rstrip().rstrip(";")))
        elif found := _DATABASE.match(line):
            current = out.setdefault(found[1], [])
    return out
