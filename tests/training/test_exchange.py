"""Episodes in others' formats: TRL takes what we write, and what peers write becomes episodes."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from agentgym.memory import Step, Trajectory, memory_maker
from agentgym.memory.store import read, write
from agentgym.training.exchange import adopt, load, rows

from agentgym.commands.episodes import export

Cli = Callable[..., tuple[int, str, str]]
MADE = memory_maker("full")


def episode(task: str = "t0", **meta: Any) -> Trajectory:
    def step(o: str, a: str, end: bool, reply: str | None = None) -> Step:
        return Step(o, ("look", "take mug"), a, float(end), end, False, end, float(end), False, reply=reply)

    steps = (
        step("A room. Your task: find it.", "look", False),
        step("A mug.", "take mug", True, "REASON: it\nACTION: take mug"),
    )
    return Trajectory("toy", {}, task, "find", 0, "find it", "me", "full", steps, "Taken.", meta)


SAID = [
    {"role": "user", "content": "A room. Your task: find it."},
    {"role": "assistant", "content": "look"},
    {"role": "user", "content": "A mug."},
]
LAST = {"role": "assistant", "content": "REASON: it\nACTION: take mug"}


def test_a_prompt_is_what_the_agent_read_and_a_completion_what_it_said() -> None:
    first, second = rows(episode(), "steps", MADE)
    assert (first["prompt"], first["completion"]) == (SAID[:1], [SAID[1]])
    assert (second["prompt"], second["completion"]) == (SAID, [LAST])
    [whole] = rows(episode(), "messages", MADE)
    assert whole["messages"] == [*SAID, LAST] and whole["success"] is True


def test_a_correction_is_preferred_to_what_was_done() -> None:
    right = episode(corrections=[["take mug", "I see it.", 1.0], ["take mug", None, 1.0]])
    [pair] = rows(right, "preferences", MADE, mode="generate")
    assert pair["prompt"] == SAID[:1] and pair["rejected"] == [SAID[1]]
    assert pair["chosen"] == [{"role": "assistant", "content": "REASON: I see it.\nACTION: take mug"}]
    spoken = episode(corrections=[[None, None, 1.0], ["look", "too far.", 1.0]])
    [pair] = rows(spoken, "preferences", MADE)  # what was said with a reason is answered by one with a reason
    assert (pair["chosen"][0]["content"], pair["rejected"]) == ("REASON: too far.\nACTION: look", [LAST])
    with pytest.raises(ValueError, match="no corrections"):
        rows(episode(), "preferences", MADE)


def test_trl_knows_the_rows_and_trains_on_them(small_chat: Path, tmp_path: Path) -> None:
    import torch
    from datasets import load_dataset
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from trl import DPOConfig, DPOTrainer, SFTConfig, SFTTrainer
    from trl.data_utils import is_conversational

    right = episode(corrections=[["take mug", None, 1.0], ["take mug", None, 1.0]])
    tokenizer = AutoTokenizer.from_pretrained(small_chat)
    for form, trainer, config in (
        ("messages", SFTTrainer, SFTConfig),
        ("steps", SFTTrainer, SFTConfig),
        ("preferences", DPOTrainer, DPOConfig),
    ):
        file = tmp_path / f"{form}.jsonl"
        file.write_text("".join(json.dumps(r) + "\n" for _ in range(2) for r in rows(right, form, MADE)))
        data = load_dataset("json", data_files=str(file), split="train", cache_dir=str(tmp_path / "cache"))
        assert is_conversational(data[0])
        settings = config(
            output_dir=str(tmp_path / "out"), max_steps=1, per_device_train_batch_size=2, report_to=[], use_cpu=True,
            save_strategy="no", disable_tqdm=True, bf16=False, max_length=None,
        )  # fmt: skip
        with torch.random.fork_rng():
            model = AutoModelForCausalLM.from_pretrained(small_chat)
            done = trainer(model=model, args=settings, train_dataset=data, processing_class=tokenizer).train()
        assert done.training_loss > 0, form


@pytest.mark.parametrize("form", ["messages", "sharegpt"])
def test_what_is_written_comes_back_the_same(form: str) -> None:
    [row] = rows(episode(), form, MADE)
    again = adopt(row, "x")
    assert rows(again, form, MADE) == [row]
    assert (again.actions, again.success, again.steps[1].thought) == (["look", "take mug"], True, "it")


def test_a_peers_opening_is_not_an_action() -> None:
    said = [
        {"from": "human", "value": "You are in a shop.", "loss": None},
        {"from": "gpt", "value": "OK.", "loss": False},
        {"from": "human", "value": "Buy a mug.", "loss": None},
        {"from": "gpt", "value": "Thought:\nI search.\n\nAction:\nsearch[mug]", "loss": True},
        {"from": "human", "value": "Results."},
    ]
    t = adopt({"conversations": said, "item_id": "webshop_7"}, "x", success=True)
    assert (t.task, len(t.steps), t.final) == ("webshop_7", 1, "Results.")
    assert t.steps[0].observation == "You are in a shop.\n\n> OK.\n\nBuy a mug."
    assert (t.steps[0].action, t.steps[0].thought) == ("search[mug]", "I search.")


def test_openai_messages_may_come_in_parts_and_with_a_system_text() -> None:
    said = [
        {"role": "system", "content": "Rules."},
        {"role": "user", "content": [{"type": "text", "text": "Go"}, {"type": "text", "text": " on."}]},
        {"role": "assistant", "content": "look"},
        {"role": "tool", "content": "Dark."},
        {"role": "assistant", "content": "leave"},
    ]
    t = adopt({"messages": said, "reward": 0.5}, "x")
    assert t.observations == ["Rules.\n\nGo on.", "Dark.", ""]
    assert (t.goal, t.actions, t.success, t.score) == ("Go on.", ["look", "leave"], False, 0.5)


@pytest.mark.parametrize(
    ("row", "fault"),
    [
        ({}, "needs a list"),
        ({"messages": [{"role": "bard", "content": "x"}]}, "message 0: needs a role"),
        ({"messages": [{"role": "user", "content": None}]}, "message 0: needs a role"),
        ({"messages": [{"role": "user", "content": "x"}]}, "no message of an assistant"),
        ({"messages": [{"role": "assistant", "content": "x"}]}, "before any user"),
        ({"messages": SAID}, "does not say whether it succeeded"),
        ({"messages": [*SAID, LAST], "success": "no"}, "success='no': write true or false, or 1 or 0"),
        ({"messages": [*SAID, LAST], "success": 2}, "success=2: write true or false"),
    ],
)
def test_a_row_that_is_no_episode_says_what_it_lacks(row: dict[str, Any], fault: str) -> None:
    with pytest.raises(ValueError, match=f"^here.*{fault}"):
        adopt(row, "x", where="here")


@pytest.mark.parametrize(("said", "won"), [(0, False), (1, True), (False, False), (True, True), (None, True)])
def test_a_rows_own_success_counts_before_what_is_said_of_all(said: Any, won: bool) -> None:
    t = adopt({"messages": [*SAID, LAST], "success": said}, "x", success=True)
    assert t.success is won and t.score == float(won)


@pytest.mark.parametrize(
    ("to", "out", "right"),
    [("store", "a.jsonl", "a.jsonl.zst"), ("store", "a", "a.jsonl.zst"), ("steps", "b.c.jsonl.zst", "b.c.jsonl")],
)
def test_a_file_is_named_by_what_is_in_it(to: str, out: str, right: str, tmp_path: Path) -> None:
    write(tmp_path / "all.jsonl.zst", [episode()])
    with pytest.raises(ValueError, match=f"with --to {to} give --out .*/{right}$"):
        export([tmp_path / "all.jsonl.zst"], tmp_path / out, to)
    export([tmp_path / "all.jsonl.zst"], tmp_path / right, to)
    assert (tmp_path / right).is_file()


def test_one_command_gathers_filters_splits_and_converts(run_cli: Cli, tmp_path: Path) -> None:
    store, peer = tmp_path / "a.jsonl.zst", tmp_path / "peer.jsonl"
    write(store, [episode(f"t{i}") for i in range(20)] * 2 + [replace(episode("bad"), steps=())])
    store.write_bytes(store.read_bytes() + b"torn")
    peer.write_text(json.dumps({"messages": [*SAID, LAST], "task": "theirs"}) + "\n")
    out = tmp_path / "out.jsonl.zst"
    status, text, err = run_cli(
        "export",
        str(store),
        str(peer),
        "--out",
        str(out),
        "--to",
        "store",
        "--success",
        "--shares",
        "0.5,0.25,0.25",
        "--json",
    )
    row = json.loads(text)
    assert status == 0, err
    assert (row["episodes"], row["left_out"], row["twice"], row["lost_bytes"]) == (21, 1, 20, 4)
    assert "4 bytes are torn" in err
    parts = [read(tmp_path / f"out-{k}.jsonl.zst")[0] for k in ("train", "valid", "test")]
    assert sum(map(len, parts)) == sum(row["rows"].values()) == 21
    status, _, err = run_cli("export", str(store), "--out", str(out), "--to", "store", "--env", "webshop")
    assert status == 2 and "no episode of 21 passes" in err


def test_an_imported_conversation_that_is_there_twice_is_taken_once(tmp_path: Path) -> None:
    file = tmp_path / "peer.jsonl"
    file.write_text((json.dumps({"messages": [*SAID, LAST], "success": True}) + "\n") * 5)
    kept, twice, _ = load([file, file])
    assert (len(kept), twice) == (1, 9)


def test_a_file_of_no_known_kind_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x")
    with pytest.raises(ValueError, match=r"a\.csv: give a \.jsonl\.zst"):
        load([tmp_path / "a.csv"])
    (tmp_path / "a.jsonl").write_text("{")
    with pytest.raises(ValueError, match=r"a\.jsonl: no JSON"):
        load([tmp_path / "a.jsonl"])
