"""The embedded phone: thirteen apps, tasks on seven levels, noise of its own, and exact copies at no cost."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import cast

import numpy as np
from numpy.typing import NDArray

from ..core import SPLITS, Privileged
from ..errors import choice
from . import noise as noises
from .apps import book
from .core import CLAIMS, MOUSE, Event, Screen, Verdict
from .grammar import short
from .judge import judge
from .noise import Noise
from .oracle import advice, pending
from .screen import SIZE, build
from .state import ROWS_SHOWN, Dialog, Frame, State, do, frame, over, push
from .tasks import Task, make, templates

PLAN_LIMIT = 80
_ID = re.compile(r"(train|valid|test)/(\d{5,7})-L(\d)-(\w+)")


def react(state: State, event: Event, screen: Screen) -> tuple[State, bool]:
    """Return the state after an event, and whether the event named something that exists."""
    if event.kind in CLAIMS:
        return state._replace(claim=event.kind, answer=event.text), True
    if event.kind in MOUSE:
        return state, False
    if state.busy:
        return state, True
    match event.kind:
        case "tap" | "hold" | "type":
            return _touch(state, event, screen)
        case "scroll":
            step = {"down": ROWS_SHOWN, "up": -ROWS_SHOWN}.get(event.text, 0)
            moves = screen.below if step > 0 else screen.above and step < 0
            return (over(state, scroll=state.top.scroll + step) if moves else state), True
        case "back":
            if state.dialog is not None:
                return state._replace(dialog=None), True
            return (state._replace(stack=state.stack[:-1]) if len(state.stack) > 1 else state), True
        case "home":
            return state._replace(stack=(Frame("home"),), dialog=None), True
        case "open":
            page = next((p for app, p in book().starts.items() if app.lower() == event.text.strip().lower()), None)
            if page is None:
                return state, False
            return push(state._replace(stack=(Frame("home"),), dialog=None), frame(page)), True
        case "enter":
            return (over(state, focus=-1) if state.top.focus >= 0 else state), True
    return state, True


def _touch(state: State, event: Event, screen: Screen) -> tuple[State, bool]:
    index = screen.at(*event.point) if event.point is not None else event.index
    named = event.point is not None or event.index >= 0
    if index >= len(screen.elements):
        return state, False
    if event.kind == "type":
        if not named:
            index = next((i for i, e in enumerate(screen.elements) if e.focused), -1)
        if index < 0 or screen.elements[index].kind != "edit":
            return state, False
        field = screen.elements[index].act[1]
        held = "" if event.clear else state.top.form[field]
        form = list(state.top.form)
        form[field] = " ".join((held + event.text).split("\n"))[:120]
        return over(state, form=tuple(form), focus=-1 if event.enter else field, scroll=0), True
    if index < 0:
        return state, True
    element = screen.elements[index]
    if event.kind == "hold":
        return (state._replace(clip=element.value) if element.kind == "line" else state), True
    return (do(state, element.act) if element.act else state), True


def disturb(state: State, noise: Noise, key: int, t: int, turned: bool) -> State:
    """Return the state after step t's noise: loading goes on, a new page may load, a popup may come."""
    if state.busy:
        return state._replace(busy=state.busy - 1)
    if turned:
        state = state._replace(busy=noises.loading(noise, key, t))
    which = noises.popup(noise, key, t) if state.dialog is None and not state.busy else -1
    if which < 0:
        return state
    popup = book().popups[which]
    buttons = tuple((b[0], ("set", *b[1:]) if len(b) > 1 else ("close",)) for b in popup.buttons)
    return state._replace(dialog=Dialog(popup.text, buttons))


class Phone:
    """The embedded phone as a DeviceBackend; `noise` is "none", "light", "heavy" or "ladder" (heavy on level 5 only)."""

    def __init__(
        self,
        levels: Sequence[int],
        sizes: dict[str, int],
        noise: str = "ladder",
        noise_seed: int = 0,
        tasks_seed: int = 0,
    ) -> None:
        self.size = SIZE
        self.apps = tuple(book().starts)
        self.noise, self.noise_seed, self.tasks_seed = noise, noise_seed, tasks_seed
        kinds = [f"L{t.level}-{t.name}" for t in templates().values() if t.level in levels]
        self._ids = {s: tuple(f"{s}/{i:05d}-{kinds[i % len(kinds)]}" for i in range(n)) for s, n in sizes.items()}
        self._task: Task | None = None
        self._state = State({})
        self._t = self._key = 0
        self._noise = Noise()
        self._labels: Mapping[str, str] = {}
        self._screen: Screen | None = None
        self._verdict: Verdict | None = None

    def tasks(self, split: str) -> tuple[str, ...]:
        """Return ids such as `test/00003-L3-edit_contact`; the templates take turns."""
        return self._ids[choice("split", split, SPLITS)]

    def begin(self, task: str) -> str:
        """Set the phone to the start of a task."""
        m = _ID.fullmatch(task)
        if m is None or m[4] not in templates() or templates()[m[4]].level != int(m[3]):
            raise ValueError(
                f"task {task!r}: write it as env.tasks('test') does, for example 'test/00003-L3-edit_contact'"
            )
        self._task = _made(m[4], m[1], int(m[2]), self.tasks_seed)
        self._state, self._t = self._task.start, 0
        rough = ("heavy" if self._task.level == 5 else "none") if self.noise == "ladder" else self.noise
        self._noise = noises.LEVELS[rough]
        digest = hashlib.sha256(f"noise {self.noise_seed} {task}".encode()).digest()
        self._key = int.from_bytes(digest[:8], "big")
        self._labels = noises.labels(self._noise, self._key)
        self._screen = self._verdict = None
        return self._task.goal

    @property
    def task(self) -> Task:
        """The task that runs."""
        if self._task is None:
            raise RuntimeError("no task is running: call reset() first")
        return self._task

    @property
    def state(self) -> State:
        """The state, an immutable value."""
        return self._state

    def _show(self, state: State) -> Screen:
        return build(state, self._labels)

    def _after(self, state: State, event: Event, screen: Screen, t: int) -> tuple[State, bool]:
        after, known = react(state, event, screen)
        if not after.claim and (self._noise.p_popup or self._noise.p_slow):
            after = disturb(after, self._noise, self._key, t, after.top.page != state.top.page)
        return after, known

    def screen(self) -> Screen:
        """Return what the phone shows."""
        if self._screen is None:
            self._screen = self._show(self._state)
        return self._screen

    def perform(self, event: Event) -> bool:
        """Apply an event, and then this step's noise."""
        before = self._state
        self._state, known = self._after(before, event, self.screen(), self._t)
        self._t += 1
        now = self._state
        if now is not before:
            self._screen = None
            if now.db is not before.db or now.claim or self.task.at:  # nothing else bears on the verdict
                self._verdict = None
        return known

    def verdict(self) -> Verdict:
        """Judge the state."""
        if self._verdict is None:
            self._verdict = judge(self.task, self._state)
        return self._verdict

    def clipboard(self) -> str:
        """Return what was last copied."""
        return self._state.clip

    def pixels(self) -> NDArray[np.uint8]:
        """Return a screenshot at a quarter of the resolution."""
        from .pixels import draw

        return draw(self.screen(), SIZE)

    def plan(self) -> tuple[Event, ...]:
        """Return the oracle's events from the current state to the goal; empty where it is won or lost."""
        state, t, out = self._state, self._t, list[Event]()
        while len(out) < PLAN_LIMIT and not judge(self.task, state).success:
            screen = self._show(state)
            event = advice(self.task, state, screen)
            if event is None:
                return ()
            out.append(event)
            state, _ = self._after(state, event, screen, t)
            t += 1
        return tuple(out) if len(out) < PLAN_LIMIT else ()

    def privileged(self) -> Privileged:
        """Return the changes still wanted, what has to be read, and the oracle's plan."""
        task = self.task
        facts = [f"{c.table}: {_row(c.old)} becomes {_row(c.new)}" for c in pending(task, self._state)]
        if task.source is not None:
            facts.append(f"{task.source[0]} hold {_row(task.source[1])}")
        if task.infeasible:
            facts.append("the task cannot be done")
        plan = self.plan()
        basis: tuple[str, ...] = ()
        if plan and plan[0].kind == "answer":
            basis = (plan[0].text,)
        elif plan and plan[0].kind in ("tap", "hold"):
            element = self.screen().elements[plan[0].index]
            basis = (element.text,) if element.kind == "item" else (element.value,) if element.kind == "line" else ()
        return Privileged(tuple(facts), tuple(short(e) for e in plan), basis)

    def save(self) -> object:
        """Return the state: it is immutable, so this is exact and free."""
        return self._task, self._state, self._t, self._key, self._noise

    def load(self, saved: object) -> None:
        """Return to a saved state."""
        self._task, self._state, self._t, self._key, self._noise = cast("tuple[Task, State, int, int, Noise]", saved)
        self._labels = noises.labels(self._noise, self._key)
        self._screen = self._verdict = None

    def close(self) -> None:
        """Nothing is held."""


def _row(row: tuple[str, ...] | None) -> str:
    return "nothing" if row is None else ", ".join(row)


@lru_cache(maxsize=2048)
def _made(name: str, split: str, index: int, seed: int) -> Task:
    return make(name, split, index, seed)
