"""RISE and SCoRe: their numbers by hand, their step against the arithmetic, and whole runs on a small model."""

from __future__ import annotations

import json
import math
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from agentgym.agents.teachers import turns
from agentgym.envs import make
from agentgym.memory.store import read
from agentgym.memory.trajectory import Step, Trajectory
from agentgym.training import update
from agentgym.training.advantages import leave_one_out
from agentgym.training.attempts import answers, judge, propose, right, summary
from agentgym.training.lab import Lab
from agentgym.training.losses import k3, reinforce
from agentgym.training.methods.rise import astray, first_attempts, shown, weight
from agentgym.training.methods.score import credit
from agentgym.training.reinforce import Ascent, Said, merged, own_words, weights
from agentgym.training.run import RunDir
from agentgym.training.sequences import IGNORE, Reply, build, collate
from agentgym.training.student import Student
from agentgym.training.train import configure, train

WORLD = {"env.family": "median", "env.level": "1", "eval.valid": "0", "eval.test": "6"}
RISE = WORLD | {
    "rise.demonstrations": "12", "rise.epochs0": "1", "rise.iterations": "1", "rise.episodes": "4",
    "rise.candidates": "2", "rise.epochs": "1", "env.turns": "3",
}  # fmt: skip
SCORE = WORLD | {
    "score.demonstrations": "12", "score.epochs0": "1", "score.stage1": "1", "score.stage2": "1", "score.updates": "2",
    "score.questions": "2", "score.samples": "3",
}  # fmt: skip


def silent(_: str) -> None:
    pass


def episode(*attempts: tuple[str, bool]) -> Trajectory:
    """An episode of answers, each right or not."""
    steps = tuple(
        Step("?", None, said, float(hit), False, False, False, 0.0, False, token_ids=(5,)) for said, hit in attempts
    )
    return Trajectory("reasoning", {}, "test/0", "", 0, "?", "a", "full", steps, "Thank you.")


@pytest.fixture(scope="module")
def scored(small_tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("score") / "run"
    return train("reasoning", "score", str(small_tiny), out=out, settings=SCORE, say=silent)


@pytest.fixture
def lab(small_tiny: Path, tmp_path: Path) -> Lab:
    config = configure("reasoning", "score", str(small_tiny), "full", 0, SCORE, False)
    student = Student.of(str(small_tiny), mode="generate")
    run = RunDir.create(tmp_path / "lab", config)
    run.checkpoint(0, student.save)
    return Lab("reasoning", config["env_kwargs"], "full", 0, student, run, {"test": 6}, 4, silent)


def settled(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: settled(v) for k, v in value.items() if k not in ("seconds", "peak_memory_mib")}
    return [settled(v) for v in value] if isinstance(value, list) else value


def result(run: Path) -> Any:
    return settled(json.loads((run / "result.json").read_text()))


def test_k3_is_what_its_formula_says_and_zero_where_the_policies_agree() -> None:
    logp, ref = torch.tensor([0.5, 0.2]).log(), torch.tensor([0.25, 0.2]).log()
    assert k3(logp, ref).tolist() == pytest.approx([0.5 - math.log(0.5) - 1, 0.0], abs=1e-6)


def test_the_policy_gradient_is_the_advantage_times_the_score_of_the_token() -> None:
    logits = torch.tensor([[0.0, math.log(2.0), math.log(5.0)]], requires_grad=True)  # p = 1/8, 2/8, 5/8
    logp = torch.log_softmax(logits, -1)[:, 1]
    still = torch.zeros(1)
    loss = reinforce(logp, torch.tensor([3.0]), logp.detach(), still)
    assert loss.item() == pytest.approx(3 * math.log(4))
    loss.backward()
    assert logits.grad is not None
    assert logits.grad[0].tolist() == pytest.approx([3 / 8, -3 * 6 / 8, 3 * 5 / 8])


def test_the_penalty_pulls_back_to_the_reference() -> None:
    logits = torch.tensor([[0.0, 0.0]], requires_grad=True)  # p = 1/2, the reference says 1/4
    logp = torch.log_softmax(logits, -1)[:, 0]
    loss = reinforce(logp, torch.zeros(1), torch.tensor([0.25]).log(), torch.tensor([0.1]))
    assert loss.item() == pytest.approx(0.1 * (0.5 - math.log(0.5) - 1))
    loss.backward()
    assert logits.grad is not None  # d k3 / d log p = 1 − ρ = 1/2, and d log p / d z = (1/2, −1/2)
    assert logits.grad[0].tolist() == pytest.approx([0.1 * 0.25, -0.1 * 0.25])


def test_a_leave_one_out_baseline_is_the_mean_of_the_others() -> None:
    assert leave_one_out(torch.tensor([[1.0, 0.0, 0.0, 1.0], [1.0, 1.0, 1.0, 1.0]])).tolist() == [
        pytest.approx([2 / 3, -2 / 3, -2 / 3, 2 / 3]), [0.0] * 4,
    ]  # fmt: skip
    with pytest.raises(ValueError, match="1 sample: a leave-one-out baseline needs at least 2"):
        leave_one_out(torch.tensor([1.0]))


def test_each_stage_credits_each_attempt_with_its_own_reward() -> None:
    r = torch.tensor([[[1.0, 1.0], [1.0, 0.0], [0.0, 0.0]]])
    first, kl = credit(r, 1, alpha=10.0, beta1=0.01, beta2=0.1)
    assert kl == (0.1, 0.0) and first[..., 0].tolist() == [[0.0, 0.0, 0.0]]
    assert first[0, :, 1].tolist() == pytest.approx([1.0, -0.5, -0.5])
    second, kl = credit(r, 2, alpha=10.0, beta1=0.01, beta2=0.1)
    assert kl == (0.01, 0.01)
    assert second[0, :, 0].tolist() == pytest.approx([0.5, 0.5, -1.0])
    assert second[0, :, 1].tolist() == pytest.approx([11.0, -5.5, -5.5], abs=1e-5)


def test_without_shaping_the_second_attempt_weighs_no_more_than_the_first() -> None:
    r = torch.tensor([[[1.0, 1.0], [0.0, 0.0]]])
    plain, _ = credit(r, 2, alpha=0.0, beta1=0.01, beta2=0.1)
    assert plain[..., 0].tolist() == plain[..., 1].tolist() == [[1.0, -1.0]]


def test_a_right_answer_weighs_exp_of_the_reward_over_tau() -> None:
    assert weight(1.0, 0.4) / weight(0.0, 0.4) == pytest.approx(math.exp(2.5))


def test_only_the_first_attempt_of_a_demonstration_is_learned() -> None:
    shown = episode(("4", True), ("4", True), ("4", True))
    assert [c.action for c in first_attempts(shown, 1)] == ["4", None, None]
    assert [c.action for c in first_attempts(astray(shown, "7", 0.0), 2)] == ["4", "4", None]


def test_a_demonstration_can_answer_another_question_first_and_is_judged_for_it(lab: Lab) -> None:
    env, led = lab.make_env(), shown(lab, 8, True)
    assert len(led) == 8 and {s.reward for s in (t.steps[0] for t in led)} >= {0.0}
    for t in led:
        astray_, right_ = t.steps
        assert [astray_.reward, right_.reward] == [judge(env, t.task, [astray_.action])[0], 1.0]
    assert all(s.reward == 1 for t in shown(lab, 8, False) for s in t.steps) and shown(lab, 0, True) == []


def test_the_numbers_of_some_episodes_are_as_counted_by_hand() -> None:
    played = [
        episode(("4", True), ("4", True), ("7", False)),  # the majority is right, the last attempt is not
        episode(("1", False), ("Answer: 2.", True), ("2", True)),  # mended
        episode(("1", False), ("3", False), ("5", False)),
        episode(("9", True)),  # ended early, and stays right
    ]
    hits, given = right(played, 3), answers(played, 3)
    assert hits.tolist() == [[1, 1, 0], [0, 1, 1], [0, 0, 0], [1, 1, 1]]
    assert given[1] == ["1", "2", "2"] and given[3] == ["9", "9", "9"]
    row = summary(hits, given)
    means = {k: v["mean"] for k, v in row.items() if isinstance(v, dict)}
    assert means == {
        "acc@t1": 0.5, "acc@t3": 0.5, "delta": 0.0, "i->c": 0.25, "c->i": 0.25, "edits": 0.75,
        "m1@t3": 0.75, "p1@t3": 0.75, "gain": 0.25,
    }  # fmt: skip
    assert row["acc"] == [0.5, 0.75, 0.5]
    low, high = row["gain"]["ci95"]
    assert low < 0 < 0.25 < high and low == pytest.approx(0.25 - 1.96 * 0.25, abs=1e-3)


def test_a_reply_is_judged_as_a_first_attempt() -> None:
    env = make("reasoning", family="median", level=1, turns=2, feedback="blind")
    task = env.tasks("test")[0]
    env.reset(options={"task": task})
    [answer, _] = env.privileged().actions
    assert judge(env, task, ["-1", answer, "-1", "no idea"]) == [0.0, 1.0, 0.0, 0.0]


def test_sampled_ids_are_trained_on_with_the_probability_with_which_they_were_drawn(lab: Lab) -> None:
    policy = lab.student.policy(1.0)
    policy.max_new_tokens = 5
    played = lab.play(policy, lab.tasks("train", 4), 1)
    for t in played:
        words = own_words(t, [1.0, 2.0], [0.1, 0.0], lab.student.renderer.stop, longest=5)
        with torch.no_grad():
            read_ = [update.logps(lab.student.model, collate([w.example])) for w in words]
        logp, adv = (torch.cat(parts) for parts in zip(*read_, strict=True))
        drawn = [len(s.token_ids) + (len(s.token_ids) < 5) for s in t.steps]  # a reply that was cut has no stop
        assert adv.tolist() == [1.0] * drawn[0] + [2.0] * drawn[1]
        kl = [b for w in words for b, i in zip(w.kl, w.example.targets, strict=True) if i != IGNORE]
        assert kl == pytest.approx([0.1] * drawn[0] + [0.0] * drawn[1])
        sums = [logp[: drawn[0]].sum().item(), logp[drawn[0] :].sum().item()]
        assert sums == pytest.approx([s.logprob for s in t.steps], abs=2e-3)


def test_many_replies_to_one_state_are_those_that_each_would_give_alone(lab: Lab) -> None:
    played = lab.play(lab.student.policy(1.0), lab.tasks("train", 3), 1)
    states = [s for t in played for s in turns(t, lab.make_memory())]
    together = [[d.token_ids for d in row] for row in propose(lab, states, 3, 1.0, 5)]
    policy = lab.student.policy(1.0)
    policy.begin(int(lab.rng(19, 5).integers(2**31)))
    alone = [[policy.act([replace(s, episode=3 * i + j)])[0].token_ids for j in range(3)] for i, s in enumerate(states)]
    assert together == alone and len({r for row in alone for r in row}) > 9


def test_words_of_an_agent_without_ids_are_refused() -> None:
    with pytest.raises(ValueError, match="no token ids are kept, so 'a' is no policy"):
        own_words(episode(("4", True)), [1.0], [0.0], 2, longest=5)


def said(prompt: int, reply: int, advantage: float, beta: float = 0.0) -> Said:
    example = build([Reply((1, 2, prompt), (reply,), (reply,), advantage)], 2)
    return Said(example, build([Reply((1, 2, prompt), (reply,), (reply,), beta)], 2).weights)


def test_ascent_makes_praised_words_likely_and_a_penalty_holds_it_back(lab: Lab) -> None:
    model, start = lab.student.model, weights(lab.student.model)
    folder = lab.run.part("checkpoints", "00")

    def logp(reply: int) -> float:
        with torch.no_grad():
            return float(torch.log_softmax(model(torch.tensor([[1, 2, 10]])).logits[0, -1], -1)[reply])

    def climb(beta: float) -> tuple[float, dict[str, float]]:
        with torch.no_grad():
            for n, p in model.named_parameters():
                p.copy_(start[n])
        ascent = Ascent(lab.student, folder, lr=3e-3)
        for _ in range(10):
            row = ascent.step([said(10, 20, 1.0, beta), said(10, 30, -1.0, beta)], 2)
        return logp(20) - logp(30), row

    before = logp(20) - logp(30)
    free, row = climb(0.0)
    held, tight = climb(100.0)
    assert free > before + 1 and row["kl"] > 0
    # a step of Muon is as long as its rate says, so who is held goes to and fro about the reference
    assert abs(held - before) < 0.5 * (free - before) and tight["kl"] < row["kl"]


def test_what_was_said_twice_is_read_once_and_weighs_as_if_it_were_read_twice(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [said(10, 20, 1.0, 0.1), said(11, 20, 0.5), said(10, 20, -0.4, 0.3), said(10, 30, -1.0, 0.1)]
    one, *others = merged(rows)
    assert [r.times for r in (one, *others)] == [2, 1, 1]
    assert max(one.example.weights) == pytest.approx(0.6) and max(one.kl) == pytest.approx(0.4)
    gradients: list[torch.Tensor] = []

    def noted(model: Any, *rest: Any) -> float:
        gradients.append(torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None]))
        model.zero_grad()
        return float(gradients[-1].norm())

    monkeypatch.setattr(update, "move", noted)
    ascent = Ascent(lab.student, lab.run.part("checkpoints", "00"), lr=1e-3)
    told = ascent.step(rows, 4)
    each = ascent.step(rows, 4, epsilon=0.2)  # the surrogate reads them all, and begins as REINFORCE does
    once, apart = gradients
    assert float((once - apart).norm()) < 0.02 * float(apart.norm())
    assert [told[k] for k in ("kl", "surprise")] == pytest.approx(
        [each[k] for k in ("kl", "surprise")], rel=1e-2, abs=1e-5
    )


def test_the_reference_is_the_checkpoint_and_the_student_is_left_as_it_was(lab: Lab) -> None:
    with torch.no_grad():
        lab.student.model.get_output_embeddings().weight.mul_(1.5)
    now = weights(lab.student.model)
    ascent = Ascent(lab.student, lab.run.part("checkpoints", "00"), lr=1e-9)
    assert all(torch.equal(p, now[n]) for n, p in weights(lab.student.model).items())
    assert ascent.step([said(10, 20, 0.0, 0.1)], 1)["kl"] > 1e-4


def test_score_runs_through_both_stages_and_its_numbers_are_in_the_result(scored: Path) -> None:
    rows = result(scored)["iterations"]
    assert [r["fit"].get("stage") for r in rows] == [None, 1, 2] and rows[1]["fit"]["played"] == 12
    for row in rows:
        found = row["eval"]["test"]["attempts"]
        assert found["attempts"] == 2 and found["delta"]["mean"] == pytest.approx(
            found["i->c"]["mean"] - found["c->i"]["mean"]
        )
        assert {"m2@t1", "m1@t2", "p1@t2", "edits"} <= set(found)
    assert (
        RunDir(scored).config()["env_kwargs"] | {"turns": 2, "feedback": "blind"}
        == RunDir(scored).config()["env_kwargs"]
    )


def test_score_goes_on_from_any_round_to_the_same_result(scored: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut"
    shutil.copytree(scored, cut)
    for name in ("result.json", "iterations/01.json", "iterations/02.json", "iterations/02.fit"):
        (cut / name).unlink()
    shutil.rmtree(cut / "checkpoints" / "02")
    (cut / "trajectories" / "02-eval-test.jsonl.zst").unlink()
    assert result(train(resume=cut, say=silent)) == result(scored)


def test_rise_learns_the_best_of_its_replies_at_every_attempt(small_tiny: Path, tmp_path: Path) -> None:
    run = train("reasoning", "rise", str(small_tiny), out=tmp_path / "run", settings=RISE, say=silent)
    taught, _ = read(run / "trajectories" / "01-train.jsonl.zst")
    env = make("reasoning", **RunDir(run).config()["env_kwargs"])
    assert len(taught) == 4 and all(len(t.steps) == len(t.meta["corrections"]) == 3 for t in taught)
    for t in taught:
        for action, _, w in t.meta["corrections"]:
            assert w == pytest.approx(weight(judge(env, t.task, [action])[0], 0.4))
    assert result(run)["iterations"][1]["eval"]["test"]["attempts"]["attempts"] == 3


def test_the_oracle_distils_right_answers_and_the_ablation_teaches_first_attempts_only(
    small_tiny: Path, tmp_path: Path
) -> None:
    more = {"rise.teacher": "oracle", "rise.attempts": "1", "rise.demonstrations": "0"}
    settings = {k: v for k, v in RISE.items() if k != "rise.candidates"} | more
    run = train("reasoning", "rise", str(small_tiny), out=tmp_path / "run", settings=settings, say=silent)
    env = make("reasoning", **RunDir(run).config()["env_kwargs"])
    taught, _ = read(run / "trajectories" / "01-train.jsonl.zst")
    for t in taught:
        (first, _, _), *rest = t.meta["corrections"]
        assert judge(env, t.task, [first]) == [1.0] and [c[0] for c in rest] == [None, None]


@pytest.mark.parametrize(
    ("env", "method", "settings", "fault"),
    [
        ("alfworld", "rise", {}, "rise corrects earlier attempts at one question, which AlfworldEnv has no verifier for"),
        ("alfworld", "score", {}, "take --env reasoning"),
        ("reasoning", "rise", {"env.turns": "1"}, "env.turns=1: rise corrects earlier attempts, so it needs at least 2"),
        ("reasoning", "score", {"env.turns": "5"}, "env.turns=5: score trains two attempts; give env.turns=2"),
        ("reasoning", "score", {"env.feedback": "graded"}, "give env.feedback=blind"),
        ("reasoning", "rise", {"rise.twice": "yes", "env.feedback": "retry"}, "give env.feedback=blind"),
        ("reasoning", "rise", {"rise.attempts": "0"}, "rise.attempts=0"),
        ("reasoning", "rise", {"rise.teacher": "nobody"}, "choose one of self, oracle"),
        ("reasoning", "rise", {"rise.tau": "0"}, "rise.tau=0.0: needs to be positive"),
        ("reasoning", "score", {"score.samples": "1"}, "score.samples=1: needs at least 2"),
        ("reasoning", "score", {"run.mode": "choose"}, "run.mode='choose': this world lists no actions"),
    ],
)  # fmt: skip
def test_what_cannot_be_trained_is_said_at_once(env: str, method: str, settings: dict[str, str], fault: str) -> None:
    with pytest.raises(ValueError) as error:
        configure(env, method, "tiny", "full", 0, settings, False)
    assert fault in str(error.value) and "\n" not in str(error.value)


def test_a_quick_run_is_small_and_the_users_own_settings_stand_over_the_protocol() -> None:
    quick = configure("reasoning", "score", "tiny", "full", 0, {}, True)["hyper"]
    whole = configure("reasoning", "score", "tiny", "full", 0, {}, False)["hyper"]
    assert quick["updates"] < whole["updates"] and quick["stage1"] == quick["stage2"] == 1
    kwargs = configure("reasoning", "rise", "tiny", "full", 0, {"env.feedback": "retry"}, False)["env_kwargs"]
    assert kwargs == {"turns": 5, "feedback": "retry"}
