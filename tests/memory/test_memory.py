"""Memories and the store: what is kept is exact."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from agentgym.envs import Unknown
from agentgym.memory import DiffMemory, FullMemory, Limits, Step, Trajectory, WindowMemory, count_words, make_memory
from agentgym.memory.core import Segment
from agentgym.memory.diff import CODECS, UNITS, decode, encode, operations, prose, sentences
from agentgym.memory.history import fit
from agentgym.memory.store import append, by_task, gather, read, read_shares, select, unique, write
from hypothesis import given, settings
from hypothesis import strategies as st

LINES = st.lists(st.sampled_from(["", "a", "b", "a b", "@@ -1 +1 @@", "=x", "+p", "-m", "é\u2028"]), max_size=8)


@settings(max_examples=500, deadline=None)
@given(LINES, LINES, st.sampled_from(CODECS))
def test_a_patch_applied_gives_the_text_back(a: list[str], b: list[str], codec: str) -> None:
    assert decode(a, encode(a, b, codec)) == b


@settings(max_examples=200, deadline=None)
@given(st.lists(LINES.map("\n".join), min_size=1, max_size=8), st.sampled_from(CODECS), st.sampled_from(UNITS))
def test_a_diff_history_rebuilds_every_observation_and_is_never_longer(texts: list[str], codec: str, unit: str) -> None:
    diff, full = DiffMemory(codec, unit=unit), FullMemory()
    for m in (diff, full):
        m.begin("goal", texts[0], {})
        for text in texts[1:]:
            m.record("act", text, {})
    assert list(diff.observations()) == texts
    marks = sum(s.text.startswith("=") for s in diff.view().segments)
    assert len(diff.view().text) <= len(full.view().text) + marks


@settings(max_examples=300, deadline=None)
@given(st.lists(LINES.map("\n".join), min_size=2, max_size=30), st.sampled_from(CODECS), st.integers(24, 80))
def test_under_a_budget_a_diff_history_stays_within_it_and_rebuilds_what_it_covers(
    texts: list[str], codec: str, budget: int
) -> None:
    memory = make_memory(f"diff:{codec},budget={budget}")
    assert isinstance(memory, DiffMemory)
    memory.begin("goal", texts[0], {})
    for n, text in enumerate(texts[1:], 2):
        memory.record("act", text, {})
        view = memory.view()
        assert view.tokens == sum(count_words(s.text) for s in view.segments) <= budget
        kept = list(memory.observations())
        assert kept == texts[n - len(kept) : n]


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet=". !?aB\n", max_size=30))
def test_sentences_and_prose_are_inverse(text: str) -> None:
    assert prose(sentences(text)) == text


def test_the_prefix_stays_for_long_stretches_under_a_budget() -> None:
    memory = make_memory("full,budget=200,low=0.5")
    memory.begin("goal", "start", {})
    breaks, before = 0, memory.view().segments
    for i in range(300):
        memory.record(f"do {i}", f"saw the thing number {i}", {})
        now = memory.view().segments
        breaks += now[: len(before)] != before
        before = now
    assert 0 < breaks <= 300 * 7 / 100 + 1
    assert before[1].text.endswith("earlier actions are left out]")


def test_a_screen_shown_beside_the_history_makes_it_forget_and_is_not_cut() -> None:
    memory = make_memory("diff,show=yes,budget=100")
    memory.begin("goal", "start", {})
    for i in range(300):
        memory.record(f"do {i}", f"saw the thing number {i}", {})
        view = memory.view()
        assert view.tokens == sum(count_words(s.text) for s in view.segments) <= 100
        assert view.segments[-1].text == f"Now:\nsaw the thing number {i}" and "cut" not in view.text


def test_what_is_shorter_than_the_mark_of_a_cut_is_left_as_it_is() -> None:
    segments = (Segment("user", " ".join(["word"] * 40)), *(Segment("user", "saw it") for _ in range(30)))
    kept, tokens = fit(segments, 80, count_words)
    assert tokens == sum(count_words(s.text) for s in kept) <= 80 and kept[1:] == segments[1:]
    with pytest.raises(ValueError, match="budget=60: with every observation cut"):
        fit(segments, 60, count_words)


def test_an_observation_longer_than_the_budget_is_cut_in_the_middle_and_says_so() -> None:
    memory = make_memory("full,budget=60")
    memory.begin("goal", "start", {})
    memory.record("look", " ".join(f"word{i}" for i in range(500)), {})
    view = memory.view()
    assert view.tokens <= 60
    assert "word0 " in view.text and "word499" in view.text and "characters cut" in view.text
    memory = make_memory("full,budget=16")
    memory.begin("goal", "start", {})
    memory.record(" ".join(["act"] * 40), "saw", {})
    with pytest.raises(ValueError, match="budget=16"):
        memory.view()


def test_places_of_a_screen_are_compared_place_by_place() -> None:
    a = [f"row {i} HP:14" for i in range(24)]
    b = [line.replace("14", "13") if i == 20 else line for i, line in enumerate(a)]
    assert operations(a, b) == [(20, 21, 20, 21)]
    assert encode(a, b, "cells") == "~21:11,1 3"


def test_the_papers_codec_is_difflib_word_for_word() -> None:
    import difflib

    a, b = ["x", "y", "z"], ["x", "Y", "z", "w"]
    assert encode(a, b, "paper") == "\n".join(list(difflib.unified_diff(a, b, n=0, lineterm=""))[2:])


def test_ids_that_change_without_meaning_are_left_out_and_the_present_is_shown_where_asked() -> None:
    import re

    memory = DiffMemory(normalise=lambda text: re.sub(r"#\d+", "#", text), show=True)
    memory.begin("goal", "button #1\nlist #2", {})
    memory.record("look", "button #7\nlist #8", {})
    assert [s.text for s in memory.view().segments][-2:] == ["", "Now:\nbutton #\nlist #"]
    assert memory.append_only is False


def test_a_summary_lists_older_actions_and_keeps_the_latest_in_full() -> None:
    memory = make_memory("summary:2")
    memory.begin("goal", "start", {})
    for i in range(7):
        memory.record(f"do {i // 2}", f"saw {i}", {})
    texts = [s.text for s in memory.view().segments]
    assert texts[1] == "Earlier: do 0; do 1."
    assert texts[2:] == ["do 2", "saw 4", "do 2", "saw 5", "do 3", "saw 6"]


def test_notes_outlive_the_steps_they_were_written_in() -> None:
    memory = make_memory("notes,budget=40")
    memory.begin("goal", "start", {})
    memory.record("look", "a key", {}, reply="NOTE: the key opens the safe\nACTION: look")
    for i in range(30):
        memory.record("wait", f"nothing {i}", {})
    assert "NOTE: the key opens the safe" in memory.view().segments[1].text


def test_a_unified_diff_reads_as_patch_writes_it() -> None:
    patch = encode(["one", "two", "three", "four"], ["one", "2", "three", "four", "five"], "u0")
    assert patch == "@@ -2 +2 @@\n-two\n+2\n@@ -4,0 +5 @@\n+five"


def test_a_long_line_list_with_one_change_yields_one_change() -> None:
    a = [f"line {i % 7}" for i in range(303)]
    b = [*a[:150], "new", *a[151:]]
    assert encode(a, b, "forward").count("@@ -") == 1


def test_append_only_views_extend_each_other_and_windows_forget() -> None:
    full, window = FullMemory(), WindowMemory(2)
    for m in (full, window):
        m.begin("find it", "start", {"admissible": ("a", "b")}, episode=7)
    before = full.view()
    for i in range(5):
        for m in (full, window):
            m.record(f"do {i}", f"saw {i}", {"admissible": ("a",)})
        now = full.view()
        assert now.segments[: len(before.segments)] == before.segments
        before = now
    assert (before.episode, before.t, before.admissible) == (7, 5, ("a",))
    assert [s.text for s in window.view().segments] == ["start\n\nGoal: find it", "do 3", "saw 3", "do 4", "saw 4"]
    assert full.view().tokens == sum(count_words(s.text) for s in full.view().segments)


def test_a_window_shows_as_many_steps_as_its_budget_holds_whatever_lies_before_it() -> None:
    window = WindowMemory(4, limits=Limits(budget=100))
    window.begin("find it", "start", {})
    shown = []
    for _ in range(20):
        window.record("go", " ".join(["word"] * 19), {})
        shown.append(len(window.view().segments) // 2)
    assert shown == [1, 2, 3, *[4] * 17]


def test_a_window_of_nothing_tells_the_goal_and_the_moment() -> None:
    now = make_memory("window:0")
    now.begin("find it", "start", {})
    assert [s.text for s in now.view().segments] == ["start\n\nGoal: find it"]
    now.record("do 1", "saw 1", {"admissible": ("a",)})
    view = now.view()
    assert [s.text for s in view.segments] == ["saw 1\n\nGoal: find it"] and (view.t, view.admissible) == (1, ("a",))
    assert view.tokens == count_words("saw 1\n\nGoal: find it")


def test_a_new_episode_carries_nothing_over() -> None:
    memory = make_memory("full")
    memory.begin("one", "first", {})
    memory.record("act", "secret", {})
    memory.begin("two", "second", {})
    assert "secret" not in memory.view().text


@pytest.mark.parametrize(
    "spec",
    ["ful", "window:x", "diff:zip", "full:3", "notes", "diff,budget=x", "full,unit=line", "summary:0", "full,low=0.25"],
)
def test_an_unknown_memory_names_the_legal_ones(spec: str) -> None:
    with pytest.raises((Unknown, LookupError, ValueError), match="full|window:4|u0|budget|at least 1"):
        make_memory(spec)


def trajectory(i: int) -> Trajectory:
    step = Step(
        "see", ("a",), "a", 1.0, True, False, True, 1.0, False, token_ids=(1, 2), context_ids=(3,), logprob=-0.5
    )
    return Trajectory("alfworld", {"games_seed": 1}, f"t{i}", "pick", i, "goal", "agent", "full", (step,), "end ü")


def test_the_store_gives_back_what_was_written(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl.zst"
    write(file, [trajectory(0)])
    append(file, trajectory(1))
    assert read(file) == ([trajectory(0), trajectory(1)], 0)


def test_a_torn_file_keeps_its_intact_prefix_at_every_cut(tmp_path: Path) -> None:
    file, torn = tmp_path / "a.jsonl.zst", tmp_path / "torn.jsonl.zst"
    write(file, [trajectory(0)])
    one = file.stat().st_size
    append(file, trajectory(1))
    data = file.read_bytes()
    for cut in range(one, len(data)):
        torn.write_bytes(data[:cut])
        assert read(torn) == ([trajectory(0)], cut - one)


def test_what_cannot_be_written_leaves_no_draft(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(IsADirectoryError):
        write(tmp_path / "folder", [trajectory(0)])
    assert [p.name for p in tmp_path.iterdir()] == ["folder"]


def test_a_file_of_something_else_is_named(tmp_path: Path) -> None:
    file = tmp_path / "b.jsonl.zst"
    file.write_bytes(b"not zstd at all")
    with pytest.raises(ValueError, match=r"b\.jsonl\.zst: no readable trajectory"):
        read(file)


def test_what_is_appended_behind_a_torn_record_is_kept(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl.zst"
    write(file, [trajectory(0), trajectory(1)])
    torn = file.read_bytes()[:-7]
    file.write_bytes(torn)
    append(file, trajectory(2))
    first = tmp_path / "one.jsonl.zst"
    write(first, [trajectory(0)])
    assert read(file) == ([trajectory(0), trajectory(2)], len(torn) - first.stat().st_size)


def test_a_record_of_another_schema_is_an_error_that_names_both(tmp_path: Path) -> None:
    import zstandard

    old = trajectory(0).to_json().replace('"schema":1,', "")
    new = old.replace("{", '{"schema":2,', 1)
    assert Trajectory.from_json(old) == trajectory(0)
    file = tmp_path / "a.jsonl.zst"
    write(file, [trajectory(0)])
    file.write_bytes(file.read_bytes() + zstandard.ZstdCompressor(write_checksum=True).compress(new.encode()))
    with pytest.raises(ValueError, match=r"record 1: schema 2: .* reads schema 1"):
        read(file)
    file.write_bytes(zstandard.ZstdCompressor(write_checksum=True).compress(b"[1]"))
    with pytest.raises(ValueError, match="record 0: a line of JSON that is no trajectory"):
        read(file)


def test_files_and_folders_gather_every_episode_once(tmp_path: Path) -> None:
    write(tmp_path / "x" / "a.jsonl.zst", [trajectory(0), trajectory(1)])
    write(tmp_path / "x" / "deep" / "b.jsonl.zst", [trajectory(1), trajectory(2)])
    write(tmp_path / "c.jsonl.zst", [trajectory(0)])
    kept, twice, lost = gather([tmp_path / "x", tmp_path / "c.jsonl.zst"])
    assert (kept, twice, lost) == ([trajectory(0), trajectory(1), trajectory(2)], 2, 0)
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match="empty"):
        gather([tmp_path / "empty"])


def test_the_same_actions_under_other_options_are_another_episode() -> None:
    one = trajectory(0)
    assert len(unique([one, one, replace(one, kwargs={"games_seed": 2}), replace(one, agent="other")])) == 2


def test_filters_hold_together() -> None:
    rows = [trajectory(i) for i in range(3)] + [replace(trajectory(3), kind="heat"), replace(trajectory(4), steps=())]
    assert select(rows, env="alfworld", kind="heat", agent="agent", success=True, score=1.0) == [rows[3]]
    assert select(rows, success=False) == [rows[4]]
    assert select(rows, env="webshop") == []


def test_a_task_lies_in_one_part_whatever_else_is_in_the_store() -> None:
    rows = [replace(trajectory(i % 400), seed=i) for i in range(1200)]
    parts = by_task(rows, read_shares("0.8,0.1,0.1"), seed=3)
    named = {k: {t.task for t in v} for k, v in parts.items()}
    assert sum(map(len, parts.values())) == 1200 and sum(map(len, named.values())) == 400
    assert 280 <= len(named["train"]) <= 360 and min(map(len, named.values())) >= 20
    some = by_task(rows[7:300:3], read_shares("0.8,0.1,0.1"), seed=3)
    assert all({t.task for t in v} <= named[k] for k, v in some.items())
    assert named != {k: {t.task for t in v} for k, v in by_task(rows, read_shares("0.8,0.1,0.1"), seed=4).items()}
    for wrong in ("0.5,0.5", "a,b,c"):
        with pytest.raises(ValueError, match="three numbers"):
            read_shares(wrong)
    with pytest.raises(ValueError, match="sum to 1"):
        by_task(rows, {"train": 0.5})


def test_datasets_reads_the_store_as_it_is(tmp_path: Path) -> None:
    from datasets import load_dataset

    file = tmp_path / "a.jsonl.zst"
    write(file, [trajectory(0)])
    append(file, trajectory(1))
    rows = load_dataset("json", data_files=str(file), split="train", cache_dir=str(tmp_path / "cache"))
    assert [r["task"] for r in rows] == ["t0", "t1"] and rows[1]["steps"][0]["token_ids"] == [1, 2]
