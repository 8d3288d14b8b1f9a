"""What papers claim, and which runs would show it here: the arms of a comparison and what must come out of them, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Arm:
    """A row of a paper's table: a method, or another round of the main arm's run.

    method: its id; None reads the main arm's run. settings: the method's own, without its name. shares: how many rounds
    do the same as the main arm's and are taken over from it. round: the one that is judged, -1 the last. quick: over the
    settings with --quick.
    """

    method: str | None = None
    settings: Mapping[str, str] = field(default_factory=dict)
    shares: int = 1
    round: int = -1
    quick: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Effect:
    """What must come out: a column of an arm lies above that of another arm, or above 0 where `over` is None.

    over: (arm, column). least: the smallest difference that counts. apart: whether the 95 % intervals must not meet, and
    every seed's own difference must have that sign.
    """

    arm: str
    column: str
    over: tuple[str, str] | None = None
    least: float = 0.0
    apart: bool = True

    def __str__(self) -> str:
        """Return the effect in words."""
        than = "0" if self.over is None else " ".join(self.over)
        by = f" by {100 * self.least:.0f} points" if self.least else ""
        return f"{self.arm} {self.column} {'above' if self.apart else 'no less than'} {than}{by}"


@dataclass(frozen=True, slots=True)
class Paper:
    """A claim and the comparison that tests it.

    main: the arm with the paper's idea. settings: of all arms, as `--set` takes them; those of a method count where it
    is trained. quick: over them with --quick. columns: what is measured of every arm on test, the first in front:
    success, or a number of training/attempts.py.
    """

    claim: str
    main: str
    arms: Mapping[str, Arm]
    effects: tuple[Effect, ...]
    env: str = "alfworld"
    model: str = "tiny"
    memory: str = "full"
    settings: Mapping[str, str] = field(default_factory=dict)
    quick: Mapping[str, str] = field(default_factory=dict)
    columns: tuple[str, ...] = ("success",)


AS_LEAP = {"epochs": "3"}  # of round 0, which --quick gives the main arm as `epochs0`


LEAP = Paper(
    claim=(
        "LEAP (arXiv 2410.05434): privileged feedback lifts an imitator far above its demonstrations "
        "(ALFWorld in distribution, Llama-3-8B: 68.6 % after SFT, 96.4 % after one iteration)"
    ),
    main="LEAP",
    arms={
        "BC": Arm("bc", quick=AS_LEAP),
        "filtered BC": Arm("filtered-bc", quick=AS_LEAP),
        "DAgger, searching expert": Arm("dagger"),
        "LEAP": Arm("leap"),
        "LEAP, raw oracle labels": Arm("leap", {"privilege": "1.0"}),
        "LEAP, DPO": Arm("leap", {"update_by": "dpo"}),
    },
    effects=(
        Effect("LEAP", "success", ("BC", "success"), 0.20),
        Effect("LEAP", "success", ("DAgger, searching expert", "success")),
        Effect("LEAP", "success", ("LEAP, raw oracle labels", "success")),
    ),
)

DIGIQ = Paper(
    claim=(
        "Digi-Q (arXiv 2502.15760): best-of-N by a Q-function on frozen features, learned offline, lifts a flawed policy "
        "above filtered BC (AitW General: 22.9 before, filtered BC 54.5, Digi-Q 71.2)"
    ),
    main="Digi-Q",
    arms={
        "behaviour policy": Arm(round=0),
        "filtered BC": Arm("digiq", {"extract": "success", "epochs": "4"}, shares=2),
        "Digi-Q": Arm("digiq"),
        "re-ranked by Q, no actor": Arm(round=1),
        "Digi-Q, no representation stage": Arm("digiq", {"features": "policy"}),
        "Digi-Q, random features": Arm("digiq", {"features": "random"}),
        "Digi-Q, N = 1": Arm("digiq", {"candidates": "1"}),
    },
    effects=(
        Effect("Digi-Q", "success", ("behaviour policy", "success"), 0.25),
        Effect("Digi-Q", "success", ("filtered BC", "success"), apart=False),
        Effect("Digi-Q", "success", ("Digi-Q, random features", "success")),
        Effect("Digi-Q", "success", ("Digi-Q, N = 1", "success")),
    ),
    env="device",
    settings={
        "env.level": "L0", "env.max_steps": "8", "digiq.episodes": "300", "digiq.candidates": "8",
        "digiq.critic_steps": "2000", "digiq.epochs": "2", "eval.valid": "0", "eval.test": "200",
    },
    quick={
        "digiq.demonstrations": "60", "digiq.epochs0": "2", "digiq.episodes": "40", "digiq.candidates": "4",
        "digiq.critic_steps": "300", "digiq.epochs": "1", "digiq.look_epochs": "1", "eval.test": "20",
    },
)  # fmt: skip

RISE = Paper(
    claim=(
        "RISE (arXiv 2407.18219): trained on its own attempts, a model answers better after five turns than after one "
        "and than by a vote of five parallel answers (GSM8K, m1@t5 less m1@t1: +17.7 points Llama-2-7B, +23.9 Mistral-7B)"
    ),
    main="RISE",
    arms={
        "SFT on first attempts": Arm(round=0),
        "SFT on whole traces": Arm("bc", shares=0),
        "filtered BC": Arm("filtered-bc", shares=0),
        "RISE": Arm("rise"),
        "RISE, first turns only": Arm("rise", {"attempts": "1", "episodes": "2000"}, quick={"episodes": "150"}),
        "RISE, distilled": Arm("rise", {"teacher": "oracle"}),
    },
    effects=(
        Effect("RISE", "gain"),
        Effect("RISE", "m1@t5", ("RISE", "m5@t1"), apart=False),
        Effect("RISE", "gain", ("SFT on first attempts", "gain")),
        Effect("RISE", "gain", ("RISE, first turns only", "gain")),
    ),
    env="reasoning",
    memory="window:1",
    settings={
        "env.family": "ring", "env.level": "3", "env.turns": "5", "env.feedback": "blind", "env.train": "12000",
        "rise.demonstrations": "3000", "rise.twice": "yes", "rise.epochs0": "2", "rise.iterations": "1",
        "rise.episodes": "400", "rise.candidates": "8", "rise.epochs": "4", "bc.demonstrations": "1000", "bc.epochs": "2",
        "filtered-bc.demonstrations": "1000", "filtered-bc.epochs": "2", "filtered-bc.iterations": "1",
        "filtered-bc.episodes": "400", "run.batch": "512", "run.step_tokens": "512", "eval.valid": "0", "eval.test": "200",
    },
    quick={
        "rise.demonstrations": "400", "rise.epochs0": "1", "rise.episodes": "30", "rise.candidates": "4",
        "rise.epochs": "1", "bc.demonstrations": "100", "bc.epochs": "1", "filtered-bc.demonstrations": "100",
        "filtered-bc.epochs": "1", "filtered-bc.later": "1", "filtered-bc.episodes": "30", "eval.test": "30",
    },
    columns=("m1@t5", "acc@t1", "m5@t1", "gain", "p1@t5", "edits"),
)  # fmt: skip

SCORE = Paper(
    claim=(
        "SCoRe (arXiv 2409.12917): on-policy reinforcement learning in two stages makes a second attempt better than the "
        "first, where a base model makes it worse (MATH, Gemini 1.5 Flash: from -11.2 to +4.4 points)"
    ),
    main="SCoRe",
    arms={
        "SFT on first attempts": Arm(round=0),
        "SFT on whole traces": Arm("bc", shares=0),
        "filtered BC": Arm("filtered-bc", shares=0),
        "SCoRe": Arm("score"),
        "SCoRe, after stage I": Arm(round=2),
        "SCoRe, without stage I": Arm("score", {"stage1": "0", "stage2": "3"}),
        "SCoRe, alpha = 0": Arm("score", {"alpha": "0"}, shares=3),
    },
    effects=(
        Effect("SCoRe", "delta"),
        Effect("SCoRe", "delta", ("SFT on first attempts", "delta")),
        Effect("SCoRe", "delta", ("SFT on whole traces", "delta")),
        Effect("SCoRe", "delta", ("SCoRe, without stage I", "delta")),
        Effect("SCoRe", "delta", ("SCoRe, alpha = 0", "delta")),
    ),
    env="reasoning",
    memory="window:1",
    settings={
        "env.family": "ring", "env.level": "3", "env.turns": "2", "env.feedback": "blind", "env.train": "12000",
        "score.demonstrations": "3000", "score.twice": "yes", "score.epochs0": "2", "score.stage1": "2",
        "score.stage2": "1", "score.updates": "200", "score.questions": "8", "score.samples": "8", "score.lr": "1e-3",
        "bc.demonstrations": "3000", "bc.epochs": "2", "filtered-bc.demonstrations": "3000", "filtered-bc.epochs": "2",
        "filtered-bc.iterations": "1", "filtered-bc.episodes": "400", "run.batch": "512", "run.step_tokens": "512",
        "eval.valid": "0", "eval.test": "200",
    },
    quick={
        "score.demonstrations": "400", "score.epochs0": "1", "score.updates": "2", "bc.demonstrations": "100",
        "bc.epochs": "1", "filtered-bc.demonstrations": "100", "filtered-bc.epochs": "1", "filtered-bc.later": "1",
        "filtered-bc.episodes": "30", "eval.test": "30",
    },
    columns=("delta", "acc@t1", "acc@t2", "i->c", "c->i", "edits"),
)  # fmt: skip

OREO = Paper(
    claim=(
        "OREO (arXiv 2412.16145): one round of offline learning by the soft Bellman equation, policy and value together, "
        "lifts an imitator above rejection sampling (ALFWorld, unseen rooms: 67.2 % after SFT, 79.1 % after OREO)"
    ),
    main="OREO",
    arms={
        "SFT": Arm(round=0),
        "filtered BC, one round": Arm("filtered-bc", {"iterations": "1"}, quick=AS_LEAP),
        "AWR, one round": Arm("awr", {"iterations": "1"}),
        "IQL, one round": Arm("iql", {"iterations": "1"}),
        "step DPO, one round": Arm("dpo", {"iterations": "1", "tasks": "38"}),
        "OREO": Arm("oreo"),
        "OREO, value left at the returns": Arm("oreo", {"critic_lr": "0"}),
    },
    effects=(
        Effect("OREO", "success", ("SFT", "success")),
        Effect("OREO", "success", ("filtered BC, one round", "success"), apart=False),
        Effect("OREO", "success", ("OREO, value left at the returns", "success")),
    ),
    settings={"eval.valid": "0"},
)

GIGPO = Paper(
    claim=(
        "GiGPO (arXiv 2505.10978): comparing what the episodes of a task did in one state, beside how they ended, lifts a "
        "policy further than GRPO, which compares their ends alone (ALFWorld: by more than 12 points)"
    ),
    main="GiGPO",
    arms={"SFT": Arm(round=0), "GRPO": Arm("grpo"), "GiGPO": Arm("gigpo")},
    effects=(
        Effect("GiGPO", "success", ("SFT", "success")),
        Effect("GiGPO", "success", ("GRPO", "success")),
    ),
    settings={"eval.valid": "0"},
    quick={"gigpo.tasks": "2", "gigpo.group": "4", "grpo.tasks": "2", "grpo.group": "4"},
)

HIR = Paper(
    claim=(
        "Hindsight relabelling (HIR, arXiv 2302.05206; LID, arXiv 2202.01771): a policy that also learns from its failures, "
        "as successes at what they reached, does better than by its successes alone (LID, VirtualHome: by 25 points over "
        "the best baseline)"
    ),
    main="HIR",
    arms={
        "SFT": Arm(round=0),
        "without relabelling": Arm("hir", {"relabel": "no"}),
        # relabelled failures are more data, so as many epochs are more steps: these are at least as many
        "without relabelling, later=12": Arm("hir", {"relabel": "no", "later": "12"}, quick={"later": "4"}),
        "HIR": Arm("hir"),
    },
    effects=(
        Effect("HIR", "success", ("SFT", "success")),
        Effect("HIR", "success", ("without relabelling", "success")),
        Effect("HIR", "success", ("without relabelling, later=12", "success")),
    ),
    settings={"eval.valid": "0", "hir.iterations": "2"},
    quick={"hir.iterations": "1"},
)

PAPERS = {"leap": LEAP, "digiq": DIGIQ, "rise": RISE, "score": SCORE, "oreo": OREO, "gigpo": GIGPO, "hir": HIR}
OWN = {
    "diff": "paper_diff:reproduce",
    "read": "paper_read:reproduce",
    "read-overcooked": "paper_read:overcooked",
    "read-lm": "paper_read_lm:reproduce",
    "critics": "paper_critics:reproduce",
    "dpt": "paper_dpt:reproduce",
    "evolve": "paper_evolve:reproduce",
}
"""Comparisons that are no runs of a method side by side, each with a function of its own."""
