"""The environment that `agentgym new-env` writes: twenty-five lines that keep the contract."""

from __future__ import annotations

import keyword
from pathlib import Path

SOURCE = '''from agentgym.envs import TextEnv


class NAME(TextEnv):
    """Guess a number. Actions: 0 to 9. Reward: 1 when right. The world says higher or lower; ten steps."""

    max_steps = 10

    def tasks(self, split):
        first = {"train": 0, "valid": 700, "test": 800}[split]
        return [f"{split}/{i}" for i in range(first, first + 100)]

    def _begin(self, task):
        self.task, self.number = task, int(task.split("/")[1]) * 7 // 3 % 10
        return "I think of a digit.", self.told()

    def _act(self, action):
        if action not in tuple("0123456789"):  # bad text never raises: say so, and go on
            return "Say a digit.", 0.0, False, self.told(invalid=True)
        won = int(action) == self.number
        return ("right", "higher", "lower")[not won and 1 + (int(action) > self.number)], float(won), won, self.told(won)

    def told(self, won=False, invalid=False):
        return {"goal": "guess the digit", "admissible": tuple("0123456789"), "success": won, "score": float(won),
                "task": self.task, "invalid": invalid}
'''


def write(name: str, folder: Path) -> tuple[Path, str]:
    """Write `name.py` with the template and return its path and its class, `my_env` becoming `MyEnv`.

    Raises:
        ValueError: the name is no Python name, or the file is there already.
    """
    stem = name.removesuffix(".py")
    if not stem.isidentifier() or keyword.iskeyword(stem):
        raise ValueError(f"new-env {name!r}: needs a Python name of letters, digits and _, for example my_env")
    path = folder / f"{stem}.py"
    cls = "".join(part[:1].upper() + part[1:] for part in stem.split("_")) or "MyEnv"
    if not cls.isidentifier() or cls == "TextEnv":
        cls = f"{cls}World" if cls.isidentifier() else f"World{cls}"
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(SOURCE.replace("NAME", cls))
    except FileExistsError:
        raise ValueError(f"new-env {name!r}: {path} is there already; choose another name") from None
    return path, cls
