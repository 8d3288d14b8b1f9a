"""`agentgym paper dpt`: a pre-trained transformer as a bandit algorithm, beside the algorithms it has never seen."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..envs.bandits import algorithms, dpt, engine, metrics
from ..envs.bandits.engine import Bandits, Counts, Floats, Play, Policy
from .bandits import pooled
from .evaluate import mean_ci, proportion
from .methods.dpt import Deployed, InContext, Pretraining, exact, posterior_sampling, pretrain
from .run import kept

CLAIM = (
    "DPT (arXiv 2306.14892): a transformer that learned to name the best arm from random behaviour explores, deployed, as "
    "posterior sampling does (5 arms, 500 pulls; the baselines' regret in this setting: Thompson 9.36, UCB 10.57)"
)
SD = 0.3


@dataclass(frozen=True, slots=True)
class Setting:
    """How DPT is measured. plan: of its pre-training. bandits: unseen ones, for each seed. offline: lengths of given data."""

    plan: Pretraining = field(default_factory=Pretraining)
    bandits: int = 300
    offline: tuple[int, ...] = (5, 20, 100, 500)


QUICK = Setting(Pretraining(steps=60, batch=16, horizon=60, width=32, layers=2), 60, (5, 20, 60))


def reproduce(
    seeds: Sequence[int], out: Path, *, quick: bool = False, say: Callable[[str], None] = print
) -> dict[str, Any]:
    """Return claim, rows and whether the effect holds.

    It holds if DPT's regret lies below that of the empirical mean, of its likeliest arm and of the same network trained
    to imitate (in a third of the steps, since it has less to learn), intervals apart, and no higher than UCB's
    interval. Every seed has networks, bandits and luck of its own, which all arms of the seed share; episodes are
    pooled. What lies in `out` is not run again. Quick: small networks and 60 pulls; the numbers mean nothing.
    """
    setting = QUICK if quick else Setting()
    cells = [
        kept(out / f"dpt-{seed}.json", partial(measure, seed, setting, say), setting=asdict(setting)) for seed in seeds
    ]
    rows = [pooled(name, [c["arms"][name] for c in cells], setting.plan.horizon) for name in cells[0]["arms"]]
    return {
        "claim": CLAIM, "split": "unseen bandits", "measure": "regret", "setting": asdict(setting),
        "rows": rows, "exact": [c["exact"] for c in cells], "offline": [c["offline"] for c in cells],
        "fit": [c["fit"] for c in cells], "seconds": [c["seconds"] for c in cells], "holds": holds(rows),
    }  # fmt: skip


def holds(rows: Sequence[dict[str, Any]]) -> bool:
    """Whether DPT explores as well as UCB, and better than what lacks its idea."""
    arms = {r["name"]: r for r in rows}
    high = arms["DPT"]["ci95"][1]
    worse = ("empirical mean", "DPT, likeliest arm", "DPT, trained to imitate")
    return bool(arms["DPT"]["mean"] <= arms["UCB"]["ci95"][1] and all(high < arms[w]["ci95"][0] for w in worse))


def measure(seed: int, setting: Setting, say: Callable[[str], None] = print) -> dict[str, Any]:
    """Pre-train both networks of a seed, deploy every arm on the same bandits, and hold DPT against the exact posterior."""
    begin = time.monotonic()
    horizon = setting.plan.horizon

    def log(name: str, row: dict[str, float]) -> None:
        if row["step"] % 100 == 0 or row["step"] == row["steps"]:
            say(f"  {name}: step {row['step']:.0f}/{row['steps']:.0f} loss {row['loss']:.4f}")

    model, fit = pretrain(setting.plan, seed, partial(log, "DPT"))
    clone, cloned = pretrain(
        replace(setting.plan, label="next", steps=setting.plan.steps // 3), seed, partial(log, "imitation")
    )
    arms: dict[str, Policy] = {
        "DPT": Deployed(model),
        "DPT, likeliest arm": Deployed(model, draw=False),
        "DPT, trained to imitate": Deployed(clone),
        "exact posterior sampling": partial(posterior_sampling, sd=SD),
        "Thompson": dpt.BASELINES["thompson"],
        "UCB": dpt.BASELINES["ucb"],
        "empirical mean": dpt.BASELINES["empirical mean"],
        "random": algorithms.random,
    }
    rng = np.random.default_rng([seed, 29])
    bandits = engine.uniform(rng, setting.bandits, setting.plan.arms, SD)
    luck = engine.fresh_noise(bandits, horizon, rng)
    told = {}
    for name, policy in arms.items():
        told[name] = explored(bandits, engine.play(bandits, policy, luck, np.random.default_rng([seed, 31])))
        say(f"seed {seed}, {name}: regret {told[name]['regret']['mean']:.2f}; {time.monotonic() - begin:.0f} s")
    given, _ = dpt.roll_in(bandits, horizon, rng)
    return {
        "seed": seed, "setting": asdict(setting), "arms": told, "fit": fit | {"imitation": cloned["loss"]},
        "exact": near(model, given, setting.offline), "offline": offline(model, bandits, given, setting.offline),
        "seconds": round(time.monotonic() - begin, 1),
    }  # fmt: skip


def explored(bandits: Bandits, played: Play) -> dict[str, Any]:
    """Return the same metrics as `training.bandits.explored`, of many bandits at once."""
    k, half = bandits.means.shape[1], len(played.arms) // 2
    found = (played.arms[half:] == bandits.best).any(axis=0)
    return {
        "n": len(bandits.means),
        "regret": mean_ci(metrics.regret(bandits.means, played.arms)[-1].tolist()),
        "opt_frac": mean_ci(metrics.opt_frac(played.arms, bandits.best).tolist()),
        "min_frac": mean_ci(metrics.min_frac(played.arms, k).tolist()),
        "suffix_failure": proportion((~found).tolist()),
    }


def after(given: Play, t: int, k: int) -> Counts:
    """Return the counts after t given pulls."""
    hot = np.eye(k)[given.arms[:t]]  # (t, B, K)
    return Counts(hot.sum(0), (hot * given.rewards[:t, :, None]).sum(0), t)


@torch.inference_mode()
def answers(model: InContext, given: Play, lengths: Sequence[int]) -> Floats:
    """Return what the network says after so many given pulls, (B, n, K)."""
    arms, rewards = torch.from_numpy(given.arms.T.copy()), torch.from_numpy(given.rewards.T.copy())
    p: Floats = torch.softmax(model.after(arms, rewards, torch.tensor(lengths)), -1).double().numpy()
    return p


def near(model: InContext, given: Play, lengths: Sequence[int]) -> dict[str, float]:
    """Return the mean total variation between the network's answer and the exact posterior, by the number of pulls."""
    p = answers(model, given, lengths)
    right = [exact(after(given, t, p.shape[-1]), SD) for t in lengths]
    return {str(t): round(float(np.abs(p[:, i] - right[i]).sum(1).mean() / 2), 4) for i, t in enumerate(lengths)}


def offline(model: InContext, bandits: Bandits, given: Play, lengths: Sequence[int]) -> dict[str, dict[str, float]]:
    """Return what the arm named after random behaviour gives away, μ* − μ_a, by the number of pulls: DPT's offline test."""
    p, rng = answers(model, given, lengths), np.random.default_rng(0)
    told: dict[str, dict[str, float]] = {}
    for i, t in enumerate(lengths):
        counts = after(given, t, p.shape[-1])
        tried = counts.n > 0
        low = counts.means - 0.8 / np.sqrt(np.maximum(counts.n, 1))
        named = {
            "DPT": p[:, i].argmax(1), "exact posterior": exact(counts, SD).argmax(1),
            "empirical mean": np.where(tried, counts.means, -np.inf).argmax(1),
            "LCB": np.where(tried, low, -np.inf).argmax(1), "Thompson": dpt.BASELINES["thompson"](counts, rng),
        }  # fmt: skip
        lost = {name: metrics.regret(bandits.means, arm[None])[-1].mean() for name, arm in named.items()}
        told[str(t)] = {name: round(float(x), 4) for name, x in lost.items()}
    return told
