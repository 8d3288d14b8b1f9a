"""Procedural ALFWorld games: any number, all six tasks, from real floor plans.

The rooms, their receptacles with standing points, and what can hold what are ALFWorld's own, as a derived table beside
this file (so the base install needs no `alfworld`; benchmarks/derive_floorplans.py makes it). Objects are placed by a
prior that is fixed but nowhere written in the text. `habits`: three quarters of a type's mass lie in two kinds of
receptacle that could hold it, drawn by a hash, so that no model knows them beforehand. `everyday`: where a person would
look first (data/usual.json). Scenes 10, 219, 308 and 424 are kept for `test`, as in the benchmark.
"""

from __future__ import annotations

import hashlib
import json
from bisect import bisect_right
from collections import defaultdict
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import Any

import numpy as np

from .game import KINDS, TASK_TYPES, Game, Goal

UNSEEN = (10, 219, 308, 424)
SIZES = {"train": 3553, "valid": 140, "test": 134}
TEMPLATES = {
    "pick": ("put a {o} in {t}", "put some {o} on {t}"),
    "look": ("look at {o} under the {t}", "examine the {o} with the {t}"),
    "clean": ("put a clean {o} in {t}", "clean some {o} and put it in {t}"),
    "heat": ("put a hot {o} in {t}", "heat some {o} and put it in {t}"),
    "cool": ("put a cool {o} in {t}", "cool some {o} and put it in {t}"),
    "two": ("put two {o} in {t}", "find two {o} and put them in {t}"),
}
_STATION = {"clean": "SinkBasin", "heat": "Microwave", "cool": "Fridge"}
_ABLE = {"clean": "cleanable", "heat": "heatable", "cool": "coolable"}
_COUNT = {"StoveBurner": 4}
_LAMP_STANDS = ("Desk", "Dresser", "SideTable", "Shelf", "DiningTable")
_EVERYDAY = {
    "CounterTop": 3.0, "DiningTable": 3.0, "Desk": 3.0, "SideTable": 3.0, "CoffeeTable": 3.0, "Dresser": 2.0,
    "Shelf": 2.0, "Sofa": 1.5, "ArmChair": 1.5, "Bed": 2.0, "Cabinet": 1.5, "Drawer": 1.5, "Fridge": 2.0,
    "SinkBasin": 1.0, "GarbageCan": 0.5, "Microwave": 0.5, "Toilet": 1.0, "Safe": 0.7,
}  # fmt: skip
PLACEMENTS = ("habits", "everyday")


@lru_cache(maxsize=1)
def tables() -> dict[str, Any]:
    """Return the derived floor plans and rules."""
    text = resources.files(__package__).joinpath("data", "floorplans.json").read_text(encoding="utf-8")
    rows: dict[str, Any] = json.loads(text)
    return rows


@lru_cache(maxsize=1)
def _common_sense() -> dict[str, dict[str, float]]:
    text = resources.files(__package__).joinpath("data", "usual.json").read_text(encoding="utf-8")
    rows: dict[str, dict[str, float]] = json.loads(text)
    return rows


def room(scene: int) -> str:
    """Return the kind of room of a floor plan."""
    return {0: "Kitchen", 2: "LivingRoom", 3: "Bedroom", 4: "Bathroom"}[scene // 100]


@lru_cache(maxsize=8192)
def usual(thing: str, places: tuple[str, ...], placement: str = "everyday") -> tuple[float, ...]:
    """Return how often a thing lies in each of these kinds of place, per kind, summing to one.

    `habits`: two favourites, fixed by a hash of the names and weighted by how everyday a place is, share three quarters.
    `everyday`: by the table of common sense; the kinds of place that it does not name share one part.
    """
    if placement == "everyday":
        parts = _common_sense().get(thing, {})
        rest = 1 / max(1, sum(p not in parts for p in places))
        sums = np.array([parts.get(p, rest) for p in places], dtype=float)
        return tuple(sums / sums.sum())
    base = np.array([_EVERYDAY.get(p, 0.3) for p in places])
    draw = [int.from_bytes(hashlib.sha256(f"{thing} {p}".encode()).digest()[:4], "big") / 2**32 for p in places]
    order = np.argsort(-(np.array(draw) ** (1 / base)))
    weights = 0.25 * base / base.sum()
    for favourite, share in zip(order[:2], (0.5, 0.25) if len(places) > 1 else (0.75,), strict=False):
        weights[favourite] += share
    return tuple(weights / weights.sum())


def _id(kind: str, x: float, y: float, z: float) -> str:
    return f"{kind}|{x:+06.2f}|{y:+06.2f}|{z:+06.2f}"


@lru_cache(maxsize=8192)
def _cumulative(thing: str, places: tuple[str, ...], placement: str) -> tuple[float, ...]:
    sums = np.array(usual(thing, places, placement)).cumsum()
    return tuple(sums / sums[-1])


@lru_cache(maxsize=1)
def _holds() -> dict[str, frozenset[str]]:
    return {place: frozenset(things) for place, things in tables()["holds"].items()}


@lru_cache(maxsize=256)
def _properties(thing: str) -> tuple[str, ...]:
    """Return the facts that hold of every thing of a type."""
    rules = tables()
    named = [("pickupable", rules["pickupable"]), ("isReceptacleObject", rules["vessels"]), *rules["able"].items()]
    return tuple(name for name, members in named if thing in members)


PDDL = str.maketrans({"-": "_minus_", "|": "_bar_", "+": "_plus_", ".": "_dot_", ",": "_comma_"})


@lru_cache(maxsize=1 << 14)
def mangle(name: str) -> str:
    """Return the PDDL form of a THOR id, in lower case as the engine reads it."""
    return name.translate(PDDL).lower()


@lru_cache(maxsize=1 << 14)
def type_of(name: str) -> str:
    """Return the type of a THOR id.

    >>> type_of("Sink|+01.00|+00.90|-00.50|SinkBasin")
    'SinkBasin'
    """
    last = name.split("|")[-1]
    return last if last.endswith("Basin") else name.split("|")[0]


@dataclass(frozen=True, slots=True)
class Scene:
    """A furnished room: receptacles (id -> standing point), objects (id, where, standing point), where the agent is."""

    number: int
    receptacles: dict[str, tuple[int, int, int, int]]
    openable: frozenset[str]
    objects: tuple[tuple[str, str, tuple[int, int, int, int]], ...]
    agent: tuple[int, int, int, int]


def _furnish(number: int, rng: np.random.Generator) -> tuple[dict[str, tuple[int, int, int, int]], frozenset[str]]:
    plan = tables()["plans"][str(number)]
    places = {name: (x, z, turn, horizon) for name, x, z, turn, horizon in plan["receptacles"]}
    openable = frozenset(n for n in places if type_of(n) in tables()["openable"])
    spots = sorted({p[:2] for p in places.values()}) or [(0, 0)]
    for kind in plan["missing"]:
        for _ in range(_COUNT.get(kind, 1)):
            x, z = spots[rng.integers(len(spots))]
            stem = {"SinkBasin": "Sink", "BathtubBasin": "Bathtub"}.get(kind, kind)
            name = _id(stem, x / 4 + rng.uniform(-0.4, 0.4), 0.9, z / 4 + rng.uniform(-0.4, 0.4))
            name += f"|{kind}" if kind.endswith("Basin") else ""
            places[name] = (int(x), int(z), int(rng.integers(4)), int(rng.choice([15, 30, 45, 60])))
    return places, openable


def _task(kind: str, by: dict[str, list[str]], types: set[str], rng: np.random.Generator) -> tuple[str, str] | None:
    """Draw an object and a target that the room allows, or None."""
    rules = tables()
    portable = [t for t in rules["pickupable"] if t in types]
    holds = _holds()
    if kind in _STATION:
        if _STATION[kind] not in by:
            return None
        portable = [t for t in portable if t in rules["able"][_ABLE[kind]]]
    if kind == "look":
        if "DeskLamp" not in types or not any(t in by for t in _LAMP_STANDS):
            return None
        portable = [t for t in portable if any(t in holds.get(p, ()) for p in by)]
        return (portable[rng.integers(len(portable))], "DeskLamp") if portable else None
    pairs, listed = [], sorted(by)
    for thing in portable:
        fits = [p for p in listed if thing in holds.get(p, ())]
        for target in fits:
            if target != _STATION.get(kind) and any(p not in (target, _STATION.get(kind)) for p in fits):
                pairs.append((thing, target))
    return pairs[rng.integers(len(pairs))] if pairs else None


def sample(
    kind: str, number: int, rng: np.random.Generator, placement: str = "everyday"
) -> tuple[Scene, str, str] | None:
    """Furnish a room and draw a task of a kind; None where the room has no such task.

    Source of the rules: ALFWorld's games. The goal's object never starts in its target or at its station, and the
    agent starts away from every receptacle, so that the opening text lists them.
    """
    rules = tables()
    places, openable = _furnish(number, rng)
    by: dict[str, list[str]] = defaultdict(list)
    for name in sorted(places):
        by[type_of(name)].append(name)
    types = set(rules["plans"][str(number)]["objects"])
    drawn = _task(kind, by, types, rng)
    if drawn is None:
        return None
    thing, target = drawn
    barred = {target, _STATION.get(kind, target)} if kind != "look" else set()
    objects: list[tuple[str, str, tuple[int, int, int, int]]] = []

    def put(what: str, where: str) -> None:
        _, x, _, z, *_ = where.split("|")
        right, up, ahead = rng.random(), rng.random(), rng.random()
        name = _id(what, float(x) + (-0.35 + 0.7 * right), 0.4 + (1.5 - 0.4) * up, float(z) + (-0.35 + 0.7 * ahead))
        objects.append((name, where, places[where]))

    listed, holds = sorted(by), _holds()
    for what in rules["pickupable"]:
        if what not in types:
            continue
        kinds = tuple(p for p in listed if what in holds.get(p, ()) and not (what == thing and p in barred))
        if not kinds:
            continue
        most = 3
        copies = int(rng.integers(2 if what == thing and kind == "two" else 1, most + 1))
        for _ in range(copies):
            place = by[kinds[bisect_right(_cumulative(what, kinds, placement), rng.random())]]
            put(what, place[rng.integers(len(place))])
    if "DeskLamp" in types and (stands := [r for t in _LAMP_STANDS for r in by.get(t, ())]):
        put("DeskLamp", stands[rng.integers(len(stands))])
    taken = {*places.values(), *(o[2] for o in objects)}
    agent = (0, 0, 0, 30)
    while agent in taken:
        agent = (int(rng.integers(-20, 20)), int(rng.integers(-20, 20)), int(rng.integers(4)), 30)
    return Scene(number, places, openable, tuple(objects), agent), thing, target


@lru_cache(maxsize=1 << 14)
def _place(point: tuple[int, int, int, int]) -> str:
    return "loc|{}|{}|{}|{}".format(*point)


@lru_cache(maxsize=256)
def _pairs(place: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Return what a kind of place can hold, each with the fact that says so."""
    return tuple((o, (place + "Type", o + "Type")) for o in tables()["holds"].get(place, ()))


def _lower(row: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(mangle(word) for word in row)


_lower_known = lru_cache(maxsize=8192)(_lower)


def _lowered(name: str, rows: list[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """Return the facts of a name as the engine reads them; what can be in what is the same few pairs in every game."""
    return [_lower_known(row) if name == "canContain" else _lower(row) for row in rows]


def facts(scene: Scene) -> dict[str, list[tuple[str, ...]]]:
    """Return the initial facts of a scene, with THOR ids as in ALFWorld's problem files."""
    out: dict[str, list[tuple[str, ...]]] = defaultdict(list)
    out["atLocation"].append(("agent1", _place(scene.agent)))
    kinds = {type_of(o) for o, _, _ in scene.objects}
    for r, point in sorted(scene.receptacles.items()):
        out["receptacleType"].append((r, type_of(r) + "Type"))
        out["receptacleAtLocation"].append((r, _place(point)))
        if r in scene.openable:
            out["openable"].append((r,))
    for t in sorted({type_of(r) for r in scene.receptacles}):
        out["canContain"] += [pair for o, pair in _pairs(t) if o in kinds]
    for o, where, point in scene.objects:
        t = type_of(o)
        out["objectType"].append((o, t + "Type"))
        out["objectAtLocation"].append((o, _place(point)))
        out["inReceptacle"].append((o, where))
        for able in _properties(t):
            out[able].append((o,))
    return out


def build(scene: Scene, kind: str, thing: str, target: str, text: str) -> Game:
    """Return the game of a scene without a detour through PDDL text."""
    rows = facts(scene)
    plain = {name.lower(): _lowered(name, found) for name, found in rows.items()}
    return Game(plain, Goal(kind, thing.lower() + "type", target.lower() + "type", text))


@dataclass(frozen=True, slots=True)
class Made:
    """A generated game with what is needed to write it as an official one."""

    scene: Scene
    kind: str
    object: str
    target: str
    text: str

    def game(self) -> Game:
        """Return the engine's form."""
        return build(self.scene, self.kind, self.object, self.target, self.text)


@lru_cache(maxsize=512)
def make(split: str, index: int, games_seed: int = 0, placement: str = "everyday") -> Made:
    """Return game `index` of a split; the same arguments give the same game.

    Tasks go round the six kinds. `train` and `valid` share rooms and no game; `test` has rooms of its own.
    """
    if split not in SIZES or index < 0:
        raise ValueError(f"game {index} of split {split!r}: the splits are {sorted(SIZES)}, an index is 0 or more")
    rng = np.random.default_rng([games_seed, list(SIZES).index(split), index])
    kind = KINDS[index % len(KINDS)]
    rooms = tables()["rooms"][next(k for k, v in TASK_TYPES.items() if v == kind)]
    scenes = [n for n in map(int, tables()["plans"]) if (n in UNSEEN) == (split == "test") and room(n) in rooms]
    while True:
        drawn = sample(kind, scenes[rng.integers(len(scenes))], rng, placement)
        if drawn is not None:
            scene, thing, target = drawn
            text = TEMPLATES[kind][rng.integers(2)].format(o=thing.lower(), t=target.lower())
            return Made(scene, kind, thing, target, text)
