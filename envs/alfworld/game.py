"""One ALFWorld game before anybody moves: what there is, where it lies, and what is asked."""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

Facts = Mapping[str, Sequence[tuple[str, ...]]]

KINDS = ("pick", "look", "clean", "heat", "cool", "two")
TASK_TYPES = {
    "pick_and_place_simple": "pick",
    "look_at_obj_in_light": "look",
    "pick_clean_then_place_in_recep": "clean",
    "pick_heat_then_place_in_recep": "heat",
    "pick_cool_then_place_in_recep": "cool",
    "pick_two_obj_and_place": "two",
}
_FACT = re.compile(r"\(([a-z_]+)((?: [^\s()]+)+)\s*\)")


@dataclass(frozen=True, slots=True)
class Goal:
    """What is asked: `kind` of KINDS, the object's type, the receptacle's type (or the lamp's, for `look`), in words."""

    kind: str
    object: str
    target: str
    text: str


class Game:
    """The fixed part of a game, indexed for the engine; ids are PDDL ids in lower case, names are what a player reads.

    Built from facts, so that a parsed game file and a generated one take the same path.
    """

    def __init__(self, facts: Facts, goal: Goal) -> None:
        self.goal = goal
        self.facts = {k: sorted(set(v)) for k, v in facts.items()}
        get = self.rows
        self.name = numbered({a for rows in self.facts.values() for row in rows for a in row})
        self.receptacle_type = {row[0]: row[1] for row in get("receptacletype")}
        self.object_type = {row[0]: row[1] for row in get("objecttype")}
        self.location = {row[0]: row[1] for row in get("receptacleatlocation")}
        self.receptacles = sorted(self.location)
        self.at: dict[str, list[str]] = defaultdict(list)
        for r in self.receptacles:
            self.at[self.location[r]].append(r)
        self.start = get("atlocation")[0][1]
        self.can_contain: set[tuple[str, ...]] = set(get("cancontain"))
        ones = self._ones
        self.openable, self.pickupable = ones("openable"), ones("pickupable")
        self.cleanable, self.heatable, self.coolable = ones("cleanable"), ones("heatable"), ones("coolable")
        self.toggleable, self.sliceable = ones("toggleable"), ones("sliceable")
        self.vessels = ones("isreceptacleobject")
        self.inside: dict[str, list[str]] = defaultdict(list)
        for o, vessel in get("inreceptacleobject"):
            self.inside[vessel].append(o)
        self._every = {f"go to {self.name[r]}": ("go", r, "") for r in self.receptacles}
        self._walks: dict[str, dict[str, tuple[str, str, str]]] = {}
        self.goal_objects = sorted(o for o, t in self.object_type.items() if t == goal.object)
        self.goal_receptacles = [r for r in self.receptacles if self.receptacle_type[r] == goal.target]

    def rows(self, name: str) -> list[tuple[str, ...]]:
        """Return the facts of a name at the start."""
        return self.facts.get(name, [])

    def _ones(self, name: str) -> frozenset[str]:
        return frozenset(row[0] for row in self.rows(name))

    def walks(self, at: str) -> Mapping[str, tuple[str, str, str]]:
        """Return the `go to` commands that do something at a location; built once for each place that is visited."""
        found = self._walks.get(at)
        if found is None:
            found = {c: a for c, a in self._every.items() if self.location[a[1]] != at}
            self._walks[at] = found
        return found


def numbered(ids: Iterable[str]) -> dict[str, str]:
    """Return the name of every id: its type and a number, the highest number to the first id in order.

    >>> numbered(["mug_bar_1", "mug_bar_2", "sink_bar_1_bar_sinkbasin"])
    {'mug_bar_1': 'mug 2', 'mug_bar_2': 'mug 1', 'sink_bar_1_bar_sinkbasin': 'sinkbasin 1'}
    """
    ids = sorted(ids)
    kind = {i: i.split("_bar_", 1)[0] + ("basin" if "basin" in i else "") for i in ids if "_bar_" in i}
    left = Counter(kind.values())
    out = {}
    for i in ids:
        if i in kind:
            out[i] = f"{kind[i]} {left[kind[i]]}"
            left[kind[i]] -= 1
        else:
            out[i] = i
    return out


def parse(problem: str, text: str) -> Game:
    """Build a game from a PDDL problem and the words of its goal.

    Raises:
        ValueError: the problem lacks a section, a goal that is one of the six, or an agent.
    """
    lower = problem.lower()
    try:
        init = lower[lower.index("(:init") : lower.index("(:goal")]
        wanted = lower[lower.index("(:goal") :]
    except ValueError:
        raise ValueError("the PDDL problem has no (:init …) or no (:goal …)") from None
    facts: dict[str, list[tuple[str, ...]]] = defaultdict(list)
    for match in _FACT.finditer(init):
        facts[match[1]].append(tuple(match[2].split()))
    things = re.findall(r"\(objecttype \?\w+ (\w+)\)", wanted)
    places = re.findall(r"\(receptacletype \?r (\w+)\)", wanted)
    if "istoggled" in wanted:
        kind = "look"
    elif "(not (= " in wanted:
        kind = "two"
    else:
        marks = (("isclean", "clean"), ("ishot", "heat"), ("iscool", "cool"))
        kind = next((kind for mark, kind in marks if mark in wanted), "pick")
    if kind == "look" and len(things) >= 2:
        goal = Goal(kind, things[1], things[0], text)
    elif things and places:
        goal = Goal(kind, things[0], places[0], text)
    else:
        raise ValueError("the PDDL goal is none of the six ALFWorld tasks")
    if not facts["atlocation"]:
        raise ValueError("the PDDL problem puts the agent nowhere")
    return Game(facts, goal)


def load(path: Path, text: str | None = None) -> Game:
    """Read an official `game.tw-pddl`; `text` replaces the templated goal.

    Raises:
        ValueError: the file is not such a game; names the file and the fault.
    """
    try:
        row = json.loads(path.read_text(encoding="utf-8"))
        found = re.search(r'Your task is to: (.*?)\.\\?"', row["grammar"])
        if text is None and found is None:
            raise ValueError("the grammar states no task")
        return parse(row["pddl_problem"], text if text is not None else found[1])  # type: ignore[index]
    except OSError:
        raise
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise ValueError(f"{path}: not a readable ALFWorld game ({type(error).__name__}: {error})") from error
