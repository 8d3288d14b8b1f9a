"""Digi-Q: a Q-function on frozen features, learned from stored episodes, turns a flawed policy into a better one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch

from ...agents.core import Agent, Candidate, Decision
from ...agents.critics import READS, CachedFeatures, Critic, Features, HashedFeatures, ModelFeatures, state_text
from ...agents.policy import Policy
from ...agents.rerank import RerankAgent
from ...agents.scripted import HabitualAgent
from ...agents.teachers import Correction, turns
from ...envs.errors import at_least, choice, positive, share
from ...memory.core import Turn
from ...memory.trajectory import Trajectory
from .. import update
from ..advantages import best_of_n
from ..critics import diagnose, fit, judge, load_critic, save_critic, transitions
from ..examples import keep, own_actions
from ..lab import Lab
from ..report import scatter
from ..run import save_text
from ..sequences import IGNORE, Example, collate
from ..student import Student
from .core import Idle, dataset

FEATURES = ("tuned", "policy", "random", "hashed")
EXTRACTS = ("best", "success")


@dataclass(frozen=True)
class DigiQ:
    """Offline value learning on frozen features and best-of-N policy extraction.

    Round 0, the behaviour policy π_b: cloned from a demonstrator who is wrong in the same way every time.
    Round 1, the critic, from then on without the world:
      1. π_b plays; at every step N − 1 more actions are drawn from it at temperature `spread` and stored;
      2. a copy of π_b learns to answer "does this action change the screen?", and is frozen: f(s, a) is its hidden
         state where it would answer;
      3. L_Q = (Q(f(s,a)) − [r + γ (1 − d) V̄(f(s'))])², L_V = (V(f(s)) − Q̄(f(s,a)))² with a from the data.
      The round is judged by π_b re-ranked by Q: best-of-N at test time, without training. Beside the critic lies
      q-return.svg, Q against the Monte-Carlo return of held-out episodes.
    Round 2, the actor, from π_b: a* = argmax_i Q(s, a_i) − V(s) over the N, and clone a*.
    Source: Digi-Q, arXiv 2502.15760, Sec. 4; code DigiRL-agent/digiq. Faults of that code which are not repeated:
    the greatest of the double heads counts there (here the least, since the greatest over-estimates); the target heads
    start as other random heads (here as copies); advantages below an absolute 0.05 or 0.1 are dropped, which starves
    early states (here below a quantile, or none, and the data's own actions are cloned with weight `anchor` as well); a
    time limit counts as the end (here the value goes on); candidates repeat (here each counts once). The actor starts
    from π_b. Deviations for a small text model: the screen is text and changes where the text does; candidates come
    from the admissible actions, so the world must list them; V reads the frozen features too, where the paper
    trains encoders of its own. Uniform random mistakes would void the comparison, since cloning them greedily gives
    the oracle: hence the habits.

    demonstrations: of round 0, of all tasks, won or not. p_wrong, p_follow, p_slip: see HabitualAgent; the seed is the
    user. episodes, temperature: of π_b's play. candidates: N, the played action among them; 1 takes the idea out.
    spread: the paper's 1.2. features: tuned, policy (no step 2), random (its weights drawn anew) or hashed words.
    reads: see state_text. layer, most: see ModelFeatures. gamma, ema: the paper's .95 and .1. critic_steps, critic_lr,
    width: of the heads. quantile, anchor: of the extraction; the anchor's weight counts beside those of its batch
    (update.fit), which holds both readings of an episode, or their neighbours in length. extract: best, or success,
    which clones the played actions of the episodes that were won and needs no critic: filtered BC on the same data.
    rerank: the likeliest actions that Q chooses from when round 1 is judged. epochs0, look_epochs, epochs, lr: of the
    fits of π_b, of step 2 and of the actor.
    """

    id: ClassVar[str] = "digiq"
    summary: ClassVar[str] = "learn Q from stored episodes on frozen features, clone the best of N candidates"
    source: ClassVar[str] = "arXiv 2502.15760"
    needs: ClassVar[tuple[str, ...]] = ("oracle", "actions")
    idle: ClassVar[Idle] = (
        ("features", "hashed", ("layer", "most", "look_epochs")),
        ("features", "policy", ("look_epochs",)),
        ("features", "random", ("look_epochs",)),
        ("extract", "success", ("anchor", "quantile")),
    )
    demonstrations: int = 300
    p_wrong: float = 0.7
    p_follow: float = 0.7
    p_slip: float = 0.05
    episodes: int = 600
    temperature: float = 1.0
    candidates: int = 16
    spread: float = 1.2
    features: str = "tuned"
    reads: str = "screen"
    layer: int = -1
    most: int = 512
    gamma: float = 0.95
    ema: float = 0.1
    critic_steps: int = 3000
    critic_lr: float = 1e-3
    width: int = 256
    quantile: float = 0.0
    anchor: float = 0.25
    extract: str = "best"
    rerank: int = 4
    epochs0: float = 6.0
    look_epochs: float = 2.0
    epochs: float = 4.0
    lr: float | None = None

    def __post_init__(self) -> None:
        for name, text, legal in (
            ("features", self.features, FEATURES), ("extract", self.extract, EXTRACTS), ("reads", self.reads, READS),
        ):  # fmt: skip
            choice(f"digiq.{name}", text, legal)
        at_least(
            1, "digiq.", demonstrations=self.demonstrations, candidates=self.candidates, critic_steps=self.critic_steps,
            rerank=self.rerank, width=self.width, most=self.most,
        )  # fmt: skip
        positive("digiq.", epochs0=self.epochs0, look_epochs=self.look_epochs, epochs=self.epochs)
        if self.episodes < 5:
            raise ValueError(f"digiq.episodes={self.episodes}: needs at least 5, of which one is held out")
        positive("digiq.", temperature=self.temperature, spread=self.spread, ema=self.ema, critic_lr=self.critic_lr)
        share("digiq.", gamma=self.gamma, ema=self.ema, quantile=self.quantile, anchor=self.anchor)
        if self.quantile == 1:
            raise ValueError(f"digiq.quantile={self.quantile}: no action lies above it; give a share below 1")

    @property
    def rounds(self) -> int:
        """Three: behaviour, critic, actor."""
        return 3

    def collect(self, lab: Lab, k: int) -> list[Trajectory]:
        """Return the demonstrations, then π_b's episodes, which round 2 takes up again."""
        if k == 0:
            if self.features == "random" and lab.student.adapted:
                raise ValueError(
                    "digiq.features=random: redraws the weights that adapters rest on; choose tuned, policy or hashed"
                )
            if lab.student.mode != "choose":
                raise ValueError("digiq needs run.mode=choose: it draws candidates from the admissible actions")
            user = HabitualAgent(lab.make_env().habit, lab.seed, self.p_wrong, self.p_follow, self.p_slip)
            return lab.play(user, lab.tasks("train", self.demonstrations, 0), 0, label="demonstrate")
        if k == 2:
            return lab.run.stored("01-train")
        proposer = Proposer(lab.student.policy(self.temperature), self.candidates, self.spread)
        played = lab.play(proposer, lab.tasks("train", self.episodes, 1), 1, label="roll out")
        lab.say(f"  roll out: {sum(t.success for t in played)} of {len(played)} train episodes succeeded")
        if not any(s.reward for t in played for s in t.steps):
            raise ValueError(
                f"no reward in {len(played)} episodes of the behaviour policy, so there are no values to learn: "
                "raise digiq.demonstrations or choose easier tasks"
            )
        return played

    def label(self, lab: Lab, k: int, trajectories: Sequence[Trajectory]) -> list[list[Correction]]:
        """Return the played actions; in round 2 the best of N, or those of won episodes."""
        if k < 2:
            return [own_actions(t) for t in trajectories]
        if self.extract == "success":
            return [own_actions(t) if t.success else [Correction(None)] * len(t.steps) for t in trajectories]
        return self._best(lab, load_critic(lab.run.part("checkpoints", "01") / "critic")[0], trajectories)

    def update(self, lab: Lab, k: int, data: Sequence[Sequence[Trajectory]]) -> dict[str, float]:
        """Fit π_b, then the critic, then the actor."""
        if k == 0:
            return lab.student.fit(dataset(lab, data[0]), lab.rng(3, k), epochs=self.epochs0, lr=self.lr)
        if k == 1:
            return self._judge(lab, data[1])
        critic, backbone = load_critic(lab.run.part("checkpoints", "01") / "critic")
        lab.also = lambda folder: save_critic(folder / "critic", critic, backbone)
        rows = dataset(lab, data[2])
        if self.anchor and self.extract == "best":
            own = [keep(t, [replace(c, weight=self.anchor) for c in own_actions(t)]) for t in data[2]]
            rows += dataset(lab, own)
        return lab.student.fit(rows, lab.rng(3, k), epochs=self.epochs, lr=self.lr)

    def actor(self, lab: Lab, k: int) -> Agent:
        """Return the student; in round 1 re-ranked by the critic."""
        policy = lab.student.policy()
        if k != 1:
            return policy
        return RerankAgent(policy, load_critic(lab.run.part("checkpoints", "01") / "critic")[0], self.rerank)

    def _judge(self, lab: Lab, played: Sequence[Trajectory]) -> dict[str, float]:
        """Fit the features and the heads on four fifths of the episodes; say how good they are on the rest."""
        order = lab.rng(17).permutation(len(played))
        held, seen = ([played[i] for i in sorted(some)] for some in np.split(order, [len(played) // 5]))
        row: dict[str, float] = {}
        backbone = None if self.features == "hashed" else self._backbone(lab)
        if backbone is not None and self.features == "tuned":
            row |= self._look(lab, backbone, seen, held)
        plain: Features = HashedFeatures() if backbone is None else judge(backbone, self.layer, self.most)
        critic = Critic(cached(lab, plain), self.width, seed=lab.seed, reads=self.reads)
        data, rest = (transitions(some, critic, lab.make_memory, self.gamma) for some in (seen, held))
        row |= fit(
            critic, data, steps=self.critic_steps, lr=self.critic_lr, gamma=self.gamma, ema=self.ema, rng=lab.rng(19)
        )
        row |= {"transitions": float(len(data)), "q_return_seen": diagnose(critic, data)["q_return"]}
        row["q_return"] = diagnose(critic, rest)["q_return"]
        lab.say(f"  critic: correlation of Q with the return {row['q_return']:.2f} on {len(held)} held-out episodes")
        with torch.inference_mode():
            points = list(zip(critic.q_heads(rest.q).amin(0).tolist(), rest.g.tolist(), strict=True))
        title = f"{len(points)} steps of held-out episodes, r = {row['q_return']:.2f}"

        def also(folder: Path) -> None:
            save_critic(folder / "critic", critic, backbone)
            save_text(folder / "q-return.svg", scatter(points, title, "Q", "Monte-Carlo return") + "\n")

        lab.also = also
        return row

    def _backbone(self, lab: Lab) -> Student:
        """Return a copy of π_b, or for `random` of its shape."""
        backbone = Student.held(lab.run.part("checkpoints", "00"))
        for limit in ("pass_tokens", "step_tokens", "max_tokens"):
            setattr(backbone, limit, getattr(lab.student, limit))
        if self.features == "random":
            generator = torch.Generator().manual_seed(lab.seed)
            with torch.no_grad():
                for p in backbone.model.parameters():
                    if p.ndim > 1:
                        drawn = torch.randn(p.shape, generator=generator) / p.shape[-1] ** 0.5
                        p.copy_(drawn.to(p.device, p.dtype))
        return backbone

    def _look(
        self, lab: Lab, backbone: Student, seen: Sequence[Trajectory], held: Sequence[Trajectory]
    ) -> dict[str, float]:
        """Teach the backbone which actions change the screen; both answers weigh the same in all.

        Raises:
            ValueError: every step has the same answer.
        """
        answers = [c for t in seen for c in changes(t)]
        changed = sum(answers) / len(answers)
        if changed in (0, 1):
            raise ValueError(
                f"digiq.features=tuned: {'every' if changed else 'no'} action of {len(answers)} changed the screen, so "
                "there is nothing to tell apart: set digiq.features=policy"
            )
        features = judge(backbone, self.layer, self.most)
        no, yes = next(p for p in zip(*map(backbone.renderer.reply, ("no", "yes")), strict=False) if p[0] != p[1])
        rows, rest = (
            [
                look(
                    features,
                    state_text(turn, self.reads),
                    action,
                    (yes, 0.5 / changed) if c else (no, 0.5 / (1 - changed)),
                )
                for t in some
                for turn, action, c in zip(turns(t, lab.make_memory()), t.actions, changes(t), strict=True)
            ]
            for some in (seen, held)
        )
        backbone.on_step = lab.student.on_step
        done = backbone.fit(rows, lab.rng(23), epochs=self.look_epochs, lr=self.lr)
        return {"look_loss": done["loss"], "look_right": answered(backbone, rest), "changed": changed}

    def _best(self, lab: Lab, critic: Critic, played: Sequence[Trajectory]) -> list[list[Correction]]:
        critic.features = cached(lab, critic.features)
        states = [critic.text(turn) for t in played for turn in turns(t, lab.make_memory())]
        drawn: list[list[str]] = [some for t in played for some in t.meta["candidates"]]
        pairs = [(s, a) for s, some in zip(states, drawn, strict=True) for a in some]
        values = critic.q([s for s, _ in pairs], [a for _, a in pairs])
        q = torch.full((len(drawn), max(map(len, drawn))), -torch.inf)
        at = 0
        for row, some in zip(q, drawn, strict=True):
            row[: len(some)] = torch.from_numpy(values[at : at + len(some)])
            at += len(some)
        index, gain, kept = best_of_n(q, torch.from_numpy(critic.v(states)), self.quantile)
        other = (index != 0).float().mean()
        lab.say(
            f"  extract: another action than the played one in {other:.0%} of {len(q)} states, gain {gain.mean():.3f}"
        )
        picked = iter(
            Correction(some[i] if ok else None)
            for some, i, ok in zip(drawn, index.tolist(), kept.tolist(), strict=True)
        )
        return [[next(picked) for _ in t.steps] for t in played]


class Proposer:
    """A policy that plays, and notes at every step what else it might have done.

    An episode's meta then has `candidates`: for each step the action played and n − 1 more from p(a)^(1/spread), each
    counted once.
    """

    def __init__(self, policy: Policy, n: int, spread: float) -> None:
        self.policy, self.n, self.spread, self.name = policy, n, spread, policy.name
        self._drawn: dict[int, list[list[str]]] = {}
        self._seed = 0

    def begin(self, seed: int) -> None:
        """Start a rollout."""
        self._seed = seed
        self._drawn.clear()
        self.policy.begin(seed)

    def release(self, episode: int) -> dict[str, Any]:
        """Free what the policy holds of an episode, and return its candidates."""
        self.policy.release(episode)
        return {"candidates": self._drawn.pop(episode)}

    def act(self, turns: Sequence[Turn]) -> list[Decision]:
        """Return the policy's decisions."""
        decisions = self.policy.act(turns)
        for turn, d in zip(turns, decisions, strict=True):
            rng = np.random.default_rng([self._seed, turn.episode, turn.t, 29])
            more = draw(d.candidates, self.n - 1, self.spread, rng)
            self._drawn.setdefault(turn.episode, []).append(list(dict.fromkeys([d.action, *more])))
        return decisions


def draw(candidates: Sequence[Candidate], n: int, spread: float, rng: np.random.Generator) -> list[str]:
    """Draw n actions, with repetition, from p(a)^(1/spread)."""
    scores = np.array([c.logprob for c in candidates]) / spread
    p = np.exp(scores - scores.max())
    return [candidates[i].action for i in rng.choice(len(p), n, p=p / p.sum())]


def cached(lab: Lab, features: Features) -> CachedFeatures:
    """Return the features, kept with the run as they are computed."""
    return CachedFeatures(features, lab.run.part("features", f"{Path(features.name).name}.bin"))


def changes(trajectory: Trajectory) -> list[bool]:
    """Return for every step whether the world took the action and then looked otherwise."""
    after = trajectory.observations[1:]
    return [not s.invalid and s.observation != o for s, o in zip(trajectory.steps, after, strict=True)]


def look(features: ModelFeatures, state: str, action: str, answer: tuple[int, float]) -> Example:
    """Return the question "does this action change the screen?", its answer (id, weight) one token behind the action."""
    ids = (*features.prompt(state), *features.reply(action))
    open_ = len(ids) - 1
    targets, weights = (*[IGNORE] * open_, answer[0]), (*[0.0] * open_, answer[1])
    return Example(ids, tuple(range(len(ids))), (0,) * len(ids), targets, weights)


def answered(backbone: Student, questions: Sequence[Example], batch: int = 16) -> float:
    """Return the share of questions whose answer has more than half the chances, yes and no weighing the same in all."""
    right = total = 0.0
    with torch.inference_mode():
        for k in range(0, len(questions), batch):
            logp, weights = update.logps(backbone.model, collate(questions[k : k + batch], backbone.model.device))
            right += float((weights * (logp.exp() > 0.5)).sum())
            total += float(weights.sum())
    return right / total
