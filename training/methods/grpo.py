"""GRPO and GiGPO: policy gradients whose baseline is what the same policy got elsewhere, at a task and at a state."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch

from ...agents.teachers import Correction
from ...envs.core import TextEnv
from ...envs.errors import at_least, choice, positive
from ...memory.trajectory import Trajectory
from ..advantages import anchored, group_relative, returns
from ..anchors import ANCHORS, anchors, require
from ..examples import own_actions
from ..lab import Lab
from ..reinforce import Ascent, spoken
from ..sequences import IGNORE
from .bc import demonstrate
from .core import Idle, dataset


@dataclass(frozen=True)
class Grpo:
    """Group relative policy optimisation, of whole episodes.

    Round 0: SFT on demonstrations gives π_ref. Each later round takes `updates` on-policy steps, each of them:
      1. play G episodes of each of some train tasks by π_old;
      2. A_i = (R_i − mean_j R_j) / std_j R_j over the G returns of a task, for every token of episode i;
      3. in each of `passes` passes, one gradient step that maximises the mean over tokens of
         min(ρ A, clip(ρ, 1 − ε, 1 + ε) A) − β k3(π ‖ π_ref), with ρ = π / π_old.
    With ω > 0 a step counts A_i + ω Aˢ_t: Aˢ_t compares the discounted return from step t on with those of all steps
    that the group took from the very same state (GiGPO).
    Source: GRPO, arXiv 2402.03300, Eq. 3 and Sec. 4.1; GiGPO, arXiv 2505.10978. Deviations: the loss is a mean over all
    tokens of a step, where GRPO first takes each reply's own, which favours long failures (arXiv 2503.20783); states
    are the world's own, where GiGPO's code compares observations (anchor=observation). In mode `choose` actions are
    drawn among the admissible ones, and ρ is that of the unrestricted words. A round has an optimizer of its own.

    demonstrations: of round 0; 0 leaves the model as it is. iterations: rounds after it. updates: of a round. tasks,
    group: tasks and G of an update. passes: over an update's episodes. epsilon, beta: ε and β. scale: no divides by no
    std (Dr. GRPO). step_weight: ω. gamma: of the steps' returns. anchor: what makes two states the same, state or
    observation. temperature: of play; 1 keeps the gradient unbiased. epochs0, lr0: of round 0. lr: of the policy
    gradient; None takes 3e-4 for tiny, 2e-5 for adapters.
    """

    id: ClassVar[str] = "grpo"
    summary: ClassVar[str] = "reinforces episodes that do better than others at the same task"
    source: ClassVar[str] = "arXiv 2402.03300"
    protocol: ClassVar[Mapping[str, Any]] = {}
    idle: ClassVar[Idle] = (("step_weight", 0.0, ("gamma", "anchor")),)
    demonstrations: int = 300
    iterations: int = 3
    updates: int = 10
    tasks: int = 8
    group: int = 8
    passes: int = 2
    epsilon: float = 0.2
    beta: float = 0.01
    scale: bool = True
    step_weight: float = 0.0
    gamma: float = 0.95
    anchor: str = "state"
    temperature: float = 1.0
    epochs0: float = 6.0
    lr0: float | None = None
    lr: float | None = None

    def __post_init__(self) -> None:
        choice(f"{self.id}.anchor", self.anchor, ANCHORS)
        least = {"demonstrations": 0, "iterations": 0, "updates": 1, "tasks": 1, "group": 2, "passes": 1, "beta": 0}
        for name, low in (least | {"step_weight": 0}).items():
            at_least(low, f"{self.id}.", **{name: getattr(self, name)})
        positive(f"{self.id}.", epochs0=self.epochs0)
        if self.temperature <= 0:
            raise ValueError(
                f"{self.id}.temperature={self.temperature}: episodes must differ, so it needs to be positive"
            )
        if not (0 < self.epsilon < 1 and 0 <= self.gamma <= 1):
            raise ValueError(
                f"{self.id}.epsilon={self.epsilon}, {self.id}.gamma={self.gamma}: need 0 < epsilon < 1, 0 <= gamma <= 1"
            )

    def check(self, env: TextEnv) -> None:
        """Raise where steps are to be compared in a world that cannot tell its states."""
        if self.step_weight:
            require(self.id, env, self.anchor)

    @property
    def needs(self) -> tuple[str, ...]:
        """The oracle where it demonstrates."""
        return ("oracle",) if self.demonstrations else ()

    @property
    def rounds(self) -> int:
        """The demonstrations' round and `iterations` more."""
        return 1 + self.iterations

    def collect(self, lab: Lab, k: int) -> list[Trajectory]:
        """Return demonstrations in round 0; later rounds play while they update."""
        return demonstrate(lab, self.demonstrations) if k == 0 and self.demonstrations else []

    def label(self, lab: Lab, k: int, trajectories: Sequence[Trajectory]) -> list[list[Correction]]:
        """Return the demonstrator's own actions."""
        return [own_actions(t) for t in trajectories]

    def update(self, lab: Lab, k: int, data: Sequence[Sequence[Trajectory]]) -> dict[str, float]:
        """Fit the demonstrations, then take `updates` on-policy steps a round."""
        if k == 0:
            rows = dataset(lab, data[0])
            return lab.student.fit(rows, lab.rng(3, k), epochs=self.epochs0, lr=self.lr0) if rows else {}
        ascent = Ascent(lab.student, lab.run.part("checkpoints", "00"), lr=self.lr)
        log = [self._step(lab, ascent, k, u) for u in range(self.updates)]
        means = {key: sum(row[key] for row in log) / len(log) for key in log[0]}
        return means | {"steps": len(log), "played": sum(row["played"] for row in log)}

    def _step(self, lab: Lab, ascent: Ascent, k: int, u: int) -> dict[str, float]:
        policy = lab.student.policy(self.temperature)
        tasks = lab.tasks("train", self.tasks, k, u)
        played = lab.play(policy, [t for t in tasks for _ in range(self.group)], k, u)
        advantages, told = self.credit(lab.make_env(), played)
        rows = spoken(lab.student, policy, played, advantages, [[self.beta] * len(t.steps) for t in played])
        size = sum(i != IGNORE for words in rows for i in words.example.targets)
        done = told | ascent.step(rows, size, passes=self.passes, epsilon=self.epsilon) | {"played": len(played)}
        if lab.student.on_step is not None:
            lab.student.on_step({"step": u + 1, "steps": self.updates, **done})
        return done

    def credit(self, env: TextEnv, played: Sequence[Trajectory]) -> tuple[list[list[float]], dict[str, float]]:
        """Return the advantage of every step of episodes, `group` of them a task, and what they came to.

        return: mean of the episodes. success: share of them. mixed: share of the tasks whose episodes differ in return,
        of which alone an episode's advantage speaks. shared: share of the steps with another step in the same state.
        """
        total = torch.tensor([sum(s.reward for s in t.steps) for t in played]).view(-1, self.group)
        told = {
            "return": float(total.mean()),
            "success": sum(t.success for t in played) / len(played),
            "mixed": float((total.amax(1) > total.amin(1)).float().mean()),
        }
        out = [
            [a] * len(t.steps) for t, a in zip(played, group_relative(total, self.scale).view(-1).tolist(), strict=True)
        ]
        if self.step_weight:
            states = [key for t in played for key in anchors(env, t, self.anchor)]
            ahead = torch.cat([returns(torch.tensor([s.reward for s in t.steps]), self.gamma) for t in played])
            more = iter(anchored(ahead, states, self.scale).tolist())
            out = [[a + self.step_weight * next(more) for a in row] for row in out]
            told["shared"] = sum(n for n in Counter(states).values() if n > 1) / len(states)
        return out, told


@dataclass(frozen=True)
class Gigpo(Grpo):
    """GRPO with step groups: in each state that a task's episodes share, actions are compared by what came of them.

    Source: GiGPO, arXiv 2505.10978, with its ω = 1, γ = .95 and groups of 8; all else as `grpo` tells.
    """

    id: ClassVar[str] = "gigpo"
    summary: ClassVar[str] = "GRPO that also compares what was done in the same state"
    source: ClassVar[str] = "arXiv 2505.10978"
    step_weight: float = 1.0
