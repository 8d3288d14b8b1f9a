"""A student whose tokens a server generates: its weights go there as folders, under a name that changes with them."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from typing import Any

import torch

from ..agents.served import PLAIN, ServedPolicy, Server, ServerError
from .run import save_folder
from .student import Student

VLLM = (
    "VLLM_ALLOW_RUNTIME_LORA_UPDATING=True vllm serve {model} --enable-lora --max-lora-rank {rank} "
    "--generation-config vllm --logprobs-mode processed_logprobs"
)
OURS = "agentgym serve {model} --folders (a model of this size trains whole, and vLLM takes adapters alone)"
PROBE = "You are in the middle of a room. Looking quickly around you, you see"
TOLERANCE = 0.2
"""Nats a token; kernels in bfloat16 differ by some hundredths."""


class Served:
    """Brings the student's weights to the server whenever they have changed, and lends policies that act by them there.

    Every folder lies at `place` in the run's directory, which the server must see under the same path, until the next one is
    loaded: adapters of a large student, the whole model of a small one, which `agentgym serve` takes and vLLM does not.
    What is newly loaded is asked for a few tokens, and the student reads them again: where their log-probabilities
    disagree, the server has another model, or reports them in another way.
    """

    def __init__(self, server: Server, student: Student, run: Path, place: str = "served") -> None:
        self.server, self.student, self.folder = server, student, run.resolve() / place
        self._label = f"{run.name}.{hashlib.sha256(str(self.folder).encode()).hexdigest()[:6]}-"

    def policy(self, temperature: float = 0.0) -> ServedPolicy:
        """Return the student as an agent."""
        s = self.student
        return ServedPolicy(
            self.server, self.publish, s.renderer, name=s.name, mode=s.mode, temperature=temperature
        )  # fmt: skip

    def publish(self) -> str:
        """Return the name by which the server has the student's weights of now; bring them there if it has not."""
        name = self._label + digest(self.student.model)
        self.folder.mkdir(parents=True, exist_ok=True)
        folder, held = save_folder(self.folder / name, self.student.save), self.server.models()
        if name not in held:
            self._load(name, folder)
        for old in held:
            if old.startswith(self._label) and old != name:
                self.server.unload(old)
        for other in self.folder.glob(f"{self._label}*"):
            if other.name != name:  # not before it is unloaded: vLLM reads it again, or dies, where it was swapped out
                shutil.rmtree(other)
        return name

    def _load(self, name: str, folder: Path) -> None:
        s = self.student
        rank = s.model.peft_config["default"].r if s.adapted else 0
        start = (VLLM if s.adapted else OURS).format(model=s.model.config.name_or_path or s.name, rank=rank)
        try:
            self.server.load(name, folder)
        except ServerError as error:
            raise ServerError(f"{error}; it must see {folder}, and be started as: {start}") from None
        try:
            self._agree(name)
        except ServerError:
            self.server.unload(name)
            raise

    @torch.inference_mode()
    def _agree(self, name: str) -> None:
        """Raise where the server's log-probabilities are not the student's own.

        Free replies need those of the distribution that they are drawn from, so they are tried at a temperature at which
        others would be far off; a choice needs those of temperature 1 alone.
        """
        s, t = self.student, 2.0 if self.student.mode == "generate" else 1.0
        prompt = list(s.renderer.reply(PROBE))
        reader = ServedPolicy(self.server, lambda: name, s.renderer, name=s.name, max_new_tokens=16)
        asked: dict[str, Any] = PLAIN | {
            "model": name, "prompt": prompt, "max_tokens": reader.max_new_tokens, "temperature": t, "seed": 0, "logprobs": 1,
            "return_tokens_as_token_ids": True, "return_token_ids": True, "stop_token_ids": [s.renderer.stop],
        }  # fmt: skip
        [[choice]] = self.server.complete([asked])
        ids, theirs = reader.sampled(choice)
        read = torch.tensor([[*prompt, *ids]], device=s.model.device)
        logits = s.model.eval()(read).logits[0, len(prompt) - 1 : -1].float().cpu()
        own = torch.log_softmax(logits / t, -1).gather(1, torch.tensor(ids)[:, None])[:, 0]
        gap = float((own - torch.tensor(theirs)).abs().mean())
        if gap > TOLERANCE:
            mode = ", and started with --logprobs-mode processed_logprobs" if t != 1 else ""
            raise ServerError(
                f"{self.server.url}: its log-probabilities are {gap:.2f} nats a token from the student's own: it must "
                f"serve the model that is trained, {s.name}{mode}"
            )


def digest(model: Any) -> str:
    """Return 12 hex digits of what trains of a model; other weights have others."""
    sha = hashlib.sha256()
    for name, p in model.named_parameters():
        if p.requires_grad:
            sha.update(name.encode())
            sha.update(p.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return sha.hexdigest()[:12]
