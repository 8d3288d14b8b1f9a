"""Critics: what an action is worth, judged on frozen features of what the agent reads."""

from __future__ import annotations

from .critic import READS, Critic, state_text
from .features import CachedFeatures, Features, HashedFeatures, ModelFeatures

__all__ = ["READS", "CachedFeatures", "Critic", "Features", "HashedFeatures", "ModelFeatures", "state_text"]
