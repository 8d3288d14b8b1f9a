"""Trees of tokens: one reading of an episode gives what a reading a step would give."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from agentgym.agents.models import load
from agentgym.agents.policy import LONGEST
from agentgym.agents.scripted import NoisyAgent
from agentgym.agents.teachers import Correction, turns
from agentgym.envs import make
from agentgym.memory import memory_maker
from agentgym.training import update
from agentgym.training.examples import examples, own_actions
from agentgym.training.losses import token_logps, weighted_nll
from agentgym.training.rollout import rollout
from agentgym.training.sequences import IGNORE, Example, Reply, build, collate
from agentgym.training.student import Student
from hypothesis import given, settings
from hypothesis import strategies as st

IDS = st.lists(st.integers(4, 60), min_size=1, max_size=5).map(tuple)
STEPS = st.lists(st.builds(Reply, IDS, IDS, st.one_of(st.none(), IDS)), min_size=1, max_size=4)


@settings(max_examples=40, deadline=None)
@given(steps=STEPS)
def test_a_tree_gives_each_branch_the_log_probability_of_its_own_line(small_tiny: Path, steps: list[Reply]) -> None:
    model = load(str(small_tiny)).model.eval()
    example = build(steps, stop=2)
    with torch.no_grad():
        logp, _ = update.logps(model, collate([example, build(steps[:1], stop=2)]))
    targets = [t for t in example.targets if t != IGNORE]
    by_target = sorted(zip(targets, logp[: len(targets)].tolist(), strict=True))
    expected = []
    line: list[int] = []
    for step in steps:
        line += step.context
        if step.learn is not None:
            whole = [*line, *step.learn, 2]
            with torch.no_grad():
                logits = model(torch.tensor([whole])).logits[0]
            rows = logits[len(line) - 1 : len(whole) - 1]
            expected += list(
                zip(whole[len(line) :], token_logps(rows, torch.tensor(whole[len(line) :])).tolist(), strict=True)
            )
        line += step.said
    assert [t for t, _ in by_target] == [t for t, _ in sorted(expected)]
    assert [p for _, p in by_target] == pytest.approx([p for _, p in sorted(expected)], abs=2e-4)


def test_a_step_longer_than_the_limit_is_an_error_and_a_long_episode_is_cut() -> None:
    steps = [Reply((5,) * 10, (6,), (7,))] * 5
    assert len(build(steps, 2, max_tokens=30).ids) == 24
    assert build(steps, 2, max_tokens=30).cut == 3 and build(steps, 2, max_tokens=70).cut == 0
    with pytest.raises(ValueError, match="max_tokens=8"):
        build(steps, 2, max_tokens=8)


def test_fitting_makes_what_is_taught_likely_and_a_broken_mask_would_not(small_tiny: Path) -> None:
    loaded = load(str(small_tiny))
    examples = [build([Reply((1, 2, 10 + i), (20,), (30 + i,))], 2) for i in range(4)]

    def right() -> float:
        with torch.no_grad():
            logits = [loaded.model(torch.tensor([[1, 2, 10 + i]])).logits[0, -1] for i in range(4)]
        return sum(float(z.softmax(0)[30 + i]) for i, z in enumerate(logits)) / 4

    before = right()
    done = update.fit(loaded.model, examples, epochs=60, lr=3e-3, batch_tokens=64, rng=np.random.default_rng(0))
    assert right() > 0.5 > before
    assert done["loss"] < 1.0


def test_so_many_steps_are_the_epochs_that_have_them_and_may_end_within_one(small_tiny: Path) -> None:
    examples = [build([Reply((1, 2, 10 + i), (20,), (30 + i,))], 2) for i in range(6)]

    def fitted(**amount: float) -> tuple[dict[str, float], torch.Tensor]:
        model = load(str(small_tiny)).model
        rng = np.random.default_rng(0)
        done = update.fit(model, examples, lr=3e-3, batch_tokens=10, rng=rng, **{"epochs": 9, **amount})  # type: ignore[arg-type]
        return done, torch.cat([p.detach().flatten() for p in model.parameters()])

    (done, weights), (same, others) = fitted(epochs=2), fitted(steps=6)
    assert done == same and done["steps"] == 6 and torch.equal(weights, others)
    assert fitted(steps=4)[0]["steps"] == 4
    with pytest.raises(ValueError, match="steps=0: needs at least 1"):
        fitted(steps=0)


def test_nothing_to_learn_is_an_error(small_tiny: Path) -> None:
    model = load(str(small_tiny)).model
    with pytest.raises(ValueError, match="nothing to learn"):
        update.fit(
            model,
            [build([Reply((1,), (2,), None)], 2)],
            epochs=1,
            lr=1e-3,
            batch_tokens=64,
            rng=np.random.default_rng(0),
        )


def test_a_weight_that_a_whole_batch_shares_counts_beside_the_other_batches(small_tiny: Path) -> None:
    model = load(str(small_tiny)).model.eval()
    pair = [build([Reply((5, 6, 7), (), (8, 9), w)], 2) for w in (1.0, 0.01)]
    pair[1] = replace(pair[1], ids=(*pair[1].ids[:3], 20, 21))

    def slope(batch: list[int], usual: float | None) -> torch.Tensor:
        model.zero_grad()
        update.descend(model, pair, batch, pass_tokens=None, bf16=False, usual=usual)
        return torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])

    usual = (1.0 + 0.01) / 2
    both = slope([0, 1], usual)
    apart = slope([0], usual) + slope([1], usual)
    assert torch.allclose(apart, 2 * both, atol=1e-5)
    assert float(slope([1], usual).norm() / slope([1], None).norm()) == pytest.approx(0.01 / usual, rel=1e-4)


def test_an_episode_that_is_cut_before_its_first_target_is_left_out(small_tiny: Path) -> None:
    model = load(str(small_tiny)).model
    fine = build([Reply((5,) * 10, (6,), (7, 8))], 2)
    cut = build([Reply((5,) * 50, (6,), None), Reply((5,) * 60, (6,), (7,))], 2, max_tokens=100)
    assert not any(cut.weights)
    done = update.fit(model, [fine, cut], epochs=2, lr=1e-4, batch_tokens=64, rng=np.random.default_rng(0))
    assert done["steps"] == 2 and done["loss"] > 0


@pytest.mark.parametrize("epochs", [0.0, -0.5])
def test_no_epoch_is_an_error(small_tiny: Path, epochs: float) -> None:
    rows = [build([Reply((5,), (), (7,))], 2)]
    with pytest.raises(ValueError, match=f"epochs={epochs}: needs to be positive"):
        update.fit(
            load(str(small_tiny)).model, rows, epochs=epochs, lr=1e-4, batch_tokens=64, rng=np.random.default_rng(0)
        )


def test_a_weighted_loss_is_right_by_hand() -> None:
    assert float(weighted_nll(torch.tensor([-1.0, -5.0]), torch.tensor([3.0, 1.0]))) == pytest.approx(2.0)


def _taught(model: Any, examples: Sequence[Example]) -> list[tuple[int, float, float]]:
    """Every target with its log-probability and weight, in order of what was learned."""
    out = []
    for e in examples:
        with torch.no_grad():
            logp, weights = update.logps(model, collate([e]))
        out += list(zip([t for t in e.targets if t != IGNORE], logp.tolist(), weights.tolist(), strict=True))
    return sorted(out)


@pytest.mark.parametrize("memory", ["diff:forward,show=yes", "diff:forward,show=yes,budget=150", "window:2", "full"])
def test_an_episode_in_one_sequence_teaches_what_a_sequence_a_step_would(small_tiny: Path, memory: str) -> None:
    student = Student.of(str(small_tiny))
    make_memory = memory_maker(memory, student.count)
    tasks = make("alfworld").tasks("train")[:2]
    played = rollout(partial(make, "alfworld", max_steps=12), NoisyAgent(0.5), make_memory, tasks, env_id="alfworld")
    for t in played:
        learned = [
            Correction(None) if i % 4 == 3 else Correction("look" if i % 3 == 1 else a, None, 1.0 + i)
            for i, a in enumerate(t.actions)
        ]
        whole = examples(t, learned, make_memory, student.renderer, max_tokens=700)
        assert all(len(e.ids) <= 700 for e in whole)
        alone = [
            build([Reply(tuple(student.renderer.prompt(v)), (), tuple(student.renderer.reply(c.action)), c.weight)], 2)
            for v, c in zip(turns(t, make_memory()), learned, strict=True)
            if c.action is not None
        ]
        if memory in ("full", "diff:forward,show=yes"):
            assert 3 * len(whole) <= len(alone)
            assert 2 * sum(len(e.ids) for e in whole) < sum(len(e.ids) for e in alone)
        some, one = _taught(student.model.eval(), whole), _taught(student.model, alone)
        assert [x[0] for x in some] == [x[0] for x in one]
        assert np.array([x[1:] for x in some]) == pytest.approx(np.array([x[1:] for x in one]), abs=2e-4)


def test_a_free_reply_that_was_cut_is_learned_without_a_stop(small_tiny: Path) -> None:
    student = Student.of(str(small_tiny), mode="generate")
    tasks = make("alfworld").tasks("train")[:3]
    played = rollout(
        partial(make, "alfworld", max_steps=2), student.policy(1.0), memory_maker("full"), tasks, env_id="alfworld"
    )
    ended = replace(played[0].steps[-1], token_ids=played[0].steps[-1].token_ids[:20])
    played[0] = replace(played[0], steps=(*played[0].steps[:-1], ended))
    said = [len(s.token_ids) for t in played for s in t.steps]
    assert max(said) == LONGEST > min(said)
    rows = [
        e for t in played for e in examples(t, own_actions(t), memory_maker("full"), student.renderer, mode="generate")
    ]
    taught = [i for e in rows for i in e.targets if i != IGNORE]
    assert taught.count(student.renderer.stop) == sum(n < LONGEST for n in said)
    assert len(taught) == sum(min(n + 1, LONGEST) for n in said)
