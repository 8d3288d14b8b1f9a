"""Digi-Q: each stage by hand, the whole in seconds, and the critic that a run leaves behind."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from agentgym.agents.core import Candidate
from agentgym.agents.critics import Critic, HashedFeatures, ModelFeatures, state_text
from agentgym.agents.models import load
from agentgym.agents.rerank import RerankAgent
from agentgym.memory import Step, Trajectory, make_memory
from agentgym.memory.store import read
from agentgym.training.advantages import best_of_n
from agentgym.training.critics import load_critic
from agentgym.training.methods.digiq import DigiQ, changes, draw
from agentgym.training.play import evaluate
from agentgym.training.run import RunDir
from agentgym.training.train import train

SMALL = {
    "digiq.demonstrations": "60", "digiq.episodes": "40", "digiq.candidates": "6", "digiq.critic_steps": "60",
    "digiq.epochs0": "3", "digiq.look_epochs": "1", "digiq.epochs": "1", "env.level": "L0", "env.max_steps": "5",
    "eval.valid": "6", "eval.test": "6",
}  # fmt: skip


def silent(_: str) -> None:
    pass


def settled(run: Path) -> Any:
    def clean(value: Any) -> Any:
        if isinstance(value, dict):
            return {k: clean(v) for k, v in value.items() if k not in ("seconds", "peak_memory_mib")}
        return [clean(v) for v in value] if isinstance(value, list) else value

    return clean(json.loads((run / "result.json").read_text()))


@pytest.fixture(scope="module")
def whole(small_tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "whole"
    return train("device", "digiq", str(small_tiny), out=out, settings=SMALL, say=silent)


def test_extraction_takes_the_best_candidate_in_the_states_above_the_quantile() -> None:
    q = torch.tensor([[0.1, 0.9, 0.3], [0.5, 0.2, -math.inf], [0.0, 0.0, 0.6], [0.4, -math.inf, -math.inf]])
    v = torch.tensor([0.5, 0.5, 0.1, 0.6])
    index, gain, kept = best_of_n(q, v)
    assert index.tolist() == [1, 0, 2, 0] and kept.all()
    assert gain.tolist() == pytest.approx([0.4, 0.0, 0.5, -0.2])
    assert best_of_n(q, v, 0.5)[2].tolist() == [True, False, True, False]
    with pytest.raises(ValueError, match="quantile=1"):
        best_of_n(q, v, 1.0)


def test_candidates_are_drawn_from_the_flattened_policy() -> None:
    some = [Candidate("a", math.log(0.8)), Candidate("b", math.log(0.15)), Candidate("c", math.log(0.05))]
    drawn = draw(some, 20_000, 1.2, np.random.default_rng(0))
    p = np.array([0.8, 0.15, 0.05]) ** (1 / 1.2)
    assert [drawn.count(x) / 20_000 for x in "abc"] == pytest.approx((p / p.sum()).tolist(), abs=0.01)
    assert draw(some, 0, 1.2, np.random.default_rng(0)) == []


def test_a_step_changes_the_screen_when_the_world_takes_it_and_looks_otherwise() -> None:
    def step(seen: str, invalid: bool = False) -> Step:
        return Step(seen, ("go",), "go", 0.0, False, False, False, 0.0, invalid)

    steps = (step("a"), step("b"), step("b", invalid=True), step("Nothing happens. b"))
    t = Trajectory("w", {}, "1", "", 0, "goal", "x", "full", steps, "c")
    assert changes(t) == [True, False, False, True]


def test_a_critic_reads_the_whole_history_or_the_last_screen() -> None:
    memory = make_memory("full")
    memory.begin("be home", "a door", {"admissible": ("open",)})
    assert state_text(memory.view(), "screen") == "a door\nbe home"
    memory.record("open", "a hall", {"admissible": ("go",)})
    assert state_text(memory.view(), "screen") == "> open\na hall\nbe home"
    assert "a door" in state_text(memory.view()) and "be home" in state_text(memory.view())
    with pytest.raises(ValueError, match="reads='all'"):
        Critic(HashedFeatures(8), reads="all")


@pytest.mark.parametrize("kind", ["tiny", "chat"])
def test_actions_read_as_branches_have_the_features_of_actions_read_alone(
    kind: str, small_tiny: Path, small_chat: Path
) -> None:
    loaded = load(str(small_tiny if kind == "tiny" else small_chat))
    features = ModelFeatures(replace(loaded, model=loaded.model.float()))
    states = ["[0] title Sound", "[0] title Clock\n[1] button Start", "[0] title Sound", "[0] title Sound"]
    actions = ["click 1", "back", "click 12", "home"]
    together = features(states, actions).astype(float)
    for row, state, action in zip(together, states, actions, strict=True):
        ids = torch.tensor([[*features.prompt(state), *features.reply(action)]])
        with torch.inference_mode():
            alone = loaded.model(input_ids=ids, output_hidden_states=True).hidden_states[-1][0, -1]
        assert np.abs(row - alone.numpy()).max() < 2e-3
    assert np.abs(together[0] - together[2]).max() > 3e-3


def test_a_small_run_goes_through_every_stage_and_says_how_good_its_critic_is(whole: Path) -> None:
    rows = settled(whole)["iterations"]
    assert [r["eval"]["test"]["agent"].rsplit("/", 1)[-1] for r in rows][1].endswith("rerank 4")
    assert {"q_return", "look_right", "loss_q", "loss_v", "changed"} <= set(rows[1]["fit"])
    assert -1 <= rows[1]["fit"]["q_return"] <= 1 and 0 < rows[1]["fit"]["changed"] < 1
    plot = (whole / "checkpoints" / "01" / "q-return.svg").read_text()
    held = sum(len(t.steps) for t in RunDir(whole).trajectories("01-train", list)) - rows[1]["fit"]["transitions"]
    assert plot.count("<circle") == held > 0 and f"r = {rows[1]['fit']['q_return']:.2f}" in plot
    offline, labelled = (read(whole / "trajectories" / f"{k}-train.jsonl.zst")[0] for k in ("01", "02"))
    assert [t.steps for t in offline] == [t.steps for t in labelled]
    others = 0
    for t in labelled:
        for step, drawn, (best, _, weight) in zip(t.steps, t.meta["candidates"], t.meta["corrections"], strict=True):
            assert drawn[0] == step.action and len(set(drawn)) == len(drawn) <= 6 and set(drawn) <= set(step.admissible)
            assert best in drawn and weight == 1
            others += best != step.action
    assert others


def test_what_is_cloned_is_the_argmax_of_the_critic_that_the_run_keeps(whole: Path) -> None:
    critic, _ = load_critic(RunDir(whole).latest() / "critic")
    memory = make_memory("full")
    for t in read(whole / "trajectories" / "02-train.jsonl.zst")[0][:5]:
        first = t.steps[0]
        memory.begin(t.goal, first.observation, {"admissible": first.admissible})
        q = critic.rank(critic.text(memory.view()), t.meta["candidates"][0])
        assert q[t.meta["candidates"][0].index(t.meta["corrections"][0][0])] >= q.max() - 1e-3


def test_the_policy_of_the_critics_round_is_the_behaviour_policy(whole: Path) -> None:
    from safetensors.torch import load_file

    weights = [load_file(whole / "checkpoints" / k / "model.safetensors") for k in ("00", "01", "02")]
    assert all(torch.equal(weights[0][n], weights[1][n]) for n in weights[0])
    assert not all(torch.equal(weights[0][n], weights[2][n]) for n in weights[0])
    critics = [(whole / "checkpoints" / k / "critic" / "critic.safetensors").read_bytes() for k in ("01", "02")]
    assert critics[0] == critics[1] and not (whole / "checkpoints" / "00" / "critic").exists()


@pytest.mark.parametrize("lost", [("01.json", "02.json"), ("01", "02"), ("02",)])
def test_a_run_cut_off_between_its_stages_resumes_to_the_same_result(
    whole: Path, tmp_path: Path, lost: tuple[str, ...]
) -> None:
    import shutil

    out = tmp_path / "cut"
    shutil.copytree(whole, out)
    for name in lost:
        shutil.rmtree(out / "checkpoints" / name, ignore_errors=True)
        (out / "iterations" / (name if name.endswith("json") else f"{name}.json")).unlink()
        for file in (out / "trajectories").glob(f"{name[:2]}-*"):
            if not (name == "01" and file.name.startswith("01-train")):
                file.unlink()
    (out / "result.json").unlink()
    train(resume=out, say=silent)
    assert settled(out) == settled(whole)


@pytest.mark.parametrize(
    "ablation",
    [{"features": "hashed", "reads": "history"}, {"features": "random", "candidates": "1"},
     {"features": "policy", "extract": "success"}],
)  # fmt: skip
def test_what_makes_the_method_can_be_taken_out(
    ablation: dict[str, str], whole: Path, small_tiny: Path, tmp_path: Path
) -> None:
    settings = SMALL | {f"digiq.{k}": v for k, v in ablation.items()}
    settings.pop("digiq.look_epochs")  # nothing looks
    run = train("device", "digiq", str(small_tiny), out=tmp_path / "run", settings=settings, say=silent)
    rows = settled(run)["iterations"]
    assert "look_right" not in rows[1]["fit"] and rows[0] == settled(whole)["iterations"][0]
    for t in read(run / "trajectories" / "02-train.jsonl.zst")[0]:
        if "candidates" in ablation:
            assert [c[0] for c in t.meta["corrections"]] == t.actions
        if "extract" in ablation:
            assert [c[0] for c in t.meta["corrections"]] == (t.actions if t.success else [None] * len(t.steps))


def test_rerank_on_the_command_line_asks_the_runs_critic(
    whole: Path, small_tiny: Path, run_cli: Callable[..., tuple[int, str, str]]
) -> None:
    base = ("eval", "--episodes", "6", "--json")  # a run plays its own world
    code, out, err = run_cli(*base, "--agent", str(whole / "checkpoints" / "01"), "--rerank", "4")
    assert code == 0, err
    row = json.loads(out)
    assert row["rerank"] == 4
    again = evaluate(agent_name=str(whole), episodes=6, rerank=1)  # the likeliest alone: the policy itself
    plain = evaluate("device", str(whole), episodes=6)
    assert plain["env_kwargs"] == again["env_kwargs"] == row["env_kwargs"] == {"level": "L0", "max_steps": 5}
    assert (again["success"], again["steps"]) == (plain["success"], plain["steps"])
    code, _, err = run_cli(*base, "--agent", "random", "--rerank", "4")
    assert (
        code == 2
        and "--rerank needs the directory of a run of method digiq, awr or iql" in err
        and "Traceback" not in err
    )
    with pytest.raises(ValueError, match="leave --temperature 1.0 out, or take --vas"):
        evaluate("device", str(whole), episodes=6, rerank=4, temperature=1.0)
    with pytest.raises(ValueError, match="has no critic"):
        evaluate("device", str(whole / "checkpoints" / "00"), episodes=6, rerank=4)


def test_reranking_many_turns_is_reranking_each(small_tiny: Path) -> None:
    class Both:
        name = "both"

        def act(self, turns: Any) -> Any:
            from agentgym.agents.core import Decision

            return [Decision("b", candidates=(Candidate("a", -1.0), Candidate("b", -0.5))) for _ in turns]

    critic = Critic(ModelFeatures(load(str(small_tiny))), width=16, reads="screen")
    views = []
    for i in range(5):
        memory = make_memory("full")
        memory.begin("goal", f"[0] title Page {i}", {"admissible": ("a", "b")}, i)
        views.append(memory.view())
    agent = RerankAgent(Both(), critic, n=2)
    together = agent.act(views)
    assert [d.action for d in together] == [agent.act([v])[0].action for v in views]
    for view, d in zip(views, together, strict=True):
        q = critic.rank(critic.text(view), ["b", "a"])
        assert [c.q for c in d.candidates] == pytest.approx(q.tolist(), abs=1e-3)


def test_settings_and_worlds_that_cannot_work_are_refused_in_one_line(small_tiny: Path, tmp_path: Path) -> None:
    for settings, fault in (
        ({"features": "raw"}, "digiq.features='raw': choose one of tuned, policy, random, hashed"),
        ({"candidates": 0}, "digiq.candidates=0: needs at least 1"),
        ({"quantile": 1.0}, "digiq.quantile=1.0"),
        ({"spread": 0.0}, "digiq.spread=0.0: needs to be positive"),
        ({"look_epochs": 0.0}, "digiq.look_epochs=0.0: needs to be positive"),
    ):
        with pytest.raises(ValueError, match=fault):
            DigiQ(**settings)  # type: ignore[arg-type]
    for env, more, fault in (
        ("device", {"run.mode": "generate"}, "digiq needs run.mode=choose"),
        ("sql", {}, "digiq needs listed actions"),
        ("device", {"env.level": "L6", "digiq.p_wrong": "0", "digiq.demonstrations": "5", "env.max_steps": "1",
                    "digiq.episodes": "5"}, "no reward in 5 episodes of the behaviour policy"),
    ):  # fmt: skip
        settings = {k: v for k, v in SMALL.items() if env == "device" or not k.startswith("env.")} | more
        with pytest.raises((ValueError, LookupError), match=fault):
            train(env, "digiq", str(small_tiny), out=tmp_path / f"{env}{len(more)}", settings=settings, say=silent)
