"""Bandits and contextual bandits, in numbers and in words."""

from .contextual_env import ContextualBanditEnv
from .env import BanditEnv

__all__ = ["BanditEnv", "ContextualBanditEnv"]
