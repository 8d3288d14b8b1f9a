"""agentgym: the gym where language-model agents learn."""

from __future__ import annotations

from pathlib import Path

_root = Path(__file__).resolve().parent.parent
if not (Path(__file__).parent / "agents").is_dir() and (_root / "agents").is_dir():
    __path__.append(str(_root))  # a bare clone: the four rooms lie beside this folder
