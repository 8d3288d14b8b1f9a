"""Bandits and contextual bandits, in numbers and in words."""

from .env import BanditEnv

__all__ = ["BanditEnv"]
