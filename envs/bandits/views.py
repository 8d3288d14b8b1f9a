"""How a bandit reads: pure functions of what was pulled and paid, the same for acting, examples and training.

Source: the prompt forms of EVOLvE (arXiv 2410.06238): RH raw history, SH summary of it, AG summary with an algorithm's
guide. Line forms and the question are the package's; the scenarios' words are ours.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from string import ascii_uppercase
from typing import Any

import numpy as np

from ..errors import choice
from .algorithms import bonus

VIEWS = ("RH", "SH", "AG")
_CHOICES = re.compile(r"RESPOND ONLY WITH \[(.*)\] AND NO TEXT")


@dataclass(frozen=True, slots=True)
class Scenario:
    """The story around a bandit: what an arm is called, and the words that open an episode."""

    unit: str
    base: str
    names: tuple[str, ...]


@lru_cache
def _data() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((Path(__file__).parent / "scenarios.json").read_text("utf-8"))
    return loaded


def scenario(name: str, arms: int) -> Scenario:
    """Return a scenario with its first `arms` names; ads and videos are A to Z, then AA, AB and on.

    Raises:
        ValueError: there is no such scenario, or it has not so many names.
    """
    told = {k: v for k, v in _data().items() if isinstance(v, dict)}
    row = told[choice("scenario", name, list(told))]
    letters = [*ascii_uppercase, *(a + b for a in ascii_uppercase for b in ascii_uppercase)]
    every = row["names"] or letters
    if not 2 <= arms <= len(every):
        raise ValueError(f"arms={arms}: scenario {name!r} has from 2 to {len(every)}; 'video' has {len(letters)}")
    return Scenario(row["unit"], row["base"], tuple(every[:arms]))


def goal(s: Scenario, horizon: int) -> str:
    """Return the goal in words.

    >>> goal(scenario("video", 2), 40)
    'Choose a video 40 times and earn as much reward as you can.'
    """
    article = "an" if s.unit[0] in "aeiou" else "a"
    return f"Choose {article} {s.unit} {horizon} times and earn as much reward as you can."


def instruction(s: Scenario, horizon: int, sd: float | None, detailed: bool = True) -> str:
    """Return what opens an episode: the story, the kind of reward, the goal, and in `detailed` the idea of a strategy."""
    law = (
        "Each reward is 0 or 1."
        if sd is None
        else f"Rewards scatter around the mean of each {s.unit} with a standard deviation of {sd:g}."
    )
    story = s.base.format(k=len(s.names), names=", ".join(s.names))
    strategy = "\n\n" + str(_data()["strategy"]).format(unit=s.unit) if detailed else ""
    return f"{story} {law} {goal(s, horizon)}{strategy}"


def header(n: int) -> str:
    """Return the line above every history."""
    return f"So far you have interacted {n} times with the following choices and rewards:\n"


def number(reward: float, sd: float | None) -> str:
    """Return a reward in writing: 0 or 1, or all the digits of a real one.

    >>> number(1.0, None), number(0.25, 1.0)
    ('1', '0.25')
    """
    return str(int(reward)) if sd is None else repr(reward)


def line(s: Scenario, arm: int, reward: float, sd: float | None) -> str:
    """Return one pull of a raw history.

    >>> line(scenario("video", 2), 0, 1.0, None)
    'A video, reward 1'
    """
    return f"{s.names[arm]} {s.unit}, reward {number(reward, sd)}"


def raw(s: Scenario, arms: Sequence[int], rewards: Sequence[float], sd: float | None) -> str:
    """Return RH: one line a pull."""
    return "".join("\n" + line(s, a, r, sd) for a, r in zip(arms, rewards, strict=True))


def summary(s: Scenario, n: Sequence[int], total: Sequence[float], alpha: float | None = None) -> str:
    """Return SH: one line an arm; with α, AG: the same with UCB's bonus and the average that it is added to.

    >>> print(summary(scenario("video", 2), [2, 0], [2.0, 0.0], alpha=0.5))
    <BLANKLINE>
    A video, 2 times, average reward 1.00 exploration bonus 0.42, exploitation value 1.00
    B video, 0 times, average reward 0.00 exploration bonus inf, exploitation value 0.00
    """
    guide = [] if alpha is None else bonus(np.array(n, dtype=np.float64), sum(n), alpha).tolist()
    out = ""
    for a, name in enumerate(s.names):
        mean = total[a] / max(n[a], 1)
        out += f"\n{name} {s.unit}, {n[a]} times, average reward {mean:.2f}"
        if guide:
            out += f" exploration bonus {guide[a]:.2f}, exploitation value {mean:.2f}"
    return out


def history(
    view: str, s: Scenario, arms: Sequence[int], rewards: Sequence[float], sd: float | None, keep: int = 1000
) -> str:
    """Return the history in one of the three forms; RH shows the last `keep` pulls, as the package does."""
    if view == "RH":
        return raw(s, arms[-keep:], rewards[-keep:], sd)
    k = len(s.names)
    n = np.bincount(np.array(arms, dtype=np.int64), minlength=k).tolist()
    total = np.bincount(np.array(arms, dtype=np.int64), np.array(rewards, dtype=np.float64), minlength=k).tolist()
    return summary(s, n, total, alpha=0.5 if view == "AG" else None)


def question(s: Scenario) -> str:
    """Return the question that ends a prompt.

    >>> print(question(scenario("video", 2)).strip())
    Which video will you choose next? PLEASE RESPOND ONLY WITH [A, B] AND NO TEXT EXPLANATION.
    """
    listed = ", ".join(s.names)
    return f"\n\nWhich {s.unit} will you choose next? PLEASE RESPOND ONLY WITH [{listed}] AND NO TEXT EXPLANATION."


def choices(text: str) -> list[str]:
    """Return the arms that a prompt's question lists, in its order; none where there is no question.

    >>> choices(question(scenario("video", 3)))
    ['A', 'B', 'C']
    """
    found = _CHOICES.search(text)
    return found[1].split(", ") if found else []


def few_shot(examples: Sequence[tuple[str, str]]) -> str:
    """Return demonstrations, (prompt, choice) each, to set before a prompt; EVOLvE takes them from one oracle episode.

    >>> few_shot([]) == ""
    True
    """
    if not examples:
        return ""
    bar = "=" * 24
    shown = "".join(f"{bar}\n{prompt}\n{choice}\n" for prompt, choice in examples)
    return f"\nHere are choices that a good strategy made. Let them guide your own.\n{shown}{bar}\n"
