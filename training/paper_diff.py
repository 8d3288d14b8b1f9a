"""Our reproduction of diff history's claim: what a memory is worth when every one has the same number of tokens."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from ..agents.policy import common
from ..agents.render import Renderer
from ..memory import memory_maker
from ..memory.core import Memory, Turn
from ..memory.replay import turns
from ..memory.store import read
from ..memory.trajectory import Trajectory
from .evaluate import proportion
from .play import settings
from .student import Student
from .train import configure, once
from .words import grown

CLAIM = (
    "diff History (arXiv 2312.07540): at one context length, histories of diffs make better agents than histories of "
    "full observations (NetHack: seven times the score of the full-text baseline; BabyAI-Text: as good with a quarter "
    "less training)"
)
WORLDS: dict[str, dict[str, str]] = {
    "alfworld": {"bc.demonstrations": "300", "bc.steps": "200", "run.step_tokens": "2048"},
    "babyai": {
        "bc.demonstrations": "300", "bc.steps": "320", "env.level": "goto", "env.max_steps": "32", "run.step_tokens": "2048",
    },
    "textworld": {
        "bc.demonstrations": "400", "bc.steps": "500", "env.rooms": "3", "env.objects": "6", "env.quest": "3",
        "env.max_steps": "15", "run.step_tokens": "1024",
    },
    "device": {"bc.demonstrations": "300", "bc.steps": "100", "env.level": "L0,L1", "env.max_steps": "12"},
}  # fmt: skip
"""Where and how: in each, the fits of all memories have one number of steps and of tokens a step, 2.6 to 8 epochs."""
READY = ("alfworld",)
"""The worlds whose words `tiny` knows as it is; for the others they are grown."""
MEMORIES = ("full", "window:4", "summary:4", "diff:forward", "diff:forward,show=yes")
BUDGET, TIGHT = 1024, 256
SETTINGS = {"eval.valid": "0", "eval.test": "60", "eval.before": "no"}
QUICK = {"bc.demonstrations": "12", "bc.steps": "2", "eval.test": "6", "env.max_steps": "15"}


def reproduce(
    seeds: Sequence[int], out: Path, *, quick: bool = False, say: Callable[[str], None] = print
) -> dict[str, Any]:
    """Clone demonstrations with `tiny` under every memory in every world, all with a budget of BUDGET tokens.

    Every fit of a world takes the same number of steps of the same number of tokens. At the same number of epochs a
    memory whose prompts cannot be read in one sequence would take more steps, and steps alone move success by as much as
    a memory does.

    A run that lies in `out` is not run again, and one that was cut off goes on. Rows: success on the test tasks of all
    seeds; `tokens`, the mean length of the prompt at a step; `read`, how many of them were new at a step, since what a
    prompt shares with the one before lies in the policy's cache; `reach`, how many of the earlier actions are still in it
    word for word, as a share; `fit_steps` and `fit_tokens`, what a fit read. Holds where the best diff memory's
    success, pooled over the worlds, lies above that of `full` with intervals apart. `tight` has tokens and reach of the
    same episodes as a budget of TIGHT tokens would have shown them, without a policy of its own. Quick: two memories, a handful
    of episodes; the numbers mean nothing.

    Not among them: `notes`, the agent's own lines, which a policy that chooses among commands does not write, so that it
    would be `full` with another word for what is forgotten; and the other codecs, whose lengths `agentgym bench memory`
    compares.
    """
    memories = ("full", "diff:forward") if quick else MEMORIES
    rows = []
    for world in WORLDS:
        model = _model(world, out, quick)
        student = Student.of(model)
        for memory in memories:
            runs = [_run(world, model, f"{memory},budget={BUDGET}", seed, out, quick, say) for seed in seeds]
            rows.append({"name": f"{world}, {memory}", "world": world, "memory": memory, **_row(runs, memory, student)})
    pooled = {m: [r for r in rows if r["memory"] == m] for m in memories}
    total = {m: _pool(some) for m, some in pooled.items()}
    best = max((m for m in memories if m.startswith("diff")), key=lambda m: float(total[m]["mean"]))
    gain = total[best]["mean"] - total["full"]["mean"]
    apart = total[best]["ci95"][0] > total["full"]["ci95"][1]
    return {
        "claim": CLAIM, "split": "test", "measure": "success", "budget": BUDGET, "tight": TIGHT, "rows": rows,
        "pooled": total, "best": best, "gain": gain, "holds": bool(apart),
    }  # fmt: skip


def _model(world: str, out: Path, quick: bool) -> str:
    """Return `tiny`, with the words of a world that it does not know yet."""
    if world in READY:
        return "tiny"
    own = {k: v for k, v in _settings(world, quick).items() if k.startswith("env.")}
    return str(grown(world, out / f"diff-words-{world}", settings(world, own)))


def _settings(world: str, quick: bool) -> dict[str, str]:
    return SETTINGS | WORLDS[world] | (QUICK if quick else {})


def _run(world: str, model: str, memory: str, seed: int, out: Path, quick: bool, say: Callable[[str], None]) -> Path:
    """Return a finished run, trained now or taken up where it stopped."""
    safe = memory.replace(":", "-").replace(",", "-").replace("=", "-")
    config = partial(configure, world, "bc", model, memory, seed, _settings(world, quick), quick)
    return once(out / f"diff-{world}-{safe}-{seed}", config, say)


def _row(runs: Sequence[Path], memory: str, student: Student) -> dict[str, Any]:
    """Return what a memory came to in a world, over its runs."""
    played = [read(run / "trajectories" / "00-eval-test.jsonl.zst")[0] for run in runs]
    every = [t for episodes in played for t in episodes]
    make_memory = memory_maker(f"{memory},budget={BUDGET}", student.count)
    fits = [json.loads((run / "result.json").read_text())["iterations"][0]["fit"] for run in runs]
    fresh = [n for t in every for n in _new(t, turns(t, make_memory()), student.renderer)]
    return {
        "n": len(every), "seeds": len(runs), **proportion([t.success for t in every]),
        "by_seed": [sum(t.success for t in episodes) / len(episodes) for episodes in played],
        "score": sum(t.score for t in every) / len(every), "steps": len(fresh) / len(every),
        **_held(every, make_memory), "read": sum(fresh) / len(fresh),
        "tight": _held(every, memory_maker(f"{memory},budget={TIGHT}", student.count)),
        "fit_steps": sum(fit["steps"] for fit in fits) / len(fits),
        "fit_tokens": sum(fit["tokens"] for fit in fits) / len(fits),
    }  # fmt: skip


def _held(played: Sequence[Trajectory], make_memory: Callable[[], Memory]) -> dict[str, float]:
    """Return the mean length of some episodes' views, and how many of the earlier actions they hold, as a share."""
    views = [view for t in played for view in turns(t, make_memory())]
    acts = sum(s.role == "assistant" for view in views for s in view.segments)
    return {"tokens": sum(v.tokens for v in views) / len(views), "reach": acts / max(1, sum(v.t for v in views))}


def _new(t: Trajectory, views: Iterable[Turn], renderer: Renderer) -> Iterator[int]:
    """Yield how many tokens of every prompt of an episode are not the beginning of what was read and said before."""
    before: list[int] = []
    for view, step in zip(views, t.steps, strict=True):
        prompt = renderer.prompt(view)
        yield len(prompt) - common(before, prompt)
        before = [*prompt, *step.token_ids]


def _pool(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    won = sum(round(r["mean"] * r["n"]) for r in rows)
    n = sum(r["n"] for r in rows)
    return {"n": n, **proportion([True] * won + [False] * (n - won))}
