"""Runs: reproducible, resumable, and honest about what they cannot do."""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from agentgym.agents.core import Decision
from agentgym.agents.scripted import RandomAgent
from agentgym.agents.teachers import retrace
from agentgym.envs import Unknown, WorldDied, make
from agentgym.envs.alfworld import AlfworldEnv
from agentgym.memory import memory_maker
from agentgym.memory.store import write
from agentgym.training.anchors import anchors
from agentgym.training.evaluate import mean_ci, summary, wilson
from agentgym.training.examples import keep, own_actions
from agentgym.training.lab import Lab
from agentgym.training.methods import METHODS
from agentgym.training.methods.hir import hindsight
from agentgym.training.play import usual
from agentgym.training.pretrain import Pretraining
from agentgym.training.reinforce import weights
from agentgym.training.report import write_report
from agentgym.training.rollout import replay, rollout
from agentgym.training.run import RunDir
from agentgym.training.sequences import Reply, build
from agentgym.training.student import Student
from agentgym.training.train import configure, train

SMALL = {
    "leap.demonstrations": "12", "leap.episodes": "6", "leap.iterations": "1", "leap.epochs0": "1", "leap.epochs": "1",
    "env.max_steps": "8", "eval.valid": "4", "eval.test": "4",
}  # fmt: skip
PREFERS = {k: v for k, v in SMALL.items() if k != "leap.epochs"} | {"leap.update_by": "dpo"}


def silent(_: str) -> None:
    pass


def settled(value: Any) -> Any:
    """A result without what a clock wrote."""
    if isinstance(value, dict):
        return {k: settled(v) for k, v in value.items() if k not in ("seconds", "peak_memory_mib")}
    return [settled(v) for v in value] if isinstance(value, list) else value


def start_or_resume(out: Path, model: Path) -> subprocess.Popen[bytes]:
    """A small run in a process of its own, gone on with where it has begun."""
    code = "from pathlib import Path; from agentgym.training.train import train; "
    if (out / "config.json").is_file():
        code += f"train(resume=Path({str(out)!r}))"
    else:
        code += f"train(model={str(model)!r}, out=Path({str(out)!r}), settings={SMALL!r})"
    return subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL)


def result(run: Path) -> Any:
    return settled(json.loads((run / "result.json").read_text()))


@pytest.fixture(scope="module")
def whole(small_tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "whole"
    return train(model=str(small_tiny), out=out, settings=SMALL, say=silent)


def test_the_same_seed_gives_the_same_numbers(whole: Path, small_tiny: Path, tmp_path: Path) -> None:
    again = train(model=str(small_tiny), out=tmp_path / "again", settings=SMALL, say=silent)
    assert result(again) == result(whole)
    other = train(model=str(small_tiny), seed=1, out=tmp_path / "other", settings=SMALL, say=silent)
    assert result(other) != result(whole)


def test_a_run_leaves_a_report_and_episodes_that_replay_byte_for_byte(whole: Path) -> None:
    from agentgym.memory.store import read

    page = (whole / "report.html").read_text()
    assert "<svg" in page and "http://" not in page.replace("http://www.w3.org", "")
    kwargs = RunDir(whole).config()["env_kwargs"]
    for file in sorted((whole / "trajectories").glob("*.zst")):
        trajectories, lost = read(file)
        assert lost == 0 and trajectories
        assert all(replay(make("alfworld", **kwargs), t) == [] for t in trajectories)


def test_a_run_that_is_killed_at_any_moment_resumes_to_the_same_result(
    whole: Path, small_tiny: Path, tmp_path: Path
) -> None:
    out = tmp_path / "killed"
    for kill_after_files in (2, 5):
        started = start_or_resume(out, small_tiny)
        end = time.monotonic() + 120
        while started.poll() is None and time.monotonic() < end:
            if len(list(out.glob("*/*"))) >= kill_after_files:
                os.kill(started.pid, signal.SIGKILL)
            time.sleep(0.01)
        started.wait()
    train(resume=out, say=silent)
    assert result(out) == result(whole)
    rows = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert rows == [json.loads(line) for line in (whole / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.slow
def test_ten_kills_at_random_moments_lose_nothing(whole: Path, small_tiny: Path, tmp_path: Path) -> None:
    from agentgym.memory.store import read

    rng = random.Random(0)
    begin = time.monotonic()
    start_or_resume(tmp_path / "0", small_tiny).wait()
    longest = time.monotonic() - begin
    kills, run = 0, 1
    while kills < 10:
        started = start_or_resume(tmp_path / str(run), small_tiny)
        with contextlib.suppress(subprocess.TimeoutExpired):
            started.wait(rng.uniform(0.3 * longest, longest))
        if started.poll() is None:
            started.kill()
            started.wait()
            kills += 1
            for file in (tmp_path / str(run)).glob("trajectories/*.zst"):
                assert read(file)[1] == 0
        else:
            assert result(tmp_path / str(run)) == result(whole)
            run += 1
    if (tmp_path / str(run) / "config.json").is_file():
        assert result(train(resume=tmp_path / str(run), say=silent)) == result(whole)


def test_every_method_runs_and_dpo_goes_through_trl(
    small_tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for method in ("bc", "dagger"):
        settings = {k.replace("leap.", f"{method}."): v for k, v in SMALL.items()}
        if method == "bc":
            settings = {
                k: v
                for k, v in settings.items()
                if k in ("bc.demonstrations", "env.max_steps", "eval.valid", "eval.test")
            }
        done = train(method=method, model=str(small_tiny), out=tmp_path / method, settings=settings, say=silent)
        assert result(done)["iterations"][-1]["eval"]["test"]["episodes"] == 4
    dpo = train(model=str(small_tiny), out=tmp_path / "dpo", settings=PREFERS, say=silent)
    assert result(dpo)["iterations"][-1]["fit"]["pairs"] > 0
    assert capsys.readouterr().out == ""  # stdout belongs to --json


def test_adapters_are_preferred_round_after_round(small_chat: Path, tmp_path: Path) -> None:
    own = {"leap.iterations": "2", "leap.pairs": "8", "leap.episodes": "4"}
    done = train(model=str(small_chat), out=tmp_path / "run", settings=PREFERS | own, say=silent)
    assert [k["fit"]["steps"] for k in result(done)["iterations"][1:]] == [1.0, 1.0]
    assert [p.name for p in (done / "checkpoints" / "02").iterdir() if p.is_dir()] == []  # TRL's own copy is none of it


def test_round_0_of_every_method_is_the_same_and_can_be_taken_over(
    whole: Path, small_tiny: Path, tmp_path: Path
) -> None:
    settings = {k.replace("leap.", "bc."): v for k, v in SMALL.items()} | {"bc.epochs": "1"}
    for k in ("bc.episodes", "bc.iterations", "bc.epochs0"):
        settings.pop(k)
    done = train(method="bc", model=str(small_tiny), out=tmp_path / "bc", settings=settings, say=silent)
    assert result(done)["iterations"] == result(whole)["iterations"][:1]
    other = RunDir.create(tmp_path / "other", configure("alfworld", "leap", str(small_tiny), "full", 0, SMALL, False))
    other.adopt(RunDir(whole), 0)
    assert result(train(resume=other.path, say=silent))["iterations"] == result(whole)["iterations"]


def test_a_run_whose_loss_diverges_names_the_round_and_its_last_good_checkpoint(whole: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(whole, tmp_path / "run"))
    shutil.rmtree(run / "checkpoints" / "01")
    for file in (run / "iterations").glob("01*"):
        file.unlink()
    config = json.loads((run / "config.json").read_text())
    config["hyper"] |= {"lr": 1e30, "epochs": 4.0}
    (run / "config.json").write_text(json.dumps(config))
    with pytest.raises(
        FloatingPointError, match=r"round 1: .* at step \d.*suspects.*good checkpoint is .*checkpoints/00"
    ):
        train(resume=run, say=silent)


def test_another_configuration_in_the_same_directory_is_refused(whole: Path, small_tiny: Path) -> None:
    with pytest.raises(ValueError, match="that run has seed=0, not 5"):
        train(model=str(small_tiny), seed=5, out=whole, settings=SMALL, say=silent)


def test_a_resumed_run_is_not_silently_another_one(whole: Path, tmp_path: Path) -> None:
    for given, fault in (
        ({"settings": {"leap.iterations": "5"}}, "takes no --set leap.iterations=5"),
        ({"seed": 9, "method": "bc"}, "takes no --method bc, --seed 9"),
        ({"quick": True}, "takes no --quick True"),
        ({"out": tmp_path}, "takes no --out"),
    ):
        with pytest.raises(ValueError, match=fault):
            train(resume=whole, say=silent, **given)  # type: ignore[arg-type]
    assert train(method="leap", resume=whole, say=silent) == whole


def test_a_run_plays_its_own_world_unless_told_otherwise(whole: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = RunDir(whole).config()
    own = ("alfworld", config["env_kwargs"], config["memory"])
    assert config["env_kwargs"] and usual(str(whole), None, None) == usual(str(whole), "alfworld", None) == own
    assert usual(str(whole / "checkpoints" / "00"), None, "window:1") == (*own[:2], "window:1")
    assert usual(str(whole), "webshop", None) == ("webshop", {}, config["memory"])
    monkeypatch.chdir(whole)  # a name is no path: where one stands says nothing of who plays
    assert usual("searcher", None, None) == ("alfworld", {}, "full")


def test_a_run_that_is_stopped_names_itself_not_the_newest_folder(small_tiny: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "agentgym.cli", "train", "--model", str(small_tiny)]
    running = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    assert running.stderr is not None
    begun = next(line for line in running.stderr if line.startswith("run "))
    path = begun.split(":")[0].removeprefix("run ")
    (tmp_path / "runs" / "newer").mkdir()
    running.send_signal(signal.SIGINT)
    said = running.stderr.read().splitlines()
    assert running.wait() == 130 and said[-1] == f"stopped; go on with: agentgym train --resume {path}"
    assert (tmp_path / path / "config.json").is_file()


@pytest.mark.parametrize("text", ["{}", "[project]", "[1]"])
def test_a_config_that_is_no_runs_is_named(text: str, run_cli: Any, tmp_path: Path) -> None:
    (tmp_path / "other.json").write_text(text)
    code, _, said = run_cli("train", "--config", str(tmp_path / "other.json"))
    assert code == 2 and said.strip().endswith("other.json: this is no config.json of a run")


def test_a_pretraining_of_nothing_is_refused_before_anything_is_played(run_cli: Any, tmp_path: Path) -> None:
    code, _, said = run_cli("pretrain", "--steps", "0", "--out", str(tmp_path / "base"))
    assert (code, said.strip()) == (2, "agentgym: pretraining: steps=0: needs at least 1")
    with pytest.raises(ValueError, match="episodes=200: needs at least 201"):
        Pretraining(episodes=200)
    assert not (tmp_path / "base").exists()


def test_a_run_needs_a_split_that_judges_it() -> None:
    for settings, fault in (
        ({"eval.valid": "0", "eval.test": "0"}, "nothing is left to judge the rounds by"),
        ({"eval.test": "-5"}, "eval.test=-5: needs at least 0"),
    ):
        with pytest.raises(ValueError, match=fault):
            configure("alfworld", "bc", "tiny", "full", 0, settings, False)


class Fragile(AlfworldEnv):
    """A house that falls down when somebody looks around; nobody may look twice."""

    def _act(self, action: str) -> Any:
        if action == "look":
            raise WorldDied("the roof came down")
        return super()._act(action)


class Looks:
    """Goes to the first place, then looks around."""

    name = "looks"

    def act(self, turns: Any) -> list[Decision]:
        return [Decision("look" if t.t else t.admissible[0]) for t in turns]


def test_who_plays_an_episode_again_leaves_out_what_killed_its_world() -> None:
    env = Fragile()
    died = rollout(Fragile, Looks(), memory_maker("full"), env.tasks("train")[:1], env_id="alfworld")[0]
    assert "died" in died.meta and died.actions[-1] == "look" and len(died.steps) == 2
    assert len(retrace(env, died)) == len(anchors(env, died)) == 2
    assert hindsight(env, died) is None


def test_rounds_that_are_gone_are_not_taken_for_empty_ones(whole: Path, tmp_path: Path) -> None:
    run = RunDir(shutil.copytree(whole, tmp_path / "run"))
    run.part("trajectories", "00-train.jsonl.zst").unlink()
    for part in ("iterations/01.json", "result.json"):
        (run.path / part).unlink()
    with pytest.raises(FileNotFoundError, match="00-train.jsonl.zst: the episodes of an earlier round are gone"):
        train(resume=run.path, say=silent)


def test_rounds_that_are_damaged_are_not_trained_on(whole: Path, tmp_path: Path) -> None:
    run = RunDir(shutil.copytree(whole, tmp_path / "run"))
    file = run.part("trajectories", "00-train.jsonl.zst")
    file.write_bytes(file.read_bytes()[:-7])
    for part in ("iterations/01.json", "result.json"):
        (run.path / part).unlink()
    with pytest.raises(ValueError, match=r"00-train.jsonl.zst: \d+ bytes are damaged, \d+ episodes are left"):
        train(resume=run.path, say=silent)


def test_demonstrations_that_nobody_won_are_an_error_and_fewer_are_told(small_tiny: Path, tmp_path: Path) -> None:
    settings = {"bc.demonstrations": "20", "eval.valid": "0", "eval.test": "2"}
    with pytest.raises(ValueError, match="the oracle won none of 20 train tasks: raise env.max_steps"):
        train(
            method="bc",
            model=str(small_tiny),
            out=tmp_path / "none",
            settings=settings | {"env.max_steps": "2"},
            say=silent,
        )
    said: list[str] = []
    some = settings | {"env.max_steps": "6", "bc.epochs": "1"}
    train(method="bc", model=str(small_tiny), out=tmp_path / "some", settings=some, say=said.append)
    assert any(re.fullmatch(r"  demonstrate: 1\d of the 20 demonstrations that were asked for", line) for line in said)


def test_steps_behind_the_longest_sequence_are_told(small_tiny: Path, tmp_path: Path) -> None:
    said: list[str] = []
    settings = {
        "bc.demonstrations": "12", "bc.epochs": "1", "run.max_tokens": "200", "eval.valid": "0", "eval.test": "2",
    }  # fmt: skip
    train(method="bc", model=str(small_tiny), out=tmp_path / "run", settings=settings, say=said.append)
    assert any(
        re.fullmatch(r"  \d+ steps lie behind the 200 tokens of a sequence and are not learned.*", s) for s in said
    )


@pytest.mark.parametrize(
    ("method", "settings", "fault"),
    [
        ("leap", {"privilege": "2"}, "leap.privilege=2.0: needs a share"),
        ("leap", {"temperature": "-1"}, "leap.temperature=-1.0: needs at least 0"),
        (
            "leap",
            {"teacher": "self", "privilege": "0.5"},
            "leap.privilege=0.5: nothing reads it with leap.teacher=self",
        ),
        ("hir", {"temperature": "-1"}, "hir.temperature=-1.0: needs at least 0"),
        ("oreo", {"alpha": "-1"}, "oreo.alpha=-1.0: needs at least 0"),
        ("digiq", {"most": "0"}, "digiq.most=0: needs at least 1"),
        (
            "digiq",
            {"extract": "success", "quantile": "0.5"},
            "digiq.quantile=0.5: nothing reads it with digiq.extract=s",
        ),
        ("digiq", {"features": "hashed", "layer": "1"}, "digiq.layer=1: nothing reads it with digiq.features=hashed"),
        ("leap", {"beta": "0.2"}, "leap.beta=0.2: nothing reads it with leap.update_by=sft"),
        ("leap", {"update_by": "dpo", "mix": "whole"}, "leap.mix=whole: nothing reads it with leap.update_by=dpo"),
        ("grpo", {"gamma": "0.9"}, "grpo.gamma=0.9: nothing reads it with grpo.step_weight=0.0"),
        ("bc", {"lr": "-1"}, "bc.lr=-1.0: needs at least 0"),
        ("leap", {"update_by": "dpo", "dpo_lr": "-1"}, "leap.dpo_lr=-1.0: needs at least 0"),
    ],
)
def test_settings_that_mean_nothing_are_refused_at_once(method: str, settings: dict[str, str], fault: str) -> None:
    with pytest.raises(ValueError, match=re.escape(fault)):
        configure("alfworld", method, "tiny", "full", 0, {f"{method}.{k}": v for k, v in settings.items()}, False)


def test_the_hundredth_round_comes_last(tmp_path: Path) -> None:
    run = RunDir.create(tmp_path / "run", {"env": "alfworld"})
    for k in (0, 1, 10, 11, 99, 100):
        run.checkpoint(k, lambda folder: None)
        run.finish_iteration(k, {"iteration": k})
    assert [r["iteration"] for r in run.iterations()] == [0, 1, 10, 11, 99, 100] and run.latest().name == "100"


def test_a_report_names_a_teacher_where_there_was_one_and_escapes_what_it_is_given(whole: Path, tmp_path: Path) -> None:
    assert "What the teacher said" in (whole / "report.html").read_text()
    run = RunDir(shutil.copytree(whole, tmp_path / "run"))
    config = run.config() | {"env": "a<b>.py:E"}
    (run.path / "config.json").write_text(json.dumps(config))
    own = [keep(t, own_actions(t)) for t in run.trajectories("01-train", list)]
    write(run.part("trajectories", "01-train.jsonl.zst"), own)
    write_report(run)
    page = (run.path / "report.html").read_text()
    assert "What the teacher said" not in page and "a&lt;b&gt;.py:E" in page and "a<b>" not in page


def test_dagger_refuses_what_only_a_privileged_teacher_would_read() -> None:
    for name, value in (("teacher", "self"), ("privilege", "1.0"), ("hint", "yes"), ("trust", "no")):
        with pytest.raises(ValueError, match=f"dagger.{name}=.*: the searching expert teaches here"):
            configure("alfworld", "dagger", "tiny", "full", 0, {f"dagger.{name}": value}, False)


@pytest.mark.parametrize("method", ["leap", "dagger", "awr", "iql", "oreo", "dpo", "grpo", "filtered-bc"])
def test_impossible_amounts_are_refused_before_anything_is_played(method: str) -> None:
    epochs = "epochs" if method == "filtered-bc" else "epochs0"
    for name, value, fault in (("iterations", "-1", "needs at least 0"), (epochs, "0", "needs to be positive")):
        with pytest.raises(ValueError, match=f"{method}.{name}=.*{fault}"):
            configure("alfworld", method, "tiny", "full", 0, {f"{method}.{name}": value}, False)


def test_a_rate_of_0_changes_nothing_and_few_preferences_do(small_tiny: Path) -> None:
    student = Student.of(str(small_tiny))
    before = weights(student.model)
    rows = [build([Reply((5, 6), (), (7, 8))], 2)]
    student.fit(rows, np.random.default_rng(0), epochs=1, lr=0.0)
    assert all(torch.equal(p, before[name]) for name, p in weights(student.model).items())
    student.prefer([{"prompt": "look", "chosen": " go to desk 1", "rejected": " take pen 1"}], 0, beta=0.1, lr=1e-3)
    assert not all(torch.equal(p, before[name]) for name, p in weights(student.model).items())


@pytest.mark.parametrize("method", ["leap", "dpo"])
def test_a_round_without_preferences_leaves_the_student_as_it_is(method: str, whole: Path, small_tiny: Path) -> None:
    student = Student.of(str(small_tiny))
    lab = Lab("alfworld", {}, "full", 0, student, RunDir(whole), {}, say=silent)
    won = [keep(t, own_actions(t)) for t in RunDir(whole).trajectories("00-train", list)]
    made = METHODS[method](**({"update_by": "dpo"} if method == "leap" else {}))
    assert made.update(lab, 1, [won, won])["pairs"] == 0


def test_rounds_can_weigh_the_same_over_the_whole_fit(whole: Path, small_tiny: Path) -> None:
    data = [RunDir(whole).trajectories(f"0{k}-train", list) for k in (0, 1)]
    assert all(data)

    def fitted(mix: str) -> torch.Tensor:
        student = Student.of(str(small_tiny))
        student.step_tokens = 1  # a sequence a step, so that within a batch all weigh the same
        lab = Lab("alfworld", {}, "full", 0, student, RunDir(whole), {}, say=silent)
        METHODS["leap"](mix=mix, epochs=0.5).update(lab, 1, data)
        return torch.cat([p.flatten() for p in weights(student.model).values()])

    assert torch.equal(fitted("batch"), fitted("batch")) and not torch.equal(fitted("batch"), fitted("whole"))


def test_settings_are_typed_and_unknown_ones_name_the_nearest() -> None:
    config = configure("alfworld", "leap", "tiny", "full", 0, {"leap.iterations": "2", "env.max_steps": "9"}, False)
    assert (config["hyper"]["iterations"], config["env_kwargs"]) == (2, {"max_steps": 9})
    for settings, fault in (
        ({"leap.iteratons": "2"}, "did you mean 'leap.iterations'"),
        ({"env.gams": "x"}, "did you mean 'env.games'"),
        ({"nothing": "2"}, "is unknown"),
    ):
        with pytest.raises(Unknown, match=fault):
            configure("alfworld", "leap", "tiny", "full", 0, settings, False)
    with pytest.raises(ValueError, match="leap.iterations='two': needs a int"):
        configure("alfworld", "leap", "tiny", "full", 0, {"leap.iterations": "two"}, False)
    with pytest.raises(ValueError, match="choose one of oracle, self, model"):
        configure("alfworld", "leap", "tiny", "full", 0, {"leap.teacher": "nobody"}, False)


def test_a_checkpoint_of_another_model_is_refused(whole: Path, small_tiny: Path, tmp_path: Path) -> None:
    from agentgym.training.student import Student

    copy = tmp_path / "copy"
    subprocess.run(["cp", "-r", str(small_tiny), str(copy)], check=True)
    with pytest.raises(ValueError, match="a checkpoint of model"):
        Student.of(str(copy), RunDir(whole).latest())


def test_rollouts_do_not_depend_on_the_batch() -> None:
    tasks = make("alfworld").tasks("train")[:7]
    runs = [
        rollout(
            lambda: make("alfworld", max_steps=9),
            RandomAgent(),
            memory_maker("full"),
            tasks,
            env_id="alfworld",
            batch=b,
        )
        for b in (1, 3, 64)
    ]
    assert runs[0] == runs[1] == runs[2]


def test_a_changed_episode_does_not_replay() -> None:
    from dataclasses import replace

    env = make("alfworld", max_steps=6)
    [t] = rollout(
        lambda: make("alfworld", max_steps=6), RandomAgent(), memory_maker("full"), env.tasks("train")[:1], env_id="a"
    )
    assert replay(env, t) == []
    assert replay(env, replace(t, final="else")) == ["the final observation differs"]


def test_intervals_are_right() -> None:
    assert wilson(0, 10) == pytest.approx((0.0, 0.2775), abs=1e-4)
    assert wilson(134, 134)[0] == pytest.approx(0.972, abs=1e-3)
    assert mean_ci([0.0, 2.0])["ci95"] == pytest.approx([-0.96, 2.96], abs=0.01)
    with pytest.raises(ValueError, match="no episodes"):
        summary([], split="test", split_hash="", seconds=0)
