"""Device control as a TextEnv."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import cast

import numpy as np
from numpy.typing import NDArray

from ..core import Info, Privileged, Searcher, TextEnv
from ..errors import choice
from . import behaviour
from . import noise as noises
from .core import CLAIMS, DeviceBackend, Screen, Verdict
from .grammar import parse
from .phone import Phone
from .searcher import DeviceSearcher
from .tasks import LEVELS

NOISES = ("ladder", *noises.LEVELS)
FINISHES = ("state", "status")
NOTHING = "Nothing happens.\n"
_QUOTED = re.compile(r'"([^"\n]+)"')


class DeviceEnv(TextEnv):
    """Tasks on a phone: settings, forms, search, two apps at once, interruptions, and what cannot be done.

    Observation: the screen as one line an element, `[3] switch Wi-Fi: on`, and "more above", "more below"; after an
    action that names nothing, "Nothing happens." first. `pixels()` is the screenshot.
    Actions: `click 3`, `type 3 "words"` (replaces the field), `type "words"` (into the focused field), `hold 3` (copies a
    line), `scroll down|up`, `back`, `home`, `enter`, `open Clock`, `wait`, `done`, `infeasible`, `answer "words"`;
    `tap X Y` in pixels; AndroidWorld's JSON and AitW's gestures mean the same (see `grammar`). Listed as admissible: what
    does something now, typing with every text that the goal quotes or that was copied.
    Reward: 1 on the step that wins, else 0. Won: exactly the wanted changes are made in the phone's tables, and nothing
    else: what else changed is damage, and can be undone. A question is won by its answer; what cannot be done, by
    `infeasible` while the screen shows it: the page in question, its list read to the end or searched. Terminates when won, and on done, infeasible or answer; with
    finish="status" (AndroidWorld's rule) only on these. Truncates after 40 steps.
    Info: `changed`, whether the screen is another one than before the action (Digi-Q's label); `damage`, once the episode
    is over. Kinds are the levels: L0 one tap, L1 find the screen, L2 a form, L3 one among many, L4 two apps or a
    question, L5 several things on a rough phone, L6 infeasible. `test` has names and titles of its own.
    Privileged: the changes still wanted, what has to be read, a plan from the current state.
    Source: actions AndroidWorld, arXiv 2405.14573, and Android in the Wild, arXiv 2307.10088; setting Digi-Q, arXiv
    2502.15760. The phone, its tasks and the short grammar are ours; `backend` puts another device in its place.

    >>> env = DeviceEnv()
    >>> observation, info = env.reset(options={"task": "test/00003-L0-ringtone_here"})
    >>> info["goal"], env.privileged().actions
    ('Choose "Chime" as the Ringtone.', ('click 1',))

    level: "all" or levels such as "L2" or "L2,L3". noise: `ladder` (level 5 is rough, the rest still), or `none`, `light`,
    `heavy` for all; its seed, noise_seed, is apart from the tasks', tasks_seed. train, valid, test: sizes of the splits.
    """

    summary = "a phone with thirteen apps: settings, forms, search, questions; 40 steps"

    def __init__(
        self,
        *,
        level: str = "all",
        noise: str = "ladder",
        noise_seed: int = 0,
        tasks_seed: int = 0,
        finish: str = "state",
        train: int = 5700,
        valid: int = 285,
        test: int = 285,
        backend: DeviceBackend | None = None,
        max_steps: int = 40,
    ) -> None:
        super().__init__(max_steps=max_steps)
        levels = LEVELS if level == "all" else tuple(level.replace(" ", "").split(","))
        for one in levels:
            if one not in LEVELS:
                raise ValueError(f"level={level!r}: choose all, or some of {', '.join(LEVELS)} with commas between")
        for name, value, legal in (("noise", noise, NOISES), ("finish", finish, FINISHES)):
            choice(name, value, legal)
        for name, seed in (("noise_seed", noise_seed), ("tasks_seed", tasks_seed)):
            if seed < 0:
                raise ValueError(f"{name}={seed}: needs 0 or more")
        self.finish = finish
        self._seeds = (tasks_seed, noise, noise_seed)
        sizes = {"train": train, "valid": valid, "test": test}
        phone = Phone([int(x[1]) for x in levels], sizes, noise, noise_seed, tasks_seed)
        self.backend: DeviceBackend = phone if backend is None else backend
        self._task = self._goal = ""
        self._quoted: tuple[str, ...] = ()

    def tasks(self, split: str) -> Sequence[str]:
        """Return a split's ids, such as `test/00003-L3-edit_contact`."""
        return self.backend.tasks(split)

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
        claimed = event is not None and event.kind in CLAIMS
        over = claimed or (verdict.success and self.finish == "state")
        info = self._info(screen, verdict, won=verdict.success and over, over=over)
        info["invalid"] = not known
        cast("dict[str, object]", info)["changed"] = screen is not before and screen != before
        text = screen.text()
        return (text if known else NOTHING + text), float(over and verdict.success), over, info

    def _info(self, screen: Screen, verdict: Verdict, won: bool, over: bool) -> Info:
        score = verdict.score if won or not verdict.success else 0.99
        info = Info(
            goal=self._goal, admissible=self._admissible(screen), success=won, score=score, task=self._task,
            kind=_kind(self._task), invalid=False,
        )  # fmt: skip
        cast("dict[str, object]", info).update(changed=False, damage=verdict.damage if over else ())
        return info

    def _admissible(self, screen: Screen) -> tuple[str, ...]:
        clip = self.backend.clipboard()
        texts = (*self._quoted, clip) if clip and clip not in self._quoted else self._quoted
        return admissible(screen, texts, self.backend.apps, self._goal.endswith("?"))

    def verdict(self) -> Verdict:
        """Return how the task stands, with the damage so far: for judges, not for agents."""
        return self.backend.verdict()

    def pixels(self) -> NDArray[np.uint8]:
        """Return a screenshot, shape (height, width, 3)."""
        return self.backend.pixels()

    def privileged(self) -> Privileged:
        """Return the changes still wanted and a plan from the current state."""
        return self.backend.privileged()

    def searcher(self) -> Searcher:
        """Return the searching expert, who reads goals that the phone's templates have written."""
        return DeviceSearcher()

    def habit(self, user: int, observation: str, admissible: Sequence[str], p_wrong: float) -> str | None:
        """Return the wrong action that a user prefers on a page, None where it has no bad habit there."""
        return behaviour.habit(user, observation, admissible, p_wrong)

    def split_hash(self, split: str) -> str:
        """Return a short hash of a split's tasks; other seeds or noise have another."""
        base = super().split_hash(split)
        if self._seeds == (0, "ladder", 0):
            return base
        return hashlib.sha256(f"{base} {self._seeds}".encode()).hexdigest()[:12]

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


@lru_cache(maxsize=1024)
def _kind(task: str) -> str:
    m = re.search(r"-(L\d)-", task)
    return m[1] if m else "device"


@lru_cache(maxsize=8192)
def _typing(index: int, texts: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(f"type {index} {json.dumps(t, ensure_ascii=False)}" for t in texts)


@lru_cache(maxsize=64)
def _always(apps: tuple[str, ...], at_home: bool) -> tuple[str, ...]:
    moves = () if at_home else ("back", "home")
    return ("done", "infeasible", *moves, *(f"open {app}" for app in apps))


def admissible(screen: Screen, texts: tuple[str, ...], apps: tuple[str, ...], question: bool) -> tuple[str, ...]:
    """Return the actions that do something on a screen, sorted; typing is listed with the given texts only."""
    if screen.page == "loading":
        return ("done", "infeasible", "wait")
    out = list(_always(apps, screen.page == "home"))
    for i, (kind, _, value, _, act, focused) in enumerate(screen.elements):
        if act:
            out.append(_CLICK[i] if i < len(_CLICK) else f"click {i}")
        if kind == "edit":
            out.extend(_typing(i, texts))
            if focused:
                out.append("enter")
        elif kind == "line":
            out.append(f"hold {i}")
            if question:
                out.append(f"answer {json.dumps(value, ensure_ascii=False)}")
    if screen.above:
        out.append("scroll up")
    if screen.below:
        out.append("scroll down")
    out.sort()
    return tuple(out)


_CLICK = tuple(f"click {i}" for i in range(64))
