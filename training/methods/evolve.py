"""Algorithm distillation: a model learns to explore by imitating an algorithm that does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

from ...agents.scripted import SearcherAgent
from ...envs import make
from ...envs.bandits import BanditEnv, ContextualBanditEnv
from ...envs.core import TextEnv
from ...memory.trajectory import Trajectory
from ..lab import Lab
from .bc import BC


@dataclass(frozen=True)
class Evolve(BC):
    """Oracle behaviour fine-tuning (OFT): SFT on whole episodes of a bandit algorithm, read as the student reads them.

    L = −Σ_t log π(a_t | h_t) over the algorithm's choices, lucky or not. The algorithm is the world's expert:
    env.expert=ucb, kl-ucb, thompson, greedy or random; in the contextual world linucb, thompson, greedy or random.
    Source: EVOLvE, arXiv 2410.06238, Sec. 4 (raw history, RH). Deviation: an episode is read once, as a dialogue, where
    the paper prompts with the whole history at every step (env.whole=yes --memory window:1).

    demonstrations: episodes of the algorithm. epochs, lr: of the fit; None takes the student's own. steps: of the
    optimizer, in place of epochs.
    """

    id: ClassVar[str] = "evolve"
    summary: ClassVar[str] = "imitate a bandit algorithm's episodes, to explore as it does"
    source: ClassVar[str] = "arXiv 2410.06238"
    needs: ClassVar[tuple[str, ...]] = ("searcher",)
    team: ClassVar[str] = "no"
    protocol: ClassVar[Mapping[str, Any]] = {}

    def check(self, env: TextEnv) -> None:
        """Raise where there is no algorithm to imitate."""
        if not isinstance(env, BanditEnv | ContextualBanditEnv):
            raise ValueError(
                f"evolve imitates bandit algorithms, which {type(env).__name__} has none of: "
                "take --env bandit or contextual-bandit, or --method bc"
            )

    def collect(self, lab: Lab, k: int) -> list[Trajectory]:
        """Return the algorithm's episodes."""
        make_env = partial(make, lab.env_id, **lab.env_kwargs)
        expert = SearcherAgent(lambda _: make_env().searcher())
        return lab.play(expert, lab.tasks("train", self.demonstrations, 0), 0, label="demonstrate")
