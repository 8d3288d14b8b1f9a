"""What a bandit's player is worth beside its reward: what it gave away, and how it explored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from ..envs.bandits import BanditEnv, ContextualBanditEnv
from ..envs.bandits.metrics import growth
from ..memory.trajectory import Trajectory
from .evaluate import mean_ci, pooled_mean, pooled_share, proportion

NUMBERS = ("regret",)  # what is neither a share nor a difference of shares


def explored(env: BanditEnv | ContextualBanditEnv, played: Sequence[Trajectory]) -> dict[str, Any]:
    """Return the metrics of EVOLvE (arXiv 2410.06238) over episodes, each with its 95 % interval.

    regret: cumulative expected regret of an episode. opt_frac: share of its choices that were the best. min_frac:
    K · min_a N_a / T, 1 where all arms were tried alike. suffix_failure: share of the episodes without the best choice
    in their second half. growth: the mean regret's linear part β, with the fit's rmse; None where episodes are of
    different lengths, or of fewer than four choices.
    """
    lost, even = zip(*(_replayed(env, t) for t in played), strict=True)
    curve = np.mean(lost, axis=0).cumsum() if len({len(row) for row in lost}) == 1 and len(lost[0]) > 3 else None
    return {
        "n": len(played),
        "regret": mean_ci([sum(row) for row in lost]),
        "opt_frac": mean_ci([sum(x == 0 for x in row) / len(row) for row in lost]),
        "min_frac": mean_ci(even),
        "suffix_failure": proportion([all(x > 0 for x in row[len(row) // 2 :]) for row in lost]),
        "growth": None if curve is None else {k: v for k, v in asdict(growth(curve)).items() if k in ("beta", "rmse")},
    }


def _replayed(env: BanditEnv | ContextualBanditEnv, trajectory: Trajectory) -> tuple[list[float], float]:
    """Return what every choice of an episode gave away, and how evenly it chose; an unreadable choice is the world's."""
    env.reset(seed=trajectory.seed, options={"task": trajectory.task})
    for action in trajectory.actions:
        env.step(action)
    pulls = env.pulls()
    return env.regrets(), len(pulls) * min(pulls) / sum(pulls)


def pooled(name: str, cells: Sequence[dict[str, Any]], steps: float) -> dict[str, Any]:
    """Return the row of a table over what `explored` told of every seed's episodes: regret in front."""
    n = [c["n"] for c in cells]
    shares = {k: pooled_mean([c[k] for c in cells], n) for k in ("opt_frac", "min_frac")}
    lost = pooled_share([c["suffix_failure"] for c in cells], n)
    return {
        "name": name, "n": sum(n), "seeds": len(cells), **pooled_mean([c["regret"] for c in cells], n),
        "by_seed": [round(c["regret"]["mean"], 4) for c in cells], "also": shares | {"suffix_failure": lost},
        "steps": steps,
    }  # fmt: skip
