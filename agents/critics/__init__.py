"""Critics: what an action is worth, judged on frozen features of what the agent reads."""

from __future__ import annotations

from .critic import READS, Critic, state_text
from .exact import ExactCritic
from .features import CachedFeatures, Features, HashedFeatures, ModelFeatures
from .prefix import HASHES, ExactPrefix, PrefixCritic
from .relations import RelationFeatures
from .sentences import SentenceFeatures
from .tokens import TokenCritic, vocabulary

__all__ = [
    "HASHES", "READS", "CachedFeatures", "Critic", "ExactCritic", "ExactPrefix", "Features", "HashedFeatures",
    "ModelFeatures", "PrefixCritic", "RelationFeatures", "SentenceFeatures", "TokenCritic", "state_text", "vocabulary",
]  # fmt: skip
