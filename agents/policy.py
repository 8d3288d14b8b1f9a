"""A language model as an agent: it reads turns, and chooses among listed actions or writes its own."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from ..memory.core import Turn
from .cache import SlotCache
from .core import Decision
from .render import Renderer

Mode = Literal["choose", "generate"]
_ACTION = re.compile(r"ACTION:\s*(.+)", re.IGNORECASE)
_REASON = re.compile(r"REASON:\s*(.*?)\s*(?:ACTION:|$)", re.IGNORECASE | re.DOTALL)


@dataclass(slots=True)
class _Row:
    """The cache row of one episode and the ids that lie in it."""

    slot: int
    ids: list[int] = field(default_factory=list)


@dataclass(slots=True)
class _Walk:
    """A reply being built token by token inside the set of admissible replies."""

    open: list[tuple[int, ...]]
    ids: list[int] = field(default_factory=list)
    logprob: float = 0.0

    def allowed(self) -> list[int]:
        """Return the distinct next tokens, sorted."""
        return sorted({c[len(self.ids)] for c in self.open})

    def take(self, token: int) -> None:
        """Go one token further."""
        n = len(self.ids)
        self.open = [c for c in self.open if c[n] == token]
        self.ids.append(token)

    def done(self) -> bool:
        """Whether one reply is left and all of it is taken."""
        return len(self.open) == 1 and len(self.open[0]) == len(self.ids)


class Policy:
    """A causal language model, its renderer and a cache of the running episodes.

    `choose` walks the trie of the admissible commands: at each fork the next token is drawn from the model's
    distribution over the tokens that some command still allows, so the reply is always admissible, forced tokens cost
    nothing, and log p is exact under that distribution. `generate` writes freely until the stop token; the action is
    what follows "ACTION:", or the whole reply where there is no such mark.

    Draws are keyed by (seed, episode, t), so neither batch size nor order changes them.
    """

    def __init__(
        self,
        model: Any,
        renderer: Renderer,
        *,
        name: str,
        mode: Mode = "choose",
        temperature: float = 0.0,
        max_new_tokens: int = 96,
    ) -> None:
        if temperature < 0:
            raise ValueError(f"temperature={temperature}: needs 0 (greedy) or more")
        self.model, self.renderer, self.name = model, renderer, name
        self.mode, self.temperature, self.max_new_tokens = mode, temperature, max_new_tokens
        self._seed = 0
        self._rows: dict[int, _Row] = {}
        self._free: list[int] = []
        self._cache = self._new_cache()

    def _new_cache(self) -> SlotCache:
        weight = next(self.model.parameters())
        return SlotCache(self.model.config, dtype=weight.dtype, device=weight.device)

    def begin(self, seed: int) -> None:
        """Start a rollout: forget every episode and key the draws by this seed."""
        self._seed = seed
        self._rows.clear()
        self._cache = self._new_cache()
        self._free = []
        self.model.eval()

    def release(self, episode: int) -> None:
        """Free the cache row of an episode that ended."""
        row = self._rows.pop(episode, None)
        if row is not None:
            self._free.append(row.slot)

    def _row(self, episode: int) -> _Row:
        if episode not in self._rows:
            slot = min(self._free) if self._free else len(self._rows)
            if self._free:
                self._free.remove(slot)
            self._rows[episode] = _Row(slot)
        return self._rows[episode]

    @torch.inference_mode()
    def act(self, turns: Sequence[Turn]) -> list[Decision]:
        """Return one decision a turn; what a row has read before is not read again."""
        prompts = [self.renderer.prompt(t) for t in turns]
        rows = [self._row(t.episode) for t in turns]
        news: list[list[int]] = []
        fresh: list[bool] = []
        for row, prompt in zip(rows, prompts, strict=True):
            same = min(_common(row.ids, prompt), len(prompt) - 1)
            fresh.append(same < len(row.ids) or not row.ids)
            news.append(prompt[same:])
            row.ids = row.ids[:same]
        logits = self._read(rows, news)
        rngs = [np.random.default_rng([self._seed, t.episode, t.t]) for t in turns]
        if self.mode == "choose":
            replies = self._choose(turns, rows, logits, rngs)
        else:
            replies = self._generate(rows, logits, rngs)
        out = []
        for i, (ids, logprob, queries) in enumerate(replies):
            text = self.renderer.decode(list(ids))
            thought, action = (None, text) if self.mode == "choose" else parse(text)
            out.append(
                Decision(
                    action=action,
                    thought=thought,
                    reply=None if action == text else text,
                    context_ids=tuple(prompts[i] if fresh[i] else news[i]),
                    token_ids=tuple(ids),
                    fresh=fresh[i],
                    logprob=logprob,
                    queries=queries,
                )
            )
        return out

    def _read(self, rows: Sequence[_Row], news: Sequence[Sequence[int]]) -> Tensor:
        """Feed each row its new ids; return the logits after the last of them, shape (B, V), float32."""
        length = max(map(len, news))
        order = sorted(range(len(rows)), key=lambda i: rows[i].slot)
        ids = torch.zeros(len(rows), length, dtype=torch.long)
        for k, i in enumerate(order):
            ids[k, : len(news[i])] = torch.tensor(news[i])
        device = self.model.device
        slots, starts = [rows[i].slot for i in order], [len(rows[i].ids) for i in order]
        positions, mask = self._cache.plan(slots, starts, length)
        hidden = self.model.get_decoder()(
            input_ids=ids.to(device), position_ids=positions, attention_mask=mask, past_key_values=self._cache
        ).last_hidden_state
        last = torch.tensor([len(news[i]) - 1 for i in order], device=device)
        logits = self.model.get_output_embeddings()(hidden[torch.arange(len(order), device=device), last]).float()
        for row, new in zip(rows, news, strict=True):
            row.ids.extend(new)
        back = torch.empty(len(order), dtype=torch.long)
        back[torch.tensor(order)] = torch.arange(len(order))
        return logits[back.to(device)].cpu()

    def _choose(
        self, turns: Sequence[Turn], rows: Sequence[_Row], logits: Tensor, rngs: Sequence[np.random.Generator]
    ) -> list[tuple[tuple[int, ...], float, int]]:
        walks = []
        for turn in turns:
            if not turn.admissible:
                raise ValueError("mode 'choose' needs admissible actions, this world lists none: use mode 'generate'")
            walks.append(_Walk([(*self.renderer.reply(a), self.renderer.stop) for a in turn.admissible]))
        queries = [1] * len(walks)
        live = list(range(len(walks)))
        while True:
            pending: list[list[int]] = []
            waiting: list[int] = []
            for k, i in enumerate(live):
                walk = walks[i]
                allowed = walk.allowed()
                token, logp = self._draw(logits[k][allowed], rngs[i])
                walk.logprob += logp
                fed = len(walk.ids)
                walk.take(allowed[token])
                while not walk.done() and len(allowed := walk.allowed()) == 1:
                    walk.take(allowed[0])
                if not walk.done():
                    pending.append(walk.ids[fed:])
                    waiting.append(i)
            if not waiting:
                break
            for i in waiting:
                queries[i] += 1
            logits, live = self._read([rows[i] for i in waiting], pending), waiting
        return [(tuple(w.ids[:-1]), w.logprob, q) for w, q in zip(walks, queries, strict=True)]

    def _generate(
        self, rows: Sequence[_Row], logits: Tensor, rngs: Sequence[np.random.Generator]
    ) -> list[tuple[tuple[int, ...], float, int]]:
        ids: list[list[int]] = [[] for _ in rows]
        logps = [0.0] * len(rows)
        live = list(range(len(rows)))
        for _ in range(self.max_new_tokens):
            kept = []
            for k, i in enumerate(live):
                token, logp = self._draw(logits[k], rngs[i])
                logps[i] += logp
                if token != self.renderer.stop:
                    ids[i].append(token)
                    kept.append(i)
            live = kept
            if not live or len(ids[live[0]]) >= self.max_new_tokens:
                break
            logits = self._read([rows[i] for i in live], [[ids[i][-1]] for i in live])
        return [(tuple(t), p, max(1, len(t))) for t, p in zip(ids, logps, strict=True)]

    def _draw(self, logits: Tensor, rng: np.random.Generator) -> tuple[int, float]:
        """Draw an index and its log-probability; greedy at temperature 0 (log p at temperature 1)."""
        logp = torch.log_softmax(logits / self.temperature if self.temperature else logits, -1)
        if not self.temperature:
            index = int(logp.argmax())
        else:
            index = int(np.searchsorted(np.cumsum(logp.double().exp().numpy()), rng.random()).clip(0, len(logp) - 1))
        return index, float(logp[index])


def parse(reply: str) -> tuple[str | None, str]:
    """Split a free reply into (thought, action); without an "ACTION:" mark the whole reply is the action.

    >>> parse("REASON: mugs stand on counters. ACTION: go to countertop 1")
    ('mugs stand on counters.', 'go to countertop 1')
    >>> parse("look")
    (None, 'look')
    """
    action = _ACTION.search(reply)
    if action is None:
        return None, reply.strip()
    reason = _REASON.search(reply)
    return (reason[1] if reason else None), action[1].split("\n")[0].strip()


def _common(a: Sequence[int], b: Sequence[int]) -> int:
    """Return the length of the common prefix."""
    n = min(len(a), len(b))
    for i in range(n):
        if a[i] != b[i]:
            return i
    return n
