"""The text dynamics of ALFWorld, exact and without a planner.

Equal, byte for byte, to TextWorld's PDDL engine on ALFWorld's grammar (alfworld 0.4.x, and the 0.3 dialect): the oddities
are the original's (an object may lie in two receptacles at once; a lamp never goes off; only a held object can be
examined). The differential test drives both.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Collection, Hashable, Mapping, Sequence

from .game import Game, Goal

HELP = """Available commands:
  look:                             look around your current location
  inventory:                        check your current inventory
  go to (receptacle):               move to a receptacle
  open (receptacle):                open a receptacle
  close (receptacle):               close a receptacle
  take (object) from (receptacle):  take an object from a receptacle
  move (object) to (receptacle):  place an object in or on a receptacle
  examine (something):              examine a receptacle or an object
  use (object):                     use an object
  heat (object) with (receptacle):  heat an object using a receptacle
  clean (object) with (receptacle): clean an object using a receptacle
  cool (object) with (receptacle):  cool an object using a receptacle
  slice (object) with (object):     slice an object using a sharp object
"""
NOTHING = "Nothing happens."
STATIONS = {"sinkbasintype": "clean", "microwavetype": "heat", "fridgetype": "cool"}
Act = tuple[str, str, str]


def listing(names: Sequence[str]) -> str:
    """Join names as the grammar does.

    >>> listing(["a mug 2", "a mug 1"])
    'a mug 2, and a mug 1'
    """
    if not names:
        return "nothing"
    return names[0] if len(names) == 1 else ", ".join(names[:-1]) + ", and " + names[-1]


class Engine:
    """The state of one game and what commands do to it."""

    __slots__ = (
        "game", "old", "loc", "hold", "opened", "holds", "lies", "things", "taken", "clean", "hot", "cool", "sliced",
        "on", "_acts",
    )  # fmt: skip

    def __init__(self, game: Game, dialect: str = "0.4") -> None:
        self.game, self.old = game, dialect == "0.3"
        self.reset()

    def reset(self) -> str:
        """Return to the start and return its text."""
        g = self.game
        get = g.rows
        self.loc, self.hold = g.start, ""
        self.opened = {row[0] for row in get("opened")}
        self.holds: dict[str, list[str]] = {r: [] for r in g.receptacles}  # receptacle -> objects, by id
        self.lies: dict[str, set[str]] = {}  # object -> receptacles
        for o, r in get("inreceptacle"):
            if r not in self.lies.setdefault(o, set()):
                self.lies[o].add(r)
                insort(self.holds.setdefault(r, []), o)
        self.things: dict[str, set[str]] = {}  # location -> objects
        for o, at in get("objectatlocation"):
            self.things.setdefault(at, set()).add(o)
        self.taken: set[tuple[str, str]] = set()  # (object, receptacle) it was once taken from
        self.clean = {row[0] for row in get("isclean")}
        self.hot = {row[0] for row in get("ishot")}
        self.cool = {row[0] for row in get("iscool")}
        self.sliced = {row[0] for row in get("issliced")}
        self.on = {row[0] for row in get("istoggled")}
        self._acts: dict[str, Act] | None = None
        return f"-= Welcome to TextWorld, ALFRED! =-\n\n{self._look(True)}\n\nYour task is to: {g.goal.text}."

    def fork(self) -> Engine:
        """Return an independent copy of the state; the game is shared."""
        new: Engine = object.__new__(Engine)
        new.game, new.old, new.loc, new.hold = self.game, self.old, self.loc, self.hold
        new.holds = {r: list(v) for r, v in self.holds.items()}
        new.lies = {o: set(v) for o, v in self.lies.items()}
        new.things = {at: set(v) for at, v in self.things.items()}
        new.opened, new.taken, new.clean = set(self.opened), set(self.taken), set(self.clean)
        new.hot, new.cool, new.sliced, new.on = set(self.hot), set(self.cool), set(self.sliced), set(self.on)
        new._acts = None
        return new

    def state(self) -> tuple[Hashable, ...]:
        """Return a key of the state, equal for equal states of one game."""
        places: tuple[Mapping[str, Collection[str]], ...] = (self.holds, self.lies, self.things)
        marks: tuple[Collection[Hashable], ...] = (
            self.opened, self.taken, self.clean, self.hot, self.cool, self.sliced, self.on,
        )  # fmt: skip
        lying = (frozenset((k, frozenset(v)) for k, v in d.items() if v) for d in places)
        return (self.loc, self.hold, *lying, *(frozenset(m) for m in marks))

    def accessible(self, r: str) -> bool:
        """Whether what a receptacle holds can be seen and reached."""
        return r not in self.game.openable or r in self.opened

    def acts(self) -> dict[str, Act]:
        """Return every command that does something now, with what it means."""
        if self._acts is not None:
            return self._acts
        g, name, h = self.game, self.game.name, self.hold
        out: dict[str, Act] = dict(g.walks(self.loc))
        out["look"] = ("look", "", "")
        out["inventory"] = ("inventory", "", "")
        if not self.old:
            out["help"] = ("help", "", "")
        for r in g.at.get(self.loc, ()):
            n = name[r]
            out["examine " + n] = ("read", r, "")
            if r in g.openable:
                verb = "close" if r in self.opened else "open"
                out[f"{verb} {n}"] = (verb, r, "")
            if self.accessible(r):
                if not h:
                    for o in self.holds[r]:
                        if o in g.pickupable:
                            out[f"take {name[o]} from {n}"] = ("take", o, r)
                elif (g.receptacle_type[r], g.object_type.get(h, "")) in g.can_contain:
                    out[f"put {name[h]} in/on {n}" if self.old else f"move {name[h]} to {n}"] = ("put", h, r)
            for o in self.holds[r]:
                if o in g.toggleable:
                    out["use " + name[o]] = ("use", o, "")
            station = STATIONS.get(g.receptacle_type[r])
            if h and station:
                able = g.cleanable if station == "clean" else g.heatable if station == "heat" else g.coolable
                if h in able:
                    out[f"{station} {name[h]} with {n}"] = (station, h, r)
        if h:
            out["examine " + name[h]] = ("inspect", h, "")
            if g.object_type.get(h) in ("knifetype", "butterknifetype"):
                for o in self.things.get(self.loc, ()):
                    if o in g.sliceable:
                        out[f"slice {name[o]} with {name[h]}"] = ("slice", o, h)
        self._acts = out
        return out

    def admissible(self) -> tuple[str, ...]:
        """Return the commands that do something now, sorted."""
        return tuple(sorted(self.acts()))

    def step(self, command: str) -> str:
        """Apply a command and return what the world says; "Nothing happens." where it means nothing."""
        act = self.acts().get(command.strip())
        return NOTHING if act is None else self.do(act)

    def do(self, act: Act) -> str:
        """Apply the meaning of an admissible command."""
        op, a, b = act
        g, name = self.game, self.game.name
        if op == "go":
            self.loc = g.location[a]
            self._acts = None
            return f"You arrive at {name[self.loc] if self.old else name[a]}. {self._describe(a)}"
        if op == "look":
            return self._look(False)
        if op == "inventory":
            return f"You are carrying: a {name[self.hold]}." if self.hold else "You are not carrying anything."
        if op == "help":
            return HELP
        if op == "read":
            return self._describe(a)
        if op == "inspect":
            return self._inspect(a)
        self._acts = None
        if op == "open":
            self.opened.add(a)
            return f"You open the {name[a]}. {self._describe(a)}"
        if op == "close":
            self.opened.discard(a)
            return f"You close the {name[a]}."
        if op == "take":
            self.lies[a].discard(b)
            self.holds[b].remove(a)
            self.taken.add((a, b))
            self.things.get(self.loc, set()).discard(a)
            self.hold = a
            return f"You pick up the {name[a]} from the {name[b]}."
        if op == "put":
            if b not in self.lies.setdefault(a, set()):
                self.lies[a].add(b)
                insort(self.holds[b], a)
            self.taken.discard((a, b))
            self.things.setdefault(self.loc, set()).add(a)
            self.hold = ""
            return (
                f"You put the {name[a]} in/on the {name[b]}."
                if self.old
                else f"You move the {name[a]} to the {name[b]}."
            )
        if op == "use":
            self.on.add(a)
            return f"You turn on the {name[a]}."
        if op == "slice":
            self.sliced.add(a)
            return f"You sliced the {name[a]} with the {name[b]}."
        if op == "clean":
            self.clean.add(a)
        elif op == "heat":
            self.hot.add(a)
            self.cool.discard(a)
        else:
            self.cool.add(a)
            self.hot.discard(a)
        return f"You {op} the {name[a]} using the {name[b]}."

    def won(self, other: Goal | None = None) -> bool:
        """Whether the game's goal holds now, or another one."""
        g, goal = self.game, other or self.game.goal
        targets = [r for r in g.receptacles if g.receptacle_type[r] == goal.target] if other else g.goal_receptacles
        if goal.kind == "look":
            if g.object_type.get(self.hold) != goal.object:
                return False
            here = (o for r in g.at.get(self.loc, ()) for o in self.holds[r])
            return any(o in self.on and g.object_type.get(o) == goal.target for o in here)
        least = 2 if goal.kind == "two" else 1
        done = {"clean": self.clean & g.cleanable, "heat": self.hot & g.heatable, "cool": self.cool & g.coolable}
        state = done.get(goal.kind) if goal.kind in done else None
        for r in targets:
            count = 0
            for o in self.holds[r]:
                if g.object_type.get(o) == goal.object and (state is None or o in state):
                    count += 1
            if count >= least:
                return True
        return False

    def _look(self, intro: bool) -> str:
        g, here = self.game, self.game.at.get(self.loc)
        if not here:
            seen = listing(["a " + g.name[r] for r in g.receptacles]) if intro else "nothing"
            return f"You are in the middle of a room. Looking quickly around you, you see {seen}."
        near = ["a " + g.name[o] for o in sorted(self.things.get(self.loc, ())) for r in here if (o, r) in self.taken]
        return f"You are facing the {listing([g.name[r] for r in here])}. Next to it, you see {listing(near)}."

    def _describe(self, r: str) -> str:
        g, n = self.game, self.game.name[r]
        if r in g.openable and r not in self.opened:
            return f"The {n} is closed."
        held = listing(["a " + g.name[o] for o in self.holds[r]])
        return f"The {n} is open. In it, you see {held}." if r in g.openable else f"On the {n}, you see {held}."

    def _inspect(self, o: str) -> str:
        g, n = self.game, self.game.name[o]
        if o in g.vessels:
            return f"This is a normal {n}. In it, you see {listing(['a ' + g.name[x] for x in g.inside.get(o, ())])}."
        clean, hot, cool, sliced = o in self.clean, o in self.hot, o in self.cool, o in self.sliced
        heat = "hot" if hot else "cool" if cool else ""
        if not (clean or heat or sliced):
            on = o in g.toggleable and o in self.on
            return f"This {n} is on." if on else f"There's nothing special about {n}."
        if heat == "cool" and not clean and not sliced:
            heat = "cold"
        state = " and ".join(w for w in (heat, "clean" if clean else "") if w)
        return f"This is a {' '.join(w for w in (state, 'sliced' if sliced else '') if w)} {n}."
