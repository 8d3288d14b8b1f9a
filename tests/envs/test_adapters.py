"""Other libraries' worlds as ours, and the template for one of your own."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gymnasium
import numpy as np
import pytest
from agentgym.agents.scripted import RandomAgent
from agentgym.envs import CHARSET, TextEnv, make, template
from agentgym.envs.adapters import from_gem, from_gymnasium, from_pettingzoo, from_textarena
from agentgym.envs.check import check
from agentgym.memory import memory_maker
from agentgym.training.rollout import rollout
from gymnasium import spaces
from pettingzoo import ParallelEnv

TEXT = spaces.Text(max_length=100, min_length=0, charset=CHARSET)


class Echo(gymnasium.Env[str, str]):
    """Wants back the word that it said; ten tries."""

    observation_space, action_space = TEXT, TEXT

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[str, dict[str, Any]]:
        super().reset(seed=seed)
        self.word, self.n = str(self.np_random.integers(1000)), 0
        return f"Say {self.word}", {"goal": "say it", "admissible": [self.word, "no"]}

    def step(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
        self.n += 1
        done = action == self.word
        return "yes" if done else "no", float(done), done, self.n == 10, {"answer": self.word, "admissible": ["no"]}


class Gem:
    """As gem-llm's guessing game: the process-global generator, a suffix in info."""

    def reset(self, seed: int | None = None) -> tuple[str, dict[str, Any]]:
        random.seed(seed)
        self.number, self.n = random.randint(1, 9), 0
        return "Guess.", {"suffix": "Your guess:"}

    def step(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
        self.n += 1
        done = action == str(self.number)
        return f"{random.random()} \u2605", float(done), done, self.n == 5, {"suffix": ""}


class Arena:
    """As a TextArena game: `players` take turns; who says the secret wins."""

    def reset(self, num_players: int, seed: int | None = None) -> None:
        random.seed(seed)
        self.players, self.secret = num_players, str(random.randint(1, 9))
        self.state = SimpleNamespace(current_player_id=num_players - 1, made_invalid_move=False)
        self.told: list[list[tuple[int, str, int]]] = [[(-1, f"You are player {i}.", 0)] for i in range(num_players)]
        self.rewards: dict[int, float] | None = None

    def get_observation(self) -> tuple[int, list[tuple[int, str, int]]]:
        me = self.state.current_player_id
        told, self.told[me] = self.told[me], []
        return me, told

    def step(self, action: str) -> tuple[bool, dict[str, Any]]:
        me = self.state.current_player_id
        for box in self.told:
            box.append((me, action, 1))
        self.state.made_invalid_move = not action.isdigit()
        if action == self.secret:
            self.rewards = {i: 1.0 if i == me else -1.0 for i in range(self.players)}
        elif not self.state.made_invalid_move:
            self.state.current_player_id = (me + 1) % self.players
        return self.rewards is not None, {}

    def close(self) -> tuple[dict[int, float] | None, dict[int, dict[str, Any]]]:
        return self.rewards, {i: {"reason": "said"} for i in range(self.players)}


class Chat(ParallelEnv[str, str, str]):
    """Two seats; both are paid when they say the same."""

    metadata = {"name": "chat"}
    possible_agents = ["ann", "bob"]

    def observation_space(self, agent: str) -> Any:
        return TEXT

    def action_space(self, agent: str) -> Any:
        return TEXT

    def reset(self, seed: int | None = None, options: Any = None) -> tuple[dict[str, str], dict[str, Any]]:
        self.agents = list(self.possible_agents)
        return dict.fromkeys(self.agents, f"Number {seed}"), {a: {} for a in self.agents}

    def step(self, actions: dict[str, str]) -> Any:
        same = len(set(actions.values())) == 1
        seen = {a: f"{sorted(actions.items())}" for a in self.agents}
        flags = dict.fromkeys(self.agents, same)
        return seen, {a: float(same) for a in flags}, flags, dict.fromkeys(flags, False), {a: {} for a in flags}


MAKERS: dict[str, Callable[[], TextEnv]] = {
    "gymnasium": lambda: from_gymnasium(Echo()),
    "pettingzoo": lambda: from_pettingzoo(Chat(), "ann", lambda name, seen: "hello", goal="agree"),
    "gem": lambda: from_gem(Gem(), goal="guess"),
    "textarena": lambda: from_textarena(Arena(), goal="say the secret"),
    "two seats": lambda: from_textarena(Arena(), players=2, others=lambda name, seen: "0"),
}


@pytest.mark.parametrize("maker", MAKERS.values(), ids=MAKERS)
def test_an_adapted_world_keeps_the_contract(maker: Callable[[], TextEnv]) -> None:
    assert not [c for c in check(maker) if c.passed is False]


@pytest.mark.parametrize("maker", MAKERS.values(), ids=MAKERS)
def test_an_adapted_world_leaves_the_global_generators_alone(maker: Callable[[], TextEnv]) -> None:
    env = maker()
    before = random.getstate(), np.random.get_state()[1].tolist()  # type: ignore[union-attr]
    env.reset(options={"task": "train/00000"})
    env.step("5")
    assert before == (random.getstate(), np.random.get_state()[1].tolist())  # type: ignore[union-attr]


def test_the_peers_words_goal_and_truncation_come_through_and_its_answer_does_not() -> None:
    env = from_gymnasium(Echo())
    observation, info = env.reset(options={"task": "valid/00001"})
    assert (info["goal"], info["admissible"]) == ("say it", tuple(sorted([observation[4:], "no"])))
    for n in range(10):
        *_, over, cut, info = env.step("no")
        assert (over, cut, info["success"]) == (False, n == 9, False)
        assert "answer" not in info
    with pytest.raises(RuntimeError, match="reset"):
        env.step("no")
    word = env.reset(options={"task": "valid/00001"})[0][4:]
    assert word == observation[4:]
    assert env.step(word)[-1]["success"]


def test_a_suffix_is_read_and_a_foreign_character_is_replaced() -> None:
    env = from_gem(Gem())
    assert env.reset(options={"task": "train/00000"})[0] == "Guess.\nYour guess:"
    assert env.step("0")[0].endswith(" ?")


def test_long_answers_and_foreign_letters_reach_the_peer_and_parts_of_a_reward_add_up() -> None:
    class Patient(Gem):
        def step(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
            self.n += 1
            return action, 0.1, self.n == 10, False, {}

    env = from_gem(Patient())
    env.reset(options={"task": "train/00000"})
    long = "x" * 2000 + " 6 \u00d7 7"
    assert env.step(long)[0] == "x" * 2000 + " 6 ? 7"
    for _ in range(9):
        *_, terminated, truncated, info = env.step("on")
    assert terminated and not truncated and info["success"] and info["score"] == 1.0


def test_a_game_of_two_tells_how_the_other_seat_ended_it() -> None:
    said: list[str] = []

    def other(name: str, seen: str) -> str:
        said.append(f"{name}: {seen}")
        return str(len(said))

    env = from_textarena(Arena(), players=2, others=other)
    observation, _ = env.reset(options={"task": "train/00000"})
    assert said[0] == "player 1: You are player 1."
    assert observation.startswith("You are player 0.")
    over, reward = False, 0.0
    while not over:
        _, reward, over, _, info = env.step("0")
    assert (reward, info["success"]) == (-1.0, False)
    assert env.reset(options={"task": "train/00000"})
    assert env.step("words")[-1]["invalid"]


@pytest.mark.parametrize("maker", MAKERS.values(), ids=MAKERS)
def test_a_peer_is_closed_with_its_world(maker: Callable[[], TextEnv]) -> None:
    env, closed = maker(), []
    env.close()  # before it has begun, as where a task is not there
    env.reset(options={"task": "train/00000"})
    env._peer._env.close = lambda: closed.append(True)  # type: ignore[attr-defined]
    env.close()
    assert closed == [True]


def test_a_world_that_cannot_begin_is_closed_too() -> None:
    closed = []

    class Broken(Echo):
        def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[str, dict[str, Any]]:
            raise RuntimeError("no power")

        def close(self) -> None:
            closed.append(True)

    with pytest.raises(RuntimeError, match="no power"):
        rollout(lambda: from_gymnasium(Broken()), RandomAgent(), memory_maker("full"), ["test/00000"], env_id="echo")
    assert closed == [True]


def test_what_an_adapter_cannot_take_is_named() -> None:
    with pytest.raises(ValueError, match="needs gymnasium.spaces.Text"):
        from_gymnasium(gymnasium.make("CartPole-v1"))
    with pytest.raises(ValueError, match="choose one of ann, bob"):
        from_pettingzoo(Chat(), "eve", lambda name, seen: "")
    with pytest.raises(ValueError, match="pass others="):
        from_textarena(Arena(), players=2)
    with pytest.raises(ValueError, match="test/00000"):
        from_gem(Gem()).reset(options={"task": "nowhere"})


@pytest.mark.parametrize(("name", "cls"), [("my_env", "MyEnv"), ("Guess.py", "Guess"), ("text_env", "TextEnvWorld")])
def test_a_new_environment_passes_the_check_at_once(tmp_path: Path, name: str, cls: str) -> None:
    path, found = template.write(name, tmp_path)
    assert found == cls
    assert len(path.read_text().splitlines()) <= 30
    assert not [c for c in check(lambda: make(f"{path}:{cls}")) if c.passed is False]
    with pytest.raises(ValueError, match="is there already"):
        template.write(name, tmp_path)


def test_a_name_that_python_cannot_read_is_refused(tmp_path: Path) -> None:
    for name in ("my-env", "class", "../up", "", "9lives"):
        with pytest.raises(ValueError, match="my_env"):
            template.write(name, tmp_path)


def test_new_env_on_the_command_line(
    run_cli: Callable[..., tuple[int, str, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    status, out, _ = run_cli("new-env", "toy")
    assert (status, out) == (0, "toy.py: edit it; then: agentgym check toy.py:Toy\n")
    assert run_cli("check", "toy.py:Toy")[0] == 0
    status, _, err = run_cli("new-env", "toy")
    assert (status, err.count("\n")) == (2, 1)
