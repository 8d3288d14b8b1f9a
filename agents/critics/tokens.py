"""Token-level Q and V: what the next word of an action is worth, once some of it has been said."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...memory.core import Turn
from .critic import READS, Heads, state_text
from .features import Features

END, UNKNOWN = 0, 1


def vocabulary(actions: Sequence[str]) -> tuple[str, ...]:
    """Return the words of some actions in order, without the marks for an action's end and for words not among them.

    >>> vocabulary(["go left", "go right"])
    ('go', 'left', 'right')
    """
    return tuple(sorted({w for a in actions for w in a.split(" ")}))


class TokenCritic:
    """Q(h, token) for every token at once and V(h), h a state and the words of an action said so far.

    An action is its words and an end mark. Reward and discount fall on the end mark only, so that values are of whole
    actions, as a step-level critic's are: Q(s, a) is Q of the end mark behind the whole action, V(s) is V of the empty
    beginning, and A(s, a) = Q(s, a) − V(s), which is the sum of Q(hᵢ, wᵢ) − V(hᵢ) wherever Q(hᵢ, wᵢ) = V(hᵢ₊₁). Of the
    heads the least counts.
    Source: ILQL, arXiv 2206.11871, Sec. 4; there the heads sit on a language model that is fine-tuned, the
    tokens are the model's, and every token is discounted.

    features: of a state and the beginning of an action, see `features.py`. words: the vocabulary; others share one slot.
    width, heads, seed, reads: see `Critic`.
    """

    def __init__(
        self, features: Features, words: Sequence[str], width: int = 256, heads: int = 2, seed: int = 0,
        reads: str = "history",
    ) -> None:  # fmt: skip
        if reads not in READS:
            raise ValueError(f"reads={reads!r}: choose one of {', '.join(READS)}")
        for name, value in (("width", width), ("heads", heads), ("words", len(words))):
            if value < 1:
                raise ValueError(f"{name}={value}: needs at least 1")
        self.features, self.reads, self.words = features, reads, tuple(words)
        self._ids = {w: i for i, w in enumerate(self.words, UNKNOWN + 1)}
        self.size = len(self.words) + UNKNOWN + 1
        generator = torch.Generator().manual_seed(seed)
        self.q_heads = Heads(features.size, width, heads, generator, self.size)
        self.v_heads = Heads(features.size, width, heads, generator)

    def text(self, turn: Turn) -> str:
        """Return the state that a turn is to this critic."""
        return state_text(turn, self.reads)

    def tokens(self, action: str) -> list[int]:
        """Return an action's words as ids, the end mark last."""
        return [*(self._ids.get(w, UNKNOWN) for w in action.split(" ")), END]

    @staticmethod
    def beginnings(action: str) -> list[str]:
        """Return what had been said before each token.

        >>> TokenCritic.beginnings("go left")
        ['', 'go', 'go left']
        """
        words = action.split(" ")
        return [" ".join(words[:i]) for i in range(len(words) + 1)]

    @torch.inference_mode()
    def q(self, states: Sequence[str], actions: Sequence[str]) -> NDArray[np.float32]:
        """Return Q(s, a), shape (n,)."""
        values: NDArray[np.float32] = self.q_heads(self.rows(states, actions))[..., END].amin(0).numpy()
        return values

    @torch.inference_mode()
    def v(self, states: Sequence[str]) -> NDArray[np.float32]:
        """Return V(s), shape (n,)."""
        values: NDArray[np.float32] = self.v_heads(self.rows(states, [""] * len(states))).amin(0).numpy()
        return values

    def advantage(self, states: Sequence[str], actions: Sequence[str]) -> NDArray[np.float32]:
        """Return A(s, a) = Q(s, a) − V(s), shape (n,)."""
        return self.q(states, actions) - self.v(states)

    def rank(self, state: str, actions: Sequence[str]) -> NDArray[np.float32]:
        """Return Q of every candidate in one state, shape (n,)."""
        return self.q([state] * len(actions), actions)

    @torch.inference_mode()
    def next(self, state: str, said: str = "") -> NDArray[np.float32]:
        """Return Q(h, token) − V(h) of every token, shape (size,): what a decoder adds, times β, to its log-probabilities.

        Source: ILQL, Sec. 4.3: π(token|h) ∝ π_β(token|h) exp(β (Q − V)).
        """
        rows = self.rows([state], [said])
        values: NDArray[np.float32] = (self.q_heads(rows).amin(0) - self.v_heads(rows).amin(0)[:, None])[0].numpy()
        return values

    def rows(self, states: Sequence[str], said: Sequence[str]) -> Tensor:
        """Return the features of states with beginnings of actions, of the states alone where nothing is said, (n, d)."""
        out = np.empty((len(states), self.features.size), dtype=np.float16)
        for empty in (True, False):
            own = [i for i, b in enumerate(said) if (b == "") is empty]
            if own:
                some = [states[i] for i in own]
                out[own] = self.features(some) if empty else self.features(some, [said[i] for i in own])
        return torch.from_numpy(out)
