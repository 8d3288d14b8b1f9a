"""Where a customer is and where an action leads: the shop's pages as a pure function of state and action."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from .product import Product
from .shop import Shop

PAGE = 10
SUBPAGES = ("description", "features", "reviews", "attributes")
_ACTION = re.compile(r"\s*(search|click)\[(.+)\]")


@dataclass(frozen=True, slots=True)
class State:
    """A customer's place. page: search, results, item, a subpage's name, or done. number: of the page of results."""

    page: str = "search"
    query: str = ""
    hits: tuple[str, ...] = ()
    number: int = 1
    asin: str = ""
    chosen: tuple[tuple[str, str], ...] = ()
    visited: tuple[str, ...] = ()

    def listed(self) -> tuple[str, ...]:
        """Return the products on the present page of results."""
        return self.hits[(self.number - 1) * PAGE : self.number * PAGE]


def values(product: Product) -> dict[str, str]:
    """Return the option's name of every value; a value under two names belongs to the last."""
    return {value: name for name, listed in product.options.items() for value in listed}


def clickables(shop: Shop, state: State, attributes: bool = False) -> tuple[str, ...]:
    """Return what `click[...]` can name now, in page order."""
    if state.page in ("search", "done"):
        return ()
    if state.page == "results":
        back = ("back to search", "< prev") if state.number > 1 else ("back to search",)
        return (*back, "next >", *(a.lower() for a in state.listed()))
    if state.page in SUBPAGES:
        return ("back to search", "< prev")
    pages = SUBPAGES if attributes else SUBPAGES[:3]
    return ("back to search", "< prev", *values(shop.products[state.asin]), *pages, "buy now")


def follow(shop: Shop, state: State, action: str, attributes: bool = False) -> State | None:
    """Return where an action leads, None where it means nothing.

    Source: WebShop's text environment. A search works from every page and forgets the product; going back from a product
    to the results forgets its options, going back from a subpage keeps them.
    """
    read = _ACTION.match(action)
    if read is None or state.page == "done":
        return None
    name, argument = read[1], read[2].lower()
    if name == "search":
        return State("results", argument, shop.search(argument), visited=state.visited)
    if argument not in clickables(shop, state, attributes):
        return None
    if argument == "back to search":
        return State()
    if argument == "< prev":
        if state.page == "results":
            return replace(state, number=state.number - 1)
        return (
            replace(state, page="item")
            if state.page in SUBPAGES
            else replace(state, page="results", asin="", chosen=())
        )
    if argument == "next >":
        return replace(state, number=state.number + 1)
    if state.page == "results":
        asin = next(a for a in state.listed() if a.lower() == argument)
        return replace(state, page="item", asin=asin, visited=(*state.visited, asin))
    if argument == "buy now":
        return replace(state, page="done")
    option = values(shop.products[state.asin]).get(argument)
    if option is None:
        return replace(state, page=argument)
    return replace(state, chosen=(*((n, v) for n, v in state.chosen if n != option), (option, argument)))
