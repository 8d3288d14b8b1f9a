"""Critics against values known in closed form: of tokens, of the KL-regularised optimum, of the world's planner."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from agentgym.agents.core import Candidate, Decision
from agentgym.agents.critics import Critic, ExactCritic, HashedFeatures, RelationFeatures, TokenCritic, vocabulary
from agentgym.agents.flawed import FlawedAgent
from agentgym.agents.scripted import RandomAgent
from agentgym.agents.search import SearchAgent
from agentgym.envs import make_single
from agentgym.envs.core import Info, Privileged, TextEnv
from agentgym.memory import Trajectory, Turn, memory_maker
from agentgym.training.critics import save_critic
from agentgym.training.ilql import fit as fit_tokens
from agentgym.training.ilql import tokens
from agentgym.training.play import evaluate
from agentgym.training.rollout import rollout
from agentgym.training.soft import fit_soft, paths, soft_value

LENGTH, GAMMA, WORDS = 5, 0.9, ("go left", "go right")


class Corridor(TextEnv):
    """Rooms in a row; the last pays 1 and ends the episode, every step costs `cost`."""

    max_steps = 12

    def __init__(self, cost: float = 0.0) -> None:
        super().__init__()
        self.cost, self.room = cost, 0

    def tasks(self, split: str) -> list[str]:
        return [f"{split}/{i}" for i in range(600)]

    def _info(self) -> Info:
        won = self.room == LENGTH
        return Info(goal="reach the end", admissible=WORDS, success=won, score=float(won), task="corridor", kind="")

    def _begin(self, task: str) -> tuple[str, Info]:
        self.room = int(task.split("/")[1]) % LENGTH
        return f"room {self.room}", self._info()

    def _act(self, action: str) -> tuple[str, float, bool, Info]:
        self.room = max(0, self.room + (1 if action == "go right" else -1))
        info = self._info()
        return f"room {self.room}", float(info["success"]) - self.cost, info["success"], info

    def privileged(self) -> Privileged:
        return Privileged((), ("go right",) * (LENGTH - self.room), distance=LENGTH - self.room)

    def snapshot(self) -> object:
        return self.room, self._t, self._open, self._last

    def restore(self, snapshot: object) -> None:
        self.room, self._t, self._open, self._last = snapshot  # type: ignore[misc]


ROOMS = [f"room {i}\nreach the end" for i in range(LENGTH)]


class Rooms(HashedFeatures):
    """What is not the room is left out, so that values are those of rooms."""

    def __call__(self, states, actions=None):  # type: ignore[no-untyped-def]
        return super().__call__([next(line for line in s.split("\n") if line[:4] == "room") for s in states], actions)


def played(cost: float) -> list[Trajectory]:
    env = Corridor(cost)
    return rollout(
        lambda: Corridor(cost), RandomAgent(), memory_maker("window:1"), env.tasks("train"), env_id="corridor"
    )


def optimal() -> np.ndarray:
    return GAMMA ** (LENGTH - 1 - np.arange(LENGTH))


def random_walk() -> np.ndarray:
    a, b = np.eye(LENGTH), np.zeros(LENGTH)
    for room in range(LENGTH):
        a[room, max(0, room - 1)] -= GAMMA / 2
        if room + 1 < LENGTH:
            a[room, room + 1] -= GAMMA / 2
        else:
            b[room] = 0.5
    return np.linalg.solve(a, b)


def test_token_values_are_those_of_whole_actions() -> None:
    critic = TokenCritic(Rooms(256), vocabulary(WORDS), width=64, heads=1, reads="screen")
    data = tokens(played(0.0), critic, memory_maker("window:1"), GAMMA)
    fit_tokens(critic, data, steps=1600, lr=3e-3, ema=0.5, tau=0.5, rng=np.random.default_rng(0))
    exact = random_walk()
    assert np.abs(critic.v(ROOMS) - exact).max() < 0.06
    right = [1.0 if i + 1 == LENGTH else GAMMA * exact[i + 1] for i in range(LENGTH)]
    assert np.abs(critic.q(ROOMS, ["go right"] * LENGTH) - right).max() < 0.08
    left = critic.tokens("go left")[1]
    at_word = critic.next(ROOMS[2], "go")
    assert at_word[critic.tokens("go right")[1]] > at_word[left]
    assert critic.advantage(ROOMS, ["go right"] * LENGTH).min() > 0


def test_a_high_expectile_of_tokens_tends_to_the_best_actions_value() -> None:
    critic = TokenCritic(Rooms(256), vocabulary(WORDS), width=64, reads="screen")
    data = tokens(played(0.0), critic, memory_maker("window:1"), GAMMA)
    fit_tokens(critic, data, steps=900, lr=4e-3, tau=0.98, rng=np.random.default_rng(0))
    assert np.abs(critic.v(ROOMS) - optimal()).max() < 0.2


def test_the_cql_term_presses_down_what_was_never_said() -> None:
    words = (*vocabulary(WORDS), "jump")
    last = {}
    for alpha in (0.0, 0.1):
        critic = TokenCritic(Rooms(256), words, width=64, reads="screen")
        data = tokens(played(0.0)[:100], critic, memory_maker("window:1"), GAMMA)
        fit_tokens(critic, data, steps=300, alpha=alpha, rng=np.random.default_rng(0))
        last[alpha] = critic.next(ROOMS[2])[critic.tokens("jump")[0]]
    assert last[0.1] < last[0.0] - 0.1
    with pytest.raises(ValueError, match="alpha=-1"):
        fit_tokens(critic, data, alpha=-1, rng=np.random.default_rng(0))


def test_a_word_not_in_the_vocabulary_has_one_slot_of_its_own() -> None:
    critic = TokenCritic(Rooms(64), ["go"], width=8)
    assert critic.tokens("go up") == [2, 1, 0] and critic.tokens("down") == [1, 0]


def test_soft_values_solve_the_linear_equations_of_the_desirability() -> None:
    cost, beta = 0.1, 0.5
    critic = Critic(Rooms(256), width=64, heads=1, reads="screen")
    data = paths(played(cost), critic, memory_maker("window:1"))
    fit_soft(critic, data, beta=beta, steps=1000, batch=8, lr=3e-3, rng=np.random.default_rng(0))
    # z = exp(V/β) is linear: z_i = exp(−cost/β) ½ (z_{i−1} + z_{i+1}), and exp(1/β) behind the last room
    a, b, toll = np.eye(LENGTH), np.zeros(LENGTH), np.exp(-cost / beta) / 2
    for room in range(LENGTH):
        a[room, max(0, room - 1)] -= toll
        if room + 1 < LENGTH:
            a[room, room + 1] -= toll
        else:
            b[room] = toll * np.exp(1 / beta)
    exact = beta * np.log(np.linalg.solve(a, b))
    assert np.abs(critic.v(ROOMS) - exact).max() < 0.06
    q = np.stack([critic.rank(room, WORDS) for room in ROOMS])
    nearer = np.append(exact[1:], 1.0) - cost
    assert np.abs(q[:, 1] - nearer).max() < 0.1
    soft = soft_value(torch.from_numpy(q), torch.full((LENGTH, 2), 0.5).log(), beta)
    assert np.abs(soft.numpy() - exact).max() < 0.08


def test_the_exact_critic_counts_the_planners_steps_and_leaves_the_world() -> None:
    env, critic = Corridor(), ExactCritic(GAMMA)
    env.reset(options={"task": "train/3"})
    assert critic.v(env) == pytest.approx(GAMMA)
    assert critic.q(env, ["go left", "go right", "go left"]) == pytest.approx([GAMMA**3, GAMMA, GAMMA**3])
    assert env.room == 3 and critic.best(env, WORDS) == "go right"
    env.step("go right")
    assert critic.q(env, ["go right"]) == pytest.approx([1.0])


@pytest.mark.parametrize("env_id", ["alfworld", "device"])
def test_the_oracles_way_has_exact_values_that_rise_to_one(env_id: str) -> None:
    env, critic = make_single(env_id), ExactCritic(0.95)
    env.reset(options={"task": env.tasks("test")[7]})
    values, over = [], False
    while not over:
        action = env.privileged().actions[0]
        values.append(float(critic.q(env, [action])[0]))
        _, _, over, _, info = env.step(action)
    assert info["success"] and values[-1] == 1.0
    assert all(later == pytest.approx(now / 0.95) for now, later in pairwise(values))


class Fitted:
    """A critic whose V is right but for noise: what search has to do better with than the policy alone."""

    def __init__(self) -> None:
        self.critic = Critic(Rooms(16), 8, reads="screen")

    def text(self, turn: Turn) -> str:
        return turn.observation

    def v(self, states: list[str]) -> np.ndarray:
        return np.array([GAMMA ** (LENGTH - 1 - int(s.split()[1])) for s in states])

    def rank(self, state: str, actions: list[str]) -> np.ndarray:
        return np.zeros(len(actions))


class Leftist:
    name = "leftist"

    def act(self, turns: list[Turn]) -> list[Decision]:
        return [Decision("go left", candidates=tuple(Candidate(a, -1.0) for a in WORDS)) for _ in turns]


def share(agent: object, n: int = 40) -> float:
    done = rollout(Corridor, agent, memory_maker("full"), Corridor().tasks("test")[:n], env_id="corridor")  # type: ignore[arg-type]
    return float(np.mean([t.success for t in done]))


def test_search_finds_the_way_that_the_policy_does_not() -> None:
    assert share(Leftist()) == 0.0
    assert share(SearchAgent(Leftist(), ExactCritic(GAMMA), budget=2, depth=1)) == 1.0
    fitted = SearchAgent(Leftist(), Fitted(), budget=8, depth=3, gamma=GAMMA)  # type: ignore[arg-type]
    assert share(fitted) == 1.0 and fitted.spent > 0


def test_what_a_policy_said_of_another_action_is_not_said_of_the_searchs() -> None:
    class Sure(Leftist):
        def act(self, turns: list[Turn]) -> list[Decision]:
            return [replace(d, reply="REASON: left.\nACTION: go left", thought="left.") for d in super().act(turns)]

    searching = SearchAgent(Sure(), ExactCritic(GAMMA), budget=2, depth=1)
    [done] = rollout(Corridor, searching, memory_maker("full"), Corridor().tasks("test")[:1], env_id="corridor")
    assert done.success and all(s.action != "go left" and (s.reply, s.thought) == (None, None) for s in done.steps)


def test_a_deeper_search_sees_past_a_critic_that_knows_nothing() -> None:
    class Blind(Fitted):
        def v(self, states: list[str]) -> np.ndarray:
            return np.zeros(len(states))

    near, far = (
        SearchAgent(Leftist(), Blind(), budget=b, depth=d, gamma=GAMMA)  # type: ignore[arg-type]
        for b, d in ((2, 1), (62, 5))
    )
    assert share(far) == 1.0 > share(near)


def test_search_keeps_its_budget_and_leaves_the_world_as_it_was() -> None:
    steps = 0

    class Counted(Corridor):
        def _act(self, action: str) -> tuple[str, float, bool, Info]:
            nonlocal steps
            steps += 1
            return super()._act(action)

    agent = SearchAgent(Leftist(), Fitted(), budget=5, depth=9)  # type: ignore[arg-type]
    [t] = rollout(Counted, agent, memory_maker("full"), ["test/0"], env_id="corridor")
    assert steps == agent.spent + len(t.steps) and agent.spent <= 5 * len(t.steps)
    rooms = [int(o.split()[1]) for o in t.observations]
    assert all(
        b == max(0, a + (1 if s.action == "go right" else -1))
        for (a, b), s in zip(pairwise(rooms), t.steps, strict=True)
    )
    with pytest.raises(ValueError, match="budget=0"):
        SearchAgent(Leftist(), ExactCritic(), budget=0)


def test_a_world_without_a_fork_cannot_be_searched() -> None:
    class Single(Corridor):
        snapshot = TextEnv.snapshot

    with pytest.raises(LookupError, match="cannot be forked"):
        rollout(Single, SearchAgent(Leftist(), ExactCritic()), memory_maker("full"), ["test/0"], env_id="corridor")


def test_relations_carry_over_to_other_things_and_to_lines_that_are_numbered() -> None:
    f = RelationFeatures(4096)

    def alike(a: tuple[str, str], b: tuple[str, str]) -> float:
        x, y = f([a[0], b[0]], [a[1], b[1]]).astype(float)
        return float(x @ y)

    mug = "put a mug in desk\nOn the shelf 1, you see a mug 2."
    pen = "put a pen in desk\nOn the shelf 1, you see a pen 1."
    same = alike((mug, "take mug 2 from shelf 1"), (pen, "take pen 1 from shelf 1"))
    other = alike((mug, "take mug 2 from shelf 1"), (pen, "go to desk 1"))
    assert same > other + 0.2
    on = 'Choose "Chime"\n[0] title Sound\n[1] radio Chime: off\n[2] radio Bell: off'
    off = 'Choose "Opal"\n[0] title Sound\n[1] radio Sea: off\n[2] radio Opal: off'
    assert alike((on, "click 1"), (off, "click 2")) > alike((on, "click 1"), (off, "click 1"))


def test_a_flawed_player_names_its_candidates_with_their_log_probabilities() -> None:
    env = make_single("alfworld")
    env.reset(options={"task": env.tasks("train")[0]})

    def player(**kwargs: float) -> FlawedAgent:
        return FlawedAgent(lambda goal: env.searcher(), env.habit, 0, **kwargs)  # type: ignore[arg-type]

    def share(agent: FlawedAgent) -> float:
        done = rollout(
            lambda: make_single("alfworld"), agent, memory_maker("full"), env.tasks("valid")[:40], env_id="alfworld"
        )
        return float(np.mean([t.success for t in done]))

    assert share(player(p_wrong=0.0, p_slip=0.0)) == 1.0
    assert share(player(p_wrong=0.8, p_follow=0.9)) < 0.7
    agent = player(p_slip=0.5)
    observation, info = env.reset(options={"task": env.tasks("valid")[0]})
    memory = memory_maker("full")()
    memory.begin(info["goal"], observation, info)
    [decision] = agent.act([memory.view()])
    assert decision.action in {c.action for c in decision.candidates} <= set(info["admissible"])
    assert 0 < sum(np.exp(c.logprob) for c in decision.candidates) <= 1 + 1e-9
    with pytest.raises(ValueError, match="p_slip=2"):
        player(p_slip=2)


def test_eval_searches_with_the_planner_and_reranks_by_a_saved_critic(tmp_path: Path) -> None:
    plain = evaluate("device", "flawed", split="valid", episodes=16)
    with_ = evaluate("device", "flawed", split="valid", episodes=16, search=8, critic="exact")
    assert with_["success"]["mean"] >= plain["success"]["mean"] + 0.2 and (with_["search"], with_["critic"]) == (
        8,
        "exact",
    )
    save_critic(tmp_path / "critic", Critic(RelationFeatures(64), 8, reads="told"))
    row = evaluate("device", "flawed", split="valid", episodes=2, rerank=4, critic=str(tmp_path / "critic"))
    assert row["rerank"] == 4
    row = evaluate("device", "flawed", split="valid", episodes=2, vas=0.1, critic=str(tmp_path / "critic"))
    assert row["vas"] == 0.1
    for options, fault in (
        ({"vas": 0.5}, "--vas needs the directory"),
        ({"vas": 0.0, "critic": str(tmp_path / "critic")}, "--vas 0.0: needs to be positive"),
        ({"search": 4}, "--search needs the directory"),
        ({"rerank": 4, "search": 4, "critic": "exact"}, "choose one"),
        ({"rerank": 4, "critic": "exact"}, "use it with --search"),
        ({"critic": "exact"}, "say what it is for"),
    ):
        with pytest.raises(ValueError, match=fault):
            evaluate("device", "flawed", episodes=2, **options)  # type: ignore[arg-type]


@pytest.mark.slow
def test_a_fitted_critic_lifts_a_weak_policy_on_the_device(tmp_path: Path) -> None:
    from agentgym.training.paper_critics import LEVELS, Setting, measure

    level = next(v for v in LEVELS if v.env == "device")
    setting = Setting(**level.changes | {"data": 600, "steps": 600, "episodes": 60, "states": 100})
    row = measure("device", 0, setting, say=lambda text: None, keep=tmp_path)
    won = {k: np.mean(v["success"]) for k, v in row["arms"].items()}
    assert won["re-ranked, expectile"] > won["weak policy"] + 0.1 and won["re-ranked, exact"] > 0.9
    assert row["critics"]["expectile"]["pearson"] > row["critics"]["untrained"]["pearson"] + 0.2
    assert (tmp_path / "expectile" / "critic.safetensors").is_file()
