"""Reasoning: the rules and their solver, the verifier, the protocols of several attempts, files and the extra."""

from __future__ import annotations

import importlib.util
import json
import random
import re
from pathlib import Path

import pytest
from agentgym.envs import Unknown, make, register
from agentgym.envs.check import check
from agentgym.envs.reasoning import ReasoningEnv, Retry
from agentgym.envs.reasoning.families import FAMILIES, LEVELS, family_of
from agentgym.envs.reasoning.grade import Grade, grade_latex, grade_list, grade_number, numbers, plain
from agentgym.envs.reasoning.metrics import majority
from agentgym.envs.reasoning.problems import make_problem
from agentgym.envs.reasoning.turns import BLIND, FEEDBACK, RETRY, respond
from hypothesis import given, settings
from hypothesis import strategies as st
from playing import play


@pytest.fixture
def gsm8k(tmp_path: Path) -> Path:
    """A folder as GSM8K is laid out, with our own problems."""
    for part, n in (("train", 20), ("test", 3)):
        rows = [
            {"question": f"Ann’s {i} pens and {i} more cost £?", "answer": f"<<{i}>>\n#### {1000 + i:,}"}
            for i in range(n)
        ]
        (tmp_path / f"{part}.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n")
    return tmp_path


@pytest.mark.parametrize("feedback", FEEDBACK)
def test_reasoning_passes_the_conformance_check(feedback: str) -> None:
    assert not [c for c in check(lambda: make("reasoning", feedback=feedback, turns=3)) if c.passed is not True]


@pytest.mark.parametrize("family", sorted(FAMILIES))
@pytest.mark.parametrize("level", LEVELS)
def test_the_solver_agrees_with_the_maker(family: str, level: int) -> None:
    rule, rng = FAMILIES[family], random.Random(level)
    for _ in range(100):
        question, answer = rule.make(rng, level)
        assert family_of(question) == family
        assert rule.grader(answer, answer).right
        if rule.public:
            assert rule.solve(question) == answer, question


def test_no_two_splits_share_a_question() -> None:
    asked = {}
    for split in ("train", "valid", "test"):
        asked[split] = {
            make_problem(0, split, i, f, level).question
            for f, rule in FAMILIES.items() if rule.public for level in LEVELS for i in range(40)
        }  # fmt: skip
    assert (
        not asked["train"] & asked["valid"]
        and not asked["train"] & asked["test"]
        and not asked["valid"] & asked["test"]
    )


def test_a_ring_names_its_end_before_the_way_and_the_mixture_leaves_it_out() -> None:
    env = make("reasoning", family="ring", level=3, turns=2, feedback="blind")
    for task in env.tasks("test")[:50]:
        question, _ = env.reset(options={"task": task})
        [answer, _] = env.privileged().actions
        end, *way = map(int, answer.split())
        start, boxes, *steps = map(int, re.findall(r"\d+", question))
        places = [start]
        for step in steps:
            for _ in range(step):  # box by box
                places[-1:] = [places[-1] % boxes + 1]
            places.append(places[-1])
        assert way == places[:-1] and end == way[-1]
        wrong = f"{end % boxes + 1} {' '.join(map(str, way))}"
        assert env.step(wrong)[1] == 0 and env.step(answer)[1] == 1
    kinds = {task.split("-")[1] for task in make("reasoning").tasks("test")}
    assert not kinds & {"ring", "guess"} and {"sums", "median"} <= kinds


def test_a_task_is_one_problem_and_another_seed_another() -> None:
    one, two, other = ReasoningEnv(), ReasoningEnv(), ReasoningEnv(seed=1)
    ask = lambda env: [env.reset(options={"task": t})[0] for t in env.tasks("test")]
    assert ask(one) == ask(two) != ask(other)
    assert one.split_hash("test") == two.split_hash("test") != other.split_hash("test")


def test_the_solver_answers_every_problem_at_once_and_guesses_by_halving() -> None:
    for kwargs, turns in (({}, 1), ({"family": "guess", "level": 5, "turns": 10}, 10)):
        env = ReasoningEnv(**{"turns": 3, **kwargs})  # type: ignore[arg-type]
        for task in env.tasks("test")[:50]:
            played = play(env, task)
            assert len(played) <= turns and played[-1][1]["success"] and played[-1][1]["score"] == 1.0


@pytest.mark.parametrize(
    ("reply", "right", "feedback"),
    [
        ("42", True, "42 is right."),
        ("6 * 7 = 42", True, "42 is right."),
        ("Let me see. 40 + 2.\nAnswer: 42.0", True, "42 is right."),
        (r"so \boxed{42} of 50", True, "42 is right."),
        ("#### 42\n", True, "42 is right."),
        ("<answer> 84/2 </answer> 7", True, "42 is right."),
        ("41", False, "41 is too small."),
        ("the answer is 1,000", False, "1000 is too large."),
        ("-42", False, "-42 is too small."),
    ],
)
def test_a_number_is_read_from_many_forms(reply: str, right: bool, feedback: str) -> None:
    grade = grade_number("42", reply)
    assert (grade.right, grade.feedback) == (right, feedback)


def test_what_cannot_be_read_is_said_and_marked() -> None:
    env = ReasoningEnv(family="sums", turns=2)
    env.reset(options={"task": env.tasks("test")[0]})
    text, reward, over, _, info = env.step("no idea")
    assert text.startswith("No answer can be read there.") and reward == 0 and not over and info["invalid"]
    _, _, over, _, info = env.step("1/0")
    assert over and info["invalid"] and not info["success"]


def test_a_list_is_graded_by_its_places() -> None:
    assert grade_list("1, 2, 3, 4", "1 2 4 3") == Grade(False, 0.5, "2 of 4 places are right.")
    assert grade_list("1, 2", "1, 2, 3").feedback == "There are 2 numbers to give, not 3."
    assert grade_list("1, 2", "Answer: 1, 2").right


@pytest.mark.parametrize(
    ("answer", "reply", "right"),
    [
        (r"\frac{1}{2}", r"\boxed{\dfrac{1}{2}}", True),
        (r"\frac12", "0.5", True),
        (r"-\frac{3}{4}", "Answer: -3/4", True),
        (r"\left(3, \frac{\pi}{2} \right)", r"thus \boxed{(3,\frac{\pi}{2})}.", True),
        ("1,000", "1000", True),
        ("5", "The final answer is: **5**", True),
        (r"10\text{ cm}", r"It is \boxed{10}.", True),
        (r"50\%", "$50$", True),
        (r"\text{(B)}", "(B)", True),
        (r"x^2+1", "x^2-1", False),
        ("7", "8", False),
        ("7", "7 or 8", False),
    ],
)
def test_a_latex_answer_is_compared_by_its_meaning(answer: str, reply: str, right: bool) -> None:
    assert grade_latex(answer, reply).right is right


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=200) | st.text("0123456789/,.-\\boxed{}#$%frac ", max_size=80))
def test_no_text_makes_a_verifier_raise(reply: str) -> None:
    for grader, answer in ((grade_number, "3"), (grade_list, "1, 2"), (grade_latex, r"\frac{1}{2}")):
        grade = grader(answer, reply)
        assert 0 <= grade.score <= 1 and (grade.score == 1 or not grade.right)
    assert isinstance(plain(reply), str)


def test_a_very_long_number_does_not_raise() -> None:
    assert not grade_number("3", "9" * 100_000).right
    assert not grade_latex("3", "9" * 100_000).right
    assert len(numbers("1" * 50)) >= 1


def test_protocols_differ_in_what_they_tell_and_when_they_end() -> None:
    wrong, right = Grade(False, 0.0, "3 is too small."), Grade(True, 1.0, "4 is right.")
    assert respond("graded", wrong, 1, 3) == ("3 is too small. Try again.", False)
    assert respond("retry", wrong, 1, 3) == (RETRY, False)
    assert respond("blind", wrong, 1, 3) == respond("blind", right, 1, 3) == (BLIND, False)
    assert respond("graded", right, 1, 3) == ("4 is right.", True)
    assert respond("retry", wrong, 3, 3) == ("That is not right.", True)
    assert respond("blind", wrong, 2, 2) == respond("blind", right, 2, 2) == ("Thank you.", True)


def test_two_blind_turns_pay_each_attempt_and_count_the_last() -> None:
    env = ReasoningEnv(family="sums", turns=2, feedback="blind")
    env.reset(options={"task": env.tasks("test")[0]})
    answer = env.privileged().actions
    assert len(answer) == 2
    text, reward, over, _, info = env.step(answer[0])
    assert (text, reward, over, info["success"], info["score"]) == (BLIND, 1.0, False, False, 0.0)
    _, reward, over, _, info = env.step("-99999")
    assert (reward, over, info["success"]) == (0.0, True, False)


def test_any_world_of_a_single_turn_can_be_tried_again(clean: None) -> None:
    inner = lambda: make("reasoning", turns=1)
    register("again", summary="retry")(
        type("Again", (Retry,), {"__init__": lambda self: Retry.__init__(self, inner(), turns=3)})
    )
    found = {c.name: c.passed for c in check(lambda: make("again"))}
    assert False not in found.values()
    one, two = Retry(inner(), turns=3), ReasoningEnv(turns=3)
    for task in one.tasks("test")[:8]:
        assert one.reset(options={"task": task})[0] == two.reset(options={"task": task})[0]
        for reply in ("-5", "", "9999999"):
            assert one.step(reply)[:4] == two.step(reply)[:4]
    with pytest.raises(ValueError, match="max_steps=3: Retry wants a world of 1 step"):
        Retry(make("reasoning", turns=3))


def test_gsm8k_is_read_from_its_folder(gsm8k: Path) -> None:
    env = ReasoningEnv(source="gsm8k", data=str(gsm8k))
    assert [len(env.tasks(s)) for s in ("train", "valid", "test")] == [18, 2, 3]
    found = {c.name: c.passed for c in check(lambda: ReasoningEnv(source="gsm8k", data=str(gsm8k)))}
    assert False not in found.values() and found["the oracle reaches the goal"]
    text, _ = env.reset(options={"task": "test/00002-gsm8k"})
    assert text == "Ann’s 2 pens and 2 more cost £?" and text in env.observation_space
    assert env.step("It is 1,002.")[-1]["success"]
    with pytest.raises(LookupError, match="no searching expert"):
        env.searcher()


@pytest.mark.parametrize("layout", ["folders", "lines"])
def test_math_is_read_in_both_layouts(tmp_path: Path, layout: str) -> None:
    row = {
        "problem": "Halve $x$ at 1.",
        "level": "Level 2",
        "type": "Algebra",
        "solution": r"We get $\boxed{\frac{1}{2}}$.",
    }
    for part in ("train", "test"):
        if layout == "folders":
            (tmp_path / part / "algebra").mkdir(parents=True)
            (tmp_path / part / "algebra" / "1.json").write_text(json.dumps(row))
        else:
            (tmp_path / f"{part}.jsonl").write_text(json.dumps(row) + "\n")
    env = ReasoningEnv(source="math", data=str(tmp_path))
    _, info = env.reset(options={"task": "test/00000-math"})
    assert info["kind"] == "math-2"
    assert env.step(r"\boxed{0.5}")[-1]["success"]


def test_mistakes_name_the_value_and_what_is_legal(tmp_path: Path) -> None:
    for kwargs, fault in (
        ({"source": "gsm9k"}, "source='gsm9k': choose one of procedural, gsm8k, math, reasoning-gym:TASK"),
        ({"family": "sum"}, "family='sum': choose one of mixed, sums"),
        ({"level": 6}, "level=6: choose one of 1, 2, 3, 4, 5"),
        ({"turns": 0}, "turns=0: needs at least 1"),
        ({"feedback": "kind"}, "feedback='kind': choose one of graded, retry, blind"),
    ):
        with pytest.raises(ValueError, match=re.escape(fault)):
            make("reasoning", **kwargs)
    with pytest.raises(ValueError, match="test/00000-sums-1"):
        make("reasoning").reset(options={"task": "nowhere"})
    with pytest.raises(FileNotFoundError, match="set data=FOLDER"):
        make("reasoning", source="math")
    with pytest.raises(FileNotFoundError, match=r"neither train\.jsonl nor a folder train"):
        make("reasoning", source="math", data=str(tmp_path))
    (tmp_path / "train.jsonl").write_text('{"problem": "?"}\n')
    with pytest.raises(ValueError, match=r"train\.jsonl:1: not a problem of math"):
        make("reasoning", source="math", data=str(tmp_path))


@pytest.mark.skipif(importlib.util.find_spec("reasoning_gym") is not None, reason="reasoning-gym is installed")
def test_without_the_extra_one_line_names_it() -> None:
    with pytest.raises(ImportError, match=re.escape("pip install 'agentgym-lab[reasoning]'")) as error:
        make("reasoning", source="reasoning-gym:leg_counting")
    assert "\n" not in str(error.value)


def test_a_task_of_reasoning_gym_is_played() -> None:
    pytest.importorskip("reasoning_gym")
    env = ReasoningEnv(source="reasoning-gym:leg_counting", train=20, valid=5, test=5)
    asked = {s: {env.reset(options={"task": t})[0] for t in env.tasks(s)} for s in ("train", "valid", "test")}
    assert not asked["train"] & (asked["valid"] | asked["test"])
    found = {c.name: c.passed for c in check(lambda: env)}
    assert False not in found.values() and found["the oracle reaches the goal"]
    with pytest.raises(Unknown, match="did you mean 'leg_counting'"):
        make("reasoning", source="reasoning-gym:leg_countin")


def test_the_majority_is_the_commonest_answer_and_of_equals_the_first() -> None:
    assert [majority(a) for a in (["1", "2", "2"], ["1", "2"], ["", "3", ""], [])] == ["2", "1", "3", ""]
