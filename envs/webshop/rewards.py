"""What a purchase is worth: kind, attributes, options and price against what was asked for."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

from rapidfuzz import fuzz, utils

from .goals import Goal
from .nouns import nouns
from .product import Product

ALIKE = 85


@lru_cache(maxsize=1)
def colors() -> tuple[str, ...]:
    """Return the benchmark's colour words, in its order."""
    read = files(__package__).joinpath("data/colors.json").read_text(encoding="utf-8")
    return tuple(json.loads(read)["colors"])


@lru_cache(maxsize=1 << 16)
def plain_color(value: str) -> str:
    """Return the first colour word that a value contains, or the value.

    >>> plain_color("dusty rose 2"), plain_color("x-large")
    ('rose', 'x-large')
    """
    return next((c for c in colors() if c in value), value)


@lru_cache(maxsize=1 << 18)
def alike(a: str, b: str) -> bool:
    """Whether two phrases share their words, nearly: token-set ratio above 85.

    >>> alike("essential oil", "essential oils"), alike("black", "blue")
    (True, False)
    """
    one, two = (utils.default_process(t.encode("ascii", "ignore").decode()) for t in (a, b))
    return round(fuzz.token_set_ratio(one, two)) > ALIKE


@dataclass(frozen=True, slots=True)
class Reward:
    """The parts of a purchase's worth; options is None where none was asked for."""

    total: float
    kind: float
    attributes: float
    options: float | None
    price: bool


def kind_factor(product: Product, goal: Goal, tagger: str = "rule") -> float:
    """Return how far the product is the kind of thing that was asked for: 1, 0.5, 0.1 or 0.

    Source: WebShop arXiv 2207.01206 and its get_type_reward; a title that shares under a tenth of the goal's nouns counts
    0.1, and none 0, even where the query matches.
    """
    wanted, found = nouns(goal.title, tagger), set(nouns(product.title, tagger))
    share = len(found & set(wanted)) / len(wanted) if wanted else 0.2
    if share == 0:
        return 0.0
    if share < 0.1:
        return 0.1
    paths = [{part.strip() for part in p.split("›")} for p in (product.path, goal.path)]
    same = product.query == goal.query or len(paths[0] & paths[1]) >= 2 or share > 0.2
    return 1.0 if same else 0.5


def attribute_matches(product: Product, wanted: Iterable[str]) -> int:
    """Return how many wanted attributes the product lists, nearly, or says word for word."""
    text = product.text
    return sum(any(alike(a, w) for a in product.attributes) or w in text for w in wanted)


def option_matches(chosen: Iterable[str], wanted: Iterable[str]) -> int:
    """Return how many wanted option values were chosen, nearly; both sides with plain colours."""
    bought = list(chosen)
    return sum(any(alike(c, w) for c in bought) for w in wanted)


def _wanted(option: tuple[str, str], compat: bool) -> str:
    """Return the value asked for; compat gives a named option as the pair that the original compares by mistake."""
    name, value = option
    if not (compat and name):
        return plain_color(value)
    return next((c for c in colors() if c in option), str(option))


def reward(
    product: Product,
    chosen: Mapping[str, str],
    price: float,
    goal: Goal,
    *,
    compat: bool = False,
    tagger: str = "rule",
) -> Reward:
    """Return what buying a product with some options is worth.

    r = kind · (matched attributes + matched options + [price ≤ ceiling]) / (attributes + options + 1)
    Source: WebShop arXiv 2207.01206 Sec. 3 and its get_reward. Ours: a named option is compared by its value, so that
    every goal can be met; compat compares the pair (name, value), as the original does.
    """
    kind = kind_factor(product, goal, tagger)
    attributes = attribute_matches(product, goal.attributes)
    wanted = [_wanted(o, compat) for o in goal.options]
    options = option_matches(map(plain_color, chosen.values()), wanted)
    cheap = price <= goal.ceiling
    parts = len(goal.attributes) + len(wanted) + 1
    return Reward(
        total=kind * (attributes + options + cheap) / parts,
        kind=kind,
        attributes=attributes / max(len(goal.attributes), 1),
        options=options / len(wanted) if wanted else None,
        price=cheap,
    )
