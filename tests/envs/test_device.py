"""The phone: tasks that can be won, verdicts that see damage, three grammars of one meaning, and a real device's protocol."""

from __future__ import annotations

import doctest
import importlib
import json
import random
from collections import Counter
from collections.abc import Iterator

import numpy as np
import pytest
from agentgym.agents.scripted import ReplayAgent
from agentgym.envs import WorldDied, make
from agentgym.envs.check import check
from agentgym.envs.device import DeviceEnv, Element, Event, Screen, grammar
from agentgym.envs.device.adb import AdbBackend, AdbConnection, AdbError, AdbTask, read_dump
from agentgym.envs.device.apps import book, route
from agentgym.envs.device.core import CLAIMS, MOUSE
from agentgym.envs.device.judge import same
from agentgym.envs.device.noise import LEVELS, loading, popup
from agentgym.envs.device.phone import Phone
from agentgym.envs.device.searcher import read_screen
from agentgym.envs.device.tasks import make as make_task
from agentgym.envs.device.tasks import templates
from agentgym.memory import memory_maker
from agentgym.training.evaluate import summary
from agentgym.training.rollout import replay, rollout
from fake_adb import FakeAdb
from hypothesis import given, settings
from hypothesis import strategies as st
from playing import play

PHONE = (1080, 2400)


def phone_of(env: DeviceEnv) -> Phone:
    assert isinstance(env.backend, Phone)
    return env.backend


def start(template: str, **options: str) -> tuple[DeviceEnv, str]:
    env = DeviceEnv(**options)  # type: ignore[arg-type]
    task = next(t for t in env.tasks("test") if t.endswith(f"-{template}"))
    env.reset(options={"task": task})
    return env, task


def test_the_device_passes_its_own_conformance_check() -> None:
    assert not [c for c in check(lambda: make("device")) if c.passed is not True]


def test_there_are_ten_apps_and_forty_templates_on_every_level() -> None:
    assert len(book().starts) >= 10
    assert len(templates()) >= 40
    assert min(Counter(t.level for t in templates().values()).values()) >= 6
    assert all(route("home", p.id) for p in book().pages.values() if p.row or p.settings)


@pytest.mark.parametrize("noise", ["ladder", "heavy"])
@pytest.mark.parametrize("expert", ["oracle", "searcher"])
def test_experts_win_every_template_on_every_level(expert: str, noise: str) -> None:
    env = DeviceEnv(noise=noise)
    lost = [t for t in env.tasks("test")[: 3 * len(templates())] if not play(env, t, expert)[-1][1]["success"]]
    assert not lost


def test_a_random_agent_wins_almost_nothing() -> None:
    env = DeviceEnv()
    rng = random.Random(0)
    won = Counter[str]()
    tasks = env.tasks("valid")
    for task in tasks:
        _, info = env.reset(options={"task": task})
        over = cut = False
        while not (over or cut):
            *_, over, cut, info = env.step(rng.choice(info["admissible"]))
        won[info["kind"]] += info["success"]
    assert won.total() / len(tasks) < 0.05
    assert not won["L3"] + won["L4"] + won["L5"]


def test_the_oracle_goes_on_from_any_state_and_undoes_damage() -> None:
    env = DeviceEnv(max_steps=200)
    rng = random.Random(1)
    lost = 0
    tasks = env.tasks("train")[:114]
    for task in tasks:
        _, info = env.reset(options={"task": task})
        for _ in range(12):
            mild = [a for a in info["admissible"] if a.split()[0] not in ("done", "infeasible", "answer")]
            *_, over, _, info = env.step(rng.choice(mild))
            if over:
                break
        while not over:
            plan = env.privileged().actions
            if not plan:
                lost += 1  # a mail or a song that no form can bring back
                break
            *_, over, _, info = env.step(plan[0])
        assert info["success"] or not plan
    assert lost <= 3


def both_ways(event: Event, screen: Screen) -> Iterator[tuple[str, ...]]:
    yield (grammar.short(event),)
    yield (grammar.android(event),)
    written = grammar.aitw(event, PHONE, lambda i: screen.elements[i].centre)
    if written:
        yield written


def test_three_grammars_do_the_same() -> None:
    env = DeviceEnv(noise="none", max_steps=10_000, finish="status")
    rng = random.Random(2)
    for task in env.tasks("train")[7:57]:
        env.reset(options={"task": task})
        for _ in range(12):
            screen = env.backend.screen()
            edits = [i for i, e in enumerate(screen.elements) if e.kind == "edit" and not e.value]
            taps = [i for i, e in enumerate(screen.elements) if e.act] or [0]
            event = rng.choice([
                Event("tap", rng.choice(taps)), Event("tap", rng.choice(taps)), Event("back"), Event("home"),
                Event("enter"), Event("scroll", text="down"), Event("scroll", text="up"),
                *(Event("type", i, text="harbor plan", clear=True) for i in edits),
            ])  # fmt: skip
            before, after = env.snapshot(), []
            for actions in both_ways(event, screen):
                env.restore(before)
                for action in actions:
                    *_, info = env.step(action)
                    assert not info["invalid"], action
                env.step("enter")  # AndroidWorld's typing ends with the Enter key
                after.append((phone_of(env).state, env.render()))
            assert all(a == after[0] for a in after), event


@pytest.mark.parametrize(
    ("short", "android", "aitw"),
    [
        ("done", '{"action_type":"status","goal_status":"complete"}', '{"action_type":10}'),
        ("infeasible", '{"action_type":"status","goal_status":"infeasible"}', '{"action_type":"STATUS_TASK_IMPOSSIBLE"}'),
        ("tap 540 1200", '{"action_type":"click","x":540,"y":1200}',
         '"action_type": "DUAL_POINT", "touch_point": "[0.5, 0.5]", "lift_point": "[0.5, 0.5]", "typed_text": ""'),
        ("scroll down", '{"action_type":"swipe","direction":"up"}',
         '{"action_type":4,"yx_touch":[0.8,0.5],"yx_lift":[0.2,0.5]}'),
        ("back", '{"action_type":"navigate_back"}', '{"action_type":"PRESS_BACK"}'),
    ],
)  # fmt: skip
def test_the_grammars_of_the_papers_are_read(short: str, android: str, aitw: str) -> None:
    assert grammar.parse(short, PHONE) == grammar.parse(android, PHONE) == grammar.parse(aitw, PHONE)


def test_short_text_and_json_round_trip() -> None:
    events = [
        Event("tap", 3), Event("tap", point=(5, 6)), Event("hold", 0), Event("type", 2, text='say "hi"', clear=True),
        Event("type", text="a b", clear=True), Event("scroll", text="left"), Event("open", text="Clock"), Event("wait"),
        Event("answer", text="7 o'clock"), Event("done"), Event("infeasible"), Event("enter"),
    ]  # fmt: skip
    for event in (Event("hover", 3), Event("drag", 3, onto=5)):
        assert grammar.parse(grammar.short(event), PHONE) == event and event.kind in MOUSE
        assert grammar.aitw(event, PHONE, lambda i: (0, 0)) == ()
        with pytest.raises(ValueError, match=f"AndroidWorld has no {event.kind}"):
            grammar.android(event)
    for event in events:
        assert grammar.parse(grammar.short(event), PHONE) in (event, Event("answer", text=event.text, clear=False))
        read = grammar.parse(grammar.android(event), PHONE)
        assert read is not None and (read.kind, read.index, read.point, read.text) == (
            event.kind, event.index, event.point, event.text,
        )  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=80) | st.dictionaries(st.sampled_from(["action_type", "index", "x", "y", "text", "yx_touch"]),
       st.integers() | st.text(max_size=9) | st.floats(allow_subnormal=False) | st.lists(st.floats(allow_subnormal=False), max_size=2)).map(json.dumps))  # fmt: skip
def test_malformed_text_never_raises(text: str) -> None:
    env, _ = start("edit_contact")
    *_, info = env.step(text)
    assert isinstance(info["invalid"], bool)


def test_invalid_says_so_and_changes_nothing() -> None:
    env, _ = start("edit_contact")
    before = phone_of(env).state
    for text in (
        "click 99",
        "open Nowhere",
        'type "words"',
        "jump",
        "hover 1",
        "drag 1 to 2",
        '{"action_type":"fly"}',
        '{"action_type":4}',
        "[]",
    ):
        observation, *_, info = env.step(text)
        assert info["invalid"] and not info["changed"] and observation.startswith("Nothing happens.\n")
    assert phone_of(env).state == before


def test_collateral_damage_is_seen_and_can_be_undone() -> None:
    env, _ = start("network_set")
    env.step("open Settings")
    other = phone_of(env).task.changes[0].new
    assert other is not None
    env.step("click 1")
    labels = [e.text for e in env.backend.screen().elements]
    wrong = next(i for i in (1, 2, 3) if labels[i] != book().settings[other[0]][0])
    *_, over, _, info = env.step(f"click {wrong}")
    assert not over and info["damage"] == () and env.verdict().damage
    right = labels.index(book().settings[other[0]][0])
    *_, over, _, info = env.step(f"click {right}")
    assert not over and not info["success"] and info["score"] < 1
    *_, over, _, info = env.step(f"click {wrong}")
    assert over and info["success"] and not env.verdict().damage


def test_a_premature_claim_ends_the_episode_and_tells_the_damage() -> None:
    env, _ = start("network_set")
    env.step("open Settings")
    env.step("click 4")
    env.step("click 1")
    *_, reward, over, _, info = env.step("done")
    assert over and reward == 0 and not info["success"]
    assert info["damage"] == env.verdict().damage != ()


def test_with_status_a_task_is_won_only_when_the_agent_says_so() -> None:
    env, _ = start("network_here", finish="status")
    *_, reward, over, _, info = env.step(env.privileged().actions[0])
    assert (reward, over, info["success"]) == (0, False, False)
    *_, reward, over, _, info = env.step("done")
    assert (reward, over, info["success"]) == (1, True, True)


def test_giving_up_counts_only_where_the_screen_shows_why() -> None:
    env, _ = start("no_contact")
    assert not env.step("infeasible")[-1]["success"]
    env, task = start("edit_contact")
    while "click" not in env.privileged().actions[0]:
        env.step(env.privileged().actions[0])
    assert not env.step("infeasible")[-1]["success"], task


def test_noise_changes_neither_the_task_nor_its_start() -> None:
    still, rough = DeviceEnv(noise="none"), DeviceEnv(noise="heavy", noise_seed=3)
    for task in still.tasks("test")[:57]:
        goals = {env.reset(options={"task": task})[1]["goal"] for env in (still, rough)}
        assert len(goals) == 1
        assert phone_of(still).task == phone_of(rough).task
    assert still.split_hash("test") != rough.split_hash("test")


def test_noise_comes_as_often_as_it_says_and_again_the_same() -> None:
    noise = LEVELS["heavy"]
    popups = [popup(noise, 7, t) for t in range(20_000)]
    assert sum(p >= 0 for p in popups) / 20_000 == pytest.approx(noise.p_popup, abs=0.01)
    assert {p for p in popups if p >= 0} == set(range(len(book().popups)))
    assert {loading(noise, 7, t) for t in range(500)} == {0, 1, 2}
    assert popups == [popup(noise, 7, t) for t in range(20_000)]


def test_a_snapshot_is_exact() -> None:
    env = DeviceEnv(noise="heavy")
    rng = random.Random(4)
    _, info = env.reset(options={"task": env.tasks("train")[50]})
    for _ in range(15):
        saved = env.snapshot()
        actions = [rng.choice(info["admissible"])]
        first = [env.step(a) for a in actions]
        env.restore(saved)
        assert [env.step(a) for a in actions] == first
        if first[-1][2] or first[-1][3]:
            break
        info = first[-1][-1]


def test_changed_tells_whether_the_screen_is_another_one() -> None:
    env, _ = start("network_here")
    title = env.step("click 0")[-1]
    toggled = env.step("click 1")[-1]
    assert (title["changed"], toggled["changed"], title["invalid"]) == (False, True, False)


def test_splits_have_names_of_their_own_and_tasks_are_reproducible() -> None:
    assert make_task("add_contact", "train", 5) == make_task("add_contact", "train", 5)
    assert make_task("add_contact", "train", 5) != make_task("add_contact", "train", 5, seed=1)
    held = {
        s: {r[0] for i in range(40) for r in make_task("add_contact", s, i).start.db["contacts"]}
        for s in ("train", "test")
    }
    assert not held["train"] & held["test"]


def test_what_the_screen_says_can_be_read_back() -> None:
    env, _ = start("add_note")
    for action in env.privileged().actions:
        screen = env.backend.screen()
        read = read_screen(screen.text())
        assert (read.page, read.above, read.below) == (screen.page, screen.above, screen.below)
        assert [e[:3] for e in read.elements] == [e[:3] for e in screen.elements]
        env.step(action)


def test_pixels_show_every_element_and_the_change_of_a_switch() -> None:
    env, _ = start("network_here")
    before = env.pixels()
    assert before.shape == (600, 270, 3) and before.dtype == np.uint8
    env.step("click 1")
    after = env.pixels()
    assert np.mean((before.astype(float) - after) ** 2) > 0
    left, top, right, bottom = (v // 4 for v in env.backend.screen().elements[1].box)
    changed = np.argwhere((before != after).any(axis=2))
    assert changed.min(axis=0)[0] >= top and changed.max(axis=0)[0] < bottom
    assert changed.min(axis=0)[1] >= left and changed.max(axis=0)[1] < right


def test_answers_are_compared_by_what_they_say() -> None:
    assert same(" Dinner  is ready. ", "dinner is ready") and not same("555-1", "555-2")


def test_errors_name_the_value_and_the_fix() -> None:
    for options, said in (
        ({"level": "L9"}, "L9.*L0"),
        ({"noise": "loud"}, "ladder, none"),
        ({"finish": "x"}, "status"),
    ):
        with pytest.raises(ValueError, match=said):
            make("device", **options)
    with pytest.raises(ValueError, match="test/00003-L3-edit_contact"):
        make("device").reset(options={"task": "nowhere"})
    assert {t.split("-")[1] for t in DeviceEnv(level="L2,L3").tasks("test")} == {"L2", "L3"}


def test_the_examples_in_the_docstrings_are_true() -> None:
    names = ("core", "apps", "state", "grammar", "guide", "searcher", "behaviour", "env")
    results = [doctest.testmod(importlib.import_module(f"agentgym.envs.device.{n}")) for n in names]
    assert all(r.failed == 0 for r in results) and sum(r.attempted for r in results) >= 12


@pytest.fixture
def android() -> Iterator[tuple[FakeAdb, DeviceEnv]]:
    phone = Phone([1], {"train": 1, "valid": 1, "test": 1}, "none")
    phone.begin("test/00000-L1-network_set")
    server = FakeAdb(phone)
    task = AdbTask("Turn on Wi-Fi.", ("svc wifi disable",), "settings get global wifi_on", "1|2")
    backend = AdbBackend({"test": [task]}, {"Settings": "sim.Settings"}, port=server.port, settle_s=0)
    yield server, DeviceEnv(backend=backend)
    server.shutdown()
    server.server_close()


def test_a_real_device_is_driven_over_adbs_own_protocol(android: tuple[FakeAdb, DeviceEnv]) -> None:
    server, env = android
    server.shell("input keyevent 3")
    _, info = env.reset(options={"task": "test/00000"})
    assert info["goal"] == "Turn on Wi-Fi." and not info["success"]
    assert "open Settings" in info["admissible"]
    if server.shell("settings get global wifi_on") == b"1\n":  # the phone drew it on: begin from off
        for command in ("monkey -p sim.Settings 1", "input tap 500 300", "input tap 500 300", "input keyevent 3"):
            server.shell(command)
    observation, *_ = env.step("open Settings")
    assert "button Network" in observation
    observation, *_ = env.step('{"action_type":"click","index":1}')
    assert "switch Wi-Fi: off" in observation
    *_, reward, over, _, info = env.step("click 1")
    assert (reward, over, info["success"], info["changed"]) == (1, True, True, True)
    assert any(line.startswith("input tap") for line in server.log)


def test_the_oracle_wins_the_phones_templates_over_adb_by_text_alone() -> None:
    phone = Phone([0, 1, 2, 3, 4], {"train": 1, "valid": 1, "test": 3 * len(templates())}, "none")
    firsts = {task.split("-", 2)[2]: task for task in reversed(phone.tasks("test"))}
    won = set()
    for name, task in firsts.items():
        goal = phone.begin(task)
        server = FakeAdb(phone)
        told = AdbTask(goal, check="judge", expect="won")
        backend = AdbBackend({"test": [told]}, {app: f"sim.{app}" for app in phone.apps}, port=server.port, settle_s=0)
        env = DeviceEnv(backend=backend)
        _, info = env.reset(options={"task": "test/00000"})
        over = cut = False
        while not (over or cut) and (plan := phone.privileged().actions) and plan[0].split()[0] not in CLAIMS:
            *_, over, cut, info = env.step(plan[0])
            assert not info["invalid"], (task, plan[0])
        if info["success"]:
            won.add(name)
        server.shutdown()
        server.server_close()
        assert info["success"] or (plan and plan[0].split()[0] in CLAIMS), task
    assert len(won) >= 8, won


def test_typing_on_a_real_device_is_quoted_and_ascii(android: tuple[FakeAdb, DeviceEnv]) -> None:
    server, env = android
    env.reset(options={"task": "test/00000"})
    server.shell("monkey -p sim.Contacts 1")
    env.step("wait")
    observation, *_ = env.step("click 1")
    observation, *_ = env.step("""type 1 "O'Neil & Sons" """)
    assert "edit* Name: O'Neil & Sons" in observation
    assert env.step('type 1 "čaj"')[-1]["invalid"]
    assert env.pixels().shape == (20, 270, 3)
    for forbidden in (env.privileged, env.snapshot):
        with pytest.raises(LookupError, match="real device"):
            forbidden()


def test_adb_faults_are_named(android: tuple[FakeAdb, DeviceEnv]) -> None:
    server, _ = android
    with pytest.raises(AdbError, match="not found"):
        AdbConnection("another", port=server.port).run("echo")
    server.shutdown()
    server.server_close()
    with pytest.raises(AdbError, match="adb start-server"):
        AdbConnection(port=server.port).run("echo")
    with pytest.raises(AdbError, match="no hierarchy"):
        read_dump("ERROR: could not get idle state.")


def test_a_device_that_dies_truncates_its_episode_and_the_run_goes_on(
    android: tuple[FakeAdb, DeviceEnv],
) -> None:
    server, env = android
    made: list[DeviceEnv] = []

    def make_env() -> DeviceEnv:
        made.append(DeviceEnv(backend=env.backend, max_steps=3))
        return made[-1]

    server.silent_at = "keyevent 4"  # the first "back"
    agent = ReplayAgent({n: ("wait", "back", "wait") for n in range(3)})
    died, *others = rollout(make_env, agent, memory_maker("full"), ["test/00000"] * 3, env_id="device", batch=1)
    assert [len(t.steps) for t in (died, *others)] == [2, 3, 3]
    last = died.steps[-1]
    assert (last.action, last.reward, last.terminated, last.truncated, last.success) == (
        "back",
        0.0,
        False,
        True,
        False,
    )
    assert died.meta == {"died": "the adb server closed the connection"}
    assert died.final == "The world stopped: the adb server closed the connection"
    assert [t.meta for t in others] == [{}, {}] and len(made) == 2  # what died is not used again
    row = summary([died, *others], split="test", split_hash="", seconds=0.0)
    assert (row["episodes"], row["died"]) == (3, 1)
    assert replay(env, died) == []
    server.silent_at = "uiautomator"
    with pytest.raises(WorldDied, match="closed the connection"):
        env.reset(options={"task": "test/00000"})


def test_a_dump_is_read_by_what_can_be_tapped() -> None:
    row = '<node class="android.widget.TextView" text="Ada" clickable="false" bounds="[0,0][100,50]"/>'
    xml = f'<hierarchy><node class="android.view.View" clickable="true" bounds="[0,0][100,50]">{row}</node></hierarchy>'
    assert read_dump(xml).elements == (Element("button", "Ada", "", (0, 0, 100, 50), ("tap",)),)
