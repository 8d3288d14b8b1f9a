"""A policy whose likeliest candidates are judged by a critic before one is taken."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ..memory.core import Turn
from .core import Agent, Decision
from .critics import Critic


class RerankAgent:
    """Takes, of the policy's `n` likeliest actions, the one of the greatest Q(s, a) + β log π(a | s).

    β = 0 trusts the critic alone; n keeps it among actions that the policy would take, where the critic has seen data.
    Source: best-of-N policy extraction, Digi-Q, arXiv 2502.15760, Sec. 4.3, at test time and without training.
    """

    def __init__(self, policy: Agent, critic: Critic, n: int = 8, beta: float = 0.0) -> None:
        if n < 1 or beta < 0:
            raise ValueError(f"n={n}, beta={beta}: need n >= 1 and beta >= 0")
        self.policy, self.critic, self.n, self.beta = policy, critic, n, beta
        self.name = f"{policy.name} rerank {n}"

    def begin(self, seed: int) -> None:
        """Start a rollout of the policy."""
        if hasattr(self.policy, "begin"):
            self.policy.begin(seed)

    def release(self, episode: int) -> None:
        """Free what the policy holds of an episode."""
        if hasattr(self.policy, "release"):
            self.policy.release(episode)

    def act(self, turns: Sequence[Turn]) -> list[Decision]:
        """Return the policy's decisions with the critic's choice of action.

        Raises:
            ValueError: the policy names no candidates (it must score admissible actions: mode `choose`).
        """
        decisions = self.policy.act(turns)
        for decision in decisions:
            if not decision.candidates:
                raise ValueError(f"agent {self.policy.name!r} names no candidates: rerank needs mode 'choose'")
        likely = [sorted(d.candidates, key=lambda c: -c.logprob)[: self.n] for d in decisions]
        states = [self.critic.text(turn) for turn, some in zip(turns, likely, strict=True) for _ in some]
        q = iter(self.critic.q(states, [c.action for some in likely for c in some]).tolist())
        out = []
        for some, decision in zip(likely, decisions, strict=True):
            judged = tuple(replace(c, q=next(q)) for c in some)
            best = max(judged, key=lambda c: (c.q or 0.0) + self.beta * c.logprob)
            taken = best.action == decision.action
            out.append(
                replace(
                    decision, action=best.action, candidates=judged, logprob=best.logprob,
                    token_ids=decision.token_ids if taken else (), context_ids=decision.context_ids if taken else (),
                )
            )  # fmt: skip
        return out
