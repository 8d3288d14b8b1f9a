"""Bandits: numbers that others published, words that are functions of counts, and the environments' promises."""

from __future__ import annotations

import re
from functools import partial

import numpy as np
import pytest
from agentgym.envs import make
from agentgym.envs.bandits import BanditEnv, algorithms, dpt, engine, episodes, metrics, suites, views
from agentgym.envs.bandits.engine import Bandits, Counts, Policy
from agentgym.envs.bandits.env import UNREADABLE
from agentgym.envs.check import check
from playing import play

RUNS = 500


def finals(bandits: Bandits, policy: Policy, horizon: int, seed: int = 0) -> engine.Floats:
    """Return the final regret of every run."""
    rng = np.random.default_rng(seed)
    arms = engine.play(bandits, policy, engine.fresh_noise(bandits, horizon, rng), rng).arms
    return metrics.regret(bandits.means, arms)[-1]


def curve(bandits: Bandits, policy: Policy, horizon: int) -> tuple[float, float]:
    """Return the mean final regret and its standard error."""
    final = finals(bandits, policy, horizon)
    return float(final.mean()), float(final.std() / np.sqrt(len(final)))


@pytest.mark.parametrize("view", views.VIEWS)
def test_bandits_pass_the_conformance_check(view: str) -> None:
    assert not [c for c in check(lambda: make("bandit", view=view, horizon=12)) if c.passed is not True]


@pytest.mark.parametrize(
    ("arms", "gap", "horizon", "name", "known", "error"),
    [
        (5, 0.5, 300, "ucb", 16.71, 0.10),
        (5, 0.5, 300, "thompson", 14.15, 0.10),
        (5, 0.5, 300, "greedy", 38.53, 1.4),
        (5, 0.5, 300, "random", 119.97, 0.1),
        (5, 0.2, 1000, "ucb", 39.64, 0.27),
        (5, 0.2, 1000, "thompson", 31.50, 0.33),
        (20, 0.5, 300, "ucb", 73.33, 0.23),
        (20, 0.5, 300, "thompson", 62.19, 0.31),
        (20, 0.2, 1000, "ucb", 141.67, 0.41),
        (20, 0.2, 1000, "greedy", 113.79, 2.1),
    ],
)
def test_regret_of_bernoulli_bandits_is_the_known_one(
    arms: int, gap: float, horizon: int, name: str, known: float, error: float
) -> None:
    bandits = engine.bernoulli(np.random.default_rng(arms), RUNS, arms, gap)
    mean, sem = curve(bandits, algorithms.algorithm(name, None), horizon)
    assert abs(mean - known) < 4 * np.hypot(sem, error), (mean, sem)


PACKAGE = [
    ("full-0", "bernoulli", 5, "easy", 1, 16.4, 0.785),
    ("full-1", "gaussian", 5, "easy", 1, 20.2867, 2.93),
    ("full-2", "bernoulli", 5, "hard", 2, 41.09, 2.38),
    ("full-3", "gaussian", 5, "hard", 2, 39.2726, 2.47),
    ("full-4", "bernoulli", 5, "easy", 3, 19.225, 0.961),
    ("full-5", "gaussian", 5, "easy", 3, 14.5824, 0.624),
    ("full-6", "bernoulli", 5, "hard", 4, 38.27, 2.47),
    ("full-7", "gaussian", 5, "hard", 4, 29.8987, 1.89),
    ("full-8", "bernoulli", 20, "easy", 5, 70.25, 1.62),
    ("full-9", "gaussian", 20, "easy", 5, 60.4524, 1.53),
    ("full-10", "bernoulli", 20, "hard", 6, 143.23, 3.7),
    ("full-11", "gaussian", 20, "hard", 6, 236.9844, 59.2),
    ("full-12", "bernoulli", 20, "easy", 7, 69.85, 2.44),
    ("full-13", "gaussian", 20, "easy", 7, 72.8202, 9.0),
    ("full-14", "bernoulli", 20, "hard", 8, 140.55, 3.21),
    ("full-15", "gaussian", 20, "hard", 8, 262.4883, 30.1),
    ("core-0", "bernoulli", 20, "hard", 1, 141.41, 4.13),
    ("core-1", "bernoulli", 20, "hard", 2, 139.96, 4.03),
    ("core-2", "bernoulli", 5, "hard", 3, 41.4, 2.66),
    ("core-3", "bernoulli", 5, "hard", 4, 38.27, 2.47),
    ("plus-1", "gaussian", 20, "hard", 1, 287.0609, 63.1),
    ("plus-3", "gaussian", 20, "hard", 2, 576.8945, 198.0),
]


@pytest.mark.parametrize(
    ("name", "law", "arms", "level", "seed", "known", "error"), PACKAGE, ids=[r[0] for r in PACKAGE]
)
def test_ucb_has_the_regret_of_the_package_on_every_instance_of_its_suites(
    name: str, law: str, arms: int, level: str, seed: int, known: float, error: float
) -> None:
    """Suite and number, law, arms, level, seed, then mean and standard error of 20 runs of banditbench 0.0.8.

    On the package's own arms and luck our engine gives the package's figures to the last digit that is known. So the
    figures of full-3 and full-7, far below the mean over many runs, are luck: of five hard Gaussian arms a few runs in
    a hundred lose the best for good and pay thousands, and these 20 hold none.
    """
    sd, gap, horizon = suites.SDS[level], suites.GAPS[level], {"easy": 300, "hard": 1000}[level]
    means = [0.5 - gap / 2] * (arms - 1) + [0.5 + gap / 2]
    if law == "gaussian":
        means = np.random.default_rng(seed).normal(0.0, sd, arms).tolist()
    np.random.default_rng(seed).shuffle(means)
    streams = [np.random.default_rng(s) for s in np.random.RandomState(seed).randint(0, 2**32 - 1, 20)]
    luck = np.stack([g.standard_normal(horizon) if law == "gaussian" else g.random(horizon) for g in streams], axis=1)
    bandits = Bandits(np.tile(means, (20, 1)), sd if law == "gaussian" else None)
    final = metrics.regret(bandits.means, engine.play(bandits, algorithms.ucb, luck, streams[0]).arms)[-1]
    assert final.mean() == pytest.approx(known, abs=1e-3)
    assert final.std(ddof=1) / np.sqrt(20) == pytest.approx(error, rel=0.05)


def test_ucb_loses_a_hard_gaussian_bandit_for_good_in_a_few_runs_of_a_hundred() -> None:
    means = np.random.default_rng(2).normal(0.0, 3.0, 5)
    final = finals(Bandits(np.tile(means, (2000, 1)), 3.0), algorithms.ucb, 1000)
    lost = final > 500
    assert 0.005 < lost.mean() < 0.1
    assert final.mean() > 1.5 * final[~lost].mean()


@pytest.mark.parametrize(
    ("name", "known", "error"), [("empirical mean", 17.68, 0.78), ("ucb", 10.57, 0.10), ("thompson", 9.36, 0.12)]
)
def test_dpts_baselines_have_their_known_regret(name: str, known: float, error: float) -> None:
    bandits = engine.uniform(np.random.default_rng(0), RUNS, 5)
    mean, sem = curve(bandits, dpt.BASELINES[name], 500)
    assert abs(mean - known) < 4 * np.hypot(sem, error), (mean, sem)


def test_dpts_roll_in_is_a_distribution_and_its_label_the_best_arm() -> None:
    rng = np.random.default_rng(0)
    p = dpt.behaviour(rng, 1000, 5)
    assert np.allclose(p.sum(axis=1), 1) and (p >= 0).all()
    assert (p.max(axis=1) == 1).mean() == pytest.approx(1 / 11, abs=0.03)
    bandits = engine.uniform(rng, 200, 5)
    played, label = dpt.roll_in(bandits, 50, rng)
    assert played.arms.shape == played.rewards.shape == (50, 200)
    assert (bandits.means[np.arange(200), label] == bandits.means.max(axis=1)).all()
    assert set(np.unique(played.arms)) == set(range(5))


def test_the_bound_of_kl_ucb_solves_its_equation_and_is_tighter_than_ucbs() -> None:
    mean, n, t = np.array([0.1, 0.4, 0.5, 0.9]), np.array([3.0, 10.0, 40.0, 200.0]), 300
    bound = algorithms.kl_bound(mean, np.log(t) / n)
    kl = mean * np.log(mean / bound) + (1 - mean) * np.log((1 - mean) / (1 - bound))
    assert kl == pytest.approx(np.log(t) / n, rel=1e-4)
    assert (bound > mean).all() and (bound <= mean + algorithms.bonus(n, t)).all()  # Pinsker: kl(p, q) >= 2 (p - q)^2
    assert algorithms.kl_bound(np.zeros(1), np.array([0.5])) == pytest.approx(1 - np.exp(-0.5), abs=1e-5)


def test_greedy_is_not_ucb() -> None:
    bandits = engine.bernoulli(np.random.default_rng(0), 50, 5, 0.5)
    luck = engine.fresh_noise(bandits, 100, np.random.default_rng(1))
    one, two = (
        engine.play(bandits, p, luck, np.random.default_rng(2)).arms for p in (algorithms.greedy, algorithms.ucb)
    )
    assert (one != two).any()


def test_ucb_agrees_with_a_slow_reference() -> None:
    rng = np.random.default_rng(3)
    p, luck = [0.4, 0.6, 0.5], rng.random(200)
    n, s, expected = [0, 0, 0], [0.0, 0.0, 0.0], []
    for t in range(200):
        value = [s[a] / n[a] + (0.5 * np.log(t) / n[a]) ** 0.5 if n[a] else np.inf for a in range(3)]
        a = value.index(max(value))
        expected.append(a)
        n[a] += 1
        s[a] += luck[t] < p[a]
    played = engine.play(Bandits(np.array([p])), algorithms.ucb, luck[:, None], rng)
    assert played.arms.ravel().tolist() == expected


def test_ucb_agrees_with_mabwiser() -> None:
    mab = pytest.importorskip("mabwiser.mab")
    luck, p = np.random.default_rng(0).random(100), [0.4, 0.6, 0.4]
    played = engine.play(Bandits(np.array([p])), algorithms.ucb, luck[:, None], np.random.default_rng(0))
    theirs = mab.MAB([0, 1, 2], mab.LearningPolicy.UCB1(alpha=0.5))
    theirs.fit(played.arms[:3, 0], played.rewards[:3, 0])
    for a, r in zip(played.arms[3:, 0], played.rewards[3:, 0], strict=True):
        assert theirs.predict() == a
        theirs.partial_fit([a], [r])


@pytest.mark.parametrize("name", ["ucb", "greedy", "kl-ucb"])
def test_a_batch_plays_as_its_bandits_play_alone(name: str) -> None:
    bandits = engine.bernoulli(np.random.default_rng(0), 7, 4, 0.2)
    seeds = np.random.SeedSequence(5).spawn(7)
    policy = algorithms.algorithm(name, None)
    rng = np.random.default_rng(0)
    together = engine.play(bandits, policy, engine.noise(bandits, 60, seeds), rng)
    for b in range(7):
        one = Bandits(bandits.means[b : b + 1])
        alone = engine.play(one, policy, engine.noise(one, 60, seeds[b : b + 1]), rng)
        assert (alone.arms[:, 0] == together.arms[:, b]).all()
        assert (alone.rewards[:, 0] == together.rewards[:, b]).all()


@pytest.mark.parametrize("suite", ["small", "dpt", "hardcore+"])
@pytest.mark.parametrize("whole", [False, True])
def test_the_reading_expert_plays_as_the_vectorised_engine(suite: str, whole: bool) -> None:
    env = BanditEnv(suite=suite, horizon=30, digits=None, whole=whole)
    for task in env.tasks("valid")[:8]:
        play(env, task)
        e = env._now()
        bandits = Bandits(np.array([e.means]), e.sd)
        played = engine.play(bandits, algorithms.ucb, np.array([e.luck]).T, np.random.default_rng(0))
        assert played.arms.ravel().tolist() == env._arms
        assert played.rewards.ravel().tolist() == env._rewards


@pytest.mark.parametrize("view", views.VIEWS)
@pytest.mark.parametrize("expert", ["ucb", "thompson"])
def test_experts_find_the_best_arm_from_every_view(view: str, expert: str) -> None:
    env = BanditEnv(view=view, expert=expert, horizon=60)
    won = [play(env, task)[-1][1]["success"] for task in env.tasks("test")[:24]]
    assert np.mean(won) >= 0.75


def test_prompts_are_the_golden_ones() -> None:
    s = views.scenario("video", 5)
    head = "So far you have interacted 3 times with the following choices and rewards:\n"
    assert views.header(3) == head
    assert views.history("RH", s, [0, 0, 1], [1.0, 1.0, 0.0], None) == (
        "\nA video, reward 1\nA video, reward 1\nB video, reward 0"
    )
    assert views.history("RH", s, [0, 2], [0.123456789, -1.5], 1.0, keep=1) == "\nC video, reward -1.5"
    sh = views.history("SH", s, [0, 0, 1], [1.0, 1.0, 0.0], None)
    assert sh.startswith("\nA video, 2 times, average reward 1.00\nB video, 1 times, average reward 0.00")
    assert sh.endswith("\nE video, 0 times, average reward 0.00")
    ag = views.history("AG", s, [0, 0, 1], [1.0, 1.0, 0.0], None)
    assert "A video, 2 times, average reward 1.00 exploration bonus 0.52, exploitation value 1.00" in ag
    assert ag.endswith("exploration bonus inf, exploitation value 0.00")
    assert views.question(s) == (
        "\n\nWhich video will you choose next? PLEASE RESPOND ONLY WITH [A, B, C, D, E] AND NO TEXT EXPLANATION."
    )
    assert views.choices(views.question(s)) == list(s.names)


def test_a_whole_prompt_is_opening_history_question() -> None:
    env = BanditEnv(suite="hardcore", whole=True, view="RH", keep=2, detailed=False)
    first, _ = env.reset(options={"task": "test/00000-bernoulli-hard-20-video"})
    opening = first.split("\n\n")[0]
    for action in ("A", "b", " C "):
        text, reward, *_ = env.step(action)
    assert opening.startswith("You recommend videos and have 20 of them: A, B, C,")
    assert opening.endswith("Choose a video 1000 times and earn as much reward as you can.")
    assert text.startswith(opening + "\n\n" + views.header(3))
    assert "\nA video" not in text and re.search(
        rf"\nB video, reward [01]\nC video, reward {reward:.0f}\n\nWhich", text
    )


def test_few_shot_examples_show_the_very_prompts_of_play() -> None:
    env = BanditEnv(whole=True, horizon=12)
    task = env.tasks("train")[1]
    pairs = episodes.demonstrate(env, task)
    prompt, info = env.reset(options={"task": task})
    assert info["goal"] in prompt and len(pairs) == 12
    for seen, action in pairs:
        assert seen == prompt
        prompt, *_ = env.step(action)
    shown = episodes.few_shot_examples(pairs)
    assert shown == [pairs[2], pairs[4], pairs[6], pairs[8], pairs[10]]
    assert all(f"{p}\n{c}\n" in views.few_shot(shown) for p, c in shown)


def test_an_agents_episodes_become_arrays_for_the_metrics() -> None:
    env = BanditEnv(suite="hardcore", horizon=50)
    told = []
    for task in env.tasks("test")[:6]:
        env.reset(options={"task": task})
        told.append((task, [*env.privileged().actions[:40], *["?"] * 10]))
    bandits, played = episodes.in_numbers(env, told)
    found = metrics.report(bandits.means, played.arms, played.rewards)
    assert played.arms.shape == (50, 6) and found["opt_frac"] >= 0.8 and found["suffix_failure"] == 0
    assert found["regret"] == pytest.approx(0.2 * 50 * (1 - found["opt_frac"]))
    with pytest.raises(ValueError, match="one family"):
        episodes.in_numbers(env, [told[0], (told[1][0], told[1][1][:3])])


def test_an_unreadable_choice_pulls_a_random_arm_and_says_so() -> None:
    env = BanditEnv()
    runs = []
    for _ in range(2):
        env.reset(options={"task": "train/00001-bernoulli-easy-2-video"})
        runs.append([env.step("the best one, please")[0] for _ in range(20)])
    assert runs[0] == runs[1]
    assert all(t.startswith(UNREADABLE) for t in runs[0])
    assert len({t.split("\n")[1][0] for t in runs[0]}) == 2
    env.reset(options={"task": "train/00001-bernoulli-easy-2-video"})
    assert env.step("?")[-1]["invalid"] and not env.step("b")[-1]["invalid"]


def test_score_and_success_tell_nothing_before_the_end() -> None:
    env = BanditEnv(horizon=5)
    for task in env.tasks("test")[:8]:
        _, info = env.reset(options={"task": task})
        best = env.privileged().actions[0]
        seen = [info] + [env.step(best)[-1] for _ in range(5)]
        assert {(i["score"], i["success"]) for i in seen[:-1]} == {(0.0, False)}
        assert (seen[-1]["score"], seen[-1]["success"]) == (1.0, True)


def test_tasks_of_other_splits_and_seeds_have_other_luck() -> None:
    env, other = BanditEnv(), BanditEnv(world_seed=1)
    lucks = [
        e._draw(f"{s}/00000-bernoulli-easy-2-buttons").luck for e in (env, other) for s in ("train", "valid", "test")
    ]
    assert len(set(lucks)) == 6
    assert env.split_hash("test") != other.split_hash("test")


def test_suites_are_those_of_evolve() -> None:
    full = suites.families("full")
    assert len(full) == len({f.name for f in full}) == 16
    row = [(f.law, f.arms, f.level, f.horizon) for f in full]
    assert row[:4] == [
        ("bernoulli", 5, "easy", 300), ("gaussian", 5, "easy", 300),
        ("bernoulli", 5, "hard", 1000), ("gaussian", 5, "hard", 1000),
    ]  # fmt: skip
    assert row[8:10] == [("bernoulli", 20, "easy", 300), ("gaussian", 20, "easy", 300)]
    assert [len(suites.families(s)) for s in ("core", "hardcore", "hardcore+", "dpt")] == [4, 2, 4, 1]


def test_ucb_gives_up_no_arm_for_good_and_greedy_does() -> None:
    bandits = engine.bernoulli(np.random.default_rng(0), 300, 5, 0.2)
    luck = engine.fresh_noise(bandits, 400, np.random.default_rng(1))
    failed = {}
    for name in ("ucb", "greedy", "random"):
        played = engine.play(bandits, algorithms.algorithm(name, None), luck, np.random.default_rng(2))
        failed[name] = metrics.suffix_failure(played.arms, bandits.best, 200)
        assert metrics.greedy_frac(played.arms, played.rewards, 5).mean() > (0.99 if name == "greedy" else 0.1)
        assert metrics.min_frac(played.arms, 5).max() <= 1
    assert failed["greedy"] > 0.3 and failed["ucb"] < 0.02 and failed["random"] == 0


def test_the_linear_part_of_regret_tells_learners_from_others() -> None:
    bandits = engine.bernoulli(np.random.default_rng(0), RUNS, 5, 0.5)
    beta = {}
    for name in ("ucb", "greedy", "random"):
        rng = np.random.default_rng(1)
        arms = engine.play(bandits, algorithms.algorithm(name, None), engine.fresh_noise(bandits, 300, rng), rng).arms
        beta[name] = metrics.growth(metrics.regret(bandits.means, arms).mean(axis=1), gap=0.5).beta
    assert beta["ucb"] < 0.01
    assert beta["greedy"] == pytest.approx(0.118, abs=0.04)
    assert beta["random"] == pytest.approx(0.4, abs=0.02)


@pytest.mark.parametrize(("t", "nu", "p"), [(2.228, 10, 0.05), (2.750, 30, 0.01), (1.984, 100, 0.05)])
def test_welchs_p_is_that_of_the_tables(t: float, nu: int, p: float) -> None:
    n = nu // 2 + 1  # two samples of equal size and variance have ν = 2(n − 1)
    sample = np.linspace(-1, 1, n)
    shift = t * np.sqrt(2 * sample.var(ddof=1) / n)
    got_t, got_p = metrics.welch(sample + shift, sample)
    assert got_t == pytest.approx(t) and got_p == pytest.approx(p, abs=2e-4)


def test_thompson_draws_come_from_the_posterior() -> None:
    counts = Counts(np.tile([8.0, 8.0], (20000, 1)), np.tile([6.0, 4.0], (20000, 1)), 16)
    share = algorithms.thompson(counts, np.random.default_rng(0)).mean()
    rng = np.random.default_rng(1)
    assert share == pytest.approx((rng.beta(5, 5, 20000) > rng.beta(7, 3, 20000)).mean(), abs=0.015)
    fresh = Counts(np.zeros((3, 2)), np.zeros((3, 2)), 0)
    assert partial(algorithms.thompson_gaussian, sd=1.0)(fresh, rng).tolist() == [0, 0, 0]


def test_mistakes_name_the_value_and_what_is_legal() -> None:
    for kwargs, fault in (
        ({"suite": "fulll"}, "suite='fulll': choose one of small, full, core"),
        ({"view": "XX"}, "view='XX': choose one of RH, SH, AG"),
        ({"expert": "gittins"}, "expert='gittins': choose one of ucb"),
        ({"horizon": 0}, "horizon=0: needs at least 1"),
    ):
        with pytest.raises(ValueError, match=re.escape(fault)):
            make("bandit", **kwargs)
    with pytest.raises(ValueError, match="test/00000-bernoulli-easy-2-buttons"):
        make("bandit").reset(options={"task": "nowhere"})
    with pytest.raises(ValueError, match="arms=60: scenario 'clothes' has from 2 to 40"):
        views.scenario("clothes", 60)
