"""WebShop: shopping by instruction."""

from .env import WebShopEnv

__all__ = ["WebShopEnv"]
