"""How cooks walk to where they want to act without ever blocking each other for good.

One or two cooks: the least total time for all, by A* over both poses, so that they make way for each other; it finds a
way whenever there is one. More cooks: priority inheritance with backtracking (PIBT, arXiv 1901.11282), one tick at a
time, the cook who has been at it longest first.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from heapq import heappop, heappush
from itertools import product

from .engine import INTERACT, STAY, Engine
from .layout import Cell

FAR = 10**6
_TICK = 1000  # what a tick of an unfinished cook costs, in steps of one who only makes way
Goals = tuple[Cell | None, ...]


class Controller:
    """The walking of all the cooks of one kitchen; it remembers the ways it has found."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._distances: dict[Cell, list[int]] = {}
        self._ways: dict[tuple[tuple[int, ...], Goals], tuple[int, ...] | None] = {}
        self._back: list[set[int]] = [set() for _ in engine.turn]
        for pose, to in enumerate(engine.turn):
            for after in to:
                self._back[after].add(pose)

    def distances(self, goal: Cell) -> list[int]:
        """Return, for every pose, the ticks a lone cook needs to face a cell; FAR where it cannot."""
        if goal not in self._distances:
            table = [FAR] * len(self._back)
            edge = deque(p for p, cell in enumerate(self.engine.ahead) if cell == goal)
            for p in edge:
                table[p] = 0
            while edge:
                p = edge.popleft()
                for q in self._back[p]:
                    if table[q] == FAR:
                        table[q] = table[p] + 1
                        edge.append(q)
            self._distances[goal] = table
        return self._distances[goal]

    def act(self, poses: tuple[int, ...], goals: Goals, order: Sequence[int]) -> tuple[tuple[int, ...], bool]:
        """Return every cook's next action, and whether nobody can get where he wants.

        goals: the cell each cook wants to act on, None for one who only makes way. order: whose turn it is to have his
        way where they cannot all have theirs.
        """
        if len(poses) > 2:
            return self._inherit(poses, goals, order), False
        joint = self._way(poses, goals)
        for i in order:
            if joint is None and goals[i] is not None:
                joint = self._way(poses, tuple(g if j == i else None for j, g in enumerate(goals)))
        return (joint, False) if joint is not None else ((STAY,) * len(poses), True)

    def _way(self, poses: tuple[int, ...], goals: Goals) -> tuple[int, ...] | None:
        if (poses, goals) not in self._ways:
            found = self._search(poses, goals)
            if found is None:
                self._ways[poses, goals] = None
            else:
                self._ways.update(found)
        return self._ways[poses, goals]

    def _options(self, pose: int, goal: Cell | None) -> Iterator[tuple[int, int, Cell | None]]:
        """Yield (action, pose after it, goal left) without two that end alike."""
        yield STAY, pose, goal
        if goal is not None and self.engine.ahead[pose] == goal:
            yield INTERACT, pose, None
        for heading, to in enumerate(self.engine.turn[pose][:4]):
            if to != pose:
                yield heading, to, goal

    def _search(
        self, poses: tuple[int, ...], goals: Goals
    ) -> dict[tuple[tuple[int, ...], Goals], tuple[int, ...]] | None:
        """Return the next action in each situation on the best way, from here to where nobody wants anything."""

        def least(at: Sequence[int], wants: Goals) -> int:
            return _TICK * sum(self.distances(g)[p] + 1 for p, g in zip(at, wants, strict=True) if g is not None)

        first = (poses, goals)
        if least(*first) >= _TICK * FAR:
            return None
        cost = {first: 0}
        came: dict[tuple[tuple[int, ...], Goals], tuple[tuple[tuple[int, ...], Goals], tuple[int, ...]]] = {}
        heap = [(least(*first), 0, 0, first)]
        pushed = 0
        while heap:
            _, _, _, here = heappop(heap)
            at, wants = here
            if not any(wants):
                way = {here: (STAY,) * len(poses)}
                while here != first:
                    here, joint = came[here]
                    way[here] = joint
                return way
            tick = cost[here] + _TICK * sum(g is not None for g in wants)
            for moves in product(*(self._options(p, g) for p, g in zip(at, wants, strict=True))):
                to = tuple(m[1] for m in moves)
                if len(to) == 2 and (
                    to[0] >> 2 == to[1] >> 2 or (to[0] >> 2 == at[1] >> 2 and to[1] >> 2 == at[0] >> 2)
                ):
                    continue
                then = (to, tuple(m[2] for m in moves))
                price = tick + sum(p != q for p, q, g in zip(at, to, wants, strict=True) if g is None)
                if price < cost.get(then, FAR * _TICK):
                    cost[then] = price
                    came[then] = (here, tuple(m[0] for m in moves))
                    pushed += 1
                    ahead = least(*then)
                    heappush(heap, (price + ahead, ahead, pushed, then))
        return None

    def _inherit(self, poses: tuple[int, ...], goals: Goals, order: Sequence[int]) -> tuple[int, ...]:
        """Return a tick of PIBT: each takes the best free cell in turn, and pushes away a cook who stands there."""
        turn = self.engine.turn
        where = {p >> 2: i for i, p in enumerate(poses)}
        chosen: dict[int, int] = {}
        taken: dict[int, int] = {}

        def place(i: int, pusher: int | None) -> bool:
            goal = goals[i]
            options = list(dict.fromkeys((turn[poses[i]][a], a) for a in (STAY, 0, 1, 2, 3)))
            if goal is not None:
                table = self.distances(goal)
                options.sort(key=lambda o: (table[o[0]], o[1] != STAY))
            for to, action in options:
                cell = to >> 2
                if cell in taken or (pusher is not None and cell == poses[pusher] >> 2):
                    continue
                there = where.get(cell)
                taken[cell], chosen[i] = i, action
                if there is None or there == i or there in chosen or place(there, i):
                    return True
                if taken[cell] == i:
                    del taken[cell]
            taken[poses[i] >> 2], chosen[i] = i, STAY
            return False

        for i in sorted(order, key=lambda i: goals[i] is None):
            if i not in chosen:
                place(i, None)
        for i, goal in enumerate(goals):
            if goal is not None and chosen[i] == STAY and self.engine.ahead[poses[i]] == goal:
                chosen[i] = INTERACT
        return tuple(chosen[i] for i in range(len(poses)))
