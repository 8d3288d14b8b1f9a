"""Three ways to write an action, one meaning: short text, AndroidWorld's JSON, and AitW's gestures.

Short: `click 3`, `tap 540 300` (pixels), `hold 3`, `type 3 "words"` (replaces what the field holds), `type "words"` (into
the focused field), `scroll down`, `back`, `home`, `enter`, `open Clock`, `wait`, `done`, `infeasible`, `answer "words"`;
with a mouse also `hover 3` and `drag 3 to 5`, which the other two cannot say.

AndroidWorld: `{"action_type":"click","index":3}` and its other thirteen types; source: android_world/env/json_action.py.
Deviations: an unknown type is bad text, not an exception; index 0 of a scroll is an index.

AitW: `{"action_type":4,"yx_touch":[y,x],"yx_lift":[y,x]}` by the data set's numbers or names, or Auto-UI's string
`"action_type": "DUAL_POINT", "touch_point": "[y, x]", ...`; source: android_in_the_wild/action_type.py. A gesture is a tap
where touch and lift lie within 0.04 of the screen, else a swipe.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any, cast, get_args

from .core import DIRECTIONS, MOUSE, Event, Kind

AITW = {
    "TYPE": 3, "DUAL_POINT": 4, "PRESS_BACK": 5, "PRESS_HOME": 6, "PRESS_ENTER": 7, "STATUS_TASK_COMPLETE": 10,
    "STATUS_TASK_IMPOSSIBLE": 11,
}  # fmt: skip
_AITW_PLAIN: dict[str, Kind] = {
    "PRESS_BACK": "back", "PRESS_HOME": "home", "PRESS_ENTER": "enter", "STATUS_TASK_COMPLETE": "done",
    "STATUS_TASK_IMPOSSIBLE": "infeasible",
}  # fmt: skip
_ANDROID: dict[str, Kind] = {
    "click": "tap", "double_tap": "tap", "long_press": "hold", "input_text": "type", "scroll": "scroll",
    "swipe": "scroll", "navigate_back": "back", "navigate_home": "home", "keyboard_enter": "enter", "open_app": "open",
    "wait": "wait", "answer": "answer", "status": "done",
}  # fmt: skip
_OPPOSITE = {"up": "down", "down": "up", "left": "right", "right": "left"}
_SHORT = re.compile(
    r"(?:(?P<at>click|tap|hold|hover) (?P<index>\d{1,4}))|(?:drag (?P<what>\d{1,4}) to (?P<onto>\d{1,4}))"
    r"|(?:(?P<point>tap|hold) (?P<x>\d{1,5}) (?P<y>\d{1,5}))"
    r"|(?:type (?P<field>\d{1,4}) (?P<text>.*))|(?:(?P<say>type|answer|open) (?P<words>.*))"
    r"|(?:scroll (?P<way>up|down|left|right))|(?P<plain>back|home|enter|wait|done|infeasible)",
    re.DOTALL,
)
TAP_RADIUS = 0.04
Size = tuple[int, int]


@lru_cache(maxsize=16384)
def parse(text: str, size: Size) -> Event | None:
    """Return the event that a text means on a screen of that size, None where it means nothing.

    >>> parse("click 3", (1080, 2400)) == parse('{"action_type":"click","index":3}', (1080, 2400))
    True
    >>> parse('{"action_type":"PRESS_BACK"}', (1080, 2400)).kind
    'back'
    """
    text = text.strip()
    if '"action_type"' not in text:
        return _parse_short(text)
    if not text.startswith("{"):
        return _parse_autoui(text, size)
    try:
        raw = json.loads(text)
        if not isinstance(raw, dict):
            return None
        kind = raw.get("action_type")
        aitw = isinstance(kind, int) or kind in AITW
        return _parse_aitw(raw, size) if aitw else _parse_android(raw)
    except (ValueError, TypeError, OverflowError, KeyError, RecursionError):  # what hostile JSON can bring about
        return None


def _unquote(text: str) -> str:
    text = text.strip()
    if len(text) >= 2 and text[0] == text[-1] == '"':
        try:
            return str(json.loads(text))
        except ValueError:
            return text[1:-1]
    return text


def _parse_short(text: str) -> Event | None:
    m = _SHORT.fullmatch(text)
    if m is None:
        return None
    if m["at"]:
        return Event(cast("Kind", m["at"] if m["at"] in ("hold", "hover") else "tap"), int(m["index"]))
    if m["what"]:
        return Event("drag", int(m["what"]), onto=int(m["onto"]))
    if m["point"]:
        return Event(cast("Kind", m["point"]), point=(int(m["x"]), int(m["y"])))
    if m["field"]:
        return Event("type", int(m["field"]), text=_unquote(m["text"]), clear=True)
    if m["say"]:
        words = _unquote(m["words"])
        return Event(cast("Kind", m["say"]), text=words, clear=m["say"] == "type") if words else None
    return Event("scroll", text=m["way"]) if m["way"] else Event(cast("Kind", m["plain"]))


def _parse_android(raw: dict[str, Any]) -> Event | None:
    kind = raw.get("action_type")
    meant = _ANDROID.get(kind) if isinstance(kind, str) else None
    if meant is None:
        return None
    index = int(raw["index"]) if raw.get("index") is not None else -1
    point = None
    if raw.get("x") is not None or raw.get("y") is not None:
        if index >= 0:
            return None  # AndroidWorld: an index or a point, not both
        point = (int(raw["x"]), int(raw["y"]))
    text = str(raw.get("text") or "")
    if meant in ("tap", "hold"):
        return Event(meant, index, point) if index >= 0 or point else None
    if meant == "type":
        return Event(meant, index, point, text, clear=bool(raw.get("clear_text")), enter=True)
    if meant == "scroll":
        way = raw.get("direction")
        if way not in DIRECTIONS:
            return None
        return Event(meant, text=way if kind == "scroll" else _OPPOSITE[str(way)])
    if meant == "open":
        return Event(meant, text=str(raw["app_name"]))
    if kind == "status":
        return Event("infeasible" if raw.get("goal_status") == "infeasible" else "done")
    return Event(meant, text=text if meant == "answer" else "")


def _fraction(value: Any) -> tuple[float, float]:
    y, x = json.loads(value) if isinstance(value, str) else value
    if not (0 <= float(y) <= 1 and 0 <= float(x) <= 1):
        raise ValueError("a point outside the screen")
    return float(y), float(x)


def _parse_aitw(raw: dict[str, Any], size: Size) -> Event | None:
    kind = raw["action_type"]
    name = kind if isinstance(kind, str) else next((k for k, v in AITW.items() if v == kind), "")
    if name in _AITW_PLAIN:
        return Event(_AITW_PLAIN[name])
    if name == "TYPE":
        return Event("type", text=str(raw.get("typed_text", raw.get("type_action", ""))))
    if name != "DUAL_POINT":
        return None
    y0, x0 = _fraction(raw.get("yx_touch", raw.get("touch_point")))
    y1, x1 = _fraction(raw.get("yx_lift", raw.get("lift_point")))
    if math.hypot(y1 - y0, x1 - x0) <= TAP_RADIUS:
        return Event("tap", point=(min(int(x0 * size[0]), size[0] - 1), min(int(y0 * size[1]), size[1] - 1)))
    if abs(y1 - y0) >= abs(x1 - x0):
        return Event("scroll", text="down" if y1 < y0 else "up")  # a finger that moves up shows what lies below
    return Event("scroll", text="right" if x1 < x0 else "left")


def _parse_autoui(text: str, size: Size) -> Event | None:
    fields = dict(re.findall(r'"(action_type|touch_point|lift_point|typed_text)": "(.*?)"', text))
    try:
        return _parse_aitw(fields, size)
    except (ValueError, TypeError, KeyError, RecursionError):
        return None


def short(event: Event) -> str:
    """Write an event as short text; inverse of `parse`, except that short typing always replaces.

    >>> short(Event("type", 4, text="hi"))
    'type 4 "hi"'
    """
    where = f" {event.index}" if event.index >= 0 else f" {event.point[0]} {event.point[1]}" if event.point else ""
    quoted = json.dumps(event.text, ensure_ascii=False) if event.text else '""'
    if event.kind == "tap":
        return ("click" if event.index >= 0 else "tap") + where
    if event.kind in ("hold", "hover"):
        return event.kind + where
    if event.kind == "drag":
        return f"drag {event.index} to {event.onto}"
    if event.kind == "type":
        return f"type{where if event.index >= 0 else ''} {quoted}"
    if event.kind == "answer":
        return f"answer {quoted}"
    return f"{event.kind} {event.text}" if event.kind in ("scroll", "open") else event.kind


def android(event: Event) -> str:
    """Write an event as AndroidWorld's JSON.

    Raises:
        ValueError: AndroidWorld has no such action.

    >>> android(Event("open", text="Clock"))
    '{"action_type":"open_app","app_name":"Clock"}'
    """
    meant = "done" if event.kind == "infeasible" else event.kind
    kind = next((k for k, v in _ANDROID.items() if v == meant), None)
    if kind is None:
        raise ValueError(f"AndroidWorld has no {event.kind}: write {short(event)!r}")
    out: dict[str, Any] = {"action_type": kind}
    if event.index >= 0:
        out["index"] = event.index
    elif event.point is not None:
        out["x"], out["y"] = event.point
    if event.kind in ("type", "answer"):
        out["text"] = event.text
    if event.kind == "type" and event.clear:
        out["clear_text"] = True
    if event.kind == "scroll":
        out["direction"] = event.text
    elif event.kind == "open":
        out["app_name"] = event.text
    elif kind == "status":
        out["goal_status"] = "infeasible" if event.kind == "infeasible" else "complete"
    return json.dumps(out, separators=(",", ":"), ensure_ascii=False)


def aitw(event: Event, size: Size, centre: Callable[[int], tuple[int, int]]) -> tuple[str, ...]:
    """Write an event as AitW actions: none where AitW has no such action, two where it needs a tap first.

    Args:
        event: any.
        size: width and height in pixels.
        centre: gives the pixel in the middle of an element.
    """

    def gesture(touch: tuple[float, float], lift: tuple[float, float]) -> str:
        points = {"yx_touch": [round(v, 4) for v in touch], "yx_lift": [round(v, 4) for v in lift]}
        return json.dumps({"action_type": 4, **points}, separators=(",", ":"))

    def tap(index: int, point: tuple[int, int] | None) -> str:
        x, y = centre(index) if index >= 0 or point is None else point
        at = (y + 0.5) / size[1], (x + 0.5) / size[0]
        return gesture(at, at)

    if event.kind == "tap":
        return (tap(event.index, event.point),)
    if event.kind == "type":
        typed = json.dumps({"action_type": 3, "typed_text": event.text}, separators=(",", ":"), ensure_ascii=False)
        return (tap(event.index, event.point), typed) if event.index >= 0 or event.point else (typed,)
    if event.kind == "scroll":
        ends = {"down": ((0.8, 0.5), (0.2, 0.5)), "right": ((0.5, 0.8), (0.5, 0.2))}
        touch, lift = ends[event.text] if event.text in ends else ends[_OPPOSITE[event.text]][::-1]
        return (gesture(touch, lift),)
    name = next((k for k, v in _AITW_PLAIN.items() if v == event.kind), None)
    return () if name is None else (json.dumps({"action_type": AITW[name]}, separators=(",", ":")),)


assert set(_ANDROID.values()) | {"infeasible", *MOUSE} == set(get_args(Kind))
