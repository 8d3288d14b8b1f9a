"""A weak policy that can be had in any amount: an expert with bad habits and slips, who says what else it might do."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from ..envs.core import Searcher
from ..envs.errors import at_least, share
from ..memory.core import Turn
from .core import Candidate, Decision
from .scripted import SearcherAgent


class FlawedAgent:
    """The searching expert, wrong in the same way every time, and at random now and then; it knows nothing privileged.

    π(a|s) = p_slip · uniform over the admissible + (1 − p_slip) · [p_follow on the habit where there is one, the rest on
    the expert's action]. An action is drawn from π; its candidates are that action and n − 1 more draws, each named
    once with log π. A habit is wrong at every place of its kind, so that what π does most often is no way out: the
    critic has to know better. Draws are keyed by (seed, episode, t).

    make_searcher: the expert of a goal. habit, user, p_wrong, p_follow, p_slip: see `HabitualAgent`.
    """

    name = "flawed"

    def __init__(
        self,
        make_searcher: Callable[[str], Searcher],
        habit: Callable[[int, str, Sequence[str], float], str | None],
        user: int = 0,
        p_wrong: float = 0.7,
        p_follow: float = 0.7,
        p_slip: float = 0.05,
        n: int = 8,
    ) -> None:
        share(p_wrong=p_wrong, p_follow=p_follow, p_slip=p_slip)
        at_least(1, n=n)
        self.expert, self._habit, self.user, self.n = SearcherAgent(make_searcher), habit, user, n
        self.p_wrong, self.p_follow, self.p_slip = p_wrong, p_follow, p_slip
        self._seed = 0

    def begin(self, seed: int) -> None:
        """Key the draws of a rollout."""
        self._seed = seed
        self.expert.begin(seed)

    def release(self, episode: int) -> None:
        """Forget an episode that ended."""
        self.expert.release(episode)

    def fork(self, episode: int, into: int) -> None:
        """Let the expert of a running episode go on in another one as well, from where it is."""
        self.expert.fork(episode, into)

    def act(self, turns: Sequence[Turn]) -> list[Decision]:
        """Return one drawn action a turn, with the candidates.

        Raises:
            ValueError: the world lists no admissible actions.
        """
        return [self._draw(turn, d.action) for turn, d in zip(turns, self.expert.act(turns), strict=True)]

    def _draw(self, turn: Turn, expert: str) -> Decision:
        if not turn.admissible:
            raise ValueError(f"agent {self.name!r} needs admissible actions, this world lists none")
        wrong = self._habit(self.user, turn.observation, turn.admissible, self.p_wrong)
        p = dict.fromkeys(turn.admissible, self.p_slip / len(turn.admissible))
        follow = 0.0 if wrong is None else self.p_follow
        p[expert] = p.get(expert, 0.0) + (1 - self.p_slip) * (1 - follow)
        if wrong is not None:
            p[wrong] = p.get(wrong, 0.0) + (1 - self.p_slip) * follow
        actions, weights = list(p), np.array(list(p.values()))
        rng = np.random.default_rng([self._seed, turn.episode, turn.t])
        drawn = [actions[i] for i in rng.choice(len(actions), self.n, p=weights / weights.sum())]
        some = tuple(Candidate(a, math.log(p[a])) for a in dict.fromkeys(drawn))
        return Decision(drawn[0], logprob=math.log(p[drawn[0]]), candidates=some, queries=1)
