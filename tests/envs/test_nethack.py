"""NetHack as text; without nle these tests are skipped."""

from __future__ import annotations

import doctest
import random
import sys

import pytest
from agentgym.envs import make, nethack
from agentgym.envs.check import check
from agentgym.envs.nethack import VIEWS, NethackEnv
from agentgym.envs.nethack_searcher import NethackSearcher

needs_nle = pytest.mark.usefixtures("nle")


@pytest.fixture(scope="module")
def nle() -> None:
    pytest.importorskip("nle", reason="needs: pip install --no-deps nle")


@needs_nle
def test_nethack_keeps_the_contract() -> None:
    found = {c.name: c.passed for c in check(lambda: make("nethack", max_steps=100))}
    assert [name for name, passed in found.items() if passed is not True] == [
        "snapshot and restore are exact",
        "the oracle reaches the goal",
    ]


@needs_nle
@pytest.mark.parametrize("view", VIEWS)
def test_a_dungeon_is_its_seed(view: str) -> None:
    def told(env: NethackEnv, task: str) -> list[str]:
        rng = random.Random(0)
        observation, info = env.reset(options={"task": task})
        out = [observation]
        for _ in range(200):
            observation, _, over, _, info = env.step(rng.choice(info["admissible"]))
            out.append(observation)
            if over:
                break
        return out

    one, two = NethackEnv(view=view), NethackEnv(view=view)
    first = told(one, "test/00001")
    assert first == told(one, "test/00001") == told(two, "test/00001")
    assert told(two, "test/00002") != first


@needs_nle
def test_the_language_view_has_the_papers_sections_in_order() -> None:
    observation, info = NethackEnv().reset(options={"task": "test/00000"})
    heads = [line[:-1] for line in observation.split("\n") if line.endswith("[")]
    assert heads == ["statistics", "glyphs", "message", "inventory", "cursor"]
    assert "Hello Agent, welcome to NetHack!" in observation
    assert "HP: 14/14" in observation
    assert "human monk called Agent" in observation.split("cursor[")[1]
    assert {"north", "far southwest", "search", "esc", "more", "down"} <= set(info["admissible"])
    assert not {"quit", "save", "shell"} & set(info["admissible"])


@needs_nle
def test_the_screen_view_is_the_terminal() -> None:
    lines = NethackEnv(view="screen").reset(options={"task": "test/00000"})[0].split("\n")
    assert len(lines) == 24
    assert lines[-1].startswith("Dlvl:1 $:0 HP:14(14)")
    assert any("@" in line for line in lines[1:-2])


@needs_nle
def test_a_step_that_the_screen_shows_is_copied_and_not_overwritten() -> None:
    env = NethackEnv(view="screen")
    first, _ = env.reset(options={"task": "test/00000"})
    kept = str(first)
    for _ in range(20):
        env.step("far east")
    assert first == kept
    assert env.render() != first


@needs_nle
def test_unknown_words_cost_a_step_but_no_time_in_the_dungeon() -> None:
    env = NethackEnv(max_steps=3)
    first, _ = env.reset(options={"task": "test/00000"})
    for text in ("", "quit", "\u2603 north"):
        observation, _, over, cut, info = env.step(text)
        assert (observation, over, info["invalid"]) == (first, False, True)
    assert cut


@needs_nle
def test_the_searcher_reads_its_way_down() -> None:
    env = NethackEnv(max_steps=1500)
    deepest = []
    for task in env.tasks("test")[:4]:
        observation, info = env.reset(options={"task": task})
        expert, over, cut = env.searcher(), False, False
        expert.begin(info["goal"], observation, info)
        while not (over or cut):
            action = expert.act()
            observation, _, over, cut, info = env.step(action)
            assert not info["invalid"]
            expert.observe(action, observation, info)
        deepest.append(round(50 * info["score"]))
    assert sum(deepest) >= 3 * len(deepest)
    with pytest.raises(LookupError, match="view='language'"):
        NethackEnv(view="screen").searcher()
    with pytest.raises(ValueError, match="view='language'"):
        NethackSearcher().begin("", "Hello Agent, welcome to NetHack!", {})


@needs_nle
def test_what_a_user_can_mend_is_named() -> None:
    with pytest.raises(ValueError, match="language, screen"):
        NethackEnv(view="pixels")
    with pytest.raises(ValueError, match="test/00000"):
        NethackEnv().reset(options={"task": "nowhere"})


def test_without_nle_one_line_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [m for m in sys.modules if m == "nle" or m.startswith("nle.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "nle", None)
    with pytest.raises(ImportError, match=r"^NetHack needs nle, which has no extra: pip install --no-deps nle$"):
        make("nethack")


def test_the_examples_in_the_docstrings_are_true() -> None:
    assert doctest.testmod(nethack).failed == 0
