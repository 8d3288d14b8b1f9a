"""DPT: what it reads, what it should say, and that it explores."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from agentgym.envs.bandits import dpt, engine, metrics
from agentgym.envs.bandits.engine import Bandits, Counts
from agentgym.training.methods.dpt import Deployed, InContext, Pretraining, exact, posterior_sampling, pretrain
from agentgym.training.paper_dpt import after, explored, holds, near
from agentgym.training.papers import reproduce

SMALL = Pretraining(arms=3, horizon=30, steps=300, batch=128, width=32, layers=2)


@pytest.fixture(scope="module")
def small() -> InContext:
    return pretrain(SMALL, 0)[0]


def given(batch: int, plan: Pretraining = SMALL) -> tuple[Bandits, engine.Play]:
    bandits = engine.uniform(np.random.default_rng(3), batch, plan.arms)
    return bandits, dpt.roll_in(bandits, plan.horizon, np.random.default_rng(4))[0]


def test_the_exact_posterior_is_that_of_weighted_draws_from_the_prior() -> None:
    counts = Counts(np.array([[3.0, 0.0, 8.0]]), np.array([[1.5, 0.0, 4.8]]), 11)
    means = np.random.default_rng(0).random((400_000, 3))
    logw = -(counts.n[0] * (means - counts.means[0]) ** 2).sum(1) / (2 * 0.3**2)
    w = np.exp(logw)
    slow = np.array([w[means.argmax(1) == a].sum() for a in range(3)]) / w.sum()
    assert exact(counts, 0.3)[0] == pytest.approx(slow, abs=0.01)


def test_exact_posterior_sampling_has_the_regret_of_thompson() -> None:
    bandits = engine.uniform(np.random.default_rng(0), 100, 5)
    luck = engine.fresh_noise(bandits, 100, np.random.default_rng(1))

    def regret(policy: engine.Policy) -> float:
        played = engine.play(bandits, policy, luck, np.random.default_rng(2))
        return float(metrics.regret(bandits.means, played.arms)[-1].mean())

    ours, theirs = regret(partial(posterior_sampling, sd=0.3)), regret(dpt.BASELINES["thompson"])
    assert ours == pytest.approx(theirs, rel=0.2)


def test_the_order_of_pulls_tells_nothing_and_later_ones_are_not_seen(small: InContext) -> None:
    _, played = given(4)
    arms, rewards = torch.from_numpy(played.arms.T.copy()), torch.from_numpy(played.rewards.T.copy())
    here = small.after(arms, rewards, torch.tensor([20]))
    order = torch.cat([torch.randperm(20, generator=torch.Generator().manual_seed(0)), torch.arange(20, 30)])
    assert torch.allclose(here, small.after(arms[:, order], rewards[:, order], torch.tensor([20])), atol=1e-5)
    other = rewards.clone()
    other[:, 20:] = 0.0
    assert torch.allclose(here, small.after(arms, other, torch.tensor([20])), atol=1e-6)


def test_deployed_it_says_what_it_says_of_the_whole_episode(small: InContext) -> None:
    bandits, _ = given(6)
    luck = engine.fresh_noise(bandits, 30, np.random.default_rng(5))
    agent = Deployed(small, draw=False)
    for _ in range(2):  # an episode leaves nothing behind
        played = engine.play(bandits, agent, luck, np.random.default_rng(6))
        arms, rewards = torch.from_numpy(played.arms.T.copy()), torch.from_numpy(played.rewards.T.copy())
        said = small.after(arms, rewards, torch.arange(30)).detach()
        chosen = said.gather(-1, arms[..., None]).squeeze(-1)  # arms that were never pulled are equally likely
        assert torch.allclose(chosen, said.amax(-1), atol=1e-4) and (said.amax(-1) - said.amin(-1)).max() > 1


def test_it_learns_the_posterior_and_explores_by_drawing_from_it(small: InContext) -> None:
    bandits, played = given(300)
    apart = near(small, played, (0, 10, 30))
    assert apart["0"] < 0.1 and apart["30"] < 0.2
    blind = np.abs(exact(after(played, 30, 3), 0.3) - 1 / 3).sum(1).mean() / 2
    assert apart["30"] < blind / 2
    luck = engine.fresh_noise(bandits, 30, np.random.default_rng(7))
    arms = {
        name: explored(bandits, engine.play(bandits, policy, luck, np.random.default_rng(8)))
        for name, policy in (("dpt", Deployed(small)), ("likeliest", Deployed(small, draw=False)))
    }
    even = 30 * (bandits.means.max(1) - bandits.means.mean(1)).mean()
    assert arms["dpt"]["regret"]["mean"] < even / 2
    assert arms["dpt"]["min_frac"]["mean"] > arms["likeliest"]["min_frac"]["mean"] + 0.1


def test_pretraining_repeats_itself_and_leaves_the_global_generator_alone() -> None:
    plan = Pretraining(arms=2, horizon=10, steps=3, batch=4, width=8, layers=1, heads=2, lengths=4, label="next")
    state = torch.random.get_rng_state()
    (a, told), (b, _) = pretrain(plan, 1), pretrain(plan, 1)
    assert torch.equal(state, torch.random.get_rng_state()) and told["loss"] > 0
    assert all(torch.equal(x, y) for x, y in zip(a.parameters(), b.parameters(), strict=True))


@pytest.mark.parametrize(
    ("settings", "fault"),
    [
        ({"label": "worst"}, "dpt.label='worst': choose one of best, next"),
        ({"arms": 1}, "dpt.arms=1: needs at least 2"),
        ({"steps": 0}, "dpt.steps=0: needs at least 1"),
        ({"width": 30}, "dpt.width=30: needs a multiple of dpt.heads=4"),
    ],
)
def test_impossible_plans_are_refused(settings: dict[str, int], fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        Pretraining(**settings)  # type: ignore[arg-type]


def test_the_effect_holds_where_dpt_is_no_worse_than_ucb_and_what_lacks_its_idea_is() -> None:
    def row(name: str, mean: float) -> dict[str, object]:
        return {"name": name, "mean": mean, "ci95": [mean - 0.5, mean + 0.5]}

    rest = [row("UCB", 10.0), row("empirical mean", 17.0), row("DPT, trained to imitate", 100.0)]
    assert holds([row("DPT", 10.2), row("DPT, likeliest arm", 14.0), *rest])
    assert not holds([row("DPT", 10.8), row("DPT, likeliest arm", 14.0), *rest])
    assert not holds([row("DPT", 10.2), row("DPT, likeliest arm", 10.9), *rest])


@pytest.mark.slow
def test_the_quick_form_of_the_paper_runs_whole_and_once(tmp_path: Path) -> None:
    row = reproduce("dpt", [0], tmp_path, quick=True, say=lambda text: None)
    assert json.loads((tmp_path / "dpt.json").read_text()) == json.loads(json.dumps(row)) and row["quick"]
    assert {r["n"] for r in row["rows"]} == {60} and len(row["rows"]) == 8
    assert row["offline"][0]["60"]["exact posterior"] <= row["offline"][0]["5"]["exact posterior"]
    said: list[str] = []
    assert reproduce("dpt", [0], tmp_path, quick=True, say=said.append)["rows"] == row["rows"] and said == []
