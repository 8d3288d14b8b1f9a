"""InterCode's own tasks on four file systems, from a folder of yours; none are shipped with us."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from .generate import Task
from .sandbox import Sandbox
from .tree import Tree

ROOTS = {1: "/testbed", 2: "/system", 3: "/workspace", 4: "/testbed"}
_TRAIN = (1, 2)
_BUILDING_S = 60


class Row(NamedTuple):
    """A task of a file: its words, its gold command, and the number of its file system."""

    text: str
    gold: str
    system: int


class Loaded:
    """Tasks by split and id, and the scripts that build their file systems, run when first asked for."""

    def __init__(self, rows: Mapping[str, Mapping[str, Row]], scripts: Mapping[int, Path]) -> None:
        self.rows, self._scripts = rows, scripts

    def task(self, name: str) -> Task:
        """Return a task with its files.

        Raises:
            ValueError: there is no task of that name, or its files cannot be built.
        """
        split = name.split("/", 1)[0]
        if name not in self.rows.get(split, {}):
            raise ValueError(f"task {name!r}: not one of nl2bash; env.tasks('test') lists them")
        row = self.rows[split][name]
        root = ROOTS[row.system]
        return Task(row.text, row.gold, f"fs{row.system}", dict(_built(self._scripts[row.system], root)), root)


def _rows(file: Path, system: int) -> list[Row]:
    try:
        held = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as fault:
        raise ValueError(f"{file}: not JSON ({fault}); fetch the file again") from None
    if not isinstance(held, list):
        raise ValueError(f"{file}: holds a {type(held).__name__}, not a list; is it a file of nl2bash?")
    for i, row in enumerate(held):
        if not isinstance(row, dict) or not all(isinstance(row.get(k), str) and row[k] for k in ("query", "gold")):
            raise ValueError(f"{file}: task {i} has no texts `query` and `gold`; is it a file of nl2bash?")
    return [Row(row["query"], row["gold"], system) for row in held]


@lru_cache(maxsize=8)
def _built(script: Path, root: str) -> Tree:
    """Return the files that a script makes below a root, in a sandbox; what it writes elsewhere is refused there."""
    sandbox = Sandbox({}, _BUILDING_S, root)
    try:
        done = sandbox.run(script.read_text(encoding="utf-8"), root)
        tree = sandbox.tree
    finally:
        sandbox.close()
    if done.stopped is not None:
        raise ValueError(f"{script}: {done.stopped}; is it a file of nl2bash?")
    if not tree and re.search(rf"{root}/\w", script.read_text(encoding="utf-8")):
        raise ValueError(f"{script}: made no file below {root} but said {done.output.strip()[:120]!r}")
    return tree


@lru_cache(maxsize=4)
def load(data: str | None) -> Loaded:
    """Return what a folder holds: `nl2bash_fs_N.json` and `setup_nl2b_fs_N.sh`, N of 1 to 4, at any depth.

    As in LEAP's experiments, tasks on systems 1 and 2 are for training, a fifth of them `valid`, 3 and 4 for `test`.

    Raises:
        FileNotFoundError: no folder, no file of tasks for training or none for testing, or a script is missing.
        ValueError: a file is not what its name says.
    """
    if data is None:
        raise FileNotFoundError("source='nl2bash': no folder given; say where with --set env.data=FOLDER")
    root = Path(data).expanduser()
    files = {n: found for n in ROOTS if (found := next(iter(sorted(root.rglob(f"nl2bash_fs_{n}.json"))), None))}
    if not any(n in files for n in _TRAIN) or not any(n in files for n in ROOTS if n not in _TRAIN):
        raise FileNotFoundError(
            f"{root}: needs nl2bash_fs_1.json or _2 to train, _3 or _4 to test, and setup_nl2b_fs_N.sh for each; "
            "`git clone https://github.com/princeton-nlp/intercode` has them under data/nl2bash and docker/bash_scripts"
        )
    scripts = {n: found for n in files if (found := next(iter(sorted(root.rglob(f"setup_nl2b_fs_{n}.sh"))), None))}
    if lacking := sorted(set(files) - set(scripts)):
        raise FileNotFoundError(f"{root}: {files[lacking[0]].name} needs setup_nl2b_fs_{lacking[0]}.sh beside it")
    rows = {n: _rows(file, n) for n, file in files.items()}
    seen = [(f"fs{n}-{i:05d}", row) for n in _TRAIN for i, row in enumerate(rows.get(n, ()))]
    unseen = [(f"fs{n}-{i:05d}", row) for n in rows if n not in _TRAIN for i, row in enumerate(rows[n])]
    split = {
        "train": [x for i, x in enumerate(seen) if i % 5],
        "valid": [x for i, x in enumerate(seen) if not i % 5],
        "test": unseen,
    }
    return Loaded({s: {f"{s}/{name}": row for name, row in held} for s, held in split.items()}, scripts)
