"""What several rooms' tests share: the real data's place, a toy world, a small real model."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")

SHARED = Path(__file__).resolve().parent.parent.parent / "shared"


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
