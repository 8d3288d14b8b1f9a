"""How a name becomes a world, and what the conformance check says of good and bad ones."""

from __future__ import annotations

from pathlib import Path

import pytest
from agentgym.envs import TextEnv, Unknown, listing, make, register, registry
from agentgym.envs.check import check

COUNT = '''
from agentgym.envs import TextEnv


class Count(TextEnv):
    """Say "more" three times."""

    def tasks(self, split):
        return [f"{split}/3"]

    def _begin(self, task):
        self.n, self.task = 0, task
        return "Count.", self.told()

    def _act(self, action):
        self.n += action == "more"
        return str(self.n), float(self.n == 3), self.n == 3, self.told(action != "more")

    def told(self, invalid=False):
        done = self.n == 3
        return {
            "goal": "count", "admissible": ("more",), "success": done, "score": float(done), "task": self.task,
            "invalid": invalid,
        }


class Fragile(Count):
    """Fall over on a word it does not know."""

    def _act(self, action):
        {"more": 1}[action]
        return super()._act(action)


class Leaky(Count):
    """Tell the answer."""

    def told(self, invalid=False):
        return super().told(invalid) | {"oracle_action": "more"}


class Watched(Count):
    """Change when a teacher looks."""

    def privileged(self):
        self.n += 1
'''


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "count_env.py"
    path.write_text(COUNT)
    return path


def verdicts(id: str) -> dict[str, bool | None]:
    return {c.name: c.passed for c in check(lambda: make(id))}


def test_a_world_in_a_file_needs_no_registration(file: Path) -> None:
    assert make(f"{file}:Count").tasks("train") == ["train/3"]
    with pytest.raises(Unknown, match="did you mean 'Count'"):
        make(f"{file}:Coumt")


def test_a_world_can_be_registered_by_class_and_by_entry(clean: None, file: Path) -> None:
    cls = registry.spec(f"{file}:Count").load()
    register("count", summary="counts")(cls)
    register("later", "agentgym.envs.alfworld:AlfworldEnv", summary="by name", extra="alfworld")
    assert type(make("count")) is cls
    rows = {r["id"]: r for r in listing()}
    assert rows["count"]["summary"] == "counts"
    assert rows["later"]["extra"] == "alfworld"
    assert rows["later"]["available"]
    with pytest.raises(ValueError, match="module:Class"):
        register("wrong", "agentgym.envs.alfworld")


def test_a_listing_row_says_what_there_is() -> None:
    row = next(r for r in listing() if r["id"] == "alfworld")
    assert row["splits"] == {"train": 3553, "valid": 140, "test": 134}
    assert set(row) == {"id", "summary", "agents", "splits", "extra", "available"}


def test_a_world_that_keeps_the_contract_passes(file: Path) -> None:
    found = verdicts(f"{file}:Count")
    assert False not in found.values()
    assert found["snapshot and restore are exact"] is None


def test_a_world_that_falls_over_on_bad_text_fails_and_is_not_excused(file: Path) -> None:
    assert verdicts(f"{file}:Fragile")["bad text never raises"] is False


def test_a_world_that_tells_the_answer_fails(file: Path) -> None:
    assert verdicts(f"{file}:Leaky")["info holds nothing privileged"] is False


def test_a_world_that_changes_when_a_teacher_looks_fails(file: Path) -> None:
    assert verdicts(f"{file}:Watched")["info holds nothing privileged"] is False


def test_the_base_class_says_what_a_world_does_not_offer(file: Path) -> None:
    env = make(f"{file}:Count")
    assert isinstance(env, TextEnv)
    for ask in (env.privileged, env.searcher, env.snapshot, lambda: env.restore(None)):
        with pytest.raises(LookupError):
            ask()
