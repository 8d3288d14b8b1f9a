"""SQL: questions about a database, answered by queries."""

from .env import SqlEnv

__all__ = ["SqlEnv"]
