"""Labelled episodes as preference rows: the corrected action over the student's own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..agents.teachers import turns
from ..memory.trajectory import Trajectory
from .examples import kept, reply_text

if TYPE_CHECKING:
    from .lab import Lab


def pairs(lab: Lab, trajectories: Sequence[Trajectory]) -> list[dict[str, str]]:
    """Return a row of prompt, chosen and rejected for every step whose correction differs from what the student did.

    The prompt is the decoded text of the very ids the student read, marks included, so that TRL's tokenising gives
    them back.
    """
    student = lab.student
    out = []
    for t in trajectories:
        for turn, step, right in zip(turns(t, lab.make_memory()), t.steps, kept(t), strict=True):
            if right.action is None or right.action == step.action:
                continue
            chosen = reply_text(right.action, right.reason, student.mode)
            tokenizer = student.loaded.tokenizer
            out.append(
                {
                    "prompt": tokenizer.decode(student.renderer.prompt(turn)),
                    "chosen": tokenizer.decode(student.renderer.reply(chosen)),
                    "rejected": tokenizer.decode(student.renderer.reply(step.reply or step.action)),
                }
            )
    return out


def prefer(
    lab: Lab, k: int, trajectories: Sequence[Trajectory], most: int, *, beta: float, lr: float | None
) -> dict[str, float]:
    """Train the student by DPO on round k's preferences, at most so many, drawn at random; without any it stays."""
    rows = pairs(lab, trajectories)
    if not rows:
        lab.say("  update: no correction differs from what the student did, so it stays as it is")
        return {"pairs": 0.0, "steps": 0.0}
    chosen = sorted(lab.rng(5, k).permutation(len(rows))[:most])
    return lab.student.prefer([rows[i] for i in chosen], lab.seed + k, beta=beta, lr=lr)
