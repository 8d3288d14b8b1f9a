"""Bandits as a TextEnv."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import cast

import numpy as np

from .. import ids
from ..core import Info, Privileged, Searcher, TextEnv
from ..errors import at_least, choice
from . import engine, suites, views
from .algorithms import ALGORITHMS
from .engine import Bandits, Play
from .searcher import BanditSearcher

UNREADABLE = "That is none of the choices, so one was taken at random."


@dataclass(frozen=True, slots=True)
class Episode:
    """A bandit and all the luck that it will meet. means (K,), luck and spare (T,)."""

    task: str
    family: suites.Family
    scenario: views.Scenario
    means: tuple[float, ...]
    sd: float | None
    luck: tuple[float, ...]
    spare: tuple[int, ...]

    @property
    def best(self) -> int:
        """The arm with the highest mean."""
        return self.means.index(max(self.means))

    @property
    def horizon(self) -> int:
        """How many choices there are."""
        return len(self.luck)


class BanditEnv(TextEnv):
    """Bandits with rewards of 0 and 1 or with Gaussian ones, told in words: which arm pays most is found by trying.

    Observation: first the story, the arms' names and a question; after a choice, view `RH`: "A video, reward 1"; `SH`:
    for every arm how often it was chosen and its average; `AG`: besides, UCB's bonus. With `whole` every observation is
    the entire prompt of EVOLvE: story, history (RH: the last `keep` choices), question.
    Actions: the name of an arm, in any case. Anything else: an arm is drawn at random, the answer says so.
    Reward: what the arm paid, 0 or 1, or a real number. Terminates after the family's horizon; never truncates before.
    Score and success are 0 until the end, for they tell what is hidden: score 1 − regret / regret of uniform choice, at
    least 0; success: the best arm was chosen most often.
    Tasks: a suite's families take turns. A task fixes its arms and its luck, so all agents meet the same; other tasks of
    the same family, other splits and another `world_seed` have their own.
    Privileged: every arm's mean, and the best arm for all that is left. No student ever reads a mean: what is realizable
    is the expert's choice, an algorithm's (`expert`) that reads the observations.
    Source: EVOLvE, arXiv 2410.06238, and DPT, arXiv 2306.14892. Ours: the words, the suite `small`, disjoint splits,
    luck that does not depend on the arm, and real rewards rounded to `digits` (None: all of them, as EVOLvE).

    >>> env = BanditEnv(suite="hardcore", horizon=3)
    >>> first, info = env.reset(options={"task": env.tasks("test")[0]})
    >>> env.step("c")[0]
    'C video, reward 0'
    """

    summary = "bandits in words: Bernoulli and Gaussian, EVOLvE's suites, DPT's setting"

    def __init__(
        self,
        *,
        suite: str = "small",
        view: str = "RH",
        whole: bool = False,
        keep: int = 1000,
        detailed: bool = True,
        horizon: int | None = None,
        digits: int | None = 2,
        expert: str = "ucb",
        world_seed: int = 0,
        train: int = suites.SIZES["train"],
        valid: int = suites.SIZES["valid"],
        test: int = suites.SIZES["test"],
    ) -> None:
        known = suites.families(suite)
        if horizon is not None and horizon < 1:
            raise ValueError(f"horizon={horizon}: needs at least 1 choice, or None for the suite's own")
        super().__init__(max_steps=max(f.horizon for f in known) if horizon is None else horizon, max_length=1 << 17)
        at_least(1, keep=keep)
        if world_seed < 0:
            raise ValueError(f"world_seed={world_seed}: needs 0 or more")
        self.suite, self.view = suite, choice("view", view, views.VIEWS)
        self.expert = choice("expert", expert, list(ALGORITHMS))
        self.whole, self.keep, self.detailed, self.horizon, self.digits = whole, keep, detailed, horizon, digits
        self.world_seed = world_seed
        self._sizes = {"train": train, "valid": valid, "test": test}
        self._episode: Episode | None = None
        self._arms: list[int] = []
        self._rewards: list[float] = []

    def tasks(self, split: str) -> list[str]:
        """Return a split's ids: `test/00003-gaussian-easy-2-video`."""
        return ids.listed(split, self._sizes, suites.names(self.suite))

    def split_hash(self, split: str) -> str:
        """Return a short hash of a split's tasks; another world seed or horizon has another."""
        base = super().split_hash(split)
        if (self.world_seed, self.horizon) == (0, None):
            return base
        return hashlib.sha256(f"{base} {self.world_seed} {self.horizon}".encode()).hexdigest()[:12]

    def _draw(self, task: str) -> Episode:
        family, key = suites.parse(self.suite, task)
        arms, luck, spare = suites.streams(self.world_seed, key)
        bandits = family.bandits(np.random.default_rng(arms))
        horizon = self.horizon or family.horizon
        return Episode(
            task,
            family,
            views.scenario(family.scenario, family.arms),
            tuple(bandits.means[0].tolist()),
            bandits.sd,
            tuple(engine.noise(bandits, horizon, [luck])[:, 0].tolist()),
            tuple(np.random.default_rng(spare).integers(family.arms, size=horizon).tolist()),
        )

    def _begin(self, task: str) -> tuple[str, Info]:
        e = self._episode = self._draw(task)
        self._arms, self._rewards = [], []
        opening = views.instruction(e.scenario, e.horizon, e.sd, self.detailed)
        return (self._prompt() if self.whole else opening + views.question(e.scenario)), self._info()

    def _prompt(self) -> str:
        e = self._now()
        opening = views.instruction(e.scenario, e.horizon, e.sd, self.detailed)
        return f"{opening}\n\n{self._history()}{views.question(e.scenario)}"

    def _history(self) -> str:
        e = self._now()
        past = views.history(self.view, e.scenario, self._arms, self._rewards, e.sd, self.keep)
        return views.header(len(self._arms)) + past

    def _act(self, action: str) -> tuple[str, float, bool, Info]:
        e, t = self._now(), len(self._arms)
        named = [n.lower() for n in e.scenario.names]
        said = action.strip().lower()
        invalid = said not in named
        arm = e.spare[t] if invalid else named.index(said)
        paid = float(e.luck[t] < e.means[arm]) if e.sd is None else e.means[arm] + e.sd * e.luck[t]
        reward = paid if self.digits is None else round(paid, self.digits) + 0.0  # never -0.0
        self._arms.append(arm)
        self._rewards.append(reward)
        if self.whole:
            told = self._prompt()
        else:
            told = views.line(e.scenario, arm, reward, e.sd) if self.view == "RH" else self._history()
        return (f"{UNREADABLE}\n{told}" if invalid else told), reward, t + 1 == e.horizon, self._info(invalid)

    def _info(self, invalid: bool = False) -> Info:
        e = self._now()
        over = len(self._arms) == e.horizon
        return Info(
            goal=views.goal(e.scenario, e.horizon), admissible=tuple(sorted(e.scenario.names)),
            success=over and self._found(), score=self._score() if over else 0.0, task=e.task,
            kind=f"{e.family.law}-{e.family.level}", invalid=invalid,
        )  # fmt: skip

    def _found(self) -> bool:
        n = np.bincount(self._arms, minlength=len(self._now().means))
        return bool(n[self._now().best] == n.max())

    def _score(self) -> float:
        means, best = self._now().means, max(self._now().means)
        chance = sum(best - m for m in means) / len(means)
        lost = sum(best - means[a] for a in self._arms) / len(self._arms)
        return max(0.0, 1.0 - lost / chance) if chance > 0 else 1.0

    def _now(self) -> Episode:
        if self._episode is None:
            raise RuntimeError("no bandit is running: call reset() first")
        return self._episode

    def so_far(self) -> tuple[Bandits, Play]:
        """Return the bandit and the episode so far as the engine writes them: (1, K), (T, 1). It tells what is hidden."""
        e = self._now()
        arms, rewards = (
            np.array(self._arms, dtype=np.int64)[:, None],
            np.array(self._rewards, dtype=np.float64)[:, None],
        )
        return Bandits(np.array([e.means]), e.sd), Play(arms, rewards)

    def pulls(self) -> list[int]:
        """Return how often each arm was chosen so far."""
        return [self._arms.count(a) for a in range(len(self._now().means))]

    def regrets(self) -> list[float]:
        """Return what each choice so far gave away, μ* − μ_a, 0 for the best arm. It tells what is hidden."""
        means = self._now().means
        return [max(means) - means[a] for a in self._arms]

    def privileged(self) -> Privileged:
        """Return the means and the best arm for every choice that is left."""
        e = self._now()
        facts = tuple(f"the mean reward of {n} is {m:.3f}" for n, m in zip(e.scenario.names, e.means, strict=True))
        left = e.horizon - len(self._arms)
        return Privileged(facts, (e.scenario.names[e.best],) * left, (facts[e.best],), left)

    def searcher(self) -> Searcher:
        """Return the chosen algorithm as a reader of the observations."""
        return BanditSearcher(self.expert)

    def snapshot(self) -> object:
        """Return an exact copy of the state."""
        return self._now(), tuple(self._arms), tuple(self._rewards), self._t, self._open, self._last

    def restore(self, snapshot: object) -> None:
        """Return to a snapshot."""
        saved = cast("tuple[Episode, tuple[int, ...], tuple[float, ...], int, bool, str]", snapshot)
        self._episode, arms, rewards, self._t, self._open, self._last = saved
        self._arms, self._rewards = list(arms), list(rewards)
