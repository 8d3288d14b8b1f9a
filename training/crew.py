"""Roll-outs in several processes, of this machine or of a Ray cluster: the same episodes as in one."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass

from ..agents.core import Agent, ForkingAgent, PrivilegedAgent
from ..envs import make_single
from ..envs.errors import at_least, choice
from ..memory import memory_maker
from ..memory.core import Counter
from ..memory.trajectory import Trajectory
from .rollout import Options, Timing, rollout

ENGINES = ("local", "ray")


@dataclass(frozen=True, slots=True)
class Share:
    """What one worker plays: some tasks of a roll-out, with the agent and the counter of its tokens."""

    agent: Agent | PrivilegedAgent | ForkingAgent
    count: Counter
    tasks: tuple[str, ...]
    options: Options


Played = tuple[list[Trajectory], Timing]


def play_share(packed: bytes) -> Played:
    """Play a packed share where this is called."""
    import cloudpickle

    share: Share = cloudpickle.loads(packed)
    env, kwargs, timing = share.options["env_id"], share.options.get("env_kwargs") or {}, Timing()
    maker = memory_maker(share.options.get("memory", "full"), share.count)
    options: Options = {**share.options, "timing": timing}
    return rollout(lambda: make_single(env, **kwargs), share.agent, maker, share.tasks, **options), timing


@dataclass(frozen=True, slots=True)
class Crew:
    """Workers that roll out together. submit: sends one of them a packed share."""

    size: int
    submit: Callable[[bytes], Future[Played]]

    def rollout(
        self, agent: Agent | PrivilegedAgent | ForkingAgent, count: Counter, tasks: Sequence[str], options: Options
    ) -> list[Trajectory]:
        """Play every task once, as `rollout` does; every worker takes each so many-th task and its part of the batch.

        Raises:
            ValueError: the agent cannot leave this process.
        """
        if hasattr(agent, "usage"):
            raise ValueError(f"agent {agent.name!r} counts what it asks for in one process: leave --workers out")
        own = [tuple(range(i, len(tasks), self.size)) for i in range(min(self.size, len(tasks)))]
        batch = -(-options.get("batch", 64) // self.size)
        sent: dict[Future[Played], tuple[int, ...]] = {}
        for numbers in own:
            plain: Options = {**options, "batch": batch, "numbers": numbers, "timing": None, "on_episode": None}
            sent[self.submit(_packed(Share(agent, count, tuple(tasks[n] for n in numbers), plain)))] = numbers
        out: dict[int, Trajectory] = {}
        clock, on_episode = options.get("timing"), options.get("on_episode")
        for future in as_completed(sent):
            played, timing = future.result()
            out |= zip(sent[future], played, strict=True)
            for t in played:
                if on_episode is not None:
                    on_episode(t)
            if clock is not None:
                clock.add(timing)
        return [out[n] for n in range(len(tasks))]


def _packed(share: Share) -> bytes:
    import cloudpickle

    try:
        packed: bytes = cloudpickle.dumps(share)
    except (TypeError, AttributeError) as error:
        raise ValueError(
            f"agent {share.agent.name!r} cannot leave its process ({error}): leave --workers out"
        ) from None
    return packed


@contextmanager
def crew(engine: str = "local", workers: int = 1) -> Iterator[Crew | None]:
    """Lend workers that roll out; None where this process does it alone.

    engine: `local`, processes of this machine; `ray`, tasks on the cluster at RAY_ADDRESS, or on a Ray of this machine.

    Raises:
        ValueError: an unknown engine, no worker. ImportError: Ray is not installed; names the extra.
    """
    choice("engine", engine, ENGINES)
    at_least(1, workers=workers)
    if engine == "ray":
        with _ray(workers) as submit:
            yield Crew(workers, submit)
    elif workers == 1:
        yield None
    else:
        threads = max(1, (os.cpu_count() or 1) // workers)
        spawn = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(workers, spawn, _begin, (threads,)) as pool:
            yield Crew(workers, lambda packed: pool.submit(play_share, packed))


def _begin(threads: int) -> None:
    """Set a worker up: its share of the cores; Ctrl-C ends it without a word."""
    import torch

    signal.signal(signal.SIGINT, signal.SIG_DFL)
    torch.set_num_threads(threads)


@contextmanager
def _ray(workers: int) -> Iterator[Callable[[bytes], Future[Played]]]:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ImportError:
        raise ImportError("engine 'ray' needs the extra: pip install 'agentgym-lab[ray]'") from None
    begun = not ray.is_initialized()
    if begun:
        local = {} if "RAY_ADDRESS" in os.environ else {"num_cpus": workers, "include_dashboard": False}
        ray.init(log_to_driver=False, logging_level="warning", **local)
    play = ray.remote(num_cpus=1, max_retries=0)(play_share)
    try:
        yield lambda packed: play.remote(packed).future()
    finally:
        if begun:
            ray.shutdown()
