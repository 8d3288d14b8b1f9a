"""More than one process, and less memory than one would like: the numbers stay what they were."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from concurrent.futures import Future
from pathlib import Path

import numpy as np
import pytest
import torch
from agentgym.agents.models import load
from agentgym.agents.scripted import RandomAgent
from agentgym.envs import make
from agentgym.memory import memory_maker
from agentgym.memory.store import read
from agentgym.memory.trajectory import Trajectory
from agentgym.training import update
from agentgym.training.crew import Crew, Played, play_share
from agentgym.training.lab import Lab
from agentgym.training.limits import OutOfMemory, memory_for
from agentgym.training.methods import METHODS
from agentgym.training.methods.digiq import Proposer
from agentgym.training.play import evaluate
from agentgym.training.rollout import rollout
from agentgym.training.run import RunDir
from agentgym.training.sequences import Example
from agentgym.training.student import Student
from agentgym.training.train import configure

CASES = """
import numpy as np, torch
from agentgym.training.sequences import Reply, build

def words(n):
    return tuple(rng.integers(4, 60, n).tolist())

rng = np.random.default_rng(0)
cases = [build([Reply(words(n), words(9), words(5), 1 + n % 3)], 2) for n in rng.integers(300, 700, 25).tolist()]
"""
FIT = (
    CASES
    + """
import json, sys
from agentgym.training.processes import lead
from agentgym.training.student import Student

torch.cpu._is_amx_tile_supported = lambda: False  # a processor that sums in float32

def work():
    student, losses = Student.of(sys.argv[1]), []
    student.on_step = lambda row: losses.append(row["loss"])
    for again in range(2):
        student.fit(cases, np.random.default_rng(again), epochs=1, lr=3e-3)
        if not again and len(sys.argv) > 2:
            rows = [{"prompt": "look", "chosen": f" go to {n}", "rejected": f" take {n}"} for n in range(24)]
            losses.append(student.prefer(rows, 0, beta=0.1, lr=1e-3)["loss"])
    return losses

print(json.dumps(lead(work)))
"""
)
SHORT = (
    CASES
    + """
import re, resource, sys
from agentgym.agents.models import load
from agentgym.training import update
from agentgym.training.limits import OutOfMemory

model = load(sys.argv[1]).model
mapped = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (mapped + 250 * 2**20,) * 2)
most = None
for _ in range(9):
    try:
        update.fit(model, cases * 4, epochs=1, lr=1e-3, batch_tokens=10**6, rng=rng, bf16=False, pass_tokens=most)
        break
    except OutOfMemory as error:
        print(error)
        most = int(re.search(r"run.pass_tokens=(\\d+)", str(error))[1])
print("fits", most)
"""
)


def start(code: str, *args: str, **env: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code, *args], stdout=subprocess.PIPE, text=True, env=os.environ | env
    )  # fmt: skip


def cases() -> list[Example]:
    made: dict[str, list[Example]] = {}
    exec(CASES, made)
    return made["cases"]


@pytest.mark.parametrize("also", [(), pytest.param(("dpo",), marks=pytest.mark.slow, id="dpo")])
def test_two_processes_have_the_loss_curve_of_one(small_tiny: Path, also: tuple[str, ...]) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    group = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    both = [start(FIT, str(small_tiny), *also, RANK=str(r), LOCAL_RANK=str(r), **group) for r in range(2)]
    alone = json.loads(start(FIT, str(small_tiny), *also).communicate(timeout=300)[0])
    first, second = (json.loads(p.communicate(timeout=300)[0]) for p in both)
    assert first == second == pytest.approx(alone, rel=2e-3)
    assert first[0] == pytest.approx(alone[0], rel=1e-6)
    assert len(alone) > 6 and alone[-1] < 0.9 * alone[0]


def test_passes_change_the_memory_of_a_step_and_not_the_step(small_tiny: Path) -> None:
    def curve(pass_tokens: int | None) -> list[float]:
        losses: list[float] = []
        update.fit(
            load(str(small_tiny)).model, cases(), epochs=1, lr=3e-3, batch_tokens=4096, rng=np.random.default_rng(0),
            bf16=False, pass_tokens=pass_tokens, on_step=lambda row: losses.append(row["loss"]),
        )  # fmt: skip
        return losses

    assert curve(1024) == pytest.approx(curve(None), rel=1e-4)


@pytest.mark.skipif(sys.platform != "linux", reason="a limit on memory that Linux keeps")
def test_out_of_memory_names_a_setting_with_which_there_is_enough(small_tiny: Path) -> None:
    out, _ = start(SHORT, str(small_tiny)).communicate(timeout=300)
    *short, last = out.splitlines()
    assert short and all("out of memory: a fit reads" in line for line in short)
    assert last.startswith("fits ") and last != "fits None"


def test_other_errors_are_left_alone_and_a_rollout_names_its_batch() -> None:
    with pytest.raises(RuntimeError, match="^shape$"), memory_for("a thing", "halve it"):
        raise RuntimeError("shape")

    class Greedy(RandomAgent):
        def act(self, turns):  # type: ignore[no-untyped-def]
            torch.empty(2**60)

    with pytest.raises(
        OutOfMemory, match=r"6 episodes are played at once; for half of it set run.batch=3 \(eval: --batch\)"
    ):
        rollout(
            lambda: make("alfworld"), Greedy(), memory_maker("full"), make("alfworld").tasks("train")[:6],
            env_id="alfworld", batch=6,
        )  # fmt: skip


@pytest.mark.parametrize("lr", [1e30, 30.0])
def test_a_loss_that_diverges_stops_with_its_step_and_the_suspects(small_tiny: Path, lr: float) -> None:
    model = load(str(small_tiny)).model
    with pytest.raises(FloatingPointError, match=r"at step \d+ of \d+; suspects: the learning rate .*gradients"):
        update.fit(model, cases(), epochs=3, lr=lr, batch_tokens=4096, rng=np.random.default_rng(0), bf16=False)


def played(model: Path, workers: int, engine: str = "local") -> list[Trajectory]:
    kept: list[Trajectory] = []
    evaluate(
        "alfworld", str(model), split="train", episodes=7, temperature=1.0, env_kwargs={"max_steps": 5},
        workers=workers, engine=engine, keep=kept.extend,
    )  # fmt: skip
    return kept


def inline(packed: bytes) -> Future[Played]:
    """Play a worker's share here, from the bytes that would be sent to it."""
    done: Future[Played] = Future()
    done.set_result(play_share(packed))
    return done


@pytest.mark.parametrize(("env", "method"), [("device", "digiq"), ("bandit", "evolve"), ("alfworld", "bc")])
def test_a_method_collects_through_workers_what_it_collects_alone(
    env: str, method: str, small_tiny: Path, tmp_path: Path
) -> None:
    settings = {f"{method}.demonstrations": "5", "eval.valid": "0", "eval.test": "2"}
    run = RunDir.create(tmp_path / "run", configure(env, method, str(small_tiny), "full", 0, settings, False))
    config, student = run.config(), Student.of(str(small_tiny))
    made = METHODS[method](**config["hyper"])

    def collected(hands: Crew | None) -> list[Trajectory]:
        lab = Lab(env, config["env_kwargs"], "full", 0, student, run, {}, say=lambda _: None, crew=hands)
        noting = Proposer(student.policy(1.0), 3, 1.2)
        return made.collect(lab, 0) + (lab.play(noting, lab.tasks("train", 3), 1) if env == "device" else [])

    alone, together = collected(None), collected(Crew(2, inline))
    assert_same(together, alone)
    assert [t.meta for t in together] == [t.meta for t in alone]
    assert env != "device" or all(len(t.meta["candidates"]) == len(t.steps) for t in together[-3:])


@pytest.mark.slow
def test_workers_play_the_episodes_of_one_process(small_tiny: Path) -> None:
    assert_same(played(small_tiny, 2), played(small_tiny, 1))


@pytest.mark.slow
def test_two_workers_of_ray_play_the_episodes_of_one_process(small_tiny: Path) -> None:
    pytest.importorskip("ray", reason="Ray is an extra")
    assert_same(played(small_tiny, 2, "ray"), played(small_tiny, 1))


def assert_same(some: list[Trajectory], others: list[Trajectory]) -> None:
    """All that was read, said and done is the same; log-probabilities to what a sum's order leaves."""
    assert len(some) == len(others) > 0
    for one, other in zip(some, others, strict=True):
        assert (one.task, one.goal, one.final, one.seed) == (other.task, other.goal, other.final, other.seed)
        assert one.actions == other.actions
        for a, b in zip(one.steps, other.steps, strict=True):
            assert (a.observation, a.context_ids, a.token_ids) == (b.observation, b.context_ids, b.token_ids)
            assert a.logprob == pytest.approx(b.logprob, abs=1e-4)


def test_what_several_processes_cannot_do_is_said(small_tiny: Path) -> None:
    with pytest.raises(ValueError, match="engine='rai': choose one of local, ray"):
        played(small_tiny, 2, "rai")
    with pytest.raises(ValueError, match="workers=0: needs at least 1"):
        played(small_tiny, 0)
    with pytest.raises(ValueError, match="a team is rolled out in one process"):
        evaluate("overcooked", "oracle", episodes=1, workers=2)


@pytest.mark.slow
def test_accelerate_trains_as_one_process_does_and_one_process_writes(small_tiny: Path, tmp_path: Path) -> None:
    small = ["leap.demonstrations=16", "leap.episodes=6", "leap.iterations=1", "leap.epochs0=2", "leap.epochs=1"]
    words = ["train", "--env", "alfworld", "--method", "leap", "--model", str(small_tiny)]
    words += [w for s in (*small, "env.max_steps=8", "eval.valid=4", "eval.test=4") for w in ("--set", s)]
    launch = ["accelerate.commands.launch", "--cpu", "--num_processes", "2", "--num_machines", "1"]
    launch += ["--mixed_precision", "no", "--dynamo_backend", "no", "-m", "agentgym.cli"]
    for name, with_ in (("one", ["agentgym.cli"]), ("two", launch)):
        done = subprocess.run(
            [sys.executable, "-m", *with_, *words, "--out", str(tmp_path / name)], capture_output=True, text=True,
            timeout=600,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-2000:]
        assert done.stdout.count("from the first row to the last") == 1
    one, two = (
        [json.loads(r) for r in (tmp_path / n / "metrics.jsonl").read_text().splitlines()] for n in ("one", "two")
    )
    assert [(r["iteration"], r["step"]) for r in one] == [(r["iteration"], r["step"]) for r in two]
    first = [r["loss"] for r in one if r["iteration"] == 0]
    assert [r["loss"] for r in two if r["iteration"] == 0] == pytest.approx(first, rel=0.02)
    demonstrations = "trajectories/00-train.jsonl.zst"
    assert read(tmp_path / "one" / demonstrations) == read(tmp_path / "two" / demonstrations)
    assert len(RunDir(tmp_path / "two").iterations()) == 2
