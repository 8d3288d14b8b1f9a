"""`agentgym paper read`: advantage feedback against none and against verification, with a planner of known skill."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ..agents.critics import Critic, ExactPrefix, PrefixCritic, SentenceFeatures
from ..agents.read import ReadJ, ReadS
from ..agents.scripted import NoisyAgent
from ..agents.team import Central, Coordinator, Sequential
from ..envs import make_team, options
from ..envs.team import TeamEnv
from ..memory import memory_maker
from ..memory.trajectory import Trajectory
from .evaluate import mean_ci, proportion
from .prefixes import fit, prefixes
from .run import kept
from .team import rollout_team

CLAIM = (
    "ReAd (arXiv 2405.14314): a planner that is told its plans' advantages succeeds more often and in fewer steps than "
    "without, and than one that is told what cannot be executed (Sweep Y3_G3: success of RoCo .6, ReAct .4, ReAd .8)"
)
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


@dataclass(frozen=True, slots=True)
class Level:
    """What is played. wander: random steps at most before half of the critic's data. arms: which, all by default.

    changes: of the setting, for this level.
    """

    env: str
    task: str
    name: str
    kwargs: dict[str, Any] = field(default_factory=dict)
    wander: int = 8
    arms: tuple[str, ...] | None = None
    changes: dict[str, Any] = field(default_factory=dict)


ROCO = (
    Level("roco-sweep", "test/Y1_G1", "Sweep Y1_G1"),
    Level("roco-sandwich", "test/recipe3", "Sandwich recipe3"),
    Level("roco-sort", "test/sort5", "Sort sort5"),
)
KITCHEN = Level(
    "overcooked", "test/cramped_room/0", "Overcooked cramped_room", {"layout": "cramped_room", "variant": "read"}, 2,
    ("central", "ReAd-J"), {"right": 0.7, "data_right": 0.8, "data": 120, "episodes": 40},
)  # fmt: skip


def reproduce(
    seeds: Sequence[int],
    out: Path,
    *,
    quick: bool = False,
    say: Callable[[str], None] = print,
    levels: Sequence[Level] = ROCO,
) -> dict[str, Any]:
    """Return claim, rows and whether the effect holds.

    It holds if, over all levels together, success is higher and steps are fewer, their 95 % intervals apart, with ReAd-J
    than with the same planner for all, alone and verified, and with ReAd-S than with it agent by agent. What is verified
    may ask as often as ReAd.

    Episodes are pooled over the seeds, each of which has a critic of its own. What lies in `out` is not run again.
    """
    setting = Setting(data=120, steps=500, episodes=30) if quick else Setting()
    together = "all levels"
    cells = {v.name: [_cell(out, v, seed, replace(setting, **v.changes), say) for seed in seeds] for v in levels}
    if len(levels) == 1:
        together = levels[0].name
    else:
        cells[together] = [c for some in cells.values() for c in some]
    rows = [
        arm_row(f"{level}, {arm}", [c["arms"][arm] for c in some], len(seeds))
        for level, some in cells.items()
        for arm in some[0]["arms"]
    ]
    return {
        "claim": CLAIM, "split": "the levels themselves", "measure": "success", "setting": cells[levels[0].name][0]["setting"],
        "rows": rows, "holds": _holds(rows, together),
    }  # fmt: skip


overcooked = partial(reproduce, levels=(KITCHEN,))


def _cell(out: Path, level: Level, seed: int, setting: Setting, say: Callable[[str], None]) -> dict[str, Any]:
    def work() -> dict[str, Any]:
        begin = time.monotonic()
        row = measure(level, seed, setting)
        say(f"{level.name}, seed {seed}: {time.monotonic() - begin:.0f} s, critic {row['critic']}")
        return row

    return kept(out / f"read-{level.env}-{seed}.json", work, setting=asdict(setting), level=level.task)


def measure(level: Level, seed: int, setting: Setting) -> dict[str, Any]:
    """Fit a critic to a level and play every arm; of each arm, an episode's success, steps and queries."""
    critic = PrefixCritic(Critic(SentenceFeatures(setting.size), setting.width, seed=seed))
    untrained = PrefixCritic(Critic(SentenceFeatures(setting.size), setting.width, seed=seed))
    half = setting.data // 2
    world = make_team(level.env, **level.kwargs)
    dense = make_team(level.env, **level.kwargs, dense=True) if "dense" in options(level.env) else world
    play = partial(_play, level)
    data = [
        *play(dense, NoisyAgent(setting.data_right), Central(), half, [seed, 1]),
        *play(dense, NoisyAgent(setting.data_right, level.wander), Central(), setting.data - half, [seed, 2]),
    ]
    fitted = fit(
        critic, prefixes(data, critic.critic.features, setting.gamma), steps=setting.steps,
        rng=np.random.default_rng([seed, 3]),
    )  # fmt: skip
    exact = ExactPrefix(lambda: make_team(level.env, **level.kwargs), setting.gamma)
    each = ReadS(critic, setting.epsilon, setting.tries)
    arms: dict[str, Coordinator] = {
        "central": Central(),
        "central, verified": Central(setting.tries),
        "ReAd-J": ReadJ(critic, setting.epsilon, setting.tries),
        "ReAd-J, untrained critic": ReadJ(untrained, setting.epsilon, setting.tries),
        "ReAd-J, exact critic": ReadJ(exact, setting.epsilon, setting.tries),
        "sequential": Sequential(),
        "sequential, verified": Sequential(each.asks - 1),
        "ReAd-S": each,
        "ReAd-S, untrained critic": ReadS(untrained, setting.epsilon, setting.tries),
        "ReAd-S, exact critic": ReadS(exact, setting.epsilon, setting.tries),
    }
    told = {}
    for name, course in arms.items():
        if level.arms is not None and name not in level.arms:
            continue
        played = play(world, NoisyAgent(setting.right), course, setting.episodes, [seed, 4])
        told[name] = {
            "success": [t.success for t in played],
            "steps": [len(t.steps) for t in played],
            "queries": [sum(s.queries for s in t.steps) for t in played],
        }
    return {
        "env": level.env, "level": level.task, "seed": seed, "setting": asdict(setting),
        "critic": {k: round(v, 4) for k, v in fitted.items()}, "arms": told,
    }  # fmt: skip


def _play(
    level: Level, world: TeamEnv, agent: NoisyAgent, course: Coordinator, n: int, key: Sequence[int]
) -> list[Trajectory]:
    """Play a level n times in one world, which remembers its shortest plans."""
    return rollout_team(
        lambda: world, agent, course, memory_maker("window:1"), [level.task] * n, env_id=level.env,
        env_kwargs=level.kwargs, memory="window:1", seed=int(np.random.default_rng(list(key)).integers(2**31)), batch=1,
    )  # fmt: skip


def arm_row(name: str, cells: Sequence[dict[str, list[Any]]], seeds: int) -> dict[str, Any]:
    def pooled(key: str) -> list[float]:
        return [float(x) for c in cells for x in c[key]]

    success, steps, queries = [bool(x) for x in pooled("success")], pooled("steps"), pooled("queries")
    return {
        "name": name, "n": len(success), "seeds": seeds, **proportion(success),
        "by_cell": [round(float(np.mean(c["success"])), 4) for c in cells],
        "steps": float(np.mean(steps)), "steps_ci95": mean_ci(steps)["ci95"],
        "queries": float(np.mean(queries)), "queries_ci95": mean_ci(queries)["ci95"],
    }  # fmt: skip


def _holds(rows: Sequence[dict[str, Any]], together: str) -> bool:
    """Whether each form is better than its own planner alone and verified, where these were played."""
    arms = {r["name"].split(", ", 1)[1]: r for r in rows if r["name"].startswith(f"{together}, ")}

    def better(arm: str, base: str) -> bool:
        a, b = arms[arm], arms[base]
        return bool(a["ci95"][0] > b["ci95"][1] and a["steps_ci95"][1] < b["steps_ci95"][0])

    pairs = [(arm, base) for arm, own in LIKE.items() for base in (own, f"{own}, verified")]
    return all(better(arm, base) for arm, base in pairs if {arm, base} <= set(arms))
