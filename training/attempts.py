"""Several attempts at one question: what such a world must offer, more replies to one state, and what they came to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ..agents.core import Decision
from ..agents.teachers import turns
from ..envs.core import TextEnv
from ..envs.reasoning.grade import answer_part
from ..envs.reasoning.metrics import Bools, edited, voted
from ..envs.reasoning.turns import Attempts
from ..memory.core import Turn
from ..memory.trajectory import Trajectory
from .evaluate import mean_ci, paired, proportion

if TYPE_CHECKING:
    from .lab import Lab


DIFFERENCES = ("delta", "gain")  # of `summary`: means of differences; the rest are shares


def require(method: str, env: TextEnv) -> Attempts:
    """Return the world as one in which a verifier judges several attempts at one question.

    Raises:
        ValueError: it is none, or gives a single attempt.
    """
    if not isinstance(env, Attempts):
        raise ValueError(
            f"{method} corrects earlier attempts at one question, which {type(env).__name__} has no verifier for: "
            "take --env reasoning, or wrap a world of single turns in agentgym.envs.reasoning.Retry"
        )
    if env.turns < 2:
        raise ValueError(f"env.turns={env.turns}: {method} corrects earlier attempts, so it needs at least 2")
    return env


def propose(lab: Lab, states: Sequence[Turn], n: int, temperature: float, *key: int) -> list[list[Decision]]:
    """Return n replies of the student to each state, drawn apart from each other."""
    policy = lab.student.policy(temperature)
    policy.begin(int(lab.rng(19, *key).integers(2**31)))
    asked = [[replace(state, episode=i * n + j) for j in range(n)] for i, state in enumerate(states)]
    out: list[list[Decision]] = []
    width = max(1, lab.batch // n)
    for at in range(0, len(asked), width):
        some = asked[at : at + width]
        done = [[d] for d in policy.act([first for first, *_ in some])]
        for first, *others in some:
            policy.fork(first.episode, [turn.episode for turn in others])
        rest = iter(policy.act([turn for _, *others in some for turn in others]) if n > 1 else [])
        out += [row + [next(rest) for _ in range(n - 1)] for row in done]
        for turn in (turn for row in some for turn in row):
            policy.release(turn.episode)
    return out


def judge(env: TextEnv, task: str, replies: Sequence[str]) -> list[float]:
    """Return the verifier's reward of each reply, given as the first attempt at a task."""
    rewards: dict[str, float] = {}
    for reply in dict.fromkeys(replies):
        env.reset(options={"task": task})
        rewards[reply] = float(env.step(reply)[1])
    return [rewards[r] for r in replies]


def right(played: Sequence[Trajectory], attempts: int) -> Bools:
    """Return whether each attempt was right, (N, T); what ended early stays as it ended."""
    rows = [[s.reward >= 1 for s in t.steps] for t in played]
    return np.array([row + row[-1:] * (attempts - len(row)) for row in rows], dtype=bool)


def answers(played: Sequence[Trajectory], attempts: int) -> list[list[str]]:
    """Return what each attempt gave as its answer, (N, T); what ended early stays as it ended."""
    rows = [[said(s.action) for s in t.steps] for t in played]
    return [row + row[-1:] * (attempts - len(row)) for row in rows]


def said(reply: str) -> str:
    """Return the answer in a reply, in the form in which answers are compared."""
    return answer_part(reply).strip(" .")


def summary(hits: Bools, given: Sequence[Sequence[str]]) -> dict[str, Any]:
    """Return RISE's and SCoRe's numbers with their 95 % intervals.

    Source: RISE arXiv 2407.18219, Sec. 5 (m1@tT: the majority of T attempts in turn; p1@tT: an oracle stops at the
    right one); SCoRe arXiv 2409.12917, Sec. 3 (Δ = i→c − c→i), Sec. 4 (edit rate).

    Args:
        hits, given: right or wrong and the answer of each attempt, (N, T).
    Returns:
        acc@t1 (which is m1@t1), acc@tT, delta, i->c, c->i, edits, m1@tT, p1@tT, and gain: m1@tT − m1@t1. Differences
        are paired: their interval is that of the mean over problems.
    """
    t = hits.shape[1]
    first, last, vote = hits[:, 0], hits[:, -1], voted(given, hits)

    def difference(a: Bools, b: Bools) -> dict[str, Any]:
        return paired(a.tolist(), b.tolist())

    return {
        "attempts": t,
        "acc": hits.mean(0).tolist(),
        "acc@t1": proportion(first.tolist()),
        f"acc@t{t}": proportion(last.tolist()),
        "delta": difference(last, first),
        "i->c": proportion((~first & last).tolist()),
        "c->i": proportion((first & ~last).tolist()),
        "edits": proportion(edited(given).tolist()),
        f"m1@t{t}": proportion(vote.tolist()),
        f"p1@t{t}": proportion([bool(any(row)) for row in hits]),
        "gain": difference(vote, first),
    }


def measure(lab: Lab, env: Attempts, played: Sequence[Trajectory], temperature: float = 1.0) -> dict[str, Any]:
    """Return `summary` of evaluation episodes, and mT@t1: the majority of T parallel first attempts, as costly as T in turn.

    The attempts in turn are as the student is evaluated, greedy; parallel ones must differ and are drawn at
    `temperature`. mean@t1 is the accuracy of a single one of them.
    """
    k = env.turns
    states = [next(turns(t, lab.make_memory())) for t in played]
    drawn = [[d.action for d in ds] for ds in propose(lab, states, k, temperature, 13)]
    judged = [judge(env, t.task, replies) for t, replies in zip(played, drawn, strict=True)]
    hits = np.array([[r >= 1 for r in row] for row in judged], dtype=bool)
    votes = voted([[said(r) for r in row] for row in drawn], hits)
    parallel = {f"m{k}@t1": proportion(votes.tolist()), "mean@t1": mean_ci(hits.mean(1).tolist())}
    return summary(right(played, k), answers(played, k)) | parallel


def tell(row: dict[str, Any]) -> str:
    """Return a line on the attempts of an evaluation."""
    t = row["attempts"]

    def share(name: str, sign: str = "") -> str:
        low, high = row[name]["ci95"]
        return f"{row[name]['mean']:{sign}.3f} [{low:{sign}.3f}, {high:{sign}.3f}]"

    return (
        f"m1@t1 {share('acc@t1')}, m{t}@t1 {share(f'm{t}@t1')}, m1@t{t} {share(f'm1@t{t}')}, p1@t{t} {share(f'p1@t{t}')}; "
        f"acc@t{t} {share(f'acc@t{t}')}, delta {share('delta', '+')}, i->c {row['i->c']['mean']:.3f}, "
        f"c->i {row['c->i']['mean']:.3f}, edits {row['edits']['mean']:.3f}"
    )
