"""An adb server on loopback whose device is the embedded phone: it speaks the protocol and knows a few shell commands."""

from __future__ import annotations

import html
import re
import shlex
import socketserver
import struct
import threading

from agentgym.envs.device.core import Event
from agentgym.envs.device.phone import Phone
from agentgym.envs.device.state import setting

_CLASS = {"button": "Button", "edit": "EditText", "switch": "Switch", "radio": "RadioButton"}
_KEYS = {"3": "home", "4": "back", "66": "enter"}


class FakeAdb(socketserver.ThreadingTCPServer):
    allow_reuse_address = daemon_threads = True

    def __init__(self, phone: Phone, serial: str = "emulator-5554") -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.phone, self.serial = phone, serial
        self.log: list[str] = []
        self.silent_at = ""  # the device dies, once, when a command contains this
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    def dump(self) -> str:
        screen = self.phone.screen()
        nodes = []
        for i, e in enumerate(screen.elements):
            edit, checked = e.kind == "edit", e.kind in ("switch", "radio")
            text = e.value if edit else f"{e.text} {e.value}".strip() if e.kind == "line" else e.text
            left, top, right, bottom = e.box
            flags = {"clickable": bool(e.act), "checkable": checked, "checked": e.value == "on", "focused": e.focused}
            said = " ".join(f'{k}="{str(v).lower()}"' for k, v in flags.items())
            nodes.append(
                f'<node index="{i}" text="{html.escape(text)}" class="android.widget.{_CLASS.get(e.kind, "TextView")}" '
                f'package="sim" content-desc="{html.escape(e.text) if edit else ""}" enabled="true" {said} '
                f'bounds="[{left},{top}][{right},{bottom}]" />'
            )
        scrolls = str(screen.above or screen.below).lower()
        return (
            '<?xml version="1.0"?><hierarchy rotation="0"><node class="android.widget.FrameLayout" package="sim" '
            f'scrollable="{scrolls}" bounds="[0,0][1080,2400]">{"".join(nodes)}</node></hierarchy>'
        )

    def shell(self, command: str) -> bytes:
        self.log.append(command)
        phone = self.phone
        match shlex.split(command):
            case ["wm", "size"]:
                return b"Physical size: 1080x2400\n"
            case ["input", "tap", x, y]:
                phone.perform(Event("tap", point=(int(x), int(y))))
            case ["input", "text", text]:
                phone.perform(Event("type", text=text.replace("%s", " ")))
            case ["input", "keycombination", "113", "29"]:
                phone.perform(Event("type", text="", clear=True))
            case ["input", "keyevent", key]:
                if key in _KEYS:
                    phone.perform(Event(_KEYS[key]))  # type: ignore[arg-type]
            case ["input", "swipe", x, y, x1, y1, _] if (x, y) == (x1, y1):
                phone.perform(Event("hold", point=(int(x), int(y))))
            case ["input", "swipe", _, y0, _, y1, _]:
                phone.perform(Event("scroll", text="down" if int(y1) < int(y0) else "up"))
            case ["monkey", "-p", package, *_]:
                phone.perform(Event("open", text=package.removeprefix("sim.")))
            case ["settings", "get", "global", name]:
                on = setting(phone.state.db, name.removesuffix("_on")) == "on"
                return b"1\n" if on else b"0\n"
            case ["judge"]:
                return b"won\n" if phone.verdict().success else b"not yet\n"
            case ["uiautomator", "dump", *_]:
                return self.dump().encode() + b"UI hierchary dumped to: /dev/tty\n"
            case ["screencap"]:
                pixels = phone.pixels()
                rgba = bytes(v for row in pixels[:20].tolist() for dot in row for v in (*dot, 255))
                return struct.pack("<4I", pixels.shape[1], 20, 1, 0) + rgba
            case _:
                return f"/system/bin/sh: {command}: not found\n".encode()
        return b""


class _Handler(socketserver.StreamRequestHandler):
    server: FakeAdb

    def handle(self) -> None:
        while length := self.rfile.read(4):
            request = self.rfile.read(int(length, 16)).decode()
            if request in ("host:transport-any", f"host:transport:{self.server.serial}"):
                self.wfile.write(b"OKAY")
            elif m := re.fullmatch(r"(?:exec|shell):(.*)", request, re.DOTALL):
                if self.server.silent_at and self.server.silent_at in m[1]:
                    self.server.silent_at = ""
                    return
                self.wfile.write(b"OKAY" + self.server.shell(m[1]))
                return
            else:
                self._fail(f"device '{request}' not found")
                return

    def _fail(self, reason: str) -> None:
        self.wfile.write(b"FAIL" + f"{len(reason):04x}".encode() + reason.encode())
