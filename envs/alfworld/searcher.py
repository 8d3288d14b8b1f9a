"""The searching expert: it reads what a player reads, remembers where it saw things, and looks where it has not looked.

It never touches the engine. Its order of search is common sense about kinds of places; within a kind it follows the list
of the opening text.
"""

from __future__ import annotations

import re
from collections import defaultdict
from functools import lru_cache

from ..core import Info
from .game import Goal
from .generate import tables

_THING = re.compile(r"\ba ([a-z]+ \d+)")
_GOALS = (
    ("two", re.compile(r"^(?:put two|find two) (\w+) (?:in|and put them in) (\w+)$")),
    ("clean", re.compile(r"^(?:put a clean|clean some) (\w+) (?:in|and put it in) (\w+)$")),
    ("heat", re.compile(r"^(?:put a hot|heat some) (\w+) (?:in|and put it in) (\w+)$")),
    ("cool", re.compile(r"^(?:put a cool|cool some) (\w+) (?:in|and put it in) (\w+)$")),
    ("look", re.compile(r"^(?:look at|examine the) (\w+) (?:under the|with the) (\w+)$")),
    ("pick", re.compile(r"^put (?:a|some) (\w+) (?:in|on) (\w+)$")),
)
_STATION = {"clean": "sinkbasin", "heat": "microwave", "cool": "fridge"}
_ORDER = [
    "countertop",
    "diningtable",
    "desk",
    "sidetable",
    "coffeetable",
    "dresser",
    "bed",
    "sofa",
    "armchair",
    "shelf",
    "stoveburner",
    "coffeemachine",
    "sinkbasin",
    "fridge",
    "toilet",
    "ottoman",
    "bathtubbasin",
    "toiletpaperhanger",
    "towelholder",
    "handtowelholder",
    "cart",
    "garbagecan",
    "microwave",
    "safe",
    "cabinet",
    "drawer",
    "tvstand",
    "laundryhamper",
    "toaster",
]
_RANK = {kind: i for i, kind in enumerate(_ORDER)}
_STANDS = ("desk", "dresser", "sidetable", "shelf", "diningtable")


def read_goal(text: str) -> tuple[str, str, str]:
    """Return (kind, object, target) of a templated goal.

    >>> read_goal("put a clean mug in coffeemachine")
    ('clean', 'mug', 'coffeemachine')
    """
    for kind, pattern in _GOALS:
        match = pattern.match(text)
        if match:
            return kind, match[1], match[2]
    raise ValueError(f"goal {text!r} has none of ALFWorld's templates: the searching expert needs the formal goal")


def kind_of(name: str) -> str:
    """Return the type word of a name.

    >>> kind_of("mug 2")
    'mug'
    """
    return name.rsplit(" ", 1)[0]


@lru_cache(maxsize=1)
def fitting() -> dict[str, frozenset[str]]:
    """Return what kinds of things a kind of place can hold, by the words that a player reads."""
    return {p.lower(): frozenset(o.lower() for o in things) for p, things in tables()["holds"].items()}


class AlfworldSearcher:
    """Plays by what it has read; `formal` gives the goal where the words are a person's."""

    def __init__(self, formal: Goal | None = None) -> None:
        self._formal = formal

    def begin(self, goal: str, observation: str, info: Info) -> None:
        """Read the opening text."""
        if self._formal is not None:
            if goal != self._formal.text:
                raise ValueError(f"this searcher was made for {self._formal.text!r}, not for {goal!r}: make one a task")
            f = self._formal
            self.kind, self.object, self.target = f.kind, f.object.removesuffix("type"), f.target.removesuffix("type")
        else:
            self.kind, self.object, self.target = read_goal(goal)
        intro = observation.split("Your task is to:")[0]
        self.places: list[str] = _THING.findall(intro)
        self.looked: set[str] = set()
        self.closed: set[str] = set()
        self.at: set[str] = set()  # receptacles known to be within reach
        self.holds: dict[str, set[str]] = defaultdict(set)
        self.hand = ""
        self.treated: set[str] = set()
        self.admissible = info.get("admissible")
        self.old = False  # whether the world speaks the 0.3 dialect
        self.refused: set[tuple[str, str]] = set()  # (kind of thing, kind of place) that the world would not join

    def observe(self, action: str, observation: str, info: Info) -> None:
        """Take in what an action brought, whoever chose it."""
        self.admissible = info.get("admissible")
        action = action.strip()
        if observation == "Nothing happens.":
            if m := re.match(r"(?:move|put) ([a-z]+) \d+ (?:to|in/on) ([a-z]+) \d+$", action):
                self.refused.add((m[1], m[2]))
            if (place := action.removeprefix("go to ")) in self.places and place != action:
                self.at.add(place)  # a place one already stands at cannot be walked to
            return
        if m := re.match(r"You arrive at ([a-z]+ \d+)\.", observation):
            self.old = m[1].startswith("loc ")
            self.at = {action.removeprefix("go to ")}
        if m := re.search(r"[Tt]he ([a-z]+ \d+) is closed\.", observation):
            self.closed.add(m[1])
        if m := re.search(r"(?:On the|The) ([a-z]+ \d+)(?: is open\. In it)?, you see (.*)\.", observation):
            self.looked.add(m[1])
            self.closed.discard(m[1])
            self.at.add(m[1])
            self.holds[m[1]] = set(_THING.findall(m[2]))
        if m := re.match(r"You open the ([a-z]+ \d+)\.", observation):
            self.closed.discard(m[1])
        elif m := re.match(r"You close the ([a-z]+ \d+)\.", observation):
            self.closed.add(m[1])
        elif m := re.match(r"You pick up the ([a-z]+ \d+) from the ([a-z]+ \d+)\.", observation):
            self.hand = m[1]
            self.holds[m[2]].discard(m[1])
        elif m := re.match(r"You (?:move|put) the ([a-z]+ \d+) (?:to|in/on) the ([a-z]+ \d+)\.", observation):
            self.hand = ""
            self.holds[m[2]].add(m[1])
        elif m := re.match(r"You (clean|heat|cool) the ([a-z]+ \d+) using", observation):
            if m[1] == self.kind:
                self.treated.add(m[2])
            elif {m[1], self.kind} == {"heat", "cool"}:
                self.treated.discard(m[2])
        if self.hand and self.admissible is not None:
            for p in self.places:
                if self._here(p) and p in self.looked - self.closed and self._drop(p) not in self.admissible:
                    self.refused.add((kind_of(self.hand), kind_of(p)))

    def act(self, hint: str | None = None) -> str:
        """Return the next command; a hint names the kind of place to search next, and counts only while searching."""
        if self.hand and kind_of(self.hand) != self.object:
            return self._put_down()
        if not self.hand:
            source = self._seen_object()
            if source is None:
                return self._search(self.object, hint)
            thing, place = source
            return self._reach(place) or f"take {thing} from {place}"
        if self.kind == "look":
            for place in self.places:
                for lamp in sorted(self.holds[place]):
                    if kind_of(lamp) == self.target:
                        return self._walk(place) or f"use {lamp}"
            return self._search(self.target, hint)
        if self.kind in _STATION and self.hand not in self.treated:
            place = self._nearest(_STATION[self.kind])
            return self._walk(place) or f"{self.kind} {self.hand} with {place}"
        place = self._target()
        return self._reach(place) or self._drop(place)

    def _drop(self, place: str) -> str:
        return f"put {self.hand} in/on {place}" if self.old else f"move {self.hand} to {place}"

    def _nearest(self, kind: str) -> str:
        fits = [p for p in self.places if kind_of(p) == kind]
        if not fits:
            raise LookupError(f"this room lists no {kind}")
        return next((p for p in fits if self._here(p)), fits[0])

    def _target(self) -> str:
        fits = [p for p in self.places if kind_of(p) == self.target]
        if self.kind == "two":
            for p in fits:
                if any(kind_of(o) == self.object for o in self.holds[p]):
                    return p
        return self._nearest(self.target)

    def _seen_object(self) -> tuple[str, str] | None:
        """Return the nearest thing of the goal's kind that has been seen and is not where it should stay."""
        stays = self.holds[self._target()] if self.kind == "two" else ()
        options = [
            (not self._here(p), i, o, p)
            for i, p in enumerate(self.places)
            for o in self.holds[p]
            if kind_of(o) == self.object and o not in stays
        ]
        return min(options)[2:] if options else None

    def _here(self, place: str) -> bool:
        return place in self.at or (self.admissible is not None and f"examine {place}" in self.admissible)

    def _walk(self, place: str) -> str | None:
        return None if self._here(place) else f"go to {place}"

    def _reach(self, place: str) -> str | None:
        if not self._here(place):
            return f"go to {place}"
        if place in self.closed:
            return f"open {place}"
        return None if place in self.looked else f"examine {place}"  # beside it, but never looked at

    def _search(self, thing: str, hint: str | None) -> str:
        for p in self.places:
            if self._here(p) and p in self.closed and p not in self.looked:
                return f"open {p}"
        unseen = [p for p in self.places if p not in self.looked]
        if hint and (m := re.match(r"(?:go to|open) ([a-z]+) \d+", hint)):
            same = [p for p in unseen if kind_of(p) == m[1]]
            if same:
                return self._reach(same[0]) or f"examine {same[0]}"
        if not unseen:
            self.looked.clear()  # everything was looked into once: begin again
            unseen = [p for p in self.places if not self._here(p)]

        def rank(p: str) -> tuple[bool, int, int]:
            kind = kind_of(p)
            fits = kind in _STANDS if thing == "desklamp" else thing in fitting().get(kind, ())
            return (not fits, _RANK.get(kind, len(_RANK)), self.places.index(p))

        if not unseen:
            return "look"  # one receptacle in the room, and it holds nothing of use
        return self._reach(min(unseen, key=rank)) or "look"

    def _put_down(self) -> str:
        """Return a step towards getting rid of a thing that the goal does not want."""
        if self.admissible is not None:
            for p in self.places:
                if self._drop(p) in self.admissible:
                    return self._drop(p)
        thing = kind_of(self.hand)
        open_to_try = [p for p in self.places if (thing, kind_of(p)) not in self.refused]
        if not open_to_try:
            return "look"  # no place takes it: the game is lost
        fits = [p for p in open_to_try if thing in fitting().get(kind_of(p), ())] or open_to_try
        place = min(fits, key=lambda p: not self._here(p))
        return self._reach(place) or self._drop(place)
