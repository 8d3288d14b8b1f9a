"""What every device shares: what is on its screen, what can be done to it, and what a task's verdict is."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from ..core import Privileged

Kind = Literal[
    "tap", "hold", "type", "scroll", "back", "home", "enter", "open", "wait", "done", "infeasible", "answer", "hover",
    "drag",
]  # fmt: skip
DIRECTIONS = ("up", "down", "left", "right")
VALUED = ("edit", "line", "switch", "radio", "checkbox", "option", "tab", "drag", "box")
_LINE = re.compile(r"\[(\d+)\] (\w+)(\*?) (.*)")
CLAIMS = ("done", "infeasible", "answer")
MOUSE = ("hover", "drag")


class Element(NamedTuple):
    """A thing on the screen: its kind ("button", "edit", "switch", "radio", "item", "line", "title"; a browser's also
    "checkbox", "option", "tab", "text", "menu", "drag", "box", or the name of what it is in HTML), what it says, its box
    in pixels (left, top, right, bottom), and what the device does when it is tapped (empty: nothing)."""

    kind: str
    text: str
    value: str = ""
    box: tuple[int, int, int, int] = (0, 0, 0, 0)
    act: tuple[Any, ...] = ()
    focused: bool = False

    @property
    def centre(self) -> tuple[int, int]:
        """The pixel (x, y) in the middle of the box."""
        left, top, right, bottom = self.box
        return (left + right) // 2, (top + bottom) // 2


class Screen(NamedTuple):
    """What the device shows: the page's name, its elements from top to bottom, and whether it scrolls up or down."""

    page: str
    elements: tuple[Element, ...]
    above: bool = False
    below: bool = False

    def text(self) -> str:
        """Return the screen as one line an element.

        >>> print(Screen("network", (Element("title", "Network"), Element("switch", "Wi-Fi", "on")), below=True).text())
        [0] title Network
        [1] switch Wi-Fi: on
        more below
        """
        lines = [
            f"[{i}] {kind}{'*' if focused else ''} {text}: {value}" if kind in VALUED else f"[{i}] {kind} {text}"
            for i, (kind, text, value, _, _, focused) in enumerate(self.elements)
        ]
        if self.above:
            lines.append("more above")
        if self.below:
            lines.append("more below")
        return "\n".join(lines)

    @classmethod
    def read(cls, text: str, page: str = "") -> Screen:
        """Return the screen that lines show: inverse of `text`, but for boxes and acts.

        >>> Screen.read("[0] title Network\\n[1] switch Wi-Fi: on").elements[1].value
        'on'
        """
        elements = []
        for line in text.split("\n"):
            if m := _LINE.fullmatch(line):
                words, value = m[4], ""
                if m[2] in VALUED:
                    words, _, value = words.partition(": ")
                elements.append(Element(m[2], words, value, focused=bool(m[3])))
        return cls(page, tuple(elements), "more above" in text.split("\n"), "more below" in text.split("\n"))

    def at(self, x: int, y: int) -> int:
        """Return the index of the topmost element around a pixel, -1 where there is none."""
        for i in range(len(self.elements) - 1, -1, -1):
            left, top, right, bottom = self.elements[i].box
            if left <= x < right and top <= y < bottom:
                return i
        return -1


@dataclass(frozen=True, slots=True)
class Event:
    """One action on a device, whatever grammar it was written in.

    index: the element, -1 for none. point: a pixel (x, y) instead of an index. text: what is typed or answered, the
    app to open, or the direction of a scroll ("down" shows what lies further down). clear: typing replaces what the
    field held. enter: typing ends with the Enter key. onto: the element on which a drag ends. Hovering and dragging are
    the mouse's alone: a phone has neither.
    """

    kind: Kind
    index: int = -1
    point: tuple[int, int] | None = None
    text: str = ""
    clear: bool = False
    enter: bool = False
    onto: int = -1


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a task stands: won or not, the share of the wanted changes that are made, what was changed unasked, and
    whether the device itself ended the episode."""

    success: bool
    score: float
    damage: tuple[str, ...] = ()
    over: bool = False


class DeviceBackend(Protocol):
    """A device that can be put to the start of a task. `privileged`, `save` and `load` raise LookupError if it cannot."""

    size: tuple[int, int]
    """Width and height in pixels."""
    apps: tuple[str, ...]
    """What `open` can open."""

    def tasks(self, split: str) -> Sequence[str]:
        """Return the ids of a split's tasks."""

    def begin(self, task: str) -> str:
        """Set the device to the start of a task and return the goal in words."""

    def screen(self) -> Screen:
        """Return what the device shows now."""

    def perform(self, event: Event) -> bool:
        """Apply an event; False where it names nothing that exists. A claim (CLAIMS) is only noted."""

    def verdict(self) -> Verdict:
        """Judge the device's state, and the agent's claim if it made one."""

    def clipboard(self) -> str:
        """Return what was last copied by holding a line, "" where that is unknown."""

    def pixels(self) -> NDArray[np.uint8]:
        """Return a screenshot, shape (height, width, 3)."""

    def privileged(self) -> Privileged:
        """Return what only a teacher may know."""

    def save(self) -> object:
        """Return an exact copy of the state."""

    def load(self, saved: object) -> None:
        """Return to a saved state."""

    def close(self) -> None:
        """Free what the device holds."""
