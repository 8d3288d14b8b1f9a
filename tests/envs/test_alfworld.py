"""Games, experts and the environment's own promises."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from agentgym.envs import Unknown, make
from agentgym.envs.alfworld import AlfworldEnv, generate
from agentgym.envs.alfworld.engine import NOTHING, Engine
from agentgym.envs.alfworld.planner import plan
from agentgym.envs.alfworld.searcher import AlfworldSearcher
from agentgym.envs.check import check
from hypothesis import given, settings
from hypothesis import strategies as st


def play(env: AlfworldEnv, task: str, expert: str) -> tuple[bool, int]:
    observation, info = env.reset(options={"task": task})
    searcher = env.searcher()
    searcher.begin(info["goal"], observation, info)
    for n in range(1, 51):
        action = env.privileged().actions[0] if expert == "oracle" else searcher.act()
        observation, _, over, _, info = env.step(action)
        assert observation != NOTHING, (task, action)
        searcher.observe(action, observation, info)
        if over:
            return True, n
    return False, 50


def test_alfworld_passes_its_own_conformance_check() -> None:
    failed = [c for c in check(lambda: make("alfworld")) if c.passed is not True]
    assert not failed


@pytest.mark.parametrize(("expert", "least", "most_steps"), [("oracle", 1.0, 7.0), ("searcher", 0.97, 13.0)])
def test_experts_solve_unseen_rooms(expert: str, least: float, most_steps: float) -> None:
    env = AlfworldEnv()
    played = [play(env, t, expert) for t in env.tasks("test")]
    assert sum(won for won, _ in played) / len(played) >= least
    assert sum(n for _, n in played) / len(played) <= most_steps


def test_experts_solve_the_real_games(official: Path) -> None:
    env = AlfworldEnv(games="official", data=str(official))
    tasks = env.tasks("valid")
    assert len(tasks) == 140
    assert all(play(env, t, "oracle")[0] for t in tasks)
    assert sum(play(env, t, "searcher")[0] for t in tasks) >= 0.97 * len(tasks)


def test_the_oracle_solves_a_game_from_any_state_and_counts_its_steps_down() -> None:
    rng = random.Random(0)
    for i in range(60):
        engine = Engine(generate.make("test", i).game())
        for _ in range(rng.randrange(40)):
            engine.step(rng.choice(engine.admissible()))
        for _ in range(40):
            before = plan(engine)
            if not before.actions:
                break
            assert engine.step(before.actions[0]) != NOTHING
            assert (plan(engine).distance or 0) <= (before.distance or 0) - 1
        assert engine.won()


def test_the_searcher_depends_on_nothing_hidden() -> None:
    """Two worlds that read the same so far get the same next command, whatever lies behind closed doors."""
    env = AlfworldEnv()
    for task in env.tasks("train")[:20]:
        observation, info = env.reset(options={"task": task})
        one, two = env.searcher(), AlfworldSearcher()
        for s in (one, two):
            s.begin(info["goal"], observation, {"admissible": info["admissible"]})
        assert one.act() == two.act()
        hidden = env.privileged().basis
        assert not any(h in one.act() for h in hidden)


def test_a_hint_steers_a_search_to_the_same_kind_of_place_and_no_further() -> None:
    env = AlfworldEnv()
    observation, info = env.reset(options={"task": "train/00000-pick"})
    searcher = env.searcher()
    searcher.begin(info["goal"], observation, info)
    places = [a for a in info["admissible"] if a.startswith("go to")]
    for hint in places:
        kind = hint.removeprefix("go to ").rsplit(" ", 1)[0]
        listed = [p for p in searcher.places if p.rsplit(" ", 1)[0] == kind]
        assert searcher.act(hint) == f"go to {listed[0]}"


def test_generated_games_are_deterministic_and_their_splits_share_no_room() -> None:
    assert generate.make("train", 7) == generate.make.__wrapped__("train", 7)
    rooms = {s: {generate.make(s, i).scene.number for i in range(120)} for s in ("train", "valid", "test")}
    assert rooms["test"] <= set(generate.UNSEEN)
    assert not (rooms["train"] | rooms["valid"]) & set(generate.UNSEEN)
    openings = [{Engine(generate.make(s, i).game()).reset() for i in range(60)} for s in ("train", "valid", "test")]
    assert not openings[0] & openings[1]


def test_a_fork_goes_its_own_way() -> None:
    env = AlfworldEnv()
    _, info = env.reset(options={"task": "train/00002-clean"})
    rng = random.Random(3)
    for _ in range(20):
        saved = env.snapshot()
        here = env.privileged()
        for _ in range(5):
            *_, over, cut, info = env.step(rng.choice(info["admissible"]))
            if over or cut:
                break
        env.restore(saved)
        assert env.privileged() == here
        *_, info = env.step(rng.choice(env._now().admissible()))


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=60))
def test_bad_text_never_raises_and_counts_as_invalid(text: str) -> None:
    env = AlfworldEnv()
    env.reset(options={"task": "train/00001-look"})
    observation, _, _, _, info = env.step(text)
    if text.strip() not in info["admissible"] and observation == NOTHING:
        assert info["invalid"]


def test_a_terminal_observation_survives_and_a_step_after_the_end_raises() -> None:
    env = AlfworldEnv(max_steps=1)
    env.reset(options={"task": "train/00000-pick"})
    observation, _, over, cut, _ = env.step("look")
    assert (over, cut) == (False, True)
    assert env.render() == observation
    with pytest.raises(RuntimeError, match="reset"):
        env.step("look")


def test_errors_name_the_value_and_the_fix(tmp_path: Path) -> None:
    with pytest.raises(Unknown, match="did you mean 'alfworld'"):
        make("alfwold")
    with pytest.raises(Unknown, match="did you mean 'games'"):
        make("alfworld", gamez="official")
    with pytest.raises(ValueError, match="generated, official"):
        make("alfworld", games="real")
    with pytest.raises(ValueError, match="test/00003-heat"):
        make("alfworld").reset(options={"task": "nowhere"})
    with pytest.raises(FileNotFoundError, match="alfworld-download"):
        make("alfworld", games="official", data=str(tmp_path))


def test_a_corrupt_official_game_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "json_2.1.1" / "valid_seen" / "pick_and_place_simple-Mug-None-Desk-301" / "trial_1"
    folder.mkdir(parents=True)
    (folder / "traj_data.json").write_text("{}")
    (folder / "game.tw-pddl").write_text('{"grammar": "', encoding="utf-8")
    env = AlfworldEnv(games="official", data=str(tmp_path))
    with pytest.raises(ValueError, match=r"game\.tw-pddl: not a readable ALFWorld game"):
        env.reset(options={"task": env.tasks("valid")[0]})


def test_human_goals_replace_the_template(official: Path) -> None:
    env = AlfworldEnv(games="official", data=str(official), goals="human")
    task = env.tasks("valid")[0]
    first, info = env.reset(options={"task": task})
    assert f"Your task is to: {info['goal']}." in first
    assert play(env, task, "searcher")[0]


def test_the_old_dialect_says_put_and_loc() -> None:
    env = AlfworldEnv(dialect="0.3")
    _, info = env.reset(options={"task": "train/00000-pick"})
    assert "help" not in info["admissible"]
    while not info["success"]:
        action = env.privileged().actions[0]
        observation, *_, info = env.step(action)
        assert not action.startswith("go to") or observation.startswith("You arrive at loc ")
    assert action.startswith("put ") and " in/on " in action
