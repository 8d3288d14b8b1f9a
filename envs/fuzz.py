"""Strings of any kind, said to a world that must answer every one of them."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .either import Told, begin, tell

if TYPE_CHECKING:  # PettingZoo is imported when a world of several agents is
    from .core import TextEnv
    from .team import TeamEnv

ODD = (
    "", " ", "\n", "\t", "\0", "\x1b[2J", "\r\n", "\ud800", "\U0010ffff", "\u202e", "ß", "İ", "²", "٣", "é" * 300,
    "xyzzy", "go to", "go to bed 999", "ACTION: look", "search[", "click[]", "search[[", "type 0 \"", "tap 1e9 -1",
    "{}[]()\"'\\", '{"action_type": 1}', '{"action_type":"click","index":-1}', "[" * 400, "{" * 400, "9" * 400, "-0",
    "nan", "1e999", "0x10", "%s%n", "';--", "SELECT", "SELECT 1;;", "PRAGMA x", "$(", "`", "|", "\\boxed{", "####",
    "<|action|>", "</s>", "take the " * 40, "None", "PUT", "PUT a ON a", "MOVE", "submit it", "EXECUTE",
)  # fmt: skip


@dataclass(slots=True)
class Tally:
    """What was said to a world. invalid: strings that meant nothing. slowest_s: the longest answer, in seconds."""

    strings: int = 0
    episodes: int = 0
    invalid: int = 0
    seconds: float = 0.0
    slowest_s: float = 0.0


def nonsense(rng: random.Random, listed: tuple[str, ...]) -> str:
    """Return a string of any kind: odd ones, letters of any script, and listed actions, whole or damaged."""
    how = rng.random()
    if how < 0.15:
        return rng.choice(ODD)
    if how < 0.40 or not listed:
        top = rng.choice((0x7F, 0x2FFF, 0x110000))
        return "".join(map(chr, rng.choices(range(top), k=rng.randrange(40))))
    text = rng.choice(listed)
    if how < 0.55:
        return text
    at = rng.randrange(len(text) + 1)
    if how < 0.70:
        return text[:at] + chr(rng.randrange(0x300)) + text[at:]
    if how < 0.80:
        return text[:at]
    if how < 0.90:
        return text[:at] + rng.choice(ODD) + text[at:]
    return rng.choice((text.upper(), text * 20, f" {text}\n", text[::-1], f"{text} {rng.choice(listed)}"))


def fuzz(
    make: Callable[[], TextEnv | TeamEnv], strings: int, seed: int = 0, watch: Callable[[str], None] = lambda said: None
) -> Tally:
    """Say that many strings to a world, episode after episode, and return what came of it; what it raises goes through.

    watch: called with every string before it is said.
    """
    rng, tally, env = random.Random(seed), Tally(), make()
    tasks = env.tasks("train")
    start = time.perf_counter()
    infos: Told = {}
    while tally.strings < strings:
        if not infos:
            infos = begin(env, tasks[rng.randrange(len(tasks))], seed)
            tally.episodes += 1
        texts = {name: nonsense(rng, info["admissible"] or ()) for name, info in infos.items()}
        watch(repr(texts))
        said = time.perf_counter()
        infos, over = tell(env, texts)
        tally.slowest_s = max(tally.slowest_s, time.perf_counter() - said)
        tally.strings += len(texts)
        if not all("invalid" in info for info in infos.values()):
            raise ValueError("info lacks 'invalid' after a step")
        tally.invalid += sum(info["invalid"] for info in infos.values())
        infos = {} if over else infos
    env.close()
    tally.seconds = time.perf_counter() - start
    return tally
