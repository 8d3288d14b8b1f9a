"""A word-level tokenizer over the worlds' text, for `tiny`.

A word is one token wherever it stands, so that copying a name is copying a token. The worlds' stock phrases ("You arrive
at") are one token too, which shortens an episode by two fifths. Anything else falls to bytes: every text round-trips.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Container, Iterable, Iterator, Sequence
from itertools import groupby

from tokenizers import Regex, Tokenizer, decoders, pre_tokenizers
from tokenizers.models import BPE
from transformers import PreTrainedTokenizerFast
from transformers.convert_slow_tokenizer import bytes_to_unicode

MARKS = ("<|pad|>", "<|bos|>", "<|obs|>", "<|act|>")
_WORD = r" ?[A-Za-z]+| ?\d{1,2}(?!\d)|\d| ?[^\sA-Za-z\d]|\n+|\s"


def words(text: str) -> list[str]:
    """Split a text into words with their leading blank; joined, they are the text.

    >>> words("take mug 2 from shelf 10")
    ['take', ' mug', ' 2', ' from', ' shelf', ' 10']
    """
    return re.findall(_WORD, text)


def names(texts: Iterable[str]) -> set[str]:
    """Return the words that are names of things: those which a number follows in more than one place in twenty."""
    seen: Counter[str] = Counter()
    numbered: Counter[str] = Counter()
    for text, n in Counter(texts).items():
        split = words(text)
        for word, after in zip(split, [*split[1:], ""], strict=True):
            seen[word] += n
            numbered[word] += n * after.strip().isdigit()
    return {w for w in numbered if numbered[w] > 0.05 * seen[w] and not w.strip().isdigit()}


def mine(texts: Iterable[str], *, most: int = 400, min_count: int = 200) -> tuple[list[str], list[str]]:
    """Return the words of the texts, commonest first, and their stock phrases.

    Phrases grow as byte-pair merges do, but over whole words, and never over a name or a number: a name must stay one
    token in every place.
    """
    counted = Counter(texts)
    fixed = names(counted.elements())
    rows = [(words(text), n) for text, n in counted.items()]
    vocabulary = Counter[str]()
    for split, n in rows:
        for word in split:
            vocabulary[word] += n
    phrases: set[str] = set()
    for _ in range(most):
        pairs = Counter[tuple[str, str]]()
        for split, n in rows:
            for a, b in zip(split, split[1:], strict=False):
                if a not in fixed and b not in fixed and not re.search(r"\d", a + b):
                    pairs[a, b] += n
        if not pairs:
            break
        (a, b), n = min(pairs.items(), key=lambda p: (-p[1], p[0]))
        if n < min_count:
            break
        phrases.add(a + b)
        rows = [(_merge(split, a, b), n) for split, n in rows]
    used = {word for split, _ in rows for word in split}
    return [w for w, _ in sorted(vocabulary.items(), key=lambda p: (-p[1], p[0]))], sorted(phrases & used)


def _merge(split: list[str], a: str, b: str) -> list[str]:
    out: list[str] = []
    i = 0
    while i < len(split):
        if i + 1 < len(split) and split[i] == a and split[i + 1] == b:
            out.append(a + b)
            i += 2
        else:
            out.append(split[i])
            i += 1
    return out


def build(vocabulary: Iterable[str], phrases: Iterable[str], things: Iterable[str] = ()) -> PreTrainedTokenizerFast:
    """Return a tokenizer of these words and phrases, with the 256 bytes beneath them.

    things: words that are one token wherever they stand, a blank before them being another.
    """
    phrases = sorted(phrases, key=lambda p: (-len(p), p))
    bytes_ = bytes_to_unicode()

    def key(text: str) -> str:
        return "".join(bytes_[b] for b in text.encode())

    things = sorted(things, key=lambda t: (-len(t), t))
    tokens = dict.fromkeys([*MARKS, *bytes_.values(), *map(key, vocabulary), *map(key, phrases), *map(key, things)])
    tokenizer = Tokenizer(BPE(vocab={t: i for i, t in enumerate(tokens)}, merges=[], ignore_merges=True))
    stock = [_literal(p) + ("(?![A-Za-z])" if p[-1].isalpha() else "") for p in phrases]
    whole = [f" (?={_thing(things)})", _thing(things)] if things else []
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex("|".join([*stock, *whole, _WORD])), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(list(MARKS))
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<|pad|>", bos_token="<|bos|>", eos_token="<|obs|>"
    )


def grow(
    base: PreTrainedTokenizerFast, texts: Sequence[str], things: Iterable[str], apart: Iterable[str] = ()
) -> PreTrainedTokenizerFast:
    """Return a tokenizer that knows the words of some texts, too; what had an id keeps it.

    things: as of `build`; no phrase grows over them. apart: words over which none grows either.
    """
    alone = frozenset(apart)
    things, first = sorted(set(things)), len(MARKS) + 256
    old = [base.decode([i]) for i in range(first, len(base))]
    parts = [p for t in texts for p in (re.split(_thing(things), t) if things else [t])]
    pieces = [p for part in parts for p in _runs(part, alone)]
    found, phrases = mine(pieces, most=60, min_count=max(2, len(texts) // 20))
    stock = [p for p in phrases if not p.endswith(" ")]
    fresh = [w for w in found if len(w) > 1 and not re.search(r"\d", w)]
    return build([*old, *fresh], [*(w for w in old if len(words(w)) > 1), *stock], things)


def _runs(text: str, alone: Container[str]) -> Iterator[str]:
    """Yield a text in pieces, of which the words that stay alone are one each.

    >>> list(_runs("You see a grey ball", {"grey", "ball"}))
    ['You see a', ' grey', ' ball']
    """
    for single, run in groupby(words(text), lambda w: w.strip() in alone):
        if single:
            yield from run
        else:
            yield "".join(run)


def _thing(things: Iterable[str]) -> str:
    some = "|".join(re.escape(t) for t in sorted(things, key=lambda t: (-len(t), t)))
    return rf"(?<![A-Za-z_\d])(?:{some})(?![A-Za-z_\d])"


def _literal(text: str) -> str:
    return "".join("\\n" if c == "\n" else c if c.isalnum() or c == " " else "\\" + c for c in text)
