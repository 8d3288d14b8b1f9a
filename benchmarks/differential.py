"""Compare the native ALFWorld engine with TextWorld's over many games, in both dialects, and write what was found.

    python benchmarks/differential.py --out differential.json [--games 60] [--steps 100] [--data ALFWORLD_DATA]

Needs the extra [alfworld]. The default walks 120 games of 100 steps from each source: 12,000 steps generated, and as
many real ones with --data. TextWorld takes 33 to 117 ms a step: about half an hour for all.
"""

import argparse
import json
import random
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from agentgym.envs.alfworld import AlfworldEnv
from agentgym.envs.alfworld.differential import compare


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--games", type=int, default=60, help="games of each source in each dialect")
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--data", help="a folder of official games")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    rows = []
    for dialect in ("0.4", "0.3"):
        sources: dict[str, dict[str, Any]] = {"generated": {}}
        if args.data:
            sources["official"] = {"games": "official", "data": args.data}
        for name, kwargs in sources.items():
            env = AlfworldEnv(dialect=dialect, **kwargs)
            tasks = [t for split in ("train", "valid", "test") for t in env.tasks(split)]
            tasks = random.Random(f"{args.seed} {dialect}").sample(tasks, min(args.games, len(tasks)))
            tally = compare(env, tasks, args.steps, args.seed)
            row = {"dialect": dialect, "source": name} | asdict(tally)
            row["speedup"] = tally.textworld_s / max(tally.native_s, 1e-9)
            rows.append(row)
            print(
                {k: v for k, v in row.items() if k != "differences"},
                len(tally.differences),
                "differences",
                file=sys.stderr,
            )
    report = {k: sum(r[k] for r in rows) for k in ("games", "steps", "won")}
    report["differences"] = sum(len(r["differences"]) for r in rows)
    report["rows"] = rows
    text = json.dumps(report, indent=1, default=str)
    if args.out:
        args.out.write_text(text + "\n")
    else:
        print(text)
    return int(report["differences"] > 0)


if __name__ == "__main__":
    sys.exit(main())
