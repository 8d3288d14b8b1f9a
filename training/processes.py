"""A run in several processes, as `accelerate launch` or `torchrun` start them: one leads, the others lend a hand.

The leading process alone collects, labels, evaluates and writes to the run's directory. Where it fits, the others take
its weights and its examples, every process reads its share of every batch, and the gradients are added up: a step is the
step of one process.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch import distributed as dist

PATIENCE = timedelta(days=7)  # the others wait while the leading one plays
Result = TypeVar("Result")


def launched() -> int:
    """Return how many processes a launcher started, 1 without one."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def leading() -> bool:
    """Whether this is the process that runs the method and writes."""
    return launched() == 1 or int(os.environ["RANK"]) == 0


def size() -> int:
    """Return how many processes work together now."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    """Return this process's number among them."""
    return dist.get_rank() if size() > 1 else 0


def lead(work: Callable[[], Result]) -> Result:
    """Do some work in the leading process and lend it a hand in the others; return in all what it came to.

    Raises:
        RuntimeError: the leading process stopped; it has said why.
    """
    if launched() == 1 or size() > 1:
        return work()
    gpu = torch.cuda.is_available()
    if gpu:
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    dist.init_process_group("cpu:gloo,cuda:nccl" if gpu else "gloo", timeout=PATIENCE)
    try:
        if not leading():
            return _lend()  # type: ignore[no-any-return]
        result = work()
        tell(("over", result))
        return result
    finally:
        dist.destroy_process_group()


def _lend() -> Any:
    """Do what the leading process tells, until the work is over."""
    from .student import Student

    students: dict[tuple[str, str], Student] = {}
    while True:
        what, given = _hear()
        if what == "over":
            return given
        key = given.pop("name"), given.pop("mode")
        if key not in students:
            students[key] = Student.of(key[0], mode=key[1])
        students[key].pass_tokens, students[key].step_tokens = given.pop("pass_tokens"), given.pop("step_tokens")
        try:
            getattr(students[key], what)(**given)
        except FloatingPointError:
            continue  # every process saw it; the leading one says so


def tell(order: tuple[str, Any]) -> None:
    """Tell the other processes what to do, and with what."""
    dist.broadcast_object_list([order], src=0)


def _hear() -> tuple[str, Any]:
    box: list[Any] = [None]
    try:
        dist.broadcast_object_list(box, src=0)
    except RuntimeError as error:
        raise RuntimeError("the leading process stopped; its own message says why") from error
    order: tuple[str, Any] = box[0]
    return order


def copy(tensors: Iterable[Tensor]) -> None:
    """Overwrite tensors with the leading process's."""
    for t in tensors:
        dist.broadcast(t, src=0)


def add(tensors: Iterable[Tensor]) -> None:
    """Overwrite tensors with their sums over the processes; nothing changes where there is one."""
    every = list(tensors)
    if size() == 1:
        return
    flat = torch.cat([t.flatten() for t in every])
    dist.all_reduce(flat)
    for t, total in zip(every, torch.split(flat, [t.numel() for t in every]), strict=True):
        t.copy_(total.view_as(t))
