"""The native engine against TextWorld's, byte for byte."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import pytest
from agentgym.envs.alfworld import AlfworldEnv, generate
from agentgym.envs.alfworld.differential import compare
from agentgym.envs.alfworld.game import parse
from agentgym.envs.alfworld.textworld import problem


def needs_textworld() -> None:
    pytest.importorskip("alfworld", reason="the extra [alfworld] is not installed")
    pytest.importorskip("fast_downward", reason="the extra [alfworld] is not installed")


@pytest.mark.parametrize("dialect", ["0.4", "0.3"])
def test_native_equals_textworld_on_generated_games(dialect: str) -> None:
    needs_textworld()
    env = AlfworldEnv(dialect=dialect)
    tasks = env.tasks("test")[:2] + env.tasks("train")[4:5] if dialect == "0.4" else env.tasks("valid")[3:5]
    tally = compare(env, tasks, steps=45)
    assert not tally.differences
    assert tally.steps == 45 * len(tasks)
    assert tally.won


@pytest.mark.parametrize("dialect", ["0.4", "0.3"])
def test_native_equals_textworld_on_real_games(official: Path, dialect: str) -> None:
    needs_textworld()
    env = AlfworldEnv(games="official", data=str(official), dialect=dialect)
    tasks = random.Random(dialect).sample(env.tasks("valid"), 2)
    tally = compare(env, tasks, steps=40)
    assert not tally.differences
    assert tally.steps == 80


@pytest.mark.slow
@pytest.mark.parametrize("dialect", ["0.4", "0.3"])
def test_native_equals_textworld_over_many_generated_games(dialect: str) -> None:
    needs_textworld()
    env = AlfworldEnv(dialect=dialect)
    tasks = random.Random(dialect).sample(env.tasks("train") + env.tasks("test"), 60)
    tally = compare(env, tasks, steps=100)
    assert not tally.differences
    assert tally.steps == 6_000


@pytest.mark.slow
@pytest.mark.parametrize("dialect", ["0.4", "0.3"])
def test_native_equals_textworld_over_many_real_games(official: Path, dialect: str) -> None:
    needs_textworld()
    env = AlfworldEnv(games="official", data=str(official), dialect=dialect)
    tasks = random.Random(dialect).sample(env.tasks("train") + env.tasks("valid"), 60)
    tally = compare(env, tasks, steps=100)
    assert not tally.differences
    assert tally.steps == 6_000


def test_the_textworld_backend_plays_human_goals_and_leaves_the_process_as_it_was(official: Path) -> None:
    needs_textworld()
    kwargs = {"games": "official", "data": str(official), "goals": "human"}
    native, peer = AlfworldEnv(**kwargs), AlfworldEnv(backend="textworld", **kwargs)
    task, argv = native.tasks("valid")[0], list(sys.argv)
    first = native.reset(options={"task": task})
    assert peer.reset(options={"task": task}) == first
    action = native.privileged().actions[0]
    assert peer.step(action) == native.step(action)
    for junk in ("", "\x00", "日本", "{o}[]#look#", "a" * 600):
        assert peer.step(junk) == native.step(junk)
    peer.close()
    peer.close()
    assert sys.argv == argv


def test_a_generated_game_is_the_same_parsed_from_its_pddl() -> None:
    for i in range(12):
        made = generate.make("train", i)
        direct, parsed = made.game(), parse(problem(made), made.text)
        assert direct.goal == parsed.goal
        assert {k: set(v) for k, v in direct.facts.items() if v} == {k: set(v) for k, v in parsed.facts.items() if v}
        assert all(parsed.name[i] == n for i, n in direct.name.items())
