"""Commands that tell what there is: envs, methods, agents."""

from __future__ import annotations

from typing import Annotated

import typer

from .terminal import Json, app, emit, table


@app.command()
def envs(name: Annotated[str | None, typer.Argument()] = None, as_json: Json = False) -> None:
    """List the environments, or tell one's rules and options."""
    from ..envs import listing, options, spec

    if name is not None:
        import inspect

        one = spec(name)
        rules = inspect.getdoc(one.load()) or ""
        defaults = {k: p.default for k, p in options(name).items()}
        if as_json:
            emit({"id": one.id, "summary": one.summary, "rules": rules, "options": defaults})
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


@app.command()
def methods(name: Annotated[str | None, typer.Argument()] = None, as_json: Json = False) -> None:
    """List the methods, or tell one's definition and settings."""
    import inspect
    from dataclasses import fields

    from ..envs.errors import unknown
    from ..training.methods import METHODS

    if name is not None and name not in METHODS:
        raise unknown("method", name, METHODS)
    rows = [
        {
            "id": k, "summary": m.summary, "source": m.source, "definition": inspect.getdoc(m),
            "settings": {f.name: f.default for f in fields(m)},
        }
        for k, m in METHODS.items()
        if name in (None, k)
    ]  # fmt: skip
    if as_json:
        emit({"methods": rows})
    elif name is not None:
        typer.echo(
            f"{rows[0]['definition']}\n\nsettings: " + ", ".join(f"{k}={v!r}" for k, v in rows[0]["settings"].items())
        )
    else:
        table("methods", ["id", "source", "what it does"], [[r["id"], r["source"], r["summary"]] for r in rows])


@app.command()
def agents(as_json: Json = False) -> None:
    """List the agents, and how those of a team come to a plan."""
    from ..agents.team import TEAMS
    from ..training.play import AGENTS

    kinds = {"agents": AGENTS, "teams": TEAMS}
    if as_json:
        emit({k: [{"id": i, "summary": v} for i, v in some.items()] for k, some in kinds.items()})
        return
    for k, some in kinds.items():
        table(k, ["id", "what it is"], [[i, v] for i, v in some.items()])
