"""Speed, measured beside the peer in one run."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Any

from ..envs.alfworld import AlfworldEnv, generate
from ..envs.alfworld.engine import Engine
from ..envs.errors import unknown


def measure(what: str, say: Callable[[str], None]) -> list[dict[str, Any]]:
    """Return rows of name, value, unit, peer, peer_value, ratio."""
    parts: dict[str, Callable[[Callable[[str], None]], list[dict[str, Any]]]] = {"envs": _alfworld, "policy": _policy}
    if what not in (*parts, "all"):
        raise unknown("bench", what, [*parts, "all"])
    return [row for name, run in parts.items() if what in (name, "all") for row in run(say)]


def _row(
    name: str, value: float, unit: str, peer: str | None = None, peer_value: float | None = None
) -> dict[str, Any]:
    ratio = None if not peer_value else (value / peer_value if "per" in unit else peer_value / value)
    return {"name": name, "value": value, "unit": unit, "peer": peer, "peer_value": peer_value, "ratio": ratio}


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
        _row("alfworld step with admissible commands", rate, "steps per CPU-second", "TextWorld", peer_rate),
        _row("alfworld reset with admissible commands", reset_ms, "ms", "TextWorld load and reset", peer_reset),
        _row("alfworld game load", load_ms, "ms"),
    ]


def _policy(say: Callable[[str], None]) -> list[dict[str, Any]]:
    from .play import evaluate

    say("tiny: rollouts")
    row = evaluate("alfworld", "tiny", split="valid", episodes=64)
    share = row["share_of_seconds"]
    whole = sum(share.values())
    return [
        _row("tiny rollouts", row["episodes"] / row["seconds"], "episodes per second"),
        _row("tiny rollouts, environment and memory", 100 * (share["env"] + share["memory"]) / whole, "% of seconds"),
    ]
