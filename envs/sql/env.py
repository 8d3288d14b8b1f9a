"""SQL as a TextEnv."""

from __future__ import annotations

import hashlib
import re
from collections import OrderedDict
from typing import cast

from gymnasium import spaces

from .. import ids
from ..core import CHARSET, SPLITS, Info, Privileged, Searcher, TextEnv
from ..errors import at_least, choice, only_with
from ..plain import plain
from . import generate, load
from .database import Database, Result
from .generate import LEVELS, Question
from .reward import reward
from .searcher import SqlSearcher

QUESTIONS = ("generated", "spider", "intercode")
_OPEN = 16
_LINE = "Your task is to query the SQLite database and submit the answer. SHOW TABLES, DESCRIBE table and SELECT are allowed."


def shown(result: Result, rows: int) -> str:
    """Return a result as an agent sees it: a line of column names, a line for each row, a note of what is left out."""
    if result.error is not None:
        return f"Error: {result.error}"
    if not result.rows:
        return "No rows."
    lines = [" | ".join("NULL" if v is None else str(v) for v in row) for row in result.rows[:rows]]
    if len(result.rows) > rows:
        lines.append(f"... {len(result.rows):,} rows in all")
    return "\n".join(line.rstrip() for line in (" | ".join(result.columns), *lines))


class SqlEnv(TextEnv):
    """Questions about a database, answered by queries, after InterCode.

    Observation: the question first; then a query's column names and first rows, or `Error: ...`.
    Actions: one SQL query, MySQL's `SHOW TABLES` and `DESCRIBE table`, or `submit`, which hands in the last result.
    What is not a query, cannot run, or would write: an error, and the step counts. The database can only be read.
    Reward: 0 until `submit`; then InterCode's: the overlap of rows, as multisets, times the agreement of their order
    (`reward.py`); negative where the order is wrong. Score is the same, no less than 0; success is a reward of 1.
    Terminates on `submit`; truncates after 10 steps.
    Tasks: four levels, easy, medium, hard, extra. `train` and `valid` share schemas; `test` has schemas of its own.
    Privileged: the gold query and its rows.
    Source: InterCode, arXiv 2306.14898. Ours: SQLite instead of a MySQL server in a container; `generated` databases and
    questions, so that nothing need be downloaded; every query within a fixed number of steps of SQLite's machine.

    >>> env = SqlEnv()
    >>> observation, info = env.reset(options={"task": env.tasks("test")[0]})
    >>> info["goal"]
    'List in alphabetical order the name of every one of the ports whose depth is over 31.'

    questions: `generated`, `spider` or `intercode`, the last two from files under the folder `data`. rows: how many
    rows of a result are shown. questions_seed: of generated ones. train, valid, test: how many of them a split lists.
    """

    summary = "questions answered by SQL on read-only databases, after InterCode; 10 steps"

    def __init__(
        self,
        *,
        questions: str = "generated",
        data: str | None = None,
        rows: int = 20,
        questions_seed: int = 0,
        train: int = generate.SIZES["train"],
        valid: int = generate.SIZES["valid"],
        test: int = generate.SIZES["test"],
        max_steps: int = 10,
    ) -> None:
        super().__init__(max_steps=max_steps)
        at_least(1, rows=rows)
        at_least(0, questions_seed=questions_seed)
        self.questions = choice("questions", questions, QUESTIONS)
        if questions == "generated":
            only_with(f"questions={' or '.join(q for q in QUESTIONS if q != 'generated')}", data=data)
        self.rows, self.questions_seed = rows, questions_seed
        self.action_space = spaces.Text(max_length=2048, min_length=0, charset=CHARSET)
        self._sizes = {"train": train, "valid": valid, "test": test}
        self._loaded = None if questions == "generated" else load.load(questions, data)
        self._databases: OrderedDict[str, Database] = OrderedDict()
        self._task = ""
        self._question: Question | None = None
        self._gold: Result = Result()
        self._last_result: Result | None = None
        self._submitted = False

    def tasks(self, split: str) -> list[str]:
        """Return a split's ids: `test/00003-extra` for generated questions, `test/pets_1-00012` for loaded ones."""
        if self._loaded is not None:
            return list(self._loaded.questions[choice("split", split, SPLITS)])
        return ids.listed(split, self._sizes, LEVELS)

    def split_hash(self, split: str) -> str:
        """Return a short hash of a split's tasks; questions of another seed have another."""
        base = super().split_hash(split)
        if self._loaded is not None or self.questions_seed == 0:
            return base
        return hashlib.sha256(f"{base} {self.questions_seed}".encode()).hexdigest()[:12]

    def _find(self, task: str) -> Question:
        if self._loaded is not None:
            split = task.split("/", 1)[0]
            if task not in self._loaded.questions.get(split, {}):
                raise ValueError(f"task {task!r}: not one of {self.questions}; env.tasks('test') lists them")
            return self._loaded.questions[split][task]
        return generate.make(*ids.read(task, LEVELS), self.questions_seed)

    def _database(self, name: str) -> Database:
        """Return a database, open; the least recently used of more than `_OPEN` is closed."""
        if name not in self._databases:
            if self._loaded is not None:
                self._databases[name] = self._loaded.open(name)
            else:
                split, number = name.split("/")
                made = generate.database(split, int(number), self.questions_seed)
                self._databases[name] = Database.built(made.statements())
        self._databases.move_to_end(name)
        if len(self._databases) > _OPEN:
            self._databases.popitem(last=False)[1].close()
        return self._databases[name]

    def _begin(self, task: str) -> tuple[str, Info]:
        question = self._find(task)
        self._task, self._question = task, question
        self._gold = self._database(question.database).run(question.gold)
        self._last_result, self._submitted = None, False
        return f"{_LINE}\nQuestion: {plain(question.text, 2000)}", self._info(0.0)

    def _act(self, action: str) -> tuple[str, float, bool, Info]:
        question = self._now()
        if action.strip().lower() == "submit":
            earned = reward(self._last_result, self._gold)
            self._submitted = True
            return f"Submitted; the reward is {earned:.2f}.", earned, True, self._info(earned)
        result = self._database(question.database).run(action)
        self._last_result = result
        return plain(shown(result, self.rows), 4000), 0.0, False, self._info(0.0, invalid=result.error is not None)

    def _info(self, earned: float, invalid: bool = False) -> Info:
        question = self._now()
        return Info(
            goal=plain(question.text, 2000), admissible=None, success=earned == 1.0, score=max(0.0, earned),
            task=self._task, kind=question.kind, invalid=invalid,
        )  # fmt: skip

    def _now(self) -> Question:
        if self._question is None:
            raise RuntimeError("no question is asked: call reset() first")
        return self._question

    def privileged(self) -> Privileged:
        """Return the gold query, its rows, and the query and `submit` as far as they are still to be done."""
        question = self._now()
        facts = (f"The query is: {question.gold}", f"It brings:\n{plain(shown(self._gold, self.rows), 2000)}")
        if self._submitted or self._gold.error is not None:
            return Privileged(facts, ())
        if reward(self._last_result, self._gold) == 1.0:
            return Privileged(facts, ("submit",), distance=1)
        return Privileged(facts, (question.gold, "submit"), self._identifiers(question), distance=2)

    def _identifiers(self, question: Question) -> tuple[str, ...]:
        """Return the tables and columns that the gold query names, as SHOW TABLES and DESCRIBE write them."""
        database = self._database(question.database)
        used = {w.lower() for w in re.findall(r"\w+", question.gold)}
        tables = [str(row[0]) for row in database.run("SHOW TABLES").rows]
        named = [t for t in tables if t.lower() in used]
        columns = [str(row[0]) for t in named for row in database.run(f"DESCRIBE {t}").rows]
        return tuple(dict.fromkeys([*named, *(c for c in columns if c.lower() in used)]))

    def searcher(self) -> Searcher:
        """Return the searching expert, which reads the schema first; it knows how generated questions are worded."""
        if self._loaded is not None:
            raise LookupError(f"questions={self.questions!r} have no searching expert: use questions='generated'")
        return SqlSearcher()

    def snapshot(self) -> object:
        """Return the state: the database never changes, so the last result is all there is."""
        return (
            self._task,
            self._question,
            self._gold,
            self._last_result,
            self._submitted,
            self._t,
            self._open,
            self._last,
        )

    def restore(self, snapshot: object) -> None:
        """Return to a snapshot."""
        saved = cast("tuple[str, Question, Result, Result | None, bool, int, bool, str]", snapshot)
        self._task, self._question, self._gold, self._last_result, self._submitted = saved[:5]
        self._t, self._open, self._last = saved[5:]

    def close(self) -> None:
        """Close the databases."""
        while self._databases:
            self._databases.popitem()[1].close()
