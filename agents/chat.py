"""Chat models as agents: any langchain-core `BaseChatModel`, with retries, accounting and a disk cache of replies."""

from __future__ import annotations

import hashlib
import importlib
import json
import sqlite3
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..envs.registry import importing_from
from ..memory.core import Turn
from .core import Decision
from .policy import parse

RULES = (
    "You act in a text world, one command at a time.\n"
    "Answer in two lines:\nREASON: <one short sentence>\nACTION: <one command, word for word>"
)


@dataclass(slots=True)
class Usage:
    """What an agent has asked for: calls, replies from the cache, tokens as the model counts them, and their price."""

    calls: int = 0
    cached: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost: float = 0.0


class ReplyCache:
    """Replies on disk, keyed by the model and every word that it was shown; safe to share between processes."""

    def __init__(self, file: Path) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        self._file = file
        with self._open() as db:
            db.execute("create table if not exists replies (key text primary key, reply text not null)")

    def _open(self) -> sqlite3.Connection:
        return sqlite3.connect(self._file, timeout=30)

    @staticmethod
    def key(model: str, messages: Sequence[tuple[str, str]]) -> str:
        """Return the key of a question to a model."""
        return hashlib.sha256(json.dumps([model, list(messages)]).encode()).hexdigest()

    def get(self, key: str) -> str | None:
        """Return the reply of a key, None where there is none."""
        with self._open() as db:
            row = db.execute("select reply from replies where key = ?", (key,)).fetchone()
        return None if row is None else str(row[0])

    def put(self, key: str, reply: str) -> None:
        """Keep a reply."""
        with self._open() as db:
            db.execute("insert or replace into replies values (?, ?)", (key, reply))


class ChatAgent:
    """Asks a chat model for a reason and an action.

    An answer that is not an admissible action is asked for again with the fault named, at most `corrections` times;
    after that it goes to the world as it is, which says what it thinks of it. Questions that fail are asked `attempts`
    times in all, with pauses that double from `pause_s`; then the run stops with a RuntimeError that tells the
    model's, and what was answered is kept.

    chat: a langchain-core chat model. prices: of a million input and output tokens. cache: a file of replies; only for
    models that answer the same question alike, since a hit is not drawn anew. parallel: questions under way at once.
    """

    def __init__(
        self,
        chat: Any,
        *,
        name: str = "chat",
        system: str = RULES,
        list_actions: bool = True,
        corrections: int = 2,
        attempts: int = 4,
        pause_s: float = 1.0,
        parallel: int = 8,
        prices: tuple[float, float] = (0.0, 0.0),
        cache: Path | None = None,
    ) -> None:
        from langchain_core.language_models import BaseChatModel

        if not isinstance(chat, BaseChatModel):
            raise TypeError(f"{type(chat).__name__} is no langchain-core BaseChatModel")
        for label, value, least in (
            ("corrections", corrections, 0),
            ("attempts", attempts, 1),
            ("parallel", parallel, 1),
        ):
            if value < least:
                raise ValueError(f"{label}={value}: needs at least {least}")
        self.chat, self.name, self.system = chat, name, system
        self.list_actions, self.corrections, self.parallel, self.prices = list_actions, corrections, parallel, prices
        self.usage = Usage()
        self.attempts, self.pause_s = attempts, pause_s
        self._cache = ReplyCache(cache) if cache is not None else None
        self._identity = f"{name} {chat._llm_type} {sorted(map(str, chat._identifying_params.items()))}"

    def prompt(self, turn: Turn) -> list[tuple[str, str]]:
        """Return the messages of a turn as (role, content)."""
        said = [("ai" if m["role"] == "assistant" else "human", m["content"]) for m in turn.messages]
        if self.list_actions and turn.admissible is not None:
            said[-1] = (said[-1][0], f"{said[-1][1]}\n\nPossible actions: {'; '.join(turn.admissible)}")
        return [("system", self.system), *said] if self.system else said

    def act(self, turns: Sequence[Turn]) -> list[Decision]:
        """Return one decision a turn; the questions go out together."""
        prompts = [self.prompt(t) for t in turns]
        said: list[list[str]] = [[] for _ in turns]
        open_ = list(range(len(turns)))
        for left in range(self.patience, -1, -1):
            again = []
            for i, reply in zip(open_, self._replies([prompts[i] for i in open_]), strict=True):
                said[i].append(reply)
                if left and (back := self.answer(turns[i], said[i])) is not None:
                    prompts[i] = [*prompts[i], ("ai", reply or "…"), ("human", back)]
                    again.append(i)
            open_ = again
            if not open_:
                break
        out = []
        for replies in said:
            whole, action = self.whole(replies), parse(replies[-1])[1]
            thought = parse(whole)[0]
            out.append(Decision(action, thought, reply=None if whole == action else whole, queries=len(replies)))
        return out

    @property
    def patience(self) -> int:
        """How often at most a turn is answered instead of acted on."""
        return self.corrections

    def answer(self, turn: Turn, replies: Sequence[str]) -> str | None:
        """Return what to say to a turn's latest reply, None where it is an action to take."""
        action = parse(replies[-1])[1]
        if turn.admissible is None or action in turn.admissible:
            return None
        return f"{action!r} is not possible now. Answer again, with one of the possible actions."

    def whole(self, replies: Sequence[str]) -> str:
        """Return what an agent has said, out of all its replies to a turn."""
        return replies[-1]

    def _replies(self, prompts: Sequence[list[tuple[str, str]]]) -> list[str]:
        keys = [ReplyCache.key(self._identity, p) for p in prompts]
        held = [self._cache.get(k) if self._cache is not None else None for k in keys]
        new = [i for i, reply in enumerate(held) if reply is None]
        self.usage.cached += len(prompts) - len(new)
        for attempt in range(1, self.attempts + 1):
            answers = self.chat.batch(
                [prompts[i] for i in new], config={"max_concurrency": self.parallel}, return_exceptions=True
            )
            faults = []
            for i, answer in zip(new, answers, strict=True):
                if isinstance(answer, Exception):
                    faults.append((i, answer))
                    continue
                held[i] = str(answer.text)
                self._account(answer)
                if self._cache is not None:
                    self._cache.put(keys[i], str(held[i]))
            if not faults:
                break
            if attempt == self.attempts:
                error = faults[0][1]
                why = " ".join(f"{type(error).__name__}: {error}".split())
                raise RuntimeError(
                    f"agent {self.name!r}: its model failed {attempt} times, at last by {why}"
                ) from error
            new = [i for i, _ in faults]
            time.sleep(self.pause_s * 2 ** (attempt - 1))
        return [str(reply) for reply in held]

    def _account(self, answer: Any) -> None:
        used = answer.usage_metadata or {}
        read, wrote = used.get("input_tokens", 0), used.get("output_tokens", 0)
        self.usage.calls += 1
        self.usage.input_tokens += read
        self.usage.output_tokens += wrote
        self.usage.cost += (read * self.prices[0] + wrote * self.prices[1]) / 1e6


def load_chat(name: str) -> Any:
    """Return the chat model that `module:object` names; a function or class there is called without arguments.

    A module may lie in the current folder.

    Raises:
        LookupError: there is no such module or object, or it is, or gives, no chat model.
    """
    from langchain_core.language_models import BaseChatModel

    module, _, attribute = name.partition(":")
    if not attribute:
        raise LookupError(f"chat model {name!r}: write it as module:object, where the object is a chat model")
    try:
        with importing_from(Path.cwd()):
            found = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, SyntaxError) as error:
        raise LookupError(f"chat model {name!r}: {error}") from error
    try:
        with importing_from(Path.cwd()):
            chat = found() if callable(found) and not isinstance(found, BaseChatModel) else found
    except TypeError as error:
        raise LookupError(f"chat model {name!r}: it is called without arguments; {error}") from error
    if not isinstance(chat, BaseChatModel):
        raise LookupError(f"chat model {name!r}: a {type(chat).__name__}, not a langchain-core BaseChatModel")
    return chat


def tools(env: Any) -> list[Any]:
    """Return a world as langchain tools: `reset` begins a task, `step` does an action; both answer in words.

    env: a TextEnv. What `step` answers ends with the admissible actions, and says when the episode is over.
    """
    from langchain_core.tools import StructuredTool

    def tell(observation: str, info: dict[str, Any], over: str = "") -> str:
        listed = f"\nPossible actions: {'; '.join(info['admissible'])}" if info.get("admissible") and not over else ""
        return f"{observation}{listed}{over}"

    def reset(task: str = "") -> str:
        observation, info = env.reset(options={"task": task} if task else None)
        return tell(observation, info)

    def step(action: str) -> str:
        observation, _, terminated, truncated, info = env.step(action)
        end = f"\nThe episode is over: {'success' if info['success'] else 'no success'}."
        return tell(observation, info, end if terminated or truncated else "")

    summary = (type(env).__doc__ or "").strip().split("\n")[0]
    return [
        StructuredTool.from_function(
            reset, name="reset", description=f"Begin a task, by its id or at random. {summary}"
        ),
        StructuredTool.from_function(
            step, name="step", description="Do one action in the world and read what it says."
        ),
    ]
