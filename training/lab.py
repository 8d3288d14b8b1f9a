"""What a method works with: a world, a student, a memory, a run directory, and the seed of every draw."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ..agents.core import Agent, PrivilegedAgent
from ..envs import make, make_team
from ..envs.bandits import BanditEnv, ContextualBanditEnv
from ..envs.core import Searcher, TextEnv
from ..envs.reasoning import Attempts
from ..memory import memory_maker
from ..memory.core import Memory
from ..memory.trajectory import Trajectory
from .attempts import measure
from .bandits import explored
from .crew import Crew
from .evaluate import summary
from .rollout import Options, Timing, rollout
from .run import RunDir
from .student import Student


@dataclass(slots=True)
class Lab:
    """The bench of one run; methods read it and train `student`.

    also: writes what a method has trained beside the student into a checkpoint's folder. crew: who rolls out, where that
    is not this process.
    """

    env_id: str
    env_kwargs: dict[str, Any]
    memory: str
    seed: int
    student: Student
    run: RunDir
    splits: dict[str, int]
    batch: int = 64
    say: Callable[[str], None] = print
    timing: Timing = field(default_factory=Timing)
    also: Callable[[Path], None] | None = None
    crew: Crew | None = None

    def make_env(self) -> TextEnv:
        """Return a new environment of the run."""
        return make(self.env_id, **self.env_kwargs)

    def make_memory(self) -> Memory:
        """Return a new memory of the run, counting the student's tokens."""
        return memory_maker(self.memory, self.student.count)()

    def make_searcher(self, task: str) -> Searcher:
        """Return the searching expert for a task."""
        env = self.make_env()
        env.reset(options={"task": task})
        return env.searcher()

    def rng(self, *key: int) -> np.random.Generator:
        """Return a generator of the run's own, keyed by what it is for."""
        return np.random.default_rng([self.seed, *key])

    def tasks(self, split: str, n: int, *key: int) -> list[str]:
        """Draw n tasks of a split without repetition; all of them, in order, where n is at least their number."""
        every = list(self.make_env().tasks(split))
        if n >= len(every):
            return every
        return [every[i] for i in sorted(self.rng(7, *key).choice(len(every), n, replace=False))]

    def play(
        self, agent: Agent | PrivilegedAgent, tasks: Sequence[str], *key: int, label: str = ""
    ) -> list[Trajectory]:
        """Roll an agent out on tasks; a team's members speak one after another."""
        done = 0

        def count(_: Trajectory) -> None:
            nonlocal done
            done += 1
            if label and done % 50 == 0:
                self.say(f"  {label}: {done}/{len(tasks)} episodes")

        with_: Options = {
            "env_id": self.env_id, "env_kwargs": self.env_kwargs, "memory": self.memory,
            "seed": int(self.rng(11, *key).integers(2**31)), "batch": self.batch, "timing": self.timing,
            "on_episode": count,
        }  # fmt: skip
        if isinstance(self.make_env(), TextEnv):
            if self.crew is not None:
                return self.crew.rollout(agent, self.student.count, tasks, with_)
            return rollout(self.make_env, agent, self.make_memory, tasks, **with_)
        from ..agents.team import Sequential
        from .team import rollout_team

        make_world = partial(make_team, self.env_id, **self.env_kwargs)
        return rollout_team(
            make_world, agent, Sequential(), self.make_memory, tasks, count=self.student.count, **with_
        )  # fmt: skip

    def save(self, folder: Path) -> None:
        """Write a checkpoint."""
        self.student.save(folder)
        if self.also is not None:
            self.also(folder)

    def evaluate(self, name: str, agent: Agent | None = None) -> dict[str, Any]:
        """Evaluate the student, or another agent, on every split of the run; episodes are stored beside the numbers."""
        out = {}
        player = self.student.policy() if agent is None else agent
        env = self.make_env()
        for split, n in self.splits.items():
            start = time.monotonic()
            tasks = self.tasks(split, n)

            def episodes(split: str = split, tasks: list[str] = tasks) -> list[Trajectory]:
                return self.play(player, tasks, 13, label=f"evaluate on {split}")

            played = self.run.trajectories(f"{name}-eval-{split}", episodes)
            row = summary(played, split=split, split_hash=env.split_hash(split), seconds=time.monotonic() - start)
            out[split] = row | {"seed": self.seed, "agent": player.name}
            if isinstance(env, Attempts) and env.turns > 1:
                out[split]["attempts"] = measure(self, env, played)
            if isinstance(env, BanditEnv | ContextualBanditEnv):
                out[split]["bandit"] = explored(env, played)
        return out
