"""What an episode has brought about, in the words of a task: the goals that it would have won."""

from __future__ import annotations

from .engine import Engine
from .game import KINDS
from .generate import TEMPLATES


def reached(engine: Engine) -> tuple[str, ...]:
    """Return the goals that hold now by what was done, the simplest first.

    A thing that lies where it did not lie at the start has been put there; it is clean, hot or cool if it can be made so
    and now is; two of a type count if one of them was put there; and what is held under a burning lamp is looked at.
    """
    g = engine.game
    before = set(g.rows("inreceptacle"))
    found: set[tuple[str, str, str]] = set()
    for r, held in engine.holds.items():
        here = [o for o in held if o in g.pickupable and o in g.object_type and r in g.receptacle_type]
        for o in here:
            if (o, r) in before:
                continue
            thing, place = g.object_type[o], g.receptacle_type[r]
            marks = {
                "clean": (engine.clean, g.cleanable),
                "heat": (engine.hot, g.heatable),
                "cool": (engine.cool, g.coolable),
            }
            found.add(("pick", thing, place))
            found |= {(kind, thing, place) for kind, (now, able) in marks.items() if o in now & able}
            if sum(g.object_type[other] == thing for other in here) > 1:
                found.add(("two", thing, place))
    if engine.hold:
        lamps = [o for r in g.at.get(engine.loc, ()) for o in engine.holds[r] if o in engine.on and o in g.object_type]
        found |= {("look", g.object_type[engine.hold], g.object_type[lamp]) for lamp in lamps}
    order = sorted(found, key=lambda goal: (KINDS.index(goal[0]), goal))
    return tuple(TEMPLATES[k][0].format(o=_word(o), t=_word(t)) for k, o, t in order)


def _word(kind: str) -> str:
    """Return a type as goals write it.

    >>> _word("desklamptype")
    'desklamp'
    """
    return kind.removesuffix("type")
