"""Value learning: pure functions against sums by hand, critics against values known exactly."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from agentgym.agents.core import Candidate, Decision
from agentgym.agents.critics import CachedFeatures, Critic, HashedFeatures, ModelFeatures
from agentgym.agents.rerank import RerankAgent
from agentgym.memory import Step, Trajectory, Turn, make_memory, memory_maker
from agentgym.training.advantages import lambda_returns, returns, soft_bellman_residual, td_target
from agentgym.training.critics import correlation, diagnose, fit, transitions

LENGTH, GAMMA = 6, 0.9


def corridor(seed: int) -> Trajectory:
    """Random play in a corridor of rooms; the last one pays 1 and ends the episode."""
    rng = np.random.default_rng(seed)
    room, steps = 0, []
    while room < LENGTH and len(steps) < 12:
        action = ("left", "right")[int(rng.integers(2))]
        seen = f"room {room}"
        room = max(0, room - 1) if action == "left" else room + 1
        won = room == LENGTH
        steps.append(
            Step(seen, ("left", "right"), action, float(won), won, not won and len(steps) == 11, won, 0.0, False)
        )
    return Trajectory(
        "corridor", {}, str(seed), "", seed, "reach the end", "random", "window:1", tuple(steps), f"room {room}"
    )


def behaviour_values() -> np.ndarray:
    """V of random play in every room, by solving the linear equations."""
    a, b = np.eye(LENGTH), np.zeros(LENGTH)
    for room in range(LENGTH):
        a[room, max(0, room - 1)] -= GAMMA / 2
        if room + 1 < LENGTH:
            a[room, room + 1] -= GAMMA / 2
        else:
            b[room] = 0.5
    return np.linalg.solve(a, b)


def last(turn: Turn) -> str:
    return turn.observation


@pytest.fixture(scope="module")
def played() -> list[Trajectory]:
    return [corridor(i) for i in range(800)]


@pytest.mark.parametrize("objective", ["td", "expectile"])
def test_a_critic_learns_the_exact_values_of_a_corridor(played: list[Trajectory], objective: str) -> None:
    critic = Critic(HashedFeatures(256), width=64)
    data = transitions(played, critic, memory_maker("window:1"), GAMMA, last)
    fit(critic, data, objective=objective, steps=600, lr=3e-3, gamma=GAMMA, tau=0.98, rng=np.random.default_rng(0))  # type: ignore[arg-type]
    rooms = [f"room {i}" for i in range(LENGTH)]
    if objective == "td":
        exact = behaviour_values()
        assert np.abs(critic.v(rooms) - exact).max() < 0.06
    else:  # near the best action's value: gamma ** (steps left)
        exact = GAMMA ** (LENGTH - 1 - np.arange(LENGTH))
        assert np.abs(critic.v(rooms) - exact).max() < 0.2
    assert all(np.argmax(critic.rank(room, ["left", "right"])) == 1 for room in rooms)
    assert (critic.advantage(rooms, ["right"] * LENGTH) > critic.advantage(rooms, ["left"] * LENGTH)).all()
    report = diagnose(critic, data, oracle=["right"] * len(data), pool=2)
    assert report["top1"] == 1.0 and report["q_return"] > 0.4 and sum(report["advantages"]["counts"]) == len(data)
    with torch.no_grad():
        for p in critic.q_heads.parameters():
            p.zero_()
    assert (
        diagnose(critic, data, oracle=["right"] * len(data), pool=2)["top1"] == 0.0
    )  # all alike: nothing is put first


def test_monte_carlo_regresses_on_the_return(played: list[Trajectory]) -> None:
    critic = Critic(HashedFeatures(256), width=64)
    data = transitions(played, critic, memory_maker("window:1"), GAMMA, last)
    fit(critic, data, objective="mc", steps=800, gamma=GAMMA, rng=np.random.default_rng(0))
    means = [data.g[[s == f"room {i}" for s in data.states]].mean().item() for i in range(LENGTH)]
    assert np.abs(critic.v([f"room {i}" for i in range(LENGTH)]) - means).max() < 0.08


def test_a_small_start_and_decay_keep_what_was_never_seen_near_zero(played: list[Trajectory]) -> None:
    rooms, unseen = [f"room {i}" for i in range(LENGTH)], [f"cellar{i} of wine{i}" for i in range(100)]
    spread: list[float] = []
    for start, decay in ((1.0, 1e-4), (0.1, 1e-4), (0.1, 1.0)):
        critic = Critic(HashedFeatures(256), width=64, start=start)
        data = transitions(played[:200], critic, memory_maker("window:1"), GAMMA, last)
        fit(critic, data, objective="mc", steps=200, lr=3e-3, decay=decay, gamma=GAMMA, rng=np.random.default_rng(0))
        assert (critic.advantage(rooms, ["right"] * LENGTH) > critic.advantage(rooms, ["left"] * LENGTH)).all()
        spread.append(float(critic.q(unseen, ["swim"] * 100).std()))
    assert spread[0] > 1.2 * spread[1] > 1.2 * 1.2 * spread[2]


def test_a_time_limit_is_bootstrapped_and_an_end_is_not() -> None:
    y = td_target(torch.zeros(2), torch.ones(2), torch.tensor([True, False]), 0.9)
    assert y.tolist() == pytest.approx([0.0, 0.9])


def test_returns_by_hand() -> None:
    r = torch.tensor([1.0, 0.0, 2.0])
    assert returns(r, 0.5).tolist() == [1.5, 1.0, 2.0]
    v = torch.tensor([0.3, 0.7, 4.0])
    g2 = 2 + 0.5 * 4
    g1 = 0 + 0.5 * (0.5 * 0.7 + 0.5 * g2)
    g0 = 1 + 0.5 * (0.5 * 0.3 + 0.5 * g1)
    assert lambda_returns(r, v, 0.5, 0.5).tolist() == pytest.approx([g0, g1, g2])
    with pytest.raises(ValueError, match="one shape"):
        lambda_returns(r, v[:2], 0.5, 0.5)
    assert soft_bellman_residual(torch.tensor([3.0, 2.0]), torch.tensor([1.0, 2.0]), torch.zeros(2), 0.1).tolist() == [
        0,
        0,
    ]


def test_features_are_kept_and_a_torn_file_loses_only_its_tail(tmp_path: Path) -> None:
    file, inner = tmp_path / "features.bin", HashedFeatures(64)
    kept = CachedFeatures(inner, file)
    rows = kept(["a b", "c", "a b"], ["x", "y", "x"])
    assert (kept.hits, kept.misses) == (1, 2)
    assert np.array_equal(rows, inner(["a b", "c", "a b"], ["x", "y", "x"]))
    file.write_bytes(file.read_bytes()[:-5])
    again = CachedFeatures(inner, file)
    assert np.array_equal(again(["a b"], ["x"]), rows[:1]) and again.misses == 0
    assert np.array_equal(again(["c"], ["y"]), rows[1:2]) and again.misses == 1
    with pytest.raises(ValueError, match="not of hashed-32"):
        CachedFeatures(HashedFeatures(32), file)


def test_a_models_features_do_not_depend_on_the_batch(small_chat: Path) -> None:
    from agentgym.agents.models import load

    loaded = load(str(small_chat))
    loaded.model = loaded.model.float()
    one, many = ModelFeatures(loaded, batch=1), ModelFeatures(loaded, batch=8)
    texts = ["short", "a much longer text than the first", "middle one"]
    assert np.abs(one(texts).astype(float) - many(texts).astype(float)).max() < 2e-3
    assert one.size == 32 and np.abs(one(texts[:1]) - one(texts[:1], ["go"])).max() > 0
    with pytest.raises(ValueError, match="layer=9"):
        ModelFeatures(loaded, layer=9)


def test_a_critic_is_saved_and_loads_only_on_its_own_features(tmp_path: Path) -> None:
    critic = Critic(HashedFeatures(64), width=8, seed=3)
    critic.save(tmp_path)
    again = Critic.load(tmp_path, HashedFeatures(64))
    assert np.array_equal(critic.q(["s"], ["a"]), again.q(["s"], ["a"]))
    with pytest.raises(ValueError, match="hashed-64"):
        Critic.load(tmp_path, HashedFeatures(32))


def test_reranking_takes_the_critics_choice_among_the_likeliest(played: list[Trajectory]) -> None:
    class Leftist:
        name = "leftist"

        def act(self, turns: list[Turn]) -> list[Decision]:
            some = (Candidate("left", -0.1), Candidate("right", -2.4), Candidate("jump", -9.0))
            return [Decision("left", candidates=some, queries=1) for _ in turns]

    critic = Critic(HashedFeatures(1024), width=64)
    data = transitions(played, critic, memory_maker("window:1"), GAMMA)
    fit(critic, data, steps=300, lr=3e-3, gamma=GAMMA, rng=np.random.default_rng(0))
    memory = make_memory("window:1")
    memory.begin("reach the end", "room 3", {"admissible": ("left", "right", "jump")})
    [decision] = RerankAgent(Leftist(), critic, n=2).act([memory.view()])
    assert decision.action == "right" and len(decision.candidates) == 2
    [same] = RerankAgent(Leftist(), critic, n=1).act([memory.view()])
    assert same.action == "left"


def test_value_augmented_sampling_draws_from_the_policy_times_the_exponent_of_the_value() -> None:
    words, logp = ("left", "right", "jump"), np.log([0.6, 0.3, 0.1])

    class Leftist:
        name = "leftist"

        def act(self, turns: list[Turn]) -> list[Decision]:
            some = tuple(Candidate(a, float(p)) for a, p in zip(words, logp, strict=True))
            return [Decision("left", candidates=some) for _ in turns]

    critic, beta, n = Critic(HashedFeatures(64), width=16), 0.5, 4000
    memory = make_memory("window:1")
    memory.begin("reach the end", "room 3", {"admissible": words})
    view = memory.view()
    q = critic.rank(critic.text(view), words)
    many = [replace(view, episode=i) for i in range(n)]
    drawing = RerankAgent(Leftist(), critic, None, beta, 1.0)
    drawing.begin(3)
    drawn = [d.action for d in drawing.act(many)]
    wanted = np.exp(logp + q / beta) / np.exp(logp + q / beta).sum()
    assert np.array([drawn.count(w) / n for w in words]) == pytest.approx(wanted, abs=0.025)
    assert [d.action for d in drawing.act(many[7:9])] == drawn[7:9]  # a draw is its episode's own
    for b, right in ((beta, wanted), (1e6, logp), (1e-6, q)):
        [decision] = RerankAgent(Leftist(), critic, None, b).act([view])
        assert decision.action == words[int(np.argmax(right))]
    with pytest.raises(ValueError, match="beta > 0 to draw"):
        RerankAgent(Leftist(), critic, None, 0.0, 1.0)


def test_correlation_of_what_does_not_vary_is_zero() -> None:
    assert correlation([1, 1, 1], [1, 2, 3]) == 0.0
