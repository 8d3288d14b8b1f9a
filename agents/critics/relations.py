"""Features of what a fact, the goal and an action have to do with each other, whatever things are called."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache, partial
from itertools import repeat

from .features import Half, hashed

_SENTENCE = re.compile(r"\n|;|\.\s|\.$")
_CLAUSE = re.compile(r",\s(?:and\s)?")
_NAME = re.compile(r'"[^"\n]*"|[A-Za-z]+ \d+|\w+')
_NUMBER = re.compile(r"\d+")
_LONG = 80  # characters; a longer sentence is a list, and told by its clauses
_AGES = (1, 2, 4, 8)  # a fact's age in steps, as the greatest of these that it has reached
_SMALL = frozenset(
    re.findall(
        r"\w+", "a an and at by for from in into is it its of on or some that the then this to two with you your"
    )
)


class RelationFeatures:
    """Signed hashes of facts with marks for what they share: `@` with the goal, `&` with the action.

    The state is told as `state_text` with reads="told": the goal in the first line, then what was seen and done,
    actions behind "> ". With the goal `put a mug in drawer` and the action `take mug 1 from desk 2`, the fact `On the
    desk 2, you see a mug 1` becomes `on the & you see` and `a &@`, paired with the action `take &@ from &`; so what was
    learned of mugs holds for candles, and an action that names a line of a screen by its number is read as that line.
    Every fact comes with its age, and those of the goal's things alone are kept beyond one step; every action with
    whether it was done before. Rows have length one.
    """

    def __init__(self, size: int = 2048) -> None:
        if size < 2:
            raise ValueError(f"size={size}: needs at least 2")
        self.size = size
        self.name = f"relations-{size}"
        self.options: Mapping[str, int] = {"size": size}

    def __call__(self, states: Sequence[str], actions: Sequence[str] | None = None) -> Half:
        """Return the features, shape (n, size)."""
        pairs = zip(states, actions or repeat(None, len(states)), strict=True)
        return hashed([[*_state(s), *(() if a is None else _relations(s, a))] for s, a in pairs], self.size)


@lru_cache(maxsize=4096)
def _goal(text: str) -> re.Pattern[str]:
    """Return what finds the goal's own words: what it quotes as a whole, and every word that is not small."""
    quoted = [q[1:-1] for q in re.findall(r'"[^"\n]+"', text)]
    words = [w for w in re.findall(r"\w+", re.sub(r'"[^"\n]*"', " ", text)) if w.lower() not in _SMALL]
    own = sorted({w for w in (*quoted, *words) if w}, key=lambda w: (-len(w), w))
    return re.compile(r"(?<!\w)(?:" + "|".join(map(re.escape, own or ["\0"])) + r")(?!\w)", re.IGNORECASE)


@lru_cache(maxsize=1 << 16)
def _names(action: str) -> tuple[str, ...]:
    """Return the things that an action names, without its verb and the small words.

    >>> _names("take mug 1 from desk 2"), _names('type 3 "Ada"')
    (('mug 1', 'desk 2'), ('3', 'Ada'))
    """
    _, _, rest = action.partition(" ")
    return tuple(w.strip('"') for w in _NAME.findall(rest) if w.strip('"') and w.lower() not in _SMALL)


@lru_cache(maxsize=1 << 18)
def _marked(text: str, goal: str, names: tuple[str, ...] = ()) -> str:
    """Return a text with marks for what it shares and without any other number.

    >>> _marked("a mug 1", "put a mug in drawer"), _marked("a mug 1", "put a mug in drawer", ("mug 1",))
    ('a @ #', 'a &@')
    """
    own = _goal(goal)
    for name in names:
        mark = "&@" if own.search(name) else "&"
        text = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", mark, text, flags=re.IGNORECASE)
    return _NUMBER.sub("#", own.sub("@", text)).lower()


@lru_cache(maxsize=1 << 16)
def _facts(text: str) -> tuple[str, ...]:
    """Return the sentences of a text, but for long ones, and the clauses of each."""
    sentences = [s.strip() for s in _SENTENCE.split(text) if s.strip()]
    short = [s for s in sentences if len(s) <= _LONG]
    return tuple(dict.fromkeys([*short, *(c.strip() for s in sentences for c in _CLAUSE.split(s) if c.strip())]))


def _steps(state: str) -> tuple[str, list[str]]:
    """Return the goal, and what each step has told, the newest first; a step begins with its action."""
    goal, _, told = state.partition("\n")
    steps: list[str] = [""]
    for line in told.split("\n"):
        if line.startswith("> "):
            steps.append(line)
        else:
            steps[-1] = f"{steps[-1]}\n{line}" if steps[-1] else line
    return goal, steps[::-1]


@lru_cache(maxsize=64)
def _read(state: str) -> tuple[str, tuple[tuple[str, int], ...], tuple[tuple[str, tuple[str, ...]], ...]]:
    """Return the goal, every fact with the age of its newest telling, and the steps that told of the goal's things.

    Of such a step: its text and its facts that name one. The opening, which lists the room, is none of them.
    """
    goal, steps = _steps(state)
    ages: dict[str, int] = {}
    near = []
    for age, step in enumerate(steps):
        facts = _facts(step)
        for fact in facts:
            ages.setdefault(fact, age)
        own = tuple(dict.fromkeys(f for f in map(partial(_marked, goal=goal), facts) if "@" in f))
        if own and age + 1 < len(steps):
            near.append((step, own))
    return goal, tuple(ages.items()), tuple(near)


def _when(age: int) -> str:
    return "now" if age == 0 else str(max(a for a in _AGES if a <= age))


@lru_cache(maxsize=64)
def _state(state: str) -> tuple[str, ...]:
    goal, facts, _ = _read(state)
    out = [f"g:{w}" for w in goal.lower().split()]
    for fact, age in facts:
        marked = _marked(fact, goal)
        if age < 2 or "@" in marked:
            out.append(f"{_when(age)}:{marked}")
        if age and "@" in marked:
            out.append(f"ever:{marked}")
    return tuple(dict.fromkeys(out))


def _relations(state: str, action: str) -> Iterator[str]:
    goal, facts, near = _read(state)
    names = _names(action)
    deed = _marked(action, goal, names)
    kinds = _marked(action, goal)
    yield f"a:{deed}"
    yield f"a:{kinds}"
    yield from {f"a:{kinds}|g:{w}" for w in goal.lower().split()}
    own: dict[str, None] = {}
    for step, told in near:
        if any(n in step for n in names):
            own |= dict.fromkeys(f"with:{fact}|{deed}" for fact in told)
    for fact, age in facts:
        if fact == f"> {action}":
            own[f"again:{_when(age)}|{deed}"] = None
        elif any(n in fact for n in names):
            marked = _marked(fact, goal, names)
            if "&" in marked:
                own[f"{_when(age)}:{marked}|{deed}"] = None
                own[f"ever:{marked}|{deed}"] = None
        elif "@" in (marked := _marked(fact, goal)):
            own[f"{_when(age)}:{marked}|{deed}"] = None
            own[f"ever:{marked}|{deed}"] = None
    yield from own
