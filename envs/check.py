"""Whether an environment keeps the contract: what `agentgym check` prints, for our worlds and for yours."""

from __future__ import annotations

import json
import random
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from gymnasium.utils.env_checker import check_env

from .core import SPLITS, Privileged, TextEnv
from .fuzz import fuzz

if TYPE_CHECKING:  # PettingZoo is imported when a world of several agents is
    from .team import TeamEnv

Make = Callable[[], Any]
Walk = Callable[[Any, str, int], list[tuple[object, ...]]]
BAD = ("", " ", "\n", "xyzzy", "go to", "take the " * 40, "{}[]()\"'\\", "go to bed 999", "ACTION: look")
SECRET = ("privileged", "oracle", "solution", "walkthrough", "expert", "answer", "optimal")


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the table: what was checked, whether it holds (None: the world does not offer it), and what was seen."""

    name: str
    passed: bool | None
    detail: str = ""


def check(make: Callable[[], TextEnv | TeamEnv], seed: int = 0) -> list[Check]:
    """Return what holds of an environment and what does not."""
    if not isinstance(make(), TextEnv):
        from .check_team import check_team

        return check_team(cast("Callable[[], TeamEnv]", make), seed)
    runs: list[tuple[str, Callable[[Any, int], str]]] = [
        ("gymnasium check_env", _gymnasium),
        ("splits are disjoint", splits),
        ("info is complete", _info),
        ("info holds nothing privileged", _leak),
        ("same task and actions, same episode", partial(determinism, _walk)),
        ("a written-down episode replays byte for byte", _replay),
        ("bad text never raises", bad_text),
        ("a step after the end raises", _after_end),
        ("snapshot and restore are exact", _fork),
        ("the oracle reaches the goal", _oracle),
        ("throughput", partial(throughput, _walk)),
    ]
    return [attempt(name, partial(run, make, seed)) for name, run in runs]


def attempt(name: str, run: Callable[[], str]) -> Check:
    """Return the line of one check, whatever it raises."""
    try:
        return Check(name, True, run())
    except Exception as error:  # a user's environment may raise anything: that is what is reported
        if type(error) is LookupError:  # how TextEnv says that a world does not offer something; a KeyError is a fault
            return Check(name, None, str(error))
        return Check(name, False, f"{type(error).__name__}: {str(error).splitlines()[0][:160] if str(error) else ''}")


def expect(holds: bool, otherwise: str) -> None:
    """Raise what is said `otherwise`."""
    if not holds:
        raise ValueError(otherwise)


def splits(make: Make, seed: int) -> str:
    """Check that every split has tasks and no two share one."""
    env = make()
    ids = {s: set(env.tasks(s)) for s in SPLITS}
    for some in ids.values():
        other = next((i for i in some if not isinstance(i, str)), None)
        expect(other is None, f"a task's id is {other!r}, no text")
    for a, b in (("train", "valid"), ("train", "test"), ("valid", "test")):
        shared = ids[a] & ids[b]
        expect(not shared, f"{a} and {b} share {sorted(shared)[:1]}")
    expect(all(ids.values()), "a split has no task")
    return ", ".join(f"{s} {len(v)}" for s, v in ids.items())


def complete(info: Mapping[str, Any], whose: str) -> None:
    """Raise where an info lacks what every one has."""
    missing = {"goal", "admissible", "success", "score", "task"} - set(info)
    expect(not missing, f"{whose} lacks {sorted(missing)}")
    expect(0 <= info["score"] <= 1, f"score {info['score']} is outside [0, 1]")
    for key in ("goal", "task"):
        expect(isinstance(info[key], str), f"{whose}: {key} is {info[key]!r}, no text")
    expect(isinstance(info["success"], bool), f"{whose}: success is {info['success']!r}, neither True nor False")
    listed = info["admissible"]
    fits = listed is None or (isinstance(listed, tuple) and all(isinstance(a, str) for a in listed))
    expect(fits, f"{whose}: admissible is {listed!r}, neither None nor a tuple of texts")


def unprivileged(info: Mapping[str, Any], whose: str) -> None:
    """Raise where an info carries what only a teacher may know."""
    bad = [k for k in info if any(s in k.lower() for s in SECRET)]
    expect(not bad, f"{whose} carries {bad}: give it through privileged()")


def determinism(walk: Walk, make: Make, seed: int) -> str:
    """Check that a task comes out the same again, in the same world and in another."""
    one, two = make(), make()
    for task in (one.tasks("train")[0], one.tasks("test")[-1]):
        first, again, other = walk(one, task, seed), walk(one, task, seed), walk(two, task, seed)
        expect(first == again == other, f"task {task!r}: two episodes differ")
    return ""


def bad_text(make: Make, seed: int) -> str:
    """Check that no text makes a world raise."""
    return f"{fuzz(make, 200, seed).strings} strings of any kind"


def throughput(walk: Walk, make: Make, seed: int, what: str = "steps") -> str:
    """Return how fast random episodes go by."""
    env = make()
    start, steps = time.process_time(), 0
    tasks = env.tasks("train")
    while time.process_time() - start < 0.5:
        steps += len(walk(env, tasks[steps % len(tasks)], seed)) - 1
    return f"{steps / (time.process_time() - start):,.0f} {what} a CPU-second"


def _gymnasium(make: Callable[[], TextEnv], seed: int) -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        check_env(make(), skip_render_check=True)
    return ""


def _walk(
    env: TextEnv, task: str, seed: int, steps: int = 60, look: Callable[[], object] | None = None
) -> list[tuple[object, ...]]:
    """Return an episode of random actions, each with all that it brought; `look` is called before every action."""
    rng = random.Random(seed)
    observation, info = env.reset(seed=seed, options={"task": task})
    out: list[tuple[object, ...]] = [(observation, info)]
    for _ in range(steps):
        if look is not None:
            look()
        listed = info.get("admissible")
        action = rng.choice(list(listed)) if listed else rng.choice(BAD)
        observation, reward, terminated, truncated, info = env.step(action)
        out.append((action, observation, reward, terminated, truncated, info))
        if terminated or truncated:
            break
    return out


def _info(make: Callable[[], TextEnv], seed: int) -> str:
    env = make()
    for row in _walk(env, env.tasks("train")[0], seed):
        info, observation = row[-1], row[0] if len(row) == 2 else row[1]
        assert isinstance(info, dict)
        complete(info, "info")
        expect(isinstance(observation, str), f"an observation is {observation!r}, no text")
    return ""


def _leak(make: Callable[[], TextEnv], seed: int) -> str:
    env = make()
    task = env.tasks("train")[0]
    alone = _walk(env, task, seed, 20)
    for row in alone:
        assert isinstance(row[-1], dict)
        unprivileged(row[-1], "info")
        expect(not any(isinstance(v, Privileged) for v in row[-1].values()), "info carries a Privileged")
    try:
        watched = _walk(env, task, seed, 20, look=env.privileged)
    except LookupError:
        return "the world has no privileged state"
    expect(alone == watched, "asking for the privileged state changes what the agent sees")
    return "the episode is the same with and without a teacher"


def _replay(make: Callable[[], TextEnv], seed: int) -> str:
    env = make()
    task = env.tasks("valid")[0]
    rows = _walk(env, task, seed)
    plain = {
        "task": task,
        "seed": seed,
        "actions": [row[0] for row in rows[1:]],
        "seen": [row[-5:-1] for row in rows[1:]],
    }
    spec = json.loads(json.dumps(plain))
    env = make()
    first, _ = env.reset(seed=spec["seed"], options={"task": spec["task"]})
    expect(first == rows[0][0], "the first observation differs")
    for n, (action, seen) in enumerate(zip(spec["actions"], spec["seen"], strict=True)):
        expect(list(env.step(action)[:4]) == seen, f"step {n}, {action!r}, differs")
    return f"{len(spec['actions'])} steps"


def _after_end(make: Callable[[], TextEnv], seed: int) -> str:
    env = make()
    env.reset(seed=seed)
    for _ in range(env.max_steps + 1):
        try:
            env.step("xyzzy")
        except RuntimeError:
            return ""
    raise ValueError(f"no RuntimeError after {env.max_steps + 1} steps")


def _fork(make: Callable[[], TextEnv], seed: int) -> str:
    env = make()
    rng = random.Random(seed)
    _, info = env.reset(seed=seed, options={"task": env.tasks("train")[0]})
    for _ in range(10):
        saved = env.snapshot()
        plan = [rng.choice(list(info["admissible"] or BAD))]
        first = env.step(plan[0])
        env.restore(saved)
        expect(env.step(plan[0]) == first, "the fork went another way")
        info = first[-1]
        if first[2] or first[3]:
            break
    return ""


def _oracle(make: Callable[[], TextEnv], seed: int) -> str:
    env = make()
    tasks = env.tasks("test")[:12]
    lengths = []
    for task in tasks:
        _, info = env.reset(seed=seed, options={"task": task})
        n = 0
        while not info["success"]:
            plan = env.privileged().actions
            expect(bool(plan), f"task {task!r}: no plan after {n} steps")
            _, _, terminated, truncated, info = env.step(plan[0])
            n += 1
            expect(not (terminated or truncated) or info["success"], f"task {task!r}: the oracle failed")
        lengths.append(n)
    return f"{sum(lengths) / len(lengths):.1f} steps a task"
