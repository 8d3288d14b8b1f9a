"""The careful customer: searches, reads the feature pages of what looks right, and buys the best that it has read.

It knows nothing but the pages. It compares stems of words, so that "free of gluten" finds "gluten free".
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from ..core import Info
from ..search.analyzer import terms
from .queries import ceiling, content, plain, suggest

_MARK = re.compile(r"\[(?:clicked )?button\] (.*?) \[(?:clicked )?button_\]")
_PAGE = re.compile(r"Page (\d+) \(Total results: \d+\)")
_UNITS = (
    (r"(\d+)\s*(?:fl )?oz\b", r"\1 ounce"), (r"(\d+)\s*(?:ft|foot)\b", r"\1 feet"), (r"(\d+)\s*in\b", r"\1 inch"),
    (r"(\d+) (?:pack|count)\b", r"pack of \1"), (r"(\d+) piece set", r"set of \1"), (r"\bextra (large|small)", r"x-\1"),
    (r"\b2x[ -]large", "xx-large"), (r"grey", "gray"), (r"(\d+)\s*(gb|mah)\b", r"\1 \2"), (r"(\d+)\s*w\b", r"\1 watt"),
    (r"(\d+)l\b", r"\1 liter"), (r"\bbbq\b", "barbecue"), (r"(?<=\d)\"", " inch"),
)  # fmt: skip


def same_units(text: str) -> str:
    """Return a text with sizes and a few words written one way.

    >>> same_units("a 12oz bottle, extra large")
    'a 12 ounce bottle, x-large'
    """
    for pattern, other in _UNITS:
        text = re.sub(pattern, other, text)
    return text


@dataclass(slots=True)
class _Seen:
    """What has been read of a product."""

    title: str = ""
    price: float = 0.0
    options: dict[str, list[str]] = field(default_factory=dict)
    words: set[str] = field(default_factory=set)
    read: set[str] = field(default_factory=set)


def strings(observation: str) -> list[str]:
    """Return the strings of a page of either text form."""
    if "[button]" in observation or " [SEP] " not in observation:
        lines = [_MARK.sub(r"\1", line).strip() for line in observation.split("\n")]
        return [t for t in lines if t and not (t.startswith("You have clicked ") and t.endswith("."))]
    return observation.split(" [SEP] ")


class WebShopSearcher:
    """Reads up to as many products as the steps allow; `steps` is the length of an episode."""

    def __init__(self, steps: int = 20) -> None:
        self.steps = steps

    def begin(self, goal: str, observation: str, info: Info) -> None:
        """Read the instruction."""
        self.ceiling = ceiling(goal)
        self.queries = suggest(goal)
        self.asked = same_units(plain(goal).lower())
        self.words = set(terms(" ".join(content(self.asked))))
        self.seen: dict[str, _Seen] = {}
        self.listed: list[str] = []
        self.page, self.asin, self.number = "search", "", 1
        self.chosen: dict[str, str] = {}
        self.left = self.steps + 1
        self.searches = 0
        self.observe("", observation, info)

    def observe(self, action: str, observation: str, info: Info) -> None:
        """Take in a page, whoever asked for it."""
        self.left -= 1
        said = strings(observation)
        page = next((m for s in said if (m := _PAGE.fullmatch(s))), None)
        if page is not None:
            self._results(said, int(page[1]))
        elif "Buy Now" in said and any(s.startswith("Price: ") for s in said):
            self._item(action, said, info.get("admissible"))
        elif "< Prev" in said and self.asin:
            self.page = "subpage"
            name = action.removeprefix("click[").removesuffix("]").lower()
            self.seen[self.asin].read.add(name)
            self.seen[self.asin].words |= set(terms(" ".join(said[said.index("< Prev") + 1 :])))
        elif said and said[0] == "WebShop":
            self.page, self.asin = "search", ""

    def _results(self, said: list[str], number: int) -> None:
        self.page, self.asin, self.number, self.chosen = "results", "", number, {}
        rest = said[said.index("Next >") + 1 :]
        self.listed = []
        for asin, title, price in zip(rest[::3], rest[1::3], rest[2::3], strict=False):
            self.listed.append(asin)
            item = self.seen.setdefault(asin, _Seen())
            item.title = title
            item.words |= set(terms(title))
            item.price = max([float(p) for p in re.findall(r"\$(\d+\.?\d*)", price)], default=0.0)

    def _item(self, action: str, said: list[str], admissible: tuple[str, ...] | None) -> None:
        clicked = action.strip().removeprefix("click[").removesuffix("]").lower()
        self.page = "item"
        at = next(i for i, s in enumerate(said) if s.startswith("Price: "))
        if not self.asin or clicked in (a.lower() for a in self.listed):
            titled = [a for a in self.listed if a.lower() == clicked] or [
                a for a in self.listed if self.seen[a].title == said[at - 1]
            ]
            self.asin, self.chosen = (titled or ["?"])[0], {}
        item = self.seen.setdefault(self.asin, _Seen())
        item.words |= set(terms(said[at - 1]))
        item.options, name = {}, ""
        for text in said[said.index("< Prev") + 1 : at - 1]:
            if admissible is not None and f"click[{text}]" not in admissible:
                name = text
                item.options[name] = []
            elif name:
                item.options[name].append(text)
        for name, values in item.options.items():
            if clicked in values:
                self.chosen[name] = clicked

    def pick(self, item: _Seen) -> dict[str, str]:
        """Return the values that the instruction names: all their words in it, side by side where possible."""
        out = {}
        asked = terms(self.asked)
        for name, values in item.options.items():
            ranked = []
            for value in values:
                words = terms(same_units(value))
                if words and set(words) <= set(asked):
                    together = any(asked[i : i + len(words)] == words for i in range(len(asked)))
                    ranked.append((together, len(words), value))
            if ranked:
                out[name] = max(ranked, key=lambda r: r[:2])[2]
        return out

    def worth(self, asin: str) -> float:
        """Return the share of the instruction's words that a product has, as far as it was read; dear ones are worth less."""
        item = self.seen[asin]
        have = item.words | set(terms(" ".join(same_units(v) for v in self.pick(item).values())))
        share = len(self.words & have) / max(len(self.words), 1)
        return share - 0.5 * (self.ceiling is not None and item.price > self.ceiling)

    def act(self, hint: str | None = None) -> str:
        """Return the next action; a hint may send it to a subpage or to the next page of results, and no further."""
        if self.page == "search":
            self.searches += 1
            return f"search[{self.queries[min(self.searches, len(self.queries)) - 1]}]"
        if self.page == "results":
            return self._choose(hint)
        if self.page == "subpage":
            return "click[< prev]"
        item = self.seen[self.asin]
        if "features" not in item.read and self.left > 6:
            return "click[features]"
        best = self._best()
        enough = self.worth(self.asin) >= 0.999 or not self._fresh() or self.left <= 8
        if "description" not in item.read and self.left > 12 and not enough:
            return "click[description]"
        if (enough and best == self.asin) or self.left <= 4:
            return next(
                (f"click[{v}]" for n, v in self.pick(item).items() if self.chosen.get(n) != v), "click[buy now]"
            )
        return "click[< prev]"

    def _fresh(self) -> list[str]:
        return [a for a in self.listed if not self.seen[a].read]

    def _best(self) -> str:
        known = [a for a in self.listed if self.seen[a].read] or [self.asin]
        return max(known, key=self.worth)

    def _choose(self, hint: str | None) -> str:
        fresh, known = self._fresh(), [a for a in self.listed if self.seen[a].read]
        if hint == "click[next >]" and self.left > 10:
            return hint
        if not self.listed:
            return "click[back to search]"
        if fresh and self.left > 8 and not (known and self.worth(self._best()) >= 0.999):
            return f"click[{max(fresh, key=self.worth).lower()}]"
        return f"click[{max(known or fresh, key=self.worth).lower()}]"
