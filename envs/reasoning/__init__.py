"""Problems with a verifier, in one turn or several."""

from .env import ReasoningEnv
from .grade import Grade
from .problems import Problem, Source
from .turns import Attempts, Retry

__all__ = ["Attempts", "Grade", "Problem", "ReasoningEnv", "Retry", "Source"]
