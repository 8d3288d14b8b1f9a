"""One way to drive a world of one agent or of several: by agents' names, a lone agent's being the empty string."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from .core import TextEnv

if TYPE_CHECKING:  # PettingZoo is imported when a world of several agents is
    from .team import TeamEnv

Told = dict[str, dict[str, Any]]


def begin(env: TextEnv | TeamEnv, task: str, seed: int | None = None) -> Told:
    """Reset to a task and return every agent's info."""
    _, info = env.reset(seed=seed, options={"task": task})
    return {"": info} if isinstance(env, TextEnv) else cast(Told, info)


def tell(env: TextEnv | TeamEnv, said: Mapping[str, str]) -> tuple[Told, bool]:
    """Step with every agent's action and return their infos, and whether the episode ended."""
    if isinstance(env, TextEnv):
        *_, terminated, truncated, info = cast(TextEnv, env).step(said[""])
        return {"": info}, terminated or truncated
    *_, ended, cut, infos = env.step(said)
    return infos, any(ended.values()) or any(cut.values())
