"""The searching expert: it reads the goal and the screen, knows the apps as anybody does, and nothing of the tables."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from ..core import Info
from ..plain import backwards
from .apps import Button, Page, book
from .core import Element, Event, Screen
from .grammar import parse, short
from .guide import Choose, Fill, Intent, Press, Visit, advise, fits, list_of, page_titled, record_of, shows
from .screen import SIZE
from .tasks import Template, templates

Slots = Mapping[str, Sequence[Any]]
_SLOT = re.compile(r"\{([\w.]+)\}")


def read_screen(text: str) -> Screen:
    """Return the screen that an observation shows: inverse of `Screen.text`, but for boxes and acts.

    >>> read_screen("[0] title Network\\n[1] switch Wi-Fi: on").elements[1].value
    'on'
    """
    seen = Screen.read(text)
    title = seen.elements[0].text if seen.elements else ""
    page = "loading" if title == "Loading" else "home" if title == "Home" else page_titled(title) or "dialog"
    return seen._replace(page=page)


@lru_cache(maxsize=1)
def _patterns() -> tuple[tuple[re.Pattern[str], Template], ...]:
    out = []
    for template in templates().values():
        flips = [book().settings[s] for s in template.flip]
        legal = {"label": [v[0] for v in flips], "value": [o for v in flips for o in v[1:]]}

        def inner(slot: str, legal: Mapping[str, Sequence[str]] = legal) -> str:
            return "|".join(map(re.escape, legal.get(slot, ()))) or '[^"]+?'

        out.append((backwards(template.goal, inner), template))
    return tuple(out)


def read_goal(goal: str) -> tuple[Template, dict[str, str]]:
    """Return the template that a goal was written from, and the words in its slots.

    >>> template, words = read_goal('Delete every expense in the category "travel".')
    >>> template.name
    'delete_category'
    """
    for pattern, template in _patterns():
        if m := pattern.fullmatch(goal):
            return template, {k.replace("__", "."): v for k, v in m.groupdict().items()}
    raise ValueError(f"goal {goal!r} has none of the phone's templates: the searching expert cannot read it")


@dataclass(frozen=True, slots=True)
class Errand:
    """One intent of the goal. every: again, until no row is left. read: copy or answer this field of the record."""

    intent: Intent
    every: bool = False
    read: str = ""


def errands(goal: str) -> list[Errand]:
    """Return what a goal asks for, in order; what must be read first is written as "{r.field}"."""
    template, words = read_goal(goal)
    slots: Slots = {**(template.pick or {}), **(template.absent or {})}
    out: list[Errand] = []
    if template.source:
        record, known = _record(template.source, slots, words)
        out.append(Errand(Press(record.id, known), read=template.copy or template.answer.strip("{}").split(".")[1]))
    if template.at or (template.infeasible and not template.want):
        out.append(Errand(Visit(template.at or template.infeasible)))
    for op in template.want:
        if op[0] == "set":
            label = words.get("label", book().settings[op[1]][0] if op[1] in book().settings else "")
            name = next(k for k, v in book().settings.items() if v[0] == label)
            out.append(Errand(Choose(name, _said(op[2], words))))
        elif op[0] == "add":
            out.append(Errand(_adding(op[1], {k: _said(v, words) for k, v in op[2].items()}, slots, words)))
        else:
            record, known = _record(op[1], slots, words)
            changes = {k: _said(v, words) for k, v in op[2].items()} if len(op) > 2 else None
            out.append(Errand(_changing(record, known, changes), every=len(slots[op[1]]) == 3))
    return out


def _said(text: str, words: Mapping[str, str]) -> str:
    return _SLOT.sub(lambda m: words.get(m[1], m[0]), text)


def _record(key: str, slots: Slots, words: Mapping[str, str]) -> tuple[Page, dict[str, str]]:
    """Return the page of a picked row, and what the goal says about the row."""
    table, *rest = slots[key]
    told = {k: _said(v, words) for k, v in rest[0].items()} if rest else {}
    return record_of(table), told | {k.split(".")[1]: v for k, v in words.items() if k.startswith(f"{key}.")}


def _adding(table: str, row: Mapping[str, str], slots: Slots, words: Mapping[str, str]) -> Intent:
    for page in book().pages.values():
        if page.table == table and page.insert is not None and page.insert.items() <= row.items():
            return Fill(page.id, {f: row[f] for f in page.fields})
    record, known = _record("r", slots, words)
    return Press(record.id, known, next(b.label for b in record.buttons if b.put is not None and b.put[0] == table))


def _changing(record: Page, known: Mapping[str, str], changes: Mapping[str, str] | None) -> Intent:
    if changes is None:
        return Press(record.id, known, "Delete")
    for b in record.buttons:
        if b.set == changes:
            return Press(record.id, {**known, **_other(record.buttons, b)}, b.label)
    button = next(b for b in record.buttons if b.go and changes.keys() <= set(book().pages[b.go].fields))
    return Fill(button.go, changes, Press(record.id, known, button.label))


def _other(buttons: tuple[Button, ...], button: Button) -> Mapping[str, str]:
    """Return what a record says before a button is pressed, where a button that undoes it tells."""
    fields = (button.set or {}).keys()
    return next((b.set for b in buttons if b.set and b is not button and b.set.keys() == fields), {})


class DeviceSearcher:
    """Does the goal's errands one after another; it gives up on what it cannot find."""

    def begin(self, goal: str, observation: str, info: Info) -> None:
        """Read the goal."""
        self.question = goal.endswith("?")
        self.template = read_goal(goal)[0]
        self.errands = deque(errands(goal))
        self.read: dict[str, str] = {}
        self.screen = read_screen(observation)
        self.opened = False  # whether the record that was opened last is the one that the errand is about

    def observe(self, action: str, observation: str, info: Info) -> None:
        """Take in what an action brought, whoever chose it."""
        before, self.screen = self.screen, read_screen(observation)
        event = parse(action, SIZE)
        if event is None or not self.errands or before.page == "loading" or observation.startswith("Nothing happens."):
            return
        errand = self.errands[0]
        if event.kind == "hold" and 0 <= event.index < len(before.elements):
            self._note(before.elements[event.index].value, errand)
        elif event.kind == "tap" and 0 <= event.index < len(before.elements):
            self._tapped(before, before.elements[event.index], errand)

    def _note(self, value: str, errand: Errand) -> None:
        if errand.read:
            self.read[f"{{{self.template.source}.{errand.read}}}"] = value
            self.errands.popleft()

    def _tapped(self, before: Screen, element: Element, errand: Errand) -> None:
        intent = errand.intent
        press = intent.via if isinstance(intent, Fill) else intent if isinstance(intent, Press) else None
        if element.kind == "item":
            at = press is not None and before.page == list_of(press.page).id
            self.opened = at and press is not None and fits(element.text, list_of(press.page).row, press.known)
        elif press is not None and before.page == press.page:
            self.opened = shows(before, press.known)
        label = book().canonical(element.text)
        confirmed = before.page == "dialog" and before.elements[0].text.startswith("Delete ") and label == "Delete"
        if isinstance(intent, Press) and intent.button:
            pressed = before.page == intent.page and label == intent.button != "Delete"
            over = self.opened and (confirmed if intent.button == "Delete" else pressed)
        else:
            over = isinstance(intent, Fill) and before.page == intent.page and self._submitted(before, label, intent)
        if over and not errand.every:
            self.errands.popleft()

    def _submitted(self, before: Screen, label: str, intent: Fill) -> bool:
        held = {e.text: e.value for e in before.elements if e.kind == "edit"}
        filled = all(held.get(f.capitalize()) == self._known(v) for f, v in intent.values.items())
        return label == book().pages[intent.page].submit and filled and (self.opened or intent.via is None)

    def _known(self, value: str) -> str:
        return self.read.get(value, value)

    def act(self, hint: str | None = None) -> str:
        """Return the next action; a hint changes nothing, for nothing is searched in kinds of places."""
        return short(self._next())

    def _next(self) -> Event:
        while self.errands:
            errand = self.errands[0]
            intent = errand.intent
            if isinstance(intent, Fill):
                intent = replace(intent, values={f: self._known(v) for f, v in intent.values.items()})
            if self._exhausted(intent):
                if not errand.every:
                    return Event("infeasible")
                self.errands.popleft()
                continue
            event = advise(self.screen, intent, self.opened or not isinstance(intent, Fill) or intent.via is None)
            if event is not None:
                return event
            if errand.read:
                return self._reading(errand.read)
            self.errands.popleft()
        return Event("infeasible" if self.template.infeasible else "done")

    def _reading(self, field: str) -> Event:
        index = next(i for i, e in enumerate(self.screen.elements) if e.kind == "line" and e.text == field.capitalize())
        return Event("answer", text=self.screen.elements[index].value) if self.question else Event("hold", index)

    def _exhausted(self, intent: Intent) -> bool:
        """Whether the list on the screen has been read to its end and lacks what is to be opened."""
        press = intent.via if isinstance(intent, Fill) else intent
        if not isinstance(press, Press) or self.screen.page != list_of(press.page).id or self.screen.below:
            return False
        listing = list_of(press.page)
        held = next((e.value for e in self.screen.elements if e.kind == "edit"), "")
        if held not in ("", press.known.get(listing.search, "")):
            return False
        return not any(e.kind == "item" and fits(e.text, listing.row, press.known) for e in self.screen.elements)
