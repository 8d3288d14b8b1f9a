"""Episodes in the formats of others: out to TRL's, OpenAI's and ShareGPT's messages, in from the last two."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from ..agents.policy import parse
from ..agents.teachers import turns
from ..memory.core import Memory
from ..memory.store import SUFFIX, gather, write
from ..memory.trajectory import Step, Trajectory
from .examples import kept, reply_text
from .run import save_text

Row = dict[str, Any]
Message = dict[str, str]

FORMATS = {
    "store": "agentgym's own, compressed; the only one that replays",
    "messages": "an episode a row, {messages}: TRL's conversational language modelling, OpenAI's fine-tuning",
    "sharegpt": "an episode a row, {conversations} of {from, value}",
    "steps": "a step a row, {prompt, completion}: TRL's conversational prompt and completion",
    "preferences": "a corrected step a row, {prompt, chosen, rejected}: TRL's conversational preferences",
}
_FROM = {"user": "human", "assistant": "gpt"}
_ROLES = {
    "system": "system", "developer": "system", "user": "user", "human": "user", "tool": "user", "function": "user",
    "observation": "user", "environment": "user", "assistant": "assistant", "gpt": "assistant", "model": "assistant",
    "chatgpt": "assistant", "bot": "assistant",
}  # fmt: skip


def rows(trajectory: Trajectory, form: str, make_memory: Callable[[], Memory], mode: str = "choose") -> list[Row]:
    """Return an episode in a format of FORMATS but the store, each prompt as the memory gave it to the agent.

    mode: as the student's; in `generate` a corrected reply says its reason before its action.

    Raises:
        ValueError: preferences of an episode that no teacher has corrected.
    """
    if not trajectory.steps:
        return []
    about: Row = {k: getattr(trajectory, k) for k in ("env", "task", "goal", "success", "score")}
    views = [t.messages for t in turns(trajectory, make_memory())]
    said = [s.reply or s.action for s in trajectory.steps]
    if form == "steps":
        return [{"prompt": v, "completion": _say(s), **about} for v, s in zip(views, said, strict=True)]
    if form == "messages":
        return [{"messages": [*views[-1], *_say(said[-1])], **about}]
    if form == "sharegpt":
        whole = [*views[-1], *_say(said[-1])]
        return [{"conversations": [{"from": _FROM[m["role"]], "value": m["content"]} for m in whole], **about}]
    if "corrections" not in trajectory.meta:
        raise ValueError(
            f"task {trajectory.task!r} has no corrections: preferences come from what a teacher labelled, "
            "as runs of leap and dagger keep it in trajectories/01-train.jsonl.zst"
        )
    if trajectory.steps[0].parts:
        raise ValueError(f"task {trajectory.task!r} is a team's: preferences are of one agent; take --to messages")
    return [
        {"prompt": v, "chosen": _say(reply_text(c.action, c.reason, _form(step, mode))), "rejected": _say(s), **about}
        for v, s, c, step in zip(views, said, kept(trajectory), trajectory.steps, strict=True)
        if c.action is not None and c.action != step.action
    ]


def _form(step: Step, mode: str) -> str:
    """How a step's reply was said: one with a reason is answered by one with a reason."""
    return "generate" if step.reply is not None and step.reply != step.action else mode


def _say(text: str) -> list[Message]:
    return [{"role": "assistant", "content": text}]


def export(
    trajectories: Sequence[Trajectory], form: str, file: Path, make_memory: Callable[[], Memory], mode: str = "choose"
) -> int:
    """Write episodes in a format and return the number of rows; other formats than the store's are lines of JSON."""
    if form == "store":
        write(file, trajectories)
        return len(trajectories)
    out = [row for t in trajectories for row in rows(t, form, make_memory, mode)]
    save_text(file, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in out))
    return len(out)


def load(paths: Sequence[Path], success: bool | None = None) -> tuple[list[Trajectory], int, int]:
    """Return the episodes of stores, folders of stores, and files of messages (.json, .jsonl); see `memory.store.gather`.

    success: of imported rows that do not say it themselves.
    """
    peers = [p for p in paths if p.suffix in (".json", ".jsonl")]
    own = [p for p in paths if p not in peers]
    for p in own:
        if not p.is_dir() and not p.name.endswith(SUFFIX):
            raise ValueError(f"{p}: give a {SUFFIX} of agentgym, a folder of such, or messages in a .json or .jsonl")
    kept, twice, lost = gather(own)
    seen: set[str] = set()
    for p in peers:
        for n, (where, row) in enumerate(_read(p)):
            said = json.dumps(row, sort_keys=True)
            if said in seen:
                twice += 1
                continue
            seen.add(said)
            kept.append(adopt(row, f"{p.stem}/{n}", success, where))
    return kept, twice, lost


def _read(file: Path) -> Iterator[tuple[str, Row]]:
    text = file.read_text(encoding="utf-8")
    try:
        if file.suffix == ".json":
            listed = json.loads(text)
        else:
            listed = [json.loads(line) for line in text.split("\n") if line.strip()]
    except ValueError as error:
        raise ValueError(f"{file}: no JSON ({error})") from None
    for n, row in enumerate(listed if isinstance(listed, list) else [listed]):
        where = f"{file}, row {n}"
        if not isinstance(row, dict):
            raise ValueError(f"{where}: needs an object with `messages` or `conversations`")
        yield where, row


def adopt(row: Row, task: str, success: bool | None = None, where: str = "row") -> Trajectory:
    """Return an imported conversation as an episode: the user's side is the world, the assistant's the agent.

    A system text stands before the first observation. What the assistant says with `loss` false or `weight` 0 is a part
    of the opening, as in AgentGym's published conversations (arXiv 2406.04151), not an action. The goal is the row's, or
    its first user message. Success and score are the row's `success`, else its `score` or `reward`, of which 1 is success.

    Raises:
        ValueError: a message of an unknown role or form, no assistant's message, a `success` that is no truth value, or a
        row that does not say whether it succeeded while `success` is None.
    """
    said = list(_messages(row, where))
    world: list[str] = [""]
    replies: list[str] = []
    for role, text in said:
        if role == "assistant":
            replies.append(text)
            world.append("")
        else:
            world[-1] = f"{world[-1]}\n\n{text}" if world[-1] else text
    if not replies:
        raise ValueError(f"{where}: no message of an assistant, so no action")
    won, score = _outcome(row, success, where)
    parsed = [parse(r) for r in replies]
    steps = tuple(
        Step(
            observation=world[t], admissible=None, action=action, reward=score if t + 1 == len(replies) else 0.0,
            terminated=t + 1 == len(replies), truncated=False, success=won and t + 1 == len(replies),
            score=score if t + 1 == len(replies) else 0.0, invalid=False, thought=thought,
            reply=None if action == replies[t] else replies[t],
        )
        for t, (thought, action) in enumerate(parsed)
    )  # fmt: skip
    goal = row.get("goal") or next(text for role, text in said if role == "user")
    return Trajectory(
        env=str(row.get("env", "imported")), kwargs={}, task=str(row.get("task", row.get("item_id", task))), kind="",
        seed=0, goal=str(goal), agent=str(row.get("model", "imported")), memory="full", steps=steps, final=world[-1],
    )  # fmt: skip


def _messages(row: Row, where: str) -> Iterator[tuple[str, str]]:
    """Yield (role, text), with what the assistant said before the episode as the user's."""
    listed = row.get("messages", row.get("conversations"))
    if not isinstance(listed, list):
        raise ValueError(f"{where}: needs a list `messages` or `conversations`")
    opened = False
    for n, m in enumerate(listed):
        role = _ROLES.get(str(m.get("role", m.get("from")))) if isinstance(m, dict) else None
        text = (m.get("content", m.get("value"))) if isinstance(m, dict) else None
        if isinstance(text, list) and all(isinstance(p, dict) and isinstance(p.get("text"), str) for p in text):
            text = "".join(p["text"] for p in text)
        if role is None or not isinstance(text, str):
            raise ValueError(f"{where}, message {n}: needs a role of {', '.join(_ROLES)}, and text")
        opened = opened or role == "user"
        if role == "assistant" and (m.get("loss") is False or m.get("weight") == 0):
            yield "user", f"> {text}"
        elif role == "assistant" and not opened:
            raise ValueError(f"{where}, message {n}: the assistant speaks before any user")
        else:
            yield role, text


def _outcome(row: Row, success: bool | None, where: str) -> tuple[bool, float]:
    number = next((row[k] for k in ("score", "reward") if isinstance(row.get(k), int | float)), None)
    said = row.get("success")
    if said is not None and not (isinstance(said, int | float) and said in (0, 1)):
        raise ValueError(f"{where}: success={said!r}: write true or false, or 1 or 0")
    won = bool(said) if said is not None else success if number is None else number >= 1
    if won is None:
        raise ValueError(f"{where} does not say whether it succeeded: give --success or --failure for all such rows")
    return won, float(won) if number is None else float(number)
