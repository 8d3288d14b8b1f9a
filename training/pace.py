"""How fast every world turns: steps a CPU-second under random actions and the cost of a reset, beside the peers' engines.

Time is CPU time, that of child processes included, so that a busy machine measures the same; a world whose processes live
on between steps is timed by the clock.
"""

from __future__ import annotations

import contextlib
import io
import random
import resource
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import cycle, islice
from typing import Any, cast

from ..envs import listing, make
from ..envs.either import begin, tell
from .bench import row

ENOUGH_S = 1.0
AT_LEAST = {
    "alfworld": 20_000.0, "bash": 50.0, "device": 20_000.0, "reasoning": 20_000.0, "roco-sandwich": 20_000.0,
    "roco-sort": 20_000.0, "roco-sweep": 20_000.0, "sql": 2_000.0, "webshop": 2_000.0,
}  # fmt: skip
AT_MOST_MS = {"alfworld": 2.0}
"""Our targets; a world that runs on a peer's engine has that engine's own speed for one."""
_VIEWS: dict[str, tuple[dict[str, Any], ...]] = {"nethack": ({}, {"view": "screen"})}
_CLOCKED = ("miniwob",)
Peer = tuple[str, float]


def pace(say: Callable[[str], None], worlds: Sequence[str] = ()) -> list[dict[str, Any]]:
    """Return rows of a step and a reset for every world that is here, then those of engines and of search.

    worlds: these only, and neither engines nor search.
    """
    rows = []
    for world in worlds or [r["id"] for r in listing() if r["available"]]:
        told = []
        for kwargs in _VIEWS.get(world, ({},)):
            name = ", ".join((world, *(f"{k}={v}" for k, v in kwargs.items())))
            say(f"{name}: steps and resets")
            told.append((name, *turns(world, **kwargs)))
        peer = _peer(_PEERS[world]) if world in _PEERS else (None, None)  # after ours: it keeps games that we made
        for name, rate, reset_ms in told:
            target = AT_LEAST.get(world, peer[1])
            rows += [
                row(f"{name}: step", rate, f"steps per {'' if world in _CLOCKED else 'CPU-'}second", *peer, target),
                row(f"{name}: reset", reset_ms, "ms", target=AT_MOST_MS.get(world)),
            ]
    return rows if worlds else [*rows, *_engines(say), *_search(say)]


def _cpu() -> float:
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def turns(world: str, **kwargs: Any) -> tuple[float, float]:
    """Return steps a CPU-second and CPU-milliseconds a reset, over tasks of `train` in order.

    Actions are drawn from those listed; where a world lists none, from its own plan. A step of a team is a joint one.
    """
    env, rng = make(world, **kwargs), random.Random(0)
    clock = time.perf_counter if world in _CLOCKED else _cpu
    env.reset(options={"task": env.tasks("test")[0]})  # what is loaded once is no part of it
    steps = resets = 0
    reset_s = step_s = 0.0
    for task in cycle(env.tasks("train")):
        start = clock()
        infos = begin(env, task)
        reset_s += clock() - start
        plan = ("look",) if next(iter(infos.values()))["admissible"] else env.privileged().actions
        start = clock()
        for _ in range(100):
            infos, over = tell(env, {a: rng.choice(info["admissible"] or plan) for a, info in infos.items()})
            steps += 1
            if over:
                break
        step_s, resets = step_s + clock() - start, resets + 1
        if step_s + reset_s > ENOUGH_S and resets >= 3:
            break
    env.close()
    return steps / max(step_s, 1e-9), 1e3 * reset_s / resets


def _peer(run: Callable[[], Peer]) -> tuple[str | None, float | None]:
    """Return a peer's name and its figure, where it is installed."""
    try:
        return run()
    except ImportError:
        return None, None


def _rate(spent: Iterator[float], most: int = 3000) -> float:
    """Return how many of a peer's steps a CPU-second holds, from what each took; its resets do not count."""
    some = list(islice(spent, most))
    return len(some) / sum(some)


def _turned(env: Any, action: Callable[[], int]) -> Iterator[float]:
    """Step a Gymnasium environment without end, begun anew where it is over; give what each step took."""
    while True:
        start = _cpu()
        *_, ended, cut, _ = env.step(action())
        yield _cpu() - start
        if ended or cut:
            env.reset()


def _textworld() -> Peer:
    env, rng = make("textworld"), random.Random(0)

    def play() -> Iterator[float]:
        for game in games:
            state = game.reset()
            for _ in range(50):
                start = _cpu()
                state, _, over = game.step(rng.choice(state["admissible_commands"]))
                yield _cpu() - start
                if over:
                    break

    games = []
    for task in env.tasks("train")[:20]:
        env.reset(options={"task": task})
        games.append(cast(Any, env)._game)
    return "TextWorld alone", _rate(play())


def _babyai() -> Peer:
    import gymnasium
    import minigrid  # noqa: F401, it registers its levels

    from ..envs.babyai import LEVELS

    env, rng = gymnasium.make(LEVELS["goto"], disable_env_checker=True), random.Random(0)
    env.reset(seed=0)
    with contextlib.redirect_stdout(io.StringIO()):  # it tells of every layout that it rejects
        return "minigrid alone", _rate(_turned(env, partial(rng.randrange, 6)))


def _nethack() -> Peer:
    from nle.env import tasks

    env, rng = tasks.NetHackScore(), random.Random(0)
    env.reset()
    return "NLE alone", _rate(_turned(env, partial(rng.randrange, env.action_space.n)), 10_000)


_PEERS: dict[str, Callable[[], Peer]] = {"textworld": _textworld, "babyai": _babyai, "nethack": _nethack}


def _engines(say: Callable[[str], None]) -> list[dict[str, Any]]:
    """Time the two engines that have no text: joint ticks of a kitchen, and bandits side by side."""
    import numpy as np

    from ..envs.bandits import algorithms, engine
    from ..envs.overcooked.engine import Engine
    from ..envs.overcooked.layout import load

    say("overcooked and bandit: engines")
    kitchen, rng = Engine(load("cramped_room")), random.Random(0)
    joints = [(rng.randrange(6), rng.randrange(6)) for _ in range(20_000)]
    state, start = kitchen.start(), _cpu()
    for joint in joints:
        state = kitchen.step(state, joint).state
    ticks = len(joints) / (_cpu() - start)
    bandits = engine.bernoulli(np.random.default_rng(0), 1000, 5, 0.5)
    luck = engine.fresh_noise(bandits, 300, np.random.default_rng(0))
    start = _cpu()
    engine.play(bandits, algorithms.ucb, luck, np.random.default_rng(0))
    pulls = 1000 * 300 / (_cpu() - start)
    peer = _peer(lambda: _overcooked(joints))
    return [
        row("overcooked engine", ticks, "joint steps per CPU-second", *peer, 200_000),
        row("bandit engine, 1,000 at once, UCB", pulls, "steps per CPU-second", target=3_000_000),
    ]


def _overcooked(joints: list[tuple[int, int]]) -> Peer:
    from overcooked.mdp import OvercookedGridworld  # type: ignore[import-not-found, unused-ignore]

    moves = ((0, -1), (0, 1), (1, 0), (-1, 0), (0, 0), "interact")
    world = OvercookedGridworld.from_layout_name("cramped_room", old_dynamics=True)
    state, some = world.get_standard_start_state(), joints[:4000]
    start = _cpu()
    for one, two in some:
        state, _ = world.get_state_transition(state, (moves[one], moves[two]))
    return "overcooked 0.2.1", len(some) / (_cpu() - start)


def _search(say: Callable[[str], None], products: int = 100_000, queries: int = 300) -> list[dict[str, Any]]:
    """Time the shop's search over many products with people's instructions, and bm25s on the same texts."""
    import numpy as np

    from ..envs.search.bm25 import Index
    from ..envs.webshop import catalogue
    from ..envs.webshop.product import read_products

    say(f"webshop: search among {products:,} products")
    records, listed, asked = catalogue.generate(products, 0, {"train": queries})
    goods = read_products(records, listed)
    texts = [p.document for p in goods.values()]
    said = [one["instruction"].lower() for many in asked.values() for one in many][:queries]
    start = _cpu()
    index = Index(list(goods), texts)
    built = _cpu() - start

    def median_ms(search: Callable[[str], object]) -> float:
        spent = []
        for query in said:
            start = _cpu()
            search(query)
            spent.append(_cpu() - start)
        return 1e3 * float(np.median(spent))

    peer = _peer(lambda: ("bm25s, which ranks otherwise", median_ms(_bm25s(texts))))
    return [
        row("webshop search, 100,000 products, median", median_ms(index.search), "ms", *peer, 5.0),
        row("webshop index of 100,000 products", built, "s"),
    ]


def _bm25s(texts: list[str]) -> Callable[[str], object]:
    import bm25s  # type: ignore[import-not-found, unused-ignore]

    retriever = bm25s.BM25(k1=0.9, b=0.4)
    retriever.index(bm25s.tokenize(texts, show_progress=False), show_progress=False)
    return lambda q: retriever.retrieve(bm25s.tokenize(q, show_progress=False), k=50, show_progress=False)
