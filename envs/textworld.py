"""TextWorld's generated quests, and games that others compiled."""

from __future__ import annotations

import contextlib
import copy
import io
import re
import sys
import warnings
from collections import defaultdict
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

from . import ids
from .core import SPLITS, Info, Privileged, Searcher, TextEnv
from .errors import at_least, choice
from .textworld_searcher import TextworldSearcher

_GAME_FILES = (".z8", ".json")
_INFOS = ("won", "lost", "score", "max_score", "objective", "admissible_commands", "policy_commands")
_STATUS_LINE = re.compile(r"\n*>?[ \t]{8,}-= .*$")
NOTHING = "Nothing happens."
_WAYS = ("north", "east", "south", "west")
_TOLD = frozenset(("at", "on", "in", "open", "closed", "locked", "link", *(f"{way}_of" for way in _WAYS)))


class TextworldEnv(TextEnv):
    """Quests in TextWorld's rooms: find, carry, unlock, open, put, eat.

    Observation: what came of the action, then the room with all that is visible in it, its exits, and what is carried.
    With a compiled game (.z8), what the game says.
    Actions: `go north`, `take X from Y`, `take X`, `drop X`, `put X on Y`, `insert X into Y`, `open|close|eat X`,
    `unlock|lock X with KEY`, `examine X`, `look`, `inventory`, as `info["admissible"]` lists them.
    Anything else is invalid: "Nothing happens.", and the step counts.
    Reward: the gain in score over the game's best score, so that a whole quest is worth 1. Terminates when won or lost;
    truncates after `max_steps`, 50.
    Tasks: quests of 1, 2, …, `quest` steps in turn; splits have disjoint seeds. With `data`, the files of its folders
    `train`, `valid` and `test`; of any other folder, by name, eight of ten, one and one.
    Privileged: TextWorld's own winning policy from the current state; none once the quest cannot be done any more.
    Source: TextWorld, arXiv 1806.11532. Ours: generated games are played on TextWorld's logic and told in our words, as
    its own need a compiler and a minute; a compiled game keeps its own.

    >>> env = TextworldEnv()
    >>> observation, info = env.reset(options={"task": env.tasks("test")[0]})
    >>> observation.startswith("-= ")
    True

    data: a folder of game files, .z8 with its .json beside it, or .json alone. rooms, objects, quest: how large generated
    games are. brief: the goal names only the last step. train, valid, test: how many generated games a split lists.
    """

    summary = "generated quests: find, carry, unlock, put; 50 steps"

    def __init__(
        self,
        *,
        data: str | None = None,
        rooms: int = 4,
        objects: int = 8,
        quest: int = 5,
        brief: bool = False,
        train: int = 1000,
        valid: int = 100,
        test: int = 100,
        max_steps: int | None = None,
    ) -> None:
        super().__init__(max_steps=max_steps, max_length=32768)
        at_least(1, rooms=rooms, objects=objects, quest=quest)
        self._size = (rooms, objects, brief)
        self._lengths = tuple(str(n) for n in range(1, quest + 1))
        self._sizes = {"train": train, "valid": valid, "test": test}
        self._files = None if data is None else _game_files(Path(data).expanduser())
        self._game: Any = None
        self._state: Any = None
        self._spoken = False
        self._task = self._kind = ""

    def tasks(self, split: str) -> list[str]:
        """Return a split's ids: `test/00003-4` is a quest of four steps; with `data`, the files' names."""
        if self._files is not None:
            return [name for name in self._files if name.startswith(f"{choice('split', split, SPLITS)}/")]
        return ids.listed(split, self._sizes, self._lengths)

    def _begin(self, task: str) -> tuple[str, Info]:
        self._task = task
        if self._files is not None:
            if task not in self._files:
                raise ValueError(f"task {task!r}: there are {', '.join(list(self._files)[:5])} …")
            self._kind = Path(task).stem
            self._game, self._spoken = _start(self._files[task])
        else:
            seed, length = ids.seed_of(task, self._lengths), int(task.partition("-")[2])
            rooms, objects, brief = self._size
            self._kind = f"{length} step{'' if length == 1 else 's'}"
            self._game, self._spoken = _play(_make(seed, rooms, objects, length, brief)), False
        with _guarded():
            self._state = self._game.reset()
        return self._say(""), self._info(False)

    def _act(self, action: str) -> tuple[str, float, bool, Info]:
        said = " ".join(action.split())
        if said not in self._state["admissible_commands"]:
            return NOTHING, 0.0, False, self._info(invalid=True)
        before = self._score()
        with contextlib.nullcontext() if self._files is None else _guarded():  # what is made here prints nothing
            self._state, _, _ = self._game.step(said)
        over = bool(self._state["won"] or self._state["lost"])
        return self._say(said), self._score() - before, over, self._info()

    def _score(self) -> float:
        if self._state["won"]:
            return 1.0
        best = self._state.get("max_score") or 1
        return min(1.0, max(0.0, float(self._state.get("score") or 0) / best))

    def _info(self, invalid: bool = False) -> Info:
        state = self._state
        return Info(
            goal=state["objective"].strip(), admissible=tuple(state["admissible_commands"]), success=bool(state["won"]),
            score=self._score(), task=self._task, kind=self._kind, invalid=invalid,
        )  # fmt: skip

    def _say(self, command: str) -> str:
        if self._spoken:
            text = _STATUS_LINE.sub("", str(self._state["feedback"]))
            return (text[text.find("-= ") :] if not command and "-= " in text else text).strip()
        progression = self._game._game_progression
        return f"{_deed(command)}\n\n" * bool(command) + describe(progression.state.facts, progression.game.infos)

    def privileged(self) -> Privileged:
        """Return TextWorld's winning policy from here."""
        if self._state is None:
            raise RuntimeError("no game is running: call reset() first")
        plan = () if self._state["won"] or self._state["lost"] else self._policy()
        facts = tuple(f"The way to the goal: {step}." for step in plan)
        return Privileged(facts, plan)

    def _policy(self) -> tuple[str, ...]:
        if self._spoken:
            return tuple(self._state["policy_commands"] or ())
        policy = self._game._current_winning_policy  # told in words only here, where it is asked for
        return tuple(self._game._inform7.gen_commands_from_actions(policy or ()))

    def searcher(self) -> Searcher:
        """Return the searching expert, which reads goals and rooms as generated games word them."""
        if self._files is not None and any(path.suffix == ".z8" for path in self._files.values()):
            raise LookupError("compiled games (.z8) speak their own words, which no searching expert reads: use .json")
        return TextworldSearcher()

    def snapshot(self) -> object:
        """Return an exact copy of the state; TextWorld's own copy of a compiled game goes another way, so there is none."""
        if self._spoken:
            raise LookupError("a compiled game (.z8) cannot be forked: use its .json alone")
        return _fork(self._game), self._t, self._open, self._last, self._task, self._kind

    def restore(self, snapshot: object) -> None:
        """Return to a snapshot."""
        game, self._t, self._open, self._last, self._task, self._kind = cast("tuple[Any, ...]", snapshot)
        self._game, self._spoken = _fork(game), False
        self._state = self._game.state


def _deed(command: str) -> str:
    return {"look": "You look around.", "inventory": "You look at what you carry."}.get(command, f"You {command}.")


def _listed(names: list[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else "".join(names) or "nothing"


def describe(facts: Any, infos: Any) -> str:
    """Return the room of the player, what is visible in it, where one can go, and what is carried."""
    by: dict[str, list[tuple[str, ...]]] = defaultdict(list)
    for fact in facts:
        if fact.name in _TOLD:
            by[fact.name].append(tuple(v.name for v in fact.arguments))
    here = next(room for who, room in by["at"] if who == "P")

    def called(thing: str) -> str:
        name = str(infos[thing].name)
        state = next((s for s in ("open", "closed", "locked") if (thing,) in by[s]), "")
        return " ".join(w for w in ("an" if (state or name)[0] in "aeiou" else "a", state, name) if w)

    def held(relation: str, by_whom: str) -> str:
        return _listed(sorted(called(o) for o, at in by[relation] if at == by_whom))

    lines = [f"-= {str(infos[here].name).title()} =-"]
    for thing in sorted((t for t, at in by["at"] if at == here and t != "P"), key=lambda t: (called(t), t)):
        kind = infos[thing].type
        inside = ""
        if kind == "s":
            inside = f" On it: {held('on', thing)}."
        elif kind == "c" and (thing,) in by["open"]:
            inside = f" In it: {held('in', thing)}."
        lines.append(f"You see {called(thing)}.{inside}")
    doors = {(a, b): door for a, door, b in by["link"]}
    for way in _WAYS:
        for there, at in by[f"{way}_of"]:
            if at == here:
                door = doors.get((here, there))
                lines.append(f"To the {way}: {called(door) if door else 'a free way'}.")
    lines.append(f"You carry {held('in', 'I')}.")
    return "\n".join(lines)


def _fork(game: Any) -> Any:
    """Return an independent copy of a game on TextWorld's logic: only its progress is copied."""
    new = copy.copy(game)  # its state is never changed, only replaced
    new._game_progression = game._game_progression.copy()
    new.state = copy.copy(game.state)
    new.state["_game_progression"] = new._game_progression
    return new


def _textworld() -> Any:
    """Import textworld."""
    try:
        with _guarded():
            import textworld
    except ImportError as error:
        raise ImportError("TextWorld is missing: pip install 'textworld>=1.7'") from error
    return textworld


@lru_cache(maxsize=1)
def _logic() -> Any:
    """Return TextWorld's player of a game's logic, which needs no compiled file; it gathers only what is read here."""
    from textworld.envs import TextWorldEnv

    class Logic(TextWorldEnv):  # type: ignore[misc]
        def _gather_infos(self) -> None:
            game, progress = self._game, self._game_progression
            commands = self._inform7.gen_commands_from_actions(progress.valid_actions)
            self.state["objective"], self.state["max_score"] = game.objective, game.max_score
            self.state["won"], self.state["lost"] = progress.completed, progress.failed
            self.state["_valid_commands"] = commands
            self.state["admissible_commands"] = sorted(set(commands))

    return Logic


def _play(game: Any) -> Any:
    """Return TextWorld's player of a game's logic."""
    from textworld.generator.inform7 import Inform7Game

    player = _logic()(_textworld().EnvInfos())
    player._game, player._inform7 = game, Inform7Game(game)
    return player


def _start(path: Path) -> tuple[Any, bool]:
    """Return the player of a game file, and whether it tells the game in its own words."""
    textworld = _textworld()
    try:
        with _guarded():
            if path.suffix == ".json":
                return _play(textworld.Game.load(str(path))), False
            return textworld.start(str(path), textworld.EnvInfos(**dict.fromkeys(_INFOS, True))), True
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path}: not a readable TextWorld game ({type(error).__name__}: {error})") from error


@lru_cache(maxsize=2048)
def _make(seed: int, rooms: int, objects: int, length: int, brief: bool) -> Any:
    """Generate a game; where TextWorld finds no quest for a seed, the next seed of the same task is tried."""
    textworld = _textworld()
    from textworld.generator import QuestGenerationError, make_game

    for attempt in range(20):
        options = textworld.GameOptions()
        options.seeds = seed + 100_000_000 * attempt
        options.nb_rooms, options.nb_objects, options.quest_length = rooms, objects, length
        options.grammar.only_last_action = brief
        with contextlib.suppress(QuestGenerationError), _guarded():
            return make_game(options)
    raise ValueError(f"rooms={rooms}, objects={objects}, quest={length}: TextWorld finds no such quest; ask for less")


def _game_files(root: Path) -> dict[str, Path]:
    """Return id -> game file; a .json that only accompanies a .z8 is no game of its own.

    Raises:
        FileNotFoundError: the folder has no game.
    """
    found = [p for p in sorted(root.rglob("*")) if p.suffix in _GAME_FILES]
    found = [p for p in found if p.with_suffix(".json") in found]
    found = [p for p in found if p.suffix == ".z8" or p.with_suffix(".z8") not in found]
    if not found:
        raise FileNotFoundError(f"{root}: no TextWorld game; `tw-make custom --output FOLDER/game.z8` makes one")
    names = [p.relative_to(root).with_suffix("").as_posix() for p in found]
    if any((root / split).is_dir() for split in SPLITS):
        return dict(zip(names, found, strict=True))
    share = ["train"] * 8 + ["valid", "test"]
    return {f"{share[i % 10]}/{name}": path for i, (name, path) in enumerate(zip(names, found, strict=True))}


@contextlib.contextmanager
def _guarded() -> Iterator[None]:
    """Keep TextWorld's prints, its warnings and its hold on sys.argv from the program."""
    argv = sys.argv
    try:
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        sys.argv = argv
