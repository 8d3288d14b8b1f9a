"""Commands that measure: paper, bench."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..training.claims import OWN, PAPERS
from .terminal import Json, app, emit, number, say, share, table


@app.command()
def paper(
    name: Annotated[str, typer.Argument(help=", ".join([*PAPERS, *OWN]))],
    seeds: Annotated[str, typer.Option(help="seeds, by commas")] = "0,1,2",
    out: Annotated[Path, typer.Option(help="where the runs lie; what is there is not run again")] = Path("runs/paper"),
    quick: bool = False,
    as_json: Json = False,
) -> None:
    """Run our reproduction of a paper and print its claim beside our measurement."""
    from ..training.bandits import NUMBERS
    from ..training.papers import reproduce

    numbers = seeds.split(",")
    if not all(s.strip().isdigit() for s in numbers):
        raise ValueError(f"--seeds {seeds!r}: write numbers by commas, as 0,1,2")
    row = reproduce(name, [int(s) for s in numbers], out, quick=quick, say=say)
    if as_json:
        emit(row)
        return
    also = list(row["rows"][0].get("also", {}))
    front = row["measure"]
    told = number if front in NUMBERS else share
    table(f"{name}: {row['claim']}", ["what", "n", "seeds", f"{front} [95 %]", *also, "steps", "queries"], [
        [r["name"], str(r["n"]), str(r["seeds"]), told(r), *(share(r["also"][c]) for c in also), f"{r['steps']:.1f}",
         f"{r['queries']:.1f}" if "queries" in r else ""] for r in row["rows"]
    ])  # fmt: skip
    for e in row.get("effects", []):
        typer.echo(f"{e['effect']}: {100 * e['gain']:+.1f} points, {'holds' if e['holds'] else 'does not hold'}")
    if "tokens" in row["rows"][0]:
        table(f"within {row['budget']} tokens", ["what", "tokens a step", "new of them"], [
            [r["name"], f"{r['tokens']:.0f}", f"{r['read']:.0f}"] for r in row["rows"]
        ])  # fmt: skip
    if "critics" in row:
        marks = ["pearson", "spearman", "own_pearson", "over", "top1", "chance"]
        table("critics beside exact values", ["critic", "n", *marks], [
            [f"{r['env']}, {r['name']}", str(r["n"]), *(f"{r[m]:.2f}" for m in marks)] for r in row["critics"]
        ])  # fmt: skip
    typer.echo("holds" if row["holds"] else "does not hold")


@app.command()
def bench(
    what: Annotated[str, typer.Argument(help="envs, worlds, memory, policy, training, smollm2, job or all")] = "all",
    as_json: Json = False,
) -> None:
    """Measure speed beside the peers, in one run."""
    from ..training.bench import measure

    rows = measure(what, say=say)
    if as_json:
        emit({"rows": rows})
    else:
        table("bench", ["what", "value", "unit", "target", "peer", "peer's value", "ratio"], [
            [r["name"], _figure(r["value"], ",.3g"), r["unit"], _figure(r["target"], ",.3g"), r["peer"] or "",
             _figure(r["peer_value"], ",.3g"), _figure(r["ratio"], ",.1f")] for r in rows
        ])  # fmt: skip


def _figure(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)
