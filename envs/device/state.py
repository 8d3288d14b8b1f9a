"""The phone's state and what an act does to it: immutable values and pure functions, so a copy costs nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, NamedTuple

from .apps import Row, book, named

Db = Mapping[str, tuple[Row, ...]]
Act = tuple[Any, ...]
Fact = tuple[str, str, Row]
ROWS_SHOWN = 7


class Frame(NamedTuple):
    """One page on the back stack: which, of which record, what its fields hold, which field has the focus, scroll."""

    page: str
    row: Row | None = None
    form: tuple[str, ...] = ()
    focus: int = -1
    scroll: int = 0


class Dialog(NamedTuple):
    """A window over the page: its words and its buttons, each with what it does."""

    text: str
    buttons: tuple[tuple[str, Act], ...]


class State(NamedTuple):
    """All of the phone: tables, back stack, dialog, clipboard, ticks of loading left, the claim."""

    db: Db
    stack: tuple[Frame, ...] = (Frame("home"),)
    dialog: Dialog | None = None
    clip: str = ""
    busy: int = 0
    claim: str = ""
    answer: str = ""

    @property
    def top(self) -> Frame:
        """The page on the screen."""
        return self.stack[-1]


def frame(page: str, row: Row | None = None, fill: Mapping[str, str] | None = None) -> Frame:
    """Return a page freshly opened; a form that changes a record begins with what the record holds."""
    p = book().pages[page]
    if p.search:
        return Frame(page, row, ("",))
    if p.fields and p.insert is None and row is not None:
        held = named(p.table, row)
        return Frame(page, row, tuple(held[f] for f in p.fields))
    return Frame(page, row, tuple((fill or {}).get(f, "") for f in p.fields))


def push(state: State, new: Frame) -> State:
    """Return the state with a page on top."""
    return state._replace(stack=(*state.stack, new))


def over(state: State, **changes: Any) -> State:
    """Return the state with the top page changed."""
    return state._replace(stack=(*state.stack[:-1], state.stack[-1]._replace(**changes)))


def listed(state: State) -> tuple[Row, ...]:
    """Return the rows that the top page lists: all of its table, or those that its search field admits."""
    top = state.stack[-1]
    page = book().pages[top.page]
    rows = state.db[page.table] if page.row else ()
    if not page.search or not top.form[0]:
        return rows
    wanted, column = top.form[0].lower(), book().tables[page.table].index(page.search)
    return tuple(r for r in rows if wanted in r[column].lower())


def setting(db: Db, name: str) -> str:
    """Return a setting's value."""
    return next(value for key, value in db["settings"] if key == name)


def with_setting(db: Db, name: str, value: str) -> Db:
    """Return the tables with a setting changed."""
    return {**db, "settings": tuple((k, value if k == name else v) for k, v in db["settings"])}


def with_row(db: Db, table: str, row: Row) -> Db:
    """Return the tables with a row added at the end."""
    return {**db, table: (*db[table], row)}


def replaced(db: Db, table: str, old: Row, new: Row | None) -> Db:
    """Return the tables with the first row equal to `old` replaced, or removed where `new` is None."""
    rows = list(db[table])
    at = rows.index(old)
    rows[at : at + 1] = [] if new is None else [new]
    return {**db, table: tuple(rows)}


def merged(table: str, row: Row, changes: Mapping[str, str]) -> Row:
    """Return a row with some fields changed.

    >>> merged("contacts", ("Ada", "555"), {"phone": "556"})
    ('Ada', '556')
    """
    return tuple((named(table, row) | dict(changes)).values())


def difference(before: Db, after: Db) -> Counter[Fact]:
    """Return how the tables differ, as a bag of ("+" or "-", table, row); the order of rows does not matter.

    >>> difference({"timers": (("5",),)}, {"timers": ()})
    Counter({('-', 'timers', ('5',)): 1})
    """
    out: Counter[Fact] = Counter()
    for table, rows in after.items():
        if rows is not before[table]:
            old, new = Counter(before[table]), Counter(rows)
            out.update({("+", table, row): n for row, n in (new - old).items()})
            out.update({("-", table, row): n for row, n in (old - new).items()})
    return out


def do(state: State, act: Act) -> State:
    """Apply what an element stands for."""
    match act:
        case ("go", page):
            return push(state, frame(page))
        case ("app", page):
            return push(state._replace(stack=(Frame("home"),)), frame(page))
        case ("row", page, row):
            return push(state, frame(page, row))
        case ("focus", index):
            return over(state, focus=index)
        case ("set", name, value):
            return state._replace(db=with_setting(state.db, name, value), dialog=None)
        case ("press", index):
            return _press(state, index)
        case ("submit",):
            return _submit(state)
        case ("delete",):
            table = book().pages[state.top.page].table
            assert state.top.row is not None
            db = replaced(state.db, table, state.top.row, None)
            return state._replace(db=db, stack=state.stack[:-1], dialog=None)
        case ("close",):
            return state._replace(dialog=None)
    raise ValueError(f"act {act!r}: unknown")


def _press(state: State, index: int) -> State:
    top = state.top
    page = book().pages[top.page]
    button = page.buttons[index]
    assert top.row is not None
    values = named(page.table, top.row)
    if button.delete:
        return state._replace(dialog=Dialog(f"Delete {top.row[0]}?", (("Cancel", ("close",)), ("Delete", ("delete",)))))
    if button.set is not None:
        new = merged(page.table, top.row, button.set)
        return over(state._replace(db=replaced(state.db, page.table, top.row, new)), row=new)
    if button.put is not None:
        table, template = button.put
        row = tuple(template[f].format_map(values) for f in book().tables[table])
        return state._replace(db=with_row(state.db, table, row))
    fill = {k: v.format_map(values) for k, v in (button.fill or {}).items()}
    return push(state, frame(button.go, None if button.fill else top.row, fill))


def _submit(state: State) -> State:
    """Apply a form; a form with an empty field says so and changes nothing."""
    top = state.top
    page = book().pages[top.page]
    given = dict(zip(page.fields, (v.strip() for v in top.form), strict=True))
    missing = [f for f, v in given.items() if not v]
    if missing:
        return state._replace(dialog=Dialog(f"Enter the {missing[0]}.", (("OK", ("close",)),)))
    below = state._replace(stack=state.stack[:-1])
    if page.insert is not None:
        values = given | dict(page.insert)
        row = tuple(values[f] for f in book().tables[page.table])
        return below._replace(db=with_row(state.db, page.table, row))
    assert top.row is not None
    new = merged(page.table, top.row, given)
    return over(below._replace(db=replaced(state.db, page.table, top.row, new)), row=new)
