"""Measure scripted agents and speed in every world, and write docs/worlds.md from what was found.

    python benchmarks/worlds.py           runs both, some minutes, into benchmarks/results/{agents,speed}.json
    python benchmarks/worlds.py agents    one of them; the other is `speed`
    python benchmarks/worlds.py page      writes only the page again, from the results that lie there
    python benchmarks/worlds.py agents --worlds textworld babyai    only these worlds' rows again; the others stay

The same rows come from `agentgym bench worlds` and `agentgym bench envs`. Peers are measured where they are installed.
"""

import argparse
import json
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
PAGE = ROOT / "docs" / "worlds.md"
PARTS = ("agents", "speed")
AGENTS = ("oracle", "searcher", "random")


def run(what: str, seed: int, episodes: int, worlds: list[str]) -> dict[str, Any]:
    """Return what a table holds, and where it was found; `worlds`: these only, else all."""
    from agentgym.training.bench import measure
    from agentgym.training.pace import pace
    from agentgym.training.worlds import table

    def say(text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True).stdout
    found: dict[str, Any] = {
        "command": f"python benchmarks/worlds.py {what}", "seed": seed, "date": datetime.now(UTC).date().isoformat(),
        "commit": commit.strip(),
    }  # fmt: skip
    if what == "speed":
        return found | {"rows": pace(say, worlds) if worlds else measure("envs", say)}
    rows, left_out = table(say, episodes, seed, worlds)
    return found | {"episodes": episodes, "rows": rows, "left_out": left_out}


def renewed(old: dict[str, Any], new: dict[str, Any], worlds: list[str]) -> dict[str, Any]:
    """Return old results with the rows of some worlds in their places from new ones, and a note of where those come from."""

    def world(row: dict[str, Any]) -> str:
        return str(row.get("env") or row["name"].split(":")[0].split(",")[0])

    rows = [r for r in old["rows"] if world(r) not in worlds] + new["rows"]
    order = (
        sorted({world(r) for r in rows}) if "left_out" in old else list(dict.fromkeys(map(world, old["rows"] + rows)))
    )
    told = {"worlds": worlds, **{k: new[k] for k in ("seed", "date", "commit")}}
    out = old | {"rows": sorted(rows, key=lambda r: order.index(world(r)))}
    if "left_out" in old:
        kept = {w: why for w, why in old["left_out"].items() if w not in worlds} | new["left_out"]
        out["left_out"] = dict(sorted(kept.items()))
    earlier = [
        a | {"worlds": left} for a in old.get("again", []) if (left := [w for w in a["worlds"] if w not in worlds])
    ]
    return out | {"again": [*earlier, told]}


def origin(found: dict[str, Any]) -> str:
    """Return where a table comes from."""
    text = "seed {seed}, {date}, commit {commit}"
    again = (f"; {', '.join(f'`{w}`' for w in a['worlds'])} again, {text.format(**a)}" for a in found.get("again", []))
    return text.format(**found) + "".join(again)


def lines(header: Iterable[str], rows: Iterable[Iterable[str]]) -> list[str]:
    """Return a table of Markdown."""
    names = list(header)
    return [f"| {' | '.join(r)} |" for r in (names, ["---"] * len(names), *rows)]


def share(row: dict[str, Any]) -> str:
    """Return a success with its interval, and the score where it says more."""
    low, high = (100 * x for x in row["success"]["ci95"])
    text = f"{row['value']:.0f} % [{low:.0f}, {high:.0f}]"
    score = row["score"]["mean"]
    return text if abs(score - row["success"]["mean"]) < 0.005 else f"{text}, score {score:.2f}"


def number(value: float | None) -> str:
    """Return a number to three digits."""
    return "" if value is None else f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def speed(row: dict[str, Any]) -> list[str]:
    """Return a line of the table of speeds; what misses its target says so."""
    target, better = row["target"], "per" in row["unit"]
    met = target is None or (row["value"] >= target if better else row["value"] <= target)
    goal = "" if target is None else f"{'≥' if better else '≤'} {number(target)}{'' if met else ', missed'}"
    peer = "" if row["peer"] is None else f"{row['peer']}: {number(row['peer_value'])}"
    return [row["name"], number(row["value"]), row["unit"], goal, peer]


def page(found: dict[str, Any], timed: dict[str, Any], fuzzed: dict[str, Any]) -> str:
    """Return docs/worlds.md."""
    from agentgym.envs import listing

    by: dict[str, dict[str, Any]] = defaultdict(dict)
    for row in found["rows"]:
        by[row["env"]][row["agent"]] = row
    reasons: dict[str, list[str]] = defaultdict(list)
    unmeasured = {r["id"]: dict.fromkeys(AGENTS, "not measured yet") for r in listing() if r["id"] not in by}
    for world, agents in (unmeasured | found["left_out"]).items():
        for agent, why in agents.items():
            reasons[why].append(f"`{world}` {agent}")
    out = [
        "# The worlds, measured", "",
        "This page is written by `python benchmarks/worlds.py`; do not edit it.", "",
        "## Scripted agents", "",
        f"Success on `test` with 95 % Wilson intervals; a score beside it where episodes can be won in part. "
        f"`{found['command']}`, {origin(found)}; `agentgym bench worlds` makes the same rows. The oracle is "
        "privileged, the searcher knows what a player knows, random draws from the listed actions.", "",
        *lines(
            ["world", "n", *AGENTS],
            (
                [f"`{w}`", str(max(r["episodes"] for r in rows.values())),
                 *(share(rows[a]) if a in rows else "" for a in AGENTS)]
                for w, rows in by.items()
            ),
        ), "",
        "Left out:", "", *(f"- {', '.join(names)}: {why}" for why, names in reasons.items()), "",
        "## Speed", "",
        "CPU time of one core, children included: random actions from the listed ones, in `bash`, `sql` and `reasoning`, "
        "which list none, those of the oracle; tasks of `train` in order, text and listed actions made at every step. One "
        "measurement on two cores that other work shared, no interval; targets are ours, an engine alone is its own Python "
        f"step with the observation that it makes. `{timed['command']}`, {origin(timed)}. `agentgym bench envs` makes the "
        "same rows.", "",
        *lines(["what", "value", "unit", "target", "peer"], map(speed, timed["rows"])), "",
        "## Strings of any kind", "",
        f"`{fuzzed['command']}`, {origin(fuzzed)}: {fuzzed['strings']:,} strings, {len(fuzzed['faults'])} "
        f"exceptions, none without an answer within a minute, {fuzzed['seconds']:,.0f} s in all.", "",
        *lines(
            ["world", "strings", "episodes", "meant nothing", "slowest answer, s"],
            (
                [f"`{w}`", f"{r['strings']:,}", f"{r['episodes']:,}", f"{r['invalid']:,}", f"{r['slowest_s']:.2f}"]
                for w, r in fuzzed["worlds"].items()
            ),
        ), "",
    ]  # fmt: skip
    return "\n".join(out)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="?", choices=[*PARTS, "page", "all"], default="all")
    parser.add_argument("--episodes", type=int, default=100, help="of each world and agent, at most")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--worlds", nargs="+", default=[], help="only these worlds' rows")
    parser.add_argument("--print", action="store_true", help="print the page instead of writing it")
    args = parser.parse_args()
    for what in PARTS:
        if args.what in (what, "all"):
            found, file = run(what, args.seed, args.episodes, args.worlds), RESULTS / f"{what}.json"
            if args.worlds:
                found = renewed(json.loads(file.read_text()), found, args.worlds)
            file.write_text(json.dumps(found, indent=1) + "\n")
    text = page(*(json.loads((RESULTS / f"{name}.json").read_text()) for name in (*PARTS, "fuzz")))
    if args.print:
        print(text, end="")
    else:
        PAGE.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
