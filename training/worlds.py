"""How far scripted agents come in every world: its ceiling, what is possible without privilege, and chance."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..envs import listing
from ..envs.errors import Unavailable
from .bench import row
from .play import evaluate

AGENTS = ("oracle", "searcher", "random")
FEWER = {"nethack": 10, "bash": 40, "miniwob": 35}  # episodes where a step is slow or there are thousands


def table(
    say: Callable[[str], None], episodes: int = 100, seed: int = 0, worlds: Sequence[str] | None = None
) -> tuple[list[dict[str, Any]], dict[str, dict[str, str]]]:
    """Return a row for every world and scripted agent on `test`, and why some are left out, by world and agent.

    worlds: these only.
    A row is a bench row, the value being the success in %, with the parts of the evaluation object that say how sure it is.
    """
    rows: list[dict[str, Any]] = []
    left_out: dict[str, dict[str, str]] = {}
    for world in worlds or [r["id"] for r in listing()]:
        for agent in AGENTS:
            say(f"{world}: {agent}")
            try:
                told = evaluate(
                    world, agent, episodes=min(episodes, FEWER.get(world, episodes)), memory="window:1", seed=seed
                )
            except (LookupError, ImportError, Unavailable) as why:
                if isinstance(why, KeyError | IndexError):
                    raise  # a fault, not a world that does not offer something
                left_out.setdefault(world, {})[agent] = str(why)
                continue
            kept = ("env", "agent", "split", "split_hash", "episodes", "seed", "success", "score", "steps")
            rows.append(
                row(f"{world}, {agent}", 100 * told["success"]["mean"], "% success") | {k: told[k] for k in kept}
            )
    return rows, left_out
