"""How a turn becomes token ids: the same function for acting and for training."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Protocol

from ..memory.core import Turn


class Renderer(Protocol):
    """Turns into ids and replies into ids; `stop` ends a reply."""

    stop: int

    def prompt(self, turn: Turn) -> list[int]:
        """Return the ids of a turn up to where the reply begins."""

    def reply(self, text: str) -> tuple[int, ...]:
        """Return the ids of a reply, without `stop`."""

    def decode(self, ids: list[int]) -> str:
        """Return the text of a reply's ids."""


class _Encoding:
    """A tokenizer, and the ids of the texts that come again and again, which stay behind when it is sent elsewhere."""

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer
        self._ids = lru_cache(maxsize=1 << 16)(self._encode)

    def __getstate__(self) -> dict[str, Any]:
        return {k: v for k, v in self.__dict__.items() if k != "_ids"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._ids = lru_cache(maxsize=1 << 16)(self._encode)

    def _encode(self, text: str) -> tuple[int, ...]:
        return tuple(self.tokenizer.encode(text, add_special_tokens=False))


class MarkedRenderer(_Encoding):
    """Segments between marks, for `tiny`: <|obs|>what the world said the goal<|act|> what the agent said<|obs|>…

    The goal is read again before every action (LEAP's own student prompt states it twice): a small model compares it
    with what it has just seen far sooner than with what it read hundreds of tokens ago.
    """

    def __init__(self, tokenizer: Any) -> None:
        super().__init__(tokenizer)
        self._start, self.stop, self._act = tokenizer.convert_tokens_to_ids(["<|bos|>", "<|obs|>", "<|act|>"])

    def prompt(self, turn: Turn) -> list[int]:
        """Return <|bos|>, every segment behind its mark, the goal, and an open <|act|>."""
        out = [self._start]
        again = self._ids(" " + turn.goal)
        for s in turn.segments:
            if s.role == "user":
                out.append(self.stop)
                out += self._ids(s.text)
            else:
                out += [*again, self._act, *self._ids(" " + s.text)]
        return [*out, *again, self._act]

    def reply(self, text: str) -> tuple[int, ...]:
        """Return the ids of a reply; it always starts with a blank, so that words have one form."""
        return self._ids(" " + text)

    def decode(self, ids: list[int]) -> str:
        """Return the reply's text without its first blank."""
        return str(self.tokenizer.decode(ids)).removeprefix(" ")


def _takes_system(tokenizer: Any) -> bool:
    """Whether a chat template has a system role; some, as Gemma 2's, refuse it."""
    from jinja2 import TemplateError

    said = [{"role": "system", "content": "@@"}, {"role": "user", "content": "?"}]
    try:
        return "@@" in tokenizer.apply_chat_template(said, tokenize=False)
    except TemplateError:
        return False


class ChatRenderer(_Encoding):
    """The model's own chat template, with a system text that states the task of the agent.

    Where the template has no system role, the text stands before the first of what the world says.
    """

    def __init__(self, tokenizer: Any, system: str | None = None, list_actions: bool = False) -> None:
        super().__init__(tokenizer)
        self.system, self.list_actions = system, list_actions
        if not tokenizer.chat_template:
            raise ValueError(f"the tokenizer of {tokenizer.name_or_path} has no chat template: give an instruct model")
        probe = tokenizer.apply_chat_template(
            [{"role": "user", "content": "?"}, {"role": "assistant", "content": "@@"}], tokenize=False
        )
        self._after = probe.split("@@", 1)[1]
        self._has_system = _takes_system(tokenizer)
        ids = tokenizer.encode(self._after, add_special_tokens=False)
        self.stop = ids[0] if ids else tokenizer.eos_token_id

    def prompt(self, turn: Turn) -> list[int]:
        """Return the templated conversation with an open assistant turn."""
        messages = list(turn.messages)
        if self.system and self._has_system:
            messages.insert(0, {"role": "system", "content": self.system})
        elif self.system:
            messages[0] = {**messages[0], "content": f"{self.system}\n\n{messages[0]['content']}"}
        if self.list_actions and turn.admissible is not None:
            last = messages[-1]
            listed = last["content"] + "\nPossible actions: " + "; ".join(turn.admissible)
            messages[-1] = {"role": "user", "content": listed}
        text = self.tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        return list(self.tokenizer.encode(text, add_special_tokens=False))

    def reply(self, text: str) -> tuple[int, ...]:
        """Return the ids of a reply."""
        return self._ids(text)

    def decode(self, ids: list[int]) -> str:
        """Return the reply's text."""
        return str(self.tokenizer.decode(ids, skip_special_tokens=True))
