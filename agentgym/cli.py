"""The command line: the same names as in Python; errors are one line, and JSON is alone on stdout."""

from __future__ import annotations

import errno
import os
import sys

import typer

from .commands.terminal import app

os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")


def main() -> None:
    """Run a command; what a user can mend is one line on stderr and status 2."""
    debug = "--debug" in sys.argv
    if debug:
        sys.argv.remove("--debug")
    try:
        app()
    except (LookupError, ValueError, OSError, ImportError, FloatingPointError, RuntimeError) as error:
        if debug:
            raise
        what = str(error)
        if isinstance(error, KeyError | IndexError):  # of somebody's code: the text alone says nothing
            what = f"{type(error).__name__}: {what}; --debug shows where"
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            what = f"the disk is full while writing {error.filename or 'a file'}; free some space, then resume"
        typer.echo(f"agentgym: {what}", err=True)
        raise SystemExit(2) from None


if __name__ == "__main__":
    main()
