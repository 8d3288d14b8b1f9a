"""The shop: search, rewards, goals, pages, the made-up catalogue, experts, and the environment's own promises."""

from __future__ import annotations

import doctest
import importlib
import json
import lzma
import math
import random
import re
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from agentgym.envs import make
from agentgym.envs.check import check
from agentgym.envs.search.analyzer import terms, words
from agentgym.envs.search.bm25 import Index, lossy_length
from agentgym.envs.search.stemmer import stem
from agentgym.envs.webshop import WebShopEnv, catalogue
from agentgym.envs.webshop.browse import State, clickables, follow
from agentgym.envs.webshop.goals import ANY_PRICE, Goal, bounds, ceiling_of
from agentgym.envs.webshop.oracle import wanted
from agentgym.envs.webshop.product import Product, read_products
from agentgym.envs.webshop.queries import plain
from agentgym.envs.webshop.rewards import attribute_matches, kind_factor, option_matches, reward
from agentgym.envs.webshop.searcher import WebShopSearcher, strings
from conftest import SHARED
from hypothesis import given, settings
from hypothesis import strategies as st
from playing import play

DATA = SHARED / "data" / "webshop"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="the real WebShop products are not beside this checkout")


def score(env: WebShopEnv, task: str, expert: str) -> float:
    return float(play(env, task, expert)[-1][1]["score"])


def official(**kwargs: Any) -> WebShopEnv:
    return WebShopEnv(catalogue="official", data=str(DATA), **kwargs)


def product(**changed: Any) -> Product:
    base = {
        "asin": "B000000001", "title": "", "description": "", "bullets": (), "prices": (35.0,), "options": {},
        "attributes": (), "query": "shampoo", "category": "beauty", "path": "a › b › c",
    }  # fmt: skip
    return Product(**(base | changed))


def goal(**changed: Any) -> Goal:
    base = {
        "asin": "B000000001", "instruction": "", "attributes": ("tea tree", "essential oils", "natural ingredients"),
        "options": (), "ceiling": 40.0, "query": "shampoo", "path": "a › b › c", "title": "Tea Tree Shampoo",
    }  # fmt: skip
    return Goal(**(base | changed))


def test_webshop_passes_its_own_conformance_check() -> None:
    failed = [c for c in check(lambda: make("webshop")) if c.passed is not True]
    assert not failed


@needs_data
def test_real_products_keep_the_contract_too() -> None:
    failed = [c for c in check(lambda: official(goals="synthetic", mode="text")) if c.passed is not True]
    assert not failed


# Search


@needs_data
def test_search_ranks_the_real_products_as_pyserini_does() -> None:
    with lzma.open(DATA / "items_shuffle_1000.json.xz", "rt", encoding="utf-8") as file:
        goods = read_products(json.load(file), {})
    index = Index(list(goods), [p.document for p in goods.values()])
    with lzma.open(DATA / "ranking.tsv.xz", "rt", encoding="utf-8") as file:
        rows = [line.rstrip("\n").split("\t") for line in file]
    assert len(rows) == 500
    assert [q for q, listed in rows if index.search(q) != listed.split()] == []


def test_a_score_is_the_formula_of_bm25() -> None:
    rng = random.Random(0)
    vocabulary = ["lamp", "table", "shoe", "red", "oil", "soap"]
    texts = [" ".join(rng.choices(vocabulary, k=rng.randrange(60))) for _ in range(40)]
    index = Index([f"{i:03d}" for i in range(40)], texts)
    split = [terms(t) for t in texts]
    filled = [len(s) for s in split if s]
    for query in ("lamp", "red red shoe", "oil soap lamp unknown"):
        for row, said in enumerate(split):
            expected = 0.0
            for term, n in Counter(terms(query)).items():
                has, f = sum(term in s for s in split), said.count(term)
                idf = math.log(1 + (len(filled) - has + 0.5) / (has + 0.5))
                norm = 0.9 * (1 - 0.4 + 0.4 * lossy_length(len(said)) * len(filled) / sum(filled))
                expected += n * idf * f / (f + norm) if has else 0.0
            assert index.scores(query)[row] == pytest.approx(expected, rel=1e-5)


def test_equal_scores_are_ordered_by_id_and_what_shares_no_word_is_no_hit() -> None:
    index = Index(["b", "c", "a", "d"], ["red lamp", "red lamp", "red lamp", "blue shoe"])
    assert index.search("lamp") == ["a", "b", "c"]
    assert index.search("lamp", 2) == ["a", "b"]
    assert index.search("the of") == index.search("") == []
    assert Index([], []).search("lamp") == []


def test_stems_are_porters_own() -> None:
    pairs = (
        "caresses caress,ponies poni,ties ti,cats cat,agreed agre,feed feed,plastered plaster,motoring motor,sing sing,"
        "conflated conflat,sized size,hopping hop,falling fall,hissing hiss,failing fail,filing file,happy happi,sky sky,"
        "relational relat,conditional condit,valenci valenc,digitizer digit,radicalli radic,vileli vile,"
        "vietnamization vietnam,predication predic,operator oper,feudalism feudal,hopefulness hope,formaliti formal,"
        "sensibiliti sensibl,triplicate triplic,formalize formal,electrical electr,hopeful hope,goodness good,"
        "revival reviv,allowance allow,inference infer,airliner airlin,adjustable adjust,defensible defens,irritant irrit,"
        "replacement replac,adjustment adjust,dependent depend,adoption adopt,communism commun,activate activ,"
        "effective effect,bowdlerize bowdler,probate probat,rate rate,cease ceas,controll control,roll roll,"
        "apology apolog,possibly possibl,is is"
    )
    assert [stem(p.split()[0]) for p in pairs.split(",")] == [p.split()[1] for p in pairs.split(",")]


def test_words_are_cut_where_the_unicode_rules_cut() -> None:
    assert words("6.5x6.5ft, 1,000 mAh; don't 1⁄2 ½ m²") == ["6.5x6.5ft", "1,000", "mah", "don't", "1⁄2", "m"]
    assert words("❤️new 小米 a_b C:D 👨‍💼") == ["❤️", "new", "小", "米", "a_b", "c:d", "👨‍💼"]


# Rewards


def test_the_kind_of_a_product_counts_by_query_path_or_title() -> None:
    cord = "BRST AC Power Cord Outlet Socket Cable Plug Lead for Panasonic SC-HT830V DVD/VCR Combo Home Theater System"
    asked = "Saireed UL Listed 2 Prong Power Cord for JBL Bar 3.1 Bar 2.1 Channel 4K Ultra HD Soundbar"
    other = {"query": "cables", "path": "d › e"}
    assert kind_factor(product(title=cord, **other), goal(title=f"{asked} Home Theater System Subwoofer")) == 1.0
    assert kind_factor(product(title=cord, **other), goal(title=asked)) == 0.5
    assert kind_factor(product(title=cord, query="shampoo"), goal(title=asked)) == 1.0
    assert kind_factor(product(title=cord, query="cables", path="c › b"), goal(title=asked)) == 1.0
    assert kind_factor(product(title=cord, query="cables", path="a › a › d"), goal(title=asked)) == 0.5
    knob = goal(title="Rusticware 921ORB Kitchen and Bath Cabinet Knob")
    assert kind_factor(product(title="Minkissy 2pcs Eyebrow Tweezers (Silver)"), knob) == 0.0
    assert kind_factor(product(title="Any Lamp", **other), goal(title="2 for 4")) == 0.5


def test_attributes_match_nearly_or_word_for_word() -> None:
    asked = ("tea tree", "essential oils", "natural ingredients")
    assert attribute_matches(product(attributes=("tea tree", "essential oil", "natural ingredients")), asked) == 3
    said = product(bullets=("Has Essential Oils and smells of lemon",), description="made with natural ingredients")
    assert attribute_matches(said, asked) == 2
    assert attribute_matches(product(attributes=("tea bag", "earl gray"), title="English tea"), asked) == 0


def test_options_match_nearly() -> None:
    assert option_matches(["pack of 12", "grey", "XL"], ["grey", "XL", "pack of 12"]) == 3
    assert option_matches(["pack of 12", "blue", "XL"], ["grey", "XL", "pack of 12"]) == 2
    assert option_matches(["powder snow"], ["cool powder snow"]) == 1
    assert option_matches([], ["grey"]) == 0


def test_a_purchase_is_worth_its_matched_parts_times_its_kind() -> None:
    bought = product(title="Tea Tree Shampoo", attributes=("tea tree", "essential oil", "natural ingredients"))
    asked = goal(options=(("color", "dusty rose"), ("size", "xl")))
    whole = reward(bought, {"color": "rose 2", "size": "xl"}, 35.0, asked)
    assert (whole.total, whole.kind, whole.attributes, whole.options, whole.price) == (1.0, 1.0, 1.0, 1.0, True)
    assert reward(bought, {"color": "blue", "size": "xl"}, 35.0, asked).total == pytest.approx(5 / 6)
    assert reward(bought, {"color": "rose"}, 41.0, asked).total == pytest.approx(4 / 6)
    assert reward(bought, {}, 35.0, goal()).options is None
    assert reward(bought, {}, 1e5, goal(ceiling=ANY_PRICE)).total == 1.0


def test_compat_keeps_the_options_that_cannot_be_met() -> None:
    bought, asked = product(title="Tea Tree Shampoo"), goal(attributes=("tea tree",), options=(("color", "1877black"),))
    assert reward(bought, {"color": "1877black"}, 35.0, asked).total == 1.0
    assert reward(bought, {"color": "1877black"}, 35.0, asked, compat=True).total == pytest.approx(2 / 3)
    met = goal(attributes=("tea tree",), options=(("color", "black"), ("size", "xl")))
    assert reward(bought, {"color": "black", "size": "xl"}, 35.0, met, compat=True).total == 1.0


# Goals and official files


def test_a_ceiling_is_one_of_the_next_four_tens_above_the_price() -> None:
    seen = {ceiling_of(24.5, random.Random(i)) for i in range(60)}
    assert seen == {(float(p), f", and price lower than {p:.2f} dollars") for p in (40, 50, 60)}
    assert ceiling_of(985.0, random.Random(0)) == (ANY_PRICE, "")


def test_splits_lie_where_the_benchmark_puts_them() -> None:
    whole = bounds(12087)
    assert (whole["test"], whole["valid"]) == (range(500), range(500, 1500))
    assert len(whole["train"]) == 10587
    assert sum(map(len, bounds(77).values())) == 77


@needs_data
def test_the_real_files_give_the_known_goals() -> None:
    env = official(goals="synthetic")
    assert len(env.shop.products) == 1000
    assert {s: len(env.tasks(s)) for s in ("train", "valid", "test")} == {"train": 5410, "valid": 1000, "test": 500}
    assert sum(len(official().tasks(s)) for s in ("train", "valid", "test")) == 13
    item = env.shop.products["B06Y3VLDFB"]
    assert (item.price_tag, item.query, item.attributes) == ("$877.8", "console tables", item.attributes)
    assert len(official(goals="synthetic", products=300).shop.products) == 300


@needs_data
def test_a_goal_does_not_depend_on_the_other_products_unless_compat_asks() -> None:
    def asked(compat: bool, products: int) -> dict[tuple[str, str], float]:
        goals = official(goals="synthetic", products=products, compat=compat).shop.goals.values()
        return {(g.asin, str(g.options)): g.ceiling for g in goals}

    few, all_ = asked(False, 500), asked(False, 1000)
    assert all(all_[k] == v for k, v in few.items())
    assert official(goals="synthetic").split_hash("test") != official(goals="synthetic", compat=True).split_hash("test")


@needs_data
def test_experts_shop_among_real_products() -> None:
    env = official(goals="synthetic")
    tasks = env.tasks("test")[:150]
    assert all(score(env, t, "oracle") == 1.0 for t in tasks)
    assert sum(score(env, t, "searcher") == 1.0 for t in tasks) >= 0.45 * len(tasks)
    people = official()
    assert all(score(people, t, "oracle") == 1.0 for s in ("train", "valid", "test") for t in people.tasks(s))


def test_plain_packed_and_ranged_files_load(tmp_path: Path) -> None:
    records, listed, said = catalogue.generate(60, 5, {"train": 20})
    (tmp_path / "items_shuffle.json").write_text(json.dumps([*records, records[0], {"asin": "nan"}]))
    (tmp_path / "items_ins_v2.json").write_text(json.dumps(listed))
    with lzma.open(tmp_path / "items_human_ins.json.xz", "wt") as file:
        json.dump(said, file)
    env = WebShopEnv(catalogue="official", data=str(tmp_path))
    assert len(env.shop.products) == 60
    for item in env.shop.products.values():
        assert item.prices[0] <= env.shop.prices[item.asin] <= item.prices[-1]
    assert all(score(env, t, "oracle") == 1.0 for t in env.tasks("train"))


# Pages


def test_both_text_forms_say_the_same_strings() -> None:
    plain_, rich = WebShopEnv(mode="text"), WebShopEnv(mode="text_rich")
    rng = random.Random(1)
    for task in plain_.tasks("train")[:20]:
        one, info = plain_.reset(options={"task": task})
        two, _ = rich.reset(options={"task": task})
        for _ in range(15):
            assert one.split(" [SEP] ") == strings(one) == strings(two)
            action = rng.choice(info["admissible"])
            one, _, over, cut, info = plain_.step(action)
            two, *_ = rich.step(action)
            if over or cut:
                break


def test_pages_read_as_the_benchmarks_do() -> None:
    env = WebShopEnv(mode="text")
    task = next(t for t, g in env.shop.goals.items() if env.shop.products[g.asin].options)
    wish = env.shop.goals[task]
    item = env.shop.products[wish.asin]
    first, _ = env.reset(options={"task": task})
    assert first == f"WebShop [SEP] Instruction: [SEP] {wish.instruction} [SEP] Search"
    results, *_ = env.step(f"search[{item.title}]")
    top = env.shop.products[env.shop.search(item.title.lower())[0]]
    head = f"Instruction: [SEP] {wish.instruction} [SEP] Back to Search [SEP] Page 1 (Total results: 50) [SEP] Next > [SEP] "
    assert results.startswith(f"{head}{top.asin} [SEP] {top.title} [SEP] {top.price_tag} [SEP] ")
    page, *_ = env.step(f"click[{top.asin}]")
    assert page.endswith(
        f"{top.title} [SEP] Price: {top.price_tag} [SEP] Rating: N.A. [SEP] Description [SEP] Features [SEP] Reviews [SEP] Buy Now"
    )
    features, *_ = env.step("click[Features]")
    assert features.endswith(" [SEP] ".join(("< Prev", *top.bullets)))


def test_going_back_forgets_what_the_benchmark_forgets() -> None:
    shop = WebShopEnv().shop
    asin, item = next((a, p) for a, p in shop.products.items() if p.options)
    name, values = next(iter(item.options.items()))

    def go(state: State, *actions: str) -> State:
        for action in actions:
            after = follow(shop, state, action)
            assert after is not None, action
            state = after
        return state

    chosen = go(State(), f"search[{item.title}]", f"click[{asin}]", f"click[{values[0]}]", f"click[{values[1]}]")
    assert chosen.chosen == ((name, values[1]),)
    assert go(chosen, "click[description]", "click[< prev]").chosen == chosen.chosen
    assert go(chosen, "click[< prev]").chosen == ()
    assert go(chosen, "click[< prev]").page == "results"
    assert go(chosen, "search[lamp]").asin == ""
    assert go(chosen, "click[back to search]") == State()
    far = go(State(), "search[lamp]", *["click[next >]"] * 7)
    assert far.listed() == () and go(far, "click[< prev]").number == 7
    assert follow(shop, State(), "click[search]") is None
    assert follow(shop, go(chosen, "click[buy now]"), "search[lamp]") is None
    assert "attributes" not in clickables(shop, chosen) and "attributes" in clickables(shop, chosen, True)


# The made-up catalogue


def test_the_catalogue_is_the_same_for_a_seed_and_another_for_another() -> None:
    sizes = {"train": 30, "valid": 5, "test": 5}
    assert catalogue.generate(300, 1, sizes) == catalogue.generate(300, 1, sizes) != catalogue.generate(300, 2, sizes)
    hashes = {WebShopEnv(catalogue_seed=s, products=400).split_hash("test") for s in (0, 1)}
    assert len(hashes) == 2


def test_the_catalogue_is_as_wide_as_promised() -> None:
    kinds = catalogue.kinds()
    attributes = {a for k in kinds for a in (*k.own, *k.shared)}
    assert len(kinds) >= 120 and len(attributes) >= 600
    assert len({k.query for k in kinds}) == len(kinds)
    assert all(len(set(catalogue.paraphrases(a)) - {a}) >= 2 for a in attributes)
    assert len(catalogue.phrases()["frames"]) >= 30


def test_splits_share_no_product_and_test_has_kinds_of_its_own() -> None:
    shop = WebShopEnv().shop
    bought = {s: {shop.goals[t].asin for t in tasks} for s, tasks in shop.splits.items()}
    kinds = {s: {shop.goals[t].query for t in tasks} for s, tasks in shop.splits.items()}
    assert not bought["train"] & bought["valid"]
    assert not (kinds["train"] | kinds["valid"]) & kinds["test"]
    assert len(kinds["train"]) == 100 and len(kinds["test"]) == 25


def test_siblings_differ_in_exactly_one_thing() -> None:
    made: dict[int, list[catalogue.Item]] = {f: items for f, _, items, _ in catalogue._families(800, 0)}
    for items in made.values():
        for item in items:
            differ = [
                (len(set(item.attributes) ^ set(o.attributes)) > 0)
                + (item.options != o.options)
                + (item.price != o.price)
                for o in items
            ]
            assert max(differ) <= 2  # by way of the one they both resemble


def test_attributes_stand_mostly_where_search_does_not_look_and_always_somewhere() -> None:
    shop = WebShopEnv().shop
    hidden = total = 0
    for item in shop.products.values():
        for attribute in item.attributes:
            assert attribute in item.text
            total += 1
            hidden += attribute not in item.document
    assert 0.4 <= hidden / total <= 0.6


def test_the_catalogue_is_as_hard_as_the_benchmark() -> None:
    """Rule: search the instruction and buy the first. With options: click what the instruction says word for word.

    Page: buy the best of the first page with the right options. Measured at 5,000 products, n = 1,000 a split, train and
    test: rule .118 and .116, with options .402 and .368, page .888 and .877 of success and .964 and .960 of reward.
    """
    env = WebShopEnv(train=500, test=500)
    shop = env.shop
    assert len(shop.products) >= 5000
    for split in ("train", "test"):
        rule, with_options, page, scores = [], [], [], []
        for task in env.tasks(split):
            asked = shop.goals[task]
            said = plain(asked.instruction).lower()
            hits = [shop.products[a] for a in shop.search(said)[:10]]
            literal = {
                n: max(found, key=len) for n, vs in hits[0].options.items() if (found := [v for v in vs if v in said])
            }
            rule.append(reward(hits[0], {}, shop.prices[hits[0].asin], asked).total == 1)
            with_options.append(reward(hits[0], literal, shop.prices[hits[0].asin], asked).total == 1)
            best = max(reward(p, wanted(p, asked), shop.prices[p.asin], asked).total for p in hits)
            page.append(best == 1)
            scores.append(best)
        assert 0.06 <= np.mean(rule) <= 0.14, split
        assert np.mean(with_options) <= 0.45, split
        assert np.mean(page) >= 0.85 and np.mean(scores) >= 0.85, split


# Experts


@pytest.mark.parametrize(("expert", "least"), [("oracle", 1.0), ("searcher", 0.5)])
@pytest.mark.parametrize("split", ["train", "test"])
def test_experts_shop_in_the_made_up_catalogue(expert: str, least: float, split: str) -> None:
    env = WebShopEnv()
    scores = [score(env, t, expert) for t in env.tasks(split)[:150]]
    assert sum(s == 1.0 for s in scores) >= least * len(scores)


def test_the_oracle_goes_on_from_wherever_a_student_strayed() -> None:
    env = WebShopEnv(max_steps=60)
    rng = random.Random(2)
    for task in env.tasks("test")[:40]:
        _, info = env.reset(options={"task": task})
        for _ in range(rng.randrange(20)):
            idle = [a for a in info["admissible"] if a != "click[buy now]"]
            *_, info = env.step(rng.choice([*idle, "search[lamp]", "nonsense"]))
        while not info["success"]:
            before = env.privileged()
            *_, over, cut, info = env.step(before.actions[0])
            assert len(env.privileged().actions) == len(before.actions) - 1
            assert (info["success"] or not over) and not cut


def test_the_oracle_buys_only_on_evidence_that_the_pages_show() -> None:
    env = WebShopEnv()
    for task in env.tasks("test")[:40]:
        env.reset(options={"task": task})
        while (action := env.privileged().actions[0]) != "click[buy now]":
            env.step(action)
        item = env.shop.products[env._goal().asin]
        pages = "\n".join((item.title, *item.bullets, item.description))
        basis = env.privileged().basis
        assert basis and all(b in pages for b in basis)


def test_the_first_search_of_the_oracle_is_one_that_a_reader_would_think_of() -> None:
    env = WebShopEnv()
    listed = 0
    for task in env.tasks("test"):
        _, info = env.reset(options={"task": task})
        listed += env.privileged().actions[0] in info["admissible"]
    assert listed >= 0.95 * len(env.tasks("test"))


@pytest.mark.parametrize("mode", ["text", "text_rich"])
def test_the_searcher_depends_on_nothing_but_what_was_read_and_takes_over(mode: str) -> None:
    env = WebShopEnv(mode=mode)
    rng = random.Random(3)
    for task in env.tasks("train")[:30]:
        observation, info = env.reset(options={"task": task})
        live, reader = env.searcher(), WebShopSearcher(20)
        for s in (live, reader):
            s.begin(info["goal"], observation, {"admissible": info["admissible"]})
        for n in range(20):
            idle = [a for a in info["admissible"] if a != "click[buy now]"]
            assert live.act() == reader.act()
            action = rng.choice([*idle, "nonsense", "search[oil]"]) if n < 6 else live.act()
            observation, _, over, cut, info = env.step(action)
            assert not info["invalid"] or n < 6, (task, action)
            for s in (live, reader):
                s.observe(action, observation, {"admissible": info["admissible"]})
            if over or cut:
                assert over
                break


def test_a_hint_never_tells_the_searcher_which_product() -> None:
    env = WebShopEnv()
    for task in env.tasks("train")[:20]:
        observation, info = env.reset(options={"task": task})
        searcher = env.searcher()
        searcher.begin(info["goal"], observation, info)
        action = searcher.act()
        observation, *_, info = env.step(action)
        searcher.observe(action, observation, info)
        products = [a for a in info["admissible"] if re.fullmatch(r"click\[b0\w{8}\]", a)]
        assert len({searcher.act(hint) for hint in products}) == 1


# The environment's promises


ODD = ("search[]", "click[]", "search", "search[[", "click[buy now", "CLICK[x]", "click[next >] thanks", "search[☃]")


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.text(max_size=60), st.sampled_from(ODD), st.text(max_size=20).map("search[{}]".format)))
def test_bad_text_never_raises_and_leaves_the_page(text: str) -> None:
    env = WebShopEnv(products=400)
    before, _ = env.reset(options={"task": "train/00001"})
    observation, got, over, _, info = env.step(text)
    assert got == 0 and not over
    if info["invalid"]:
        assert observation == before


def test_an_episode_is_the_same_every_time_and_a_fork_goes_its_own_way() -> None:
    env, again = WebShopEnv(products=400), WebShopEnv(products=400)
    rng = random.Random(4)
    assert env.reset(options={"task": "valid/00002"}) == again.reset(options={"task": "valid/00002"})
    _, info = env.reset(options={"task": "valid/00002"})
    for _ in range(12):
        saved, here = env.snapshot(), env.privileged()
        for _ in range(4):
            *_, over, cut, info = env.step(rng.choice(info["admissible"]))
            if over or cut:
                break
        env.restore(saved)
        assert env.privileged() == here
        action = rng.choice([a for a in env._info(False)["admissible"] or () if a != "click[buy now]"])
        step = env.step(action)
        assert step == again.step(action)
        info = step[-1]


def test_errors_name_the_value_and_the_fix(tmp_path: Path) -> None:
    for wrong, said in (
        ({"mode": "html"}, "text, text_rich"),
        ({"catalogue": "real"}, "generated, official"),
        ({"goals": "synthetic"}, "catalogue='official'"),
        ({"nouns": "nltk"}, "rule, spacy"),
        ({"products": 0}, "needs 1 or more"),
    ):
        with pytest.raises(ValueError, match=said):
            WebShopEnv(**wrong)
    with pytest.raises(ValueError, match="test/00000"):
        WebShopEnv(products=400).reset(options={"task": "nowhere"})
    with pytest.raises(ValueError, match="take 2000 or more"):
        WebShopEnv(products=3).reset()
    with pytest.raises(FileNotFoundError, match=r"items_ins_v2\*\.json"):
        WebShopEnv(catalogue="official", data=str(tmp_path))
    with pytest.raises(FileNotFoundError, match="no such folder"):
        WebShopEnv(catalogue="official", data=str(tmp_path / "none"))


def test_the_examples_in_the_docstrings_are_true() -> None:
    names = (
        "search.analyzer",
        "search.bm25",
        "search.stemmer",
        "webshop.catalogue",
        "webshop.env",
        "webshop.goals",
        "webshop.nouns",
        "webshop.product",
        "webshop.queries",
        "webshop.rewards",
        "webshop.searcher",
    )
    results = [doctest.testmod(importlib.import_module(f"agentgym.envs.{n}")) for n in names]
    assert all(r.failed == 0 for r in results)
    assert sum(r.attempted for r in results) >= 15
