"""Goals and rewards of the 1,000 real products against a slow reference, written from the benchmark's rules alone."""

from __future__ import annotations

import json
import lzma
import random
import re
from collections import Counter
from functools import cache
from importlib.resources import files
from itertools import product as cartesian
from typing import Any

import pytest
from agentgym.envs.webshop import WebShopEnv
from agentgym.envs.webshop.nouns import nouns
from agentgym.envs.webshop.rewards import reward
from conftest import SHARED

DATA = SHARED / "data" / "webshop"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="the real WebShop products are not beside this checkout")
COLORS = json.loads(files("agentgym.envs.webshop").joinpath("data/colors.json").read_text(encoding="utf-8"))["colors"]
TRIPLES = 50_000


def read(name: str) -> Any:
    with lzma.open(DATA / name, "rt", encoding="utf-8") as file:
        return json.load(file)


def common(a: str, b: str) -> int:
    """Return the length of the longest common subsequence."""
    row = [0] * (len(b) + 1)
    for x in a:
        before = 0
        for j, y in enumerate(b, 1):
            before, row[j] = row[j], before + 1 if x == y else max(row[j], row[j - 1])
    return row[-1]


def ratio(a: str, b: str) -> float:
    return 200 * common(a, b) / (len(a) + len(b)) if a or b else 100.0


@cache
def token_set_ratio(a: str, b: str) -> int:
    one, two = (set(re.sub(r"[\W_]", " ", t.encode("ascii", "ignore").decode().lower()).split()) for t in (a, b))
    if not one or not two:
        return 0
    both = " ".join(sorted(one & two))
    left, right = (" ".join(filter(None, (both, " ".join(sorted(own))))) for own in (one - two, two - one))
    return round(max(ratio(both, left) if both else 0, ratio(both, right) if both else 0, ratio(left, right)))


def plain(value: str) -> str:
    return next((color for color in COLORS if color in value), value)


def worth(item: Any, chosen: dict[str, str], price: float, asked: Any, wanted: Any) -> float:
    """Return what buying a record of the file is worth to a goal for the record `wanted`."""
    title, named = set(nouns(item["name"])), nouns(wanted["name"])
    share = len(title & set(named)) / len(named) if named else 0.2
    parts = [{p.strip() for p in r["product_category"].split("›")} for r in (item, wanted)]
    near = item["query"].lower().strip() == wanted["query"].lower().strip() or len(parts[0] & parts[1]) >= 2
    kind = 0.0 if share == 0 else 0.1 if share < 0.1 else 1.0 if near or share > 0.2 else 0.5
    bullets = item["small_description"] or []
    said = [item["name"], " ".join([bullets] if isinstance(bullets, str) else bullets), item["full_description"] or ""]
    met = sum(
        any(token_set_ratio(has, attribute) > 85 for has in item["attributes"])
        or any(attribute in text.lower() for text in said)
        for attribute in asked.attributes
    )
    options = [plain(value) for _, value in asked.options]
    met += sum(any(token_set_ratio(plain(c), o) > 85 for c in chosen.values()) for o in options)
    return kind * (met + (price <= asked.ceiling)) / (len(asked.attributes) + len(options) + 1)


def options_of(record: Any) -> dict[str, list[str]]:
    listed = record.get("customization_options") or {}
    return {
        name.lower(): [str(v["value"]).strip().replace("/", " | ").lower() for v in values]
        for name, values in listed.items()
        if values is not None
    }


@needs_data
@pytest.mark.slow
def test_goals_and_rewards_of_the_real_products_are_the_references() -> None:
    shop = WebShopEnv(catalogue="official", data=str(DATA), goals="synthetic").shop
    listed = read("items_ins_v2_1000.json.xz")
    records = {
        r["asin"]: r | {"attributes": listed[r["asin"]]["attributes"]} for r in read("items_shuffle_1000.json.xz")
    }
    due = Counter(
        (asin, tuple(sorted(zip(options_of(r), values, strict=True))), tuple(listed[asin]["instruction_attributes"]))
        for asin, r in records.items()
        if listed[asin].get("instruction") is not None
        for values in cartesian(*options_of(r).values())
    )
    assert due == Counter((g.asin, tuple(sorted(g.options)), g.attributes) for g in shop.goals.values())
    assert due.total() == 6910

    rng, goals = random.Random(0), list(shop.goals.values())
    kin: dict[str, list[str]] = {}
    for asin, item in shop.products.items():
        kin.setdefault(item.query, []).append(asin)
    seen = Counter[str]()
    for _ in range(TRIPLES):
        asked = rng.choice(goals)
        asin = rng.choice((asked.asin, rng.choice(kin[asked.query]), rng.choice(list(shop.products))))
        chosen = {n: rng.choice(vs) for n, vs in options_of(records[asin]).items() if vs and rng.random() < 0.7}
        if asin == asked.asin and rng.random() < 0.5:
            chosen = dict(asked.options)
        price = shop.prices[asin]
        ours = reward(shop.products[asin], chosen, price, asked).total
        assert ours == pytest.approx(worth(records[asin], chosen, price, asked, records[asked.asin])), (asin, chosen)
        seen["all" if ours == 1 else "none" if ours == 0 else "some"] += 1
    assert min(seen["all"], seen["none"], seen["some"]) > TRIPLES / 50, seen
