"""Bash: the sandbox holds, the reward is InterCode's, the tasks can be done."""

from __future__ import annotations

import json
import os
import re
import socket
import stat
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from agentgym.envs import Unavailable, WorldDied, listing, make
from agentgym.envs.bash import BashEnv, generate, sandbox
from agentgym.envs.bash.reward import reward, similarity
from agentgym.envs.bash.sandbox import Sandbox
from agentgym.envs.bash.tree import Change, Entry, changes, read, write
from agentgym.envs.check import check


def missing() -> str:
    try:
        sandbox.require()
    except Unavailable as error:
        return str(error)
    return ""


sandboxed = pytest.mark.skipif(bool(missing()), reason=missing() or "bubblewrap works")


@pytest.fixture
def box() -> Iterator[Sandbox]:
    one = Sandbox({"notes": Entry.folder(), "notes/a.txt": Entry.file("one\ntwo\n")}, seconds=3)
    yield one
    one.close()


@sandboxed
@pytest.mark.slow
def test_bash_passes_its_own_conformance_check() -> None:
    failed = [c for c in check(lambda: make("bash")) if c.passed is not True]
    assert not failed


@sandboxed
def test_the_gold_command_scores_one_on_every_kind_of_task() -> None:
    env = BashEnv()
    for task in env.tasks("test")[: 3 * len(generate.KINDS)]:
        env.reset(options={"task": task})
        here = env.privileged()
        assert here.distance == 2
        env.step(here.actions[0])
        assert env.privileged().actions == ("submit",)
        _, earned, over, _, info = env.step("submit")
        assert (earned, over, info["success"], info["score"]) == (1.0, True, True, 1.0), task


@sandboxed
def test_the_searcher_reads_every_kind_of_task_and_looks_for_a_column() -> None:
    env = BashEnv()
    column = next(i for i in range(200) if "the column group of" not in (t := generate.make("test", i).text) and "column" in t
                  and "amount" not in t)  # fmt: skip
    for task in [*env.tasks("test")[: 3 * len(generate.KINDS)], env.tasks("test")[column]]:
        observation, info = env.reset(options={"task": task})
        searcher, over, said = env.searcher(), False, list[str]()
        searcher.begin(info["goal"], observation, info)
        while not over:
            said.append(searcher.act())
            observation, *_, over, _, info = env.step(said[-1])
            searcher.observe(said[-1], observation, info)
        assert info["success"], (task, said)
    assert [w.split()[0] for w in said] == ["head", "tail", "submit"]


@sandboxed
def test_every_pattern_prints_or_changes_something() -> None:
    for row in (row for rows in generate.templates().values() for row in rows):
        start = row["gold"].split("{")[0]
        task = next(t for i in range(600) if (t := generate.make("train", i)).gold.startswith(start))
        one = Sandbox(task.tree)
        done = one.run(task.gold, "/testbed")
        one.close()
        assert done.code == 0 and (done.output.strip() or changes(task.tree, one.tree)), task.gold


def parts(task: generate.Task) -> tuple[dict[str, str], list[str]]:
    """Return the texts of the files and the folders, by full path."""
    texts = {f"/testbed/{p}": e.data.decode() for p, e in task.tree.items() if stat.S_ISREG(e.mode)}
    return texts, [f"/testbed/{p}" for p, e in task.tree.items() if stat.S_ISDIR(e.mode)]


MEANINGS = {
    r"how many \.(\w+) files there are in (\S+) and": lambda f, d, ext, at: str(
        sum(p.startswith(at + "/") and p.endswith("." + ext) for p in f)
    ),
    r"how many times the word (\w+) occurs in (\S+)\.$": lambda f, d, word, at: str(f[at].split().count(word)),
    r"how many lines of (\S+) contain (\w+)\.$": lambda f, d, at, word: str(
        sum(word in line for line in f[at].splitlines())
    ),
    r"how many folders there are below (\S+),": lambda f, d, at: str(sum(p.startswith(at + "/") for p in d)),
    r"of the empty folders under": lambda f, d: "\n".join(
        sorted(p for p in d if not any(q.startswith(p + "/") for q in (*f, *d)))
    ),
    r"the largest file": lambda f, d: max(f, key=lambda p: len(f[p])),
    r"contain the word (\w+), sorted": lambda f, d, word: "\n".join(sorted(p for p in f if word in f[p].split())),
    r"may execute": lambda f, d: "\n".join(sorted(p for p in f if p.endswith(".sh"))),
    r"Print line (\d+) of (\S+)\.$": lambda f, d, n, at: f[at].splitlines()[int(n) - 1],
    r"the sum of the column amount of (\S+)\.$": lambda f, d, at: str(
        sum(int(row.split(",")[2]) for row in f[at].splitlines()[1:])
    ),
    r"the last (\d+) lines of (\S+) in reverse": lambda f, d, n, at: "\n".join(f[at].splitlines()[: -int(n) - 1 : -1]),
    r"empty file called (\S+) into each folder directly inside (\S+)\.$": lambda f, d, name, at: {
        f"{p}/{name}" for p in d if p.rpartition("/")[0] == at
    },
    r"Rename (\S+) to (\S+)\.$": lambda f, d, old, new: {old, new},
    r"Delete all \.(\w+) files in (\S+) and": lambda f, d, ext, at: {
        p for p in f if p.startswith(at + "/") and p.endswith("." + ext)
    },
    r"Write the sorted lines of \S+ to the new file (\S+)\.$": lambda f, d, new: {new},
    r"Make the folder (\S+) and copy (\S+) into": lambda f, d, at, p: {at, f"{at}/{p.rpartition('/')[2]}"},
    r"Add a line that says \w+ to the end of (\S+)\.$": lambda f, d, at: {at},
}


@sandboxed
@pytest.mark.parametrize("pattern", MEANINGS)
def test_the_gold_command_does_what_the_words_say(pattern: str) -> None:
    tasks = (generate.make("test", i) for i in range(600))
    task, found = next((t, m) for t in tasks if (m := re.search(pattern, t.text)))
    meant = MEANINGS[pattern](*parts(task), *found.groups())
    one = Sandbox(task.tree)
    said = one.run(task.gold, "/testbed").output.strip()
    changed = {f"/testbed/{p}" for p in changes(task.tree, one.tree)}
    one.close()
    assert (said, changed) == ((meant, set()) if isinstance(meant, str) else ("", meant))


@sandboxed
def test_a_doing_and_its_undoing_change_what_the_oracle_plans() -> None:
    env = BashEnv()
    env.reset(options={"task": "train/00003-edit"})
    first = env.privileged()
    saved = env.snapshot()
    env.step("rm -r /testbed/*")
    assert env.privileged().actions == ()
    env.restore(saved)
    assert env.privileged() == first


@sandboxed
def test_the_folder_carries_over_and_a_fork_is_exact() -> None:
    env = BashEnv()
    env.reset(options={"task": "train/00000-count"})
    top = env.step("ls | head -1")[0]
    env.step(f"cd {top} && echo hello > new.txt")
    saved = env.snapshot()
    seen = env.step("pwd; ls -lR; cat new.txt")
    assert seen[0].startswith(f"/testbed/{top}\n") and seen[0].endswith("hello")
    env.step("rm new.txt; cd /")
    env.restore(saved)
    assert env.step("pwd; ls -lR; cat new.txt") == seen


@sandboxed
def test_a_replay_shows_the_same_bytes() -> None:
    env, other = BashEnv(), BashEnv()
    for action in ("touch new; ls", "ls -lR", "cd nowhere", "xyzzy", "echo $((", "submit"):
        if action.startswith("touch"):
            assert env.reset(options={"task": "test/00002-text"}) == other.reset(options={"task": "test/00002-text"})
        assert env.step(action) == other.step(action)


ESCAPES = (
    "cat {secret}", "ls {home}", "cat /etc/shadow", "ls /root", "touch /usr/bin/owned", "touch /owned", "touch /etc/owned",
    "touch /dev/shm/owned", "exec 3<>/dev/tcp/127.0.0.1/{port}", "kill -9 {pid}", "unshare -Ur true",
    "mount -t tmpfs none /testbed", "tr '\\0' '\\n' < /proc/1/environ | grep SECRET", "env | grep SECRET",
    "cat /proc/1/root{secret}", "cat /proc/1/cwd{secret}", "echo 1 > /proc/sys/kernel/panic", "ls /sys/kernel",
    "cat /testbed/../..{secret}", "chroot /proc/1/root true", "head -c 1 /dev/sda", "echo x > /proc/1/mem",
)  # fmt: skip


@sandboxed
def test_no_way_out_of_the_sandbox(box: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("SECRET")
    secret.chmod(0o644)
    monkeypatch.setenv("AGENTGYM_SECRET", "SECRET")
    with socket.create_server(("127.0.0.1", 0)) as server:
        held = {"secret": secret, "home": Path.home(), "port": server.getsockname()[1], "pid": os.getpid()}
        for escape in ESCAPES:
            done = box.run(escape.format(**held), "/testbed")
            assert done.code != 0 and "SECRET" not in done.output, escape
    assert box.run("touch a", "/testbed").code == 0
    assert box.run("ls /proc | grep -c '^[0-9]'", "/testbed").output.strip() < "9"


@sandboxed
def test_a_link_out_of_the_tree_is_kept_as_a_link_and_leads_nowhere(box: Sandbox, tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("SECRET")
    box.run(f"ln -s {secret} link; ln -s / root; mkfifo pipe; rm -r notes; ln -s {tmp_path} notes", "/testbed")
    assert box.tree["link"].data == str(secret).encode() and stat.S_ISLNK(box.tree["link"].mode)
    assert set(box.tree) == {"link", "root", "notes"}
    box.reset({})
    assert secret.read_text() == "SECRET"


@sandboxed
@pytest.mark.parametrize(
    "command",
    [
        "sleep 60",
        "while :; do :; done",
        "sleep 60 & sleep 60",
        "f() { f | f & }; f; sleep 60",
        "for i in $(seq 99); do head -c 1000000 /dev/zero > f$i; done",
        "for i in $(seq 2000); do : > f$i; done",
        "for i in $(seq 1500); do mkdir d; cd d; done",
        "trap '' TERM INT HUP; sleep 60",
    ],
)
def test_what_does_not_end_or_fit_is_stopped_and_undone(box: Sandbox, command: str) -> None:
    before, start = dict(box.tree), time.monotonic()
    done = box.run(command, "/testbed")
    assert time.monotonic() - start < 30
    assert done.stopped is not None
    assert box.tree == before
    assert box.run("cat notes/a.txt", "/testbed").output == "one\ntwo\n"


@sandboxed
def test_output_is_limited(box: Sandbox) -> None:
    assert len(box.run("yes", "/testbed").output) <= sandbox.MAX_OUTPUT


@sandboxed
def test_files_that_nobody_may_read_are_read_and_removed(box: Sandbox) -> None:
    box.run("mkdir d; echo x > d/f; chmod 000 d/f; chmod 000 d", "/testbed")
    assert box.tree["d/f"].data == b"x\n"
    assert stat.S_IMODE(box.tree["d"].mode) == 0
    folder = box._folder
    box.reset({})
    assert not folder.exists()


@sandboxed
@pytest.mark.parametrize("text", ["", " ", "\0", "\ud800", "x" * 9999, "((", "'", "go to bed", "\u65e5\u672c"])
def test_bad_text_is_invalid_and_never_raises(text: str) -> None:
    env = BashEnv()
    env.reset(options={"task": "train/00000-count"})
    observation, *_, info = env.step(text)
    assert info["invalid"]
    assert observation in env.observation_space
    env.close()


@sandboxed
def test_a_sandbox_that_is_gone_in_mid_episode_is_a_death_of_the_world(monkeypatch: pytest.MonkeyPatch) -> None:
    env = make("bash")
    env.reset(options={"task": "test/00000-count"})
    monkeypatch.setattr(sandbox, "_bwrap", lambda: "/nowhere/bwrap")
    with pytest.raises(WorldDied, match="no command starts in bubblewrap any more"):
        env.step("ls")
    env.close()


def test_without_bubblewrap_nothing_runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    for cached in (sandbox._bwrap, sandbox.require):
        cached.cache_clear()
    try:
        with pytest.raises(Unavailable, match="apt-get install bubblewrap"):
            make("bash")
        assert [row["available"] for row in listing() if row["id"] == "bash"] == [False]
        broken = tmp_path / "bwrap"
        broken.write_text("#!/bin/sh\necho No permissions to create a namespace\nexit 1\n")
        broken.chmod(0o755)
        sandbox._bwrap.cache_clear()
        with pytest.raises(Unavailable, match="does not work here"):
            make("bash")
    finally:
        for cached in (sandbox._bwrap, sandbox.require):
            cached.cache_clear()


def test_trees_are_written_and_read_back(tmp_path: Path) -> None:
    tree = generate.make("train", 5).tree
    write(tmp_path, tree)
    assert read(tmp_path) == tree


OLD, NEW = Entry.file("old"), Entry.file("new")


@pytest.mark.parametrize(
    ("made", "gold", "said", "gold_said", "expected"),
    [
        ({}, {}, "", "", 1.0),
        ({}, {}, "one two", "two one", 1.0),
        ({}, {}, "one", "two", 0.67),
        ({}, {}, "one two", "one", 0.86),
        ({"a": Change("??", NEW)}, {"a": Change("??", NEW)}, "", "", 1.0),
        ({"a": Change("??", OLD)}, {"a": Change("??", NEW)}, "", "", 0.67),
        ({"a": Change("M", OLD)}, {"a": Change("M", NEW)}, "", "", 0.67),
        ({"a": Change("D", None)}, {"a": Change("D", None)}, "", "", 1.0),
        ({}, {"a": Change("??", NEW)}, "", "", 0.72),
        ({"b": Change("??", NEW)}, {"a": Change("??", NEW)}, "", "", 0.67),
        ({}, {"a": Change("??", NEW)}, "x", "y", 0.39),
    ],
)
def test_rewards_are_intercodes(
    made: dict[str, Change], gold: dict[str, Change], said: str, gold_said: str, expected: float
) -> None:
    assert reward(made, gold, said, gold_said) == pytest.approx(expected)


def test_similarity_equals_scikit_learns() -> None:
    learn = pytest.importorskip("sklearn.feature_extraction.text")
    for one, two in (("red fish blue", "red red fish"), ("a1 b2 c3", "c3 d4"), ("same same", "same same")):
        rows = learn.TfidfVectorizer().fit_transform([one, two])
        assert similarity(one, two) == pytest.approx((rows * rows.T).toarray()[0][1])


def test_generation_is_deterministic_and_test_has_themes_of_its_own() -> None:
    assert generate.make("train", 77) == generate.make.__wrapped__("train", 77)
    assert not set(generate.themes("test")) & set(generate.themes("train"))
    trees = {s: [generate.make(s, i).tree for i in range(60)] for s in ("train", "valid", "test")}
    assert not any(t in trees["valid"] for t in trees["train"])
    tops = {s: {p for tree in trees[s] for p in tree if "/" not in p} for s in trees}
    assert not tops["train"] & tops["test"]


def test_no_word_is_part_of_another() -> None:
    for name, theme in generate._data("themes.json").items():
        words = [*theme["words"], "error", "info", "warn"]
        assert not [(a, b) for a in words for b in words if a != b and a in b], name


def test_no_two_files_of_a_tree_share_a_length_or_a_name() -> None:
    for i in range(100):
        tree = generate.make("train", i).tree
        files = {p: e for p, e in tree.items() if stat.S_ISREG(e.mode)}
        assert len({len(e.data) for e in files.values()}) == len(files) == 13
        assert len({p.rpartition("/")[2] for p in files}) == 13


@sandboxed
def test_errors_name_the_value_and_the_fix() -> None:
    with pytest.raises(ValueError, match="seconds=0"):
        make("bash", seconds=0)
    with pytest.raises(ValueError, match="test/00000-count"):
        make("bash").reset(options={"task": "test/00003-count"})


SETUPS = {
    1: "rm -rf /testbed/\nmkdir -p /testbed/d\necho one > /testbed/d/a.txt\ntouch -m -t202205312359.59 /testbed/d/a.txt\n"
    "echo no > /index.html",
    3: "rm -rf /workspace/\nmkdir -p /workspace/w\necho three > /workspace/w/b.txt",
    4: "export file_system_version=4",
}


def intercode(folder: Path, **changed: str) -> Path:
    """Write files as InterCode's repository has them, a few tasks each; a changed one by its stem."""
    for number, script in SETUPS.items():
        rows = [
            {"query": f"Print \u201cthis\u201d {i} on {number}", "gold": f"cat */*.txt; echo {i}"} for i in range(6)
        ]
        texts = {
            f"data/nl2bash/nl2bash_fs_{number}.json": json.dumps(rows),
            f"docker/bash_scripts/setup_nl2b_fs_{number}.sh": "#!/bin/bash\n" + script,
        }
        for name, text in texts.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(changed.get(Path(name).stem, text), encoding="utf-8")
    return folder


@sandboxed
def test_intercodes_own_tasks_are_read_from_a_folder_and_done_where_their_files_lie(tmp_path: Path) -> None:
    env = BashEnv(source="nl2bash", data=str(intercode(tmp_path)))
    assert env.tasks("valid") == ["valid/fs1-00000", "valid/fs1-00005"]
    assert env.tasks("train") == [f"train/fs1-{i:05d}" for i in range(1, 5)]
    assert env.tasks("test") == [f"test/fs{n}-{i:05d}" for n in (3, 4) for i in range(6)]
    for task, place, said in (
        ("train/fs1-00002", "/testbed", "one\n2"), ("test/fs3-00001", "/workspace", "three\n1"),
        ("train/fs1-00001", "/testbed", "one\n1"),
    ):  # fmt: skip
        observation, info = env.reset(options={"task": task})
        assert f"the files under {place}," in observation and info["kind"] == task[-9:-6]
        assert info["goal"] == f"Print ?this? {task[-1]} on {task[-7]}"
        assert env.step("pwd; find . -newermt 2023-01-01 -name '*.txt'")[0].startswith(place)
        assert env.step(env.privileged().actions[0])[0] == said
        assert env.step("submit")[1] == 1.0
    env.reset(options={"task": "train/fs1-00002"})
    assert (
        env.step("find . -mtime +300 -not -newermt 2022-06-02 -type f")[0] == "./d/a.txt"
    )  # the date its setup gave it
    env.close()


@sandboxed
@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"nl2bash_fs_1": "[{"}, "nl2bash_fs_1.json: not JSON"),
        ({"nl2bash_fs_3": "{}"}, "holds a dict, not a list"),
        ({"nl2bash_fs_3": '[{"query": "a", "gold": "b"}, {"query": "a"}]'}, "task 1 has no texts `query` and `gold`"),
        ({"nl2bash_fs_3": '["a"]'}, "task 0 has no texts"),
        ({"setup_nl2b_fs_3": "mkdir -p /workspace/w; rm -r /workspace/w"}, "made no file below /workspace"),
        ({"setup_nl2b_fs_3": "for i in $(seq 2000); do : > /workspace/f$i; done"}, "is it a file of nl2bash"),
    ],
)
def test_a_corrupt_file_of_intercodes_is_named(tmp_path: Path, changed: dict[str, str], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        make("bash", source="nl2bash", data=str(intercode(tmp_path, **changed))).reset(
            options={"task": "test/fs3-00000"}
        )


@sandboxed
def test_missing_files_of_intercodes_are_named_with_where_they_are_to_be_had(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="env.data=FOLDER"):
        make("bash", source="nl2bash")
    with pytest.raises(FileNotFoundError, match="princeton-nlp/intercode"):
        make("bash", source="nl2bash", data=str(tmp_path))
    (intercode(tmp_path) / "docker/bash_scripts/setup_nl2b_fs_4.sh").unlink()
    with pytest.raises(FileNotFoundError, match="nl2bash_fs_4.json needs setup_nl2b_fs_4.sh"):
        make("bash", source="nl2bash", data=str(tmp_path))
    with pytest.raises(ValueError, match="source='nl2sh': choose one of generated, nl2bash"):
        make("bash", source="nl2sh")
    other = tmp_path / "other"
    with pytest.raises(ValueError, match="not one of nl2bash"):
        BashEnv(source="nl2bash", data=str(intercode(other))).reset(options={"task": "test/00000-count"})
