"""From state to screen: a pure function, one row of pixels after another."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from .apps import Page, book, wording
from .core import Element, Screen
from .state import ROWS_SHOWN, Dialog, State, listed

SIZE = (1080, 2400)
_TOP, _ROW, _GAP, _SIDE = 120, 140, 10, 40
_BOXES = tuple((_SIDE, _TOP + i * _ROW, SIZE[0] - _SIDE, _TOP + (i + 1) * _ROW - _GAP) for i in range(16))
_LAUNCHER = tuple(
    (_SIDE + i % 4 * 250, 300 + i // 4 * 260, _SIDE + i % 4 * 250 + 230, 300 + i // 4 * 260 + 230) for i in range(24)
)
LOADING = Screen("loading", (Element("title", "Loading"),))


@lru_cache(maxsize=4096)
def _element(kind: str, text: str, value: str, place: int, act: tuple[object, ...], focused: bool = False) -> Element:
    return Element(kind, text, value, _BOXES[place], act, focused)


def build(state: State, labels: Mapping[str, str]) -> Screen:
    """Return what the phone shows; `labels` renames links and buttons, as another version of an app would."""
    if state.busy:
        return LOADING
    if state.dialog is not None:
        return _dialog(state.dialog, labels)
    top = state.stack[-1]
    page = book().pages[top.page]
    if page.id == "home":
        return _home()
    out = [_element("title", page.title, "", 0, ())]
    add = out.append
    for label, target in page.links:
        add(_element("button", labels.get(label, label), "", len(out), ("go", target)))
    if page.search:
        add(_element("edit", "Search", top.form[0], len(out), ("focus", 0), top.focus == 0))
    elif page.fields:
        for i, field in enumerate(page.fields):
            add(_element("edit", field.capitalize(), top.form[i], len(out), ("focus", i), top.focus == i))
        add(_element("button", labels.get(page.submit, page.submit), "", len(out), ("submit",)))
    if page.lines:
        _record(state, page, labels, out)
    if page.settings:
        _settings(state, page, out)
    if not page.row:
        return Screen(page.id, tuple(out))
    rows = listed(state)
    shown = rows[top.scroll : top.scroll + ROWS_SHOWN]
    for row in shown:
        add(_element("item", wording(page.id, row), "", len(out), ("row", page.open, row)))
    return Screen(page.id, tuple(out), top.scroll > 0, top.scroll + ROWS_SHOWN < len(rows))


def _record(state: State, page: Page, labels: Mapping[str, str], out: list[Element]) -> None:
    row = state.stack[-1].row
    assert row is not None
    for field, value in zip(book().tables[page.table], row, strict=True):
        if field in page.lines:
            out.append(_element("line", field.capitalize(), value, len(out), ()))
    for i, button in enumerate(page.buttons):
        out.append(_element("button", labels.get(button.label, button.label), "", len(out), ("press", i)))


def _settings(state: State, page: Page, out: list[Element]) -> None:
    values = {key: value for key, value in state.db["settings"]}
    for name in page.settings:
        label, *options = book().settings[name]
        now = values[name]
        if options == ["off", "on"]:
            flipped = "off" if now == "on" else "on"
            out.append(_element("switch", label, now, len(out), ("set", name, flipped)))
        else:
            for option in options:
                chosen = "on" if option == now else "off"
                out.append(_element("radio", option, chosen, len(out), ("set", name, option)))


@lru_cache(maxsize=1)
def _home() -> Screen:
    icons = [
        Element("button", app, "", _LAUNCHER[i], ("app", page)) for i, (app, page) in enumerate(book().starts.items())
    ]
    return Screen("home", (_element("title", "Home", "", 0, ()), *icons))


def _dialog(dialog: Dialog, labels: Mapping[str, str]) -> Screen:
    out = [_element("title", dialog.text, "", 5, ())]
    for i, (label, act) in enumerate(dialog.buttons):
        out.append(_element("button", labels.get(label, label), "", 6 + i, act))
    return Screen("dialog", tuple(out))
