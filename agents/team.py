"""How several agents come to one plan: one speaks for all, one after another, or in a dialogue.

A coordinator tells the course of one conversation, as a generator that asks one agent at a time; `converse` runs the
conversations of many episodes side by side, so that questions open at the same time are answered in one batch.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from typing import Protocol, overload, runtime_checkable

from ..envs.errors import at_least
from ..memory.core import Segment, Turn
from .core import Decision

Plan = Mapping[str, str]
"""What each agent is to do; one that is not in it has not spoken yet."""

TEAMS = {
    "central": "one agent reads what all see and plans for all",
    "sequential": "one after another, each told what those before it will do",
    "dialogue": "dialogue:K, K rounds of talk at most, until nobody changes its mind (RoCo)",
    "read-j": "central, with advantage feedback (ReAd-J); critic=RUN/critic or exact",
    "read-s": "sequential, with advantage feedback (ReAd-S); critic=RUN/critic or exact",
}

RULES = (
    "You plan for a team in a text world, one joint step at a time.\n"
    "Answer in two lines:\nREASON: <one short sentence>\nACTION: <name>: <command>; <name>: <command>"
)


@dataclass(frozen=True, slots=True)
class TeamTurn:
    """What a coordinator may know before one joint decision.

    agents: in the order in which they speak. state: goal and all observations as one text, for a critic.
    check: why the world would reject a plan, by agent; nothing if it would not. task, past: which task, and the plans
    executed so far; they lead to this state.
    """

    agents: tuple[str, ...]
    state: str
    check: Callable[[Plan], dict[str, str]]
    task: str
    past: tuple[Plan, ...]


@dataclass(frozen=True, slots=True)
class Question:
    """Whom to ask (None: the one who speaks for all), what it hears behind its observation, and what was said since."""

    who: str | None
    heard: str = ""
    since: tuple[Segment, ...] = ()


@dataclass(frozen=True, slots=True)
class TeamDecision:
    """What a team does: every agent's decision and what it had heard; `whole`, where one spoke for all."""

    parts: dict[str, Decision]
    heard: dict[str, str] = field(default_factory=dict)
    whole: Decision | None = None

    @property
    def plan(self) -> dict[str, str]:
        """Every agent's action."""
        return {a: d.action for a, d in self.parts.items()}


Talk = Generator[Question, Decision, TeamDecision]


@runtime_checkable
class Coordinator(Protocol):
    """The course of a conversation."""

    @property
    def name(self) -> str:
        """How it is called in tables."""

    @property
    def central(self) -> bool:
        """Whether one speaks for all, and so reads what all see."""

    def talk(self, turn: TeamTurn) -> Talk:
        """Ask, and return what the team does."""


def converse(
    talks: Sequence[Talk], answer: Callable[[list[tuple[int, Question]]], list[Decision]]
) -> tuple[list[TeamDecision], list[int]]:
    """Run conversations side by side.

    Args:
        talks: at most one of each episode. answer: is handed pairs, (number of the talk, question), of all open talks.
    Returns:
        what each came to, and how many queries it took.
    """
    done: dict[int, TeamDecision] = {}
    queries = [0] * len(talks)
    open_ = [(i, next(talk)) for i, talk in enumerate(talks)]
    while open_:
        still = []
        for (i, _), decision in zip(open_, answer(open_), strict=True):
            queries[i] += decision.queries
            try:
                still.append((i, talks[i].send(decision)))
            except StopIteration as end:
                done[i] = end.value
        open_ = still
    return [done[i] for i in range(len(talks))], queries


def joint(plan: Plan) -> str:
    """Return a plan as one line.

    >>> joint({"Alice": "WAIT", "Bob": "SWEEP red_cube_1"})
    'Alice: WAIT; Bob: SWEEP red_cube_1'
    """
    return "; ".join(f"{a}: {x}" for a, x in plan.items())


def plan_of(text: str, agents: Sequence[str]) -> dict[str, str]:
    """Return the plan that a line, or RoCo's lines `NAME Alice ACTION WAIT`, tells; "" for an agent that it leaves out.

    >>> plan_of("Alice: WAIT; Bob: SWEEP red_cube_1", ["Alice", "Bob", "Chad"])
    {'Alice': 'WAIT', 'Bob': 'SWEEP red_cube_1', 'Chad': ''}
    >>> plan_of("EXECUTE\\nNAME Alice ACTION WAIT\\nNAME Bob ACTION DUMP", ["Alice", "Bob"])
    {'Alice': 'WAIT', 'Bob': 'DUMP'}
    """
    names = "|".join(map(re.escape, agents))
    marks = list(re.finditer(rf"(?:^|[;\n])\s*(?:({names})\s*:|NAME\s+({names})\s+ACTION\b)", text))
    ends = [*(m.start() for m in marks[1:]), len(text)][: len(marks)]
    found = {m[1] or m[2]: text[m.end() : end].strip(" ;\n") for m, end in zip(marks, ends, strict=True)}
    return {a: found.get(a, "") for a in agents}


@dataclass(frozen=True)
class Joints(Sequence[str]):
    """Every joint plan as a line, made only when it is asked for: of four agents there may be ten thousand."""

    agents: tuple[str, ...]
    options: tuple[tuple[str, ...], ...]

    def __len__(self) -> int:
        n = 1
        for some in self.options:
            n *= len(some)
        return n

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> list[str]: ...
    def __getitem__(self, index: int | slice) -> str | list[str]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        rest, chosen = index % len(self), []
        for some in reversed(self.options):
            rest, i = divmod(rest, len(some))
            chosen.append(some[i])
        return joint(dict(zip(self.agents, reversed(chosen), strict=True)))

    def __iter__(self) -> Iterator[str]:
        return (joint(dict(zip(self.agents, some, strict=True))) for some in product(*self.options))

    def __contains__(self, line: object) -> bool:
        plan = plan_of(str(line), self.agents)
        return joint(plan) == line and all(plan[a] in some for a, some in zip(self.agents, self.options, strict=True))


def hearing(turn: Turn, heard: str, since: Sequence[Segment] = ()) -> Turn:
    """Return a turn with what is heard, and what was said since, behind its prompt."""
    return replace(turn, segments=(*turn.segments, *([Segment("user", heard)] if heard else []), *since))


def will(plan: Plan) -> str:
    """Return what an agent hears of those who spoke before it; nothing of nobody."""
    return "\n".join(f"{a} will: {x}" for a, x in plan.items())


def rejected(plan: Plan, why: Mapping[str, str]) -> str:
    """Return what is said of a plan that the world would reject."""
    reasons = "; ".join(dict.fromkeys(why.values()))
    return f"The plan {joint(plan)} cannot be executed: {reasons}. Plan anew."


def again(decision: Decision, feedback: str) -> tuple[Segment, Segment]:
    """Return an answer and what is said of it, for the next question."""
    return Segment("assistant", decision.reply or decision.action), Segment("user", feedback)


@dataclass(frozen=True)
class Central:
    """One agent reads what all see and plans for all; a plan that the world would reject is asked for again.

    tries: how often at most; 0 lets the world reject it.
    """

    tries: int = 0
    name: str = "central"
    central: bool = True

    def __post_init__(self) -> None:
        at_least(0, tries=self.tries)

    def talk(self, turn: TeamTurn) -> Talk:
        """Ask the one, until its plan can be executed."""
        since: tuple[Segment, ...] = ()
        for left in range(self.tries, -1, -1):
            whole = yield Question(None, since=since)
            plan = plan_of(whole.action, turn.agents)
            why = turn.check(plan) if left else {}
            if not why:
                break
            since += again(whole, rejected(plan, why))
        return TeamDecision({a: Decision(x) for a, x in plan.items()}, whole=whole)


@dataclass(frozen=True)
class Sequential:
    """One agent after another, each told what those before it will do; a plan that would be rejected is made again.

    tries: how often at most; 0 lets the world reject it.
    """

    tries: int = 0
    name: str = "sequential"
    central: bool = False

    def __post_init__(self) -> None:
        at_least(0, tries=self.tries)

    def talk(self, turn: TeamTurn) -> Talk:
        """Ask everybody in turn, until their plan can be executed."""
        fault = ""
        for left in range(self.tries, -1, -1):
            team = TeamDecision({})
            for who in turn.agents:
                team.heard[who] = "\n".join(filter(None, [fault, will(team.plan)]))
                team.parts[who] = yield Question(who, team.heard[who])
            why = turn.check(team.plan) if left else {}
            if not why:
                break
            fault = rejected(team.plan, why)
        return team


@dataclass(frozen=True)
class Dialogue:
    """They speak in turns, everybody hears everything, until nobody changes its mind; then the world is asked.

    Source: RoCo, arXiv 2307.04738, Sec. 3. Ours: agreement is that a round of talk changed no action, where RoCo waits
    for the word EXECUTE; feedback on a rejected plan opens one more talk, at most `tries` times.

    rounds: of talk at most.
    """

    rounds: int = 2
    tries: int = 0
    name: str = "dialogue"
    central: bool = False

    def __post_init__(self) -> None:
        at_least(1, rounds=self.rounds)
        at_least(0, tries=self.tries)

    def talk(self, turn: TeamTurn) -> Talk:
        """Let them talk, until their plan can be executed."""
        chat: list[str] = []
        for left in range(self.tries, -1, -1):
            team = TeamDecision({})
            for _ in range(self.rounds):
                before = team.plan
                for who in turn.agents:
                    team.heard[who] = "\n".join(chat)
                    team.parts[who] = decision = yield Question(who, team.heard[who])
                    chat.append(f"{who}: {' '.join(filter(None, [decision.thought, decision.action]))}")
                if team.plan == before:
                    break
            why = turn.check(team.plan) if left else {}
            if not why:
                break
            chat.append(rejected(team.plan, why))
        return team
