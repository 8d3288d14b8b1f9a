"""Episodes of teams: every coordinator on every world of two to four agents; stored, replayed, learned from."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from agentgym.agents.chat import ChatAgent
from agentgym.agents.core import Decision
from agentgym.agents.critics import Critic, PrefixCritic, SentenceFeatures
from agentgym.agents.critics.prefix import prefix_text
from agentgym.agents.read import ReadJ, ReadS
from agentgym.agents.scripted import NoisyAgent, OracleAgent, RandomAgent
from agentgym.agents.teachers import Correction, turns
from agentgym.agents.team import RULES, Central, Coordinator, Sequential, hearing
from agentgym.envs import CHARSET, Unknown, WorldDied, make
from agentgym.envs.check import check
from agentgym.envs.parallel import ParallelTeam
from agentgym.envs.team import TeamEnv
from agentgym.memory import Trajectory, Turn, memory_maker
from agentgym.memory.store import read, write
from agentgym.training.advantages import returns
from agentgym.training.evaluate import summary
from agentgym.training.examples import examples, own_actions
from agentgym.training.methods.read import weighed
from agentgym.training.play import evaluate
from agentgym.training.prefixes import fit, prefixes
from agentgym.training.rollout import replay
from agentgym.training.team import coordinator, rollout_team
from agentgym.training.train import configure, train
from gymnasium import spaces
from langchain_core.language_models import GenericFakeChatModel
from langchain_core.messages import AIMessage
from pettingzoo import ParallelEnv

Cli = Callable[..., tuple[int, str, str]]
FOUR = str(Path(__file__).parent.parent / "four.layout")
WORLDS: dict[str, tuple[str, dict[str, Any], int]] = {
    "sweep": ("roco-sweep", {}, 2),
    "sandwich": ("roco-sandwich", {"view": "global"}, 2),
    "sort": ("roco-sort", {"dense": True}, 3),
    "kitchen": ("overcooked", {"layout": "cramped_room", "horizon": 40}, 2),
    "four cooks": ("overcooked", {"layout": FOUR, "horizon": 30}, 4),
}
COURSES = ("central", "central,tries=2", "sequential", "sequential,tries=1", "dialogue:2", "dialogue:1,tries=1")


def play(
    env: str, kwargs: dict[str, Any], agent: Any, course: Coordinator, n: int = 2, memory: str = "full", **more: Any
) -> list[Trajectory]:
    tasks = list(make(env, **kwargs).tasks("test"))[:n]
    return rollout_team(
        lambda: make(env, **kwargs), agent, course, memory_maker(memory), tasks, env_id=env, env_kwargs=kwargs,
        memory=memory, **{"seed": 3, **more},
    )  # fmt: skip


@pytest.mark.parametrize("own", [True, False])
def test_a_team_meets_no_past_episode_of_its_own_task(own: bool, tmp_path: Path) -> None:
    solved = play("roco-sort", {}, OracleAgent(), Sequential(), 2)
    write(tmp_path / "past.jsonl.zst", solved[:1] if own else solved[1:])
    seen: list[str] = []

    class Reading(RandomAgent):
        def act(self, turns: Sequence[Turn]) -> list[Decision]:
            seen.extend(t.segments[0].text for t in turns)
            return super().act(turns)

    play("roco-sort", {"max_steps": 1}, Reading(), Sequential(), 1, memory=f"past:2,from={tmp_path / 'past.jsonl.zst'}")
    assert seen[0].startswith("Earlier you reached the goal") is not own


@pytest.mark.parametrize("course", COURSES)
@pytest.mark.parametrize("world", WORLDS)
def test_every_coordinator_plays_every_world_and_its_episodes_replay(world: str, course: str) -> None:
    env, kwargs, size = WORLDS[world]
    for t in play(env, kwargs, RandomAgent(), coordinator(course, env, kwargs)):
        assert {len(s.parts) for s in t.steps} == {size}
        assert t.steps[-1].terminated or t.steps[-1].truncated
        assert Trajectory.from_json(t.to_json()) == t
        assert replay(make(env, **kwargs), t) == []
        for s in t.steps:
            assert all(p.action in (p.admissible or ()) for p in s.parts)
            assert s.invalid == any(p.invalid for p in s.parts)
            assert s.reward == pytest.approx(np.mean([p.reward for p in s.parts]))


@pytest.mark.parametrize(
    "course", ["central", "sequential", "dialogue:2", "read-j,critic=exact", "read-s,critic=exact"]
)
def test_the_oracle_of_a_team_takes_the_shortest_way_whoever_speaks(course: str) -> None:
    for env, least in (("roco-sweep", [5, 7]), ("roco-sandwich", [4, 6]), ("roco-sort", [1, 2])):
        played = play(env, {}, OracleAgent(), coordinator(course, env))
        assert [len(t.steps) for t in played] == least and all(t.success for t in played)


@pytest.mark.parametrize("course", ["central", "sequential,tries=1", "dialogue:2", "read-s,critic=exact"])
def test_batch_size_changes_nothing_and_a_second_run_is_the_same(course: str) -> None:
    def run(batch: int) -> list[str]:
        agent = NoisyAgent(0.5, wander=3)
        return [t.to_json() for t in play("roco-sort", {}, agent, coordinator(course, "roco-sort"), 4, batch=batch)]

    assert run(1) == run(3) == run(64)
    other = play("roco-sort", {}, NoisyAgent(0.5, wander=3), coordinator(course, "roco-sort"), 4, seed=4)
    assert [t.to_json() for t in other] != run(1)


class Listener:
    """Always the first action; keeps what it was asked."""

    name = "listener"

    def __init__(self) -> None:
        self.heard: list[Turn] = []

    def act(self, turns: Sequence[Turn]) -> list[Decision]:
        self.heard += turns
        return [Decision((t.admissible or ("",))[0], queries=1) for t in turns]


def test_a_robot_reads_its_own_view_and_what_the_others_will_do_and_no_more() -> None:
    ear = Listener()
    [t] = play("roco-sandwich", {}, ear, Sequential(), 1)
    chad, dave = ear.heard[0], ear.heard[1]
    assert t.steps[0].parts[0].observation in chad.segments[-1].text
    assert dave.segments[-1].text == f"Chad will: {t.steps[0].parts[0].action}" == t.steps[0].parts[1].heard
    assert "On your side: tomato" in chad.text and "bacon" not in chad.text
    assert "tomato, cucumber" not in dave.text and "bacon" in dave.text
    later = ear.heard[3]
    assert later.text.count("Chad will:") == 1  # what was heard in the last round is not in the history
    assert sum(s.queries for s in t.steps) == len(ear.heard) == 2 * len(t.steps)


def test_the_one_who_speaks_for_all_reads_what_all_see_and_chooses_among_joint_plans() -> None:
    ear = Listener()
    [t] = play("roco-sandwich", {}, ear, Central(), 1)
    first = ear.heard[0]
    assert "Chad: On your side: tomato" in first.text and "Dave: On your side: bread_slice1" in first.text
    assert first.text.count("Round 0 of 15.") == 1
    assert first.admissible is not None and len(first.admissible) == 5 * 5
    assert t.steps[0].action == first.admissible[0]


def test_summary_counts_steps_of_the_world_and_queries_of_the_planner() -> None:
    played = play("roco-sort", {}, NoisyAgent(0.4), Sequential(), 5)
    row = summary(played, split="test", split_hash="", seconds=0.0)
    steps = np.mean([len(t.steps) for t in played])
    assert row["steps"]["mean"] == pytest.approx(steps)
    assert row["queries"]["mean"] == pytest.approx(3 * steps)  # three robots, one question each


def test_a_changed_byte_is_found_by_replay() -> None:
    [t] = play("roco-sweep", {}, RandomAgent(), Sequential(), 1)
    s = t.steps[1]
    other = replace(s.parts[0], observation=s.parts[0].observation + "!")
    bad = replace(t, steps=(t.steps[0], replace(s, parts=(other, s.parts[1])), *t.steps[2:]))
    assert any("step 1: Alice: observation" in f for f in replay(make("roco-sweep"), bad))
    swapped = replace(
        t, steps=(replace(t.steps[0], parts=(replace(t.steps[0].parts[0], action="x"), t.steps[0].parts[1])),)
    )
    assert replay(make("roco-sweep"), swapped)


@pytest.mark.parametrize(
    ("course", "replies", "plan"),
    [
        ("central", ["REASON: near.\nACTION: Alice: MOVE red_cube_1; Bob: WAIT"], ["MOVE red_cube_1", "WAIT"]),
        ("sequential", ["ACTION: MOVE red_cube_1", "REASON: she moves.\nACTION: WAIT"], ["MOVE red_cube_1", "WAIT"]),
    ],
)
def test_a_chat_model_speaks_for_a_team(course: str, replies: list[str], plan: list[str]) -> None:
    model = GenericFakeChatModel(messages=iter([AIMessage(r) for r in replies]))
    central = course == "central"
    agent = ChatAgent(model, **({"system": RULES, "list_actions": False} if central else {}))
    [t] = play("roco-sweep", {"max_steps": 1}, agent, coordinator(course, "roco-sweep"), 1)
    assert [p.action for p in t.steps[0].parts] == plan
    assert t.steps[0].queries == len(replies) and not t.steps[0].invalid
    said = t.steps[0].reply if central else t.steps[0].parts[1].reply
    assert said == replies[-1] and replay(make("roco-sweep", max_steps=1), t) == []


def test_a_central_planner_that_forgets_a_robot_is_told_so() -> None:
    model = GenericFakeChatModel(messages=iter([AIMessage("Alice: WAIT")] * 9))
    agent = ChatAgent(model, system=RULES, list_actions=False, corrections=0)
    [t] = play("roco-sweep", {"max_steps": 2}, agent, Central(tries=1), 1)
    assert t.steps[0].parts[1].action == "" and t.steps[0].parts[1].invalid
    assert t.steps[0].queries == 2  # asked again once, by verification


@pytest.mark.parametrize("memory", ["full", "window:2", "diff:u0"])
def test_training_reads_the_prompts_that_the_robots_read(memory: str) -> None:
    ear = Listener()
    [t] = play("roco-sort", {}, ear, Sequential(), 1, memory)
    team = [p.agent for p in t.steps[0].parts]
    for i, who in enumerate(team):
        again = [
            hearing(turn, step.parts[i].heard).segments
            for turn, step in zip(turns(t.seat(who), memory_maker(memory)()), t.steps, strict=True)
        ]
        assert again == [turn.segments for turn in ear.heard[i :: len(team)]]


class Letters:
    """A renderer over letters."""

    stop = 0

    def prompt(self, turn: Turn) -> list[int]:
        return [ord(c) for c in turn.text]

    def reply(self, text: str) -> tuple[int, ...]:
        return tuple(map(ord, text))

    def decode(self, ids: list[int]) -> str:
        return "".join(map(chr, ids))


def test_a_teams_episode_gives_one_sequence_a_decision_with_its_weight() -> None:
    [t] = play("roco-sort", {}, NoisyAgent(0.5), Sequential(), 1)
    own = own_actions(t)
    assert len(own) == 3 * len(t.steps)
    weighed = [Correction(c.action, c.reason, 0.5 * (n % 2)) for n, c in enumerate(own)]
    made = examples(t, weighed, memory_maker("window:1"), Letters(), max_tokens=10**6)
    assert len(made) == sum(n % 2 for n in range(len(own)))
    assert {w for e in made for w in e.weights} == {0.0, 0.5}
    with pytest.raises(ValueError, match="3 x"):
        examples(t, own[1:], memory_maker("window:1"), Letters())


def test_every_beginning_of_a_plan_is_fitted_to_the_return_of_its_step() -> None:
    [t] = play("roco-sort", {"dense": True}, NoisyAgent(0.6), Central(), 1)
    data = prefixes([t], SentenceFeatures(256), 0.9)
    assert len(data.g) == 4 * len(t.steps) and data.u.tolist() == [0, 1, 2, 3] * len(t.steps)
    expected = returns(torch.tensor([s.reward for s in t.steps]), 0.9).repeat_interleave(4)
    assert torch.allclose(data.g, expected)
    with pytest.raises(ValueError, match="no episodes of a team"):
        prefixes([], SentenceFeatures(256), 0.9)


def test_the_prefix_critic_learns_and_its_feedback_helps() -> None:
    def run(agent: NoisyAgent, course: Coordinator, seed: int, n: int) -> list[Trajectory]:
        return rollout_team(
            lambda: make("roco-sort", dense=True), agent, course, memory_maker("window:1"), ["test/sort5"] * n,
            env_id="roco-sort", env_kwargs={"dense": True}, seed=seed,
        )  # fmt: skip

    critic = PrefixCritic(Critic(SentenceFeatures(512), width=32, seed=0))
    data = prefixes(run(NoisyAgent(0.5, wander=4), Central(), 1, 60), critic.critic.features, 0.95)
    done = fit(critic, data, steps=150, rng=np.random.default_rng(0))
    assert done["loss"] < 0.6 * done["variance"]

    def steps(course: Coordinator) -> float:
        return float(np.mean([len(t.steps) for t in run(NoisyAgent(0.3), course, 2, 30)]))

    assert steps(ReadJ(critic)) < steps(Central()) - 1.5
    assert steps(ReadS(critic)) < steps(Sequential()) - 1.5


def test_eval_and_replay_take_teams_on_the_command_line(run_cli: Cli, tmp_path: Path) -> None:
    file = tmp_path / "e.jsonl.zst"
    status, out, err = run_cli(
        "eval",
        "--env",
        "roco-sort",
        "--agent",
        "noisy:0.5",
        "--team",
        "read-j,critic=exact,tries=2",
        "--out",
        str(file),
        "--json",
    )
    row = json.loads(out)
    assert status == 0, err
    assert (row["team"], row["agent"], row["episodes"]) == ("read-j,critic=exact,tries=2", "noisy:0.5", 5)
    assert row["queries"]["mean"] >= row["steps"]["mean"] and len(row["success"]["ci95"]) == 2
    status, out, _ = run_cli("replay", str(file), "--verify", "--json")
    assert (status, json.loads(out)["faults"]) == (0, [])


class Handshake(ParallelEnv[str, str, str]):  # type: ignore[misc]
    """A world as others write them: both must say the word of the day at once; four days at most."""

    metadata = {"name": "handshake"}
    possible_agents = ["ann", "ben"]

    def __init__(self) -> None:
        self.agents: list[str] = []
        self.space = spaces.Text(40, min_length=0, charset=CHARSET)

    def observation_space(self, agent: str) -> spaces.Text:
        return self.space

    def action_space(self, agent: str) -> spaces.Text:
        return self.space

    def reset(self, seed: int | None = None, options: Any = None) -> Any:
        self.agents, self.day, self.start = list(self.possible_agents), 0, seed or 0
        return self.seen(), {a: {"admissible": ["one", "three", "two"]} for a in self.agents}

    def seen(self) -> dict[str, str]:
        return dict.fromkeys(self.agents, f"Day {self.day}: {('one', 'two', 'three')[(self.start + self.day) % 3]}")

    def step(self, actions: Any) -> Any:
        word = self.seen()["ann"].split()[-1]
        won = set(actions.values()) == {word}
        self.day += 1
        seen, everyone, late = self.seen(), self.agents, self.day == 4
        if won or late:
            self.agents = []
        return (
            seen, dict.fromkeys(everyone, float(won)), dict.fromkeys(everyone, won), dict.fromkeys(everyone, late),
            {a: {"admissible": ["one", "three", "two"]} for a in everyone},
        )  # fmt: skip


class Reader:
    """Says the word that it reads, from the second day on; before, what nobody can say."""

    name = "reader"

    def act(self, turns: Sequence[Turn]) -> list[Decision]:
        words = [t.observation.split()[-1] if "Day 0" not in t.observation else "ö" * 3 for t in turns]
        return [Decision(w) for w in words]


def test_a_parallel_environment_of_another_library_is_played_by_a_team() -> None:
    tasks = ParallelTeam(Handshake(), goal="say the word together").tasks("test")[:3]
    played = rollout_team(
        lambda: ParallelTeam(Handshake(), goal="say the word together"), Reader(), Sequential(), memory_maker("full"),
        tasks, env_id="handshake",
    )  # fmt: skip
    assert [len(t.steps) for t in played] == [2, 2, 2] and all(t.success and t.score == 1.0 for t in played)
    assert played[0].steps[0].invalid and not played[0].steps[1].invalid
    assert all(replay(ParallelTeam(Handshake(), goal="say the word together"), t) == [] for t in played)
    lost = play_random(Handshake)
    assert all(t.steps[-1].truncated != t.steps[-1].terminated for t in lost) and len({len(t.steps) for t in lost}) > 1
    assert [c.name for c in check(lambda: ParallelTeam(Handshake())) if c.passed is False] == []


class Endless(Handshake):
    """Goes on for ever."""

    def step(self, actions: Any) -> Any:
        seen, rewards, _, _, infos = super().step(actions)
        self.agents, no = list(self.possible_agents), dict.fromkeys(self.possible_agents, False)
        return seen, rewards, no, no, infos


def test_a_parallel_environment_that_never_ends_is_truncated() -> None:
    team = RandomAgent(), Sequential(), memory_maker("full")
    [t] = rollout_team(lambda: ParallelTeam(Endless(), max_steps=7), *team, ["test/00000"], env_id="endless")
    assert len(t.steps) == 7 and t.steps[-1].truncated and not t.steps[-1].terminated
    [t] = rollout_team(lambda: ParallelTeam(Endless()), *team, ["test/00000"], env_id="endless")
    assert len(t.steps) == 50
    with pytest.raises(ValueError, match="max_steps=0: needs at least 1"):
        ParallelTeam(Endless(), max_steps=0)


class Computed(TeamEnv):
    """Lists actions in lists, and says its end as NumPy does."""

    def __init__(self) -> None:
        super().__init__(["ann", "bob"])

    def tasks(self, split: str) -> list[str]:
        return [f"{split}/0"]

    def told(self, over: bool) -> Any:
        info = {"goal": "go", "admissible": ["go", "wait"], "success": over, "score": float(over), "task": "test/0"}
        return dict.fromkeys(self.possible_agents, info)

    def _begin(self, task: str) -> Any:
        return dict.fromkeys(self.possible_agents, "Here."), self.told(False)

    def _act(self, actions: dict[str, str]) -> Any:
        over = np.bool_(set(actions.values()) == {"go"})
        return (
            dict.fromkeys(self.possible_agents, "There."), dict.fromkeys(self.possible_agents, 0.0), over, np.bool_(False),
            self.told(bool(over)),
        )  # fmt: skip


def test_a_team_of_lists_and_numpys_truth_is_stored_and_replayed(tmp_path: Path) -> None:
    played = rollout_team(Computed, RandomAgent(), Sequential(), memory_maker("full"), ["test/0"], env_id="computed")
    write(tmp_path / "x.jsonl.zst", played)
    [stored] = read(tmp_path / "x.jsonl.zst")[0]
    assert stored.steps[-1].terminated is True and stored.steps[-1].truncated is False
    assert replay(Computed(), stored) == []


class Fragile(Handshake):
    """Stops answering on its second day."""

    def step(self, actions: Any) -> Any:
        if self.day == 1:
            raise WorldDied("the line is cut")
        return super().step(actions)


def test_a_team_whose_world_dies_is_truncated_and_the_run_goes_on() -> None:
    made: list[ParallelTeam] = []

    def make_env() -> ParallelTeam:
        made.append(ParallelTeam([Handshake, Fragile, Handshake][len(made)]()))
        return made[-1]

    tasks = ParallelTeam(Handshake()).tasks("test")[:4]
    team = RandomAgent(), Sequential(), memory_maker("full")
    calm = rollout_team(lambda: ParallelTeam(Handshake()), *team, tasks, env_id="handshake", seed=1, batch=2)
    played = rollout_team(make_env, *team, tasks, env_id="handshake", seed=1, batch=2)
    died = played[1]
    assert [p.to_json() for p in played[:1] + played[2:]] == [c.to_json() for c in calm[:1] + calm[2:]]
    assert len(made) == 3  # what died is not used again
    last = died.steps[-1]
    assert (len(died.steps), last.reward, last.terminated, last.truncated, last.success) == (2, 0.0, False, True, False)
    assert [p.action for p in last.parts] == [p.action for p in calm[1].steps[1].parts]
    assert died.meta["died"] == "the line is cut" and "died" not in calm[1].meta
    assert {row["final"] for row in died.meta["team"].values()} == {"The world stopped: the line is cut"}
    assert summary(played, split="test", split_hash="", seconds=0.0)["died"] == 1
    assert replay(ParallelTeam(Handshake()), died) == []


def play_random(world: type[Handshake]) -> list[Trajectory]:
    tasks = ParallelTeam(world()).tasks("train")[:20]
    return rollout_team(
        lambda: ParallelTeam(world()), RandomAgent(), Central(), memory_maker("full"), tasks, env_id="handshake"
    )


def test_evaluate_plays_a_team_by_default_one_after_another() -> None:
    row = evaluate("overcooked", "oracle", episodes=1, env_kwargs={"layout": "cramped_room", "horizon": 60})
    assert row["team"] == "sequential" and row["episodes"] == 1


@pytest.mark.parametrize(
    ("spec", "fault"),
    [
        ("centrall", "did you mean 'central'"),
        ("read-s,critc=exact", "did you mean 'critic'"),
        ("central,tries=x", "needs a int"),
        ("central,tries=-1", "tries=-1: needs at least 0"),
        ("dialogue:0", "rounds=0: needs at least 1"),
        ("sequential:2", "only a dialogue takes a number"),
        ("read-j", "critic=None is no folder of a critic"),
        ("read-j,critic=nowhere", "critic=nowhere is no folder of a critic"),
    ],
)
def test_a_faulty_team_is_one_line(spec: str, fault: str) -> None:
    with pytest.raises((LookupError, ValueError)) as error:
        coordinator(spec, "roco-sort")
    assert fault in str(error.value) and len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("call", "fault"),
    [
        (lambda: evaluate("roco-sort", "searcher"), "agent 'searcher' plays alone"),
        (lambda: evaluate("bandit", "random", team="central"), "in env 'bandit' one agent acts"),
        (lambda: evaluate("roco-sort", "orcle"), "did you mean 'oracle'"),
        (lambda: evaluate("roco-sort", "noisy:2"), "need a probability"),
        (lambda: evaluate("overcooked", "noisy:0.5", team="read-j,critic=exact", episodes=1), "fit a critic"),
    ],
)
def test_an_agent_in_the_wrong_world_is_one_line(call: Callable[[], Any], fault: str) -> None:
    with pytest.raises((LookupError, ValueError, Unknown)) as error:
        call()
    assert fault in str(error.value) and len(str(error.value).splitlines()) == 1


@pytest.fixture(scope="module")
def trained(small_tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    small = {"demonstrations": 4, "episodes": 4, "steps": 20, "size": 128, "width": 8, "epochs0": 1, "epochs": 1}
    settings = {f"read.{k}": str(v) for k, v in small.items()}
    settings |= {"env.dense": "yes", "env.max_steps": "3", "eval.valid": "0", "eval.test": "2"}
    out = tmp_path_factory.mktemp("read") / "run"
    return train("roco-sort", "read", str(small_tiny), "window:1", 0, out, settings, say=lambda _: None)


def test_method_read_trains_a_teams_planner_and_leaves_its_critic(trained: Path) -> None:
    result = json.loads((trained / "result.json").read_text())
    assert [r["iteration"] for r in result["iterations"]] == [0, 1]
    assert (trained / "report.html").is_file()
    played, _ = read(trained / "trajectories" / "01-train.jsonl.zst")
    assert len(played) == 4
    for t in played:
        assert len(t.meta["corrections"]) == 3 * len(t.steps)
        assert replay(make("roco-sort", dense=True, max_steps=3), t) == []
        assert all(p.token_ids and p.logprob is not None for s in t.steps for p in s.parts)
    kwargs = {"dense": True, "max_steps": 3}
    row = evaluate("roco-sort", str(trained), episodes=1, env_kwargs=kwargs, team=f"read-s,critic={trained}/critic")
    assert row["queries"]["mean"] >= 3 * row["steps"]["mean"]


def test_the_weights_of_a_plan_multiply_to_that_of_its_joint_advantage(trained: Path) -> None:
    played, _ = read(trained / "trajectories" / "01-train.jsonl.zst")
    critic, step = PrefixCritic.load(trained / "critic"), played[0].steps[0]
    agents, plan = [p.agent for p in step.parts], {p.agent: p.action for p in step.parts}
    state = f"{played[0].goal}\n{step.observation}"
    gain = critic.value(state, prefix_text(plan, agents)) - critic.value(state, prefix_text({}, agents))
    weights = [c.weight for c in weighed(played[0], critic, beta=2.0)[: len(agents)]]
    assert np.prod(weights) == pytest.approx(np.exp(gain / 2.0), rel=1e-4)
    assert len({round(w, 9) for w in weights}) > 1


def test_methods_for_one_refuse_a_team_and_read_refuses_one() -> None:
    with pytest.raises(LookupError, match="one agent acts in it"):
        configure("alfworld", "read", "tiny", "full", 0, {}, False)
    with pytest.raises(LookupError, match="3 agents act in it"):
        configure("roco-sort", "leap", "tiny", "full", 0, {}, False)
    assert configure("roco-sort", "bc", "tiny", "full", 0, {}, False)["env"] == "roco-sort"


@pytest.mark.slow
def test_the_reproduction_of_read_runs(tmp_path: Path) -> None:
    from agentgym.training.papers import reproduce

    row = reproduce("read", [0], tmp_path, quick=True)
    rows = {r["name"]: r for r in row["rows"]}
    assert rows["all levels, ReAd-J"]["ci95"][0] > rows["all levels, central"]["ci95"][1]
    again = reproduce("read", [0], tmp_path, quick=True)
    assert again["rows"] == row["rows"]
