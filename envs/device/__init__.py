"""Device control: an embedded phone, and a real Android in its place."""

from .behaviour import Habitual
from .core import DeviceBackend, Element, Event, Screen, Verdict
from .env import DeviceEnv

__all__ = ["DeviceBackend", "DeviceEnv", "Element", "Event", "Habitual", "Screen", "Verdict"]
