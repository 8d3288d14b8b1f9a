"""A made-up catalogue in the benchmark's own file format: nothing need be downloaded, and every seed is another shop.

Goods come in families of one kind and brand whose members differ in exactly one thing: an attribute, an option's values or
the price. About half of the attributes stand only in bullets that search does not see, so that who does not read the
feature pages buys the wrong one of the family. Kinds of the test split occur in no goal of train or valid.
"""

from __future__ import annotations

import json
import math
import random
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib.resources import files
from typing import Any

UNSEEN = 5  # of the kinds of a category, how many are kept for the test split
_PLACES = {"title": 0.25, "first": 0.12, "bullets": 0.5, "description": 0.13}  # where attributes are written
_OWN = 3.0  # how much likelier one asks for an attribute of the kind's own than for one that many kinds share
_WITH_OPTIONS = 0.86  # of the goals for goods with options, how many name one
_AS_LISTED = 0.3  # of the values that one can say otherwise, how many are said as the page has them
_LETTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of goods: what it is called, what may be true of it, and what may be chosen."""

    query: str
    said: tuple[str, ...]
    category: str
    path: str
    own: tuple[str, ...]
    shared: tuple[str, ...]
    options: tuple[tuple[str, tuple[str, ...]], ...]
    price: float
    unseen: bool


@dataclass(frozen=True, slots=True)
class Item:
    """One of a family. places: where each of its attributes is written, in the same order."""

    attributes: tuple[str, ...]
    places: tuple[str, ...]
    options: tuple[tuple[str, tuple[str, ...]], ...]
    price: float


@lru_cache(maxsize=1)
def phrases() -> dict[str, Any]:
    """Return the frames, paraphrases and sentences."""
    loaded: dict[str, Any] = json.loads(files(__package__).joinpath("data/phrases.json").read_text(encoding="utf-8"))
    return loaded


@lru_cache(maxsize=1)
def kinds() -> tuple[Kind, ...]:
    """Return every kind of goods."""
    table = json.loads(files(__package__).joinpath("data/types.json").read_text(encoding="utf-8"))
    return tuple(
        Kind(
            t["query"], tuple(t["said"]), c["name"], f"{c['root']} › {t['path']}", tuple(t["attributes"]),
            tuple(c["shared"]), tuple((table["options"][o][0], tuple(table["options"][o][1])) for o in t["options"]),
            float(t["price"]), n >= len(c["types"]) - UNSEEN,
        )
        for c in table["categories"]
        for n, t in enumerate(c["types"])
    )  # fmt: skip


@lru_cache(maxsize=4096)
def paraphrases(attribute: str) -> tuple[str, ...]:
    """Return other ways to say an attribute.

    >>> paraphrases("gluten free")
    ('free of gluten', 'without any gluten', 'without gluten')
    """
    for pattern, others in phrases()["paraphrases"]:
        if re.search(pattern, attribute):
            return tuple(re.sub(pattern, other, attribute) for other in others)
    return ()


def _asin(number: int, seed: int) -> str:
    """Return an id that no other number of the same seed has."""
    left, out = (number * 1_000_003_777 + seed * 7_919 + 1_234_567) % 36**8, ""
    for _ in range(8):
        left, digit = divmod(left, 36)
        out = _LETTERS[digit] + out
    return "B0" + out


def _base(kind: Kind, rng: random.Random) -> Item:
    attributes = [*rng.sample(kind.own, rng.randint(2, 3)), *rng.sample(kind.shared, rng.randint(1, 3))]
    rng.shuffle(attributes)
    options = []
    for name, values in kind.options:
        if rng.random() < 0.85:
            kept = set(rng.sample(values, min(len(values), rng.randint(3, 6))))
            options.append((name, tuple(v for v in values if v in kept)))
    price = round(kind.price * math.exp(rng.gauss(0, 0.35)), 2)
    return Item(
        tuple(attributes),
        tuple(rng.choices(list(_PLACES), list(_PLACES.values()), k=len(attributes))),
        tuple(options),
        price,
    )


def _sibling(kind: Kind, base: Item, rng: random.Random) -> Item:
    """Return an item that differs from another in exactly one thing.

    What is asked for most is what differs most often, and an attribute of the kind's own gives way to another such: so a
    kind's goods are alike enough for a page to hold what fits, and the first of them is rarely it.
    """
    how = rng.choices(("attribute", "option", "price"), (0.6, 0.2, 0.2))[0]
    wide = [n for n, (_, values) in enumerate(base.options) if len(values) > 2]
    if how == "option" and wide:
        at = rng.choice(wide)
        name, values = base.options[at]
        gone = rng.choice(values)
        fewer = (name, tuple(v for v in values if v != gone))
        return replace(base, options=(*base.options[:at], fewer, *base.options[at + 1 :]))
    if how == "price":
        return replace(base, price=round(base.price + rng.uniform(41, 75), 2))
    at = rng.choices(range(len(base.attributes)), [_OWN if a in kind.own else 1.0 for a in base.attributes])[0]
    alike = kind.own if base.attributes[at] in kind.own else kind.shared
    others = [a for a in alike if a not in base.attributes]
    return replace(base, attributes=(*base.attributes[:at], rng.choice(others), *base.attributes[at + 1 :]))


def _bullet(attribute: str, rng: random.Random) -> str:
    said = rng.choice(phrases()["openers"]).format(a=attribute, A=attribute.capitalize())
    return f"{said}; {rng.choice(phrases()['closers'])}."


def _record(kind: Kind, item: Item, brand: str, said: str, asin: str, style: str, rng: random.Random) -> dict[str, Any]:
    """Return an official record; `style` seeds what the family has in common, `rng` is the item's own."""
    common = random.Random(style)
    words = phrases()
    uses, other = common.sample(words["uses"], 3), common.choice([s for s in kind.said if s != said] or kind.said)
    described = common.sample(words["descriptions"], 3)
    at: dict[str, list[str]] = {place: [] for place in _PLACES}
    for attribute, place in zip(item.attributes, item.places, strict=True):
        at[place].append(attribute)
    model = f"{''.join(common.choices(_LETTERS[10:], k=2))}{rng.randrange(100, 1000)}"
    title = [brand, *(a.title() for a in at["title"]), said.title(), *uses, other.title(), f"({model})"]
    plain = [f"{c.capitalize()}." for c in common.sample(words["closers"], 2)]
    first = [_bullet(a, common) for a in at["first"]] or plain[:1]
    bullets = [" ".join(first), *(_bullet(a, common) for a in at["bullets"]), plain[1]]
    description = [
        *(d.format(brand=brand, said=said) for d in described),
        *(f"It is known for {a}." for a in at["description"]),
    ]
    tag = rng.random()
    pricing = (
        f"${item.price}" if tag > 0.18 else f"${item.price} - ${round(item.price * 1.1 + 1, 2)}" if tag > 0.09 else ""
    )
    return {
        "asin": asin, "name": " ".join(title), "full_description": " ".join(description), "small_description": bullets,
        "pricing": pricing, "images": [], "product_category": kind.path, "category": kind.category, "query": kind.query,
        "page": 1, "average_rating": "",
        "customization_options": {n: [{"value": v, "image": None} for v in vs] for n, vs in item.options} or "",
    }  # fmt: skip


def _typo(text: str, rng: random.Random) -> str:
    """Return a text with two letters of one long word swapped, or one lost."""
    words = text.split(" ")
    long = [n for n, w in enumerate(words) if len(w) > 4 and w.isalpha()]
    if not long:
        return text
    n = rng.choice(long)
    at = rng.randrange(1, len(words[n]) - 2)
    word = words[n]
    words[n] = (
        word[:at] + word[at + 1] + word[at] + word[at + 2 :] if rng.random() < 0.5 else word[:at] + word[at + 1 :]
    )
    return " ".join(words)


def _surface(value: str, rng: random.Random) -> str:
    fits = [(p, r) for p, r in phrases()["surfaces"] if re.search(p, value)]
    if not fits or rng.random() < _AS_LISTED:
        return value
    pattern, other = rng.choice(fits)
    return re.sub(pattern, other, value)


def instruction(
    kind: Kind, attributes: tuple[str, ...], options: tuple[tuple[str, str], ...], rng: random.Random
) -> str:
    """Return what a person might say who wants such a thing."""
    words = phrases()
    spoken = [rng.choice(paraphrases(a)) if rng.random() < 0.5 else a for a in attributes]
    thing = rng.choice(kind.said)
    if spoken[0] == attributes[0] and rng.random() < 0.6:
        thing = f"{spoken.pop(0)} {thing}"
    if spoken:
        joins = ["" if s.split()[0] in words["joined"] else f"{rng.choice(words['joins'])} " for s in spoken]
        thing += " " + " and ".join(f"{join}{s}" for join, s in zip(joins, spoken, strict=True))
    asked = [rng.choice(words["options"][n]).format(v=_surface(v, rng)) for n, v in options]
    thing += "".join(f"{rng.choice((',', ''))} {a}" for a in asked)
    article = "an" if thing[0] in "aeiou" else "a"
    text: str = rng.choice(words["frames"]).format(thing=f"{article} {thing}", plain=thing)
    return _typo(text, rng) if rng.random() < 0.12 else text


def _want(
    kind: Kind, record: Mapping[str, Any], attributes: tuple[str, ...], task: str, rng: random.Random
) -> dict[str, Any]:
    """Return a person's instruction for a product, as the official file holds it."""
    count = min(rng.choices((1, 2, 3), (0.6, 0.3, 0.1))[0], len(attributes))
    drawn = {a: rng.random() ** (1 / (_OWN if a in kind.own else 1)) for a in attributes}
    wanted = tuple(sorted(attributes, key=drawn.__getitem__)[-count:][::-1])
    listed = record["customization_options"] or {}
    names = list(listed)
    chosen = rng.sample(names, rng.randint(1, len(names))) if names and rng.random() < _WITH_OPTIONS else []
    options = tuple((n, rng.choice(listed[n])["value"]) for n in names if n in chosen)
    return {
        "asin": record["asin"], "instruction": instruction(kind, wanted, options, rng), "attributes": list(attributes),
        "options": [f"{n}: {v}" for n, v in options], "instruction_attributes": list(wanted),
        "instruction_options": [v for _, v in options], "assignment_id": task, "worker_id": "generated",
    }  # fmt: skip


def _families(products: int, seed: int) -> Iterator[tuple[int, Kind, list[Item], random.Random]]:
    made, family = 0, 0
    order = list(kinds())
    random.Random(f"{seed} kinds").shuffle(order)
    while made < products:
        rng = random.Random(f"{seed} family {family}")
        kind = order[family % len(order)]
        base = _base(kind, rng)
        size = min(rng.randint(4, 8), products - made)
        items = [base, *(_sibling(kind, base, rng) for _ in range(size - 1))]
        rng.shuffle(items)  # equal scores are ordered by id: the first of a family must be no hint
        yield family, kind, items, rng
        made, family = made + size, family + 1


def generate(
    products: int, seed: int, sizes: Mapping[str, int]
) -> tuple[list[dict[str, Any]], dict[str, dict[str, Any]], dict[str, list[dict[str, Any]]]]:
    """Return what the official files hold: products, their attributes by id, and people's instructions by id.

    An instruction's `assignment_id` is its task; the products of train, valid and test are disjoint.
    """
    records: list[dict[str, Any]] = []
    listed: dict[str, dict[str, Any]] = {}
    owners: dict[str, list[tuple[Kind, int, tuple[str, ...]]]] = {"train": [], "valid": [], "test": []}
    for family, kind, items, rng in _families(products, seed):
        brand = "".join(rng.choices(phrases()["syllables"], k=rng.randint(2, 3))).title()
        said = rng.choice(kind.said)
        split = "test" if kind.unseen else "valid" if family % 8 == 0 else "train"
        for item in items:
            asin = _asin(len(records), seed)
            owners[split].append((kind, len(records), item.attributes))
            records.append(_record(kind, item, brand, said, asin, f"{seed} style {family}", rng))
            listed[asin] = {"attributes": list(item.attributes)}
    asked: dict[str, list[dict[str, Any]]] = {}
    for split, goals in sizes.items():
        order = owners[split]
        if goals and not order:
            raise ValueError(f"products={products}: too few for a goal of {split}; take 2000 or more")
        random.Random(f"{seed} order {split}").shuffle(order)
        for n in range(goals):
            kind, at, attributes = order[n % len(order)]
            task = f"{split}/{n:05d}"
            want = _want(kind, records[at], attributes, task, random.Random(f"{seed} goal {task}"))
            asked.setdefault(want["asin"], []).append(want)
    return records, listed, asked
