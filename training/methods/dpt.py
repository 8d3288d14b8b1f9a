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
from ...envs.bandits.engine import Bandits, Counts, Floats, Ints
from ...envs.errors import at_least, choice
from .. import update

LABELS = ("best", "next")


@dataclass(frozen=True, slots=True)
class Pretraining:
    """What is learned, and how.

    L = −Σ_{t=0..T} log p(a* | a_1, r_1, …, a_t, r_t), with a* the best arm of a fresh bandit and a_1 … a_T pulled by a
    random behaviour that knows nothing of it; the bandits are new at every step, so nothing is seen twice.
    Source: DPT, arXiv 2306.14892, Algorithm 1 and App. A: 5 arms with means U[0, 1], noise of sd .3. Deviations: no
    position embedding, since the order of the pulls tells nothing, and so the pulls are not shuffled; the first
    `short` of the steps read `short_horizon` pulls of more bandits, which is cheaper; Muon in place of AdamW.

    label: best, the paper's a*; or next, the arm that the behaviour pulls next, which takes the idea out.
    steps, batch, horizon: of the last steps. width, layers, heads: of the network. lr: of AdamW's part, see `update.muon`.
    """

    label: str = "best"
    arms: int = 5
    horizon: int = 500
    steps: int = 1500
    batch: int = 32
    short: float = 0.6
    short_horizon: int = 80
    width: int = 64
    layers: int = 3
    heads: int = 4
    lr: float = 2e-3

    def __post_init__(self) -> None:
        choice("dpt.label", self.label, LABELS)
        whole = ("horizon", "steps", "batch", "short_horizon", "width", "layers", "heads")
        at_least(1, "dpt.", **{name: getattr(self, name) for name in whole})
        at_least(2, "dpt.", arms=self.arms)
        if self.width % self.heads:
            raise ValueError(f"dpt.width={self.width}: needs a multiple of dpt.heads={self.heads}")
        if not 0 <= self.short <= 1:
            raise ValueError(f"dpt.short={self.short}: needs a share, from 0 to 1")


class Block(nn.Module):
    """Causal self-attention and a feed-forward layer, each behind a norm."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.read, self.write = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: Tensor, held: Tensor | None = None, t: int = 0) -> Tensor:
        """Return the new states of n tokens, (B, n, d); with `held` one token, whose keys and values are kept at t."""
        q, k, v = (
            h.unflatten(-1, (self.heads, -1)).transpose(1, 2) for h in self.read(self.norm1(x)).chunk(3, -1)
        )  # (B, H, n, d/H)
        if held is not None:
            held[0, :, :, t], held[1, :, :, t] = k[:, :, 0], v[:, :, 0]
            k, v = held[:, :, :, : t + 1]
        seen = F.scaled_dot_product_attention(q, k, v, is_causal=held is None)
        x = x + self.write(seen.transpose(1, 2).flatten(2))
        return x + self.down(F.gelu(self.up(self.norm2(x))))


class InContext(nn.Module):
    """Reads pulls and says, after each, how likely every arm is to be the best."""

    def __init__(self, plan: Pretraining) -> None:
        super().__init__()
        self.plan = plan
        self.start = nn.Parameter(0.02 * torch.randn(plan.width))
        self.embed_pull = nn.Linear(2 * plan.arms, plan.width)
        self.blocks = nn.ModuleList(Block(plan.width, plan.heads) for _ in range(plan.layers))
        self.norm, self.lm_head = nn.LayerNorm(plan.width), nn.Linear(plan.width, plan.arms)

    def pulls(self, arms: Tensor, rewards: Tensor) -> Tensor:
        """Return pulls as tokens, (..., d): which arm, and the reward in that arm's own slot."""
        which = F.one_hot(arms, self.plan.arms).float()
        tokens: Tensor = self.embed_pull(torch.cat([which, which * rewards[..., None].float()], -1))
        return tokens

    def forward(self, arms: Tensor, rewards: Tensor) -> Tensor:
        """Return the logits of the arms after 0 … T pulls, (B, T + 1, K), of arms and rewards (B, T)."""
        x = torch.cat([self.start.expand(len(arms), 1, -1), self.pulls(arms, rewards)], 1)
        for block in self.blocks:
            x = block(x)
        logits: Tensor = self.lm_head(self.norm(x))
        return logits

    def cache(self, batch: int, horizon: int) -> Tensor:
        """Return room for the keys and values of a whole episode, (L, 2, B, H, T + 1, d/H)."""
        p = self.plan
        return torch.zeros(p.layers, 2, batch, p.heads, horizon + 1, p.width // p.heads)

    def step(self, token: Tensor, held: Tensor, t: int) -> Tensor:
        """Return the logits after the t-th token, (B, K), of tokens (B, d); `held` is of `cache` and has the earlier ones."""
        x = token[:, None]
        for block, own in zip(self.blocks, held, strict=True):
            x = block(x, own, t)
        logits: Tensor = self.lm_head(self.norm(x))[:, 0]
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
        short = n < plan.short * plan.steps
        horizon = min(plan.short_horizon, plan.horizon) if short else plan.horizon
        bandits = engine.uniform(rng, plan.batch * (plan.horizon // horizon), plan.arms)
        loss = _loss(model, plan.label, bandits, horizon, rng)
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


def _loss(model: InContext, label: str, bandits: Bandits, horizon: int, rng: Generator) -> Tensor:
    played, best = dpt.roll_in(bandits, horizon, rng)
    arms, rewards = torch.from_numpy(played.arms.T.copy()), torch.from_numpy(played.rewards.T.copy())
    logits = model(arms, rewards)
    if label == "next":
        return F.cross_entropy(logits[:, :-1].flatten(0, 1), arms.flatten())
    return F.cross_entropy(logits.flatten(0, 1), torch.from_numpy(best).repeat_interleave(horizon + 1))


class Deployed:
    """A pre-trained network as a bandit algorithm: it draws from its answer, which samples the posterior.

    Source: DPT, arXiv 2306.14892, Algorithm 2 (online). It reads the last pull off the counts, which grew by it.

    draw: False takes the likeliest arm instead, the paper's offline rule. horizon: the longest episode.
    """

    def __init__(self, model: InContext, horizon: int, draw: bool = True) -> None:
        self.model, self.horizon, self.draw = model, horizon, draw
        self._held = model.cache(0, 0)
        self._n: Floats = np.zeros((0, 0))
        self._s: Floats = np.zeros((0, 0))

    @torch.inference_mode()
    def __call__(self, counts: Counts, rng: Generator) -> Ints:
        """Return an arm for each of B bandits, (B,)."""
        batch = len(counts.n)
        if counts.t == 0:
            self._held = self.model.cache(batch, self.horizon)
            token = self.model.start.expand(batch, -1)
        else:
            arms = (counts.n - self._n).argmax(1)
            rewards = (counts.s - self._s)[np.arange(batch), arms]
            token = self.model.pulls(torch.from_numpy(arms), torch.from_numpy(rewards))
        self._n, self._s = counts.n.copy(), counts.s.copy()
        p = torch.softmax(self.model.step(token, self._held, counts.t), -1).double().numpy()
        if not self.draw:
            likeliest: Ints = p.argmax(1)
            return likeliest
        drawn: Ints = (rng.random((batch, 1)) > p.cumsum(1)[:, :-1]).sum(1)
        return drawn


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
    p = exact(counts, sd)
    drawn: Ints = (rng.random((len(p), 1)) > p.cumsum(1)[:, :-1]).sum(1)
    return drawn
