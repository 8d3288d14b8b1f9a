"""Commands about worlds: envs, check, new-env."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .terminal import Json, Set, app, emit, pairs, table


@app.command()
def envs(name: Annotated[str | None, typer.Argument()] = None, as_json: Json = False) -> None:
    """List the environments, or tell one's rules and options."""
    from ..envs import listing, options, spec

    if name is not None:
        import inspect

        one = spec(name)
        rules = inspect.getdoc(one.load()) or ""
        defaults = {k: "(required)" if p.default is p.empty else p.default for k, p in options(name).items()}
        if as_json:
            emit({"id": one.id, "summary": one.summary, "rules": rules, "options": defaults}, str)
        else:
            typer.echo(
                f"{one.id}: {one.summary}\n\n{rules}\n\noptions: "
                + ", ".join(f"{k}={v!r}" for k, v in defaults.items())
            )
        return
    rows = listing()
    if as_json:
        emit({"envs": rows})
    else:
        table("environments", ["id", "train", "valid", "test", "rules"], [
            [r["id"], *(str(r["splits"].get(s, "-")) for s in ("train", "valid", "test")), r["summary"]] for r in rows
        ])  # fmt: skip
        for r in rows:
            if not r["available"]:
                typer.echo(f"{r['id']} does not start as it is: {r['reason']}")


@app.command()
def check(
    env: Annotated[str, typer.Argument(help="an id or file.py:Class")], set_: Set = None, as_json: Json = False
) -> None:
    """Check that an environment keeps the contract: conformance, determinism, leaks, forks, speed."""
    from ..envs import make
    from ..envs.check import check as run
    from ..training.play import settings

    kwargs = settings(env, pairs(set_))
    rows = run(lambda: make(env, **kwargs))
    if as_json:
        emit({"env": env, "checks": [{"name": c.name, "passed": c.passed, "detail": c.detail} for c in rows]})
    else:
        mark = {True: "pass", False: "FAIL", None: "not offered"}
        table(env, ["check", "result", "detail"], [[c.name, mark[c.passed], c.detail] for c in rows])
    if any(c.passed is False for c in rows):
        raise typer.Exit(1)


@app.command("new-env")
def new_env(name: Annotated[str, typer.Argument(help="a Python name, for example my_env; writes my_env.py")]) -> None:
    """Write a small environment that already passes `agentgym check`, to change into yours."""
    from ..envs.template import write

    path, cls = write(name, Path())
    typer.echo(f"{path}: edit it; then: agentgym check {path}:{cls}")
