"""A SQLite database that can only be read, within limits that hold for any text."""

from __future__ import annotations

import re
import sqlite3
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

Row = tuple[object, ...]

MAX_ROWS = 10_000
MAX_CHARACTERS = 1_000_000
MAX_HEAP = 512 * 2**20  # of all SQLite in this process: SQLite has no limit for a connection alone
_EVERY = 10_000
_LIMITS = {
    sqlite3.SQLITE_LIMIT_LENGTH: 16_384,
    sqlite3.SQLITE_LIMIT_SQL_LENGTH: 8_192,
    sqlite3.SQLITE_LIMIT_EXPR_DEPTH: 100,
    sqlite3.SQLITE_LIMIT_COMPOUND_SELECT: 20,
    sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH: 200,
    sqlite3.SQLITE_LIMIT_ATTACHED: 0,
}
_READS = (sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_RECURSIVE)
_PRAGMAS = ("table_info", "table_list", "foreign_key_list", "index_list", "index_info")
_FUNCTIONS_REFUSED = (
    "load_extension", "random", "randomblob", "readfile", "writefile", "fts3_tokenizer", "current_time", "current_date",
    "current_timestamp",
)  # fmt: skip
_SHOW = re.compile(r"show\s+tables", re.IGNORECASE)
_DESCRIBE = re.compile(r"(?:describe|desc|show\s+columns\s+(?:from|in))\s+[`\"']?([\w ]+?)[`\"']?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Result:
    """What a query brought: the names of its columns and its rows, or why it brought nothing."""

    columns: tuple[str, ...] = ()
    rows: tuple[Row, ...] = ()
    error: str | None = None


def _may(action: int, first: str | None, second: str | None, _base: str | None, _inner: str | None) -> int:
    """Answer SQLite's authorizer: reading only, and no function of chance or of the clock alone.

    A date function may still be asked for 'now', since it is known to the authorizer by its name only; such an episode does
    not replay.
    """
    legal = action in _READS
    legal |= action == sqlite3.SQLITE_FUNCTION and (second or "").lower() not in _FUNCTIONS_REFUSED
    legal |= action == sqlite3.SQLITE_PRAGMA and (first or "").lower() in _PRAGMAS
    return sqlite3.SQLITE_OK if legal else sqlite3.SQLITE_DENY


class Database:
    """One open database.

    Nothing can write: a file is opened with `mode=ro`, and for every database SQLite's own authorizer refuses all but
    reading. A query is stopped after `instructions` steps of SQLite's machine, which replays exactly, and as a second
    guard after `seconds` of CPU time.
    """

    def __init__(self, connection: sqlite3.Connection, instructions: int = 5_000_000, seconds: float = 5.0) -> None:
        self._connection = connection
        self._budget = (instructions // _EVERY, seconds)
        self._left, self._deadline = self._budget
        connection.text_factory = lambda raw: raw.decode("utf-8", "replace")
        for name, most in _LIMITS.items():
            connection.setlimit(name, most)
        for pragma in ("temp_store=MEMORY", f"hard_heap_limit={MAX_HEAP}", "query_only=ON"):
            connection.execute(f"PRAGMA {pragma}")
        connection.set_authorizer(_may)
        connection.set_progress_handler(self._stop, _EVERY)

    @classmethod
    def file(cls, path: Path) -> Database:
        """Open a database file, for reading only."""
        if not path.is_file():
            raise FileNotFoundError(f"{path}: no such database; Spider keeps them as database/NAME/NAME.sqlite")
        connection = sqlite3.connect(
            path.resolve().as_uri() + "?mode=ro", uri=True, isolation_level=None, check_same_thread=False
        )
        return cls(connection)

    @classmethod
    def built(cls, statements: Iterable[str]) -> Database:
        """Build a database in memory from SQL that we trust, then shut it."""
        connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        connection.executescript("BEGIN;\n" + ";\n".join(statements) + ";\nCOMMIT;")
        return cls(connection)

    def close(self) -> None:
        """Free the connection."""
        self._connection.close()

    def _stop(self) -> bool:
        self._left -= 1
        return self._left < 0 or time.thread_time() > self._deadline

    def run(self, text: str) -> Result:
        """Run one statement, or MySQL's SHOW TABLES or DESCRIBE; bad text gives a result with an error."""
        query = text.strip().rstrip(";").strip()
        if _SHOW.fullmatch(query):
            found = self._run("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
            return Result(("table",), tuple(sorted(found.rows, key=str)))
        if named := _DESCRIBE.fullmatch(query):
            return self._describe(named[1])
        return self._run(query)

    def _describe(self, table: str) -> Result:
        quoted = '"' + table.replace('"', '""') + '"'
        columns = self._run(f"PRAGMA table_info({quoted})").rows
        if not columns:
            return Result(error=f"no such table: {table}")
        keys = {row[3]: f"-> {row[2]}.{row[4]}" for row in self._run(f"PRAGMA foreign_key_list({quoted})").rows}
        rows = tuple((c[1], c[2], "primary key" if c[5] else keys.get(c[1], "")) for c in columns)
        return Result(("column", "type", "key"), rows)

    def _run(self, query: str) -> Result:
        self._left, self._deadline = self._budget[0], time.thread_time() + self._budget[1]
        rows: list[Row] = []
        size = 0
        try:
            cursor = self._connection.execute(query)
            for row in cursor:
                rows.append(row)
                size += sum(len(v) for v in row if isinstance(v, (str, bytes)))
                if len(rows) > MAX_ROWS or size > MAX_CHARACTERS:
                    return Result(error=f"the result is over {MAX_ROWS:,} rows or {MAX_CHARACTERS:,} characters")
        except MemoryError:
            return Result(error="stopped: the query needs too much memory")
        except (sqlite3.Error, sqlite3.Warning, ValueError, OverflowError) as error:
            return Result(error=_reason(str(error)))
        if cursor.description is None:
            return Result(error="not a query: write one SELECT statement")
        return Result(tuple(d[0] for d in cursor.description), tuple(rows))


def _reason(message: str) -> str:
    if "not authorized" in message or "readonly" in message or "prohibited" in message:
        return "refused: this database can only be read"
    return "stopped: the query ran too long" if message == "interrupted" else message
