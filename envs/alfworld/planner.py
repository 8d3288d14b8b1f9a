"""The oracle: a short plan to the goal from any state, by trying every sensible choice of object and place.

A plan is a sequence of errands (put down what is in the way, fetch, treat, place). Errands are costed on the map (a walk
is one command, whatever the distance), so the cheapest choice of object, station and target is exact within this scheme;
a test holds it against breadth-first search.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..core import Privileged
from .engine import STATIONS, Engine
from .game import Game

_STATION = {v: k for k, v in STATIONS.items()}


class _Path:
    """A plan under construction: where the agent would stand and which doors it would have opened."""

    __slots__ = ("engine", "loc", "opened", "commands", "basis", "taken_from")

    def __init__(self, engine: Engine, loc: str, opened: frozenset[str], commands: tuple[str, ...], basis: str) -> None:
        self.engine, self.loc, self.opened, self.commands, self.basis = engine, loc, opened, commands, basis
        self.taken_from = ""

    def at(self, r: str, *, inside: bool, then: str, basis: str = "") -> _Path:
        """Walk to a receptacle, open it if something `inside` is wanted, and do `then` there."""
        g = self.engine.game
        out, opened = list(self.commands), self.opened
        if g.location[r] != self.loc:
            out.append(f"go to {g.name[r]}")
        if inside and r in g.openable and r not in opened:
            out.append(f"open {g.name[r]}")
            opened = opened | {r}
        out.append(then)
        first = self.basis if self.commands else basis
        return _Path(self.engine, g.location[r], opened, tuple(out), first)


def plan(engine: Engine) -> Privileged:
    """Return the plan, what its first action rests on, and what is hidden, for the engine's current state."""
    if engine.won():
        return Privileged(facts(engine), (), (), 0)
    best = min(_paths(engine), key=lambda p: (len(p.commands), p.commands), default=None)
    if best is None:
        return Privileged(facts(engine), ())
    basis = (best.basis,) if best.basis else ()
    ground = f"I have seen {best.basis}, which the task needs" if basis else "I have what this step needs"
    reason = f"{ground}, so I {{action}}."
    search = "I have not found what the task needs, so I look where I have not looked: {action}."
    return Privileged(facts(engine), best.commands, basis, len(best.commands), reason, search)


def facts(engine: Engine) -> tuple[str, ...]:
    """Say where everything lies that bears on the goal."""
    g = engine.game
    wanted = {*g.goal_objects, *(o for o, t in g.object_type.items() if t == g.goal.target)}
    return tuple(
        f"The {g.name[o]} is in or on the {g.name[r]}."
        for o in sorted(wanted)
        for r in sorted(engine.lies.get(o, ()))
        if r in g.name
    )


def _paths(engine: Engine) -> Iterator[_Path]:
    g, goal = engine.game, engine.game.goal
    start = _Path(engine, engine.loc, frozenset(engine.opened), (), "")
    held = engine.hold
    if held and g.object_type.get(held) == goal.object:
        yield from _finish(engine, start, held)
        treated = _treated(engine)
        if treated is None or held in treated or not treated.intersection(g.goal_objects):
            return
    for path in _put_down(engine, start, held) if held else (start,):
        for o, taken in _fetch(engine, path, frozenset({held})):
            yield from _finish(engine, taken, o)


def _treated(engine: Engine) -> set[str] | None:
    """Return what is clean, hot or cool, as the goal asks; None where it asks nothing of the kind."""
    return {"clean": engine.clean, "heat": engine.hot, "cool": engine.cool}.get(engine.game.goal.kind)


def _put_down(engine: Engine, path: _Path, o: str) -> Iterator[_Path]:
    """Yield the ways to be rid of a held object that may be best: the shortest, and those where the next thing lies."""
    g = engine.game
    fits = [r for r in g.receptacles if (g.receptacle_type[r], g.object_type.get(o, "")) in g.can_contain]
    options = [path.at(r, inside=True, then=_move(engine, o, r)) for r in fits]
    next_stops = {g.location[r] for x in g.goal_objects for r in engine.lies.get(x, ()) if r in g.location}
    shortest = min(options, key=lambda p: (len(p.commands), p.commands), default=None)
    yield from (p for p in options if p is shortest or p.loc in next_stops)


def _move(engine: Engine, o: str, r: str) -> str:
    n = engine.game.name
    return f"put {n[o]} in/on {n[r]}" if engine.old else f"move {n[o]} to {n[r]}"


def _fetch(engine: Engine, path: _Path, placed: frozenset[str]) -> Iterator[tuple[str, _Path]]:
    """Yield every object of the goal's type that can be taken, with the path that ends by taking it."""
    g = engine.game
    for o in g.goal_objects:
        if o in placed or o == engine.hold or o not in g.pickupable:
            continue
        for r in sorted(engine.lies.get(o, ())):
            if r in g.location:
                take = f"take {g.name[o]} from {g.name[r]}"
                taken = path.at(r, inside=True, then=take, basis=g.name[o])
                taken.taken_from = r
                yield o, taken


def _finish(engine: Engine, path: _Path, o: str) -> Iterator[_Path]:
    """Yield the ways to bring the goal about with `o` in hand."""
    g, goal = engine.game, engine.game.goal
    if goal.kind == "look":
        for lamp in sorted(g.toggleable):
            if g.object_type.get(lamp) == goal.target:
                for r in sorted(engine.lies.get(lamp, ())):
                    if lamp not in engine.on:
                        yield path.at(r, inside=False, then=f"use {g.name[lamp]}", basis=g.name[lamp])
                    else:
                        yield path if g.location[r] == path.loc else _go(path, r, g, lamp)
        return
    treated = _treated(engine)
    if treated is not None and o not in treated:
        stations = [r for r in g.receptacles if g.receptacle_type[r] == _STATION[goal.kind]]
        paths = [path.at(r, inside=False, then=f"{goal.kind} {g.name[o]} with {g.name[r]}") for r in stations]
    else:
        paths = [path]
    there_too = any(g.receptacle_type.get(r) == goal.target for r in engine.lies.get(o, ()) if r != path.taken_from)
    # a thing that was cold from the start shows it only when looked at: the step that skips the cooling rests on that
    rests = f"cold {g.name[o]}" if goal.kind == "cool" and (o,) in g.rows("iscool") else ""
    for treated_path in paths:
        if there_too and treated_path is not path:
            yield treated_path  # it was taken out of one of two receptacles that hold it, and still lies in the target
        for r in g.goal_receptacles:
            if goal.kind == "two":
                yield from _second(engine, treated_path, o, r)
            else:
                yield treated_path.at(r, inside=True, then=_move(engine, o, r), basis=rests)


def _go(path: _Path, r: str, g: Game, lamp: str) -> _Path:
    """Return the path that ends by walking to a lamp that is already on."""
    first = path.basis if path.commands else g.name[lamp]
    return _Path(path.engine, g.location[r], path.opened, (*path.commands, f"go to {g.name[r]}"), first)


def _second(engine: Engine, path: _Path, o: str, r: str) -> Iterator[_Path]:
    """Yield the ways to end with two objects in `r`, `o` in hand."""
    g = engine.game
    there = frozenset(x for x in engine.holds[r] if g.object_type.get(x) == g.goal.object and x != o)
    rests = g.name[min(there)] if there else ""
    placed = path.at(r, inside=True, then=_move(engine, o, r), basis=rests)
    if there:
        yield placed
        return
    for other, taken in _fetch(engine, placed, frozenset({o})):
        yield taken.at(r, inside=True, then=_move(engine, other, r))
