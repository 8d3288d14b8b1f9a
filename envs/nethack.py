"""NetHack, through the NetHack Learning Environment, as text."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

from . import ids
from .core import Info, Searcher, TextEnv
from .errors import choice
from .nethack_searcher import NethackSearcher

VIEWS = ("language", "screen")
_DEEPEST = 50
_TEXT = 80  # bytes of a description, as NLE lays them out
_COMPASS = {
    "N": "north", "E": "east", "S": "south", "W": "west",
    "NE": "northeast", "SE": "southeast", "SW": "southwest", "NW": "northwest",
}  # fmt: skip
_AROUND = ("east", "southeast", "south", "southwest", "west", "northwest", "north", "northeast")
_LEFT_OUT = ("QUIT", "SAVE", "SHELL")
_PLAIN = ("", "floor of a room", "stone", "dark part of a room", "corridor")
_STATISTICS = (
    ("Strength", 1), ("Dexterity", 3), ("Constitution", 4), ("Intelligence", 5), ("Wisdom", 6), ("Charisma", 7),
    ("Depth", 12), ("Gold", 13), ("HP", (10, 11)), ("Energy", (14, 15)), ("AC", 16), ("XP", (18, 19)), ("Time", 20),
    ("Position", (0, 1)), ("Score", 9),
)  # fmt: skip
_NUMBERS = "\n".join([
    *(f"{name}: {{{at}}}" if isinstance(at, int) else f"{name}: {{{at[0]}}}/{{{at[1]}}}" for name, at in _STATISTICS),
    "Hunger: {hunger}",
])  # fmt: skip
_HUNGER = ("Satiated", "Not hungry", "Hungry", "Weak", "Fainting", "Fainted", "Starved")
_KEYS = {
    "language": ("blstats", "message", "inv_strs", "inv_letters", "tty_cursor", "screen_descriptions"),
    "screen": ("blstats", "tty_chars"),
}


class NethackEnv(TextEnv):
    """NetHack 3.6.7, one key a step.

    Observation (`view='language'`): statistics, what is in sight with its distance and bearing, nearest first, the
    message, the inventory and what lies under the cursor, each as `name[` lines `]`, in the diff-history paper's order.
    `view='screen'`: the terminal's 24 lines, without trailing blanks.
    Actions: `north` … `northwest`, `far north` …, and NLE's commands by name in lower case: `search`, `kick`, `eat`,
    `pickup`, `esc`, `more`, `down` …; or the one character that a prompt asks for. Not quit, save, shell.
    `info["admissible"]` lists them all: NetHack does not tell which do something now. Anything else is invalid: no time
    passes in the dungeon, and the step counts.
    Reward: points gained. Terminates on death or ascension; truncates after `max_steps`, 5000. `score`: the deepest level
    reached, of 50. `success`: ascended.
    Tasks: a dungeon by its seed; splits have disjoint seeds. No privileged knowledge and no fork: the game cannot be copied.
    Source: NLE, arXiv 2006.13760, its `NetHackScore` with every command; the order of the sections: diff history, arXiv
    2312.07540. The words of the language view are ours, from NLE's descriptions of the screen. The moon's phase and
    Friday the 13th follow the seed, not the clock.

    >>> env = NethackEnv()  # doctest: +SKIP
    >>> env.reset(options={"task": "test/00000"})[0].split("\\n")[0]  # doctest: +SKIP
    'statistics['

    character: role-race-alignment-gender as NLE writes it, `@` for any. train, valid, test: how many dungeons a split lists.
    Needs nle, which asks for an older gymnasium but runs with ours: pip install --no-deps nle.
    """

    summary = "the dungeon, one key a step; 5000 steps"
    max_steps = 5000

    def __init__(
        self,
        *,
        view: str = "language",
        character: str = "mon-hum-neu-mal",
        train: int = 10_000,
        valid: int = 256,
        test: int = 256,
        max_steps: int | None = None,
    ) -> None:
        super().__init__(max_steps=max_steps, max_length=65536)
        self.view = choice("view", view, VIEWS)
        self._sizes = {"train": train, "valid": valid, "test": test}
        self.actions = commands()
        self._words = tuple(sorted(self.actions))
        self._nle = _nle_tasks().NetHackScore(
            actions=tuple(sorted({*self.actions.values(), *range(32, 127)})), character=character, penalty_step=0.0,
            max_episode_steps=10**9, observation_keys=_KEYS[self.view], fix_moon_phase=True,
        )  # fmt: skip
        self._index = {int(key): i for i, key in enumerate(self._nle.actions)}
        self._depth, self._task = 0, ""

    def tasks(self, split: str) -> list[str]:
        """Return a split's ids, as `test/00003`."""
        return ids.listed(split, self._sizes)

    def _begin(self, task: str) -> tuple[str, Info]:
        seed = ids.seed_of(task)
        self._nle.seed(core=seed, disp=seed, reseed=False)  # reset(seed=) would not seed the game
        seen, _ = self._nle.reset()
        self._depth, self._task = 0, task
        return self._say(seen), self._info(False)

    def _act(self, action: str) -> tuple[str, float, bool, Info]:
        key = self.actions.get(action.strip().lower())
        if key is None and len(action) == 1 and ord(action) in self._index:
            key = ord(action)
        if key is None:
            return self._last, 0.0, False, self._info(False, invalid=True)
        seen, reward, over, _, more = self._nle.step(self._index[key])
        return self._say(seen), float(reward), bool(over), self._info(bool(more["is_ascended"]))

    def _say(self, seen: dict[str, Any]) -> str:
        self._depth = max(self._depth, int(seen["blstats"][12]))
        return language(seen) if self.view == "language" else screen(seen)

    def _info(self, won: bool, invalid: bool = False) -> Info:
        return Info(
            goal="Explore the dungeon, survive, go deep and gain points.", admissible=self._words, success=won,
            score=1.0 if won else min(1.0, self._depth / _DEEPEST), task=self._task, kind="", invalid=invalid,
        )  # fmt: skip

    def searcher(self) -> Searcher:
        """Return the explorer, which goes down; it reads the language view."""
        if self.view != "language":
            raise LookupError(f"view={self.view!r} has no searching expert: use view='language'")
        return NethackSearcher()

    def close(self) -> None:
        """End the game."""
        self._nle.close()


def _nle_tasks() -> Any:
    try:
        from nle.env import tasks
    except ImportError as error:
        raise ImportError("NetHack needs nle, which has no extra: pip install --no-deps nle") from error
    return tasks


def commands() -> dict[str, int]:
    """Return every command's word and key."""
    _nle_tasks()
    from nle import nethack

    out: dict[str, int] = {}
    for action in nethack.ACTIONS:
        kind = type(action).__name__
        if kind.startswith("CompassDirection"):
            out[("far " if kind.endswith("Longer") else "") + _COMPASS[action.name]] = int(action)
        elif action.name not in _LEFT_OUT:
            out[action.name.lower()] = int(action)
    return out


def _text(row: Any) -> str:
    return _plain_text(row.tobytes())


@lru_cache(maxsize=1 << 14)
def _plain_text(raw: bytes) -> str:
    return raw.split(b"\0")[0].decode("latin-1").encode("ascii", "replace").decode().strip()


def screen(seen: dict[str, Any]) -> str:
    """Return the terminal's lines."""
    chars = seen["tty_chars"]
    width = chars.shape[1]
    whole = chars.tobytes().decode("latin-1").encode("ascii", "replace").decode()
    return "\n".join(whole[i : i + width].rstrip() for i in range(0, len(whole), width)).rstrip()


@lru_cache(maxsize=1 << 14)
def bearing(dx: int, dy: int) -> str:
    """Return how far and in which direction a thing is; y grows to the south.

    >>> bearing(0, -1), bearing(4, 1), bearing(-30, 9)
    ('adjacent north', 'near east', 'very far west')
    """
    n = max(abs(dx), abs(dy))
    far = "adjacent" if n == 1 else "near" if n <= 5 else "far" if n <= 15 else "very far"
    return f"{far} {_AROUND[round(math.atan2(dy, dx) / (math.pi / 4)) % 8]}"


@lru_cache(maxsize=1 << 16)
def _sight(raw: bytes, dx: int, dy: int) -> tuple[int, str] | None:
    """Return how far a thing is and what is said of it; None of plain ground and of oneself."""
    what = _plain_text(raw)
    return None if what in _PLAIN or (dx, dy) == (0, 0) else (max(abs(dx), abs(dy)), f"{what} {bearing(dx, dy)}")


def _rows(raw: bytes) -> list[bytes]:
    """Return the texts of a table of bytes."""
    return [raw[n : n + _TEXT] for n in range(0, len(raw), _TEXT)]


@lru_cache(maxsize=256)
def _glyphs(texts: bytes, places: tuple[int, ...], columns: int, x: int, y: int) -> str:
    """Return lines of what is in sight from (x, y), nearest first; most steps change none of it."""
    met = set()
    for raw, place in zip(_rows(texts), places, strict=True):
        j, i = divmod(place, columns)
        if (said := _sight(raw, i - x, j - y)) is not None:
            met.add(said)
    return "\n".join(dict.fromkeys(said for _, said in sorted(met)))


@lru_cache(maxsize=256)
def _inventory(letters: bytes, texts: bytes) -> str:
    return "\n".join(f"{chr(letter)}: {_plain_text(raw)}" for letter, raw in zip(letters, _rows(texts), strict=True))


def language(seen: dict[str, Any]) -> str:
    """Return the five sections."""
    stats = seen["blstats"].tolist()
    cells = seen["screen_descriptions"]
    lines, columns, _ = cells.shape
    flat = cells.reshape(-1, _TEXT)
    filled = flat[:, 0].nonzero()[0]
    row, column = seen["tty_cursor"].tolist()
    on_map = 1 <= row <= lines and column < columns
    letters = seen["inv_letters"].tobytes().partition(b"\0")[0]  # they come first
    sections = {
        "statistics": _NUMBERS.format(*stats, hunger=_HUNGER[min(stats[21], len(_HUNGER) - 1)]),
        "glyphs": _glyphs(flat[filled].tobytes(), tuple(filled.tolist()), columns, stats[0], stats[1]),
        "message": _text(seen["message"]),
        "inventory": _inventory(letters, seen["inv_strs"][: len(letters)].tobytes()),
        "cursor": _text(cells[row - 1, column]) if on_map else "",
    }
    return "\n".join(f"{name}[\n{text}\n]" for name, text in sections.items())
