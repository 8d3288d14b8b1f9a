"""TextWorld's own PDDL engine on the same games: the reference that the native engine must equal. Extra [alfworld]."""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

from . import generate
from .game import TASK_TYPES

_GOALS = {
    "pick": "(and (objectType ?o {o}Type) (receptacleType ?r {t}Type) (inReceptacle ?o ?r))",
    "clean": "(and (cleanable ?o) (objectType ?o {o}Type) (receptacleType ?r {t}Type) (isClean ?o) (inReceptacle ?o ?r))",
    "heat": "(and (heatable ?o) (objectType ?o {o}Type) (receptacleType ?r {t}Type) (isHot ?o) (inReceptacle ?o ?r))",
    "cool": "(and (coolable ?o) (objectType ?o {o}Type) (receptacleType ?r {t}Type) (isCool ?o) (inReceptacle ?o ?r))",
    "two": (
        "(and (objectType ?o1 {o}Type) (receptacleType ?r {t}Type) (inReceptacle ?o1 ?r) (exists (?o2 - object) "
        "(and (not (= ?o1 ?o2)) (objectType ?o2 {o}Type) (receptacleType ?r {t}Type) (inReceptacle ?o2 ?r))))"
    ),
}
_LOOK = (
    "(and (exists (?ot - object ?r - receptacle ?a - agent ?l - location) (and (objectType ?ot {t}Type) "
    "(toggleable ?ot) (isToggled ?ot) (receptacleAtLocation ?r ?l) (atLocation ?a ?l) (inReceptacle ?ot ?r))) "
    "(exists (?o - object ?a - agent) (and (objectType ?o {o}Type) (holds ?a ?o))))"
)


def problem(made: generate.Made) -> str:
    """Return the PDDL problem of a generated game, as ALFWorld's own tools write one."""
    rules = generate.tables()
    facts = generate.facts(made.scene)
    objects = ["agent1 - agent"]
    objects += [f"{o}Type - otype" for o in rules["object_types"]]
    objects += [f"{r}Type - rtype" for r in rules["receptacle_types"]]
    objects += [f"{o} - object" for o in sorted(o for o, _, _ in made.scene.objects)]
    objects += [f"{r} - receptacle" for r in sorted(made.scene.receptacles)]
    objects += [f"{p} - location" for p in sorted({r[1] for k in _AT for r in facts[k]})]
    init = [f"({k} {' '.join(row)})" for k, rows in facts.items() for row in rows]
    words = {"o": made.object, "t": made.target}
    if made.kind == "look":
        goal = _LOOK.format(**words)
    else:
        first = "?o1" if made.kind == "two" else "?o"
        goal = f"(exists (?r - receptacle) (exists ({first} - object) {_GOALS[made.kind].format(**words)}))"
    listed = "\n".join(_pddl(o) for o in objects)
    return (
        f"(define (problem plan_generated)\n(:domain alfred)\n(:objects\n{listed}\n)\n(:init\n"
        + "\n".join(_pddl(i) for i in init)
        + f"\n)\n(:goal {goal})\n)"
    )


_AT = ("atLocation", "receptacleAtLocation", "objectAtLocation")


def _pddl(line: str) -> str:
    return " - ".join(part.translate(generate.PDDL) for part in line.split(" - "))


def data(made: generate.Made) -> dict[str, Any]:
    """Return a generated game as the content of a `game.tw-pddl`."""
    domain, grammar = _official_rules()
    text = grammar.replace("UNKNOWN GOAL", made.text)
    return {"pddl_domain": domain, "grammar": text, "pddl_problem": problem(made), "solvable": True}


def write(made: generate.Made, folder: Path, name: str = "trial") -> Path:
    """Write a generated game in the official layout; returns the game file."""
    official = next(k for k, v in TASK_TYPES.items() if v == made.kind)
    target = made.target if made.kind != "look" else ""
    place = folder / f"{official}-{made.object}-None-{target}-{made.scene.number}" / name
    place.mkdir(parents=True, exist_ok=True)
    (place / "traj_data.json").write_text(json.dumps({"task_type": official, "turk_annotations": {"anns": []}}))
    (place / "game.tw-pddl").write_text(json.dumps(data(made)))
    return place / "game.tw-pddl"


_OLD = (
    ("You arrive at {r.name}.", "You arrive at {lend.name}."),
    ("move {o} to {r}", "put {o} in/on {r}"),
    ("You move the {o.name} to the {r.name}.", "You put the {o.name} in/on the {r.name}."),
)


def speak(game: dict[str, Any], text: str, dialect: str) -> dict[str, Any]:
    """Return a game with its goal in other words and in a dialect.

    Dialect 0.3 is the inverse of ALFWorld's own `scripts/patch_tw-pddl.py`: three sentences, and no `help`.

    Raises:
        ValueError: the file speaks 0.3 and 0.4 is wanted.
    """
    said = json.dumps(text)[1:-1]
    grammar = re.sub(r'Your task is to: [^\n]*?\."', lambda _: f'Your task is to: {said}."', game["grammar"], count=1)
    domain, new = game["pddl_domain"], "action help {" in grammar
    if dialect == "0.4" and not new:
        raise ValueError("this game file speaks dialect 0.3: use dialect='0.3' or backend='native'")
    if dialect == "0.3" and new:
        for now, then in _OLD:
            grammar = grammar.replace(now, then)
        grammar = grammar.partition("action help {")[0]
        domain = _without(domain, "(:action help")
    return game | {"grammar": grammar, "pddl_domain": domain}


# Copies of the 34 MB library that no game uses. They are reused, not unloaded: `close_lib` makes the process crash at exit.
_LIBRARIES: list[Any] = []


def _without(text: str, opening: str) -> str:
    """Return a text without the bracketed form that begins with `opening`."""
    start = text.index(opening)
    depth = 0
    for i in range(start, len(text)):
        depth += (text[i] == "(") - (text[i] == ")")
        if not depth:
            return text[:start] + text[i + 1 :]
    raise ValueError(f"{opening} … never closes")


class TextworldGame:
    """One game in TextWorld; guards against its habits (it overwrites sys.argv, writes to stdout, copies a library)."""

    def __init__(self, source: Path | generate.Made, text: str, dialect: str = "0.4") -> None:
        with _guarded():
            try:
                import textworld

                fast_downward: Any = importlib.import_module("fast_downward")
                from textworld.envs import PddlEnv
            except ImportError as error:
                raise ImportError(_FIX) from error
        game = json.loads(source.read_text(encoding="utf-8")) if isinstance(source, Path) else data(source)
        load, fast_downward.load_lib = fast_downward.load_lib, lambda: _LIBRARIES.pop() if _LIBRARIES else load()
        try:
            self._pddl: Any = PddlEnv(textworld.EnvInfos(won=True, admissible_commands=True))
        finally:
            fast_downward.load_lib = load
        with _guarded():
            self._env: Any = _alfworld("agents.environment.alfred_tw_env").AlfredDemangler(self._pddl, shuffle=False)
            self._env.load(speak(game, text, dialect))
        self._state: Any = None

    def reset(self) -> str:
        """Return the opening text."""
        with _guarded():
            self._state = self._env.reset()
        return str(self._state.feedback)

    def step(self, action: str) -> tuple[str, bool]:
        """Return what the game says and whether it is won."""
        with _guarded():
            self._state, _, _ = self._env.step(action)
        return str(self._state.feedback), bool(self._state["won"])

    def admissible(self) -> tuple[str, ...]:
        """Return the commands as TextWorld lists them."""
        return tuple(self._state["admissible_commands"])

    def close(self) -> None:
        """Hand the engine's private copy of its library to the next game."""
        if self._pddl is not None:
            _LIBRARIES.append(self._pddl.downward_lib)
            self._pddl = self._env = self._state = None


_FIX = "TextWorld's engine needs the extra: pip install 'agentgym-lab[alfworld]'"


def _alfworld(module: str) -> Any:
    """Import a module of `alfworld`, which makes a folder in the user's home unless ALFWORLD_DATA is set."""
    before = os.environ.get("ALFWORLD_DATA")
    os.environ["ALFWORLD_DATA"] = before or tempfile.gettempdir()
    try:
        return importlib.import_module(f"alfworld.{module}")
    except ImportError as error:
        raise ImportError(_FIX) from error
    finally:
        if before is None:
            del os.environ["ALFWORLD_DATA"]


@lru_cache(maxsize=1)
def _official_rules() -> tuple[str, str]:
    info = _alfworld("info")
    return Path(info.ALFRED_PDDL_PATH).read_text(), Path(info.ALFRED_TWL2_PATH).read_text()


@contextlib.contextmanager
def _guarded() -> Iterator[None]:
    argv = sys.argv
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        sys.argv = argv
