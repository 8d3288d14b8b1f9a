"""A world's words for `tiny`: what its tokenizer would spell byte by byte becomes a token or two."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import torch

from ..agents import tiny, tokenizer
from ..agents.read import too_low
from ..agents.scripted import RandomAgent
from ..agents.team import Sequential
from ..envs import make, make_single, make_team
from ..envs.core import TextEnv
from ..memory import memory_maker
from ..memory.trajectory import Trajectory
from .rollout import Options, rollout
from .run import save_folder
from .team import rollout_team

EPISODES, TOGETHER = 200, 40
MEMORY = "window:0"


def grow(
    env: str,
    out: Path,
    kwargs: dict[str, Any] | None = None,
    seed: int = 0,
    *,
    width: int | None = None,
    layers: int = 2,
) -> Path:
    """Write `tiny` with the words of a world in its tokenizer, for `--model OUT`; what it knew it knows still.

    Prompts get five times shorter, and a name that is to be copied is one token. The words are mined from random play on
    train tasks: nothing privileged, no demonstration. Their embeddings are random, spread as those that are there.

    width, layers: of a decoder that knows nothing yet, in place of `tiny`'s weights.
    """
    model: Any
    model, base = tiny.load(tiny.base_folder())
    words = tokenizer.grow(base, *_heard(env, kwargs or {}, seed))
    if width is not None:
        tiny.save(tiny.fresh(len(words), seed, width=width, layers=layers, heads=max(1, width // 64)), words, out)
        return out
    old = model.get_input_embeddings().weight.detach().clone()
    rng = torch.Generator().manual_seed(seed)
    fresh = torch.randn(len(words) - len(old), old.shape[1], generator=rng) * old.std() + old.mean(0)
    with torch.random.fork_rng():
        model.resize_token_embeddings(len(words), mean_resizing=False)
    model.get_input_embeddings().weight.data[len(old) :] = fresh
    tiny.save(model, words, out)
    return out


def grown(env: str, folder: Path, kwargs: dict[str, Any] | None = None, **shape: int) -> Path:
    """Return the folder of what `grow` writes, which is written if it is not there."""

    def save(draft: Path) -> None:
        grow(env, draft, kwargs, **shape)

    return save_folder(folder, save)


def _heard(env: str, kwargs: dict[str, Any], seed: int) -> tuple[list[str], set[str], set[str]]:
    """Return what random play reads and says in a world, the names of its things, and its words that no phrase holds."""
    world = make(env, **kwargs)
    some = world.tasks("train")
    tasks = [some[i % len(some)] for i in range(EPISODES if isinstance(world, TextEnv) else TOGETHER)]
    options: Options = {"env_id": env, "env_kwargs": kwargs, "memory": MEMORY, "seed": seed}
    memory = memory_maker(MEMORY)
    if not isinstance(world, TextEnv):
        team = partial(make_team, env, **kwargs)
        return *_said_together(rollout_team(team, RandomAgent(), Sequential(1), memory, tasks, **options)), set()
    return _said(rollout(partial(make_single, env, **kwargs), RandomAgent(), memory, tasks, **options))


def _said(played: list[Trajectory]) -> tuple[list[str], set[str], set[str]]:
    """Return what was read and could be said; goals and commands are made of words that are to be found again."""
    seen = [text for t in played for s in t.steps for text in (" " + t.goal, s.observation)]
    commands = {" " + a for t in played for s in t.steps for a in (s.action, *(s.admissible or ()))}
    kept = {w.strip() for text in (*commands, *(" " + t.goal for t in played)) for w in tokenizer.words(text)}
    return [*seen, *sorted(commands)], set(), kept


def _said_together(played: list[Trajectory]) -> tuple[list[str], set[str]]:
    """Return what was read and said, with the words of feedback, and what commands name."""
    parts = [(t.goal, p) for t in played for s in t.steps for p in s.parts]
    told = [too_low(f"{p.agent}: {p.action}", -1.0, 0.0) for _, p in parts[::4]]
    texts = [x for goal, p in parts for x in (" " + goal, p.observation, p.heard, " " + p.action) if x]
    return texts + told, {w for _, p in parts for w in p.action.split()[1:]}
