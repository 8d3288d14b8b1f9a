"""BabyAI in words: the sentences, the bot as oracle, forks."""

from __future__ import annotations

import doctest
import random
import sys

import pytest
from agentgym.envs import Unknown, babyai, babyai_searcher, make
from agentgym.envs.babyai import ACTIONS, BabyaiEnv, plan
from agentgym.envs.babyai_searcher import Noun, read_mission
from agentgym.envs.check import check
from hypothesis import given, settings
from hypothesis import strategies as st

needs_minigrid = pytest.mark.usefixtures("minigrid")


@pytest.fixture(scope="module")
def minigrid() -> None:
    pytest.importorskip("minigrid", reason="needs the extra [babyai]")


@needs_minigrid
def test_babyai_passes_its_own_conformance_check() -> None:
    assert not [c for c in check(lambda: make("babyai")) if c.passed is not True]


@needs_minigrid
def test_the_sentences_follow_the_grammar_of_babyai_text() -> None:
    env = BabyaiEnv(level="goto")
    observation, info = env.reset(options={"task": "test/00000-goto"})
    assert info["goal"] == "go to the yellow key"
    assert observation.split("\n") == [
        "You see a wall 3 steps forward",
        "You see a wall 2 steps right",
        "You see a blue box 1 step left and 1 step forward",
    ]
    assert info["admissible"] == ("go forward", "turn left", "turn right")


@needs_minigrid
def test_what_is_in_sight_is_what_minigrid_shows() -> None:
    env, rng = BabyaiEnv(), random.Random(0)
    for task in env.tasks("train")[:15]:
        _, info = env.reset(options={"task": task})
        over = cut = False
        while not (over or cut):
            seen, cells = babyai.sight(env._grid)
            theirs, mask = env._grid.gen_obs_grid()
            theirs.set(3, 6, seen[3][6])  # where it draws what is carried
            ours = [[thing and (thing.type, thing.color) for thing in column] for column in seen]
            assert ours == [
                [(thing := theirs.get(i, j)) and (thing.type, thing.color) for j in range(7)] for i in range(7)
            ]
            assert len(set(cells)) == len(cells) <= mask.sum()
            *_, over, cut, info = env.step(rng.choice(info["admissible"]))


@needs_minigrid
def test_what_is_carried_comes_first_and_doors_tell_their_state() -> None:
    env = BabyaiEnv()
    lines: list[str] = []
    for task in env.tasks("train")[:40]:
        _, info = env.reset(options={"task": task})
        for action in env.privileged().actions:
            observation, *_, info = env.step(action)
            lines += observation.split("\n")
            assert ("pick up" in info["admissible"]) <= (not observation.startswith("You carry"))
    doors = {line.split()[3] for line in lines if " door " in line}
    assert {"open", "closed"} <= doors <= {"open", "closed", "locked"}
    assert any(line.startswith("You carry a ") for line in lines)


@needs_minigrid
def test_the_oracle_goes_on_from_wherever_a_student_left_it() -> None:
    env = BabyaiEnv()
    rng = random.Random(0)
    asked = won = 0
    for task in env.tasks("test")[:60]:
        _, info = env.reset(options={"task": task})
        over = False
        for _ in range(rng.randrange(20)):
            *_, over, _, info = env.step(rng.choice(info["admissible"]))
            if over:
                break
        if over:
            continue
        asked += 1
        for action in env.privileged().actions:
            *_, over, _, info = env.step(action)
        won += info["success"]
    assert asked > 40
    assert won >= 0.97 * asked


@needs_minigrid
@pytest.mark.parametrize("strayed", [0, 10])
def test_the_searcher_finds_its_way_by_the_sentences_and_takes_over(strayed: int) -> None:
    env, rng = BabyaiEnv(), random.Random(0)
    won = 0
    for task in env.tasks("test")[:30]:
        observation, info = env.reset(options={"task": task})
        expert, over, cut, t = env.searcher(), False, False, 0
        expert.begin(info["goal"], observation, info)
        while not (over or cut):
            action = rng.choice(ACTIONS) if t < strayed else expert.act()
            assert t < strayed or action in info["admissible"] or action == "toggle"
            observation, _, over, cut, info = env.step(action)
            expert.observe(action, observation, info)
            t += 1
        won += info["success"]
    assert won >= 28


@needs_minigrid
def test_the_searcher_opens_a_locked_door_with_the_key_that_it_finds() -> None:
    env = BabyaiEnv(level="BabyAI-UnlockLocal-v0", max_steps=200)
    won = 0
    for task in env.tasks("test")[:5]:
        observation, info = env.reset(options={"task": task})
        expert, over, cut = env.searcher(), False, False
        expert.begin(info["goal"], observation, info)
        while not (over or cut):
            action = expert.act()
            observation, _, over, cut, info = env.step(action)
            expert.observe(action, observation, info)
        won += info["success"]
    assert won == 5


def test_a_mission_is_read_in_the_order_that_it_allows() -> None:
    aims = read_mission("put the red ball next to a box, then go to a door and pick up the grey object behind you")
    assert [verb for verb, *_ in aims] == ["put", "go to", "pick up"]
    assert aims[0][1:] == (Noun("red", "ball", ""), Noun("", "box", ""))
    assert aims[2][1] == Noun("grey", "object", "behind you")
    assert [verb for verb, *_ in read_mission("go to a key after you open a door")] == ["open", "go to"]
    with pytest.raises(ValueError, match="none of BabyAI's forms"):
        read_mission("be merry")


@needs_minigrid
def test_a_plan_knows_only_what_has_come_into_view() -> None:
    env = BabyaiEnv(level="goto")
    _, _ = env.reset(options={"task": "test/00000-goto"})
    before = env._known.copy()
    whole = env._known | True
    assert before.sum() < whole.sum()
    assert env.privileged().actions == plan(env._grid, before)
    assert (env._known == before).all()
    env.step("turn left")
    assert env._known.sum() > before.sum()


@needs_minigrid
def test_an_action_that_does_something_is_exactly_an_admissible_one() -> None:
    env = BabyaiEnv()
    rng = random.Random(1)
    for task in env.tasks("train")[:20]:
        _, info = env.reset(options={"task": task})
        for _ in range(15):
            saved, listed = env.snapshot(), info["admissible"]
            for action in ACTIONS:
                env.restore(saved)
                before = env._grid.grid.encode().tolist(), tuple(env._grid.agent_pos), env._grid.agent_dir
                env.step(action)
                after = env._grid.grid.encode().tolist(), tuple(env._grid.agent_pos), env._grid.agent_dir
                assert (before != after) == (action in listed), action
            env.restore(saved)
            *_, over, _, info = env.step(rng.choice(listed))
            if over:
                break


@needs_minigrid
@settings(max_examples=100, deadline=None)
@given(st.text(max_size=40))
def test_bad_text_never_raises_and_changes_nothing(text: str) -> None:
    env = BabyaiEnv()
    first, _ = env.reset(options={"task": "train/00001-pickup"})
    observation, reward, _, _, info = env.step(text)
    if text.strip() not in ACTIONS:
        assert (observation, reward, info["invalid"]) == (first, 0.0, True)


@needs_minigrid
def test_any_level_of_minigrid_can_be_played_and_an_unknown_one_is_named() -> None:
    env = BabyaiEnv(level="BabyAI-UnlockPickup-v0", max_steps=200)
    assert env.tasks("test")[0] == "test/00000-BabyAI-UnlockPickup-v0"
    _, info = env.reset(options={"task": env.tasks("test")[0]})
    for action in env.privileged().actions:
        *_, info = env.step(action)
    assert info["success"]
    with pytest.raises(Unknown, match="did you mean 'putnext'"):
        BabyaiEnv(level="putnex")
    with pytest.raises(ValueError, match="test/00000-goto"):
        BabyaiEnv().reset(options={"task": "nowhere"})


def test_without_minigrid_one_line_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "minigrid", None)
    with pytest.raises(ImportError, match=r"^BabyAI needs the extra: pip install 'agentgym-lab\[babyai\]'$"):
        make("babyai")


def test_the_examples_in_the_docstrings_are_true() -> None:
    assert doctest.testmod(babyai).failed == doctest.testmod(babyai_searcher).failed == 0
