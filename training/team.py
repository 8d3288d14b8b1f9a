"""Episodes of worlds where several agents act: many in lockstep, with whatever way the team has to come to a plan."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Unpack, cast

from ..agents.core import Agent, Decision, PrivilegedAgent
from ..agents.critics.prefix import ExactPrefix, Judge, PrefixCritic
from ..agents.read import ReadJ, ReadS
from ..agents.team import (
    RULES,
    TEAMS,
    Central,
    Coordinator,
    Dialogue,
    Joints,
    Plan,
    Question,
    Sequential,
    TeamDecision,
    TeamTurn,
    converse,
    hearing,
    joint,
)
from ..envs import make_team
from ..envs.core import Privileged
from ..envs.errors import unknown
from ..envs.team import TeamEnv
from ..memory.core import Counter, Memory, Turn, count_words
from ..memory.trajectory import Part, Step, Trajectory, spoken
from .prefixes import state_text
from .rollout import Options, Running, Timing, lockstep
from .settings import typed

_OPTIONS: dict[str, dict[str, str]] = {
    "central": {"tries": "int"},
    "sequential": {"tries": "int"},
    "dialogue": {"tries": "int"},
    "read-j": {"critic": "str", "epsilon": "float", "tries": "int"},
    "read-s": {"critic": "str", "epsilon": "float", "tries": "int", "replans": "int"},
}


def coordinator(spec: str, env: str, kwargs: Mapping[str, Any] | None = None) -> Coordinator:
    """Return the coordinator of a spec: `central,tries=3`, `dialogue:2`, `read-s,critic=exact,epsilon=0,tries=3`.

    Raises:
        LookupError: no such coordinator or option; names the nearest. ValueError: a value that it cannot have.
    """
    name, *pairs = spec.split(",")
    kind, _, argument = name.partition(":")
    if kind not in TEAMS:
        raise unknown("team", kind, TEAMS)
    options: dict[str, Any] = {}
    for pair in pairs:
        key, _, text = pair.partition("=")
        if key not in _OPTIONS[kind]:
            raise unknown(f"option of team {kind},", key, _OPTIONS[kind])
        options[key] = typed(f"team {spec!r}: {key}", text, _OPTIONS[kind][key])
    if argument and (kind != "dialogue" or not argument.isdigit()):
        raise LookupError(f"team {spec!r}: only a dialogue takes a number, of rounds: dialogue:2")
    if kind == "dialogue":
        return Dialogue(int(argument or 2), **options, name=spec)
    if kind in ("central", "sequential"):
        return (Central if kind == "central" else Sequential)(**options, name=spec)
    judge = _judge(spec, options.pop("critic", None), env, dict(kwargs or {}))
    return (ReadJ if kind == "read-j" else ReadS)(judge, **options, name=spec)


def _judge(spec: str, critic: str | None, env: str, kwargs: dict[str, Any]) -> Judge:
    if critic == "exact":
        return ExactPrefix(lambda: make_team(env, **kwargs))
    if critic is None or not (Path(critic) / "critic.json").is_file():
        raise LookupError(
            f"team {spec!r}: critic={critic} is no folder of a critic; write critic=RUN/critic of a run of method read, "
            "or critic=exact for the world's own planner"
        )
    return PrefixCritic.load(Path(critic))


def speaker(
    name: str, course: Coordinator, agent: Callable[[], tuple[Agent | PrivilegedAgent, Counter]]
) -> tuple[Agent | PrivilegedAgent, Counter]:
    """Return the agent who speaks for a team's members, or for all of them.

    Raises:
        LookupError: the agent can only play alone.
    """
    if name == "searcher":
        raise LookupError("agent 'searcher' plays alone; a team's may be oracle, noisy:P, random or a model")
    if course.central and name.startswith(("react:", "reflexion:")):
        raise LookupError(
            f"agent {name!r} plays one part of a team: give chat:MODULE:OBJECT for all, or another --team"
        )
    player, count = agent()
    if course.central and name.startswith("chat:"):
        player.system, player.list_actions = RULES, False  # type: ignore[union-attr]
    return player, count


def team_text(observations: Mapping[str, str]) -> str:
    """Return what a team sees as one text: what all see once, then what each sees behind its name.

    >>> print(team_text({"Al": "Round 1.\\nYou hold ham.", "Bo": "Round 1.\\nYou hold nothing."}))
    Round 1.
    Al: You hold ham.
    Bo: You hold nothing.
    """
    lines = {a: text.split("\n") for a, text in observations.items()}
    shared = set.intersection(*map(set, lines.values()))
    first = next(iter(lines.values()))
    own = [f"{a}: {line}" for a, some in lines.items() for line in some if line not in shared]
    return "\n".join([*(line for line in first if line in shared), *own])


@dataclass(slots=True)
class _Together(Running[TeamEnv, tuple[TeamDecision, int]]):
    """One episode under way. memories: of every agent, or at None of the one who speaks for all. asked: of each."""

    memories: dict[str | None, Memory]
    observations: dict[str, str]
    infos: dict[str, dict[str, Any]]
    past: list[Plan] = field(default_factory=list)
    asked: dict[str | None, int] = field(default_factory=dict)

    def key(self, who: str | None) -> int:
        """The number by which the agent knows a conversation."""
        agents: list[str | None] = [None, *self.env.possible_agents]
        return self.number * len(agents) + agents.index(who)

    def talks(self) -> Iterable[int]:
        return map(self.key, self.memories)

    @property
    def goal(self) -> str:
        return str(self.infos[self.env.possible_agents[0]]["goal"])

    def turn(self) -> TeamTurn:
        """What the coordinator may know."""
        return TeamTurn(
            tuple(self.env.possible_agents), state_text(self.goal, team_text(self.observations)),
            lambda plan: check(self.env, self.infos, plan), self.task, tuple(self.past),
        )  # fmt: skip

    def admissible(self, who: str | None) -> tuple[str, ...] | None:
        """What the world lists for an agent, or as joint plans for the one who speaks for all."""
        if who is not None:
            listed: tuple[str, ...] | None = self.infos[who].get("admissible")
            return listed
        options = tuple(self.infos[a].get("admissible") or () for a in self.env.possible_agents)
        every = Joints(tuple(self.env.possible_agents), options)  # reads as a tuple would
        return cast("tuple[str, ...]", every) if all(options) else None

    def view(self, question: Question, count: Counter) -> Turn:
        """What the agent reads who is asked; every question to one agent has a number of its own."""
        who = question.who
        before = self.memories[who].view()
        turn = hearing(before, question.heard, question.since)
        extra = sum(count(s.text) for s in turn.segments[len(before.segments) :])
        self.asked[who] = t = self.asked.get(who, -1) + 1
        return replace(turn, tokens=turn.tokens + extra, admissible=self.admissible(who), t=t)

    def advance(self, said: tuple[TeamDecision, int], clock: Timing) -> bool:
        decision, queries = said
        plan = decision.plan
        observations, rewards, terminated, truncated, infos = self.step(plan, clock)
        t = time.perf_counter()
        one = self.env.possible_agents[0]
        parts = tuple(
            Part(
                agent=a, observation=self.observations[a], admissible=self.infos[a].get("admissible"), action=d.action,
                reward=float(rewards[a]), invalid=bool(infos[a].get("invalid", False)), heard=decision.heard.get(a, ""),
                **spoken(d),
            )
            for a, d in decision.parts.items()
        )  # fmt: skip
        whole = decision.whole or Decision(joint(plan))
        self.steps.append(
            Step(
                observation=team_text(self.observations), admissible=None, action=joint(plan),
                reward=sum(p.reward for p in parts) / len(parts), terminated=terminated[one], truncated=truncated[one],
                success=bool(infos[one]["success"]), score=float(infos[one]["score"]),
                invalid=any(p.invalid for p in parts), queries=queries, parts=parts, **spoken(whole),
            )
        )  # fmt: skip
        for who, memory in self.memories.items():
            own = whole if who is None else decision.parts[who]
            memory.record(own.action, _seen(observations, who), {}, own.reply)
        self.past.append(plan)
        self.observations, self.infos = observations, infos
        clock.memory_s += time.perf_counter() - t
        return not (terminated[one] or truncated[one])

    def stopped(self, why: str) -> tuple[Any, ...]:
        each = (dict.fromkeys(self.env.possible_agents, v) for v in (why, 0.0, False, True))
        return (*each, self.infos)

    def told(self) -> dict[str, Any]:
        team = {a: {"goal": i["goal"], "final": self.observations[a]} for a, i in self.infos.items()}
        kind = str(self.infos[self.env.possible_agents[0]].get("kind", ""))
        return {"kind": kind, "goal": self.goal, "final": team_text(self.observations), "meta": {"team": team}}


def _seen(observations: Mapping[str, str], who: str | None) -> str:
    """What one of a team sees, or the one who speaks for all."""
    return team_text(observations) if who is None else observations[who]


def check(env: TeamEnv, infos: Mapping[str, Mapping[str, Any]], plan: Plan) -> dict[str, str]:
    """Return why a world would reject a plan, by agent, without a step: by its own `verify`, else by what it lists."""
    if hasattr(env, "verify"):
        why: dict[str, str] = env.verify(dict(plan))
        return why
    listed: dict[str, tuple[str, ...] | None] = {a: infos[a].get("admissible") for a in plan}
    return {a: f"{a} cannot {plan[a]!r} now" for a, some in listed.items() if some is not None and plan[a] not in some}


def rollout_team(
    make_env: Callable[[], TeamEnv],
    agent: Agent | PrivilegedAgent,
    course: Coordinator,
    make_memory: Callable[[], Memory],
    tasks: Sequence[str],
    *,
    count: Counter = count_words,
    **options: Unpack[Options],
) -> list[Trajectory]:
    """Play every task once, as `rollout` does for one agent; the same trajectories whatever the batch size.

    Each agent has a memory of its own, which holds what that agent read; what it heard of the others within a step is
    told to it in that step only. A PrivilegedAgent is handed the part of the one it speaks for, or all parts.
    """

    def start(
        number: int, task: str, env: TeamEnv, observations: dict[str, str], infos: dict[str, dict[str, Any]]
    ) -> _Together:
        seats: list[str | None] = [None] if course.central else list(env.possible_agents)
        r = _Together(number, task, env, {who: make_memory() for who in seats}, observations, infos)
        for who, memory in r.memories.items():
            goal = r.goal if who is None else infos[who]["goal"]
            memory.begin(goal, _seen(observations, who), {"task": task}, r.key(who))
        return r

    def decide(running: Sequence[_Together], clock: Timing) -> list[tuple[TeamDecision, int]]:
        def answer(questions: list[tuple[int, Question]]) -> list[Decision]:
            turns = [running[i].view(q, count) for i, q in questions]
            if isinstance(agent, PrivilegedAgent):
                return agent.act_privileged(turns, [privileged(running[i].env, q.who) for i, q in questions])
            return agent.act(turns)

        t = time.perf_counter()
        decisions, queries = converse([course.talk(r.turn()) for r in running], answer)
        clock.agent_s += time.perf_counter() - t
        return list(zip(decisions, queries, strict=True))

    return lockstep(make_env, agent, tasks, start, decide, name=f"{agent.name} {course.name}", **options)


def privileged(env: TeamEnv, who: str | None) -> Privileged:
    """Return what an agent's teacher may know; of None, what the teachers of all know together."""
    if who is not None:
        return env.privileged(who)
    each = {a: env.privileged(a) for a in env.possible_agents}
    plans = zip(*(p.actions for p in each.values()), strict=False)
    first = next(iter(each.values()))
    return Privileged(
        tuple(f"{a}: {fact}" for a, p in each.items() for fact in p.facts),
        tuple(joint(dict(zip(each, some, strict=True))) for some in plans),
        distance=first.distance,
    )
