"""A real Android over adb's own server, by its smart-socket protocol: no adb library, and no adb program but the server.

Protocol: a request is four hexadecimal digits of length and the text; the answer begins with OKAY, or with FAIL, a length
and a reason. `host:transport:SERIAL` and then `exec:COMMAND` gives the command's raw output until the socket closes.
Source: SERVICES.TXT and OVERVIEW.TXT of Android's platform/packages/modules/adb.
"""

from __future__ import annotations

import re
import shlex
import socket
import time
import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .. import ids
from ..core import SPLITS, Privileged
from ..errors import WorldDied
from .core import CLAIMS, Element, Event, Screen, Verdict
from .judge import same

_BOUNDS = re.compile(r"\[(-?\d+),(-?\d+)\]\[(-?\d+),(-?\d+)\]")
_KEYS = {"back": 4, "home": 3, "enter": 66}
_SELECT_ALL_AND_DELETE = ("input keycombination 113 29", "input keyevent 67")


class AdbError(WorldDied):
    """The adb server or its device refused, fell silent, or is not there."""


@dataclass(frozen=True, slots=True)
class AdbTask:
    """A task on a real device: shell commands that prepare it, and one whose output, stripped, tells that it is won.

    expect: a regular expression for the whole output of `check`. answer: what to answer, where it is a question.
    """

    goal: str
    setup: tuple[str, ...] = ()
    check: str = ""
    expect: str = ""
    answer: str = ""


class AdbConnection:
    """One device behind an adb server."""

    def __init__(self, serial: str = "", host: str = "127.0.0.1", port: int = 5037, timeout_s: float = 30.0) -> None:
        self.serial, self.address, self.timeout_s = serial, (host, port), timeout_s

    def run(self, command: str) -> bytes:
        """Return what a shell command prints on the device, byte for byte."""
        try:
            with socket.create_connection(self.address, self.timeout_s) as s:
                _ask(s, f"host:transport:{self.serial}" if self.serial else "host:transport-any")
                _ask(s, f"exec:{command}")
                parts = []
                while part := s.recv(65536):
                    parts.append(part)
                return b"".join(parts)
        except ConnectionRefusedError:
            raise AdbError(f"no adb server at {self.address[0]}:{self.address[1]}: run `adb start-server`") from None
        except OSError as error:
            raise AdbError(
                f"the adb server fell silent during {command!r} ({error}); `adb devices` lists what is there"
            ) from None

    def text(self, command: str) -> str:
        """Return what a shell command prints, stripped."""
        return self.run(command).decode(errors="replace").strip()


def _ask(s: socket.socket, request: str) -> None:
    body = request.encode()
    s.sendall(f"{len(body):04x}".encode() + body)
    status = _exactly(s, 4)
    if status != b"OKAY":
        reason = _exactly(s, int(_exactly(s, 4), 16)).decode(errors="replace") if status == b"FAIL" else repr(status)
        raise AdbError(f"adb refused {request!r}: {reason}; `adb devices` lists what is there")


def _exactly(s: socket.socket, n: int) -> bytes:
    out = b""
    while len(out) < n:
        part = s.recv(n - len(out))
        if not part:
            raise AdbError("the adb server closed the connection")
        out += part
    return out


def read_dump(xml: str) -> Screen:
    """Return the screen of a uiautomator dump.

    A node is shown if it is a leaf, or has a description, and says something or can be acted on (AndroidWorld's rule,
    without the scrolling containers); what lies in something clickable can be tapped.
    """
    found = re.search(r"<hierarchy.*</hierarchy>|<hierarchy[^>]*/>", xml, re.DOTALL)
    if found is None:
        raise AdbError(f"uiautomator gave no hierarchy but {xml.strip()[:80]!r}: is the screen on and still?")
    try:
        root = ET.fromstring(found[0])
    except ET.ParseError as error:
        raise AdbError(f"uiautomator gave a broken hierarchy ({error}): is the screen on and still?") from None
    out: list[Element] = []
    scrolls = False

    def walk(node: ET.Element, tappable: bool) -> None:
        nonlocal scrolls
        a = node.attrib
        tappable = tappable or a.get("clickable") == "true"
        scrolls = scrolls or a.get("scrollable") == "true"
        if node.tag == "node" and (len(node) == 0 or a.get("content-desc")):
            element = _element(a, tappable)
            if element is not None:
                out.append(element)
        for child in node:
            walk(child, tappable)

    walk(root, False)
    package = next((n.attrib.get("package", "") for n in root.iter("node")), "")
    return Screen(package, tuple(out), scrolls, scrolls)


def _element(a: Mapping[str, str], tappable: bool) -> Element | None:
    bounds = _BOUNDS.fullmatch(a.get("bounds", ""))
    if bounds is None:
        return None
    left, top, right, bottom = (int(v) for v in bounds.groups())
    name, text, said = a.get("class", "").rsplit(".", 1)[-1], a.get("text", ""), a.get("content-desc", "")
    value = ""
    if "EditText" in name:
        kind, text, value = "edit", said or a.get("hint", "") or a.get("resource-id", "").rsplit("/", 1)[-1], text
    elif a.get("checkable") == "true":
        kind = "radio" if "Radio" in name else "switch"
        text, value = text or said, "on" if a.get("checked") == "true" else "off"
    else:
        kind, text = "button" if tappable else "text", text or said
    if not text and kind == "text":
        return None
    acts = tappable and a.get("enabled", "true") == "true"
    text, value = " ".join(text.split()), " ".join(value.split())
    focused = a.get("focused") == "true"
    return Element(kind, text, value, (left, top, right, bottom), ("tap",) if acts else (), focused)


class AdbBackend:
    """An Android device or emulator as a DeviceBackend.

    tasks: by split, what is to be done; ids are `test/00000`. apps: name to package, for `open`. settle_s: how long to wait
    after an action until the screen is read.
    """

    def __init__(
        self,
        tasks: Mapping[str, Sequence[AdbTask]],
        apps: Mapping[str, str] | None = None,
        *,
        serial: str = "",
        host: str = "127.0.0.1",
        port: int = 5037,
        settle_s: float = 1.0,
    ) -> None:
        self.adb = AdbConnection(serial, host, port)
        self._tasks, self._packages, self.settle_s = tasks, dict(apps or {}), settle_s
        self.apps = tuple(self._packages)
        sizes = re.findall(r"(\d+)x(\d+)", self.adb.text("wm size"))
        if not sizes:
            raise AdbError("`wm size` gave no size: is this an Android device?")
        self.size = (int(sizes[-1][0]), int(sizes[-1][1]))  # an override comes after the physical size
        self._task: AdbTask | None = None
        self._claim = ("", "")
        self._screen: Screen | None = None

    def tasks(self, split: str) -> list[str]:
        """Return a split's ids."""
        return ids.listed(split, {s: len(self._tasks.get(s, ())) for s in SPLITS})

    def begin(self, task: str) -> str:
        """Run the task's commands and go home."""
        split, index = ids.read(task)
        if index >= len(self._tasks.get(split, ())):
            raise ValueError(f"task {task!r}: {split} has {len(self._tasks.get(split, ()))} tasks")
        self._task = self._tasks[split][index]
        self._claim = ("", "")
        for command in ("input keyevent 3", *self._task.setup):
            self.adb.run(command)
        self._settle()
        return self._task.goal

    def _settle(self) -> None:
        self._screen = None
        time.sleep(self.settle_s)

    def screen(self) -> Screen:
        """Return what uiautomator sees."""
        if self._screen is None:
            self._screen = read_dump(self.adb.run("uiautomator dump /dev/tty").decode(errors="replace"))
        return self._screen

    def perform(self, event: Event) -> bool:
        """Send an event by `input`; False for an element, app or letter that the device does not have."""
        if event.kind in CLAIMS:
            self._claim = (event.kind, event.text)
            return True
        commands = self._commands(event)
        for command in commands or ():
            self.adb.run(command)
        if commands is not None:
            self._settle()
        return commands is not None

    def _commands(self, event: Event) -> tuple[str, ...] | None:
        point = event.point
        if event.index >= 0:
            elements = self.screen().elements
            if event.index >= len(elements):
                return None
            point = elements[event.index].centre
        if event.kind in _KEYS:
            return (f"input keyevent {_KEYS[event.kind]}",)
        if event.kind == "tap" and point is not None:
            return (f"input tap {point[0]} {point[1]}",)
        if event.kind == "hold" and point is not None:
            return (f"input swipe {point[0]} {point[1]} {point[0]} {point[1]} 1000",)
        if event.kind == "type":
            return self._typing(event, point)
        if event.kind == "scroll":
            return (self._swipe(event.text),)
        if event.kind == "open":
            package = next((p for n, p in self._packages.items() if n.lower() == event.text.strip().lower()), None)
            return (
                None
                if package is None
                else (f"monkey -p {shlex.quote(package)} -c android.intent.category.LAUNCHER 1",)
            )
        return () if event.kind == "wait" else None

    def _typing(self, event: Event, point: tuple[int, int] | None) -> tuple[str, ...] | None:
        if not event.text.isascii() or not event.text.isprintable():
            return None  # `input text` knows ASCII only
        tap = () if point is None else (f"input tap {point[0]} {point[1]}",)
        clear = _SELECT_ALL_AND_DELETE if event.clear else ()
        text = (f"input text {shlex.quote(event.text.replace(' ', '%s'))}",) if event.text else ()
        return (*tap, *clear, *text, *(("input keyevent 66",) if event.enter else ()))

    def _swipe(self, direction: str) -> str:
        x, y = self.size[0] // 2, self.size[1] // 2
        dx, dy = {"down": (0, 1), "up": (0, -1), "right": (1, 0), "left": (-1, 0)}[direction]
        dx, dy = dx * self.size[0] // 4, dy * self.size[1] // 4
        return f"input swipe {x + dx} {y + dy} {x - dx} {y - dy} 500"

    def verdict(self) -> Verdict:
        """Run the task's check; what else changed on a real device is not known."""
        if self._task is None:
            raise RuntimeError("no task is running: call reset() first")
        parts = []
        if self._task.check:
            parts.append(re.fullmatch(self._task.expect, self.adb.text(self._task.check)) is not None)
        if self._task.answer:
            parts.append(self._claim[0] == "answer" and same(self._claim[1], self._task.answer))
        won = bool(parts) and all(parts)
        return Verdict(won, sum(parts) / len(parts) if parts else 0.0)

    def clipboard(self) -> str:
        """Return nothing: a shell may not read Android's clipboard."""
        return ""

    def pixels(self) -> NDArray[np.uint8]:
        """Return a screenshot in full resolution, from screencap's raw format: width, height, format, then RGBA."""
        raw = self.adb.run("screencap")
        width, height = (int(v) for v in np.frombuffer(raw[:8], dtype="<u4"))
        body = raw[len(raw) - width * height * 4 :]
        return np.frombuffer(body, dtype=np.uint8).reshape(height, width, 4)[:, :, :3].copy()

    def privileged(self) -> Privileged:
        """Raise: nobody knows a plan for a real device."""
        raise LookupError("a real device has no privileged state: choose a method that needs none")

    def save(self) -> object:
        """Raise: a real device cannot be copied."""
        raise LookupError("a real device cannot be forked: it has no snapshot")

    def load(self, saved: object) -> None:
        """Raise: a real device cannot be copied."""
        raise LookupError("a real device cannot be forked: it has no snapshot")

    def close(self) -> None:
        """Nothing is held: every command has a connection of its own."""
