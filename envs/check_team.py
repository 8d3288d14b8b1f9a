"""Whether a world of several agents keeps the contract: the part of `agentgym check` for a TeamEnv."""

from __future__ import annotations

import contextlib
import io
import random
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

from pettingzoo.test import parallel_api_test, parallel_seed_test

from .check import BAD, Check, attempt, bad_text, complete, determinism, expect, splits, throughput, unprivileged
from .team import TeamEnv

Make = Callable[[], TeamEnv]


def check_team(make: Make, seed: int = 0) -> list[Check]:
    """Return what holds of an environment of several agents and what does not."""
    runs: list[tuple[str, Callable[[Any, int], str]]] = [
        ("pettingzoo parallel_api_test", _api),
        ("pettingzoo parallel_seed_test", _seed),
        ("splits are disjoint", splits),
        ("info is complete", _info),
        ("same task and actions, same episode", partial(determinism, _walk)),
        ("bad text never raises", bad_text),
        ("a step after the end raises", _after_end),
        ("snapshot and restore are exact", _fork),
        ("throughput", partial(throughput, _walk, what="joint steps")),
    ]
    return [attempt(name, partial(run, make, seed)) for name, run in runs]


def _api(make: Make, seed: int) -> str:
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("error")
        parallel_api_test(make(), num_cycles=50)
    return ""


def _seed(make: Make, seed: int) -> str:
    with contextlib.redirect_stdout(io.StringIO()):
        parallel_seed_test(make, num_cycles=20)
    return ""


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
            complete(info, f"{agent}'s info")
            unprivileged(info, f"{agent}'s info")
    return ""


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
