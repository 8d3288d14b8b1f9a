"""`agentgym view`: what people see is what the agent read."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from agentgym.memory import Step, Trajectory, make_memory
from agentgym.memory.replay import turns
from agentgym.memory.show import episodes, lines
from agentgym.memory.store import write

Cli = Callable[..., tuple[int, str, str]]
REST = "a cup\n-dash\n@@ -no hunk\na table with a long cloth\na window to the north"
SEEN = [f"a door, closed\n{REST}", f"a door, open\n{REST}"]


def episode(observations: list[str]) -> Trajectory:
    steps = tuple(
        Step(o, ("wait",), f"act {i}", 0.0, False, False, False, 0.0, False) for i, o in enumerate(observations[:-1])
    )
    return Trajectory("toy", {}, "train/0", "", 0, "open it", "nobody", "full", steps, observations[-1])


@pytest.mark.parametrize(
    "spec", ["full", "diff:u0", "diff:cells", "diff:forward,budget=40", "window:1", "notes,budget=64"]
)
def test_the_lines_are_the_view_word_for_word(spec: str) -> None:
    for turn in turns(episode(SEEN * 8), make_memory(spec), last=True):
        assert "\n".join(line for _, line in lines(turn, spec.startswith("diff"))) == turn.text


def test_a_patch_has_the_colours_of_a_patch_and_an_observation_has_none() -> None:
    *_, turn = turns(episode(SEEN), make_memory("diff:u0"), last=True)
    styles = {line: style for style, line in lines(turn, True)}
    assert styles["-dash"] == styles["@@ -no hunk"] == ""
    assert (styles["@@ -1 +1 @@"], styles["-a door, closed"], styles["+a door, open"]) == ("cyan", "red", "green")
    assert styles["> act 0"] == "bold"


def test_a_view_can_be_taken_before_any_action(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl.zst"
    write(file, [episode(SEEN * 2)])
    [before], _ = episodes(file, "diff:u0", step=1)
    [end], _ = episodes(file, "diff:u0")
    assert "act 0" in before.row()["text"] and "act 1" not in before.row()["text"]
    assert "act 2" in end.row()["text"] and end.tokens < end.whole


@pytest.mark.parametrize(("chosen", "fault"), [({"episode": 2}, "episodes 0 to 0"), ({"step": 9}, "steps 0 to 3")])
def test_what_is_not_there_is_named(tmp_path: Path, chosen: dict[str, int], fault: str) -> None:
    file = tmp_path / "a.jsonl.zst"
    write(file, [episode(SEEN * 2)])
    with pytest.raises(LookupError, match=fault):
        episodes(file, "full", **chosen)


def test_a_pipe_gets_plain_text_and_a_torn_file_is_told(run_cli: Cli, tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl.zst"
    write(file, [episode(SEEN), episode(SEEN)])
    file.write_bytes(file.read_bytes()[:-9])
    status, out, err = run_cli("view", str(file))
    assert status == 0 and "\x1b" not in out and "+a door, open" in out
    assert "bytes are torn" in err
    status, out, _ = run_cli("view", str(file), "--memory", "diff:cells", "--json")
    assert status == 0 and "~1:8,6 open" in json.loads(out)["episodes"][0]["text"]
