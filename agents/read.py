"""ReAd: a plan goes back to its planner with its advantage until it is good enough.

Source: Towards Efficient LLM Grounding for Embodied Multi-Agent Collaboration, arXiv 2405.14314, Alg. 2 and 3. Ours:
the threshold is relaxed anew at every step and for every agent, where the paper's pseudo-code lets it drift; the best of
all proposals is taken, where the paper takes the last; the score of a joint plan is Q(s, a) − Q(s), see
critics/prefix.py.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass

from ..envs.errors import at_least
from ..memory.core import Segment
from .core import Decision
from .critics.prefix import Judge
from .team import Question, Talk, TeamDecision, TeamTurn, again, joint, plan_of, rejected, will


def relax(epsilon: float, k: int) -> float:
    """Return the threshold of attempt k, counted from 0: halved at every attempt; below zero, doubled.

    Source: the rule that the paper's released logs follow, where thresholds are often negative.

    >>> [relax(0.4, 2), relax(0.0, 3), relax(-0.2, 2)]
    [0.1, 0.0, -0.8]
    """
    return epsilon * (2.0**k if epsilon < 0 else 0.5**k)


def too_low(what: str, score: float, bar: float) -> str:
    """Return what is said of a plan whose score is not above the bar.

    >>> too_low("Bob: WAIT", -0.4135, -0.2)
    'The advantage of Bob: WAIT is -0.413, which is too low. Choose another action, of an advantage above -0.2.'
    """
    which = "plan" if ";" in what else "action"
    wish = f"Choose another {which}, of an advantage above {bar:g}."
    return f"The advantage of {what} is {score:.3f}, which is too low. {wish}"


@dataclass(frozen=True, slots=True)
class _Tried:
    """A proposal; of two, the one that can be executed is better, then the one of the higher value."""

    legal: bool
    value: float
    decision: Decision


Attempts = Generator[Question, Decision, _Tried]


def _best(tried: list[_Tried]) -> _Tried:
    return max(tried, key=lambda t: (t.legal, t.value))


@dataclass(frozen=True)
class _Refine:
    """What both forms share.

    judge: Q of the beginnings of plans. epsilon: a score must be above it. tries: how often a proposal goes back, at most.
    """

    judge: Judge
    epsilon: float = 0.0
    tries: int = 3

    def __post_init__(self) -> None:
        at_least(0, tries=self.tries)


@dataclass(frozen=True)
class ReadJ(_Refine):
    """One planner for all: S(a) = Q(s, a) − Q(s); a plan that scores low, or that the world would reject, goes back."""

    name: str = "read-j"
    central: bool = True

    def talk(self, turn: TeamTurn) -> Talk:
        """Ask until a plan is good enough; then, or when nothing is left to try, the best of all proposals is taken."""
        base, tried = self.judge(turn, {}), []
        since: tuple[Segment, ...] = ()
        for k in range(self.tries + 1):
            whole = yield Question(None, since=since)
            plan = plan_of(whole.action, turn.agents)
            score, bar, why = self.judge(turn, plan) - base, relax(self.epsilon, k), turn.check(plan)
            tried.append(_Tried(not why, score, whole))
            if score > bar and not why:
                break
            since += again(whole, rejected(plan, why) if why else too_low(joint(plan), score, bar))
        best = _best(tried).decision
        plan = plan_of(best.action, turn.agents)
        return TeamDecision({a: Decision(x) for a, x in plan.items()}, whole=best)


@dataclass(frozen=True)
class ReadS(_Refine):
    """One agent after another: S(aⁱ) = Q(s, a¹ … aⁱ) − Q(s, a¹ … aⁱ⁻¹); then the world is asked about the whole plan.

    replans: how often at most a plan that the world would reject is made anew.
    """

    replans: int = 1
    name: str = "read-s"
    central: bool = False

    @property
    def asks(self) -> int:
        """How often an agent is asked at a step, at most."""
        return (self.tries + 1) * (self.replans + 1)

    def talk(self, turn: TeamTurn) -> Talk:
        """Refine everybody's action in turn, until their plan can be executed."""
        fault = ""
        for left in range(self.replans, -1, -1):
            team = TeamDecision({})
            base = self.judge(turn, {})
            for who in turn.agents:
                team.heard[who] = "\n".join(filter(None, [fault, will(team.plan)]))
                best = yield from self._refine(turn, team, who, base)
                team.parts[who], base = best.decision, best.value
            why = turn.check(team.plan)
            if not why or not left:
                break
            fault = rejected(team.plan, why)
        return team

    def _refine(self, turn: TeamTurn, team: TeamDecision, who: str, base: float) -> Attempts:
        tried: list[_Tried] = []
        since: tuple[Segment, ...] = ()
        for k in range(self.tries + 1):
            decision = yield Question(who, team.heard[who], since)
            value, bar = self.judge(turn, team.plan | {who: decision.action}), relax(self.epsilon, k)
            tried.append(_Tried(True, value, decision))
            if value - base > bar:
                break
            since += again(decision, too_low(f"{who}: {decision.action}", value - base, bar))
        return _best(tried)
