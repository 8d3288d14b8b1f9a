"""The native engine and TextWorld's, driven side by side: what proves that the native one is exact."""

from __future__ import annotations

import random
import time
from collections.abc import Iterable
from dataclasses import dataclass, field

from .engine import Engine
from .env import AlfworldEnv
from .planner import plan
from .textworld import TextworldGame

_JUNK = ("dance", "go to bed 99", " look ", "Look", "take mug 1", "", "inventory now", "help me")


@dataclass(frozen=True, slots=True)
class Difference:
    """One place where the two disagree; `step` 0 is the opening."""

    task: str
    dialect: str
    step: int
    command: str
    what: str
    native: object
    textworld: object


@dataclass(slots=True)
class Tally:
    """What was compared, where the two differ, and how many seconds each took."""

    games: int = 0
    steps: int = 0
    won: int = 0
    native_s: float = 0.0
    textworld_s: float = 0.0
    differences: list[Difference] = field(default_factory=list)


def compare(env: AlfworldEnv, tasks: Iterable[str], steps: int, seed: int = 0) -> Tally:
    """Walk both engines through the same commands and compare every text, command list and won flag.

    The walk is random and leans to deeds; a fifth of it is the oracle's, so that goals are reached, and a twentieth is
    junk. A game goes on after it is won, and ends at its first difference.
    """
    out = Tally()
    for task in tasks:
        rng = random.Random(f"{seed} {task}")
        engine = Engine(env._game(task), env.dialect)
        peer = TextworldGame(env._source(task), engine.game.goal.text, env.dialect)
        seen: tuple[object, ...] = (engine.reset(), engine.admissible(), engine.won())
        other: tuple[object, ...] = (peer.reset(), peer.admissible(), False)
        command, n, ever = "", 0, False
        while True:
            for what, a, b in zip(("text", "commands", "won"), seen, other, strict=True):
                if a != b:
                    out.differences.append(Difference(task, env.dialect, n, command, what, a, b))
            ever = ever or engine.won()
            if seen != other or n == steps:
                break
            command, n = _command(engine, rng), n + 1
            start = time.perf_counter()
            seen = (engine.step(command), engine.admissible(), engine.won())
            middle = time.perf_counter()
            text, won = peer.step(command)
            other = (text, peer.admissible(), won)
            out.native_s += middle - start
            out.textworld_s += time.perf_counter() - middle
        peer.close()
        out.games, out.steps, out.won = out.games + 1, out.steps + n, out.won + ever
    return out


def _command(engine: Engine, rng: random.Random) -> str:
    draw = rng.random()
    if draw < 0.05:
        return rng.choice([*_JUNK, "examine " + rng.choice(sorted(engine.game.name.values()))])
    if draw < 0.25 and (wise := plan(engine).actions):
        return wise[0]
    listed = engine.admissible()
    deeds = [c for c in listed if not c.startswith(("go to", "examine", "look", "help", "inventory"))]
    return rng.choice(deeds) if deeds and draw < 0.65 else rng.choice(listed)
