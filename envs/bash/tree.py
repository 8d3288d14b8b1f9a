"""A tree of files as a value: read from a folder, written to one, compared with another.

A folder may hold whatever an agent left there: nothing here follows a link, opens what is not a plain file, or trusts
that a name is short or a mode sane.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

EPOCH = 1_700_000_000
MAX_BYTES = 4_000_000
MAX_ENTRIES = 1_000
_PRESENT = EPOCH + 30_000_000
_KEPT = (stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK)


@dataclass(frozen=True, slots=True)
class Entry:
    """A file, folder or link: its mode with the kind in it, its content or target, and when it changed."""

    mode: int
    data: bytes = b""
    time: int = EPOCH

    @classmethod
    def file(cls, text: str, executable: bool = False) -> Entry:
        """Return a file."""
        return cls(stat.S_IFREG | (0o755 if executable else 0o644), text.encode())

    @classmethod
    def folder(cls) -> Entry:
        """Return a folder."""
        return cls(stat.S_IFDIR | 0o755)

    def same(self, other: Entry) -> bool:
        """Return whether both are of one kind and mode with one content, whenever they changed."""
        return (self.mode, self.data) == (other.mode, other.data)


Tree = Mapping[str, Entry]


class TooLarge(Exception):
    """A folder holds more than a tree may."""


def write(root: Path, tree: Tree, owner: int | None = None) -> None:
    """Fill an empty folder, for an owner where that is not this process's own user."""
    for name, entry in sorted(tree.items()):
        path = root / name
        if stat.S_ISDIR(entry.mode):
            path.mkdir()
        elif stat.S_ISLNK(entry.mode):
            os.symlink(entry.data, os.fsencode(path))
        else:
            path.write_bytes(entry.data)
        if owner is not None:
            os.chown(path, owner, owner, follow_symlinks=False)
    for name, entry in sorted(tree.items(), reverse=True):
        if not stat.S_ISLNK(entry.mode):
            (root / name).chmod(stat.S_IMODE(entry.mode))
        os.utime(root / name, (entry.time, entry.time), follow_symlinks=False)
    os.utime(root, (EPOCH, EPOCH))


def read(root: Path, now: int = EPOCH) -> dict[str, Entry]:
    """Return what a folder holds; what changed in the meantime is dated `now`, so that a replay lists the same times.

    Raises:
        TooLarge: more than MAX_ENTRIES, MAX_BYTES, or a path that the system cannot open.
    """
    out: dict[str, Entry] = {}
    size = 0
    try:
        folders = [("", _entry(root, root.lstat(), now).mode)]
        while folders:
            base, mode = folders.pop()
            with _readable(root / base, mode), os.scandir(root / base) as held:
                for item in held:
                    found = item.stat(follow_symlinks=False)
                    size += found.st_size if stat.S_ISREG(found.st_mode) else 0
                    if len(out) >= MAX_ENTRIES or size > MAX_BYTES:
                        raise TooLarge(f"stopped at over {MAX_ENTRIES:,} entries or {MAX_BYTES:,} bytes")
                    if stat.S_IFMT(found.st_mode) not in _KEPT:
                        continue
                    name = f"{base}/{item.name}".lstrip("/")
                    out[name] = _entry(Path(item.path), found, now)
                    if stat.S_ISDIR(found.st_mode):
                        folders.append((name, found.st_mode))
    except OSError as error:
        raise TooLarge(f"stopped at a file that cannot be read ({error.strerror})") from error
    return out


def _entry(path: Path, found: os.stat_result, now: int) -> Entry:
    time = int(found.st_mtime)
    if not 0 <= time < _PRESENT:
        time = now
        os.utime(path, (now, now), follow_symlinks=False)
    if stat.S_ISLNK(found.st_mode):
        return Entry(found.st_mode, os.fsencode(os.readlink(path)), time)
    if stat.S_ISDIR(found.st_mode):
        return Entry(found.st_mode, b"", time)
    with _readable(path, found.st_mode):
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with os.fdopen(handle, "rb") as file:
            return Entry(found.st_mode, file.read(MAX_BYTES), time)


@contextmanager
def _readable(path: Path, mode: int) -> Iterator[None]:
    """Give the owner the right to read for a while, where the mode denies it."""
    need = 0o700 if stat.S_ISDIR(mode) else 0o400
    if mode & need == need:
        yield
        return
    path.chmod(stat.S_IMODE(mode) | need)
    try:
        yield
    finally:
        path.chmod(stat.S_IMODE(mode))


@dataclass(frozen=True, slots=True)
class Change:
    """What became of a path: `??` new, `M` modified, `D` deleted, as git says it; and what is there now."""

    status: str
    entry: Entry | None


def changes(before: Tree, after: Tree) -> dict[str, Change]:
    """Return what differs between two trees, by path.

    >>> old, new = {"a": Entry.file("1"), "b": Entry.file("2")}, {"a": Entry.file("9"), "c": Entry.file("")}
    >>> {path: change.status for path, change in changes(old, new).items()}
    {'a': 'M', 'b': 'D', 'c': '??'}
    """
    out = {}
    for path in sorted({*before, *after}):
        if path not in after:
            out[path] = Change("D", None)
        elif path not in before:
            out[path] = Change("??", after[path])
        elif not before[path].same(after[path]):
            out[path] = Change("M", after[path])
    return out
