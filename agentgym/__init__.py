"""agentgym: the gym where language-model agents learn."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

__version__ = "0.1.0"

_root = Path(__file__).resolve().parent.parent
if not (Path(__file__).parent / "agents").is_dir() and (_root / "agents").is_dir():
    __path__.append(str(_root))  # a bare clone: the four rooms lie beside this folder

_WHERE = {
    "make": "envs", "register": "envs", "TextEnv": "envs", "Info": "envs", "Privileged": "envs",
    "train": "training.train", "evaluate": "training.play",
}  # fmt: skip
__all__ = ["Info", "Privileged", "TextEnv", "__version__", "evaluate", "make", "register", "train"]


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module 'agentgym' has no attribute {name!r}")
    return getattr(import_module(f".{_WHERE[name]}", __name__), name)
