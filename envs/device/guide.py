"""How somebody who knows the apps would do one thing: a policy that reads nothing but the screen.

The oracle and the searching expert share it. They differ in where the intents come from: the wanted end, or the goal.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from .apps import Page, Row, book, named, route
from .core import Element, Event, Screen
from .state import Db, merged
from .tasks import Change

Known = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Choose:
    """Give a setting a value."""

    setting: str
    value: str


@dataclass(frozen=True, slots=True)
class Press:
    """Open the record that has the known values; then press a button of it, or, where `button` is empty, only read."""

    page: str
    known: Known
    button: str = ""


@dataclass(frozen=True, slots=True)
class Fill:
    """Fill a form and submit it; `via` leads to the form of a record."""

    page: str
    values: Known
    via: Press | None = None


@dataclass(frozen=True, slots=True)
class Visit:
    """Go to a page."""

    page: str


Intent = Choose | Press | Fill | Visit


@lru_cache(maxsize=64)
def list_of(record: str) -> Page:
    """Return the page that lists the records of a page."""
    return next(p for p in book().pages.values() if p.open == record)


@lru_cache(maxsize=64)
def record_of(table: str) -> Page:
    """Return the page that shows one row of a table."""
    return next(p for p in book().pages.values() if p.table == table and p.lines)


@lru_cache(maxsize=64)
def page_of_setting(name: str) -> str:
    """Return the page with a setting."""
    return next(p.id for p in book().pages.values() if name in p.settings)


@lru_cache(maxsize=64)
def page_titled(title: str) -> str:
    """Return the page with a title, "" where none has it: how a reader knows where it is."""
    return next((p.id for p in book().pages.values() if p.title == title), "")


@lru_cache(maxsize=4096)
def _pattern(template: str, known: tuple[tuple[str, str], ...]) -> re.Pattern[str]:
    values = dict(known)
    parts = re.split(r"\{(\w+)\}", template)
    return re.compile("".join(
        re.escape(part) if i % 2 == 0 else re.escape(values[part]) if part in values else ".+"
        for i, part in enumerate(parts)
    ))  # fmt: skip


def fits(text: str, template: str, known: Known) -> bool:
    """Whether a listed row can be the one with the known values.

    >>> fits("Ada, 555", "{name}, {phone}", {"name": "Ada"})
    True
    """
    return _pattern(template, tuple(known.items())).fullmatch(text) is not None


def shows(screen: Screen, known: Known) -> bool:
    """Whether a record on the screen has the known values."""
    values = {e.text.lower(): e.value for e in screen.elements if e.kind == "line"}
    return all(values.get(k) == v for k, v in known.items())


def labelled(screen: Screen, label: str) -> Event | None:
    """Return a tap on the button with a label, whatever this version of the app calls it."""
    for i, e in enumerate(screen.elements):
        if e.kind == "button" and book().canonical(e.text) == label:
            return Event("tap", i)
    return None


def _dismiss(screen: Screen, deleting: bool) -> Event:
    """Return the harmless way out of a dialog; its Delete button only where something is to be deleted."""
    text = screen.elements[0].text
    for popup in book().popups:
        if popup.text == text:
            return Event("tap", 1 + next(i for i, b in enumerate(popup.buttons) if len(b) == 1))
    return Event("tap", 2 if deleting and text.startswith("Delete ") else 1)


def _go(screen: Screen, target: str) -> Event:
    """Return the next step towards a page that is not the one on the screen."""
    page = book().pages.get(screen.page)
    if page is not None and book().pages[target].open == page.id:
        return Event("back")
    labels = route(screen.page, target) if page is not None else ()
    step = labelled(screen, labels[0]) if labels else None
    return step or Event("open", text=book().pages[target].app)


def _find(screen: Screen, intent: Press) -> Event | None:
    """Return the next step towards a record; None where the list has been read to its end and does not hold it."""
    listing = list_of(intent.page)
    if screen.page != listing.id:
        return _go(screen, listing.id)
    for i, e in enumerate(screen.elements):
        if e.kind == "item" and fits(e.text, listing.row, intent.known):
            return Event("tap", i)
    field = next(((i, e) for i, e in enumerate(screen.elements) if e.kind == "edit"), None)
    key = intent.known.get(listing.search, "")
    if field is not None and field[1].value != key and (field[1].value or screen.below):
        return Event("type", field[0], text=key, clear=True)
    if screen.below:
        return Event("scroll", text="down")
    return Event("back") if screen.above else None


def _fill(screen: Screen, intent: Fill) -> Event | None:
    wanted = {f.capitalize(): v for f, v in intent.values.items()}
    for i, e in enumerate(screen.elements):
        if e.kind == "edit" and e.text in wanted and e.value.strip() != wanted[e.text]:
            return Event("type", i, text=wanted[e.text], clear=True)
    return labelled(screen, book().pages[intent.page].submit)


def advise(screen: Screen, intent: Intent, trusted: bool = True) -> Event | None:
    """Return the next event that serves an intent; None where it is done or cannot be done.

    Args:
        screen: what is shown.
        intent: the one thing to do.
        trusted: whether an open form is of the right record, which a form does not show.
    """
    if screen.page == "loading":
        return Event("wait")
    if screen.page == "dialog":
        return _dismiss(screen, isinstance(intent, Press) and intent.button == "Delete" and trusted)
    match intent:
        case Visit(page):
            return None if screen.page == page else _go(screen, page)
        case Choose(name, value):
            page = page_of_setting(name)
            return _go(screen, page) if screen.page != page else _choose(screen, name, value)
        case Fill(page, _, via):
            if screen.page == page:
                return _fill(screen, intent) if trusted or via is None else Event("back")
            return _go(screen, page) if via is None else advise(screen, via)
        case Press(page, known, button):
            if screen.page != page:
                return _find(screen, intent)
            if not shows(screen, known):
                return Event("back")
            return labelled(screen, button) if button else None


def _choose(screen: Screen, name: str, value: str) -> Event | None:
    label = book().settings[name][0]

    def wanted(e: Element) -> bool:
        return (e.kind == "switch" and e.text == label and e.value != value) or (
            e.kind == "radio" and e.text == value and e.value == "off"
        )

    return next((Event("tap", i) for i, e in enumerate(screen.elements) if wanted(e)), None)


def intent_of(change: Change, db: Db) -> Intent | None:
    """Return how a change is made on this phone, None where no app can make it."""
    if change.table == "settings":
        assert change.new is not None
        return Choose(*change.new)
    pages = [p for p in book().pages.values() if p.table == change.table]
    if change.old is None:
        assert change.new is not None
        return _adding(change.table, change.new, db)
    old = named(change.table, change.old)
    record = record_of(change.table)
    if change.new is None:
        return Press(record.id, old, "Delete") if any(b.delete for b in record.buttons) else None
    for b in record.buttons:
        if b.set is not None and merged(change.table, change.old, b.set) == change.new:
            return Press(record.id, old, b.label)
    new = named(change.table, change.new)
    differing = {f for f in new if new[f] != old[f]}
    for b in record.buttons:
        form = next((p for p in pages if p.id == b.go), None)
        if form is not None and differing <= set(form.fields):
            return Fill(form.id, {f: new[f] for f in form.fields}, Press(record.id, old, b.label))
    return None


def _adding(table: str, row: Row, db: Db) -> Intent | None:
    values = named(table, row)
    for page in book().pages.values():
        if page.table == table and page.insert is not None and page.insert.items() <= values.items():
            return Fill(page.id, {f: values[f] for f in page.fields})
        for b in page.buttons:
            if b.put is not None and b.put[0] == table:
                for source in db[page.table]:
                    held = named(page.table, source)
                    if all(b.put[1][f].format_map(held) == v for f, v in values.items()):
                        return Press(page.id, held, b.label)
    return None
