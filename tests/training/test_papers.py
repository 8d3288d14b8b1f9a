"""`agentgym paper NAME`: papers as data, their tables by hand, and each of them in small."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path
from typing import Any

import pytest
from agentgym.training.claims import PAPERS, Arm, Effect, Paper
from agentgym.training.evaluate import paired, pooled_mean, wilson
from agentgym.training.papers import _effect, reproduce, settings
from agentgym.training.run import RunDir
from agentgym.training.train import configure

SMALL = {
    "env.family": "median", "env.level": "1", "env.turns": "2", "env.feedback": "blind", "eval.valid": "0",
    "eval.test": "4", "rise.demonstrations": "6", "rise.epochs0": "1", "rise.iterations": "1", "rise.episodes": "3",
    "rise.candidates": "2", "rise.epochs": "1", "bc.demonstrations": "6", "bc.epochs": "1",
}  # fmt: skip


@pytest.fixture
def toy(small_tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arms = {
        "SFT": Arm(round=0), "traces": Arm("bc", shares=0), "RISE": Arm("rise"),
        "RISE, taught": Arm("rise", {"teacher": "oracle"}),
    }  # fmt: skip
    effects = (Effect("RISE", "gain"), Effect("RISE", "m1@t2", ("SFT", "m1@t2"), 0.1, apart=False))
    columns = ("gain", "m1@t2", "success")
    paper = Paper("a claim", "RISE", arms, effects, "reasoning", str(small_tiny), settings=SMALL, columns=columns)
    monkeypatch.setitem(PAPERS, "toy", paper)


def test_a_paper_runs_its_arms_once_and_pools_them_over_the_seeds(toy: None, tmp_path: Path) -> None:
    said: list[str] = []
    row = reproduce("toy", [0, 1], tmp_path, say=said.append)
    assert {p.name for p in tmp_path.iterdir()} == {
        f"toy-{a}-{s}" for a in ("traces", "rise", "rise-taught") for s in (0, 1)
    } | {"toy.json", "toy.md", "toy.svg"}
    assert [r["name"] for r in row["rows"]] == ["SFT", "traces", "RISE", "RISE, taught"]
    assert json.loads((tmp_path / "toy.json").read_text()) == row
    for r in row["rows"]:
        assert (r["n"], r["seeds"]) == (8, 2) and list(r["also"]) == ["m1@t2", "success"]
        won = round(r["also"]["success"]["mean"] * 8)
        assert r["also"]["success"]["ci95"] == list(wilson(won, 8))
        assert r["mean"] == pytest.approx(sum(r["by_seed"]) / 2) and [len(i) for i in r["by_iteration"]] == (
            [1, 1] if r["name"] in ("SFT", "traces") else [2, 2]
        )
    for seed in (0, 1):
        first, taught = (tmp_path / f"toy-{a}-{seed}" / "iterations" / "00.json" for a in ("rise", "rise-taught"))
        assert first.read_text() == taught.read_text()
    gain, more = row["effects"]
    assert row["gain"] == gain["gain"] == row["rows"][2]["mean"] and row["measure"] == "gain"
    assert more["effect"] == "RISE m1@t2 no less than SFT m1@t2 by 10 points"
    assert more["holds"] == (more["gain"] >= 0.1) and row["holds"] == (gain["holds"] and more["holds"])
    head, _, *lines = (tmp_path / "toy.md").read_text().splitlines()
    assert head == "| arm | n | seeds | gain | m1@t2 | success | steps |" and len(lines) == 4
    assert lines[2].startswith(f"| RISE | 8 | 2 | {100 * row['gain']:+.1f} [")
    assert (tmp_path / "toy.svg").read_text().count("<circle") == 4
    said.clear()
    assert reproduce("toy", [0, 1], tmp_path, say=said.append)["rows"] == row["rows"] and said == []


def test_an_effect_of_one_lucky_seed_does_not_hold() -> None:
    def row(name: str, by_seed: list[float]) -> dict[str, Any]:
        mean = sum(by_seed) / len(by_seed)
        return {"name": name, "mean": mean, "ci95": [mean - 0.02, mean + 0.02], "by_seed": by_seed}

    effect = Effect("with", "delta", ("without", "delta"))
    lucky = _effect(effect, [row("with", [0.7, 0.3]), row("without", [0.0, 0.31])], "delta")
    assert lucky["by_seed"] == pytest.approx([0.7, -0.01]) and not lucky["holds"]
    assert _effect(effect, [row("with", [0.7, 0.3]), row("without", [0.0, 0.1])], "delta")["holds"]
    assert _effect(Effect("with", "delta"), [row("with", [0.7, 0.3])], "delta")["by_seed"] == [0.7, 0.3]


def test_answers_that_never_change_leave_the_difference_an_interval() -> None:
    same = paired([True] * 60 + [False] * 140, [True] * 60 + [False] * 140)
    assert same["mean"] == 0 and same["ci95"] == pytest.approx([-1.96 / 202, 1.96 / 202], rel=1e-3)
    one = paired([True] * 61 + [False] * 139, [True] * 60 + [False] * 140)
    assert one["mean"] == pytest.approx(1 / 200) and one["ci95"][1] - one["mean"] > same["ci95"][1]


def test_means_of_runs_pool_as_independent_ones() -> None:
    runs = [{"mean": 0.5, "ci95": [0.2, 0.8]}, {"mean": -0.1, "ci95": [-0.5, 0.3]}]
    pooled = pooled_mean(runs, [100, 300])
    assert pooled["mean"] == pytest.approx(0.05)
    assert pooled["ci95"][1] - 0.05 == pytest.approx(math.hypot(0.25 * 0.3, 0.75 * 0.4))


@pytest.mark.parametrize("name", PAPERS)
@pytest.mark.parametrize("quick", [False, True])
def test_every_arm_of_a_paper_can_be_configured_and_shares_what_it_takes_over(name: str, quick: bool) -> None:
    paper = PAPERS[name]
    main = paper.arms[paper.main]

    def config(arm: Arm) -> dict[str, object]:
        named = settings(paper, arm, quick)
        return configure(paper.env, str(arm.method), paper.model, paper.memory, 0, named, quick)

    for arm in paper.arms.values():
        if arm.method is not None:
            row = config(arm)
            assert row["splits"] == config(main)["splits"] and row["env_kwargs"] == config(main)["env_kwargs"]
    for e in paper.effects:
        for arm, column in ((e.arm, e.column), *([e.over] if e.over else [])):
            assert arm in paper.arms and column in paper.columns


def test_a_seed_counts_once_and_a_quick_run_is_not_taken_for_a_full_one(toy: None, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="seeds 0,1,0: one is there twice"):
        reproduce("toy", [0, 1, 0], tmp_path)
    reproduce("toy", [0], tmp_path, quick=True, say=lambda _: None)
    with pytest.raises(ValueError, match="that run has quick=True, not False; give another --out"):
        reproduce("toy", [0], tmp_path, say=lambda _: None)


def test_a_reproduction_that_was_cut_off_while_it_took_rounds_over_ends_the_same(toy: None, tmp_path: Path) -> None:
    whole = reproduce("toy", [0], tmp_path / "whole", say=lambda _: None)
    shutil.copytree(tmp_path / "whole", tmp_path / "cut")
    arm = tmp_path / "cut" / "toy-rise-taught-0"
    held = json.loads((arm / "config.json").read_text())
    shutil.rmtree(arm)
    RunDir.create(arm, {k: v for k, v in held.items() if k != "versions"})
    episodes = (tmp_path / "whole" / "toy-rise-0" / "trajectories" / "00-train.jsonl.zst").read_bytes()
    (arm / "trajectories" / "00-train.jsonl.zst.part").write_bytes(episodes[: len(episodes) // 2])
    again = reproduce("toy", [0], tmp_path / "cut", say=lambda _: None)
    assert [r["mean"] for r in again["rows"]] == [r["mean"] for r in whole["rows"]]
    assert (arm / "trajectories" / "00-train.jsonl.zst").read_bytes() == episodes


def test_an_arm_has_its_own_settings_and_with_quick_its_quick_ones() -> None:
    paper = PAPERS["rise"]
    arm = paper.arms["RISE, first turns only"]
    full, quick = settings(paper, arm, False), settings(paper, arm, True)
    turns = int(paper.settings["env.turns"])
    assert int(full["rise.episodes"]) == turns * int(paper.settings["rise.episodes"])  # as many states as RISE labels
    assert int(quick["rise.episodes"]) == turns * int(paper.quick["rise.episodes"])
    assert full["rise.attempts"] == quick["rise.attempts"] == "1"


def test_the_runs_of_leap_are_what_they_were() -> None:
    raw = PAPERS["leap"].arms["LEAP, raw oracle labels"]
    assert settings(PAPERS["leap"], raw, False) == {"leap.privilege": "1.0"}
    assert {a.shares for a in PAPERS["leap"].arms.values()} == {1}


@pytest.mark.slow
@pytest.mark.parametrize("name", PAPERS)
def test_the_quick_form_of_a_paper_runs_whole(name: str, tmp_path: Path) -> None:
    row = reproduce(name, [0], tmp_path, quick=True)
    paper = PAPERS[name]
    assert [r["name"] for r in row["rows"]] == list(paper.arms) and row["quick"]
    for r in row["rows"]:
        low, high = r["ci95"]
        assert low <= r["mean"] <= high and r["n"] == (30 if paper.env == "reasoning" else 20)
    assert len(row.get("effects", [1])) == len(paper.effects)
    assert json.loads((tmp_path / f"{name}.json").read_text()) == row
