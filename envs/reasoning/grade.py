"""How an answer is read out of a reply, compared with the right one, and spoken of."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

_NUMBER = r"[-+]?(?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9]{1,40})(?:\.[0-9]{1,40})?(?:/[0-9]{1,40})?|[-+]?\.[0-9]{1,40}"
_NUMBERS = re.compile(_NUMBER)
_MARKED = (
    re.compile(r"<answer>(.*?)</answer>", re.IGNORECASE | re.DOTALL),
    re.compile(r"####\s*([^\n]+)"),
    re.compile(r"\banswer(?:\s+is\b\s*:?|\s*:)\s*([^\n]+)", re.IGNORECASE),
)
UNREAD = "No answer can be read there. Reply with the answer alone, or end with a line 'Answer: ...'."


@dataclass(frozen=True, slots=True)
class Grade:
    """What a verifier says. right: the answer is correct. score: in [0, 1], partly right counts where that means something."""

    right: bool
    score: float
    feedback: str
    readable: bool = True


Grader = Callable[[str, str], Grade]
"""(right answer, reply) -> Grade; raises for no reply."""


def boxed(text: str) -> str | None:
    r"""Return the content of the last \boxed{...}, braces balanced, or None.

    >>> boxed(r"so \boxed{\frac{1}{2}}.")
    '\\frac{1}{2}'
    """
    start = text.rfind("\\boxed{")
    if start < 0:
        return None
    depth = 0
    for i in range(start + 6, len(text)):
        depth += {"{": 1, "}": -1}.get(text[i], 0)
        if depth == 0:
            return text[start + 7 : i]
    return None


def answer_part(reply: str) -> str:
    """Return what a reply marks as its answer: boxed, after ####, after "answer is" or "Answer:"; else all of it.

    >>> answer_part("2 + 2 = 4, so the answer is 4.")
    '4.'
    """
    inside = boxed(reply)
    if inside is not None:
        return inside.strip()
    for pattern in _MARKED:
        found = pattern.findall(reply)
        if found:
            return str(found[-1]).strip("* ")
    return reply.strip()


def numbers(text: str) -> list[Fraction]:
    """Return the numbers in a text; one divided by zero is none.

    >>> [str(n) for n in numbers("1,200 apples, -3/4 and .5")]
    ['1200', '-3/4', '1/2']
    """
    out = []
    for found in _NUMBERS.findall(text):
        top, _, below = found.replace(",", "").partition("/")
        if not below or int(below):
            out.append(Fraction(top) / (int(below) if below else 1))
    return out


def grade_number(answer: str, reply: str) -> Grade:
    """Compare the last number of the reply's answer, and say whether it is too small or too large.

    >>> grade_number("12", "I think the answer is 10.").feedback
    '10 is too small.'
    """
    said, right = numbers(answer_part(reply)), numbers(answer)[-1]
    if not said:
        return Grade(False, 0.0, UNREAD, readable=False)
    if said[-1] == right:
        return Grade(True, 1.0, f"{said[-1]} is right.")
    return Grade(False, 0.0, f"{said[-1]} is too {'small' if said[-1] < right else 'large'}.")


def grade_list(answer: str, reply: str) -> Grade:
    """Compare lists of numbers place by place; the score is the share of places that are right.

    >>> grade_list("1, 2, 3", "1, 3, 2").feedback
    '1 of 3 places are right.'
    >>> grade_list("12, 101, 150", "12,101,150").right
    True
    """
    said, right = numbers(answer_part(reply)), numbers(answer)
    if len(said) != len(right) and max(map(abs, right)) >= 100:  # "12,101,150" is three numbers there, not one
        plain_ones = [Fraction(n) for n in re.findall(r"-?[0-9]{1,40}", answer_part(reply))]
        said = plain_ones if len(plain_ones) == len(right) else said
    if not said:
        return Grade(False, 0.0, UNREAD, readable=False)
    if len(said) != len(right):
        return Grade(False, 0.0, f"There are {len(right)} numbers to give, not {len(said)}.")
    hits = sum(a == b for a, b in zip(said, right, strict=True))
    if hits == len(right):
        return Grade(True, 1.0, "All places are right.")
    return Grade(False, hits / len(right), f"{hits} of {len(right)} places are right.")


_DROPPED = re.compile(r"\\(?:left|right)(?![a-z])|\\[!,;: ]|\\quad|\\%|%|\^\{?\\circ\}?|\s")
_UNIT = re.compile(r"(?<=.)\\(?:text|mbox|mathrm)\{[^{}]*\}$")
_KEPT = re.compile(r"\\(?:text|mbox|mathrm|textbf)\{([^{}]*)\}")
_SHORT_FRAC = re.compile(r"\\frac([0-9a-z])([0-9a-z])")
_FRAC = re.compile(r"^(-?)\\frac\{(-?[0-9]{1,40})\}\{([0-9]{1,40})\}$")


def plain(latex: str) -> str:
    r"""Return a MATH answer without what does not change its meaning: spaces, sizes, units, ways to write a fraction.

    >>> plain(r"x = \dfrac12 \text{ cm}"), plain(r"\left( 3, \text{red} \right).")
    ('\\frac{1}{2}', '(3,red)')
    """
    text = latex.replace("$", "").strip().rstrip(".").replace("\\dfrac", "\\frac").replace("\\tfrac", "\\frac")
    text = _DROPPED.sub("", _UNIT.sub("", text))
    text = _KEPT.sub(r"\1", text)
    text = _SHORT_FRAC.sub(r"\\frac{\1}{\2}", text)
    return re.sub(r"\s", "", re.sub(r"^[a-zA-Z]=", "", text))


def value(latex: str) -> Fraction | None:
    r"""Return the number that a plain answer is, or None.

    >>> str(value(r"-\frac{3}{4}")), str(value("1,000.50")), value("x+1")
    ('-3/4', '2001/2', None)
    """
    found = _FRAC.match(latex)
    if found and int(found[3]):
        return Fraction(int(found[2]), int(found[3])) * (-1 if found[1] else 1)
    read = numbers(latex) if re.fullmatch(_NUMBER, latex) else []
    return read[0] if read else None


def grade_latex(answer: str, reply: str) -> Grade:
    """Compare answers as MATH's own check does, by their plain form, and besides as numbers."""
    said = plain(answer_part(reply))
    if not said:
        return Grade(False, 0.0, UNREAD, readable=False)
    right = plain(answer)
    number = value(said)
    if said == right or (number is not None and number == value(right)):
        return Grade(True, 1.0, "That is right.")
    return Grade(False, 0.0, "That is wrong.")
