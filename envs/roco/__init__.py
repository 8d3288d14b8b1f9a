"""RoCo: robot arms that share a table, without the physics."""

from .env import SandwichEnv, SortEnv, SweepEnv

__all__ = ["SandwichEnv", "SortEnv", "SweepEnv"]
