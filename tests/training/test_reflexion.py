"""Reflexion: notes between attempts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from agentgym.memory import Memory, Step, Trajectory, memory_maker
from agentgym.training.play import evaluate
from agentgym.training.reflexion import attempt

MINE = '''
from langchain_core.language_models import SimpleChatModel

class Slow(SimpleChatModel):
    """Looks, until its notes hold a lesson."""
    @property
    def _llm_type(self): return "slow"
    def _call(self, messages, *args, **kwargs):
        text = messages[1].text
        if "did not reach" in messages[0].text:
            return f"Lesson {text.count('> ACTION')}."
        return "ACTION: " + ("look" if "Lesson" not in text else "inventory")

chat = Slow()
'''


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "reflecting.py").write_text(MINE)
    monkeypatch.syspath_prepend(str(tmp_path))
    return "chat:reflecting:chat"


def test_a_task_that_failed_is_tried_again_with_the_agents_notes_before_it(mine: str) -> None:
    kept: list[Trajectory] = []
    row: dict[str, Any] = evaluate(
        agent_name=f"reflexion:{mine}", episodes=2, attempts=3, env_kwargs={"max_steps": 2}, keep=kept.extend
    )
    assert row["solved_by_attempt"] == [0.0, 0.0, 0.0] and row["episodes"] == 2
    for t in kept:
        assert t.actions == ["inventory", "inventory"]
        assert t.meta["notes"] == ["Lesson 2.", "Lesson 2."]
    assert row["usage"]["calls"] == 2 * 3 * 2 + 2 * 2


def test_what_was_solved_is_not_tried_again_and_three_notes_are_kept() -> None:
    def episode(task: str, success: bool) -> Trajectory:
        step = Step("see", None, "act", 0.0, True, False, success, float(success), False)
        return Trajectory("toy", {}, task, "", 0, "goal", "me", "full", (step,), "end")

    class Counting:
        said = 0

        def reflect(self, trajectory: Trajectory) -> str:
            self.said += 1
            return f"note {self.said}"

    heads, tried = [], []

    def play(maker: Callable[[], Memory], tasks: Sequence[str]) -> list[Trajectory]:
        tried.append(list(tasks))
        for task in tasks:
            memory = maker()
            memory.begin("goal", "see", {"task": task})
            heads.append(memory.view().segments[0].text)
        return [episode(t, t == "b" and len(tried) == 2) for t in tasks]

    first = [episode("a", True), episode("b", False), episode("c", False)]
    last, shares = attempt(Counting(), play, memory_maker("full"), first, 6)
    assert tried == [["b", "c"], ["b", "c"], ["c"], ["c"], ["c"]]
    assert [round(s, 2) for s in shares] == [0.33, 0.33, 0.67, 0.67, 0.67, 0.67]
    assert [t.task for t in last] == ["a", "b", "c"] and last[2].meta["notes"] == ["note 5", "note 6", "note 7"]
    assert heads[0].endswith("Your notes:\n- note 1\n") and heads[-1].count("- note") == 3


def test_attempts_are_for_agents_that_reflect() -> None:
    with pytest.raises(ValueError, match="attempts=2: .*reflexion:smollm2"):
        evaluate(agent_name="random", episodes=1, attempts=2)
    with pytest.raises(ValueError, match="attempts=0"):
        evaluate(agent_name="random", episodes=1, attempts=0)
