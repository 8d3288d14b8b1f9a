"""Every block of the README and the documents runs as it stands; a train command runs at a small size."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"```(python|bash)\n(.*?)```", re.DOTALL)
SMALL = {
    "leap": ["demonstrations=8", "episodes=4", "iterations=1", "epochs0=1", "epochs=1"],
    "bc": ["demonstrations=8", "epochs=1"],
    "read": ["demonstrations=4", "episodes=4", "iterations=1", "steps=20", "epochs0=1", "epochs=1"],
}


def blocks(language: str) -> list[str]:
    return [b for page in PAGES for lang, b in BLOCK.findall(page.read_text()) if lang == language]


def lines() -> list[str]:
    """Every agentgym command in a bash block, the ones behind && too."""
    parts = [p.strip() for b in blocks("bash") for line in b.splitlines() for p in line.split("&&")]
    return list(dict.fromkeys(p for p in parts if p.startswith("agentgym ")))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the README's environment in it."""
    out = tmp_path_factory.mktemp("newcomer")
    code = next(b for b in blocks("python") if "class Doors" in b)
    assert len([line for line in code.splitlines() if line.strip()]) <= 25
    (out / "my_env.py").write_text(code)
    return out


@pytest.mark.parametrize("code", blocks("python"))
def test_a_python_block_runs(code: str, place: Path) -> None:
    subprocess.run([sys.executable, "-c", code], check=True, cwd=place, env=os.environ | {"PYTHONPATH": _path()})


def _path() -> str:
    return os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])


@pytest.mark.parametrize("line", lines())
def test_a_command_runs(line: str, place: Path) -> None:
    words = shlex.split(line)[1:]
    if words[0] == "pretrain":
        words += ["--steps", "2", "--episodes", "300", "--out", "base"]
    if words[0] == "paper":
        pytest.skip("hours; its parts are tested one by one")
    if words[0] == "train":
        method = words[words.index("--method") + 1]
        small = [f"{method}.{s}" for s in SMALL[method]] + ["eval.valid=2", "eval.test=2", "env.max_steps=6"]
        words += [w for s in small for w in ("--set", s)]
    done = subprocess.run(
        [sys.executable, "-m", "agentgym.cli", *words],
        capture_output=True, text=True, cwd=place, env=os.environ | {"PYTHONPATH": _path()}, timeout=900,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]


def test_ci_installs_and_tests_as_the_readme_says() -> None:
    script = (ROOT / ".ci" / "run").read_text()
    [line] = [b for b in blocks("bash") if "pytest" in b]
    install, test = (p.strip() for p in line.split("&&")[2:4])
    assert install in script and test in script
