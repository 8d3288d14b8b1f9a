"""Bash: commands on a tree of files, inside a sandbox."""

from .env import BashEnv

__all__ = ["BashEnv"]
