"""Contextual bandits as a TextEnv."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import cast

import numpy as np

from .. import ids
from ..core import CHARSET, SPLITS, Info, Privileged, Searcher, TextEnv
from ..errors import choice
from . import contextual, contextual_text, movielens, suites, views
from .contextual import CONTEXTUAL, Ridge, ridge
from .contextual_text import ContextualSearcher
from .engine import Floats
from .env import UNREADABLE

VIEWS = ("RH", "AG")


@dataclass(frozen=True, slots=True)
class Users:
    """The users of an episode and what each would rate. contexts (T, d), means (T, K), luck and spare (T,)."""

    task: str
    scenario: views.Scenario
    people: tuple[str, ...]
    contexts: Floats
    means: Floats
    luck: tuple[float, ...]
    spare: tuple[int, ...]


class ContextualBanditEnv(TextEnv):
    """Films for users: which film pays depends on who asks, in a way of low rank that must be learned by trying.

    Observation: first the story, the films, a question and the first user; then the action taken, its reward and the
    next user. A user is told by a vector of tastes. View `AG` adds LinUCB's value and bonus of every film; with `whole`
    every observation is the entire prompt (history: the last `keep` users).
    Actions: a film's name, in any case. Anything else: a film is drawn at random, the answer says so.
    Reward: the rating, a real number rounded to `digits`. Terminates after `horizon` users; never truncates before.
    Score and success are 0 until the end: score 1 − regret / regret of uniform choice, at least 0; success: score ≥ ½.
    Tasks: without `data` SYNTHETIC, every task with films of its own, r = uᵀSv + noise of sd `sd`. With `data`, a folder
    of MovieLens (100k or 1M): its K most rated films, users disjoint between splits.
    Privileged: every film's expected rating by this user, and the best film for each user that is left.
    Source: EVOLvE, arXiv 2410.06238; its MovieBench is arms=10 or 30, rank=20, horizon=200 with `data`. Ours: the words,
    the synthetic task, contexts scaled to norm 1, splits by user.

    >>> env = ContextualBanditEnv(horizon=2)
    >>> first, info = env.reset(options={"task": env.tasks("test")[0]})
    >>> print(env.step(info["admissible"][0])[0])
    Action: A Quiet Arithmetic
    Reward: 0.22
    <BLANKLINE>
    Context: a user, tastes [-0.59, -0.44, -0.68]
    """

    summary = "a film for every user: low-rank contextual bandits in words, synthetic or from a MovieLens folder"

    def __init__(
        self,
        *,
        data: str | None = None,
        arms: int = 5,
        rank: int = 3,
        sd: float = 0.1,
        horizon: int = 40,
        view: str = "RH",
        whole: bool = False,
        keep: int = 1000,
        digits: int | None = 2,
        expert: str = "linucb",
        world_seed: int = 0,
        train: int = suites.SIZES["train"],
        valid: int = suites.SIZES["valid"],
        test: int = suites.SIZES["test"],
    ) -> None:
        for name, value, least in (
            ("arms", arms, 2), ("rank", rank, 1), ("horizon", horizon, 1), ("keep", keep, 1), ("sd", sd, 0),
            ("world_seed", world_seed, 0),
        ):  # fmt: skip
            if value < least:
                raise ValueError(f"{name}={value}: needs at least {least}")
        self.ratings = None if data is None else movielens.load(data, arms, rank)
        extra = set(movielens.alphabet(self.ratings)) - set(CHARSET) if self.ratings else set()
        super().__init__(max_steps=horizon, max_length=1 << 17, charset=CHARSET + "".join(sorted(extra)))
        self.arms, self.rank, self.sd, self.horizon = arms, rank, sd, horizon
        self.view, self.whole, self.keep, self.digits = choice("view", view, VIEWS), whole, keep, digits
        self.expert = choice("expert", expert, list(CONTEXTUAL))
        self.world_seed = world_seed
        self.family = f"{'lowrank' if self.ratings is None else 'movielens'}-{arms}"
        self._films = views.scenario("films", 2 if self.ratings else arms)
        self._sizes = {"train": train, "valid": valid, "test": test}
        self._users: Users | None = None
        self._chosen: list[int] = []
        self._rewards: list[float] = []

    def tasks(self, split: str) -> list[str]:
        """Return a split's ids: `test/00003-lowrank-5`."""
        return ids.listed(split, self._sizes, (self.family,))

    def split_hash(self, split: str) -> str:
        """Return a short hash of a split's tasks; whatever makes another world makes another hash."""
        made = (self.rank, self.sd, self.horizon, self.world_seed)
        return hashlib.sha256(f"{super().split_hash(split)} {made}".encode()).hexdigest()[:12]

    def _draw(self, task: str) -> Users:
        split, index = ids.read(task, (self.family,))
        streams = suites.streams(self.world_seed, [SPLITS.index(split), index])
        world, luck, spare = (np.random.default_rng(s) for s in streams)
        films = self._films
        if self.ratings is None:
            weights = contextual.low_rank(world, self.arms, self.rank)
            contexts = contextual.directions(world, self.horizon, self.rank)
            who = ["a user"] * self.horizon
            films = views.Scenario(films.unit, films.base, tuple(sorted(films.names)))
        else:
            drawn = world.choice(self.ratings.users(split), self.horizon).tolist()
            weights, contexts = self.ratings.weights, self.ratings.contexts[drawn]
            who = [self.ratings.people[u] for u in drawn]
            films = views.Scenario(films.unit, films.base, self.ratings.titles)
        people = tuple(contextual_text.person(c, w) for c, w in zip(contexts.tolist(), who, strict=True))
        return Users(
            task, films, people, contexts, contexts @ weights.T,
            tuple(luck.standard_normal(self.horizon).tolist()),
            tuple(spare.integers(self.arms, size=self.horizon).tolist()),
        )  # fmt: skip

    def _begin(self, task: str) -> tuple[str, Info]:
        u = self._users = self._draw(task)
        self._chosen, self._rewards = [], []
        if self.whole:
            return self._prompt(), self._info()
        story = contextual_text.opening(u.scenario, self.horizon)
        return story + contextual_text.question(u.people[0], self._guide()), self._info()

    def _prompt(self) -> str:
        u, n = self._now(), len(self._chosen)
        if n == self.horizon:
            return contextual_text.result(u.scenario.names[self._chosen[-1]], self._rewards[-1])
        names = [u.scenario.names[a] for a in self._chosen]
        past = contextual_text.raw(u.people[:n][-self.keep :], names[-self.keep :], self._rewards[-self.keep :])
        return contextual_text.prompt(u.scenario, self.horizon, past, n, u.people[n], self._guide())

    def _guide(self) -> str:
        u, n = self._now(), len(self._chosen)
        return contextual_text.side(u.scenario.names, self._fit(), u.contexts[n].tolist()) if self.view == "AG" else ""

    def _fit(self) -> Ridge:
        fit, u = ridge(1, self.arms, self._now().contexts.shape[1]), self._now()
        for t, (arm, reward) in enumerate(zip(self._chosen, self._rewards, strict=True)):
            fit.add(u.contexts[t : t + 1], np.array([arm]), np.array([reward]))
        return fit

    def _act(self, action: str) -> tuple[str, float, bool, Info]:
        u, t = self._now(), len(self._chosen)
        named = [n.lower() for n in u.scenario.names]
        said = action.strip().lower()
        invalid = said not in named
        arm = u.spare[t] if invalid else named.index(said)
        paid = float(u.means[t, arm]) + self.sd * u.luck[t]
        reward = paid if self.digits is None else round(paid, self.digits) + 0.0
        self._chosen.append(arm)
        self._rewards.append(reward)
        over = t + 1 == self.horizon
        told = self._prompt() if self.whole else contextual_text.result(u.scenario.names[arm], reward)
        if not self.whole and not over:
            told += f"\n\nContext: {u.people[t + 1]}" + ("\n" + self._guide() if self.view == "AG" else "")
        return (f"{UNREADABLE}\n{told}" if invalid else told), reward, over, self._info(invalid)

    def _info(self, invalid: bool = False) -> Info:
        u = self._now()
        over = len(self._chosen) == self.horizon
        score = self._score() if over else 0.0
        return Info(
            goal=contextual_text.goal(self.horizon), admissible=tuple(sorted(u.scenario.names)), success=score >= 0.5,
            score=score, task=u.task, kind=self.family, invalid=invalid,
        )  # fmt: skip

    def _score(self) -> float:
        means = self._now().means
        best = means.max(axis=1).mean()
        chance = best - means.mean()
        lost = best - means[np.arange(self.horizon), self._chosen].mean()
        return min(1.0, max(0.0, float(1.0 - lost / chance))) if chance > 0 else 1.0

    def _now(self) -> Users:
        if self._users is None:
            raise RuntimeError("no bandit is running: call reset() first")
        return self._users

    def pulls(self) -> list[int]:
        """Return how often each film was chosen so far."""
        return [self._chosen.count(a) for a in range(len(self._now().scenario.names))]

    def regrets(self) -> list[float]:
        """Return what each choice so far gave away in expectation, 0 for a user's best film. It tells what is hidden."""
        rows = self._now().means[: len(self._chosen)]
        return [float(row.max() - row[a]) for row, a in zip(rows, self._chosen, strict=True)]

    def privileged(self) -> Privileged:
        """Return what this user would rate every film, and the best film for every user that is left."""
        u, t = self._now(), len(self._chosen)
        if t == self.horizon:
            return Privileged((), (), (), 0)
        names = u.scenario.names
        facts = tuple(f"this user rates {n} {m:.3f}" for n, m in zip(names, u.means[t].tolist(), strict=True))
        best = u.means[t:].argmax(axis=1).tolist()
        return Privileged(facts, tuple(names[a] for a in best), (facts[best[0]],), self.horizon - t)

    def searcher(self) -> Searcher:
        """Return the chosen algorithm as a reader of the observations."""
        return ContextualSearcher(self.expert)

    def snapshot(self) -> object:
        """Return an exact copy of the state."""
        return self._now(), tuple(self._chosen), tuple(self._rewards), self._t, self._open, self._last

    def restore(self, snapshot: object) -> None:
        """Return to a snapshot."""
        saved = cast("tuple[Users, tuple[int, ...], tuple[float, ...], int, bool, str]", snapshot)
        self._users, chosen, rewards, self._t, self._open, self._last = saved
        self._chosen, self._rewards = list(chosen), list(rewards)
