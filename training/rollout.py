"""Many episodes in lockstep: every running episode gets one decision a round, from one batched call."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, Generic, Required, TypedDict, TypeVar, Unpack

from ..agents.core import Agent, Decision, ForkingAgent, PrivilegedAgent, World
from ..envs.core import TextEnv
from ..envs.errors import WorldDied, at_least
from ..memory.core import Memory
from ..memory.trajectory import Part, Step, Trajectory, spoken
from .limits import memory_for

if TYPE_CHECKING:  # PettingZoo is imported when a world of several agents is
    from ..envs.team import TeamEnv


@dataclass(slots=True)
class Timing:
    """Where the seconds of a rollout went."""

    env_s: float = 0.0
    memory_s: float = 0.0
    agent_s: float = 0.0
    episodes: int = 0
    steps: int = 0

    def add(self, other: Timing) -> None:
        """Add what another clock has counted."""
        for f in fields(self):
            setattr(self, f.name, getattr(self, f.name) + getattr(other, f.name))

    def seconds(self) -> dict[str, float]:
        """Return the seconds of environment, memory and agent."""
        return {"env": round(self.env_s, 3), "memory": round(self.memory_s, 3), "agent": round(self.agent_s, 3)}


AnyEnv = TypeVar("AnyEnv", bound="TextEnv | TeamEnv")
Said = TypeVar("Said")


@dataclass(slots=True)
class Running(ABC, Generic[AnyEnv, Said]):
    """One episode under way. died: why its world stopped in mid-episode, where it did."""

    number: int
    task: str
    env: AnyEnv
    steps: list[Step] = field(default_factory=list, kw_only=True)
    died: str | None = field(default=None, kw_only=True)

    @abstractmethod
    def advance(self, said: Said, clock: Timing) -> bool:
        """Apply what was decided; return whether the episode goes on."""

    @abstractmethod
    def stopped(self, why: str) -> tuple[Any, ...]:
        """Return the outcome of a step of which the world died."""

    @abstractmethod
    def told(self) -> dict[str, Any]:
        """Return the trajectory's `kind`, `goal`, `final` and `meta`."""

    def talks(self) -> Iterable[int]:
        """Return the numbers by which the agent knows the episode's conversations."""
        return (self.number,)

    def step(self, action: Any, clock: Timing) -> Any:
        """Step the world, which may die of it."""
        start = time.perf_counter()
        try:
            return self.env.step(action)
        except WorldDied as why:
            self.died = str(why)
            return self.stopped(f"The world stopped: {why}")
        finally:
            clock.env_s += time.perf_counter() - start
            clock.steps += 1

    def trajectory(self, **fields: Any) -> Trajectory:
        """Return the record of the episode, which has ended."""
        told = self.told()
        if self.died is not None:
            told["meta"] |= {"died": self.died}
        return Trajectory(task=self.task, steps=tuple(self.steps), **told, **fields)


Episode = TypeVar("Episode", bound=Running[Any, Any])


class Options(TypedDict, total=False):
    """What every rollout may be told; the defaults are those of `lockstep`."""

    env_id: Required[str]
    env_kwargs: dict[str, Any] | None
    memory: str
    seed: int
    batch: int
    numbers: Sequence[int] | None
    timing: Timing | None
    on_episode: Callable[[Trajectory], None] | None


def lockstep(
    make_env: Callable[[], AnyEnv],
    agent: Agent | PrivilegedAgent | ForkingAgent,
    tasks: Sequence[str],
    start: Callable[[int, str, AnyEnv, Any, Any], Episode],
    decide: Callable[[Sequence[Episode], Timing], Sequence[Any]],
    *,
    name: str,
    env_id: str,
    env_kwargs: dict[str, Any] | None = None,
    memory: str = "full",
    seed: int = 0,
    batch: int = 64,
    numbers: Sequence[int] | None = None,
    timing: Timing | None = None,
    on_episode: Callable[[Trajectory], None] | None = None,
) -> list[Trajectory]:
    """Play every task once, `batch` episodes at a time, and return the trajectories in the tasks' order.

    numbers: of the episodes, where these tasks are some of a larger roll-out's; by default their places in `tasks`.
    start: makes an episode of its number, task and world, and of what `reset` returned. decide: what to do in each.
    """
    at_least(1, batch=batch)
    clock = timing if timing is not None else Timing()
    common = {"env": env_id, "kwargs": env_kwargs or {}, "seed": seed, "agent": name, "memory": memory}
    fewer = f"set run.batch={batch // 2} (eval: --batch)" if batch > 1 else "take a shorter --memory, as window:4"
    named = range(len(tasks)) if numbers is None else numbers
    if hasattr(agent, "begin"):
        agent.begin(seed)
    waiting = list(zip(named, tasks, strict=True))[::-1]
    spare: list[AnyEnv] = []
    running: list[Episode] = []
    out: dict[int, Trajectory] = {}
    try:
        while waiting or running:
            while waiting and len(running) < batch:
                number, task = waiting.pop()
                if not spare:
                    spare.append(make_env())
                env = spare[-1]  # spare until its episode runs: a world that cannot begin is closed with the others
                t = time.perf_counter()
                begun = env.reset(seed=seed, options={"task": task})
                clock.env_s += time.perf_counter() - t
                running.append(start(number, task, env, *begun))
                spare.pop()
            still = []
            with memory_for(f"{len(running)} episodes are played at once", fewer):
                decided = decide(running, clock)
            for r, said in zip(running, decided, strict=True):
                if r.advance(said, clock):
                    still.append(r)
                    continue
                if r.died is None:
                    spare.append(r.env)
                else:
                    r.env.close()
                noted: dict[str, Any] = {}
                if hasattr(agent, "release"):
                    for talk in r.talks():
                        noted |= agent.release(talk) or {}
                done = r.trajectory(**common)
                out[r.number] = done = replace(done, meta=done.meta | noted)
                clock.episodes += 1
                if on_episode is not None:
                    on_episode(done)
            running = still
    finally:
        for env in [*spare, *(r.env for r in running)]:
            env.close()
    return [out[n] for n in named]


@dataclass(slots=True)
class _Alone(Running["TextEnv", Decision]):
    memory: Memory
    observation: str
    info: dict[str, Any]

    def advance(self, said: Decision, clock: Timing) -> bool:
        observation, reward, terminated, truncated, info = self.step(said.action, clock)
        t = time.perf_counter()
        self.steps.append(
            Step(
                observation=self.observation, admissible=self.info.get("admissible"), action=said.action,
                reward=float(reward), terminated=terminated, truncated=truncated, success=bool(info["success"]),
                score=float(info["score"]), invalid=bool(info.get("invalid", False)), queries=said.queries,
                **spoken(said),
            )
        )  # fmt: skip
        self.memory.record(said.action, observation, info, said.reply)
        self.observation, self.info = observation, info
        clock.memory_s += time.perf_counter() - t
        return not (terminated or truncated)

    def stopped(self, why: str) -> tuple[Any, ...]:
        return why, 0.0, False, True, self.info

    def told(self) -> dict[str, Any]:
        kind = str(self.info.get("kind", ""))
        return {"kind": kind, "goal": self.info["goal"], "final": self.observation, "meta": {}}


def rollout(
    make_env: Callable[[], TextEnv],
    agent: Agent | PrivilegedAgent | ForkingAgent,
    make_memory: Callable[[], Memory],
    tasks: Sequence[str],
    **options: Unpack[Options],
) -> list[Trajectory]:
    """Play every task once and return the trajectories in the tasks' order, whatever the batch size.

    An episode's number is its place in `tasks`, unless `numbers` says otherwise; agents key their draws by it. An agent
    may have `begin(seed)` and `release(episode)`, which may return what it has noted of the episode, for the
    trajectory's meta. A PrivilegedAgent, and no other, is handed `env.privileged()`; a ForkingAgent the running world.
    Where a world dies in mid-episode, the episode is truncated with the reason as `meta["died"]`, its last action has
    no effect, and the rest go on.
    """

    def start(number: int, task: str, env: TextEnv, observation: str, info: dict[str, Any]) -> _Alone:
        memory = make_memory()
        memory.begin(info["goal"], observation, info, number)
        return _Alone(number, task, env, memory, observation, info)

    def decide(running: Sequence[_Alone], clock: Timing) -> list[Decision]:
        t0 = time.perf_counter()
        turns = [r.memory.view() for r in running]
        t1 = time.perf_counter()
        if isinstance(agent, PrivilegedAgent):
            decisions = agent.act_privileged(turns, [r.env.privileged() for r in running])
        elif isinstance(agent, ForkingAgent):
            decisions = agent.act_in(turns, [World(r.env, r.memory) for r in running])
        else:
            decisions = agent.act(turns)
        clock.memory_s += t1 - t0
        clock.agent_s += time.perf_counter() - t1
        return decisions

    return lockstep(make_env, agent, tasks, start, decide, name=agent.name, **options)


def replay(world: TextEnv | TeamEnv, trajectory: Trajectory) -> list[str]:
    """Re-execute a trajectory and return every difference, in words; an empty list means byte for byte the same.

    Of an episode whose world died, the last step is left out.
    """
    died = "died" in trajectory.meta
    steps = trajectory.steps[:-1] if died else trajectory.steps
    alone = isinstance(world, TextEnv)

    def each(value: Any) -> Any:
        return {"": value} if alone else value  # what is said of one agent, as of a team of one without a name

    def parts(step: Step) -> dict[str, Step | Part]:
        return {"": step} if alone else {p.agent: p for p in step.parts}

    seen, infos = map(each, world.reset(seed=trajectory.seed, options={"task": trajectory.task}))
    faults = []
    for t, step in enumerate(steps):
        own = parts(step)
        at = {who: f"step {t}: {who}: " if who else f"step {t}: " for who in own}
        for who, p in own.items():
            if seen[who] != p.observation:
                faults.append(f"{at[who]}observation {seen[who][:60]!r}, recorded {p.observation[:60]!r}")
            if infos[who].get("admissible") != p.admissible:
                faults.append(f"{at[who]}other admissible actions than recorded")
        actions: Any = step.action if alone else {who: p.action for who, p in own.items()}
        seen, rewards, terminated, truncated, infos = map(each, world.step(actions))
        for who, p in own.items():
            now, then = (float(rewards[who]), bool(infos[who].get("invalid", False))), (p.reward, p.invalid)
            if now != then:
                faults.append(f"{at[who]}(reward, invalid) {now}, recorded {then}")
        one = next(iter(infos))
        got = (terminated[one], truncated[one], bool(infos[one]["success"]), float(infos[one]["score"]))
        had = (step.terminated, step.truncated, step.success, step.score)
        if got != had:
            faults.append(f"step {t}: (terminated, truncated, success, score) {got}, recorded {had}")
        if terminated[one] or truncated[one]:
            if t + 1 < len(steps):
                faults.append(f"step {t}: the episode ended, {len(steps) - t - 1} steps are left")
            break
    if died:
        final = {who: p.observation for who, p in parts(trajectory.steps[-1]).items()}
    else:
        final = {"": trajectory.final} if alone else {a: row["final"] for a, row in trajectory.meta["team"].items()}
    if seen != final:
        faults.append("the final observation differs")
    return faults
