"""BabyAI's searching expert: it draws a map from the sentences, looks where it has not looked, and does the mission.

It never touches the grid. Places are counted from where the episode began: x to the right, y ahead.
"""

from __future__ import annotations

import heapq
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from .core import Info

Cell = tuple[int, int]
Pose = tuple[int, int, int]
_AHEAD = ((0, 1), (1, 0), (0, -1), (-1, 0))  # of the four directions, clockwise
_WIDE, _DEEP = 3, 6  # cells in view to each side, and ahead
_WALL = re.compile(r"You see a wall (\d+) steps? (forward|left|right)")
_THING = re.compile(r"You see a (?:(open|closed|locked) )?(\w+) (door|key|ball|box) (.+)")
_STEPS = re.compile(r"(\d+) steps? (left|right|forward|back)")
_SIDE = {"left": (-1, 0), "right": (1, 0), "forward": (0, 1), "back": (0, -1)}
_NOUN = (
    r"(?:the|a) (?:(red|green|blue|purple|yellow|grey) )?(door|key|ball|box|object)"
    r"(?: (?:on your )?(left|right|in front of you|behind you))?"
)
_AIM = re.compile(rf"(go to|pick up|open|put) {_NOUN}(?: next to {_NOUN})?")
_OUT_OF_REACH = 10**6
_IN_THE_WAY = 8  # what a thing in the way costs, in steps: to be taken up and put down


@dataclass(frozen=True, slots=True)
class Thing:
    """A thing as it was last seen: the state of a door, and where it lay at first."""

    state: str
    color: str
    kind: str
    origin: Cell


@dataclass(frozen=True, slots=True)
class Noun:
    """What a mission calls a thing; "" where it does not say."""

    color: str
    kind: str
    where: str

    def fits(self, thing: Thing) -> bool:
        """Tell whether a thing may be called so; a side is the side seen from the start."""
        x, y = thing.origin
        side = {"left": x < 0, "right": x > 0, "in front of you": y > 0, "behind you": y < 0}
        return self.color in ("", thing.color) and self.kind in ("object", thing.kind) and side.get(self.where, True)


Aim = tuple[str, Noun, Noun]


def read_mission(text: str) -> list[Aim]:
    """Return the steps of a mission in an order that it allows.

    >>> [(verb, one.kind) for verb, one, _ in read_mission("go to a door after you open the red door")]
    [('open', 'door'), ('go to', 'door')]

    Raises:
        ValueError: it has none of BabyAI's forms.
    """
    parts = text.split(", then ")
    if " after you " in text:
        parts = text.split(" after you ")[::-1]
    aims = []
    for one in (one for part in parts for one in part.split(" and ")):
        found = _AIM.fullmatch(one)
        if found is None:
            raise ValueError(f"mission {text!r} has none of BabyAI's forms: the searching expert cannot read it")
        verb, *said = (word or "" for word in found.groups())
        aims.append((verb, Noun(*said[:3]), Noun(*said[3:])))
    return aims


class BabyaiSearcher:
    """Walks by the map of what it has read; what it has not seen, it looks for."""

    def begin(self, goal: str, observation: str, info: Info) -> None:
        """Read the mission and the first view."""
        self._aims = read_mission(goal)
        self._pose: Pose = (0, 0, 0)
        self._walls: set[Cell] = set()
        self._floor: set[Cell] = {(0, 0)}
        self._seen: set[Cell] = set()
        self._things: dict[Cell, Thing] = {}
        self._held: Thing | None = None
        self._cleared: set[Cell] = set()  # where a thing in the way lay
        self._read(observation, info)

    def observe(self, action: str, observation: str, info: Info) -> None:
        """Read what an action brought, whoever chose it."""
        action, front = action.strip(), self._front(self._pose)
        done = action in self._admissible
        taken = self._things.get(front) if done and action == "pick up" else None
        if done and action.startswith("turn "):
            self._pose = (*self._pose[:2], (self._pose[2] + (1 if action == "turn right" else -1)) % 4)
        elif done and action == "go forward":
            self._pose = (*front, self._pose[2])
        elif taken is not None:
            self._held = self._things.pop(front)
        elif done and action == "drop" and self._held is not None:
            self._things[front], self._held = self._held, None
        self._read(observation, info)
        while self._aims and self._done(*self._aims[0], action, taken):
            self._aims.pop(0)
            action, taken = "", None

    def act(self, hint: str | None = None) -> str:
        """Return the next action."""
        if not self._aims:
            return self._explore()
        verb, noun, beside = self._aims[0]
        if verb == "put" and self._held is not None and noun.fits(self._held):
            spots = {s for c in self._where(beside, self._held) for s in _around(c) if self._empty(s)}
            return self._face(spots, "drop") or self._explore()
        wanted = set(self._where(noun))
        if verb == "put":  # what lies beside its like already may be it, so another goes first
            wanted = {c for c in wanted if set(self._where(beside)) - {c}} or wanted
        if verb == "open":
            wanted = {c for c in wanted if self._cost(c) < _OUT_OF_REACH}
        then = {"go to": "turn left", "open": "toggle", "pick up": "pick up", "put": "pick up"}[verb]
        towards = self._face(wanted, then)
        if towards and then == "pick up" and self._held is not None:
            towards = self._face({c for c in self._seen - self._cleared if self._empty(c)}, "drop")
        return towards or self._explore()

    def _read(self, observation: str, info: Info) -> None:
        """Take in a view: things, walls where a straight line meets them and along them, and what can be seen at all."""
        self._admissible = tuple(info.get("admissible") or ())
        x, y, _ = self._pose
        self._floor.add((x, y))
        listed: dict[Cell, Thing] = {}
        met: dict[str, int] = {}
        for line in observation.split("\n"):
            if wall := _WALL.fullmatch(line):
                met[wall[2]] = int(wall[1])
            elif thing := _THING.fullmatch(line):
                steps = [(int(n), _SIDE[side]) for n, side in _STEPS.findall(thing[4])]
                at = self._cell(sum(n * s[0] for n, s in steps), sum(n * s[1] for n, s in steps))
                known = self._things.get(at)
                same = known is not None and (known.color, known.kind) == (thing[2], thing[3])
                origin = known.origin if known is not None and same else at
                listed[at] = Thing(thing[1] or "", thing[2], thing[3], origin)
        self._floor |= set(listed)
        self._add_walls(met, self._things.get((x, y)))
        front = self._front(self._pose)
        if "go forward" in self._admissible:
            self._floor.add(front)
        elif front not in listed:
            self._walls.add(front)
            self._floor.discard(front)
        self._walls -= self._floor
        for cell, thing_there in listed.items():
            self._things[cell] = thing_there
        shown = set(self._view(self._pose))
        for cell in (shown & set(self._things)) - set(listed) - {(x, y)}:
            del self._things[cell]
        self._seen |= shown

    def _add_walls(self, met: dict[str, int], under: Thing | None) -> None:
        """Add walls: rooms are rectangles, so a wall that a line meets goes on to both sides, but not in a doorway."""
        left, right, ahead = met.get("left", _WIDE + 1), met.get("right", _WIDE + 1), met.get("forward", _DEEP + 1)
        doorway = under is not None and under.kind == "door"
        across = range(0, 1) if doorway else range(-min(left, _WIDE), min(right, _WIDE) + 1)
        along = range(0, 1) if doorway else range(min(ahead, _DEEP) + 1)
        if "forward" in met:
            self._walls |= {self._cell(i, ahead) for i in across}
        self._walls |= {self._cell(-left, j) for j in along if "left" in met}
        self._walls |= {self._cell(right, j) for j in along if "right" in met}

    def _cell(self, right: int, ahead: int, pose: Pose | None = None) -> Cell:
        x, y, d = pose or self._pose
        (ax, ay), (rx, ry) = _AHEAD[d], _AHEAD[(d + 1) % 4]
        return x + right * rx + ahead * ax, y + right * ry + ahead * ay

    def _front(self, pose: Pose) -> Cell:
        return self._cell(0, 1, pose)

    def _view(self, pose: Pose) -> Iterator[Cell]:
        """Yield the cells in view from a pose, as far as walls and closed doors are known."""
        todo, met = [(0, 0)], {(0, 0)}
        while todo:
            i, j = todo.pop()
            cell = self._cell(i, j, pose)
            yield cell
            thing = self._things.get(cell)
            if (i, j) != (0, 0) and (
                cell in self._walls or (thing is not None and thing.state in ("closed", "locked"))
            ):
                continue
            for near in _around((i, j)):
                if near not in met and abs(near[0]) <= _WIDE and 0 <= near[1] <= _DEEP:
                    met.add(near)
                    todo.append(near)

    def _where(self, noun: Noun, but: Thing | None = None) -> Iterator[Cell]:
        """Yield where things lie that may be called so, `but` one."""
        return (c for c, thing in self._things.items() if noun.fits(thing) and (but is None or thing != but))

    def _done(self, verb: str, noun: Noun, beside: Noun, action: str, taken: Thing | None) -> bool:
        front = self._front(self._pose)
        thing = self._things.get(front)
        if verb == "pick up":
            return taken is not None and noun.fits(taken)
        if thing is None or not noun.fits(thing):
            return False
        if verb == "put":
            return action == "drop" and any(c in _around(front) for c in self._where(beside, thing))
        return verb == "go to" or (action == "toggle" and thing.state == "open")

    def _empty(self, cell: Cell) -> bool:
        return cell in self._seen and cell not in self._walls and cell not in self._things

    def _cost(self, cell: Cell) -> int:
        """Return what it costs to step on a cell: more where a door is to be opened or a thing to be moved."""
        thing = self._things.get(cell)
        if cell in self._walls or cell not in self._seen:
            return _OUT_OF_REACH
        if thing is None or thing.state == "open":
            return 1
        if thing.state == "closed" or (thing.state == "locked" and self._opens(self._held, thing)):
            return 2
        return _IN_THE_WAY if not thing.state and self._held is None else _OUT_OF_REACH

    @staticmethod
    def _opens(key: Thing | None, door: Thing) -> bool:
        return key is not None and (key.kind, key.color) == ("key", door.color)

    def _reach(self) -> Iterator[tuple[int, Pose, str]]:
        """Yield every pose that can be reached, nearest first: what it costs, and the first action towards it."""
        heap: list[tuple[int, Pose, str]] = [(0, self._pose, "")]
        met: set[Pose] = set()
        while heap:
            cost, pose, first = heapq.heappop(heap)
            if pose in met:
                continue
            met.add(pose)
            yield cost, pose, first
            x, y, d = pose
            front = self._front(pose)
            more = self._cost(front)
            if more < _OUT_OF_REACH:
                heapq.heappush(heap, (cost + more, (*front, d), first or self._onto(front)))
            for turn, way in (("turn left", -1), ("turn right", 1)):
                heapq.heappush(heap, (cost + 1, (x, y, (d + way) % 4), first or turn))

    def _onto(self, cell: Cell) -> str:
        thing = self._things.get(cell)
        return "go forward" if thing is None or thing.state == "open" else "toggle" if thing.state else "pick up"

    def _face(self, wanted: Collection[Cell], then: str) -> str:
        """Return the next action towards facing one of the cells, `then` once it is faced; "" where there is no way."""
        if not wanted:
            return ""
        for cost, pose, first in self._reach():
            if self._front(pose) in wanted and pose[:2] not in wanted:
                return self._note(first) if cost else then
        return ""

    def _note(self, action: str) -> str:
        """Remember that what is taken up here was in the way."""
        if action == "pick up":
            self._cleared.add(self._front(self._pose))
        return action

    def _explore(self) -> str:
        """Return the next action towards the pose that shows most that is new for its cost."""
        best, choice = 0.0, ""
        whole = (2 * _WIDE + 1) * (_DEEP + 1)
        for cost, pose, first in self._reach():
            if whole / (cost + 2) <= best:
                break
            new = sum(cell not in self._seen for cell in self._view(pose)) if cost else 0
            if new / (cost + 2) > best:
                best, choice = new / (cost + 2), first
        if choice:
            return self._note(choice)
        locked = [thing for thing in self._things.values() if thing.state == "locked"]
        keys = {c for c, thing in self._things.items() if any(self._opens(thing, door) for door in locked)}
        if self._held is None and (towards := self._face(keys, "pick up")):
            return towards
        self._seen = {self._pose[:2]} | set(self._view(self._pose))  # all was seen and it was not there: look again
        return "turn left"


def _around(cell: Cell) -> tuple[Cell, ...]:
    return tuple((cell[0] + dx, cell[1] + dy) for dx, dy in _AHEAD)
