"""One question, several attempts: the protocols of RISE and SCoRe over any task of a single turn."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from ..core import CHARSET, Info, TextEnv
from ..errors import at_least, choice
from .grade import UNREAD, Grade

FEEDBACK = ("graded", "retry", "blind")
RETRY = "That is not right. Think again and give another answer."
BLIND = "There may be an error: check it, answer again."


def respond(feedback: str, grade: Grade, attempt: int, turns: int) -> tuple[str, bool]:
    """Return what the world says to an attempt, the first is 1, and whether the episode is over.

    graded: the verifier's own words, until right. retry: that it is wrong and no more, until right (RISE arXiv 2407.18219
    with an oracle). blind: the same sentence whatever the answer, for all turns (SCoRe arXiv 2409.12917 with two turns;
    RISE without an oracle).

    >>> respond("graded", Grade(False, 0.0, "3 is too small."), 1, 2)
    ('3 is too small. Try again.', False)
    """
    over = attempt >= turns or (grade.right and feedback != "blind")
    if feedback == "blind":
        return ("Thank you." if over else BLIND), over
    if not grade.readable or feedback == "graded":
        return (grade.feedback if over else f"{grade.feedback} Try again."), over
    return ("That is right." if grade.right else "That is not right." if over else RETRY), over


@dataclass(frozen=True, slots=True)
class Posed:
    """A question that was put. kind: its family, for tables."""

    task: str
    question: str
    goal: str
    kind: str


class Attempts(TextEnv):
    """Base of worlds in which one question is answered in up to `turns` attempts; a subclass poses and judges."""

    def __init__(self, *, turns: int, feedback: str, max_length: int = 1 << 15, charset: str = CHARSET) -> None:
        at_least(1, turns=turns)
        super().__init__(max_steps=turns, max_length=max_length, charset=charset)
        self.turns, self.feedback = turns, choice("feedback", feedback, FEEDBACK)
        self._posed: Posed | None = None
        self._attempt = 0

    @abstractmethod
    def _pose(self, task: str) -> Posed:
        """Return a task's question."""

    @abstractmethod
    def _judge(self, posed: Posed, reply: str) -> Grade:
        """Grade a reply."""

    def _begin(self, task: str) -> tuple[str, Info]:
        self._posed, self._attempt = self._pose(task), 0
        return self._posed.question, self._info(None, False)

    def _act(self, action: str) -> tuple[str, float, bool, Info]:
        grade = self._judge(self._now(), action)
        self._attempt += 1
        text, over = respond(self.feedback, grade, self._attempt, self.turns)
        return text, float(grade.right), over, self._info(grade, over)

    def _info(self, grade: Grade | None, over: bool) -> Info:
        told = grade is not None and (over or self.feedback == "graded")
        return Info(
            goal=self._now().goal, admissible=None, success=bool(over and grade and grade.right),
            score=grade.score if grade and told else 0.0, task=self._now().task, kind=self._now().kind,
            invalid=bool(grade and not grade.readable),
        )  # fmt: skip

    def _now(self) -> Posed:
        if self._posed is None:
            raise RuntimeError("no question is put: call reset() first")
        return self._posed

    def snapshot(self) -> object:
        """Return an exact copy of the state."""
        return self._now(), self._attempt, self._t, self._open, self._last

    def restore(self, snapshot: object) -> None:
        """Return to a snapshot."""
        saved = cast("tuple[Posed, int, int, bool, str]", snapshot)
        self._posed, self._attempt, self._t, self._open, self._last = saved


class Retry(Attempts):
    """Several attempts at any world of a single turn, whose reward of at least `pass_mark` counts as right.

    Every attempt is the first and only action of a fresh episode of the inner world, on the same task.

    >>> from agentgym.envs import make
    >>> env = Retry(make("reasoning", family="guess", level=1, turns=1), turns=3)
    >>> question, info = env.reset(seed=0)
    >>> env.step("100")[0]
    '100 is too large. Try again.'
    """

    def __init__(self, inner: TextEnv, *, turns: int = 2, feedback: str = "graded", pass_mark: float = 1.0) -> None:
        if inner.max_steps != 1:
            raise ValueError(f"{type(inner).__name__} has max_steps={inner.max_steps}: Retry wants a world of 1 step")
        letters = "".join(sorted({*CHARSET, *getattr(inner.observation_space, "characters", "")}))
        super().__init__(turns=turns, feedback=feedback, charset=letters)
        self._inner, self._pass = inner, pass_mark

    def tasks(self, split: str) -> Sequence[str]:
        """Return the inner world's tasks."""
        return self._inner.tasks(split)

    def split_hash(self, split: str) -> str:
        """Return the inner world's hash."""
        return self._inner.split_hash(split)

    def _pose(self, task: str) -> Posed:
        question, info = self._inner.reset(options={"task": task})
        return Posed(task, question, info["goal"], info.get("kind", ""))

    def _judge(self, posed: Posed, reply: str) -> Grade:
        self._inner.reset(options={"task": posed.task})
        text, reward, _, _, info = self._inner.step(reply)
        unread = bool(info.get("invalid", False))
        return Grade(reward >= self._pass, info["score"], UNREAD if unread else text, not unread)
