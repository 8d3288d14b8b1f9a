"""Agents without a model: the demonstrator whose mistakes are habits."""

from __future__ import annotations

from collections import Counter, defaultdict

import pytest
from agentgym.agents.scripted import HabitualAgent
from agentgym.agents.teachers import retrace
from agentgym.envs import make
from agentgym.memory import Trajectory, memory_maker
from agentgym.training.rollout import rollout


def play(env_id: str, n: int, user: int = 1, batch: int = 64) -> list[Trajectory]:
    env = make(env_id)
    agent = HabitualAgent(env.habit, user)
    tasks = env.tasks("train")[:n]
    return rollout(lambda: make(env_id), agent, memory_maker("full"), tasks, env_id=env_id, batch=batch)


@pytest.mark.parametrize(("env_id", "n"), [("device", 171), ("alfworld", 30)])
def test_a_habitual_demonstrator_is_wrong_in_the_same_way_and_sometimes_wins(env_id: str, n: int) -> None:
    env = make(env_id)
    played = play(env_id, n)
    wrong: dict[str, Counter[str]] = defaultdict(Counter)
    for t in played:
        for step, state in zip(t.steps, retrace(env, t), strict=True):
            if state.actions and step.action != state.actions[0]:
                wrong[step.observation.split("\n")[0].split(".")[0]][step.action] += 1
    assert 0.1 < sum(t.success for t in played) / n < 1.0
    often = [c for c in wrong.values() if c.total() >= 8]
    assert len(often) >= 5
    assert sum(c.most_common(1)[0][1] for c in often) > 0.5 * sum(c.total() for c in often)


def test_a_habit_is_the_users_own_and_no_draw_depends_on_the_batch() -> None:
    assert play("device", 12) == play("device", 12, batch=3)
    assert play("device", 12) != play("device", 12, user=2)
    env = make("alfworld")
    said = "You arrive at shelf 3. On the shelf 3, you see nothing."
    habits = {env.habit(7, said.replace("3", n), ("go to bed 1", "look"), p_wrong=1.0) for n in "123"}
    assert len(habits) == 1 and None not in habits
    assert env.habit(7, said, ("look",), p_wrong=0.0) is None
    with pytest.raises(ValueError, match="p_slip=2"):
        HabitualAgent(env.habit, p_slip=2)
