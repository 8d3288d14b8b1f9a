"""Verdicts: what was wanted and was made, and what was changed although nobody asked."""

from __future__ import annotations

from .apps import book
from .core import Verdict
from .state import ROWS_SHOWN, State, difference, listed
from .tasks import Task


def same(a: str, b: str) -> bool:
    """Whether two answers are the same but for case, spaces and a final full stop."""
    return " ".join(a.lower().split()).rstrip(".") == " ".join(b.lower().split()).rstrip(".")


def judge(task: Task, state: State) -> Verdict:
    """Return how a task stands: won when exactly the wanted changes are made, and what else it asks for is there.

    The score is the share of wanted changes made, halved where there is damage; 1 only when won.
    """
    wanted, made = task.wanted, difference(task.start.db, state.db)
    damage = tuple(f"{sign}{table} {', '.join(row)}" for sign, table, row in (made - wanted).elements())
    parts = [(wanted & made).total() / wanted.total()] if wanted else []
    if task.at:
        parts.append(float(state.top.page == task.at and state.dialog is None))
    if task.answer:
        parts.append(float(state.claim == "answer" and same(state.answer, task.answer)))
    if task.infeasible:
        parts.append(float(state.claim == "infeasible" and _looked(task, state)))
    won = not damage and all(p == 1 for p in parts) and (state.claim != "infeasible" or bool(task.infeasible))
    share = sum(parts) / len(parts)
    return Verdict(won, 1.0 if won else min(share, 0.99) * (0.5 if damage else 1.0), damage)


def _looked(task: Task, state: State) -> bool:
    """Whether the phone shows that it cannot be done: the page, read to its end or searched for what the goal names."""
    top = state.top
    if top.page != task.infeasible or state.dialog is not None or state.busy:
        return False
    searched = top.form[0] if book().pages[top.page].search else ""
    return searched in task.goal and top.scroll + ROWS_SHOWN >= len(listed(state))
