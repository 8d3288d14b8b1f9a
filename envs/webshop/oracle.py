"""The teacher's plan: from where the customer is to a purchase that is worth 1."""

from __future__ import annotations

import re

from ..core import Privileged
from .browse import PAGE, SUBPAGES, State
from .goals import ANY_PRICE, Goal
from .product import Product
from .queries import suggest
from .rewards import alike, plain_color
from .shop import Shop


def wanted(product: Product, goal: Goal) -> dict[str, str]:
    """Return the options to choose: the goal's own values, or those nearest to a person's words."""
    out: dict[str, str] = {}
    for asked, value in goal.options:
        listed = [(n, v) for n, values in product.options.items() for v in values if asked in ("", n) and n not in out]
        near = [(n, v) for n, v in listed if alike(plain_color(v), plain_color(value))]
        exact = [(n, v) for n, v in near if v == value.lower()]
        for name, chosen in (exact or near)[:1]:
            out[name] = chosen
    return out


def _walk(hits: tuple[str, ...], number: int, goal: Goal) -> list[str] | None:
    """Return the clicks from a page of results to the product; None where it is not among the hits."""
    if goal.asin not in hits:
        return None
    away = hits.index(goal.asin) // PAGE + 1 - number
    return ["click[next >]" if away > 0 else "click[< prev]"] * abs(away) + [f"click[{goal.asin.lower()}]"]


def query_for(shop: Shop, goal: Goal) -> str:
    """Return the query to use: the best of those that a reader would think of, else the product's own title."""
    for queries in (suggest(goal.instruction), (goal.title.lower()[:400].translate(str.maketrans("", "", "[]")),)):
        ranks = [(hits.index(goal.asin) // PAGE, q) for q in queries if goal.asin in (hits := shop.search(q))]
        if ranks:
            return min(ranks, key=lambda r: r[0])[1]
    return suggest(goal.instruction)[0]


def evidence(product: Product, attribute: str) -> str | None:
    """Return the words of a page that say an attribute, a few before it included; None where no page does."""
    for text in (product.title, *product.bullets, product.description):
        found = re.search(rf"(?:\S+\s+){{0,4}}{re.escape(attribute)}", text.strip(), re.IGNORECASE)
        if found:
            return found[0]
    return None


def plan(shop: Shop, state: State, goal: Goal) -> Privileged:
    """Return what the goal means, an example of what meets it, and the clicks that are left."""
    item = shop.products[goal.asin]
    options = wanted(item, goal)
    price = "at any price" if goal.ceiling >= ANY_PRICE else f"for at most {goal.ceiling:.2f} dollars"
    facts = (
        f"The product must have: {', '.join(goal.attributes)}.",
        f"It must be bought {price}.",
        f"Options to choose: {', '.join(f'{n} {v}' for n, v in options.items()) or 'none'}.",
        f"One that fits is {goal.asin}, {goal.title}.",
    )
    actions = _route(shop, state, goal, options)
    basis = _basis(item, goal, actions[0]) if actions else ()
    read = f"The pages show {', '.join(basis)}, which the request asks for" if basis else "The request says this itself"
    search = "No page has shown yet what the request asks for, so I go on with {action}."
    return Privileged(facts, tuple(actions), basis, reason=f"{read}, so I do {{action}}.", search=search)


def _route(shop: Shop, state: State, goal: Goal, options: dict[str, str]) -> list[str]:
    here = dict(state.chosen) if state.asin == goal.asin else {}
    finish = [f"click[{v}]" for n, v in options.items() if here.get(n) != v] + ["click[buy now]"]
    if state.page == "done":
        return []
    if state.asin == goal.asin:
        return ["click[< prev]"] * (state.page in SUBPAGES) + finish
    query = query_for(shop, goal)
    anew = [f"search[{query}]", *(_walk(shop.search(query), 1, goal) or ()), *finish]
    if state.page == "search":
        return anew
    leave = {"results": 0, "item": 1}.get(state.page, 2)
    on = _walk(state.hits, state.number, goal)
    routes = [["click[back to search]", *anew]]
    if on is not None:
        routes.insert(0, ["click[< prev]"] * leave + on + finish)
    return min(routes, key=len)


def _basis(product: Product, goal: Goal, action: str) -> tuple[str, ...]:
    """Return what one must have read to take an action: the page's words for it."""
    argument = action[action.index("[") + 1 : -1]
    if action.startswith("search"):
        return () if argument in suggest(goal.instruction) else (goal.title,)
    if argument == goal.asin.lower():
        return (goal.asin,)
    if argument == "buy now":
        return tuple(dict.fromkeys(e for a in goal.attributes if (e := evidence(product, a))))
    return () if argument in ("back to search", "< prev", "next >") else (argument,)
