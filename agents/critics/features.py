"""Frozen features of text: hashed words, or a layer of a language model; kept on disk once computed."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import repeat
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ...envs.errors import at_least
from ...memory.core import Segment, Turn
from ..forward import states

Half = NDArray[np.float16]
_WORD = re.compile(r"\w+|[^\w\s]")


class Features(Protocol):
    """Texts to vectors.

    name: says all that they depend on, so that a cache can trust it. size: of a vector. options: what they were made
    with, beside the model.
    """

    name: str
    size: int
    options: Mapping[str, int]

    def __call__(self, states: Sequence[str], actions: Sequence[str] | None = None) -> Half:
        """Return the features of states, or of pairs of state and action, shape (n, size)."""


@lru_cache(maxsize=1 << 18)
def _slot(feature: str, size: int) -> tuple[int, float]:
    digest = int.from_bytes(hashlib.blake2b(feature.encode(), digest_size=8).digest(), "little")
    return digest % size, 1.0 if digest >> 63 else -1.0


def hashed(rows: Sequence[Sequence[str]], size: int) -> Half:
    """Return bags of named features as signed hashes of length one, shape (n, size); source: arXiv 0902.2206."""
    out = np.zeros((len(rows), size), dtype=np.float32)
    for row, features in zip(out, rows, strict=True):
        for feature in features:
            slot, sign = _slot(feature, size)
            row[slot] += sign
    norms = np.linalg.norm(out, axis=1, keepdims=True)
    halves: Half = (out / np.maximum(norms, 1e-6)).astype(np.float16)
    return halves


class HashedFeatures:
    """Signed hashes of words and neighbours; with an action, of every pair of one word of each as well.

    The pairs let a linear head tell that an action names what the state asks for. Rows have length one.
    Source: feature hashing, arXiv 0902.2206.
    """

    def __init__(self, size: int = 2048) -> None:
        at_least(2, size=size)
        self.size = size
        self.name = f"hashed-{size}"
        self.options: Mapping[str, int] = {"size": size}

    def __call__(self, states: Sequence[str], actions: Sequence[str] | None = None) -> Half:
        """Return the features, shape (n, size)."""
        pairs = zip(states, actions or repeat(None, len(states)), strict=True)
        return hashed([_features(s, a) for s, a in pairs], self.size)


def _features(state: str, action: str | None) -> list[str]:
    words = _WORD.findall(state.lower())
    out = [*words, *map("_".join, zip(words, words[1:], strict=False))]
    if action is None:
        return out
    deed = _WORD.findall(action.lower())
    return [f"a:{w}" for w in deed] + [f"{s}|{a}" for s in dict.fromkeys(words) for a in dict.fromkeys(deed)]


class ModelFeatures:
    """The hidden state of one layer where the model would speak, or has spoken; it is never trained through them.

    The text is laid out as the model's own prompts are: a state as what the world said, an action as the reply. The
    feature of a state is taken at the last token before the reply, that of an action at the token that ends it. The
    actions of one state are read as branches below it, so the state is read once.

    loaded: a model as `agents.models.load` gives it. layer: which of its hidden states, −1 the last. most: only so many
    tokens from the end of a state are read. batch: states at once.
    """

    def __init__(self, loaded: Any, layer: int = -1, most: int = 1024, batch: int = 16) -> None:
        layers = int(loaded.model.config.num_hidden_layers)
        if not -layers - 1 <= layer <= layers:
            raise ValueError(f"layer={layer}: the model has hidden states 0 to {layers}")
        at_least(1, most=most, batch=batch)
        self._loaded, self._layer, self._most, self._batch = loaded, layer, most, batch
        self.size = int(loaded.model.config.hidden_size)
        self.name = f"{loaded.name}-{_fingerprint(loaded.model)}-layer{layer}-last{most}"
        self.options: Mapping[str, int] = {"layer": layer, "most": most}

    def prompt(self, state: str) -> list[int]:
        """Return the ids of a state; its feature is taken at the last."""
        turn = Turn((Segment("user", state),), goal="", admissible=None, episode=0, t=0, tokens=0, observation=state)
        ids: list[int] = self._loaded.renderer.prompt(turn)[-self._most :]
        return ids

    def reply(self, action: str) -> list[int]:
        """Return the ids of an action; its feature is taken at the last."""
        renderer = self._loaded.renderer
        return [*renderer.reply(action), renderer.stop]

    def __call__(self, states: Sequence[str], actions: Sequence[str] | None = None) -> Half:
        """Return the features, shape (n, size)."""
        members: dict[str, list[int]] = {}
        for i, state in enumerate(states):
            members.setdefault(state, []).append(i)
        packs = []
        for state, own in members.items():
            packs.append((self.prompt(state), own, [[] if actions is None else self.reply(actions[i]) for i in own]))
        packs.sort(key=lambda p: len(p[0]) + sum(map(len, p[2])))
        out = np.empty((len(states), self.size), dtype=np.float16)
        for k in range(0, len(packs), self._batch):
            some = packs[k : k + self._batch]
            rows = iter(self._hidden([(prompt, said) for prompt, _, said in some]))
            for _, own, _ in some:
                for i in own:
                    out[i] = next(rows)
        return out

    def _hidden(self, packs: Sequence[tuple[Sequence[int], Sequence[Sequence[int]]]]) -> Half:
        """Return the states wanted of some prompts and the replies below them, one after the other."""
        import torch

        longest = max(len(prompt) + sum(map(len, said)) for prompt, said in packs)
        ids, positions, branch = (torch.zeros(len(packs), longest, dtype=torch.long) for _ in range(3))
        wanted: list[tuple[int, int]] = []
        for n, (prompt, said) in enumerate(packs):
            at = len(prompt)
            ids[n, :at], positions[n, :at] = torch.tensor(prompt), torch.arange(at)
            for number, reply in enumerate(said, 1):
                end = at + len(reply)
                ids[n, at:end] = torch.tensor(reply, dtype=torch.long)
                positions[n, at:end] = torch.arange(len(prompt), len(prompt) + len(reply))
                branch[n, at:end] = number
                wanted.append((n, end - 1 if reply else len(prompt) - 1))
                at = end
        own = (branch[:, None, :] == 0) | (branch[:, None, :] == branch[:, :, None])
        mask = (torch.ones(longest, longest, dtype=torch.bool).tril() & own)[:, None]
        device = self._loaded.model.device
        with torch.inference_mode():
            hidden = states(
                self._loaded.model, ids.to(device), positions.to(device), mask.to(device),
                use_cache=False, output_hidden_states=True,
            ).hidden_states[self._layer]  # fmt: skip
        where = torch.tensor(wanted, device=device)
        halves: Half = hidden[where[:, 0], where[:, 1]].float().cpu().numpy().astype(np.float16)
        return halves


def _fingerprint(model: Any) -> str:
    """Return a short hash of a model's weights: features of other weights are other features."""
    import torch

    digest = hashlib.sha256()
    for name, p in sorted(model.state_dict().items()):
        digest.update(f"{name}{tuple(p.shape)}{p.dtype}".encode())
        digest.update(p.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()[:8]


class CachedFeatures:
    """Features kept in one file as they are computed: a line of JSON, then records of a 16-byte key and `size` halves.

    A record is written whole behind the others; what a killed process left of one is cut off when the file is opened.
    """

    def __init__(self, inner: Features, file: Path) -> None:
        self.name, self.size, self.options = inner.name, inner.size, inner.options
        self._inner, self._file = inner, file
        self._kind = np.dtype([("key", "S16"), ("row", np.float16, (inner.size,))])
        head = json.dumps({"name": inner.name, "size": inner.size}).encode() + b"\n"
        if not file.is_file():
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(head)
        with file.open("rb") as handle:
            held = handle.readline()
            if held != head:
                raise ValueError(f"{file}: holds features of {held[:80]!r}, not of {inner.name}; give another file")
            body = handle.read()
        whole = len(body) // self._kind.itemsize
        if whole * self._kind.itemsize != len(body):
            os.truncate(file, len(head) + whole * self._kind.itemsize)
        records = np.frombuffer(body, dtype=self._kind, count=whole)
        self._rows: dict[bytes, Half] = {bytes(r["key"]).ljust(16, b"\0"): r["row"] for r in records}
        self.hits = self.misses = 0

    @staticmethod
    def _key(state: str, action: str | None) -> bytes:
        return hashlib.blake2b(f"{state}\0{action}".encode(), digest_size=16).digest()

    def __call__(self, states: Sequence[str], actions: Sequence[str] | None = None) -> Half:
        """Return the features, shape (n, size), computing and keeping those that are new."""
        keys = [self._key(s, a) for s, a in zip(states, actions or repeat(None, len(states)), strict=True)]
        new = list({k: i for i, k in enumerate(keys) if k not in self._rows}.values())
        self.hits += len(keys) - len(new)
        self.misses += len(new)
        if new:
            rows = self._inner([states[i] for i in new], None if actions is None else [actions[i] for i in new])
            records = np.empty(len(new), dtype=self._kind)
            records["key"], records["row"] = [keys[i] for i in new], rows
            with self._file.open("ab") as handle:
                handle.write(records.tobytes())
            self._rows |= {keys[i]: row for i, row in zip(new, rows, strict=True)}
        return np.stack([self._rows[k] for k in keys]) if keys else np.empty((0, self.size), dtype=np.float16)
