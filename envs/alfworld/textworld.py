"""TextWorld's own PDDL engine on the same games: the reference that the native engine must equal. Extra [alfworld]."""

from __future__ import annotations

import contextlib
import io
import json
import sys
import tempfile
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
    keep = line.replace(" - ", "\0")
    for a, b in (("-", "_minus_"), ("|", "_bar_"), ("+", "_plus_"), (".", "_dot_"), (",", "_comma_")):
        keep = keep.replace(a, b)
    return keep.replace("\0", " - ")


def write(made: generate.Made, folder: Path, name: str = "trial") -> Path:
    """Write a generated game in the official layout; returns the game file."""
    from alfworld.info import ALFRED_PDDL_PATH, ALFRED_TWL2_PATH

    grammar = Path(ALFRED_TWL2_PATH).read_text().replace("UNKNOWN GOAL", made.text)
    game = {
        "pddl_domain": Path(ALFRED_PDDL_PATH).read_text(), "grammar": grammar, "pddl_problem": problem(made),
        "solvable": True,
    }  # fmt: skip
    official = next(k for k, v in TASK_TYPES.items() if v == made.kind)
    target = made.target if made.kind != "look" else ""
    place = folder / f"{official}-{made.object}-None-{target}-{made.scene.number}" / name
    place.mkdir(parents=True, exist_ok=True)
    (place / "traj_data.json").write_text(json.dumps({"task_type": official, "turk_annotations": {"anns": []}}))
    (place / "game.tw-pddl").write_text(json.dumps(game))
    return place / "game.tw-pddl"


class TextworldGame:
    """One game in TextWorld; guards against its habits (it overwrites sys.argv, writes to stdout, copies a library)."""

    def __init__(self, source: Path | generate.Made, text: str) -> None:
        try:
            import textworld
            from textworld.envs import PddlEnv
        except ImportError as error:
            raise ImportError("backend='textworld' needs the extra: pip install 'agentgym-lab[alfworld]'") from error
        self._text = text
        self._folder = tempfile.TemporaryDirectory()
        path = source if isinstance(source, Path) else write(source, Path(self._folder.name))
        demangler = _demangler()
        with _guarded():
            self._env: Any = demangler(PddlEnv(textworld.EnvInfos(won=True, admissible_commands=True)), shuffle=False)
            self._env.load(str(path))
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
        """Free the engine's private copy of its library."""
        with contextlib.suppress(AttributeError):
            self._env.close()
        self._folder.cleanup()


def _demangler() -> Any:
    import os

    os.environ.setdefault("ALFWORLD_DATA", tempfile.gettempdir())  # alfworld makes a folder at import otherwise
    from alfworld.agents.environment.alfred_tw_env import AlfredDemangler

    return AlfredDemangler


@contextlib.contextmanager
def _guarded() -> Any:
    argv = sys.argv
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        sys.argv = argv
