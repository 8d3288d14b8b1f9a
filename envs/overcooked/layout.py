"""A kitchen's plan and menu, read from Overcooked-AI's `.layout` files."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Any

from ..errors import unknown

PAPER = ("cramped_room", "asymmetric_advantages", "coordination_ring", "forced_coordination", "counter_circuit")
TERRAIN = {
    " ": "floor", "X": "counter", "O": "onion dispenser", "T": "tomato dispenser", "D": "dish dispenser", "P": "pot",
    "S": "serving counter",
}  # fmt: skip
CAPACITY = 3  # what a pot takes
TOMATO = 4  # a mix is onions + TOMATO * tomatoes
MIXES = tuple(o + TOMATO * t for o in range(CAPACITY + 1) for t in range(CAPACITY + 1 - o) if o + t)
_STANDARD = 20  # points of a soup and ticks of cooking where a layout says nothing
_KEYS = frozenset({
    "grid", "start_all_orders", "start_bonus_orders", "order_bonus", "rew_shaping_params", "cook_time", "layout_name",
    "delivery_reward", "recipe_values", "recipe_times", "onion_value", "tomato_value", "onion_time", "tomato_time",
})  # fmt: skip
Cell = tuple[int, int]
"""(x, y), y downwards."""


def items(mix: int) -> int:
    """Return how many ingredients are in a mix.

    >>> items(2 + TOMATO)
    3
    """
    return mix % TOMATO + mix // TOMATO


@dataclass(frozen=True, slots=True)
class Layout:
    """A kitchen. rows: terrain letters. starts: each cook's cell. worth, ticks: of a soup, by mix; worth 0: not ordered."""

    name: str
    rows: tuple[str, ...]
    starts: tuple[Cell, ...]
    worth: tuple[int, ...]
    ticks: tuple[int, ...]
    shaping: tuple[int, int, int] = (3, 3, 5)
    """Points of reward shaping for an ingredient potted, a useful dish taken, a soup taken."""

    def orders(self) -> tuple[int, ...]:
        """Return the mixes that earn points."""
        return tuple(m for m in MIXES if self.worth[m])

    def cells(self, kind: str) -> tuple[Cell, ...]:
        """Return the cells of a kind, row by row."""
        letter = next(k for k, v in TERRAIN.items() if v == kind)
        return tuple((x, y) for y, row in enumerate(self.rows) for x, c in enumerate(row) if c == letter)

    def cooking(self, onions: int | None = None, ticks: int | None = None) -> Layout:
        """Return the kitchen with one order, a soup of so many onions, or with another time of cooking."""
        new = self
        if onions is not None:
            if not 1 <= onions <= CAPACITY:
                raise ValueError(f"onions={onions}: a soup takes 1 to {CAPACITY}")
            new = replace(new, worth=tuple(max(self.worth) if m == onions else 0 for m in range(16)))
        if ticks is not None:
            if ticks < 1:
                raise ValueError(f"cook_time={ticks}: needs at least 1")
            new = replace(new, ticks=(ticks,) * 16)
        return new


def load(name: str) -> Layout:
    """Return a kitchen by its paper name, or from the path of a `.layout` file.

    >>> load("cramped_room").rows
    ('XXPXX', 'O   O', 'X   X', 'XDXSX')
    """
    if name in PAPER:
        file = resources.files(__package__).joinpath("layouts", f"{name}.layout")
        return parse(file.read_text(encoding="utf-8"), name)
    if name.endswith(".layout"):
        path = Path(name).expanduser()
        return parse(path.read_text(encoding="utf-8"), path.stem)
    raise unknown("layout", name, [*PAPER, "FILE.layout"])


def parse(text: str, name: str) -> Layout:
    """Return the kitchen that the text of a `.layout` file describes.

    Source: Overcooked-AI, arXiv 1910.05789; every key of its format but `start_state`.

    Raises:
        ValueError: the text is no such file; says what is wrong.
    """
    try:
        raw = ast.literal_eval(text)
        grid = [row.strip() for row in raw["grid"].split("\n")]
    except (ValueError, SyntaxError, TypeError, KeyError, AttributeError):
        raise ValueError(f'layout {name!r}: not a literal with a "grid"; see layouts/cramped_room.layout') from None
    strange = sorted(set(raw) - _KEYS)
    if strange:
        raise ValueError(f"layout {name!r}: {strange[0]!r} is not supported; there are {', '.join(sorted(_KEYS))}")
    starts = _starts(grid, name)
    rows = tuple("".join(" " if c.isdigit() else c for c in row) for row in grid)
    _enclosed(rows, name)
    orders = [_mix(order, name) for order in raw.get("start_all_orders") or ()]
    bonus = {_mix(order, name) for order in raw.get("start_bonus_orders") or ()}
    points = _by_mix(raw, orders, "delivery_reward", "recipe_values", "value")
    extra = raw.get("order_bonus", 2)
    worth = [p * (extra if m in bonus else 1) if m in (orders or MIXES) else 0 for m, p in enumerate(points)]
    shaping = raw.get("rew_shaping_params") or {}
    return Layout(
        name, rows, starts, tuple(worth), _by_mix(raw, orders, "cook_time", "recipe_times", "time"),
        (
            shaping.get("PLACEMENT_IN_POT_REW", 3), shaping.get("DISH_PICKUP_REWARD", 3),
            shaping.get("SOUP_PICKUP_REWARD", 5),
        ),
    )  # fmt: skip


def _starts(grid: Sequence[str], name: str) -> tuple[Cell, ...]:
    found = {c: (x, y) for y, row in enumerate(grid) for x, c in enumerate(row) if c.isdigit()}
    digits = "".join(sorted(c for row in grid for c in row if c.isdigit()))
    if not digits or digits != "123456789"[: len(digits)]:
        raise ValueError(f"layout {name!r}: cooks {digits!r}; number their starts 1, 2, ... once each")
    return tuple(found[c] for c in digits)


def _enclosed(rows: Sequence[str], name: str) -> None:
    if len({len(row) for row in rows}) != 1:
        raise ValueError(f"layout {name!r}: its rows differ in length")
    strange = sorted({c for row in rows for c in row} - set(TERRAIN))
    if strange:
        raise ValueError(f"layout {name!r}: no terrain is {strange[0]!r}; there are {', '.join(TERRAIN)!r} and 1 to 9")
    if " " in rows[0] + rows[-1] + "".join(row[0] + row[-1] for row in rows):
        raise ValueError(f"layout {name!r}: its edge is open; close it with X")


def _mix(order: Mapping[str, Sequence[str]], name: str) -> int:
    inside = list(order["ingredients"])
    if not 1 <= len(inside) <= CAPACITY or set(inside) - {"onion", "tomato"}:
        raise ValueError(f"layout {name!r}: no recipe is {inside}; write 1 to {CAPACITY} of onion and tomato")
    return inside.count("onion") + TOMATO * inside.count("tomato")


def _by_mix(raw: Mapping[str, Any], orders: Sequence[int], one: str, listed: str, each: str) -> tuple[int, ...]:
    """Return a number for every mix: the same for all, from a list beside the orders, or a sum over ingredients."""
    if raw.get(one):
        return (raw[one],) * 16
    table = dict(zip(orders, raw.get(listed) or (), strict=False))
    onion, tomato = raw.get(f"onion_{each}"), raw.get(f"tomato_{each}")
    if onion and tomato:
        return tuple(table.get(m, m % TOMATO * onion + m // TOMATO * tomato) for m in range(16))
    return tuple(table.get(m, _STANDARD) for m in range(16))
