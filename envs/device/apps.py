"""The apps, read from `data/apps.json`: pages are columns of parts, so a new app is data and not code."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import Any

Row = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Button:
    """A button of a record: opens a form, changes the record, copies it into another table, or deletes it."""

    label: str
    go: str = ""
    fill: Mapping[str, str] | None = None
    set: Mapping[str, str] | None = None
    put: tuple[str, Mapping[str, str]] | None = None
    delete: bool = False


@dataclass(frozen=True, slots=True)
class Page:
    """A screen: links, a search field, a form, a record's lines and buttons, settings, a table's rows.

    `insert` not None: its form adds a row (these fields with it); None with `fields`: it changes the record.
    """

    id: str
    app: str
    title: str
    links: tuple[tuple[str, str], ...] = ()
    settings: tuple[str, ...] = ()
    table: str = ""
    row: str = ""
    open: str = ""
    search: str = ""
    fields: tuple[str, ...] = ()
    insert: Mapping[str, str] | None = None
    submit: str = ""
    lines: tuple[str, ...] = ()
    buttons: tuple[Button, ...] = ()


@dataclass(frozen=True, slots=True)
class Popup:
    """An interruption: its words, and its buttons, some of which set a setting."""

    text: str
    buttons: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Book:
    """All that the phone's maker wrote down: tables and their fields, settings and their values, pages, synonyms."""

    tables: Mapping[str, tuple[str, ...]]
    settings: Mapping[str, tuple[str, ...]]
    pages: Mapping[str, Page]
    starts: Mapping[str, str]
    synonyms: Mapping[str, tuple[str, ...]]
    popups: tuple[Popup, ...]

    def canonical(self, label: str) -> str:
        """Return the label that a drifted one stands for.

        >>> book().canonical("Remove")
        'Delete'
        """
        return next((k for k, v in self.synonyms.items() if label in v), label)


def data(name: str) -> Any:
    """Return a data file of this folder."""
    return json.loads(resources.files(__package__).joinpath("data", name).read_text(encoding="utf-8"))


def _button(raw: dict[str, Any]) -> Button:
    put = raw.pop("put", None)
    return Button(**raw, put=None if put is None else (put[0], put[1]))


def _page(id: str, raw: dict[str, Any]) -> Page:
    buttons = tuple(_button(b) for b in raw.pop("buttons", ()))
    links = tuple((label, page) for label, page in raw.pop("links", ()))
    plain: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in raw.items()}
    return Page(id=id, buttons=buttons, links=links, **plain)


@lru_cache(maxsize=1)
def book() -> Book:
    """Return the book of apps; the page "home" links to the first page of every app."""
    raw = data("apps.json")
    pages = {id: _page(id, page) for id, page in raw["pages"].items()}
    starts: dict[str, str] = {}
    for page in pages.values():
        starts.setdefault(page.app, page.id)
    pages["home"] = Page("home", "Home", "Home", tuple(starts.items()))
    return Book(
        tables={k: tuple(v) for k, v in raw["tables"].items()},
        settings={k: tuple(v) for k, v in raw["settings"].items()},
        pages=pages,
        starts=starts,
        synonyms={k: tuple(v) for k, v in raw["synonyms"].items()},
        popups=tuple(Popup(p["text"], tuple(tuple(b) for b in p["buttons"])) for p in raw["popups"]),
    )


def named(table: str, row: Row) -> dict[str, str]:
    """Return a row's values by field.

    >>> named("contacts", ("Ada", "555"))
    {'name': 'Ada', 'phone': '555'}
    """
    return dict(zip(book().tables[table], row, strict=True))


@lru_cache(maxsize=8192)
def wording(page: str, row: Row) -> str:
    """Return how a page lists a row of its table."""
    p = book().pages[page]
    return p.row.format_map(named(p.table, row))


@lru_cache(maxsize=512)
def route(source: str, target: str) -> tuple[str, ...]:
    """Return the labels of the links that lead from one page to another, shortest first; empty where none do.

    >>> route("home", "network")
    ('Settings', 'Network')
    """
    pages = book().pages
    queue: deque[tuple[str, tuple[str, ...]]] = deque([(source, ())])
    seen = {source}
    while queue:
        here, labels = queue.popleft()
        if here == target:
            return labels
        for label, after in pages[here].links:
            if after not in seen:
                seen.add(after)
                queue.append((after, (*labels, label)))
    return ()
