"""What a method is: iterations of collect, label and update; evaluation between them is the loop's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Protocol, runtime_checkable

from ...agents.teachers import Correction
from ...envs.core import TextEnv
from ...memory.trajectory import Trajectory
from ..examples import examples, kept
from ..lab import Lab
from ..sequences import Example

Idle = tuple[tuple[str, Any, tuple[str, ...]], ...]


@runtime_checkable
class Method(Protocol):
    """A frozen dataclass of hyper-parameters with these stages.

    needs: what a world must offer (training/needs.py). It may have `actor(lab, k)`, the agent by which round k is judged,
    which without it is the student; `team`, whether several agents may learn (no, too, only); `either`, pairs of settings
    of which one is given; `idle`, rows of a setting, its value, and the settings that nothing reads beside it; and
    `protocol`, see `Particular`.
    """

    id: ClassVar[str]
    summary: ClassVar[str]
    source: ClassVar[str]

    @property
    def needs(self) -> tuple[str, ...]:
        """What a world must offer."""

    @property
    def rounds(self) -> int:
        """How many times collect, label and update run."""

    def collect(self, lab: Lab, k: int) -> list[Trajectory]:
        """Return the episodes of round k."""

    def label(self, lab: Lab, k: int, trajectories: Sequence[Trajectory]) -> list[list[Correction]]:
        """Return what should be learned at every step of every episode."""

    def update(self, lab: Lab, k: int, data: Sequence[Sequence[Trajectory]]) -> dict[str, float]:
        """Train the student on the labelled episodes of rounds 0..k and return what the training came to."""


def idle(method: type[Any], given: Mapping[str, Any]) -> dict[str, str]:
    """Return which settings of a method nothing reads beside those that are given, and beside which."""
    rows = [row for row in getattr(method, "idle", ()) if given.get(row[0], getattr(method, row[0])) == row[1]]
    return {name: f"{switch}={value}" for switch, value, names in rows for name in names}


@runtime_checkable
class Particular(Protocol):
    """A method that not every world suits; `protocol` is the options of a world that it sets where the user does not."""

    protocol: ClassVar[Mapping[str, Any]]

    def check(self, env: TextEnv) -> None:
        """Raise ValueError where the world lacks what the method needs."""


def dataset(lab: Lab, trajectories: Sequence[Trajectory]) -> list[Example]:
    """Return the training sequences of labelled trajectories."""
    student = lab.student
    out = [
        e
        for t in trajectories
        for e in examples(
            t, kept(t), lab.make_memory, student.renderer, mode=student.mode, max_tokens=student.max_tokens
        )
    ]
    if cut := sum(e.cut for e in out):
        lab.say(
            f"  {cut} steps lie behind the {student.max_tokens} tokens of a sequence and are not learned: "
            "take a shorter --memory, as window:4"
        )
    return out
