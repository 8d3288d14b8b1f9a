"""A policy whose likeliest candidates are judged by a critic before one is taken."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ..memory.core import Turn
from .core import Agent, Candidate, Decision
from .critics import Critic


class RerankAgent:
    """Takes, of the policy's `n` likeliest actions, the one of the greatest Q(s, a) + β log π(a | s).

    β = 0 trusts the critic alone; n keeps it among actions that the policy would take, where the critic has seen data.
    Source: best-of-N policy extraction, Digi-Q, arXiv 2502.15760, Sec. 4.3, at test time and without training.
    With all of the policy's actions (n None) and β > 0 it is Value-Augmented Sampling, arXiv 2405.06639, Eq. 5, on whole
    actions in place of tokens: p(a | s) ∝ π(a | s) exp(Q(s, a) / β), the best policy that is not far from π, of which the
    likeliest action is taken, or at `temperature` 1 one is drawn.

    temperature: of the draw, 0 takes the greatest; it needs β > 0.
    """

    def __init__(
        self, policy: Agent, critic: Critic, n: int | None = 8, beta: float = 0.0, temperature: float = 0.0
    ) -> None:
        if (n is not None and n < 1) or beta < 0:
            raise ValueError(f"n={n}, beta={beta}: need n >= 1 and beta >= 0")
        if temperature < 0 or (temperature and not beta):
            raise ValueError(f"temperature={temperature}, beta={beta}: need temperature >= 0, and beta > 0 to draw")
        self.policy, self.critic, self.n, self.beta, self.temperature = policy, critic, n, beta, temperature
        self.name = f"{policy.name} rerank {n}" if n is not None else f"{policy.name} vas {beta:g}"
        self._seed = 0

    def begin(self, seed: int) -> None:
        """Start a rollout of the policy, and key the draws by this seed."""
        self._seed = seed
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
        for turn, some, decision in zip(turns, likely, decisions, strict=True):
            judged = tuple(replace(c, q=next(q)) for c in some)
            best = judged[int(np.argmax(self._scores(turn, judged)))]
            taken = best.action == decision.action
            out.append(
                replace(
                    decision, action=best.action, candidates=judged, logprob=best.logprob,
                    token_ids=decision.token_ids if taken else (), context_ids=decision.context_ids if taken else (),
                )
            )  # fmt: skip
        return out

    def _scores(self, turn: Turn, judged: Sequence[Candidate]) -> NDArray[np.float64]:
        """Return Q + β log π, shaken where one is drawn: the greatest of x + β T Gumbel is drawn from softmax(x / β T)."""
        scores = np.array([(c.q or 0.0) + self.beta * c.logprob for c in judged])
        if self.temperature:
            rng = np.random.default_rng([self._seed, turn.episode % 2**32, turn.t])
            scores += self.beta * self.temperature * rng.gumbel(size=len(scores))
        return scores
