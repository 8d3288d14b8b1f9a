"""Worlds that others wrote, as TextEnv: Gymnasium, PettingZoo, TextArena, GEM. None of them is imported here."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable, Iterator, Mapping, Set
from typing import Any, Protocol

import numpy as np
from gymnasium import spaces

from . import ids
from .core import CHARSET, Info, TextEnv
from .errors import choice

Beat = tuple[str, float, bool, bool, Mapping[str, Any]]
Success = Callable[[float, Mapping[str, Any]], bool]
Others = Callable[[str, str], str]


class Peer(Protocol):
    """What an adapter must know of another library's environment; it may have a `close`."""

    def begin(self, seed: int) -> tuple[str, Mapping[str, Any]]:
        """Start the episode of a seed."""

    def act(self, action: str) -> Beat:
        """Apply an action: observation, reward, terminated, truncated, info."""


def solved(total: float, info: Mapping[str, Any]) -> bool:
    """Return what the peer says of success; where it says nothing, whether the rewards reach 1."""
    return bool(info.get("success", info.get("is_success", total >= 1 - 1e-9)))


def won(success: Success, total: float, info: Mapping[str, Any], over: bool) -> bool:
    """Return whether an episode is won; before its end only the peer itself can say so."""
    return success(total, info) and (over or "success" in info or "is_success" in info)


def told(info: Mapping[str, Any], goal: str, success: bool, total: float, task: str, invalid: bool | None) -> Info:
    """Return the Info of a peer's info and the reward so far; the peer judges an action where `invalid` is None."""
    listed = info.get("admissible")
    return Info(
        goal=str(info.get("goal", goal)), admissible=None if listed is None else tuple(sorted(listed)),
        success=success, score=1.0 if success else min(1.0, max(0.0, total)), task=task, kind="",
        invalid=bool(info.get("invalid", False)) if invalid is None else invalid,
    )  # fmt: skip


def clean(text: str, legal: Set[str]) -> str:
    """Return a text with `?` for what is not legal in it."""
    return "".join(c if c in legal else "?" for c in text)


class AdaptedEnv(TextEnv):
    """Another library's environment.

    Observation, actions of any length, rewards, termination and truncation are the peer's, but an episode ends after
    `max_steps` (50) at the latest; a character of an observation outside the charset becomes `?`.
    Tasks: seeds, disjoint between splits. Of the peer's info only `goal`, `admissible` and `invalid` are passed on, as the
    rest may tell an answer. No privileged knowledge and no fork. What a peer draws from the process-global generators is
    drawn from states of its own.
    """

    def __init__(
        self,
        peer: Peer,
        *,
        goal: str = "",
        success: Success = solved,
        train: int = 1000,
        valid: int = 100,
        test: int = 100,
        max_steps: int | None = None,
        charset: str = CHARSET,
    ) -> None:
        super().__init__(max_steps=max_steps, max_length=65536, charset=charset)
        self._peer, self._goal, self._success = peer, goal, success
        self._sizes = {"train": train, "valid": valid, "test": test}
        self._legal = frozenset(charset)
        self._dice = _Dice()
        self._total, self._cut, self._task = 0.0, False, ""

    def close(self) -> None:
        """Close the peer."""
        _close(self._peer)

    def tasks(self, split: str) -> list[str]:
        """Return a split's ids, as `test/00003`."""
        return ids.listed(split, self._sizes)

    def _begin(self, task: str) -> tuple[str, Info]:
        seed = ids.seed_of(task)
        self._dice.seed(seed)
        with self._dice.rolled():
            observation, info = self._peer.begin(seed)
        self._total, self._cut, self._task = 0.0, False, task
        return clean(observation, self._legal), self._told(False, info, invalid=False)

    def _act(self, action: str) -> tuple[str, float, bool, Info]:
        with self._dice.rolled():
            observation, reward, over, cut, info = self._peer.act(action)
        self._total, self._cut = self._total + float(reward), bool(cut)
        return clean(observation, self._legal), float(reward), over, self._told(over or self._cut, info)

    def step(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
        """Apply one action; the peer's own truncation counts beside the step limit."""
        observation, reward, terminated, truncated, info = super().step(action)
        self._open = self._open and not self._cut
        return observation, reward, terminated, truncated or self._cut, info

    def _told(self, ended: bool, info: Mapping[str, Any], invalid: bool | None = None) -> Info:
        success = won(self._success, self._total, info, ended)
        return told(info, self._goal, success, self._total, self._task, invalid)


def _close(peer: Any) -> None:
    """Close what can be closed."""
    if hasattr(peer, "close"):
        peer.close()


class _Dice:
    """States of Python's and NumPy's global generators that belong to one environment."""

    def __init__(self) -> None:
        self.seed(0)

    def seed(self, seed: int) -> None:
        self._python, self._numpy = random.Random(seed).getstate(), np.random.RandomState(seed).get_state()

    @contextlib.contextmanager
    def rolled(self) -> Iterator[None]:
        """Put the states in place, and afterwards the process's own again."""
        before = random.getstate(), np.random.get_state()
        random.setstate(self._python)
        np.random.set_state(self._numpy)
        try:
            yield
        finally:
            self._python, self._numpy = random.getstate(), np.random.get_state()
            random.setstate(before[0])
            np.random.set_state(before[1])


def from_gymnasium(env: Any, **options: Any) -> AdaptedEnv:
    """Return a Gymnasium environment whose spaces are text; `options` are AdaptedEnv's.

    Raises:
        ValueError: a space is not text.
    """
    for name in ("observation_space", "action_space"):
        need_text(getattr(env, name), name)
    legal = sorted(env.observation_space.character_set | env.action_space.character_set)
    return AdaptedEnv(_Gymnasium(env), **{"charset": "".join(legal), **options})


def need_text(space: Any, name: str) -> None:
    if not isinstance(space, spaces.Text):
        raise ValueError(f"{name} is {space}: needs gymnasium.spaces.Text; wrap the environment so that it speaks text")


class _Gymnasium:
    def __init__(self, env: Any) -> None:
        self._env = env

    def begin(self, seed: int) -> tuple[str, Mapping[str, Any]]:
        observation, info = self._env.reset(seed=seed)
        return str(observation), info

    def close(self) -> None:
        _close(self._env)

    def act(self, action: str) -> Beat:
        if not self._env.action_space.contains(action):
            return "That cannot be said here.", 0.0, False, False, {"invalid": True}
        observation, reward, terminated, truncated, info = self._env.step(action)
        return str(observation), float(reward), bool(terminated), bool(truncated), info


def from_pettingzoo(env: Any, agent: str, others: Others, **options: Any) -> AdaptedEnv:
    """Return one seat of a PettingZoo parallel environment of text; `others(name, observation)` plays the other seats.

    Raises:
        ValueError: there is no such seat, or its spaces are not text.
    """
    choice("agent", agent, env.possible_agents)
    need_text(env.observation_space(agent), f"observation_space({agent!r})")
    need_text(env.action_space(agent), f"action_space({agent!r})")
    return AdaptedEnv(_Seat(env, agent, others), **options)


class _Seat:
    def __init__(self, env: Any, agent: str, others: Others) -> None:
        self._env, self._agent, self._others = env, agent, others
        self._seen: dict[str, str] = {}

    def begin(self, seed: int) -> tuple[str, Mapping[str, Any]]:
        self._seen, infos = self._env.reset(seed=seed)
        return str(self._seen[self._agent]), infos.get(self._agent, {})

    def close(self) -> None:
        _close(self._env)

    def act(self, action: str) -> Beat:
        me = self._agent
        if not self._env.action_space(me).contains(action):
            return "That cannot be said here.", 0.0, False, False, {"invalid": True}
        said = {name: action if name == me else self._others(name, self._seen[name]) for name in self._env.agents}
        self._seen, rewards, terminated, truncated, infos = self._env.step(said)
        return (
            str(self._seen[me]), float(rewards[me]), bool(terminated[me]), bool(truncated[me]), infos.get(me, {})
        )  # fmt: skip


def from_gem(env: Any, **options: Any) -> AdaptedEnv:
    """Return an environment of GEM (`gem.make(...)`, gem-llm 0.1); its suffix, if any, ends every observation."""
    return AdaptedEnv(_Gem(env), **options)


class _Gem:
    def __init__(self, env: Any) -> None:
        self._env = env

    def begin(self, seed: int) -> tuple[str, Mapping[str, Any]]:
        observation, info = self._env.reset(seed=seed)
        return _with_suffix(observation, info), {}

    def close(self) -> None:
        _close(self._env)

    def act(self, action: str) -> Beat:
        observation, reward, terminated, truncated, info = self._env.step(action)
        return _with_suffix(observation, info), float(reward), bool(terminated), bool(truncated), {}


def _with_suffix(observation: Any, info: Mapping[str, Any]) -> str:
    return "\n".join(part for part in (str(observation), str(info.get("suffix") or "")) if part)


def from_textarena(env: Any, *, players: int = 1, others: Others | None = None, **options: Any) -> AdaptedEnv:
    """Return player 0's seat of a TextArena game (`textarena.make(...)`, 0.7); the reward comes at the end.

    Raises:
        ValueError: a game of several players without `others(name, observation)` to play the other seats.
    """
    if players > 1 and others is None:
        raise ValueError(f"players={players}: pass others=, a function of a seat's name and observation")
    return AdaptedEnv(_TextArena(env, players, others), **options)


class _TextArena:
    def __init__(self, env: Any, players: int, others: Others | None) -> None:
        self._env, self._players, self._others = env, players, others
        self._begun = False

    def begin(self, seed: int) -> tuple[str, Mapping[str, Any]]:
        self._env.reset(num_players=self._players, seed=seed)
        self._begun = True
        self._wait()
        return self._read()[1], {}

    def close(self) -> None:
        if self._begun:  # a game tells its outcome by `close`, and one that never began has none
            self._env.close()

    def act(self, action: str) -> Beat:
        done, _ = self._env.step(action)
        invalid = bool(getattr(self._env.state, "made_invalid_move", False))
        done = done or self._wait()
        if done:
            self._env.state.current_player_id = 0  # so that it reads how the game ended, whoever ended it
        observation = self._read()[1]
        rewards, ends = self._env.close() if done else ({}, {})
        observation = observation or str(ends.get(0, {}).get("reason") or "")
        return observation, float((rewards or {}).get(0, 0.0)), bool(done), False, {"invalid": invalid}

    def _wait(self) -> bool:
        """Let the other seats play until it is player 0's turn; return whether the game is over."""
        done = False
        while not done and self._env.state.current_player_id != 0:
            player, seen = self._read()
            assert self._others is not None
            done, _ = self._env.step(self._others(f"player {player}", seen))
        return done

    def _read(self) -> tuple[int, str]:
        """Return whose turn it is and what it has not read yet, without its own words."""
        player, told = self._env.get_observation()
        if isinstance(told, str):
            return player, told
        return player, "\n".join(str(text) for who, text, *_ in told if who != player)
