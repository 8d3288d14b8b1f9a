"""The rules of the three tasks, their shortest plans, what is rejected and what is said about it."""

from __future__ import annotations

import doctest
import importlib
import random
from typing import Any

import pytest
from agentgym.envs import Unknown, make, registry
from agentgym.envs.check import check
from agentgym.envs.roco import SandwichEnv, SortEnv, SweepEnv, sandwich, sort, sweep
from agentgym.envs.roco.env import RocoEnv
from agentgym.envs.roco.rules import Rules
from hypothesis import given, settings
from hypothesis import strategies as st
from pettingzoo.test import parallel_api_test, parallel_seed_test
from playing import fork

ENVS = {"roco-sweep": SweepEnv, "roco-sandwich": SandwichEnv, "roco-sort": SortEnv}
LEAST = {
    "roco-sweep": {"Y1_G1": 5, "Y1_G2": 7, "Y2_G2": 9, "Y2_G3": 11, "Y3_G3": 13},
    "roco-sandwich": {"recipe1": 4, "recipe2": 6, "recipe3": 8, "recipe4": 10},
    "roco-sort": {"sort1": 1, "sort2": 2, "sort3": 2, "sort4": 3, "sort5": 4},
}


def play(env: RocoEnv, task: str) -> int:
    """Return the rounds that the oracles of all robots take together."""
    env.reset(options={"task": task})
    rounds = 0
    while env.agents:
        expected = env.privileged(env.agents[0]).distance
        *_, terminated, _, infos = env.step({a: env.privileged(a).actions[0] for a in env.agents})
        assert not any(i["invalid"] for i in infos.values())
        rounds += 1
        assert env.privileged(env.possible_agents[0]).distance == (expected or 0) - 1
    assert all(terminated.values()) and infos[env.possible_agents[0]]["success"]
    return rounds


@pytest.mark.parametrize("id", ENVS)
def test_the_least_rounds_are_those_of_the_papers(id: str) -> None:
    env = ENVS[id]()
    assert {t.split("/")[1]: play(env, t) for t in env.tasks("test")} == LEAST[id]


@pytest.mark.parametrize("rules", [sweep.Sweep(1, 1, 3), sweep.Sweep(1, 1, 2), sweep.Sweep(1, 2, 3)])
def test_the_written_plan_of_sweep_is_as_short_as_a_searched_one_from_any_state(rules: sweep.Sweep) -> None:
    rng = random.Random(0)
    for _ in range(12):
        state = rules.start()
        for _ in range(rng.randrange(10)):
            joint = (rng.choice(rules.options(state, 0)), rng.choice(rules.options(state, 1)))
            state = state if rules.faults(state, joint) else rules.apply(state, joint)
        assert len(rules.plan(state)) == len(Rules.plan(rules, state)), state


@pytest.mark.parametrize("id", ENVS)
def test_every_instance_can_be_solved_within_the_limit_and_no_split_shares_one(id: str) -> None:
    env = ENVS[id]()
    seen = set()
    for split in ("train", "valid", "test"):
        for task in env.tasks(split):
            env.reset(options={"task": task})
            assert 0 < (env.privileged(env.agents[0]).distance or 0) <= env.max_steps
            seen.add(env.rules)
    assert len(seen) == sum(len(env.tasks(s)) for s in ("train", "valid", "test"))


@pytest.mark.parametrize("id", ENVS)
def test_pettingzoo_and_our_conformance_check_accept_it(id: str) -> None:
    parallel_api_test(make(id), num_cycles=40)
    parallel_seed_test(ENVS[id], num_cycles=20)
    assert not [c for c in check(ENVS[id]) if c.passed is not True]


@pytest.mark.parametrize(
    ("family", "state", "joint", "why"),
    [
        (sweep.LEVELS["Y1_G1"], sweep.Floor(), ("DUMP", "WAIT"), "the dustpan is empty"),
        (sweep.LEVELS["Y1_G1"], sweep.Floor(), ("MOVE trash_bin", "WAIT"), "must be a cube on the table"),
        (sweep.LEVELS["Y1_G1"], sweep.Floor(), ("WAIT", "SWEEP red_cube_1"), "he is not at it"),
        (
            sweep.LEVELS["Y1_G1"], sweep.Floor(("red_cube_1", "red_cube_1")),
            ("MOVE green_cube_1", "SWEEP red_cube_1"), "Alice must WAIT while Bob SWEEPs",
        ),
        (
            sweep.LEVELS["Y1_G1"], sweep.Floor(("home", "red_cube_1")), ("WAIT", "SWEEP red_cube_1"),
            "Alice's dustpan is not at it",
        ),
        (
            sandwich.LEVELS["recipe1"], sandwich.Kitchen(1, ("tomato", "bread_slice2")),
            ("PUT tomato bread_slice1", "PUT bread_slice2 table"), "only one robot can PUT at a time",
        ),
        (sandwich.LEVELS["recipe1"], sandwich.Kitchen(), ("PICK bacon", "WAIT"), "not on Chad's side"),
        (
            sandwich.LEVELS["recipe1"], sandwich.Kitchen(1), ("WAIT", "PICK bread_slice1"),
            "Dave cannot PICK bread_slice1, it's already stacked",
        ),
        (
            sandwich.LEVELS["recipe1"], sandwich.Kitchen(), ("PUT tomato table", "WAIT"),
            "robot Chad is not in contact with it",
        ),
        (
            sandwich.LEVELS["recipe1"], sandwich.Kitchen(0, ("tomato", "")), ("PUT tomato cutting_board", "WAIT"),
            "recipe says tomato must be PUT on bread_slice1",
        ),
        (
            sandwich.LEVELS["recipe1"], sandwich.Kitchen(0, ("tomato", "")), ("PUT tomato bread_slice1", "WAIT"),
            "bread_slice1 is not on the cutting_board yet",
        ),
        (
            sandwich.LEVELS["recipe1"], sandwich.Kitchen(1, ("ham", "")), ("PUT ham bread_slice1", "WAIT"),
            "ham is not in the recipe",
        ),
        (sort.LEVELS["sort5"], (7, 3, 1), ("WAIT", "WAIT", "WAIT"), "not all robots can WAIT"),
        (
            sort.LEVELS["sort5"], (7, 3, 1), ("PICK blue_square PLACE panel2", "WAIT", "WAIT"),
            "Reachability failed: panel7 is out of Alice's reach",
        ),
        (
            sort.LEVELS["sort5"], (7, 3, 1), ("WAIT", "WAIT", "PICK blue_square PLACE panel6"),
            "blue_square can only be placed on panel1, panel2, panel3, panel5, panel7, but not on panel6",
        ),
        (
            sort.LEVELS["sort5"], (7, 3, 1),
            ("PICK pink_polygon PLACE panel1", "PICK pink_polygon PLACE panel4", "WAIT"),
            "Bob cannot PICK pink_polygon: Alice does",
        ),
    ],
)  # fmt: skip
def test_a_plan_that_breaks_a_rule_is_rejected_with_the_reason(
    family: Rules[Any], state: Any, joint: tuple[str, ...], why: str
) -> None:
    assert any(why in reason for reason in family.faults(state, joint).values())


def test_a_rejected_plan_moves_nothing_costs_a_round_and_everybody_reads_why() -> None:
    env = SandwichEnv()
    env.reset(options={"task": "test/recipe3"})
    before = env.now.state
    plan = {"Chad": "PICK bacon", "Dave": "PICK bread_slice1"}
    assert set(env.verify(plan)) == {"Chad"}
    observations, rewards, _, _, infos = env.step(plan)
    assert (env.now.state, env.now.round, rewards["Dave"]) == (before, 1, 0.0)
    assert (infos["Chad"]["invalid"], infos["Dave"]["invalid"]) == (True, False)
    for text in observations.values():
        assert "[Environment Feedback]\nRejected: Chad PICK bacon; Dave PICK bread_slice1." in text
        assert "- Chad cannot PICK bacon, it is not on Chad's side of the table." in text


def test_a_partial_view_hides_what_only_the_other_sees() -> None:
    seen = {}
    for view in ("partial", "global"):
        env = SandwichEnv(view=view)
        seen[view] = env.reset(options={"task": "test/recipe1"})[0]["Chad"]
    assert "bacon" not in seen["partial"] and "bacon" in seen["global"]
    env = SandwichEnv()
    env.reset(options={"task": "test/recipe1"})
    assert any("bacon" in fact for fact in env.privileged("Chad").facts)
    blind = SortEnv()
    observations, _ = blind.reset(options={"task": "test/sort5"})
    assert "blue_square: not in your reach" in observations["Alice"]
    assert "blue_square: on panel7" in observations["Chad"]


def test_cubes_may_share_a_panel_which_the_hardest_level_needs() -> None:
    env = SortEnv()
    env.reset(options={"task": "test/sort5"})
    shared = False
    while env.agents:
        env.step({a: env.privileged(a).actions[0] for a in env.agents})
        shared |= len(set(env.now.state)) < 3  # type: ignore[call-overload]
    assert shared


@pytest.mark.parametrize("id", ENVS)
def test_listed_actions_are_faultless_but_for_the_team_and_episodes_repeat(id: str) -> None:
    def episode() -> list[Any]:
        env, rng = ENVS[id](), random.Random(4)
        told: list[Any] = [env.reset(seed=3)]
        while env.agents:
            told.append(env.step({a: rng.choice(told[-1][-1][a]["admissible"]) for a in env.agents}))
            assert all(env.observation_space(a).contains(o) for a, o in told[-1][0].items())
        return told

    assert episode() == episode()


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=60), st.sampled_from(sorted(ENVS)))
def test_bad_text_never_raises_and_marks_its_author(text: str, id: str) -> None:
    env = ENVS[id]()
    env.reset(options={"task": env.tasks("test")[0]})
    first = env.agents[0]
    observations, *_, infos = env.step({first: "Action: " + text + " nonsense"})
    assert infos[first]["invalid"]
    assert env.observation_space(first).contains(observations[first])


@pytest.mark.parametrize(
    "answer", ["MOVE red_cube_1", "I think...\nAction: move red_cube_1", "EXECUTE\nNAME Alice ACTION MOVE red_cube_1"]
)
def test_answers_in_the_papers_forms_are_understood(answer: str) -> None:
    env = SweepEnv()
    env.reset(options={"task": "test/Y1_G1"})
    assert env.verify({"Alice": answer}) == {}
    env.step({"Alice": answer})
    assert env.now.plan == ("MOVE red_cube_1", "WAIT")


def test_the_dense_reward_pays_progress_and_the_goal() -> None:
    env = SweepEnv(dense=True)
    env.reset(options={"task": "test/Y1_G1"})
    paid = []
    while env.agents:
        _, rewards, *_ = env.step({a: env.privileged(a).actions[0] for a in env.agents})
        paid.append(rewards["Bob"])
    assert paid == [0.0, 0.25, 0.0, 0.25, 1.5]


def test_a_fork_goes_its_own_way() -> None:
    fork(SortEnv(), "test/sort5", random.Random(1))


def test_they_are_listed_and_errors_name_the_fix() -> None:
    rows = {r["id"]: r for r in registry.listing()}
    assert [rows[i]["agents"] for i in ENVS] == [2, 2, 3]
    assert [rows[i]["splits"]["test"] for i in ENVS] == [5, 4, 5]
    with pytest.raises(Unknown, match="did you mean 'partial'"):
        make("roco-sort", view="parial")
    with pytest.raises(ValueError, match="test/Y1_G1"):
        make("roco-sweep").reset(options={"task": "test/Y9_G9"})
    with pytest.raises(ValueError, match="max_steps=0"):
        make("roco-sweep", max_steps=0)


def test_the_examples_in_the_docstrings_are_true() -> None:
    done = [doctest.testmod(importlib.import_module(f"agentgym.envs.roco.{n}")) for n in ("env", "rules")]
    assert all(r.failed == 0 and r.attempted for r in done)
