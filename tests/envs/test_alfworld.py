"""Games, experts and the environment's own promises."""

from __future__ import annotations

import doctest
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from agentgym.envs import Unknown, errors, make
from agentgym.envs.alfworld import AlfworldEnv, generate
from agentgym.envs.alfworld import engine as engine_module
from agentgym.envs.alfworld import env as env_module
from agentgym.envs.alfworld import game as game_module
from agentgym.envs.alfworld import searcher as searcher_module
from agentgym.envs.alfworld.engine import NOTHING, Engine
from agentgym.envs.alfworld.planner import plan
from agentgym.envs.alfworld.searcher import AlfworldSearcher
from agentgym.envs.check import check
from hypothesis import given, settings
from hypothesis import strategies as st
from playing import play


def won(env: AlfworldEnv, task: str, expert: str) -> bool:
    return bool(play(env, task, expert)[-1][1]["success"])


def test_alfworld_passes_its_own_conformance_check() -> None:
    failed = [c for c in check(lambda: make("alfworld")) if c.passed is not True]
    assert not failed


@pytest.mark.parametrize(("expert", "least", "most_steps"), [("oracle", 1.0, 7.0), ("searcher", 0.97, 13.0)])
def test_experts_solve_unseen_rooms(expert: str, least: float, most_steps: float) -> None:
    env = AlfworldEnv()
    played = [play(env, t, expert) for t in env.tasks("test")]
    assert sum(p[-1][1]["success"] for p in played) / len(played) >= least
    assert sum(map(len, played)) / len(played) <= most_steps


def test_experts_solve_the_real_games(official: Path) -> None:
    env = AlfworldEnv(games="official", data=str(official))
    tasks = env.tasks("valid")
    assert len(tasks) == 140
    assert all(won(env, t, "oracle") for t in tasks)
    assert sum(won(env, t, "searcher") for t in tasks) >= 0.97 * len(tasks)


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


def changes(engine: Engine) -> list[str]:
    idle = ("look", "inventory", "help", "examine", "slice", "close")
    return [c for c in engine.acts() if not c.startswith(idle)]


def shorter(engine: Engine, than: int) -> int | None:
    """Return the length of a plan of fewer than `than` commands, by breadth-first search over every command."""
    layer, seen = [engine], set()
    for depth in range(1, than):
        following = []
        for state in layer:
            for command in changes(state):
                after = state.fork()
                after.step(command)
                if after.won():
                    return depth
                lies = tuple((o, tuple(sorted(r))) for o, r in sorted(after.lies.items()))
                done = (after.clean, after.hot, after.cool, after.opened, after.on)
                key = (after.loc, after.hold, lies, *map(frozenset, done))
                if key not in seen:
                    seen.add(key)
                    following.append(after)
        layer = following
    return None


def test_no_plan_is_shorter_than_the_oracles() -> None:
    rng = random.Random(5)
    checked = 0
    for i in range(200):
        engine = Engine(generate.make("train", i).game())
        for _ in range(rng.randrange(30)):
            wise = plan(engine).actions
            engine.step(wise[0] if wise and rng.random() < 0.3 else rng.choice(engine.admissible()))
        distance = plan(engine).distance
        if distance in (2, 3, 4):
            checked += 1
            assert shorter(engine, distance) is None, plan(engine)
    assert checked > 30


def test_the_oracle_goes_on_from_any_state_of_a_real_game_unless_it_is_lost(official: Path) -> None:
    env = AlfworldEnv(games="official", data=str(official))
    rng = random.Random(2)
    lost = 0
    for task in env.tasks("valid"):
        engine = Engine(env._game(task))
        for _ in range(rng.randrange(50)):
            engine.step(rng.choice(engine.admissible()))
        while not engine.won():
            now = plan(engine)
            if not now.actions:  # a thing in hand that no receptacle takes: teddy bears, paper towel rolls
                assert not any(a.startswith("move") for c in engine.game.receptacles for a in at(engine, c))
                lost += 1
                break
            assert engine.step(now.actions[0]) != NOTHING
    assert lost < 10


def at(engine: Engine, receptacle: str) -> tuple[str, ...]:
    there = engine.fork()
    there.loc = engine.game.location[receptacle]
    there.opened.add(receptacle)
    return there.admissible()


def test_every_generated_game_can_be_won_and_is_not_won_yet() -> None:
    for placement in generate.PLACEMENTS:
        for i in range(300):
            engine = Engine(generate.make("train", 1000 + i, 0, placement).game())
            assert not engine.won()
            assert engine.reset().count("you see a ") == 1
            assert 0 < (plan(engine).distance or 0) <= 50


def test_the_basis_names_what_the_next_step_rests_on() -> None:
    env = AlfworldEnv()
    for task in env.tasks("test")[:30]:
        _, info = env.reset(options={"task": task})
        while not info["success"]:
            now = env.privileged()
            action = now.actions[0]
            if action.startswith(("take", "use")):
                assert now.basis == (action.removeprefix("take ").removeprefix("use ").split(" from ")[0],)
            *_, info = env.step(action)


def test_the_searcher_depends_on_nothing_but_what_was_read() -> None:
    """A searcher that gets only the transcript, in another process as it were, says the same."""
    env = AlfworldEnv()
    for task in env.tasks("train")[:40]:
        observation, info = env.reset(options={"task": task})
        live, reader = env.searcher(), AlfworldSearcher()
        for s in (live, reader):
            s.begin(info["goal"], observation, {"admissible": info["admissible"]})
        read = observation
        for _ in range(50):
            action = live.act()
            assert action == reader.act()
            assert action in info["admissible"]
            if action.startswith(("take", "use")):
                thing = action.removeprefix("take ").removeprefix("use ").split(" from ")[0]
                assert f" {thing}" in read
            observation, _, over, cut, info = env.step(action)
            read += observation
            live.observe(action, observation, {"admissible": info["admissible"]})
            reader.observe(action, observation, {"admissible": info["admissible"]})
            if over or cut:
                break


@pytest.mark.parametrize("listed", [True, False])
@pytest.mark.parametrize("dialect", ["0.4", "0.3"])
def test_the_searcher_takes_over_from_a_student_who_acted_at_random(dialect: str, listed: bool) -> None:
    env = AlfworldEnv(dialect=dialect, max_steps=120)
    rng = random.Random(4)
    won = 0
    tasks = env.tasks("test")[:60]
    for task in tasks:
        observation, info = env.reset(options={"task": task})
        searcher = env.searcher()

        def told(info: dict[str, Any]) -> Any:
            return info if listed else info | {"admissible": None}

        searcher.begin(info["goal"], observation, told(info))
        for n in range(100):
            action = rng.choice([*info["admissible"], "nonsense"]) if n < 30 else searcher.act()
            observation, _, over, cut, info = env.step(action)
            searcher.observe(action, observation, told(info))
            if over or cut:
                won += over
                break
    assert won >= 0.97 * len(tasks)


def test_the_searcher_opens_the_closed_place_it_stands_at_before_it_leaves() -> None:
    env = AlfworldEnv()
    for task in env.tasks("train")[:30]:
        observation, info = env.reset(options={"task": task})
        searcher = env.searcher()
        searcher.begin(info["goal"], observation, info)
        place = next((a for a in info["admissible"] if a.startswith(("go to drawer", "go to cabinet"))), None)
        if place is None:
            continue
        observation, _, _, _, info = env.step(place)
        searcher.observe(place, observation, info)
        if observation.endswith("is closed."):
            assert searcher.act("go to countertop 1") == place.replace("go to", "open")


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


def test_games_of_another_seed_or_placement_have_another_hash_and_the_same_rooms() -> None:
    base = AlfworldEnv().split_hash("test")
    assert base == AlfworldEnv(games_seed=0).split_hash("test")
    assert (
        len({base, AlfworldEnv(games_seed=1).split_hash("test"), AlfworldEnv(placement="habits").split_hash("test")})
        == 3
    )
    assert {generate.make("test", i, 3, "habits").scene.number for i in range(60)} <= set(generate.UNSEEN)


def test_everyday_things_lie_where_a_person_would_look_first() -> None:
    kitchen = ("CounterTop", "Drawer", "Fridge", "GarbageCan", "Microwave", "StoveBurner")
    for thing, place in (("Egg", "Fridge"), ("Knife", "CounterTop"), ("Pan", "StoveBurner")):
        odds = generate.usual(thing, kitchen, "everyday")
        assert sum(odds) == pytest.approx(1)
        assert kitchen[odds.index(max(odds))] == place
    rules = generate.tables()
    named = {k: v for k, v in generate._common_sense().items() if k != "note"}
    assert set(named) <= set(rules["pickupable"])
    assert all(thing in rules["holds"][place] for thing, places in named.items() for place in places)


def test_the_examples_in_the_docstrings_are_true() -> None:
    modules = [errors, engine_module, env_module, game_module, generate, searcher_module]
    results = [doctest.testmod(m) for m in modules]
    assert all(r.failed == 0 for r in results)
    assert sum(r.attempted for r in results) >= 8


def test_two_things_left_in_two_targets_are_brought_together() -> None:
    searcher = AlfworldSearcher()
    intro = "Looking quickly around you, you see a drawer 2, a drawer 1, and a desk 1.\n\nYour task is to: put two pen in drawer."
    searcher.begin("put two pen in drawer", intro, {"admissible": None})
    for place, pen in (("drawer 2", "pen 1"), ("drawer 1", "pen 3")):
        searcher.observe(
            f"go to {place}", f"You arrive at {place}. On the {place}, you see a {pen}.", {"admissible": None}
        )
    assert searcher.act() == "take pen 3 from drawer 1"
    searcher.observe(searcher.act(), "You pick up the pen 3 from the drawer 1.", {"admissible": None})
    assert searcher.act() == "go to drawer 2"


def test_import_of_the_worlds_stays_light() -> None:
    heavy = "torch", "textworld", "alfworld", "transformers"
    code = f"import sys, agentgym.envs; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_errors_name_the_value_and_the_fix(tmp_path: Path) -> None:
    with pytest.raises(Unknown, match="did you mean 'alfworld'"):
        make("alfwold")
    with pytest.raises(Unknown, match="did you mean 'games'"):
        make("alfworld", gamez="official")
    with pytest.raises(ValueError, match="generated, official"):
        make("alfworld", games="real")
    with pytest.raises(ValueError, match="test/00000-pick"):
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
    assert won(env, task, "searcher")


def test_the_old_dialect_says_put_and_loc() -> None:
    env = AlfworldEnv(dialect="0.3")
    _, info = env.reset(options={"task": "train/00000-pick"})
    assert "help" not in info["admissible"]
    while not info["success"]:
        action = env.privileged().actions[0]
        observation, *_, info = env.step(action)
        assert not action.startswith("go to") or observation.startswith("You arrive at loc ")
    assert action.startswith("put ") and " in/on " in action
