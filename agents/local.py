"""A local model as a langchain-core chat model, for everything that speaks that language."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import torch
from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, SystemMessage
from langchain_core.messages.ai import UsageMetadata
from langchain_core.outputs import ChatGeneration, ChatResult
from pydantic import ConfigDict

from .models import Loaded, load
from .render import ChatRenderer

_DRAWING = threading.Lock()  # `generate` draws from the process's generator, so one reply is drawn at a time
_ROLES = {"human": "user", "ai": "assistant", "system": "system"}


class LocalChat(BaseChatModel):
    """Answers by `transformers` on this machine, with the model's own chat template.

    loaded: a model with a chat template. temperature: 0 for greedy. seed: of the draws; a call with the same messages
    and seed gives the same words.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)
    loaded: Any
    temperature: float = 0.0
    max_new_tokens: int = 96
    seed: int = 0

    @classmethod
    def of(cls, name: str, **settings: Any) -> LocalChat:
        """Return a model by name: smollm2, a folder, or a hub id.

        Raises:
            ValueError: the model has no chat template.
        """
        return cls.wrap(load(name), **settings)

    @classmethod
    def wrap(cls, loaded: Loaded, **settings: Any) -> LocalChat:
        """Return a loaded model as a chat model."""
        if not isinstance(loaded.renderer, ChatRenderer):
            raise ValueError(f"model {loaded.name!r} has no chat template: give an instruct model")
        return cls(loaded=loaded, **settings)

    @property
    def _llm_type(self) -> str:
        return "agentgym-local"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {
            "model": self.loaded.name,
            "temperature": self.temperature,
            "seed": self.seed,
            "max_tokens": self.max_new_tokens,
        }

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        rows = templated(messages)
        tokenizer, model = self.loaded.tokenizer, self.loaded.model
        text = tokenizer.apply_chat_template(rows, tokenize=False, add_generation_prompt=True)
        ids = torch.tensor([tokenizer.encode(text, add_special_tokens=False)], device=model.device)
        temperature = kwargs.get("temperature", self.temperature)
        draw: dict[str, Any] = {"do_sample": False}
        if temperature:
            draw = {"do_sample": True, "temperature": temperature, "top_k": 0, "top_p": 1.0}
        with _DRAWING, torch.inference_mode(), torch.random.fork_rng():
            torch.manual_seed(kwargs.get("seed", self.seed))
            out = model.generate(
                ids, attention_mask=torch.ones_like(ids), max_new_tokens=kwargs.get("max_tokens", self.max_new_tokens),
                eos_token_id=self.loaded.renderer.stop, pad_token_id=self.loaded.renderer.stop, **draw,
            )  # fmt: skip
        new = out[0, ids.shape[1] :].tolist()
        said = tokenizer.decode(new, skip_special_tokens=True)
        for mark in stop or ():
            said = said.split(mark)[0]
        used = UsageMetadata(input_tokens=ids.shape[1], output_tokens=len(new), total_tokens=ids.shape[1] + len(new))
        reason = "stop" if new and new[-1] == self.loaded.renderer.stop else "length"
        message = AIMessage(content=said, usage_metadata=used, response_metadata={"finish_reason": reason})
        return ChatResult(generations=[ChatGeneration(message=message)])


def templated(messages: Sequence[BaseMessage]) -> list[dict[str, str]]:
    """Return messages as a chat template takes them; neighbours of one role are joined, system texts come first.

    Raises:
        ValueError: a message of a role that templates do not know (a tool's, for example).
    """
    out: list[dict[str, str]] = []
    for m in sorted(messages, key=lambda m: not isinstance(m, SystemMessage)):
        if m.type not in _ROLES:
            raise ValueError(f"message of type {m.type!r}: a local model reads {', '.join(_ROLES)}")
        role = _ROLES[m.type]
        if out and out[-1]["role"] == role:
            out[-1]["content"] += "\n" + m.text
        else:
            out.append({"role": role, "content": m.text})
    return out
