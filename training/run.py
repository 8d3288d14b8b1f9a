"""The directory of a run: what was asked, what happened, what was learned; every file whole at every instant."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Iterable
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any

from ..memory.store import read, write
from ..memory.trajectory import Trajectory

VERSIONED = ("torch", "transformers", "peft", "trl", "gymnasium", "numpy")


class RunDir:
    """`config.json`, `metrics.jsonl`, `trajectories/`, `checkpoints/`, `iterations/`, `result.json`, `report.html`.

    An iteration is over when its file in `iterations/` exists; each of its parts is there whole or not at all, so a
    run that was killed goes on from the last whole part.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def create(cls, path: Path, config: dict[str, Any]) -> RunDir:
        """Make the directory, or take up one of the same configuration.

        Raises:
            ValueError: the directory holds a run of another configuration; names the first difference.
        """
        run = cls(path)
        if (path / "config.json").is_file():
            run.expect(config)
        else:
            for name in ("trajectories", "checkpoints", "iterations"):
                (path / name).mkdir(parents=True, exist_ok=True)
            save_json(path / "config.json", config | {"versions": versions()})
        return run

    def config(self) -> dict[str, Any]:
        """Return what the run was asked to do.

        Raises:
            FileNotFoundError: this is no run directory.
        """
        file = self.path / "config.json"
        if not file.is_file():
            raise FileNotFoundError(f"{self.path}: no run directory (it has no config.json)")
        row: dict[str, Any] = json.loads(file.read_text())
        return row

    def expect(self, config: dict[str, Any]) -> None:
        """Raise where this run was started with another configuration."""
        held = self.config()
        for key, value in json.loads(json.dumps(config)).items():
            if held.get(key) != value:
                raise ValueError(
                    f"{self.path}: that run has {key}={held.get(key)!r}, not {value!r}; give another --out, or the same settings"
                )

    def part(self, folder: str, name: str) -> Path:
        """Return the path of a part; it exists when the part is whole."""
        return self.path / folder / name

    def stored(self, name: str) -> list[Trajectory]:
        """Return trajectories that must be there.

        Raises:
            FileNotFoundError: they are not; training without them would be another run. ValueError: some are damaged.
        """
        file = self.part("trajectories", f"{name}.jsonl.zst")
        if not file.is_file():
            raise FileNotFoundError(f"{file}: the episodes of an earlier round are gone; begin a new run")
        return _whole(file)

    def trajectories(self, name: str, make: Callable[[], Iterable[Trajectory]]) -> list[Trajectory]:
        """Return stored trajectories, or make and store them.

        Raises:
            ValueError: stored ones are damaged.
        """
        file = self.part("trajectories", f"{name}.jsonl.zst")
        if not file.is_file():
            write(file, make())
        return _whole(file)

    def checkpoint(self, k: int, save: Callable[[Path], None]) -> Path:
        """Return iteration k's checkpoint folder, made whole by `save` if it is not there."""
        return save_folder(self.part("checkpoints", f"{k:02d}"), save)

    def iteration(self, k: int) -> dict[str, Any] | None:
        """Return what iteration k came to, None while it is not over."""
        file = self.part("iterations", f"{k:02d}.json")
        return json.loads(file.read_text()) if file.is_file() else None

    def finish_iteration(self, k: int, row: dict[str, Any]) -> None:
        """Record that iteration k is over."""
        save_json(self.part("iterations", f"{k:02d}.json"), row)

    def before(self) -> dict[str, Any] | None:
        """Return the evaluation of the student before it learned anything, None where the run has none."""
        file = self.path / "before.json"
        return json.loads(file.read_text()) if file.is_file() else None

    def adopt(self, other: RunDir, k: int) -> None:
        """Take over iteration k of a run that did the same until then, part by whole part; that it is over comes last."""
        self.forget_metrics(k)
        for folder, name in (("trajectories", f"{k:02d}-*"), ("checkpoints", f"{k:02d}"), ("iterations", f"{k:02d}.*")):
            for part in sorted(other.path.joinpath(folder).glob(name)):  # 00.fit before 00.json
                target = self.part(folder, part.name)
                if part.is_dir():
                    save_folder(target, partial(_copy_into, part))
                else:
                    draft = target.with_name(target.name + ".part")
                    shutil.copyfile(part, draft)
                    os.replace(draft, target)
        for row in map(_row, (other.path / "metrics.jsonl").read_text().splitlines()):
            if row and row.get("iteration") == k:
                self.log(row)

    def iterations(self) -> list[dict[str, Any]]:
        """Return every finished iteration in order."""
        return [json.loads(f.read_text()) for f in _by_number(self.path / "iterations", "*.json")]

    def log(self, row: dict[str, Any]) -> None:
        """Append a row to metrics.jsonl."""
        with (self.path / "metrics.jsonl").open("a") as handle:
            handle.write(json.dumps(row) + "\n")

    def forget_metrics(self, first: int) -> None:
        """Drop the rows of iterations from `first` on, so that a resumed run writes them once."""
        file = self.path / "metrics.jsonl"
        if file.is_file():
            rows = [r for r in map(_row, file.read_text().splitlines()) if r and r.get("iteration", 0) < first]
            save_text(file, "".join(json.dumps(r) + "\n" for r in rows))

    def latest(self) -> Path:
        """Return the newest checkpoint.

        Raises:
            FileNotFoundError: there is none yet.
        """
        found = [p for p in _by_number(self.path / "checkpoints", "*") if p.suffix != ".part"]
        if not found:
            raise FileNotFoundError(
                f"{self.path}: no checkpoint yet; resume it with `agentgym train --resume {self.path}`"
            )
        return found[-1]


def _whole(file: Path) -> list[Trajectory]:
    rows, lost = read(file)
    if lost:
        raise ValueError(
            f"{file}: {lost} bytes are damaged, {len(rows)} episodes are left; training on these would be another run: "
            "begin a new one, or bring the file back"
        )
    return rows


def _row(line: str) -> dict[str, Any] | None:
    try:
        row: dict[str, Any] = json.loads(line)
    except json.JSONDecodeError:
        return None  # the torn last line of a killed run
    return row


def save_text(path: Path, text: str) -> None:
    """Write a file so that it is the old one or the new one, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(path.name + ".part")
    with draft.open("w", encoding="utf-8") as handle:
        handle.write(text)
        handle.flush()
        os.fsync(handle.fileno())
    os.replace(draft, path)


def _by_number(folder: Path, pattern: str) -> list[Path]:
    """A folder's rounds in order, the hundredth behind the ninety-ninth."""
    return sorted(folder.glob(pattern), key=lambda p: int(p.name.partition(".")[0]))


def _copy_into(source: Path, target: Path) -> None:
    shutil.copytree(source, target, dirs_exist_ok=True)


def save_folder(final: Path, save: Callable[[Path], None]) -> Path:
    """Return a folder, made whole by `save` if it is not there."""
    if not final.is_dir():
        draft = final.with_name(final.name + ".part")
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(parents=True)
        save(draft)
        for file in draft.rglob("*"):
            if file.is_file():
                with file.open("rb") as handle:
                    os.fsync(handle.fileno())
        os.replace(draft, final)
    return final


def save_json(path: Path, row: Any) -> None:
    """Write JSON atomically."""
    save_text(path, json.dumps(row, indent=1) + "\n")


def kept(file: Path, make: Callable[[], dict[str, Any]], **marks: Any) -> dict[str, Any]:
    """Return the JSON object in a file, or if there is none what is made now, which is written there.

    Raises:
        ValueError: the object lacks these marks, so it is of another measurement.
    """
    marks = json.loads(json.dumps(marks))
    if file.is_file():
        held: dict[str, Any] = json.loads(file.read_text())
        if held | marks != held:
            raise ValueError(
                f"{file}: was measured with other settings (--quick, or an older version); give another --out"
            )
        return held
    row = make()
    save_json(file, row)
    return row


def versions() -> dict[str, str]:
    """Return the versions of what the numbers depend on."""
    out = {}
    for name in VERSIONED:
        try:
            out[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            out[name] = "absent"
    return out


def default_path(env: str, method: str) -> Path:
    """Return `runs/<env>-<method>-<time>`."""
    name = env.replace("/", "_").replace(":", "-").removesuffix(".py")
    return Path("runs") / f"{name}-{method}-{time.strftime('%Y%m%d-%H%M%S')}"


__all__ = ["RunDir", "default_path", "save_folder", "save_json", "save_text", "versions"]
