"""The searching expert: it reads what a player reads, remembers where it saw things, and looks where it has not looked.

It never touches the engine. Its order of search is common sense about kinds of places; within a kind it follows the list
of the opening text.
"""

from __future__ import annotations

import re
from collections import defaultdict

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


class AlfworldSearcher:
    """Plays by what it has read; `formal` gives the goal where the words are a person's."""

    def __init__(self, formal: Goal | None = None) -> None:
        self._formal = formal

    def begin(self, goal: str, observation: str, info: Info) -> None:
        """Read the opening text."""
        if self._formal is not None:
            f = self._formal
            self.kind, self.object, self.target = f.kind, f.object.removesuffix("type"), f.target.removesuffix("type")
        else:
            self.kind, self.object, self.target = read_goal(goal)
        intro = observation.split("Your task is to:")[0]
        self.places = _THING.findall(intro)
        self.looked: set[str] = set()
        self.closed: set[str] = set()
        self.at: set[str] = set()  # receptacles known to be within reach
        self.holds: dict[str, set[str]] = defaultdict(set)
        self.hand = ""
        self.treated: set[str] = set()
        self.lit: set[str] = set()
        self.admissible = info.get("admissible")
        self._holds = {
            p: {o.lower() for o in tables()["holds"].get(p_, ())}
            for p_ in tables()["receptacle_types"]
            for p in (p_.lower(),)
        }

    def observe(self, action: str, observation: str, info: Info) -> None:
        """Take in what an action brought, whoever chose it."""
        self.admissible = info.get("admissible")
        if observation == "Nothing happens.":
            return
        if m := re.match(r"You arrive at ([a-z]+ \d+)\.", observation):
            place = action.removeprefix("go to ") if action.startswith("go to ") else m[1]
            self.at = {place}
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
        elif m := re.match(r"You turn on the ([a-z]+ \d+)\.", observation):
            self.lit.add(m[1])

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
        move = f"move {self.hand} to {place}"
        old = f"put {self.hand} in/on {place}"
        return old if self.admissible is not None and old in self.admissible else move

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
        options = []
        for p in self.places:
            if kind_of(p) == self.target and self.kind != "look" and self._counts(p):
                continue
            options += [
                (not self._here(p), self.places.index(p), o, p) for o in self.holds[p] if kind_of(o) == self.object
            ]
        return min(options)[2:] if options else None

    def _counts(self, place: str) -> bool:
        """Whether an object of the goal's kind that lies in a target receptacle should stay there."""
        return self.kind in ("pick", "two")

    def _here(self, place: str) -> bool:
        return place in self.at or (self.admissible is not None and f"examine {place}" in self.admissible)

    def _walk(self, place: str) -> str | None:
        return None if self._here(place) else f"go to {place}"

    def _reach(self, place: str) -> str | None:
        if not self._here(place):
            return f"go to {place}"
        return f"open {place}" if place in self.closed else None

    def _search(self, thing: str, hint: str | None) -> str:
        for p in self.places:
            if self._here(p) and p in self.closed and p not in self.looked:
                return f"open {p}"
        unseen = [p for p in self.places if p not in self.looked and not self._here(p)]
        if hint and (m := re.match(r"(?:go to|open) ([a-z]+) \d+", hint)):
            same = [p for p in unseen if kind_of(p) == m[1]]
            if same:
                return f"go to {same[0]}"
        if not unseen:
            self.looked.clear()  # everything was looked into once: begin again
            unseen = [p for p in self.places if not self._here(p)]

        def rank(p: str) -> tuple[bool, int, int]:
            kind = kind_of(p)
            fits = kind in _STANDS if thing == "desklamp" else thing in self._holds.get(kind, ())
            return (not fits, _RANK.get(kind, len(_RANK)), self.places.index(p))

        return f"go to {min(unseen, key=rank)}"

    def _put_down(self) -> str:
        fits = [p for p in self.places if kind_of(self.hand) in self._holds.get(kind_of(p), ())]
        here = [p for p in fits if self._here(p)]
        if self.admissible is not None:
            for p in here:
                if self._drop(p) in self.admissible:
                    return self._drop(p)
        for p in here:
            if p in self.closed:
                return f"open {p}"
        away = [p for p in fits if not self._here(p)] or [p for p in self.places if not self._here(p)]
        return f"go to {away[0]}"
