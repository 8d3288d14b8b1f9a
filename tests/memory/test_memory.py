"""Memories and the store: what is kept is exact."""

from __future__ import annotations

from pathlib import Path

import pytest
from agentgym.envs import Unknown
from agentgym.memory import DiffMemory, FullMemory, Step, Trajectory, WindowMemory, count_words, make_memory
from agentgym.memory.diff import decode, encode
from agentgym.memory.store import append, read, write
from hypothesis import given, settings
from hypothesis import strategies as st

LINES = st.lists(st.sampled_from(["", "a", "b", "a b", "@@ -1 +1 @@", "=x", "+p", "-m", "é\u2028"]), max_size=8)


@settings(max_examples=500, deadline=None)
@given(LINES, LINES, st.sampled_from(["u0", "forward"]))
def test_a_patch_applied_gives_the_text_back(a: list[str], b: list[str], codec: str) -> None:
    assert decode(a, encode(a, b, codec)) == b


@settings(max_examples=200, deadline=None)
@given(st.lists(LINES.map("\n".join), min_size=1, max_size=8), st.sampled_from(["u0", "forward"]))
def test_a_diff_history_rebuilds_every_observation_and_is_never_longer(texts: list[str], codec: str) -> None:
    diff, full = DiffMemory(codec), FullMemory()
    for m in (diff, full):
        m.begin("goal", texts[0], {})
        for text in texts[1:]:
            m.record("act", text, {})
    assert list(diff.observations()) == texts
    marks = sum(s.text.startswith("=") for s in diff.view().segments)
    assert len(diff.view().text) <= len(full.view().text) + marks


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


def test_a_new_episode_carries_nothing_over() -> None:
    memory = make_memory("full")
    memory.begin("one", "first", {})
    memory.record("act", "secret", {})
    memory.begin("two", "second", {})
    assert "secret" not in memory.view().text


@pytest.mark.parametrize("spec", ["ful", "window:x", "diff:zip"])
def test_an_unknown_memory_names_the_legal_ones(spec: str) -> None:
    with pytest.raises((Unknown, LookupError, ValueError), match="full|window:4|u0"):
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


def test_a_file_of_something_else_is_named(tmp_path: Path) -> None:
    file = tmp_path / "b.jsonl.zst"
    file.write_bytes(b"not zstd at all")
    with pytest.raises(ValueError, match=r"b\.jsonl\.zst: no readable trajectory"):
        read(file)
