"""DAgger: the searching expert, who knows no more than the student, corrects the student's own histories."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from ...agents.teachers import Correction, OracleTeacher, retrace
from ...memory.trajectory import Trajectory
from ..lab import Lab
from .leap import Leap, few


@dataclass(frozen=True)
class Dagger(Leap):
    """LEAP's loop with an expert without privilege: LEAP minus its own idea.

    Source: DAgger, arXiv 1011.0686, in the form of LEAP's loop so that only the teacher differs: every action comes
    from the world's searching expert.
    """

    id: ClassVar[str] = "dagger"
    summary: ClassVar[str] = "an expert without privilege corrects the student on its own histories"
    source: ClassVar[str] = "arXiv 1011.0686"

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("teacher", "chat", "privilege", "hint", "trust"):
            value = getattr(self, name)
            if value != getattr(Leap, name):
                raise ValueError(
                    f"dagger.{name}={value}: the searching expert teaches here; {name} is for --method leap"
                )

    @property
    def needs(self) -> tuple[str, ...]:
        """The oracle for the demonstrations, the searching expert as the teacher."""
        return ("oracle", "searcher")

    def label(self, lab: Lab, k: int, trajectories: Sequence[Trajectory]) -> list[list[Correction]]:
        """Return the searching expert's action at every step."""
        if k == 0:
            return super().label(lab, k, trajectories)
        env = lab.make_env()
        out = []
        for t in trajectories:
            teacher = OracleTeacher(lambda t=t: lab.make_searcher(t.task), hint=False, trust=False)  # type: ignore[misc]
            out.append(few(t, teacher.correct(t, retrace(env, t))))
        return out
