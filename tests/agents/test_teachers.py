"""Teachers: realizable advice, reasons that leak nothing, and students whose prompts know of neither."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from agentgym.agents.models import load
from agentgym.agents.policy import Policy
from agentgym.agents.scripted import OracleAgent, RandomAgent, SearcherAgent
from agentgym.agents.teachers import ModelTeacher, OracleTeacher, SelfTeacher, explain, leaks, mentions, retrace
from agentgym.envs import Privileged, Searcher, make
from agentgym.memory import Trajectory, memory_maker
from agentgym.training.rollout import replay, rollout
from langchain_core.language_models.fake_chat_models import FakeListChatModel, FakeMessagesListChatModel
from langchain_core.messages import AIMessage


def wander(agent: Any, tasks: list[str], **kwargs: Any) -> list[Trajectory]:
    return rollout(
        lambda: make("alfworld", max_steps=20), agent, memory_maker("full"), tasks, env_id="alfworld",
        env_kwargs={"max_steps": 20}, **kwargs,
    )  # fmt: skip


def searcher() -> Searcher:
    env = make("alfworld")
    env.reset()
    return env.searcher()


TASKS = [f"train/{i:05d}-{k}" for i, k in enumerate(("pick", "look", "clean", "heat", "cool", "two"))]


def test_every_correction_is_admissible_and_rests_on_what_was_read() -> None:
    env = make("alfworld", max_steps=20)
    followed = 0
    for t in wander(RandomAgent(), TASKS):
        states = retrace(env, t)
        history = ""
        for step, state, right in zip(t.steps, states, OracleTeacher(searcher).correct(t, states), strict=True):
            history += step.observation
            if right.action is None:
                continue
            assert right.action in step.admissible
            assert not leaks(right.reason or "", history, state)
            named = [
                w for w in (right.action.split(" from ")[0].removeprefix("take "),) if right.action.startswith("take")
            ]
            assert all(mentions(history, n) for n in named)
            followed += right.action == state.actions[0]
    assert followed > 20


def test_without_the_filter_the_oracle_is_taught_as_it_is() -> None:
    env = make("alfworld", max_steps=20)
    differ = 0
    for t in wander(RandomAgent(), TASKS):
        states = retrace(env, t)
        raw = OracleTeacher(searcher, privilege=1.0).correct(t, states)
        assert [c.action for c in raw] == [s.actions[0] if s.actions else None for s in states]
        differ += [c.action for c in raw] != [c.action for c in OracleTeacher(searcher).correct(t, states)]
    assert differ


def test_a_filtered_teacher_sends_no_student_straight_to_a_hidden_thing() -> None:
    """Among places of one kind the correction never depends on which of them hides the thing."""
    env = make("alfworld", max_steps=20)
    for t in wander(RandomAgent(), TASKS):
        history = ""
        for step, state, right in zip(
            t.steps, (s := retrace(env, t)), OracleTeacher(searcher).correct(t, s), strict=True
        ):
            history += step.observation
            hidden = state.basis and not mentions(history, state.basis[0])
            if hidden and right.action and right.action.startswith("go to"):
                kind = right.action.removeprefix("go to ").rsplit(" ", 1)[0]
                same = [a for a in step.admissible if a.startswith(f"go to {kind} ")]
                assert right.action in same


def test_student_prompts_are_the_same_bytes_with_and_without_a_teacher(small_tiny: Path) -> None:
    def prompts(teach: bool) -> list[tuple[int, ...]]:
        loaded = load(str(small_tiny))
        played = wander(Policy(loaded.model, loaded.renderer, name="student"), TASKS[:3])
        if teach:
            env = make("alfworld", max_steps=20)
            for t in played:
                OracleTeacher(searcher, privilege=1.0).correct(t, retrace(env, t))
            played = wander(Policy(loaded.model, loaded.renderer, name="student"), TASKS[:3])
        return [s.context_ids for t in played for s in t.steps]

    assert prompts(teach=True) == prompts(teach=False)


def test_an_environment_tells_an_agent_nothing_privileged_unless_it_is_marked_privileged() -> None:
    class Listening(RandomAgent):
        heard: list[str] = []

        def act(self, turns: Any) -> Any:
            self.heard += [repr(t) for t in turns]
            return super().act(turns)

    agent = Listening()
    wander(agent, TASKS[:2])
    assert not any("Privileged" in h or "basis" in h for h in agent.heard)
    assert all(t.success for t in wander(OracleAgent(), TASKS))


def test_a_model_teacher_is_asked_again_until_it_is_admissible_and_silent_on_secrets() -> None:
    env = make("alfworld", max_steps=1)
    t = rollout(
        lambda: make("alfworld", max_steps=1), RandomAgent(), memory_maker("full"), TASKS[:1], env_id="alfworld"
    )[0]
    state = retrace(env, t)
    good = t.steps[0].admissible[0]  # type: ignore[index]
    chat = FakeListChatModel(
        responses=[
            f"REASON: the {state[0].basis[0]} is there\nACTION: {good}",
            "ACTION: fly",
            f"REASON: look first.\nACTION: {good}",
        ]
    )
    [right] = ModelTeacher(chat).correct(t, state)
    assert (right.action, right.reason) == (good, "look first.")
    [none] = ModelTeacher(FakeListChatModel(responses=["ACTION: fly"])).correct(t, state)
    assert none.action is None
    blocks: list[str | dict[str, Any]] = [{"type": "text", "text": f"REASON: look first.\nACTION: {good}"}]
    [right] = ModelTeacher(FakeMessagesListChatModel(responses=[AIMessage(blocks)])).correct(t, state)
    assert right.action == good  # as chat models answer that also think or call tools


def test_a_self_teacher_reads_the_privileged_state_and_its_student_does_not(small_tiny: Path) -> None:
    loaded = load(str(small_tiny))
    student = Policy(loaded.model, loaded.renderer, name="student")
    t = wander(student, TASKS[:1])[0]
    rights = SelfTeacher(student, memory_maker("full")).correct(t, retrace(make("alfworld", max_steps=20), t))
    assert all(r.action in s.admissible for r, s in zip(rights, t.steps, strict=True) if r.action)


def test_a_leak_is_a_name_that_the_history_never_showed() -> None:
    state = Privileged((), (), basis=("mug 2",))
    assert leaks("the mug 2 is in drawer 1", "a drawer 1, a mug 12", state) == ["mug 2"]
    assert leaks("drawers often hold it", "a drawer 1", state) == []


def test_the_searching_agent_and_a_replay_of_it_say_the_same(tmp_path: Path) -> None:
    env = make("alfworld", max_steps=20)
    for t in wander(SearcherAgent(lambda goal: searcher()), TASKS[:3], batch=2):
        assert replay(env, t) == []


def test_retracing_another_world_is_an_error() -> None:
    t = wander(RandomAgent(), TASKS[:1])[0]
    with pytest.raises(ValueError, match="differs from the recorded"):
        retrace(make("alfworld", games_seed=5), t)


def test_alfworlds_reasons_are_its_own_words() -> None:
    env = make("alfworld", max_steps=20)
    met = set()
    for t in wander(RandomAgent(), TASKS):
        states = retrace(env, t)
        for state, right in zip(states, OracleTeacher(searcher).correct(t, states), strict=True):
            if right.action is None:
                continue
            a, named = right.action, " and ".join(state.basis)
            words = {
                f"I have seen {named}, which the task needs, so I {a}.": "seen",
                f"I have what this step needs, so I {a}.": "ready",
                f"I have not found what the task needs, so I look where I have not looked: {a}.": "search",
            }
            met.add(words[right.reason or ""])
    assert met == {"seen", "ready", "search"}


def test_a_world_without_words_of_its_own_is_explained_in_the_teachers() -> None:
    state = Privileged((), ("SELECT {x}",), ("table a", "b"))
    assert explain("SELECT {x}", state, True) == "I have read table a and b, so the next action is: SELECT {x}"
    assert explain("look", state, False).endswith("so I look on: look")
    assert explain("go", Privileged((), ("go",), reason="{action}, since {it}"), True) == "go, since {it}"
