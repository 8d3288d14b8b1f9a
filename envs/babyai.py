"""BabyAI in words: minigrid's levels, read as text."""

from __future__ import annotations

import contextlib
import copy
import io
from collections import Counter
from functools import lru_cache
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from . import ids
from .babyai_searcher import BabyaiSearcher
from .core import Info, Privileged, Searcher, TextEnv
from .errors import unknown

ACTIONS = ("turn left", "turn right", "go forward", "pick up", "drop", "toggle")
LEVELS = {
    "goto": "BabyAI-GoToLocal-v0",
    "pickup": "BabyAI-PickupLoc-v0",
    "open": "BabyAI-OpenDoor-v0",
    "putnext": "BabyAI-PutNextLocal-v0",
    "sequence": "BabyAI-GoToSeqS5R2-v0",
}
_LONGEST_PLAN = 1024
_AHEAD = ((1, 0), (0, 1), (-1, 0), (0, -1))  # of minigrid's four directions


class BabyaiEnv(TextEnv):
    """BabyAI's grid worlds, seen as sentences.

    Observation: a sentence a line. `You carry a C T`, if so; `You see a wall N steps forward|left|right` where a straight
    line from the agent meets a wall first; then every object in the 7x7 view, column by column from the left:
    `You see a [open|closed|locked] C T N steps left|right and N steps forward`. With none of these: `You see nothing`.
    Actions: turn left, turn right, go forward, pick up, drop, toggle. One that changes nothing is legal and counts; any
    other text is invalid, changes nothing, and counts too.
    Reward: 1 on the step that fulfils the mission, else 0. Terminates then, or when a strict order is broken; truncates
    after `max_steps`, 128.
    Tasks: goto, pickup, open, putnext, sequence in turn; splits have disjoint seeds.
    Privileged: where the mission's things lie, and the plan of minigrid's own bot, which knows
    no more of the map than has come into view: its first action is realizable, its last may need what is found on the way.
    Source: BabyAI, arXiv 1810.08272; the sentences are BabyAI-Text's, arXiv 2302.02662, with `open` doors said. Ours: the
    reward does not shrink with time, and the step limit is the same for every level.

    >>> env = BabyaiEnv()  # doctest: +SKIP
    >>> env.reset(options={"task": "train/00000-goto"})[0].split("\\n")[0]  # doctest: +SKIP
    'You see a wall 3 steps forward'

    level: `mixed`, one of the five, or any level of minigrid's such as BabyAI-BossLevel-v0. train, valid, test: how many
    tasks a split lists. Extra: [babyai].
    """

    summary = "grid rooms in sentences: go to, pick up, open, put next; 128 steps"
    max_steps = 128

    def __init__(
        self,
        *,
        level: str = "mixed",
        train: int = 5000,
        valid: int = 500,
        test: int = 500,
        max_steps: int | None = None,
    ) -> None:
        super().__init__(max_steps=max_steps)
        self._registry = _minigrid()
        if level not in ("mixed", *LEVELS) and level not in self._registry:
            raise unknown("level", level, ["mixed", *LEVELS, *self._registry])
        self.level = level
        self._kinds = tuple(LEVELS) if level == "mixed" else (level,)
        self._sizes = {"train": train, "valid": valid, "test": test}
        self._grid: Any = None
        self._known: NDArray[np.bool_] = np.zeros((0, 0), bool)
        self._plan: tuple[str, ...] | None = None
        self._many: Counter[tuple[str, str]] = Counter()
        self._first: frozenset[str] = frozenset()
        self._task = self._kind = ""

    def tasks(self, split: str) -> list[str]:
        """Return a split's ids, as `test/00003-putnext`."""
        return ids.listed(split, self._sizes, self._kinds)

    def _begin(self, task: str) -> tuple[str, Info]:
        seed = ids.seed_of(task, self._kinds)
        kind = task.partition("-")[2]
        import gymnasium

        self._grid = gymnasium.make(LEVELS.get(kind, kind), disable_env_checker=True).unwrapped
        with contextlib.redirect_stdout(io.StringIO()):  # it tells of every layout that it rejects
            self._grid.reset(seed=seed)
        self._grid.max_steps = 10**9
        self._grid.gen_obs = dict  # its picture of the view would be drawn beside ours, and not read
        self._known = np.zeros((self._grid.width, self._grid.height), bool)
        self._task, self._kind, self._plan = task, kind, None
        self._many = Counter((t.color, t.type) for t in things(self._grid))
        self._first = frozenset(achieved(self._grid, self._many))
        return self._see(), self._info(False)

    def _act(self, action: str) -> tuple[str, float, bool, Info]:
        said = action.strip()
        if said not in ACTIONS:
            return self._last, 0.0, False, self._info(False, invalid=True)
        _, reward, over, _, _ = self._grid.step(self._grid.actions(ACTIONS.index(said)))
        self._plan = self._plan[1:] if self._plan and self._plan[0] == said else None
        won = bool(over and reward > 0)
        return self._see(), float(won), bool(over), self._info(won)

    def _see(self) -> str:
        """Remember which cells are in view and say what is there."""
        seen, cells = sight(self._grid)
        self._known[tuple(zip(*cells, strict=True))] = True
        return view(seen, self._grid.carrying)

    def _info(self, won: bool, invalid: bool = False) -> Info:
        return Info(
            goal=self._grid.mission, admissible=possible(self._grid), success=won, score=float(won), task=self._task,
            kind=self._kind, invalid=invalid,
        )  # fmt: skip

    def privileged(self) -> Privileged:
        """Return where the mission's things lie and the bot's plan; the plan is empty where the bot knows no way."""
        if self._grid is None:
            raise RuntimeError("no level is loaded: call reset() first")
        if self._plan is None:
            self._plan = plan(self._grid, self._known)
        wanted = _wanted(self._grid)
        facts = tuple(f"The {name} is {where}." for name, where in wanted)
        return Privileged(facts, self._plan)

    def searcher(self) -> Searcher:
        """Return the searching expert, which draws its map from the sentences."""
        return BabyaiSearcher()

    def reached(self) -> tuple[str, ...]:
        """Return the simple missions that are fulfilled now and were not at the start: go to, open, pick up."""
        if self._grid is None:
            raise RuntimeError("no level is loaded: call reset() first")
        return tuple(m for m in achieved(self._grid, self._many) if m not in self._first)

    def snapshot(self) -> object:
        """Return an exact copy of the state."""
        grid, known = copy.deepcopy(self._grid), self._known.copy()
        told = self._many, self._first
        return grid, known, self._plan, self._t, self._open, self._last, self._task, self._kind, told

    def restore(self, snapshot: object) -> None:
        """Return to a snapshot."""
        grid, known, self._plan, self._t, self._open, self._last, self._task, self._kind, told = cast(
            "tuple[Any, ...]", snapshot
        )
        self._many, self._first = told
        self._grid, self._known = copy.deepcopy(grid), known.copy()


def _minigrid() -> list[str]:
    """Import minigrid and return its levels' names."""
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # pygame greets
            import minigrid  # noqa: F401
    except ImportError as error:
        raise ImportError("BabyAI needs the extra: pip install 'agentgym-lab[babyai]'") from error
    import gymnasium

    return sorted(name for name in gymnasium.registry if name.startswith("BabyAI-"))


@lru_cache(maxsize=256)
def _steps(n: int, where: str) -> str:
    return f"{n} step{'' if n == 1 else 's'} {where}"


@lru_cache(maxsize=1)
def _edge() -> Any:
    from minigrid.core.world_object import Wall

    return Wall()


def sight(world: Any) -> tuple[list[list[Any]], list[tuple[int, int]]]:
    """Return what is in view, column by column from the left, the agent's row last, and the grid's cells in view.

    None stands for nothing and for what is out of sight. As minigrid's gen_obs_grid, which copies and turns a grid first.
    """
    size, grid = world.agent_view_size, world.grid
    dx, dy = _AHEAD[world.agent_dir]
    x, y = int(world.agent_pos[0]), int(world.agent_pos[1])
    left, top = x + dx * (size - 1) + dy * (size // 2), y + dy * (size - 1) - dx * (size // 2)
    places = [[(left - dy * i - dx * j, top + dx * i - dy * j) for j in range(size)] for i in range(size)]
    width, height, things = grid.width, grid.height, grid.grid
    columns = [
        [things[b * width + a] if 0 <= a < width and 0 <= b < height else _edge() for a, b in column]
        for column in places
    ]
    lit = [[False] * size for _ in range(size)]
    lit[size // 2][size - 1] = True
    for j in range(size - 1, -1, -1):  # row by row from the agent, to the right and back, light goes on and up
        for way, row in ((1, range(size - 1)), (-1, range(size - 1, 0, -1))):
            for i in row:
                if lit[i][j] and ((thing := columns[i][j]) is None or thing.see_behind()):
                    lit[i + way][j] = True
                    if j:
                        lit[i + way][j - 1] = lit[i][j - 1] = True
    lit = [[True] * size for _ in range(size)] if world.see_through_walls else lit
    seen = [[thing if on else None for thing, on in zip(*both, strict=True)] for both in zip(columns, lit, strict=True)]
    inside = [
        (a, b)
        for column, row in zip(places, lit, strict=True)
        for (a, b), on in zip(column, row, strict=True)
        if on and 0 <= a < width and 0 <= b < height
    ]
    return seen, inside


def view(seen: list[list[Any]], carried: Any) -> str:
    """Return the sentences of what the agent carries and sees, from the columns of the view, the agent bottom centre."""
    x, y = len(seen) // 2, len(seen[0]) - 1
    lines = [f"You carry a {carried.color} {carried.type}"] if carried else []
    rays = {
        "forward": seen[x][y - 1 :: -1],
        "left": [seen[i][y] for i in range(x - 1, -1, -1)],
        "right": [seen[i][y] for i in range(x + 1, len(seen))],
    }
    for where, things in rays.items():
        met = next(((n, thing) for n, thing in enumerate(things, 1) if thing is not None), None)
        if met and met[1].type == "wall":
            lines.append(f"You see a wall {_steps(met[0], where)}")
    for i, column in enumerate(seen):
        for j, thing in enumerate(column):
            if thing is not None and thing.type not in ("wall", "floor") and (i, j) != (x, y):
                lines.append(f"You see a {_named(thing)} {_place(i - x, y - j)}")
    return "\n".join(lines) or "You see nothing"


def _named(thing: Any) -> str:
    state = ""
    if thing.type == "door":
        state = "locked " if thing.is_locked else "open " if thing.is_open else "closed "
    return f"{state}{thing.color} {thing.type}"


@lru_cache(maxsize=256)
def _place(right: int, ahead: int) -> str:
    """Return where a thing is, from the agent's eyes.

    >>> _place(-2, 1), _place(0, 3)
    ('2 steps left and 1 step forward', '3 steps forward')
    """
    parts = [_steps(abs(right), "right" if right > 0 else "left")] if right else []
    parts += [_steps(abs(ahead), "forward" if ahead > 0 else "back")] if ahead else []
    return " and ".join(parts)


def possible(grid: Any) -> tuple[str, ...]:
    """Return the actions that change something now, sorted."""
    ahead = grid.grid.get(*grid.front_pos)
    out = ["turn left", "turn right"]
    if ahead is None or ahead.can_overlap():
        out.append("go forward")
    if grid.carrying is None and ahead is not None and ahead.can_pickup():
        out.append("pick up")
    if grid.carrying is not None and ahead is None:
        out.append("drop")
    if ahead is not None and (ahead.type == "box" or (ahead.type == "door" and _turns(ahead, grid.carrying))):
        out.append("toggle")
    return tuple(sorted(out))


def _turns(door: Any, carried: Any) -> bool:
    return not door.is_locked or (carried is not None and (carried.type, carried.color) == ("key", door.color))


def things(grid: Any) -> list[Any]:
    """Return what missions are about, wherever it lies."""
    return [t for t in grid.grid.grid if t is not None and t.type in ("ball", "box", "door", "key")]


def achieved(grid: Any, many: Counter[tuple[str, str]]) -> list[str]:
    """Return the missions that hold now, in BabyAI's words; `many` counts the things of a colour and type."""

    def named(thing: Any) -> str:
        return f"{'a' if many[thing.color, thing.type] > 1 else 'the'} {thing.color} {thing.type}"

    ahead, every = grid.grid.get(*grid.front_pos), things(grid)
    out = [f"go to {named(t)}" for t in every if t is ahead]
    out += [f"open {named(t)}" for t in every if t.type == "door" and t.is_open]
    return out if grid.carrying is None else [*out, f"pick up {named(grid.carrying)}"]


def _remaining(instr: Any) -> list[Any]:
    """Return the single instructions that are still to be fulfilled, in an order that the mission allows."""
    if not hasattr(instr, "instr_a"):
        return [instr]
    first = [] if instr.a_done == "success" else _remaining(instr.instr_a)
    second = [] if instr.b_done == "success" else _remaining(instr.instr_b)
    return second + first if type(instr).__name__ == "AfterInstr" else first + second


def _descriptions(instr: Any) -> list[Any]:
    named = (getattr(instr, name, None) for name in ("desc", "desc_move", "desc_fixed"))
    return [one for one in named if one is not None]


def _wanted(grid: Any) -> list[tuple[str, str]]:
    """Return the nearest thing of each description in the next instruction: its name, and where it is."""
    out = []
    for one in (d for instr in _remaining(grid.instrs)[:1] for d in _descriptions(instr)):
        near: list[tuple[int, str, str]] = []
        for thing, at in zip(one.obj_set, one.obj_poss, strict=False):
            delta = (int(at[0]) - int(grid.agent_pos[0]), int(at[1]) - int(grid.agent_pos[1]))
            right, ahead = (
                sum(int(a) * b for a, b in zip(v, delta, strict=True)) for v in (grid.right_vec, grid.dir_vec)
            )
            where = "in your hands" if thing is grid.carrying else _place(right, ahead) or "under your feet"
            near.append((abs(right) + abs(ahead), f"{thing.color} {thing.type}", where))
        out += [min(near)[1:]] if near else []
    return out


def plan(grid: Any, known: NDArray[np.bool_]) -> tuple[str, ...]:
    """Return the actions by which minigrid's bot, which knows these cells, fulfils the mission; empty where it fails."""
    from minigrid.utils.baby_ai_bot import BabyAIBot, DropSubgoal, GoNextToSubgoal

    world = copy.deepcopy(grid)
    bot = BabyAIBot(world)
    bot.vis_mask[:] = known
    bot.stack.clear()  # made for the whole mission: what is done already is left out
    todo = _remaining(world.instrs)
    for instr in reversed(todo):
        bot._process_instr(instr)
    if world.carrying is not None:  # the bot expects to begin with free hands
        if any(world.carrying is thing for thing in getattr(getattr(todo[0], "desc_move", None), "obj_set", ())):
            del bot.stack[-2:]  # no need to go there and pick it up
        elif (spot := bot._find_drop_pos()) is not None:
            bot.stack += [DropSubgoal(bot), GoNextToSubgoal(bot, spot)]
    actions: list[str] = []
    taken = None
    while len(actions) < _LONGEST_PLAN:
        try:
            taken = bot.replan(taken)
        except Exception:  # it gives up by assertions and by errors of its own: then it knows no way
            return ()
        if int(taken) >= len(ACTIONS):
            return ()
        actions.append(ACTIONS[int(taken)])
        _, reward, over, _, _ = world.step(taken)
        if over:
            return tuple(actions) if reward > 0 else ()
    return ()
