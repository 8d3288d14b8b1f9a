"""Which worlds there are, and how a name becomes one."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar, overload

from .core import SPLITS, TextEnv
from .errors import unknown

if TYPE_CHECKING:  # PettingZoo is imported when a world of several agents is
    from .overcooked import OvercookedEnv
    from .roco.env import RocoEnv
    from .team import TeamEnv


@dataclass(frozen=True, slots=True)
class Spec:
    """A registered world: where its class is, one line on its rules, how many act in it, and the extra that it needs."""

    id: str
    entry: str | type[TextEnv] | type[TeamEnv]
    summary: str
    agents: int = 1
    extra: str | None = None

    def load(self) -> type[TextEnv] | type[TeamEnv]:
        """Import the class."""
        if not isinstance(self.entry, str):
            return self.entry
        module, name = self.entry.split(":")
        loaded: type[TextEnv] | type[TeamEnv] = getattr(importlib.import_module(module, __package__), name)
        return loaded


_SPECS: dict[str, Spec] = {
    "alfworld": Spec("alfworld", ".alfworld:AlfworldEnv", "household tasks in text: find, clean, heat, cool, place"),
    "bandit": Spec("bandit", ".bandits:BanditEnv", "bandits in words: Bernoulli and Gaussian, EVOLvE's suites, DPT"),
    "contextual-bandit": Spec("contextual-bandit", ".bandits:ContextualBanditEnv", "a film for every user, by trying"),
    "reasoning": Spec("reasoning", ".reasoning:ReasoningEnv", "problems with a verifier and feedback, in k attempts"),
    "webshop": Spec("webshop", ".webshop:WebShopEnv", "shopping by instruction: search, compare, choose options, buy"),
    "device": Spec("device", ".device:DeviceEnv", "a phone with thirteen apps: settings, forms, search, questions"),
    "miniwob": Spec(
        "miniwob",
        ".device.miniwob:MiniWobEnv",
        "MiniWoB++ in a real Chromium: small tasks on web pages",
        extra="browser",
    ),
    "overcooked": Spec("overcooked", ".overcooked:OvercookedEnv", "cooks share a kitchen and deliver soups", 2),
    "roco-sweep": Spec("roco-sweep", ".roco:SweepEnv", "a dustpan and a broom clear a floor together", 2),
    "roco-sandwich": Spec("roco-sandwich", ".roco:SandwichEnv", "two arms stack a sandwich, one PUT at a time", 2),
    "roco-sort": Spec("roco-sort", ".roco:SortEnv", "three arms hand cubes along to their panels", 3),
    "bash": Spec(
        "bash", ".bash:BashEnv", "files found, read and changed by shell commands in a sandbox, after InterCode"
    ),
    "sql": Spec("sql", ".sql:SqlEnv", "questions answered by queries on read-only SQLite databases, after InterCode"),
    "textworld": Spec("textworld", ".textworld:TextworldEnv", "generated quests: find, carry, unlock, put"),
    "babyai": Spec(
        "babyai", ".babyai:BabyaiEnv", "grid rooms in sentences: go to, pick up, open, put next", extra="babyai"
    ),
    "nethack": Spec("nethack", ".nethack:NethackEnv", "the dungeon on a terminal's screen; needs nle"),
}
_Env = TypeVar("_Env", bound="type[TextEnv] | type[TeamEnv]")


@overload
def register(id: str, entry: str, *, summary: str = ..., agents: int = ..., extra: str | None = ...) -> None: ...
@overload
def register(
    id: str, entry: None = ..., *, summary: str = ..., agents: int = ..., extra: str | None = ...
) -> Callable[[_Env], _Env]: ...
def register(
    id: str, entry: str | None = None, *, summary: str = "", agents: int = 1, extra: str | None = None
) -> Callable[[_Env], _Env] | None:
    """Make an environment known by `id`: from `entry`, "module:Class", imported when first made; else as a decorator."""
    if entry is not None:
        if entry.count(":") != 1:
            raise ValueError(f"entry={entry!r}: write it as 'module:Class'")
        _SPECS[id] = Spec(id, entry, summary or id, agents, extra)
        return None

    def keep(cls: _Env) -> _Env:
        _SPECS[id] = Spec(id, cls, summary or _first_line(cls, id), agents, extra)
        return cls

    return keep


def _team(cls: type) -> int:
    return int(getattr(cls, "team", 1))


def _first_line(cls: type, id: str) -> str:
    return (inspect.getdoc(cls) or id).split("\n")[0]


def _entry_points() -> dict[str, metadata.EntryPoint]:
    return {e.name: e for e in metadata.entry_points(group="agentgym.envs")}


def spec(id: str) -> Spec:
    """Return the spec of a registered id, of an entry point in the group `agentgym.envs`, or of `file.py:Class`.

    Raises:
        LookupError: nothing answers to the name; names the nearest.
    """
    if id in _SPECS:
        return _SPECS[id]
    if ".py:" in id:
        return _from_file(id)
    installed = _entry_points()
    if id in installed:
        cls = installed[id].load()
        return Spec(id, cls, _first_line(cls, id), _team(cls))
    raise unknown("env", id, {*_SPECS, *installed})


@contextmanager
def importing_from(folder: Path) -> Iterator[None]:
    """Let modules of a folder be imported, before all others, as Python does for the script that it runs."""
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        if str(folder) in sys.path:  # what is imported may have changed the path itself
            sys.path.remove(str(folder))


def _from_file(id: str) -> Spec:
    file, _, name = id.rpartition(":")
    path = Path(file).resolve()
    if not path.is_file():
        raise FileNotFoundError(f"env {id!r}: there is no file {path}")
    module_name = f"agentgym_user_{path.stem}"
    module = sys.modules.get(module_name)
    if module is None or getattr(module, "__file__", None) != str(path):
        loader = importlib.util.spec_from_file_location(module_name, path)
        assert loader is not None and loader.loader is not None
        module = importlib.util.module_from_spec(loader)
        sys.modules[module_name] = module
        try:
            with importing_from(path.parent):
                loader.loader.exec_module(module)
        except BaseException as error:
            del sys.modules[module_name]  # half of a module is none: what is mended is read anew
            if isinstance(error, SyntaxError):
                raise ImportError(f"env {id!r}: {error.filename}, line {error.lineno}: {error.msg}") from error
            raise
    classes = [n for n, v in vars(module).items() if inspect.isclass(v) and _is_world(v)]
    if not classes:
        raise LookupError(
            f"{path.name} has no world: subclass agentgym.TextEnv, or wrap another library's by agentgym.envs.adapters "
            "in a function that you register"
        )
    if name not in classes:
        raise unknown(f"class in {path.name}", name, classes)
    cls = getattr(module, name)
    return Spec(id, cls, _first_line(cls, name), _team(cls))


def _is_world(cls: type) -> bool:
    """Whether a class is a world: below TextEnv, or below TeamEnv, whose name alone is asked for to keep it unimported."""
    return any(b is TextEnv or b.__name__ == "TeamEnv" for b in cls.__mro__[1:])


def options(id: str) -> dict[str, inspect.Parameter]:
    """Return the keyword arguments of an environment; what it hands on as **kwargs are those of its base class."""
    out: dict[str, inspect.Parameter] = {}
    for cls in spec(id).load().__mro__:
        if "__init__" not in vars(cls):
            continue
        own = inspect.signature(vars(cls)["__init__"]).parameters
        given = {"self", "agents"} if cls.__name__ == "TeamEnv" else {"self"}  # a team's class names its agents
        out |= {
            n: p
            for n, p in own.items()
            if n not in given | out.keys() and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
        }
        if not any(p.kind == p.VAR_KEYWORD for p in own.values()):
            break
    return out


@overload
def make(id: Literal["overcooked"], **kwargs: Any) -> OvercookedEnv: ...
@overload
def make(id: Literal["roco-sweep", "roco-sandwich", "roco-sort"], **kwargs: Any) -> RocoEnv: ...
@overload
def make(id: str, **kwargs: Any) -> TextEnv: ...
def make(id: str, **kwargs: Any) -> TextEnv | TeamEnv:
    """Return an environment by name; one of several agents is a TeamEnv, which PettingZoo knows as a ParallelEnv.

    Raises:
        LookupError: the name or a keyword is unknown; names the nearest legal one.
    """
    legal = options(id)
    for key in kwargs:
        if key not in legal:
            raise unknown(f"option of env {id!r},", key, legal)
    return spec(id).load()(**kwargs)


def make_single(id: str, **kwargs: Any) -> TextEnv:
    """Return an environment of one agent by name.

    Raises:
        LookupError: as `make`; or several agents act in it.
    """
    env: TextEnv | TeamEnv = make(id, **kwargs)
    if isinstance(env, TextEnv):
        return env
    raise LookupError(
        f"env {id!r}: {len(env.possible_agents)} agents act in it, and this is for one; "
        f"play it with: agentgym eval --env {id} --team sequential"
    )


def make_team(id: str, **kwargs: Any) -> TeamEnv:
    """Return an environment of several agents by name.

    Raises:
        LookupError: as `make`; or one agent acts in it.
    """
    env: TextEnv | TeamEnv = make(id, **kwargs)
    if isinstance(env, TextEnv):
        raise LookupError(f"env {id!r}: one agent acts in it, and this is for several: choose {', '.join(teams())}")
    return env


def teams() -> list[str]:
    """Return the ids of the worlds in which several agents act."""
    return sorted(k for k, s in _SPECS.items() if s.agents > 1)


def listing() -> list[dict[str, Any]]:
    """Return a row for every registered world: id, summary, agents, split sizes, extra, whether it runs here or why not."""
    rows = []
    for name in sorted({*_SPECS, *_entry_points()}):
        row: dict[str, Any] = {"id": name, "summary": name, "agents": 1, "extra": None, "reason": ""}
        try:
            one = spec(name)
            row |= {"summary": one.summary, "agents": one.agents, "extra": one.extra}
            env = make(name)
            row |= {"splits": {s: len(env.tasks(s)) for s in SPLITS}, "available": True}
        except Exception as error:  # whatever keeps one from starting here, the others are listed
            row |= {"splits": {}, "available": False, "reason": f"{error}" or type(error).__name__}
        rows.append(row)
    return rows
