"""MiniWoB++: pages in a real Chromium, what they say and take, and a browser that dies. Skipped where there is none."""

from __future__ import annotations

import doctest
import importlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from agentgym.agents.scripted import OracleAgent
from agentgym.envs import Unavailable, Unknown, WorldDied, listing, make
from agentgym.envs.check import check
from agentgym.envs.device import browser, chromium
from agentgym.envs.device.chromium import BrowserDied, Chromium
from agentgym.envs.device.core import Element, Screen
from agentgym.envs.device.experts import EXPERTS, Seen, solve
from agentgym.envs.device.miniwob import MiniWobEnv
from agentgym.envs.fuzz import fuzz
from agentgym.memory import memory_maker
from agentgym.training.rollout import rollout


def missing() -> str:
    try:
        chromium.program()
        browser.folder()
    except (Unavailable, ImportError) as error:
        return str(error)
    return ""


real = pytest.mark.skipif(bool(missing()), reason=missing() or "a browser is there")


@pytest.fixture(scope="module")
def env() -> Iterator[MiniWobEnv]:
    one = MiniWobEnv()
    yield one
    one.close()


def solved(env: MiniWobEnv, task: str, searching: bool = False) -> None:
    """Play a task by the expert, every action of which has to be listed."""
    observation, info = env.reset(options={"task": task})
    told = lambda: {"goal": info["goal"], "admissible": info["admissible"]}  # what an agent hands on
    searcher = env.searcher()
    searcher.begin(info["goal"], observation, told())
    over = False
    while not over:
        plan = (searcher.act(),) if searching else env.privileged().actions
        assert plan and plan[0] in info["admissible"], (task, plan, observation)
        observation, reward, terminated, truncated, info = env.step(plan[0])
        searcher.observe(plan[0], observation, told())
        over = terminated or truncated
    assert (reward, info["success"], info["score"], terminated) == (1.0, True, 1.0, True), (task, observation)
    assert searching or env.privileged().actions == ()


@real
@pytest.mark.parametrize("page", EXPERTS)
def test_the_oracle_does_the_page_in_chromium(env: MiniWobEnv, page: str) -> None:
    solved(env, next(task for task in env.tasks("test") if env.kind_of(task) == page))


@real
@pytest.mark.slow
@pytest.mark.parametrize("page", EXPERTS)
def test_the_experts_do_the_page_from_many_seeds(env: MiniWobEnv, page: str) -> None:
    tasks = [task for task in env.tasks("valid") if env.kind_of(task) == page]
    for task in tasks[:5]:
        solved(env, task)
        solved(env, task, searching=True)


@real
@pytest.mark.slow
def test_miniwob_passes_its_own_conformance_check() -> None:
    lines = {c.name: c.passed for c in check(lambda: make("miniwob", pages="click-button,enter-text,click-tab-2"))}
    assert lines.pop("snapshot and restore are exact") is None  # a page cannot be copied, and the world says so
    assert all(passed is True for passed in lines.values()), lines


@real
def test_a_seed_draws_the_same_page_in_every_browser_and_another_seed_another(env: MiniWobEnv) -> None:
    other = MiniWobEnv(pages="click-link")
    first = other.reset(options={"task": "test/00000-click-link"})
    assert first == other.reset(options={"task": "test/00000-click-link"})
    assert first != other.reset(options={"task": "test/00001-click-link"})
    other.close()
    again = MiniWobEnv(pages="click-link")
    assert first == again.reset(options={"task": "test/00000-click-link"})
    again.close()


@real
def test_keys_and_clicks_are_the_pages_own_and_its_verdict_is_the_worlds() -> None:
    env = MiniWobEnv(pages="enter-password")
    observation, info = env.reset(options={"task": "test/00000-enter-password"})
    first, second = (i for i, e in enumerate(Screen.read(observation).elements) if e.kind == "edit")
    before = env.pixels()
    observation, *_, info = env.step(f'type {first} "it\'s <b>"')
    assert "edit* password: it's <b>" in observation and not info["invalid"] and info["changed"]
    assert before.shape == (210, 160, 3) and len(np.unique(before)) > 2 and not np.array_equal(before, env.pixels())
    observation, *_ = env.step('type "wrong"')
    assert "edit* password: wrong" in observation
    for said in (
        'type 0 "a label"',
        'type "čaj\\u0000"',
        "click 99",
        "back",
        "done",
        "hold 1",
        "tap 9999 1",
        'open "x"',
    ):
        answer, *_, info = env.step(said)
        assert info["invalid"] and answer == "Nothing happens.\n" + observation, said
    x, y = env.backend.screen().elements[second].centre
    observation, *_, info = env.step(f"tap {x} {y}")
    assert "edit* verify" in observation and not info["invalid"]
    submit = next(i for i, e in enumerate(env.backend.screen().elements) if e.text == "Submit")
    _, reward, terminated, _, info = env.step(f"click {submit}")
    assert (reward, terminated, info["success"], info["score"]) == (0.0, True, False, 0.0)
    env.close()


@real
def test_the_mouse_hovers_and_drags_what_the_page_shows() -> None:
    menu = MiniWobEnv(pages="click-menu")
    tasks = (menu.reset(options={"task": task}) for task in menu.tasks("train"))
    observation, info = next(told for told in tasks if "] menu " in told[0])
    at = next(i for i, e in enumerate(Screen.read(observation).elements) if e.kind == "menu")
    assert f"hover {at}" in info["admissible"]
    opened, *_, info = menu.step(f"hover {at}")
    assert len(opened.split("\n")) > len(observation.split("\n")) and not info["invalid"]
    menu.close()
    grid = MiniWobEnv(pages="drag-sort-numbers")
    observation, info = grid.reset(options={"task": "test/00000-drag-sort-numbers"})
    numbers = [e.text for e in Screen.read(observation).elements if e.kind == "drag"]
    assert sum(a.startswith("drag") for a in info["admissible"]) == 4 * 3
    for said in ("drag 0 to 0", "drag 0 to 99", "drag 4 to 0", "hover 99"):
        assert grid.step(said)[-1]["invalid"], said
    for (one, other), due in (((0, 3), [*numbers[1:], numbers[0]]), ((3, 0), numbers), ((1, 2), None)):
        observation, *_, info = grid.step(f"drag {one} to {other}")
        due = due or [numbers[0], numbers[2], numbers[1], numbers[3]]
        assert [e.text for e in Screen.read(observation).elements if e.kind == "drag"] == due and info["changed"]
    grid.close()


@real
def test_a_click_does_what_it_should_though_the_picture_under_the_mouse_is_another() -> None:
    shop = MiniWobEnv(pages="social-media")
    for task in shop.tasks("test")[:3]:  # the first click of a fresh browser used to miss
        observation, _ = shop.reset(options={"task": task})
        more = [i for i, line in enumerate(observation.split("\n")) if line.endswith("span more")]
        assert "li Embed Tweet" in shop.step(f"click {more[-1]}")[0], task
    shop.close()


@real
def test_a_button_that_another_covers_in_part_is_clicked_where_it_shows() -> None:
    env = MiniWobEnv(pages="click-button-sequence")
    for task in env.tasks("train"):
        env.reset(options={"task": task})
        one, two = (e.box for e in env.backend.screen().elements)
        x, y = (one[0] + one[2]) // 2, (one[1] + one[3]) // 2
        if one != two and two[0] < x < two[2] and two[1] < y < two[3]:
            break
    env.step("click 0")
    assert env.step("click 1")[-1]["success"]
    env.close()


@real
def test_no_string_brings_a_page_down() -> None:
    tally = fuzz(lambda: MiniWobEnv(pages="enter-text,click-tab-2,choose-list"), 150, seed=2)
    assert tally.strings >= 150 and tally.invalid > 30


@real
def test_a_browser_that_dies_truncates_its_episodes_and_the_run_goes_on() -> None:
    env = MiniWobEnv(pages="click-checkboxes-large")
    tasks = env.tasks("test")[:3]

    class Killer(OracleAgent):
        """Ends the browser in the second round."""

        rounds = 0

        def act_privileged(self, turns, states):
            self.rounds += 1
            if self.rounds == 2:
                browser._held[os.getpid()].process.send_signal(signal.SIGKILL)
            return super().act_privileged(turns, states)

    made = lambda: MiniWobEnv(pages="click-checkboxes-large")
    episodes = rollout(made, Killer(), memory_maker("full"), tasks, env_id="miniwob", batch=2)
    assert ["Chromium is gone" in t.meta.get("died", "") for t in episodes] == [True, True, False]
    assert [t.steps[-1].truncated for t in episodes] == [True, True, False] and episodes[2].success
    env.close()


@real
def test_a_page_that_crashes_is_one_episodes_death_and_its_world_begins_anew() -> None:
    one, other = MiniWobEnv(pages="click-button", max_steps=1000), MiniWobEnv(pages="click-link")
    one.reset(options={"task": "test/00000-click-button"})
    other.reset(options={"task": "test/00000-click-link"})
    held, _, session = one._browser._there()
    held.say("Page.navigate", session, url="chrome://crash")
    with pytest.raises(WorldDied, match="crashed"):
        for _ in range(300):  # a minute and more, on a slow machine
            one.step("wait")
    assert one.reset(options={"task": "test/00000-click-button"})[1]["goal"].startswith("Click on the")
    assert held.alive
    one.close()
    assert held.alive  # it serves the other world
    other.close()
    assert not held.alive and held.process.poll() is not None


@real
def test_a_page_that_never_answers_is_a_death_in_time() -> None:
    one = Chromium()
    _, page = one.open()
    one._timeout_s = 2.0
    with pytest.raises(BrowserDied, match="said nothing for 2 s"):
        one.evaluate(page, "for (;;);")
    assert not one.alive
    with pytest.raises(BrowserDied, match="gone"):
        one.evaluate(page, "1")


@real
def test_the_browser_reaches_no_network() -> None:
    one = Chromium()
    _, page = one.open()
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.5)
        address = f"http://127.0.0.1:{server.getsockname()[1]}/"
        for url in (address, address.replace("127.0.0.1", "localhost"), "http://example.com/"):
            assert (
                one.evaluate(page, f"fetch({url!r}, {{mode: 'no-cors'}}).then(() => 'came', () => 'failed')")
                == "failed"
            )
        with pytest.raises(TimeoutError):
            server.accept()
    one.close()


@real
def test_nothing_is_left_when_a_process_is_killed() -> None:
    lines = (
        "from agentgym.envs.device.chromium import Chromium",
        "one = Chromium()",
        "print(one.process.pid, flush=True)",
        "input()",
    )
    run = subprocess.Popen(
        [sys.executable, "-c", "\n".join(lines)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert run.stdout is not None and run.stdin is not None
    state = Path("/proc") / run.stdout.readline().strip() / "stat"
    assert state.exists()
    run.kill()
    run.wait(60)
    run.stdin.close()
    run.stdout.close()
    deadline = time.monotonic() + 60
    while state.exists() and state.read_text().split(")")[-1].split()[0] != "Z":
        assert time.monotonic() < deadline, "the browser outlived its process"
        time.sleep(0.05)


@real
def test_what_a_page_cannot_give_is_said() -> None:
    env = MiniWobEnv(pages="click-menu-2")
    env.reset(options={"task": "test/00000-click-menu-2"})
    with pytest.raises(LookupError, match="click-menu-2 has no expert: choose among click-button"):
        env.privileged()
    with pytest.raises(LookupError, match="no snapshot"):
        env.snapshot()
    with pytest.raises(LookupError, match="pages=click-menu-2 have no searching expert"):
        env.searcher()
    env.close()
    with pytest.raises(Unknown, match="did you mean 'click-button'"):
        make("miniwob", pages="click-buton")
    with pytest.raises(ValueError, match="test/00000-click-link"):
        MiniWobEnv(pages="click-link").reset(options={"task": "test/00000-click-button"})


def test_without_a_browser_or_the_package_the_world_is_not_available(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def available() -> bool:
        return next(bool(row["available"]) for row in listing() if row["id"] == "miniwob")

    monkeypatch.setattr(browser.importlib.util, "find_spec", lambda name: None)
    with pytest.raises((ImportError, Unavailable)):
        make("miniwob")
    monkeypatch.undo()
    monkeypatch.setenv("PATH", str(tmp_path))
    chromium.program.cache_clear()
    try:
        with pytest.raises(Unavailable, match="apt-get install chromium"):
            make("miniwob")
        assert not available()
        broken = tmp_path / "chromium"
        broken.write_text("#!/bin/sh\necho no display for you >&2\nexit 1\n")
        broken.chmod(0o755)
        chromium.program.cache_clear()
        with pytest.raises(Unavailable, match="does not start.*gone.*no display for you"):
            Chromium()
    finally:
        chromium.program.cache_clear()


def seen(goal: str, *lines: str) -> Seen:
    """Return what an expert sees of lines, all of which can be clicked."""
    screen = Screen.read("\n".join(f"[{i}] {line}" for i, line in enumerate(lines)))
    return Seen(goal, screen._replace(elements=tuple(e._replace(act=("tap",)) for e in screen.elements)))


@pytest.mark.parametrize(
    ("given", "plan"),
    [
        (seen('Enter the username "al" and the password "x1" into', "edit user: al", "edit pass: ", "button Login"),
            ('type 1 "x1"', "click 2"),
        ),
        (seen("Select a, b and click Submit.", "checkbox b: off", "checkbox c: on", "button Submit"),
         ("click 0", "click 1", "click 2")),
        (seen("Enter the value of Age into the text field and press Submit.", "text Age", "text 7", "edit tt: ",
                            "button Submit"), ('type 2 "7"', "click 3")),
        (seen('Type "Bo" in all upper case letters in the text input and press Submit.', "edit tt: Bo",
                              "button Submit"), ('type 0 "BO"', "click 1")),
        (seen("Select -2 with the spinner and hit Submit.", "edit v: 0", "link ui-spinner-up",
                             "link ui-spinner-down", "button Submit"), ("click 2", "click 2", "click 3")),
        (seen("Select A>B>C", "menu A", "div X"), ("hover 0",)),
        (seen("Select A>B>C", "menu A", "menu B", "div D", "div X"), ("hover 1",)),
        (seen("Select A>B>C", "menu A", "menu B", "div C", "div X"), ("click 2",)),
        (seen("Drag Al to the 3rd position.", "drag Bo: 1 1", "drag Al: 1 2", "drag Cy: 1 3"), ("drag 1 to 2",)),
        (seen("Drag Cy up by one position.", "drag Bo: 1 1", "drag Al: 1 2", "drag Cy: 1 3"), ("drag 2 to 1",)),
        (seen("Sort the numbers in", "drag -3: 1 1", "drag 9: 1 2", "drag 4: 1 3", "button Submit"), ("drag 2 to 1",)),
        (seen("Sort the numbers in", "drag -3: 1 1", "drag 4: 1 2", "button Submit"), ("click 2",)),
        (seen("Drag all circles into the black box.", "drag red circle: 9 9", "drag red triangle: 9 60",
              "drag tan circle: 99 98", "box frame: 95 95", "button Submit"), ("drag 0 to 3", "click 4")),
        (seen('For the user @bo, click on the "Mute" button.', "text @bo", "span more", "li Mute @bo"), ("click 2",)),
        (seen('Click on the "ok" button.', "text nothing of the kind"), ()),
        (seen("Select -2 with the spinner and hit Submit.", "text gone"), ()),
    ],
)  # fmt: skip
def test_an_expert_does_what_is_still_to_be_done(given: Seen, plan: tuple[str, ...]) -> None:
    assert solve(given) == plan


def test_only_the_teacher_knows_what_is_hidden_and_the_searcher_does_not_look_twice() -> None:
    here = seen(
        'Switch between the tabs to find and click on the link "x".', "tab Tab #1: on", "tab Tab #2: off", "text a"
    )
    assert solve(here._replace(hidden=(("y", 0), ("x", 1)))) == ("click 1",)
    assert solve(here) == ("click 0",)
    assert solve(here._replace(tried=frozenset({("tab", "Tab #1")}))) == ("click 1",)


def test_a_screen_is_read_back_from_its_lines() -> None:
    screen = Screen("p", (Element("edit", "a b", "c: d", focused=True), Element("text", "x")), above=True)
    assert Screen.read(screen.text(), "p") == screen


def test_the_examples_in_the_docstrings_are_true() -> None:
    results = [doctest.testmod(importlib.import_module(f"agentgym.envs.device.{n}")) for n in ("miniwob", "core")]
    assert all(r.failed == 0 for r in results) and sum(r.attempted for r in results) >= 4
