"""ReAct: thoughts between actions, and their place in the history."""

from __future__ import annotations

from pathlib import Path

import pytest
from agentgym.agents.react import RULES, ReactAgent
from agentgym.envs import make
from agentgym.memory import make_memory
from agentgym.training.play import evaluate
from langchain_core.language_models.fake_chat_models import FakeListChatModel


class Listening(FakeListChatModel):
    """Says what it was told to say, and keeps what it was asked."""

    asked: list[list[str]] = []

    def _call(self, messages, *args, **kwargs):  # type: ignore[no-untyped-def]
        self.asked.append([m.text for m in messages])
        return super()._call(messages, *args, **kwargs)


def act(replies: list[str], **settings: int):  # type: ignore[no-untyped-def]
    memory = make_memory("full")
    memory.begin("find it", "A room.", {"admissible": ("look", "wait")})
    chat = Listening(responses=replies, asked=[])
    [decision] = ReactAgent(chat, **settings).act([memory.view()])
    return decision, chat.asked


def test_a_thought_alone_is_heard_and_the_next_word_is_the_agents_again() -> None:
    decision, asked = act(["THOUGHT: it may be here.", "THOUGHT: I look.\nACTION: look"])
    assert (decision.action, decision.queries) == ("look", 2)
    assert decision.reply == "THOUGHT: it may be here.\nTHOUGHT: I look.\nACTION: look"
    assert asked[0][0] == RULES and asked[1][-2:] == ["THOUGHT: it may be here.", "OK."]


def test_a_command_without_its_mark_is_the_action_and_the_thought_is_not() -> None:
    decision, _ = act(["THOUGHT: I should look first.", "look"])
    assert (decision.action, decision.queries) == ("look", 2)
    assert decision.reply == "THOUGHT: I should look first.\nlook"


def test_after_enough_thoughts_it_is_told_to_act_and_then_corrected() -> None:
    decision, asked = act(["THOUGHT: a", "THOUGHT: b", "THOUGHT: c", "ACTION: wait"], thoughts=2)
    assert (decision.action, decision.queries) == ("wait", 4)
    assert [a[-1] for a in asked[1:3]] == ["OK.", "OK. Now act."]
    assert "is not possible now" in asked[3][-1]


def test_an_impossible_action_is_corrected_and_only_thoughts_stay_in_the_reply() -> None:
    decision, _ = act(["THOUGHT: up", "ACTION: fly", "ACTION: look"])
    assert (decision.action, decision.reply, decision.queries) == ("look", "THOUGHT: up\nACTION: look", 3)
    with pytest.raises(ValueError, match="thoughts=-1"):
        ReactAgent(FakeListChatModel(responses=["x"]), thoughts=-1)


def test_a_local_model_thinks_and_plays_through_evaluate(small_chat: Path) -> None:
    from agentgym.training.play import agent

    player, _ = agent(f"react:{small_chat}", "alfworld", {})
    player.chat.max_new_tokens = 4  # type: ignore[union-attr]
    env = make("alfworld")
    observation, info = env.reset(options={"task": env.tasks("test")[0]})
    memory = make_memory("full")
    memory.begin(info["goal"], observation, info)
    [decision] = player.act([memory.view()])  # type: ignore[union-attr]
    assert decision.queries == 3 and player.usage.output_tokens > 0  # type: ignore[union-attr]


def test_thoughts_are_in_the_history_that_the_agent_reads_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "thinker.py").write_text(
        "from langchain_core.language_models.fake_chat_models import FakeListChatModel\n"
        "chat = FakeListChatModel(responses=['THOUGHT: hm', 'ACTION: look'])\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    kept = []
    row = evaluate(agent_name="react:chat:thinker:chat", episodes=1, env_kwargs={"max_steps": 2}, keep=kept.extend)
    assert row["queries"]["mean"] == 4 and row["agent"] == "react:chat:thinker:chat"
    assert [s.reply for s in kept[0].steps] == ["THOUGHT: hm\nACTION: look"] * 2
