"""The RoCo tasks as TeamEnvs."""

from __future__ import annotations

import re
from collections.abc import Hashable
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from typing import Any, ClassVar, cast

from ..core import SPLITS, Info, Privileged
from ..errors import at_least, choice, unknown
from ..team import Infos, TeamEnv, Texts, said
from . import sandwich, sort, sweep
from .rules import ROUNDS, WAIT, Joint, Rules

VIEWS = ("partial", "global")
_TASKS: dict[str, Any] = {"sweep": sweep, "sandwich": sandwich, "sort": sort}


@dataclass(frozen=True, slots=True)
class Moment:
    """All that changes in an episode. faults: of the last plan, by robot."""

    state: Hashable
    plan: Joint = ()
    faults: tuple[tuple[int, str], ...] = ()
    round: int = 0


class RocoEnv(TeamEnv):
    """Robot arms that share a table, symbolically: a joint plan a round, verified as a whole before it is executed.

    Observation: the round, what the robot sees, and the last plan with what came of it.
    Reward: 1 to all when the goal is reached, which terminates; `dense` adds the change of the score.
    Verification: if any robot's action breaks a rule, the whole plan is rejected, nothing moves, the round counts, the
    reasons are in everybody's next observation, and `info["invalid"]` marks the robots at fault. `verify` tells the
    reasons without spending a round, for a planner that asks its model again. Truncates after 15 rounds.
    Tasks: `test` are the levels of DV-RoCoBench, `train` and `valid` other instances. Of a longer answer, what follows
    the last "Action:" or "ACTION" counts.
    Privileged: the robot's part of a shortest joint plan, and how many rounds it takes.
    Source: RoCo, arXiv 2307.04738; levels of ReAd, arXiv 2405.14314. No physics: arms always reach and never collide.

    view: `partial`, or `global`: every robot also sees what only the others do.
    """

    family: ClassVar[str] = "sweep"

    def __init__(self, *, view: str = "partial", dense: bool = False, max_steps: int = ROUNDS) -> None:
        if view not in VIEWS:
            raise unknown("view", view, VIEWS)
        at_least(1, max_steps=max_steps)
        self.view, self.dense, self.max_steps = view, dense, max_steps
        self._instances = _instances(self.family)
        super().__init__(next(iter(self._instances["test"].values())).robots)
        self._task = ""
        self._now: Moment | None = None

    def tasks(self, split: str) -> list[str]:
        """Return a split's ids: `test/Y1_G1`."""
        choice("split", split, SPLITS)
        return list(self._instances[split])

    @property
    def rules(self) -> Rules[Any]:
        """The rules of the running episode."""
        if self._now is None:
            raise RuntimeError("no episode is running: call reset() first")
        return self._instances[self._task.split("/")[0]][self._task]

    @property
    def now(self) -> Moment:
        """The state of the running episode."""
        if self._now is None:
            raise RuntimeError("no episode is running: call reset() first")
        return self._now

    def _begin(self, task: str) -> tuple[Texts, Infos]:
        rules = self._instances.get(str(task).split("/")[0], {}).get(task)
        if rules is None:
            raise ValueError(f"task {task!r}: write it as env.tasks('test') does: {self.tasks('test')[0]!r}")
        self._task = task
        self._now = Moment(rules.start())
        return self._told()

    def verify(self, actions: Texts) -> dict[str, str]:
        """Return why a joint plan would be rejected, by the robot at fault; nothing if it would be accepted."""
        faults = self.rules.faults(self.now.state, self._plan(actions))
        return {self.possible_agents[i]: why for i, why in faults.items()}

    def _plan(self, actions: Texts) -> Joint:
        return tuple(
            _canonical(actions.get(a, WAIT), self.rules.options(self.now.state, i))
            for i, a in enumerate(self.possible_agents)
        )

    def _act(self, actions: Texts) -> tuple[Texts, dict[str, float], bool, bool, Infos]:
        rules, was = self.rules, self.now
        plan = self._plan(actions)
        faults = rules.faults(was.state, plan)
        state = was.state if faults else rules.apply(was.state, plan)
        self._now = Moment(state, plan, tuple(sorted(faults.items())), was.round + 1)
        score = rules.score(state)
        won = score == 1.0
        reward = won + (score - rules.score(was.state) if self.dense else 0.0)
        observations, infos = self._told()
        limit = not won and self.now.round >= self.max_steps
        return observations, dict.fromkeys(self.possible_agents, float(reward)), won, limit, infos

    def _told(self) -> tuple[Texts, Infos]:
        rules, now = self.rules, self.now
        last = "\n".join(self._feedback())
        score, goal, wrong = rules.score(now.state), rules.goal(), dict(now.faults)
        observations, infos = {}, {}
        for i, robot in enumerate(self.possible_agents):
            seen = rules.describe(now.state, i, self.view == "global")
            observations[robot] = "\n".join([f"Round {now.round} of {self.max_steps}.", *seen, last]).rstrip()
            infos[robot] = Info(
                goal=goal, admissible=tuple(sorted(rules.options(now.state, i))), success=score == 1.0,
                score=score, task=self._task, kind=self._kind(), invalid=i in wrong,
            )  # fmt: skip
        return observations, infos

    def _kind(self) -> str:
        split, name = self._task.split("/")
        return name if split == "test" else self.family

    def _feedback(self) -> list[str]:
        now = self.now
        if not now.plan:
            return []
        plan = "; ".join(f"{a} {p[:80]}" for a, p in zip(self.possible_agents, now.plan, strict=True))
        if not now.faults:
            return [f"Executed: {plan}."]
        reasons = dict.fromkeys(why for _, why in now.faults)
        return ["[Environment Feedback]", f"Rejected: {plan}.", *(f"- {why}." for why in reasons)]

    def render(self) -> str:
        """Return the table as one who sees everything."""
        return "\n".join([*self.rules.describe(self.now.state, 0, True), *self._feedback()])

    def privileged(self, agent: str) -> Privileged:
        """Return the robot's part of a shortest joint plan from here, and what it does not see."""
        i = self.possible_agents.index(agent)
        plan = _shortest(self.rules, self.now.state)
        seen = self.rules.describe(self.now.state, i, False)
        hidden = tuple(line for line in self.rules.describe(self.now.state, i, True) if line not in seen)
        return Privileged(hidden, tuple(joint[i] for joint in plan), distance=len(plan))

    def snapshot(self) -> object:
        """Return the state; it is immutable."""
        return self._task, self._now, tuple(self.agents)

    def restore(self, snapshot: object) -> None:
        """Return to a snapshot."""
        self._task, self._now, agents = cast("tuple[str, Moment, tuple[str, ...]]", snapshot)
        self.agents = list(agents)


class SweepEnv(RocoEnv):
    """Sweep Floor: Alice's dustpan and Bob's broom bring the yellow and green cubes into the bin; 2 robots, 15 rounds.

    Actions: `MOVE cube` and `WAIT`; Alice `DUMP`; Bob `SWEEP cube`, which needs both at the cube and Alice waiting.
    Levels Y1_G1, Y1_G2, Y2_G2, Y2_G3, Y3_G3 take 5, 7, 9, 11, 13 rounds at least. Else as `RocoEnv`.

    >>> env = SweepEnv()
    >>> _ = env.reset(options={"task": "test/Y1_G1"})
    >>> env.verify({"Alice": "DUMP", "Bob": "WAIT"})
    {'Alice': 'Alice cannot DUMP: the dustpan is empty'}
    """

    family = "sweep"


class SandwichEnv(RocoEnv):
    """Make Sandwich: Chad and Dave, each with his side of the table, stack a recipe; 2 robots, 15 rounds.

    Actions: `PICK food` from one's side, `PUT food target` (the food below it, `cutting_board` or `table`), `WAIT`;
    one PUT a round. Recipes 1 to 4 have 3, 5, 7, 9 parts and take one round more than parts. Else as `RocoEnv`.
    """

    family = "sandwich"


class SortEnv(RocoEnv):
    """Sort Cubes: Alice, Bob and Chad, with three panels each, hand cubes along to their panels; 3 robots, 15 rounds.

    Actions: `PICK cube PLACE panelN` with both panels in reach and N nobody else's, `WAIT`; not all may wait.
    Levels sort1 to sort5 take 1, 2, 2, 3, 4 rounds at least. Else as `RocoEnv`.
    """

    family = "sort"
    team = 3


def _canonical(text: str, options: tuple[str, ...]) -> str:
    """Return an action as the rules write it where it differs only in case, else what was said, made printable.

    >>> _canonical("NAME Bob ACTION move red_cube_1", ("WAIT", "MOVE red_cube_1"))
    'MOVE red_cube_1'
    """
    if text in options:
        return text
    words = re.split(r"(?i)\baction\s", said(text))[-1].strip()
    return next((o for o in options if o.lower() == words.lower()), ascii(words)[1:-1])


@cache
def _instances(family: str) -> dict[str, dict[str, Rules[Any]]]:
    task = _TASKS[family]
    made = sorted(task.others(), key=lambda r: sha256(repr(r).encode()).digest())
    kept = len(made) // 6
    return {
        "train": {f"train/{n:03d}": r for n, r in enumerate(made[kept:])},
        "valid": {f"valid/{n:03d}": r for n, r in enumerate(made[:kept])},
        "test": {f"test/{name}": r for name, r in task.LEVELS.items()},
    }


@cache
def _shortest(rules: Rules[Any], state: Hashable) -> list[Joint]:
    return rules.plan(state)
