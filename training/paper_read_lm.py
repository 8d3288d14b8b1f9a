"""`agentgym paper read-lm`: advantage feedback for a planner that is a trained language model, and its AWR."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..agents.critics import Critic, PrefixCritic, SentenceFeatures
from ..agents.read import ReadS
from ..agents.team import Coordinator, Sequential
from ..envs import make_team
from ..memory import memory_maker
from .paper_read import ROCO, Level, arm_row
from .play import student
from .run import RunDir, kept
from .student import Student
from .team import rollout_team
from .train import configure, once
from .words import grown

CLAIM = (
    "ReAd (arXiv 2405.14314): a language model's plans, told their advantages, succeed more often and in fewer steps than "
    "the model alone and than verified (RoCo), asking as often at most; so do those of the model that AWR has tuned (Eq. 9)"
)
ALONE, VERIFIED, READ, UNTRAINED = "planner alone", "planner, verified", "ReAd-S", "ReAd-S, untrained critic"
TUNED, TUNED_READ = "AWR", "AWR, ReAd-S"
EFFECTS = ((READ, ALONE), (READ, VERIFIED), (READ, UNTRAINED), (TUNED, ALONE), (TUNED_READ, VERIFIED))
MEMORY = "window:0"
EVERYWHERE = "all levels"
CHANGES = {"roco-sweep": {"right": 0.5}, "roco-sort": {"right": 0.4}}
"""Sweep and Sort forgive mistakes: a planner as good as Sandwich's would leave little to gain there."""
LEVELS = tuple(replace(v, changes=CHANGES.get(v.env, {})) for v in ROCO)


@dataclass(frozen=True, slots=True)
class Setting:
    """How a planner is made and measured; the rest as method `read` has it.

    width: of the planner, a decoder of two layers that has learned nothing else. demonstrations, right, epochs0: of its
    training, from a demonstrator right that often. episodes, others, epochs, beta, steps: of the critic and of AWR. All
    of it at the level itself, as the paper's critic. played: episodes an arm and seed. temperature: of all play, since
    a planner that is asked again must not say the same. tries, epsilon: of the feedback; verification may ask as often.
    """

    width: int = 128
    demonstrations: int = 40
    right: float = 0.75
    epochs0: float = 1.5
    episodes: int = 24
    others: int = 300
    epochs: float = 1.0
    beta: float = 0.2
    steps: int = 700
    played: int = 12
    temperature: float = 1.0
    tries: int = 3
    epsilon: float = 0.0


FAST: dict[str, Any] = {"demonstrations": 16, "epochs0": 1.0, "episodes": 8, "others": 60, "steps": 200, "played": 4}


def reproduce(
    seeds: Sequence[int], out: Path, *, quick: bool = False, say: Callable[[str], None] = print
) -> dict[str, Any]:
    """Return claim, rows, effects and whether they hold, over all levels together.

    A planner is trained for every level and seed. What lies in `out` is not run again. An effect is a difference of
    success; it holds where the 95 % intervals of success are apart and there are no more steps.
    """
    setting = replace(Setting(), **FAST) if quick else Setting()
    done = [(v.name, _cell(out, v, seed, replace(setting, **v.changes), say)) for seed in seeds for v in LEVELS]
    cells = {v.name: [cell for name, cell in done if name == v.name] for v in LEVELS}
    cells[EVERYWHERE] = [c for some in cells.values() for c in some]
    rows = [
        arm_row(f"{level}, {arm}", [c["arms"][arm] for c in some], len(seeds))
        for level, some in cells.items()
        for arm in some[0]["arms"]
    ]
    named = {r["name"]: r for r in rows}
    effects = [_effect(named, arm, base) for arm, base in EFFECTS]
    return {
        "claim": CLAIM, "split": "the levels themselves", "measure": "success", "setting": asdict(setting), "rows": rows,
        "effects": effects, "holds": all(e["holds"] for e in effects),
    }  # fmt: skip


def _effect(rows: dict[str, dict[str, Any]], arm: str, base: str) -> dict[str, Any]:
    a, b = rows[f"{EVERYWHERE}, {arm}"], rows[f"{EVERYWHERE}, {base}"]
    holds = a["ci95"][0] > b["ci95"][1] and a["steps"] <= b["steps"]
    return {"effect": f"{arm} over {base}", "gain": a["mean"] - b["mean"], "holds": bool(holds)}


def _cell(out: Path, level: Level, seed: int, setting: Setting, say: Callable[[str], None]) -> dict[str, Any]:
    def work() -> dict[str, Any]:
        begin = time.process_time()
        told = measure(level, seed, setting, out, say)
        told["cpu_s"] = round(time.process_time() - begin, 1)
        shares = {name: float(np.mean(arm["success"])) for name, arm in told["arms"].items()}
        say(f"{level.name}, seed {seed}: {told['cpu_s']:.0f} CPU-s, success {shares}")
        return told

    return kept(out / f"read-lm-{level.env}-{seed}.json", work, setting=asdict(setting), level=level.task)


def measure(level: Level, seed: int, setting: Setting, out: Path, say: Callable[[str], None]) -> dict[str, Any]:
    """Train a planner for a level and play every arm; of each, every episode's success, steps and queries."""
    words = grown(level.env, out / f"read-lm-words-{level.env}-{setting.width}", level.kwargs, width=setting.width)
    wanted = config(level, seed, setting, words)
    run = once(RunDir.create(out / f"read-lm-{level.env}-{seed}", wanted).path, lambda: wanted, say)
    planner, tuned = (student(str(run / "checkpoints" / name)) for name in ("00", "01"))
    critic = PrefixCritic.load(run / "critic")
    untrained = PrefixCritic(Critic(SentenceFeatures(1024), 128, seed=seed))
    read = ReadS(critic, setting.epsilon, setting.tries)
    arms: dict[str, tuple[Student, Coordinator]] = {
        ALONE: (planner, Sequential()),
        VERIFIED: (planner, Sequential(read.asks - 1)),
        READ: (planner, read),
        UNTRAINED: (planner, ReadS(untrained, setting.epsilon, setting.tries)),
        TUNED: (tuned, Sequential()),
        TUNED_READ: (tuned, read),
    }
    told = {name: _played(level, who, course, setting, seed) for name, (who, course) in arms.items()}
    return {"env": level.env, "level": level.task, "seed": seed, "setting": asdict(setting), "arms": told}


def config(level: Level, seed: int, setting: Setting, words: Path) -> dict[str, Any]:
    """Return the configuration of a level's run of method `read`: rewards are dense, prompts tell the moment alone."""
    own = {k: v for k, v in asdict(setting).items() if k not in ("width", "played", "tries", "epsilon")}
    given = {f"read.{k}": str(v) for k, v in own.items()} | {f"env.{k}": str(v) for k, v in level.kwargs.items()}
    given |= {"read.at": level.task, "env.dense": "yes", "eval.valid": "0", "eval.test": "1", "eval.before": "no"}
    return configure(level.env, "read", str(words), MEMORY, seed, given, False)


def _played(level: Level, who: Student, course: Coordinator, setting: Setting, seed: int) -> dict[str, Any]:
    played = rollout_team(
        lambda: make_team(level.env, **level.kwargs), who.policy(setting.temperature), course,
        memory_maker(MEMORY, who.count), [level.task] * setting.played, env_id=level.env, env_kwargs=level.kwargs,
        memory=MEMORY, seed=int(np.random.default_rng([seed, 4]).integers(2**31)), count=who.count,
    )  # fmt: skip
    return {
        "success": [t.success for t in played],
        "steps": [len(t.steps) for t in played],
        "queries": [sum(s.queries for s in t.steps) for t in played],
    }
