"""MiniWoB++ in a real Chromium as a DeviceBackend: the package's own pages, from files, without a network."""

from __future__ import annotations

import base64
import importlib.util
import io
import json
import os
import time
from collections.abc import Mapping, Sequence
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import ids
from ..core import Privileged
from ..errors import WorldDied, unknown
from ..plain import plain
from .chromium import BrowserDied, Chromium, Refused
from .core import Element, Event, Screen, Verdict
from .experts import EXPERTS, Seen, solve

SIZE = (160, 210)
_SHOWN = 200
_LONGEST = 160
_LOADING_S = 120.0
_WAIT_S = 0.2
_ROW = 8
_READY = """window.agentgymPictures && document.readyState === "complete" && agentgymPictures.every((p) => p.complete)
  && typeof core !== "undefined" && core.cover_div !== null"""
_START = (
    "core.EPISODE_MAX_TIME = 2 ** 31 - 1; core.setDataMode({mode}); Math.seedrandom({seed}); core.startEpisodeReal(); 0"
)
_LEAVE = "window.agentgymPictures = null; 0"
_OPTION = """if (node instanceof HTMLOptionElement) {
  const list = node.parentElement.closest("select");
  node.selected = list.multiple ? !node.selected : true;
  for (const kind of ["input", "change"]) list.dispatchEvent(new Event(kind, { bubbles: true }));
  return [];
}"""
_TAP = f"""((node) => {{
  if (!node.isConnected) return null;
  {_OPTION}
  const range = document.createRange();
  range.selectNodeContents(node);
  const element = node instanceof Text ? node.parentElement : node;
  element.scrollIntoView({{ block: "nearest", inline: "nearest" }});
  const box = (node instanceof Text ? range : node).getClientRects()[0]; // a link over two lines has two
  if (!box) return null;
  const parts = [0.5, 0.25, 0.75, 0.1, 0.9, 0.02, 0.98]; // another element may lie over its middle
  const spots = parts.flatMap((h) => parts.map((w) => [box.left + w * box.width, box.top + h * box.height]));
  return spots.find(([x, y]) => element.contains(document.elementFromPoint(x, y))) || spots[0];
}})(agentgymNodes[%d])"""
_MIDDLE = """((node) => {
  if (!node.isConnected) return null;
  const box = (node instanceof Text ? node.parentElement : node).getBoundingClientRect();
  return [box.left + box.width / 2, box.top + box.height / 2];
})(agentgymNodes[%d])"""
_FOCUS = """((node, clear) => {
  if (!node || !node.isConnected || !(node.tagName === "TEXTAREA" || node.tagName === "INPUT" && node.select)) return false;
  if (node.disabled) return false;
  if (document.activeElement !== node) node.focus();
  if (clear) node.select();
  return true;
})(%s, %s)"""
_SCROLL = (
    "agentgymScrolls && agentgymScrolls.scrollBy({ %s: %g * agentgymScrolls.clientHeight, behavior: 'instant' }); 0"
)
_WAYS = {"down": ("top", 0.8), "up": ("top", -0.8), "right": ("left", 0.8), "left": ("left", -0.8)}
_held: dict[int, Chromium] = {}  # by process: a fork must not speak over its parent's pipe


def _browser() -> Chromium:
    """Return this process's browser, a new one where there is none or it has died: one serves all its worlds."""
    here = os.getpid()
    if here not in _held or not _held[here].alive:
        _held[here] = Chromium()
    return _held[here]


def folder() -> Path:
    """Return where the package `miniwob` keeps its pages; nothing of it is imported.

    Raises:
        ImportError: it is not installed.
    """
    found = importlib.util.find_spec("miniwob")
    if found is None or not found.submodule_search_locations:
        raise ImportError("MiniWoB++ needs the extra: pip install 'agentgym-lab[browser]'")
    return Path(found.submodule_search_locations[0]) / "html" / "miniwob"


def chosen(names: str, usual: Sequence[str]) -> tuple[str, ...]:
    """Return the pages of a setting: `usual`, or names with commas between.

    Raises:
        LookupError: the package has no page of that name.
    """
    if names == "usual":
        return tuple(usual)
    legal = {file.stem for file in folder().glob("*.html")}
    pages = tuple(names.replace(" ", "").split(","))
    for page in pages:
        if page not in legal:
            raise unknown("page", page, legal)
    return pages


@lru_cache(maxsize=2)
def _script(name: str) -> str:
    return resources.files(__package__).joinpath("data", name).read_text(encoding="utf-8")


class MiniWobBackend:
    """One page of a browser, with a MiniWoB++ task on it."""

    size = SIZE
    apps: tuple[str, ...] = ()

    def __init__(self, pages: Sequence[str], sizes: Mapping[str, int]) -> None:
        self.pages, self._sizes = tuple(pages), dict(sizes)
        self._folder = folder()
        self._page: tuple[Chromium, str, str] | None = None  # the browser, its page's target and session
        self._kind = ""
        self._raw: dict[str, Any] = {}
        self._screen = Screen("", ())

    def tasks(self, split: str) -> list[str]:
        """Return ids such as `test/00003-click-link`; the pages take turns."""
        return ids.listed(split, self._sizes, self.pages)

    def begin(self, task: str) -> str:
        """Load the task's page, fresh from its file, and start it; a browser that has died since is replaced."""
        split, index = ids.read(task, self.pages)
        kind, seed = self.pages[index % len(self.pages)], ids.seed_of(task, self.pages)
        try:
            self._load(split, kind, seed)
        except BrowserDied:
            self.close()
            self._load(split, kind, seed)
        return plain(str(self._raw["goal"]), 2000)

    def _load(self, split: str, kind: str, seed: int) -> None:
        if self._page is None:
            browser = _browser()
            self._page = (browser, *browser.open())
            self._ask("Page.addScriptToEvaluateOnNewDocument", source=_script("watch.js"))
        self._kind = kind
        self._said(_LEAVE)  # what is ready from now on is the new page
        self._ask("Page.navigate", url=(self._folder / f"{kind}.html").as_uri())
        deadline = time.monotonic() + _LOADING_S
        while not self._said(_READY):
            if time.monotonic() > deadline:
                raise BrowserDied(f"the page {kind} did not load within {_LOADING_S:g} s")
            time.sleep(0.005)
        mode = "test" if split == "test" else "train"
        try:
            self._evaluate(_START.format(mode=json.dumps(mode), seed=seed))
        except Refused as why:
            raise self._broken(why) from None
        self._look()

    def _ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        browser, _, session = self._there()
        return browser.ask(method, session, **parameters)

    def _there(self) -> tuple[Chromium, str, str]:
        if self._page is None:
            raise RuntimeError("no task is running: call reset() first")
        return self._page

    def _evaluate(self, script: str) -> Any:
        browser, _, session = self._there()
        return browser.evaluate(session, script)

    def _said(self, script: str) -> Any:
        """Return what a script says, None while a page is being exchanged for another."""
        try:
            return self._evaluate(script)
        except Refused:
            return None

    def _broken(self, why: Refused) -> WorldDied:
        return WorldDied(f"the page {self._kind} broke: {why}")

    def _look(self) -> None:
        try:
            self._raw = self._evaluate(_script("observe.js"))
        except Refused as why:
            raise self._broken(why) from None
        elements = tuple(
            Element(
                kind, plain(text, _LONGEST), plain(value, _LONGEST), (box[0], box[1], box[2], box[3]),
                ("tap",) if act else (), focused,
            )
            for kind, text, value, box, act, focused in self._raw["elements"][:_SHOWN]
        )  # fmt: skip
        self._screen = Screen(self._kind, elements, self._raw["above"], self._raw["below"])

    @property
    def bold(self) -> tuple[str, ...]:
        """What the goal prints bold."""
        return tuple(plain(text, _LONGEST) for text in self._raw["bold"])

    def screen(self) -> Screen:
        """Return what the page shows."""
        return self._screen

    def perform(self, event: Event) -> bool:
        """Do with the mouse and the keyboard what an event says; False for what a page does not have."""
        try:
            known = self._perform(event)
        except Refused as why:
            raise self._broken(why) from None
        if known:
            self._look()
        return known

    def _perform(self, event: Event) -> bool:
        if event.index >= len(self._screen.elements):
            return False
        match event.kind:
            case "tap" | "hover" if event.index >= 0:
                return self._point(event.index, press=event.kind == "tap")
            case "drag":
                return self._drag(event.index, event.onto)
            case "tap" if event.point is not None:
                return all(0 <= v < top for v, top in zip(event.point, SIZE, strict=True)) and self._press(event.point)
            case "type":
                return self._type(event)
            case "scroll":
                self._evaluate(_SCROLL % _WAYS[event.text])
                return True
            case "enter":
                self._keys("\n")
                return True
            case "wait":
                time.sleep(_WAIT_S)
                return True
        return False

    def _point(self, index: int, press: bool) -> bool:
        """Click an element, or only hover; False where it is not to be seen any more."""
        point = self._evaluate(_TAP % index)
        if not point:  # gone, or an option, which is chosen by now
            return point is not None and press
        return self._press(point) if press else self._mouse(("mouseMoved", point))

    def _press(self, point: Sequence[float]) -> bool:
        """Click a pixel."""
        return self._mouse(("mouseMoved", point), ("mousePressed", point), ("mouseReleased", point))

    def _drag(self, index: int, onto: int) -> bool:
        """Drag an element's middle to another's, and a little past it, as lists reorder only there."""
        elements = self._screen.elements
        if elements[index].kind != "drag" or onto == index or onto >= len(elements):
            return False
        self._evaluate(_TAP % index)  # brings it into sight
        ends = [self._evaluate(_MIDDLE % i) for i in (index, onto)]
        if not all(ends):
            return False
        (x, y), (to_x, to_y) = ends
        past = 1 if (to_y - y if abs(to_y - y) > _ROW else to_x - x) > 0 else -1  # later in reading order, or earlier
        path = [(x + past, y + past), *((to_x + n * past, to_y + n * past) for n in (3, 5))]
        self._mouse(("mouseMoved", (x, y)), ("mousePressed", (x, y)))
        for at in path:  # one by one, or the browser makes them one
            self._mouse(("mouseDragged", at))
        return self._mouse(("mouseReleased", path[-1]))

    def _mouse(self, *moves: tuple[str, Sequence[float]]) -> bool:
        held = {"button": "left", "buttons": 1}
        kinds: dict[str, dict[str, Any]] = {
            "mouseMoved": {"type": "mouseMoved"}, "mouseDragged": {"type": "mouseMoved", **held},
            "mousePressed": {"type": "mousePressed", "clickCount": 1, **held},
            "mouseReleased": {"type": "mouseReleased", "clickCount": 1, "button": "left"},
        }  # fmt: skip
        self._input("Input.dispatchMouseEvent", [kinds[kind] | {"x": x, "y": y} for kind, (x, y) in moves])
        return True

    def _type(self, event: Event) -> bool:
        if not all(c.isprintable() or c == "\n" for c in event.text):
            return False
        node = f"agentgymNodes[{event.index}]" if event.index >= 0 else "document.activeElement"
        if event.point is not None:
            self._press(event.point)
        if not self._evaluate(_FOCUS % (node, json.dumps(event.clear))):
            return False
        self._keys((event.text or "\x7f" * event.clear) + "\n" * event.enter)
        return True

    def _keys(self, text: str) -> None:
        rows: list[dict[str, Any]] = []
        for c in text:
            key = {"\n": "Enter", "\x7f": "Delete"}.get(c, c)
            code = {"Enter": 13, "Delete": 46}.get(key, ord(c.upper()) if c.isalnum() and c.isascii() else 0)
            row = {"key": key, "windowsVirtualKeyCode": code}
            said = {} if key == "Delete" else {"text": "\r" if c == "\n" else c}
            rows += [{"type": "keyDown", **row, **said}, {"type": "keyUp", **row}]
        self._input("Input.dispatchKeyEvent", rows)

    def _input(self, method: str, rows: Sequence[dict[str, Any]]) -> None:
        browser, _, session = self._there()
        for number in [browser.say(method, session, **row) for row in rows]:
            browser.hear(number, session)

    def verdict(self) -> Verdict:
        """Return what the page itself judged: won is a raw reward of 1, without MiniWoB++'s discount for time."""
        over, raw = bool(self._raw["over"]), float(self._raw["raw"])
        return Verdict(over and raw > 0.999, min(1.0, max(0.0, raw)) if over else 0.0, over=over)

    def clipboard(self) -> str:
        """Return nothing: nothing is copied by holding it."""
        return ""

    def pixels(self) -> NDArray[np.uint8]:
        """Return a screenshot of the task's part of the page."""
        from PIL import Image

        clip = {"x": 0, "y": 0, "width": SIZE[0], "height": SIZE[1], "scale": 1}
        shot = base64.b64decode(self._ask("Page.captureScreenshot", format="png", clip=clip)["data"])
        return np.asarray(Image.open(io.BytesIO(shot)).convert("RGB"))

    def privileged(self) -> Privileged:
        """Return what is hidden and by what it opens, and the expert's plan as far as this screen shows it.

        Raises:
            LookupError: the page has no expert.
        """
        if self._kind not in EXPERTS:
            raise LookupError(f"the page {self._kind} has no expert: choose among {', '.join(EXPERTS)}")
        hidden = tuple((plain(text, _LONGEST), at) for text, at in self._raw["hidden"])
        seen = Seen(str(self._raw["goal"]), self._screen, hidden)
        shown = self._screen.elements
        facts = tuple(f'"{text}" is behind [{at}] {shown[at].text}' for text, at in hidden if 0 <= at < len(shown))
        return Privileged(facts, () if self._raw["over"] else solve(seen))

    def save(self) -> object:
        """Raise: a page cannot be copied."""
        raise LookupError("a page in a browser cannot be forked: it has no snapshot")

    def load(self, saved: object) -> None:
        """Raise: a page cannot be copied."""
        self.save()

    def close(self) -> None:
        """Close the page, and the browser with its last one."""
        if self._page is not None:
            browser, target, _ = self._page
            self._page = None
            browser.shut(target)
