"""Settings as typed on a command line become values of the right type."""

from __future__ import annotations

import inspect
import json
import re
from typing import Any

_OPTIONAL = re.compile(r"(?:\w+\.)*Optional\[(.*)\]")
_JSON: dict[str, type[Any]] = {"dict": dict, "list": list, "tuple": tuple}


def kind_of(parameter: inspect.Parameter) -> Any:
    """Return a parameter's type: what it is annotated with, else that of its default."""
    if parameter.annotation is not parameter.empty:
        return parameter.annotation
    return type(parameter.default) if isinstance(parameter.default, bool | int | float) else parameter.annotation


def typed(key: str, text: str, annotation: Any) -> Any:
    """Return the value of a setting.

    Args:
        key: its name, for the error. text: what was typed. annotation: the field's type, or its source text.
    Raises:
        ValueError: the text is not of that type.
    >>> typed("leap.iterations", "3", "int")
    3
    >>> typed("leap.hint", "no", "bool")
    False
    >>> typed("env.sizes", "[3, 4]", "tuple[int, ...] | None")
    (3, 4)
    """
    kind = (annotation.__name__ if isinstance(annotation, type) else str(annotation)).replace("typing.", "")
    if inner := _OPTIONAL.fullmatch(kind):
        kind = f"{inner[1]} | None"
    kinds = [k.strip() for k in kind.split("|")]
    optional, kind = "None" in kinds, " | ".join(k for k in kinds if k != "None")
    if optional and text.lower() in ("none", "null"):
        return None
    try:
        if kind == "bool":
            return {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}[text.lower()]
        if kind == "int":
            return int(text)
        if kind == "float":
            return float(text)
        made = _JSON.get(kind.partition("[")[0].lower())
        if made is not None:
            value = json.loads(text)
            if not isinstance(value, dict if made is dict else list):
                raise ValueError
            return made(value)
    except (KeyError, ValueError):
        raise ValueError(f"{key}={text!r}: needs a {kind}") from None
    return text
