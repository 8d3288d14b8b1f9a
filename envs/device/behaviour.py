"""How a user of a phone is wrong in the same way every time: the mistakes to collect offline data with.

On a share of the pages a user prefers one wrong action, always the same one whatever the task.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence

from .noise import uniform
from .searcher import read_screen


def habit(seed: int, observation: str, admissible: Sequence[str], p_wrong: float) -> str | None:
    """Return the wrong action that a user prefers on a page, None where it has no bad habit there.

    A habit is to press one button, to type the first text that comes to mind into one field, or to think that all is done.

    Args:
        seed: the user.
        observation: the screen as text.
        admissible: what can be done now.
        p_wrong: the share of pages with a bad habit, in [0, 1].
    >>> habit(0, "[0] title Network\\n[1] switch Wi-Fi: on", ["click 1"], p_wrong=1.0)
    'click 1'
    """
    screen = read_screen(observation)
    if _chance(seed, screen.page, "") >= p_wrong:
        return None
    liked = [(_chance(seed, screen.page, "done"), "done")] if "done" in admissible and screen.page != "home" else []
    for i, e in enumerate(screen.elements):
        if e.kind == "edit":
            action = next((a for a in admissible if a.startswith(f"type {i} ")), "")
        else:
            action = f"click {i}" if e.kind != "item" else ""
        if action in admissible:
            liked.append((_chance(seed, screen.page, e.text), action))
    return max(liked)[1] if liked else None


def _chance(seed: int, page: str, label: str) -> float:
    return uniform(zlib.crc32(f"{page}|{label}".encode()), seed, 6)
