"""Behaviour cloning, and the baseline that stands in every table: cloning one's own successes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from ...agents.scripted import OracleAgent
from ...agents.teachers import Correction
from ...envs.errors import at_least, positive
from ...memory.trajectory import Trajectory
from ..examples import own_actions
from ..lab import Lab
from .core import dataset


def demonstrate(lab: Lab, n: int) -> list[Trajectory]:
    """Return what the oracle won of n train tasks, or of all where there are fewer.

    Raises:
        ValueError: it won nothing.
    """
    played = lab.play(OracleAgent(), lab.tasks("train", n, 0), 0)
    won = [t for t in played if t.success]
    if not won:
        raise ValueError(f"the oracle won none of {len(played)} train tasks: raise env.max_steps")
    if len(won) < n:
        lab.say(f"  demonstrate: {len(won)} of the {n} demonstrations that were asked for")
    return won


def roll_out(lab: Lab, k: int, episodes: int, temperature: float) -> list[Trajectory]:
    """Return the student's own episodes on train tasks drawn for round k."""
    tasks = lab.tasks("train", episodes, k)
    return lab.play(lab.student.policy(temperature), tasks, k, label="roll out")


def roll_out_all(lab: Lab, k: int, episodes: int, temperature: float) -> list[Trajectory]:
    """Return the same, won or not, where all are learned from, and say how many were won."""
    played = roll_out(lab, k, episodes, temperature)
    lab.say(f"  roll out: {sum(t.success for t in played)} of {len(played)} train episodes succeeded")
    return played


@dataclass(frozen=True)
class BC:
    """Supervised fine-tuning on demonstrations, loss on the tokens of actions only.

    L = −Σ_t log π(a_t | h_t) over the demonstrator's actions.
    Source: Pomerleau 1989; as iteration 0 of LEAP, arXiv 2410.05434.

    demonstrations: episodes of the oracle. epochs, lr: of the fit; None takes the student's own. steps: of the optimizer
    in a fit, in place of epochs; what is compared at equal steps has seen as many tokens.
    """

    id: ClassVar[str] = "bc"
    summary: ClassVar[str] = "imitate demonstrations"
    source: ClassVar[str] = "Pomerleau 1989"
    needs: ClassVar[tuple[str, ...]] = ("oracle",)
    # settings that exclude each other
    either: ClassVar[tuple[tuple[str, str], ...]] = (("steps", "epochs"), ("steps", "later"))
    team: ClassVar[str] = "too"  # a team's members are imitated one by one
    demonstrations: int = 300
    epochs: float = 6.0
    lr: float | None = None
    steps: int | None = None

    def __post_init__(self) -> None:
        at_least(1, f"{self.id}.", demonstrations=self.demonstrations)
        positive(f"{self.id}.", epochs=self.epochs)
        if self.steps is not None:
            at_least(1, f"{self.id}.", steps=self.steps)

    @property
    def rounds(self) -> int:
        """One."""
        return 1

    def collect(self, lab: Lab, k: int) -> list[Trajectory]:
        """Return the demonstrations."""
        return demonstrate(lab, self.demonstrations)

    def label(self, lab: Lab, k: int, trajectories: Sequence[Trajectory]) -> list[list[Correction]]:
        """Return the demonstrator's own actions."""
        return [own_actions(t) for t in trajectories]

    def update(self, lab: Lab, k: int, data: Sequence[Sequence[Trajectory]]) -> dict[str, float]:
        """Fit the demonstrations."""
        rows = dataset(lab, data[0])
        return lab.student.fit(rows, lab.rng(3, k), epochs=self.epochs, steps=self.steps, lr=self.lr)


@dataclass(frozen=True)
class FilteredBC(BC):
    """Behaviour cloning, then cloning the student's own successful episodes, round after round.

    Source: rejection-sampling fine-tuning; the hard baseline of Digi-Q, arXiv 2502.15760, Sec. 5.

    iterations: rounds after the first. episodes: rolled out in each. temperature: of those rollouts. later: epochs of
    the rounds after the first. steps: of every fit, in place of both.
    """

    id: ClassVar[str] = "filtered-bc"
    summary: ClassVar[str] = "imitate demonstrations, then one's own successes"
    source: ClassVar[str] = "arXiv 2502.15760 Sec. 5"
    iterations: int = 3
    episodes: int = 300
    temperature: float = 1.0
    later: float = 4.0

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(0, f"{self.id}.", iterations=self.iterations, temperature=self.temperature)
        at_least(1, f"{self.id}.", episodes=self.episodes)
        positive(f"{self.id}.", later=self.later)

    @property
    def rounds(self) -> int:
        """The demonstrations' and `iterations` more."""
        return 1 + self.iterations

    def collect(self, lab: Lab, k: int) -> list[Trajectory]:
        """Return demonstrations first, then the student's own successes."""
        if k == 0:
            return demonstrate(lab, self.demonstrations)
        return [t for t in roll_out(lab, k, self.episodes, self.temperature) if t.success]

    def update(self, lab: Lab, k: int, data: Sequence[Sequence[Trajectory]]) -> dict[str, float]:
        """Fit everything so far."""
        rows = [t for group in data for t in group]
        epochs = self.epochs if k == 0 else self.later
        return lab.student.fit(dataset(lab, rows), lab.rng(3, k), epochs=epochs, steps=self.steps, lr=self.lr)
