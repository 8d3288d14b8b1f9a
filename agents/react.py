"""ReAct: an agent that thinks aloud between its actions, and what it thought stays in its history."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..envs.errors import at_least
from ..memory.core import Turn
from ..memory.trajectory import Trajectory
from .chat import ChatAgent

RULES = (
    "You act in a text world. Before an action you may think: what the task asks for, what is still missing, what the "
    "last observation says about it, and the next sub-goal.\n"
    "Answer in two lines:\nTHOUGHT: <your thought>\nACTION: <one command, word for word>\n"
    "or, to think on before you act, in one line:\nTHOUGHT: <your thought>"
)


class ReactAgent(ChatAgent):
    """A chat model that reasons and acts by turns; a thought without an action gets "OK." and the next word.

    Thoughts on the way to an action are in its reply, and so in the history, where the memory keeps replies. After
    `thoughts` of them in a row it is told to act.
    Source: ReAct, arXiv 2210.03629, Sec. 2 (the action space is widened by language; a thought changes nothing in the
    world, which answers "OK."). There few-shot examples show the form; here `examples`, where given, stand in the system
    text behind the rules, and a `past` memory shows whole episodes.
    """

    def __init__(self, chat: Any, *, thoughts: int = 3, examples: str = "", **settings: Any) -> None:
        at_least(0, thoughts=thoughts)
        system = f"{RULES}\n\n{examples}" if examples else RULES
        super().__init__(chat, **{"name": "react", "system": system} | settings)
        self.thoughts = thoughts

    @property
    def patience(self) -> int:
        """How often at most a turn is answered instead of acted on."""
        return self.corrections + self.thoughts

    def answer(self, turn: Turn, replies: Sequence[str]) -> str | None:
        """Let it think on, or say as any chat agent hears it what is not possible."""
        thought = sum(map(thinks, replies))
        if not thinks(replies[-1]) or thought > self.thoughts:
            tried = len(replies) - min(thought, self.thoughts)
            return super().answer(turn, replies) if tried <= self.corrections else None
        return "OK." if thought < self.thoughts else "OK. Now act."

    def whole(self, replies: Sequence[str]) -> str:
        """Return its thoughts and its last reply."""
        return "\n".join(r.strip() for r in [*filter(thinks, replies[:-1]), replies[-1]])


def thinks(reply: str) -> bool:
    """Whether a reply is a thought and nothing else.

    >>> thinks("THOUGHT: the mug is dirty."), thinks("THOUGHT: so.\\nACTION: look"), thinks("look")
    (True, False, False)
    """
    upper = reply.upper()
    return "THOUGHT:" in upper and "ACTION:" not in upper


class ReflexionAgent(ReactAgent):
    """A ReAct agent that can say, of an episode that failed, what to do otherwise.

    Source: Reflexion, arXiv 2303.11366, Sec. 3; the attempts are `training.reflexion`'s.
    """

    REFLECT = (
        "You read an episode of yours in a text world that did not reach its goal. Say in at most three sentences where "
        "it went wrong and what you will do instead when you try the same task again. Name places and things."
    )

    def reflect(self, trajectory: Trajectory) -> str:
        """Return a lesson of a failed episode; the question is counted in `usage`."""
        said = [
            f"{o}\n> {s.reply or s.action}"
            for o, s in zip(trajectory.observations[:-1], trajectory.steps, strict=True)
        ]  # fmt: skip
        episode = "\n".join([*said, trajectory.final])
        ask = [
            ("system", self.REFLECT),
            ("human", f"The goal: {trajectory.goal}\n\n{episode}\n\nThe goal was not reached."),
        ]
        return self._replies([ask])[0].strip()
