"""Cooks by rule, who see the whole kitchen: a ceiling to compare with, not agents."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from .actions import Kitchen, Macro
from .engine import DISH, EMPTY, ONION, SOUP, TOMATO_ITEM, State
from .layout import TOMATO

_SOON = 6  # ticks before a soup is ready at which somebody should fetch a dish
_STOCK = 2  # ingredients of a kind that a cook without a pot keeps on the counters


def decide(kitchen: Kitchen, state: State, doing: Sequence[Macro | None]) -> list[Macro | None]:
    """Return what every cook does: what it is at, else what its rule says given the others; None: wait."""
    plans = list(doing)
    for i, plan in enumerate(plans):
        if plan is None:
            plans[i] = _Rule(kitchen, state, plans, i).choose()
    return plans


class _Rule:
    """One cook's view of who has and who will have what."""

    def __init__(self, kitchen: Kitchen, state: State, plans: Sequence[Macro | None], i: int) -> None:
        self.kitchen, self.state, self.i = kitchen, state, i
        engine, layout = kitchen.engine, kitchen.engine.layout
        self.found = list(kitchen.possible(state, i).values())
        self.recipe = max(layout.orders(), key=lambda m: layout.worth[m])
        self.pots = [state.shelf[p] for p in engine.pots]
        pots = [any(kitchen.kinds[c] == "pot" for c in kitchen.reach(p)) for p in state.poses]
        self.has_pot = pots[i]
        peers = [j for j, has_pot in enumerate(pots) if j != i and (has_pot or not self.has_pot)]
        self.others = [state.hands[j] for j in peers]  # what those who do the same work have, or go to get
        self.others += [m.thing for j in peers if (m := plans[j]) is not None and m.verb == "take"]
        self.lying = [state.shelf[k] for c, k in engine.slot.items() if kitchen.kinds[c] == "counter"]

    def choose(self) -> Macro | None:
        """Return the macro action of the rule."""
        held = self.state.hands[self.i]
        if held >= SOUP:
            return self.nearest("serve") or self.pass_on()
        if held == DISH:
            return self.soonest() or (None if self.has_pot else self.pass_on())
        if held != EMPTY:
            return self.fullest() or (None if self.has_pot else self.pass_on())
        return self.start() or self.fetch()

    def start(self) -> Macro | None:
        """Return how to start a pot that holds what was ordered."""
        return next((m for m in self.found if m.verb == "cook" and self.inside(m) == self.recipe), None)

    def fetch(self) -> Macro | None:
        """Return what to pick up: the dish that is urgent, what the pots lack, the dish that can wait, a reserve."""
        left = [x for x in (self.kitchen.engine.left(p) for p in self.pots) if x is not None]
        dishes = sum(h == DISH or h >= SOUP for h in self.others)
        if not self.has_pot:
            return self.supply(len(left))
        if sum(t <= _SOON for t in left) > dishes and (plan := self.take(DISH)):
            return plan
        for item in (ONION, TOMATO_ITEM):
            if self.lacking(item) > self.others.count(item) and (plan := self.take(item)):
                return plan
        if len(left) > dishes and (plan := self.take(DISH)):
            return plan
        soup = self.nearest("take", lambda m: m.thing >= SOUP)
        return soup or self.take(ONION if self.recipe % TOMATO else TOMATO_ITEM)

    def supply(self, hot: int) -> Macro | None:
        """Return what a cook without a pot brings to those who have one."""
        dishes = self.lying.count(DISH) + self.others.count(DISH)
        if hot > dishes and (plan := self.take(DISH, fresh=True)):
            return plan
        for item in (ONION, TOMATO_ITEM):
            if self.amount(item) and self.lying.count(item) < _STOCK and (plan := self.take(item, fresh=True)):
                return plan
        return self.take(DISH, fresh=True) if dishes == 0 else None

    def amount(self, item: int) -> int:
        """Return how many of an ingredient the recipe takes."""
        return self.recipe % TOMATO if item == ONION else self.recipe // TOMATO

    def lacking(self, item: int) -> int:
        """Return how many of an ingredient the pots that do not cook still take."""
        inside = [p % TOMATO if item == ONION else p // TOMATO for p in self.pots if p < 16]
        return sum(max(0, self.amount(item) - n) for n in inside)

    def inside(self, macro: Macro) -> int:
        """Return the contents of a macro's pot."""
        return self.state.shelf[self.kitchen.engine.slot[macro.at]]

    def take(self, item: int, fresh: bool = False) -> Macro | None:
        """Return the nearest place to take a thing from; `fresh`: a dispenser."""
        return self.nearest("take", lambda m: m.thing == item and not (fresh and self.kitchen.kinds[m.at] == "counter"))

    def soonest(self) -> Macro | None:
        """Return the pot to stand at with a dish: the one that is ready first."""
        pots = [m for m in self.found if m.verb == "fill"]
        return min(pots, key=lambda m: self.kitchen.engine.left(self.inside(m)) or 0, default=None)

    def fullest(self) -> Macro | None:
        """Return the pot to put an ingredient in: the one that lacks least of those that lack it."""
        held = self.state.hands[self.i]
        unit = 1 if held == ONION else TOMATO
        share = [m for m in self.found if m.verb == "add" and self.inside(m) // unit % TOMATO < self.amount(held)]
        return max(share, key=lambda m: (self.inside(m), -self.ticks(m)), default=None)

    def pass_on(self) -> Macro | None:
        """Return the counter to hand a thing over: one with two sides, near the others."""
        drops = [m for m in self.found if m.verb == "drop"]
        shared = [m for m in drops if m.at in self.kitchen.handover] or drops
        partners = [p for j, p in enumerate(self.state.poses) if j != self.i]
        return min(shared, key=lambda m: sum(self.kitchen.control.distances(m.at)[p] for p in partners), default=None)

    def nearest(self, verb: str, fits: Callable[[Macro], bool] = lambda m: True) -> Macro | None:
        """Return the nearest of the possible actions of a kind."""
        some: Iterable[Macro] = (m for m in self.found if m.verb == verb and fits(m))
        return min(some, key=self.ticks, default=None)

    def ticks(self, macro: Macro) -> int:
        """Return how long the walk to an action is."""
        return self.kitchen.control.distances(macro.at)[self.state.poses[self.i]]
