"""A basis of Lanczos' that grows until eigenpairs are good enough."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from samdyn.networks.curvature.krylov import Krylov

_FINEST = 32.0
"""Residuals are not asked to be below so many times the rounding of the largest eigenvalue."""

_DOUBT, _MARGIN = 0.01, 0.05
"""How sure it is that no larger eigenvalue was missed, and how much larger it would have to be."""

_NEW = 1e-3
"""Values that a second look changes by this share of the spectrum's width call for a third."""


class Search:
    """A basis that grows until its best Ritz pairs are good enough and none was missed."""

    def __init__(self, krylov: Krylov, k: int, rank: Callable, tol: float):
        self.krylov, self.k, self.rank, self.tol = krylov, k, rank, tol
        self.low, self.high = np.inf, -np.inf  # the ends of the spectrum, as far as seen
        self.since: int | None = None  # products at the start of a second look
        self.before = np.zeros(k)  # the best values then

    def run(self, most: int) -> tuple[Tensor, Tensor, Tensor, bool]:
        """Values, vectors, residuals, and whether these are small enough."""
        krylov = self.krylov
        while True:
            krylov.extend()
            values, mixtures = self.ritz()
            enough = len(values) >= self.k
            good = enough and self.small(krylov.left * np.abs(mixtures[-1, : self.k]), values, 0.5)
            out = krylov.hessian.products >= most
            if good and not out and self.surprised(values):
                self.look(values, mixtures)
                continue
            good = good and self.sure(values)
            if good or (out and enough):
                vectors, wrong = self.measured(values, mixtures)
                residuals = torch.linalg.vector_norm(wrong, dim=1)
                good = good and self.small(residuals.cpu().double().numpy(), values, 1.0)
                if good or out or krylov.complete:
                    best = torch.as_tensor(values[: self.k]).to(vectors)
                    return best, vectors, residuals, good
                krylov.renew(wrong[residuals.argmax()])
            if krylov.full:
                some = self.k + (len(values) - self.k) // 2
                krylov.keep(mixtures[:, :some], values[:some])

    def ritz(self) -> tuple[np.ndarray, np.ndarray]:
        """Eigenvalues and eigenvectors of the projection, the most wanted first."""
        values, mixtures = np.linalg.eigh(self.krylov.matrix)
        self.low, self.high = min(self.low, values[0]), max(self.high, values[-1])
        order = np.argsort(-self.rank(values), kind="stable")
        return values[order], mixtures[:, order]

    def small(self, residuals: np.ndarray, values: np.ndarray, share: float) -> bool:
        """Whether the residuals of the best pairs are at most a share of what is allowed."""
        allowed = np.maximum(self.tol * np.abs(values[: self.k]), self.rounding())
        return bool(np.all(residuals <= share * allowed))

    def surprised(self, values: np.ndarray) -> bool:
        """Whether to look for missed pairs: at first, and after a look that found some."""
        if self.k == 1 or self.krylov.complete:
            return False
        change = np.abs(values[: self.k] - self.before).max()
        return self.since is None or bool(
            change > max(_NEW * (self.high - self.low), self.rounding())
        )

    def look(self, values: np.ndarray, mixtures: np.ndarray) -> None:
        """Go on with a random vector, orthogonal to the best pairs."""
        self.before, self.since = values[: self.k].copy(), self.krylov.hessian.products
        self.krylov.keep(mixtures[:, : self.k], self.before)
        self.krylov.renew()

    def sure(self, values: np.ndarray) -> bool:
        """Whether the second look has lasted long enough."""
        krylov, k = self.krylov, self.k
        if k == 1 or krylov.complete:
            return True
        if self.since is None:
            return False
        gap = self.rank(values)[k - 1] - self.rank(values)[k]
        width = max(self.high - self.low, self.rounding())
        share = min(1.0, max(gap / width, _MARGIN)) if width else 1.0
        doubt = math.log(1.648 * math.sqrt(krylov.hessian.dimension) / _DOUBT)
        steps = krylov.hessian.products - self.since
        return 2 * steps - 1 >= doubt / math.sqrt(share)

    def rounding(self) -> float:
        """The smallest residual that is asked for."""
        finest = _FINEST * torch.finfo(self.krylov.vectors.dtype).eps
        return finest * max(abs(self.low), abs(self.high))

    def measured(self, values: np.ndarray, mixtures: np.ndarray) -> tuple[Tensor, Tensor]:
        """The best Ritz vectors v, of shape (k, d), and their H v - value v."""
        vectors = self.krylov.mixed(mixtures[:, : self.k])
        wrong = torch.empty_like(vectors)
        for i, v in enumerate(vectors):
            v /= torch.linalg.vector_norm(v)
            wrong[i] = self.krylov.hessian(v) - float(values[i]) * v
        return vectors, wrong
