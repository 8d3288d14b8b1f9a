"""Trajectories and corrections become training sequences, through the same memory and renderer that acted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from ..agents.policy import LONGEST, common
from ..agents.render import Renderer
from ..agents.teachers import Correction, turns
from ..agents.team import hearing
from ..memory.core import Memory
from ..memory.trajectory import Part, Step, Trajectory
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

    What a view shows at its end and the next one does not keep is read by its own step, beside the others.
    Of a team, every agent's decisions, one sequence each: what it hears is in the prompt of its step only.

    Raises:
        ValueError: a correction is missing for some step.
    """
    if trajectory.steps and trajectory.steps[0].parts:
        return _team_examples(trajectory, corrections, make_memory, renderer, mode, max_tokens)
    if len(corrections) != len(trajectory.steps):
        raise ValueError(f"task {trajectory.task!r}: {len(corrections)} corrections for {len(trajectory.steps)} steps")
    made = list(turns(trajectory, make_memory()))
    prompts = [renderer.prompt(turn) for turn in made]
    out: list[Example] = []
    run: list[Reply] = []
    trunk: list[int] = []

    def flush() -> None:
        while run and run[-1].learn is None:
            run.pop()  # nothing is learned there, and nothing after it reads it
        if run:
            out.append(build(run, renderer.stop, max_tokens=max_tokens))
        run.clear()
        trunk.clear()

    for prompt, after, step, right in zip(prompts, [*prompts[1:], []], trajectory.steps, corrections, strict=True):
        said = _said(step, renderer)
        learn, ended = _learn(step, right, said, renderer, mode)
        if prompt[: len(trunk)] != trunk or _over(run, len(prompt) - len(trunk) + len(learn or ()), max_tokens):
            flush()
        new, stays, same = prompt[len(trunk) :], [*prompt, *said], common(prompt, after)
        if after[: len(stays)] != stays and same > max(len(trunk), len(prompt) // 2):
            own = same - len(trunk)  # the next view goes on from here; what it does not read hangs beside the trunk
            run.append(Reply(tuple(new[:own]), (), learn, right.weight, ended, aside=tuple(new[own:])))
            trunk += new[:own]
        else:
            run.append(Reply(tuple(new), said, learn, right.weight, ended))
            trunk[:] = stays
    flush()
    return out


def _over(run: Sequence[Reply], more: int, most: int) -> bool:
    """Whether replies with something beside the trunk grow too long, where a sequence of their own is not."""
    if not any(r.aside for r in run):
        return False
    return sum(len(r.context) + len(r.aside) + len(r.said) + len(r.learn or ()) for r in run) + more > most


def _said(step: Step | Part, renderer: Renderer) -> tuple[int, ...]:
    return step.token_ids or tuple(renderer.reply(step.reply or step.action))


def _learn(
    step: Step | Part, right: Correction, said: tuple[int, ...], renderer: Renderer, mode: str
) -> tuple[tuple[int, ...] | None, bool]:
    """Return the ids to be learned at a step, those that were said where they are right, and whether a stop follows.

    None for nothing. No stop follows a free reply that was cut at the policy's longest.
    """
    if right.action is None or not right.weight:
        return None, True
    if right.action == step.action and (mode == "choose" or right.reason == step.thought):
        return said, mode == "choose" or len(step.token_ids) < LONGEST
    return tuple(renderer.reply(reply_text(right.action, right.reason, mode))), True


def _team_examples(
    trajectory: Trajectory, corrections: Sequence[Correction], make_memory: Callable[[], Memory], renderer: Renderer,
    mode: str, max_tokens: int,
) -> list[Example]:  # fmt: skip
    team = [p.agent for p in trajectory.steps[0].parts]
    if len(corrections) != len(team) * len(trajectory.steps):
        want = f"{len(team)} x {len(trajectory.steps)}"
        raise ValueError(f"task {trajectory.task!r}: {len(corrections)} corrections for {want} decisions")
    out = []
    for i, who in enumerate(team):
        for t, turn in enumerate(turns(trajectory.seat(who), make_memory())):
            part, right = trajectory.steps[t].parts[i], corrections[t * len(team) + i]
            prompt, said = tuple(renderer.prompt(hearing(turn, part.heard))), _said(part, renderer)
            learn, ended = _learn(part, right, said, renderer, mode)
            if learn is not None:
                out.append(
                    build([Reply(prompt, said, learn, right.weight, ended)], renderer.stop, max_tokens=max_tokens)
                )
    return out


def own_actions(trajectory: Trajectory) -> list[Correction]:
    """Return the episode's own actions as what should be learned: behaviour cloning; of a team, part by part."""
    return [Correction(p.action, p.thought) for s in trajectory.steps for p in s.parts or (s,)]


def keep(trajectory: Trajectory, corrections: Sequence[Correction]) -> Trajectory:
    """Return the trajectory with its corrections stored in it."""
    rows = [[c.action, c.reason, c.weight] for c in corrections]
    return replace(trajectory, meta=trajectory.meta | {"corrections": rows})


def kept(trajectory: Trajectory) -> list[Correction]:
    """Return the corrections that `keep` stored."""
    return [Correction(a, r, w) for a, r, w in trajectory.meta["corrections"]]
