"""A person at a browser: the world's pages on this machine, one button an action."""

from __future__ import annotations

import queue
import re
import threading
from collections.abc import Sequence
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

from ..memory.core import Turn
from .core import Decision

PATIENCE_S = 30.0  # how long an answer waits for the world's next page
_MOST_BYTES = 1 << 16
_MARKED = re.compile(r"\s*\[(clicked )?button\] (.*) \[(?:clicked )?button_\]")
_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title><style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 52rem; margin: 2rem auto; padding: 0 1rem; }}
form {{ display: inline; }} button {{ font: inherit; margin: 0 .3rem .3rem 0; padding: .1rem .6rem; }}
button.chosen {{ font-weight: bold; }} button.apart {{ margin-top: 1rem; }} input {{ font: inherit; width: 60%; }}
p {{ margin: .2rem 0; white-space: pre-wrap; }} .goal {{ background: #eef; padding: .6rem; }}
</style><p class="goal"><b>{goal}</b></p>{body}</html>"""


def page(turn: Turn) -> str:
    """Return a turn as a page: marked buttons (WebShop's `text_rich`) in their places, else a button an action.

    What may be said freely has a field: `search[...]` where the world lists searches, anything where it lists nothing.
    """
    listed = turn.admissible or ()
    lines = turn.observation.split("\n")
    body = [_line(line, turn, not above) for above, line in zip((" ", *lines), lines, strict=False) if line]
    searches = any(a.startswith("search[") for a in listed)
    if searches or not listed:
        body.append(_form(turn, f'<input name="{"search" if searches else "say"}" autofocus><button>Say</button>'))
    if "[button]" not in turn.observation:
        body += [_button(turn, action, action) for action in listed]
    return _PAGE.format(title="agentgym", goal=escape(turn.goal), body="\n".join(body))


def last_page(goal: str, observation: str, outcome: str) -> str:
    """Return the page after the end."""
    said = "".join(f"<p>{escape(line)}</p>" for line in (outcome, observation))
    return _PAGE.format(title="agentgym: done", goal=escape(goal), body=said)


def _form(turn: Turn, inside: str) -> str:
    return f'<form method="post"><input type="hidden" name="t" value="{turn.t}">{inside}</form>'


def _button(turn: Turn, action: str, text: str, style: str = "") -> str:
    return _form(turn, f'<button name="say" value="{escape(action)}" class="{style}">{escape(text)}</button>')


def _line(line: str, turn: Turn, apart: bool) -> str:
    found = _MARKED.fullmatch(line)
    if found is None:
        return f"<p>{escape(line)}</p>"
    clicked, text = found.groups()
    action = f"click[{text.lower()}]"
    if action not in (turn.admissible or ()):
        return ""  # the button of a search: its field stands below
    style = " ".join(name for name, so in (("apart", apart), ("chosen", clicked)) if so)
    return _button(turn, action, text, style)


class WebAgent:
    """A person who clicks; `act` waits for the next click. Plays one episode, on loopback only.

    A click on a page that is no longer the present one is not taken. port: 0 takes any that is free.
    """

    name = "human"

    def __init__(self, port: int = 0) -> None:
        self._said: queue.Queue[str] = queue.Queue()
        self._changed = threading.Condition()
        self._page, self._t, self._over = "", -1, False  # t is -1 while the world works
        self._server = ThreadingHTTPServer(("127.0.0.1", port), _handler(self))
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def act(self, turns: Sequence[Turn]) -> list[Decision]:
        """Show the turn and wait for what the person does.

        Raises:
            ValueError: more than one episode at a time.
        """
        if len(turns) != 1:
            raise ValueError(f"{len(turns)} episodes at once: a person plays one; use batch=1")
        self._show(page(turns[0]), turns[0].t)
        while True:
            try:  # in turns, so that Ctrl-C is heard
                return [Decision(self._said.get(timeout=0.5))]
            except queue.Empty:
                continue

    def end(self, goal: str, observation: str, outcome: str) -> None:
        """Show how it ended, until that page was asked for or a moment has passed, and close."""
        self._over = True
        self._show(last_page(goal, observation, outcome), -2)
        with self._changed:
            self._changed.wait_for(lambda: not self._over, timeout=3.0)
        self.close()

    def close(self) -> None:
        """Serve no more."""
        self._server.shutdown()
        self._server.server_close()

    def _show(self, text: str, t: int) -> None:
        with self._changed:
            self._page, self._t = text, t
            self._changed.notify_all()

    def shown(self) -> bytes:
        """Return the present page, once there is one."""
        with self._changed:
            ready = self._changed.wait_for(lambda: self._t != -1, PATIENCE_S)
            text = self._page if ready else "<!doctype html><title>agentgym</title><p>The world is busy: reload."
            if self._over:
                self._over = False
                self._changed.notify_all()
        return text.encode("utf-8", "replace")

    def say(self, action: str, t: int) -> None:
        """Take an action on page `t` and wait for the page that follows."""
        with self._changed:
            if t != self._t or self._over:
                return
            self._t = -1  # a second click on the same page is late
            self._said.put(action)
            self._changed.wait_for(lambda: self._t != -1, PATIENCE_S)


def _handler(agent: WebAgent) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

        def _ours(self) -> bool:
            """Whether a page of ours asks: another site's form or host name must not act here."""
            here = agent.url.removeprefix("http://").rstrip("/")
            names = (here, here.replace("127.0.0.1", "localhost"))
            origin = self.headers.get("Origin")
            ours = self.headers.get("Host") in names and (origin is None or origin.removeprefix("http://") in names)
            if not ours or self.path != "/":
                self.send_error(403 if not ours else 404)
            return ours and self.path == "/"

        def do_GET(self) -> None:
            """Show the present page."""
            if self._ours():
                body = agent.shown()
                self.send_response(200)
                self.send_header("Content-Type", "text/html; charset=utf-8")
                self.send_header("Content-Length", str(len(body)))
                self.send_header("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
                self.end_headers()
                self.wfile.write(body)

        def do_POST(self) -> None:
            """Take an action, then send the browser to the present page."""
            if not self._ours():
                return
            length = int(self.headers.get("Content-Length") or 0)
            if length > _MOST_BYTES:
                return self.send_error(413)
            form = parse_qs(self.rfile.read(length).decode("utf-8", "replace"))
            if "search" in form:
                form["say"] = [f"search[{form['search'][0]}]"]
            t = form.get("t", [""])[0]
            if "say" in form and t.isdecimal():
                agent.say(form["say"][0], int(t))
            self.send_response(303)
            self.send_header("Location", "/")
            self.send_header("Content-Length", "0")
            self.end_headers()

    return Handler
