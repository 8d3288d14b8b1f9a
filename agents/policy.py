"""A language model as an agent: it reads turns, and chooses among listed actions or writes its own."""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from torch import Tensor

from ..memory.core import Turn
from .core import Candidate, Decision
from .forward import logits as logits_of
from .forward import reach, states
from .render import Renderer

if TYPE_CHECKING:
    from .cache import SlotCache

Mode = Literal["choose", "generate"]
_Reply = tuple[tuple[int, ...], float, int, tuple[Candidate, ...]]
LONGEST = 96
"""Tokens of a free reply at most, where nothing else is said; one of so many was cut."""
_ACTION = re.compile(r"ACTION:\s*(.+)", re.IGNORECASE)
_REASON = re.compile(r"(?:REASON|THOUGHT):\s*(.*?)\s*(?:ACTION:|$)", re.IGNORECASE | re.DOTALL)


@dataclass(slots=True)
class _Row:
    """The cache row of one episode: the ids that lie in it, and what its history was when it last spoke."""

    slot: int
    ids: list[int] = field(default_factory=list)
    history: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Tree:
    """The admissible replies as a trie: the nodes that are read, and the edges whose log-probabilities make a reply's.

    ids, depth: of the m nodes that have children, below the root. seen: (m, m), True where a node is an ancestor or
    itself. The edges of all replies, one after the other: nodes, tokens: from which node to which id, where node 0 is
    the root and node j + 1 is node j; owner: whose edge it is. replies: how many.
    """

    ids: tuple[int, ...]
    depth: tuple[int, ...]
    seen: Tensor
    nodes: Tensor
    tokens: Tensor
    owner: Tensor
    replies: int

    def path(self, node: int) -> list[int]:
        """Return the ids from the root, node 0, to a node."""
        return [self.ids[j] for j in self.seen[node - 1].nonzero().flatten().tolist()] if node else []


def tree(replies: Sequence[tuple[int, ...]], stop: int) -> _Tree:
    """Return the trie of some replies; where one is the beginning of another, its `stop` counts as an edge too."""
    inner = {r[:k] for r in replies for k in range(1, len(r))}
    order = sorted(inner, key=lambda p: (len(p), p))
    place = {p: j for j, p in enumerate(order)}
    seen = torch.zeros(len(order), len(order), dtype=torch.bool)
    for p, j in place.items():
        for k in range(1, len(p) + 1):
            seen[j, place[p[:k]]] = True
    place_of = {(): 0} | {p: j + 1 for p, j in place.items()}
    edges = []
    for n, r in enumerate(replies):
        edges += [(place_of[r[:k]], r[k], n) for k in range(len(r))]
        if r in inner:
            edges.append((place_of[r], stop, n))
    nodes, tokens, owner = torch.tensor(edges, dtype=torch.long).reshape(-1, 3).unbind(1)
    return _Tree(tuple(p[-1] for p in order), tuple(len(p) for p in order), seen, nodes, tokens, owner, len(replies))


class Policy:
    """A causal language model, its renderer and a cache of the running episodes.

    `choose` scores every admissible command in the one pass that reads the new text: the commands hang below it as a
    tree, and the action is drawn from p(a) ∝ exp(log π(a)) over them. A walk down the tree, token by token, would have
    to decide for "take" before it knows that the right thing is not there to be taken. `generate` writes freely until
    the stop token; the action is what follows "ACTION:", or the whole reply where there is no such mark.

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
        max_new_tokens: int = LONGEST,
    ) -> None:
        if temperature < 0:
            raise ValueError(f"temperature={temperature}: needs 0 (greedy) or more")
        self.model, self.renderer, self.name = model, renderer, name
        self.mode, self.temperature, self.max_new_tokens = mode, temperature, max_new_tokens
        self._reach = None if model is None else reach(model)
        self._seed = 0
        self._rows: dict[int, _Row] = {}
        self._free: list[int] = []
        # of the renderer alone: a cache that held the policy would keep its keys and values alive when it is dropped
        self._trees = lru_cache(maxsize=4096)(lambda said: tree([renderer.reply(a) for a in said], renderer.stop))
        self._cache = self._new_cache()

    def __reduce__(self) -> tuple[Any, ...]:
        """Leave the running episodes behind when it is sent elsewhere."""
        made = partial(
            Policy, name=self.name, mode=self.mode, temperature=self.temperature, max_new_tokens=self.max_new_tokens
        )
        return made, (self.model, self.renderer)

    def _new_cache(self) -> SlotCache:
        from .cache import SlotCache

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

    @torch.inference_mode()
    def fork(self, episode: int, copies: Sequence[int]) -> None:
        """Start episodes that have read what another has, so that many answers to one prompt read it once."""
        source = self._row(episode)
        rows = [self._row(c) for c in copies]
        for row in rows:
            row.ids = list(source.ids)
        if rows:
            self._cache.copy(source.slot, [row.slot for row in rows])

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
        if self._reach is not None and (most := max(map(len, prompts), default=0)) > self._reach:
            warnings.warn(
                f"{self.name} reads {most} tokens and was made for {self._reach}: what it says from there on is a guess; "
                "take a shorter --memory, as window:4",
                stacklevel=2,
            )
            self._reach = None  # said once
        rows = [self._row(t.episode) for t in turns]
        news: list[list[int]] = []
        for row, prompt in zip(rows, prompts, strict=True):
            same = min(common(row.ids, prompt), len(prompt) - 1)
            news.append(prompt[same:])
            row.ids = row.ids[:same]
        rngs = [np.random.default_rng([self._seed, t.episode % 2**32, t.t]) for t in turns]
        choose = self.mode == "choose"
        replies = self._choose(turns, rows, news, rngs) if choose else self._generate(rows, news, rngs)
        out = []
        for i, (ids, logprob, queries, candidates) in enumerate(replies):
            text = self.renderer.decode(list(ids))
            thought, action = (None, text) if choose else parse(text)
            row, prompt = rows[i], prompts[i]
            fresh = not row.history or prompt[: len(row.history)] != row.history
            context = prompt if fresh else prompt[len(row.history) :]
            row.history = [*prompt, *ids]
            out.append(
                Decision(
                    action=action,
                    thought=thought,
                    reply=None if action == text else text,
                    context_ids=tuple(context),
                    token_ids=tuple(ids),
                    fresh=fresh,
                    logprob=logprob,
                    candidates=candidates,
                    queries=queries,
                )
            )
        return out

    def _read(
        self, rows: Sequence[_Row], news: Sequence[Sequence[int]], trees: Sequence[_Tree] | None = None
    ) -> list[Tensor]:
        """Feed each row its new ids, and below them its tree; the tree leaves no trace in the cache.

        Rows of like lengths are read together, since a row is padded to the longest beside it.

        Returns:
            for each row the logits after its last new id and after each node of its tree, shape (1 + m, V), float32.
        """
        sizes = [len(new) + (len(trees[i].ids) if trees is not None else 0) for i, new in enumerate(news)]
        out: dict[int, Tensor] = {}
        for group in alike(sizes):
            some = None if trees is None else [trees[i] for i in group]
            read = self._read_padded([rows[i] for i in group], [news[i] for i in group], some)
            out |= dict(zip(group, read, strict=True))
        return [out[i] for i in range(len(rows))]

    def _read_padded(
        self, rows: Sequence[_Row], news: Sequence[Sequence[int]], trees: Sequence[_Tree] | None
    ) -> list[Tensor]:
        m = [len(t.ids) for t in trees] if trees is not None else [0] * len(rows)
        length = max(len(new) + k for new, k in zip(news, m, strict=True))
        order = sorted(range(len(rows)), key=lambda i: rows[i].slot)
        device = self.model.device
        slots, starts = [rows[i].slot for i in order], [len(rows[i].ids) for i in order]
        positions, mask = self._cache.plan(slots, starts, length)
        ids = torch.zeros(len(rows), length, dtype=torch.long)
        for k, i in enumerate(order):
            n = len(news[i])
            ids[k, :n] = torch.tensor(news[i])
            if trees is not None and m[i]:
                t, first = trees[i], starts[k] + n
                ids[k, n : n + m[i]] = torch.tensor(t.ids)
                positions[k, n : n + m[i]] = torch.tensor(t.depth, device=device) + (first - 1)
                mask[k, 0, n : n + m[i], first : first + m[i]] = t.seen.to(device)
        hidden = states(self.model, ids.to(device), positions, mask, past_key_values=self._cache).last_hidden_state
        wanted = [hidden[k, len(news[i]) - 1 : len(news[i]) + m[i]] for k, i in enumerate(order)]
        logits = logits_of(self.model, torch.cat(wanted)).float().cpu()
        for row, new in zip(rows, news, strict=True):
            row.ids.extend(new)
        out = dict(zip(order, torch.split(logits, [1 + m[i] for i in order]), strict=True))
        return [out[i] for i in range(len(rows))]

    def _choose(
        self,
        turns: Sequence[Turn],
        rows: Sequence[_Row],
        news: Sequence[Sequence[int]],
        rngs: Sequence[np.random.Generator],
    ) -> list[_Reply]:
        for turn in turns:
            if not turn.admissible:
                raise ValueError("mode 'choose' needs admissible actions, this world lists none: use mode 'generate'")
        trees = [self._trees(t.admissible) for t in turns]
        out: list[_Reply] = []
        for turn, t, logp, rng in zip(turns, trees, self._edges(rows, news, trees), rngs, strict=True):
            scores = torch.zeros(t.replies).index_add_(0, t.owner, logp)
            index, chosen = draw(scores, self.temperature, rng)
            share = torch.log_softmax(scores, -1).tolist()
            candidates = tuple(Candidate(a, p) for a, p in zip(turn.admissible or (), share, strict=True))
            out.append((self.renderer.reply(candidates[index].action), chosen, 1, candidates))
        return out

    def _edges(self, rows: Sequence[_Row], news: Sequence[Sequence[int]], trees: Sequence[_Tree]) -> list[Tensor]:
        """Return the log-probability of every edge of each row's tree."""
        read = zip(trees, self._read(rows, news, trees), strict=True)
        return [logits[t.nodes, t.tokens] - torch.logsumexp(logits, -1)[t.nodes] for t, logits in read]

    def _generate(
        self, rows: Sequence[_Row], news: Sequence[Sequence[int]], rngs: Sequence[np.random.Generator]
    ) -> list[_Reply]:
        logits = self._read(rows, news)
        ids: list[list[int]] = [[] for _ in rows]
        logps = [0.0] * len(rows)
        live = list(range(len(rows)))
        for _ in range(self.max_new_tokens):
            kept = []
            for k, i in enumerate(live):
                token, logp = draw(logits[k][0], self.temperature, rngs[i])
                logps[i] += logp
                if token != self.renderer.stop:
                    ids[i].append(token)
                    kept.append(i)
            live = kept
            if not live or len(ids[live[0]]) >= self.max_new_tokens:
                break
            logits = self._read([rows[i] for i in live], [[ids[i][-1]] for i in live])
        return [(tuple(t), p, max(1, len(t)), ()) for t, p in zip(ids, logps, strict=True)]


def draw(logits: Tensor, temperature: float, rng: np.random.Generator) -> tuple[int, float]:
    """Draw an index and its log-probability; greedy at temperature 0 (log p at temperature 1).

    logits: (n,), unnormalised.
    """
    logp = torch.log_softmax(logits / temperature if temperature else logits, -1)
    if not temperature:
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


def alike(sizes: Sequence[int], waste: float = 0.3, least: int = 4) -> list[list[int]]:
    """Return groups of indices, longest first: in a group of at least `least` none is shorter than 1 − waste of the longest.

    >>> alike([100, 10, 95, 12, 99, 98, 11, 9], least=2)
    [[0, 4, 5, 2], [3, 6, 1, 7]]
    """
    groups: list[list[int]] = []
    for i in sorted(range(len(sizes)), key=lambda i: (-sizes[i], i)):
        if groups and (len(groups[-1]) < least or sizes[i] >= (1 - waste) * sizes[groups[-1][0]]):
            groups[-1].append(i)
        else:
            groups.append([i])
    return groups


def common(a: Sequence[int], b: Sequence[int]) -> int:
    """Return the length of the common prefix."""
    n = min(len(a), len(b))
    for i in range(n):
        if a[i] != b[i]:
            return i
    return n
