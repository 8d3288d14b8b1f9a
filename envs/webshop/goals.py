"""What a customer asks for: goals from people's instructions or from a template, and the order that splits them."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product as cartesian

from .product import Product, Record

ANY_PRICE = 1_000_000.0
ORDER_SEED = 233


@dataclass(frozen=True, slots=True)
class Goal:
    """What the buyer wants. options: (name, value), the name empty where a person named none; id: a generated goal's task."""

    asin: str
    instruction: str
    attributes: tuple[str, ...]
    options: tuple[tuple[str, str], ...]
    ceiling: float
    query: str
    path: str
    title: str
    id: str = ""


Draw = Callable[[str], random.Random]


def keyed(seed: int) -> Draw:
    """Return a source of generators, one a name: what is drawn for one product never depends on another."""

    def draw(name: str) -> random.Random:
        return random.Random(hashlib.sha256(f"{seed} {name}".encode()).digest())

    return draw


def in_sequence(seed: int) -> Draw:
    """Return one generator for everything, in the order of asking, as the original draws; but seeded."""
    rng = random.Random(seed)
    return lambda name: rng


def price_of(product: Product, draw: Draw) -> float:
    """Return what a product costs; a range costs something between its ends."""
    low, high = product.prices[0], product.prices[-1]
    return low if len(product.prices) == 1 else draw(product.asin).uniform(low, high)


def ceiling_of(price: float, rng: random.Random) -> tuple[float, str]:
    """Return the most that may be paid and how the instruction says so: the larger of two of the next four tens."""
    above = [float(p) for p in range(10, 1000, 10) if p > price][:4]
    if len(above) < 2:
        return ANY_PRICE, ""
    most = max(rng.sample(above, 2))
    return most, f", and price lower than {most:.2f} dollars"


def human_goals(
    products: Mapping[str, Product], said: Mapping[str, Sequence[Record]], prices: Mapping[str, float], draw: Draw
) -> Iterator[Goal]:
    """Yield a goal for every instruction of a person that names an attribute."""
    for asin, item in products.items():
        for n, one in enumerate(said.get(asin, ())):
            if one["instruction_attributes"]:
                ceiling, text = ceiling_of(prices[asin], draw(f"{asin} human {n}"))
                yield Goal(
                    asin, one["instruction"].strip(".") + text, tuple(one["instruction_attributes"]),
                    tuple(("", o) for o in one["instruction_options"]), ceiling, item.query, item.path, item.title,
                    one.get("assignment_id", ""),
                )  # fmt: skip


def synthetic_goals(
    products: Mapping[str, Product], listed: Mapping[str, Record], prices: Mapping[str, float], draw: Draw
) -> Iterator[Goal]:
    """Yield a goal for every combination of options of every product that has a template."""
    for asin, item in products.items():
        template = listed.get(asin, {}).get("instruction")
        if template is None:
            continue
        ceiling, text = ceiling_of(prices[asin], draw(f"{asin} synthetic"))
        names = sorted(item.options)
        for values in cartesian(*(item.options[n] for n in names)):
            chosen = dict(zip(names, values, strict=True))
            wanted = ", and ".join(f"{n}: {v}" for n, v in chosen.items())
            yield Goal(
                asin, f"{template}{' with ' + wanted if wanted else ''}{text}",
                tuple(listed[asin]["instruction_attributes"]), tuple(chosen.items()), ceiling, item.query, item.path,
                item.title,
            )  # fmt: skip


def ordered(goals: Iterator[Goal]) -> tuple[Goal, ...]:
    """Return goals in the benchmark's order."""
    out = list(goals)
    random.Random(ORDER_SEED).shuffle(out)
    return tuple(out)


def bounds(goals: int) -> dict[str, range]:
    """Return where each split lies: test 0-499, valid 500-1499, train the rest; a fifth each of a small catalogue.

    >>> bounds(12087)["train"], bounds(13)["test"]
    (range(1500, 12087), range(0, 2))
    """
    test = min(500, goals // 5)
    valid = test + min(1000, goals // 5)
    return {"test": range(test), "valid": range(test, valid), "train": range(valid, goals)}
