"""Rules that make problems, and for each the reader that solves its questions from their words alone.

A level sets the size of the numbers: level 1 is for a model of a few million parameters, level 5 is not.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import accumulate, pairwise
from random import Random

from .grade import Grader, grade_list, grade_number

LEVELS = (1, 2, 3, 4, 5)
_INT = re.compile(r"-?\d+")


@dataclass(frozen=True, slots=True)
class Family:
    """A rule. make: question and answer at a level. solve: answer from the question. public: the question tells all.

    mixed: whether it is one of those that `mixed` asks in turn.
    """

    make: Callable[[Random, int], tuple[str, str]]
    solve: Callable[[str], str]
    grader: Grader = grade_number
    public: bool = True
    mixed: bool = True


def _ints(text: str) -> list[int]:
    return [int(n) for n in _INT.findall(text)]


def _row(numbers: list[int]) -> str:
    return ", ".join(map(str, numbers))


def make_sums(rng: Random, level: int) -> tuple[str, str]:
    """Add and, from level 2 on, subtract: two to four numbers of one to four digits."""
    count, top = ((2, 9), (2, 49), (3, 99), (3, 999), (4, 9999))[level - 1]
    numbers = [rng.randint(0, top) for _ in range(count)]
    signs = [1, *(1 if level == 1 else rng.choice((1, -1)) for _ in numbers[1:])]
    shown = str(numbers[0]) + "".join(
        f" {'+' if s > 0 else '-'} {n}" for s, n in zip(signs[1:], numbers[1:], strict=True)
    )
    return f"What is {shown}?", str(sum(s * n for s, n in zip(signs, numbers, strict=True)))


def solve_sums(question: str) -> str:
    """Read the terms with their signs.

    >>> solve_sums("What is 7 - 2 + 10?")
    '15'
    """
    return str(sum(int(s + n) for s, n in re.findall(r"([+-]?) ?(\d+)", question)))


def make_products(rng: Random, level: int) -> tuple[str, str]:
    """Multiply two numbers."""
    tops = ((9, 9), (12, 12), (20, 20), (99, 9), (99, 99))[level - 1]
    a, b = (rng.randint(1, t) for t in tops)
    return f"What is {a} * {b}?", str(a * b)


def solve_products(question: str) -> str:
    """Read the two factors."""
    a, b = _ints(question)
    return str(a * b)


def make_remainder(rng: Random, level: int) -> tuple[str, str]:
    """Divide with a remainder."""
    top, below = ((20, 5), (50, 9), (100, 12), (999, 20), (9999, 99))[level - 1]
    a, b = rng.randint(1, top), rng.randint(2, below)
    return f"What is the remainder when {a} is divided by {b}?", str(a % b)


def solve_remainder(question: str) -> str:
    """Read dividend and divisor."""
    a, b = _ints(question)
    return str(a % b)


def make_sequence(rng: Random, level: int) -> tuple[str, str]:
    """Continue: equal steps (1, 2), equal ratios (3), growing steps (4), each the sum of the two before (5)."""
    a, d = rng.randint(0, 15 if level == 1 else 30), rng.randint(1, 5 if level == 1 else 12)
    if level <= 2:
        terms = [a + i * d for i in range(5)]
    elif level == 3:
        ratio = rng.choice((2, 3, 4))
        terms = [(a + 1) * ratio**i for i in range(5)]
    elif level == 4:
        growth = rng.randint(1, 5)
        terms = [a + i * d + growth * i * (i - 1) // 2 for i in range(6)]
    else:
        terms = [a + 1, a + d + 1]
        while len(terms) < 7:
            terms.append(terms[-1] + terms[-2])
    return f"What number comes next: {_row(terms[:-1])}?", str(terms[-1])


def solve_sequence(question: str) -> str:
    """Try equal steps, equal ratios, sums of the two before, steps that grow evenly, in this order.

    >>> solve_sequence("What number comes next: 3, 6, 12, 24?")
    '48'
    """
    x = _ints(question)
    steps = [b - a for a, b in pairwise(x)]
    if len(set(steps)) == 1:
        return str(x[-1] + steps[0])
    if x[0] and all(b * x[0] == a * x[1] for a, b in pairwise(x)):
        return str(x[-1] * x[1] // x[0])
    if all(a + b == c for a, b, c in zip(x, x[1:], x[2:], strict=False)):
        return str(x[-1] + x[-2])
    return str(x[-1] + 2 * steps[-1] - steps[-2])


def make_equation(rng: Random, level: int) -> tuple[str, str]:
    """Solve a x + b = c for a whole x, negative from level 4 on."""
    top = (9, 12, 20, 50, 200)[level - 1]
    x = rng.randint(-top if level >= 4 else 0, top)
    a = 1 if level == 1 else rng.randint(2, min(top, 12))
    b = rng.randint(1, top)
    left = f"{a} * x" if a > 1 else "x"
    return f"Solve {left} + {b} = {a * x + b} for x.", str(x)


def solve_equation(question: str) -> str:
    """Read the coefficients.

    >>> solve_equation("Solve 3 * x + 4 = 19 for x.")
    '5'
    """
    *first, b, c = _ints(question)
    return str((c - b) // (first[0] if first else 1))


def make_largest(rng: Random, level: int) -> tuple[str, str]:
    """Pick the largest of some numbers."""
    count, top = ((3, 9), (4, 50), (6, 99), (8, 999), (12, 9999))[level - 1]
    row = rng.sample(range(top + 1), count)
    return f"Which is the largest: {_row(row)}?", str(max(row))


def solve_largest(question: str) -> str:
    """Read the numbers."""
    return str(max(_ints(question)))


def make_order(rng: Random, level: int) -> tuple[str, str]:
    """Sort some numbers."""
    count, top = ((3, 9), (4, 20), (5, 99), (7, 200), (10, 999))[level - 1]
    row = rng.sample(range(top + 1), count)
    return f"Sort from small to large: {_row(row)}.", _row(sorted(row))


def solve_order(question: str) -> str:
    """Read the numbers."""
    return _row(sorted(_ints(question)))


def make_letters(rng: Random, level: int) -> tuple[str, str]:
    """Count a letter in a made-up word."""
    length = (4, 6, 9, 14, 24)[level - 1]
    word = "".join(rng.choices("abcdef"[: level + 2], k=length))
    letter = rng.choice(word)
    return f'How often is the letter "{letter}" in "{word}"?', str(sum(c == letter for c in word))


def solve_letters(question: str) -> str:
    """Read letter and word.

    >>> solve_letters('How often is the letter "a" in "banana"?')
    '3'
    """
    letter, word = re.findall(r'"([a-z]+)"', question)
    return str(word.count(letter))


def make_median(rng: Random, level: int) -> tuple[str, str]:
    """Pick the number with as many below it as above: an answer is easier to check, by counting, than to find."""
    count, top = ((5, 9), (5, 28), (7, 50), (9, 99), (11, 999))[level - 1]
    row = rng.sample(range(top + 1), count)
    return f"What is the median of {_row(row)}?", solve_median(_row(row))


def solve_median(question: str) -> str:
    """Read the numbers, an odd count of them.

    >>> solve_median("What is the median of 7, 1, 9?")
    '7'
    """
    row = sorted(_ints(question))
    return str(row[len(row) // 2])


def make_ring(rng: Random, level: int) -> tuple[str, str]:
    """Go round a ring of boxes: asked for is the place at the end, then every place on the way.

    Whoever answers from left to right names the end before the way that leads there. Once both are said, one shows
    whether the other is right: an attempt holds what mends it, as a sum whose working is written below it.
    """
    moves, boxes = ((4, 3), (6, 3), (8, 3), (10, 4), (14, 6))[level - 1]
    start, *steps = (rng.randint(1, boxes) for _ in range(1 + moves))
    question = f"On box {start} of {boxes}, move {' '.join(map(str, steps))}: place?"
    return question, solve_ring(question)


def solve_ring(question: str) -> str:
    """Read start, number of boxes and moves.

    >>> solve_ring("On box 2 of 3, move 2 1 3: place?")
    '2 1 2 2'
    """
    start, boxes, *steps = _ints(question)
    way = [(start + total - 1) % boxes + 1 for total in accumulate(steps)]
    return " ".join(map(str, [way[-1], *way]))


def make_guess(rng: Random, level: int) -> tuple[str, str]:
    """Hide a number: only "too small" and "too large" lead to it, so it wants several turns and graded feedback."""
    top = (5, 10, 30, 100, 1000)[level - 1]
    return f"I think of a number from 1 to {top}. Which?", str(rng.randint(1, top))


def solve_guess(question: str) -> str:
    """Name the middle of the range; later guesses halve what is left."""
    low, high = _ints(question)
    return str((low + high) // 2)


FAMILIES: dict[str, Family] = {
    "sums": Family(make_sums, solve_sums),
    "products": Family(make_products, solve_products),
    "remainder": Family(make_remainder, solve_remainder),
    "sequence": Family(make_sequence, solve_sequence),
    "equation": Family(make_equation, solve_equation),
    "largest": Family(make_largest, solve_largest),
    "order": Family(make_order, solve_order, grade_list),
    "letters": Family(make_letters, solve_letters),
    "median": Family(make_median, solve_median),
    "ring": Family(make_ring, solve_ring, grade_list, mixed=False),
    "guess": Family(make_guess, solve_guess, public=False, mixed=False),
}
_OPENINGS = {
    "What is the remainder": "remainder",
    "What number comes next": "sequence",
    "Solve ": "equation",
    "Which is the largest": "largest",
    "Sort from": "order",
    "How often": "letters",
    "What is the median": "median",
    "On box": "ring",
    "I think of": "guess",
}


def family_of(question: str) -> str:
    """Return the family that asks so.

    >>> family_of("What is 3 * 4?"), family_of("What is 3 + 4?")
    ('products', 'sums')
    """
    for opening, name in _OPENINGS.items():
        if question.startswith(opening):
            return name
    return "products" if "*" in question else "sums"
