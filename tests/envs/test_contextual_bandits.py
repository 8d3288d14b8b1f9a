"""Contextual bandits: the linear algorithms, the words, and ratings from a MovieLens folder."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from agentgym.envs import make
from agentgym.envs.bandits import ContextualBanditEnv, contextual, contextual_text, movielens
from agentgym.envs.bandits.contextual import Linear
from agentgym.envs.check import check
from playing import play


def worlds(batch: int, arms: int, rank: int, horizon: int, sd: float = 0.1) -> Linear:
    rng = np.random.default_rng(0)
    return Linear(
        np.stack([contextual.low_rank(rng, arms, rank) for _ in range(batch)]),
        np.stack([contextual.directions(rng, horizon, rank) for _ in range(batch)], axis=1),
        rng.standard_normal((horizon, batch)),
        sd,
    )


@pytest.fixture
def small_movielens(tmp_path: Path) -> Path:
    """A folder as ml-100k is laid out, with made-up ratings."""
    rng = np.random.default_rng(0)
    tastes, films = rng.standard_normal((60, 2)), rng.standard_normal((8, 2))
    stars = np.clip(np.round(3 + tastes @ films.T), 1, 5).astype(int)
    rows = [f"{u + 1}\t{f + 1}\t{stars[u, f]}\t0" for u in range(60) for f in range(8) if f < 6 or u < 20]
    (tmp_path / "u.data").write_text("\n".join(rows) + "\n")
    (tmp_path / "u.item").write_text("".join(f"{f + 1}|Fée {f} (1990)|x\n" for f in range(8)), "latin-1")
    (tmp_path / "u.user").write_text("".join(f"{u + 1}|{20 + u}|{'MF'[u % 2]}|writer|00000\n" for u in range(60)))
    return tmp_path


@pytest.mark.parametrize("view", ["RH", "AG"])
def test_contextual_bandits_pass_the_conformance_check(view: str) -> None:
    assert not [c for c in check(lambda: make("contextual-bandit", view=view, horizon=8)) if c.passed is not True]


def test_linucb_agrees_with_a_slow_reference_and_alone_with_a_batch() -> None:
    world = worlds(3, 4, 3, 60)
    arms = contextual.play(world, contextual.linucb, np.random.default_rng(0)).arms
    for b in range(3):
        a_matrix, bs = [np.eye(3) for _ in range(4)], [np.zeros(3) for _ in range(4)]
        for t in range(60):
            x = world.contexts[t, b]
            inverses = [np.linalg.inv(m) for m in a_matrix]
            value = [x @ i @ v + 0.5 * np.sqrt(x @ i @ x) for i, v in zip(inverses, bs, strict=True)]
            best = int(arms[t, b])
            assert value[best] >= max(value) - 1e-9
            a_matrix[best] += np.outer(x, x)
            bs[best] = bs[best] + x * (x @ world.weights[b, best] + world.sd * world.luck[t, b])
        one = Linear(*(v[s] for v, s in ((world.weights, np.s_[b : b + 1]), (world.contexts, np.s_[:, b : b + 1]))),
                     world.luck[:, b : b + 1], world.sd)  # fmt: skip
        assert (contextual.play(one, contextual.linucb, np.random.default_rng(0)).arms[:, 0] == arms[:, b]).all()


def test_linucb_learns_what_chance_does_not() -> None:
    world = worlds(200, 10, 5, 200)
    final = {}
    for name, policy in contextual.CONTEXTUAL.items():
        played = contextual.play(world, policy, np.random.default_rng(1))
        final[name] = contextual.contextual_regret(world, played.arms)[-1].mean()
    assert final["linucb"] < final["greedy"] < final["thompson"] < 0.6 * final["random"]


@pytest.mark.parametrize("whole", [False, True])
def test_the_reading_expert_plays_as_the_vectorised_engine(whole: bool) -> None:
    env = ContextualBanditEnv(horizon=25, digits=None, whole=whole)
    for task in env.tasks("valid")[:4]:
        play(env, task)
        u = env._now()
        weights = np.linalg.lstsq(u.contexts, u.means, rcond=None)[0].T
        world = Linear(weights[None], u.contexts[:, None], np.array([u.luck]).T, env.sd)
        assert contextual.play(world, contextual.linucb, np.random.default_rng(0)).arms[:, 0].tolist() == env._chosen


def test_linucb_succeeds_and_chance_does_not() -> None:
    won = {}
    for expert in ("linucb", "random"):
        env = ContextualBanditEnv(expert=expert)
        won[expert] = np.mean([play(env, t)[-1][1]["success"] for t in env.tasks("test")[:20]])
    assert won["linucb"] >= 0.9 and won["random"] <= 0.1


def test_prompts_are_the_golden_ones() -> None:
    who = contextual_text.person([0.6, -0.8])
    assert contextual_text.raw([who], ["Low Tide"], [0.25]) == (
        "\nContext: a user, tastes [0.60, -0.80]\nAction: Low Tide\nReward: 0.25\n"
    )
    asked = contextual_text.question(who, contextual_text.side(["Low Tide"], contextual.ridge(1, 1, 2), [0.6, -0.8]))
    assert asked == (
        "\n\nYou have a new user: PLEASE RESPOND ONLY WITH A CHOICE of MOVIES LISTED ABOVE AND NO TEXT EXPLANATION.\n\n"
        "Context: a user, tastes [0.60, -0.80]\nSide Information for decision making:\n"
        'Low Tide: {"exploration bonus": 0.50, "exploitation value": 0.00}\nAction: '
    )


def test_a_movielens_folder_gives_films_users_and_disjoint_splits(small_movielens: Path) -> None:
    ratings = movielens.load(str(small_movielens), 6, 3)
    assert ratings.titles == tuple(f"Fée {f} (1990)" for f in range(6))
    assert ratings.people[0] == "a man, age 20, occupation writer"
    assert np.linalg.norm(ratings.contexts, axis=1).mean() == pytest.approx(1, abs=0.02)
    users = [set(ratings.users(s)) for s in ("train", "valid", "test")]
    assert sum(map(len, users)) == 60 == len(set.union(*users))
    rated = ratings.contexts @ ratings.weights.T
    assert rated.mean() == pytest.approx(3, abs=0.5)
    env = ContextualBanditEnv(data=str(small_movielens), arms=6, horizon=30, sd=0)
    assert not [c for c in check(lambda: env) if c.passed is not True]
    assert play(env, env.tasks("test")[0])[-1][1]["score"] > 0.3
    text, _ = env.reset(options={"task": env.tasks("test")[0]})
    assert "Fée 3 (1990); Fée 4" in text and re.search(
        r"Context: a (wo)?man, age \d+, occupation writer, tastes \[", text
    )


def test_the_larger_movielens_layout_is_read_too(tmp_path: Path) -> None:
    (tmp_path / "ratings.dat").write_text(
        "".join(f"{u}::{f}::{1 + (u * f) % 5}::0\n" for u in range(1, 21) for f in (1, 2, 3))
    )
    (tmp_path / "movies.dat").write_text("".join(f"{f}::Film {f} (1999)::Drama\n" for f in (1, 2, 3)), "latin-1")
    (tmp_path / "users.dat").write_text("".join(f"{u}::F::25::4::00000\n" for u in range(1, 21)))
    ratings = movielens.load(str(tmp_path), 3, 20)
    assert ratings.contexts.shape == (20, 3)
    assert ratings.people[3] == "a woman, age 25, occupation 4"


def test_mistakes_name_the_value_and_what_is_legal(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="ml-100k"):
        make("contextual-bandit", data=str(tmp_path))
    with pytest.raises(ValueError, match="arms=31: scenario 'films' has from 2 to 30"):
        make("contextual-bandit", arms=31)
    with pytest.raises(ValueError, match="view='SH': choose one of RH, AG"):
        make("contextual-bandit", view="SH")
    with pytest.raises(ValueError, match="test/00000-lowrank-5"):
        make("contextual-bandit").reset(options={"task": "nowhere"})


def test_an_unreadable_choice_is_answered_by_a_random_film() -> None:
    env = ContextualBanditEnv()
    env.reset(options={"task": env.tasks("test")[0]})
    text, *_, info = env.step("surprise me")
    assert info["invalid"] and text.startswith("That is none of the choices")
    reader = env.searcher()
    first, info = env.reset(options={"task": env.tasks("test")[0]})
    reader.begin(info["goal"], first, info)
    reader.observe("surprise me", text, info)
    assert reader.act() in info["admissible"]
