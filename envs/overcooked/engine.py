"""The dynamics of Overcooked-AI, exact, on tables of small integers.

A tick: interactions in the order of the cooks, then all moves at once (if any two cooks would share or swap cells,
nobody moves, but all turn), then the pots cook. A differential test drives the original beside it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from .layout import CAPACITY, MIXES, TERRAIN, TOMATO, Cell, Layout, items

ACTIONS = ("north", "south", "east", "west", "stay", "interact")
NORTH, SOUTH, EAST, WEST, STAY, INTERACT = range(6)
HEADINGS: tuple[Cell, ...] = ((0, -1), (0, 1), (1, 0), (-1, 0))
EMPTY, ONION, DISH, TOMATO_ITEM, SOUP = 0, 1, 2, TOMATO, 16
"""Things in hand or on a counter; a soup is SOUP + its mix, and an ingredient equals what it adds to a mix."""


class State(NamedTuple):
    """All that the dynamics depend on; hashable.

    poses: a cook's place and heading, 4 * floor cell + heading.
    hands: what each cook holds.
    shelf: what lies in each place of `Engine.places`; a pot holds mix + 16 * (0 if idle, else 1 + ticks cooked).
    """

    poses: tuple[int, ...]
    hands: tuple[int, ...]
    shelf: tuple[int, ...]


class Outcome(NamedTuple):
    """What a tick brought. earned: points of each cook's deliveries. shaped: its points for steps towards them."""

    state: State
    earned: tuple[int, ...]
    shaped: tuple[int, ...]


class Engine:
    """A kitchen's tables and the step that uses them; it holds no state.

    auto_cook: a pot starts by itself when full (the dynamics of the papers); else a cook with empty hands starts it.
    """

    def __init__(self, layout: Layout, auto_cook: bool = True) -> None:
        if auto_cook and any(items(m) != CAPACITY for m in layout.orders()):
            raise ValueError(
                f"auto_cook=True: {layout.name} orders soups of fewer than {CAPACITY} ingredients, which never start "
                "by themselves; set auto_cook=False"
            )
        self.layout, self.auto_cook = layout, auto_cook
        self.floor = layout.cells("floor")
        self.places = (*layout.cells("counter"), *layout.cells("pot"))
        number = {c: k for k, c in enumerate(self.floor)}
        self.slot = {c: k for k, c in enumerate(self.places)}
        self.pots = tuple(self.slot[c] for c in layout.cells("pot"))
        self.turn: list[tuple[int, ...]] = []  # pose -> pose after each action, were nobody else there
        self.ahead: list[Cell] = []  # pose -> the cell in front
        for x, y in self.floor:
            beside = [(x + dx, y + dy) for dx, dy in HEADINGS]
            here = number[x, y]
            to = [4 * number.get(c, here) + h for h, c in enumerate(beside)]
            for h, cell in enumerate(beside):
                self.turn.append((*to, 4 * here + h, 4 * here + h))
                self.ahead.append(cell)
        self._kind = [TERRAIN[layout.rows[y][x]] for x, y in self.ahead]
        self._slot = [self.slot.get(c, -1) for c in self.ahead]
        self._counters = range(len(self.places) - len(self.pots))
        self._none = (0,) * len(layout.starts)
        self._later = self._clock()

    def _clock(self) -> list[int]:
        """Return what a pot's contents are one tick later."""
        later = list(range(16 * (max(self.layout.ticks) + 3)))
        for mix in MIXES:
            ready = self.layout.ticks[mix]
            for cooked in range(ready):
                later[mix + 16 * (1 + cooked)] = mix + 16 * (2 + cooked)
            if self.auto_cook and items(mix) == CAPACITY:
                later[mix] = mix + 16 * 2
        return later

    def start(self, cells: Iterable[Cell] | None = None) -> State:
        """Return the opening state: cooks at their starts or at `cells`, facing north, with nothing anywhere."""
        poses = tuple(4 * self.floor.index(c) for c in cells or self.layout.starts)
        return State(poses, self._none, (0,) * len(self.places))

    def cell(self, pose: int) -> Cell:
        """Return where a cook in a pose stands."""
        return self.floor[pose >> 2]

    def ready(self, pot: int) -> bool:
        """Whether a pot's contents are a finished soup."""
        return pot >= 16 and (pot >> 4) - 1 >= self.layout.ticks[pot & 15]

    def left(self, pot: int) -> int | None:
        """Return how many ticks a pot still cooks, 0 when ready; None where it does not cook."""
        return max(0, self.layout.ticks[pot & 15] - (pot >> 4) + 1) if pot >= 16 else None

    def step(self, state: State, joint: Sequence[int]) -> Outcome:
        """Apply one action of every cook."""
        poses, hands, shelf = state
        earned = shaped = self._none
        if INTERACT in joint:
            hands, shelf, earned, shaped = self._interact(state, joint)
        turn = self.turn
        new = [turn[p][a] for p, a in zip(poses, joint, strict=True)]
        if new != list(poses):
            if _collide(poses, new):
                new = [(p & ~3) | (q & 3) for p, q in zip(poses, new, strict=True)]
            poses = tuple(new)
        later = self._later
        for pot in self.pots:
            inside = shelf[pot]
            if later[inside] != inside:
                shelf = (*shelf[:pot], later[inside], *shelf[pot + 1 :])
        return Outcome(State(poses, hands, shelf), earned, shaped)

    def _interact(
        self, state: State, joint: Sequence[int]
    ) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
        hands, shelf = list(state.hands), list(state.shelf)
        earned, shaped = list(self._none), list(self._none)
        potted, dished, served = self.layout.shaping
        for i, action in enumerate(joint):
            if action != INTERACT:
                continue
            pose = state.poses[i]
            kind, slot, held = self._kind[pose], self._slot[pose], hands[i]
            if kind == "counter":
                if (held == EMPTY) != (shelf[slot] == EMPTY):
                    hands[i], shelf[slot] = shelf[slot], held
            elif kind == "pot":
                inside = shelf[slot]
                if held == EMPTY:
                    if not self.auto_cook and 0 < inside < 16:
                        shelf[slot] = inside + 16
                elif held == DISH:
                    if self.ready(inside):
                        hands[i], shelf[slot] = SOUP + (inside & 15), EMPTY
                        shaped[i] += served
                elif held < SOUP and inside < 16 and items(inside) < CAPACITY:
                    hands[i], shelf[slot] = EMPTY, inside + held
                    shaped[i] += potted
            elif kind == "serving counter":
                if held >= SOUP:
                    hands[i] = EMPTY
                    earned[i] += self.layout.worth[held - SOUP]
            elif held == EMPTY:
                if kind == "onion dispenser":
                    hands[i] = ONION
                elif kind == "tomato dispenser":
                    hands[i] = TOMATO_ITEM
                elif kind == "dish dispenser":
                    if self._dish_is_useful(state, hands, shelf):
                        shaped[i] += dished
                    hands[i] = DISH
        return tuple(hands), tuple(shelf), tuple(earned), tuple(shaped)

    def _dish_is_useful(self, before: State, hands: Sequence[int], shelf: Sequence[int]) -> bool:
        """Whether a dish is wanted, by the original's rule: two cooks, pots as they were before the tick."""
        if len(hands) != 2 or any(shelf[k] == DISH for k in self._counters):
            return False
        wanted = sum(inside >= 16 or 0 < items(inside) < CAPACITY for inside in (before.shelf[p] for p in self.pots))
        return hands.count(DISH) < wanted


def _collide(old: Sequence[int], new: Sequence[int]) -> bool:
    """Whether two cooks end in one cell or cross.

    >>> _collide((0, 4), (4, 8)), _collide((0, 4), (6, 1)), _collide((0, 4), (4, 4))
    (False, True, True)
    """
    for j in range(1, len(new)):
        to = new[j] >> 2
        was = old[j] >> 2
        for i in range(j):
            if new[i] >> 2 == to or (new[i] >> 2 == was and old[i] >> 2 == to):
                return True
    return False
