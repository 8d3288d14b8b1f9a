"""Settings as typed on a command line become values of the right type."""

from __future__ import annotations

import inspect
import json
from typing import Any


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
    """
    kind = annotation if isinstance(annotation, str) else getattr(annotation, "__name__", str(annotation))
    optional = "None" in kind
    kind = kind.replace("| None", "").replace("Optional", "").strip(" []")
    if optional and text.lower() in ("none", "null"):
        return None
    try:
        if kind == "bool":
            return {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}[text.lower()]
        if kind == "int":
            return int(text)
        if kind == "float":
            return float(text)
        if kind.startswith(("dict", "list", "tuple")):
            return json.loads(text)
    except (KeyError, ValueError):
        raise ValueError(f"{key}={text!r}: needs a {kind}") from None
    return text
