"""Trajectories on disk: compressed lines of JSON, each record a frame of its own.

A file that a kill cut short keeps every intact record, those before the cut and those that were appended behind it;
reading says how many bytes were lost. `datasets.load_dataset("json", data_files=…)` reads the files as they are.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from pathlib import Path

import zstandard

from ..envs.core import SPLITS
from .trajectory import Trajectory

SUFFIX = ".jsonl.zst"
_MAGIC = b"\x28\xb5\x2f\xfd"
_CHUNK = 1 << 16


def _frame(trajectory: Trajectory) -> bytes:
    return zstandard.ZstdCompressor(level=6, write_checksum=True).compress(trajectory.to_json().encode() + b"\n")


def write(path: Path, trajectories: Iterable[Trajectory]) -> None:
    """Write a whole file atomically: it is the old one or the new one, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(path.name + ".part")
    try:
        with draft.open("wb") as handle:
            for trajectory in trajectories:
                handle.write(_frame(trajectory))
            handle.flush()
            os.fsync(handle.fileno())
        os.replace(draft, path)
    except OSError:
        draft.unlink(missing_ok=True)
        raise


def need_writable(path: Path) -> None:
    """Raise where no file can be written later: what is to be stored there may take hours to make.

    Raises:
        OSError: the path is a directory, a file stands where its folder would, or this user may not write there.
    """
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a directory: give a file, as {path / 'episodes'}{SUFFIX}")
    above = next(p for p in path.absolute().parents if p.exists())
    if not above.is_dir():
        raise NotADirectoryError(f"{path}: {above} is a file, not a folder; give another path")
    for place in (above, path):
        if place.exists() and not os.access(place, os.W_OK):
            raise PermissionError(f"{path}: {place} may not be written; give another path")


def append(path: Path, trajectory: Trajectory) -> None:
    """Add one record and flush it to the disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as handle:
        handle.write(_frame(trajectory))
        handle.flush()
        os.fsync(handle.fileno())


def read(path: Path) -> tuple[list[Trajectory], int]:
    """Return the intact records and the number of bytes lost.

    Raises:
        FileNotFoundError: there is no such file. ValueError: the file holds no intact record though it is not empty, or
        a record of another schema.
    """
    data = path.read_bytes()
    out: list[Trajectory] = []
    kept = 0
    for text, size in _frames(data):
        try:
            out.append(Trajectory.from_json(text.decode()))
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{path}, record {len(out)}: {error}") from error
        kept += size
    if data and not out:
        raise ValueError(f"{path}: no readable trajectory in {len(data)} bytes; is it a {SUFFIX} that agentgym wrote?")
    return out, len(data) - kept


def _frames(data: bytes) -> Iterator[tuple[bytes, int]]:
    """Yield every whole frame's content and its size; what is broken is passed over to the next frame's mark."""
    view, at = memoryview(data), 0
    while 0 <= at < len(data):
        decoder = zstandard.ZstdDecompressor().decompressobj()
        text, fed = b"", at
        try:
            while not decoder.eof and fed < len(data):
                text += decoder.decompress(view[fed : fed + _CHUNK])
                fed = min(fed + _CHUNK, len(data))
        except zstandard.ZstdError:
            at = data.find(_MAGIC, at + 1)
            continue
        if not decoder.eof:
            at = data.find(_MAGIC, at + 1)
            continue
        end = fed - len(decoder.unused_data)
        yield text, end - at
        at = end


def gather(paths: Sequence[Path]) -> tuple[list[Trajectory], int, int]:
    """Return the episodes of files and of folders' files, each once; how many were there twice; the bytes lost.

    Raises:
        FileNotFoundError: a path is not there, or a folder holds no trajectories.
    """
    files: list[Path] = []
    for path in paths:
        found = sorted(path.rglob(f"*{SUFFIX}")) if path.is_dir() else [path]
        if not found:
            raise FileNotFoundError(f"{path}: no {SUFFIX} in this folder")
        files += found
    parts = [read(f) for f in files]
    every = [t for part, _ in parts for t in part]
    kept = unique(every)
    return kept, len(every) - len(kept), sum(lost for _, lost in parts)


def unique(trajectories: Iterable[Trajectory]) -> list[Trajectory]:
    """Return the first of every episode; two are one where world, options, task, seed and actions are the same."""
    out: dict[str, Trajectory] = {}
    for t in trajectories:
        out.setdefault(json.dumps([t.env, t.kwargs, t.task, t.seed, t.actions], sort_keys=True), t)
    return list(out.values())


def select(
    trajectories: Iterable[Trajectory],
    *,
    env: str | None = None,
    kind: str | None = None,
    agent: str | None = None,
    success: bool | None = None,
    score: float | None = None,
) -> list[Trajectory]:
    """Return the episodes that are of the named world, kind and agent, of that success, and of at least that score."""
    wanted = {"env": env, "kind": kind, "agent": agent, "success": success}
    out = []
    for t in trajectories:
        fits = all(value is None or getattr(t, name) == value for name, value in wanted.items())
        if fits and (score is None or t.score >= score):
            out.append(t)
    return out


def by_task(
    trajectories: Iterable[Trajectory], shares: Mapping[str, float], seed: int = 0
) -> dict[str, list[Trajectory]]:
    """Split episodes so that all of a task lie in one part, the same one whatever else is in the store.

    shares: of each part, by name; they sum to 1. The part of a task is drawn from a hash of seed, world and task.

    Raises:
        ValueError: a share is negative, or they do not sum to 1.
    """
    if not all(s >= 0 for s in shares.values()) or not abs(sum(shares.values()) - 1) <= 1e-9:
        raise ValueError(f"shares {dict(shares)}: need numbers that are not negative and sum to 1")
    out: dict[str, list[Trajectory]] = {name: [] for name in shares}
    for t in trajectories:
        digest = hashlib.sha256(f"{seed}\0{t.env}\0{t.task}".encode()).digest()
        place = int.from_bytes(digest[:8], "big") / 2**64
        ends = accumulate(shares.values())
        out[next((name for name, end in zip(shares, ends, strict=True) if place < end), list(shares)[-1])].append(t)
    return out


def read_shares(text: str) -> dict[str, float]:
    """Return the shares of train, valid and test, as typed: "0.8,0.1,0.1".

    >>> read_shares("0.8,0.1,0.1")
    {'train': 0.8, 'valid': 0.1, 'test': 0.1}
    """
    try:
        return dict(zip(SPLITS, map(float, text.split(",")), strict=True))
    except ValueError:
        raise ValueError(f"shares {text!r}: write three numbers, as 0.8,0.1,0.1, for {', '.join(SPLITS)}") from None
