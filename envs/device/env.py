"""Device control as a TextEnv."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from functools import lru_cache

from ..core import Searcher
from ..errors import at_least, choice
from . import behaviour
from . import noise as noises
from .core import DeviceBackend, Screen
from .phone import Phone
from .searcher import DeviceSearcher
from .tasks import LEVELS
from .world import ScreenEnv, clicks, typing

NOISES = ("ladder", *noises.LEVELS)
FINISHES = ("state", "status")


class DeviceEnv(ScreenEnv):
    """Tasks on a phone: settings, forms, search, two apps at once, interruptions, and what cannot be done.

    Observation: the screen as one line an element, `[3] switch Wi-Fi: on`, and "more above", "more below"; after an
    action that names nothing, "Nothing happens." first. `pixels()` is the screenshot.
    Actions: `click 3`, `type 3 "words"` (replaces the field), `type "words"` (into the focused field), `hold 3` (copies a
    line), `scroll down|up`, `back`, `home`, `enter`, `open Clock`, `wait`, `done`, `infeasible`, `answer "words"`;
    `tap X Y` in pixels; AndroidWorld's JSON and AitW's gestures mean the same (see `grammar`). Listed as admissible: what
    does something now, typing with every text that the goal quotes or that was copied.
    Reward: 1 on the step that wins, else 0. Won: exactly the wanted changes are made in the phone's tables, and nothing
    else: what else changed is damage, and can be undone. A question is won by its answer; what cannot be done, by
    `infeasible` while the screen shows it: the page in question, its list read to the end or searched. Terminates when
    won, and on done, infeasible or answer; with finish="status" (AndroidWorld's rule) only on these. Truncates after 40
    steps.
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
        levels = LEVELS if level == "all" else tuple(level.replace(" ", "").split(","))
        for one in levels:
            if one not in LEVELS:
                raise ValueError(f"level={level!r}: choose all, or some of {', '.join(LEVELS)} with commas between")
        for name, value, legal in (("noise", noise, NOISES), ("finish", finish, FINISHES)):
            choice(name, value, legal)
        at_least(0, noise_seed=noise_seed, tasks_seed=tasks_seed)
        self._seeds = (tasks_seed, noise, noise_seed)
        sizes = {"train": train, "valid": valid, "test": test}
        phone = Phone([int(x[1]) for x in levels], sizes, noise, noise_seed, tasks_seed)
        super().__init__(phone if backend is None else backend, finish=finish, max_steps=max_steps)

    def kind_of(self, task: str) -> str:
        """Return the level of a task of the phone."""
        return _kind(task)

    def _admissible(self, screen: Screen) -> tuple[str, ...]:
        clip = self.backend.clipboard()
        texts = (*self._quoted, clip) if clip and clip not in self._quoted else self._quoted
        return admissible(screen, texts, self.backend.apps, self._goal.endswith("?"))

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


@lru_cache(maxsize=1024)
def _kind(task: str) -> str:
    m = re.search(r"-(L\d)-", task)
    return m[1] if m else "device"


@lru_cache(maxsize=64)
def _always(apps: tuple[str, ...], at_home: bool) -> tuple[str, ...]:
    moves = () if at_home else ("back", "home")
    return ("done", "infeasible", *moves, *(f"open {app}" for app in apps))


def admissible(screen: Screen, texts: tuple[str, ...], apps: tuple[str, ...], question: bool) -> tuple[str, ...]:
    """Return the actions that do something on a screen, sorted; typing is listed with the given texts only."""
    if screen.page == "loading":
        return ("done", "infeasible", "wait")
    out = [*_always(apps, screen.page == "home"), *clicks(screen)]
    for i, (kind, _, value, _, _, focused) in enumerate(screen.elements):
        if kind == "edit":
            out.extend(typing(i, texts))
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
