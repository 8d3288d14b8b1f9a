"""Critics: what an action is worth, judged on frozen features of what the agent reads."""

from __future__ import annotations

from .critic import READS, Critic, state_text
from .features import CachedFeatures, Features, HashedFeatures, ModelFeatures
from .prefix import ExactPrefix, PrefixCritic
from .sentences import SentenceFeatures

__all__ = [
    "READS", "CachedFeatures", "Critic", "ExactPrefix", "Features", "HashedFeatures", "ModelFeatures", "PrefixCritic",
    "SentenceFeatures", "state_text",
]  # fmt: skip
