"""Device control: an embedded phone, and a real Android in its place."""

from .core import DeviceBackend, Element, Event, Screen, Verdict
from .env import DeviceEnv

__all__ = ["DeviceBackend", "DeviceEnv", "Element", "Event", "Screen", "Verdict"]
