"""SQL: the reward, the generator, what a query may not do, and other people's files."""

from __future__ import annotations

import json
import random
import sqlite3
import time
from pathlib import Path

import pytest
from agentgym.envs import make
from agentgym.envs.check import check
from agentgym.envs.sql import SqlEnv, generate
from agentgym.envs.sql.database import Database, Result
from agentgym.envs.sql.env import shown
from agentgym.envs.sql.reward import kendall_tau, reward
from hypothesis import given, settings
from hypothesis import strategies as st
from playing import play


def answer(*values: object) -> Result:
    return Result(("n",), tuple((v,) for v in values))


def test_sql_passes_its_own_conformance_check() -> None:
    failed = [c for c in check(lambda: make("sql")) if c.passed is not True]
    assert not failed


@pytest.mark.parametrize("split", ["valid", "test"])
def test_the_gold_query_scores_one_and_submit_ends(split: str) -> None:
    env = SqlEnv()
    for task in env.tasks(split):
        env.reset(options={"task": task})
        for left in (2, 1):
            here = env.privileged()
            assert here.distance == left
            _, earned, over, _, info = env.step(here.actions[0])
        assert (earned, over, info["success"], info["score"]) == (1.0, True, True, 1.0)


def test_the_searcher_reads_the_schema_and_answers() -> None:
    env = SqlEnv()
    tasks = env.tasks("test")[:80]
    for task in tasks:
        played = play(env, task)
        assert played[-1][1]["success"], (task, played)
        assert played[0][0] == "SHOW TABLES" and len(played) == 6


def slow_tau(x: list[str], y: list[str]) -> float | None:
    pairs = [(i, j) for i in range(len(x)) for j in range(i)]
    balance = sum(((x[i] > x[j]) - (x[i] < x[j])) * ((y[i] > y[j]) - (y[i] < y[j])) for i, j in pairs)
    untied = [sum(v[i] != v[j] for i, j in pairs) for v in (x, y)]
    return balance / (untied[0] * untied[1]) ** 0.5 if all(untied) else None


def test_kendall_tau_equals_the_count_of_pairs() -> None:
    rng = random.Random(0)
    for _ in range(200):
        n = rng.randrange(12)
        x, y = (rng.choices("abcde", k=n) for _ in range(2))
        expected = slow_tau(x, y)
        assert kendall_tau(x, y) == (expected if expected is None else pytest.approx(expected))


@pytest.mark.parametrize(
    ("given", "gold", "expected"),
    [
        (answer(1, 2, 3), answer(1, 2, 3), 1.0),
        (answer(3, 2, 1), answer(1, 2, 3), -1.0),
        (answer(2, 1, 3), answer(1, 2, 3), 0.33),
        (answer(1, 2, 3, 4), answer(1, 2, 3), 0.75),
        (answer(1, 1), answer(1), 0.5),
        (answer(1, 1, 2), answer(1, 2, 2), 0.5),
        (answer(7), answer(1, 2, 3), 0.0),
        (answer(1), answer(1, 2, 3), 1 / 3),
        (answer(), answer(), 1.0),
        (answer(), answer(1), 0.0),
        (answer("1"), answer(1), 0.0),
        (answer(0.1 + 0.2), answer(0.3), 1.0),
        (Result(error="no such table"), answer(1), 0.0),
        (None, answer(1), 0.0),
    ],
)
def test_rewards_are_intercodes(given: Result | None, gold: Result, expected: float) -> None:
    assert reward(given, gold) == pytest.approx(expected)


def test_rewards_equal_an_independent_count_with_scipys_tau() -> None:
    stats = pytest.importorskip("scipy.stats")
    rng = random.Random(1)
    for _ in range(300):
        a, g = (answer(*rng.choices("abcd", k=rng.randrange(1, 6))) for _ in range(2))
        rows = [[str(r) for r in x.rows] for x in (a, g)]
        shared = [min(rows[0].count(v), rows[1].count(v)) for v in sorted({*rows[0], *rows[1]})]
        union = sum(max(rows[0].count(v), rows[1].count(v)) for v in {*rows[0], *rows[1]})
        quota = dict(zip(sorted({*rows[0], *rows[1]}), shared, strict=True))
        kept = [[v for i, v in enumerate(r) if r[:i].count(v) < quota[v]] for r in rows]
        tau = stats.kendalltau(*kept).statistic if len(kept[0]) > 1 else float("nan")
        expected = sum(shared) / union if tau != tau else round(tau * sum(shared) / union, 2)
        assert reward(a, g) == pytest.approx(expected, abs=0.0101)


def test_a_wrong_order_costs_reward_but_no_score_below_zero() -> None:
    env = SqlEnv()
    env.reset(options={"task": "test/00002-hard"})
    gold = env.privileged().actions[0]
    env.step(gold + " DESC")
    _, earned, over, _, info = env.step("submit")
    assert (earned, info["score"], info["success"], over) == (-1.0, 0.0, False, True)


WRITES = (
    "DROP TABLE t", "DELETE FROM t", "INSERT INTO t VALUES (9)", "UPDATE t SET n = 0", "CREATE TABLE u (n)",
    "CREATE TEMP TABLE u (n)", "ALTER TABLE t ADD COLUMN m", "PRAGMA query_only=OFF", "PRAGMA writable_schema=ON",
    "PRAGMA journal_mode=WAL", "ATTACH DATABASE 'other.sqlite' AS o", "VACUUM", "VACUUM INTO 'copy.sqlite'", "REINDEX",
    "BEGIN", "SELECT load_extension('x')", "REPLACE INTO t VALUES (1)", "SELECT 1; DROP TABLE t",
    "WITH c AS (SELECT 1) DELETE FROM t",
)  # fmt: skip


def test_no_write_reaches_a_database_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "d.sqlite"
    with sqlite3.connect(file) as connection:
        connection.executescript("CREATE TABLE t (n INTEGER); INSERT INTO t VALUES (1), (2);")
    connection.close()
    before = file.read_bytes()
    database = Database.file(file)
    for text in WRITES:
        assert database.run(text).error, text
    assert database.run("SELECT n FROM t").rows == ((1,), (2,))
    assert file.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["d.sqlite"]


def test_a_write_attempt_is_refused_in_words_and_counts_as_invalid() -> None:
    env = SqlEnv()
    env.reset(options={"task": "train/00001-medium"})
    database = env._databases["train/0"]
    tables = [row[0] for row in database.run("SHOW TABLES").rows]
    before = [database.run(f"SELECT * FROM {t}") for t in tables]
    for t in tables:
        observation, *_, info = env.step(f"DELETE FROM {t}")
        assert observation == "Error: refused: this database can only be read"
        assert info["invalid"]
    assert [database.run(f"SELECT * FROM {t}") for t in tables] == before


@pytest.mark.parametrize(
    "query",
    [
        "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT SUM(n) FROM c",
        "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT n FROM c",
        "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT hex(zeroblob(30000)) FROM c",
        "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c LIMIT 400000) "
        "SELECT COUNT(*) FROM (SELECT n, hex(zeroblob(8000)) AS x FROM c ORDER BY x LIMIT 400000)",
        "SELECT hex(zeroblob(2000000000))",
        "SELECT " + "(" * 300 + "1" + ")" * 300,
        "SELECT " + "1," * 20_000 + "1",
    ],
)
def test_an_endless_or_swollen_query_is_stopped_and_the_next_one_runs(query: str) -> None:
    env = SqlEnv()
    env.reset(options={"task": "train/00000-easy"})
    start = time.thread_time()
    observation, *_, info = env.step(query)
    assert time.thread_time() - start < 6
    assert observation.startswith("Error: ") and info["invalid"]
    assert env.step("SELECT 1")[0] == "1\n1"


def test_chance_has_no_place_in_a_replay() -> None:
    assert Database.built(["SELECT 1"]).run("SELECT random()").error
    assert Database.built(["SELECT 1"]).run("SELECT CURRENT_TIMESTAMP").error


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=60))
def test_bad_text_never_raises(text: str) -> None:
    env = SqlEnv()
    env.reset(options={"task": "train/00000-easy"})
    observation, *_, info = env.step(text)
    assert observation in env.observation_space
    assert info["invalid"] or observation


def test_long_results_are_cut_and_the_reward_counts_them_whole() -> None:
    database = Database.built(["CREATE TABLE t (n)", *(f"INSERT INTO t VALUES ({i})" for i in range(90))])
    result = database.run("SELECT n FROM t")
    text = shown(result, 20)
    assert text.splitlines()[-1] == "... 90 rows in all" and len(text.splitlines()) == 22
    assert reward(result, result) == 1.0
    assert reward(Result(("x",), ()), Result(error="no such function: CURDATE")) == 0.0


def test_generation_is_deterministic_and_test_has_schemas_of_its_own() -> None:
    assert generate.make("train", 77) == generate.make.__wrapped__("train", 77)
    assert not set(generate.schemas("test")) & set(generate.schemas("train"))
    rows = {s: {generate.database(s, i).rows for i in range(10)} for s in ("train", "valid", "test")}
    assert not rows["train"] & rows["valid"]
    names = {s: {t.one for i in range(10) for t in generate.database(s, i).tables} for s in ("train", "test")}
    assert not names["train"] & names["test"]
    assert SqlEnv(questions_seed=1).split_hash("test") != SqlEnv().split_hash("test")


def test_every_pattern_and_level_occurs_and_questions_vary() -> None:
    made = [generate.make("train", i) for i in range(400)]
    assert {q.kind for q in made} == set(generate.LEVELS)
    assert len({q.text for q in made}) > 290
    assert len({(q.gold, q.database) for q in made}) > 330


def test_errors_name_the_value_and_the_fix(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="generated, spider, intercode"):
        make("sql", questions="wikisql")
    with pytest.raises(ValueError, match="test/00000-easy"):
        make("sql").reset(options={"task": "test/00003-easy"})
    with pytest.raises(FileNotFoundError, match="env.data=FOLDER"):
        make("sql", questions="spider")
    with pytest.raises(FileNotFoundError, match=r"dev\.json"):
        make("sql", questions="spider", data=str(tmp_path))
    with pytest.raises(FileNotFoundError, match="intercode-bench"):
        make("sql", questions="intercode", data=str(tmp_path))
    (tmp_path / "dev.json").write_text('[{"text": "?"}]')
    (tmp_path / "database").mkdir()
    with pytest.raises(ValueError, match="question 0 has no 'question'"):
        make("sql", questions="spider", data=str(tmp_path))


DUMP = r"""
CREATE DATABASE  IF NOT EXISTS `zoo` /*!40100 DEFAULT CHARACTER SET utf8mb4 */;
USE `zoo`;
CREATE TABLE `beast` (
  `Id` int NOT NULL AUTO_INCREMENT,
  `Name` varchar(80) COLLATE utf8mb4_general_ci DEFAULT NULL,
  PRIMARY KEY (`Id`),
  KEY `Name` (`Name`(20))
) ENGINE=InnoDB AUTO_INCREMENT=9 DEFAULT CHARSET=utf8mb4;
LOCK TABLES `beast` WRITE;
INSERT INTO `beast` VALUES (1,'O\'Hara; the \"cat\"'),(2,'line\nbreak');
CREATE DATABASE `bar`;
CREATE TABLE `beer` (
  `Name` text
) ENGINE=InnoDB;
INSERT INTO `beer` VALUES ('Pils');
"""


def test_intercodes_dump_and_questions_load(tmp_path: Path) -> None:
    (tmp_path / "spider_dev.sql").write_text(DUMP)
    asked = [
        ("Cats?", "SELECT Id FROM beast WHERE Name LIKE 'o''hara%'", "zoo"),
        ("All?", "SELECT Name FROM beast", "zoo"),
    ]
    rows = [*asked, *[("Beer?", "SELECT Name FROM beer WHERE Name = 'PILS'", "bar")] * 2]
    text = "query,gold,db\n" + "\n".join(f"{q},{g},{d}" for q, g, d in rows)
    (tmp_path / "sql_queries.csv").write_text(text)
    env = SqlEnv(questions="intercode", data=str(tmp_path))
    assert [len(env.tasks(s)) for s in ("train", "valid", "test")] == [1, 1, 2]
    for task in (*env.tasks("train"), *env.tasks("valid"), *env.tasks("test")):
        env.reset(options={"task": task})
        env.step(env.privileged().actions[0])
        assert env.step("submit")[1] == 1.0
    env.reset(options={"task": env.tasks("train")[0]})
    assert env.privileged().basis == ("beast", "Name")
    with pytest.raises(LookupError, match="questions='generated'"):
        env.searcher()


def test_spiders_files_load(tmp_path: Path) -> None:
    folder = tmp_path / "spider" / "database" / "zoo"
    folder.mkdir(parents=True)
    with sqlite3.connect(folder / "zoo.sqlite") as connection:
        connection.executescript("CREATE TABLE beast (name TEXT); INSERT INTO beast VALUES ('caf\xe9');")
    connection.close()
    row = {"db_id": "zoo", "question": "Which beasts?", "query": "SELECT name FROM beast"}
    (tmp_path / "spider" / "dev.json").write_text(json.dumps([row]))
    (tmp_path / "spider" / "train_spider.json").write_text(json.dumps([row] * 11))
    env = SqlEnv(questions="spider", data=str(tmp_path))
    assert [len(env.tasks(s)) for s in ("train", "valid", "test")] == [9, 2, 1]
    env.reset(options={"task": "test/zoo-00000"})
    assert env.step("select name from beast")[0] == "name\ncaf?"
    assert env.step("submit")[1] == 1.0
