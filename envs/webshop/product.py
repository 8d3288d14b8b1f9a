"""What is for sale: a product as the shop shows it, made from a record of the official files."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Record = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Product:
    """One product. prices: one value, or the two ends of a range. options: values by the option's name, in page order."""

    asin: str
    title: str
    description: str
    bullets: tuple[str, ...]
    prices: tuple[float, ...]
    options: Mapping[str, tuple[str, ...]]
    attributes: tuple[str, ...]
    query: str
    category: str
    path: str

    @property
    def price_tag(self) -> str:
        """The price as the pages write it."""
        return " to ".join(f"${p}" for p in self.prices)

    @property
    def document(self) -> str:
        """What search sees: the title, the description, the first bullet and the options, and nothing else."""
        listed = ", and ".join(f"{name}: {', '.join(values)}" for name, values in self.options.items())
        first = self.bullets[0] if self.bullets else ""
        return f"{self.title} {self.description} {first} {listed}".lower()

    @property
    def text(self) -> str:
        """What a buyer can read of it, lower-case; attributes that are not listed are looked for here."""
        return "\n".join((self.title, " ".join(self.bullets), self.description)).lower()


def read_prices(tag: str | None) -> tuple[float, ...]:
    """Return the one or two prices of a tag; a product without a price costs 100.

    >>> read_prices("$1,299.5 - $1,400"), read_prices("")
    ((1299.5, 1400.0), (100.0,))
    """
    found = [re.sub(r"[^\d.]", "", part) for part in (tag or "").split("$")[1:]]
    return tuple(float(f) for f in found[:2]) or (100.0,)


def read_options(listed: Mapping[str, Any] | str | None) -> dict[str, tuple[str, ...]]:
    """Return the options as the pages write them: lower-case, with a slash set off by bars.

    >>> read_options({"Size": [{"value": "S/M "}], "Color": None})
    {'size': ('s | m',)}
    """
    if not isinstance(listed, Mapping):
        return {}
    return {
        name.lower(): tuple(str(v["value"]).strip().replace("/", " | ").lower() for v in values)
        for name, values in listed.items()
        if values is not None
    }


def read_product(record: Record, attributes: Sequence[str]) -> Product:
    """Return the product of one record of an `items_shuffle` file."""
    bullets = record["small_description"]
    return Product(
        asin=record["asin"],
        title=record["name"],
        description=record["full_description"] or "",
        bullets=tuple(bullets) if isinstance(bullets, list) else (bullets,) if bullets else (),
        prices=read_prices(record.get("pricing")),
        options=read_options(record.get("customization_options")),
        attributes=tuple(attributes),
        query=record["query"].lower().strip(),
        category=record["category"],
        path=record["product_category"],
    )


def read_products(records: Iterable[Record], listed: Mapping[str, Record]) -> dict[str, Product]:
    """Return the products by id, in file order, with the attributes that an `items_ins` file lists for them.

    Source: WebShop's loader: an id of more than ten letters, `nan`, or met before is left out; a product that the
    attribute file does not know carries the attribute DUMMY_ATTR.
    """
    out: dict[str, Product] = {}
    for record in records:
        asin = record["asin"]
        if asin != "nan" and len(asin) <= 10 and asin not in out:
            out[asin] = read_product(record, listed.get(asin, {}).get("attributes", ["DUMMY_ATTR"]))
    return out
