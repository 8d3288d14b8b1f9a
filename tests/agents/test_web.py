"""A person at a browser: pages whose buttons are actions, an episode that is stored, and nobody else at the till."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import threading
import urllib.error
import urllib.parse
import urllib.request
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from agentgym.agents.web import WebAgent, page
from agentgym.envs import make
from agentgym.memory import make_memory, memory_maker
from agentgym.memory.store import read
from agentgym.memory.trajectory import Trajectory
from agentgym.training.rollout import replay, rollout

SMALL = {"products": 400, "train": 5, "valid": 5, "test": 5}


def get(url: str) -> str:
    with urllib.request.urlopen(url, timeout=60) as answer:
        return str(answer.read().decode())


def send(url: str, headers: dict[str, str] | None = None, **fields: str) -> str:
    """Post a form as a browser does and return the page to which it leads."""
    body = urllib.parse.urlencode(fields).encode()
    with urllib.request.urlopen(urllib.request.Request(url, body, headers or {}), timeout=60) as answer:
        return str(answer.read().decode())


def buttons(text: str) -> list[str]:
    return [unescape(v) for v in re.findall(r'<button name="say" value="([^"]*)"', text)]


def number(text: str) -> str:
    return re.findall(r'name="t" value="(\d+)"', text)[0]


def shop(url: str, actions: list[str]) -> str:
    """Do what a plan says, by the fields and buttons that the pages have."""
    text = get(url)
    for action in actions:
        if action.startswith("search["):
            assert '<input name="search"' in text
            text = send(url, t=number(text), search=action[7:-1])
        else:
            assert action in buttons(text), (action, buttons(text))
            text = send(url, t=number(text), say=action)
    return text


def test_a_person_shops_and_the_episode_is_a_demonstration(tmp_path: Path) -> None:
    env = make("webshop", **SMALL)
    env.reset(options={"task": "test/00002"})
    plan = list(env.privileged().actions)
    out = tmp_path / "played.jsonl.zst"
    command = [sys.executable, "-u", "-m", "agentgym.cli", "play", "--env", "webshop", "--web", "--task", "test/00002"]
    command += ["--out", str(out), *(w for k, v in SMALL.items() for w in ("--set", f"env.{k}={v}"))]
    run = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ)
    try:
        assert run.stdout is not None
        found = re.search(r"http://127\.0\.0\.1:\d+/", run.stdout.readline())
        assert found is not None
        said = shop(found[0], plan)
        assert f"Solved in {len(plan)} steps" in said and "Your score" in said
        assert run.wait(60) == 0
    finally:
        run.kill()
    [played], lost = read(out)
    assert (played.actions, played.success, played.agent, lost) == (plan, True, "human", 0)
    assert replay(make(played.env, **played.kwargs), played) == []


def playing(agent: WebAgent, env: str, task: str, **kwargs: int) -> tuple[threading.Thread, list[Trajectory]]:
    done: list[Trajectory] = []

    def run() -> None:
        done.extend(rollout(lambda: make(env, **kwargs), agent, memory_maker("full"), [task], env_id=env))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread, done


def test_any_world_has_a_button_for_every_action_and_a_late_click_is_not_taken() -> None:
    agent = WebAgent()
    thread, done = playing(agent, "bandit", make("bandit").tasks("test")[0])
    first = buttons(get(agent.url))[0]
    send(agent.url, t="0", say=first)
    assert send(agent.url, t="0", say="late") == get(agent.url)
    text = get(agent.url)
    for _ in range(38):
        text = send(agent.url, t=number(text), say=first)
    ending = threading.Thread(target=send, args=(agent.url,), kwargs={"t": number(text), "say": first}, daemon=True)
    ending.start()
    thread.join(60)
    agent.end("the goal", "the last words", "the outcome")
    ending.join(60)
    assert not ending.is_alive()
    assert [t.actions for t in done] == [[first] * 40]


def test_only_pages_of_this_machine_may_act() -> None:
    agent = WebAgent()
    try:
        for headers, path, status in (
            ({"Origin": "http://evil.example"}, "", 403), ({"Host": "evil.example"}, "", 403), ({}, "etc/passwd", 404),
            ({"Content-Length": "99999999"}, "", 413),
        ):  # fmt: skip
            with pytest.raises(urllib.error.HTTPError) as fault:
                send(agent.url + path, headers, t="0", say="x")
            assert fault.value.code == status
        assert agent._said.empty()
    finally:
        agent.close()


def test_what_a_world_says_is_never_markup() -> None:
    memory = make_memory("full")
    memory.begin('<b>"goal"</b>', "<script>alert(1)</script>\n[button] <i> [button_]", {"admissible": ("click[<i>]",)})
    text = page(memory.view())
    assert "<script>" not in text and "<i>" not in text and "<b>&" not in text.split("goal")[0][-5:]
    assert buttons(text) == ["click[<i>]"]
    memory.begin("g", "Say something.", {"admissible": None})
    assert '<input name="say"' in page(memory.view())


class Browser:
    """A headless Chromium, by WebDriver: JSON over HTTP (W3C WebDriver, 2018)."""

    def __init__(self, program: str, driver: str) -> None:
        self._process = subprocess.Popen([driver, "--port=0"], stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        port = next(m[1] for line in self._process.stdout if (m := re.search(r"successfully on port (\d+)", line)))
        self._base = f"http://127.0.0.1:{port}/session"
        flags = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        options = {"goog:chromeOptions": {"binary": program, "args": flags}}
        self._base += (
            "/"
            + self.ask("", {"capabilities": {"alwaysMatch": options | {"timeouts": {"implicit": 20000}}}})["sessionId"]
        )

    def ask(self, path: str, body: dict[str, Any]) -> Any:
        request = urllib.request.Request(
            self._base + path, json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=120) as answer:
            return json.loads(answer.read())["value"]

    def find(self, css: str) -> str:
        found: dict[str, str] = self.ask("/element", {"using": "css selector", "value": css})
        return next(iter(found.values()))

    def click(self, css: str) -> None:
        self.ask(f"/element/{self.find(css)}/click", {})

    def write(self, css: str, text: str) -> None:
        self.ask(f"/element/{self.find(css)}/value", {"text": text})

    def close(self) -> None:
        self._process.terminate()
        self._process.wait(30)


def test_a_person_shops_in_chromium() -> None:
    program, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if program is None or driver is None:
        pytest.skip("needs Debian's browser: apt-get install chromium chromium-driver")
    env = make("webshop", **SMALL)
    env.reset(options={"task": "test/00002"})
    search, *clicks = env.privileged().actions
    agent, browser = WebAgent(), Browser(program, driver)
    try:
        thread, done = playing(agent, "webshop", "test/00002", **SMALL)
        browser.ask("/url", {"url": agent.url})
        browser.write('input[name="search"]', search[7:-1] + "\ue006")  # and Enter
        *places, last = [f'[name=t][value="{t}"] + button[value="{c}"]' for t, c in enumerate(clicks, 1)]
        for place in places:  # of that page: the one before it may have the same
            browser.click(place)
        ending = threading.Thread(target=browser.click, args=(last,), daemon=True)
        ending.start()
        thread.join(60)
        agent.end("goal", "Thank you for shopping with us!", "Solved")
        ending.join(60)
    finally:
        browser.close()
    assert [(t.actions, t.success) for t in done] == [([search, *clicks], True)]
