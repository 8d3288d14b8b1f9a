"""Sort Cubes: three robots along a line of seven panels hand cubes on until each lies on its own panel."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from typing import ClassVar

from .rules import WAIT, Joint, Rules

CUBES = ("blue_square", "pink_polygon", "yellow_trapezoid")
TARGET = {"blue_square": 2, "pink_polygon": 4, "yellow_trapezoid": 6}
REACH = ((1, 2, 3), (3, 4, 5), (5, 6, 7))
FREE = (1, 3, 5, 7)  # panels that are nobody's
Panels = tuple[int, ...]
"""The panel of each cube; several cubes may share one."""


@dataclass(frozen=True)
class Sort(Rules[Panels]):
    """Where the cubes lie at first."""

    first: Panels
    robots: ClassVar[tuple[str, ...]] = ("Alice", "Bob", "Chad")

    def goal(self) -> str:
        """Return the task in words."""
        return "place " + ", ".join(f"{c} on panel{p}" for c, p in TARGET.items())

    def start(self) -> Panels:
        """Return the opening state."""
        return self.first

    def options(self, state: Panels, i: int) -> tuple[str, ...]:
        """Return what a robot may do if the others play along."""
        return _options(state, i)

    def clash(self, state: Panels, joint: Joint) -> dict[int, str]:
        """Return whether nobody moves, or two pick one cube."""
        if set(joint) == {WAIT}:
            return dict.fromkeys(range(3), "not all robots can WAIT at once")
        taken: dict[str, int] = {}
        for i, action in enumerate(joint):
            if action != WAIT and (first := taken.setdefault(action.split()[1], i)) != i:
                return {i: f"{self.robots[i]} cannot PICK {action.split()[1]}: {self.robots[first]} does"}
        return {}

    def why(self, state: Panels, i: int, action: str) -> str:
        """Return why a robot may not do what is not among its options."""
        robot, parts = self.robots[i], action.split()
        panels = {f"panel{n}": n for n in range(1, 8)}
        if len(parts) != 4 or parts[::2] != ["PICK", "PLACE"] or parts[1] not in CUBES or parts[3] not in panels:
            return f"{robot} has no such action; write PICK cube PLACE panelN or WAIT"
        cube, to = parts[1], panels[parts[3]]
        at = state[CUBES.index(cube)]
        if at not in REACH[i] or to not in REACH[i]:
            return f"Reachability failed: panel{to if at in REACH[i] else at} is out of {robot}'s reach"
        legal = ", ".join(f"panel{p}" for p in sorted((*FREE, TARGET[cube])))
        return f"{cube} can only be placed on {legal}, but not on panel{to}"

    def apply(self, state: Panels, joint: Joint) -> Panels:
        """Return the state after an accepted plan."""
        at = dict(zip(CUBES, state, strict=True))
        for action in joint:
            if action != WAIT:
                _, cube, _, panel = action.split()
                at[cube] = int(panel.removeprefix("panel"))
        return tuple(at.values())

    def score(self, state: Panels) -> float:
        """Return the share of the cubes on their panels."""
        return sum(at == TARGET[c] for c, at in zip(CUBES, state, strict=True)) / len(CUBES)

    def describe(self, state: Panels, i: int, everything: bool) -> list[str]:
        """Return what a robot sees; a cube out of reach only if it sees everything."""
        lines = [f"You are {self.robots[i]}. You reach {', '.join(f'panel{p}' for p in REACH[i])}."]
        for cube, at in zip(CUBES, state, strict=True):
            seen = everything or at in REACH[i]
            lines.append(
                f"{cube}: {f'on panel{at}' if seen else 'not in your reach'}; it belongs on panel{TARGET[cube]}."
            )
        return lines


@lru_cache(maxsize=4096)
def _options(state: Panels, i: int) -> tuple[str, ...]:
    picks = (
        f"PICK {cube} PLACE panel{to}"
        for cube, at in zip(CUBES, state, strict=True)
        if at in REACH[i]
        for to in REACH[i]
        if to in (*FREE, TARGET[cube])
    )
    return (WAIT, *picks)


LEVELS: dict[str, Sort] = {  # by distance; the last is published, the others are ours
    "sort1": Sort((1, 3, 5)), "sort2": Sort((5, 3, 7)), "sort3": Sort((5, 1, 7)), "sort4": Sort((7, 5, 3)),
    "sort5": Sort((7, 3, 1)),
}  # fmt: skip


def others() -> list[Sort]:
    """Return the instances that are no published level: every other start that is not sorted."""
    starts = product(*((*FREE, TARGET[c]) for c in CUBES))
    return [s for s in map(Sort, starts) if s not in LEVELS.values() and s.score(s.first) < 1]
