"""Fitting critics to stored episodes, and saying how good they are."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import compress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from torch import Tensor

from ..agents.critics import HASHES, Critic, ModelFeatures
from ..agents.teachers import turns
from ..envs.errors import choice
from ..memory.core import Memory, Turn
from ..memory.trajectory import Trajectory
from .advantages import expectile_loss, returns, td_target

if TYPE_CHECKING:
    from .student import Student

Objective = Literal["td", "expectile", "mc"]
OBJECTIVES = ("td", "expectile", "mc")


@dataclass(frozen=True, slots=True)
class Transitions:
    """N steps as features: of (s, a), of s, and of the state after; d is the features' size.

    q, v, v_next: (N, d), halves. r, g: reward and Monte-Carlo return, (N,). terminated: (N,), True only where the world
    ended the episode. states, actions: the texts. episode: (N,), which episode a step is from.
    """

    q: Tensor
    v: Tensor
    v_next: Tensor
    r: Tensor
    g: Tensor
    terminated: Tensor
    states: tuple[str, ...]
    actions: tuple[str, ...]
    episode: Tensor

    def __len__(self) -> int:
        return len(self.r)

    def where(self, mask: Tensor) -> Transitions:
        """Return the steps at which a mask, (N,), is true."""
        states, actions = (tuple(compress(some, mask.tolist())) for some in (self.states, self.actions))
        return Transitions(
            self.q[mask], self.v[mask], self.v_next[mask], self.r[mask], self.g[mask], self.terminated[mask], states,
            actions, self.episode[mask],
        )  # fmt: skip


def transitions(
    trajectories: Sequence[Trajectory],
    critic: Critic,
    make_memory: Callable[[], Memory],
    gamma: float,
    text: Callable[[Turn], str] | None = None,
) -> Transitions:
    """Return the steps of episodes with their features, through a memory of the kind that acted.

    text: of a turn; by default what the critic says it reads.
    """
    text = text or critic.text
    if not trajectories:
        raise ValueError("no episodes to learn values from")
    states: list[str] = []
    after: list[str] = []
    for t in trajectories:
        memory = make_memory()
        read = [text(turn) for turn in turns(t, memory)]
        memory.record(t.steps[-1].action, t.final, {"goal": t.goal, "admissible": None}, t.steps[-1].reply)
        states += read
        after += [*read[1:], text(memory.view())]
    steps = [s for t in trajectories for s in t.steps]
    actions = tuple(s.action for s in steps)
    f = critic.features

    def rows(x: Any) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(x))

    once = {s: i for i, s in enumerate(dict.fromkeys([*states, *after]))}  # most states are also what came after one
    plain = rows(f(list(once)))
    return Transitions(
        rows(f(states, actions)),
        plain[[once[s] for s in states]],
        plain[[once[s] for s in after]],
        torch.tensor([s.reward for s in steps]),
        torch.cat([returns(torch.tensor([s.reward for s in t.steps]), gamma) for t in trajectories]),
        torch.tensor([s.terminated for s in steps]),
        tuple(states),
        actions,
        torch.tensor([k for k, t in enumerate(trajectories) for _ in t.steps]),
    )


def descend(optimizer: torch.optim.Optimizer, loss: Tensor, lr: float, step: int, steps: int) -> None:
    """Take one step of a critic's fit; the rate falls to zero in the second half.

    Raises:
        FloatingPointError: the loss is not finite; the critic is as it was.
    """
    if not bool(torch.isfinite(loss)):
        raise FloatingPointError(f"critic loss {float(loss)} at step {step + 1} of {steps}: lower lr={lr}")
    for group in optimizer.param_groups:
        group["lr"] = lr * min(1.0, 2 * (1 - step / steps))
    optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.step()


def fit(
    critic: Critic,
    data: Transitions,
    *,
    objective: Objective = "td",
    steps: int = 2000,
    batch: int = 256,
    lr: float = 1e-3,
    gamma: float = 0.95,
    tau: float = 0.9,
    decay: float = 1e-4,
    ema: float = 0.1,
    rng: np.random.Generator,
) -> dict[str, float]:
    """Fit Q and V to steps.

    td: L_Q = (Q − [r + γ (1 − d) V̄(s')])², L_V = (V − Q̄(s, a))²; with the dataset's actions V is the behaviour's value.
    expectile: the same with L_V an expectile loss, so that V tends to the best action's value (IQL).
    mc: both regress on the Monte-Carlo return.
    Source: Digi-Q, arXiv 2502.15760, Sec. 4.2; IQL, arXiv 2110.06169. The target heads V̄, Q̄ start as copies and follow
    with rate `ema` (Digi-Q's release never copies them at the start).
    decay: AdamW's weight decay, a step lr · decay; large where a task's words tell it from all others, so that values could
    be learned by heart.

    Returns:
        loss_q, loss_v (means of the last tenth), steps.
    Raises:
        ValueError: an unknown objective. FloatingPointError: a loss is not finite.
    """
    choice("objective", objective, OBJECTIVES)
    q, v = critic.q_heads, critic.v_heads
    q_target, v_target = copy.deepcopy(q), copy.deepcopy(v)
    optimizer = torch.optim.AdamW([*q.parameters(), *v.parameters()], lr=lr, weight_decay=decay)
    log = np.empty((steps, 2))
    for step in range(steps):
        i = torch.from_numpy(rng.integers(len(data), size=batch))
        with torch.no_grad():
            if objective == "mc":
                y_q = y_v = data.g[i]
            else:
                y_q = td_target(data.r[i], v_target(data.v_next[i]).amin(0), data.terminated[i], gamma)
                y_v = q_target(data.q[i]).amin(0)
        loss_q = ((q(data.q[i]) - y_q) ** 2).mean()
        gap = y_v - v(data.v[i])
        loss_v = expectile_loss(gap, tau).mean() if objective == "expectile" else (gap**2).mean()
        descend(optimizer, loss_q + loss_v, lr, step, steps)
        with torch.no_grad():
            for target, online in ((q_target, q), (v_target, v)):
                for a, b in zip(target.parameters(), online.parameters(), strict=True):
                    a.lerp_(b, ema)
        log[step] = float(loss_q.detach()), float(loss_v.detach())
    tail = log[-max(1, steps // 10) :].mean(0)
    return {"loss_q": float(tail[0]), "loss_v": float(tail[1]), "steps": float(steps)}


def diagnose(critic: Critic, data: Transitions, oracle: Sequence[str] | None = None, pool: int = 8) -> dict[str, Any]:
    """Say how good a critic is on steps it has not seen.

    Returns:
        q_return: Pearson correlation of Q with the Monte-Carlo return. top1: share of the states in which Q puts the
        oracle's action above up to `pool` other actions taken in these episodes (None without an oracle). advantages:
        counts in ten equal bins, with the bins' edges.
    """
    with torch.inference_mode():
        q = critic.q_heads(data.q).amin(0).numpy()
        v = critic.v_heads(data.v).amin(0).numpy()
    counts, edges = np.histogram(q - v, bins=10)
    top = None
    if oracle is not None:
        others = list(dict.fromkeys(data.actions))
        right = []
        for k, (state, best) in enumerate(zip(data.states, oracle, strict=True)):
            near = [a for a in (others[(k * 7 + n) % len(others)] for n in range(pool)) if a != best]
            right.append(int(np.argmax(critic.rank(state, [*near, best]))) == len(near))  # of equals not the oracle's
        top = float(np.mean(right))
    return {
        "q_return": correlation(q, data.g.numpy()),
        "top1": top,
        "advantages": {"counts": counts.tolist(), "edges": [round(float(e), 4) for e in edges]},
    }


def correlation(x: Any, y: Any) -> float:
    """Return Pearson's r, 0 where one side does not vary.

    >>> correlation([1, 2, 3], [2, 4, 6])
    1.0
    """
    a, b = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    if a.std() == 0 or b.std() == 0:
        return 0.0
    return round(float(np.corrcoef(a, b)[0, 1]), 12)


def judge(backbone: Student, layer: int = -1, most: int = 1024) -> ModelFeatures:
    """Return a student's model, as it is now, as features."""
    return ModelFeatures(replace(backbone.loaded, model=backbone.model), layer, most)


def save_critic(folder: Path, critic: Critic, backbone: Student | None = None) -> None:
    """Write a critic, and beside it the model that its features are of."""
    critic.save(folder)
    if backbone is not None:
        backbone.save(folder / "backbone")


def load_critic(folder: Path) -> tuple[Critic, Student | None]:
    """Read what `save_critic` wrote.

    Raises:
        FileNotFoundError: there is no critic.
    """
    from .student import Student

    if not (folder / "critic.json").is_file():
        raise FileNotFoundError(f"{folder}: no critic here")
    row = json.loads((folder / "critic.json").read_text())
    if not (folder / "backbone").is_dir():
        kind = row["features"].partition("-")[0]
        if kind not in HASHES:
            raise FileNotFoundError(f"{folder}: its features {row['features']!r} are of a model that is not there")
        return Critic.load(folder, HASHES[kind](**row["options"])), None
    backbone = Student.held(folder / "backbone")
    return Critic.load(folder, judge(backbone, **row["options"])), backbone
