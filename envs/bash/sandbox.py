"""Commands inside bubblewrap, or not at all.

The root is private and read-only: the system's programs and nothing else of the machine. There is no network, no other
process, no privilege, no new name space. Only the work tree, bound at /testbed unless told otherwise, and a small /tmp of each command's own
can be written. Process limits count by user name space, which needs Linux 5.14.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
import weakref
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from ..errors import Unavailable, WorldDied
from .tree import EPOCH, TooLarge, Tree, read, write

ROOT = "/testbed"
NOBODY = 65534
MAX_OUTPUT = 100_000
_LIMITS = "ulimit -c 0 -f 1024 -n 64 -t {seconds} -u 32 -v 262144"
_POLL_S = 0.25
_GRACE_S = 10.0
_BASE = (
    "--unshare-all", "--unshare-user", "--disable-userns", "--uid", "1000", "--gid", "1000", "--cap-drop", "ALL",
    "--die-with-parent", "--new-session", "--hostname", "testbed", "--clearenv", "--setenv", "PATH", "/usr/bin:/bin",
    "--setenv", "LANG", "C.UTF-8", "--setenv", "TZ", "UTC", "--ro-bind", "/usr", "/usr",
)  # fmt: skip
_END = ("--proc", "/proc", "--dev", "/dev", "--remount-ro", "/dev", "--size", "1048576", "--tmpfs", "/tmp")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a command printed, its exit status, where it left off, and why it was stopped, where it was."""

    output: str
    code: int
    folder: str
    stopped: str | None = None


def _system() -> list[str]:
    """Return the binds of the folders beside /usr that hold programs and libraries."""
    out = []
    for name in ("bin", "sbin", "lib", "lib32", "lib64"):
        path = Path("/") / name
        if path.is_symlink():
            out += ["--symlink", os.readlink(path), str(path)]
        elif path.is_dir():
            out += ["--ro-bind", str(path), str(path)]
    for name in ("/etc/alternatives", "/etc/ld.so.cache"):
        out += ["--ro-bind-try", name, name]
    return out


@lru_cache(maxsize=1)
def _bwrap() -> str:
    found = shutil.which("bwrap")
    if found is None:
        raise Unavailable("env 'bash' runs only inside bubblewrap, and there is no bwrap: apt-get install bubblewrap")
    return found


@lru_cache(maxsize=1)
def require() -> None:
    """Return where a sandbox works.

    Raises:
        Unavailable: `bwrap` is missing, or the system does not let it work; nothing runs without it.
    """
    _bwrap()
    sandbox = Sandbox({})
    try:
        done = sandbox.run("echo works", ROOT)
        works, said = (done.code, done.output) == (0, "works\n"), done.output
    except WorldDied as error:
        works, said = False, str(error)
    finally:
        sandbox.close()
    if not works:
        why = (said.strip().splitlines() or ["it said nothing"])[0]
        raise Unavailable(
            f"env 'bash' runs only inside bubblewrap, and bwrap does not work here: {why}; it needs bubblewrap 0.8 and "
            "user namespaces (sysctl kernel.unprivileged_userns_clone=1; in a container, its runtime must allow them)"
        )


class Sandbox:
    """A work tree in a temporary folder, and the commands that run on it, which see it at `root`."""

    def __init__(self, tree: Tree, seconds: int = 10, root: str = ROOT) -> None:
        self._seconds, self.root = seconds, root
        self._owner = NOBODY if os.geteuid() == 0 else None
        self._fill(tree)

    def _fill(self, tree: Tree) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="agentgym-bash-"))
        self._cleaning = weakref.finalize(self, remove, self._folder)
        write(self._folder, tree, self._owner)
        if self._owner is not None:
            os.chown(self._folder, self._owner, self._owner)
        self.tree = tree

    def reset(self, tree: Tree) -> None:
        """Set the work tree, in a new folder: the old one may hold what an agent left."""
        self.close()
        self._fill(tree)

    def close(self) -> None:
        """Remove the work tree; an end of the process does, too."""
        self._cleaning()

    def run(self, command: str, folder: str, now: int = 0) -> Outcome:
        """Run a command in a folder of the work tree; a command that was killed or filled the tree leaves it as it was.

        What it changed is dated `now` minutes after the start.

        Raises:
            WorldDied: the command could not even be started.
        """
        output, place = os.memfd_create("output"), os.memfd_create("place")
        try:
            started = time.monotonic()
            code, stopped = self._spawn(command, folder, output, place)
            if code == 137 and time.monotonic() - started >= self._seconds:
                stopped = f"stopped after {self._seconds} seconds"
            text, left = (_text(handle) for handle in (output, place))
        except OSError as error:
            raise WorldDied(f"no command starts in bubblewrap any more: {error}") from error
        finally:
            os.close(output)
            os.close(place)
        try:
            if stopped is not None:
                raise TooLarge(stopped)
            after = read(self._folder, EPOCH + 60 * now)
        except TooLarge as why:
            self.reset(self.tree)
            return Outcome(text, code, folder, f"{why}; the files are as they were before")
        self.tree = after
        last = left.splitlines()[-1] if left else ""
        return Outcome(text, code, last if last.startswith(self.root) else folder)

    def _spawn(self, command: str, folder: str, output: int, place: int) -> tuple[int, str | None]:
        limits = _LIMITS.format(seconds=self._seconds + 1)
        script = f'{limits}; cd -- "$1" 2>/dev/null; trap \'pwd -P >&{place}\' EXIT; eval "$2"'
        arguments = (
            _bwrap(), *_BASE, *_system(), *_END, "--bind", str(self._folder), self.root, "--remount-ro", "/",
            "--chdir", self.root, "--setenv", "HOME", self.root,
            "timeout", "-s", "KILL", str(self._seconds), "bash", "-c", script, "bash", folder, command,
        )  # fmt: skip
        process = subprocess.Popen(
            arguments, stdin=subprocess.DEVNULL, stdout=output, stderr=output, pass_fds=(place,), cwd="/", env={},
            user=self._owner, group=self._owner, extra_groups=None if self._owner is None else [],
        )  # fmt: skip
        deadline = time.monotonic() + self._seconds + _GRACE_S
        while True:
            try:
                return process.wait(_POLL_S), None
            except subprocess.TimeoutExpired:
                stopped = self._excess(deadline)
                if stopped is not None:
                    process.kill()
                    return process.wait(), stopped

    def _excess(self, deadline: float) -> str | None:
        if time.monotonic() > deadline:
            return f"stopped after {self._seconds} seconds"
        used = subprocess.run(["du", "-sk", str(self._folder)], capture_output=True, text=True, check=False).stdout
        return "stopped for filling the disk" if int((used.split() or ["0"])[0]) > 20_000 else None


def _text(handle: int) -> str:
    return os.pread(handle, MAX_OUTPUT, 0).decode("utf-8", "replace")


def remove(folder: Path) -> None:
    """Remove a folder whatever its depth and modes, never following a link."""
    try:
        shutil.rmtree(folder)
    except (OSError, RecursionError):
        for command in (("chmod", "-R", "u+rwX"), ("rm", "-rf")):
            subprocess.run([*command, "--", str(folder)], check=False, capture_output=True)
