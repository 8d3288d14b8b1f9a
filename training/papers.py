"""Our reproductions: what a paper claims, and what the same idea does here, with the idea taken out beside it."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ..envs.errors import unknown
from .evaluate import proportion
from .run import RunDir, save_json
from .train import configure, train

PAPERS: dict[str, dict[str, Any]] = {
    "leap": {
        "claim": (
            "LEAP (arXiv 2410.05434): privileged feedback lifts an imitator far above its demonstrations "
            "(ALFWorld in distribution, Llama-3-8B: 68.6 % after SFT, 96.4 % after one iteration)"
        ),
        "arms": {
            "BC": ("bc", {}),
            "filtered BC": ("filtered-bc", {}),
            "DAgger, searching expert": ("dagger", {}),
            "LEAP": ("leap", {}),
            "LEAP, raw oracle labels": ("leap", {"privilege": "1.0"}),
            "LEAP, DPO": ("leap", {"update_by": "dpo"}),
        },
        "main": "LEAP",
        "base": "BC",
        "least": 0.20,
    }
}


def reproduce(
    name: str, seeds: Sequence[int], out: Path, *, quick: bool = False, say: Callable[[str], None] = print
) -> dict[str, Any]:
    """Run every arm with every seed on ALFWorld and return claim, rows and whether the effect holds.

    A run that lies in `out` already is not run again, so a reproduction that was cut off goes on. Every arm begins with
    the same fit of the same demonstrations, so the main arm runs first and the others take over its round 0. Success is
    pooled over the seeds' test episodes; `by_seed` has each seed's own.
    """
    if name in ("read", "read-overcooked"):
        from .paper_read import reproduce as read

        return read(name, seeds, out, quick=quick, say=say)
    if name == "diff":
        from .paper_diff import reproduce as diff

        return diff(seeds, out, quick=quick, say=say)
    if name == "critics":
        from .paper_critics import reproduce as critics

        return critics(seeds, out, quick=quick, say=say)
    if name not in PAPERS:
        raise unknown("paper", name, [*PAPERS, "diff", "read", "read-overcooked", "critics"])
    paper = PAPERS[name]
    rows = []
    first = [_run(name, paper["main"], paper["arms"], seed, out, quick, say) for seed in seeds]
    for arm in paper["arms"]:
        done = [
            _result(_run(name, arm, paper["arms"], seed, out, quick, say, after))
            for seed, after in zip(seeds, first, strict=True)
        ]
        finals = [d["iterations"][-1]["eval"]["test"] for d in done]
        wins = [round(f["success"]["mean"] * f["episodes"]) for f in finals]
        n = sum(f["episodes"] for f in finals)
        pooled = proportion([True] * sum(wins) + [False] * (n - sum(wins)))
        rows.append(
            {
                "name": arm, "n": n, "seeds": len(seeds), **pooled,
                "by_seed": [f["success"]["mean"] for f in finals],
                "steps": sum(f["steps"]["mean"] for f in finals) / len(finals),
                "by_iteration": [[i["eval"]["test"]["success"]["mean"] for i in d["iterations"]] for d in done],
                "seconds": [d["seconds"] for d in done],
            }
        )  # fmt: skip
    main = next(r for r in rows if r["name"] == paper["main"])
    base = next(r for r in rows if r["name"] == paper["base"])
    gain = main["mean"] - base["mean"]
    apart = main["ci95"][0] > base["ci95"][1]
    row = {
        "paper": name, "claim": paper["claim"], "split": "test", "quick": quick, "rows": rows, "gain": gain,
        "holds": bool(gain >= paper["least"] and apart),
    }  # fmt: skip
    save_json(out / f"{name}.json", row)
    return row


def _run(
    paper: str,
    arm: str,
    arms: dict[str, tuple[str, dict[str, str]]],
    seed: int,
    out: Path,
    quick: bool,
    say: Callable[[str], None],
    first: Path | None = None,
) -> Path:
    """Return the finished run of an arm; a new one takes over round 0 of `first`."""
    folder = out / f"{paper}-{arm.replace(', ', '-').replace(' ', '-')}-{seed}".lower()
    if (folder / "result.json").is_file():
        return folder
    if not (folder / "config.json").is_file():
        method, settings = arms[arm]
        named = {f"{method}.{k}": v for k, v in settings.items()}
        run = RunDir.create(folder, configure("alfworld", method, "tiny", "full", seed, named, quick))
        if first is not None:
            run.adopt(RunDir(first), 0)
    return train(resume=folder, say=say)


def _result(run: Path) -> dict[str, Any]:
    row: dict[str, Any] = json.loads((run / "result.json").read_text())
    return row
