"""WebShop as a TextEnv."""

from __future__ import annotations

import hashlib
from collections.abc import Hashable
from typing import cast

from .. import ids
from ..core import CHARSET, SPLITS, Info, Privileged, Searcher, TextEnv
from ..errors import choice, only_with
from . import nouns as tagging
from .browse import State, clickables, follow
from .goals import Goal
from .oracle import plan
from .pages import MODES, render
from .queries import suggest
from .rewards import Reward, reward
from .searcher import WebShopSearcher
from .shop import GOALS, Shop, data_folder, generated, official

CATALOGUES = ("generated", "official")
PRODUCTS = 5000


class WebShopEnv(TextEnv):
    """Shopping on request: search, browse, choose options, buy; WebShop's pages, search and reward.

    Observation: the page. `text` joins its strings with [SEP]; `text_rich` gives each a line and marks buttons.
    Actions: `search[words]` from any page; `click[value]`, value a product's id, an option's value, or one of `back to
    search`, `< prev`, `next >`, `description`, `features`, `reviews`, `buy now`. Anything else leaves the page as it is,
    and the step counts. The listed actions are all clicks, and on the search page a few searches made of the instruction's
    own words; other words may be searched too.
    Reward: on `buy now`, kind · (attributes + options matched + [price ≤ ceiling]) / (how many there are), else 0; success
    is a reward of 1. Terminates on buying; truncates after 20 steps.
    Tasks: `train` and `valid` share kinds of goods but no product; `test` has kinds of its own. Official files: test
    0-499, valid 500-1499, train the rest, in the benchmark's order.
    Privileged: what the goal means, a product that meets it, and the clicks that are left.
    Source: WebShop, arXiv 2207.01206; search ranks as Pyserini does, proven on 500 queries. Ours: the `generated`
    catalogue, so that nothing need be downloaded; price ceilings drawn from a seed; named options that can be met.

    >>> env = WebShopEnv(products=400)
    >>> observation, info = env.reset(options={"task": "test/00000"})
    >>> info["admissible"][-1].startswith("search[")
    True

    catalogue: `generated`, or `official` from the folder `data` (default: the variable AGENTGYM_WEBSHOP_DATA). products:
    how many, 5000 generated ones, or the first of the official ones, default all. goals: `human`, or `synthetic`
    (official only). mode: `text_rich` or `text`. catalogue_seed: of made-up goods and of prices. compat: keeps two faults
    of the original, named options that cannot be met and ceilings that depend on all others. nouns: how titles are
    compared, `rule`, or `spacy` (extra [webshop-spacy]). show_attributes: an `attributes` page. train, valid, test: how
    many generated goals a split lists.
    """

    summary = "shopping by instruction: search, compare, choose options, buy; 20 steps"

    def __init__(
        self,
        *,
        catalogue: str = "generated",
        data: str | None = None,
        products: int | None = None,
        goals: str = "human",
        mode: str = "text_rich",
        catalogue_seed: int = 0,
        compat: bool = False,
        nouns: str = "rule",
        show_attributes: bool = False,
        train: int = 2000,
        valid: int = 200,
        test: int = 200,
        max_steps: int = 20,
    ) -> None:
        self.catalogue = choice("catalogue", catalogue, CATALOGUES)
        self.goals = choice("goals", goals, GOALS)
        self.mode = choice("mode", mode, MODES)
        self.nouns = choice("nouns", nouns, tagging.TAGGERS)
        if goals == "synthetic" and catalogue == "generated":
            raise ValueError("goals='synthetic': only official files have them; add catalogue='official'")
        if catalogue != "official":
            only_with("catalogue='official'", data=data)
        if products is not None and products < 1:
            raise ValueError(f"products={products}: needs 1 or more")
        self.compat, self.show_attributes, self.catalogue_seed = compat, show_attributes, catalogue_seed
        self.products = products
        self._sizes = {"train": train, "valid": valid, "test": test}
        self._shop: Shop | None = None
        charset, length = CHARSET, 8192
        if catalogue == "official":
            self._shop = official(data_folder(data), products, goals, catalogue_seed, compat)
            charset, length = "".join(sorted({*CHARSET, *self._shop.charset()})), 1 << 17
        super().__init__(max_steps=max_steps, max_length=length, charset=charset)
        self._state, self._score, self._task = State(page="done"), 0.0, ""
        self.reward: Reward | None = None

    @property
    def shop(self) -> Shop:
        """The catalogue, made when first needed and shared by environments of the same one."""
        if self._shop is None:
            train, valid, test = self._sizes.values()
            self._shop = generated(self.products or PRODUCTS, self.catalogue_seed, (train, valid, test))
        return self._shop

    def tasks(self, split: str) -> list[str]:
        """Return a split's ids, such as `test/00003`."""
        if self.catalogue == "official":
            return list(self.shop.splits[choice("split", split, SPLITS)])
        return ids.listed(split, self._sizes)

    def split_hash(self, split: str) -> str:
        """Return a short hash of what a split asks for, so that another catalogue has another."""
        asked = "\n".join(f"{t} {self.shop.goals[t].asin} {self.shop.goals[t].instruction}" for t in self.tasks(split))
        return hashlib.sha256(asked.encode()).hexdigest()[:12]

    def _begin(self, task: str) -> tuple[str, Info]:
        if task not in self.shop.goals:
            raise ValueError(
                f"task {task!r}: write it as env.tasks('test') does, for example {next(iter(self.shop.goals))!r}"
            )
        self._task, self._state, self._score, self.reward = task, State(), 0.0, None
        return self._page(), self._info(False)

    def _act(self, action: str) -> tuple[str, float, bool, Info]:
        after = follow(self.shop, self._state, action, self.show_attributes)
        if after is not None:
            self._state = after
        done = self._state.page == "done"
        if done:
            asin = self._state.asin
            self.reward = reward(
                self.shop.products[asin], dict(self._state.chosen), self.shop.prices[asin], self._goal(),
                compat=self.compat, tagger=self.nouns,
            )  # fmt: skip
            self._score = self.reward.total
        return self._page(), self._score, done, self._info(after is None)

    def _goal(self) -> Goal:
        if not self._task:
            raise RuntimeError("nobody is shopping: call reset() first")
        return self.shop.goals[self._task]

    def _page(self) -> str:
        return render(self.shop, self._state, self._goal().instruction, self._score, self.mode, self.show_attributes)

    def _info(self, invalid: bool) -> Info:
        goal = self._goal()
        clicks = [f"click[{c}]" for c in clickables(self.shop, self._state, self.show_attributes)]
        if self._state.page == "search":
            clicks = [f"search[{q}]" for q in suggest(goal.instruction)]
        return Info(
            goal=goal.instruction, admissible=tuple(sorted(set(clicks))), success=self._score == 1.0, score=self._score,
            task=self._task, kind=self.shop.products[goal.asin].category, invalid=invalid,
        )  # fmt: skip

    def privileged(self) -> Privileged:
        """Return what the goal means, a product that meets it, and the clicks that are left."""
        return plan(self.shop, self._state, self._goal())

    def searcher(self) -> Searcher:
        """Return the careful customer, who reads pages and compares."""
        return WebShopSearcher(self.max_steps)

    def state(self) -> Hashable:
        """Return the customer's place in the shop."""
        return self._state

    def snapshot(self) -> object:
        """Return an exact copy of the state."""
        return self._state, self._score, self.reward, self._task, self._t, self._open, self._last

    def restore(self, snapshot: object) -> None:
        """Return to a snapshot."""
        saved = cast("tuple[State, float, Reward | None, str, int, bool, str]", snapshot)
        self._state, self._score, self.reward, self._task, self._t, self._open, self._last = saved
