"""Overcooked as a TeamEnv."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from functools import cache
from itertools import permutations
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from ..core import SPLITS, Info, Privileged
from ..errors import choice, unknown
from ..team import Infos, TeamEnv, Texts, said
from . import cooks, picture
from .actions import CONTINUE, WAIT, Kitchen, Macro, mixture
from .engine import ACTIONS, INTERACT, STAY, Engine, State
from .layout import CAPACITY, PAPER, Cell, Layout, items, load
from .search import optimum

VARIANTS = ("classic", "read")
MODES = ("macro", "low")
PAR = {
    "cramped_room": 13, "asymmetric_advantages": 19, "coordination_ring": 14, "forced_coordination": 15,
    "counter_circuit": 10,
}  # fmt: skip
"""Soups that our cooks deliver in 400 ticks by the classic recipe from the layout's own start."""
_READ_LIMITS = {"cramped_room": 20, "forced_coordination": 25}
_STEP_TICKS = 10  # a step of macro actions never lasts longer
_PATIENCE = 80  # ticks after which a cook gives an action up


class CookInfo(Info):
    """busy: a macro action is still running; `continue` keeps it. tick: of the horizon. soups: ordered ones, delivered."""

    busy: bool
    tick: int
    soups: int


@dataclass(frozen=True, slots=True)
class Moment:
    """All that changes in an episode."""

    state: State
    doing: tuple[Macro | None, ...]
    since: tuple[int, ...]
    heard: tuple[str, ...]
    invalid: tuple[bool, ...]
    tick: int = 0
    soups: int = 0


class OvercookedEnv(TeamEnv):
    """Cooks who share a kitchen: onions into pots, soup into dishes, dishes to the counter; exact Overcooked-AI dynamics.

    Observation: the tick, what everybody holds and does, pots, counters with something on them, ticks of walking to each
    fixture, and what came of the last action; in low mode the map, headings and places too.
    Actions (macro): `pick up THING from FIXTURE`, `put THING in POT`, `put THING on COUNTER`, `start cooking POT` (where
    pots do not start by themselves), `fill dish with soup from POT` (waits there), `deliver soup at FIXTURE`, `wait`, and
    `continue` while one runs. A step lasts until some cook is done or a soup is ready, at most 10 ticks. Motion is
    planned for all cooks together, so they make way for each other. `admissible` lists, of the free counters, the nearest
    and those with two sides; the others are accepted too. Actions (low): `north`, `south`, `east`, `west`, `stay`,
    `interact`; a step is a tick. Of a longer answer, what follows the last "Action:" counts. Anything else waits.
    Reward: the points of the soups delivered, the same for all, plus `shaping` times one's own shaped points.
    Success: `target` soups; classic goes on to the horizon (truncates), read terminates there.
    Tasks: `test/LAYOUT/0` starts as the layout says, `/1` with seats swapped; `train` and `valid` start elsewhere.
    Privileged: the agent's part of a shortest plan (read), or what the scripted cook would do in its seat (classic).
    Source: Overcooked-AI, arXiv 1910.05789; ReAd's variant, arXiv 2405.14314 D.4. Ours: macro actions and their control.

    >>> env = OvercookedEnv(layout="cramped_room")
    >>> observations, infos = env.reset(options={"task": "test/cramped_room/0"})
    >>> observations, rewards, *_, infos = env.step({a: "pick up onion from onion dispenser 1" for a in env.agents})
    >>> print(observations["chef_1"].splitlines()[1])
    You hold nothing and are busy: pick up onion from onion dispenser 1. chef_0 holds an onion.

    layout: a paper name, a `.layout` file, or `all` five. variant: `classic` (3 onions, 20 ticks, horizon 400), or `read`
    (2 onions, 2 ticks, an empty-handed cook starts the pot, low mode, one soup, 20 ticks in cramped_room, else 25).
    onions, cook_time, auto_cook, horizon, mode, target: override the layout and the variant. image: `render` returns an
    array instead of text.
    """

    metadata: dict[str, Any] = {
        "render_modes": ["ansi", "rgb_array"], "name": "overcooked_v0", "is_parallelizable": True,
    }  # fmt: skip
    summary = "cooks share a kitchen and deliver soups; 2 agents, 400 ticks"

    def __init__(
        self,
        *,
        layout: str = "all",
        variant: str = "classic",
        mode: str | None = None,
        horizon: int | None = None,
        target: int | None = None,
        onions: int | None = None,
        cook_time: int | None = None,
        auto_cook: bool | None = None,
        shaping: float = 0.0,
        image: bool = False,
    ) -> None:
        if variant not in VARIANTS:
            raise unknown("variant", variant, VARIANTS)
        self.mode = mode or ("low" if variant == "read" else "macro")
        if self.mode not in MODES:
            raise unknown("mode", self.mode, MODES)
        for name, value in (("horizon", horizon), ("target", target)):
            if value is not None and value < 1:
                raise ValueError(f"{name}={value}: needs at least 1")
        self.variant, self.shaping = variant, shaping
        read = variant == "read"
        self.render_mode = "rgb_array" if image else "ansi"
        self._horizon, self._target = horizon, target
        onions = 2 if read and onions is None else onions
        cook_time = 2 if read and cook_time is None else cook_time
        self._kitchens: dict[str, Kitchen] = {}
        for one in PAPER if layout == "all" else (layout,):
            plan = load(one).cooking(onions, cook_time)
            alone = all(items(m) == CAPACITY for m in plan.orders()) and not read
            self._kitchens[plan.name] = Kitchen(Engine(plan, alone if auto_cook is None else auto_cook))
        first = next(iter(self._kitchens.values())).engine.layout
        super().__init__([f"chef_{i}" for i in range(len(first.starts))])
        self._task = ""
        self._name = first.name
        self._now: Moment | None = None
        self._plans: dict[tuple[str, State], list[tuple[int, ...]]] = {}

    def tasks(self, split: str) -> list[str]:
        """Return a split's ids: `test/cramped_room/0`."""
        choice("split", split, SPLITS)
        return [
            f"{split}/{name}/{n}"
            for name, kitchen in self._kitchens.items()
            for n in range(len(_places(kitchen.engine.layout)[split]))
        ]

    @property
    def kitchen(self) -> Kitchen:
        """The kitchen of the running episode."""
        return self._kitchens[self._name]

    @property
    def now(self) -> Moment:
        """The state of the running episode."""
        if self._now is None:
            raise RuntimeError("no episode is running: call reset() first")
        return self._now

    @property
    def horizon(self) -> int:
        """Ticks that the running episode lasts at most."""
        return self._horizon or (_READ_LIMITS.get(self._name, 25) if self.variant == "read" else 400)

    @property
    def target(self) -> int:
        """Soups that count as success."""
        usual = 1 if self.variant == "read" else max(1, PAR.get(self._name, 8) * self.horizon // 400)
        return self._target or usual

    def _begin(self, task: str) -> tuple[Texts, Infos]:
        if not any(task in self.tasks(split) for split in SPLITS):
            raise ValueError(f"task {task!r}: write it as env.tasks('test') does: {self.tasks('test')[0]!r}")
        split, name, number = task.split("/")
        cells = _places(self._kitchens[name].engine.layout)[split][int(number)]
        self._task, self._name = task, name
        n = len(self.possible_agents)
        self._now = Moment(self.kitchen.engine.start(cells), (None,) * n, (0,) * n, ("",) * n, (False,) * n)
        return self._told()

    def _act(self, actions: Texts) -> tuple[Texts, dict[str, float], bool, bool, Infos]:
        words = [said(actions[a]).lower() if a in actions else None for a in self.possible_agents]
        points, shaped = self._tick_low(words) if self.mode == "low" else self._run_macros(words)
        over = self.variant == "read" and self.now.soups >= self.target
        rewards = {a: points + self.shaping * s for a, s in zip(self.possible_agents, shaped, strict=True)}
        observations, infos = self._told()
        return observations, rewards, over, not over and self.now.tick >= self.horizon, infos

    def _tick_low(self, words: list[str | None]) -> tuple[int, tuple[int, ...]]:
        known = [w is None or w in ACTIONS for w in words]
        joint = [ACTIONS.index(w) if w in ACTIONS else STAY for w in words]
        heard = tuple(
            "" if ok else f"No action is {(w or '')[:60]!a}; you stay." for w, ok in zip(words, known, strict=True)
        )
        wrong = tuple(not ok for ok in known)
        self._now = replace(self.now, heard=heard, invalid=wrong)
        return self._tick(joint)

    def _tick(self, joint: list[int] | tuple[int, ...]) -> tuple[int, tuple[int, ...]]:
        was = self.now
        state, earned, shaped = self.kitchen.engine.step(was.state, joint)
        soups = was.soups + sum(e > 0 for e in earned)
        self._now = replace(was, state=state, tick=was.tick + 1, soups=soups)
        return sum(earned), shaped

    def _run_macros(self, words: list[str | None]) -> tuple[int, tuple[int, ...]]:
        for i, word in enumerate(words):
            self._decide(i, word)
        engine, start = self.kitchen.engine, self.now.tick
        total, shaped = 0, np.zeros(len(words), dtype=int)
        while True:
            before = self.now
            joint, stuck = self.kitchen.walk(before.state, before.doing, self._order())
            points, own = self._tick(joint)
            total, shaped = total + points, shaped + own
            ended = [self._settle(i, before, joint[i] == INTERACT, stuck) for i in range(len(words))]
            now = self.now
            ripe = any(engine.left(now.state.shelf[p]) == 0 != engine.left(before.state.shelf[p]) for p in engine.pots)
            if any(ended) or ripe or now.tick >= self.horizon or now.tick - start >= _STEP_TICKS:
                return total, tuple(int(s) for s in shaped)

    def _decide(self, i: int, word: str | None) -> None:
        now = self.now
        wrong = False
        heard = ""
        doing, since = now.doing[i], now.since[i]
        chosen = self.kitchen.possible(now.state, i).get(word) if word else None
        if chosen is not None:
            doing, since = chosen, since if chosen == doing else now.tick
        elif word == WAIT:
            doing = None
        elif word is not None and not (word == CONTINUE and doing is not None):
            wrong = True
            heard = f"Not possible now: {word[:60]!a}; you {'go on' if doing else 'wait'}."
        self._now = replace(
            now, doing=_put(now.doing, i, doing), since=_put(now.since, i, since), heard=_put(now.heard, i, heard),
            invalid=_put(now.invalid, i, wrong),
        )  # fmt: skip

    def _order(self) -> list[int]:
        return sorted(range(len(self.now.since)), key=lambda i: (self.now.since[i], i))

    def _settle(self, i: int, before: Moment, acted: bool, stuck: bool) -> bool:
        """Say what came of a cook's macro action in the last tick; True when it is over."""
        macro, now = self.now.doing[i], self.now
        if macro is None:
            return False
        if acted:
            heard = "Done" if self.kitchen.done(before.state, now.state, i, macro) else "Failed"
        elif not self.kitchen.legal(now.state, i, macro):
            heard = "No longer possible"
        elif stuck or now.tick - now.since[i] >= _PATIENCE + self.kitchen.engine.layout.ticks[0]:
            heard = "The way is blocked; given up"
        else:
            return False
        self._now = replace(now, doing=_put(now.doing, i, None), heard=_put(now.heard, i, f"{heard}: {macro.text}."))
        return True

    def _told(self) -> tuple[Texts, Infos]:
        agents = self.possible_agents
        return (
            {a: self._describe(i) for i, a in enumerate(agents)},
            {a: self._info(i) for i, a in enumerate(agents)},
        )

    def _info(self, i: int) -> CookInfo:
        now = self.now
        listed = list(ACTIONS)
        if self.mode == "macro":
            busy = [CONTINUE] if now.doing[i] else []
            listed = [*self.kitchen.offered(now.state, i), WAIT, *busy]
        return CookInfo(
            goal=self._goal(), admissible=tuple(sorted(listed)), success=now.soups >= self.target,
            score=min(1.0, now.soups / self.target), task=self._task, kind=self._name, invalid=now.invalid[i],
            busy=now.doing[i] is not None, tick=now.tick, soups=now.soups,
        )  # fmt: skip

    def _goal(self) -> str:
        layout = self.kitchen.engine.layout
        orders = ", or ".join(f"{mixture(m)} ({layout.ticks[m]} ticks of cooking)" for m in layout.orders())
        start = "a full pot cooks by itself" if self.kitchen.engine.auto_cook else "empty hands start a pot"
        many = "1 soup" if self.target == 1 else f"at least {self.target} soups"
        return f"deliver {many} in {self.horizon} ticks: {orders}; {start}"

    def _describe(self, i: int) -> str:
        now, kitchen = self.now, self.kitchen
        lines = [f"Tick {now.tick} of {self.horizon}. Soups delivered: {now.soups} of {self.target}."]
        holds = [_article(kitchen.thing(h)) if h else "nothing" for h in now.state.hands]
        others = []
        for j, name in enumerate(self.possible_agents):
            macro = now.doing[j]
            busy = f" and {'are' if j == i else 'is'} busy: {macro.text}" if macro else ""
            others.append(f"{'You hold' if j == i else name + ' holds'} {holds[j]}{busy}.")
        lines.append(" ".join([others[i], *others[:i], *others[i + 1 :]]))
        lines.extend(picture.pots_and_counters(kitchen, now.state))
        pose = now.state.poses[i]
        if self.mode == "low":
            lines += [self._whereabouts(i), picture.grid(kitchen, now.state), picture.LEGEND]
        else:
            near = [
                f"{kitchen.names[c]} {kitchen.control.distances(c)[pose]}"
                for c in kitchen.reach(pose)
                if kitchen.kinds[c] != "counter" or now.state.shelf[kitchen.engine.slot[c]]
            ]
            lines.append(f"Ticks for you to reach: {', '.join(near)}.")
        return "\n".join([*lines, now.heard[i]] if now.heard[i] else lines)

    def _whereabouts(self, i: int) -> str:
        engine, state = self.kitchen.engine, self.now.state
        places = []
        for j, pose in enumerate(state.poses):
            (x, y), ahead = engine.cell(pose), self.kitchen.names.get(engine.ahead[pose], "floor")
            who = f"You, cook {j + 1}, are" if j == i else f"{self.possible_agents[j]}, cook {j + 1}, is"
            places.append(f"{who} at row {y}, column {x}, facing {ACTIONS[pose & 3]}: {ahead}.")
        return " ".join(places)

    def render(self) -> str | NDArray[np.uint8]:
        """Return the map, or an image where `image` was asked for."""
        if self.render_mode == "rgb_array":
            return picture.image(self.kitchen, self.now.state)
        return picture.grid(self.kitchen, self.now.state)

    def privileged(self, agent: str) -> Privileged:
        """Return an agent's part of a shortest plan for the team in read, what its scripted cook would do in classic."""
        i = self.possible_agents.index(agent)
        plan = self._shortest() if self.variant == "read" and self.mode == "low" else None
        if plan is None:
            return Privileged(facts=(), actions=(self.cooks()[agent],) if self.agents else ())
        return Privileged(facts=(), actions=tuple(ACTIONS[joint[i]] for joint in plan), distance=len(plan))

    def _shortest(self) -> list[tuple[int, ...]] | None:
        """Return a shortest plan from here to a soup within the horizon; the rest of one is remembered."""
        now, left = self.now, self.horizon - self.now.tick
        key = self._name, now.state
        if now.soups >= self.target:
            return []
        if key not in self._plans:
            plan = optimum(self.kitchen, now.state, left)
            if plan is None:
                return None
            state = now.state
            for n, joint in enumerate(plan):
                self._plans[self._name, state] = plan[n:]
                state = self.kitchen.engine.step(state, joint).state
        plan = self._plans[key]
        return plan if len(plan) <= left else None

    def cooks(self) -> Texts:
        """Return the scripted cooks' actions, the ceiling that `PAR` was measured with."""
        now = self.now
        plans = cooks.decide(self.kitchen, now.state, now.doing)
        if self.mode == "low":
            joint, _ = self.kitchen.walk(now.state, plans, range(len(plans)))
            return {a: ACTIONS[move] for a, move in zip(self.possible_agents, joint, strict=True)}
        return {
            a: CONTINUE if running else plan.text if plan else WAIT
            for a, plan, running in zip(self.possible_agents, plans, now.doing, strict=True)
        }

    def snapshot(self) -> object:
        """Return the state; it is immutable."""
        return self._task, self._name, self._now, tuple(self.agents)

    def restore(self, snapshot: object) -> None:
        """Return to a snapshot."""
        self._task, self._name, self._now, agents = cast("tuple[str, str, Moment, tuple[str, ...]]", snapshot)
        self.agents = list(agents)


def _put(row: tuple[Any, ...], i: int, value: object) -> tuple[Any, ...]:
    return (*row[:i], value, *row[i + 1 :])


def _article(thing: str) -> str:
    return ("an " if thing[0] in "aeiou" else "a ") + thing


@cache
def _places(layout: Layout) -> dict[str, list[tuple[Cell, ...]]]:
    """Return the cooks' starting cells of every task; the first two cooks move about, each pair of cells once.

    A seat keeps its part of a divided kitchen, or takes the other's.
    """
    starts = layout.starts
    test = [starts, (starts[1], starts[0], *starts[2:])] if len(starts) > 1 else [starts]
    parts = [_part(layout, s) for s in starts[:2]]
    cells = sorted(set().union(*parts))
    moved = [
        (*pair, *starts[2:])
        for pair in permutations(cells, len(parts))
        if not set(pair) & set(starts[2:])
        and any(all(c in p for c, p in zip(pair, order, strict=True)) for order in permutations(parts))
    ]
    others = sorted(
        (m for m in moved if m not in test), key=lambda m: hashlib.sha256(f"{layout.rows} {m}".encode()).digest()
    )
    kept = (len(others) + 7) // 8
    return {"train": others[kept:], "valid": others[:kept], "test": test}


def _part(layout: Layout, start: Cell) -> frozenset[Cell]:
    """Return the floor that can be walked to from a cell."""
    found, edge = {start}, [start]
    while edge:
        x, y = edge.pop()
        for cell in ((x + 1, y), (x - 1, y), (x, y + 1), (x, y - 1)):
            if layout.rows[cell[1]][cell[0]] == " " and cell not in found:
                found.add(cell)
                edge.append(cell)
    return frozenset(found)
