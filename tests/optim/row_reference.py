"""What the tests of the optimizers share: gradients, rules, and a reference that works by rows."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

import finetune_embed as fe

V, D = 9, 4
Rows = dict[int, np.ndarray]


def start(seed: int = 0, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.randn(V, D, generator=torch.Generator().manual_seed(seed)).to(dtype)


def random_steps(seed: int, steps: int, most: int = V) -> list[Rows]:
    """Return for each step the rows it touches and their gradients (exact in few bits)."""
    rng = np.random.default_rng(seed)
    plan = []
    for _ in range(steps):
        rows = rng.choice(V, rng.integers(0, most + 1), replace=False)
        # eighths, whose sums are exact in any order, and never 0
        grads = rng.integers(1, 9, (len(rows), D)) * rng.choice([-1, 1], (len(rows), D)) / 8
        plan.append({int(row): grad for row, grad in zip(rows, grads, strict=True)})
    return plan


def dense(rows: Rows, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    grad = torch.zeros(V, D, dtype=dtype)
    for row, value in rows.items():
        grad[row] = torch.from_numpy(value).to(dtype)
    return grad


def sparse(rows: Rows, dtype: torch.dtype = torch.float32, *, parts: int = 1) -> torch.Tensor:
    """Return the same gradient as a sparse tensor, each row split into this number of parts."""
    # 3/4 and 1/4 of an eighth are exact in float32
    shares = {1: (1.0,), 2: (0.75, 0.25), 3: (0.5, 0.25, 0.25)}[parts]
    index = [row for _ in shares for row in rows]
    values = [share * value for share in shares for value in rows.values()]
    data = torch.tensor(np.array(values).reshape(len(index), D), dtype=dtype)
    return torch.sparse_coo_tensor(
        torch.tensor([index], dtype=torch.int64), data, (V, D), check_invariants=True
    )


def spread(optimizer: Any, weight: torch.Tensor, name: str) -> torch.Tensor:
    """Return an entry of a table's state for all of its rows, zeros where they have none."""
    state = optimizer.state[weight]
    rows = torch.zeros(V, *state[name].shape[1:], dtype=state[name].dtype)
    rows[state["rows"]] = state[name]
    return rows


class Reference:
    """An optimizer by rows in plain Python and float64, which follows `RowOptimizer`'s docstring.

    A subclass has the update.
    """

    def __init__(
        self, weight: torch.Tensor, weight_decay: float = 0.0, rule: fe.RowRule | None = None
    ) -> None:
        self.w = weight.double().numpy().copy()
        self.weight_decay, self.rule = weight_decay, rule or fe.RowRule()
        self.n = [0] * V
        self.missed: list[list[float]] = [[] for _ in range(V)]  # the rates of the steps missed

    def update(self, row: int, grad: np.ndarray) -> np.ndarray:
        """Return what the rate is multiplied by, in step `n[row]` of the row."""
        raise NotImplementedError

    def anchor(self, row: int) -> np.ndarray:
        if self.rule.anchor is None:
            return np.zeros(D)
        return self.rule.anchor[row].double().numpy()

    def make_up(self, row: int) -> None:
        """Decay a row for the steps it has missed, all of weight decay before all of the rule's."""
        for lr in self.missed[row]:
            self.w[row] *= 1 - lr * self.weight_decay
        for lr in self.missed[row]:
            self.w[row] += (self.anchor(row) - self.w[row]) * (lr * self.rule.decay)
        self.missed[row] = []

    def step(self, rows: Rows, lr: float, gate: float = 1.0) -> None:
        rule = self.rule
        for row in range(V):
            grad = rows.get(row)
            masked = rule.train is not None and not bool(rule.train[row])
            if grad is None or not grad.any() or masked:
                if self.n[row]:
                    self.missed[row].append(lr)
                continue
            # the weight decay of this step comes with the missed ones: AdamW decays, then updates
            for past in [*self.missed[row], lr]:
                self.w[row] *= 1 - past * self.weight_decay
            for past in self.missed[row]:
                self.w[row] += (self.anchor(row) - self.w[row]) * (past * rule.decay)
            self.missed[row] = []
            self.n[row] += 1
            scale = 1.0 if rule.scale is None else float(rule.scale[row])
            self.w[row] -= lr * scale * gate * self.update(row, grad)
            self.apply_rule(row, lr)

    def apply_rule(self, row: int, lr: float) -> None:
        """In the documented order: decay, shrink, radius, max_norm."""
        rule, anchor = self.rule, self.anchor(row)
        delta = (self.w[row] - anchor) * (1 - lr * rule.decay)
        length = math.sqrt(float((delta**2).sum()))
        if length > 0:
            shrunk = max(0.0, length - lr * rule.shrink)
            delta = delta * (min(shrunk, rule.radius) / length)
        self.w[row] = anchor + delta
        length = math.sqrt(float((self.w[row] ** 2).sum()))
        if length > rule.max_norm:
            self.w[row] *= rule.max_norm / length

    def flush(self) -> None:
        for row in range(V):
            if any(self.missed[row]):
                self.make_up(row)
                self.apply_rule(row, lr=0.0)


class AdamReference(Reference):
    def __init__(
        self,
        weight: torch.Tensor,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        rule: fe.RowRule | None = None,
    ) -> None:
        super().__init__(weight, weight_decay, rule)
        self.betas, self.eps = betas, eps
        self.m, self.v = np.zeros((V, D)), np.zeros((V, D))

    def update(self, row: int, grad: np.ndarray) -> np.ndarray:
        beta1, beta2 = self.betas
        self.m[row] = beta1 * self.m[row] + (1 - beta1) * grad
        self.v[row] = beta2 * self.v[row] + (1 - beta2) * grad**2
        first = self.m[row] / (1 - beta1 ** self.n[row])
        second = self.v[row] / (1 - beta2 ** self.n[row])
        return first / (np.sqrt(second) + self.eps)


class AdagradReference(Reference):
    def __init__(self, weight: torch.Tensor, *, start: float, per_row: bool, **given: Any) -> None:
        super().__init__(weight, **given)
        self.per_row, self.s = per_row, np.full((V, D), start)

    def update(self, row: int, grad: np.ndarray) -> np.ndarray:
        self.s[row] += (grad**2).mean() if self.per_row else grad**2
        return grad / (np.sqrt(self.s[row]) + 1e-10)


class SGDReference(Reference):
    def __init__(self, weight: torch.Tensor, *, momentum: float, **given: Any) -> None:
        super().__init__(weight, **given)
        self.momentum, self.b = momentum, np.zeros((V, D))

    def update(self, row: int, grad: np.ndarray) -> np.ndarray:
        self.b[row] = self.momentum * self.b[row] + grad
        return self.b[row]


RULES: dict[str, Callable[[], fe.RowRule]] = {
    "none": fe.RowRule,
    "train": lambda: fe.RowRule(train=torch.arange(V) % 3 != 0),
    "scale": lambda: fe.RowRule(scale=torch.linspace(0, 2, V)),
    "decay": lambda: fe.RowRule(decay=2.0),
    "anchor and decay": lambda: fe.RowRule(anchor=start(5), decay=2.0),
    "shrink": lambda: fe.RowRule(anchor=start(), shrink=0.5),
    "radius": lambda: fe.RowRule(anchor=start(), radius=0.05),
    "max_norm": lambda: fe.RowRule(max_norm=1.5),
    "all": lambda: fe.RowRule(
        train=torch.arange(V) != 4,
        scale=torch.linspace(0.5, 3, V),
        anchor=start(5),
        decay=1.0,
        shrink=1.0,
        radius=1.2,
        max_norm=1.1,
    ),
}


def rate_at(step: int) -> float:
    return 0.05 * (1 + (step * 7) % 5) / 5
