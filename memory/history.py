"""Memories of one episode: what is kept as it was said, and what stands for the rest."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from .core import Counter, Segment, Turn, count_words, total

LEAST = 16  # tokens of a view


@dataclass(frozen=True, slots=True)
class Limits:
    """When a memory forgets, and how far.

    budget: most tokens of a view. low: share of the budget that is left after forgetting, in (0, 1]; a small share
    forgets rarely, so that the prompt extends itself, and the cache stays valid, for long stretches in between.

    Source: hysteresis is ours; the sliding window of diff history's release (arXiv 2312.07540) changes its first
    observation, and so the whole prefix, at every step.
    """

    budget: int | None = None
    low: float = 0.5

    def __post_init__(self) -> None:
        if self.budget is not None and self.budget < LEAST:
            raise ValueError(f"budget={self.budget}: a view needs at least {LEAST} tokens")
        if not 0 < self.low <= 1:
            raise ValueError(f"low={self.low}: needs a share in (0, 1]")


class FullMemory:
    """Everything, in order; a view extends the last one until the budget makes it forget its oldest steps.

    What was forgotten is stood for by one segment, `_digest`; here it says how many steps are missing.
    """

    append_only = True

    def __init__(self, count: Counter = count_words, limits: Limits | None = None) -> None:
        self._count, self._limits = count, limits or Limits()

    def begin(self, goal: str, observation: str, info: dict[str, Any], episode: int = 0) -> None:
        """Start an episode."""
        self._goal, self._episode, self._t = goal, episode, 0
        self._admissible = info.get("admissible")
        self._head = [Segment("user", _opening(goal, observation))]
        self._steps: list[tuple[Segment, Segment]] = []
        self._sizes: list[int] = []
        self._forgotten = 0
        self._last = observation
        self._action: str | None = None
        self._tokens = total(self._head, self._count)

    def record(self, action: str, observation: str, info: dict[str, Any], reply: str | None = None) -> None:
        """Append an action and what followed; over the budget, forget."""
        step = (Segment("assistant", reply or action), Segment("user", self._say(observation)))
        self._steps.append(step)
        self._sizes.append(total(step, self._count))
        self._tokens += self._sizes[-1]
        self._t += 1
        self._admissible = info.get("admissible")
        self._last, self._action = observation, action
        beside = self._beside()
        if self._limits.budget is not None and self._tokens + beside > self._limits.budget:
            self._forget(int(self._limits.budget * self._limits.low) - beside)

    def _beside(self) -> int:
        """Return how many tokens a view shows besides what is kept."""
        return 0

    def _say(self, observation: str) -> str:
        """Return how an observation is written down."""
        return observation

    def _digest(self, gone: Sequence[tuple[Segment, Segment]]) -> str:
        """Return what stands for all forgotten steps, of which `gone` are the newest."""
        return f"[{self._forgotten} earlier actions are left out]"

    def _forget(self, target: int) -> None:
        """Drop the oldest steps until `target` tokens are left, the last step always kept."""
        gone = []
        while len(self._steps) > 1 and self._tokens > target:
            gone.append(self._steps.pop(0))
            self._tokens -= self._sizes.pop(0)
        if gone:
            self._forgotten += len(gone)
            self._head = [self._head[0], Segment("user", self._digest(gone))]
            self._tokens = total(self._head, self._count) + sum(self._sizes)

    def _turn(self, segments: tuple[Segment, ...], tokens: int) -> Turn:
        budget = self._limits.budget
        if budget is not None and tokens > budget:  # one observation is longer than all there is room for
            segments, tokens = fit(segments, budget, self._count)
        return Turn(segments, self._goal, self._admissible, self._episode, self._t, tokens, self._last, self._action)

    def view(self) -> Turn:
        """Return what is kept of the episode."""
        return self._turn((*self._head, *(s for step in self._steps for s in step)), self._tokens)


class WindowMemory(FullMemory):
    """The opening text and the last `k` actions with what followed; what lies between is forgotten.

    With k = 0 the goal and the newest observation, where that tells all there is to know: no prompt is shorter.
    """

    append_only = False

    def __init__(self, k: int, count: Counter = count_words, limits: Limits | None = None) -> None:
        if k < 0:
            raise ValueError(f"window:{k}: a window keeps 0 actions or more")
        super().__init__(count, limits)
        self._k = k

    def _forget(self, target: int) -> None:
        """Drop what lies behind the window; `view` says how much of the window the budget holds."""
        while len(self._steps) > max(self._k, 1):
            self._steps.pop(0)
            self._tokens -= self._sizes.pop(0)

    def view(self) -> Turn:
        """Return the opening text and the window, as much of it as the budget holds."""
        if not self._k:
            now = (Segment("user", _opening(self._goal, self._last)),)
            return self._turn(now, total(now, self._count))
        steps = self._steps[-self._k :]
        while True:
            kept = (self._head[0], *(s for step in steps for s in step))
            tokens = total(kept, self._count)
            if self._limits.budget is None or tokens <= self._limits.budget or len(steps) <= 1:
                return self._turn(kept, tokens)
            steps = steps[1:]


class SummaryMemory(FullMemory):
    """The opening text, a summary of what is older, and the latest steps in full.

    After 2k steps in full the older k are summed up, so that the prompt extends itself in between. `sum_up(last
    summary, steps)` writes the new summary; the rule that comes with it lists actions in order and drops repeats.
    """

    def __init__(
        self,
        k: int = 8,
        count: Counter = count_words,
        limits: Limits | None = None,
        sum_up: Callable[[str, Sequence[tuple[str, str]]], str] | None = None,
    ) -> None:
        if k < 1:
            raise ValueError(f"summary:{k}: keep at least 1 action in full")
        super().__init__(count, limits)
        self._k, self._sum_up = k, sum_up or actions_in_order

    def begin(self, goal: str, observation: str, info: dict[str, Any], episode: int = 0) -> None:
        """Start an episode."""
        super().begin(goal, observation, info, episode)
        self._summary = ""

    def record(self, action: str, observation: str, info: dict[str, Any], reply: str | None = None) -> None:
        """Append a step; sum up the older half where there are too many."""
        super().record(action, observation, info, reply)
        if len(self._steps) >= 2 * self._k:
            self._forget(total(self._head, self._count) + sum(self._sizes[-self._k :]))

    def _digest(self, gone: Sequence[tuple[Segment, Segment]]) -> str:
        self._summary = self._sum_up(self._summary, [(a.text, o.text) for a, o in gone])
        return self._summary


class NotesMemory(FullMemory):
    """The agent's own notes, always, and the latest steps: a line "NOTE: …" in a reply is kept when its step is not."""

    def _digest(self, gone: Sequence[tuple[Segment, Segment]]) -> str:
        earlier = self._head[1].text.split("\n")[1:] if len(self._head) > 1 else []
        notes = [line.strip() for a, _ in gone for line in a.text.split("\n") if line.strip().startswith("NOTE:")]
        kept = list(dict.fromkeys([*earlier, *notes]))
        return "\n".join([f"[{self._forgotten} earlier actions are left out; your notes:]", *kept])


def actions_in_order(summary: str, steps: Sequence[tuple[str, str]]) -> str:
    """Return the summary with more actions behind it; one that comes again right after itself is said once.

    >>> actions_in_order("", [("look", "A room."), ("look", "A room."), ("go east", "A hall.")])
    'Earlier: look; go east.'
    """
    done = summary.removeprefix("Earlier: ").removesuffix(".").split("; ") if summary else []
    for action, _ in steps:
        if not done or done[-1] != action:
            done.append(action)
    return f"Earlier: {'; '.join(done)}."


def fit(segments: tuple[Segment, ...], budget: int, count: Counter) -> tuple[tuple[Segment, ...], int]:
    """Cut the middle out of the world's longest segments until the view holds; every cut says so.

    Raises:
        ValueError: the agent's own words leave no room even so.
    """
    parts = list(segments)
    sizes = [count(s.text) for s in parts]
    for i in sorted((i for i, s in enumerate(parts) if s.role == "user"), key=lambda i: -sizes[i]):
        rest, text = sum(sizes) - sizes[i], parts[i].text
        low, high = 0, len(text)
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if rest + count(_cut(text, middle)) <= budget else (low, middle - 1)
        shorter = _cut(text, low)
        if count(shorter) >= sizes[i]:  # to say so takes more than it saves
            continue
        parts[i] = Segment("user", shorter)
        sizes[i] = count(shorter)
        if sum(sizes) <= budget:
            return tuple(parts), sum(sizes)
    raise ValueError(f"budget={budget}: with every observation cut the view still takes {sum(sizes)} tokens; raise it")


def _cut(text: str, keep: int) -> str:
    tail = keep // 2
    return f"{text[: keep - tail]}\n[… {len(text) - keep} characters cut …]\n{text[len(text) - tail :]}"


def _opening(goal: str, observation: str) -> str:
    """Return the first observation, with the goal where the world does not state it itself."""
    return observation if goal in observation else f"{observation}\n\nGoal: {goal}"
