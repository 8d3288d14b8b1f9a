"""Evaluation of any agent by name: scripted, a model, or what a run has trained."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from ..agents.core import Agent, ForkingAgent, PrivilegedAgent
from ..agents.flawed import FlawedAgent
from ..agents.scripted import HabitualAgent, NoisyAgent, OracleAgent, RandomAgent, SearcherAgent
from ..envs import make, make_single, make_team, options
from ..envs.bandits import BanditEnv, ContextualBanditEnv
from ..envs.core import SPLITS, Searcher, TextEnv
from ..envs.errors import at_least, choice, unknown
from ..memory import memory_maker
from ..memory.core import Counter, Memory, count_words
from ..memory.trajectory import Trajectory
from .bandits import explored
from .crew import crew
from .evaluate import summary
from .reflexion import Reflective, attempt
from .rollout import Options, Timing, rollout
from .run import RunDir
from .settings import kind_of, typed

if TYPE_CHECKING:  # PettingZoo is imported when a world of several agents is
    from ..agents.complete import Completions
    from ..agents.local import LocalChat
    from ..agents.rerank import RerankAgent
    from ..agents.search import SearchAgent
    from ..envs.team import TeamEnv
    from .student import Student

AGENTS = {
    "random": "uniform over the admissible actions",
    "searcher": "the world's searching expert, without privilege",
    "oracle": "the world's own planner, with privilege: the ceiling",
    "noisy:P": "the oracle with probability P, else random: a planner of known skill",
    "habitual": "the oracle, but for bad habits and slips: who offline data is collected with",
    "flawed": "the searching expert, but for bad habits and slips; names candidates, for --rerank and --search",
    "tiny": "agentgym's small decoder, as pre-trained",
    "smollm2": "SmolLM2-135M-Instruct, zero-shot",
    "RUN_DIR": "what a run has trained; RUN_DIR/checkpoints/01 for one of its rounds",
    "chat:MODULE:OBJECT": "any langchain-core chat model",
    "react:NAME": "thinks aloud between actions (ReAct); NAME as smollm2, RUN_DIR, PATH, HUB_ID or chat:MODULE:OBJECT",
    "reflexion:NAME": "the same, with notes on its failures where --attempts lets it try again",
    "PATH or HUB_ID": "any instruct model that transformers loads",
}
SCRIPTED = ("random", "searcher", "oracle", "habitual", "flawed")


def agent(
    name: str, env: str, kwargs: dict[str, Any], temperature: float = 0.0, seed: int = 0, server: str | None = None
) -> tuple[Agent | PrivilegedAgent, Counter]:
    """Return an agent by name and its token counter.

    temperature, seed: of the draws of a local model. server: that generates the tokens of what a run has trained.

    Raises:
        LookupError: no such agent; names the nearest. ValueError: a temperature or a server for one that has none, or a
        temperature below 0.
    """
    run = run_of(name)
    if server is not None and run is None:
        raise ValueError(
            f"--server {server}: agent {name!r} is no run's directory; the server gets what a run has trained (for a model "
            "as it comes: --agent chat:MODULE:OBJECT, a client of the server)"
        )
    if temperature and (name in SCRIPTED or name.startswith(("noisy:", "chat:", "react:chat:", "reflexion:chat:"))):
        raise ValueError(f"--temperature {temperature}: agent {name!r} draws as it was made; leave it out")
    at_least(0, temperature=temperature)
    if name == "random":
        return RandomAgent(), count_words
    if name == "oracle":
        return OracleAgent(), count_words
    if name.startswith("noisy:"):
        return NoisyAgent(typed("--agent noisy", name.removeprefix("noisy:"), "float")), count_words
    if name == "habitual":
        return HabitualAgent(make_single(env, **kwargs).habit), count_words
    if name == "searcher":
        return SearcherAgent(_searchers(env, kwargs)), count_words
    if name == "flawed":
        return FlawedAgent(_searchers(env, kwargs), make_single(env, **kwargs).habit), count_words
    if name.startswith(("react:", "reflexion:")):
        from ..agents.react import ReactAgent, ReflexionAgent

        form, _, model = name.partition(":")
        kind = {"react": ReactAgent, "reflexion": ReflexionAgent}[form]
        return kind(_chat(model, temperature, seed), name=name), count_words
    if name.startswith("chat:"):
        from ..agents.chat import ChatAgent, load_chat

        return ChatAgent(load_chat(name.removeprefix("chat:")), name=name), count_words
    trained = student(name)
    trained.instruct(env)
    if server is not None and run is not None:
        from ..agents.served import Server
        from .served import Served

        trained.served = Served(Server(server), trained, run.path, "served-eval")
    policy = trained.policy(temperature)
    policy.name = name
    return policy, trained.count


def judged(
    name: str, policy: Agent | PrivilegedAgent, critic: str | None, rerank: int | None, search: int | None,
    vas: float | None = None, temperature: float = 0.0,
) -> RerankAgent | SearchAgent:  # fmt: skip
    """Return a policy whose actions a critic re-ranks, whose chances it augments, or that searches with it.

    critic: `exact`, or a critic's folder; by default that of the run which `name` is. vas, temperature: β, and of the
    draw, see `agents.rerank`.

    Raises:
        ValueError: there is no critic, two are asked for, or the exact critic is to re-rank, which takes a fork.
    """
    from ..agents.critics import ExactCritic
    from ..agents.rerank import RerankAgent
    from ..agents.search import SearchAgent
    from .critics import load_critic

    asked = [f"--{k} {v}" for k, v in (("rerank", rerank), ("search", search), ("vas", vas)) if v is not None]
    if not asked:
        raise ValueError(f"critic={critic!r}: say what it is for, rerank=N, search=N or vas=BETA")
    if isinstance(policy, PrivilegedAgent):
        raise ValueError(f"agent {name!r} knows better than any critic: {asked[0]} is for the others")
    if len(asked) > 1:
        raise ValueError(f"{' and '.join(asked)}: choose one")
    if vas is not None and not vas > 0:
        raise ValueError(f"--vas {vas}: needs to be positive; small trusts the critic, great the policy")
    if search is not None and temperature and getattr(policy, "mode", "choose") == "choose":
        raise ValueError(f"--search takes the best of what it tried: leave --temperature {temperature} out")
    if critic == "exact":
        if search is None:
            raise ValueError("--critic exact judges forks of the world: use it with --search N")
        return SearchAgent(policy, ExactCritic(), search)
    folder = Path(critic or name)
    if critic is None:
        if (run := run_at(folder)) is not None:
            folder = run.latest()
        folder = folder / "critic"
        if not folder.is_dir():
            option = asked[0].partition(" ")[0]
            raise ValueError(
                f"agent {name!r} has no critic: {option} needs the directory of a run of method digiq, awr or iql, or --critic FOLDER"
            )
    fitted = load_critic(folder)[0]
    if search is not None:
        return SearchAgent(policy, fitted, search)
    if vas is not None:
        return RerankAgent(policy, fitted, None, vas, temperature)
    if temperature:
        raise ValueError(
            f"--rerank takes the best of what it draws: leave --temperature {temperature} out, or take --vas BETA"
        )
    return RerankAgent(policy, fitted, rerank)


def local_chat(name: str, temperature: float = 0.0, seed: int = 0) -> LocalChat:
    """Return a local model, as it is or as a run has trained it, as a langchain-core chat model."""
    from ..agents.local import LocalChat

    trained = student(name)
    trained.loaded.model = trained.model
    return LocalChat.wrap(trained.loaded, temperature=temperature, seed=seed)


def hosted(name: str, folders: bool = False) -> tuple[LocalChat | None, Completions]:
    """Return what answers for a model, as it is or as a run has trained it, in words and in token ids.

    None in words, where the model has no chat template. folders: whether clients may bring weights.
    """
    from ..agents.complete import Completions
    from ..agents.local import LocalChat
    from ..agents.models import load
    from ..agents.render import ChatRenderer

    if run_at(Path(name)) is not None or (Path(name) / "student.json").is_file():
        trained = student(name)
        loaded = trained.loaded
        loaded.model = trained.model
    else:
        loaded = load(name)
    chat = LocalChat.wrap(loaded) if isinstance(loaded.renderer, ChatRenderer) else None
    return chat, Completions(name, loaded, folders=folders)


def run_at(folder: Path) -> RunDir | None:
    """Return the run whose directory a folder is, None where it is none."""
    return RunDir(folder) if (folder / "config.json").is_file() and (folder / "checkpoints").is_dir() else None


def run_of(name: str) -> RunDir | None:
    """Return the run that an agent's name is the directory of, or a round's checkpoint of."""
    folder = Path(name)
    return run_at(folder.parent.parent if folder.parent.name == "checkpoints" else folder)


def _chat(name: str, temperature: float, seed: int) -> Any:
    from ..agents.chat import load_chat

    if name.startswith("chat:"):
        return load_chat(name.removeprefix("chat:"))
    return local_chat(name, temperature, seed)


def student(name: str) -> Student:
    """Return the model that a name or a run's directory stands for.

    Raises:
        LookupError: no such model; names the nearest.
    """
    from .student import Student

    if (run := run_at(Path(name))) is not None:
        config = run.config()
        return Student.of(config["model"], run.latest(), mode=config["mode"])
    if (Path(name) / "student.json").is_file():
        return Student.held(Path(name))
    if name in ("tiny", "smollm2") or "/" in name or Path(name).is_dir():
        return Student.of(name)
    listed = ["random", "oracle", "searcher", "habitual", "flawed", "noisy:P", "tiny", "smollm2", "chat:MODULE:OBJECT"]
    raise unknown("agent", name, listed)


def _searchers(env: str, kwargs: dict[str, Any]) -> Callable[[str], Searcher]:
    world = make(env, **kwargs)
    world.reset(options={"task": world.tasks("train")[0]})
    return lambda goal: world.searcher()


def settings(env: str, pairs: dict[str, str]) -> dict[str, Any]:
    """Return an environment's keyword arguments from settings typed as env.NAME=VALUE."""
    legal = options(env)
    out = {}
    for key, text in pairs.items():
        where, _, name = key.partition(".")
        if where != "env" or name not in legal:
            raise unknown("setting", key, [f"env.{n}" for n in legal])
        out[name] = typed(key, text, kind_of(legal[name]))
    return out


NOBODY = (None, None, None, None)  # no critic, and nothing for one to do
Play = Callable[[Callable[[], Memory], Sequence[str]], list[Trajectory]]


def _alone(
    name: str,
    temperature: float,
    by: tuple[str | None, int | None, int | None, float | None],
    team: str | None,
    server: str | None,
    with_: Options,
) -> tuple[Any, Counter, Play]:
    """Return who plays a world of one agent, the counter of its tokens, and how tasks are played."""
    env, kwargs = with_["env_id"], with_["env_kwargs"] or {}
    if team is not None:
        raise LookupError(f"--team {team}: in env {env!r} one agent acts; --team is for worlds of several")
    first, count = agent(name, env, kwargs, temperature, with_.get("seed", 0), server)
    player: Agent | PrivilegedAgent | ForkingAgent = first if by == NOBODY else judged(name, first, *by, temperature)
    return player, count, lambda maker, some: rollout(lambda: make_single(env, **kwargs), player, maker, some, **with_)


def _together(
    name: str,
    temperature: float,
    by: tuple[str | None, int | None, int | None, float | None],
    team: str | None,
    server: str | None,
    with_: Options,
) -> tuple[Any, Counter, Play]:
    """Return the same for a world of several agents, who come to a plan as `team` says."""
    from .team import coordinator, rollout_team, speaker

    env, kwargs = with_["env_id"], with_["env_kwargs"] or {}
    if by != NOBODY:
        raise LookupError(
            f"--rerank, --search, --vas: env {env!r} has several agents; --team read-s re-ranks their plans"
        )
    course = coordinator(team or "sequential", env, kwargs)
    player, count = speaker(name, course, lambda: agent(name, env, kwargs, temperature, with_.get("seed", 0), server))

    def play(maker: Callable[[], Memory], some: Sequence[str]) -> list[Trajectory]:
        return rollout_team(lambda: make_team(env, **kwargs), player, course, maker, some, count=count, **with_)

    return player, count, play


def tasks_of(world: TextEnv | TeamEnv, env: str, split: str) -> list[str]:
    """Return the ids of a split's tasks.

    Raises:
        LookupError: it has none; names the splits that have some.
    """
    if tasks := list(world.tasks(split)):
        return tasks
    raise LookupError(
        f"env {env!r}: split {split!r} has no task; with some are: {', '.join(s for s in SPLITS if world.tasks(s)) or 'none'}"
    )


def _drawn(tasks: list[str], n: int | None, seed: int) -> list[str]:
    """n of the tasks, drawn without repetition; all by default."""
    if n is None:
        return tasks
    at_least(1, episodes=n)
    rng = np.random.default_rng([seed, 7])
    return [tasks[i] for i in sorted(rng.choice(len(tasks), min(n, len(tasks)), replace=False))]


def usual(agent: str, env: str | None, memory: str | None) -> tuple[str, dict[str, Any], str]:
    """Return the world that an agent plays where nothing is said, its options, and the memory.

    A run plays what it was trained on, and in the world that it was trained on it keeps that one's options; all others
    play alfworld with their full history.
    """
    own: dict[str, Any] = {"env": "alfworld", "env_kwargs": {}, "memory": "full"}
    if (run := run_of(agent)) is not None:
        own = run.config()
    here = env in (None, own["env"])
    return env or own["env"], own["env_kwargs"] if here else {}, memory or own["memory"]


def evaluate(
    env: str | None = None,
    agent_name: str = "searcher",
    *,
    split: str = "test",
    episodes: int | None = None,
    memory: str | None = None,
    seed: int = 0,
    batch: int = 64,
    temperature: float = 0.0,
    rerank: int | None = None,
    search: int | None = None,
    critic: str | None = None,
    vas: float | None = None,
    env_kwargs: dict[str, Any] | None = None,
    team: str | None = None,
    attempts: int = 1,
    keep: Callable[[list[Trajectory]], None] | None = None,
    workers: int = 1,
    engine: str = "local",
    server: str | None = None,
) -> dict[str, Any]:
    """Play an agent on a split and return the evaluation object; `keep` is handed the trajectories.

    env, env_kwargs, memory: those of `usual` by default; of its options, those that are given take the place.
    rerank: of the policy's so many likeliest actions, take the one of the greatest Q of the run's critic.
    search: steps that it may try in forks of the world before each action, judged by the critic.
    vas: β with which the run's critic augments the policy's chances: π(a|s) exp(Q(s, a)/β), drawn from at `temperature`.
    critic: a critic's folder in place of the run's, or `exact`, the world's planner, for a search.
    team: in a world of several agents, how they come to a plan (`training.team.TEAMS`); one after another by default.
    attempts: how often an agent that can reflect tries a task; the row is then of each task's last attempt.
    workers, engine: see `crew`; they change no episode. server: see `agent`.
    """
    at_least(0, seed=seed)
    at_least(1, batch=batch)
    choice("split", split, SPLITS)
    env, own, memory = usual(agent_name, env, memory)
    kwargs = own | (env_kwargs or {})
    world = make(env, **kwargs)
    alone = isinstance(world, TextEnv)
    tasks = _drawn(tasks_of(world, env, split), episodes, seed)
    timing, start = Timing(), time.monotonic()
    with_: Options = {
        "env_id": env, "env_kwargs": kwargs, "memory": memory, "seed": seed, "batch": batch, "timing": timing,
    }  # fmt: skip
    player, count, play = (_alone if alone else _together)(
        agent_name, temperature, (critic, rerank, search, vas), team, server, with_
    )
    if attempts < 1 or (attempts > 1 and not (alone and hasattr(player, "reflect"))):
        raise ValueError(f"attempts={attempts}: needs at least 1; more are for an agent as reflexion:smollm2")
    maker = memory_maker(memory, count)
    with crew(engine, workers) as hands:
        if hands is not None and not alone:
            raise ValueError(f"env {env!r}: a team is rolled out in one process; leave --workers and --engine out")
        played = play(maker, tasks) if hands is None else hands.rollout(player, count, tasks, with_)
    solved = None
    if attempts > 1:
        played, solved = attempt(cast("Reflective", player), play, maker, played, attempts, count)
    if keep is not None:
        keep(played)
    row = summary(played, split=split, split_hash=world.split_hash(split), seconds=time.monotonic() - start)
    if (usage := getattr(player, "usage", None)) is not None:
        row["usage"] = asdict(usage)
    if isinstance(world, BanditEnv | ContextualBanditEnv):
        row["bandit"] = explored(world, played)
    if not alone:
        row["team"] = team or "sequential"
    if solved is not None:
        row["solved_by_attempt"] = solved
    return row | {
        "env_kwargs": kwargs,
        "agent": agent_name,
        **{k: v for k, v in (("rerank", rerank), ("search", search), ("vas", vas), ("critic", critic)) if v is not None},
        "share_of_seconds": timing.seconds(),
        "steps_played": timing.steps,
    }  # fmt: skip
