"""How a name becomes a world, and what the conformance check says of good and bad ones."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest
from agentgym.agents.scripted import RandomAgent
from agentgym.envs import TextEnv, Unknown, listing, make, register, registry
from agentgym.envs.check import check
from agentgym.memory import memory_maker
from agentgym.memory.store import read, write
from agentgym.training.play import evaluate, settings
from agentgym.training.rollout import replay, rollout

from agentgym.commands import worlds

COUNT = '''
from pathlib import Path
from typing import Optional

import numpy

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


class Worded(Count):
    """List the actions in one text."""

    def told(self, invalid=False):
        return super().told(invalid) | {"admissible": "more"}


class Computed(Count):
    """Say the end as NumPy does."""

    def _act(self, action):
        observation, reward, over, info = super()._act(action)
        return observation, reward, numpy.bool_(over), info


class Trained(Count):
    """Have nothing to be tested on."""

    def tasks(self, split):
        return [] if split == "test" else super().tasks(split)


class Typed(Count):
    """Take options whose types are objects."""

    def __init__(self, size: Optional[int] = None, sides: tuple[int, int] = (3, 4), folder=Path("here")):
        super().__init__()


class Rest(Count):
    """Hand on what it does not read."""

    def __init__(self, hard=False, **rest):
        super().__init__(**rest)


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
        ("Worded", "admissible is 'more', neither None nor a tuple of texts"),
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


def test_options_whose_types_are_objects_are_typed(file: Path) -> None:
    kwargs = settings(f"{file}:Typed", {"env.size": "3", "env.sides": "[5, 6]"})
    assert kwargs == {"size": 3, "sides": (5, 6)}
    assert settings(f"{file}:Typed", {"env.size": "none"}) == {"size": None}
    with pytest.raises(ValueError, match=r"env.sides='3': needs a tuple\[int, int\]"):
        settings(f"{file}:Typed", {"env.sides": "3"})


def test_a_default_that_is_no_json_is_told_in_words(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    worlds.envs(f"{file}:Typed", as_json=True)
    assert json.loads(capsys.readouterr().out)["options"] == {"size": None, "sides": [3, 4], "folder": "here"}


def test_options_that_are_handed_on_are_those_of_the_base_class(file: Path, tmp_path: Path) -> None:
    assert list(registry.options(f"{file}:Rest")) == ["hard", "max_steps", "max_length", "charset"]
    assert make(f"{file}:Rest", **settings(f"{file}:Rest", {"env.max_steps": "2"})).max_steps == 2
    team = tmp_path / "pair_env.py"
    team.write_text(
        "from agentgym.envs.team import TeamEnv\n\n\nclass Pair(TeamEnv):\n"
        "    def __init__(self, **rest):\n        super().__init__(['ann', 'bob'], **rest)\n"
    )
    assert list(registry.options(f"{team}:Pair")) == ["max_length", "charset"]


def test_actions_in_a_list_and_an_end_of_numpys_are_played_stored_and_replayed(file: Path, tmp_path: Path) -> None:
    for cls in ("Listed", "Computed"):
        env = make(f"{file}:{cls}")
        assert env.reset(options={"task": "test/3"})[1]["admissible"] == ("more",)
        assert env.step("more")[-1]["admissible"] == ("more",)
        played = rollout(lambda env=env: env, RandomAgent(), memory_maker("full"), ["test/3"], env_id=cls)
        write(tmp_path / "x.jsonl.zst", played)
        [stored] = read(tmp_path / "x.jsonl.zst")[0]
        assert stored.success and stored.steps[-1].terminated is True
        assert replay(env, stored) == []


def test_a_split_without_tasks_is_named(file: Path) -> None:
    with pytest.raises(LookupError, match="split 'test' has no task; with some are: train, valid"):
        evaluate(f"{file}:Trained", "random")


def test_a_file_may_import_what_lies_beside_it(tmp_path: Path) -> None:
    before = list(sys.path)
    (tmp_path / "beside_the_world.py").write_text("GOAL = 'count'\n")
    (tmp_path / "near_env.py").write_text("import beside_the_world\n" + COUNT)
    assert make(f"{tmp_path / 'near_env.py'}:Count").tasks("test") == ["test/3"]
    assert sys.path == before


def test_a_file_that_python_cannot_read_is_one_line_with_its_place(tmp_path: Path) -> None:
    path = tmp_path / "torn_env.py"
    path.write_text("import gymnasium\n\nclass Torn(:\n")
    with pytest.raises(ImportError, match=r"torn_env\.py, line 3: invalid syntax"):
        make(f"{path}:Torn")


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
