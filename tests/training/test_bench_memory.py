"""The memory benchmark's own checks: they see what is wrong, and the peer is the loop that it stands for."""

from __future__ import annotations

import random

import pytest
from agentgym.memory import DiffMemory, diff
from agentgym.memory.diff import CODECS
from agentgym.training import bench_memory
from agentgym.training.bench_memory import paper_diff, paper_prompt, random_texts, rebuilt


@pytest.mark.parametrize("codec", CODECS)
def test_random_observations_are_rebuilt_and_never_lengthened(codec: str) -> None:
    assert rebuilt(list(random_texts(random.Random(1), 2000)), codec) == (0, 0)


def test_the_check_sees_a_history_that_is_wrong_or_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = list(random_texts(random.Random(1), 400))
    with monkeypatch.context() as patch:
        patch.setattr(diff, "decode", lambda lines, said: [*lines])
        assert rebuilt(texts, "u0")[0] > 0
    monkeypatch.setattr(DiffMemory, "_say", lambda self, text: f"={text} and more")
    assert rebuilt(texts, "u0")[1] == 399


def test_the_papers_prompt_is_the_longest_that_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [f"line {i}\nthe same" for i in range(40)]
    diffs = [paper_diff(a, b) for a, b in zip(texts, texts[1:], strict=False)]
    assert diffs[0] == "@@ -1 +1 @@\n-line 0\n+line 1"
    monkeypatch.setattr(bench_memory, "BUDGET", 800)
    prompt, tried = paper_prompt(texts, diffs, 39, len)
    h = prompt.count("<|action|>")
    assert len(prompt) <= 800 and tried == 39 - h + 1 and prompt.startswith(texts[39 - h])
    monkeypatch.setattr(bench_memory, "BUDGET", len(prompt) - 1)
    assert paper_prompt(texts, diffs, 39, len)[0].count("<|action|>") == h - 1


def test_critics_and_their_cache_are_timed() -> None:
    rows = bench_memory._critic(lambda _: None, n=64, steps=3, batch=16)
    assert len(rows) == 4 and all(r[1] > 0 for r in rows)
