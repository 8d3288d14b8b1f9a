"""`agentgym paper diff`: every memory's runs, once."""

from __future__ import annotations

from pathlib import Path

import pytest
from agentgym.memory.store import read
from agentgym.training import paper_diff
from agentgym.training.papers import reproduce


def test_memories_are_compared_at_one_budget_and_no_run_is_made_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paper_diff, "WORLDS", {"alfworld": {}})
    monkeypatch.setattr(paper_diff, "BUDGET", 100)
    monkeypatch.setattr(
        paper_diff, "QUICK", {"bc.demonstrations": "3", "bc.steps": "3", "eval.test": "2", "env.max_steps": "6"}
    )
    said: list[str] = []
    row = reproduce("diff", [0], tmp_path, quick=True, say=said.append)
    assert [r["memory"] for r in row["rows"]] == ["full", "diff:forward"] and said
    for r in row["rows"]:
        assert (r["n"], r["seeds"], r["steps"]) == (2, 1, 6.0)
        assert r["fit_steps"] == 3 and 0 < r["reach"] <= r["tight"]["reach"] <= 1  # the tight one is wider here
        assert 0 < r["read"] <= r["tokens"] + 30 and r["tokens"] <= 100
    assert row["pooled"]["full"]["n"] == 2 and row["holds"] is False
    played, _ = read(next(tmp_path.glob("diff-alfworld-diff-forward-*")) / "trajectories" / "00-eval-test.jsonl.zst")
    assert {t.memory for t in played} == {"diff:forward,budget=100"}
    said.clear()
    assert reproduce("diff", [0], tmp_path, quick=True, say=said.append)["rows"] == row["rows"] and said == []
