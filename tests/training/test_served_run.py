"""A run whose tokens a server generates: the run that one process makes, with the weights pushed as they change."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from agentgym.agents.complete import Completions
from agentgym.agents.models import load
from agentgym.agents.policy import Policy
from agentgym.agents.serve import running, server
from agentgym.agents.served import Server, ServerError
from agentgym.envs import make
from agentgym.memory import memory_maker
from agentgym.memory.store import read
from agentgym.memory.trajectory import Trajectory
from agentgym.training.play import evaluate
from agentgym.training.rollout import rollout
from agentgym.training.served import Served, digest
from agentgym.training.student import Student
from agentgym.training.train import train

SMALL = {
    "filtered-bc.demonstrations": "8", "filtered-bc.epochs": "2", "filtered-bc.iterations": "1",
    "filtered-bc.episodes": "6", "filtered-bc.later": "1", "env.max_steps": "6", "eval.valid": "3", "eval.test": "0",
}  # fmt: skip


@contextmanager
def hosting(completions: Completions) -> Iterator[str]:
    with running(server(None, completions.name, port=0, completions=completions)) as at:
        yield at


def of(model: Path | str, kind: type[Completions] = Completions, folders: bool = True) -> Completions:
    return kind("base", load(str(model)), folders=folders)


def assert_same(some: list[Trajectory], others: list[Trajectory], gap: float = 1e-4) -> None:
    assert [t.actions for t in some] == [t.actions for t in others]
    for a, b in zip((s for t in some for s in t.steps), (s for t in others for s in t.steps), strict=True):
        assert (a.context_ids, a.token_ids, a.fresh) == (b.context_ids, b.token_ids, b.fresh)
        assert a.logprob == pytest.approx(b.logprob, abs=gap)


def play(agent: Policy, steps: int = 4) -> list[Trajectory]:
    tasks = make("alfworld").tasks("train")[:3]
    return rollout(lambda: make("alfworld", max_steps=steps), agent, memory_maker("full"), tasks, env_id="alfworld")


def shake(student: Student, by: float) -> None:
    with torch.no_grad(), torch.random.fork_rng():
        torch.manual_seed(7)
        for p in student.model.parameters():
            if p.requires_grad:
                p += by * torch.randn_like(p)


def test_a_run_behind_a_server_is_the_run_of_one_process(small_tiny: Path, tmp_path: Path) -> None:
    plain: dict[str, Any] = {
        "method": "filtered-bc",
        "model": str(small_tiny),
        "settings": SMALL,
        "say": lambda _: None,
    }
    host = of(small_tiny)
    with hosting(host) as url:
        there = train(**plain, out=tmp_path / "there", server=url)
    here = train(**plain, out=tmp_path / "here")
    names = sorted(f.name for f in (here / "trajectories").iterdir())
    assert "01-train.jsonl.zst" in names and "01-eval-valid.jsonl.zst" in names
    for name in names:
        assert_same(read(there / "trajectories" / name)[0], read(here / "trajectories" / name)[0])
    one, two = (json.loads((r / "result.json").read_text())["iterations"] for r in (there, here))
    assert [r["eval"]["valid"]["success"] for r in one] == [r["eval"]["valid"]["success"] for r in two]
    assert json.loads((there / "config.json").read_text())["server"] == url
    last = Student.of(str(small_tiny), there / "checkpoints" / "01")
    [folder] = (there / "served").iterdir()  # of all that were pushed the last alone is kept, here and there
    assert folder.name.endswith(digest(last.model)) and host.names == ["base", folder.name]


def test_what_a_run_has_trained_is_evaluated_through_a_server_beside_a_run_that_trains_on_it(
    small_tiny: Path, tmp_path: Path
) -> None:
    run = train(method="filtered-bc", model=str(small_tiny), settings=SMALL, out=tmp_path / "run", say=lambda _: None)
    host, (there, here) = of(small_tiny), ([], [])  # type: ignore[var-annotated]
    with hosting(host) as url:
        Served(Server(url), Student.of(str(small_tiny), run / "checkpoints" / "01"), run).publish()
        training = list(host.names)
        evaluate(agent_name=str(run), split="valid", episodes=3, keep=there.extend, server=url)
        assert [n for n in host.names if n in training] == training and len(host.names) == len(training) + 1
        for name in ("searcher", str(small_tiny)):
            with pytest.raises(ValueError, match=f"--server {url}: agent '{name}' is no run's directory"):
                evaluate(agent_name=name, server=url)
    evaluate(agent_name=str(run), split="valid", episodes=3, keep=here.extend)
    assert_same(there, here)
    assert (run / "served-eval").is_dir()


ONE_ROUND = {
    "grpo": {"grpo.demonstrations": "6", "grpo.epochs0": "1", "grpo.iterations": "1", "grpo.updates": "2"},
    "leap": {
        "leap.demonstrations": "6", "leap.epochs0": "1", "leap.iterations": "1", "leap.episodes": "4",
        "leap.update_by": "dpo",
    },
}  # fmt: skip


@pytest.mark.parametrize("method", list(ONE_ROUND))
def test_what_reinforces_or_prefers_does_so_through_a_server_too(method: str, small_tiny: Path, tmp_path: Path) -> None:
    settings = ONE_ROUND[method] | {"env.max_steps": "4", "eval.valid": "2", "eval.test": "0"}
    plain: dict[str, Any] = {
        "method": method, "model": str(small_tiny), "settings": settings, "say": lambda _: None,
    }  # fmt: skip
    with hosting(of(small_tiny)) as url:
        there = train(**plain, out=tmp_path / "there", server=url)
    here = train(**plain, out=tmp_path / "here")
    for name in sorted(f.name for f in (here / "trajectories").iterdir()):
        assert_same(read(there / "trajectories" / name)[0], read(here / "trajectories" / name)[0])


def test_weights_that_change_are_pushed_under_another_name_and_act(small_tiny: Path, tmp_path: Path) -> None:
    student = Student.of(str(small_tiny))
    host = of(small_tiny)
    with hosting(host) as url:
        student.served = Served(Server(url), student, tmp_path)
        agent = student.policy()
        before = play(agent)
        first = host.names[1:]
        assert_same(play(agent), before)
        assert host.names[1:] == first  # nothing changed, nothing is pushed
        shake(student, 0.02)
        after = play(agent)
        assert len(host.names) == 2 and host.names[1:] != first
    assert [s.logprob for t in after for s in t.steps] != [s.logprob for t in before for s in t.steps]
    student.served = None
    assert_same(after, play(student.policy()))


@pytest.mark.parametrize("mode", ["choose", "generate"])
def test_adapters_are_pushed_and_act(small_chat: Path, tmp_path: Path, mode: Any) -> None:
    student = Student.of(str(small_chat), mode=mode)
    assert student.adapted
    with hosting(of(small_chat)) as url:
        student.served = Served(Server(url), student, tmp_path)
        base = play(student.policy(), steps=2)
        shake(student, 0.1)
        there = play(student.policy(), steps=2)
        [folder] = (tmp_path / "served").iterdir()
        assert (folder / "adapter_config.json").is_file() and (folder / "adapter_model.safetensors").is_file()
    student.served = None
    here = play(student.policy(), steps=2)
    assert [s.logprob for t in there for s in t.steps] != [s.logprob for t in base for s in t.steps]
    # in bfloat16 a prompt read in one pass and one read by and by differ in the third digit of a log-probability
    assert [t.actions for t in there] == [t.actions for t in here]
    ours, theirs = ([s.logprob for t in played for s in t.steps] for played in (here, there))
    assert theirs == pytest.approx(ours, abs=0.5 if mode == "generate" else 0.05)


class Raw(Completions):
    """A server that reports log-probabilities as they are before temperature, vLLM's default."""

    def answer(self, asked: dict[str, Any]) -> dict[str, Any]:
        row = super().answer(asked)
        for choice in row["choices"]:
            ids, reader = [*asked["prompt"], *choice["token_ids"]], self._readers[row["model"]]
            logp = [reader.next([ids[:k]])[0].log_softmax(-1)[ids[k]] for k in range(len(asked["prompt"]), len(ids))]
            choice["logprobs"]["token_logprobs"] = [float(p) for p in logp]
        return row


def test_a_server_that_cannot_serve_the_run_is_said_in_a_line(
    small_tiny: Path, tmp_path: Path, run_cli: Callable[..., tuple[int, str, str]]
) -> None:
    def fault(host: Completions, model: Path | str, mode: Any = "choose") -> str:
        student = Student.of(str(model), mode=mode)
        with hosting(host) as url, pytest.raises(ServerError) as caught:
            Served(Server(url), student, tmp_path).publish()
        assert "\n" not in str(caught.value) and host.names == ["base"]
        return str(caught.value)

    closed = fault(of(small_tiny, folders=False), small_tiny)
    assert "403 loading weights is off" in closed and "be started as: agentgym serve" in closed
    assert "--logprobs-mode processed_logprobs" in fault(of("tiny", Raw), "tiny", "generate")
    out = tmp_path / "run"
    status, _, err = run_cli("train", "--server", "http://127.0.0.1:9/v1", "--out", str(out))
    assert status == 2 and err.startswith("agentgym: http://127.0.0.1:9/v1/models: no connection")
    assert err.count("\n") == 1 and not out.exists()


def test_a_server_of_another_model_is_found_out_though_it_takes_the_weights(small_tiny: Path, tmp_path: Path) -> None:
    class Deaf(Completions):
        """Takes weights, and answers by its own all the same."""

        def load(self, asked: dict[str, Any]) -> str:
            self._readers[asked["lora_name"]] = self._readers[self.name]
            return "Success"

    student = Student.of(str(small_tiny))
    shake(student, 0.2)
    with hosting(of(small_tiny, Deaf)) as url, pytest.raises(ServerError, match="must serve the model that is trained"):
        Served(Server(url), student, tmp_path).publish()


@pytest.mark.skipif("AGENTGYM_VLLM" not in os.environ, reason="AGENTGYM_VLLM names no server of smollm2")
@pytest.mark.parametrize(("mode", "temperature"), [("choose", 1.0), ("generate", 0.0), ("generate", 0.7)])
def test_a_real_vllm_takes_the_adapters_and_keeps_ids_and_log_probabilities(
    tmp_path: Path, mode: Any, temperature: float
) -> None:
    student, remote = Student.of("smollm2", mode=mode), Server(os.environ["AGENTGYM_VLLM"])
    tasks = make("bandit").tasks("train")[:2]

    def pull() -> list[Trajectory]:
        agent = student.policy(temperature)
        agent.max_new_tokens = 12
        make_env = lambda: make("bandit", horizon=3)
        return rollout(make_env, agent, memory_maker("full"), tasks, env_id="bandit", seed=5)

    student.served = Served(remote, student, tmp_path)
    first = student.served.publish()
    shake(student, 0.02)
    try:
        there = pull()
        [name] = [n for n in remote.models() if n.startswith(first.rpartition("-")[0])]
        assert name != first
    finally:
        remote.unload(student.served.publish())
    student.served, gaps = None, list[float]()
    for t in there:
        read: list[int] = []
        for s in t.steps:
            read = list(s.context_ids) if s.fresh else read + list(s.context_ids)
            ids = [*s.token_ids, *([student.renderer.stop] if mode == "generate" and len(s.token_ids) < 12 else [])]
            with torch.no_grad():
                logits = student.model(torch.tensor([[*read, *ids]])).logits[0, len(read) - 1 : -1].float()
            logp = torch.log_softmax(logits / (temperature or 1), -1).gather(1, torch.tensor(ids)[:, None])
            gaps.append(abs(float(logp.sum()) - float(s.logprob or 0)) / len(ids))
            read += s.token_ids
    if mode == "choose":
        here = pull()
        assert [t.actions for t in there] == [t.actions for t in here]
        pairs = [(a, b) for t, u in zip(there, here, strict=True) for a, b in zip(t.steps, u.steps, strict=True)]
        gaps = [abs(float(a.logprob or 0) - float(b.logprob or 0)) for a, b in pairs]
    print(
        f"{mode}, temperature {temperature}: {len(gaps)} replies, gap {sum(gaps) / len(gaps):.4f}, at most {max(gaps):.4f}"
    )
    assert sum(gaps) / len(gaps) < 0.05
