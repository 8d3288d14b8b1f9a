"""The fewest ticks to the first soup, exact: what an expert of ReAd's variant would do."""

from __future__ import annotations

from collections.abc import Sequence
from heapq import heappop, heappush
from itertools import product

from .actions import Kitchen
from .control import FAR
from .engine import DISH, EMPTY, INTERACT, SOUP, STAY, State
from .layout import TOMATO, items

Joint = tuple[int, ...]


def optimum(kitchen: Kitchen, state: State, limit: int) -> list[Joint] | None:
    """Return the shortest joint plan that delivers the dearest order, None if none has at most `limit` ticks.

    A* over the exact dynamics. Left out is what cannot shorten a plan, for standing idle in its stead is as good: more
    ingredients than the recipe's, a second dish, a second pot.
    """
    find = _Search(kitchen)
    came: dict[State, tuple[State, Joint] | None] = {state: None}
    ticks = {state: 0}
    heap = [(find.late(state), 0, 0, state)]
    while heap:
        _, early, _, here = heappop(heap)
        tick = -early + 1
        if tick > ticks[here] + 1:
            continue
        joints = product(*(_actions(kitchen.engine.turn[p], p) for p in here.poses))
        for joint in joints:
            there, earned, _ = kitchen.engine.step(here, joint)
            if any(earned):
                return [*_path(came, here), joint]
            if tick >= ticks.get(there, limit) or (there.hands != here.hands and find.wasteful(there)):
                continue
            least = tick + find.late(there)
            if least <= limit:
                ticks[there] = tick
                came[there] = (here, joint)
                heappush(heap, (least, -tick, len(ticks), there))
    return None


def _actions(turn: Sequence[int], pose: int) -> list[int]:
    return [STAY, INTERACT, *(a for a, after in enumerate(turn[:4]) if after != pose)]


def _path(came: dict[State, tuple[State, Joint] | None], state: State) -> list[Joint]:
    plan = []
    while (step := came[state]) is not None:
        state, joint = step
        plan.append(joint)
    return plan[::-1]


class _Search:
    """What a search for one recipe in one kitchen may skip."""

    def __init__(self, kitchen: Kitchen) -> None:
        engine, layout = kitchen.engine, kitchen.engine.layout
        self.engine = engine
        self.recipe = max(layout.orders(), key=lambda m: layout.worth[m])
        self.counters = [k for c, k in engine.slot.items() if kitchen.kinds[c] == "counter"]
        self.to_serve = self._nearest(kitchen, "serving counter")
        self.to_pot = self._nearest(kitchen, "pot")
        self.to_supply = self._nearest(kitchen, "onion dispenser" if self.recipe % TOMATO else "tomato dispenser")
        self.away = min(
            (self.to_serve[p] for p, cell in enumerate(engine.ahead) if kitchen.kinds.get(cell) == "pot"), default=FAR
        )

    def _nearest(self, kitchen: Kitchen, kind: str) -> list[int]:
        tables = [kitchen.control.distances(c) for c in self.engine.layout.cells(kind)]
        return [min(column) for column in zip(*tables, strict=True)]

    def wasteful(self, state: State) -> bool:
        """Whether more is about than the recipe takes."""
        shelf = state.shelf
        pots = [shelf[k] & 15 for k in self.engine.pots if shelf[k]]
        things = [h for h in (*state.hands, *(shelf[k] for k in self.counters)) if h]
        loose = [t for t in things if t < SOUP and t != DISH]
        soups = [t - SOUP for t in things if t >= SOUP]
        if len(pots) + len(soups) > 1 or things.count(DISH) + len(soups) > 1:
            return True
        mix = sum(loose) + sum(pots) + sum(soups)
        return mix % TOMATO > self.recipe % TOMATO or mix // TOMATO > self.recipe // TOMATO

    def late(self, state: State) -> int:
        """Return ticks that must pass yet, at least: never too many."""
        finish = self.away + 2  # fill, walk, deliver
        for pose, held in zip(state.poses, state.hands, strict=True):
            if held >= SOUP:
                return self.to_serve[pose] + 1 if self.to_serve[pose] < FAR else 1
        pot = max(state.shelf[k] for k in self.engine.pots)
        walk = min(self.to_pot[p] for p in state.poses)  # somebody must come to the pot
        left = self.engine.left(pot)
        if left is not None:
            return max(left, walk) + finish
        start = self.engine.layout.ticks[self.recipe] - self.engine.auto_cook  # it cooks in the tick that starts it
        missing = items(self.recipe) - items(pot)
        if missing == 0:
            return walk + start + finish
        carried = sum(EMPTY < h != DISH for h in state.hands)
        lying = any(EMPTY < state.shelf[k] != DISH for k in self.counters)
        if carried < missing and not lying:
            walk = max(walk, min(self.to_supply[p] for p in state.poses) + 1)
        return walk + 1 + start + finish
