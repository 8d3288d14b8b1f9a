"""Overcooked: cooks who share a kitchen."""

from .env import OvercookedEnv

__all__ = ["OvercookedEnv"]
