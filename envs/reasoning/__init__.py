"""Problems with a verifier, in one turn or several."""

from .env import ReasoningEnv
from .grade import Grade
from .problems import Problem, Source
from .turns import Retry

__all__ = ["Grade", "Problem", "ReasoningEnv", "Retry", "Source"]
