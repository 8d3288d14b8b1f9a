"""How the base weights of `tiny` were made: next token on every token of play that knows nothing privileged.

Two kinds of play in train rooms. Random play does anything that is admissible. Searching play looks for the thing that
the task names, by a searching expert who is led astray at random, picks it up, and from there plays at random: it
shows how the world speaks, how to look and how to tell the thing that is asked for, and never how a task is solved.
"""

from __future__ import annotations

import hashlib
import json
import math
import random
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..agents import tiny, tokenizer
from ..envs.core import TextEnv
from ..envs.errors import at_least
from . import update
from .losses import token_logps, weighted_nll

# (opening text, goal, steps of (said, heard, whether the expert said it))
Transcript = tuple[str, str, list[tuple[str, str, bool]]]


HELD = 200  # transcripts by which the fit is judged


@dataclass(frozen=True)
class Pretraining:
    """How long, and on how much play.

    episodes: transcripts. steps: of training. lr: the embeddings' rate; the matrices' is ten times it.
    batch_tokens: padded tokens a step. action_weight: weight of a token of an expert's action over any other.
    rename: share of the episodes whose things swap names, so that a name must be copied and cannot be remembered.
    searching: share of searching play; the rest is random. detours: shares of random actions within it, one drawn for
    each transcript. games: train games that are generated for it. compiled: whether torch.compile fuses the loss, which
    is faster and needs a C++ compiler. width, layers, heads: the shape. seed: of everything.
    """

    episodes: int = 80_000
    steps: int = 12_000
    lr: float = 2e-3
    batch_tokens: int = 4096
    action_weight: float = 8.0
    rename: float = 0.5
    searching: float = 0.85
    detours: tuple[float, ...] = (0.0, 0.0, 0.1, 0.25)
    games: int = 30_000
    compiled: bool = False
    width: int = 256
    layers: int = 3
    heads: int = 4
    seed: int = 0

    def __post_init__(self) -> None:
        at_least(HELD + 1, "pretraining: ", episodes=self.episodes)
        at_least(1, "pretraining: ", steps=self.steps, batch_tokens=self.batch_tokens, games=self.games)


def interact(admissible: Sequence[str], rng: random.Random) -> str:
    """Return a random action that favours doing over walking and talking."""
    walks = [a for a in admissible if a.startswith("go to")]
    talk = {"help", "inventory", "look"}
    deeds = [a for a in admissible if not a.startswith(("go to", "examine", "close")) and a not in talk]
    draw = rng.random()
    if deeds and draw < 0.55:
        return rng.choice(deeds)
    return rng.choice(walks) if walks and draw < 0.97 else rng.choice(list(admissible))


def play(env: TextEnv, task: str, rng: random.Random, plan: Pretraining) -> Transcript:
    """Return one transcript of random or searching play."""
    first, info = env.reset(options={"task": task})
    out: list[tuple[str, str, bool]] = []
    if rng.random() >= plan.searching:
        for _ in range(rng.choice([10, 20, 30])):
            action = interact(info["admissible"], rng)
            observation, _, over, cut, info = env.step(action)
            out.append((action, observation, False))
            if over or cut:
                break
        return first, str(info["goal"]), out
    expert = env.searcher()
    expert.begin(info["goal"], first, info)  # type: ignore[arg-type]
    detour = rng.choice(plan.detours)
    places = [a for a in info["admissible"] if a.startswith("go to")]
    left: int | None = None
    while left != 0:
        found = expert.act(rng.choice(places) if rng.random() < 0.15 else None)
        led = left is None and rng.random() >= detour
        action = found if led else interact(info["admissible"], rng)
        if left is not None:
            left -= 1
        elif action == found and found.startswith("take "):
            left = rng.choice([0, 0, 2, 4])
        observation, _, over, cut, info = env.step(action)
        expert.observe(action, observation, info)  # type: ignore[arg-type]
        out.append((action, observation, led))
        if over or cut:
            break
    return first, str(info["goal"]), out


def transcripts(env: TextEnv, plan: Pretraining) -> list[Transcript]:
    """Return the play of a pretraining, in train tasks only."""
    rng = random.Random(plan.seed)
    tasks = list(env.tasks("train"))
    return [play(env, tasks[i % len(tasks)], rng, plan) for i in range(plan.episodes)]


def encode(
    transcript: Transcript, words: Callable[[str], Sequence[int]], cut: int = 640
) -> tuple[list[int], list[int]]:
    """Return the ids of a transcript as `MarkedRenderer` lays it out, and 1 where the expert speaks."""
    first, goal, steps = transcript
    ids = [1, 2, *words(first)]
    action = [0] * len(ids)
    again = words(" " + goal)
    for said, heard, led in steps:
        said_ids, heard_ids = words(" " + said), words(heard)
        ids += [*again, 3, *said_ids, 2, *heard_ids]
        action += [*[0] * (len(again) + 1), *[int(led)] * (len(said_ids) + 1), *[0] * len(heard_ids)]
    return ids[:cut], action[:cut]


def things(texts: Sequence[str]) -> list[str]:
    """Return the names of what can be carried: names that are taken, never gone to."""
    taken = {m for t in texts for m in re.findall(r"^take ([a-z]+) \d+", t)}
    return sorted(taken - {m for t in texts for m in re.findall(r"^go to ([a-z]+) \d+", t)})


def pretrain(
    env: TextEnv, plan: Pretraining, out: Path, log: Callable[[dict[str, Any]], None] | None = None
) -> dict[str, Any]:
    """Mine the tokenizer, train the weights, and write both with a record of how they came about."""
    play_ = transcripts(env, plan)
    digest = hashlib.sha256(json.dumps(play_).encode()).hexdigest()[:16]
    texts = [t for f, g, steps in play_[:1500] for t in [f, " " + g, *(x for a, o, _ in steps for x in (" " + a, o))]]
    tok = tokenizer.build(*tokenizer.mine(texts))
    cache: dict[str, tuple[int, ...]] = {}

    def words(text: str) -> tuple[int, ...]:
        if text not in cache:
            cache[text] = tuple(tok.encode(text, add_special_tokens=False))
        return cache[text]

    rows = [encode(t, words) for t in play_]
    swap = torch.tensor([words(" " + name)[0] for name in things([a for _, _, s in play_ for a, _, _ in s])])
    model = tiny.fresh(len(tok), plan.seed, width=plan.width, layers=plan.layers, heads=plan.heads)
    curve = _train(model, rows[:-HELD], rows[-HELD:], swap, plan, log, lambda: tiny.save(model, tok, out))
    record = {
        "plan": asdict(plan), "env": type(env).__name__, "split": "train", "split_hash": env.split_hash("train"),
        "transcripts": len(play_), "tokens": sum(len(r[0]) for r in rows), "data_sha256": digest,
        "parameters": sum(p.numel() for p in model.parameters()), "vocabulary": len(tok), "curve": curve,
    }  # fmt: skip
    (out / "pretraining.json").write_text(json.dumps(record, indent=1) + "\n")
    return record


def _train(
    model: Any,
    rows: list[Any],
    held: list[Any],
    swap: torch.Tensor,
    plan: Pretraining,
    log: Callable[[dict[str, Any]], None] | None,
    save: Callable[[], None],
) -> list[dict[str, float]]:
    rng = np.random.default_rng(plan.seed)
    optimizers = update.muon(model, plan.lr)
    rates = update.scaled(optimizers)
    loss_of = torch.compile(_loss, dynamic=True) if plan.compiled else _loss
    start = time.monotonic()
    curve: list[dict[str, float]] = []
    groups: list[list[int]] = []
    seen = 0
    for step in range(plan.steps + 1):
        if step % 250 == 0 or step == plan.steps:
            curve.append(
                {"step": step, "tokens": seen, "seconds": round(time.monotonic() - start), **_measure(model, held)}
            )
            save()
            if log is not None:
                log(curve[-1])
        rates(min(1.0, (step + 1) / 100) * min(1.0, (1 - step / plan.steps) / 0.4))
        groups = groups or _groups(rows, plan.batch_tokens, rng)
        ids, action = _pad([rows[i] for i in groups.pop()])
        for i in range(len(ids)):
            if rng.random() < plan.rename:
                names = torch.arange(model.config.vocab_size)
                names[swap] = swap[torch.from_numpy(rng.permutation(len(swap)))]
                ids[i] = names[ids[i]]
        loss, _ = loss_of(model, ids, action, plan.action_weight)
        loss.backward()  # type: ignore[no-untyped-call]
        norm = update.move(model, optimizers, 1.0)
        if not math.isfinite(norm):
            raise FloatingPointError(
                f"gradient norm {norm} at step {step + 1} of {plan.steps}: lower the learning rate"
            )
        seen += int((ids != 0).sum())
    return curve


def _groups(rows: list[Any], batch_tokens: int, rng: np.random.Generator) -> list[list[int]]:
    order = sorted(range(len(rows)), key=lambda i: (len(rows[i][0]) // 16, rng.random()))
    groups: list[list[int]] = [[]]
    for i in order:
        if len(rows[i][0]) * (len(groups[-1]) + 1) > batch_tokens and groups[-1]:
            groups.append([])
        groups[-1].append(i)
    return [groups[int(k)] for k in rng.permutation(len(groups))]


def _pad(rows: list[Any]) -> tuple[torch.Tensor, torch.Tensor]:
    longest = 1 + -(-(max(len(r[0]) for r in rows) - 1) // 32) * 32  # few shapes: see sequences.collate
    both = [torch.tensor([list(r[k]) + [0] * (longest - len(r[k])) for r in rows]) for k in (0, 1)]
    return both[0], both[1].bool()


def _loss(
    model: Any, ids: torch.Tensor, action: torch.Tensor, action_weight: float
) -> tuple[torch.Tensor, torch.Tensor]:
    with update.amp(ids.device, update.fast_bf16(ids.device)):
        hidden = model.get_decoder()(input_ids=ids[:, :-1]).last_hidden_state
        logits = model.get_output_embeddings()(hidden).flatten(0, 1)
    targets, real = ids[:, 1:].flatten(), (ids[:, 1:] != 0).flatten()
    logp, is_action = token_logps(logits, targets)[real], action[:, 1:].flatten()[real]
    weights = 1.0 + (action_weight - 1.0) * is_action
    return weighted_nll(logp, weights), torch.stack([-logp[is_action].sum(), is_action.sum(), -logp.sum(), real.sum()])


@torch.no_grad()
def _measure(model: Any, held: list[Any]) -> dict[str, float]:
    totals = torch.zeros(4)
    for k in range(0, len(held), 20):
        _, sums = _loss(model, *_pad(held[k : k + 20]), 1.0)
        totals += sums.detach()
    return {"held_loss": float(totals[2] / totals[3]), "held_action_loss": float(totals[0] / totals[1])}
