"""Which method runs where: the page says what is so, and what it says runs does run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from agentgym.envs import listing, options
from agentgym.envs.template import write
from agentgym.training.methods import METHODS
from agentgym.training.needs import NEEDS, WHY, lacks, table
from agentgym.training.train import configure, train

PAGE = Path(__file__).resolve().parent.parent.parent / "docs" / "methods.md"
HERE = [row["id"] for row in listing() if row["available"]]
FEW = {
    "demonstrations": "3", "episodes": "3", "iterations": "1", "epochs0": "1", "epochs": "1", "later": "1",
    "critic_steps": "5", "steps": "5", "candidates": "2", "stage1": "1", "stage2": "1", "updates": "1", "questions": "2",
    "samples": "2",
}  # fmt: skip


def test_the_page_is_what_methods_and_worlds_say() -> None:
    written = PAGE.read_text().splitlines()
    missing = [line for line in table(HERE, METHODS).splitlines() if line not in written]
    assert not missing, "run python benchmarks/methods.py"


def test_every_need_of_a_method_has_words() -> None:
    assert {n for m in METHODS.values() for n in m().needs} <= set(NEEDS) <= set(WHY)


@pytest.mark.parametrize(
    ("env", "method", "fault"),
    [
        ("sql", "digiq", "digiq needs listed actions"),
        ("alfworld", "rise", "rise corrects earlier attempts at one question"),
    ],
)
def test_a_world_that_lacks_what_a_method_needs_is_refused_before_anything_is_played(
    env: str, method: str, fault: str
) -> None:
    with pytest.raises(ValueError, match=fault):
        configure(env, method, "tiny", "full", 0, {}, False)


@pytest.fixture
def bare(tmp_path: Path) -> str:
    """A world of one's own with a privileged state and no searching expert."""
    path, cls = write("bare", tmp_path)
    path.write_text(
        "from agentgym.envs import Privileged\n" + path.read_text() + "\n    def privileged(self):"
        '\n        return Privileged((f"The digit is {self.number}.",), (str(self.number),))\n'
    )
    return f"{path}:{cls}"


def test_a_world_without_a_searching_expert_is_refused_and_a_setting_can_take_the_need_away(bare: str) -> None:
    with pytest.raises(ValueError, match="leap needs a searching expert, who knows no more than a player"):
        configure(bare, "leap", "tiny", "full", 0, {}, False)
    assert configure(bare, "leap", "tiny", "full", 0, {"leap.teacher": "self"}, False)["method"] == "leap"


def test_where_no_actions_are_listed_the_student_writes() -> None:
    modes = {e: configure(e, "bc", "tiny", "full", 0, {}, False)["mode"] for e in ("sql", "alfworld", "reasoning")}
    assert modes == {"sql": "generate", "alfworld": "choose", "reasoning": "generate"}


@pytest.mark.slow
@pytest.mark.parametrize("env", HERE)
@pytest.mark.parametrize("method", METHODS)
def test_what_the_page_says_runs_does_run(env: str, method: str, small_tiny: Path, tmp_path: Path) -> None:
    if lacks(env, METHODS[method]) is not None:
        pytest.skip("the page says that it does not")
    known = METHODS[method].__dataclass_fields__
    named = {f"{method}.{k}": v for k, v in FEW.items() if k in known} | {"eval.valid": "0", "eval.test": "2"}
    named |= {"env.max_steps": "6"} if "max_steps" in options(env) else {}
    try:
        run = train(env, method, str(small_tiny), "window:2", out=tmp_path / "run", settings=named, say=print)
    except (ValueError, RuntimeError) as error:  # so few episodes may hold nothing to learn from, and say so
        assert re.search("no reward in|nothing to learn|no demonstration|there is nothing to tell apart", str(error))
        return
    assert (run / "result.json").is_file()
