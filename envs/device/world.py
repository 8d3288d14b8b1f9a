"""What every device is as a TextEnv: its screen in lines, an action on it, and the verdict."""

from __future__ import annotations

import json
import re
from abc import abstractmethod
from collections.abc import Sequence
from functools import lru_cache
from typing import cast

import numpy as np
from numpy.typing import NDArray

from ..core import Info, Privileged, TextEnv
from .core import CLAIMS, DeviceBackend, Screen, Verdict
from .grammar import parse

NOTHING = "Nothing happens.\n"
_QUOTED = re.compile(r'"([^"\n]+)"')


class ScreenEnv(TextEnv):
    """A device behind a backend. A subclass gives its rules as a docstring, `kind_of` and `_admissible`."""

    def __init__(self, backend: DeviceBackend, *, finish: str = "state", max_steps: int = 40) -> None:
        super().__init__(max_steps=max_steps)
        self.backend, self.finish = backend, finish
        self._task = self._goal = ""
        self._quoted: tuple[str, ...] = ()

    def tasks(self, split: str) -> Sequence[str]:
        """Return a split's ids."""
        return self.backend.tasks(split)

    @abstractmethod
    def kind_of(self, task: str) -> str:
        """Return the family of a task."""

    @abstractmethod
    def _admissible(self, screen: Screen) -> tuple[str, ...]:
        """Return the actions that do something on a screen, sorted."""

    def _begin(self, task: str) -> tuple[str, Info]:
        self._goal = self.backend.begin(task)
        self._task = task
        self._quoted = tuple(dict.fromkeys(_QUOTED.findall(self._goal)))
        screen = self.backend.screen()
        return screen.text(), self._info(screen, self.backend.verdict(), won=False, over=False)

    def _act(self, action: str) -> tuple[str, float, bool, Info]:
        before = self.backend.screen()
        event = parse(action, self.backend.size)
        known = event is not None and self.backend.perform(event)
        screen = self.backend.screen()
        verdict = self.backend.verdict()
        claimed = known and event is not None and event.kind in CLAIMS
        over = claimed or verdict.over or (verdict.success and self.finish == "state")
        info = self._info(screen, verdict, won=verdict.success and over, over=over)
        info["invalid"] = not known
        cast("dict[str, object]", info)["changed"] = screen is not before and screen != before
        text = screen.text()
        return (text if known else NOTHING + text), float(over and verdict.success), over, info

    def _info(self, screen: Screen, verdict: Verdict, won: bool, over: bool) -> Info:
        score = verdict.score if won or not verdict.success else 0.99
        info = Info(
            goal=self._goal, admissible=self._admissible(screen), success=won, score=score, task=self._task,
            kind=self.kind_of(self._task), invalid=False,
        )  # fmt: skip
        cast("dict[str, object]", info).update(changed=False, damage=verdict.damage if over else ())
        return info

    def verdict(self) -> Verdict:
        """Return how the task stands, with the damage so far: for judges, not for agents."""
        return self.backend.verdict()

    def pixels(self) -> NDArray[np.uint8]:
        """Return a screenshot, shape (height, width, 3)."""
        return self.backend.pixels()

    def privileged(self) -> Privileged:
        """Return the changes still wanted and a plan from the current state."""
        return self.backend.privileged()

    def snapshot(self) -> object:
        """Return an exact copy of the state."""
        return self.backend.save(), self._t, self._open, self._last, self._task, self._goal, self._quoted

    def restore(self, snapshot: object) -> None:
        """Return to a snapshot."""
        saved = cast("tuple[object, int, bool, str, str, str, tuple[str, ...]]", snapshot)
        self.backend.load(saved[0])
        _, self._t, self._open, self._last, self._task, self._goal, self._quoted = saved

    def close(self) -> None:
        """Close the device."""
        self.backend.close()


@lru_cache(maxsize=8192)
def typing(index: int, texts: tuple[str, ...]) -> tuple[str, ...]:
    """Return the actions that type one of some texts into an element."""
    return tuple(f"type {index} {json.dumps(t, ensure_ascii=False)}" for t in texts)


def clicks(screen: Screen) -> list[str]:
    """Return the clicks on what does something when it is tapped."""
    return [_CLICK[i] if i < len(_CLICK) else f"click {i}" for i, e in enumerate(screen.elements) if e[4]]


_CLICK = tuple(f"click {i}" for i in range(64))
