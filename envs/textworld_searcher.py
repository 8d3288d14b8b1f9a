"""TextWorld's searching expert: it reads the rooms, keeps a map, looks for what the goal names, and does what it says.

It never touches the game. It knows the words in which TextWorld states a goal.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator

from .core import Info

HAND = "hand"
_BACK = {"north": "south", "south": "north", "east": "west", "west": "east"}
_THING = re.compile(r"You see an? (.+?)\.(?: (?:On|In) it: (.+)\.)?")
_EXIT = re.compile(r"To the (\w+): an? (.+)\.")
_BEFORE = re.compile(r"^(?:after|having|once you|if you|with)\b[^,]*, ", re.IGNORECASE)
_STATES = "opened|open|wide open|ajar|closed|shut|unlocked|locked"
_ROOM = r"(?: (?:in|within|inside) the (?P<room>.+?))?"
_KEY = r"(?: with the (?P<key>.+?))?"
_FORMS = (
    ("go", r"\b(?P<way>north|south|east|west)$"),
    ("go", r"\bthrough the (?P<way>north|south|east|west) .+$"),
    ("unlock", rf"\binsert the (?P<key>.+?) into the (?P<thing>.+?){_ROOM}'s lock to unlock it$"),
    ("lock", rf"\b(?:insert|put|place|deposit) the (?P<key>.+?) into the (?P<thing>.+?){_ROOM} to lock it$"),
    ("drop", r"\b(?:place|drop|ditch|throw|toss|deposit) the (?P<thing>.+?) on the floor of the (?P<room>.+)$"),
    ("be", rf"\bthe (?P<thing>.+?){_ROOM} is (?P<state>{_STATES}){_KEY}$"),
    ("take", r"\b(?:take|retrieve|recover|pick[- ]up|lift) the (?P<thing>.+?)(?: (?:from|in|that's in) the .+)?$"),
    ("put", rf"\b(?:put|place|sit|rest) the (?P<thing>.+?) on the (?P<holder>.+?){_ROOM}$"),
    ("insert", rf"\b(?:insert|put|place|deposit) the (?P<thing>.+?) (?:into|inside) the (?P<holder>.+?){_ROOM}$"),
    ("eat", r"\beat the (?P<thing>.+)$"),
    ("unlock", rf"\bunlock the (?P<thing>.+?){_ROOM}{_KEY}$"),
    ("lock", rf"\block the (?P<thing>.+?){_ROOM}{_KEY}$"),
    ("open", rf"\bopen the (?P<thing>.+?){_ROOM}$"),
    ("close", rf"\bclose the (?P<thing>.+?){_ROOM}$"),
)
_PATTERNS = tuple((verb, re.compile(form, re.IGNORECASE)) for verb, form in _FORMS)
_VERB = {"closed": "close", "shut": "close", "locked": "lock", "unlocked": "unlock"}
Aim = tuple[str, dict[str, str]]


def read_goal(text: str) -> list[Aim]:
    """Return the steps that a goal asks for, each a verb and what it names.

    >>> read_goal("Welcome to TextWorld! First, go east. After that, make sure that the old box is shut. That's it!")
    [('go', {'way': 'east'}), ('close', {'thing': 'old box'})]

    Raises:
        ValueError: no sentence has one of TextWorld's forms.
    """
    aims = [aim for sentence in re.split(r"[.!?](?:\s+|$)", text) if (aim := _aim(_BEFORE.sub("", sentence)))]
    if not aims:
        raise ValueError(f"goal {text!r} has none of TextWorld's forms: the searching expert cannot read it")
    return aims


def _aim(sentence: str) -> Aim | None:
    for verb, pattern in _PATTERNS:
        if found := pattern.search(sentence):
            named = {name: said for name, said in found.groupdict().items() if said}
            state = named.pop("state", "")
            return (_VERB.get(state, "open") if state else verb), named
    return None


def _split(listed: str) -> list[str]:
    """Return the names in a list such as `a cup, an open box and a key`."""
    return [re.sub("^an? ", "", part) for part in re.split(r"(?:, | and )(?=an? )", listed) if part != "nothing"]


class TextworldSearcher:
    """Does the goal's steps in order; what a step needs and has not been seen, it looks for."""

    def begin(self, goal: str, observation: str, info: Info) -> None:
        """Read the goal and the first room."""
        self._aims = read_goal(goal)
        self._here = ""
        self._exits: dict[str, dict[str, str]] = {}  # room -> way -> its door, "" for a free way
        self._leads: dict[tuple[str, str], str] = {}  # (room, way) -> room
        self._at: dict[str, str] = {}  # thing -> what holds it: a room, a thing, the hand
        self._state: dict[str, str] = {}  # thing or door -> open, closed or locked
        self._tried: set[tuple[str, str]] = set()  # (lock, key) that do not fit
        self._eaten: set[str] = set()
        self._read(observation, info)
        self._told = self._here  # the room at which the goal's story has arrived

    def observe(self, action: str, observation: str, info: Info) -> None:
        """Read what an action brought, whoever chose it."""
        action, before = " ".join(action.split()), self._here
        if action not in self._admissible:
            return
        if action.startswith("eat "):
            self._eaten.add(action.removeprefix("eat "))
        self._read(observation, info)
        way = action.removeprefix("go ")
        if way in _BACK and before != self._here:
            self._leads[before, way], self._leads[self._here, _BACK[way]] = self._here, before

    def act(self, hint: str | None = None) -> str:
        """Return the next command."""
        while self._aims and self._done(*self._aims[0]):
            verb, _ = self._aims.pop(0)
            if verb == "go":
                self._told = self._here
        return self._towards(*self._aims[0]) if self._aims else self._explore()

    def _read(self, observation: str, info: Info) -> None:
        self._admissible = tuple(info.get("admissible") or ())
        _, mark, room = observation.rpartition("-= ")
        if not mark:
            return
        lines = room.split("\n")
        self._here = lines[0].removesuffix(" =-")
        self._exits[self._here] = {}
        held: dict[str, list[str]] = {self._here: []}
        for line in lines[1:]:
            if seen := _THING.fullmatch(line):
                name = self._called(seen[1])
                held[self._here].append(name)
                if seen[2]:
                    held[name] = [self._called(inner) for inner in _split(seen[2])]
            elif way := _EXIT.fullmatch(line):
                self._exits[self._here][way[1]] = "" if way[2] == "free way" else self._called(way[2])
            elif line.startswith("You carry "):
                held[HAND] = _split(line.removeprefix("You carry ").removesuffix("."))
        self._at = {thing: place for thing, place in self._at.items() if place not in held}
        self._at |= {thing: place for place, things in held.items() for thing in things}

    def _called(self, text: str) -> str:
        """Return a name without its state, which is remembered."""
        state, _, name = text.partition(" ")
        if state not in ("open", "closed", "locked"):
            return text
        self._state[name] = state
        return name

    def _done(self, verb: str, named: dict[str, str]) -> bool:
        thing = named.get("thing", "")
        place, state = self._at.get(thing), self._state.get(thing)
        return {
            "go": self._leads.get((self._told, named.get("way", ""))) == self._here,
            "take": place == HAND,
            "drop": place == named.get("room", "").title(),
            "put": place == named.get("holder"),
            "insert": place == named.get("holder"),
            "eat": thing in self._eaten,
            "open": state == "open",
            "close": state in ("closed", "locked"),
            "unlock": state in ("open", "closed"),
            "lock": state == "locked",
        }[verb]

    def _towards(self, verb: str, named: dict[str, str]) -> str:
        """Return the next command of a step that is not done."""
        thing, holder, room = named.get("thing", ""), named.get("holder", ""), named.get("room", "").title()
        if verb == "go":
            return self._walk(self._told) or self._leave(named["way"])
        if verb in ("open", "close", "lock", "unlock"):
            if thing not in self._state:
                return self._explore(room)
            if verb == "open":
                return self._open(thing)
            return self._shut(thing) if verb == "close" else self._turn(verb, thing, named.get("key"), room)
        if self._at.get(thing) != HAND:
            return self._take(thing, room)
        if verb == "eat":
            return f"eat {thing}"
        if verb == "drop":
            return (self._walk(room) if room in self._exits else self._explore(room)) or f"drop {thing}"
        if holder not in self._at:
            return self._explore(room)
        if verb == "insert" and self._state.get(holder) != "open":
            return self._open(holder)
        return self._come(holder) or f"{verb} {thing} {'into' if verb == 'insert' else 'on'} {holder}"

    def _take(self, thing: str, room: str = "") -> str:
        holder = self._at.get(thing)
        if holder is None:
            return self._explore(room)
        if self._state.get(holder, "open") != "open":
            return self._open(holder)
        return self._come(thing) or (f"take {thing}" if holder in self._exits else f"take {thing} from {holder}")

    def _open(self, thing: str) -> str:
        return self._turn("unlock", thing) if self._state[thing] == "locked" else self._come(thing) or f"open {thing}"

    def _shut(self, thing: str) -> str:
        return self._come(thing) or f"close {thing}"

    def _turn(self, verb: str, lock: str, key: str | None = None, room: str = "") -> str:
        """Return a command towards locking or unlocking; without a named key, each key is tried, the likeliest first."""
        keys = [key] if key else self._keys(lock)
        if not keys:
            return self._explore(room)
        if self._at.get(keys[0]) != HAND:
            return self._take(keys[0], room)
        if come := self._come(lock):
            return come
        if verb == "lock" and self._state[lock] == "open":
            return self._shut(lock)
        if (command := f"{verb} {lock} with {keys[0]}") in self._admissible:
            return command
        self._tried.add((lock, keys[0]))
        return self._turn(verb, lock, None, room)

    def _keys(self, lock: str) -> list[str]:
        """Return the keys within reach that have not been tried on a lock: those of its name, then those in the hand."""
        mark = lock.rpartition(" ")[0]

        def rank(key: str) -> tuple[bool, bool, str]:
            return key.rpartition(" ")[0] != mark, self._at[key] != HAND, key

        found = [t for t in self._at if re.search(r"key(?:card)?$", t) and (lock, t) not in self._tried]
        return sorted((key for key in found if self._free(key)), key=rank)

    def _free(self, thing: str) -> bool:
        """Tell whether a thing can be had without another key."""
        holder = self._at[thing]
        if holder == HAND:
            return True
        return self._state.get(holder) != "locked" and self._room(thing) in self._near()

    def _room(self, thing: str) -> str:
        place = self._at[thing]
        return place if place in self._exits or place == HAND else self._room(place)

    def _rooms(self, thing: str) -> list[str]:
        """Return where a thing or a door can be reached."""
        doors = [room for room, exits in self._exits.items() if thing in exits.values()]
        return doors or [self._room(thing)]

    def _come(self, thing: str) -> str:
        """Return the way to a thing, "" where one stands beside it."""
        near = self._near()
        return self._walk(min(self._rooms(thing), key=lambda room: near.get(room, (99, ""))))

    def _walk(self, room: str) -> str:
        """Return the next command on the way to a known room, "" in it."""
        if room == self._here:
            return ""
        _, way = self._near().get(room, (0, ""))
        return self._leave(way) if way else self._explore()

    def _leave(self, way: str) -> str:
        door = self._exits[self._here].get(way, "")
        return self._open(door) if door and self._state[door] != "open" else f"go {way}"

    def _near(self) -> dict[str, tuple[int, str]]:
        """Return every room that can be reached without another key: how far it is, and the first way there."""
        near, queue = {self._here: (0, "")}, deque([self._here])
        while queue:
            room = queue.popleft()
            for way, there in self._ways(room):
                if there not in near:
                    near[there] = (near[room][0] + 1, near[room][1] or way)
                    queue.append(there)
        return near

    def _ways(self, room: str) -> Iterator[tuple[str, str]]:
        for way, door in self._exits[room].items():
            if (room, way) in self._leads and self._state.get(door) != "locked":
                yield way, self._leads[room, way]

    def _explore(self, hoped: str = "") -> str:
        """Return a command towards the nearest place not looked at: a closed container, a way not gone, then a lock.

        hoped: where the goal says that it is; containers elsewhere come last.
        """
        found: list[tuple[int, int, str, str]] = []
        held = set(self._at.values())  # what holds something known has been open before
        for room, (steps, _) in self._near().items():
            for thing, state in self._state.items():
                if state == "closed" and self._at.get(thing) in (room, HAND) and thing not in held:
                    found.append((int(hoped not in ("", room)), steps, room, f"open {thing}"))
            for way, door in self._exits[room].items():
                if (room, way) not in self._leads and self._state.get(door) != "locked":
                    found.append((0, steps + 1, room, way))
        if found:
            *_, room, what = min(found)
            if room != self._here:
                return self._walk(room)
            return self._leave(what) if what in _BACK else what
        for thing, state in sorted(self._state.items()):
            if state == "locked" and self._keys(thing) and any(room in self._near() for room in self._rooms(thing)):
                return self._turn("unlock", thing)
        return "look"
