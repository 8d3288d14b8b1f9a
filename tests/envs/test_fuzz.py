"""The million strings of benchmarks/fuzz.py in small."""

from __future__ import annotations

import random

import pytest
from agentgym.envs import TextEnv, listing, make
from agentgym.envs.fuzz import fuzz, nonsense


def test_no_world_raises_at_any_string() -> None:
    for row in listing():
        if row["available"] and row["id"] not in ("bash", "miniwob"):  # their own tests say some
            tally = fuzz(lambda name=row["id"]: make(name), 300, seed=1)
            assert tally.strings >= 300 and tally.invalid > 60, row["id"]


def test_the_same_seed_says_the_same_strings_of_every_kind() -> None:
    said, again = ([nonsense(rng, ("go north", "look")) for _ in range(2000)] for rng in map(random.Random, (3, 3)))
    assert said == again
    assert {"", "\0", "\ud800", "go north"} <= set(said)
    assert any(ord(c) > 0xFFFF for text in said for c in text) and max(map(len, said)) > 300


class Deaf(TextEnv):
    """Answers all but one character."""

    def tasks(self, split):
        return [split]

    def _begin(self, task):
        return "Speak.", self.told()

    def _act(self, action):
        return str(action.encode()), 0.0, False, self.told()

    def told(self):
        return {"goal": "", "admissible": None, "success": False, "score": 0.0, "task": "train", "invalid": True}


def test_a_world_that_cannot_bear_a_string_is_found_with_the_string() -> None:
    heard: list[str] = []
    with pytest.raises(UnicodeEncodeError):
        fuzz(Deaf, 5000, watch=heard.append)
    assert "\\ud" in heard[-1]
