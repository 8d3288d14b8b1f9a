"""`agentgym paper critics`: how near critics come to exact values, and what re-ranking a weak policy by them gains."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..agents.core import Agent, Candidate, Decision, ForkingAgent
from ..agents.critics import Critic, ExactCritic, RelationFeatures
from ..agents.flawed import FlawedAgent
from ..agents.rerank import RerankAgent
from ..agents.search import SearchAgent
from ..envs import make_single
from ..envs.core import TextEnv
from ..memory import memory_maker
from ..memory.core import Memory, Turn
from ..memory.replay import turns
from ..memory.trajectory import Trajectory
from .critics import OBJECTIVES, correlation, fit, save_critic, transitions
from .evaluate import mean_ci, proportion
from .rollout import rollout
from .run import kept

CLAIM = (
    "Critics fitted to a weak policy's episodes order actions as the exact values do, and re-ranking that policy by them "
    "gains (Digi-Q, arXiv 2502.15760: a critic learned offline makes a better policy of a flawed one)"
)
CORRELATION, GAIN = 0.8, 0.15
MEMORY = "full"
OWN = "the weak policy's own Q"
FORKS = 1 << 32  # numbers of episodes that are forks of others


@dataclass(frozen=True, slots=True)
class Setting:
    """How a world is measured.

    p_wrong, p_follow, p_slip, n: of the weak policy (`FlawedAgent`; the seed is the user). data: its episodes on train
    tasks. size, width, reads, start: of the critics. steps, batch, lr, decay, gamma, tau: of the fits. episodes: of `test`
    tasks, unseen in training, per arm. states: about so many visited states of these have their candidates valued exactly.
    again: plays that value a candidate under the weak policy.
    """

    p_wrong: float = 0.7
    p_follow: float = 0.7
    p_slip: float = 0.05
    n: int = 8
    data: int = 2000
    size: int = 1024
    width: int = 128
    reads: str = "told"
    start: float = 1.0
    steps: int = 1000
    batch: int = 256
    lr: float = 1e-3
    decay: float = 1e-4
    gamma: float = 0.95
    tau: float = 0.95
    episodes: int = 134
    states: int = 250
    again: int = 8


@dataclass(frozen=True, slots=True)
class Level:
    """A world, and what differs from `Setting` there."""

    env: str
    changes: dict[str, Any] = field(default_factory=dict)


LEVELS = (
    Level("alfworld", {"p_follow": 0.8, "p_slip": 0.1, "steps": 4000}),
    Level("device", {
        "p_wrong": 0.4, "p_follow": 0.6, "p_slip": 0.25, "episodes": 200,
        "start": 0.1, "decay": 1.0, "tau": 0.97, "steps": 700,
    }),
)  # fmt: skip


class LikeliestAgent:
    """Takes, of the policy's candidates, the likeliest: what may be had from the same draws without a critic."""

    def __init__(self, policy: FlawedAgent) -> None:
        self.policy, self.name = policy, f"{policy.name} likeliest"
        self.begin, self.release = policy.begin, policy.release

    def act(self, turns: Sequence[Turn]) -> list[Decision]:
        """Return the policy's decisions with the likeliest candidate as the action."""

        def likeliest(some: Sequence[Candidate]) -> Candidate:
            return max(some, key=lambda c: c.logprob)

        return [Decision(likeliest(d.candidates).action, candidates=d.candidates) for d in self.policy.act(turns)]


def reproduce(
    seeds: Sequence[int], out: Path, *, quick: bool = False, say: Callable[[str], None] = print
) -> dict[str, Any]:
    """Return claim, rows, the critics' own figures and whether the effect holds.

    It holds if in every world some critic's Q correlates at least `CORRELATION` with exact Q, and re-ranking by it gains
    at least `GAIN` with intervals apart. Success is pooled over the seeds, each of which has a weak policy and critics of
    its own. What lies in `out` is not run again.
    """
    small: dict[str, Any] = {"data": 300, "steps": 500, "episodes": 40, "states": 60} if quick else {}
    rows: list[dict[str, Any]] = []
    judged: list[dict[str, Any]] = []
    for level in LEVELS:
        setting = Setting(**level.changes | small)
        cells = [_cell(out, level.env, seed, setting, say) for seed in seeds]
        rows += [_row(level.env, arm, [c["arms"][arm] for c in cells]) for arm in cells[0]["arms"]]
        judged += [_judged(level.env, name, [c["critics"][name] for c in cells]) for name in cells[0]["critics"]]
    return {
        "claim": CLAIM, "split": "test", "measure": "success",
        "settings": {level.env: asdict(Setting(**level.changes | small)) for level in LEVELS},
        "rows": rows, "critics": judged, "holds": holds(rows, judged),
    }  # fmt: skip


def _cell(out: Path, env: str, seed: int, setting: Setting, say: Callable[[str], None]) -> dict[str, Any]:
    folder = out / f"critics-{env}-{seed}"
    work = partial(measure, env, seed, setting, say, folder)
    return kept(folder.with_name(f"{folder.name}.json"), work, setting=asdict(setting))


def measure(
    env: str, seed: int, setting: Setting, say: Callable[[str], None] = print, keep: Path | None = None
) -> dict[str, Any]:
    """Collect, fit every critic, hold it against exact values, and play every arm; `keep`: where the critics are saved."""
    begin = time.monotonic()
    world = make_single(env)
    world.reset(options={"task": world.tasks("train")[0]})

    def weak() -> FlawedAgent:
        slips = (setting.p_wrong, setting.p_follow, setting.p_slip)
        return FlawedAgent(lambda goal: world.searcher(), world.habit, seed, *slips, setting.n)

    play = partial(_play, env)
    rng = np.random.default_rng([seed, 31])
    data = play(weak(), draw(world.tasks("train"), setting.data, rng), [seed, 1])
    tasks = draw(world.tasks("test"), setting.episodes, rng)
    held = play(weak(), tasks, [seed, 2])
    say(f"{env}, seed {seed}: {len(data)} episodes, {np.mean([t.success for t in data]):.0%} won; {_since(begin)}")

    def fresh() -> Critic:
        return Critic(
            RelationFeatures(setting.size), setting.width, seed=seed, reads=setting.reads, start=setting.start
        )

    steps = transitions(data, fresh(), memory_maker(MEMORY), setting.gamma)
    truth = Truth.of(world, held, weak(), setting, np.random.default_rng([seed, 37]))
    say(f"{env}, seed {seed}: features of {len(steps)} steps, exact Q of {len(truth.actions)} actions; {_since(begin)}")
    critics = {"untrained": fresh()}
    told: dict[str, dict[str, Any]] = {OWN: compare(truth.own, truth)}
    for objective in OBJECTIVES:
        critics[objective] = critic = fresh()
        done = fit(
            critic, steps, objective=objective, steps=setting.steps, batch=setting.batch, lr=setting.lr,  # type: ignore[arg-type]
            decay=setting.decay, gamma=setting.gamma, tau=setting.tau, rng=np.random.default_rng([seed, 41]),
        )  # fmt: skip
        told[objective] = {"loss_q": round(done["loss_q"], 5), "loss_v": round(done["loss_v"], 5)}
        if keep is not None:
            save_critic(keep / objective, critic)
    told["untrained"] = {}
    for name, critic in critics.items():
        told[name] |= compare(critic.q(truth.states, truth.actions), truth)
        say(f"{env}, seed {seed}, {name}: {told[name]}; {_since(begin)}")
    arms: dict[str, Agent | ForkingAgent] = {
        "likeliest of the same": LikeliestAgent(weak()),
        **{f"re-ranked, {name}": RerankAgent(weak(), critic, setting.n) for name, critic in critics.items()},
        "re-ranked, exact": SearchAgent(weak(), ExactCritic(setting.gamma), setting.n, setting.n, 1, setting.gamma),
    }
    played = {"weak policy": held, **{k: play(a, tasks, [seed, 2]) for k, a in arms.items()}}
    say(f"{env}, seed {seed}: { {k: round(float(np.mean([t.success for t in v])), 3) for k, v in played.items()} }")
    return {
        "env": env, "seed": seed, "setting": asdict(setting), "split_hash": world.split_hash("test"),
        "transitions": len(steps), "won": sum(t.success for t in data), "critics": told,
        "arms": {k: {"success": [t.success for t in v], "steps": [len(t.steps) for t in v]} for k, v in played.items()},
        "seconds": round(time.monotonic() - begin, 1),
    }  # fmt: skip


def _since(begin: float) -> str:
    return f"{time.monotonic() - begin:.0f} s"


def draw(tasks: Sequence[str], n: int, rng: np.random.Generator) -> list[str]:
    """Return n tasks in random order, each as often as any other or once more."""
    order: list[int] = []
    while len(order) < n:
        order += rng.permutation(len(tasks)).tolist()
    return [tasks[i] for i in order[:n]]


def _play(env: str, agent: Agent | ForkingAgent, tasks: Sequence[str], key: Sequence[int]) -> list[Trajectory]:
    return rollout(
        lambda: make_single(env), agent, memory_maker(MEMORY), tasks, env_id=env, memory=MEMORY,
        seed=int(np.random.default_rng(list(key)).integers(2**31)),
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Truth:
    """Candidates of visited states with their exact values, N in all.

    states, actions: the texts. q: Q*(s, a), of the world's planner, (N,). own: Q of the weak policy, the mean return of
    `again` plays of it from a fork behind (s, a), (N,). state: (N,), which state a candidate is of.
    """

    states: tuple[str, ...]
    actions: tuple[str, ...]
    q: NDArray[np.float64]
    own: NDArray[np.float64]
    state: NDArray[np.int64]

    @classmethod
    def of(
        cls, world: TextEnv, played: Sequence[Trajectory], weak: FlawedAgent, setting: Setting, rng: np.random.Generator
    ) -> Truth:
        """Play episodes again and value, in a random share of their states, what the weak policy would consider."""
        exact = ExactCritic(setting.gamma)
        share = setting.states / max(1, sum(len(t.steps) for t in played))
        reader = Critic(RelationFeatures(2), 1, reads=setting.reads)
        rows: list[tuple[str, str, float, float, int]] = []
        count = 0
        weak.begin(int(rng.integers(2**31)))
        for number, t in enumerate(played):
            world.reset(seed=t.seed, options={"task": t.task})
            memory = memory_maker(MEMORY)()
            for step, turn in zip(t.steps, turns(t, memory, number), strict=True):
                [decision] = weak.act([turn])
                if rng.random() < share:
                    some = list(dict.fromkeys([step.action, *(c.action for c in decision.candidates)]))
                    text = reader.text(turn)
                    for action, value in zip(some, exact.q(world, some).tolist(), strict=True):
                        rows.append((text, action, value, again(world, weak, memory, action, setting), count))
                    count += 1
                world.step(step.action)
            weak.release(number)
        if not rows:
            raise ValueError("no state was drawn to value exactly: raise states")
        states, actions, q, own, state = zip(*rows, strict=True)
        return cls(states, actions, np.array(q), np.array(own), np.array(state))


def again(world: TextEnv, weak: FlawedAgent, memory: Memory, action: str, setting: Setting) -> float:
    """Return the mean return of an action and of what the weak policy does after it, in forks; the world stays."""
    here, episode, total = world.snapshot(), memory.view().episode, 0.0
    for k in range(setting.again):
        fork = FORKS + episode * setting.again + k  # an episode of its own: draws are keyed by it
        weak.fork(episode, fork)
        own, taken, discount, over = copy.deepcopy(memory), action, 1.0, False
        while not over:
            observation, reward, terminated, truncated, info = world.step(taken)
            total, discount, over = total + discount * float(reward), discount * setting.gamma, terminated or truncated
            if not over:
                own.record(taken, observation, info)
                taken = weak.act([replace(own.view(), episode=fork)])[0].action
        weak.release(fork)
        world.restore(here)
    return total / setting.again


def compare(q: NDArray[Any], truth: Truth) -> dict[str, Any]:
    """Hold a critic's values against the exact ones.

    Returns:
        n: candidates. pearson, spearman: of Q with Q*, over all candidates. own_pearson: with the weak policy's Q. over:
        mean of Q less the latter, its over-estimation. top1: share of the states with candidates of unlike Q* in which
        the critic's first choice is one of the greatest Q*; chance: the same for a random choice.
    """
    right, chance = [], []
    for rows in np.split(np.arange(len(q)), np.flatnonzero(np.diff(truth.state)) + 1):
        best = truth.q[rows] >= truth.q[rows].max() - 1e-6
        if not best.all():
            right.append(bool(best[np.argmax(q[rows])]))
            chance.append(float(best.mean()))
    return {
        "n": len(q), "states": len(right), "pearson": round(correlation(q, truth.q), 4),
        "spearman": round(correlation(ranks(q), ranks(truth.q)), 4),
        "own_pearson": round(correlation(q, truth.own), 4), "over": round(float(np.mean(q - truth.own)), 4),
        "top1": round(float(np.mean(right)), 4), "chance": round(float(np.mean(chance)), 4),
    }  # fmt: skip


def ranks(x: NDArray[Any]) -> NDArray[np.float64]:
    """Return ranks from 0, equals sharing their mean.

    >>> ranks(np.array([3.0, 1.0, 3.0])).tolist()
    [1.5, 0.0, 1.5]
    """
    _, inverse, counts = np.unique(np.asarray(x), return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    mean: NDArray[np.float64] = ends - (counts + 1) / 2
    return mean[inverse]


def _row(env: str, arm: str, cells: Sequence[dict[str, list[Any]]]) -> dict[str, Any]:
    success = [bool(x) for c in cells for x in c["success"]]
    steps = [float(x) for c in cells for x in c["steps"]]
    return {
        "name": f"{env}, {arm}", "n": len(success), "seeds": len(cells), **proportion(success),
        "by_seed": [round(float(np.mean(c["success"])), 4) for c in cells],
        "steps": float(np.mean(steps)), "steps_ci95": mean_ci(steps)["ci95"],
    }  # fmt: skip


def _judged(env: str, name: str, cells: Sequence[dict[str, Any]]) -> dict[str, Any]:
    keys = ("pearson", "spearman", "own_pearson", "over", "top1", "chance")
    return {
        "env": env, "name": name, "n": sum(c["n"] for c in cells), "seeds": len(cells),
        **{k: round(float(np.mean([c[k] for c in cells])), 4) for k in keys},
        "by_seed": [{k: c[k] for k in keys} for c in cells],
    }  # fmt: skip


def holds(rows: Sequence[dict[str, Any]], judged: Sequence[dict[str, Any]]) -> bool:
    """Whether in every world one critic meets both marks."""
    arms = {r["name"]: r for r in rows}

    def meets(c: dict[str, Any]) -> bool:
        base, up = arms[f"{c['env']}, weak policy"], arms[f"{c['env']}, re-ranked, {c['name']}"]
        apart = up["ci95"][0] > base["ci95"][1]
        return bool(c["pearson"] >= CORRELATION and up["mean"] - base["mean"] >= GAIN and apart)

    worlds = {c["env"] for c in judged}
    return all(any(meets(c) for c in judged if c["env"] == w and c["name"] in OBJECTIVES) for w in worlds)
