"""ALFWorld as a TextEnv."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Hashable
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

from .. import ids
from ..core import SPLITS, Info, Privileged, Searcher, TextEnv
from ..errors import choice, only_with
from . import generate
from .engine import Engine
from .game import KINDS, TASK_TYPES, Game, load
from .hindsight import reached
from .planner import plan
from .searcher import AlfworldSearcher

GAMES = ("generated", "official")
BACKENDS = ("native", "textworld")
DIALECTS = ("0.4", "0.3")
GOALS = ("templated", "human")
_FOLDERS = {"train": "train", "valid": "valid_seen", "test": "valid_unseen"}


class AlfworldEnv(TextEnv):
    """Household tasks in text, exact to ALFWorld's TextWorld games.

    Observation: what the game says; the first one lists the room's receptacles and ends with the task.
    Actions: `go to R`, `open R`, `close R`, `take O from R`, `move O to R` (dialect 0.3: `put O in/on R`),
    `clean|heat|cool O with R`, `use LAMP`, `examine X`, `slice O with KNIFE`, `look`, `inventory`, `help`.
    Anything else: "Nothing happens.", and the step counts.
    Reward: 1 on the step that brings the goal about, else 0. Terminates when won; truncates after 50 steps.
    Tasks: pick, look, clean, heat, cool, two. `train` and `valid` share rooms, `test` has rooms of its own.
    Privileged: where the goal's things lie, and a plan from the current state.
    Source: ALFWorld, arXiv 2010.03768; dynamics equal alfworld 0.4.x (and 0.3), proven by a differential test. Ours:
    `generated` games, so that nothing need be downloaded.

    >>> env = AlfworldEnv()
    >>> observation, info = env.reset(options={"task": env.tasks("test")[0]})
    >>> info["goal"]
    'put a candle in toilet'

    games: `generated`, or `official` from the folder `data` (default: the variable ALFWORLD_DATA). backend: `native`, or
    `textworld` (extra [alfworld], a thousand times slower). goals: `templated`, or `human` (official games only).
    games_seed and placement: of generated games; things lie where a hash says (`habits`), or where a person would look
    first (`everyday`), which resembles the official games. train, valid, test: how many generated games a split lists.
    """

    summary = "household tasks in text: find, clean, heat, cool, place; 50 steps"

    def __init__(
        self,
        *,
        games: str = "generated",
        data: str | None = None,
        backend: str = "native",
        dialect: str = "0.4",
        goals: str = "templated",
        games_seed: int = 0,
        placement: str = "everyday",
        train: int = generate.SIZES["train"],
        valid: int = generate.SIZES["valid"],
        test: int = generate.SIZES["test"],
        max_steps: int = 50,
    ) -> None:
        super().__init__(max_steps=max_steps)
        self.games = choice("games", games, GAMES)
        self.backend = choice("backend", backend, BACKENDS)
        self.dialect = choice("dialect", dialect, DIALECTS)
        self.goals = choice("goals", goals, GOALS)
        if goals == "human" and games == "generated":
            raise ValueError("goals='human': only official games have them; add games='official'")
        self.placement = choice("placement", placement, generate.PLACEMENTS)
        if games != "official":
            only_with("games='official'", data=data)
        if games_seed < 0:
            raise ValueError(f"games_seed={games_seed}: needs 0 or more")
        self.games_seed = games_seed
        self._sizes = {"train": train, "valid": valid, "test": test}
        self._root = _data_root(data) if games == "official" else None
        self._engine: Engine | None = None
        self._text: Any = None
        self._task = self._kind = ""

    def tasks(self, split: str) -> list[str]:
        """Return a split's ids: `test/00003-heat` for generated games, the official folder's name for official ones."""
        if self._root is not None:
            return list(_official(self._root, choice("split", split, SPLITS)))
        return ids.listed(split, self._sizes, KINDS)

    def split_hash(self, split: str) -> str:
        """Return a short hash of a split's tasks; games of another seed or placement have another."""
        base = super().split_hash(split)
        if self._root is not None or (self.games_seed, self.placement) == (0, "everyday"):
            return base
        return hashlib.sha256(f"{base} {self.games_seed} {self.placement}".encode()).hexdigest()[:12]

    def _game(self, task: str) -> Game:
        if self._root is not None:
            split = task.split("/", 1)[0]
            if split not in _FOLDERS or task not in _official(self._root, split):
                raise ValueError(f"task {task!r}: not one of {self._root}; env.tasks('test') lists them")
            return _load_official(_official(self._root, split)[task], self.goals == "human")
        return _game_of(*ids.read(task, KINDS), self.games_seed, self.placement)

    def _begin(self, task: str) -> tuple[str, Info]:
        game = self._game(task)
        self._task, self._kind = task, game.goal.kind
        self._engine = Engine(game, self.dialect)
        observation = self._engine.reset()
        if self.backend == "textworld":
            from .textworld import TextworldGame

            if self._text is not None:
                self._text.close()
            self._text = TextworldGame(self._source(task), game.goal.text, self.dialect)
            observation = self._text.reset()
        return observation, self._info(False)

    def _source(self, task: str) -> Path | generate.Made:
        if self._root is not None:
            return _official(self._root, task.split("/", 1)[0])[task]
        split, rest = task.split("/")
        return generate.make(split, int(rest.split("-")[0]), self.games_seed, self.placement)

    def _act(self, action: str) -> tuple[str, float, bool, Info]:
        engine = self._now()
        known = action.strip() in engine.acts()
        observation = engine.step(action)
        won = engine.won()
        if self._text is not None and self.backend == "textworld":
            observation, won = self._text.step(action)
        return observation, float(won), won, self._info(won, invalid=not known)

    def _info(self, won: bool, invalid: bool = False) -> Info:
        engine = self._now()
        listed = self._text.admissible() if self.backend == "textworld" else engine.admissible()
        return Info(
            goal=engine.game.goal.text, admissible=listed, success=won, score=float(won), task=self._task,
            kind=self._kind, invalid=invalid,
        )  # fmt: skip

    def _now(self) -> Engine:
        if self._engine is None:
            raise RuntimeError("no game is running: call reset() first")
        return self._engine

    def privileged(self) -> Privileged:
        """Return where the goal's things lie and a plan from the current state."""
        return plan(self._now())

    def searcher(self) -> Searcher:
        """Return the searching expert; for a human goal it is given the goal's formal meaning."""
        formal = self._now().game.goal if self.goals == "human" else None
        return AlfworldSearcher(formal)

    def state(self) -> Hashable:
        """Return a key of where all things are and how; what has been looked at is in it only where it was opened."""
        return self._now().state()

    def reached(self) -> tuple[str, ...]:
        """Return what would have been won by now, had it been asked: things put somewhere, as they are, or looked at."""
        return reached(self._now())

    def snapshot(self) -> object:
        """Return an exact copy of the state."""
        if self.backend == "textworld":
            raise LookupError("backend='textworld' cannot be forked: use backend='native'")
        return self._now().fork(), self._t, self._open, self._last, self._task, self._kind

    def restore(self, snapshot: object) -> None:
        """Return to a snapshot."""
        saved = cast("tuple[Engine, int, bool, str, str, str]", snapshot)
        self._engine = saved[0].fork()
        _, self._t, self._open, self._last, self._task, self._kind = saved

    def close(self) -> None:
        """Free the TextWorld engine, if one runs."""
        if self._text is not None:
            self._text.close()
            self._text = None


@lru_cache(maxsize=2048)
def _game_of(split: str, index: int, games_seed: int, placement: str) -> Game:
    return generate.make(split, index, games_seed, placement).game()


def _data_root(data: str | None) -> Path:
    named = data or os.environ.get("ALFWORLD_DATA")
    if not named:
        raise FileNotFoundError(
            "official games: no folder given; run `alfworld-download`, then set ALFWORLD_DATA or --set env.data=FOLDER"
        )
    root = Path(named).expanduser() / "json_2.1.1"
    if not root.is_dir():
        raise FileNotFoundError(f"{root}: no such folder; `alfworld-download` makes it under ALFWORLD_DATA")
    return root


@lru_cache(maxsize=16)
def _official(root: Path, split: str) -> dict[str, Path]:
    """Return id -> game file of a split, by ALFWorld's own rules of what counts.

    Source: AlfredTWEnv.collect_game_files: a trajectory and a game file side by side, neither movable receptacles nor
    slices, one of the six tasks, and marked solvable.
    """
    out = {}
    for trajectory in sorted((root / _FOLDERS[split]).glob("*/*/traj_data.json")):
        game = trajectory.with_name("game.tw-pddl")
        name = f"{trajectory.parent.parent.name}/{trajectory.parent.name}"
        if "movable" in name or "Sliced" in name or not game.is_file():
            continue
        if name.split("-")[0] not in TASK_TYPES:
            continue
        text = game.read_text(encoding="utf-8", errors="replace")
        if '"solvable": true' in text or '"solvable":true' in text or not text.rstrip().endswith("}"):
            out[f"{split}/{name}"] = game
    return out


@lru_cache(maxsize=1024)
def _load_official(path: Path, human: bool) -> Game:
    text = None
    if human:
        rows = json.loads(path.with_name("traj_data.json").read_text(encoding="utf-8"))
        said = rows["turk_annotations"]["anns"]
        if not said:
            raise ValueError(f"{path}: its traj_data.json has no human goal; use goals='templated'")
        text = said[0]["task_desc"].strip().rstrip(".")
    return load(path, text)
