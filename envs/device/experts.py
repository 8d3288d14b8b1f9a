"""How each MiniWoB++ page is done: from its goal, whose wording says which page it is, and what it shows.

An expert returns the actions that are right now; only the first is sure, as a click may change the page. `hidden` is what
only a teacher is told: texts that the page does not show yet, each with the element that brings it out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import NamedTuple

from .core import Element, Event, Screen
from .grammar import short

Actions = tuple[str, ...]


class Seen(NamedTuple):
    """A goal, a screen, what is hidden behind which element, and what was clicked on before (kind and text)."""

    goal: str
    screen: Screen
    hidden: tuple[tuple[str, int], ...] = ()
    tried: frozenset[tuple[str, str]] = frozenset()

    def find(self, text: str, kind: str = "", after: int = -1) -> int:
        """Return the index of the first element that says a text and can be clicked, -1 where there is none."""
        for i, e in enumerate(self.screen.elements):
            if i > after and e.text == text and e.act and (not kind or e.kind == kind):
                return i
        return -1

    def says(self, text: str) -> int:
        """Return the index of the first element that says a text, -1 where there is none."""
        return next((i for i, e in enumerate(self.screen.elements) if e.text == text), -1)

    def all(self, kind: str) -> list[tuple[int, Element]]:
        """Return the elements of a kind with their indices."""
        return [(i, e) for i, e in enumerate(self.screen.elements) if e.kind == kind]


def _click(index: int) -> Actions:
    return (short(Event("tap", index)),) if index >= 0 else ()


def _write(index: int, text: str) -> Actions:
    return (short(Event("type", index, text=text)),)


def _quoted(goal: str) -> list[str]:
    return re.findall(r'"(.+?)"', goal)


def _part(pattern: str, goal: str) -> str:
    found = re.search(pattern, goal)
    return found[1] if found else ""


def _filled(seen: Seen, texts: Mapping[int, str], button: str) -> Actions:
    """Return what is still to be typed, and the click on the button that hands it in."""
    elements = seen.screen.elements
    missing = (_write(i, text)[0] for i, text in texts.items() if elements[i].value != text)
    return (*missing, *_click(seen.find(button)))


def _ticked(seen: Seen, wanted: set[str], kind: str) -> Actions:
    """Return the clicks that leave exactly the wanted ones on, and Submit."""
    wrong = [
        i
        for i, e in seen.all(kind)
        if (e.text in wanted) != (e.value == "on") and (kind == "checkbox" or e.text in wanted)
    ]
    return (*(_click(i)[0] for i in wrong), *_click(seen.find("Submit")))


def _behind(seen: Seen, text: str, kind: str, opener: str) -> Actions:
    """Return the click on a text, or on what it is behind: what is known to be, else the next one not yet tried."""
    if (at := seen.find(text, kind)) >= 0:
        return _click(at)
    known = next((at for said, at in seen.hidden if said == text), -1)
    untried = (i for i, e in seen.all(opener) if e.act and (e.kind, e.text) not in seen.tried)
    return _click(known if known >= 0 else next(untried, -1))


def _button(seen: Seen) -> Actions:
    text = _quoted(seen.goal)[0]
    return _click(seen.find({"x": "Close"}.get(text, text), "button"))


def _sequence(seen: Seen) -> Actions:
    one, two = seen.find("ONE"), seen.find("TWO")
    clicked = seen.screen.elements[one].focused or ("button", "ONE") in seen.tried  # the lines do not tell of focus
    return _click(two) if clicked else _click(one) + _click(two)


def _widget(seen: Seen) -> Actions:
    name = _quoted(seen.goal)[0]
    edit = name in ("text", "textarea")
    rows = seen.all("edit" if edit else name)
    return _click(next(i for i, e in rows if not edit or e.text == name))


def _texts(seen: Seen) -> Actions:
    """Type what the goal quotes into the fields in their order, a single text into all, in the case it asks for."""
    said = _quoted(seen.goal)
    if "upper case" in seen.goal or "lower case" in seen.goal:
        said = [t.upper() if "upper case" in seen.goal else t.lower() for t in said]
    edits = [i for i, _ in seen.all("edit")]
    said = said * len(edits) if len(said) == 1 else said
    button = next(e.text for _, e in seen.all("button"))
    return _filled(seen, dict(zip(edits, said, strict=False)), button)


def _focus(seen: Seen) -> Actions:
    return _click(seen.all("edit")[int(_part(r"the (\d)", seen.goal) or "1") - 1][0])


def _table(seen: Seen) -> Actions:
    """Copy cells of a table, each into the field whose label, or the goal, names the cell before it."""
    elements = seen.screen.elements
    cells = {e.text: elements[i + 1].text for i, e in reversed(seen.all("text")) if i + 1 < len(elements)}
    asked = _part(r"the value of (.+) into the text", seen.goal)
    texts = {i: cells[asked or elements[i - 1].text.removesuffix(":")] for i, _ in seen.all("edit")}
    return _filled(seen, texts, "Submit")


def _search(seen: Seen) -> Actions:
    text, rank = _quoted(seen.goal)[0], int(_part(r"the (\d+)\w\w search result", seen.goal)) - 1
    results = seen.all("link")
    if not results:
        return _filled(seen, {seen.all("edit")[0][0]: text}, "Search")
    page = seen.find(str(rank // 3 + 1), "tab")
    return _click(results[rank % 3][0] if seen.screen.elements[page].value == "on" else page)


def _contact(seen: Seen) -> Actions:
    name, what = _part(r"Find (.+) in the contact book", seen.goal), _part(r"click on their (\w+)", seen.goal)
    if seen.says(name) < 0:
        return _click(seen.find(">", "tab"))
    return _click(seen.says(f"{what.capitalize()}:") + 1)


def _spinner(seen: Seen) -> Actions:
    left = int(_part(r"Select (-?\d+)", seen.goal)) - int(seen.all("edit")[0][1].value or 0)
    arrow = next(i for i, e in seen.all("link") if e.text.endswith("up" if left > 0 else "down"))
    return _click(arrow) * abs(left) + _click(seen.find("Submit"))


def _mail(seen: Seen) -> Actions:
    name, elements = _part(r"the email by (\S+) and", seen.goal), seen.screen.elements
    for field, said in (("reply-text", _quoted(seen.goal)), ("forward-sender", [_part(r" to (\S+)\.$", seen.goal)])):
        if (at := seen.says(field)) >= 0:
            typed = () if elements[at].value == said[0] else _write(at, said[0])
            return typed + _click(seen.find("send-" + field.partition("-")[0]))
    for word, icon in (("delete it", "trash"), ("as important", "star")):
        if word in seen.goal:
            return _click(seen.find(icon, after=seen.says(name)))
    opened = seen.find("Reply" if "reply" in seen.goal else "Forward")
    return _click(opened if opened >= 0 else seen.says(name))


def _movie(seen: Seen) -> Actions:
    elements = seen.screen.elements
    before = elements[0].kind != "edit"
    wanted = {
        "Genre": _part(r"for (.+) movies", seen.goal), "Director": _part(r"directed by (.+) from", seen.goal),
        "Year": _part(r"year (\d+)", seen.goal), "Date": _part(r"year (\d+)", seen.goal),
    }  # fmt: skip
    texts = {}
    for i, _ in seen.all("edit"):
        label = elements[i - 1 if before else i + 1].text
        texts[i] = next(said for word, said in wanted.items() if word in label)
    return _filled(seen, texts, elements[-1].text)


def _number(seen: Seen) -> Actions:
    shown = next(e.text for _, e in seen.all("text"))
    bound = int(_part(r"than (\d+)", seen.goal) or 0)
    fits: dict[str, Callable[[int], bool]] = {
        "less": lambda n: n < bound, "greater": lambda n: n > bound, "odd": lambda n: n % 2 == 1,
        "even": lambda n: n % 2 == 0,
    }  # fmt: skip
    right = fits[_part(r"(less|greater|odd|even)", seen.goal)]
    return _click(seen.find("Submit" if shown.isdigit() and right(int(shown)) else "Generate"))


def _tweet(seen: Seen) -> Actions:
    """Click a user's button, or what the menu behind "more" says, some of it with the user's name."""
    user, what = _part(r"the user (\S+),", seen.goal), _quoted(seen.goal)[0]
    at = seen.says(user)
    for text in (what, what.lower(), f"{what} {user}"):
        if (found := seen.find(text, after=at)) >= 0:
            return _click(found)
    return _click(seen.find("more", after=at))


def _picked(seen: Seen) -> Actions:
    return _ticked(
        seen, set(_part(r"Select (.+) and", seen.goal).split(", ")), "radio" if seen.all("radio") else "checkbox"
    )


def _menu(seen: Seen) -> Actions:
    """Follow a path: hover what is open so far, click its end."""
    *path, end = _part(r"Select (.+)", seen.goal).split(">")
    if (at := seen.find(end)) >= 0:
        return _click(at)
    shown = [at for name in path if (at := seen.find(name, "menu")) >= 0]
    return (short(Event("hover", shown[-1])),)


def _drag(index: int, onto: int) -> Actions:
    return (short(Event("drag", index, onto=onto)),)


def _lies(one: Element, other: Element) -> bool:
    """Return whether the middles of two things that can be dragged are within 10 pixels of each other, both ways."""
    return all(abs(int(a) - int(b)) <= 10 for a, b in zip(one.value.split(), other.value.split(), strict=True))


def _inside(seen: Seen) -> Actions:
    (small, one), (large, other) = sorted(seen.all("drag"), key=lambda row: row[1].text == "L")
    return (() if _lies(one, other) else _drag(small, large)) + _click(seen.find("Submit"))


def _sorted(seen: Seen) -> Actions:
    """Drag the least number that stands too low to its place."""
    rows = seen.all("drag")
    numbers = [int(e.text) for _, e in rows]
    for place, (now, right) in enumerate(zip(numbers, sorted(numbers), strict=True)):
        if now != right:
            return _drag(rows[numbers.index(right, place)][0], rows[place][0])
    return _click(seen.find("Submit"))


_PLACE = r"Drag (.+) ((?:to the|up by|down by|left by|right by) [^.]+)\.$"
_CELLS = [
    *("top left", "top center", "top right"), *("center left", "center", "center right"),
    *("bottom left", "bottom center", "bottom right"),
]  # fmt: skip
_STEPS = {"up by one position": -1, "down by one position": 1, "up": -3, "down": 3, "left": -1, "right": 1}


def _moved(seen: Seen) -> Actions:
    """Drag a name to a place of a list, or of a grid of three by three, that the goal gives by itself or from there."""
    found = re.match(_PLACE, seen.goal)
    name, where = found.groups() if found else ("", "")
    rows = seen.all("drag")
    at, cell = next(n for n, (_, e) in enumerate(rows) if e.text == name), where.removeprefix("to the ")
    places = {c: n for n, c in enumerate(_CELLS)} if len(rows) == 9 else {"top": 0, "bottom": len(rows) - 1}
    step = _STEPS.get(where, _STEPS.get(where.removesuffix(" by one")))
    to = at + step if step is not None else places[cell] if cell in places else int(cell[0]) - 1
    return _drag(rows[at][0], rows[to][0])


def _shapes(seen: Seen) -> Actions:
    """Drag the shapes of a kind or colour into the left box, or the only one, and the rest into the right one."""
    wanted = _part(r"Drag all (\S+?)s? ", seen.goal)
    boxes = seen.all("box")
    todo: Actions = ()
    for i, shape in seen.all("drag"):
        fits = wanted in shape.text.split()
        box, frame = boxes[0] if fits else boxes[-1]
        if (fits or len(boxes) > 1) and not _lies(shape, frame):
            todo += _drag(i, box)
    return todo + _click(seen.find("Submit"))


EXPERTS: dict[str, tuple[str, Callable[[Seen], Actions]]] = {
    "click-button": (r'Click on the ".+" button', _button),
    "click-link": ("Click on the link", lambda s: _click(s.find(_quoted(s.goal)[0], "span"))),
    "click-dialog": ("Close the dialog box", lambda s: _click(s.find("Close", "button"))),
    "click-dialog-2": ("Click the button in the dialog box", _button),
    "click-tab": ("Click on Tab", lambda s: _click(s.find(_part(r"(Tab #\d)", s.goal), "tab"))),
    "click-tab-2": ("Switch between the tabs", lambda s: _behind(s, _quoted(s.goal)[0], "span", "tab")),
    "click-collapsible-2-nodelay": ("Expand the sections", lambda s: _behind(s, _quoted(s.goal)[0], "span", "tab")),
    "navigate-tree": ("Navigate through the file tree", lambda s: _behind(s, _quoted(s.goal)[0], "", "span")),
    "click-checkboxes": (r"Select (?!.* from ).+ and click Submit", _picked),
    "click-checkboxes-large": (r"Select (?!.* from ).+ and click Submit", _picked),
    "click-option": (r"Select (?!.* from ).+ and click Submit", _picked),
    "choose-list": (r"Select .+ from the list", lambda s: _ticked(s, {_part(r"Select (.+) from", s.goal)}, "option")),
    "click-button-sequence": ("Click button ONE", _sequence),
    "click-widget": ("Click on a ", _widget),
    "enter-text": ('Enter "', _texts),
    "enter-text-2": ('Type "', _texts),
    "enter-password": ("Enter the password", _texts),
    "login-user": ("Enter the username", _texts),
    "focus-text-2": ("Focus into the", _focus),
    "read-table": ("Enter the value of", _table),
    "read-table-2": ("Enter the value that", _table),
    "search-engine": ("Use the textbox", _search),
    "phone-book": (r"Find .+ in the contact book", _contact),
    "use-spinner": (r"Select -?\d+ with the spinner", _spinner),
    "email-inbox": ("Find the email", _mail),
    "multi-layouts": (r"Search for .+ movies", _movie),
    "generate-number": (r"Generate an? ", _number),
    "social-media": ("For the user", _tweet),
    "click-menu": (r"Select [^.]+$", _menu),
    "drag-box": ("Drag the smaller box", _inside),
    "drag-items": (_PLACE, _moved),
    "drag-items-grid": (_PLACE, _moved),
    "drag-sort-numbers": ("Sort the numbers", _sorted),
    "drag-shapes": (r"Drag all \S+ into the black box", _shapes),
    "drag-shapes-2": ("Drag all .+ into the left box", _shapes),
}


def solve(seen: Seen) -> Actions:
    """Return the right actions as far as the screen shows them, by the expert for goals of that wording; else none."""
    expert = next((act for wording, act in EXPERTS.values() if re.match(wording, seen.goal)), None)
    if expert is None:
        return ()
    try:
        return expert(seen)
    except (IndexError, KeyError, StopIteration, ValueError):  # what is looked for is not there any more
        return ()
