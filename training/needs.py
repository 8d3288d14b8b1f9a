"""What a method needs of a world, what a world offers, and so which method runs where."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..envs import TextEnv, make, options, spec
from ..envs.reasoning import Attempts
from ..envs.team import TeamEnv
from .methods.core import Particular

NEEDS = {
    "oracle": "a privileged state with the right action, from which demonstrations come",
    "searcher": "a searching expert, who knows no more than a player",
    "actions": "listed actions, from which candidates are drawn",
    "reached": "words for the goals that an episode reaches beside its own",
    "attempts": "a verifier of several attempts at one question",
}

WHY = (
    {"alone": "one agent learns, here several act", "team": "a team learns, here one agent acts"}
    | {need: f"no {text.removeprefix('a ')}" for need, text in NEEDS.items()}
    | {
        "check": "no states with names (`gigpo` and `dpo` take `anchor=observation` there), no bandit algorithm (`evolve`)"
    }
)


def offers(world: TextEnv | TeamEnv) -> set[str]:
    """Return which of NEEDS a world has at its first train task; of a team's, whether it has any oracle."""
    if isinstance(world, TeamEnv):
        return {"oracle", "actions"} if type(world).privileged is not TeamEnv.privileged else {"actions"}
    alone: TextEnv = world
    _, info = world.reset(options={"task": world.tasks("train")[0]})
    out = {"actions"} if info.get("admissible") is not None else set()
    out |= {"attempts"} if isinstance(world, Attempts) and world.turns > 1 else set()
    asks: dict[str, Callable[[], object]] = {
        "oracle": alone.privileged,
        "searcher": alone.searcher,
        "reached": alone.reached,
    }
    for name, ask in asks.items():
        try:
            ask()
        except LookupError as error:
            if isinstance(error, KeyError | IndexError):
                raise  # a fault, not a world that does not offer something
        else:
            out.add(name)
    return out


def require(method: str, needs: Sequence[str], env: str, offered: set[str]) -> None:
    """Raise ValueError where a world lacks what a method needs."""
    for need in needs:
        if need not in offered:
            raise ValueError(
                f"{method} needs {NEEDS[need]}; env {env!r} has none: docs/methods.md tells what runs where"
            )


def lacks(env: str, method: type[Any]) -> str | None:
    """Return the key in WHY of what keeps a method from a world as both are by default, None where it runs.

    Raises:
        Unavailable, ImportError: the world does not run here.
    """
    return lack(env, [method])[0]


def lack(env: str, methods: Sequence[type[Any]]) -> list[str | None]:
    """Return what `lacks` does for each of some methods; the world is opened once for all that want it alike."""
    opened: dict[str, tuple[TextEnv | TeamEnv, set[str]]] = {}
    try:
        return [_lacks(env, m, opened) for m in methods]
    finally:
        for world, _ in opened.values():
            world.close()


def _lacks(env: str, method: type[Any], opened: dict[str, tuple[TextEnv | TeamEnv, set[str]]]) -> str | None:
    several, team = spec(env).agents > 1, getattr(method, "team", "no")
    if several and team == "no":
        return "alone"
    if not several and team == "only":
        return "team"
    protocol = {k: v for k, v in getattr(method, "protocol", {}).items() if k in options(env)}
    if (key := repr(protocol)) not in opened:
        made = make(env, **protocol)
        opened[key] = made, offers(made)
    (world, offered), judge = opened[key], method()
    lacking = next((n for n in judge.needs if n not in offered), None)
    if lacking is None and isinstance(judge, Particular):
        try:
            judge.check(world)
        except ValueError:
            return "check"
    return lacking


def table(worlds: Sequence[str], methods: dict[str, type[Any]]) -> str:
    """Return Markdown: a row for every world, a column for every method; a letter stands for why not."""
    lines = [f"| world | {' | '.join(f'`{m}`' for m in methods)} |", f"|---{'|---' * len(methods)}|"]
    missing = {world: lack(world, list(methods.values())) for world in worlds}
    letters: dict[str | None, str] = {None: "yes", **dict(zip(WHY, "abcdefgh", strict=True))}
    for world, keys in missing.items():
        lines.append(f"| `{world}` | {' | '.join(letters[key] for key in keys)} |")
    return "\n".join([*lines, "", *(f"- {letters[key]}: {why}" for key, why in WHY.items())])
