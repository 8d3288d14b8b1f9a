"""Token ids in, token ids out: how a local model answers /v1/completions, by weights that folders hand it under names."""

from __future__ import annotations

import copy
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .forward import reach
from .models import Loaded
from .policy import Policy, _Row, common, draw, tree
from .render import Renderer

BELOW = 512  # tokens of a tree
TAKEN = {
    "model", "prompt", "max_tokens", "temperature", "seed", "logprobs", "logprob_token_ids", "stop_token_ids",
    "ignore_eos", "return_token_ids", "return_tokens_as_token_ids",
}  # fmt: skip
NEUTRAL: dict[str, tuple[Any, ...]] = {
    "top_p": (1,), "top_k": (-1, 0), "min_p": (0,), "repetition_penalty": (1,), "presence_penalty": (0,),
    "frequency_penalty": (0,), "n": (1,), "stream": (False,), "echo": (False,), "user": (), "request_id": (),
    "stream_options": (), "metadata": (), "store": (False,), "logprobs": (False,), "tools": ([],), "tool_choice": ("none",),
    "response_format": ({"type": "text"},),
}  # fmt: skip
"""What else may be asked, and with which values; () for any, since it changes no answer."""


def neutral(asked: Mapping[str, Any], taken: Collection[str]) -> None:
    """Raise ValueError for a field that would change the answer and is not among those that are taken."""
    for key, value in asked.items():
        if key in taken or value is None:
            continue
        if key not in NEUTRAL or (NEUTRAL[key] and value not in NEUTRAL[key]):
            legal = " or ".join(map(str, NEUTRAL[key])) if key in NEUTRAL else f"one of {', '.join(sorted(taken))}"
            raise ValueError(f"{key}={value!r}: this server takes {legal}")


class _Reader:
    """What a model says next, after ids of which the beginning mostly lies in its cache."""

    def __init__(self, model: Any, renderer: Renderer) -> None:
        self.model, self._row = model.eval(), _Row(0)
        self._policy = Policy(model, renderer, name="reader")

    @torch.inference_mode()
    def next(self, prompts: Sequence[Sequence[int]]) -> Tensor:
        """Return the logits after each of n prompts, shape (n, V), float32; what they share is read once.

        A tree is made below it of what they do not share, which takes the square of that: much is read prompt by prompt.
        """
        shared = min(common(prompts[0], p) for p in prompts)
        if len(prompts) > 1 and (not shared or sum(len(p) - shared for p in prompts) > BELOW):
            return torch.cat([self.next([p]) for p in prompts])
        head, rests = list(prompts[0][:shared]), [tuple(p[shared:]) for p in prompts]
        below = tree([(*r, 0) for r in rests], 0)
        place = {tuple(below.path(n)): n for n in range(len(below.ids) + 1)}
        same = min(common(self._row.ids, head), shared - 1)
        self._row.ids = self._row.ids[:same]
        [logits] = self._policy._read([self._row], [head[same:]], [below])
        return logits[[place[r] for r in rests]]


class Completions:
    """A model and what it has been trained to since, each under its name.

    A token's log-probability is that under the distribution it was drawn from (what vLLM calls processed), at
    temperature 0 that of temperature 1. The same request with the same seed gets the same ids.

    folders: whether clients may bring weights, as a folder of adapters or of a whole model.
    """

    def __init__(self, name: str, loaded: Loaded, *, folders: bool = False) -> None:
        self.name, self.tokenizer, self.folders = name, loaded.tokenizer, folders
        self._renderer = loaded.renderer
        self._readers = {name: _Reader(loaded.model, loaded.renderer)}

    @property
    def names(self) -> list[str]:
        """The names that answer, the model's own first."""
        return list(self._readers)

    def load(self, asked: dict[str, Any]) -> str:
        """Take weights from `lora_path` under `lora_name`.

        Raises:
            PermissionError: clients may not. ValueError: the name is taken, or the folder holds no such weights.
        """
        if not self.folders:
            raise PermissionError("loading weights is off: start it as `agentgym serve MODEL --folders`")
        name, path = str(asked.get("lora_name") or ""), Path(str(asked.get("lora_path") or ""))
        if not name or name in self._readers:
            raise ValueError(f"lora_name={name!r}: needs a name that is not taken")
        own = self._readers[self.name].model
        if (path / "adapter_config.json").is_file():
            from peft import PeftModel

            if isinstance(own, PeftModel):
                raise ValueError(f"{self.name} has adapters of its own: serve the model that they were trained on")
            model = PeftModel.from_pretrained(copy.deepcopy(own), path)
        elif (path / "model.safetensors").is_file():
            model = type(own).from_pretrained(path, dtype=own.dtype).to(own.device)
        else:
            raise ValueError(f"lora_path={str(path)!r}: no adapter_config.json or model.safetensors in it")
        self._readers[name] = _Reader(model, self._renderer)
        return f"Success: LoRA adapter '{name}' added successfully."

    def unload(self, asked: dict[str, Any]) -> str:
        """Forget the weights of `lora_name`.

        Raises:
            KeyError: there are none.
        """
        name = str(asked.get("lora_name") or "")
        if name == self.name or name not in self._readers:
            raise KeyError(f"lora_name={name!r}: this server has {', '.join(self.names[1:]) or 'none'}")
        del self._readers[name]
        return f"Success: LoRA adapter '{name}' removed successfully."

    def answer(self, asked: dict[str, Any]) -> dict[str, Any]:
        """Return the model, the choices, one a prompt, and the usage of a completion.

        Raises:
            ValueError: something is asked that is not done here. KeyError: no such model.
        """
        self._check(asked)
        name = asked.get("model") or self.name
        if name not in self._readers:
            raise KeyError(f"model {name!r}: this server has {', '.join(self.names)}")
        reader, prompts = self._readers[name], self._prompts(asked.get("prompt"))
        most = int(asked.get("max_tokens") or 16)
        longest = reach(reader.model)
        if any(len(p) >= longest for p in prompts):
            raise ValueError(f"a prompt of {max(map(len, prompts))} tokens: the model reads {longest}")
        choices = [
            self._choice(reader, p, first, asked, min(most, longest - len(p)))
            for p, first in zip(prompts, reader.next(prompts), strict=True)
        ]
        read, wrote = sum(map(len, prompts)), sum(n for _, n in choices)
        return {
            "model": name, "choices": [{"index": i, **row} for i, (row, _) in enumerate(choices)],
            "usage": {"prompt_tokens": read, "completion_tokens": wrote, "total_tokens": read + wrote},
        }  # fmt: skip

    def _check(self, asked: dict[str, Any]) -> None:
        neutral(asked, TAKEN)
        for key, least in (("temperature", 0), ("max_tokens", 1), ("seed", 0), ("logprobs", 0)):
            value, kinds = asked.get(key), (int, float) if key == "temperature" else (int,)
            if value is not None and (isinstance(value, bool) or not isinstance(value, kinds) or value < least):
                raise ValueError(f"{key}={value!r}: needs a number of at least {least}")
        for key in ("logprob_token_ids", "stop_token_ids"):
            if not self._are_ids(asked.get(key) or []):
                raise ValueError(f"{key}: needs a list of ids below {len(self.tokenizer)}")
        if asked.get("logprob_token_ids") and asked.get("logprobs") is None:
            raise ValueError("logprob_token_ids needs `logprobs`")

    def _are_ids(self, ids: Any) -> bool:
        size = len(self.tokenizer)
        return isinstance(ids, list) and all(isinstance(x, int) and 0 <= x < size for x in ids)

    def _prompts(self, prompt: Any) -> list[list[int]]:
        rows = prompt if isinstance(prompt, list) and not all(isinstance(x, int) for x in prompt) else [prompt]
        out = [self.tokenizer.encode(r, add_special_tokens=False) if isinstance(r, str) else r for r in rows]
        if not out or not all(ids and self._are_ids(ids) for ids in out):
            size = len(self.tokenizer)
            raise ValueError(f"prompt: needs a text or ids below {size}, or a list of such, none of them empty")
        return out

    def _choice(
        self, reader: _Reader, prompt: list[int], first: Tensor, asked: dict[str, Any], most: int
    ) -> tuple[dict[str, Any], int]:
        """Continue a prompt, after which the logits are `first`; return the choice and how many ids were drawn."""
        temperature = float(1.0 if asked.get("temperature") is None else asked["temperature"])
        rng = np.random.default_rng(asked.get("seed"))
        stops = set(asked.get("stop_token_ids") or ())
        if not asked.get("ignore_eos"):
            stops.add(self.tokenizer.eos_token_id)
        ids: list[int] = []
        logps: list[float] = []
        tops: list[dict[int, float]] = []
        while len(ids) < most and not (ids and ids[-1] in stops):
            logits = reader.next([[*prompt, *ids]])[0] if ids else first
            token, logp = draw(logits, temperature, rng)
            tops.append(self._listed(torch.log_softmax(logits / (temperature or 1.0), -1), asked) | {token: logp})
            ids.append(token)
            logps.append(logp)
        stopped = ids[-1] in stops
        row: dict[str, Any] = {
            "text": self.tokenizer.decode(ids[:-1] if stopped else ids, skip_special_tokens=True),
            "finish_reason": "stop" if stopped else "length", "stop_reason": ids[-1] if stopped else None,
        }  # fmt: skip
        if asked.get("return_token_ids"):
            row |= {"token_ids": ids, "prompt_token_ids": prompt}
        if asked.get("logprobs") is not None:
            words = {k: self._word(k, asked) for k in {*ids, *(k for top in tops for k in top)}}
            row["logprobs"] = {
                "tokens": [words[k] for k in ids], "token_logprobs": logps,
                "top_logprobs": [{words[k]: p for k, p in top.items()} for top in tops],
            }  # fmt: skip
        return row, len(ids)

    def _listed(self, logp: Tensor, asked: dict[str, Any]) -> dict[int, float]:
        """The log-probabilities to list beside the drawn one's: of the ids asked about, else of the likeliest."""
        ids = asked.get("logprob_token_ids") or logp.topk(int(asked.get("logprobs") or 0)).indices.tolist()
        return {int(k): float(logp[k]) for k in ids}

    def _word(self, token: int, asked: dict[str, Any]) -> str:
        return f"token_id:{token}" if asked.get("return_tokens_as_token_ids") else str(self.tokenizer.decode([token]))
