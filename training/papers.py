"""Our reproductions: what a paper claims, and what the same idea does here, with the idea taken out beside it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

from ..envs.errors import unknown
from .attempts import DIFFERENCES
from .bandits import NUMBERS
from .claims import OWN, PAPERS, Arm, Effect, Paper
from .evaluate import pooled_mean, pooled_share
from .methods import METHODS
from .methods.core import idle
from .report import intervals
from .run import RunDir, save_json, save_text
from .train import configure, once


def reproduce(
    name: str, seeds: Sequence[int], out: Path, *, quick: bool = False, say: Callable[[str], None] = print
) -> dict[str, Any]:
    """Run what a paper's comparison needs and return claim, rows and whether the effects hold.

    What lies in `out` already is not run again, so a reproduction that was cut off goes on. Written are NAME.json,
    NAME.md with the table and NAME.svg with its first column.
    """
    if len(set(seeds)) < len(seeds):
        raise ValueError(f"seeds {','.join(map(str, seeds))}: one is there twice, and would be counted twice")
    if name in PAPERS:
        row = compare(name, seeds, out, quick=quick, say=say)
    elif name in OWN:
        module, function = OWN[name].split(":")
        row = getattr(import_module(f".{module}", __package__), function)(seeds, out, quick=quick, say=say)
    else:
        raise unknown("paper", name, [*PAPERS, *OWN])
    command = f"agentgym paper {name} --seeds {','.join(map(str, seeds))}{' --quick' * quick}"
    row = {
        "paper": name, "command": command, "date": time.strftime("%Y-%m-%d"), "seeds": list(seeds), "quick": quick,
    } | row  # fmt: skip
    store(row, out)
    return row


def compare(
    name: str, seeds: Sequence[int], out: Path, *, quick: bool = False, say: Callable[[str], None] = print
) -> dict[str, Any]:
    """Run every arm of a paper with every seed.

    Arms that begin as the main arm does take its rounds over, so that one runs first. Numbers are pooled over the seeds'
    test episodes; `by_seed` has each seed's own.
    """
    paper = PAPERS[name]
    first = [_run(name, paper, paper.main, seed, out, quick, say) for seed in seeds]
    rows = []
    for label, arm in paper.arms.items():
        runs = [
            main if arm.method is None else _run(name, paper, label, seed, out, quick, say, main)
            for seed, main in zip(seeds, first, strict=True)
        ]
        rows.append(_row(label, arm, paper.columns, runs))
    effects = [_effect(e, rows, paper.columns[0]) for e in paper.effects]
    return {
        "claim": paper.claim, "split": "test", "measure": paper.columns[0], "rows": rows, "effects": effects,
        "gain": effects[0]["gain"], "holds": all(e["holds"] for e in effects),
    }  # fmt: skip


def store(row: dict[str, Any], out: Path) -> None:
    """Write a reproduction as JSON, as a table and as a figure of its first column."""
    name, front = row["paper"], row["measure"]
    save_json(out / f"{name}.json", row)
    save_text(out / f"{name}.md", table(row))
    shown = [(r["name"], r["mean"], *r["ci95"]) for r in row["rows"]]
    figure = intervals(shown, f"{name}: {front} on test, 95 % intervals", 1 if front in NUMBERS else 100)
    save_text(out / f"{name}.svg", figure)


def table(row: dict[str, Any]) -> str:
    """Return a reproduction's rows as Markdown, shares in per cent, differences in points, numbers as they are."""
    front = row["measure"]
    also = list(row["rows"][0].get("also", {}))

    def cell(column: str, r: dict[str, Any]) -> str:
        if column in NUMBERS:
            return f"{r['mean']:.2f} [{r['ci95'][0]:.2f}, {r['ci95'][1]:.2f}]"
        low, high = (100 * x for x in r["ci95"])
        if column in DIFFERENCES:
            return f"{100 * r['mean']:+.1f} [{low:+.1f}, {high:+.1f}]"
        return f"{100 * r['mean']:.1f} % [{low:.1f}, {high:.1f}]"

    means = [key for key in ("steps", "queries") if key in row["rows"][0]]
    head = ["arm", "n", "seeds", front, *also, *means]
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for r in row["rows"]:
        cells = [r["name"], str(r["n"]), str(r["seeds"]), cell(front, r), *(cell(c, r["also"][c]) for c in also)]
        lines.append(f"| {' | '.join([*cells, *(f'{r[key]:.1f}' for key in means)])} |")
    return "\n".join([*lines, ""])


def _run(
    name: str,
    paper: Paper,
    label: str,
    seed: int,
    out: Path,
    quick: bool,
    say: Callable[[str], None],
    first: Path | None = None,
) -> Path:
    """Return the finished run of an arm; a new one takes over what it shares with `first`."""
    folder = out / f"{name}-{label.replace(', ', '-').replace(' ', '-')}-{seed}".lower()
    arm = paper.arms[label]
    config = partial(
        configure, paper.env, str(arm.method), paper.model, paper.memory, seed, settings(paper, arm, quick), quick
    )
    return once(folder, config, say, [] if first is None else [(RunDir(first), k) for k in range(arm.shares)])


def settings(paper: Paper, arm: Arm, quick: bool) -> dict[str, str]:
    """Return the settings of an arm's run, without those of other methods and those that its own leave unread."""
    named = {
        **paper.settings,
        **(paper.quick if quick else {}),
        **{f"{arm.method}.{k}": v for k, v in {**arm.settings, **(arm.quick if quick else {})}.items()},
    }
    own = {k.partition(".")[2]: v for k, v in named.items() if k.partition(".")[0] == arm.method}
    unread = idle(METHODS[str(arm.method)], own)
    rest = {k: v for k, v in named.items() if k.partition(".")[0] not in METHODS}
    return rest | {f"{arm.method}.{k}": v for k, v in own.items() if k not in unread}


def _row(label: str, arm: Arm, columns: Sequence[str], runs: Sequence[Path]) -> dict[str, Any]:
    """Return what an arm came to over its runs."""
    done = [json.loads((run / "result.json").read_text()) for run in runs]
    shown = [d["iterations"][: arm.round + 1 or None] for d in done]
    finals = [rounds[-1]["eval"]["test"] for rounds in shown]
    n = [f["episodes"] for f in finals]
    front, *others = columns

    def together(column: str) -> dict[str, Any]:
        pooled = pooled_mean if column in DIFFERENCES else pooled_share
        cells = [_cell(f, column) for f in finals]
        return {**pooled(cells, n), "by_seed": [c["mean"] for c in cells]}

    steps = pooled_mean([f["steps"] for f in finals], n)
    row: dict[str, Any] = {
        "name": label, "n": sum(n), "seeds": len(runs), **together(front),
        "steps": steps["mean"], "steps_ci95": steps["ci95"],
        "by_iteration": [[_cell(k["eval"]["test"], front)["mean"] for k in rounds] for rounds in shown],
        "seconds": [round(sum(k["seconds"]["all"] for k in rounds), 1) for rounds in shown],
    }  # fmt: skip
    return row | ({"also": {c: together(c) for c in others}} if others else {})


def _cell(evaluation: dict[str, Any], column: str) -> dict[str, Any]:
    found: dict[str, Any] = evaluation["success"] if column == "success" else evaluation["attempts"][column]
    return found


def _effect(effect: Effect, rows: Sequence[dict[str, Any]], front: str) -> dict[str, Any]:
    """Return by how much an effect appears, and whether it holds: over all seeds' episodes, and with every seed's own sign.

    An interval counts episodes, not trainings; that every seed agrees is asked so that one seed's luck is not an effect.
    """

    def cell(arm: str, column: str) -> dict[str, Any]:
        row: dict[str, Any] = next(r for r in rows if r["name"] == arm)
        return row if column == front else row["also"][column]

    high = cell(effect.arm, effect.column)
    nothing: dict[str, Any] = {"mean": 0.0, "ci95": [0.0, 0.0], "by_seed": [0.0] * len(high["by_seed"])}
    low = cell(*effect.over) if effect.over is not None else nothing
    gain = high["mean"] - low["mean"]
    by_seed = [a - b for a, b in zip(high["by_seed"], low["by_seed"], strict=True)]
    apart = not effect.apart or (high["ci95"][0] > low["ci95"][1] and min(by_seed) > 0)
    return {
        "effect": str(effect), "gain": gain, "by_seed": by_seed, "holds": bool(gain >= effect.least and apart),
    }  # fmt: skip
