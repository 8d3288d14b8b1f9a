"""Who says what should have been done: teachers that know more than the student, and say no more than it could know.

A teacher reads a student's trajectory together with the privileged state at each of its steps, and returns a correction
a step. Two duties are the teacher's, not the method's: its advice must be realizable (an action whose ground the student
has read), and its reasons must not leak what the student has not read.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np

from ..envs.core import Privileged, Searcher, TextEnv
from ..memory.core import Memory, Segment, Turn
from ..memory.replay import again
from ..memory.replay import turns as turns
from ..memory.trajectory import Trajectory
from .core import Agent
from .policy import parse

_NAME = re.compile(r"\b[a-z]+ \d+\b")


@dataclass(frozen=True, slots=True)
class Correction:
    """What should have been done at a step; `action` None leaves the step out of training."""

    action: str | None
    reason: str | None = None
    weight: float = 1.0


class Teacher(Protocol):
    """Corrects every step of a trajectory, each conditioned on the student's own history."""

    def correct(self, trajectory: Trajectory, privileged: Sequence[Privileged]) -> list[Correction]:
        """Return one correction a step."""


def retrace(env: TextEnv, trajectory: Trajectory) -> list[Privileged]:
    """Re-execute a trajectory and return the privileged state before each of its actions.

    The student never meets this knowledge: it is looked up afterwards, in an environment of the teacher's own.

    Raises:
        ValueError: the environment answers otherwise than it did.
    """
    return [env.privileged() for _ in again(env, trajectory)]


def mentions(text: str, name: str) -> bool:
    """Whether a text mentions a thing by its whole name.

    >>> mentions("a mug 12, and a cup 1", "mug 1")
    False
    """
    return re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text) is not None


def leaks(reason: str, history: str, privileged: Privileged) -> list[str]:
    """Return the names that a reason uses though the history has never shown them."""
    named = {*_NAME.findall(reason), *(b for b in privileged.basis if mentions(reason, b))}
    return sorted(n for n in named if not mentions(history, n))


@dataclass(frozen=True, slots=True)
class OracleTeacher:
    """The world's own planner, re-planned from each state that the student reached.

    Where the student has read every name on which the oracle's action rests, the action is realizable and is the
    correction. Elsewhere the searching expert corrects. With `hint` the oracle steers its search towards a kind of
    place. LEAP's default is without: on ALFWorld hints gained nothing (benchmarks/results, *-hints.json), perhaps since
    the episodes that fail are those in which the thing lies where it seldom does, which is what hints then teach.
    Source: LEAP arXiv 2410.05434 Sec. 4 (realizability); the hinted search is ours.

    make_searcher: a fresh searching expert. privilege: share of the steps at which an unrealizable oracle action is
    taught all the same, the x-axis of LEAP's trade-off: 0 the filter at full, 1 raw oracle labels. hint: whether the
    oracle steers the search at all; without it and with `trust` False this is DAgger on the searching expert.
    trust: whether realizable oracle actions are taught. seed: of the draws of `privilege`.
    """

    make_searcher: Callable[[], Searcher]
    privilege: float = 0.0
    hint: bool = False
    trust: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.privilege <= 1:
            raise ValueError(f"privilege={self.privilege}: needs a share in [0, 1]")

    def correct(self, trajectory: Trajectory, privileged: Sequence[Privileged]) -> list[Correction]:
        """Return the realizable correction of every step; steps after which nothing can be done are left out."""
        rng = np.random.default_rng([self.seed, *trajectory.task.encode()])
        searcher = self.make_searcher()
        history = ""
        out = []
        for t, (step, state) in enumerate(zip(trajectory.steps, privileged, strict=True)):
            info: Any = {"goal": trajectory.goal, "admissible": step.admissible, "task": trajectory.task}
            if t == 0:
                searcher.begin(trajectory.goal, step.observation, info)
            else:
                searcher.observe(trajectory.steps[t - 1].action, step.observation, info)
            history += "\n" + step.observation
            raw = rng.random() < self.privilege
            out.append(self._one(searcher, state, step.admissible, history, raw))
        return out

    def _one(
        self, searcher: Searcher, state: Privileged, admissible: tuple[str, ...] | None, history: str, raw: bool
    ) -> Correction:
        if not state.actions:
            return Correction(None)
        oracle = state.actions[0]
        known = all(mentions(history, name) for name in state.basis)
        action = oracle if raw or (known and self.trust) else searcher.act(oracle if self.hint else None)
        if admissible is not None and action not in admissible:
            return Correction(None)
        reason = explain(action, state, known and self.trust)
        if not raw and leaks(reason.replace(action, ""), history, state):
            return Correction(None)
        return Correction(action, reason)


def explain(action: str, state: Privileged, known: bool) -> str:
    """Give a reason that cites only what the history shows, in the world's words where it has any."""
    read = " and ".join(b for b in state.basis if b)
    ground = f"I have read {read}" if read else "I have what this step needs"
    reason = state.reason or f"{ground}, so the next action is: {{action}}"
    search = state.search or "I have not read what the task rests on, so I look on: {action}"
    return (reason if known else search).replace("{action}", action)


@dataclass(frozen=True, slots=True)
class ModelTeacher:
    """Any langchain-core chat model that is given the privileged state and the rules of correction.

    Source: LEAP arXiv 2410.05434, App. (rules of the corrector); one call a step rather than one an episode, so that
    a step's correction cannot look ahead. An answer that is not admissible, or leaks, is asked for again with the
    fault named, at most `retries` times, then left out.
    """

    chat: Any
    retries: int = 2

    RULES = (
        "You correct a student's next action in a text world. You know the hidden state; the student does not.\n"
        "Use the hidden state to choose the action, but never reveal it: the reason may cite only what the history "
        "shows, or a general principle. Choose one of the listed actions, word for word.\n"
        "Answer in two lines:\nREASON: <one sentence>\nACTION: <action>"
    )

    def correct(self, trajectory: Trajectory, privileged: Sequence[Privileged]) -> list[Correction]:
        """Return one correction a step."""
        history = ""
        out = []
        for step, state in zip(trajectory.steps, privileged, strict=True):
            history += f"\n{step.observation}"
            out.append(self._ask(trajectory.goal, history, step.admissible or (), state))
            history += f"\n> {step.action}"
        return out

    def _ask(self, goal: str, history: str, admissible: tuple[str, ...], state: Privileged) -> Correction:
        secret = "\n".join([*state.facts, "Best plan: " + "; ".join(state.actions)])
        ask = (
            f"Goal: {goal}\n\nHistory:{history}\n\nActions: {'; '.join(admissible)}\n\n"
            f"Hidden state (never reveal):\n{secret}"
        )
        messages = [("system", self.RULES), ("human", ask)]
        for _ in range(1 + self.retries):
            reply = str(self.chat.invoke(messages).text)
            reason, action = parse(reply)
            leaked = leaks(reason or "", history, state)
            if (not admissible or action in admissible) and not leaked:
                return Correction(action, reason)
            fault = f"the reason names {leaked}, unseen so far" if leaked else f"{action!r} is not a listed action"
            messages += [("ai", reply), ("human", f"Not accepted: {fault}. Answer again in the same form.")]
        return Correction(None)


@dataclass(frozen=True, slots=True)
class SelfTeacher:
    """The student itself with the privileged state in its prompt (LEAP arXiv 2410.05434 Sec. 5, self-improvement)."""

    student: Agent
    make_memory: Callable[[], Memory]

    def correct(self, trajectory: Trajectory, privileged: Sequence[Privileged]) -> list[Correction]:
        """Return what the student would do if it knew; steps without a plan are left out."""
        out = []
        for turn, step, state in zip(turns(trajectory, self.make_memory()), trajectory.steps, privileged, strict=True):
            if not state.actions:
                out.append(Correction(None))
                continue
            decision = self.student.act([inform(turn, state)])[0]
            legal = step.admissible is None or decision.action in step.admissible
            reason = decision.thought
            if not legal or (reason and leaks(reason, turn.text, state)):
                out.append(Correction(None))
            else:
                out.append(Correction(decision.action, reason))
        return out


def inform(turn: Turn, state: Privileged) -> Turn:
    """Return the turn as a privileged student reads it; its episode number is apart, so no cache is shared."""
    secret = "You also know: " + " ".join(state.facts) + " A good plan: " + "; ".join(state.actions) + "."
    return replace(turn, segments=(*turn.segments, Segment("user", secret)), episode=-1 - turn.episode)
