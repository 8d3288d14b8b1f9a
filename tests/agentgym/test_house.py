"""The house: rooms that import only downwards, a package that is complete, a command line that never shows a traceback."""

from __future__ import annotations

import ast
import doctest
import importlib
import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from agentgym.agents.scripted import RandomAgent
from agentgym.envs.errors import at_least
from agentgym.memory.store import by_task
from agentgym.training.play import agent, judged
from agentgym.training.train import train

from agentgym import cli
from agentgym.commands import learn

ROOT = Path(__file__).resolve().parent.parent.parent
FLOORS = ["envs", "memory", "agents", "training", "agentgym"]
Cli = Callable[..., tuple[int, str, str]]


def test_imports_never_go_up() -> None:
    for floor, room in enumerate(FLOORS):
        for file in (ROOT / room).rglob("*.py"):
            depth = len(file.relative_to(ROOT / room).parts)
            for node in ast.walk(ast.parse(file.read_text())):
                if isinstance(node, ast.ImportFrom) and node.level > depth and node.module:
                    other = node.module.split(".")[0]
                    assert FLOORS.index(other) <= floor, f"{file}: {room} imports {other}"


def test_the_package_list_is_complete() -> None:
    tools = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    folders = {
        f"agentgym.{'.'.join(p.parent.relative_to(ROOT).parts)}"
        for r in FLOORS[:-1]
        for p in (ROOT / r).rglob("__init__.py")
    }
    data = {
        "agentgym.agents.weights.tiny", "agentgym.envs.alfworld.data", "agentgym.envs.device.data",
        "agentgym.envs.overcooked.layouts", "agentgym.envs.webshop.data",
    }  # fmt: skip
    assert set(tools["packages"]) == folders | data | {"agentgym", "agentgym.commands"}
    assert set(tools["package-dir"]) == set(tools["packages"])
    for package, patterns in tools["package-data"].items():
        folder = ROOT / tools["package-dir"][package]
        assert all(list(folder.glob(p)) for p in patterns), package


def test_the_base_weights_ship_with_their_record_and_are_small() -> None:
    folder = ROOT / "agents" / "weights" / "tiny"
    assert (folder / "model.safetensors").stat().st_size <= 10_000_000
    record = json.loads((folder / "pretraining.json").read_text())
    assert {"plan", "split_hash", "data_sha256", "curve"} <= set(record)
    assert record["split"] == "train"


def test_every_example_in_a_docstring_holds() -> None:
    tried = 0
    for room in FLOORS[:-1]:
        for file in (ROOT / room).rglob("*.py"):
            if ">>> " in file.read_text():
                name = ".".join(("agentgym", *file.relative_to(ROOT).with_suffix("").parts)).removesuffix(".__init__")
                failed, run = doctest.testmod(importlib.import_module(name))
                assert failed == 0, name
                tried += run
    assert tried > 10


def test_importing_agentgym_is_light() -> None:
    code = "import sys, agentgym; assert not {'torch', 'transformers', 'gymnasium'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    ("args", "fault"),
    [
        (["train", "--env", "alfwold"], "did you mean 'alfworld'"),
        (["train", "--method", "leep"], "did you mean 'leap'"),
        (["eval", "--split", "tset"], "split='tset': choose one of train, valid, test"),
        (["eval", "--agent", "sercher"], "did you mean 'searcher'"),
        (["train", "--memory", "ful"], "did you mean 'full'"),
        (["train", "--model", "tinny"], "model 'tinny'"),
        (["train", "--set", "leap.iterations"], "write it as NAME=VALUE"),
        (["eval", "--set", "env.games=official", "--set", "env.data=nowhere"], "alfworld-download"),
        (["replay", "nothing.zst"], "nothing.zst"),
        (["train", "--resume", "nowhere"], "no run directory"),
        (["train", "--config", "x.json", "--seed", "3", "--set", "a=1"], "takes no --seed, --set: leave one out"),
        (["paper", "rise", "--seeds", "0,"], "--seeds '0,': write numbers by commas"),
        (["methods", "lep"], "did you mean 'leap'"),
        (["eval", "--seed", "-1"], "seed=-1: needs at least 0"),
        (["play", "--split", "tset"], "split='tset': choose one of train, valid, test"),
        (["play", "--web", "--port", "99999"], "--port 99999: give a number from 0 to 65535"),
        (["serve", "tiny", "--port", "99999"], "--port 99999: give a number from 0 to 65535"),
    ],
)
def test_a_mistake_is_one_line_and_status_2(run_cli: Cli, args: list[str], fault: str) -> None:
    status, out, err = run_cli(*args)
    assert (status, out) == (2, "")
    assert fault in err and "Traceback" not in err
    assert len(err.strip().splitlines()) == 1


def test_a_negative_seed_is_refused_before_there_is_a_run(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="seed=-1: needs at least 0"):
        train(method="bc", seed=-1, out=tmp_path / "neg")
    assert not (tmp_path / "neg").exists()


def test_what_is_no_number_passes_no_guard() -> None:
    nan = float("nan")
    guarded: list[tuple[Callable[[], Any], str]] = [
        (lambda: at_least(0, lr=nan), "lr=nan: needs at least 0"),
        (lambda: agent("tiny", "alfworld", {}, nan), "temperature=nan: needs at least 0"),
        (lambda: judged("random", RandomAgent(), None, None, None, nan), "--vas nan: needs to be positive"),
        (lambda: by_task([], {"train": nan, "valid": 0.5, "test": 0.5}), "not negative and sum to 1"),
    ]
    for call, fault in guarded:
        with pytest.raises(ValueError, match=fault):
            call()


@pytest.mark.parametrize("command", [learn.eval_, learn.play])
def test_a_place_where_nothing_can_be_stored_is_refused_before_anything_is_played(
    command: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def played(*args: Any, **options: Any) -> Any:
        raise AssertionError("it was played")

    monkeypatch.setattr("agentgym.training.play.evaluate", played)
    monkeypatch.setattr("agentgym.training.rollout.rollout", played)
    (tmp_path / "file").write_text("")
    with pytest.raises(IsADirectoryError, match=r"is a directory: give a file, as .*episodes\.jsonl\.zst"):
        command(out=tmp_path)
    with pytest.raises(NotADirectoryError, match=r"x\.jsonl\.zst: .*file is a file, not a folder"):
        command(out=tmp_path / "file" / "x.jsonl.zst")


def test_what_was_played_is_told_though_it_cannot_be_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*args: Any) -> None:
        raise OSError("the disk is full")

    monkeypatch.setattr("agentgym.memory.store.write", full)
    with pytest.raises(OSError, match="the disk is full"):
        learn.eval_(agent="random", episodes=1, set_=["env.max_steps=2"], out=tmp_path / "x.jsonl.zst", as_json=True)
    assert json.loads(capsys.readouterr().out)["episodes"] == 1


def test_an_error_of_somebodys_code_says_what_it_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails() -> None:
        {}["door"]

    monkeypatch.setattr(cli, "app", fails)
    with pytest.raises(SystemExit):
        cli.main()
    assert capsys.readouterr().err == "agentgym: KeyError: 'door'; --debug shows where\n"


@pytest.mark.parametrize(
    "args", [["envs"], ["methods"], ["agents"], ["models"], ["envs", "alfworld"], ["check", "alfworld"]]
)
def test_json_is_alone_on_stdout(run_cli: Cli, args: list[str]) -> None:
    status, out, _ = run_cli(*args, "--json")
    assert status == 0
    assert isinstance(json.loads(out), dict)


def test_eval_prints_the_documented_object_and_its_episodes_verify(run_cli: Cli, tmp_path: Path) -> None:
    file = tmp_path / "e.jsonl.zst"
    status, out, _ = run_cli("eval", "--agent", "oracle", "--episodes", "20", "--out", str(file), "--json")
    row = json.loads(out)
    assert status == 0 and row["success"]["mean"] == 1.0
    assert {
        "env",
        "agent",
        "split",
        "split_hash",
        "episodes",
        "seed",
        "success",
        "score",
        "steps",
        "queries",
        "seconds",
    } <= set(row)
    status, out, _ = run_cli("replay", str(file), "--verify", "--json")
    assert (status, json.loads(out)["faults"]) == (0, [])


def test_who_plays_in_a_terminal_is_told_the_goal(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "agentgym.cli", "play", "--env", "device", "--out", str(tmp_path / "x.jsonl.zst")]
    done = subprocess.run(command, input="tap 3\n", capture_output=True, text=True, timeout=120)
    assert done.stdout.count("Goal: ") == 1 and done.stdout.index("Goal: ") < done.stdout.index("[0]")


def test_nothing_names_this_workplace_or_its_hosts() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    words = re.compile("/" + r"work/|pypi\.org|file" + "://")
    for name in listed:
        file = ROOT / name
        if file.suffix in (".py", ".md", ".toml", ".txt") and file.is_file():
            assert not words.search(file.read_text()), name
