"""How teams come to a plan: who is asked, what it hears, what is refined and what is taken in the end."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from agentgym.agents.core import Decision
from agentgym.agents.critics import Critic, ExactPrefix, HashedFeatures, PrefixCritic, SentenceFeatures
from agentgym.agents.critics.prefix import prefix_text
from agentgym.agents.read import ReadJ, ReadS, relax
from agentgym.agents.team import (
    Central,
    Dialogue,
    Joints,
    Plan,
    Question,
    Sequential,
    Talk,
    TeamDecision,
    TeamTurn,
    converse,
    joint,
    plan_of,
)  # fmt: skip
from agentgym.envs import make
from hypothesis import given
from hypothesis import strategies as st

PAIR = ("Al", "Bo")


def turn(check: Callable[[Plan], dict[str, str]] = lambda plan: {}) -> TeamTurn:
    return TeamTurn(PAIR, "state", check, "task", ())


def drive(talk: Talk, says: Sequence[str]) -> tuple[list[Question], TeamDecision]:
    """Answer a conversation's questions in order; it must ask just as often."""
    questions, answers = [next(talk)], iter(says)
    while True:
        try:
            questions.append(talk.send(Decision(next(answers), queries=1)))
        except StopIteration as end:
            assert next(answers, None) is None, "an answer was not asked for"
            decided: TeamDecision = end.value
            return questions, decided


def table(values: Mapping[str, float]) -> Any:
    """A judge whose values are given, by the agents' actions one after another."""
    return lambda turn, plan: values[" ".join(plan.values())]


def test_one_after_another_each_hears_the_plans_of_those_before_it() -> None:
    questions, decided = drive(Sequential().talk(turn()), ["a", "b"])
    assert [(q.who, q.heard) for q in questions] == [("Al", ""), ("Bo", "Al will: a")]
    assert decided.plan == {"Al": "a", "Bo": "b"} and decided.heard["Bo"] == "Al will: a"


def test_one_who_speaks_for_all_is_asked_once() -> None:
    questions, decided = drive(Central().talk(turn()), ["Al: a; Bo: b"])
    assert [q.who for q in questions] == [None]
    assert decided.plan == {"Al": "a", "Bo": "b"}
    assert decided.whole is not None and decided.whole.action == "Al: a; Bo: b"


def test_a_dialogue_ends_when_nobody_changes_its_mind_and_everybody_hears_everything() -> None:
    questions, decided = drive(Dialogue(rounds=5).talk(turn()), ["a", "b", "c", "b", "c", "b"])
    assert [q.heard for q in questions[:4]] == ["", "Al: a", "Al: a\nBo: b", "Al: a\nBo: b\nAl: c"]
    assert decided.plan == {"Al": "c", "Bo": "b"}
    assert len(drive(Dialogue(rounds=1).talk(turn()), ["a", "b"])[0]) == 2


@pytest.mark.parametrize(
    ("course", "says"),
    [
        (Central(tries=1), ["Al: a; Bo: a", "Al: a; Bo: b"]),
        (Sequential(tries=1), ["a", "a", "a", "b"]),
        (Dialogue(rounds=1, tries=1), ["a", "a", "a", "b"]),
    ],
)
def test_a_plan_that_the_world_would_reject_is_asked_for_again_with_the_reason(course: Any, says: list[str]) -> None:
    clash = turn(lambda plan: {"Bo": "both take a"} if plan["Al"] == plan["Bo"] else {})
    questions, decided = drive(course.talk(clash), says)
    assert decided.plan == {"Al": "a", "Bo": "b"}
    last = questions[-1]
    assert "both take a" in last.heard + "".join(s.text for s in last.since)
    spent = [s for s in says if "b" not in s.lower().replace("bo", "")]
    assert (
        drive(type(course)(**{**course.__dict__, "tries": 0}).talk(clash), spent[: len(says) // 2])[1].plan["Bo"] == "a"
    )


@pytest.mark.parametrize("epsilon", [0.4, 0.0, -0.2])
def test_the_threshold_is_relaxed_at_every_attempt(epsilon: float) -> None:
    bars = [relax(epsilon, k) for k in range(4)]
    assert bars == {0.4: [0.4, 0.2, 0.1, 0.05], 0.0: [0.0] * 4, -0.2: [-0.2, -0.4, -0.8, -1.6]}[epsilon]


def test_read_j_takes_the_first_plan_whose_advantage_is_above_the_relaxed_threshold() -> None:
    judge = table({"": 1.0, "a a": 1.3, "b b": 1.25, "c c": 9.0})
    questions, decided = drive(ReadJ(judge, epsilon=0.4).talk(turn()), ["Al: a; Bo: a", "Al: b; Bo: b"])
    assert decided.plan == {"Al": "a", "Bo": "a"}  # 0.25 > 0.4 / 2 ends it; 0.3 is the better one
    said, told = questions[1].since
    assert (said.role, said.text) == ("assistant", "Al: a; Bo: a")
    assert "is 0.300, which is too low" in told.text and "above 0.4" in told.text


def test_read_j_keeps_the_best_of_all_proposals_when_none_is_good_enough() -> None:
    judge = table({"": 1.0, "a a": 0.2, "b b": 0.7, "c c": 0.5})
    _, decided = drive(ReadJ(judge, tries=2).talk(turn()), [f"Al: {x}; Bo: {x}" for x in "abc"])
    assert decided.plan == {"Al": "b", "Bo": "b"}


def test_read_j_never_prefers_what_the_world_would_reject() -> None:
    judge = table({"": 1.0, "a a": 5.0, "b b": 0.5})
    never_a = turn(lambda plan: {"Al": "a is gone"} if plan["Al"] == "a" else {})
    questions, decided = drive(ReadJ(judge, tries=1).talk(never_a), ["Al: a; Bo: a", "Al: b; Bo: b"])
    assert decided.plan["Al"] == "b" and "a is gone" in questions[1].since[-1].text


def test_read_s_scores_each_part_by_what_it_adds_to_the_parts_before_it() -> None:
    judge = table({"": 1.0, "a": 0.9, "b": 1.2, "b a": 1.1, "b b": 1.15, "b c": 1.3})
    questions, decided = drive(ReadS(judge).talk(turn()), ["a", "b", "a", "b", "c"])
    assert decided.plan == {"Al": "b", "Bo": "c"}
    assert [q.who for q in questions] == ["Al", "Al", "Bo", "Bo", "Bo"]
    assert "The advantage of Al: a is -0.100" in questions[1].since[-1].text
    assert "The advantage of Bo: a is -0.100" in questions[3].since[-1].text  # 1.1 − 1.2, not 1.1 − 1.0
    assert questions[4].heard == "Al will: b" and len(questions[4].since) == 4


def test_read_s_plans_anew_what_the_world_would_reject_at_most_so_often() -> None:
    judge = table({"": 0.0, "a": 1.0, "a a": 2.0, "a b": 2.0})
    clash = turn(lambda plan: {"Bo": "both take a"} if plan["Al"] == plan["Bo"] else {})
    questions, decided = drive(ReadS(judge, replans=1).talk(clash), ["a", "a", "a", "b"])
    assert decided.plan["Bo"] == "b" and "both take a" in questions[2].heard
    assert drive(ReadS(judge, replans=0).talk(clash), ["a", "a"])[1].plan["Bo"] == "a"


@pytest.mark.parametrize(
    "make_one", [lambda: Central(-1), lambda: Sequential(-1), lambda: Dialogue(0), lambda: ReadJ(table({}), tries=-1)]
)
def test_impossible_numbers_are_refused(make_one: Callable[[], object]) -> None:
    with pytest.raises(ValueError, match="needs at least"):
        make_one()


def test_conversations_side_by_side_come_to_what_they_come_to_alone() -> None:
    def answer(open_: list[tuple[int, Question]]) -> list[Decision]:
        asked.append(len(open_))
        return [Decision("ab"[(i + (q.who == "Bo")) % 2], queries=1) for i, q in open_]

    asked: list[int] = []
    courses = [Sequential(), Dialogue(3), Sequential()]
    together, queries = converse([c.talk(turn()) for c in courses], answer)
    alone = [
        converse([c.talk(turn())], lambda o, i=i: answer([(i, q) for _, q in o]))[0][0] for i, c in enumerate(courses)
    ]
    assert [d.plan for d in together] == [d.plan for d in alone]
    assert queries == [2, 4, 2] and asked[:4] == [3, 3, 1, 1]


NAMES = st.lists(st.sampled_from(["Alice", "Bob", "Chad", "chef_0", "chef_1"]), min_size=1, max_size=4, unique=True)


@given(NAMES, st.data())
def test_a_plan_on_one_line_reads_back(names: list[str], data: st.DataObject) -> None:
    words = st.text("abcDEF 123_.", min_size=1).map(str.strip)
    plan = {n: data.draw(words) for n in names}
    assert plan_of(joint(plan), names) == plan


def test_joint_plans_are_listed_without_being_made() -> None:
    plans = Joints(PAIR, (("a", "b", "c"), ("x", "y")))
    every = [joint({"Al": p, "Bo": q}) for p, q in product("abc", "xy")]
    assert list(plans) == [plans[i] for i in range(len(plans))] == every and plans[-1] == every[-1]
    assert every[3] in plans and "Al: a; Bo: z" not in plans and "a" not in plans
    assert len(Joints(tuple("wxyz"), (tuple(map(str, range(100))),) * 4)) == 10**8


def test_a_fitted_critic_is_saved_and_read_back(tmp_path: Any) -> None:
    for features in (SentenceFeatures(64), HashedFeatures(64)):
        critic = PrefixCritic(Critic(features, width=8, seed=3))
        critic.save(tmp_path)
        value = critic(turn(), {"Al": "a"})
        assert PrefixCritic.load(tmp_path)(turn(), {"Al": "a"}) == value != critic(turn(), {})


def test_an_absent_agent_is_marked() -> None:
    assert [prefix_text(p, PAIR) for p in ({}, {"Al": "a"}, {"Al": "a", "Bo": "b"})] == [
        "Al ?; Bo ?", "Al a; Bo ?", "Al a; Bo b",
    ]  # fmt: skip


def test_sentences_tell_which_cube_lies_where() -> None:
    features = SentenceFeatures(4096)
    states = ["red: on the table. blue: in the pan.", "blue: on the table. red: in the pan."]
    one, other = torch.from_numpy(features(states, ["Al MOVE red; Bo ?"] * 2)).float()
    assert not torch.equal(one, other)
    assert torch.allclose(one.norm(), torch.tensor(1.0), atol=1e-2)


@pytest.mark.parametrize("task", ["test/sort1", "test/sort2"])
def test_the_exact_critic_agrees_with_a_slow_reference(task: str) -> None:
    gamma = 0.9
    env = make("roco-sort")
    _, infos = env.reset(options={"task": task})
    agents, rules, state = tuple(env.agents), env.rules, env.now.state
    shortest = cache(lambda state: len(rules.plan(state)))

    def reference(prefix: tuple[str, ...]) -> float:
        values = []
        for plan in product(*(infos[a]["admissible"] for a in agents)):
            if plan[: len(prefix)] == prefix:
                after = state if rules.faults(state, plan) else rules.apply(state, plan)
                left = shortest(after)
                values.append(1.0 if left == 0 else gamma * gamma ** (left - 1))
        return float(np.mean(values))

    judge = ExactPrefix(lambda: make("roco-sort"), gamma)
    now = TeamTurn(agents, "start", lambda plan: {}, task, ())
    best = tuple(env.privileged(a).actions[0] for a in agents)
    for prefix in [(), best[:1], best[:2], best, ("WAIT",)]:
        assert judge(now, dict(zip(agents, prefix, strict=False))) == pytest.approx(reference(prefix))
    assert judge(now, dict(zip(agents, best, strict=True))) == pytest.approx(gamma ** (len(rules.plan(state)) - 1))
    assert judge(now, {"Alice": "PICK nothing"}) < judge(now, {"Alice": best[0]})


def test_the_exact_critic_says_where_it_cannot_judge() -> None:
    judge = ExactPrefix(lambda: make("overcooked", layout="cramped_room", horizon=20))
    now = TeamTurn(("chef_0", "chef_1"), "start", lambda plan: {}, "test/cramped_room/0", ())
    with pytest.raises(LookupError, match="tells no exact distance"):
        judge(now, {})
