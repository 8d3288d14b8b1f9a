"""GRPO and GiGPO: groups of episodes, groups of steps from one state, and the clip."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from agentgym.envs import make
from agentgym.envs.core import TextEnv
from agentgym.memory.trajectory import Step, Trajectory
from agentgym.training.advantages import anchored, group_relative
from agentgym.training.anchors import anchors
from agentgym.training.losses import clipped, reinforce
from agentgym.training.methods.grpo import Gigpo, Grpo
from agentgym.training.rollout import rollout
from agentgym.training.train import configure, train

SMALL = {
    "grpo.demonstrations": "8", "grpo.iterations": "2", "grpo.updates": "2", "grpo.tasks": "2", "grpo.group": "3",
    "grpo.epochs0": "1", "env.max_steps": "6", "eval.valid": "0", "eval.test": "3",
}  # fmt: skip


def silent(_: str) -> None:
    pass


def result(run: Path) -> Any:
    return json.loads((run / "result.json").read_text())


def gigpo(settings: dict[str, str]) -> dict[str, str]:
    return {k.replace("grpo.", "gigpo."): v for k, v in settings.items()}


def episode(task: str, *steps: tuple[str, float]) -> Trajectory:
    """An episode of (observation, reward)."""
    made = tuple(Step(o, ("a",), "a", r, i + 1 == len(steps), False, r > 0, r, False) for i, (o, r) in enumerate(steps))
    return Trajectory("e", {}, task, "", 0, "g", "a", "full", made, "end")


def walk(env: TextEnv, *actions: str) -> list[object]:
    env.reset(options={"task": env.tasks("train")[0]})
    out: list[object] = [env.state()]
    for a in actions:
        env.step(a)
        out.append(env.state())
    return out


def test_an_advantage_is_the_distance_from_the_groups_mean_in_its_spread() -> None:
    r = torch.tensor([[3.0, 1.0, 2.0], [5.0, 5.0, 5.0]])
    assert group_relative(r)[0].tolist() == pytest.approx([1.0, -1.0, 0.0], abs=1e-5)
    assert group_relative(r, scale=False)[0].tolist() == [1.0, -1.0, 0.0]
    assert group_relative(r)[1].tolist() == [0.0, 0.0, 0.0]
    for alike in (0.95**3, 33.3, 512.7):  # whose mean is rounded
        assert group_relative(torch.full((11,), alike)).tolist() == [0.0] * 11


def test_steps_are_compared_with_those_of_their_own_state_only() -> None:
    returns = torch.tensor([1.0, 0.0, 7.0, 0.5, 3.0])
    told = anchored(returns, ["x", "x", "y", "x", "z"])
    assert told[[2, 4]].tolist() == [0.0, 0.0]
    assert told[[0, 1, 3]].tolist() == pytest.approx(group_relative(returns[[0, 1, 3]]).tolist())
    with pytest.raises(ValueError, match="longer"):
        anchored(returns, ["x"])


def test_before_any_step_the_clipped_gradient_is_that_of_reinforce() -> None:
    logp = torch.tensor([-0.5, -1.0, -2.0], requires_grad=True)
    adv, ref, beta = torch.tensor([1.0, -2.0, 0.5]), torch.tensor([-0.7, -1.0, -1.0]), torch.full((3,), 0.1)
    (one,) = torch.autograd.grad(clipped(logp, logp.detach(), adv, ref, beta, 0.2), logp)
    (two,) = torch.autograd.grad(reinforce(logp, adv, ref, beta), logp)
    assert one.tolist() == pytest.approx(two.tolist())


@pytest.mark.parametrize(("ratio", "advantage", "slope"), [
    (1.1, 1.0, -1.1), (1.3, 1.0, 0.0), (0.7, 1.0, -0.7), (0.9, -1.0, 0.9), (0.7, -1.0, 0.0), (1.3, -1.0, 1.3),
])  # fmt: skip
def test_the_clip_stops_what_has_gone_far_enough_and_nothing_else(ratio: float, advantage: float, slope: float) -> None:
    logp = torch.tensor([math.log(ratio)], requires_grad=True)
    zero = torch.zeros(1)
    clipped(logp, zero, torch.tensor([advantage]), logp.detach(), zero, 0.2).backward()
    assert logp.grad is not None and logp.grad.item() == pytest.approx(slope)


def test_the_state_of_a_room_forgets_the_clock_and_nothing_else() -> None:
    env = make("alfworld")
    env.reset(options={"task": env.tasks("train")[0]})
    goes = [a for a in env.step("look")[4]["admissible"] if a.startswith("go to")]
    away = walk(env, "look", goes[0], goes[1], goes[0], "inventory")
    assert away[0] == away[1] and away[2] == away[4] == away[5] and len(set(away)) == 3
    plan = env.privileged  # the way to the thing, then the thing in the hand, then back where it lay
    env.reset(options={"task": env.tasks("train")[0]})
    seen = []
    while (action := plan().actions[0]).split()[0] != "take":
        env.step(action)
    seen.append(env.state())
    env.step(action)
    seen.append(env.state())
    thing, place = action.removeprefix("take ").split(" from ")
    env.step(f"move {thing} to {place}")
    seen.append(env.state())
    assert seen[0] == seen[2] != seen[1]


def test_a_state_is_equal_after_other_ways_exactly_where_the_world_goes_on_alike() -> None:
    """What the same state admits and answers is the same, over random walks in one game."""
    from agentgym.agents.scripted import RandomAgent
    from agentgym.memory import memory_maker

    env = make("alfworld", max_steps=40)
    tasks = [env.tasks("train")[3]] * 8
    played = rollout(lambda: make("alfworld", max_steps=40), RandomAgent(), memory_maker("full"), tasks, env_id="a")
    told: dict[Any, Any] = {}
    met = 0
    for t in played:
        after = [*t.observations[1:]]
        for key, step, said in zip(anchors(env, t), t.steps, after, strict=True):
            assert told.setdefault((key, None), step.admissible) == step.admissible
            met += (key, step.action) in told
            assert told.setdefault((key, step.action), said) == said
    assert met > 10


def test_the_state_of_a_shop_is_where_the_customer_is() -> None:
    env = make("webshop")
    assert isinstance(env, TextEnv)
    here, there, again = walk(env, "search[red shoes]", "click[not on this page]")
    assert here != there == again


def test_credit_adds_the_episodes_and_the_steps_advantage() -> None:
    played = [
        episode("t", ("hall", 0.0), ("room", 1.0)), episode("t", ("hall", 0.0), ("cellar", 0.0)),
        episode("u", ("hall", 0.0), ("room", 0.0)), episode("u", ("hall", 0.0), ("room", 0.0)),
    ]  # fmt: skip
    half = 0.5**0.5
    plain, told = Grpo(group=2).credit(make("alfworld"), played)
    assert [x for row in plain for x in row] == pytest.approx([half, half, -half, -half, 0, 0, 0, 0], abs=1e-5)
    assert told == {"return": 0.25, "success": 0.25, "mixed": 0.5}
    method = Gigpo(group=2, step_weight=2.0, gamma=0.5, anchor="observation")
    both, told = method.credit(make("alfworld"), played)
    # at t's hall the returns .5 and 0 were got; room and cellar are alone; u's hall is another task's, and all got 0
    assert [x for row in both for x in row] == pytest.approx([3 * half, half, -3 * half, -half, 0, 0, 0, 0], abs=1e-4)
    assert told["shared"] == 6 / 8


def test_a_run_goes_through_its_rounds_and_says_what_they_came_to(small_tiny: Path, tmp_path: Path) -> None:
    runs = [
        train(method="gigpo", model=str(small_tiny), out=tmp_path / name, settings=gigpo(SMALL), say=silent)
        for name in ("one", "two")
    ]
    rows = result(runs[0])["iterations"]
    assert [r["fit"].get("played") for r in rows] == [None, 12, 12] and rows[1]["fit"]["shared"] > 0.3
    assert rows[1]["fit"] == result(runs[1])["iterations"][1]["fit"]


def test_grpo_learns_which_arm_of_one_bandit_pays(small_tiny: Path, tmp_path: Path) -> None:
    settings = {
        "env.train": "1", "env.horizon": "4", "env.detailed": "no", "env.suite": "full", "eval.valid": "0",
        "eval.test": "1", "grpo.demonstrations": "0", "grpo.iterations": "1", "grpo.updates": "12", "grpo.tasks": "1",
        "grpo.group": "12", "grpo.lr": "1e-3", "grpo.beta": "0", "run.batch": "16",
    }  # fmt: skip
    run = train("bandit", "grpo", str(small_tiny), out=tmp_path / "run", settings=settings, say=silent)
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    first, last = (sum(r["return"] for r in some) / 2 for some in (rows[:2], rows[-2:]))
    assert last > first + 0.5


@pytest.mark.parametrize(
    ("env", "settings", "fault"),
    [
        ("bandit", {}, "BanditEnv names no state to compare actions in: set gigpo.anchor=observation"),
        ("alfworld", {"gigpo.anchor": "place"}, "gigpo.anchor='place': choose one of state, observation"),
        ("alfworld", {"gigpo.group": "1"}, "gigpo.group=1: needs at least 2"),
        ("alfworld", {"gigpo.temperature": "0"}, "gigpo.temperature=0.0: episodes must differ"),
        ("alfworld", {"gigpo.epsilon": "1"}, "need 0 < epsilon < 1"),
    ],
)
def test_what_cannot_be_grouped_is_said_at_once(env: str, settings: dict[str, str], fault: str) -> None:
    with pytest.raises(ValueError) as error:
        configure(env, "gigpo", "tiny", "full", 0, settings, False)
    assert fault in str(error.value) and "\n" not in str(error.value)


def test_an_episode_that_the_world_does_not_repeat_is_refused() -> None:
    env = make("alfworld")
    odd = replace(episode(env.tasks("train")[0], ("nowhere", 0.0)), env="alfworld")
    with pytest.raises(ValueError, match="step 0: the world differs from the recorded one"):
        anchors(env, odd)
