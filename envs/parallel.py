"""Any PettingZoo parallel environment whose agents read and write text, as a TeamEnv."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from . import ids
from .adapters import Success, clean, need_text, solved, told, won
from .core import CHARSET
from .errors import at_least
from .team import Infos, TeamEnv, Texts


class ParallelTeam(TeamEnv):
    """Another library's world of several agents, who share one goal.

    Observation, actions, rewards and ends are the peer's; a character outside the charset becomes `?`. The episode ends
    when no agent is left, and is truncated after `max_steps` (50) at the latest; an agent that left earlier sees its last
    text again, and what it says is not heard. Of the peer's infos only `goal`, `admissible`, `success` and `invalid` are
    passed on. Score: the mean reward so far, held in [0, 1]. An action outside the peer's space is `invalid`; the empty
    text is said in its stead, or what the peer lists first. Tasks: seeds, disjoint between splits. No privileged
    knowledge and no fork.

    peer: a parallel environment. goal: in words, where the peer's infos give none. success: of (mean reward, info of
    the first agent); by default what the peer says, else whether the rewards reach 1. train, valid, test: sizes.
    """

    def __init__(
        self,
        peer: Any,
        *,
        goal: str = "",
        success: Success = solved,
        train: int = 1000,
        valid: int = 100,
        test: int = 100,
        max_steps: int = 50,
    ) -> None:
        at_least(1, max_steps=max_steps)
        for a in peer.possible_agents:
            need_text(peer.observation_space(a), f"observation_space({a!r})")
            need_text(peer.action_space(a), f"action_space({a!r})")
        legal = {c for a in peer.possible_agents for c in peer.observation_space(a).character_set}
        super().__init__(peer.possible_agents, max_length=65536, charset="".join(sorted(legal | set(CHARSET))))
        self.team = len(peer.possible_agents)
        self._peer, self._goal, self._success = peer, goal, success
        self._sizes, self._legal = {"train": train, "valid": valid, "test": test}, legal | set(CHARSET)
        self.max_steps, self._t = max_steps, 0
        self._task, self._total, self._won = "", 0.0, False
        self._seen: Texts = {}
        self._listed: dict[str, tuple[str, ...] | None] = {}
        self._wrong: dict[str, bool] = {}

    def close(self) -> None:
        """Close the peer."""
        self._peer.close()

    def tasks(self, split: str) -> list[str]:
        """Return a split's ids, as `test/00003`."""
        return ids.listed(split, self._sizes)

    def _begin(self, task: str) -> tuple[Texts, Infos]:
        observations, infos = self._peer.reset(seed=ids.seed_of(task))
        self._task, self._total, self._won, self._t = task, 0.0, False, 0
        self._wrong = dict.fromkeys(self.possible_agents, False)
        self._seen = dict.fromkeys(self.possible_agents, "")
        return self._told(observations, infos)

    def _act(self, actions: Texts) -> tuple[Texts, dict[str, float], bool, bool, Infos]:
        live = list(self._peer.agents)
        said = {a: self._legal_action(a, actions.get(a)) for a in live}
        observations, rewards, terminated, truncated, infos = self._peer.step(said)
        self._t += 1
        paid = {a: float(rewards.get(a, 0.0)) for a in self.possible_agents}
        self._total += sum(paid.values()) / len(paid)
        over = not self._peer.agents
        cut = over and any(truncated.values()) and not any(terminated.values())
        first = infos.get(self.possible_agents[0], {})
        self._won = won(self._success, self._total, first, over)
        texts, out = self._told(observations, infos)
        return texts, paid, over and not cut, cut or (not over and self._t >= self.max_steps), out

    def _legal_action(self, agent: str, action: str | None) -> str:
        space = self._peer.action_space(agent)
        self._wrong[agent] = action is not None and not space.contains(action)
        if action is not None and not self._wrong[agent]:
            return action
        return "" if space.contains("") else (self._listed[agent] or ("",))[0]

    def _told(self, observations: Mapping[str, str], infos: Mapping[str, Mapping[str, Any]]) -> tuple[Texts, Infos]:
        out: Infos = {}
        for a in self.possible_agents:
            info = infos.get(a, {})
            if a in observations:
                self._seen[a] = clean(str(observations[a]), self._legal)
            out[a] = told(info, self._goal, self._won, self._total, self._task, self._wrong[a] or None)
            self._listed[a] = out[a]["admissible"]
        return dict(self._seen), out
