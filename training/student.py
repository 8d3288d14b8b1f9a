"""The student: a model that acts, learns and is saved; small models whole, large ones by adapters."""

from __future__ import annotations

import copy
import json
import math
import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ..agents.forward import reach
from ..agents.models import Loaded, instructions, load
from ..agents.policy import Mode, Policy
from ..agents.render import ChatRenderer, Renderer
from . import processes, update
from .limits import memory_for
from .sequences import Example

if TYPE_CHECKING:
    from .served import Served

PAIRS = 8  # of a DPO step
LORA = {"r": 16, "lora_alpha": 32, "lora_dropout": 0.0, "target_modules": "all-linear"}


def adapter_lr(width: int) -> float:
    """Return the learning rate of adapters for a model of a width: 1.3e-3 at 576, 2.9e-4 at 4,096.

    lr = 10 * 5e-5 * (2000 / width)^0.781
    Source: the cookbook of Tinker, Thinking Machines Lab 2025, after its "LoRA Without Regret". The exponent is its fit
    for Llama; ours takes it for every model, where theirs has .0775 for Qwen.
    >>> round(adapter_lr(2000), 6)
    0.0005
    """
    return float(5e-4 * (2000 / width) ** 0.781)


def _share(pairs: int, processes: int, most: int | None) -> int:
    """Return how many of a step's pairs one process reads at once, at most `most`, so that the step stays whole.

    Raises:
        ValueError: the processes cannot share a step.
    """
    if pairs % processes:
        raise ValueError(f"{processes} processes cannot share the {pairs} pairs of a DPO step: launch 2, 4 or 8")
    own = pairs // processes
    return max([n for n in range(1, own + 1) if own % n == 0 and (most is None or n <= most)], default=1)


def count_ids(renderer: Renderer, text: str) -> int:
    """Return how many tokens a text has."""
    return len(renderer.reply(text))


class Student:
    """A loaded model under training; `fit` and `prefer` change it, `policy` lends it out to act."""

    def __init__(self, loaded: Loaded, *, mode: Mode = "choose", lora: dict[str, Any] | None = None) -> None:
        self.loaded, self.mode, self.name, self.renderer = loaded, mode, loaded.name, loaded.renderer
        self.model = loaded.model
        self.count = partial(count_ids, self.renderer)
        self.adapted = loaded.large
        self.max_tokens = min(reach(self.model), 4096)
        self.pass_tokens: int | None = None
        self.step_tokens: int | None = None
        self.on_step: Callable[[dict[str, float]], None] | None = None
        self.served: Served | None = None
        if self.adapted:
            from peft import LoraConfig, get_peft_model

            with torch.random.fork_rng():
                torch.manual_seed(0)
                self.model = get_peft_model(self.model, LoraConfig(task_type="CAUSAL_LM", **(lora or LORA)))
            for p in self.model.parameters():
                if p.requires_grad:
                    p.data = p.data.float()

    @classmethod
    def of(cls, name: str, checkpoint: Path | None = None, mode: Mode = "choose") -> Student:
        """Return a model by name, with a checkpoint's weights if one is given."""
        student = cls(load(name), mode=mode)
        if checkpoint is not None:
            student.restore(checkpoint)
        return student

    @classmethod
    def held(cls, checkpoint: Path) -> Student:
        """Return the student that a checkpoint is of."""
        row = json.loads((checkpoint / "student.json").read_text())
        student = cls.of(row["model"], checkpoint, mode=row["mode"])
        if isinstance(student.renderer, ChatRenderer) and row.get("system") is not None:
            student.renderer.system = row["system"]
        return student

    def instruct(self, env: str) -> None:
        """Tell an instruct model, in its system text, in what kind of world it acts."""
        if isinstance(self.renderer, ChatRenderer):
            self.renderer.system = instructions(env)

    def policy(self, temperature: float = 0.0) -> Policy:
        """Return the model as an agent, whose tokens a server generates where the student is `served`."""
        if self.served is not None:
            return self.served.policy(temperature)
        return Policy(self.model, self.renderer, name=self.name, mode=self.mode, temperature=temperature)

    def fit(
        self,
        examples: Sequence[Example],
        rng: np.random.Generator,
        *,
        epochs: float,
        lr: float | None,
        steps: int | None = None,
        overall: bool = False,
    ) -> dict[str, float]:
        """Imitate: minimise the weighted negative log-likelihood of the sequences, for some epochs or for `steps` steps.

        overall: whether weights count over the whole fit rather than within a batch (update.fit).

        Adapters take an episode or so a step: in few large batches a short run gives them too few steps to learn.
        """
        self._together("fit", examples=examples, rng=rng, epochs=epochs, lr=lr, steps=steps, overall=overall)
        rate = adapter_lr(self.model.config.hidden_size) if self.adapted else 1e-3
        return update.fit(
            self.model, examples, epochs=epochs, steps=steps, lr=rate if lr is None else lr, rng=rng, overall=overall,
            batch_tokens=self.step_tokens or (1024 if self.adapted else 4096), pass_tokens=self.pass_tokens,
            optimizer=update.adamw if self.adapted else update.muon, on_step=self.on_step,
        )  # fmt: skip

    def _together(self, what: str, **given: Any) -> None:
        """Have the run's other processes, if there are any, begin the same with the same weights."""
        if processes.size() == 1:
            return
        if processes.leading():
            own = {
                "name": self.name, "mode": self.mode, "pass_tokens": self.pass_tokens, "step_tokens": self.step_tokens,
            }  # fmt: skip
            processes.tell((what, own | given))
        processes.copy(p.data for p in self.model.parameters() if p.requires_grad)

    def prefer(
        self, rows: Sequence[dict[str, str]], seed: int, *, beta: float, lr: float | None = None
    ) -> dict[str, float]:
        """Prefer: one epoch of TRL's DPO on rows of prompt, chosen and rejected, eight a step."""
        if not rows:
            raise ValueError("nothing to prefer: no correction differs from the student's own action")
        self._together("prefer", rows=rows, seed=seed, beta=beta, lr=lr)
        longest = max(self.count(r["prompt"]) + max(map(self.count, (r["chosen"], r["rejected"]))) for r in rows)
        pairs = _share(PAIRS, processes.size(), None if self.pass_tokens is None else self.pass_tokens // (2 * longest))
        rate = (5e-6 if self.adapted else 5e-5) if lr is None else lr
        os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
        import tempfile

        from datasets import Dataset
        from transformers import PrinterCallback
        from trl import DPOConfig, DPOTrainer

        # TRL keeps what it computes beforehand in a folder of each process and looks for it in the leading one's
        reference = copy.deepcopy(self.model) if processes.size() > 1 and not self.adapted else None
        with tempfile.TemporaryDirectory() as scratch:
            config = DPOConfig(
                output_dir=scratch, beta=beta, learning_rate=rate, num_train_epochs=1,
                per_device_train_batch_size=pairs, gradient_accumulation_steps=PAIRS // (pairs * processes.size()),
                max_length=None, report_to=[], save_strategy="no", logging_steps=1,  # what is logged is of all processes
                seed=seed, data_seed=seed, use_cpu=self.model.device.type == "cpu", disable_tqdm=True,
                precompute_ref_log_probs=not self.adapted and reference is None, gradient_checkpointing=False, bf16=False,
                lr_scheduler_type="linear", warmup_steps=min(10, -(-len(rows) // PAIRS) // 2),
            )  # fmt: skip
            trainer = DPOTrainer(
                model=self.model, ref_model=reference, args=config, train_dataset=Dataset.from_list(list(rows)),
                processing_class=self.loaded.tokenizer,
            )  # fmt: skip
            trainer.remove_callback(PrinterCallback)  # stdout belongs to --json
            shorter = "take a shorter --memory, as window:4" if pairs == 1 else f"set run.pass_tokens={pairs * longest}"
            with memory_for(f"DPO reads {pairs} pairs of up to {longest} tokens at once", shorter):
                done = trainer.train()
        if self.adapted and "ref" in self.model.peft_config:  # TRL's reference; the next round brings its own
            self.model.delete_adapter("ref")
        self.model.eval()
        if not math.isfinite(done.training_loss):
            raise FloatingPointError(
                f"DPO loss {done.training_loss} within {done.global_step} steps; suspects: the learning rate "
                f"{config.learning_rate:g}, beta {beta:g}"
            )
        return {"loss": done.training_loss, "steps": float(done.global_step), "pairs": float(len(rows))}

    def save(self, folder: Path) -> None:
        """Write weights (adapters of a large model) as safetensors, with the name of what they belong to."""
        self.model.save_pretrained(folder)
        system = self.renderer.system if isinstance(self.renderer, ChatRenderer) else None
        (folder / "student.json").write_text(
            json.dumps({"model": self.name, "mode": self.mode, "adapted": self.adapted, "system": system})
        )

    def restore(self, folder: Path) -> None:
        """Read what `save` wrote.

        Raises:
            ValueError: the checkpoint is another model's.
        """
        from safetensors.torch import load_file

        held = json.loads((folder / "student.json").read_text())
        if held["model"] != self.name or held["adapted"] != self.adapted:
            raise ValueError(
                f"{folder}: a checkpoint of model {held['model']!r}, not of {self.name!r}; give --model {held['model']}"
            )
        if self.adapted:
            from peft import set_peft_model_state_dict

            set_peft_model_state_dict(self.model, load_file(folder / "adapter_model.safetensors"))
            return
        weights = load_file(folder / "model.safetensors")
        missing, extra = self.model.load_state_dict(weights, strict=False)
        if extra or [m for m in missing if m != "lm_head.weight"]:
            raise ValueError(f"{folder}: its weights do not fit model {self.name!r} ({(extra or missing)[0]})")
        self.model.tie_weights()
