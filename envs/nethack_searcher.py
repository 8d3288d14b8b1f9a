"""NetHack's explorer: it travels to a staircase down once one is in sight, and looks for one by doors and by runs.

It never touches the game. It reads the language view, and uses the keys by which a player travels to what the map shows.
"""

from __future__ import annotations

import re
from collections import Counter

from .core import Info

_WAYS = ("east", "south", "west", "north", "southeast", "southwest", "northwest", "northeast")
_SECTION = re.compile(r"^(\w+)\[\n(.*?)\n?^\]", re.MULTILINE | re.DOTALL)
_DOORS = re.compile(r"\b(?:doorway|open door|broken door|closed door)\b")
_ADJACENT = re.compile(r"^(.+) adjacent (\w+)$", re.MULTILINE)
_LEFT_ALONE = re.compile(
    r"^(?:an?|the|some|\d+|tame|peaceful) |wall|door|stair|ladder|fountain|altar|sink|throne|grave|tree|bars|lava|water|moat"
    r"|ice$|bridge|trap|pit$|hole|portal|web$|board|mine$|teleporter|cloud|floating eye|acid blob|gas spore"
)  # things, the ground, friends, and what one had better not touch
_FOOD = re.compile(
    r"^(\w): .*\b(?:food rations?|cram|lembas|cookies?|apples?|oranges?|pears?|melons?|bananas?|carrots?|tripe|"
    r"pancakes?|candy|biscuits?|C-rations?|K-rations?|jelly|egg)",
    re.MULTILINE,
)
_STALE = 12  # runs that reach no new place, until another door is tried
_LOOKS = 15  # turns of a search where there is no other door
_PATIENCE = 1000  # turns between two prayers
_FRUITLESS = 4  # journeys to one staircase before it is held to be out of reach for a while


class NethackSearcher:
    """Stays alive and goes down.

    It answers what waits for an answer, prays when near death, eats when hungry, fights what is beside it and rests; it
    takes the stairs it sees, else the run least often tried from here, else it goes to another door or searches for one.
    """

    def begin(self, goal: str, observation: str, info: Info) -> None:
        """Read the first view.

        Raises:
            ValueError: it is not the language view.
        """
        if not observation.startswith("statistics["):
            raise ValueError("this searching expert reads the language view: use view='language'")
        self._keys: list[str] = []
        self._tried: Counter[tuple[int, int, int, str]] = Counter()  # (depth, x, y, way)
        self._been: set[tuple[int, int, int]] = set()
        self._journeys: Counter[int] = Counter()  # by depth
        self._doors: Counter[int] = Counter()  # by depth
        self._stale = self._asked = 0
        self._prayer = 300  # the turn after which the god may help
        self._read(observation)

    def observe(self, action: str, observation: str, info: Info) -> None:
        """Read what an action brought, whoever chose it."""
        self._read(observation)
        if "door is locked" in self._message:
            self._keys = ["kick", action.removeprefix("far ")] * 3

    def act(self, hint: str | None = None) -> str:
        """Return the next key."""
        if self._keys:
            return self._keys.pop(0)
        return self._answer() or self._survive() or self._descend() or self._look_around()

    def _answer(self) -> str:
        """Return what the game waits for, "" where it waits for nothing."""
        if "What do you want to eat?" in self._message and self._food:
            return self._food
        if re.search(r"eat (?:it|one)\?", self._message):
            return "n"
        if not self._cursor:  # it is off the map: a text or a menu to be closed
            self._asked += 1
            return "more" if self._asked % 3 else "esc"
        self._asked = 0
        return ""

    def _survive(self) -> str:
        hp, most = self._hp
        if self._time > self._prayer and (hp <= 5 or 7 * hp < most):
            self._prayer, self._keys = self._time + _PATIENCE, ["y"]
            return "pray"
        if self._hungry and self._food:
            return "eat"
        for what, way in _ADJACENT.findall(self._glyphs):
            if not _LEFT_ALONE.search(what):
                self._keys = [way]
                return "fight"
        seen = [line.rsplit(" ", 2 + (" very far " in line))[0] for line in self._glyphs.split("\n")]
        alone = all(_LEFT_ALONE.search(what) for what in seen if what)
        return self._wait() if alone and hp < 0.6 * most else ""

    def _descend(self) -> str:
        depth = self._place[0]
        if re.search(r"(?:staircase|ladder) down here", self._message):
            return "down"
        if re.search(r"\b(?:staircase|ladder) down\b", self._glyphs) and self._journeys[depth] % 40 < _FRUITLESS:
            self._journeys[depth] += 1
            self._keys = [">", ".", "down"]
            return "travel"
        self._journeys[depth] += self._journeys[depth] > 0
        return ""

    def _read(self, observation: str) -> None:
        told = dict(_SECTION.findall(observation))
        numbers = dict(line.split(": ", 1) for line in told["statistics"].split("\n"))
        x, y = (int(n) for n in numbers["Position"].split("/"))
        self._place = int(numbers["Depth"]), x, y
        hp, most = numbers["HP"].split("/")
        self._hp, self._time = (int(hp), int(most)), int(numbers["Time"])
        food = _FOOD.search(told["inventory"])
        self._food, self._hungry = food[1] if food else "", numbers["Hunger"] not in ("Satiated", "Not hungry")
        self._glyphs, self._message, self._cursor = told["glyphs"], told["message"], told["cursor"].strip()
        self._stale = self._stale + 1 if self._place in self._been else 0
        self._been.add(self._place)

    def _wait(self) -> str:
        """Search for some turns, which is also a rest."""
        first, *self._keys = [*str(_LOOKS), "search"]
        return first

    def _look_around(self) -> str:
        for way in re.findall(r"\bclosed door adjacent (north|south|east|west)$", self._glyphs, re.MULTILINE):
            if self._tried[*self._place, f"door {way}"] < _FRUITLESS:
                self._tried[*self._place, f"door {way}"] += 1
                self._keys = [way]
                return str(way)
        depth = self._place[0]
        if self._stale > _STALE:
            self._stale = 0
            doors = len(_DOORS.findall(self._glyphs))
            self._doors[depth] += 1
            at = self._doors[depth] % (doors + 1)
            if at:
                self._keys = [*["d"] * at, "."]
                return "travel"
            return self._wait()
        way = min(_WAYS, key=lambda w: (self._tried[*self._place, w], _WAYS.index(w)))
        self._tried[*self._place, way] += 1
        return f"far {way}"
