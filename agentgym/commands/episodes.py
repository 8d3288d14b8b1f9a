"""Commands on stored episodes: replay, view, export."""

from __future__ import annotations

import re
from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from .terminal import Json, app, emit, say


@app.command()
def replay(
    file: Annotated[Path, typer.Argument(help="a .jsonl.zst of trajectories")],
    verify: Annotated[bool, typer.Option("--verify", help="re-execute and compare every byte")] = False,
    as_json: Json = False,
) -> None:
    """Show stored episodes, or re-execute them."""
    from ..envs import make
    from ..memory.store import read
    from ..training.rollout import replay as again

    trajectories, lost = read(file)
    if lost:
        say(f"{file}: the last {lost} bytes are torn and were left out")
    faults: list[str] = []
    if verify:
        for i, t in enumerate(trajectories):
            with closing(make(t.env, **t.kwargs)) as world:
                faults += [f"episode {i} ({t.task}): {f}" for f in again(world, t)]
    row = {"file": str(file), "episodes": len(trajectories), "lost_bytes": lost, "verified": verify, "faults": faults}
    if as_json:
        emit(row)
    elif verify:
        typer.echo("\n".join(faults) or f"{len(trajectories)} episodes, every byte the same")
    else:
        for t in trajectories:
            typer.echo(
                f"{t.task}: {t.goal}: {'success' if t.success else 'failure'} in {len(t.steps)} steps by {t.agent}"
            )
    if faults:
        raise typer.Exit(1)


@app.command()
def view(
    file: Annotated[Path, typer.Argument(help="a .jsonl.zst of trajectories")],
    memory: Annotated[str, typer.Option(help="how it is remembered, as diff:forward,budget=512")] = "diff:u0",
    episode: Annotated[int | None, typer.Option(help="only this one, from 0")] = None,
    step: Annotated[int | None, typer.Option(help="as it stood before this action, from 0; the end by default")] = None,
    model: Annotated[str | None, typer.Option(help="count this model's tokens, not words")] = None,
    as_json: Json = False,
) -> None:
    """Show stored episodes as an agent's memory holds them; a diff history in the colours of a patch."""
    from rich.console import Console
    from rich.text import Text

    from ..memory.show import episodes

    counter = None
    if model is not None:
        from ..training.play import student

        counter = student(model).count
    shown, lost = episodes(file, memory, episode, step, counter)
    if lost:
        say(f"{file}: {lost} bytes are torn and were left out")
    if as_json:
        emit({"file": str(file), "memory": memory, "lost_bytes": lost, "episodes": [s.row() for s in shown]})
        return
    console, unit = Console(highlight=False), "words" if model is None else f"tokens of {model}"
    for s in shown:
        for style, line in [
            ("bold magenta", s.title),
            *s.lines,
            ("dim", f"{s.tokens} {unit}, {s.whole} in full"),
            ("", ""),
        ]:
            console.print(Text(line, style), soft_wrap=True)


@app.command()
def export(
    source: Annotated[
        list[Path], typer.Argument(help=".jsonl.zst files, folders of them, .json or .jsonl of messages")
    ],
    out: Annotated[Path, typer.Option(help="the file to write; with --shares three, named by split")],
    to: Annotated[str, typer.Option(help="store, messages, sharegpt, steps, preferences")] = "steps",
    memory: Annotated[str, typer.Option(help="how prompts remember")] = "full",
    env: Annotated[str | None, typer.Option(help="only this world's")] = None,
    kind: Annotated[str | None, typer.Option(help="only this kind of task")] = None,
    agent: Annotated[str | None, typer.Option(help="only this agent's")] = None,
    success: Annotated[
        bool | None, typer.Option("--success/--failure", help="only such; and what imported rows are that say neither")
    ] = None,
    score: Annotated[float | None, typer.Option(help="only of at least this score")] = None,
    shares: Annotated[str | None, typer.Option(help="split by task: train,valid,test, as 0.8,0.1,0.1")] = None,
    seed: Annotated[int, typer.Option(help="of the split")] = 0,
    as_json: Json = False,
) -> None:
    """Gather, filter, split and convert stored episodes; what is there twice is taken once."""
    from ..envs.errors import unknown
    from ..memory import memory_maker
    from ..memory.store import SUFFIX, by_task, need_writable, read_shares, select
    from ..training.exchange import FORMATS, load
    from ..training.exchange import export as write

    if to not in FORMATS:
        raise unknown("format", to, FORMATS)
    if (to == "store") != out.name.endswith(SUFFIX):
        stem = re.sub(r"(\.(jsonl?|zst))+$", "", out.name)
        right = out.with_name(f"{stem}{SUFFIX if to == 'store' else '.jsonl'}")
        raise ValueError(f"--out {out}: --to store, and no other, writes a {SUFFIX}; with --to {to} give --out {right}")
    made, parts = memory_maker(memory), None if shares is None else read_shares(shares)
    name, dot, suffix = out.name.partition(".")
    files = [out] if parts is None else [out.with_name(f"{name}-{k}{dot}{suffix}") for k in parts]
    for file in files:
        need_writable(file)
    every, twice, lost = load(source, success)
    chosen = select(every, env=env, kind=kind, agent=agent, success=success, score=score)
    if not chosen:
        raise ValueError(f"no episode of {len(every)} passes the filters")
    if lost:
        say(f"{lost} bytes are torn and were left out")
    split = [chosen] if parts is None else list(by_task(chosen, parts, seed).values())
    written = {str(file): write(some, to, file, made) for file, some in zip(files, split, strict=True)}
    row = {"episodes": len(chosen), "left_out": len(every) - len(chosen), "twice": twice, "lost_bytes": lost}
    if as_json:
        emit(row | {"rows": written})
    else:
        typer.echo("\n".join(f"{n} rows in {file}" for file, n in written.items()))
        typer.echo(f"{len(chosen)} of {len(every)} episodes; {twice} more were there twice")
