"""Procedural file trees and tasks: any number, six kinds, a gold command each.

The trees of `test` have names and words of their own.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import Any

import numpy as np

from .tree import Entry

KINDS = ("count", "find", "text", "edit", "move", "chain")
SIZES = {"train": 2000, "valid": 200, "test": 200}
ROOT = "/testbed"
_LEVELS = ("ERROR", "INFO", "WARN")
_PEOPLE = ("ann", "ben", "cleo", "dov", "eva", "finn", "gus", "ida")
_COLUMNS = ("name", "group", "amount")


@dataclass(frozen=True, slots=True)
class Task:
    """A task in words, the command that does it, its kind, the files at the start and where they lie."""

    text: str
    gold: str
    kind: str
    tree: dict[str, Entry]
    root: str = ROOT


@lru_cache(maxsize=2)
def _data(name: str) -> dict[str, Any]:
    rows: dict[str, Any] = json.loads(resources.files(__package__).joinpath(name).read_text(encoding="utf-8"))
    return rows


def themes(split: str) -> list[str]:
    """Return the names of the themes of a split."""
    drawn = "test" if split == "test" else "train"
    return [name for name, theme in _data("themes.json").items() if theme["split"] == drawn]


def templates() -> dict[str, list[dict[str, str]]]:
    """Return the tasks' patterns by kind: `ask` in words and the `gold` command, with the same slots."""
    return _data("tasks.json")


def _content(ext: str, words: list[str], rng: np.random.Generator) -> str:
    def some(n: int) -> str:
        return " ".join(words[i] for i in rng.integers(len(words), size=n))

    lines = range(int(rng.integers(4, 12)))
    if ext == "log":
        rows = [f"{_LEVELS[i % 3 if i < 3 else int(rng.integers(3))]} {some(3)}" for i in lines]
    elif ext == "csv":
        people = rng.choice(_PEOPLE, size=len(lines))
        rows = [",".join(_COLUMNS), *(f"{p},{words[int(rng.integers(4))]},{int(rng.integers(1, 90))}" for p in people)]
    elif ext == "sh":
        rows = ["#!/bin/sh", f"echo {some(2)}"]
    else:
        rows = [some(int(rng.integers(2, 6))) for _ in lines]
    return "\n".join(rows) + "\n"


def _grow(theme: dict[str, Any], rng: np.random.Generator) -> dict[str, Entry]:
    """Return a tree: three folders with one or two in each, one of those empty; 13 files, no two of one length or name."""
    tops = [str(t) for t in rng.permutation(theme["folders"])[:3]]
    inner = [f"{top}/{name}" for top in tops for name in rng.permutation(theme["inner"])[: int(rng.integers(1, 3))]]
    empty = inner[int(rng.integers(len(inner)))]
    places = [f for f in (*tops, *inner) if f != empty]
    tree = {folder: Entry.folder() for folder in (*tops, *inner)}
    kinds = ["txt"] * 3 + ["log", "csv", "sh", "sh"] + [str(k) for k in rng.choice(["txt", "md", "log"], size=6)]
    sizes: set[int] = set()
    names: set[str] = set()
    for i, kind in enumerate(kinds):
        stem = name = theme["stems"][int(rng.integers(len(theme["stems"])))]
        while f"{name}.{kind}" in names:
            name = f"{stem}{len(names)}"
        names.add(f"{name}.{kind}")
        text = _content(kind, theme["words"], rng)
        while len(text) in sizes:
            text = _content(kind, theme["words"], rng)
        sizes.add(len(text))
        place = tops[i] if i < 3 else places[int(rng.integers(len(places)))]
        tree[f"{place}/{name}.{kind}"] = Entry.file(text, executable=kind == "sh")
    return tree


def _slots(tree: dict[str, Entry], theme: dict[str, Any], rng: np.random.Generator) -> dict[str, object]:
    def one(rows: list[str]) -> str:
        return str(rows[int(rng.integers(len(rows)))])

    files = sorted(p for p in tree if "." in p)
    text = one([p for p in files if p.endswith(".txt")])
    lines = tree[text].data.decode().splitlines()
    found = one(files)
    folder = found.rpartition("/")[0]
    index = int(rng.integers(2))
    here = set(tree[text].data.decode().split())
    names = {p.rpartition("/")[2].partition(".")[0] for p in tree}
    return {
        "text": f"{ROOT}/{text}",
        "word": one(sorted(here)),
        "other": one([w for w in theme["words"] if w not in here | names] or ["extra"]),
        "n": int(rng.integers(2, len(lines))),
        "log": f"{ROOT}/{one([p for p in files if p.endswith('.log')])}",
        "level": one(list(_LEVELS)),
        "csv": f"{ROOT}/{one([p for p in files if p.endswith('.csv')])}",
        "column": _COLUMNS[index],
        "index": index + 1,
        "dir": f"{ROOT}/{one([folder, folder.split('/')[0]])}",
        "ext": found.rpartition(".")[2],
        "top": f"{ROOT}/{one(sorted({p.split('/')[0] for p in tree}))}",
        "new": f"{ROOT}/{folder}/{one([s for s in theme['stems'] if s not in names] or ['fresh'])}.txt",
    }


@lru_cache(maxsize=1024)
def make(split: str, index: int, seed: int = 0) -> Task:
    """Return task `index` of a split; the same arguments give the same files. Kinds go round."""
    if split not in SIZES or index < 0:
        raise ValueError(f"task {index} of split {split!r}: the splits are {sorted(SIZES)}, an index is 0 or more")
    rng = np.random.default_rng([seed, list(SIZES).index(split), index])
    names = themes(split)
    theme = _data("themes.json")[names[int(rng.integers(len(names)))]]
    tree = _grow(theme, rng)
    kind = KINDS[index % len(KINDS)]
    legal = templates()[kind]
    template = legal[int(rng.integers(len(legal)))]
    slots = _slots(tree, theme, rng)
    return Task(template["ask"].format(**slots), template["gold"].format(**slots), kind, tree)
