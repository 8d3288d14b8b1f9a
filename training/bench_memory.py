"""What memories and critics cost and keep, in CPU time so that other work on the machine does not count."""

from __future__ import annotations

import difflib
import random
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..agents.models import cache
from ..agents.tiny import base_folder
from ..envs import listing, make
from ..memory import DiffMemory, FullMemory, make_memory
from ..memory.core import Counter
from ..memory.diff import CODECS

BUDGET = 4096
CAP = 64
_POOL = ("", "a", "b", "a b", "@@ -1 +1 @@", "=x", "+p", "-m", "~1:0,1 x", "é\u2028", "\x85", "> look", "🜁 z", " ")
Row = tuple[str, float, str, str | None, float | None]


def rows(say: Callable[[str], None], pairs: int = 1_000_000, steps: int = 300) -> list[Row]:
    """Return rows of name, value, unit, peer, peer's value. pairs: to rebuild. steps: of each NetHack game."""
    out = [*_pairs(say, pairs), *_worlds(say), *_critic(say)]
    try:
        games = {view: _nethack(view, steps) for view in ("screen", "language")}
    except ImportError as error:
        say(f"left out: {error}")
        return out
    tokens, name = _tokens()
    for view, game in games.items():
        say(f"nethack, {view}: {sum(map(len, game))} observations, tokens of {name}")
        out += [*_append(view, game), *_prompt(view, game, tokens), *_compression(view, game, tokens)]
    return out


def _us(start: float, n: int) -> float:
    return (time.process_time() - start) / n * 1e6


def random_texts(rng: random.Random, n: int) -> Iterator[str]:
    """Yield n observations of short lines, marks and odd characters among them; half change the last in one place."""
    lines = rng.choices(_POOL, k=rng.randrange(9))
    for _ in range(n):
        if rng.random() < 0.5 and lines:
            lines = [*lines]
            lines[rng.randrange(len(lines))] = rng.choice(_POOL)
        else:
            lines = rng.choices(_POOL, k=rng.randrange(9))
        yield "\n".join(lines)


def rebuilt(texts: Sequence[str], codec: str) -> tuple[int, int]:
    """Return how many observations a diff history gives back otherwise than they were, and how many it lengthens.

    The mark "=" before an observation that could be taken for a patch is not counted as length.
    """
    memory = DiffMemory(codec, count=len)
    memory.begin("goal", texts[0], {})
    for text in texts[1:]:
        memory.record("a", text, {})
    wrong = sum(x != y for x, y in zip(memory.observations(), texts, strict=True))
    said = memory.view().segments[2::2]
    longer = sum(len(s.text.removeprefix("=")) > len(t) for s, t in zip(said, texts[1:], strict=True))
    return wrong, longer


def _pairs(say: Callable[[str], None], pairs: int, length: int = 50) -> list[Row]:
    say(f"{pairs} random pairs of observations")
    rng = random.Random(0)
    done = wrong = longer = 0
    while done < pairs:
        codec = CODECS[done // length % len(CODECS)]
        texts = list(random_texts(rng, length + 1))
        bad, long = rebuilt(texts, codec)
        done, wrong, longer = done + length, wrong + bad, longer + long
    return [
        ("random pairs rebuilt", float(done), "pairs", None, None),
        ("random pairs rebuilt otherwise", float(wrong), "pairs", None, None),
        ("random pairs longer as a diff than in full", float(longer), "pairs", None, None),
    ]


def _worlds(say: Callable[[str], None], steps: int = 40) -> list[Row]:
    """Play an episode at random in every world of one agent that runs here, and rebuild it with every codec."""
    rng = random.Random(0)
    played = wrong = 0
    for row in listing():
        if row["agents"] != 1 or not row["available"]:
            continue
        env = make(row["id"])
        observation, info = env.reset(options={"task": env.tasks("test")[0]})
        texts = [observation]
        while len(texts) <= steps:
            observation, _, over, cut, info = env.step(rng.choice(info.get("admissible") or ("look", "help", "1")))
            texts.append(observation)
            if over or cut:
                break
        env.close()
        played += 1
        wrong += sum(rebuilt(texts, codec)[0] for codec in CODECS)
    say(f"{played} worlds")
    return [
        ("worlds whose episode is rebuilt by every codec", float(played), "worlds", None, None),
        ("observations of these rebuilt otherwise", float(wrong), "observations", None, None),
    ]


def _nethack(view: str, steps: int, games: int = 4) -> list[list[str]]:
    """Return the observations of games by a walker that keeps its direction most of the time."""
    rng = random.Random(0)
    env = make("nethack", view=view)
    ways = [a for a in env.actions if a in ("north", "east", "south", "west") or a.startswith("far ")]  # type: ignore[attr-defined]
    out = []
    for task in env.tasks("test")[:games]:
        observation, _ = env.reset(options={"task": task})
        texts, way = [observation], rng.choice(ways)
        while len(texts) <= steps:
            way = rng.choice(ways) if rng.random() < 0.3 else way
            act = rng.choice(("search", "kick", "open")) if rng.random() < 0.1 else way
            observation, _, over, cut, _ = env.step(act)
            texts.append(observation)
            if over or cut:
                break
        out.append(texts)
    env.close()
    return out


def _tokens() -> tuple[Counter, str]:
    """Return the token counter of SmolLM2's tokenizer where it is on this machine, else of tiny's, and its name."""
    from transformers import PreTrainedTokenizerFast

    here = (cache() / "smollm2" / "tokenizer.json").is_file()
    tokenizer = PreTrainedTokenizerFast.from_pretrained(cache() / "smollm2" if here else base_folder())
    return lambda text: len(tokenizer.encode(text, add_special_tokens=False)), "smollm2" if here else "tiny"


def paper_diff(a: str, b: str) -> str:
    """Return the diff of two observations as diff history's release makes it (arXiv 2312.07540)."""
    lines = difflib.unified_diff(a.strip().splitlines(), b.strip().splitlines(), n=0, lineterm="")
    return "\n".join(list(lines)[2:])


def paper_prompt(texts: Sequence[str], diffs: Sequence[str], t: int, tokens: Counter) -> tuple[str, int]:
    """Return the prompt before step t as that release builds it, and how often it was tokenised.

    The full observation `h` steps back, then the diffs since; h is lowered by one, and everything joined and tokenised
    again, until it fits. Kinder than the release: the diffs are at hand, not made again.
    """
    tried = 0
    for h in range(min(CAP, t), -1, -1):
        said = (f"\n<|action|>far east\n<|observation|>\n{d}" for d in diffs[t - h : t])
        prompt = texts[t - h] + "".join(said)
        tried += 1
        if tokens(prompt) <= BUDGET:
            return prompt, tried
    return texts[t], tried


def _append(view: str, games: Sequence[Sequence[str]]) -> list[Row]:
    n = sum(len(g) - 1 for g in games)
    start = time.process_time()
    for g in games:
        for a, b in zip(g, g[1:], strict=False):
            paper_diff(a, b)
    peer = _us(start, n)
    out: list[Row] = []
    for codec in ("u0", "forward", "cells"):
        memories = [DiffMemory(codec, count=len) for _ in games]
        for memory, g in zip(memories, games, strict=True):
            memory.begin("goal", g[0], {})
        start = time.process_time()
        for memory, g in zip(memories, games, strict=True):
            for text in g[1:]:
                memory.record("far east", text, {})
        out.append((f"nethack {view}: append, {codec}", _us(start, n), "µs", "the paper's diff", peer))
    return out


def _prompt(view: str, games: Sequence[Sequence[str]], tokens: Counter, sample: int = 5) -> list[Row]:
    spent = 0.0
    asked = 0
    for g in games:
        diffs = [paper_diff(a, b) for a, b in zip(g, g[1:], strict=False)]
        for t in np.linspace(len(g) // 2, len(g) - 1, sample).astype(int):
            start = time.process_time()
            paper_prompt(g, diffs, int(t), tokens)
            spent += time.process_time() - start
            asked += 1
    out: list[Row] = []
    for codec in ("u0", "forward", "cells"):
        memory = make_memory(f"diff:{codec},budget={BUDGET}", tokens)
        cost, n = 0.0, 0
        for g in games:
            memory.begin("goal", g[0], {})
            start = time.process_time()
            for text in g[1:]:
                memory.record("far east", text, {})
                memory.view()
            cost += time.process_time() - start
            n += len(g) - 1
        name = f"nethack {view}: prompt of {BUDGET} tokens, {codec}"
        out.append((name, cost / n * 1e3, "ms a step", "the paper's loop", spent / asked * 1e3))
    return out


def _compression(view: str, games: Sequence[Sequence[str]], tokens: Counter) -> list[Row]:
    def after(memory: FullMemory, g: Sequence[str]) -> int:
        memory.begin("goal", g[0], {})
        first = memory.view().tokens
        for text in g[1:]:
            memory.record("", text, {})
        return memory.view().tokens - first

    whole = sum(after(FullMemory(tokens), g) for g in games)
    return [
        (f"nethack {view}: tokens in full over {codec}", whole / sum(after(DiffMemory(codec, tokens), g) for g in games),
         "times", None, None)
        for codec in ("paper", "u0", "forward", "cells")
    ]  # fmt: skip


def _critic(say: Callable[[str], None], n: int = 4096, steps: int = 150, batch: int = 256) -> list[Row]:
    import torch

    from ..agents.critics import CachedFeatures, Critic, HashedFeatures
    from .critics import Transitions, fit

    say("critics on cached features")
    out: list[Row] = []
    rng = np.random.default_rng(0)
    for size in (256, 2048):
        critic = Critic(HashedFeatures(size))
        q, v, after = (torch.from_numpy(rng.standard_normal((n, size)).astype(np.float16)) for _ in range(3))
        r, ends = torch.from_numpy(rng.random(n).astype(np.float32)), torch.from_numpy(rng.random(n) < 0.1)
        data = Transitions(q, v, after, r, r, ends, ("",) * n, ("",) * n, torch.zeros(n, dtype=torch.long))
        start = time.process_time()
        fit(critic, data, objective="td", steps=steps, batch=batch, rng=rng)
        rate = steps * batch / (time.process_time() - start)
        out.append((f"critic, TD on {size} features", rate, "transitions per CPU-second", None, None))
    texts = [" ".join(f"word{j % 97} {i}" for j in range(300)) for i in range(min(n, 500))]
    with tempfile.TemporaryDirectory() as scratch:
        features: Any = CachedFeatures(HashedFeatures(2048), Path(scratch) / "features")
        features(texts, texts)
        start = time.process_time()
        for _ in range(10):
            features(texts, texts)
        out.append(("feature cache, a hit", _us(start, 10 * len(texts)), "µs", None, None))
        start = time.process_time()
        for text in texts:
            features([text], [text])
        out.append(("feature cache, a hit asked for alone", _us(start, len(texts)), "µs", None, None))
    return out
