"""MiniWoB++ as a TextEnv."""

from __future__ import annotations

from ..core import Info, Searcher
from . import browser
from .browser import MiniWobBackend
from .chromium import program
from .core import Screen
from .experts import EXPERTS, Seen, solve
from .grammar import parse
from .world import ScreenEnv, clicks, typing

_TYPABLE = 40


class MiniWobEnv(ScreenEnv):
    """Small tasks on web pages, in a real Chromium: buttons, links, forms, lists, menus, tables, a mailbox, dragging.

    Observation: the page as one line an element in reading order, `[3] edit username: bob`, where a star marks the focus;
    kinds are text, button, link, edit, checkbox, radio, option, tab, menu (what opens under the mouse), drag (what can be
    dragged) and box (an empty frame), these two with the pixel of their middle, or the element's own name (span, li);
    "more above", "more below" where something scrolls; after an action that names nothing, "Nothing happens." first.
    `pixels()` is the screenshot.
    Actions: `click 3`, `type 3 "words"` (replaces the field), `type "words"` (where the focus is), `enter`, `hover 3`,
    `drag 3 to 5`, `scroll down|up|left|right`, `wait`, and `tap X Y` in pixels; AndroidWorld's JSON and AitW's gestures
    mean the same, but for hovering and dragging.
    Mouse and keyboard are the browser's own; only an option of a list is chosen by script. Listed as admissible: what can
    be clicked, menus under the mouse, what can be dragged to another such or to a box, and typing into every field what
    the goal quotes or prints bold (in the case it asks for) or a short text that the page shows.
    Reward: 1 on the step that wins, else 0. Won: the page's own judgement is 1, undiscounted; score is the judgement, no
    less than 0. Terminates when the page says so, won or not; truncates after 20 steps.
    Tasks: a page and a seed, such as `test/00003-click-dialog-2`; kinds are the pages. The splits have seeds of their own;
    pages with words or orders set apart for testing (few) draw from them in `test`.
    Privileged: what is hidden and where it opens, and our expert's plan as far as the screen shows it. No snapshot.
    Source: MiniWoB++ (Liu et al., arXiv 1802.08802; package `miniwob`, whose pages run from files, without a network).
    Deviations: no time limit, which is 10 seconds in the original; animations and a menu's delay are off; a page is loaded anew for every
    episode, so that its seed alone decides. A page that draws by the clock (book-flight, terminal) may differ in a replay.

    >>> from .core import Screen
    >>> Screen.read('[0] edit username: \\n[1] button Login').elements[1].text
    'Login'

    pages: "usual", those with an expert, or names with commas between. train, valid, test: sizes of the splits.
    """

    summary = "MiniWoB++ in a real Chromium: small tasks on web pages, by clicking and typing; 20 steps"

    def __init__(
        self, *, pages: str = "usual", train: int = 3500, valid: int = 350, test: int = 350, max_steps: int = 20
    ) -> None:
        program()
        sizes = {"train": train, "valid": valid, "test": test}
        self._browser = MiniWobBackend(browser.chosen(pages, tuple(EXPERTS)), sizes)
        super().__init__(self._browser, max_steps=max_steps)

    def kind_of(self, task: str) -> str:
        """Return the page of a task."""
        return task.split("-", 1)[1]

    def _admissible(self, screen: Screen) -> tuple[str, ...]:
        edits = [i for i, e in enumerate(screen.elements) if e.kind == "edit"]
        out = [*clicks(screen), "wait", *mouse(screen)]
        texts = self._texts(screen) if edits else ()
        for i in edits:
            out.extend(typing(i, texts))
        if any(screen.elements[i].focused for i in edits):
            out.append("enter")
        out += ["scroll up"] * screen.above + ["scroll down"] * screen.below
        return tuple(sorted(out))

    def _texts(self, screen: Screen) -> tuple[str, ...]:
        said = (*self._quoted, *self._browser.bold)
        if "upper case" in self._goal or "lower case" in self._goal:
            said = tuple(t.upper() if "upper case" in self._goal else t.lower() for t in said)
        shown = (e.text for e in screen.elements if e.kind == "text" and 0 < len(e.text) <= _TYPABLE)
        return tuple(dict.fromkeys((*said, *shown)))

    def searcher(self) -> Searcher:
        """Return the expert with nothing but the goal and the screen, which opens one after another what may hide things."""
        if unread := sorted(set(self._browser.pages) - set(EXPERTS)):
            raise LookupError(f"pages={','.join(unread)} have no searching expert: use pages='usual'")
        return MiniWobSearcher()


def mouse(screen: Screen) -> list[str]:
    """Return the hovers and drags that do something on a screen."""
    elements = list(enumerate(screen.elements))
    drags = [i for i, e in elements if e.kind == "drag"]
    ends = [i for i, e in elements if e.kind in ("drag", "box")]
    return [f"hover {i}" for i, e in elements if e.kind == "menu"] + [
        f"drag {i} to {j}" for i in drags for j in ends if i != j
    ]


class MiniWobSearcher:
    """Our experts without privilege."""

    def begin(self, goal: str, observation: str, info: Info) -> None:
        """Start an episode."""
        self._goal = goal
        self._tried: set[tuple[str, str]] = set()
        self._read(observation, info)

    def observe(self, action: str, observation: str, info: Info) -> None:
        """Read what an action brought, and remember what it clicked on."""
        event = parse(action, browser.SIZE)
        if event is not None and event.kind == "tap" and 0 <= event.index < len(self._screen.elements):
            element = self._screen.elements[event.index]
            self._tried.add((element.kind, element.text))
        self._read(observation, info)

    def _read(self, observation: str, info: Info) -> None:
        screen, listed = Screen.read(observation), set(info["admissible"] or ())
        elements = (e._replace(act=("tap",) if f"click {i}" in listed else ()) for i, e in enumerate(screen.elements))
        self._screen = screen._replace(elements=tuple(elements))

    def act(self, hint: str | None = None) -> str:
        """Return the next action; `wait` where it knows none."""
        plan = solve(Seen(self._goal, self._screen, (), frozenset(self._tried)))
        return next(iter(plan), "wait")
