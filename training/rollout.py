"""Many episodes in lockstep: every running episode gets one decision a round, from one batched call."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..agents.core import Agent, Decision, ForkingAgent, PrivilegedAgent, World
from ..envs.core import TextEnv
from ..envs.errors import WorldDied
from ..memory.core import Memory, Turn
from ..memory.trajectory import Step, Trajectory

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


@dataclass(slots=True)
class _Running:
    """One episode under way."""

    number: int
    task: str
    env: TextEnv
    memory: Memory
    observation: str
    info: dict[str, Any]
    steps: list[Step]


def rollout(
    make_env: Callable[[], TextEnv],
    agent: Agent | PrivilegedAgent | ForkingAgent,
    make_memory: Callable[[], Memory],
    tasks: Sequence[str],
    *,
    env_id: str,
    env_kwargs: dict[str, Any] | None = None,
    memory: str = "full",
    seed: int = 0,
    batch: int = 64,
    timing: Timing | None = None,
    on_episode: Callable[[Trajectory], None] | None = None,
) -> list[Trajectory]:
    """Play every task once and return the trajectories in the tasks' order, whatever the batch size.

    An episode's number is its place in `tasks`; agents key their draws by it. An agent may have `begin(seed)` and
    `release(episode)`. A PrivilegedAgent, and no other, is handed `env.privileged()`; a
    ForkingAgent the running world. Where a world dies in mid-episode,
    the episode is truncated with the reason as `meta["died"]`, its last action has no effect, and the rest go on.
    """
    clock = timing if timing is not None else Timing()
    if hasattr(agent, "begin"):
        agent.begin(seed)
    spare: list[TextEnv] = []
    out: list[Trajectory | None] = [None] * len(tasks)
    running: list[_Running] = []
    next_ = 0
    try:
        while next_ < len(tasks) or running:
            while next_ < len(tasks) and len(running) < batch:
                running.append(
                    _start(next_, tasks[next_], spare.pop() if spare else make_env(), make_memory(), seed, clock)
                )
                next_ += 1
            decisions = _decide(agent, running, clock)
            still = []
            for r, decision in zip(running, decisions, strict=True):
                if _advance(r, decision, clock):
                    still.append(r)
                    continue
                if hasattr(agent, "release"):
                    agent.release(r.number)
                if "died" in r.info:
                    r.env.close()
                else:
                    spare.append(r.env)
                out[r.number] = done = _finish(r, agent.name, env_id, env_kwargs or {}, memory, seed)
                clock.episodes += 1
                if on_episode is not None:
                    on_episode(done)
            running = still
    finally:
        for env in [*spare, *(r.env for r in running)]:
            env.close()
    return [t for t in out if t is not None]


def _start(number: int, task: str, env: TextEnv, memory: Memory, seed: int, clock: Timing) -> _Running:
    t = time.perf_counter()
    observation, info = env.reset(seed=seed, options={"task": task})
    clock.env_s += time.perf_counter() - t
    memory.begin(info["goal"], observation, info, number)
    return _Running(number, task, env, memory, observation, info, [])


def _decide(
    agent: Agent | PrivilegedAgent | ForkingAgent, running: Sequence[_Running], clock: Timing
) -> list[Decision]:
    t0 = time.perf_counter()
    turns: list[Turn] = [r.memory.view() for r in running]
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


def _advance(r: _Running, decision: Decision, clock: Timing) -> bool:
    """Apply a decision; return whether the episode goes on."""
    t0 = time.perf_counter()
    try:
        observation, reward, terminated, truncated, info = r.env.step(decision.action)
    except WorldDied as why:
        observation, reward, terminated, truncated = f"The world stopped: {why}", 0.0, False, True
        info = r.info | {"died": str(why)}
    t1 = time.perf_counter()
    r.steps.append(
        Step(
            observation=r.observation,
            admissible=r.info.get("admissible"),
            action=decision.action,
            reward=float(reward),
            terminated=terminated,
            truncated=truncated,
            success=bool(info["success"]),
            score=float(info["score"]),
            invalid=bool(info.get("invalid", False)),
            thought=decision.thought,
            reply=decision.reply,
            context_ids=decision.context_ids,
            token_ids=decision.token_ids,
            fresh=decision.fresh,
            logprob=decision.logprob,
            queries=decision.queries,
        )
    )
    r.memory.record(decision.action, observation, info, decision.reply)
    r.observation, r.info = observation, info
    clock.env_s += t1 - t0
    clock.memory_s += time.perf_counter() - t1
    clock.steps += 1
    return not (terminated or truncated)


def _finish(r: _Running, agent: str, env_id: str, kwargs: dict[str, Any], memory: str, seed: int) -> Trajectory:
    return Trajectory(
        env=env_id, kwargs=kwargs, task=r.task, kind=str(r.info.get("kind", "")), seed=seed, goal=r.info["goal"],
        agent=agent, memory=memory, steps=tuple(r.steps), final=r.observation,
        meta={"died": r.info["died"]} if "died" in r.info else {},
    )  # fmt: skip


def replay(world: TextEnv | TeamEnv, trajectory: Trajectory) -> list[str]:
    """Re-execute a trajectory and return every difference, in words; an empty list means byte for byte the same.

    Of an episode whose world died, the last step is left out.
    """
    if not isinstance(world, TextEnv):
        from .team import replay as replay_team

        return replay_team(world, trajectory)
    env: TextEnv = world
    died = "died" in trajectory.meta
    steps = trajectory.steps[:-1] if died else trajectory.steps
    observation, info = env.reset(seed=trajectory.seed, options={"task": trajectory.task})
    faults = []
    for t, step in enumerate(steps):
        if observation != step.observation:
            faults.append(f"step {t}: observation {observation[:60]!r}, recorded {step.observation[:60]!r}")
        if info.get("admissible") != step.admissible:
            faults.append(f"step {t}: other admissible actions than recorded")
        observation, reward, terminated, truncated, info = env.step(step.action)
        now = (float(reward), terminated, truncated, bool(info["success"]), float(info["score"]))
        then = (step.reward, step.terminated, step.truncated, step.success, step.score)
        if now != then:
            faults.append(f"step {t}: (reward, terminated, truncated, success, score) {now}, recorded {then}")
        if terminated or truncated:
            if t + 1 < len(steps):
                faults.append(f"step {t}: the episode ended, {len(steps) - t - 1} steps are left")
            break
    if observation != (trajectory.steps[-1].observation if died else trajectory.final):
        faults.append("the final observation differs")
    return faults
