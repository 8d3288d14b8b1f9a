"""A language model plans for a team: a world's words for `tiny`, refused tries in demonstrations, `paper read-lm`."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from agentgym.agents import tiny
from agentgym.agents.scripted import NoisyAgent
from agentgym.agents.team import Sequential
from agentgym.envs import Unknown, make_team
from agentgym.memory import memory_maker
from agentgym.training.examples import examples, keep, own_actions
from agentgym.training.lab import Lab
from agentgym.training.methods.read import decisions
from agentgym.training.run import RunDir
from agentgym.training.sequences import IGNORE
from agentgym.training.student import Student
from agentgym.training.team import rollout_team
from agentgym.training.train import configure
from agentgym.training.words import grow


@pytest.fixture(scope="module")
def sort_words(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return grow("roco-sort", tmp_path_factory.mktemp("words") / "sort", width=64, layers=1)


def test_tiny_keeps_its_ids_and_gains_the_words_of_a_world(tmp_path: Path) -> None:
    base, old = tiny.load(tiny.base_folder())
    model, new = tiny.load(grow("roco-sort", tmp_path / "sort"))
    n = len(old)
    assert [old.decode([i]) for i in range(n)] == [new.decode([i]) for i in range(n)] and len(new) > n
    for text in ("You arrive at shelf 1. On the shelf 1, you see a mug 2.", "put mug 2 in/on shelf 10"):
        assert old.encode(text) == new.encode(text)
    was, now = base.get_input_embeddings().weight, model.get_input_embeddings().weight
    assert now.shape[0] == len(new) and now[:n].equal(was)
    world = make_team("roco-sort")
    seen, infos = world.reset(options={"task": world.tasks("test")[-1]})
    for text in (*seen.values(), *(a for i in infos.values() for a in i["admissible"])):
        ids = new.encode(text)
        assert new.decode(ids) == text and 3 * len(ids) < len(old.encode(text)) + 16
    assert len(new.encode("blue_square")) == 1 == len(new.encode("panel3"))
    assert new.encode(" blue_square")[1:] == new.encode("blue_square")


def _lab(words: Path, where: Path) -> Lab:
    config = configure("roco-sort", "read", str(words), "window:0", 0, {}, True)
    student = Student.of(str(words))
    return Lab("roco-sort", {}, "window:0", 0, student, RunDir.create(where, config), {}, say=lambda _: None)


def test_a_refused_try_rides_on_the_prompt_of_its_decision_and_both_learn_the_same(
    sort_words: Path, tmp_path: Path
) -> None:
    lab = _lab(sort_words, tmp_path / "run")
    [t] = lab.play(NoisyAgent(1.0), ["test/sort5"], 0)
    t = keep(t, own_actions(t))
    every = examples(t, own_actions(t), lab.make_memory, lab.student.renderer)
    free = [len(s.parts[i].admissible or ()) > 1 for i in range(3) for s in t.steps]
    plain = [e for e, choice in zip(every, free, strict=True) if choice]
    rng = np.random.default_rng(0)
    assert decisions(t, lab, 0.0, rng) == plain
    both = decisions(t, lab, 1.0, rng)
    assert len(both) == len(plain)
    for one, two in zip(plain, both, strict=True):
        said = [i for i in one.targets if i != IGNORE]
        learned = [i for i in two.targets if i != IGNORE]
        assert sorted(learned) == sorted(said * 2) and len(two.ids) < 2 * len(one.ids)
        text = lab.student.renderer.decode(list(two.ids))
        assert text.count("which is too low") == 1 and "which is too low" not in lab.student.renderer.decode(
            list(one.ids)
        )


def test_a_level_that_is_not_there_is_named_before_anything_is_played() -> None:
    with pytest.raises(Unknown, match="sort5"):
        configure("roco-sort", "read", "tiny", "window:0", 0, {"read.at": "test/sort6"}, False)


def test_a_prompt_of_the_moment_is_a_fraction_of_what_the_opening_and_the_last_step_took(sort_words: Path) -> None:
    def tokens(student: Student, memory: str) -> float:
        maker = memory_maker(memory, student.count)
        world = make_team("roco-sort")
        [t] = rollout_team(
            lambda: world,
            NoisyAgent(0.3),
            Sequential(),
            maker,
            ["test/sort5"],
            env_id="roco-sort",
            memory=memory,
            seed=0,
        )
        rows = examples(t, own_actions(t), maker, student.renderer)
        return float(np.mean([len(e.ids) for e in rows]))

    assert tokens(Student.of(str(sort_words)), "window:0") < 0.2 * tokens(Student.of("tiny"), "window:1")


@pytest.mark.slow
def test_the_reproduction_with_a_trained_planner_runs_whole_and_is_not_run_again(tmp_path: Path) -> None:
    from agentgym.training.papers import reproduce

    row = reproduce("read-lm", [0], tmp_path, quick=True)
    assert row["quick"] and json.loads((tmp_path / "read-lm.json").read_text()) == row
    arms = ["planner alone", "planner, verified", "ReAd-S", "ReAd-S, untrained critic", "AWR", "AWR, ReAd-S"]
    levels = ["Sweep Y1_G1", "Sandwich recipe3", "Sort sort5", "all levels"]
    assert [r["name"] for r in row["rows"]] == [f"{level}, {arm}" for level in levels for arm in arms]
    queries = {r["name"]: r["queries"] for r in row["rows"]}
    assert queries["all levels, ReAd-S"] > queries["all levels, planner alone"]
    lines = (tmp_path / "read-lm.md").read_text().splitlines()
    assert lines[0] == "| arm | n | seeds | success | steps | queries |" and len(lines) == 2 + len(row["rows"])
    said: list[str] = []
    again = reproduce("read-lm", [0], tmp_path, quick=True, say=said.append)
    assert again["rows"] == row["rows"] and not said
