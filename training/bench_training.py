"""Training speed: our fit on cached whole-episode sequences beside a bare PyTorch loop on the same model and batches."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch

from ..agents.scripted import OracleAgent, RandomAgent
from ..agents.teachers import Correction, retrace
from ..envs import make_single
from ..memory import memory_maker
from . import update
from .examples import examples, own_actions
from .rollout import rollout
from .sequences import IGNORE, Batch, Example, collate
from .student import Student

BATCH_TOKENS = 4096
LR = 1e-3


def rows(say: Callable[[str], None], turns: int = 3) -> list[tuple[Any, ...]]:
    """Return tokens a second of our fit and of two bare loops, which take turns on the same batches.

    A bare loop has its batches collated beforehand. One does our arithmetic and nothing else: the head runs where a
    target is. The other is what one writes at first: the model's own logits at every token.
    """
    sequences = episodes(demonstrated=20, corrected=2)
    groups = list(update.batches(sequences, BATCH_TOKENS, np.random.default_rng(0)))
    loaded = [collate([sequences[i] for i in g]) for g in groups]
    tokens = sum(len(e.ids) for e in sequences)
    model = Student.of("tiny").model
    bf16 = update.fast_bf16(model.device)
    say(
        f"training: {len(sequences)} episodes, {tokens} tokens in {len(groups)} steps, {'bfloat16' if bf16 else 'float32'}"
    )
    loops: dict[str, Callable[[Any], None]] = {
        "ours": lambda m: ours(m, sequences),
        "bare": lambda m: bare(m, loaded, bf16, everywhere=False),
        "plain": lambda m: bare(m, loaded, bf16, everywhere=True),
    }
    seconds = dict.fromkeys(loops, 0.0)
    for turn in range(1 + turns):
        for name, loop in loops.items():
            fresh = copy.deepcopy(model)
            start = time.process_time()
            loop(fresh)
            if turn:  # in the first, kernels are compiled for every shape
                seconds[name] += time.process_time() - start
    rate = {name: turns * tokens / s for name, s in seconds.items()}
    unit, what = "tokens per CPU-second", "tiny, fit of whole episodes"
    return [
        (what, rate["ours"], unit, "a bare loop of the same arithmetic", rate["bare"], 0.8 * rate["bare"]),
        (what, rate["ours"], unit, "a bare loop with logits everywhere", rate["plain"], 0.8 * rate["plain"]),
    ]


def episodes(demonstrated: int, corrected: int) -> list[Example]:
    """Return what `tiny` learns from in LEAP: the oracle's episodes, and random ones with the oracle's corrections."""
    student, maker = Student.of("tiny"), memory_maker("full")
    env = make_single("alfworld")
    tasks = env.tasks("train")
    play = partial(rollout, lambda: make_single("alfworld"), make_memory=maker, env_id="alfworld")
    shown = play(OracleAgent(), tasks=tasks[:demonstrated])
    tried = play(RandomAgent(), tasks=tasks[demonstrated : demonstrated + corrected])
    taught = [(t, own_actions(t)) for t in shown]
    taught += [(t, [Correction(p.actions[0] if p.actions else None) for p in retrace(env, t)]) for t in tried]
    return [e for t, right in taught for e in examples(t, right, maker, student.renderer)]


def ours(model: Any, sequences: Sequence[Example]) -> None:
    """Fit for an epoch."""
    update.fit(model, sequences, epochs=1, lr=LR, batch_tokens=BATCH_TOKENS, rng=np.random.default_rng(0))


def bare(model: Any, loaded: Sequence[Batch], bf16: bool, *, everywhere: bool) -> None:
    """Do the same by the fewest lines of PyTorch."""
    optimizers, trained = update.muon(model, LR), list(model.parameters())
    model.train()
    for b in loaded:
        with update.amp(model.device, bf16):
            where = b.targets != IGNORE
            inputs = {"input_ids": b.ids, "position_ids": b.positions, "attention_mask": b.mask, "use_cache": False}
            if everywhere:
                logits = model(**inputs).logits[where]
            else:
                logits = model.lm_head(model.model(**inputs).last_hidden_state[where])
            nll = torch.nn.functional.cross_entropy(logits, b.targets[where], reduction="none")
        loss = (nll * b.weights[where]).sum() / b.weights[where].sum()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        for o in optimizers:
            o.step()
            o.zero_grad()
