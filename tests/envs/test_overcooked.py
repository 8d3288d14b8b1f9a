"""The kitchen's dynamics against recorded play, the words, the walking, the shortest plans."""

from __future__ import annotations

import contextlib
import doctest
import hashlib
import importlib
import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from agentgym.envs import Unknown, make, make_single, registry
from agentgym.envs.check import check
from agentgym.envs.overcooked import OvercookedEnv
from agentgym.envs.overcooked.engine import ACTIONS, Engine
from agentgym.envs.overcooked.env import PAR
from agentgym.envs.overcooked.layout import CAPACITY, PAPER, Layout, items, load, parse
from agentgym.envs.overcooked.search import optimum
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pettingzoo.test import parallel_api_test, parallel_seed_test
from playing import fork

FOUR = (Path(__file__).parent.parent / "four.layout").read_text()
MENU = """{
    "grid": '''XXXPDPXXX
               X   2   X
               X XXXXX X
               X   1   X
               XXXOSTXXX''',
    "start_all_orders": [
        {"ingredients": ["onion", "tomato", "tomato"]}, {"ingredients": ["onion", "onion", "tomato"]},
        {"ingredients": ["onion", "tomato"]},
    ],
    "start_bonus_orders": [{"ingredients": ["onion", "tomato"]}],
    "onion_value": 21, "tomato_value": 13, "onion_time": 15, "tomato_time": 7,
}"""
CORRIDOR = """{"grid": '''XXXXXX
                          O1  2S
                          XPXDXX'''}"""
GOLDEN = json.loads(Path(__file__).with_name("overcooked_golden.json").read_text())
START = "test/cramped_room/0"


def kitchen_of(name: str) -> Layout:
    return load(name) if name in PAPER else parse({"four": FOUR, "menu": MENU}[name], name)


def play(env: OvercookedEnv, task: str) -> OvercookedEnv:
    env.reset(options={"task": task})
    while env.agents:
        env.step(env.cooks())
    return env


def wander(env: OvercookedEnv, task: str, rng: random.Random) -> list[tuple[Any, ...]]:
    """Return an episode of random admissible actions."""
    told: list[tuple[Any, ...]] = [env.reset(seed=0, options={"task": task})]
    while env.agents:
        told.append(env.step({a: rng.choice(told[-1][-1][a]["admissible"]) for a in env.agents}))
    return told


@pytest.mark.parametrize("row", GOLDEN, ids=lambda r: f"{r['kitchen']}-{r['recipe']}")
def test_recorded_play_of_the_original_is_repeated_exactly(row: dict[str, Any]) -> None:
    """600 ticks each, recorded with the package `overcooked` 0.2.1: noisy cooks, every state, point and shaped point."""
    read = row["recipe"] == "read"
    layout = kitchen_of(row["kitchen"]).cooking(*((2, 2) if read else (None, None)))
    engine = Engine(layout, auto_cook=row["recipe"] == "classic")
    state, told = engine.start(), hashlib.sha256()
    points = shaping = 0
    cooks = len(layout.starts)
    for t in range(0, len(row["actions"]), cooks):
        state, earned, shaped = engine.step(state, [int(a) for a in row["actions"][t : t + cooks]])
        told.update(repr((tuple(state), earned, shaped)).encode())
        points, shaping = points + sum(earned), shaping + sum(shaped)
    assert (points, shaping) == (row["points"], row["shaped"])
    assert told.hexdigest()[:16] == row["digest"]


def same_play(layout: Layout, theirs: str, steps: int) -> int:
    """Play at random in the original, which has to be installed, and in ours; return the points that both gave."""
    original = pytest.importorskip("overcooked.mdp")
    moves = [(0, -1), (0, 1), (1, 0), (-1, 0), (0, 0), "interact"]
    whole = all(items(mix) == CAPACITY for mix in layout.orders())  # else a soup has to be put to cook
    engine, rng, points = Engine(layout, auto_cook=whole), random.Random(0), 0
    mdp = original.OvercookedGridworld.from_layout_name(theirs, old_dynamics=whole)
    state, there = engine.start(), mdp.get_standard_start_state().deepcopy()
    for _ in range(steps):
        joint = [rng.choice((0, 1, 2, 3, 4, 5, 5)) for _ in state.poses]
        state, earned, shaped = engine.step(state, joint)
        there, told = mdp.get_state_transition(there, tuple(moves[a] for a in joint))
        assert tuple(p.position for p in there.players) == tuple(engine.cell(p) for p in state.poses)
        assert tuple(moves.index(p.orientation) for p in there.players) == tuple(p & 3 for p in state.poses)
        assert tuple(told["sparse_reward_by_agent"]) == earned
        assert tuple(told["shaped_reward_by_agent"]) == shaped
        points += sum(earned) + sum(shaped)
    return points


def test_the_dynamics_equal_the_original_where_it_is_installed() -> None:
    names = {n: n for n in PAPER} | {"counter_circuit": "counter_circuit_o_1order"}
    assert sum(same_play(load(ours), theirs, 400) for ours, theirs in names.items())


@pytest.mark.slow
def test_a_hundred_thousand_steps_equal_the_originals_on_all_its_layouts_that_we_read() -> None:
    data = Path(pytest.importorskip("overcooked.static").LAYOUTS_DIR)
    layouts = {}
    for file in sorted(data.glob("*.layout")):
        with contextlib.suppress(ValueError):  # a start_state, or a kitchen that is open to the outside
            layouts[file.stem] = load(str(file))
    assert len(layouts) >= 20
    steps = -(-100_000 // len(layouts))
    points = {name: same_play(layout, name, steps) for name, layout in layouts.items()}
    assert sum(p > 0 for p in points.values()) >= 20, points


def test_a_third_cook_in_a_collision_stops_everybody_but_all_turn() -> None:
    engine = Engine(parse(FOUR, "four"))
    start = engine.start([(2, 1), (4, 1), (1, 3), (5, 3)])
    after = engine.step(start, [ACTIONS.index(a) for a in ("east", "west", "north", "stay")]).state
    assert [p >> 2 for p in after.poses] == [p >> 2 for p in start.poses]
    assert [ACTIONS[p & 3] for p in after.poses] == ["east", "west", "north", "north"]


@pytest.mark.parametrize("mode", ["macro", "low"])
@pytest.mark.parametrize("layout", ["all", "forced_coordination"])
def test_pettingzoo_accepts_it(layout: str, mode: str, recwarn: pytest.WarningsRecorder) -> None:
    parallel_api_test(OvercookedEnv(layout=layout, mode=mode, horizon=60), num_cycles=80)
    assert not [w for w in recwarn if "agent" in str(w.message).lower()]


def test_pettingzoo_finds_it_reproducible() -> None:
    parallel_seed_test(lambda: OvercookedEnv(horizon=40), num_cycles=30)


@pytest.mark.parametrize("layout", PAPER)
def test_scripted_cooks_reach_the_par_that_is_the_target(layout: str) -> None:
    env = OvercookedEnv(layout=layout)
    played = play(env, f"test/{layout}/0")
    assert (played.now.soups, env.target) == (PAR[layout], PAR[layout])
    assert play(env, f"test/{layout}/1").now.soups >= PAR[layout] - 1


@pytest.mark.parametrize(("layout", "ticks"), [("cramped_room", 14), ("forced_coordination", 21)])
def test_the_shortest_plans_of_the_read_variant(layout: str, ticks: int) -> None:
    env = OvercookedEnv(layout=layout, variant="read")
    _, infos = env.reset(options={"task": f"test/{layout}/0"})
    assert env.horizon == {14: 20, 21: 25}[ticks]
    assert optimum(env.kitchen, env.now.state, ticks - 1) is None
    left = ticks
    while env.agents:
        assert env.privileged("chef_0").distance == left
        *_, terminated, truncated, infos = env.step({a: env.privileged(a).actions[0] for a in env.agents})
        left -= 1
    assert (left, infos["chef_1"]["success"], terminated["chef_0"], truncated["chef_0"]) == (0, True, True, False)


@pytest.mark.parametrize("layout", [*PAPER, "four", "menu"])
def test_no_cook_is_ever_locked_out_of_what_it_decided_to_do(layout: str, tmp_path: Path) -> None:
    """Whatever random pairs want, every action but waiting for a soup ends soon, and none is given up."""
    name = layout
    if layout in ("four", "menu"):
        name = str(tmp_path / f"{layout}.layout")
        Path(name).write_text({"four": FOUR, "menu": MENU}[layout])
    env, rng = OvercookedEnv(layout=name, horizon=300), random.Random(1)
    for task in env.tasks("test") + env.tasks("train")[:6]:
        _, infos = env.reset(options={"task": task})
        while env.agents:
            *_, infos = env.step(
                {a: "continue" if i["busy"] else rng.choice(i["admissible"]) for a, i in infos.items()}
            )
            for macro, since, heard in zip(env.now.doing, env.now.since, env.now.heard, strict=True):
                assert "blocked" not in heard
                assert macro is None or macro.verb == "fill" or env.now.tick - since <= 60, macro


def test_two_cooks_who_cannot_pass_are_told_and_go_on(tmp_path: Path) -> None:
    file = tmp_path / "corridor.layout"
    file.write_text(CORRIDOR)
    env = OvercookedEnv(layout=str(file), horizon=100)
    env.reset(options={"task": "test/corridor/0"})
    kitchen = env.kitchen
    wants = (kitchen.at["serving counter 1"], kitchen.at["onion dispenser 1"])
    assert kitchen.control.act(env.now.state.poses, wants, (0, 1)) == ((4, 4), True)
    rng = random.Random(0)
    assert wander(env, "test/corridor/0", rng)[-1][3]["chef_0"]


@pytest.mark.parametrize("mode", ["macro", "low"])
def test_every_listed_action_is_valid_and_same_actions_bring_the_same_episode(mode: str) -> None:
    first = wander(OvercookedEnv(mode=mode, horizon=80), "train/counter_circuit/3", random.Random(5))
    again = wander(OvercookedEnv(mode=mode, horizon=80), "train/counter_circuit/3", random.Random(5))
    assert first == again
    assert not any(i["invalid"] for told in first for i in told[-1].values())


@settings(max_examples=150, deadline=None)
@example("", "macro")
@given(st.text(max_size=60), st.sampled_from(["macro", "low"]))
def test_bad_text_never_raises_and_is_marked_for_its_author_alone(text: str, mode: str) -> None:
    env = OvercookedEnv(layout="cramped_room", mode=mode)
    env.reset(options={"task": START})
    observations, *_, infos = env.step({"chef_0": "Action: " + text + " nonsense" * bool(text)})
    assert infos["chef_0"]["invalid"] and not infos["chef_1"]["invalid"]
    assert env.observation_space("chef_0").contains(observations["chef_0"])


def test_the_last_action_line_of_a_longer_answer_counts() -> None:
    env = OvercookedEnv(layout="cramped_room")
    env.reset(options={"task": START})
    answer = "The pot is empty.\nAction: wait\nNo, better:\naction: Pick up  ONION from onion dispenser 2."
    observations, *_, infos = env.step({"chef_0": answer, "chef_1": "wait"})
    assert not infos["chef_0"]["invalid"]
    assert observations["chef_0"].endswith("Done: pick up onion from onion dispenser 2.")


def test_an_action_that_another_cook_made_pointless_is_called_off() -> None:
    env = OvercookedEnv(layout="coordination_ring")
    env.reset(options={"task": "test/coordination_ring/0"})
    kitchen, engine = env.kitchen, env.kitchen.engine
    slot = engine.slot[2, 2]
    state = env.now.state
    shelf = (*state.shelf[:slot], 1, *state.shelf[slot + 1 :])
    env._now = env_module_replace(env, state._replace(shelf=shelf))
    take = f"pick up onion from {kitchen.names[2, 2]}"
    env.step(dict.fromkeys(env.agents, take))
    heard = sorted(h.split(":")[0] for h in env.now.heard if h)
    assert heard in (["Done", "No longer possible"], ["Done", "Failed"])


def env_module_replace(env: OvercookedEnv, state: Any) -> Any:
    from dataclasses import replace

    return replace(env.now, state=state)


def test_a_fork_goes_its_own_way() -> None:
    fork(OvercookedEnv(layout="coordination_ring", horizon=120), "test/coordination_ring/0", random.Random(2))


def test_the_splits_share_no_start_and_every_start_is_free_floor() -> None:
    env = OvercookedEnv()
    ids = {s: env.tasks(s) for s in ("train", "valid", "test")}
    assert {s: len(v) for s, v in ids.items()} == {"train": 326, "valid": 48, "test": 10}
    starts: dict[tuple[Any, ...], str] = {}
    for split, tasks in ids.items():
        for task in tasks:
            env.reset(options={"task": task})
            key = (task.split("/")[1], env.now.state.poses)
            assert key not in starts and len(set(env.now.state.poses)) == 2
            starts[key] = split


def test_rewards_are_shared_and_shaping_is_ones_own() -> None:
    env = play_until_reward(OvercookedEnv(layout="cramped_room", shaping=1.0))
    assert env[0] == {"chef_0": 3.0, "chef_1": 0.0} or env[0] == {"chef_0": 0.0, "chef_1": 3.0}
    assert max(max(r.values()) for r in env) >= 20.0


def play_until_reward(env: OvercookedEnv) -> list[dict[str, float]]:
    env.reset(options={"task": START})
    got = []
    while env.agents:
        _, rewards, *_ = env.step(env.cooks())
        if any(rewards.values()):
            got.append(rewards)
    return got


def test_the_map_and_the_image_show_the_kitchen() -> None:
    env = OvercookedEnv(layout="cramped_room")
    env.reset(options={"task": START})
    assert env.render() == "X   X   P0. X   X\nO           2^  O\nX   1^          X\nX   D   X   S   X"
    painted = OvercookedEnv(layout="cramped_room", image=True)
    painted.reset(options={"task": START})
    picture = painted.render()
    assert isinstance(picture, np.ndarray) and (picture.shape, picture.dtype) == ((64, 80, 3), np.uint8)
    painted.step(painted.cooks())
    assert not np.array_equal(picture, painted.render())


def test_it_is_made_and_listed_by_name() -> None:
    env = make("overcooked", layout="cramped_room")
    assert env.possible_agents == ["chef_0", "chef_1"]
    row = next(r for r in registry.listing() if r["id"] == "overcooked")
    assert (row["agents"], row["available"], row["splits"]["test"]) == (2, True, 10)


def test_it_passes_the_conformance_check_for_teams() -> None:
    assert not [c for c in check(lambda: make("overcooked", horizon=60)) if c.passed is not True]


def test_what_is_for_one_agent_refuses_a_team() -> None:
    with pytest.raises(LookupError, match="2 agents act in it"):
        make_single("overcooked")


def test_errors_name_the_value_and_the_fix(tmp_path: Path) -> None:
    with pytest.raises(Unknown, match="did you mean 'cramped_room'"):
        make("overcooked", layout="cramped")
    with pytest.raises(Unknown, match="did you mean 'macro'"):
        make("overcooked", mode="makro")
    with pytest.raises(ValueError, match="set auto_cook=False"):
        make("overcooked", onions=2, auto_cook=True)
    with pytest.raises(ValueError, match="test/cramped_room/0"):
        make("overcooked").reset(options={"task": "nowhere"})
    with pytest.raises(ValueError, match="the agents are chef_0, chef_1"):
        env = make("overcooked")
        env.reset(seed=0)
        env.step({"cook": "wait"})
    with pytest.raises(RuntimeError, match="reset"):
        make("overcooked").step({})


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ('{"grid": "X1X\\nX X"}', "edge is open"),
        ('{"grid": "XZ1"}', "no terrain is 'Z'"),
        ('{"grid": "X1X\\nXX"}', "differ in length"),
        ('{"grid": "X2X"}', "cooks '2'"),
        ('{"grid": "X1X", "start_state": {}}', "start_state"),
        ('{"grid": "XXX\\nX1X\\nXXX", "start_all_orders": [{"ingredients": ["leek"]}]}', "leek"),
        ("import os", "not a literal"),
    ],
)
def test_a_layout_that_is_none_says_why(text: str, fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        parse(text, "mine")


def test_the_examples_in_the_docstrings_are_true() -> None:
    names = ("actions", "engine", "env", "layout")
    done = [doctest.testmod(importlib.import_module(f"agentgym.envs.overcooked.{n}")) for n in names]
    done.append(doctest.testmod(importlib.import_module("agentgym.envs.team")))
    assert all(r.failed == 0 and r.attempted for r in done)
