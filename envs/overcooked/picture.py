"""What a kitchen looks like: as text for a cook, as a map, as an image."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from .actions import Kitchen, mixture
from .engine import DISH, ONION, SOUP, TOMATO_ITEM, State
from .layout import TOMATO, items

_LETTER = {0: " ", ONION: "o", TOMATO_ITEM: "t", DISH: "d"}
HEADING = "^v><"
LEGEND = (
    "Map: a cook is its number, its heading ^v>< and what it holds (o onion, t tomato, d dish, s soup); X counter with "
    "what lies on it; O onions, T tomatoes, D dishes, S serving counter; P pot with its items and . idle, ~ cooking, ! ready."
)
_TILE = 16
_PAINT = {
    " ": (214, 205, 190), "X": (139, 105, 74), "O": (139, 105, 74), "T": (139, 105, 74), "D": (139, 105, 74),
    "P": (60, 60, 64), "S": (120, 160, 120),
}  # fmt: skip
_THINGS = {"o": (240, 200, 60), "t": (215, 50, 40), "d": (245, 245, 245), "s": (235, 130, 30)}
_COOKS = ((50, 90, 200), (40, 150, 70), (170, 60, 160), (200, 120, 40))


def letter(item: int) -> str:
    """Return the letter of what is held or lies."""
    return "s" if item >= SOUP else _LETTER[item]


def grid(kitchen: Kitchen, state: State) -> str:
    """Return the map, three letters a cell."""
    engine = kitchen.engine
    cooks = {
        engine.cell(p): f"{i}{HEADING[p & 3]}{letter(h)}"
        for i, (p, h) in enumerate(zip(state.poses, state.hands, strict=True), 1)
    }
    rows = []
    for y, row in enumerate(engine.layout.rows):
        tiles = []
        for x, terrain in enumerate(row):
            slot = engine.slot.get((x, y))
            if (x, y) in cooks:
                tiles.append(cooks[x, y])
            elif terrain == "P" and slot is not None:
                pot = state.shelf[slot]
                mark = "!" if engine.ready(pot) else "~" if pot >= 16 else "."
                tiles.append(f"P{items(pot & 15)}{mark}")
            else:
                tiles.append(f"{terrain} {letter(state.shelf[slot]) if slot is not None else ' '}")
        rows.append(" ".join(tiles).rstrip())
    return "\n".join(rows)


def pots_and_counters(kitchen: Kitchen, state: State) -> Iterable[str]:
    """Yield a sentence for every pot and for every counter on which something lies."""
    engine = kitchen.engine
    single = len(engine.layout.orders()) == 1
    for name, cell in kitchen.at.items():
        if cell not in engine.slot:
            continue
        inside = state.shelf[engine.slot[cell]]
        if kitchen.kinds[cell] == "counter":
            if inside:
                yield f"{name}: {kitchen.thing(inside)}."
            continue
        left = engine.left(inside)
        what = kitchen.thing(SOUP + (inside & 15)) if inside and single else f"soup of {mixture(inside & 15)}"
        if not inside:
            yield f"{name}: empty."
        elif left is None:
            yield f"{name}: {mixture(inside)}."
        else:
            yield f"{name}: {what}, ready." if left == 0 else f"{name}: {what}, cooking, {left} ticks left."


def image(kitchen: Kitchen, state: State) -> NDArray[np.uint8]:
    """Return a picture, (16 * rows, 16 * columns, 3): squares for things, a bar towards a cook's heading."""
    engine = kitchen.engine
    rows = engine.layout.rows
    out = np.zeros((_TILE * len(rows), _TILE * len(rows[0]), 3), dtype=np.uint8)

    def paint(x: int, y: int, colour: tuple[int, int, int], box: tuple[int, int, int, int]) -> None:
        left, top, right, bottom = box
        out[_TILE * y + top : _TILE * y + bottom, _TILE * x + left : _TILE * x + right] = colour

    for y, row in enumerate(rows):
        for x, terrain in enumerate(row):
            paint(x, y, _PAINT[terrain], (0, 0, 15, 15))
            if terrain in "OTD":
                paint(x, y, _THINGS[terrain.lower()], (4, 4, 11, 11))
    for (x, y), slot in engine.slot.items():
        inside = state.shelf[slot]
        if rows[y][x] == "P":
            for n in range(items(inside & 15)):
                paint(x, y, _THINGS["o" if n < inside % TOMATO else "t"], (2 + 4 * n, 2, 5 + 4 * n, 6))
            left = engine.left(inside)
            if left is not None:
                whole = engine.layout.ticks[inside & 15]
                paint(x, y, (80, 220, 80), (1, 10, 1 + round(13 * (whole - left) / whole), 13))
        elif inside:
            paint(x, y, _THINGS[letter(inside)], (5, 5, 10, 10))
    bars = ((5, 0, 10, 3), (5, 12, 10, 15), (12, 5, 15, 10), (0, 5, 3, 10))
    for i, (pose, held) in enumerate(zip(state.poses, state.hands, strict=True)):
        x, y = engine.cell(pose)
        paint(x, y, _COOKS[i % len(_COOKS)], (2, 2, 13, 13))
        paint(x, y, (20, 20, 20), bars[pose & 3])
        if held:
            paint(x, y, _THINGS[letter(held)], (5, 5, 10, 10))
    return out
