"""MovieLens ratings as a contextual bandit, from a folder that the user has: `ml-100k` or `ml-1m`, unpacked."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from .engine import Floats


@dataclass(frozen=True, slots=True)
class Ratings:
    """Users and films whose ratings are uᵀw. contexts: (U, d). weights: (K, d). people: one description a user."""

    contexts: Floats
    weights: Floats
    titles: tuple[str, ...]
    people: tuple[str, ...]

    def users(self, split: str) -> list[int]:
        """Return a split's users: eight tenths for train, one each for valid and test; no two share one."""
        share = {"train": range(8), "valid": (8,), "test": (9,)}[split]
        return [u for u in range(len(self.people)) if u % 10 in share]


@lru_cache(maxsize=4)
def load(folder: str, arms: int, rank: int) -> Ratings:
    """Return the best rank-d picture of the K most rated films: R ≈ U S Vᵀ, missing ratings 0.

    Source: EVOLvE's package, where rows of U are the contexts. Ours: they are scaled to a mean norm of 1, and S Vᵀ
    inversely, for at their own norm of about .1 ridge regression with λ = 1 learns next to nothing.

    Raises:
        FileNotFoundError: the folder holds neither of the two data sets.
        ValueError: it has fewer films than arms.
    """
    ratings, people, films = _read(Path(folder).expanduser())
    popular = [f for f, _ in sorted(Counter(f for _, f, _ in ratings).items(), key=lambda x: (-x[1], x[0]))[:arms]]
    if len(popular) < arms:
        raise ValueError(f"arms={arms}: {folder} has ratings of {len(popular)} films")
    column = {f: i for i, f in enumerate(sorted(popular, key=lambda f: films[f]))}
    row = {u: i for i, u in enumerate(sorted(people))}
    matrix = np.zeros((len(row), arms))
    for user, film, stars in ratings:
        if film in column:
            matrix[row[user], column[film]] = stars
    u, s, vt = np.linalg.svd(matrix, full_matrices=False)
    d = min(rank, len(s))
    scale = float(np.linalg.norm(u[:, :d], axis=1).mean())
    return Ratings(
        (u[:, :d] / scale).round(2) + 0.0,
        (vt[:d].T * s[:d]) * scale,
        tuple(films[f] for f in column),
        tuple(people[n] for n in sorted(people)),
    )


def _read(root: Path) -> tuple[list[tuple[int, int, float]], dict[int, str], dict[int, str]]:
    """Return (user, film, stars) rows, users' descriptions and films' titles."""
    if (root / "u.data").is_file():
        data, item, user, mark, cells = root / "u.data", root / "u.item", root / "u.user", "|", "\t"
        order = (1, 2, 3)  # age, gender, occupation
    elif (root / "ratings.dat").is_file():
        data, item, user, mark, cells = root / "ratings.dat", root / "movies.dat", root / "users.dat", "::", "::"
        order = (2, 1, 3)
    else:
        raise FileNotFoundError(
            f"{root}: holds neither u.data (ml-100k) nor ratings.dat (ml-1m); unpack MovieLens there, or leave out data="
        )
    rows = [line.split(cells)[:3] for line in data.read_text("latin-1").splitlines() if line]
    people = {}
    for line in user.read_text("latin-1").splitlines():
        parts = line.split(mark)
        age, gender, work = (parts[i] for i in order)
        people[int(parts[0])] = f"{'a man' if gender == 'M' else 'a woman'}, age {age}, occupation {work}"
    films = {
        int(p[0]): p[1] for p in (line.split(mark) for line in item.read_text("latin-1").splitlines()) if len(p) > 1
    }
    return [(int(u), int(f), float(r)) for u, f, r in rows], people, films


def alphabet(ratings: Ratings) -> str:
    """Return every character of the titles and descriptions."""
    return "".join(sorted(set("".join((*ratings.titles, *ratings.people)))))
