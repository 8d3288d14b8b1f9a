"""Advantage-weighted regression, with returns and with an expectile critic; step DPO."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from agentgym.agents.critics import Critic, HashedFeatures
from agentgym.memory import memory_maker
from agentgym.memory.store import read
from agentgym.memory.trajectory import Step, Trajectory
from agentgym.training.critics import load_critic, transitions
from agentgym.training.losses import soft_bellman
from agentgym.training.methods.awr import Awr, Iql
from agentgym.training.methods.dpo import better
from agentgym.training.train import configure, train

SMALL = {
    "awr.demonstrations": "8", "awr.episodes": "6", "awr.iterations": "2", "awr.critic_steps": "30", "awr.epochs0": "1",
    "awr.epochs": "1", "env.max_steps": "6", "eval.valid": "0", "eval.test": "3",
}  # fmt: skip


def silent(_: str) -> None:
    pass


def named(settings: dict[str, str], method: str) -> dict[str, str]:
    return {k.replace("awr.", f"{method}."): v for k, v in settings.items()}


def walk(*steps: tuple[str, str, float]) -> Trajectory:
    """An episode of (place, action, reward)."""
    made = tuple(
        Step(f"You are in the {o}.", ("left", "right"), a, r, i + 1 == len(steps), False, r > 0, r, False)
        for i, (o, a, r) in enumerate(steps)
    )
    return Trajectory("e", {}, "t", "", 0, "find the way", "a", "full", made, "It is over.")


# From the hall, left leads to a fork; of the fork right wins and left, taken twice as often, loses. Right of the hall
# wins one time in three. So left is worth 1/3 to who goes on as these did, and 1 to who chooses well at the fork.
PLAYED = [
    walk(("hall", "left", 0.0), ("fork", "right", 1.0)), walk(("hall", "left", 0.0), ("fork", "left", 0.0)),
    walk(("hall", "left", 0.0), ("fork", "left", 0.0)), walk(("hall", "right", 1.0)), walk(("hall", "right", 0.0)),
    walk(("hall", "right", 0.0)),
]  # fmt: skip


class Bench:
    """The seeded draws of a lab, all that fitting a critic takes of it."""

    def rng(self, *key: int) -> np.random.Generator:
        return np.random.default_rng([0, *key])


def advantages(method: Awr) -> list[float]:
    critic = Critic(HashedFeatures(256), width=32, reads="screen")
    data = transitions(PLAYED, critic, memory_maker("full"), method.gamma)
    method.judge(Bench(), critic, data, 1)  # type: ignore[arg-type]
    out: list[float] = method.advantage(critic, data).tolist()
    return out


def test_awr_weighs_by_what_was_got_and_iql_by_what_can_be_got() -> None:
    mc = advantages(Awr(gamma=1.0, critic_steps=400))
    assert mc == pytest.approx([2 / 3, 2 / 3, -1 / 3, -1 / 3, -1 / 3, -1 / 3, 2 / 3, -1 / 3, -1 / 3], abs=0.06)
    left, lost, right = (advantages(Iql(gamma=1.0, critic_steps=600, tau=0.95))[i] for i in (0, 2, 6))
    # at the hall Q(left) tends to V(fork), which is near 1, and Q(right) is 1/3: left is the better way, lost or won
    assert lost == pytest.approx(left, abs=1e-6) and left > right + 0.3
    flat = [advantages(Iql(gamma=1.0, critic_steps=600, tau=0.5))[i] for i in (0, 6)]
    assert flat[0] == pytest.approx(flat[1], abs=0.1)


def test_a_run_weighs_its_own_episodes_and_keeps_the_critic(small_tiny: Path, tmp_path: Path) -> None:
    for method in ("awr", "iql"):
        out = tmp_path / method
        run = train(method=method, model=str(small_tiny), out=out, settings=named(SMALL, method), say=silent)
        taught, _ = read(run / "trajectories" / "02-train.jsonl.zst")
        assert len(taught) == 6 and [t.actions for t in taught] == [
            [c[0] for c in t.meta["corrections"]] for t in taught
        ]
        weights = [c[2] for t in taught for c in t.meta["corrections"]]
        assert len(set(weights)) > 5 and min(weights) > 0 and max(weights) <= math.exp(3) + 1e-3
        critic, _ = load_critic(run / "checkpoints" / "02" / "critic")
        assert critic.reads == "told"
        result = json.loads((run / "result.json").read_text())
        assert len(result["iterations"]) == 3 and result["iterations"][2]["fit"]["steps"] > 0


def test_what_did_best_in_a_state_is_preferred_where_the_gap_is_wide() -> None:
    states = [[s.observation for s in t.steps] for t in PLAYED]
    rows = [[c.action for c in row] for row in better(PLAYED, states, 1.0, 0.1)]
    # at the fork right is worth 1 and left 0; at the hall both are worth 1/3, so nothing is said
    assert rows == [[None, None], [None, "right"], [None, "right"], [None], [None], [None]]
    halved = [[c.action for c in row] for row in better(PLAYED, states, 0.5, 0.1)]
    assert [row[0] for row in halved] == ["right", "right", "right", None, None, None]


def test_step_dpo_prefers_what_the_group_has_found(small_tiny: Path, tmp_path: Path) -> None:
    settings = {
        "dpo.demonstrations": "12", "dpo.iterations": "1", "dpo.tasks": "4", "dpo.group": "8", "dpo.epochs0": "2",
        "dpo.anchor": "observation", "env.horizon": "4", "env.detailed": "no", "eval.valid": "0", "eval.test": "2",
    }  # fmt: skip
    run = train("bandit", "dpo", str(small_tiny), out=tmp_path / "run", settings=settings, say=silent)
    taught, _ = read(run / "trajectories" / "01-train.jsonl.zst")
    given = [(c[0], s.action) for t in taught for c, s in zip(t.meta["corrections"], t.steps, strict=True)]
    assert any(a for a, _ in given) and all(a != b for a, b in given)
    fit: dict[str, Any] = json.loads((run / "result.json").read_text())["iterations"][1]["fit"]
    assert fit["pairs"] == sum(a is not None for a, _ in given)


@pytest.mark.parametrize(
    ("method", "settings", "fault"),
    [
        ("awr", {"awr.beta": "0"}, "awr.beta=0.0: needs to be positive"),
        ("awr", {"awr.folds": "1"}, "awr.folds=1: needs at least 2"),
        ("iql", {"iql.tau": "1"}, "iql.tau=1.0: needs a value between 0 and 1"),
        ("iql", {"iql.episodes": "0"}, "iql.episodes=0: needs at least 1"),
        ("bc", {"bc.steps": "0"}, "bc.steps=0: needs at least 1"),
        ("bc", {"bc.steps": "9", "bc.epochs": "2"}, "bc.steps takes the place of bc.epochs: give one of them"),
        ("filtered-bc", {"filtered-bc.episodes": "0"}, "filtered-bc.episodes=0: needs at least 1"),
        ("dpo", {"dpo.margin": "0"}, "dpo.margin=0.0: needs to be positive"),
        ("dpo", {"dpo.group": "1"}, "dpo.group=1: needs at least 2"),
    ],
)
def test_impossible_settings_are_refused_at_once(method: str, settings: dict[str, str], fault: str) -> None:
    with pytest.raises(ValueError) as error:
        configure("alfworld", method, "tiny", "full", 0, settings, False)
    assert fault in str(error.value)


def test_soft_bellman_steps_end_at_the_policy_that_is_best_near_the_old_one() -> None:
    """Two states in a row, two actions each: π*(a|s) ∝ π_ref(a|s) exp(Q(s, a)/β) and V = β log E exp(Q/β)."""
    beta, rewards = 0.5, torch.tensor([[0.0, 0.3], [1.0, 0.0]])  # of (state, action), one state after the other
    logits, value = torch.zeros(2, 2, requires_grad=True), torch.zeros(2, requires_grad=True)
    optimizer = torch.optim.Adam([logits, value], lr=0.05)
    for _ in range(600):
        loss = torch.zeros(())
        for a in range(2):
            for b in range(2):  # every episode, as often as π_ref plays it
                logp = torch.log_softmax(logits, -1)
                ratio = torch.stack([logp[0, a], logp[1, b]]) - math.log(0.5)
                r_t = torch.stack([rewards[0, a], rewards[1, b]])
                loss = loss + sum(x.mean() for x in soft_bellman(value, r_t, ratio, beta))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    last = beta * math.log((math.exp(1 / beta) + 1) / 2)
    q = rewards + torch.tensor([[last], [0.0]])
    assert torch.allclose(torch.softmax(logits, -1), torch.softmax(q / beta, -1), atol=0.01)
    assert value[1].item() == pytest.approx(last, abs=0.01)
    assert value[0].item() == pytest.approx(beta * math.log((q[0] / beta).exp().mean()), abs=0.01)


def test_oreo_moves_the_policy_near_the_one_that_played(small_tiny: Path, tmp_path: Path) -> None:
    settings = named(SMALL, "oreo")
    settings = {k: v for k, v in settings.items() if k != "oreo.epochs"} | {"oreo.batch": "4", "oreo.iterations": "1"}
    run = train(method="oreo", model=str(small_tiny), out=tmp_path / "run", settings=settings, say=silent)
    fit = json.loads((run / "result.json").read_text())["iterations"][1]["fit"]
    assert fit["steps"] == 6 and 0 < fit["kl"] < 1 and fit["loss_v"] >= 0
