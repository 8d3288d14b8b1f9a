"""A policy whose tokens another process generates: an OpenAI-compatible server (vLLM), asked in token ids."""

from __future__ import annotations

import http.client
import json
import os
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .policy import LONGEST, Mode, Policy, _Reply, _Row, _Tree
from .render import Renderer

IDS, PROMPTS, TOGETHER = 128, 256, 256  # a request's ids to score (vLLM's most) and prompts; requests at once
PLAIN = {"top_p": 1.0, "top_k": -1, "min_p": 0.0, "repetition_penalty": 1.0, "ignore_eos": True}
"""Nothing between the model's distribution and the draw, whatever the model's own generation_config.json says."""


class ServerError(OSError):
    """A generation server that does not answer as it must; one line says what and how to start it."""


class Server:
    """An OpenAI-compatible server at `url`, http://HOST:PORT/v1; AGENTGYM_SERVER_KEY is its key, where it has one.

    timeout_s: of one answer. A connection that fails and a status of 429 or 502 to 504 are tried `attempts` times in
    all, with pauses that double from `pause_s`.
    """

    def __init__(self, url: str, *, timeout_s: float = 300.0, attempts: int = 4, pause_s: float = 1.0) -> None:
        self.url = url.rstrip("/")
        if not self.url.startswith(("http://", "https://")) or not self.url.endswith("/v1"):
            raise ValueError(f"server {url!r}: write it as http://HOST:PORT/v1")
        self.timeout_s, self.attempts, self.pause_s = timeout_s, attempts, pause_s

    def models(self) -> list[str]:
        """Return the names under which the server answers."""
        return [str(row["id"]) for row in self._json("/models")["data"]]

    def load(self, name: str, folder: Path) -> None:
        """Have the server load an adapter's folder, which it must see under the same path, under a name."""
        self._ask("/load_lora_adapter", {"lora_name": name, "lora_path": str(folder)})

    def unload(self, name: str) -> None:
        """Have the server forget an adapter."""
        self._ask("/unload_lora_adapter", {"lora_name": name})

    def complete(self, bodies: Sequence[dict[str, Any]]) -> list[list[dict[str, Any]]]:
        """Return the choices of some completions, a list a request; the requests go out together."""
        with ThreadPoolExecutor(max(1, min(len(bodies), TOGETHER))) as pool:
            replies = list(pool.map(partial(self._json, "/completions"), bodies))
        for body, reply in zip(bodies, replies, strict=True):
            wanted = len(body["prompt"]) if isinstance(body["prompt"][0], list) else 1
            if len(reply.get("choices") or ()) != wanted:
                raise ServerError(f"{self.url}: {wanted} prompts got {len(reply.get('choices') or ())} choices")
        return [sorted(reply["choices"], key=lambda c: int(c["index"])) for reply in replies]

    def _json(self, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        text = self._ask(path, body)
        try:
            row = json.loads(text)
        except ValueError:
            row = None
        if not isinstance(row, dict):
            raise ServerError(
                f"{self.url}{path}: no JSON object but {text[:80]!r}; is this an OpenAI-compatible server?"
            )
        return row

    def _ask(self, path: str, body: dict[str, Any] | None = None) -> str:
        headers = {"Content-Type": "application/json"}
        if key := os.environ.get("AGENTGYM_SERVER_KEY"):
            headers["Authorization"] = f"Bearer {key}"
        data = None if body is None else json.dumps(body).encode()
        tried = 0
        while True:
            tried += 1
            try:
                with urllib.request.urlopen(
                    urllib.request.Request(self.url + path, data, headers), timeout=self.timeout_s
                ) as reply:
                    return str(reply.read().decode())
            except urllib.error.HTTPError as error:
                fault = f"{error.code} {_message(error.read().decode(errors='replace'))}"
                final = error.code not in (429, 502, 503, 504)
            except (OSError, http.client.HTTPException) as error:
                reason = error.reason if isinstance(error, urllib.error.URLError) else error
                final = isinstance(reason, TimeoutError)
                fault = f"no answer within {self.timeout_s:g} s" if final else f"no connection ({reason})"
            if final or tried >= self.attempts:
                raise ServerError(f"{self.url}{path}: {fault}")
            time.sleep(self.pause_s * 2 ** (tried - 1))


def _message(text: str) -> str:
    """Return an error's own words, on one line."""
    try:
        row = json.loads(text)
        text = str(row.get("detail") or row.get("message") or row["error"]["message"])
    except (ValueError, KeyError, TypeError, AttributeError):
        pass
    return " ".join(text.split())[:300]


class ServedPolicy(Policy):
    """A `Policy` whose model runs behind a server: prompts go there as token ids, and the ids that come back are kept.

    `generate` sends a request an episode, its seed drawn from (seed, episode, t), so that neither the batch nor who
    asks changes a reply. `choose` asks for the log-probabilities of every edge of the tree of commands, a prompt a
    node (`logprob_token_ids`; the nodes of an episode share their beginning in the server's prefix cache), and draws
    here: its choices are those of the local policy.

    publish: returns the name under which the server has the weights to act by, called as a rollout begins.
    """

    def __init__(
        self,
        server: Server,
        publish: Callable[[], str],
        renderer: Renderer,
        *,
        name: str,
        mode: Mode = "choose",
        temperature: float = 0.0,
        max_new_tokens: int = LONGEST,
    ) -> None:
        super().__init__(None, renderer, name=name, mode=mode, temperature=temperature, max_new_tokens=max_new_tokens)
        self.server, self.publish = server, publish
        self._serving: str | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        """Take along the name of the weights that the server has by now."""
        made = partial(
            ServedPolicy, name=self.name, mode=self.mode, temperature=self.temperature,
            max_new_tokens=self.max_new_tokens,
        )  # fmt: skip
        return made, (self.server, partial(str, self.publish()), self.renderer)

    def _new_cache(self) -> Any:
        """Nothing: the server keeps its own."""

    def begin(self, seed: int) -> None:
        """Start a rollout by the weights of now."""
        self._seed = seed
        self._rows.clear()
        self._free = []
        self._serving = self.publish()

    def fork(self, episode: int, copies: Sequence[int]) -> None:
        """Do nothing: every request brings its whole prompt."""

    def _asked(self, **body: Any) -> dict[str, Any]:
        if self._serving is None:
            self._serving = self.publish()
        return {"model": self._serving, "logprobs": 1, "return_tokens_as_token_ids": True, **PLAIN, **body}

    def _edges(self, rows: Sequence[_Row], news: Sequence[Sequence[int]], trees: Sequence[_Tree]) -> list[Tensor]:
        parts = [(i, nodes, ids) for i, t in enumerate(trees) for nodes, ids in portions(t)]
        replies = self.server.complete(
            [
                self._asked(
                    prompt=[[*news[i], *trees[i].path(n)] for n in nodes], max_tokens=1, temperature=1.0,
                    logprob_token_ids=ids,
                )
                for i, nodes, ids in parts
            ]
        )  # fmt: skip
        found: list[dict[tuple[int, int], float]] = [{} for _ in trees]
        for (i, nodes, ids), choices in zip(parts, replies, strict=True):
            for n, choice in zip(nodes, choices, strict=True):
                listed = self._listed(choice)
                found[i] |= {(n, k): listed[k] for k in ids if k in listed}
        out = []
        for t, known in zip(trees, found, strict=True):
            edges = list(zip(t.nodes.tolist(), t.tokens.tolist(), strict=True))
            if any(e not in known for e in edges):
                raise ServerError(
                    f"{self.server.url}: it does not score the ids it is asked about (`logprob_token_ids`, vLLM since "
                    "July 2026): take a later vLLM, or --set run.mode=generate"
                )
            out.append(torch.tensor([known[e] for e in edges]))
        return out

    @staticmethod
    def _listed(choice: dict[str, Any]) -> dict[int, float]:
        """The log-probabilities that a choice lists for its first token, by id."""
        listed = ((choice.get("logprobs") or {}).get("top_logprobs") or [None])[0] or {}
        marked = {k.removeprefix("token_id:"): v for k, v in listed.items() if k.startswith("token_id:")}
        return {int(k): float(v) for k, v in marked.items()}

    def _generate(
        self, rows: Sequence[_Row], news: Sequence[Sequence[int]], rngs: Sequence[np.random.Generator]
    ) -> list[_Reply]:
        replies = self.server.complete(
            [
                self._asked(
                    prompt=list(new), max_tokens=self.max_new_tokens, temperature=self.temperature,
                    seed=int(rng.integers(2**63)), stop_token_ids=[self.renderer.stop], return_token_ids=True,
                )
                for new, rng in zip(news, rngs, strict=True)
            ]
        )  # fmt: skip
        out: list[_Reply] = []
        for [choice] in replies:
            ids, logps = self.sampled(choice)
            said = ids[:-1] if ids[-1] == self.renderer.stop else ids
            out.append((tuple(said), sum(logps), max(1, len(said)), ()))
        return out

    def sampled(self, choice: dict[str, Any]) -> tuple[list[int], list[float]]:
        """Return the ids that the server drew, the stop too where it drew it, and the log-probability of each.

        Raises:
            ServerError: it keeps no ids or no log-probabilities, or a reply neither stopped nor is at its longest.
        """
        url, ids = self.server.url, choice.get("token_ids")
        if not ids:
            raise ServerError(
                f"{url}: no `token_ids` come back (`return_token_ids`, vLLM since 0.10.2): words alone cannot be "
                "trained on as they were sampled; take vLLM or `agentgym serve`"
            )
        logps = (choice.get("logprobs") or {}).get("token_logprobs") or ()
        if len(logps) != len(ids) or any(p is None for p in logps):
            raise ServerError(f"{url}: {len(ids)} sampled ids come with {len(logps)} log-probabilities")
        if ids[-1] != self.renderer.stop and len(ids) < self.max_new_tokens:
            raise ServerError(
                f"{url}: a reply ended after {len(ids)} of {self.max_new_tokens} tokens without the stop id "
                f"{self.renderer.stop} (finish_reason {choice.get('finish_reason')!r}): raise the server's "
                "--max-model-len, or take a shorter --memory"
            )
        return list(ids), [float(p) for p in logps]


def portions(t: _Tree) -> Iterator[tuple[list[int], list[int]]]:
    """Yield (nodes, ids) of requests that together ask about every edge of a tree, none about too many."""
    edges = list(zip(t.nodes.tolist(), t.tokens.tolist(), strict=True))
    every = sorted({token for _, token in edges})
    for at in range(0, len(every), IDS):
        ids = every[at : at + IDS]
        nodes = sorted({n for n, token in edges if ids[0] <= token <= ids[-1]})
        yield from ((nodes[k : k + PROMPTS], ids) for k in range(0, len(nodes), PROMPTS))
