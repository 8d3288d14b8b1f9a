"""Names of tasks: each has one spelling, and no two tasks one seed."""

from __future__ import annotations

import pytest
from agentgym.envs import SPLITS, ids

KINDS = ("find", "edit-me", "move")


def test_what_is_listed_can_be_read_and_no_two_have_one_seed() -> None:
    sizes = dict.fromkeys(SPLITS, 40)
    for kinds in ((), KINDS):
        names = [name for split in SPLITS for name in ids.listed(split, sizes, kinds)]
        assert [ids.read(name, kinds) for name in names] == [(s, i) for s in SPLITS for i in range(40)]
        assert len({ids.seed_of(name, kinds) for name in names}) == len(set(names)) == 120


@pytest.mark.parametrize(
    "name", ["", "test", "test/3", "test/-0001", "test/0000003", "tset/00003", "test/00003-edit", "test/00003-find ",
             "test/00003", "test/٠٠٠٠٣-find", "test/00000000-find", "test/00003-find\n", "valid/00001-find"],
)  # fmt: skip
def test_another_spelling_is_refused_with_the_right_one(name: str) -> None:
    with pytest.raises(ValueError, match="for example 'test/00000-find'"):
        ids.read(name, KINDS)


def test_an_unknown_split_is_refused() -> None:
    with pytest.raises(ValueError, match="split='tset': choose one of train, valid, test"):
        ids.listed("tset", {"test": 3})
