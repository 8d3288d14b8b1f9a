"""A policy behind a server: the ids and log-probabilities of the local one; and what a bad server is told."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from agentgym.agents.complete import Completions, _Reader
from agentgym.agents.models import load
from agentgym.agents.policy import Policy, draw, tree
from agentgym.agents.serve import running, server
from agentgym.agents.served import ServedPolicy, Server, ServerError, portions
from agentgym.envs import make
from agentgym.memory import memory_maker
from agentgym.memory.trajectory import Trajectory
from agentgym.training.rollout import rollout


@contextmanager
def hosting(model: Path | str) -> Iterator[str]:
    with running(server(None, "tiny", port=0, completions=Completions("tiny", load(str(model))))) as at:
        yield at


@pytest.fixture(scope="module")
def address(small_tiny: Path) -> Iterator[str]:
    with hosting(small_tiny) as at:
        yield at


@pytest.fixture(scope="module")
def fluent() -> Iterator[str]:
    """A server of the shipped `tiny`, which ends what it writes."""
    with hosting("tiny") as at:
        yield at


def play(agent: Policy, memory: str = "full", batch: int = 6, steps: int = 8) -> list[Trajectory]:
    tasks = make("alfworld").tasks("train")[:6]
    return rollout(
        lambda: make("alfworld", max_steps=steps), agent, memory_maker(memory), tasks, env_id="alfworld", memory=memory,
        seed=3, batch=batch,
    )  # fmt: skip


def local(model: Path | str, **policy: Any) -> Policy:
    loaded = load(str(model))
    return Policy(loaded.model, loaded.renderer, name="student", **policy)


def served(model: Path | str, url: str, **policy: Any) -> ServedPolicy:
    return ServedPolicy(Server(url, attempts=1), lambda: "tiny", load(str(model)).renderer, name="student", **policy)


def assert_same(some: list[Trajectory], others: list[Trajectory]) -> None:
    assert [t.actions for t in some] == [t.actions for t in others]
    for a, b in zip((s for t in some for s in t.steps), (s for t in others for s in t.steps), strict=True):
        assert (a.context_ids, a.token_ids, a.fresh) == (b.context_ids, b.token_ids, b.fresh)
        assert a.logprob == pytest.approx(b.logprob, abs=1e-4)


@pytest.mark.parametrize(("memory", "temperature"), [("full", 1.0), ("diff", 0.3), ("window:2", 0.0)])
def test_choosing_behind_a_server_is_choosing_here(
    small_tiny: Path, address: str, memory: str, temperature: float
) -> None:
    here = play(local(small_tiny, temperature=temperature), memory)
    assert_same(play(served(small_tiny, address, temperature=temperature), memory, batch=4), here)


def test_greedy_writing_behind_a_server_is_writing_here(fluent: str) -> None:
    free: dict[str, Any] = {"mode": "generate", "max_new_tokens": 5}
    assert_same(play(served("tiny", fluent, **free), steps=4), play(local("tiny", **free), steps=4))


def test_what_a_server_draws_is_what_its_seed_draws_here_whatever_the_batch(fluent: str) -> None:
    agent = served("tiny", fluent, mode="generate", max_new_tokens=5, temperature=1.5)
    played = play(agent, steps=4)
    assert {len(s.token_ids) for t in played for s in t.steps} > {5}  # some stop, some are cut
    assert_same(play(agent, batch=4, steps=4), played)
    loaded = load("tiny")
    for episode, trajectory in enumerate(played):
        read: list[int] = []
        for t, step in enumerate(trajectory.steps):
            read = list(step.context_ids) if step.fresh else read + list(step.context_ids)
            rng = np.random.default_rng(int(np.random.default_rng([3, episode, t]).integers(2**63)))
            logprob, said = 0.0, list[int]()
            while len(said) < 5:
                with torch.no_grad():
                    logits = loaded.model(torch.tensor([read + said])).logits[0, -1]
                token, logp = draw(logits, 1.5, rng)
                logprob += logp
                if token == loaded.renderer.stop:
                    break
                said.append(token)
            assert tuple(said) == step.token_ids and step.logprob == pytest.approx(logprob, abs=1e-3)
            read += said


def test_a_policy_that_is_sent_elsewhere_acts_by_the_weights_it_left_with(small_tiny: Path, address: str) -> None:
    import cloudpickle

    names = iter(["tiny", "gone", "gone"])
    agent = ServedPolicy(Server(address), lambda: next(names), load(str(small_tiny)).renderer, name="student")
    away = cloudpickle.loads(cloudpickle.dumps(agent))
    assert_same(play(away), play(local(small_tiny)))
    with pytest.raises(ServerError, match="404 model 'gone': this server has tiny"):
        play(agent)


def test_requests_about_a_tree_ask_about_every_edge_and_about_few_ids_at_once() -> None:
    t = tree([(n, 7, n % 5) for n in range(10, 400)] + [(1000, 1001)], stop=2)
    asked = list(portions(t))
    assert all(len(ids) <= 128 and len(nodes) <= 256 for nodes, ids in asked)
    pairs = {(n, k) for nodes, ids in asked for n in nodes for k in ids}
    assert pairs >= set(zip(t.nodes.tolist(), t.tokens.tolist(), strict=True))
    assert [t.path(n) for n in (0, 1)] == [[], [10]] and t.path(len(t.ids))[1:] == [7]


@contextmanager
def answering(answer: Callable[[dict[str, Any]], tuple[int, Any]]) -> Iterator[str]:
    """Somebody else's server, that answers every POST as told."""

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: Any) -> None: ...

        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            status, said = answer(asked)
            body = said.encode() if isinstance(said, str) else json.dumps(said).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            with suppress(BrokenPipeError):
                self.wfile.write(body)

    with running(ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as url:
        yield url


def choices(row: dict[str, Any]) -> Callable[[dict[str, Any]], tuple[int, Any]]:
    def answer(asked: dict[str, Any]) -> tuple[int, Any]:
        n = len(asked["prompt"]) if isinstance(asked["prompt"][0], list) else 1
        return 200, {"choices": [{"index": i, "text": "look", "finish_reason": "stop", **row} for i in range(n)]}

    return answer


@pytest.mark.parametrize(
    ("answer", "mode", "fault"),
    [
        (choices({}), "generate", "no `token_ids` come back"),
        (choices({"token_ids": [9, 8]}), "generate", "2 sampled ids come with 0 log-probabilities"),
        (
            choices({"token_ids": [9], "logprobs": {"token_logprobs": [-1.0]}}),
            "generate",
            "ended after 1 of 96 tokens without the stop id",
        ),
        (choices({"logprobs": {"top_logprobs": [{"look": -1.0}]}}), "choose", "does not score the ids"),
        (lambda _: (200, {"choices": []}), "generate", "1 prompts got 0 choices"),
        (lambda _: (200, "<html>"), "generate", "no JSON object but '<html>'"),
        (lambda _: (500, {"error": {"message": "the card\nfell off"}}), "generate", "500 the card fell off"),
        (lambda _: (404, {"detail": "Not Found"}), "generate", "404 Not Found"),
        (lambda _: (503, "busy"), "choose", "503 busy"),
    ],
)
def test_what_a_server_does_wrong_is_said_in_a_line(small_tiny: Path, answer: Any, mode: str, fault: str) -> None:
    with answering(answer) as url, pytest.raises(ServerError, match=fault) as caught:
        play(served(small_tiny, url, mode=mode))
    assert url in str(caught.value) and "\n" not in str(caught.value)


def test_a_slow_server_and_none_at_all_are_said_and_a_passing_fault_is_tried_again(small_tiny: Path) -> None:
    slow = answering(lambda _: (time.sleep(0.6), (200, {}))[1])
    with slow as url, pytest.raises(ServerError, match=r"no answer within 0.1 s"):
        Server(url, timeout_s=0.1).complete([{"prompt": [1]}])
    with pytest.raises(ServerError, match=r"no connection \(.*refused"):
        Server("http://127.0.0.1:9/v1", attempts=2, pause_s=0.01).models()
    left = iter([(503, "busy"), (429, "busy"), (200, {"choices": [{"index": 0}]})])
    with answering(lambda _: next(left)) as url:
        assert Server(url, pause_s=0.01).complete([{"prompt": [1]}]) == [[{"index": 0}]]
    for wrong in ("127.0.0.1:8000", "http://127.0.0.1:8000"):
        with pytest.raises(ValueError, match="write it as http://HOST:PORT/v1"):
            Server(wrong)


@pytest.mark.parametrize(
    ("path", "body", "status", "fault"),
    [
        ("completions", {"model": "large", "prompt": [1]}, 404, "this server has tiny"),
        ("completions", {"prompt": [10**6]}, 400, "ids below"),
        ("completions", {"prompt": []}, 400, "none of them empty"),
        ("completions", {"prompt": "look", "top_p": 0.5}, 400, "top_p=0.5: this server takes 1"),
        ("completions", {"prompt": "look", "stop": ["x"]}, 400, "stop="),
        ("completions", {"prompt": "look", "temperature": "hot"}, 400, "temperature='hot': needs a number"),
        ("completions", {"prompt": "look", "seed": 0.5}, 400, "seed=0.5: needs a number"),
        ("completions", {"prompt": "look", "logprobs": 1, "logprob_token_ids": [-1]}, 400, "logprob_token_ids: needs"),
        ("completions", {"prompt": [5] * 5000}, 400, "a prompt of 5000 tokens: the model reads 4096"),
        ("load_lora_adapter", {"lora_name": "a", "lora_path": "/"}, 403, "--folders"),
        ("unload_lora_adapter", {"lora_name": "tiny"}, 404, "has none"),
        ("chat/completions", {"messages": [{"role": "user", "content": "x"}]}, 404, "the paths are"),
    ],
)
def test_our_server_says_what_it_does_not_do(
    address: str, path: str, body: dict[str, Any], status: int, fault: str
) -> None:
    asked = urllib.request.Request(f"{address}/{path}", json.dumps(body).encode())
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(asked)
    assert caught.value.code == status and fault in json.loads(caught.value.read())["error"]["message"]


def test_our_server_completes_texts_as_the_protocol_has_it(address: str) -> None:
    [[row]] = Server(address).complete([{"prompt": "look", "max_tokens": 3, "logprobs": 2, "temperature": 0}])
    assert row["finish_reason"] in ("stop", "length") and "token_ids" not in row
    assert len(row["logprobs"]["tokens"]) == len(row["logprobs"]["token_logprobs"]) <= 3
    for word, logp, top in zip(
        *(row["logprobs"][k] for k in ("tokens", "token_logprobs", "top_logprobs")), strict=True
    ):
        assert len(top) == 2 and top[word] == logp == max(top.values())


def test_long_prompts_that_share_little_are_read_one_by_one_with_the_same_logits(small_tiny: Path) -> None:
    loaded = load(str(small_tiny))
    rng = np.random.default_rng(0)
    prompts = [[5, *rng.integers(4, 60, 300).tolist()] for _ in range(3)]
    short = [p[:40] for p in prompts]
    reader = _Reader(loaded.model, loaded.renderer)
    for some in (prompts, short):
        with torch.no_grad():
            alone = torch.cat([loaded.model(torch.tensor([p])).logits[:, -1] for p in some])
        assert torch.allclose(reader.next(some), alone.float(), atol=1e-3)
