"""AWR and IQL: clone one's own actions, the more the better a critic finds them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from ...agents.critics import Critic, RelationFeatures
from ...agents.teachers import Correction
from ...envs.errors import at_least, positive, share
from ...memory.trajectory import Trajectory
from ..advantages import advantage_weights
from ..critics import Transitions, diagnose, fit, load_critic, save_critic, transitions
from ..examples import own_actions
from ..lab import Lab
from .bc import demonstrate, roll_out_all
from .core import dataset


@dataclass(frozen=True)
class Awr:
    """Advantage-weighted regression, on text.

    Round 0: SFT on demonstrations gives π_0. Round i ≥ 1:
      1. play π_{i−1} on train tasks; failures are kept;
      2. fit V(s_t) to the Monte-Carlo returns G_t of all rounds' episodes, on frozen features of the text, once for each
         of some folds of the episodes, without that fold;
      3. train π_i from π_{i−1} on the demonstrations and on this round's actions, each weighed by
         exp((G_t − V(s_t)) / β), with the V that has not seen the episode.
    Source: AWR, arXiv 1910.00177, Eq. 8 and Algorithm 1. Deviations: the weight ends at e³ where the code ends it at 20;
    demonstrations stay in with weight 1, so that a policy that never wins does not forget them, and of the policy's own
    episodes only the last round's are learned (all there); G_t is the return of the episode (TD(λ) there); the folds: a V
    that was fitted to a few hundred episodes knows their returns by heart, and leaves them no advantage.

    demonstrations: of round 0. iterations: rounds after it. episodes: played in each. temperature: of play. beta: β, in
    units of the return. gamma: of the return; below 1 it tells short ways from long ones. critic_steps, width: of
    the critic, see `agents.critics`. folds: of the episodes. epochs0, epochs, lr: of the fits.
    """

    id: ClassVar[str] = "awr"
    summary: ClassVar[str] = "imitate one's own actions, weighed by their advantage over a fitted value"
    source: ClassVar[str] = "arXiv 1910.00177"
    needs: ClassVar[tuple[str, ...]] = ("oracle",)
    demonstrations: int = 300
    iterations: int = 3
    episodes: int = 300
    temperature: float = 1.0
    beta: float = 0.2
    gamma: float = 0.95
    critic_steps: int = 500
    width: int = 256
    folds: int = 4
    epochs0: float = 6.0
    epochs: float = 4.0
    lr: float | None = None

    def __post_init__(self) -> None:
        whole = ("demonstrations", "episodes", "critic_steps", "width")
        at_least(1, f"{self.id}.", **{name: getattr(self, name) for name in whole})
        at_least(0, f"{self.id}.", iterations=self.iterations)
        at_least(2, f"{self.id}.", folds=self.folds)
        positive(f"{self.id}.", beta=self.beta, temperature=self.temperature, epochs0=self.epochs0, epochs=self.epochs)
        share(f"{self.id}.", gamma=self.gamma)

    @property
    def rounds(self) -> int:
        """The demonstrations' round and `iterations` more."""
        return 1 + self.iterations

    def collect(self, lab: Lab, k: int) -> list[Trajectory]:
        """Return demonstrations first, then the student's own episodes, won or not."""
        if k == 0:
            return demonstrate(lab, self.demonstrations)
        return roll_out_all(lab, k, self.episodes, self.temperature)

    def label(self, lab: Lab, k: int, trajectories: Sequence[Trajectory]) -> list[list[Correction]]:
        """Return the episodes' own actions, from round 1 on weighed by exp(A/β)."""
        if k == 0:
            return [own_actions(t) for t in trajectories]
        earlier = [t for j in range(k) for t in lab.run.stored(f"{j:02d}-train")]
        features = RelationFeatures()
        critic = Critic(features, self.width, seed=lab.seed, reads="told")
        data = transitions([*trajectories, *earlier], critic, lab.make_memory, self.gamma)
        self.judge(lab, critic, data, k)
        save_critic(lab.run.path / "critic", critic)
        gain, knows = torch.zeros(len(data)), []
        for fold in range(self.folds):
            own = data.episode % self.folds == fold
            if not own.any():
                continue
            other = Critic(features, self.width, seed=lab.seed, reads="told")
            self.judge(lab, other, data.where(~own), k)
            gain[own] = self.advantage(other, data.where(own))
            knows.append(diagnose(other, data.where(own))["q_return"])
        lab.say(
            f"  critic: Q and the return correlate at {sum(knows) / len(knows):.2f} on episodes that it has not seen"
        )
        weights = iter(advantage_weights(gain, self.beta).tolist())
        return [[Correction(s.action, s.thought, next(weights)) for s in t.steps] for t in trajectories]

    def judge(self, lab: Lab, critic: Critic, data: Transitions, k: int) -> dict[str, float]:
        """Fit the critic."""
        return fit(critic, data, objective="mc", steps=self.critic_steps, gamma=self.gamma, rng=lab.rng(5, k))

    def advantage(self, critic: Critic, data: Transitions) -> Tensor:
        """Return A of every step, shape (N,)."""
        with torch.inference_mode():
            gain: Tensor = data.g - critic.v_heads(data.v).mean(0)  # a regression over-estimates nothing
        return gain

    def update(self, lab: Lab, k: int, data: Sequence[Sequence[Trajectory]]) -> dict[str, float]:
        """Fit the demonstrations, then these and the round's weighed actions."""
        if k:
            critic, _ = load_critic(lab.run.path / "critic")
            lab.also = lambda folder: save_critic(folder / "critic", critic)
        rows = dataset(lab, [*data[0], *data[k]] if k else data[0])
        epochs = self.epochs if k else self.epochs0
        return lab.student.fit(rows, lab.rng(3, k), epochs=epochs, lr=self.lr, overall=True)


@dataclass(frozen=True)
class Iql(Awr):
    """Implicit Q-learning: AWR with values by bootstrapping, V the expectile of Q over the actions that were taken.

    L_V = |τ − 1[u < 0]| u², u = Q̄(s, a) − V(s);  L_Q = (r + γ (1 − d) V̄(s') − Q(s, a))²;  weights exp((Q − V) / β).
    Source: IQL, arXiv 2110.06169, Eq. 5 to 7, whose β is 1/β here. With τ near 1 an action counts by the best that
    could follow it, so a good step of a lost episode is learned too. Deviations: as `awr`; V̄ follows V
    slowly, and of two heads of V and of Q the least counts (one V without a target there); weights are of the online Q;
    the paper learns offline and once, here every round's play adds to the data.

    tau: τ, the paper's 0.7 to 0.9. All else as `awr` tells.
    """

    id: ClassVar[str] = "iql"
    summary: ClassVar[str] = "imitate one's own actions, weighed by what the best of their kind lead to"
    source: ClassVar[str] = "arXiv 2110.06169"
    tau: float = 0.9

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.tau < 1:
            raise ValueError(f"iql.tau={self.tau}: needs a value between 0 and 1")

    def judge(self, lab: Lab, critic: Critic, data: Transitions, k: int) -> dict[str, float]:
        """Fit Q and V by expectile regression."""
        return fit(
            critic, data, objective="expectile", steps=self.critic_steps, gamma=self.gamma, tau=self.tau,
            rng=lab.rng(5, k),
        )  # fmt: skip

    def advantage(self, critic: Critic, data: Transitions) -> Tensor:
        """Return Q − V of every step, shape (N,)."""
        with torch.inference_mode():
            gain: Tensor = critic.q_heads(data.q).amin(0) - critic.v_heads(data.v).amin(0)
        return gain
