"""Commands in which an agent acts: train, eval, play."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from .terminal import Json, Set, app, emit, given, need_port, pairs, say, share, table

Workers = Annotated[int, typer.Option(help="processes that roll out; the episodes are the same")]
Engine = Annotated[str, typer.Option(help="where they run: local, or ray (the cluster at RAY_ADDRESS, else here)")]
ServerUrl = Annotated[
    str | None,
    typer.Option(help="an OpenAI-compatible server (vLLM), http://HOST:PORT/v1, that generates the model's tokens"),
]


@app.command()
def train(
    ctx: typer.Context,
    env: Annotated[str, typer.Option(help="an environment's id, or file.py:Class")] = "alfworld",
    method: Annotated[str, typer.Option(help="a method's id")] = "leap",
    model: Annotated[str, typer.Option(help="tiny, smollm2, a folder or a hub id")] = "tiny",
    memory: Annotated[str, typer.Option(help="full, window:K, diff, diff:u0")] = "full",
    seed: int = 0,
    out: Annotated[Path | None, typer.Option(help="the run's directory")] = None,
    set_: Set = None,
    config: Annotated[Path | None, typer.Option(help="a run's config.json to repeat")] = None,
    resume: Annotated[Path | None, typer.Option(help="a run's directory to go on with")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="a small run that only shows that it works")] = False,
    workers: Workers = 1,
    engine: Engine = "local",
    server: ServerUrl = None,
    as_json: Json = False,
) -> None:
    """Train an agent: collect, label, update, evaluate, round after round."""
    from ..training.processes import leading
    from ..training.run import RunDir, default_path
    from ..training.train import asked, repeat
    from ..training.train import train as run_training

    if config is not None:
        own = ("env", "method", "model", "memory", "seed", "set_", "resume", "quick")
        if extra := [f"--{k.rstrip('_')}" for k in own if given(ctx, k)]:
            raise ValueError(f"--config repeats a run as it was, so it takes no {', '.join(extra)}: leave one out")
        env, method = (asked(config)[k] for k in ("env", "method"))
    where = resume or out or default_path(env, method)
    try:
        if config is not None:
            path = repeat(config, where, say, workers, engine, server)
        else:
            path = run_training(
                env, method, model, memory, seed, out if resume else where, pairs(set_), resume, quick, workers,
                engine, server, say=say,
            )  # fmt: skip
    except KeyboardInterrupt:
        begun = (where / "config.json").is_file()
        say(f"stopped; go on with: agentgym train --resume {where}" if begun else "stopped before the run began")
        raise typer.Exit(130) from None
    if not leading():
        return
    run = RunDir(path)
    rows = run.iterations()
    shown = [("demonstrations" if r["iteration"] == 0 else f"{r['iteration']}", r["eval"]) for r in rows]
    if (before := run.before()) is not None:
        shown.insert(0, ("before", before))
    if as_json:
        emit(json.loads((path / "result.json").read_text()))
        return
    splits = list(rows[0]["eval"])
    table(
        f"{path}",
        ["round", *(f"{s} success [95 %]" for s in splits), *(f"{s} steps" for s in splits)],
        [
            [label, *(share(e[s]["success"]) for s in splits), *(f"{e[s]['steps']['mean']:.1f}" for s in splits)]
            for label, e in shown
        ],
    )
    gain = shown[-1][1][splits[-1]]["success"]["mean"] - shown[0][1][splits[-1]]["success"]["mean"]
    n = shown[-1][1][splits[-1]]["episodes"]
    typer.echo(f"{splits[-1]}: {gain:+.1%} from the first row to the last, n = {n}. See {path / 'report.html'}")


@app.command("eval")
def eval_(
    env: Annotated[str | None, typer.Option(help="by default alfworld; for a run, the world it was trained on")] = None,
    agent: Annotated[
        str, typer.Option(help="random, searcher, oracle, tiny, smollm2, a run's directory, a model")
    ] = "searcher",
    split: str = "test",
    episodes: Annotated[int | None, typer.Option(help="how many, drawn without repetition; all by default")] = None,
    memory: Annotated[str | None, typer.Option(help="by default full; for a run, its own")] = None,
    seed: int = 0,
    batch: int = 64,
    temperature: float = 0.0,
    rerank: Annotated[
        int | None, typer.Option(help="take, of the policy's N likeliest actions, the one the run's critic values most")
    ] = None,
    search: Annotated[
        int | None, typer.Option(help="steps to try in forks of the world before each action, judged by the critic")
    ] = None,
    vas: Annotated[
        float | None, typer.Option(help="choose by the policy's log-probability + the critic's Q / BETA")
    ] = None,
    critic: Annotated[
        str | None, typer.Option(help="for these: a critic's folder in place of the run's; exact for --search")
    ] = None,
    team: Annotated[
        str | None, typer.Option(help="worlds of several agents: central, sequential, dialogue:K, read-s, read-j")
    ] = None,
    attempts: Annotated[int, typer.Option(help="how often a reflexion:NAME may try a task")] = 1,
    out: Annotated[Path | None, typer.Option(help="store the episodes here, as .jsonl.zst")] = None,
    set_: Set = None,
    workers: Workers = 1,
    engine: Engine = "local",
    server: ServerUrl = None,
    as_json: Json = False,
) -> None:
    """Play an agent on a split and say how well it does."""
    from ..memory.store import need_writable, write
    from ..memory.trajectory import Trajectory
    from ..training.play import evaluate, settings, usual

    if out is not None:
        need_writable(out)
    played: list[Trajectory] = []
    env, _, memory = usual(agent, env, memory)
    row = evaluate(
        env, agent, split=split, episodes=episodes, memory=memory, seed=seed, batch=batch, temperature=temperature,
        rerank=rerank, search=search, vas=vas, critic=critic, team=team, attempts=attempts,
        env_kwargs=settings(env, pairs(set_)),
        keep=played.extend, workers=workers, engine=engine, server=server,
    )  # fmt: skip
    try:
        if out is not None:
            write(out, played)
    finally:  # what was played is told though it could not be stored
        if as_json:
            emit(row)
        else:
            _tell(row, agent, env, split)


def _tell(row: dict[str, Any], agent: str, env: str, split: str) -> None:
    """Print an evaluation for people."""
    options = "".join(f", {k}={v}" for k, v in row["env_kwargs"].items())
    table(
        f"{agent} on {env}{options}, {split} ({row['split_hash']}), n = {row['episodes']}",
        ["kind", "n", "success [95 %]"],
        [
            ["all", str(row["episodes"]), share(row["success"])],
            *([k, str(v["n"]), share(v["success"])] for k, v in row["kinds"].items() if k),
        ],
    )
    typer.echo(f"{row['steps']['mean']:.1f} steps an episode, {row['seconds']:.1f} s")
    if row["died"]:
        typer.echo(f"in {row['died']} episodes the world died: they count as they stood; --out keeps the reasons")


@app.command()
def play(
    env: str = "alfworld",
    split: str = "test",
    task: Annotated[str | None, typer.Option(help="a task's id; the split's first by default")] = None,
    out: Annotated[Path, typer.Option(help="where the episode is added")] = Path("played.jsonl.zst"),
    web: Annotated[bool, typer.Option("--web", help="play in a browser, on pages of this machine")] = False,
    port: Annotated[int, typer.Option(help="of --web; any free one by default")] = 0,
    set_: Set = None,
) -> None:
    """Play yourself; the episode is recorded."""
    from ..agents.scripted import HumanAgent
    from ..agents.web import WebAgent
    from ..envs import make, make_single
    from ..envs.core import SPLITS
    from ..envs.errors import choice
    from ..memory import memory_maker
    from ..memory.core import Turn
    from ..memory.store import append, need_writable
    from ..training.play import settings, tasks_of
    from ..training.rollout import rollout

    choice("split", split, SPLITS)
    need_port(port)
    need_writable(out)
    kwargs = settings(env, pairs(set_))
    world = make_single(env, **kwargs)

    def ask(turn: Turn) -> str:
        if turn.t == 0 and turn.goal not in turn.observation:
            typer.echo(f"\nGoal: {turn.goal}")
        typer.echo(f"\n{turn.observation}")
        said: str = typer.prompt(">", prompt_suffix=" ", default="", show_default=False)
        if said == "?":
            typer.echo("\n".join(turn.admissible or ()))
            return ask(turn)
        return said

    chosen = task or tasks_of(world, env, split)[0]
    person = WebAgent(port) if web else HumanAgent(ask)
    typer.echo(
        f"Open {person.url} ; Ctrl-C stops."
        if isinstance(person, WebAgent)
        else "Type a command; ? lists what is possible; Ctrl-C stops."
    )
    done = rollout(lambda: make(env, **kwargs), person, memory_maker("full"), [chosen], env_id=env, env_kwargs=kwargs)[
        0
    ]
    append(out, done)
    outcome = f"{'Solved' if done.success else 'Not solved'} in {len(done.steps)} steps; added to {out}"
    if isinstance(person, WebAgent):
        person.end(done.goal, done.final, outcome)
    typer.echo(f"\n{done.final}\n{outcome}")
