"""Bash as a TextEnv."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from contextlib import suppress
from typing import cast

from gymnasium import spaces

from .. import ids
from ..core import CHARSET, SPLITS, Info, Privileged, Searcher, TextEnv
from ..errors import at_least, choice, only_with
from ..plain import plain
from . import generate, load
from .generate import KINDS, ROOT, Task
from .reward import reward
from .sandbox import Sandbox, require
from .searcher import BashSearcher
from .tree import Change, Tree, changes

SOURCES = ("generated", "nl2bash")
_LINE = "Your task is to work in bash on the files under {root}, then submit."
_LONGEST = 4096
_UNPARSED = re.compile(r"^bash: (eval: )?line \d+: (syntax error|unexpected EOF)", re.MULTILINE)


class BashEnv(TextEnv):
    """Files found, read and changed by shell commands, after InterCode.

    Observation: the task first; then what a command printed, `(no output)` where nothing.
    Actions: one bash command line, or `submit`. The folder carries over from one to the next; shell variables, processes
    and /tmp do not. A command that bash cannot find or parse is invalid. One that outlives its time, or leaves more than
    4 MB or 1,000 files, is stopped and leaves the files as they were.
    Reward: 0 until `submit`; then InterCode's (`reward.py`): a third for which files changed, a third for their content,
    a third for the last output. Score is the same; success is a reward of 1. Terminates on `submit`; truncates after 10
    steps.
    Tasks: count, find, text, edit, move, chain. `train` and `valid` share themes and no tree; `test` has themes of its own.
    Privileged: the gold command, as long as it still leads to the goal.
    Source: InterCode, arXiv 2306.14898. Ours: bubblewrap instead of a container; `generated` trees and tasks. Needs
    bubblewrap (Debian: `apt-get install bubblewrap`); without it nothing runs. Files are dated by the step that changed
    them, so that a replay shows the same; what a command lists of its own changes, of /proc and of / differs.

    >>> from .generate import make
    >>> make("test", 0).text
    'Print how many .md files there are in /testbed/domes and all folders below it.'

    source: `generated`, or `nl2bash`: InterCode's 200 tasks from its files under the folder `data`; commands begin in the
    folder that holds their files, where InterCode's begin in /, which cannot be written here. tasks_seed: of the generated
    tasks. seconds: the time of one command. train, valid, test: how many generated tasks a split lists.
    """

    summary = "files found, read and changed by shell commands in a sandbox, after InterCode; 10 steps"

    def __init__(
        self,
        *,
        source: str = "generated",
        data: str | None = None,
        tasks_seed: int = 0,
        seconds: int = 10,
        train: int = generate.SIZES["train"],
        valid: int = generate.SIZES["valid"],
        test: int = generate.SIZES["test"],
        max_steps: int = 10,
    ) -> None:
        super().__init__(max_steps=max_steps)
        choice("source", source, SOURCES)
        if source == "generated":
            only_with(f"source={' or '.join(s for s in SOURCES if s != 'generated')}", data=data)
        at_least(0, tasks_seed=tasks_seed)
        at_least(1, seconds=seconds)
        require()
        self.source = source
        self._loaded = None if source == "generated" else load.load(data)
        self.tasks_seed, self.seconds = tasks_seed, seconds
        self.action_space = spaces.Text(max_length=_LONGEST, min_length=0, charset=CHARSET)
        self._sizes = {"train": train, "valid": valid, "test": test}
        self._sandbox: Sandbox | None = None
        self._id = ""
        self._task: Task | None = None
        self._golds: dict[str, tuple[Mapping[str, Change], str]] = {}
        self._folder, self._output, self._submitted = ROOT, "", False

    def tasks(self, split: str) -> list[str]:
        """Return a split's ids: `test/00003-edit` for generated tasks, `test/fs3-00012` for loaded ones."""
        if self._loaded is not None:
            return list(self._loaded.rows[choice("split", split, SPLITS)])
        return ids.listed(split, self._sizes, KINDS)

    def split_hash(self, split: str) -> str:
        """Return a short hash of a split's tasks; tasks of another seed have another."""
        base = super().split_hash(split)
        if self._loaded is not None or self.tasks_seed == 0:
            return base
        return hashlib.sha256(f"{base} {self.tasks_seed}".encode()).hexdigest()[:12]

    def _begin(self, task: str) -> tuple[str, Info]:
        if self._loaded is not None:
            self._task = self._loaded.task(task)
        else:
            self._task = generate.make(*ids.read(task, KINDS), self.tasks_seed)
        self._id, self._folder, self._output, self._submitted = task, self._task.root, "", False
        self._set(self._task.tree)
        return f"{_LINE.format(root=self._task.root)}\nTask: {self._asked()}", self._info(0.0)

    def _asked(self) -> str:
        return plain(self._now().text, 2000)

    def _set(self, tree: Tree) -> None:
        root = self._now().root
        if self._sandbox is not None and self._sandbox.root == root:
            self._sandbox.reset(tree)
        else:
            self.close()
            self._sandbox = Sandbox(tree, self.seconds, root)

    def _act(self, action: str) -> tuple[str, float, bool, Info]:
        command = action.strip()
        if command == "submit":
            earned, self._submitted = self._earned(self._world().tree, self._output), True
            return f"Submitted; the reward is {earned:.2f}.", earned, True, self._info(earned)
        if fault := _fault(command):
            return fault, 0.0, False, self._info(0.0, invalid=True)
        done = self._world().run(command, self._folder, self._t + 1)
        self._folder, self._output = done.folder, done.output
        text = "\n".join(
            part for part in (done.output.rstrip("\n"), f"[{done.stopped}]" if done.stopped else "") if part
        )
        unread = done.code in (126, 127) or (done.code in (1, 2) and _UNPARSED.search(done.output) is not None)
        return plain(text, 4000) or "(no output)", 0.0, False, self._info(0.0, unread or done.stopped is not None)

    def _gold(self) -> tuple[Mapping[str, Change], str]:
        """Return what the gold command changes and prints, from a run in a sandbox of its own."""
        if self._id not in self._golds:
            if len(self._golds) >= 512:
                self._golds.clear()
            self._golds[self._id] = self._tried(self._now().tree)
        return self._golds[self._id]

    def _tried(self, tree: Tree) -> tuple[Mapping[str, Change], str]:
        """Return what has changed since the start and what is printed if the gold command runs on a tree."""
        sandbox = Sandbox(tree, self.seconds, self._now().root)
        try:
            done = sandbox.run(self._now().gold, self._now().root)
            return changes(self._now().tree, sandbox.tree), done.output
        finally:
            sandbox.close()

    def _earned(self, tree: Tree, output: str) -> float:
        return reward(changes(self._now().tree, tree), self._gold()[0], output, self._gold()[1])

    def _info(self, earned: float, invalid: bool = False) -> Info:
        task = self._now()
        return Info(
            goal=self._asked(), admissible=None, success=earned == 1.0, score=earned, task=self._id, kind=task.kind,
            invalid=invalid,
        )  # fmt: skip

    def _now(self) -> Task:
        if self._task is None:
            raise RuntimeError("no task is set: call reset() first")
        return self._task

    def _world(self) -> Sandbox:
        if self._sandbox is None:
            raise RuntimeError("no task is set: call reset() first")
        return self._sandbox

    def privileged(self) -> Privileged:
        """Return the gold command and what is still to be done; nothing, where it no longer leads to the goal."""
        task, tree = self._now(), self._world().tree
        gold, said = self._gold()
        facts = (f"The command is: {task.gold}", f"It prints: {plain(said, 1000) or 'nothing'}")
        if self._submitted:
            return Privileged(facts, ())
        if self._earned(tree, self._output) == 1.0:
            return Privileged(facts, ("submit",), distance=1)
        made, printed = self._tried(tree) if changes(task.tree, tree) else (gold, said)
        leads = reward(made, gold, printed, said) == 1.0
        return Privileged(facts, (task.gold, "submit") if leads else (), distance=2 if leads else None)

    def searcher(self) -> Searcher:
        """Return the searching expert, which knows how generated tasks are worded."""
        if self._loaded is not None:
            raise LookupError("source='nl2bash' has no searching expert: use source='generated'")
        return BashSearcher()

    def snapshot(self) -> object:
        """Return the state: the files, the folder and the last output."""
        return (
            self._id, self._task, self._world().tree, self._folder, self._output, self._submitted, self._t, self._open,
            self._last,
        )  # fmt: skip

    def restore(self, snapshot: object) -> None:
        """Return to a snapshot."""
        saved = cast("tuple[str, Task, Tree, str, str, bool, int, bool, str]", snapshot)
        self._id, self._task, tree, self._folder, self._output, self._submitted = saved[:6]
        self._t, self._open, self._last = saved[6:]
        self._set(tree)

    def close(self) -> None:
        """Remove the files."""
        if self._sandbox is not None:
            self._sandbox.close()
            self._sandbox = None


def _fault(command: str) -> str | None:
    """Return why a text cannot be a command at all."""
    if not command:
        return "Error: no command"
    if len(command) > _LONGEST:
        return f"Error: {len(command):,} characters; a command has at most {_LONGEST:,}"
    with suppress(UnicodeEncodeError):
        if b"\0" not in command.encode():
            return None
    return "Error: not a text that bash can read"
