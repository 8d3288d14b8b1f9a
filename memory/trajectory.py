"""What happened: the immutable records that every later stage reads."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from typing import Any

SCHEMA = 1  # of a record; raised whenever an older reader would misread a new one


@dataclass(frozen=True, slots=True)
class Part:
    """What one of a team read, said and got in a step; fields as of Step.

    heard: what the others had told it before it spoke, which it read behind its observation.
    """

    agent: str
    observation: str
    admissible: tuple[str, ...] | None
    action: str
    reward: float
    invalid: bool
    heard: str = ""
    thought: str | None = None
    reply: str | None = None
    context_ids: tuple[int, ...] = ()
    token_ids: tuple[int, ...] = ()
    fresh: bool = False
    logprob: float | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """One decision and what it brought.

    observation: o_t, read before acting. admissible: the actions listed at t, or None. action: a_t.
    reward, terminated, truncated, success, score, invalid: what followed a_t.
    thought: what the agent said beside the action. reply: its whole text where that differs from the action.
    context_ids: the token ids that the policy read since its last decision (all of the prompt when `fresh`).
    token_ids, logprob: what it then sampled, and log p of it; empty for an agent that is no language model.
    queries: model calls that the decision took.
    parts: in a world of several agents what each read and said, in their order. Then action and observation are the
    team's, one text for all; admissible is None; reward is the parts' mean; invalid, whether any part is.
    """

    observation: str
    admissible: tuple[str, ...] | None
    action: str
    reward: float
    terminated: bool
    truncated: bool
    success: bool
    score: float
    invalid: bool
    thought: str | None = None
    reply: str | None = None
    context_ids: tuple[int, ...] = ()
    token_ids: tuple[int, ...] = ()
    fresh: bool = False
    logprob: float | None = None
    queries: int = 0
    parts: tuple[Part, ...] = ()


def spoken(what: Any) -> dict[str, Any]:
    """Return the fields that an agent's Decision, a Part and a Step have alike: what was said beside the action."""
    return {f: getattr(what, f) for f in ("thought", "reply", "context_ids", "token_ids", "fresh", "logprob")}


@dataclass(frozen=True, slots=True)
class Trajectory:
    """One episode: `(env, kwargs, task, seed)` and the actions, of a team its parts' actions, replay it byte for byte.

    meta: of a team, under "team", every agent's goal and final observation.
    """

    env: str
    kwargs: dict[str, Any]
    task: str
    kind: str
    seed: int
    goal: str
    agent: str
    memory: str
    steps: tuple[Step, ...]
    final: str
    meta: dict[str, Any] = field(default_factory=dict)

    def seat(self, agent: str) -> Trajectory:
        """Return what one of a team read, said and got, as an episode of its own.

        What it heard within a step is not in it: see `Part.heard`.
        """
        steps = []
        for s in self.steps:
            p = next(p for p in s.parts if p.agent == agent)
            steps.append(
                Step(
                    observation=p.observation, admissible=p.admissible, action=p.action, reward=p.reward,
                    terminated=s.terminated, truncated=s.truncated, success=s.success, score=s.score, invalid=p.invalid,
                    **spoken(p),
                )
            )  # fmt: skip
        own = self.meta["team"][agent]
        return replace(self, goal=own["goal"], steps=tuple(steps), final=own["final"], meta={})

    @property
    def success(self) -> bool:
        """Whether the goal was reached."""
        return bool(self.steps) and self.steps[-1].success

    @property
    def score(self) -> float:
        """The last step's score in [0, 1]; 0 for an empty episode."""
        return self.steps[-1].score if self.steps else 0.0

    @property
    def actions(self) -> list[str]:
        """The actions in order."""
        return [s.action for s in self.steps]

    @property
    def observations(self) -> list[str]:
        """All observations in order, the final one included: one more than the steps."""
        return [s.observation for s in self.steps] + [self.final]

    def to_json(self) -> str:
        """Return one line of JSON."""
        return json.dumps({"schema": SCHEMA, **asdict(self)}, ensure_ascii=False, separators=(",", ":"))

    @classmethod
    def from_json(cls, line: str) -> Trajectory:
        """Read what `to_json` wrote; a record without a schema is of the first.

        Raises:
            ValueError: the record is of another schema, or no trajectory.
        """
        row = json.loads(line)
        if not isinstance(row, dict) or "steps" not in row:
            raise ValueError("a line of JSON that is no trajectory")
        schema = row.pop("schema", 1)
        if schema != SCHEMA:
            raise ValueError(
                f"schema {schema!r}: this version of agentgym reads schema {SCHEMA}; take the one that wrote it"
            )
        steps = []
        for s in row.pop("steps"):
            parts = tuple(Part(**_tuples(p)) for p in s.pop("parts", ()))
            steps.append(Step(**_tuples(s), parts=parts))
        return cls(**row, steps=tuple(steps))


def _tuples(row: dict[str, Any]) -> dict[str, Any]:
    """Turn the lists of JSON back into tuples."""
    return {k: tuple(v) if isinstance(v, list) else v for k, v in row.items()}
