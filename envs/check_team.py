"""Whether a world of several agents keeps the contract: the part of `agentgym check` for a TeamEnv."""

from __future__ import annotations

import contextlib
import io
import random
import time
import warnings
from collections.abc import Callable

from pettingzoo.test import parallel_api_test, parallel_seed_test

from .check import BAD, SECRET, Check, attempt, expect
from .core import SPLITS
from .fuzz import fuzz
from .team import TeamEnv

Make = Callable[[], TeamEnv]


def check_team(make: Make, seed: int = 0) -> list[Check]:
    """Return what holds of an environment of several agents and what does not."""
    return [
        attempt(name, lambda run=run: run(make, seed))  # type: ignore[misc]
        for name, run in (
            ("pettingzoo parallel_api_test", _api),
            ("pettingzoo parallel_seed_test", _seed),
            ("splits are disjoint", _splits),
            ("info is complete", _info),
            ("same task and actions, same episode", _determinism),
            ("bad text never raises", _bad_text),
            ("a step after the end raises", _after_end),
            ("snapshot and restore are exact", _fork),
            ("throughput", _throughput),
        )
    ]


def _api(make: Make, seed: int) -> str:
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("error")
        parallel_api_test(make(), num_cycles=50)
    return ""


def _seed(make: Make, seed: int) -> str:
    with contextlib.redirect_stdout(io.StringIO()):
        parallel_seed_test(make, num_cycles=20)
    return ""


def _splits(make: Make, seed: int) -> str:
    env = make()
    ids = {s: set(env.tasks(s)) for s in SPLITS}
    expect(len(set.union(*ids.values())) == sum(map(len, ids.values())), "two splits share a task")
    expect(all(ids.values()), "a split has no task")
    return ", ".join(f"{s} {len(v)}" for s, v in ids.items())


def _walk(env: TeamEnv, task: str, seed: int, steps: int = 60) -> list[tuple[object, ...]]:
    """Return what an episode of random actions brought, step by step."""
    rng = random.Random(seed)
    observations, infos = env.reset(seed=seed, options={"task": task})
    rows: list[tuple[object, ...]] = [(observations, infos)]
    for _ in range(steps):
        if not env.agents:
            break
        told = env.step({a: rng.choice(list(infos[a]["admissible"] or BAD)) for a in env.agents})
        infos = told[-1]
        rows.append(told)
    return rows


def _info(make: Make, seed: int) -> str:
    env = make()
    for row in _walk(env, env.tasks("train")[0], seed):
        infos = row[-1]
        assert isinstance(infos, dict)
        for agent, info in infos.items():
            missing = {"goal", "admissible", "success", "score", "task"} - set(info)
            expect(not missing, f"{agent}'s info lacks {sorted(missing)}")
            expect(0 <= info["score"] <= 1, f"score {info['score']} is outside [0, 1]")
            bad = [k for k in info if any(s in k.lower() for s in SECRET)]
            expect(not bad, f"{agent}'s info carries {bad}: give it through privileged()")
    return ""


def _determinism(make: Make, seed: int) -> str:
    one, two = make(), make()
    for task in (one.tasks("train")[0], one.tasks("test")[-1]):
        first, again, other = _walk(one, task, seed), _walk(one, task, seed), _walk(two, task, seed)
        expect(first == again == other, f"task {task!r}: two episodes differ")
    return ""


def _bad_text(make: Make, seed: int) -> str:
    return f"{fuzz(make, 200, seed).strings} strings of any kind"


def _after_end(make: Make, seed: int) -> str:
    env = make()
    env.reset(seed=seed)
    for _ in range(10_000):
        if not env.agents:
            break
        env.step(dict.fromkeys(env.agents, "xyzzy"))
    try:
        env.step({})
    except RuntimeError:
        return ""
    raise ValueError("no RuntimeError after the end, or no end in 10,000 steps")


def _fork(make: Make, seed: int) -> str:
    env, rng = make(), random.Random(seed)
    _, infos = env.reset(seed=seed, options={"task": env.tasks("train")[0]})
    for _ in range(10):
        if not env.agents:
            break
        saved = env.snapshot()
        joint = {a: rng.choice(list(infos[a]["admissible"] or BAD)) for a in env.agents}
        first = env.step(joint)
        env.restore(saved)
        expect(env.step(joint) == first, "the fork went another way")
        infos = first[-1]
    return ""


def _throughput(make: Make, seed: int) -> str:
    env = make()
    start, steps = time.process_time(), 0
    tasks = env.tasks("train")
    while time.process_time() - start < 0.5:
        steps += len(_walk(env, tasks[steps % len(tasks)], seed)) - 1
    return f"{steps / (time.process_time() - start):,.0f} joint steps a CPU-second"
