"""Screenshots without a graphics library: boxes, and text in a font of three by five dots (capitals only)."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from .apps import data
from .core import Screen

SCALE = 4  # screen pixels a picture pixel
_DOT = 2  # picture pixels a dot of the font
_COLOURS = {
    "title": (32, 64, 120), "button": (140, 190, 240), "edit": (255, 250, 205), "switch": (205, 235, 205),
    "radio": (225, 215, 240), "item": (240, 240, 240), "line": (250, 250, 250),
}  # fmt: skip
_INK = {"title": (255, 255, 255)}


@lru_cache(maxsize=1)
def _font() -> dict[str, NDArray[np.bool_]]:
    """Return every glyph as (5, 4) dots, the last column empty; the file has one octal digit a row."""
    out = {}
    for letter, rows in data("font.json").items():
        dots = [[int(r) >> 2 & 1, int(r) >> 1 & 1, int(r) & 1, 0] for r in rows]
        out[letter] = np.array(dots, dtype=np.bool_)
    return out


@lru_cache(maxsize=4096)
def _line(text: str) -> NDArray[np.bool_]:
    """Return a text as a mask, shape (10, 8 letters)."""
    font = _font()
    dots = np.concatenate([font.get(c, font["?"]) for c in text.upper()] or [font[" "]], axis=1)
    return dots.repeat(_DOT, axis=0).repeat(_DOT, axis=1)


def draw(screen: Screen, size: tuple[int, int]) -> NDArray[np.uint8]:
    """Return a screen as a picture.

    Args:
        screen: what to draw.
        size: width and height of the device in pixels.
    Returns:
        shape (height / 4, width / 4, 3), 0 to 255.
    """
    width, height = size[0] // SCALE, size[1] // SCALE
    picture = np.full((height, width, 3), 255, dtype=np.uint8)
    for e in screen.elements:
        left, top, right, bottom = (v // SCALE for v in e.box)
        box = picture[top:bottom, left:right]
        box[:] = _COLOURS.get(e.kind, (255, 255, 255))
        box[0] = box[-1] = (200, 40, 40) if e.focused else (170, 170, 170)
        if e.kind in ("switch", "radio") and box.shape[1] > 30:
            box[6:-6, -24:-6] = (20, 140, 40) if e.value == "on" else (150, 150, 150)
        words = f"{e.text}: {e.value}" if e.kind in ("edit", "line") else e.text
        mask = _line(words)[: box.shape[0] - 8, : box.shape[1] - 8]
        box[8 : 8 + mask.shape[0], 4 : 4 + mask.shape[1]][mask] = _INK.get(e.kind, (0, 0, 0))
    if screen.above:
        picture[20:26] = (120, 120, 120)
    if screen.below:
        picture[-12:-6] = (120, 120, 120)
    return picture
