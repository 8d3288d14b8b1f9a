"""GSM8K and MATH from a folder that the user has."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

from .. import ids
from .grade import boxed, grade_latex, grade_number
from .problems import Problem


def gsm8k_problem(row: dict[str, Any]) -> Problem:
    """Return a problem of GSM8K (arXiv 2110.14168): the answer stands after ####.

    >>> gsm8k_problem({"question": "How many?", "answer": "3 + 4 = 7\\n#### 1,007"}).answer
    '1007'
    """
    return Problem(row["question"], row["answer"].rpartition("####")[2].strip().replace(",", ""), "gsm8k", grade_number)


def math_problem(row: dict[str, Any]) -> Problem:
    r"""Return a problem of MATH (arXiv 2103.03874): the answer stands in the solution's last \boxed{}.

    >>> math_problem({"problem": "?", "solution": r"Thus \boxed{\frac{1}{2}}.", "level": "Level 2"}).answer
    '\\frac{1}{2}'
    """
    answer = row.get("answer") or boxed(row.get("solution", ""))
    if not answer:
        raise ValueError("has no answer: neither a field 'answer' nor a \\boxed{} in 'solution'")
    level = str(row.get("level", "")).removeprefix("Level ")
    return Problem(row["problem"], str(answer), f"math-{level}" if level else "math", grade_latex)


READERS: dict[str, Callable[[dict[str, Any]], Problem]] = {"gsm8k": gsm8k_problem, "math": math_problem}


class Files:
    """Problems of a data set's files; every tenth of its training problems is set aside as `valid`.

    A folder holds `train.jsonl` and `test.jsonl`, one problem a line, or (MATH as published) `train/SUBJECT/N.json`.
    """

    def __init__(self, name: str, folder: str | None) -> None:
        if not folder:
            raise FileNotFoundError(f"source={name!r}: no folder given; set data=FOLDER with its train and test files")
        root = Path(folder).expanduser()
        train, test = (_load(name, root, part) for part in ("train", "test"))
        self._name = name
        self._problems = {
            "train": [p for i, p in enumerate(train) if i % 10 != 9],
            "valid": [p for i, p in enumerate(train) if i % 10 == 9],
            "test": list(test),
        }

    def tasks(self, split: str) -> list[str]:
        """Return ids such as `test/00003-gsm8k`."""
        return ids.listed(split, {s: len(p) for s, p in self._problems.items()}, (self._name,))

    def problem(self, task: str) -> Problem:
        """Return the problem of an id."""
        split, index = ids.read(task, (self._name,))
        if index >= len(self._problems[split]):
            raise ValueError(f"task {task!r}: {split} has {len(self._problems[split])} problems")
        return self._problems[split][index]

    def alphabet(self) -> str:
        """Return every character of the questions."""
        return "".join(sorted({c for ps in self._problems.values() for p in ps for c in p.question}))


@lru_cache(maxsize=8)
def _load(name: str, root: Path, part: str) -> tuple[Problem, ...]:
    lines, folder = root / f"{part}.jsonl", root / part
    if lines.is_file():
        texts = [(f"{lines}:{n}", t) for n, t in enumerate(lines.read_text("utf-8").split("\n"), 1) if t.strip()]
    elif folder.is_dir():
        texts = [(str(f), f.read_text("utf-8")) for f in sorted(folder.glob("*/*.json"))]
    else:
        raise FileNotFoundError(
            f"{root}: holds neither {part}.jsonl nor a folder {part}; data= names the unpacked {name}"
        )
    out = []
    for where, text in texts:
        try:
            out.append(READERS[name](json.loads(text)))
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{where}: not a problem of {name} ({error})") from None
    return tuple(out)
