"""What an agent is: it reads turns and answers with decisions, many episodes at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from ..envs.core import Privileged, TextEnv
from ..memory.core import Memory, Turn


@dataclass(frozen=True, slots=True)
class Candidate:
    """An action that was considered: its log-probability and, where a critic spoke, its Q and advantage."""

    action: str
    logprob: float
    q: float | None = None
    advantage: float | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """What an agent answers.

    context_ids: token ids read since its last decision in this episode; the whole prompt when `fresh`.
    token_ids, logprob: what was sampled after them, and its log-probability under the sampling distribution.
    reply: the whole text, where it says more than the action. queries: model calls.
    """

    action: str
    thought: str | None = None
    reply: str | None = None
    context_ids: tuple[int, ...] = ()
    token_ids: tuple[int, ...] = ()
    fresh: bool = False
    logprob: float | None = None
    candidates: tuple[Candidate, ...] = ()
    queries: int = 0


@runtime_checkable
class Agent(Protocol):
    """Answers a batch of turns; turns of one episode carry the same `episode` number."""

    name: str

    def act(self, turns: Sequence[Turn]) -> list[Decision]:
        """Return one decision a turn, in order."""


@runtime_checkable
class PrivilegedAgent(Protocol):
    """A ceiling, never a student: it is handed what only teachers may know."""

    name: str

    def act_privileged(self, turns: Sequence[Turn], privileged: Sequence[Privileged]) -> list[Decision]:
        """Return one decision a turn."""


@dataclass(frozen=True, slots=True)
class World:
    """A running episode: the environment, to be forked and left as it was found, and the memory of it, to be copied."""

    env: TextEnv
    memory: Memory


@runtime_checkable
class ForkingAgent(Protocol):
    """An agent that may try things out in the world's own forks before it acts."""

    name: str

    def act_in(self, turns: Sequence[Turn], worlds: Sequence[World]) -> list[Decision]:
        """Return one decision a turn, every world left as it was."""
