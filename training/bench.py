"""Speed, measured beside the peer in one run."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

from ..envs.alfworld import AlfworldEnv, generate
from ..envs.alfworld.engine import Engine
from ..envs.errors import unknown


def measure(what: str, say: Callable[[str], None]) -> list[dict[str, Any]]:
    """Return rows of name, value, unit, peer, peer_value, ratio."""
    parts: dict[str, Callable[[Callable[[str], None]], list[dict[str, Any]]]] = {
        "envs": _envs, "worlds": _worlds, "memory": _memory, "policy": _policy,
        "training": _training, "smollm2": _smollm2, "job": _job,
    }  # fmt: skip
    if what not in (*parts, "all"):
        raise unknown("bench", what, [*parts, "all"])
    return [row for name, run in parts.items() if what in (name, "all") for row in run(say)]


def row(
    name: str,
    value: float,
    unit: str,
    peer: str | None = None,
    peer_value: float | None = None,
    target: float | None = None,
) -> dict[str, Any]:
    """Return a row; `ratio` is how much better than the peer, `target` what we set ourselves."""
    ratio = None if not peer_value else (value / peer_value if "per" in unit else peer_value / value)
    return {
        "name": name, "value": value, "unit": unit, "peer": peer, "peer_value": peer_value, "ratio": ratio,
        "target": target,
    }  # fmt: skip


def _envs(say: Callable[[str], None]) -> list[dict[str, Any]]:
    from .pace import pace

    return [*_alfworld(say), *pace(say)]


def _worlds(say: Callable[[str], None]) -> list[dict[str, Any]]:
    from .worlds import table

    return table(say)[0]


def _alfworld(say: Callable[[str], None]) -> list[dict[str, Any]]:
    say("alfworld: native engine")
    made = [generate.make("valid", i) for i in range(60)]
    start = time.process_time()
    games = [m.game() for m in made]
    load_ms = (time.process_time() - start) / len(games) * 1e3
    rng = random.Random(0)
    plans: list[list[str]] = []
    steps, begin = 0, time.process_time()
    for _ in range(5):
        for game in games:
            engine = Engine(game)
            plan = []
            for _ in range(50):
                plan.append(rng.choice(engine.admissible()))
                engine.step(plan[-1])
                engine.won()
                steps += 1
            plans.append(plan)
    rate = steps / (time.process_time() - begin)
    begin = time.process_time()
    for game in games * 5:
        Engine(game).admissible()
    reset_ms = (time.process_time() - begin) / (5 * len(games)) * 1e3
    peer_rate = peer_reset = None
    try:
        say("alfworld: TextWorld's engine on the same game and actions")
        env = AlfworldEnv(backend="textworld", max_steps=10**6)
        task = env.tasks("valid")[0]
        begin = time.process_time()
        env.reset(options={"task": task})
        peer_reset = (time.process_time() - begin) * 1e3
        begin = time.process_time()
        for action in plans[0]:
            env.step(action)
        peer_rate = len(plans[0]) / (time.process_time() - begin)
        env.close()
    except ImportError as error:
        say(f"no peer: {error}")
    return [
        row("alfworld engine: step, commands listed", rate, "steps per CPU-second", "TextWorld", peer_rate),
        row("alfworld engine: reset, commands listed", reset_ms, "ms", "TextWorld load and reset", peer_reset),
        row("alfworld engine: game load", load_ms, "ms"),
    ]


def _memory(say: Callable[[str], None]) -> list[dict[str, Any]]:
    from .bench_memory import rows

    return [row(*r) for r in rows(say)]


def _training(say: Callable[[str], None]) -> list[dict[str, Any]]:
    from .bench_training import rows

    return [row(*r) for r in rows(say)]


def _policy(say: Callable[[str], None]) -> list[dict[str, Any]]:
    from .play import evaluate

    say("tiny: rollouts")
    played = evaluate("alfworld", "tiny", split="valid", episodes=64)
    share = played["share_of_seconds"]
    whole = sum(share.values())
    return [
        row("tiny rollouts", played["episodes"] / played["seconds"], "episodes per second"),
        row(
            "tiny rollouts, environment and memory",
            100 * (share["env"] + share["memory"]) / whole,
            "% of seconds",
            target=10,
        ),
    ]


def _smollm2(say: Callable[[str], None], tokens: int = 1000, steps: int = 10) -> list[dict[str, Any]]:
    """Time `choose` where the history has at least `tokens` tokens, kept in the cache and read anew."""
    from ..memory import memory_maker
    from .student import Student

    say("smollm2: choose")
    try:
        student = Student.of("smollm2")
    except FileNotFoundError as error:
        say(f"left out: {error}")
        return []
    policy = student.policy()
    kept = anew = 0.0
    timed = same = 0
    env = AlfworldEnv(max_steps=10**6)
    observation, info = env.reset(options={"task": env.tasks("valid")[0]})
    memory = memory_maker("full", student.count)()
    memory.begin(info["goal"], observation, info)
    policy.begin(0)
    while timed < steps:
        turn = memory.view()
        start = time.perf_counter()
        [decision] = policy.act([turn])
        took = time.perf_counter() - start
        if len(student.renderer.prompt(turn)) >= tokens:
            timed += 1
            kept += took
            reader = student.policy()
            reader.begin(0)
            start = time.perf_counter()
            [again] = reader.act([turn])
            anew += time.perf_counter() - start
            same += again.action == decision.action
        observation, _, _, _, info = env.step(decision.action)
        memory.record(decision.action, observation, info, decision.reply)
    env.close()
    say(f"smollm2: {same} of {steps} choices are the same either way")
    return [
        row(
            f"smollm2 choose at {tokens} tokens of history",
            kept / steps,
            "s",
            "the prompt read anew",
            anew / steps,
            0.5,
        )
    ]


def _job(say: Callable[[str], None]) -> list[dict[str, Any]]:
    say("tiny: train --quick in a process of its own")
    with tempfile.TemporaryDirectory() as scratch:
        command = [sys.executable, "-m", "agentgym.cli", "train", "--quick", "--json", "--out", f"{scratch}/run"]
        start = time.monotonic()
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        seconds = time.monotonic() - start
    return [
        row("tiny, alfworld, leap --quick", seconds, "s"),
        row(
            "tiny, alfworld, leap --quick: peak memory", json.loads(done.stdout)["peak_memory_mib"], "MiB", target=3072
        ),
    ]
