"""A real Chromium by its own DevTools protocol over a pipe: no driver program, no port, nothing left when we are gone.

Protocol: a message is JSON and a zero byte; commands go to the browser's file descriptor 3, answers and events come from
its 4, and it ends when they close. Source: chromedevtools.github.io/devtools-protocol, `--remote-debugging-pipe`.
"""

from __future__ import annotations

import fcntl
import json
import os
import selectors
import shutil
import subprocess
import sys
import tempfile
import time
import weakref
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

from ..errors import Unavailable, WorldDied

_HAND_OVER = (
    "import os, sys; a, b = ends = [int(v) for v in sys.argv[1:3]]; os.dup2(a, 3); os.dup2(b, 4); "
    "[os.close(v) for v in ends]; os.execv(sys.argv[3], sys.argv[3:])"
)
_START_S = 120.0
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
_FLAGS = (
    "--headless=new", "--remote-debugging-pipe", "--no-first-run", "--no-default-browser-check", "--disable-gpu",
    "--disable-extensions", "--disable-sync", "--disable-component-update", "--disable-background-networking",
    "--disable-default-apps", "--disable-breakpad", "--mute-audio", "--hide-scrollbars", "--force-device-scale-factor=1",
    "--disable-background-timer-throttling", "--disable-renderer-backgrounding",
    "--disable-backgrounding-occluded-windows", "--disable-features=Translate,MediaRouter,PaintHolding",
    "--host-resolver-rules=MAP * ~NOTFOUND", "--proxy-server=127.0.0.1:9", "--proxy-bypass-list=<-loopback>",
    "--renderer-process-limit=2", "--window-size=500,320",
)  # fmt: skip


class BrowserDied(WorldDied):
    """The browser, or one page of it, crashed, was closed, or fell silent."""


class Refused(RuntimeError):
    """The browser understood a command and would not do it."""


@lru_cache(maxsize=1)
def program() -> str:
    """Return where a Chromium is.

    Raises:
        Unavailable: nowhere on the path.
    """
    found = next((path for name in NAMES if (path := shutil.which(name))), None)
    if found is None:
        raise Unavailable("env 'miniwob' runs in a real browser, and there is no Chromium: apt-get install chromium")
    return found


class Chromium:
    """A headless browser that reaches no network: names do not resolve, and every address goes to a proxy that is not."""

    def __init__(self, timeout_s: float = 60.0) -> None:
        self._timeout_s = timeout_s
        folder = Path(tempfile.mkdtemp(prefix="agentgym-chromium-"))
        its_in, self._out = _pipe()
        self._in, its_out = _pipe()
        # a browser of root has no sandbox of its own
        flags = (*_FLAGS, *(("--no-sandbox",) if os.geteuid() == 0 else ()), f"--user-data-dir={folder}")
        said = tempfile.TemporaryFile()  # noqa: SIM115
        handing = (sys.executable, "-ISc", _HAND_OVER, str(its_in), str(its_out))
        self.process = subprocess.Popen(
            (*handing, program(), *flags, "about:blank"), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=said, start_new_session=True, pass_fds=(its_in, its_out),
        )  # fmt: skip
        os.close(its_in)
        os.close(its_out)
        self._ending = weakref.finalize(self, _end, os.getpid(), self.process, (self._in, self._out), folder)
        self._buffer, self._number = b"", 0
        self._answers: dict[int, dict[str, Any]] = {}
        self._crashed: set[str] = set()
        self._open: set[str] = set()
        try:
            self.hear(self.say("Browser.getVersion"), timeout_s=max(timeout_s, _START_S))
        except BrowserDied as why:
            said.seek(0)
            last = (said.read().decode(errors="replace").strip().splitlines() or ["none"])[-1]
            raise Unavailable(f"{program()} does not start ({why}); its last words: {last[:200]}") from None
        finally:
            said.close()

    @property
    def alive(self) -> bool:
        """Whether the browser runs."""
        return self._ending.alive and self.process.poll() is None

    def say(self, method: str, page: str = "", **parameters: Any) -> int:
        """Send a command, to a page where one is named, and return its number."""
        if not self._ending.alive:  # the pipe's numbers may be another file's by now
            raise BrowserDied("Chromium is gone")
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if page:
            message["sessionId"] = page
        try:
            left = memoryview(json.dumps(message).encode() + b"\0")
            while left:
                left = left[os.write(self._out, left) :]
        except OSError:
            raise self._death() from None
        return self._number

    def ask(self, method: str, page: str = "", **parameters: Any) -> dict[str, Any]:
        """Send a command and return its result.

        Raises:
            BrowserDied: no answer can come any more, or none came in time. Refused: the answer is an error.
        """
        return self.hear(self.say(method, page, **parameters), page)

    def hear(self, number: int, page: str = "", timeout_s: float | None = None) -> dict[str, Any]:
        """Return the result of a command that was sent; errors are those of `ask`."""
        limit_s = self._timeout_s if timeout_s is None else timeout_s
        deadline = time.monotonic() + limit_s
        while number not in self._answers:
            if page in self._crashed:
                raise BrowserDied("the page crashed")
            if not self._read(deadline):
                self.close()
                raise BrowserDied(f"Chromium said nothing for {limit_s:g} s")
        answer = self._answers.pop(number)
        if "error" in answer:
            said = str(answer["error"].get("message"))
            if "not found" in said and "ession" in said:
                raise BrowserDied("the page is gone")
            raise Refused(said)
        result: dict[str, Any] = answer["result"]
        return result

    def _read(self, deadline: float) -> bool:
        """Take in what the browser says; False where it says nothing until the deadline."""
        if not self._ending.alive:
            raise BrowserDied("Chromium is gone")
        try:
            with selectors.DefaultSelector() as waiting:
                waiting.register(self._in, selectors.EVENT_READ)
                if not waiting.select(max(0.0, deadline - time.monotonic())):
                    return False
                part = os.read(self._in, 1 << 20)
        except OSError:
            part = b""
        if not part:
            raise self._death()
        *messages, self._buffer = (self._buffer + part).split(b"\0")
        for message in map(json.loads, messages):
            if "id" in message:
                self._answers[message["id"]] = message
            elif message["method"] == "Inspector.targetCrashed":
                self._crashed.add(message.get("sessionId", ""))
        return True

    def _death(self) -> BrowserDied:
        self.close()
        return BrowserDied("Chromium is gone")

    def open(self) -> tuple[str, str]:
        """Open a page and return its target and its session, by which commands reach it."""
        target: str = self.ask("Target.createTarget", url="about:blank", newWindow=True)["targetId"]
        page: str = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self._open.add(target)
        for domain in ("Page", "Runtime", "Inspector"):
            self.ask(f"{domain}.enable", page)
        return target, page

    def evaluate(self, page: str, script: str) -> Any:
        """Return what a script, or the promise that it gives, comes to on a page.

        Raises:
            Refused: the script threw; BrowserDied, as `ask`.
        """
        done = self.ask("Runtime.evaluate", page, expression=script, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in done:
            fault = done["exceptionDetails"]
            raise Refused(str(fault.get("exception", {}).get("description", fault.get("text"))).split("\n")[0])
        return done["result"].get("value")

    def shut(self, target: str) -> None:
        """Close a page, and the browser with its last one."""
        self._open.discard(target)
        if not self._open:
            self.close()
        elif self.alive:
            with suppress(Refused, BrowserDied):
                self.ask("Target.closeTarget", targetId=target)

    def close(self) -> None:
        """End the browser; an end of this process does, too."""
        self._ending()


def _pipe() -> tuple[int, int]:
    """Return a pipe's two ends, both above 3 and 4, which the browser's ends become."""
    ends = os.pipe()
    high = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in ends]
    for end in ends:
        os.close(end)
    return high[0], high[1]


def _end(owner: int, process: subprocess.Popen[bytes], ends: tuple[int, int], folder: Path) -> None:
    for end in ends:
        os.close(end)
    if os.getpid() != owner:  # a fork's copy
        return
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    shutil.rmtree(folder, ignore_errors=True)
