"""What all commands share: the app that they belong to, settings, and output; JSON is alone on stdout."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Annotated, Any

import typer

app = typer.Typer(
    name="agentgym", help="The gym where language-model agents learn.", no_args_is_help=True, add_completion=False,
    pretty_exceptions_enable=False,
)  # fmt: skip
Set = Annotated[list[str] | None, typer.Option("--set", help="a setting, NAME=VALUE; may be repeated")]
Json = Annotated[bool, typer.Option("--json", help="one JSON object on stdout")]


def pairs(items: list[str] | None) -> dict[str, str]:
    """Return settings by name."""
    out = {}
    for item in items or []:
        name, sign, value = item.partition("=")
        if not sign or not name:
            raise ValueError(f"--set {item!r}: write it as NAME=VALUE, for example leap.iterations=3")
        out[name] = value
    return out


def need_port(port: int) -> None:
    """Raise where a number cannot be a port's."""
    if not 0 <= port <= 65535:
        raise ValueError(f"--port {port}: give a number from 0 to 65535; 0 takes any that is free")


def given(context: typer.Context, option: str) -> bool:
    """Whether the user wrote an option down."""
    source = context.get_parameter_source(option)
    return source is not None and source.name == "COMMANDLINE"


def emit(row: Any, default: Callable[[Any], Any] | None = None) -> None:
    """Print the one JSON object of `--json`; `default` says what JSON has no form for."""
    typer.echo(json.dumps(row, default=default))


def say(text: str) -> None:
    """Tell the user something that is no result."""
    typer.echo(text, err=True)


def table(title: str, header: list[str], rows: list[list[str]]) -> None:
    """Print a table."""
    from rich.console import Console
    from rich.table import Table

    grid = Table(title=title, title_justify="left")
    for i, name in enumerate(header):
        grid.add_column(name, justify="left" if i == 0 else "right")
    for row in rows:
        grid.add_row(*row)
    Console().print(grid)


def number(e: dict[str, Any]) -> str:
    """Return a mean with its interval."""
    low, high = e["ci95"]
    return f"{e['mean']:.2f} [{low:.2f}, {high:.2f}]"


def share(e: dict[str, Any]) -> str:
    """Return a mean of [0, 1] with its interval, in percent."""
    low, high = e["ci95"]
    return f"{e['mean']:.1%} [{low:.1%}, {high:.1%}]"
