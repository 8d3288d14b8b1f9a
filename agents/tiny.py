"""`tiny`: a small decoder that the project trains itself, so that learning to act takes minutes on a laptop."""

from __future__ import annotations

import copy
import os
import shutil
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:  # a command that trains nothing does not wait for it
    from transformers import PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM

# A confident model's probabilities underflow to denormal numbers, on which a CPU is ten times slower. Set before the
# first parallel operation, so that every worker thread has it.
torch.set_flush_denormal(True)


def config(vocabulary: int, *, width: int = 256, layers: int = 3, heads: int = 4) -> Qwen3Config:
    """Return the shape of a tiny decoder: Qwen3's block (rotary positions, normed queries and keys), tied embeddings."""
    from transformers import Qwen3Config

    return Qwen3Config(
        vocab_size=vocabulary,
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=heads,
        head_dim=width // heads,
        intermediate_size=width * 8 // 3 // 32 * 32,
        tie_word_embeddings=True,
        max_position_embeddings=4096,
        initializer_range=0.05,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
    )


def fresh(vocabulary: int, seed: int, **shape: int) -> Qwen3ForCausalLM:
    """Return random weights; the global generator is left as it was."""
    from transformers import Qwen3ForCausalLM

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return Qwen3ForCausalLM(config(vocabulary, **shape))


def base_folder() -> Path:
    """Return the folder of the weights that ship with the package.

    Raises:
        FileNotFoundError: this installation carries none; names the command that makes them.
    """
    folder = Path(str(resources.files("agentgym.agents"))) / "weights" / "tiny"
    if not (folder / "model.safetensors").is_file():
        raise FileNotFoundError(f"{folder}: no base weights; make them with `agentgym pretrain tiny --out {folder}`")
    return folder


def load(folder: Path) -> tuple[Qwen3ForCausalLM, PreTrainedTokenizerFast]:
    """Return a tiny model in float32 and its tokenizer."""
    from transformers import PreTrainedTokenizerFast, Qwen3ForCausalLM

    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
    model = Qwen3ForCausalLM.from_pretrained(folder, dtype=torch.float32)
    return model, tokenizer


def save(model: Any, tokenizer: Any, folder: Path) -> None:
    """Write weights in bfloat16 as safetensors, with the tokenizer beside them; each file is the old one or the new one."""
    draft = folder.with_name(folder.name + ".part")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    half = copy.deepcopy(model).to(torch.bfloat16)
    half.save_pretrained(draft, safe_serialization=True)
    tokenizer.save_pretrained(draft)
    folder.mkdir(exist_ok=True)
    for file in draft.iterdir():
        os.replace(file, folder / file.name)
    draft.rmdir()
