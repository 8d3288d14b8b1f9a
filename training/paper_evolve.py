"""`agentgym paper evolve`: a language model that imitates UCB's episodes, beside UCB itself and beside greedy choice."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from .bandits import pooled
from .play import evaluate, settings
from .train import configure, once
from .words import grown

CLAIM = (
    "EVOLvE (arXiv 2410.06238): a small model that is fine-tuned on an algorithm's episodes explores new bandits as the "
    "algorithm does (optimal behaviour fine-tuning; Gemini Flash, raw history: win rate 27.5 % few-shot, 65.6 % after it)"
)
ALGORITHMS = ("ucb", "thompson", "greedy", "random")
ARMS: dict[str, tuple[str, dict[str, str]]] = {
    "OFT of UCB": ("evolve", {}),
    "OFT of random choice": ("evolve", {"env.expert": "random"}),
    "imitation of the best arm": ("bc", {}),
}
MAIN = "OFT of UCB"
WORLD = {"env.horizon": "12", "env.detailed": "no"}
FULL = {"demonstrations": "600", "epochs": "4"}
QUICK = {"demonstrations": "12", "epochs": "1"}


def reproduce(
    seeds: Sequence[int], out: Path, *, quick: bool = False, say: Callable[[str], None] = print
) -> dict[str, Any]:
    """Return claim, rows and whether the effect holds.

    `tiny`, given the bandits' words, imitates whole episodes of an algorithm in train bandits, and plays unseen ones of
    the same families: the regret of an episode of 12 choices, and how it explored. It holds if OFT of UCB loses less than
    the untrained model, OFT of random choice and imitation of the best arm, intervals apart, and if the intervals of its
    regret and of its evenness meet what lies between greedy choice and UCB, their intervals included. A run that lies in
    `out` is not run again.
    """
    n = 6 if quick else 80
    cells: dict[str, list[dict[str, Any]]] = {}
    for name in ALGORITHMS:
        cells[name] = [_played(name, seed, n) for seed in seeds]
    seconds = {}
    for label in ARMS:
        runs = [_run(label, seed, n, out, quick, say) for seed in seeds]
        done = [json.loads((run / "result.json").read_text()) for run in runs]
        if label == MAIN:
            cells["tiny, untrained"] = [d["before"]["test"]["bandit"] for d in done]
        cells[label] = [d["iterations"][-1]["eval"]["test"]["bandit"] for d in done]
        seconds[label] = [d["seconds"] for d in done]
    rows = [pooled(name, some, float(WORLD["env.horizon"])) for name, some in cells.items()]
    return {
        "claim": CLAIM, "split": "test", "measure": "regret", "rows": rows, "seconds": seconds, "holds": holds(rows),
    }  # fmt: skip


def world(seed: int) -> dict[str, str]:
    """The world of a seed: its bandits are no other seed's, so that all that are played are different ones."""
    return WORLD | {"env.world_seed": str(seed)}


def _played(name: str, seed: int, n: int) -> dict[str, Any]:
    """Return how an algorithm explores the tasks that the runs of this seed are judged on."""
    kwargs = settings("bandit", world(seed)) | {"expert": name}
    told: dict[str, Any] = evaluate("bandit", "searcher", episodes=n, seed=seed, env_kwargs=kwargs)["bandit"]
    return told


def _run(label: str, seed: int, n: int, out: Path, quick: bool, say: Callable[[str], None]) -> Path:
    method, own = ARMS[label]
    named = {f"{method}.{k}": v for k, v in (QUICK if quick else FULL).items()}
    named |= world(seed) | own | {"eval.valid": "0", "eval.test": str(n), "eval.before": str(label == MAIN)}
    named["run.step_tokens"] = "1024"
    model = grown("bandit", out / "evolve-words", settings("bandit", WORLD))
    config = partial(configure, "bandit", method, str(model), "full", seed, named, quick)
    return once(out / f"evolve-{label.replace(' ', '-').lower()}-{seed}", config, say)


def holds(rows: Sequence[dict[str, Any]]) -> bool:
    """Whether OFT of UCB explores as something between greedy choice and UCB, and better than what lacks its idea."""
    arms = {r["name"]: r for r in rows}
    taught = arms[MAIN]
    worse = ("tiny, untrained", "OFT of random choice", "imitation of the best arm")

    def between(cell: Callable[[dict[str, Any]], dict[str, Any]]) -> bool:
        ends = [cell(arms[name])["ci95"] for name in ("greedy", "ucb")]
        low, high = cell(taught)["ci95"]
        return bool(low <= max(e[1] for e in ends) and high >= min(e[0] for e in ends))

    apart = all(taught["ci95"][1] < arms[w]["ci95"][0] for w in worse)
    return apart and between(lambda r: r) and between(lambda r: r["also"]["min_frac"])
