"""Trajectories on disk: compressed lines of JSON, each record a frame of its own.

A file that a kill cut short keeps every record before the cut; reading says how many bytes were lost.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import zstandard

from .trajectory import Trajectory


def _frame(trajectory: Trajectory) -> bytes:
    return zstandard.ZstdCompressor(level=6, write_checksum=True).compress(trajectory.to_json().encode() + b"\n")


def write(path: Path, trajectories: Iterable[Trajectory]) -> None:
    """Write a whole file atomically: it is the old one or the new one, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(path.name + ".part")
    with draft.open("wb") as handle:
        for trajectory in trajectories:
            handle.write(_frame(trajectory))
        handle.flush()
        os.fsync(handle.fileno())
    os.replace(draft, path)


def append(path: Path, trajectory: Trajectory) -> None:
    """Add one record and flush it to the disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as handle:
        handle.write(_frame(trajectory))
        handle.flush()
        os.fsync(handle.fileno())


def read(path: Path) -> tuple[list[Trajectory], int]:
    """Return the intact records and the number of bytes lost at the end.

    Raises:
        FileNotFoundError: there is no such file. ValueError: the file holds no intact record though it is not empty.
    """
    data = path.read_bytes()
    out: list[Trajectory] = []
    at = 0
    while at < len(data):
        decoder = zstandard.ZstdDecompressor().decompressobj()
        try:
            text = decoder.decompress(data[at:])
            if not decoder.eof:
                break
            out.append(Trajectory.from_json(text.decode()))
        except (zstandard.ZstdError, ValueError, KeyError, TypeError):
            break
        at = len(data) - len(decoder.unused_data)
    if data and not out:
        raise ValueError(
            f"{path}: no readable trajectory in {len(data)} bytes; is it a .jsonl.zst that agentgym wrote?"
        )
    return out, len(data) - at
