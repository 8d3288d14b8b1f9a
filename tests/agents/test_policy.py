"""The policy: admissible, cached, batched, and the same whatever the batch."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from agentgym.agents.cache import SlotCache
from agentgym.agents.models import load
from agentgym.agents.policy import Policy, parse, tree
from agentgym.agents.tokenizer import build, mine, words
from agentgym.envs import make
from agentgym.memory import memory_maker
from agentgym.training.rollout import rollout


def play(model: str, memory: str, batch: int, **policy: object) -> list[object]:
    loaded = load(model)
    agent = Policy(loaded.model, loaded.renderer, name="student", **policy)  # type: ignore[arg-type]
    tasks = make("alfworld").tasks("train")[:6]
    return list(
        rollout(
            lambda: make("alfworld", max_steps=8), agent, memory_maker(memory), tasks, env_id="alfworld",
            memory=memory, seed=3, batch=batch,
        )
    )  # fmt: skip


@pytest.mark.parametrize("memory", ["full", "window:2", "diff"])
@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_the_batch_size_changes_no_action(small_tiny: Path, memory: str, temperature: float) -> None:
    one = play(str(small_tiny), memory, 1, temperature=temperature)
    six = play(str(small_tiny), memory, 6, temperature=temperature)
    assert [t.actions for t in one] == [t.actions for t in six]  # type: ignore[attr-defined]


def test_rows_that_are_forked_one_by_one_seldom_move_the_cache(small_tiny: Path) -> None:
    cache = SlotCache(load(str(small_tiny)).model.config, dtype=torch.float32, device=torch.device("cpu"))
    cache.reserve(1, 16)
    cache._keys[0][0] = 1.0
    places = set()
    for row in range(1, 100):
        cache.copy(0, [row])
        places.add(cache._keys[0].data_ptr())
    assert len(places) <= 8 and cache.slots < 200
    assert bool((cache._keys[0][:100] == 1).all()) and not cache._keys[0][100:].any()


def test_choose_scores_every_command_as_a_plain_reading_would(small_tiny: Path) -> None:
    """An independent slow reference: read prompt and command from scratch, sum the tokens' log-probabilities."""
    loaded = load(str(small_tiny))
    for t in play(str(small_tiny), "full", 6, temperature=1.0)[:3]:
        read: list[int] = []
        for step in t.steps:  # type: ignore[attr-defined]
            read = list(step.context_ids) if step.fresh else read + list(step.context_ids)
            scores = []
            for action in step.admissible:
                reply = list(loaded.renderer.reply(action))
                with torch.no_grad():
                    logp = loaded.model(torch.tensor([read + reply])).logits[0].log_softmax(-1)
                scores.append(sum(float(logp[len(read) - 1 + k, token]) for k, token in enumerate(reply)))
            expected = torch.tensor(scores).log_softmax(0)[step.admissible.index(step.action)]
            assert step.logprob == pytest.approx(float(expected), abs=1e-3)
            read += step.token_ids


def test_a_reply_that_begins_another_counts_its_end() -> None:
    shape = tree([(5, 6), (5, 6, 7), (8,)], stop=2)
    assert shape.ids == (5, 6)
    edges = zip(shape.owner.tolist(), shape.nodes.tolist(), shape.tokens.tolist(), strict=True)
    assert list(edges) == [(0, 0, 5), (0, 1, 6), (0, 2, 2), (1, 0, 5), (1, 1, 6), (1, 2, 7), (2, 0, 8)]


def test_a_cached_rollout_reads_what_a_fresh_reading_would_read(small_tiny: Path) -> None:
    loaded = load(str(small_tiny))
    from agentgym.agents.teachers import turns

    for t in play(str(small_tiny), "full", 3):
        read: list[int] = []
        for step, turn in zip(t.steps, turns(t, memory_maker("full")()), strict=True):  # type: ignore[arg-type, attr-defined]
            read = list(step.context_ids) if step.fresh else read + list(step.context_ids)
            assert read == loaded.renderer.prompt(turn)
            read += step.token_ids


def test_generate_writes_freely_and_keeps_what_it_wrote(small_tiny: Path) -> None:
    for t in play(str(small_tiny), "full", 6, mode="generate", max_new_tokens=6, temperature=1.0):
        assert all(len(s.token_ids) <= 6 for s in t.steps)  # type: ignore[attr-defined]


def test_a_reply_is_split_into_thought_and_action() -> None:
    assert parse("REASON: a\nACTION: go to bed 1\nmore") == ("a", "go to bed 1")
    assert parse("  look ") == (None, "look")


def test_the_tokenizer_round_trips_any_text_and_keeps_names_whole() -> None:
    texts = ["You see a mug 1, and a cup 2.", " take mug 1 from shelf 2", " take cup 2 from shelf 3"] * 100
    tok = build(*mine(texts, min_count=50))
    for text in [*texts[:3], "Ünïcödé\n\n  £9.99 <|x|>", "12345", "a\tb"]:
        assert tok.decode(tok.encode(text, add_special_tokens=False)) == text
    first = tok.encode(" mug", add_special_tokens=False)
    assert len(first) == 1
    assert first[0] in tok.encode("You see a mug 1, and a cup 2.", add_special_tokens=False)
    assert "".join(words("a  b\n1.")) == "a  b\n1."
