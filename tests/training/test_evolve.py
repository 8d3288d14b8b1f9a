"""Algorithm distillation on bandits, and what is told of whoever plays one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from agentgym.agents.scripted import ReplayAgent, SearcherAgent
from agentgym.envs import make
from agentgym.envs.bandits import BanditEnv, ContextualBanditEnv
from agentgym.envs.bandits.episodes import in_numbers
from agentgym.envs.bandits.metrics import report
from agentgym.memory import memory_maker
from agentgym.memory.store import read
from agentgym.memory.trajectory import Trajectory
from agentgym.training.bandits import explored
from agentgym.training.paper_evolve import holds
from agentgym.training.papers import reproduce
from agentgym.training.play import evaluate
from agentgym.training.rollout import rollout
from agentgym.training.train import configure, train

SMALL = {
    "env.horizon": "6", "env.detailed": "no", "evolve.demonstrations": "8", "evolve.epochs": "1", "eval.valid": "0",
    "eval.test": "8",
}  # fmt: skip


def silent(_: str) -> None:
    pass


def play(env_id: str, kwargs: dict[str, Any], tasks: list[str], agent: Any = None, seed: int = 0) -> list[Trajectory]:
    expert = agent or SearcherAgent(lambda _: make(env_id, **kwargs).searcher())
    return rollout(lambda: make(env_id, **kwargs), expert, memory_maker("full"), tasks, env_id=env_id, seed=seed)


def test_what_is_told_of_a_bandits_player_is_what_the_engine_counts() -> None:
    kwargs = {"suite": "hardcore", "horizon": 60, "expert": "thompson"}
    env = make("bandit", **kwargs)
    assert isinstance(env, BanditEnv)
    played = play("bandit", kwargs, env.tasks("test")[:6])
    told = explored(env, played)
    bandits, numbers = in_numbers(env, [(t.task, t.actions) for t in played])
    wanted = report(bandits.means, numbers.arms, numbers.rewards)
    for name in ("regret", "opt_frac", "min_frac", "suffix_failure"):
        assert told[name]["mean"] == pytest.approx(wanted[name]), name
        low, high = told[name]["ci95"]
        assert low <= told[name]["mean"] <= high
    assert told["n"] == 6 and 0 < told["growth"]["beta"] < 0.2


def test_an_unreadable_choice_counts_as_the_arm_that_the_world_pulled() -> None:
    env = make("bandit", horizon=40)
    assert isinstance(env, BanditEnv)
    tasks = env.tasks("test")[:4]
    played = play("bandit", {"horizon": 40}, tasks, ReplayAgent(dict.fromkeys(range(4), ["hmm"] * 40)))
    told = explored(env, played)
    even = []
    for t in played:
        env.reset(seed=t.seed, options={"task": t.task})
        for action in t.actions:
            env.step(action)
        arms = env.so_far()[1].arms[:, 0].tolist()
        even.append(len(env.pulls()) * min(arms.count(a) for a in range(len(env.pulls()))) / 40)
    assert told["min_frac"]["mean"] == pytest.approx(sum(even) / 4) and sum(even) > 0


def test_who_always_takes_the_best_gives_nothing_away_and_who_never_does_gives_up() -> None:
    env = make("contextual-bandit", horizon=8)
    assert isinstance(env, ContextualBanditEnv)
    tasks = env.tasks("test")[:2]
    best: dict[int, list[str]] = {}
    for n, task in enumerate(tasks):
        _, info = env.reset(options={"task": task})
        best[n] = list(env.privileged().actions)
    told = explored(env, play("contextual-bandit", {"horizon": 8}, tasks, ReplayAgent(best)))
    assert (told["regret"]["mean"], told["opt_frac"]["mean"], told["suffix_failure"]["mean"]) == (0.0, 1.0, 0.0)
    worst = {n: [next(a for a in info["admissible"] if a != b) for b in row] for n, row in best.items()}
    told = explored(env, play("contextual-bandit", {"horizon": 8}, tasks, ReplayAgent(worst)))
    assert told["regret"]["mean"] > 0 and told["opt_frac"]["mean"] == 0 and told["suffix_failure"]["mean"] == 1


def test_evaluation_tells_algorithms_apart() -> None:
    rows = {
        expert: evaluate("bandit", "searcher", episodes=40, env_kwargs={"expert": expert, "horizon": 40})["bandit"]
        for expert in ("ucb", "random")
    }
    assert rows["ucb"]["regret"]["ci95"][1] < rows["random"]["regret"]["ci95"][0]
    assert rows["ucb"]["opt_frac"]["mean"] > rows["random"]["opt_frac"]["mean"] + 0.1


@pytest.mark.parametrize("env", ["bandit", "contextual-bandit"])
def test_an_algorithm_that_draws_does_so_anew_in_every_episode_and_by_the_seed(env: str) -> None:
    kwargs, task = {"expert": "random", "horizon": 12}, make(env).tasks("test")[0]
    some = [t.actions for t in play(env, kwargs, [task] * 6)]
    assert len(set(map(tuple, some))) == 6
    assert some == [t.actions for t in play(env, kwargs, [task] * 6)]
    assert some != [t.actions for t in play(env, kwargs, [task] * 6, seed=1)]


@pytest.mark.parametrize(("env", "expert"), [("bandit", "greedy"), ("contextual-bandit", "linucb")])
def test_whole_episodes_of_the_chosen_algorithm_are_imitated(
    env: str, expert: str, small_tiny: Path, tmp_path: Path
) -> None:
    settings = {k: v for k, v in SMALL.items() if env == "bandit" or k != "env.detailed"} | {"env.expert": expert}
    run = train(env, "evolve", str(small_tiny), out=tmp_path / "run", settings=settings, say=silent)
    taught, _ = read(run / "trajectories" / "00-train.jsonl.zst")
    kwargs = json.loads((run / "config.json").read_text())["env_kwargs"]
    assert len(taught) == 8 and not all(t.success for t in taught)
    again = play(env, kwargs, [t.task for t in taught], seed=taught[0].seed)
    assert [t.actions for t in taught] == [t.actions for t in again]
    assert all([c[0] for c in t.meta["corrections"]] == t.actions for t in taught)
    done = json.loads((run / "result.json").read_text())["iterations"][0]["eval"]["test"]
    assert done["bandit"]["n"] == 8 and done["bandit"]["regret"]["mean"] > 0


def test_a_world_without_algorithms_is_refused() -> None:
    with pytest.raises(ValueError, match="evolve imitates bandit algorithms, which AlfworldEnv has none of"):
        configure("alfworld", "evolve", "tiny", "full", 0, {}, False)


def row(name: str, regret: float, min_frac: float) -> dict[str, Any]:
    share = {"mean": min_frac, "ci95": [min_frac - 0.02, min_frac + 0.02]}
    return {"name": name, "mean": regret, "ci95": [regret - 0.1, regret + 0.1], "also": {"min_frac": share}}


def test_the_effect_holds_where_the_taught_model_explores_between_greedy_and_ucb() -> None:
    rest = [
        row("ucb", 2.0, 0.4), row("greedy", 2.4, 0.2), row("tiny, untrained", 4.0, 0.0),
        row("OFT of random choice", 4.0, 0.5), row("imitation of the best arm", 3.0, 0.1),
    ]  # fmt: skip
    assert holds([row("OFT of UCB", 2.2, 0.3), *rest])
    assert not holds([row("OFT of UCB", 2.2, 0.5), *rest])  # it tries more evenly than either
    assert not holds([row("OFT of UCB", 2.95, 0.3), *rest])  # it loses as much as who imitates the best arm


@pytest.mark.slow
def test_the_quick_form_of_the_paper_runs_whole_and_once(tmp_path: Path) -> None:
    told = reproduce("evolve", [0], tmp_path, quick=True, say=silent)
    arms = ["tiny, untrained", "OFT of UCB", "OFT of random choice", "imitation of the best arm"]
    assert [r["name"] for r in told["rows"]] == ["ucb", "thompson", "greedy", "random", *arms]
    assert {r["n"] for r in told["rows"]} == {6} and {p.suffix for p in tmp_path.glob("evolve.*")} == {
        ".json", ".md", ".svg"
    }  # fmt: skip
    said: list[str] = []
    assert reproduce("evolve", [0], tmp_path, quick=True, say=said.append)["rows"] == told["rows"] and said == []
