"""TextWorld's quests: generated, from files, forked, lost."""

from __future__ import annotations

import doctest
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from agentgym.envs import make, textworld_searcher
from agentgym.envs import textworld as module
from agentgym.envs.check import check
from agentgym.envs.textworld import NOTHING, TextworldEnv
from agentgym.envs.textworld_searcher import read_goal
from hypothesis import given, settings
from hypothesis import strategies as st

SMALL = {"rooms": 2, "objects": 4, "quest": 2}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten small games as .json."""
    root = tmp_path_factory.mktemp("games")
    for i in range(10):
        module._make(i, 2, 4, 1 + i % 2, False).save(str(root / f"game{i}.json"))
    return root


@pytest.fixture
def small() -> TextworldEnv:
    return TextworldEnv(rooms=2, objects=4, quest=2)


def play(env: TextworldEnv, task: str) -> list[tuple[str, str, float]]:
    observation, info = env.reset(options={"task": task})
    out = [("", observation, 0.0)]
    while not info["success"]:
        action = env.privileged().actions[0]
        assert action in info["admissible"]
        observation, reward, *_, info = env.step(action)
        out.append((action, observation, reward))
    return out


def test_textworld_passes_its_own_conformance_check() -> None:
    assert not [c for c in check(lambda: make("textworld", **SMALL)) if c.passed is not True]


def test_the_oracle_wins_and_a_quest_is_worth_one() -> None:
    env = TextworldEnv()
    for task in env.tasks("test")[:5]:
        rows = play(env, task)
        assert len(rows) - 1 == int(task.split("-")[1])
        assert sum(reward for *_, reward in rows) == pytest.approx(1)


def search(env: TextworldEnv, task: str, strayed: int = 0) -> bool:
    """Play by the searching expert, after some random steps that it only watches."""
    rng = random.Random(task)
    observation, info = env.reset(options={"task": task})
    expert, over = env.searcher(), False
    expert.begin(info["goal"], observation, info)
    for t in range(env.max_steps):
        harmless = [a for a in info["admissible"] if not a.startswith("eat ")]
        action = rng.choice(harmless) if t < strayed else expert.act()
        observation, _, over, cut, info = env.step(action)
        expert.observe(action, observation, info)
        if over or cut:
            break
    return bool(info["success"])


@pytest.mark.parametrize("brief", [False, True])
def test_the_searcher_reads_the_goal_finds_what_it_names_and_takes_over(brief: bool) -> None:
    env = TextworldEnv(rooms=3, objects=4, quest=3, brief=brief)
    tasks = env.tasks("test")[:6]
    assert sum(search(env, task) for task in tasks) == 6
    assert sum(search(env, task, strayed=4) for task in tasks) >= 5


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("Then, you can put the red cup into the box within the old attic.", ("insert", "red cup", "box")),
        (
            "After putting the cup on the tray, rest the pan on the big shelf inside the attic.",
            ("put", "pan", "big shelf"),
        ),
        ("Toss the cup on the floor of the attic.", ("drop", "cup", "attic")),
        ("Look and see that the box in the attic is ajar.", ("open", "box")),
        ("Insert the thin key into the box in the attic to lock it.", ("lock", "thin key", "box")),
        ("Insert the thin key into the box's lock to unlock it.", ("unlock", "thin key", "box")),
        ("Make it so that the box is unlocked with the thin key.", ("unlock", "box", "thin key")),
        ("If you have opened the box, recover the cup from the box in the attic.", ("take", "cup")),
        ("Make an effort to go to the south.", ("go", "south")),
    ],
)
def test_a_goal_is_read_in_all_its_forms(said: str, meant: tuple[str, ...]) -> None:
    [(verb, named)] = read_goal(f"Welcome! {said}")
    named.pop("room" if verb != "drop" else "", None)
    assert (verb, *named.values()) == meant


def test_what_no_searcher_can_read_is_said(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="none of TextWorld's forms"):
        read_goal("Find happiness.")
    for name in ("game.z8", "game.json"):
        (tmp_path / name).write_text("{}")
    with pytest.raises(LookupError, match=r"use \.json"):
        TextworldEnv(data=str(tmp_path)).searcher()


def test_a_room_tells_what_is_in_it_and_an_action_changes_the_text(small: TextworldEnv) -> None:
    for task in small.tasks("train")[:6]:
        for action, observation, _ in play(small, task):
            assert "-= " in observation
            assert "\nYou carry " in observation
            assert observation.startswith(f"You {action}." if action else "-= ")


def test_everything_that_a_command_names_is_in_the_text(small: TextworldEnv) -> None:
    for task in small.tasks("train")[:6]:
        observation, info = small.reset(options={"task": task})
        for command in info["admissible"]:
            for verb in ("take ", "open ", "examine ", "drop "):
                if command.startswith(verb):
                    assert command.removeprefix(verb).split(" from ")[0] in observation


def test_a_game_is_the_same_in_another_process_whatever_its_hash_seed(small: TextworldEnv) -> None:
    code = (
        "import hashlib; from agentgym.envs import make; e = make('textworld', rooms=2, objects=4, quest=2); "
        "print(repr([e.reset(options={'task': 'valid/00001-2'}), e.privileged().actions]))"
    )
    said = set()
    for seed in ("1", "2"):
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True,
                              env={**os.environ, "PYTHONHASHSEED": seed})  # fmt: skip
        said.add(done.stdout.strip())
    assert said == {repr([small.reset(options={"task": "valid/00001-2"}), small.privileged().actions])}


def test_a_lost_quest_has_no_plan(small: TextworldEnv) -> None:
    small.reset(options={"task": "train/00001-2"})
    assert small.privileged().actions
    small._state["lost"] = True
    assert small.privileged().actions == ()


def test_what_is_gathered_of_a_state_is_what_textworld_gathers(small: TextworldEnv) -> None:
    from textworld import EnvInfos
    from textworld.envs import TextWorldEnv

    rng = random.Random(0)
    for task in small.tasks("train")[:4]:
        _, info = small.reset(options={"task": task})
        theirs = TextWorldEnv(EnvInfos(policy_commands=True))
        theirs._game, theirs._inform7 = small._game._game, small._game._inform7
        state = theirs.reset()
        for _ in range(12):
            assert info["admissible"] == tuple(state["admissible_commands"])
            assert (info["goal"], info["success"]) == (state["objective"], state["won"])
            assert small._policy() == tuple(state["policy_commands"] or ())
            action = rng.choice(info["admissible"])
            state, *_ = theirs.step(action)
            *_, over, _, info = small.step(action)
            if over:
                break


def test_a_fork_goes_its_own_way(small: TextworldEnv) -> None:
    small.reset(options={"task": "train/00001-2"})
    saved, plan = small.snapshot(), small.privileged().actions
    small.step(plan[0])
    small.step("look")
    small.restore(saved)
    assert small.privileged().actions == plan
    for action in plan:
        *_, info = small.step(action)
    assert info["success"]


def test_it_leaves_sys_argv_and_stdout_alone(small: TextworldEnv, capfd: pytest.CaptureFixture[str]) -> None:
    argv = list(sys.argv)
    play(small, "train/00000-1")
    assert sys.argv == argv
    assert capfd.readouterr().out == ""


_ONE: dict[str, Any] = {}


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=40))
def test_bad_text_never_raises_and_is_invalid(text: str) -> None:
    env = _ONE.setdefault("env", TextworldEnv(rooms=2, objects=4, quest=2))
    _, info = env.reset(options={"task": "train/00000-1"})
    if " ".join(text.split()) not in info["admissible"]:
        observation, reward, _, _, info = env.step(text)
        assert (observation, reward, info["invalid"]) == (NOTHING, 0.0, True)


def test_files_of_a_folder_are_shared_out_between_splits_and_played(folder: Path) -> None:
    env = TextworldEnv(data=str(folder))
    assert [len(env.tasks(s)) for s in ("train", "valid", "test")] == [8, 1, 1]
    assert env.tasks("test") == ["test/game9"]
    again = TextworldEnv(rooms=2, objects=4, quest=2)
    from_file, generated = play(env, "valid/game8"), play(again, "train/00008-1")
    assert from_file == generated


def test_folders_named_after_splits_are_the_splits(folder: Path, tmp_path: Path) -> None:
    for i, split in enumerate(("train", "valid", "test")):
        (tmp_path / split).mkdir()
        (tmp_path / split / "one.json").write_bytes((folder / f"game{i}.json").read_bytes())
    env = TextworldEnv(data=str(tmp_path))
    assert [env.tasks(s) for s in ("train", "valid", "test")] == [["train/one"], ["valid/one"], ["test/one"]]


@pytest.mark.slow
def test_a_compiled_game_keeps_its_own_words_and_has_no_fork(tmp_path: Path) -> None:
    import textworld

    options = textworld.GameOptions()
    options.seeds, options.path = 3, str(tmp_path / "compiled.z8")
    textworld.generator.compile_game(textworld.generator.make_game(options), options)
    env = TextworldEnv(data=str(tmp_path))
    rows = play(env, "train/compiled")
    assert rows[0][1].startswith("-= ")
    assert "*** The End ***" in rows[-1][1]
    env.reset(options={"task": "train/compiled"})
    with pytest.raises(LookupError, match=r"\.json"):
        env.snapshot()


def test_what_a_user_can_mend_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="rooms=0: needs at least 1"):
        make("textworld", rooms=0)
    with pytest.raises(FileNotFoundError, match="tw-make"):
        make("textworld", data=str(tmp_path))
    with pytest.raises(ValueError, match="test/00000-1"):
        make("textworld").reset(options={"task": "nowhere"})
    (tmp_path / "broken.json").write_text("{}")
    env = make("textworld", data=str(tmp_path))
    with pytest.raises(ValueError, match=r"broken\.json: not a readable TextWorld game"):
        env.reset(options={"task": "train/broken"})
    with pytest.raises(ValueError, match="train/broken"):
        env.reset(options={"task": "train/other"})


def test_without_textworld_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "textworld", None)
    with pytest.raises(ImportError, match="^TextWorld is missing: pip install 'textworld>=1.7'$"):
        make("textworld", rooms=3).reset(options={"task": "train/00000-1"})


def test_the_examples_in_the_docstrings_are_true() -> None:
    assert doctest.testmod(module).failed == doctest.testmod(textworld_searcher).failed == 0
