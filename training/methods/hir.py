"""HIR: a failed episode is a success at the goal that it did reach."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from ...envs.core import TextEnv
from ...memory.replay import again
from ...memory.trajectory import Trajectory
from ..lab import Lab
from .bc import FilteredBC, demonstrate, roll_out_all


@dataclass(frozen=True)
class Hir(FilteredBC):
    """Hindsight relabelling: filtered BC that learns from failures too, each with the goal it has reached in place of its own.

    Round 0: SFT on demonstrations gives π_0. Round i ≥ 1:
      1. play π_{i−1} on train tasks, with some heat, so that it does more than it is asked;
      2. keep what was won; of the rest, keep each episode up to the last step that brought a goal about which had not
         been reached before, and write that goal where its own stood: "put a mug in desk" failed, "put a pen in desk" won;
      3. SFT on all rounds' episodes.
    Source: HIR, arXiv 2302.05206, Sec. 4 (relabelled instructions, then supervised learning), on episodes as LID, arXiv
    2202.01771, Sec. 4.3 (active data gathering: explore, relabel, imitate). Deviations: demonstrations stay in the data;
    HIR's contrastive loss over instructions and its entropy bonus, and LID's pruning of needless actions, are not here.

    relabel: no leaves the failures out, which is `filtered-bc` and takes the idea out. All else as `filtered-bc` tells.
    """

    id: ClassVar[str] = "hir"
    summary: ClassVar[str] = "imitate one's failures too, as successes at the goal they reached"
    source: ClassVar[str] = "arXiv 2302.05206"
    needs: ClassVar[tuple[str, ...]] = ("oracle", "reached")
    team: ClassVar[str] = "no"
    demonstrations: int = 60
    relabel: bool = True

    def collect(self, lab: Lab, k: int) -> list[Trajectory]:
        """Return demonstrations first, then the student's own episodes, each a success at something."""
        if k == 0:
            return demonstrate(lab, self.demonstrations)
        played = roll_out_all(lab, k, self.episodes, self.temperature)
        env = lab.make_env()
        lost = [t for t in played if not t.success] if self.relabel else []
        found = [new for t in lost if (new := hindsight(env, t)) is not None]
        if self.relabel:
            lab.say(f"  relabel: {len(found)} of {len(lost)} failures reached another goal")
        return [t for t in played if t.success] + found


def hindsight(env: TextEnv, trajectory: Trajectory) -> Trajectory | None:
    """Return an episode up to the last goal that it newly reached, as a success at that goal; None if it reached none.

    The world's words for the old goal give way to those for the new one wherever the episode shows them. The result is
    an example, not a record: no task of the world sets that goal, so it does not replay.

    Raises:
        ValueError: the environment answers otherwise than it did.
    """
    reached = [env.reached() for _ in again(env, trajectory)]
    if "died" not in trajectory.meta:
        env.step(trajectory.steps[-1].action)
        reached.append(env.reached())
    seen = set(reached[0])
    last, goal = -1, ""
    for t, now in enumerate(reached[1:]):
        if new := [g for g in now if g not in seen]:
            last, goal = t, new[-1]
        seen |= set(now)
    if last < 0:
        return None
    kept = [
        replace(s, observation=s.observation.replace(trajectory.goal, goal), context_ids=(), logprob=None)
        for s in trajectory.steps[: last + 1]
    ]
    kept[-1] = replace(kept[-1], reward=1.0, terminated=True, truncated=False, success=True, score=1.0)
    final = trajectory.observations[last + 1].replace(trajectory.goal, goal)
    meta = trajectory.meta | {"hindsight": trajectory.goal}
    return replace(trajectory, goal=goal, steps=tuple(kept), final=final, meta=meta)
