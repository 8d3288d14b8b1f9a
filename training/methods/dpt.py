"""DPT: a transformer that has learned to name the best arm from what was pulled explores by drawing from its answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.random import Generator
from torch import Tensor, nn
from torch.nn import functional as F

from ...envs.bandits import dpt, engine
from ...envs.bandits.engine import Counts, Floats, Ints
from ...envs.errors import at_least, choice
from .. import update

LABELS = ("best", "next")
PULL = 3
"""Numbers that a pull is read as; see `InContext.pulls`."""


@dataclass(frozen=True, slots=True)
class Pretraining:
    """What is learned, and how.

    L = −Σ_t log p(a* | a_1, r_1, …, a_t, r_t), with a* the best arm of a fresh bandit and a_1 … a_T pulled by a random
    behaviour that knows nothing of it; the bandits are new at every step, so nothing is seen twice.
    Source: DPT, arXiv 2306.14892, Algorithm 1 and App. A: 5 arms with means U[0, 1], noise of sd .3. Deviations: the sum
    is over `lengths` numbers of pulls up to T^∛u, u uniform, both drawn anew at every step: few more often than many,
    which is cheaper; the network is not a GPT-2 that reads pull after pull but a query an arm that reads them all
    (`InContext`); Muon in place of AdamW.

    label: best, the paper's a*; or next, the arm that the behaviour pulls next, which takes the idea out.
    horizon: T. batch: bandits a step. width, layers, heads: of the network. lr: of AdamW's part, see `update.muon`.
    """

    label: str = "best"
    arms: int = 5
    horizon: int = 500
    steps: int = 4000
    batch: int = 192
    lengths: int = 3
    width: int = 64
    layers: int = 3
    heads: int = 4
    lr: float = 2e-3

    def __post_init__(self) -> None:
        choice("dpt.label", self.label, LABELS)
        whole = ("steps", "batch", "lengths", "width", "layers", "heads")
        at_least(1, "dpt.", **{name: getattr(self, name) for name in whole})
        at_least(2, "dpt.", arms=self.arms, horizon=self.horizon)
        if self.width % self.heads:
            raise ValueError(f"dpt.width={self.width}: needs a multiple of dpt.heads={self.heads}")


class Block(nn.Module):
    """A query looks at its arm's pulls, then at the other arms' queries, then thinks; each behind a norm."""

    def __init__(self, plan: Pretraining) -> None:
        super().__init__()
        d, seen = plan.width, plan.heads * PULL
        self.heads = plan.heads
        self.norm1, self.norm2, self.norm3 = nn.LayerNorm(d), nn.LayerNorm(d), nn.LayerNorm(d)
        self.ask, self.take = nn.Linear(d, seen), nn.Linear(seen, d)
        self.meet, self.met = nn.Linear(d, 3 * d), nn.Linear(d, d)
        self.up, self.down = nn.Linear(d, 4 * d), nn.Linear(4 * d, d)

    def forward(self, x: Tensor, pulls: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return the new states of the queries, (B, n, K, d).

        pulls: (B, K, m, PULL), as every arm sees them. mask: (n·H, m), True where a query's head may look.
        """
        q = self.ask(self.norm1(x)).unflatten(-1, (self.heads, PULL)).permute(0, 2, 1, 3, 4)  # (B, K, n, H, PULL)
        seen = F.scaled_dot_product_attention(q.flatten(2, 3), pulls, pulls, attn_mask=mask, scale=1.0)
        x = x + self.take(seen.reshape(len(x), x.shape[2], x.shape[1], -1).transpose(1, 2))
        three: Tensor = self.meet(self.norm2(x)).unflatten(-1, (3, self.heads, -1))  # (B, n, K, 3, H, d/H)
        q, k, v = three.permute(3, 0, 1, 4, 2, 5)
        x = x + self.met(F.scaled_dot_product_attention(q, k, v).transpose(2, 3).flatten(3))
        out: Tensor = x + self.down(F.gelu(self.up(self.norm3(x))))
        return out


class InContext(nn.Module):
    """Says, after some pulls, how likely every arm is to be the best.

    A transformer of queries, one for every arm and number of pulls. In each layer it looks at the pulls, and what it has
    seen decides what it looks for in the next. All arms share the weights, so that what is learned of one holds for all.
    Pulls are their own keys and values: they neither look at one another nor have places, since their order tells nothing.
    A query knows their number.
    """

    def __init__(self, plan: Pretraining) -> None:
        super().__init__()
        self.plan = plan
        self.embed_time = nn.Linear(2, plan.width)
        self.blocks = nn.ModuleList(Block(plan) for _ in range(plan.layers))
        self.norm, self.lm_head = nn.LayerNorm(plan.width), nn.Linear(plan.width, 1)

    def pulls(self, arms: Tensor, rewards: Tensor) -> Tensor:
        """Return pulls (...) as every arm sees them, (..., K, PULL): whether it is its own, what it then paid, and 0."""
        own = F.one_hot(arms, self.plan.arms).float()
        return torch.stack([own, own * rewards[..., None].float(), torch.zeros_like(own)], -1)

    def room(self, batch: int, pulls: int) -> Tensor:
        """Return room for some pulls behind a mark that is there before any, (B, K, 1 + T, PULL)."""
        room = torch.zeros(batch, self.plan.arms, pulls + 1, PULL)
        room[:, :, 0, -1] = 1.0
        return room

    def forward(self, seen: Tensor, lengths: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return the logits of the arms, (B, n, K), of queries that know of `lengths` (n,) pulls; mask: (n, m)."""
        t = lengths.float()
        known = self.embed_time(torch.stack([t / self.plan.horizon, t.log1p()], -1))
        x = known[None, :, None].expand(len(seen), -1, self.plan.arms, -1)
        heads = None if mask is None else mask.repeat_interleave(self.plan.heads, 0)
        for block in self.blocks:
            x = block(x, seen, heads)
        logits: Tensor = self.lm_head(self.norm(x)).squeeze(-1)
        return logits

    def after(self, arms: Tensor, rewards: Tensor, lengths: Tensor) -> Tensor:
        """Return the logits of the arms after the first `lengths` (n,) of the pulls (B, T), shape (B, n, K)."""
        seen = self.room(*arms.shape)
        seen[:, :, 1:] = self.pulls(arms, rewards).transpose(1, 2)
        logits: Tensor = self(seen, lengths, torch.arange(arms.shape[1] + 1) <= lengths[:, None])
        return logits


def pretrain(
    plan: Pretraining, seed: int, on_step: Callable[[dict[str, float]], None] | None = None
) -> tuple[InContext, dict[str, float]]:
    """Return a network trained on random behaviour in fresh bandits, and its loss at the end.

    Raises:
        FloatingPointError: the loss is not finite.
    """
    rng = np.random.default_rng([seed, 23])
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = InContext(plan)
    optimizers = update.muon(model, plan.lr)
    scale = update.scaled(optimizers)
    log = np.empty(plan.steps)
    for n in range(plan.steps):
        loss = _loss(model, plan, rng)
        if not bool(torch.isfinite(loss)):
            raise FloatingPointError(f"loss {float(loss)} at step {n + 1} of {plan.steps}: lower dpt.lr={plan.lr}")
        scale(min(1.0, (n + 1) / 50, 2 * (1 - n / plan.steps)))
        loss.backward()  # type: ignore[no-untyped-call]
        update.move(model, optimizers, 1.0)
        log[n] = float(loss.detach())
        if on_step is not None:
            on_step({"step": n + 1, "steps": plan.steps, "loss": log[n]})
    model.eval()
    return model, {"loss": float(log[-max(1, plan.steps // 10) :].mean()), "steps": float(plan.steps)}


def _loss(model: InContext, plan: Pretraining, rng: Generator) -> Tensor:
    longest = int(np.ceil(plan.horizon ** np.cbrt(rng.random())))
    played, best = dpt.roll_in(engine.uniform(rng, plan.batch, plan.arms), longest, rng)
    arms, rewards = torch.from_numpy(played.arms.T.copy()), torch.from_numpy(played.rewards.T.copy())
    lengths = torch.from_numpy(rng.integers(longest + (plan.label == "best"), size=plan.lengths))
    logits = model.after(arms, rewards, lengths)
    label = arms[:, lengths] if plan.label == "next" else torch.from_numpy(best)[:, None].expand(-1, plan.lengths)
    return F.cross_entropy(logits.flatten(0, 1), label.flatten())


class Deployed:
    """A pre-trained network as a bandit algorithm: it draws from its answer, which samples the posterior.

    Source: DPT, arXiv 2306.14892, Algorithm 2 (online). It reads the last pull off the counts, which grew by it.

    draw: False takes the likeliest arm instead, the paper's offline rule.
    """

    def __init__(self, model: InContext, draw: bool = True) -> None:
        self.model, self.draw = model, draw
        self._seen = model.room(0, 0)
        self._n: Floats = np.zeros((0, 0))
        self._s: Floats = np.zeros((0, 0))

    @torch.inference_mode()
    def __call__(self, counts: Counts, rng: Generator) -> Ints:
        """Return an arm for each of B bandits, (B,)."""
        batch, t = len(counts.n), counts.t
        if t == 0:
            self._seen = self.model.room(batch, self.model.plan.horizon)
        else:
            arms = (counts.n - self._n).argmax(1)
            rewards = (counts.s - self._s)[np.arange(batch), arms]
            self._seen[:, :, t] = self.model.pulls(torch.from_numpy(arms), torch.from_numpy(rewards))
        self._n, self._s = counts.n.copy(), counts.s.copy()
        logits = self.model(self._seen[:, :, : t + 1], torch.tensor([t]))[:, 0]
        p: Floats = torch.softmax(logits, -1).double().numpy()
        likeliest: Ints = p.argmax(1)
        return drawn(p, rng) if self.draw else likeliest


def drawn(p: Floats, rng: Generator) -> Ints:
    """Draw an arm from every row of probabilities, (B, K), as (B,)."""
    arms: Ints = (rng.random((len(p), 1)) > p.cumsum(1)[:, :-1]).sum(1)
    return arms


def exact(counts: Counts, sd: float, grid: int = 201) -> Floats:
    """Posterior of which arm is best, for means U[0, 1] and Gaussian noise: what the network should say, (B, K).

    p(a* = a | D) = ∫ f_a(μ) Π_{b≠a} F_b(μ) dμ, with f_b ∝ N(s_b / n_b, σ² / n_b) on [0, 1] and F_b its distribution,
    on a grid.

    >>> exact(Counts(np.zeros((1, 4)), np.zeros((1, 4)), 0), sd=0.3).round(3)
    array([[0.25, 0.25, 0.25, 0.25]])
    """
    mu = (np.arange(grid) + 0.5) / grid
    n, mean = counts.n[..., None], counts.means[..., None]
    logf = -n * (mu - mean) ** 2 / (2 * sd**2)
    f = np.exp(logf - logf.max(-1, keepdims=True))
    f /= f.sum(-1, keepdims=True)
    below = np.maximum(f.cumsum(-1) - f / 2, 1e-300)
    p: Floats = (f * np.exp(np.log(below).sum(1, keepdims=True) - np.log(below))).sum(-1)
    p /= p.sum(-1, keepdims=True)
    return p


def posterior_sampling(counts: Counts, rng: Generator, *, sd: float) -> Ints:
    """Thompson sampling with the exact posterior, which DPT comes to where it has learned all there is."""
    return drawn(exact(counts, sd), rng)
