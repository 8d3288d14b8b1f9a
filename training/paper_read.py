"""`agentgym paper read`: advantage feedback against none and against verification, with a planner of known skill."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ..agents.critics import Critic, ExactPrefix, PrefixCritic, SentenceFeatures
from ..agents.read import ReadJ, ReadS
from ..agents.scripted import NoisyAgent
from ..agents.team import Central, Coordinator, Sequential
from ..envs import make_team
from ..memory import memory_maker
from ..memory.trajectory import Trajectory
from .evaluate import mean_ci, proportion
from .prefixes import fit, prefixes
from .run import save_json
from .team import rollout_team

CLAIM = (
    "ReAd (arXiv 2405.14314): a planner that is told its plans' advantages succeeds more often and in fewer steps than "
    "without, and than one that is told what cannot be executed (Sweep Y3_G3: success of RoCo .6, ReAct .4, ReAd .8)"
)
LEVELS = {"roco-sweep": "test/Y1_G1", "roco-sandwich": "test/recipe3", "roco-sort": "test/sort5"}
LIKE = {"ReAd-J": "central", "ReAd-S": "sequential"}


@dataclass(frozen=True, slots=True)
class Setting:
    """How a level is measured.

    right: the planner's probability of the best plan; it stands for a language model of that skill. tries, epsilon: of
    the feedback and of verification. data: episodes that the critic learns from, played at the level itself as in the
    paper, by a planner right with `data_right`, half of them after 0 to 8 random steps. episodes: per arm and seed.
    """

    right: float = 0.3
    tries: int = 3
    epsilon: float = 0.0
    gamma: float = 0.95
    data: int = 400
    data_right: float = 0.5
    size: int = 1024
    width: int = 128
    steps: int = 1500
    episodes: int = 60


def reproduce(
    seeds: Sequence[int], out: Path, *, quick: bool = False, say: Callable[[str], None] = print
) -> dict[str, Any]:
    """Return claim, rows and whether the effect holds: over all levels together success is higher and steps are fewer,
    their 95 % intervals apart, with ReAd-J than with the same central planner, alone and verified, and likewise with
    ReAd-S than with the same planner agent by agent.

    Episodes are pooled over the seeds, each of which has a critic of its own. What lies in `out` is not run again.
    """
    setting = Setting(data=120, steps=500, episodes=30) if quick else Setting()
    cells = {
        f"{env} {level.removeprefix('test/')}": [_kept(out, env, level, seed, setting, say) for seed in seeds]
        for env, level in LEVELS.items()
    }
    cells["all levels"] = [c for some in cells.values() for c in some]
    rows = [
        _row(f"{level}, {arm}", [c["arms"][arm] for c in some], len(seeds))
        for level, some in cells.items()
        for arm in some[0]["arms"]
    ]
    row = {
        "paper": "read", "claim": CLAIM, "quick": quick, "setting": asdict(setting), "seeds": list(seeds),
        "date": time.strftime("%Y-%m-%d"), "rows": rows, "holds": _holds(rows),
    }  # fmt: skip
    save_json(out / "read.json", row)
    return row


def _kept(out: Path, env: str, level: str, seed: int, setting: Setting, say: Callable[[str], None]) -> dict[str, Any]:
    file = out / f"read-{env}-{seed}.json"
    if file.is_file():
        held: dict[str, Any] = json.loads(file.read_text())
        if held["setting"] == asdict(setting) and held["level"] == level:
            return held
    begin = time.monotonic()
    row = measure(env, level, seed, setting)
    say(f"{env} {level}, seed {seed}: {time.monotonic() - begin:.0f} s, critic {row['critic']}")
    save_json(file, row)
    return row


def measure(env: str, level: str, seed: int, setting: Setting) -> dict[str, Any]:
    """Fit a critic to a level and play every arm; of each arm, an episode's success, steps and queries."""
    critic = PrefixCritic(Critic(SentenceFeatures(setting.size), setting.width, seed=seed))
    untrained = PrefixCritic(Critic(SentenceFeatures(setting.size), setting.width, seed=seed))
    half = setting.data // 2
    play = partial(_play, env, level)
    data = [
        *play(NoisyAgent(setting.data_right), Central(), half, [seed, 1], dense=True),
        *play(NoisyAgent(setting.data_right, 8), Central(), setting.data - half, [seed, 2], dense=True),
    ]
    fitted = fit(
        critic, prefixes(data, critic.critic.features, setting.gamma), steps=setting.steps,
        rng=np.random.default_rng([seed, 3]),
    )  # fmt: skip
    exact = ExactPrefix(lambda: make_team(env), setting.gamma)
    arms: dict[str, Coordinator] = {
        "central": Central(),
        "central, verified": Central(setting.tries),
        "ReAd-J": ReadJ(critic, setting.epsilon, setting.tries),
        "ReAd-J, untrained critic": ReadJ(untrained, setting.epsilon, setting.tries),
        "ReAd-J, exact critic": ReadJ(exact, setting.epsilon, setting.tries),
        "sequential": Sequential(),
        "sequential, verified": Sequential(setting.tries),
        "ReAd-S": ReadS(critic, setting.epsilon, setting.tries),
        "ReAd-S, untrained critic": ReadS(untrained, setting.epsilon, setting.tries),
        "ReAd-S, exact critic": ReadS(exact, setting.epsilon, setting.tries),
    }
    told = {}
    for name, course in arms.items():
        played = play(NoisyAgent(setting.right), course, setting.episodes, [seed, 4])
        told[name] = {
            "success": [t.success for t in played],
            "steps": [len(t.steps) for t in played],
            "queries": [sum(s.queries for s in t.steps) for t in played],
        }
    return {
        "env": env, "level": level, "seed": seed, "setting": asdict(setting),
        "critic": {k: round(v, 4) for k, v in fitted.items()}, "arms": told,
    }  # fmt: skip


def _play(
    env: str, level: str, agent: NoisyAgent, course: Coordinator, n: int, key: Sequence[int], dense: bool = False
) -> list[Trajectory]:
    kwargs, memory = {"dense": dense}, "window:1"
    return rollout_team(
        lambda: make_team(env, **kwargs), agent, course, memory_maker(memory), [level] * n, env_id=env,
        env_kwargs=kwargs, memory=memory, seed=int(np.random.default_rng(list(key)).integers(2**31)),
    )  # fmt: skip


def _row(name: str, cells: Sequence[dict[str, list[Any]]], seeds: int) -> dict[str, Any]:
    def pooled(key: str) -> list[float]:
        return [float(x) for c in cells for x in c[key]]

    success, steps, queries = [bool(x) for x in pooled("success")], pooled("steps"), pooled("queries")
    return {
        "name": name, "n": len(success), "seeds": seeds, **proportion(success),
        "by_cell": [round(float(np.mean(c["success"])), 4) for c in cells],
        "steps": float(np.mean(steps)), "steps_ci95": mean_ci(steps)["ci95"],
        "queries": float(np.mean(queries)), "queries_ci95": mean_ci(queries)["ci95"],
    }  # fmt: skip


def _holds(rows: Sequence[dict[str, Any]]) -> bool:
    """Whether, over all levels together, each form is better than its own planner alone and verified."""
    every = {r["name"].split(", ", 1)[1]: r for r in rows if r["name"].startswith("all levels")}

    def better(arm: str, base: str) -> bool:
        a, b = every[arm], every[base]
        return bool(a["ci95"][0] > b["ci95"][1] and a["steps_ci95"][1] < b["steps_ci95"][0])

    return all(better(arm, base) for arm, own in LIKE.items() for base in (own, f"{own}, verified"))
