"""The oracle: from any state, the changes still wanted (and damage to be undone), each made as the guide would."""

from __future__ import annotations

from collections import Counter

from .apps import named
from .core import Event, Screen
from .guide import Fill, Intent, Press, Visit, advise, intent_of, record_of
from .state import Fact, State, difference
from .tasks import Change, Task


def pending(task: Task, state: State) -> list[Change]:
    """Return the changes that lead from the tables as they are to the wanted end, wanted ones first."""
    need: Counter[Fact] = difference(state.db, task.end)
    out = []
    for change in task.changes:
        facts = [(s, change.table, r) for s, r in (("-", change.old), ("+", change.new)) if r is not None]
        if all(need[f] for f in facts):
            out.append(change)
            need.subtract(facts)
    rest = list((+need).elements())
    gone = [(table, row) for sign, table, row in rest if sign == "-" and table != "settings"]
    for sign, table, row in rest:
        if sign == "+":
            near = [r for t, r in gone if t == table]
            old = max(near, key=lambda r: sum(a == b for a, b in zip(r, row, strict=True)), default=None)
            if old is not None and intent_of(Change(table, old, row), state.db) is not None:
                gone.remove((table, old))
                out.append(Change(table, old, row))
            else:
                out.append(Change(table, None, row))
    return out + [Change(table, row) for table, row in gone]


def advice(task: Task, state: State, screen: Screen) -> Event | None:
    """Return the oracle's next event, None where the task is lost."""
    changes = pending(task, state)
    for change in changes:
        intent = intent_of(change, state.db)
        if intent is None:
            return None
        reading = _still_to_read(task, state, intent)
        if reading is not None:
            on_it = state.dialog is None and not state.busy and state.top.row == (task.source or ("", None))[1]
            if on_it and state.top.page == reading.page:
                return Event("hold", _line(screen, task))
            return advise(screen, reading)
        return advise(screen, intent, _trusted(state, intent, change))
    if task.infeasible:
        return advise(screen, Visit(task.infeasible)) or _read_to_the_end(screen, task.goal)
    if task.answer and task.source is not None:
        intent = _reading(task)
        return advise(screen, intent) or Event("answer", text=task.answer)
    return advise(screen, Visit(task.at)) if task.at else None


def _read_to_the_end(screen: Screen, goal: str) -> Event:
    """Return how to see that a list lacks what a goal names, and the claim once that is seen."""
    field = next(((i, e) for i, e in enumerate(screen.elements) if e.kind == "edit"), None)
    if field is not None and (screen.below or field[1].value not in goal):
        return Event("type", field[0], text=goal.split('"')[1], clear=True)
    return Event("scroll", text="down") if screen.below else Event("infeasible")


def _reading(task: Task) -> Press:
    assert task.source is not None
    table, row = task.source
    return Press(record_of(table).id, named(table, row))


def _still_to_read(task: Task, state: State, intent: Intent) -> Press | None:
    """Return where to read what the form needs, None once it is copied or typed."""
    if not task.copy or not isinstance(intent, Fill):
        return None
    reading = _reading(task)
    value = reading.known[task.copy]
    if value not in intent.values.values() or state.clip == value or value in state.top.form:
        return None
    return reading


def _line(screen: Screen, task: Task) -> int:
    return next(i for i, e in enumerate(screen.elements) if e.kind == "line" and e.text == task.copy.capitalize())


def _trusted(state: State, intent: Intent, change: Change) -> bool:
    return not isinstance(intent, Fill | Press) or change.old is None or state.top.row == change.old
