"""Trajectories and corrections become training sequences, through the same memory and renderer that acted."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..agents.render import Renderer
from ..agents.teachers import Correction, turns
from ..memory.core import Memory
from ..memory.trajectory import Step, Trajectory
from .sequences import Example, Reply, build


def reply_text(action: str, reason: str | None, mode: str) -> str:
    """Return what the student should say: the action, or in mode `generate` its reason before it."""
    return action if mode == "choose" or not reason else f"REASON: {reason}\nACTION: {action}"


def examples(
    trajectory: Trajectory,
    corrections: Sequence[Correction],
    make_memory: Callable[[], Memory],
    renderer: Renderer,
    *,
    mode: str = "choose",
    max_tokens: int = 4096,
) -> list[Example]:
    """Return one sequence for the whole episode where views extend each other, else one a step.

    Raises:
        ValueError: a correction is missing for some step.
    """
    if len(corrections) != len(trajectory.steps):
        raise ValueError(f"task {trajectory.task!r}: {len(corrections)} corrections for {len(trajectory.steps)} steps")
    out: list[Example] = []
    run: list[Reply] = []
    before: list[int] = []

    def flush() -> None:
        while run and run[-1].learn is None:
            run.pop()  # nothing is learned there, and nothing after it reads it
        if run:
            out.append(build(run, renderer.stop, max_tokens=max_tokens))
        run.clear()

    for turn, step, right in zip(turns(trajectory, make_memory()), trajectory.steps, corrections, strict=True):
        prompt = renderer.prompt(turn)
        said = _said(step, renderer)
        learn = None
        if right.action is not None and right.weight:
            same = right.action == step.action and (mode == "choose" or right.reason == step.thought)
            learn = said if same else tuple(renderer.reply(reply_text(right.action, right.reason, mode)))
        if prompt[: len(before)] != before or not before:
            flush()
            before = []
        run.append(Reply(tuple(prompt[len(before) :]), said, learn, right.weight))
        before = prompt + list(said)
    flush()
    return out


def _said(step: Step, renderer: Renderer) -> tuple[int, ...]:
    return step.token_ids or tuple(renderer.reply(step.reply or step.action))


def own_actions(trajectory: Trajectory) -> list[Correction]:
    """Return the episode's own actions as what should be learned: behaviour cloning."""
    return [Correction(s.action, s.thought) for s in trajectory.steps]
