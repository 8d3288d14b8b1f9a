"""What an episode has brought about, in the words of a task: the goals that it would have won."""

from __future__ import annotations

from collections.abc import Iterator

from .engine import Engine
from .game import KINDS, Goal
from .generate import TEMPLATES


def reached(engine: Engine) -> tuple[str, ...]:
    """Return the goals that hold now and did not at the start, the simplest kind first."""
    found = {goal.text: goal for goal in _goals(engine)}
    if not found:
        return ()
    start = Engine(engine.game)
    order = sorted(found.values(), key=lambda goal: (KINDS.index(goal.kind), goal.text))
    return tuple(goal.text for goal in order if engine.won(goal) and not start.won(goal))


def _goals(engine: Engine) -> Iterator[Goal]:
    """Yield the goals of every kind about what lies where it did not at the start, and about what is held by a lamp."""
    g = engine.game
    before = set(g.rows("inreceptacle"))
    for r, held in engine.holds.items():
        for o in held:
            if (o, r) not in before and o in g.object_type and r in g.receptacle_type:
                yield from (_goal(kind, g.object_type[o], g.receptacle_type[r]) for kind in KINDS if kind != "look")
    if engine.hold:
        here = (o for r in g.at.get(engine.loc, ()) for o in engine.holds[r])
        yield from (_goal("look", g.object_type[engine.hold], g.object_type[o]) for o in here if o in engine.on)


def _goal(kind: str, thing: str, target: str) -> Goal:
    words = {"o": thing.removesuffix("type"), "t": target.removesuffix("type")}
    return Goal(kind, thing, target, TEMPLATES[kind][0].format(**words))
