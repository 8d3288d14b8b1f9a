"""One run: rounds of collect, label, update and evaluate, each stored whole before the next begins."""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, fields
from inspect import signature
from pathlib import Path
from typing import Any

from ..agents.models import is_tiny
from ..agents.served import Server
from ..envs import make, make_single, make_team, options
from ..envs.core import SPLITS, TextEnv
from ..envs.errors import at_least, choice, unknown
from ..memory import memory_maker
from .attempts import tell
from .crew import Crew, crew
from .examples import keep
from .lab import Lab
from .methods import METHODS
from .methods.core import Method, Particular, idle
from .needs import offers, require
from .processes import lead
from .report import write_report
from .run import RunDir, default_path, save_json
from .served import Served
from .settings import kind_of, typed
from .student import Student

UNIT = 2**20 if sys.platform == "darwin" else 2**10  # what a process's peak memory is counted in

QUICK = {
    "tiny": {
        "demonstrations": 60, "episodes": 60, "iterations": 1, "epochs0": 3.0, "epochs": 1.0, "critic_steps": 500,
        "candidates": 4, "stage1": 1, "stage2": 1, "updates": 3, "pairs": 64,
    },
    "large": {
        "demonstrations": 160, "episodes": 40, "iterations": 1, "epochs0": 2.0, "epochs": 1.0, "critic_steps": 500,
        "candidates": 4, "stage1": 1, "stage2": 1, "updates": 2, "questions": 4, "samples": 4,
        "pairs": 40,
    },
}  # fmt: skip


def configure(
    env: str, method: str, model: str, memory: str, seed: int, settings: dict[str, str], quick: bool
) -> dict[str, Any]:
    """Return the resolved configuration of a run; everything that shapes its numbers is in it.

    Raises:
        LookupError: an unknown name; names the nearest. ValueError: a value of the wrong kind.
    """
    if method not in METHODS:
        raise unknown("method", method, METHODS)
    at_least(0, seed=seed)
    memory_maker(memory)
    cls = METHODS[method]
    values = _defaults(env, cls, model, quick) | _given(settings, method, _legal(env, cls))
    at_least(1, **{k: v for k, v in values.items() if k.startswith("run.") and isinstance(v, int)})
    at_least(0, **{f"eval.{s}": values.get(f"eval.{s}", 0) for s in SPLITS})
    if not any(values.get(f"eval.{s}", 0) for s in SPLITS):
        raise ValueError(
            "eval.valid=0 and eval.test=0: nothing is left to judge the rounds by; give one of them episodes"
        )
    rates = {f.name for f in fields(cls) if f.name.startswith("lr") or f.name.endswith("_lr")}
    own = _part(values, method)
    at_least(0, f"{method}.", **{k: v for k, v in own.items() if k in rates and v is not None})
    made = cls(**own)
    for name, beside in idle(cls, own).items():
        if f"{method}.{name}" in settings:
            raise ValueError(f"{method}.{name}={own[name]}: nothing reads it with {method}.{beside}; leave it out")
    makes: dict[str, Callable[..., Any]] = {"no": make_single, "too": make, "only": make_team}
    world = makes[getattr(cls, "team", "no")](env, **_part(values, "env"))
    if isinstance(made, Particular):
        made.check(world)
    offered = offers(world)
    require(method, made.needs, env, offered)
    splits, run = _part(values, "eval"), _part(values, "run")
    before = splits.pop("before")
    hashes = {s: world.split_hash(s) for s in SPLITS}
    world.close()
    return {
        "env": env, "env_kwargs": _part(values, "env"), "method": method, "hyper": asdict(made), "model": model,
        "memory": memory, "mode": _mode(run.get("mode"), "actions" not in offered), "seed": seed,
        "splits": {s: n for s, n in splits.items() if n > 0}, "before": before, "batch": run["batch"],
        "pass_tokens": run.get("pass_tokens"), "step_tokens": run.get("step_tokens"), "max_tokens": run.get("max_tokens"),
        "quick": quick,
        "split_hashes": hashes,
    }  # fmt: skip


def _part(values: dict[str, Any], where: str) -> dict[str, Any]:
    """The settings of one place: `env`, the method's id, `eval` or `run`."""
    return {key.partition(".")[2]: v for key, v in values.items() if key.startswith(f"{where}.")}


def _legal(env: str, cls: type[Any]) -> dict[str, Any]:
    """What can be set, and of which type it is."""
    return {
        **{f"env.{name}": kind_of(p) for name, p in options(env).items()},
        **{f"{cls.id}.{f.name}": f.type for f in fields(cls)},
        **{f"eval.{split}": "int" for split in SPLITS},
        "eval.before": "bool", "run.batch": "int", "run.mode": "str", "run.pass_tokens": "int", "run.step_tokens": "int",
        "run.max_tokens": "int",
    }  # fmt: skip


def _defaults(env: str, cls: type[Any], model: str, quick: bool) -> dict[str, Any]:
    """What is set where the user sets nothing, but for the method's own defaults."""
    tiny = is_tiny(model)
    splits = {"valid": 140, "test": 134}
    if quick:
        splits = {"valid": 20, "test": 20} if tiny else {"valid": 0, "test": 40}
    hyper = QUICK["tiny" if tiny else "large"] if quick else {}
    known = {f.name for f in fields(cls)}
    return {
        **{f"env.{k}": v for k, v in getattr(cls, "protocol", {}).items() if k in options(env)},
        **{f"{cls.id}.{k}": v for k, v in hyper.items() if k in known},
        **{f"eval.{split}": n for split, n in splits.items()},
        "eval.before": model != "tiny", "run.batch": 64 if tiny else 8,
    }  # fmt: skip


def _given(settings: dict[str, str], method: str, legal: dict[str, Any]) -> dict[str, Any]:
    """What the user sets, as values."""
    for key, text in settings.items():
        if key not in legal:
            where = key.partition(".")[0]
            near = [k for k in legal if k.startswith(f"{where}.")] if where in ("env", method) else legal
            raise unknown("setting", key, near)
        if key == "run.mode":
            choice(key, text, ("choose", "generate"))
    for a, b in getattr(METHODS[method], "either", ()):
        if f"{method}.{a}" in settings and f"{method}.{b}" in settings:
            raise ValueError(f"{method}.{a} takes the place of {method}.{b}: give one of them")
    return {key: typed(key, text, legal[key]) for key, text in settings.items()}


def _mode(asked: str | None, free: bool) -> str:
    """How the student acts; `free`: the world lists no actions."""
    if free and asked == "choose":
        raise ValueError("run.mode='choose': this world lists no actions; give run.mode=generate")
    return asked or ("generate" if free else "choose")


def train(
    env: str = "alfworld",
    method: str = "leap",
    model: str = "tiny",
    memory: str = "full",
    seed: int = 0,
    out: Path | None = None,
    settings: dict[str, str] | None = None,
    resume: Path | None = None,
    quick: bool = False,
    workers: int = 1,
    engine: str = "local",
    server: str | None = None,
    say: Callable[[str], None] = lambda text: print(text, file=sys.stderr, flush=True),
) -> Path:
    """Train an agent and return the run's directory; with `resume`, go on with a run that was cut off.

    A resumed run ends with the numbers of an unbroken one. workers, engine: see `crew`; they change no episode. In a
    process that a launcher started beside others, lend a hand to the leading one (training/processes.py).

    server: address of an OpenAI-compatible server that generates the student's tokens (training/served.py); a resumed
    run goes on with its own, unless another is given.

    Raises:
        ValueError: among others, `resume` with a setting that is not the run's own.
    """
    if resume is not None:
        given = {"env": env, "method": method, "model": model, "memory": memory, "seed": seed, "quick": quick}
        _same_run(Path(resume), given, settings or {}, out)

    def work() -> Path:
        with crew(engine, workers) as hands:
            return _train(env, method, model, memory, seed, out, settings or {}, resume, quick, hands, server, say)

    return lead(work)


def _same_run(resume: Path, given: dict[str, Any], settings: dict[str, str], out: Path | None) -> None:
    """Raise where a run that is resumed is asked to be another one; what is given as it is by default asks nothing."""
    usual = signature(train).parameters
    config = RunDir(resume).config()
    asked = [f"--{k} {v}" for k, v in given.items() if v not in (usual[k].default, config.get(k))]
    asked += [f"--set {k}={v}" for k, v in settings.items()] + ([] if out is None else [f"--out {out}"])
    if asked:
        raise ValueError(
            f"--resume goes on with {resume} as it was begun, so it takes no {', '.join(asked)}: start a new run"
        )


def _train(
    env: str, method: str, model: str, memory: str, seed: int, out: Path | None, settings: dict[str, str],
    resume: Path | None, quick: bool, hands: Crew | None, server: str | None, say: Callable[[str], None],
) -> Path:  # fmt: skip
    if resume is not None:
        run = RunDir(Path(resume))
        config = run.config()
        config.pop("versions", None)
        student = Student.of(config["model"], mode=config["mode"])
    else:
        config = configure(env, method, model, memory, seed, settings, quick)
        if server is not None:
            Server(server, attempts=1).models()
            config["server"] = server
        student = Student.of(model, mode=config["mode"])  # a model that is not there leaves no directory behind
        run = RunDir.create(Path(out) if out is not None else default_path(env, method), config)
    student.instruct(config["env"])
    made: Method = METHODS[config["method"]](**config["hyper"])
    say(f"run {run.path}: {config['method']} on {config['env']}, model {config['model']}, seed {config['seed']}")
    lab = Lab(
        config["env"], config["env_kwargs"], config["memory"], config["seed"], student, run, config["splits"],
        config["batch"], say, crew=hands,
    )  # fmt: skip
    if hands is not None and not isinstance(lab.make_env(), TextEnv):
        raise ValueError(
            f"env {config['env']!r}: a team is rolled out in one process; leave --workers and --engine out"
        )
    if (address := server or config.get("server")) is not None:
        student.served = Served(Server(address), student, run.path)
    student.pass_tokens, student.step_tokens = config.get("pass_tokens"), config.get("step_tokens")
    if config.get("max_tokens") is not None:
        student.max_tokens = min(student.max_tokens, config["max_tokens"])
    start = next((k for k in range(made.rounds) if run.iteration(k) is None), made.rounds)
    fitted = run.part("checkpoints", f"{start:02d}").is_dir()
    run.forget_metrics(start + fitted)
    if start:
        student.restore(run.part("checkpoints", f"{start - 1:02d}"))
    if config["before"] and run.before() is None and start == 0 and not fitted:
        say("before: evaluate")
        save_json(run.path / "before.json", _tell(lab.evaluate("before"), say))
    for k in range(start, made.rounds):
        try:
            _round(lab, made, k)
        except FloatingPointError as error:
            raise FloatingPointError(f"round {k}: {error}; {_last_good(run)}") from error
    return _conclude(run, config, say)


def _last_good(run: RunDir) -> str:
    try:
        return f"the last good checkpoint is {run.latest()}"
    except FileNotFoundError:
        return "there is no checkpoint yet: the model is as it came"


def once(
    folder: Path,
    config: Callable[[], dict[str, Any]],
    say: Callable[[str], None],
    shared: Sequence[tuple[RunDir, int]] = (),
) -> Path:
    """Return a run's directory, trained now, or taken up where it stopped; one that is done is left as it is.

    shared: rounds of other runs that do the same, which are taken over.

    Raises:
        ValueError: a run of another configuration lies there.
    """
    run = RunDir.create(folder, config())
    if (folder / "result.json").is_file():
        return folder
    for other, k in shared:
        if run.iteration(k) is None:
            run.adopt(other, k)
    return train(resume=folder, say=say)


def asked(config: Path) -> dict[str, Any]:
    """Return what the run of a `config.json` was asked to do.

    Raises:
        ValueError: the file is no run's.
    """
    try:
        row: dict[str, Any] = json.loads(config.read_text())
        row["env"], row["method"]
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(f"--config {config}: this is no config.json of a run") from error
    return row


def repeat(
    config: Path, out: Path | None, say: Callable[[str], None], workers: int = 1, engine: str = "local",
    server: str | None = None,
) -> Path:  # fmt: skip
    """Start a run anew from another run's `config.json`."""

    def work() -> Path:
        row = asked(config)
        row.pop("versions", None)
        run = RunDir.create(out if out is not None else default_path(row["env"], row["method"]), row)
        return train(resume=run.path, workers=workers, engine=engine, server=server, say=say)

    return lead(work)


def _round(lab: Lab, method: Method, k: int) -> None:
    run, begin = lab.run, time.monotonic()

    def labelled() -> list[Any]:
        collected = method.collect(lab, k)
        rights = method.label(lab, k, collected)
        return [keep(t, c) for t, c in zip(collected, rights, strict=True)]

    lab.say(f"round {k}: collect and label")
    data = [*(run.stored(f"{j:02d}-train") for j in range(k)), run.trajectories(f"{k:02d}-train", labelled)]
    collected_s = time.monotonic() - begin
    checkpoint = run.part("checkpoints", f"{k:02d}")
    if checkpoint.is_dir():
        lab.student.restore(checkpoint)
    else:
        lab.say(f"round {k}: update on {' + '.join(str(len(d)) for d in data)} episodes")

        def log(row: dict[str, float]) -> None:
            run.log({"iteration": k, **row})
            if row["step"] % 25 == 0 or row["step"] == row["steps"]:
                lab.say(f"  step {row['step']:.0f}/{row['steps']:.0f} loss {row['loss']:.4f}")

        lab.student.on_step = log
        run.forget_metrics(k)
        fitted = method.update(lab, k, data)
        save_json(run.part("iterations", f"{k:02d}.fit"), fitted)
        run.checkpoint(k, lab.save)
    lab.say(f"round {k}: evaluate")
    actor = getattr(method, "actor", None)
    results = _tell(lab.evaluate(f"{k:02d}", actor(lab, k) if actor is not None else None), lab.say)
    fit_file = run.part("iterations", f"{k:02d}.fit")
    run.finish_iteration(
        k,
        {
            "iteration": k,
            "episodes": len(data[k]),
            "fit": json.loads(fit_file.read_text()) if fit_file.is_file() else {},
            "eval": results,
            "seconds": {"collect": round(collected_s, 1), "all": round(time.monotonic() - begin, 1)},
        },
    )


def _tell(results: dict[str, Any], say: Callable[[str], None]) -> dict[str, Any]:
    for split, row in results.items():
        low, high = row["success"]["ci95"]
        say(
            f"  {split}: success {row['success']['mean']:.3f} [{low:.3f}, {high:.3f}] of {row['episodes']}, "
            f"{row['steps']['mean']:.1f} steps"
        )
        if "attempts" in row:
            say(f"    {tell(row['attempts'])}")
    return results


def _conclude(run: RunDir, config: dict[str, Any], say: Callable[[str], None]) -> Path:
    rows = run.iterations()
    save_json(
        run.path / "result.json",
        {
            "env": config["env"], "env_kwargs": config["env_kwargs"], "method": config["method"], "model": config["model"],
            "seed": config["seed"], "split_hashes": config["split_hashes"],
            "seconds": round(sum(r["seconds"]["all"] for r in rows), 1),
            "peak_memory_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // UNIT,
            "before": run.before(), "iterations": rows,
        },
    )  # fmt: skip
    write_report(run)
    say(f"done: {run.path / 'result.json'}, {run.path / 'report.html'}")
    return run.path
