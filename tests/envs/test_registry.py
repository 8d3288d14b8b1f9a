"""How a name becomes a world, and what the conformance check says of good and bad ones."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from agentgym.envs import TextEnv, Unknown, listing, make, register, registry
from agentgym.envs.check import check
from agentgym.training.play import settings

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


class Mute(Count):
    """Say a number in place of words."""

    def _act(self, action):
        return (self.n, *super()._act(action)[1:])


class Listed(Count):
    """List the actions in a list."""

    def told(self, invalid=False):
        return super().told(invalid) | {"admissible": ["more"]}


class Numbered(Count):
    """Give tasks numbers for names."""

    def tasks(self, split):
        return [len(split)]


class Five(Count):
    """Return what Gymnasium's step would."""

    def _act(self, action):
        observation, reward, over, info = super()._act(action)
        return observation, reward, over, False, info


class Aimless(Count):
    """Forget to say what is wanted."""

    def told(self, invalid=False):
        return {k: v for k, v in super().told(invalid).items() if k != "goal"}


class Options(Count):
    """Take options that are not annotated."""

    def __init__(self, doors=9, hard=True, name="x"):
        super().__init__()
        self.options = doors, hard, name


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
    assert set(row) == {"id", "summary", "agents", "splits", "extra", "available", "reason"}


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


@pytest.mark.parametrize(
    ("cls", "fault"),
    [
        ("Mute", "an observation is 0, no text"),
        ("Listed", "admissible is ['more'], neither None nor a tuple of texts"),
        ("Numbered", "a task's id is 5, no text"),
        ("Five", "Five._act gives 5 values: it must return observation, reward, terminated, info"),
        ("Aimless", "Aimless: its info lacks goal; make it with agentgym.Info(...)"),
    ],
)
def test_what_a_world_gives_in_a_wrong_form_is_named(file: Path, cls: str, fault: str) -> None:
    found = check(lambda: make(f"{file}:{cls}"))
    assert any(fault in c.detail for c in found if c.passed is False), found


def test_options_without_annotations_have_the_type_of_their_default(file: Path) -> None:
    pairs = {"env.doors": "5", "env.hard": "false", "env.name": "7"}
    assert settings(f"{file}:Options", pairs) == {"doors": 5, "hard": False, "name": "7"}
    with pytest.raises(ValueError, match="env.hard='maybe': needs a bool"):
        settings(f"{file}:Options", {"env.hard": "maybe"})


def test_a_file_that_is_mended_is_read_anew_and_one_without_worlds_says_so(tmp_path: Path) -> None:
    path = tmp_path / "mended_env.py"
    path.write_text("import nothing_of_this_name\n" + COUNT)
    with pytest.raises(ImportError):
        make(f"{path}:Count")
    path.write_text(COUNT)
    assert make(f"{path}:Count").tasks("test") == ["test/3"]
    bare = tmp_path / "bare_env.py"
    bare.write_text("import gymnasium\n\n\nclass Mine(gymnasium.Env):\n    pass\n")
    with pytest.raises(LookupError, match=r"bare_env.py has no world: subclass agentgym.TextEnv"):
        make(f"{bare}:Mine")


def test_a_world_that_cannot_start_does_not_hide_the_others(clean: None) -> None:
    class Needy(TextEnv):
        def __init__(self, folder: str) -> None: ...

    registry._SPECS["needy"] = registry.Spec("needy", Needy, "needs a folder", 1)
    rows = {r["id"]: r for r in listing()}
    assert rows["needy"]["available"] is False and "argument: 'folder'" in rows["needy"]["reason"]
    assert rows["alfworld"]["available"] is True and rows["alfworld"]["reason"] == ""


@pytest.mark.parametrize(
    ("env", "options", "fault"),
    [
        ("alfworld", {"data": "x"}, "data='x': read with games='official' only"),
        ("webshop", {"data": "x"}, "data='x': read with catalogue='official' only"),
        ("sql", {"data": "x"}, "data='x': read with questions=spider or intercode only"),
        ("reasoning", {"data": "x"}, "data='x': read with source=gsm8k or math only"),
        ("reasoning", {"source": "gsm8k", "family": "ring"}, "family='ring': read with source='procedural' only"),
        ("reasoning", {"source": "gsm8k", "test": 5}, "test=5: read with source='procedural' or reasoning-gym:TASK"),
    ],
)
def test_a_setting_that_nothing_would_read_is_refused(env: str, options: dict[str, Any], fault: str) -> None:
    with pytest.raises(ValueError, match=re.escape(fault)):
        make(env, **options)


def test_the_base_class_says_what_a_world_does_not_offer(file: Path) -> None:
    env = make(f"{file}:Count")
    assert isinstance(env, TextEnv)
    for ask in (env.privileged, env.searcher, env.snapshot, lambda: env.restore(None)):
        with pytest.raises(LookupError):
            ask()
