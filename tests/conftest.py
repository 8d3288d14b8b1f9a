"""What several rooms' tests share: the real data's place, a toy world, a small real model."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
if "PYTEST_XDIST_WORKER" in os.environ:  # a process a core, so a thread a process
    os.environ.setdefault("OMP_NUM_THREADS", "1")

SHARED = Path(__file__).resolve().parent.parent.parent / "shared"


@pytest.fixture
def clean() -> Iterator[None]:
    """Forget afterwards what a test registers."""
    from agentgym.envs import registry

    before = dict(registry._SPECS)
    yield
    registry._SPECS.clear()
    registry._SPECS.update(before)


@pytest.fixture(scope="session")
def official(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of real ALFWorld games in the official layout."""
    script = SHARED / "data" / "alfworld" / "unpack.py"
    if not script.is_file():
        pytest.skip("the real ALFWorld games are not beside this checkout")
    import subprocess
    import sys

    out = tmp_path_factory.mktemp("alfworld")
    subprocess.run([sys.executable, str(script), str(out)], check=True, capture_output=True)
    return out


@pytest.fixture(scope="session")
def small_tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real, hardly trained `tiny`, made by the project's own pre-training in seconds."""
    from agentgym.envs import make
    from agentgym.training.pretrain import Pretraining, pretrain

    out = tmp_path_factory.mktemp("tiny")
    plan = Pretraining(episodes=400, steps=12, width=64, layers=2, heads=2, batch_tokens=2048)
    pretrain(make("alfworld", train=60), plan, out)
    return out


@pytest.fixture
def run_cli() -> Callable[..., tuple[int, str, str]]:
    """Run the command line in a process of its own: status, stdout, stderr."""
    import subprocess
    import sys

    def run(*args: str, env: dict[str, str] | None = None) -> tuple[int, str, str]:
        done = subprocess.run(
            [sys.executable, "-m", "agentgym.cli", *args],
            capture_output=True, text=True, env=os.environ | (env or {}), timeout=600,
        )  # fmt: skip
        return done.returncode, done.stdout, done.stderr

    return run


@pytest.fixture(scope="session")
def small_chat(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real instruct model in a folder, as a hub would give it: a random Llama over bytes with a chat template."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    marks = ["<|im_start|>", "<|im_end|>"]
    words = [*marks, *sorted(pre_tokenizers.ByteLevel.alphabet())]
    raw = Tokenizer(models.BPE(vocab={w: i for i, w in enumerate(words)}, merges=[]))
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=raw, eos_token=marks[1], pad_token=marks[1], additional_special_tokens=marks
    )
    tokenizer.chat_template = (
        "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    )
    config = LlamaConfig(
        vocab_size=len(words), hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=1, max_position_embeddings=8192, eos_token_id=1, bos_token_id=0, tie_word_embeddings=True,
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = LlamaForCausalLM(config)
    out = tmp_path_factory.mktemp("chat") / "small-instruct"
    model.save_pretrained(out)
    tokenizer.save_pretrained(out)
    return out
