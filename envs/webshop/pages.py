"""What a page says, in the benchmark's two text forms.

`text` joins the strings of a page with [SEP] and does not show what was clicked; `text_rich` gives a string a line, marks
buttons, and marks those that were clicked.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from .browse import State
from .shop import Shop

MODES = ("text", "text_rich")
Part = tuple[str, str]  # what it is (text, button, option, product), and its string


def _product(shop: Shop, state: State, attributes: bool) -> Iterator[Part]:
    item = shop.products[state.asin]
    for name, listed in item.options.items():
        yield "text", name
        yield from (("option", v) for v in listed)
    yield from (("text", t) for t in (item.title, f"Price: {item.price_tag}", "Rating: N.A."))
    yield from (("button", b) for b in ("Description", "Features", "Reviews"))
    if attributes:
        yield "button", "Attributes"
    yield "button", "Buy Now"


def _subpage(shop: Shop, state: State) -> Iterator[Part]:
    item = shop.products[state.asin]
    said = {
        "description": (item.description,),
        "features": item.bullets,
        "reviews": (),
        "attributes": (*item.attributes, item.category, item.query, item.path),
    }
    yield from (("text", t) for t in said[state.page])


def _done(state: State, score: float) -> Iterator[Part]:
    labels = (
        "Thank you for shopping with us!", "Your code:", "None", "(Paste it in your MTurk interface.)", "Purchased",
        "asin", state.asin, "options", json.dumps(dict(state.chosen)), "attrs", "None", "category", "None", "query", "None",
        "product category", "None", "Target", "asin", "options", "attrs", "price upper", "instuction text", "category",
        "product category", "query", "Goal", "None", "Reward", "Your score (min 0.0, max 1.0)", str(score),
        "Reward Details", "None",
    )  # fmt: skip
    yield from (("text", label) for label in labels)


def parts(shop: Shop, state: State, instruction: str, score: float, attributes: bool) -> Iterator[Part]:
    """Yield the visible strings of a page, in order."""
    if state.page == "done":
        yield from _done(state, score)
        return
    if state.page == "search":
        yield "text", "WebShop"
    yield "text", "Instruction:"
    yield "text", instruction
    if state.page == "search":
        yield "button", "Search"
        return
    yield "button", "Back to Search"
    if state.page == "results":
        yield "text", f"Page {state.number} (Total results: {len(state.hits)})"
        if state.number > 1:
            yield "button", "< Prev"
        yield "button", "Next >"
        for asin in state.listed():
            item = shop.products[asin]
            yield from (("product", asin), ("text", item.title), ("text", item.price_tag))
        return
    yield "button", "< Prev"
    yield from _product(shop, state, attributes) if state.page == "item" else _subpage(shop, state)


def render(shop: Shop, state: State, instruction: str, score: float, mode: str, attributes: bool) -> str:
    """Return the text of a page."""
    shown = [(k, t.strip()) for k, t in parts(shop, state, instruction, score, attributes) if t.strip()]
    if mode == "text":
        return " [SEP] ".join(text for _, text in shown)
    chosen = dict(state.chosen)
    values = set(chosen.values())
    lines = [f"You have clicked {text}." for kind, text in reversed(shown) if kind == "option" and text in values]
    for kind, text in shown:
        if kind == "text":
            lines.append(text)
            continue
        clicked = (kind == "option" and text in values) or (kind == "product" and text in state.visited)
        lead = {"button": "", "option": "  ", "product": "\n"}[kind]
        lines.append(
            f"{lead}[clicked button] {text} [clicked button_]" if clicked else f"{lead}[button] {text} [button_]"
        )
    return "\n".join(lines)
