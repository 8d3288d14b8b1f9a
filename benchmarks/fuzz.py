"""Say a million strings of any kind to all worlds: none may raise or hang.

    python benchmarks/fuzz.py --out benchmarks/results/fuzz.json [--strings 1000000]
    python benchmarks/fuzz.py --out benchmarks/results/fuzz.json --worlds bash miniwob    only these again; the others stay

A world that needs what is not installed is named and left out. Slow worlds hear fewer strings, the rest share what is
left. An answer that takes over a minute ends the run with the string that it was given.
"""

import argparse
import json
import signal
import subprocess
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Any

from agentgym.envs import listing, make
from agentgym.envs.fuzz import fuzz

SHARE = {
    "bash": 0.01,
    "miniwob": 0.002,
    "nethack": 0.02,
    "textworld": 0.005,
    "babyai": 0.02,
    "webshop": 0.06,
    "sql": 0.06,
}  # of all strings
PATIENCE_S = 60
_WHERE = ("seed", "date", "commit")


def renewed(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """Return an old report with some worlds' rows from a new one, and a note of where those come from."""
    names = [*new["worlds"], *(fault.split(":")[0] for fault in new["faults"])]
    worlds = dict(sorted(({n: r for n, r in old["worlds"].items() if n not in names} | new["worlds"]).items()))
    faults = [fault for fault in old["faults"] if fault.split(":")[0] not in names] + new["faults"]
    before = {tuple(a[k] for k in _WHERE): {*a["worlds"]} - {*names} for a in old.get("again", [])}
    key = tuple(new[k] for k in _WHERE)
    before[key] = before.pop(key, set()) | {*names}
    again = [{"worlds": sorted(ws), **dict(zip(_WHERE, k, strict=True))} for k, ws in before.items() if ws]
    return old | {
        "strings": sum(int(w["strings"]) for w in worlds.values()), "faults": faults, "left_out": new["left_out"],
        "seconds": round(sum(w["seconds"] for w in worlds.values()), 1), "worlds": worlds, "again": again,
    }  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--strings", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--worlds", nargs="+", default=[], help="only these, beside what --out holds of the others")
    args = parser.parse_args()
    if args.worlds and args.out is None:
        parser.error("--worlds replaces rows of a file: name it with --out")
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True).stdout
    rows = listing()
    here = [r["id"] for r in rows if r["available"]]
    rest = (1 - sum(SHARE.get(name, 0.0) for name in here)) / sum(name not in SHARE for name in here)
    now = {"world": "", "said": ""}

    def late(number: int, frame: FrameType | None) -> None:
        raise TimeoutError(f"{now['world']}: no answer within {PATIENCE_S} s to {now['said']}")

    def watch(said: str) -> None:
        now["said"] = said
        signal.setitimer(signal.ITIMER_REAL, PATIENCE_S)

    signal.signal(signal.SIGALRM, late)
    worlds, faults = {}, []
    for name in args.worlds or here:
        now["world"] = name
        try:
            tally = fuzz(
                lambda name=name: make(name), round(args.strings * SHARE.get(name, rest)) + 1, args.seed, watch
            )
        except Exception as error:  # whatever a world raises is what is looked for
            faults.append(f"{name}: {type(error).__name__}: {error} after {now['said'][:300]}")
            print(faults[-1], file=sys.stderr)
            continue
        worlds[name] = {k: round(v, 3) if isinstance(v, float) else v for k, v in asdict(tally).items()}
        print(name, worlds[name], file=sys.stderr)
    signal.setitimer(signal.ITIMER_REAL, 0)
    report = {
        "command": " ".join(["python", "benchmarks/fuzz.py", *sys.argv[1:]]), "seed": args.seed,
        "date": datetime.now(UTC).date().isoformat(), "commit": commit.strip(),
        "strings": sum(int(w["strings"]) for w in worlds.values()), "faults": faults,
        "left_out": [r["id"] for r in rows if not r["available"]],
        "seconds": round(sum(w["seconds"] for w in worlds.values()), 1), "worlds": worlds,
    }  # fmt: skip
    if args.worlds:
        report = renewed(json.loads(args.out.read_text()), report)
    text = json.dumps(report, indent=1)
    if args.out:
        args.out.write_text(text + "\n")
    else:
        print(text)
    return int(bool(faults) or report["strings"] < args.strings)


if __name__ == "__main__":
    sys.exit(main())
