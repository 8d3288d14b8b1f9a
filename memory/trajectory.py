"""What happened: the immutable records that every later stage reads."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any

SCHEMA = 1  # of a record; raised whenever an older reader would misread a new one


@dataclass(frozen=True, slots=True)
class Step:
    """One decision and what it brought.

    observation: o_t, read before acting. admissible: the actions listed at t, or None. action: a_t.
    reward, terminated, truncated, success, score, invalid: what followed a_t.
    thought: what the agent said beside the action. reply: its whole text where that differs from the action.
    context_ids: the token ids that the policy read since its last decision (all of the prompt when `fresh`).
    token_ids, logprob: what it then sampled, and log p of it; empty for an agent that is no language model.
    queries: model calls that the decision took.
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


@dataclass(frozen=True, slots=True)
class Trajectory:
    """One episode: `(env, kwargs, task, seed)` and the actions replay it byte for byte."""

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
            for key in ("admissible", "context_ids", "token_ids"):
                s[key] = None if s[key] is None else tuple(s[key])
            steps.append(Step(**s))
        return cls(**row, steps=tuple(steps))
