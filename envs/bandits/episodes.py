"""Episodes in words and in numbers: an expert's choices as examples, an agent's choices as arrays for the metrics."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np

from ..core import Info
from .engine import Bandits, Play
from .env import BanditEnv


def demonstrate(env: BanditEnv, task: str) -> list[tuple[str, str]]:
    """Return (prompt, choice) for every step of the expert's episode.

    With `whole` prompts these pairs are EVOLvE's fine-tuning data (algorithm distillation, arXiv 2410.06238 Sec. 4): the
    very prompts that an agent meets, where the package trains on others.
    """
    text, info = env.reset(options={"task": task})
    expert = env.searcher()
    expert.begin(info["goal"], text, cast("Info", info))
    out, over = [], False
    while not over:
        action = expert.act()
        out.append((text, action))
        text, _, terminated, truncated, info = env.step(action)
        expert.observe(action, text, cast("Info", info))
        over = terminated or truncated
    return out


def few_shot_examples(
    pairs: Sequence[tuple[str, str]], count: int = 5, skip_first: int = 2, every: int = 2
) -> list[tuple[str, str]]:
    """Return the pairs that EVOLvE shows: from one episode, after the first two, every second, five in all.

    >>> [choice for _, choice in few_shot_examples([("", c) for c in "abcdefghi"], count=3)]
    ['c', 'e', 'g']
    """
    return list(pairs[skip_first::every][:count])


def in_numbers(env: BanditEnv, episodes: Sequence[tuple[str, Sequence[str]]]) -> tuple[Bandits, Play]:
    """Play (task, actions) again and return the bandits and what was pulled, as `metrics` wants them.

    Raises:
        ValueError: the episodes differ in their number of arms or of choices; ask for one family at a time.
    """
    means, arms, rewards, sd = [], [], [], None
    for task, actions in episodes:
        env.reset(options={"task": task})
        for action in actions:
            env.step(action)
        bandit, played = env.so_far()
        means.append(bandit.means)
        arms.append(played.arms)
        rewards.append(played.rewards)
        sd = bandit.sd
    if not means or len({(m.shape, a.shape) for m, a in zip(means, arms, strict=True)}) > 1:
        raise ValueError(
            f"{len(means)} episodes of differing arms or lengths: give those of one family, played to the end"
        )
    return Bandits(np.concatenate(means), sd), Play(np.concatenate(arms, axis=1), np.concatenate(rewards, axis=1))
