"""What the three tasks share: one action a robot a round, verified as a whole before anything moves."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Hashable, Sequence
from itertools import product
from typing import ClassVar, Generic, TypeVar

WAIT = "WAIT"
ROUNDS = 15  # the limit of the papers
Joint = tuple[str, ...]
S = TypeVar("S", bound=Hashable)


class Rules(ABC, Generic[S]):
    """One instance of a task: immutable, its states hashable, its methods pure."""

    robots: ClassVar[tuple[str, ...]]

    @abstractmethod
    def goal(self) -> str:
        """Return the task in words."""

    @abstractmethod
    def start(self) -> S:
        """Return the opening state."""

    @abstractmethod
    def options(self, state: S, i: int) -> tuple[str, ...]:
        """Return what a robot may do if the others play along; WAIT is always among it."""

    @abstractmethod
    def why(self, state: S, i: int, action: str) -> str:
        """Return why a robot may not do what is not among its options."""

    @abstractmethod
    def clash(self, state: S, joint: Joint) -> dict[int, str]:
        """Return why actions that are options do not go together, by the robot at fault; nothing if they do."""

    def faults(self, state: S, joint: Joint) -> dict[int, str]:
        """Return why a joint plan is rejected, by the robot at fault; nothing if it is accepted."""
        wrong = {i: self.why(state, i, a) for i, a in enumerate(joint) if a not in self.options(state, i)}
        return wrong or self.clash(state, joint)

    @abstractmethod
    def apply(self, state: S, joint: Joint) -> S:
        """Return the state after an accepted plan."""

    @abstractmethod
    def score(self, state: S) -> float:
        """Return progress; 1.0 is the goal."""

    @abstractmethod
    def describe(self, state: S, i: int, everything: bool) -> list[str]:
        """Return what a robot sees, in sentences; `everything`: also what only the others see."""

    def plan(self, state: S) -> list[Joint]:
        """Return a shortest accepted joint plan to the goal, by breadth-first search; empty at the goal."""
        came: dict[S, tuple[S, Joint] | None] = {state: None}
        edge = deque([state])
        while edge:
            here = edge.popleft()
            if self.score(here) == 1.0:
                plan = []
                while (step := came[here]) is not None:
                    here, joint = step
                    plan.append(joint)
                return plan[::-1]
            for joint in product(*(self.options(here, i) for i in range(len(self.robots)))):
                if not self.clash(here, joint) and (there := self.apply(here, joint)) not in came:
                    came[there] = (here, joint)
                    edge.append(there)
        raise AssertionError("every state of these tasks can still reach the goal")


def words(things: Sequence[str]) -> str:
    """Join names.

    >>> words(["a", "b"]), words([])
    ('a, b', 'nothing')
    """
    return ", ".join(things) or "nothing"
