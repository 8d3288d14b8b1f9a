"""The tables of all worlds: rows that say how sure they are, speeds that are measured, a page made from results."""

from __future__ import annotations

import runpy
import subprocess
import sys
from pathlib import Path

import pytest
from agentgym.envs import listing
from agentgym.training.pace import turns
from agentgym.training.worlds import AGENTS, table

ROOT = Path(__file__).resolve().parent.parent.parent


def quiet(text: str) -> None:
    """Say nothing."""


def test_a_row_for_every_scripted_agent_and_a_reason_where_there_is_none() -> None:
    rows, left_out = table(quiet, episodes=4, seed=1, worlds=["reasoning", "bandit", "roco-sweep"])
    got = {(r["env"], r["agent"]): r for r in rows}
    assert [a for w, a in got if w == "bandit"] == list(AGENTS)
    assert got["reasoning", "oracle"]["value"] == 100.0
    assert {(r["split"], r["episodes"], r["seed"]) for r in rows} == {("test", 4, 1)}
    for r in rows:
        low, high = r["success"]["ci95"]
        assert low <= r["value"] / 100 <= high and r["unit"] == "% success"
    assert "lists none" in left_out["reasoning"]["random"]
    for world in ("reasoning", "bandit", "roco-sweep"):
        assert {a for w, a in got if w == world} | set(left_out.get(world, {})) == set(AGENTS)


@pytest.mark.parametrize("world", ["reasoning", "roco-sort", "sql"])
def test_a_worlds_speed_is_more_than_nothing_and_its_reset_has_a_price(world: str) -> None:
    rate, reset_ms = turns(world)
    assert rate > 100 and 0 < reset_ms < 1000


def test_some_worlds_measured_anew_keep_the_others_rows_and_say_where_they_are_from() -> None:
    renewed = runpy.run_path(str(ROOT / "benchmarks" / "worlds.py"))["renewed"]
    row = lambda env, value: {"env": env, "value": value}
    where = {"seed": 0, "date": "d", "commit": "c"}
    old = {"command": "old", "rows": [row("a", 1), row("c", 1)], "left_out": {"c": {"random": "why"}}}
    once = renewed(old, where | {"rows": [row("b", 2)], "left_out": {"b": {"oracle": "no"}}}, ["b"])
    again = renewed(once, where | {"rows": [row("b", 3), row("c", 3)], "left_out": {}}, ["b", "c"])
    assert once["rows"] == [row("a", 1), row("b", 2), row("c", 1)] and set(once["left_out"]) == {"b", "c"}
    assert again["rows"] == [row("a", 1), row("b", 3), row("c", 3)] and again["left_out"] == {}
    assert again["command"] == "old" and again["again"] == [{"worlds": ["b", "c"], **where}]


def test_a_world_that_heard_its_strings_anew_replaces_its_row_and_its_faults_and_no_other() -> None:
    renewed = runpy.run_path(str(ROOT / "benchmarks" / "fuzz.py"))["renewed"]
    row = lambda n: {"strings": n, "seconds": float(n)}
    where = {"seed": 0, "date": "d", "commit": "c"}
    old = {"command": "old", "worlds": {"a": row(1), "b": row(2)}, "faults": ["b: fell", "c: fell"], "left_out": ["d"]}
    new = renewed(old, where | {"worlds": {"b": row(5)}, "faults": ["a: fell"], "left_out": []})
    assert new["worlds"] == {"b": row(5)} and new["faults"] == ["c: fell", "a: fell"]
    assert (new["strings"], new["seconds"], new["left_out"], new["command"]) == (5, 5.0, [], "old")
    assert new["again"] == [{"worlds": ["a", "b"], **where}]
    once_more = where | {"worlds": {"c": row(1)}, "faults": [], "left_out": []}
    assert renewed(new, once_more)["again"] == [{"worlds": ["a", "b", "c"], **where}]


def test_the_page_of_the_worlds_is_made_from_the_results_that_lie_there() -> None:
    made = subprocess.run(
        [sys.executable, str(ROOT / "benchmarks" / "worlds.py"), "page", "--print"],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    page = (ROOT / "docs" / "worlds.md").read_text()
    assert page == made
    for row in listing():
        assert f"| `{row['id']}` |" in page or f"`{row['id']}` oracle" in page, row["id"]
