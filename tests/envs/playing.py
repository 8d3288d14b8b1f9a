"""What the tests of several worlds do with them: let an expert play, fork at every step."""

from __future__ import annotations

import pickle
import random
from typing import Any

from agentgym.envs import TextEnv
from agentgym.envs.team import TeamEnv


def play(env: TextEnv, task: str, expert: str = "searcher") -> list[tuple[str, dict[str, Any]]]:
    """Let the searching expert, or the `oracle`, play; every action, which must mean something, with the info after it."""
    observation, info = env.reset(options={"task": task})
    searcher = env.searcher()
    searcher.begin(info["goal"], observation, info)
    played = []
    over = cut = False
    while not (over or cut):
        action = env.privileged().actions[0] if expert == "oracle" else searcher.act()
        observation, _, over, cut, info = env.step(action)
        assert not info["invalid"], (task, action)
        searcher.observe(action, observation, info)
        played.append((action, info))
    return played


def fork(env: TeamEnv, task: str, rng: random.Random) -> None:
    """Play at random; every step, taken again from a pickled snapshot, must come to the same."""
    _, infos = env.reset(options={"task": task})
    while env.agents:
        saved = env.snapshot()
        joint = {a: rng.choice(infos[a]["admissible"]) for a in env.agents}
        first = env.step(joint)
        env.restore(pickle.loads(pickle.dumps(saved)))
        assert env.step(joint) == first
        infos = first[-1]
