"""Q and V as small heads on frozen features."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ...envs.errors import at_least, choice
from ...memory.core import Turn
from .features import Features

READS = ("history", "screen", "told")


def state_text(turn: Turn, reads: str = "history") -> str:
    """Return what a critic reads of a turn.

    history: the goal and all that the agent reads. screen: the last action, the last observation and the goal, as the
    critic of Digi-Q's release does (arXiv 2502.15760); shorter, and the same under every memory. told: the goal in the
    first line, then all that the agent reads.
    """
    if reads == "told":
        return f"{turn.goal}\n{turn.text}"
    if reads == "history":
        return turn.text if turn.goal in turn.text else f"{turn.goal}\n{turn.text}"
    before = "" if turn.action is None else f"> {turn.action}\n"
    return f"{before}{turn.observation}\n{turn.goal}"


class Heads(nn.Module):
    """K independent two-layer networks as one: (n, size) features to (K, n) values, or to (K, n, out).

    start: scale of the last layer's weights at the start. At 1 the values of what no data bears on are as random as large
    ones are; near 0 they stay near 0.
    """

    def __init__(
        self, size: int, width: int, count: int, generator: torch.Generator, out: int = 1, start: float = 1.0
    ) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(size, elementwise_affine=False)

        def weight(*shape: int) -> nn.Parameter:
            return nn.Parameter(torch.randn(*shape, generator=generator) / shape[-2] ** 0.5)

        self.w1, self.b1 = weight(count, size, width), nn.Parameter(torch.zeros(count, 1, width))
        self.w2, self.b2 = weight(count, width, out), nn.Parameter(torch.zeros(count, 1, out))
        self.w2.data *= start

    def forward(self, x: Tensor) -> Tensor:
        """Return the values, shape (K, n), or (K, n, out) where out > 1."""
        hidden = torch.relu(self.norm(x.float())[None] @ self.w1 + self.b1)
        return (hidden @ self.w2 + self.b2).squeeze(-1)


class Critic:
    """Step-level Q(s, a) and V(s); of the heads the least counts, since the greatest is the luckiest.

    Source: Digi-Q, arXiv 2502.15760, Sec. 4 (frozen features, double heads); its release takes the greatest head, which
    over-estimates. features: see `features.py`. width: of the hidden layer. heads: how many of each. seed: of the weights.
    reads: what it reads of a turn, see `state_text`. start: of the heads, see `Heads`.
    """

    def __init__(
        self, features: Features, width: int = 256, heads: int = 2, seed: int = 0, reads: str = "history",
        start: float = 1.0,
    ) -> None:  # fmt: skip
        choice("reads", reads, READS)
        at_least(1, width=width, heads=heads)
        self.features, self.width, self.heads, self.reads = features, width, heads, reads
        generator = torch.Generator().manual_seed(seed)
        self.q_heads = Heads(features.size, width, heads, generator, start=start)
        self.v_heads = Heads(features.size, width, heads, generator, start=start)

    def text(self, turn: Turn) -> str:
        """Return the state that a turn is to this critic."""
        return state_text(turn, self.reads)

    @torch.inference_mode()
    def q(self, states: Sequence[str], actions: Sequence[str]) -> NDArray[np.float32]:
        """Return Q(s, a), shape (n,)."""
        return self._least(self.q_heads, self.features(states, actions))

    @torch.inference_mode()
    def v(self, states: Sequence[str]) -> NDArray[np.float32]:
        """Return V(s), shape (n,)."""
        return self._least(self.v_heads, self.features(states))

    def advantage(self, states: Sequence[str], actions: Sequence[str]) -> NDArray[np.float32]:
        """Return A(s, a) = Q(s, a) − V(s), shape (n,)."""
        return self.q(states, actions) - self.v(states)

    def rank(self, state: str, actions: Sequence[str]) -> NDArray[np.float32]:
        """Return Q of every candidate in one state, shape (n,)."""
        return self.q([state] * len(actions), actions)

    @staticmethod
    def _least(heads: Heads, rows: NDArray[np.float16]) -> NDArray[np.float32]:
        values: NDArray[np.float32] = heads(torch.from_numpy(np.ascontiguousarray(rows))).amin(0).numpy()
        return values

    def save(self, folder: Path) -> None:
        """Write the heads as safetensors, with the name of the features that they read."""
        from safetensors.torch import save_file

        folder.mkdir(parents=True, exist_ok=True)
        tensors = {f"{k}.{n}": t for k, h in self._parts() for n, t in h.state_dict().items()}
        save_file(tensors, folder / "critic.safetensors")
        row = {
            "features": self.features.name, "options": self.features.options, "width": self.width,
            "heads": self.heads, "reads": self.reads,
        }  # fmt: skip
        (folder / "critic.json").write_text(json.dumps(row) + "\n")

    @classmethod
    def load(cls, folder: Path, features: Features) -> Critic:
        """Read what `save` wrote.

        Raises:
            ValueError: the heads were trained on other features.
        """
        from safetensors.torch import load_file

        row = json.loads((folder / "critic.json").read_text())
        if row["features"] != features.name:
            raise ValueError(f"{folder}: a critic on features {row['features']!r}, not on {features.name!r}")
        critic = cls(features, row["width"], row["heads"], reads=row["reads"])
        tensors = load_file(folder / "critic.safetensors")
        for k, h in critic._parts():
            h.load_state_dict({n.removeprefix(f"{k}."): t for n, t in tensors.items() if n.startswith(f"{k}.")})
        return critic

    def _parts(self) -> tuple[tuple[str, Heads], tuple[str, Heads]]:
        return (("q", self.q_heads), ("v", self.v_heads))
