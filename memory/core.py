"""What a memory is: it turns what was said into what the agent reads next."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, runtime_checkable

Role = Literal["user", "assistant"]
Counter = Callable[[str], int]


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of the prompt that one side said; a policy tokenises segments one by one and keeps their ids."""

    role: Role
    text: str


@dataclass(frozen=True, slots=True)
class Turn:
    """Everything an agent may see before one decision.

    segments: the prompt, oldest first, the world's and the agent's own words. goal, admissible: as the world gave them.
    episode: a number that stays the same through an episode, the key of a policy's cache. t: decisions made before.
    tokens: length of the prompt as the memory's counter counts it. observation, action: the latest of each, raw.
    """

    segments: tuple[Segment, ...]
    goal: str
    admissible: tuple[str, ...] | None
    episode: int
    t: int
    tokens: int
    observation: str = ""
    action: str | None = None

    @property
    def text(self) -> str:
        """The prompt as plain text, for people."""
        return "\n".join(("> " if s.role == "assistant" else "") + s.text for s in self.segments)

    @property
    def messages(self) -> list[dict[str, str]]:
        """The prompt as chat messages, neighbours of one role joined."""
        out: list[dict[str, str]] = []
        for s in self.segments:
            if out and out[-1]["role"] == s.role:
                out[-1]["content"] += "\n" + s.text
            else:
                out.append({"role": s.role, "content": s.text})
        return out


@runtime_checkable
class Memory(Protocol):
    """Within one episode: what is kept of it, and how it reads."""

    append_only: bool

    def begin(self, goal: str, observation: str, info: dict[str, Any], episode: int = 0) -> None:
        """Forget everything and start an episode."""

    def record(self, action: str, observation: str, info: dict[str, Any], reply: str | None = None) -> None:
        """Take in one action (with the whole reply, where it said more) and the observation that followed."""

    def view(self) -> Turn:
        """Return what the agent reads now."""


def count_words(text: str) -> int:
    """Count white-space separated words: the counter used where no tokenizer is at hand."""
    return len(text.split())


def total(segments: Sequence[Segment], count: Counter) -> int:
    """Return the token count of segments, which are tokenised one by one."""
    return sum(count(s.text) for s in segments)
