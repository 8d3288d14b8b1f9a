"""Value-guided search: try actions in a fork of the world, look what they lead to, commit to the best."""

from __future__ import annotations

import copy
import heapq
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from ..envs.core import TextEnv
from ..memory.core import Memory, Turn
from .core import Agent, Candidate, Decision, World
from .critics import Critic, ExactCritic


@dataclass(slots=True)
class _Node:
    """A state that the search has been in; its value is its own estimate, or its best child's once it is expanded."""

    state: object
    memory: Memory
    turn: Turn
    reward: float
    over: bool
    depth: int
    own: float
    children: dict[str, _Node] = field(default_factory=dict)

    def value(self, gamma: float) -> float:
        """Return V, backed up from the children."""
        if not self.children:
            return self.own
        return max(c.reward + gamma * c.value(gamma) for c in self.children.values())


class SearchAgent:
    """Best-first search of the tree of actions, ended by a budget of the world's steps; then the best first action.

    The node of the greatest γ^depth V is expanded next, by the policy's `n` likeliest candidates at the root, below it by
    the n admissible actions of the greatest Q, so the policy is asked once a decision. V(s) = max_a r + γ V(s') over what
    was expanded, the critic's V(s) elsewhere, 0 where the episode is over. The first action of the greatest r + γ V is
    taken; of equals the one that the policy puts first, or where it names no candidates the critic's Q.
    Source: tree search for language-model agents, arXiv 2407.01476 (best-first, a value function, a budget); values backed
    up through the tree and the budget in steps are ours. A fork repeats the world's own chance, so a search foresees it.

    policy: who proposes the first actions; where it names no candidates, all admissible ones are. critic: fitted, or
    exact, which judges by the world's planner: the ceiling. budget: steps a decision at most. depth: of the tree.
    """

    def __init__(
        self,
        policy: Agent,
        critic: Critic | ExactCritic,
        budget: int = 16,
        n: int = 8,
        depth: int = 4,
        gamma: float = 0.95,
    ) -> None:
        for name, value in (("budget", budget), ("n", n), ("depth", depth)):
            if value < 1:
                raise ValueError(f"{name}={value}: needs at least 1")
        if not 0 < gamma <= 1:
            raise ValueError(f"gamma={gamma}: needs a value in (0, 1]")
        self.policy, self.critic = policy, critic
        self.budget, self.n, self.depth, self.gamma = budget, n, depth, gamma
        self.name = f"{policy.name} search {budget}"
        self.spent = 0  # steps of the world, over all decisions

    def begin(self, seed: int) -> None:
        """Start a rollout of the policy."""
        if hasattr(self.policy, "begin"):
            self.policy.begin(seed)

    def release(self, episode: int) -> None:
        """Free what the policy holds of an episode."""
        if hasattr(self.policy, "release"):
            self.policy.release(episode)

    def act_in(self, turns: Sequence[Turn], worlds: Sequence[World]) -> list[Decision]:
        """Return the policy's decisions with the search's choice of action.

        Raises:
            LookupError: the world cannot be forked, or lists no admissible actions.
        """
        decisions = self.policy.act(turns)
        return [self._decide(*row) for row in zip(turns, worlds, decisions, strict=True)]

    def _decide(self, turn: Turn, world: World, decision: Decision) -> Decision:
        env, here = world.env, world.env.snapshot()
        likely = sorted(decision.candidates, key=lambda c: -c.logprob)[: self.n]
        root = _Node(here, world.memory, turn, 0.0, False, 0, 0.0)
        first = [c.action for c in likely] or self._actions(root)
        try:
            self._search(root, env, first)
        finally:
            env.restore(here)
        values = {a: c.reward + self.gamma * c.value(self.gamma) for a, c in root.children.items()}
        action = max(values, key=lambda a: values[a])
        known = {c.action: c.logprob for c in likely}
        some = tuple(Candidate(a, known.get(a, -math.inf), q=v) for a, v in values.items())
        taken = action == decision.action
        return replace(
            decision, action=action, candidates=some, logprob=known.get(action),
            reply=decision.reply if taken else None, thought=decision.thought if taken else None,
            token_ids=decision.token_ids if taken else (), context_ids=decision.context_ids if taken else (),
        )  # fmt: skip

    def _search(self, root: _Node, env: TextEnv, first: Sequence[str]) -> None:
        """Grow the tree until the budget is spent or nothing is left to expand."""
        left, order = self.budget, 0
        frontier: list[tuple[float, int, _Node]] = [(0.0, 0, root)]
        while frontier and left > 0:
            _, _, node = heapq.heappop(frontier)
            for action in first if node is root else self._actions(node):
                if left == 0:
                    break
                child = self._try(node, env, action)
                node.children[action] = child
                left, order = left - 1, order + 1
                if not child.over and child.depth < self.depth:
                    heapq.heappush(frontier, (-(self.gamma**child.depth) * child.own, order, child))
        self.spent += self.budget - left

    def _try(self, node: _Node, env: TextEnv, action: str) -> _Node:
        """Take an action in a node's state and judge where it leads."""
        env.restore(node.state)
        observation, reward, terminated, truncated, info = env.step(action)
        over = terminated or truncated
        memory = copy.deepcopy(node.memory)
        memory.record(action, observation, info)
        turn = memory.view()
        own = 0.0 if over else self._value(env, turn)
        return _Node(env.snapshot(), memory, turn, float(reward), over, node.depth + 1, own)

    def _value(self, env: TextEnv, turn: Turn) -> float:
        if isinstance(self.critic, ExactCritic):
            return self.critic.v(env)
        return float(self.critic.v([self.critic.text(turn)])[0])

    def _actions(self, node: _Node) -> list[str]:
        """Return the n admissible actions of the greatest Q, the greatest first; for the exact critic all of them."""
        listed = node.turn.admissible
        if not listed:
            raise LookupError(f"agent {self.name!r} needs admissible actions, this world lists none")
        if isinstance(self.critic, ExactCritic):
            return list(listed)  # its Q would take steps of the world
        q = self.critic.rank(self.critic.text(node.turn), listed)
        return [listed[i] for i in np.argsort(-q, kind="stable")[: self.n]]
