"""The shop: products, prices, search and goals, read from official files or from a generated catalogue."""

from __future__ import annotations

import gzip
import json
import lzma
import os
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from ..search import Index
from . import catalogue
from .goals import Draw, Goal, bounds, human_goals, in_sequence, keyed, ordered, price_of, synthetic_goals
from .product import Product, Record, read_products

HITS = 50
GOALS = ("human", "synthetic")
_OPEN: dict[str, Callable[..., Any]] = {".json": open, ".gz": gzip.open, ".xz": lzma.open}


class Shop:
    """What does not change during an episode; environments of the same catalogue share one."""

    def __init__(self, products: Mapping[str, Product], prices: Mapping[str, float], goals: Mapping[str, Goal]) -> None:
        self.products, self.prices, self.goals = products, prices, goals
        self.splits: dict[str, list[str]] = {"train": [], "valid": [], "test": []}
        for task in goals:
            self.splits[task.split("/")[0]].append(task)
        index = Index(list(products), [p.document for p in products.values()])
        self.search: Callable[[str], tuple[str, ...]] = lru_cache(maxsize=1 << 14)(
            lambda q: tuple(index.search(q, HITS))
        )

    def charset(self) -> str:
        """Return every character that a page or an action may hold."""
        seen: set[str] = set()
        for p in self.products.values():
            seen.update(
                p.text, p.title, p.description, *p.bullets, *p.options, *(v for o in p.options.values() for v in o)
            )
        for g in self.goals.values():
            seen.update(g.instruction)
        return "".join(sorted(seen))


def _prices(products: Mapping[str, Product], draw: Draw) -> dict[str, float]:
    return {asin: price_of(p, draw) for asin, p in products.items()}


@lru_cache(maxsize=4)
def generated(products: int, seed: int, sizes: tuple[int, int, int]) -> Shop:
    """Return a shop of made-up goods; `sizes` are the goals of train, valid and test."""
    records, listed, said = catalogue.generate(
        products, seed, dict(zip(("train", "valid", "test"), sizes, strict=True))
    )
    goods = read_products(records, listed)
    draw = keyed(seed)
    prices = _prices(goods, draw)
    goals = {g.id: g for g in human_goals(goods, said, prices, draw)}
    return Shop(goods, prices, {task: goals[task] for task in sorted(goals)})


@lru_cache(maxsize=4)
def official(folder: Path, products: int | None, goals: str, seed: int, compat: bool) -> Shop:
    """Return a shop of the benchmark's files: the first `products` of them, with people's goals or templated ones.

    Raises:
        FileNotFoundError: a file is not there; names the folder and where the files come from.
        ValueError: the files hold too few goals to split.
    """
    small = products is not None and products <= 1000
    listed: Mapping[str, Record] = _read(folder, "items_ins_v2", small)
    goods = read_products(_read(folder, "items_shuffle", small)[:products], listed)
    draw = (in_sequence if compat else keyed)(seed)
    prices = _prices(goods, draw)
    if goals == "human":
        asked = ordered(human_goals(goods, _read(folder, "items_human_ins", small), prices, draw))
    else:
        asked = ordered(synthetic_goals(goods, listed, prices, draw))
    if len(asked) < 5:
        raise ValueError(
            f"{folder}: {len(asked)} goals of kind {goals!r} for {len(goods)} products; take more products"
        )
    splits = bounds(len(asked))
    return Shop(goods, prices, {f"{s}/{i:05d}": asked[i] for s in ("train", "valid", "test") for i in splits[s]})


def _read(folder: Path, stem: str, small: bool) -> Any:
    """Return the content of an official file, plain or packed; of two sizes the one that suffices."""
    found = [f for f in sorted(folder.glob(f"{stem}*.json*")) if f.suffix in _OPEN]
    if not found:
        raise FileNotFoundError(f"{folder}: holds no {stem}*.json; WebShop's setup.sh downloads the official files")
    file = min(found, key=lambda f: ("1000" in f.name) != small)
    with _OPEN[file.suffix](file, "rt", encoding="utf-8") as stream:
        return json.load(stream)


def data_folder(named: str | None) -> Path:
    """Return the folder of the official files: the one named, else the variable AGENTGYM_WEBSHOP_DATA."""
    folder = named or os.environ.get("AGENTGYM_WEBSHOP_DATA")
    if not folder:
        raise FileNotFoundError(
            "official catalogue: no folder given; set AGENTGYM_WEBSHOP_DATA or --set env.data=FOLDER to the folder of "
            "items_shuffle.json, items_ins_v2.json and items_human_ins.json"
        )
    path = Path(folder).expanduser()
    if not path.is_dir():
        raise FileNotFoundError(f"{path}: no such folder of WebShop's files")
    return path
