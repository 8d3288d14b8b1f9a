"""Chat models as agents, local models as chat models, and a server between them."""

from __future__ import annotations

import json
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from agentgym.agents.chat import ChatAgent, ReplyCache, load_chat, tools
from agentgym.agents.local import LocalChat
from agentgym.agents.serve import running, server
from agentgym.envs import make
from agentgym.memory import Turn, make_memory, memory_maker
from agentgym.training.play import agent
from agentgym.training.rollout import rollout
from agentgym.training.student import Student
from langchain_core.language_models import SimpleChatModel
from langchain_core.language_models.fake_chat_models import FakeListChatModel, GenericFakeChatModel
from langchain_core.messages import AIMessage


def turn(admissible: tuple[str, ...] | None = ("look", "wait")) -> Turn:
    memory = make_memory("full")
    memory.begin("find it", "A room.", {"admissible": admissible})
    return memory.view()


def test_an_answer_that_is_not_possible_is_asked_for_again_and_counted() -> None:
    chat = FakeListChatModel(responses=["ACTION: fly", "REASON: I see little.\nACTION: look"])
    player = ChatAgent(chat)
    [decision] = player.act([turn()])
    assert (decision.action, decision.thought, decision.queries) == ("look", "I see little.", 2)
    assert decision.reply == "REASON: I see little.\nACTION: look"
    assert player.usage.calls == 2


def test_an_agent_that_never_learns_gets_its_words_to_the_world_and_no_exception() -> None:
    agent = ChatAgent(FakeListChatModel(responses=["", "fly", "ACTION: swim"]), corrections=2)
    [decision] = agent.act([turn()])
    assert (decision.action, decision.queries) == ("swim", 3)
    [free] = ChatAgent(FakeListChatModel(responses=["anything"])).act([turn(None)])
    assert (free.action, free.queries) == ("anything", 1)


def test_a_model_that_fails_is_asked_again_and_then_its_error_is_told() -> None:
    class Shaky(SimpleChatModel):
        failures: int = 2

        @property
        def _llm_type(self) -> str:
            return "shaky"

        def _call(self, *args: Any, **kwargs: Any) -> str:
            if self.failures:
                self.failures -= 1
                raise ConnectionError("the line is dead")
            return "look"

    [decision] = ChatAgent(Shaky(), attempts=3, pause_s=0).act([turn()])
    assert decision.action == "look"
    fault = "agent 'mine': its model failed 2 times, at last by ConnectionError: the line is dead"
    with pytest.raises(RuntimeError, match=fault):
        ChatAgent(Shaky(failures=9), name="mine", attempts=2, pause_s=0).act([turn()])


def test_replies_come_from_the_cache_and_tokens_and_cost_are_counted(tmp_path: Path) -> None:
    used = {"input_tokens": 100, "output_tokens": 10, "total_tokens": 110}
    message = AIMessage("look", usage_metadata=used)  # type: ignore[arg-type]
    first = ChatAgent(
        GenericFakeChatModel(messages=iter([message])), prices=(1.0, 10.0), cache=tmp_path / "replies.sqlite"
    )
    [decision] = first.act([turn()])
    assert (first.usage.input_tokens, first.usage.output_tokens) == (100, 10)
    assert first.usage.cost == pytest.approx(2e-4)
    [again] = first.act([turn()])
    assert again.action == decision.action == "look"
    assert (first.usage.calls, first.usage.cached) == (1, 1)
    assert ReplyCache(tmp_path / "replies.sqlite").get("nothing") is None


def test_what_is_no_chat_model_is_refused_by_name() -> None:
    with pytest.raises(TypeError, match="dict is no langchain-core BaseChatModel"):
        ChatAgent({})
    with pytest.raises(LookupError, match="module:object"):
        load_chat("gpt")
    with pytest.raises(LookupError, match="no_such_module"):
        load_chat("no_such_module:x")
    with pytest.raises(LookupError, match="not a langchain-core BaseChatModel"):
        load_chat("collections:OrderedDict")
    with pytest.raises(LookupError, match="a float, not a langchain-core"):
        load_chat("math:pi")
    with pytest.raises(LookupError, match="called without arguments"):
        load_chat("math:cos")
    with pytest.raises(ValueError, match="corrections=-1"):
        ChatAgent(FakeListChatModel(responses=["x"]), corrections=-1)


def test_a_chat_model_may_lie_in_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = [p for p in sys.path if p]
    monkeypatch.setattr(sys, "path", list(before))
    monkeypatch.chdir(tmp_path)
    Path("beside_the_chat.py").write_text("REPLIES = ['look']\n")
    Path("chat_in_this_folder.py").write_text(
        "from langchain_core.language_models.fake_chat_models import FakeListChatModel\n\n\n"
        "def make():\n    import beside_the_chat\n\n"
        "    return FakeListChatModel(responses=beside_the_chat.REPLIES)\n"
    )
    assert load_chat("chat_in_this_folder:make").responses == ["look"]
    Path("torn_chat_model.py").write_text("def make(:\n")
    with pytest.raises(LookupError, match=r"torn_chat_model:make': .*torn_chat_model\.py, line 1"):
        load_chat("torn_chat_model:make")
    assert sys.path == before


def test_a_world_is_a_set_of_langchain_tools() -> None:
    env = make("alfworld", max_steps=2)
    reset, step = tools(env)
    said = reset.invoke({"task": env.tasks("test")[0]})
    assert "Your task is to" in said and "Possible actions: " in said
    assert "Nothing happens." in step.invoke({"action": "fly"})
    assert step.invoke({"action": "look"}).endswith("The episode is over: no success.")


def test_a_local_model_is_a_chat_model_and_plays_through_the_same_agent(small_chat: Path) -> None:
    chat = LocalChat.of(str(small_chat), max_new_tokens=8)
    one, two = chat.invoke("Hello"), chat.invoke("Hello")
    assert one.text == two.text and one.usage_metadata is not None and one.usage_metadata["output_tokens"] <= 8
    drawn = {chat.invoke("Hello", temperature=1.0, seed=s).text for s in (1, 1, 2)}
    assert len(drawn) == 2
    agent = ChatAgent(chat, corrections=0)
    tasks = make("alfworld").tasks("train")[:2]
    played = rollout(lambda: make("alfworld", max_steps=3), agent, memory_maker("full"), tasks, env_id="alfworld")
    assert [len(t.steps) for t in played] == [3, 3] and all(s.queries == 1 for t in played for s in t.steps)


def test_a_folder_as_a_hub_gives_it_learns_by_adapters(small_chat: Path, tmp_path: Path) -> None:
    from agentgym.training.train import train

    small = {"bc.demonstrations": "3", "bc.epochs": "1", "env.max_steps": "12", "eval.valid": "0", "eval.test": "2"}
    run = train(method="bc", model=str(small_chat), settings=small, out=tmp_path / "run", say=lambda _: None)
    row = json.loads((run / "result.json").read_text())
    assert row["before"]["test"]["episodes"] == row["iterations"][0]["eval"]["test"]["episodes"] == 2
    assert (run / "checkpoints" / "00" / "adapter_model.safetensors").is_file()


def test_drawn_replies_do_not_depend_on_who_else_is_asked(small_chat: Path) -> None:
    chat = LocalChat.of(str(small_chat), temperature=1.0, max_new_tokens=8, seed=3)
    questions = [[("human", f"word {k}")] for k in range(6)]
    before = torch.get_rng_state()
    together = [m.text for m in chat.batch(questions, config={"max_concurrency": 6})]
    assert together == [chat.invoke(q).text for q in questions]
    assert torch.equal(torch.get_rng_state(), before)
    other = LocalChat.wrap(chat.loaded, temperature=1.0, max_new_tokens=8, seed=4)
    assert together != [other.invoke(q).text for q in questions]


def test_the_seed_of_an_evaluation_is_that_of_a_local_models_draws(small_chat: Path) -> None:
    player, _ = agent(f"react:{small_chat}", "alfworld", {}, 1.0, seed=5)
    assert (player.chat.seed, player.chat.temperature) == (5, 1.0)  # type: ignore[union-attr]


@pytest.mark.parametrize("name", ["random", "noisy:0.5", "chat:math:pi", "react:chat:math:pi"])
def test_a_temperature_is_refused_where_nothing_is_drawn_by_it(name: str) -> None:
    with pytest.raises(ValueError, match="--temperature 0.7: agent .* draws as it was made"):
        agent(name, "alfworld", {}, 0.7)


def test_an_instruct_model_is_told_in_what_kind_of_world_it_acts(small_chat: Path, tmp_path: Path) -> None:
    for world, word in (("alfworld", "household"), ("webshop", "text world")):
        player, _ = agent(str(small_chat), world, {})
        assert word in player.renderer.system  # type: ignore[union-attr]
    student = Student.of(str(small_chat))
    student.instruct("webshop")
    student.save(tmp_path / "held")
    assert "text world" in Student.held(tmp_path / "held").renderer.system  # type: ignore[operator, union-attr]


@pytest.fixture
def address(small_chat: Path) -> Iterator[str]:
    with running(server(LocalChat.of(str(small_chat), max_new_tokens=6), "small", port=0)) as at:
        yield at.removesuffix("/v1")


def ask(address: str, body: bytes | dict[str, Any], path: str = "/v1/chat/completions") -> tuple[int, str]:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    try:
        with urllib.request.urlopen(urllib.request.Request(address + path, data=data)) as reply:
            return reply.status, reply.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_the_server_speaks_the_openai_protocol(address: str) -> None:
    with urllib.request.urlopen(address + "/v1/models") as reply:
        assert json.load(reply)["data"][0]["id"] == "small"
    hello = {"model": "small", "messages": [{"role": "user", "content": "Hello"}]}
    status, text = ask(address, hello)
    row = json.loads(text)
    assert status == 200 and row["object"] == "chat.completion" and row["choices"][0]["message"]["role"] == "assistant"
    assert row["usage"]["completion_tokens"] <= 6
    status, text = ask(address, hello | {"max_tokens": 2, "temperature": 0.5, "seed": 3, "stop": ["x"]})
    assert status == 200 and json.loads(text)["usage"]["completion_tokens"] <= 2
    status, text = ask(address, hello | {"stream": True})
    pieces = [line.removeprefix("data: ") for line in text.split("\n\n") if line]
    assert pieces[-1] == "[DONE]"
    assert json.loads(pieces[0])["choices"][0]["delta"]["content"] == row["choices"][0]["message"]["content"]


@pytest.mark.parametrize(
    ("body", "status", "fault"),
    [
        (b"no json", 400, "no JSON"),
        ({"messages": []}, 400, "needs `messages`"),
        ({"messages": [{"role": "wizard", "content": "x"}]}, 400, "needs a role of"),
        ({"model": "large", "messages": [{"role": "user", "content": "x"}]}, 404, "this server has 'small'"),
        ({"messages": [{"role": "user", "content": "x"}], "temperature": "hot"}, 400, "temperature='hot'"),
        ({"messages": [{"role": "user", "content": "x"}], "n": 3}, 400, "n=3: this server takes 1"),
        ({"messages": [{"role": "user", "content": "x"}], "tools": [{"type": "function"}]}, 400, "tools="),
        ({"messages": [{"role": "user", "content": "x"}], "stop": 5}, 400, "stop=5: needs a text"),
    ],
)
def test_the_server_says_what_is_wrong(address: str, body: Any, status: int, fault: str) -> None:
    got, text = ask(address, body)
    assert got == status and fault in json.loads(text)["error"]["message"]


def test_an_agent_on_a_chat_model_plays_through_eval(
    run_cli: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    (tmp_path / "mine.py").write_text(
        "from langchain_core.language_models.fake_chat_models import FakeListChatModel\n"
        "chat = FakeListChatModel(responses=['ACTION: look'])\n"
    )
    args = ("eval", "--agent", "chat:mine:chat", "--episodes", "2", "--set", "env.max_steps=3", "--json")
    status, out, err = run_cli(*args, env={"PYTHONPATH": str(tmp_path)})
    assert status == 0, err
    row = json.loads(out)
    assert row["queries"]["mean"] == 3 and row["usage"]["calls"] == 6
    status, _, err = run_cli("eval", "--agent", "chat:mine:nothing", env={"PYTHONPATH": str(tmp_path)})
    assert status == 2 and "mine" in err
