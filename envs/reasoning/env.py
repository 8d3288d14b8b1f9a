"""Reasoning problems as a TextEnv."""

from __future__ import annotations

import hashlib
import re

from ..core import CHARSET, Info, Privileged, Searcher
from ..errors import only_with
from .external import ReasoningGym
from .families import FAMILIES, family_of
from .files import READERS, Files
from .grade import Grade, numbers
from .problems import Problem, Procedural, Source
from .turns import Attempts, Posed

SIZES = {"train": 4000, "valid": 200, "test": 200}
SOURCES = ("procedural", *READERS, "reasoning-gym:TASK")


class ReasoningEnv(Attempts):
    """A question, a verifier, one attempt or several.

    Observation: the question; after an attempt that is not the last, feedback. `graded`: the verifier's words ("12 is too
    small. Try again."); `retry`: that it is wrong; `blind`: the same sentence whatever was said.
    Actions: free text. Read is what is boxed, or follows ####, "Answer:" or "answer is", else the text; of it the last
    number, or the list. Where nothing can be read the feedback says so and the attempt counts.
    Reward: 1 for a right attempt, else 0. Terminates when right (not in `blind`) or after `turns` attempts.
    Success: the last attempt is right. Score: its share of right places for lists, else 0 or 1.
    Tasks: `procedural` (families sums, products, remainder, sequence, equation, largest, order, letters, median; besides
    ring, whose way comes after its end, and guess, which lives on feedback; levels 1 to 5; no two splits share a
    question), `gsm8k` and `math` from the folder `data`,
    `reasoning-gym:TASK` with the extra [reasoning].
    Privileged: the answer.
    Source: protocols of RISE, arXiv 2407.18219 (turns=5), and SCoRe, arXiv 2409.12917 (turns=2, feedback="blind").
    Deviation: their fixed sentences are in our words.

    >>> env = ReasoningEnv(family="sums", level=1, turns=2)
    >>> question, info = env.reset(options={"task": "test/00000-sums-1"})
    >>> question, env.step("20")[0]
    ('What is 1 + 2?', '20 is too large. Try again.')
    """

    summary = "problems with a verifier and graded feedback, one attempt or several; GSM8K, MATH, reasoning-gym"

    def __init__(
        self,
        *,
        source: str = "procedural",
        data: str | None = None,
        family: str = "mixed",
        level: int | None = None,
        seed: int = 0,
        turns: int = 3,
        feedback: str = "graded",
        train: int = SIZES["train"],
        valid: int = SIZES["valid"],
        test: int = SIZES["test"],
    ) -> None:
        self._source = _source(source, data, family, level, seed, {"train": train, "valid": valid, "test": test})
        extra = "".join(sorted(set(self._source.alphabet()) - set(CHARSET)))
        super().__init__(turns=turns, feedback=feedback, charset=CHARSET + extra)
        self.source, self.seed = source, seed
        self._problem: Problem | None = None

    def tasks(self, split: str) -> list[str]:
        """Return a split's ids: `test/00003-sequence-1`, `test/00003-gsm8k`."""
        return self._source.tasks(split)

    def split_hash(self, split: str) -> str:
        """Return a short hash of a split's tasks; problems of another seed have another."""
        base = super().split_hash(split)
        return base if self.seed == 0 else hashlib.sha256(f"{base} {self.seed}".encode()).hexdigest()[:12]

    def _pose(self, task: str) -> Posed:
        self._problem = self._source.problem(task)
        return Posed(task, self._problem.question, self._problem.question, self._problem.kind)

    def _judge(self, posed: Posed, reply: str) -> Grade:
        return self._given().check(reply)

    def _given(self) -> Problem:
        if self._problem is None:
            raise RuntimeError("no question is put: call reset() first")
        return self._problem

    def privileged(self) -> Privileged:
        """Return the answer, for every attempt that is left."""
        answer = self._given().answer
        if not answer:
            raise LookupError(f"task {self._now().task!r}: no answer is on record, only a verifier")
        left = self.turns - self._attempt if self.feedback == "blind" else 1
        return Privileged((f"The answer is {answer}.",), (answer,) * left, (), left)

    def searcher(self) -> Searcher:
        """Return the solver of procedural problems, which reads the question; other sources have none."""
        if self.source != "procedural":
            raise LookupError(f"source={self.source!r} has no searching expert: use the oracle or a model as teacher")
        return Solver()

    def snapshot(self) -> object:
        """Return an exact copy of the state."""
        return super().snapshot()

    def restore(self, snapshot: object) -> None:
        """Return to a snapshot."""
        super().restore(snapshot)
        self._problem = self._source.problem(self._now().task)


class Solver:
    """Solves procedural questions from their words; where they do not tell all, halves the range that feedback leaves."""

    def begin(self, goal: str, observation: str, info: Info) -> None:
        """Read the question."""
        self._question = goal
        self._low, self._high = -(10**9), 10**9
        if family_of(goal) == "guess":
            self._low, self._high = (int(n) for n in numbers(goal))

    def observe(self, action: str, observation: str, info: Info) -> None:
        """Read "N is too small" or "N is too large"."""
        found = re.match(r"(-?\d+)\S* is too (small|large)", observation)
        if found and found[2] == "small":
            self._low = max(self._low, int(found[1]) + 1)
        elif found:
            self._high = min(self._high, int(found[1]) - 1)

    def act(self, hint: str | None = None) -> str:
        """Return the answer, or the next guess; a hint is not taken."""
        family = family_of(self._question)
        if family == "guess":
            return str((self._low + self._high) // 2)
        return FAMILIES[family].solve(self._question)


def _source(name: str, data: str | None, family: str, level: int | None, seed: int, sizes: dict[str, int]) -> Source:
    if name == "procedural":
        only_with(f"source={' or '.join(READERS)}", data=data)
        return Procedural(family, level, seed, sizes)
    only_with("source='procedural'", family=None if family == "mixed" else family, level=level)
    if name in READERS:
        own = {k: None if v == SIZES[k] else v for k, v in sizes.items()}
        only_with("source='procedural' or reasoning-gym:TASK", seed=seed or None, **own)
        return Files(name, data)
    only_with(f"source={' or '.join(READERS)}", data=data)
    package, _, task = name.partition(":")
    if package == "reasoning-gym" and task:
        return ReasoningGym(task, seed, sizes)
    raise ValueError(f"source={name!r}: choose one of {', '.join(SOURCES)}")
