"""ALFWorld: household tasks in text."""

from .env import AlfworldEnv

__all__ = ["AlfworldEnv"]
