"""What a world is: text in, text out, and nothing of who plays it."""

from __future__ import annotations

import hashlib
import re
import string
from abc import abstractmethod
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypedDict, runtime_checkable

import gymnasium
import numpy as np
from gymnasium import spaces

from .ids import SPLITS as SPLITS

CHARSET = string.ascii_letters + string.digits + string.punctuation + " \n"


_VARYING = re.compile(r'"[^"]*"|\d+')


def _chance(user: int, *words: str) -> float:
    """Return a number in [0, 1) that depends on nothing but its arguments."""
    digest = hashlib.blake2b("|".join((str(user), *words)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") / 2**64


class Info(TypedDict, total=False):
    """What an agent may know beside the observation; never anything privileged.

    goal: the task in words. admissible: every action that does something now, sorted, or None where the
    world cannot list them. success: the goal is reached. score: progress in [0, 1]. task: the task's id.
    kind: the family of the task, for tables. invalid: the last action meant nothing to the world.
    """

    goal: str
    admissible: tuple[str, ...] | None
    success: bool
    score: float
    task: str
    kind: str
    invalid: bool


_ASKED = frozenset({"goal", "success", "score", "task"})  # what an info must have


def shown(info: Info) -> dict[str, Any]:
    """Return a copy of a world's info, in which actions that came as a list are a tuple."""
    listed: object = info.get("admissible")
    return {**info, "admissible": tuple(listed)} if isinstance(listed, list) else dict(info)


@dataclass(frozen=True, slots=True)
class Privileged:
    """What only a teacher may know of the current state.

    facts: true statements about what is hidden, in words.
    actions: a plan from the current state to the goal; its first action is the oracle's; empty when done or lost.
    basis: names of the things on which the first action rests ("mug 2"), written as the world writes them; the action
        is realizable for a student once it has read them all.
    distance: the exact number of actions left, None where the world cannot tell.
    reason, search: the world's words for why an action is right, once all of `basis` has been read, and for why one looks
        on before that; "{action}" stands for the action, and `reason` may name of what is hidden only the basis. Empty
        for a teacher's own words.
    """

    facts: tuple[str, ...]
    actions: tuple[str, ...]
    basis: tuple[str, ...] = ()
    distance: int | None = None
    reason: str = ""
    search: str = ""


@runtime_checkable
class Searcher(Protocol):
    """An expert without privilege: it knows what a reader of the same text could know, and no more."""

    def begin(self, goal: str, observation: str, info: Info) -> None:
        """Start an episode."""

    def observe(self, action: str, observation: str, info: Info) -> None:
        """Read what an action, its own or a student's, brought."""

    def act(self, hint: str | None = None) -> str:
        """Return the next action; while it still searches, a hint steers it to the same kind of place."""


@runtime_checkable
class Draws(Protocol):
    """A searcher that draws: who plays it says from what before it begins, else its first observation says it."""

    def draw_from(self, rng: np.random.Generator) -> None:
        """Draw from this in the episode that begins next."""


class TextEnv(gymnasium.Env[str, str]):
    """A single-agent world of text.

    A subclass gives `tasks`, `_begin` and `_act`, and sets `max_steps`. It may give `privileged`, `searcher`,
    `snapshot` and `restore`. Bad text never raises: the world answers, the step counts, and `info["invalid"]` is True.
    """

    metadata: dict[str, Any] = {"render_modes": ["ansi"]}
    max_steps: int = 50

    def __init__(self, *, max_steps: int | None = None, max_length: int = 8192, charset: str = CHARSET) -> None:
        if max_steps is not None and max_steps < 1:
            raise ValueError(f"max_steps={max_steps}: needs at least 1")
        if max_steps is not None:
            self.max_steps = max_steps
        self.render_mode = "ansi"
        self.observation_space = spaces.Text(max_length=max_length, min_length=0, charset=charset)
        self.action_space = spaces.Text(max_length=512, min_length=0, charset=charset)
        self._t = 0
        self._open = False
        self._last = ""

    @abstractmethod
    def tasks(self, split: str) -> Sequence[str]:
        """Return the ids of a split's tasks; `train`, `valid` and `test` share none."""

    @abstractmethod
    def _begin(self, task: str) -> tuple[str, Info]:
        """Set the world to the start of a task and return the first observation."""

    @abstractmethod
    def _act(self, action: str) -> tuple[str, float, bool, Info]:
        """Apply an action: observation, reward, whether the episode ended in itself, info."""

    def split_hash(self, split: str) -> str:
        """Return a short hash of a split's task ids, to print beside results."""
        return hashlib.sha256("\n".join(self.tasks(split)).encode()).hexdigest()[:12]

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[str, dict[str, Any]]:
        """Begin `options["task"]`, or a train task drawn from the environment's own generator."""
        super().reset(seed=seed)
        unknown = set(options or ()) - {"task"}
        if unknown:
            raise ValueError(f"reset options {sorted(unknown)}: the only option is 'task'")
        task = (options or {}).get("task")
        if task is None:
            ids = self.tasks("train")
            task = ids[int(self.np_random.integers(len(ids)))]
        begun = self._begin(task)
        if not isinstance(begun, tuple) or len(begun) != 2:
            raise self._misshapen("_begin", begun, "observation, info")
        observation, info = begun
        if missing := _ASKED - info.keys():
            raise ValueError(
                f"{type(self).__name__}: its info lacks {', '.join(sorted(missing))}; make it with agentgym.Info(...)"
            )
        self._t, self._open, self._last = 0, True, observation
        return observation, shown(info)

    def step(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
        """Apply one action; `truncated` is True when the step limit, not the world, ended the episode.

        Raises:
            RuntimeError: the episode has ended or not begun. WorldDied, one of them: what the world runs on is gone.
        """
        if not self._open:
            raise RuntimeError("step() after the episode ended or before reset(): call reset() first")
        acted = self._act(action)
        if not isinstance(acted, tuple) or len(acted) != 4:
            raise self._misshapen("_act", acted, "observation, reward, terminated, info")
        observation, reward, over, info = acted
        terminated = bool(over)  # NumPy's, of a world that computes with it, is no JSON
        self._t += 1
        truncated = not terminated and self._t >= self.max_steps
        self._open = not (terminated or truncated)
        self._last = observation
        return observation, reward, terminated, truncated, shown(info)

    def _misshapen(self, method: str, made: object, form: str) -> ValueError:
        """The error of a subclass whose method returns something else than it must."""
        what = f"{len(made)} values" if isinstance(made, tuple) else f"a {type(made).__name__}"
        return ValueError(f"{type(self).__name__}.{method} gives {what}: it must return {form}")

    def render(self) -> str:
        """Return the last observation."""
        return self._last

    def privileged(self) -> Privileged:
        """Return what only a teacher may know; raises where the world has no such knowledge."""
        raise LookupError(f"{type(self).__name__} has no privileged state: choose a method that needs none")

    def searcher(self) -> Searcher:
        """Return an expert without privilege; raises where the world has none."""
        raise LookupError(f"{type(self).__name__} has no searching expert")

    def habit(self, user: int, observation: str, admissible: Sequence[str], p_wrong: float) -> str | None:
        """Return the wrong action that a user prefers at a place, always the same one; None where it has no bad habit.

        A place is the first sentence of the observation, an action is what it says, both but for numbers and quotations.
        p_wrong: the share of places with a bad habit, in [0, 1].
        """
        place = _VARYING.sub("", re.split(r"[.\n]", observation, maxsplit=1)[0])
        if not admissible or _chance(user, place) >= p_wrong:
            return None
        return max(admissible, key=lambda a: _chance(user, place, _VARYING.sub("", a)))

    def state(self) -> Hashable:
        """Return a key of the world's state without its clock: within a task, equal for equal states and for no others."""
        raise LookupError(f"{type(self).__name__} names no state")

    def reached(self) -> tuple[str, ...]:
        """Return the goals, in the world's own words, that the player has brought about by now, the greatest last.

        What held at the start counts as little as where the player merely stands. It tells no more than a reader of the
        episode can see; raises where the world states no goals but the one it sets.
        """
        raise LookupError(f"{type(self).__name__} does not say what an episode has reached")

    def snapshot(self) -> object:
        """Return an exact, cheap copy of the state for `restore`."""
        raise LookupError(f"{type(self).__name__} cannot be forked: it has no snapshot")

    def restore(self, snapshot: object) -> None:
        """Return to a snapshot of the same environment."""
        raise LookupError(f"{type(self).__name__} cannot be forked: it has no snapshot")
