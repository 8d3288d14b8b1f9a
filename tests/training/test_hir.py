"""Hindsight relabelling: what failures have reached, as the world says it, and as it is learned."""

from __future__ import annotations

from pathlib import Path

import pytest
from agentgym.agents.scripted import OracleAgent, RandomAgent
from agentgym.envs import make
from agentgym.envs.alfworld import AlfworldEnv
from agentgym.envs.alfworld.engine import Engine
from agentgym.envs.alfworld.game import Game, Goal
from agentgym.envs.alfworld.generate import TEMPLATES
from agentgym.envs.alfworld.searcher import read_goal
from agentgym.memory import memory_maker
from agentgym.memory.store import read
from agentgym.memory.trajectory import Trajectory
from agentgym.training.methods.hir import hindsight
from agentgym.training.rollout import rollout
from agentgym.training.train import configure, train


def played(agent: object, n: int) -> list[Trajectory]:
    env = AlfworldEnv()
    return rollout(AlfworldEnv, agent, memory_maker("full"), env.tasks("train")[:n], env_id="alfworld", seed=1)  # type: ignore[arg-type]


def test_whoever_wins_a_game_has_reached_its_goal_and_at_the_start_nothing_is_reached() -> None:
    env = AlfworldEnv()
    kinds = set()
    for t in played(OracleAgent(), 24):
        env.reset(options={"task": t.task})
        assert env.reached() == ()
        for action in t.actions:
            env.step(action)
        kind, thing, target = read_goal(t.goal)
        assert TEMPLATES[kind][0].format(o=thing, t=target) in env.reached(), t.goal
        kinds.add(kind)
    assert kinds == set(TEMPLATES)


def test_a_relabelled_failure_wins_the_game_that_asks_for_what_it_reached() -> None:
    env = AlfworldEnv()
    lost = [t for t in played(RandomAgent(), 60) if not t.success]
    found = [(t, new) for t in lost if (new := hindsight(env, t)) is not None]
    assert len(found) >= 5
    for t, new in found:
        assert new.goal != t.goal and t.goal not in "".join(new.observations) and new.goal in new.observations[0]
        assert new.success and new.actions == t.actions[: len(new.steps)] and new.meta["hindsight"] == t.goal
        game = env._game(t.task)
        kind, thing, target = read_goal(new.goal)
        engine = Engine(Game(game.facts, Goal(kind, f"{thing}type", f"{target}type", new.goal)))
        first, won = engine.reset(), []
        assert first == new.observations[0]
        for action, seen in zip(new.actions, new.observations[1:], strict=True):
            assert engine.step(action) == seen
            won.append(engine.won())
        assert won == [False] * (len(won) - 1) + [True]


def test_who_only_looked_around_has_reached_nothing() -> None:
    from agentgym.agents.scripted import ReplayAgent

    [t] = rollout(
        lambda: make("alfworld", max_steps=3), ReplayAgent({0: ["look", "inventory", "look"]}), memory_maker("full"),
        AlfworldEnv().tasks("train")[:1], env_id="alfworld",
    )  # fmt: skip
    assert hindsight(AlfworldEnv(), t) is None


def test_babyai_says_what_was_gone_to_opened_and_picked_up() -> None:
    pytest.importorskip("minigrid")
    simple = {"go to", "open", "pick up"}
    for level in ("goto", "open", "pickup"):
        env = make("babyai", level=level)
        tasks = env.tasks("train")[:12]
        told = 0
        for t in rollout(lambda env=env: env, OracleAgent(), memory_maker("window:1"), tasks, env_id="babyai", batch=1):  # type: ignore[misc]
            env.reset(options={"task": t.task})
            assert env.reached() == ()
            held = env.snapshot()
            for action in t.actions:
                env.step(action)
            told += t.goal in env.reached()
            assert all(any(goal.startswith(s) for s in simple) for goal in env.reached())
            env.restore(held)
            assert env.reached() == ()
        assert told == 12 or level != "goto"
        assert told > 0 or level == "pickup"  # whose missions say where the thing lies


def test_failures_are_learned_from_unless_the_idea_is_taken_out(small_tiny: Path, tmp_path: Path) -> None:
    pytest.importorskip("minigrid")
    said: list[str] = []
    found = {}
    for relabel in ("yes", "no"):
        settings = {
            "hir.demonstrations": "3", "hir.episodes": "16", "hir.iterations": "1", "hir.epochs": "1", "hir.later": "1",
            "hir.relabel": relabel, "hir.temperature": "20", "env.level": "goto", "env.max_steps": "60", "eval.valid": "0", "eval.test": "1",
        }  # fmt: skip
        out = tmp_path / relabel
        run = train("babyai", "hir", str(small_tiny), "window:1", out=out, settings=settings, say=said.append)
        taught, _ = read(run / "trajectories" / "01-train.jsonl.zst")
        assert all(t.success for t in taught)
        found[relabel] = sum("hindsight" in t.meta for t in taught)
    assert found["yes"] > 0 == found["no"]
    assert any("failures reached another goal" in line for line in said)


def test_a_world_that_states_no_reached_goal_is_refused() -> None:
    with pytest.raises(ValueError, match="hir needs words for the goals that an episode reaches"):
        configure("bandit", "hir", "tiny", "full", 0, {}, False)
