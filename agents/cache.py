"""Keys and values of many episodes at once, each row as long as its own text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedConfig
from transformers.cache_utils import Cache


class SlotCache(Cache):  # type: ignore[misc]
    """A key-value cache of shape (slots, heads, width, head size) a layer, with a row for every running episode.

    Rows advance independently: no padding is stored, a row can be cut back to any prefix, and a freed row is
    taken over without copying. `plan` says which rows and columns the next forward pass writes.
    """

    def __init__(self, config: PreTrainedConfig, *, dtype: torch.dtype, device: torch.device) -> None:
        super().__init__(layers=[])
        text = config.get_text_config()
        self._layers = int(text.num_hidden_layers)
        self._heads = int(getattr(text, "num_key_value_heads", None) or text.num_attention_heads)
        self._size = int(getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads)
        self._dtype, self._device = dtype, device
        self._keys = [self._empty(0, 0) for _ in range(self._layers)]
        self._values = [self._empty(0, 0) for _ in range(self._layers)]
        self.slots = self.width = 0
        self._rows = self._cols = torch.empty(0, dtype=torch.long)
        self._slots: list[int] = []
        self._in_a_row = False
        self._reach = 0

    def _empty(self, slots: int, width: int) -> Tensor:
        return torch.zeros(slots, self._heads, width, self._size, dtype=self._dtype, device=self._device)

    def reserve(self, slots: int, width: int) -> None:
        """Make room for at least this many rows and columns; contents stay.

        Rows that come one by one get room for as many again, else every one of them would copy all before it.
        """
        if slots <= self.slots and width <= self.width:
            return
        slots = self.slots if slots <= self.slots else max(slots, 2 * self.slots)
        width = max(width, self.width)
        for store in (self._keys, self._values):
            for i, old in enumerate(store):
                new = self._empty(slots, width)
                new[: self.slots, :, : self.width] = old
                store[i] = new
        self.slots, self.width = slots, width

    def copy(self, source: int, targets: Sequence[int]) -> None:
        """Give some rows all that lies in another."""
        self.reserve(max(targets) + 1, self.width)
        for layer in (*self._keys, *self._values):
            layer[list(targets)] = layer[source].clone()

    def plan(self, rows: Sequence[int], starts: Sequence[int], length: int) -> tuple[Tensor, Tensor]:
        """Say what the next pass writes: `length` columns from `starts[i]` in row `rows[i]`.

        Returns:
            position_ids, shape (B, length), and the attention mask, shape (B, 1, length, reach), True where allowed.
        """
        self._reach = max(starts) + length
        if self._reach > self.width or max(rows) >= self.slots:
            self.reserve(max(rows) + 1, -(-self._reach // 256) * 256)
        self._slots = list(rows)
        self._rows = torch.tensor(rows, device=self._device)
        self._cols = torch.tensor(starts, device=self._device)[:, None] + torch.arange(length, device=self._device)
        self._in_a_row = list(rows) == list(range(rows[0], rows[0] + len(rows)))
        mask = torch.arange(self._reach, device=self._device)[None, None, :] <= self._cols[:, :, None]
        return self._cols.clone(), mask[:, None]

    def update(
        self, key_states: Tensor, value_states: Tensor, layer_idx: int, *_: Any, **__: Any
    ) -> tuple[Tensor, Tensor]:
        """Write what a layer computed and return all that its queries may look at."""
        out = []
        for store, new in ((self._keys, key_states), (self._values, value_states)):
            held = store[layer_idx]
            held[self._rows[:, None], :, self._cols] = new.transpose(1, 2).to(held.dtype)
            if self._in_a_row:
                out.append(held[self._slots[0] : self._slots[-1] + 1, :, : self._reach])
            else:
                out.append(torch.cat([held[r : r + 1, :, : self._reach] for r in self._slots]))
        return out[0], out[1]

    def get_seq_length(self, layer_idx: int = 0) -> int:
        """Return how far the last plan reaches; positions are always given explicitly."""
        return self._reach
