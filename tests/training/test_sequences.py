"""Trees of tokens: one reading of an episode gives what a reading a step would give."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from agentgym.agents.models import load
from agentgym.training import update
from agentgym.training.losses import dpo, token_logps, weighted_nll
from agentgym.training.sequences import IGNORE, Reply, build, collate
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


def test_losses_are_right_by_hand() -> None:
    assert float(weighted_nll(torch.tensor([-1.0, -5.0]), torch.tensor([3.0, 1.0]))) == pytest.approx(2.0)
    one = torch.tensor([1.0])
    better = dpo(one, -one, 0 * one, 0 * one, beta=1.0)
    assert float(better) == pytest.approx(0.126928, abs=1e-5)
    with pytest.raises(ValueError, match="beta=0"):
        dpo(one, one, one, one, beta=0)
