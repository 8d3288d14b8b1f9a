"""The native engine against TextWorld's, byte for byte."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from agentgym.envs.alfworld import AlfworldEnv, generate
from agentgym.envs.alfworld.game import parse
from agentgym.envs.alfworld.textworld import problem


def drive(tasks: list[str], steps: int, seed: int, **kwargs: Any) -> int:
    """Walk both backends through the same random commands and return how many steps were equal."""
    rng = random.Random(seed)
    native, peer = AlfworldEnv(max_steps=10**6, **kwargs), AlfworldEnv(backend="textworld", max_steps=10**6, **kwargs)
    same = 0
    for task in tasks:
        first, info = native.reset(options={"task": task})
        other, peer_info = peer.reset(options={"task": task})
        assert first == other
        assert info["admissible"] == peer_info["admissible"]
        for _ in range(steps):
            listed = list(info["admissible"])
            deeds = [a for a in listed if not a.startswith(("go to", "examine", "look", "help", "inv"))]
            command = rng.choice(deeds) if deeds and rng.random() < 0.5 else rng.choice(listed)
            if rng.random() < 0.04:
                command = rng.choice(["dance", "go to bed 99", " look ", "Look", "take mug 1", ""])
            mine, theirs = native.step(command), peer.step(command)
            assert mine[0] == theirs[0], (task, command)
            assert mine[-1]["admissible"] == theirs[-1]["admissible"], (task, command)
            assert mine[-1]["success"] == theirs[-1]["success"], (task, command)
            info = mine[-1]
            same += 1
            if mine[2]:
                break
    peer.close()
    return same


def test_native_equals_textworld_on_generated_games() -> None:
    pytest.importorskip("alfworld", reason="the extra [alfworld] is not installed")
    tasks = AlfworldEnv().tasks("test")[:3] + AlfworldEnv().tasks("train")[3:6]
    assert drive(tasks, 40, seed=0) > 100


def test_native_equals_textworld_on_real_games(official: Path) -> None:
    pytest.importorskip("alfworld", reason="the extra [alfworld] is not installed")
    kwargs = {"games": "official", "data": str(official)}
    tasks = random.Random(1).sample(AlfworldEnv(**kwargs).tasks("valid"), 4)
    assert drive(tasks, 40, seed=1, **kwargs) > 80


def test_a_generated_game_is_the_same_parsed_from_its_pddl() -> None:
    for i in range(12):
        made = generate.make("train", i)
        direct, parsed = made.game(), parse(problem(made), made.text)
        assert direct.goal == parsed.goal
        assert {k: set(v) for k, v in direct.facts.items() if v} == {k: set(v) for k, v in parsed.facts.items() if v}
        assert all(parsed.name[i] == n for i, n in direct.name.items())
