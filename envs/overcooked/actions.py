"""What a cook can decide to do, in words: macro actions, which of them make sense now, and what came of one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from .control import FAR, Controller
from .engine import DISH, EMPTY, HEADINGS, ONION, SOUP, TOMATO_ITEM, Engine, State
from .layout import CAPACITY, TERRAIN, TOMATO, Cell, items

SUPPLIES = {"onion dispenser": ONION, "tomato dispenser": TOMATO_ITEM, "dish dispenser": DISH}
NAMES = {ONION: "onion", TOMATO_ITEM: "tomato", DISH: "dish"}
WAIT, CONTINUE = "wait", "continue"


@dataclass(frozen=True, slots=True)
class Macro:
    """Go and do something at a cell. verb: take, add, cook, fill, serve or drop. thing: what is taken or put."""

    text: str
    verb: str
    thing: int
    at: Cell


class Kitchen:
    """An engine with names for its fixtures, and knowledge of who can reach them."""

    def __init__(self, engine: Engine) -> None:
        self.engine, self.control = engine, Controller(engine)
        layout = engine.layout
        self.at: dict[str, Cell] = {}
        for kind in TERRAIN.values():
            if kind != "floor":
                self.at |= {f"{kind} {n}": cell for n, cell in enumerate(layout.cells(kind), 1)}
        self.names = {cell: name for name, cell in self.at.items()}
        self.kinds = {cell: name.rsplit(" ", 1)[0] for cell, name in self.names.items()}
        floor = set(engine.floor)
        self.handover = {  # counters with two sides, over which things can be passed
            (x, y) for x, y in layout.cells("counter") if sum((x + dx, y + dy) in floor for dx, dy in HEADINGS) > 1
        }
        self._reach: dict[int, tuple[Cell, ...]] = {}

    def reach(self, pose: int) -> tuple[Cell, ...]:
        """Return the fixtures that a cook can get to, were nobody else there."""
        cell = pose >> 2
        if cell not in self._reach:
            self._reach[cell] = tuple(c for c in self.names if self.control.distances(c)[4 * cell] < FAR)
        return self._reach[cell]

    def thing(self, item: int) -> str:
        """Return the name of what is held or lies; a soup that is not simply the order says what is in it."""
        if item < SOUP:
            return NAMES[item]
        return "soup" if self.engine.layout.orders() == (item - SOUP,) else f"soup of {mixture(item - SOUP)}"

    def possible(self, state: State, i: int) -> dict[str, Macro]:
        """Return, by text, everything a cook could go and do that would do something as things stand."""
        return {m.text: m for cell in self.reach(state.poses[i]) for m in self._at(state, state.hands[i], cell)}

    def offered(self, state: State, i: int) -> tuple[str, ...]:
        """Return what is worth listing: everything but the many counters; of those, the nearest and those with two sides."""
        found = self.possible(state, i)
        pose = state.poses[i]
        drops = [m for m in found.values() if m.verb == "drop"]
        near = min(drops, key=lambda m: self.control.distances(m.at)[pose], default=None)
        return tuple(t for t, m in found.items() if m.verb != "drop" or m is near or m.at in self.handover)

    def legal(self, state: State, i: int, macro: Macro) -> bool:
        """Whether a macro action would still do what it says."""
        return macro in self._at(state, state.hands[i], macro.at)

    def _at(self, state: State, held: int, cell: Cell) -> Iterator[Macro]:
        kind, name = self.kinds[cell], self.names[cell]
        if kind in SUPPLIES:
            if held == EMPTY:
                item = SUPPLIES[kind]
                yield Macro(f"pick up {NAMES[item]} from {name}", "take", item, cell)
        elif kind == "counter":
            lies = state.shelf[self.engine.slot[cell]]
            if held == EMPTY and lies:
                yield Macro(f"pick up {self.thing(lies)} from {name}", "take", lies, cell)
            elif held and not lies:
                yield Macro(f"put {self.thing(held)} on {name}", "drop", held, cell)
        elif kind == "pot":
            inside = state.shelf[self.engine.slot[cell]]
            if held == EMPTY and 0 < inside < 16 and not self.engine.auto_cook:
                yield Macro(f"start cooking {name}", "cook", EMPTY, cell)
            elif held == DISH and inside >= 16:
                yield Macro(f"fill dish with soup from {name}", "fill", DISH, cell)
            elif held in (ONION, TOMATO_ITEM) and inside < 16 and items(inside) < CAPACITY:
                yield Macro(f"put {NAMES[held]} in {name}", "add", held, cell)
        elif held >= SOUP:
            yield Macro(f"deliver {self.thing(held)} at {name}", "serve", held, cell)

    def walk(self, state: State, doing: Sequence[Macro | None], order: Sequence[int]) -> tuple[tuple[int, ...], bool]:
        """Return the next action of every cook, and whether nobody can get on.

        A cook before a pot that still cooks only makes way.
        """
        goals = []
        for pose, macro in zip(state.poses, doing, strict=True):
            goal = macro.at if macro else None
            if macro and macro.verb == "fill" and self.engine.ahead[pose] == goal:
                goal = goal if self.engine.ready(state.shelf[self.engine.slot[macro.at]]) else None
            goals.append(goal)
        return self.control.act(state.poses, tuple(goals), order)

    def done(self, before: State, after: State, i: int, macro: Macro) -> bool:
        """Whether an interaction brought what its macro action meant."""
        held = after.hands[i]
        if macro.verb == "cook":
            slot = self.engine.slot[macro.at]
            return before.shelf[slot] < 16 <= after.shelf[slot]
        if macro.verb == "take":
            return held == macro.thing
        return held >= SOUP if macro.verb == "fill" else held == EMPTY


def mixture(mix: int) -> str:
    """Return what is in a soup.

    >>> mixture(2 + TOMATO)
    '2 onions and 1 tomato'
    """
    onions, tomatoes = mix % TOMATO, mix // TOMATO
    parts = [f"{onions} onion{'s' * (onions > 1)}"] * (onions > 0)
    return " and ".join(parts + [f"{tomatoes} tomato{'es' * (tomatoes > 1)}"] * (tomatoes > 0))
