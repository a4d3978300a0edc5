"""Lanczos' method with full reorthogonalisation: an orthonormal basis, vector by vector."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from samdyn.networks.curvature.hessian import Hessian
from samdyn.networks.curvature.probes import Probes

_COLUMNS = 1 << 20

_BREAKDOWN = 16.0
"""What is left of a product, in units of rounding, below which nothing is left of it."""


class Krylov:
    """Orthonormal vectors V, the Hessian projected onto them, and the vector to come next.

    ``H V = V matrix + next * coupling^T`` holds up to rounding, with next orthogonal to V.

    Parameters
    ----------
    hessian : Hessian
    start : Tensor, shape (d,)
        Of any length but 0.
    room : int
        At most so many vectors are held, and the one to come next.
    draw : Probes
        Where the start spans no more than an invariant subspace, it goes on at random.

    Attributes
    ----------
    size : int
        The number of vectors.
    left : float
        The length of what the last product has outside the basis; 0 where it has nothing.
    """

    def __init__(self, hessian: Hessian, start: Tensor, room: int, draw: Probes):
        self.hessian, self.draw = hessian, draw
        self.vectors = start.new_empty(room + 1, hessian.dimension)
        self.vectors[0] = start / torch.linalg.vector_norm(start)
        self._matrix = np.zeros((room, room))
        self.size, self.left = 0, np.inf

    @property
    def matrix(self) -> np.ndarray:
        """The Hessian projected onto the basis, of shape (size, size)."""
        return self._matrix[: self.size, : self.size]

    @property
    def full(self) -> bool:
        """Whether there is room for no more vectors."""
        return self.size == len(self._matrix)

    @property
    def complete(self) -> bool:
        """Whether the basis spans the whole space."""
        return self.size == self.hessian.dimension

    def extend(self) -> None:
        """Take the next vector in, at the cost of one product."""
        j = self.size
        self.size = j + 1
        product = self.hessian(self.vectors[j])
        length = float(torch.linalg.vector_norm(product))
        within = self._remove(product) + self._remove(product)
        self._matrix[j, : j + 1] = self._matrix[: j + 1, j] = within
        self.left = float(torch.linalg.vector_norm(product))
        # about the largest eigenvalue seen, against which rounding is measured
        scale = max(length, float(np.abs(np.diag(self.matrix)).max()))
        if self.complete or self.left <= _BREAKDOWN * torch.finfo(product.dtype).eps * scale:
            self.left = 0.0
        if self.left:
            self.vectors[self.size] = product / self.left
        elif not self.complete:
            self.renew()

    def renew(self, other: Tensor | None = None) -> None:
        """Let another vector come next, by default a random one, made orthogonal to the basis."""
        other = self.draw.normal() if other is None else other.clone()
        for _ in range(3):
            other /= torch.linalg.vector_norm(other)
            self._remove(other)
        self.vectors[self.size] = other / torch.linalg.vector_norm(other)

    def keep(self, mixtures: np.ndarray, values: np.ndarray) -> None:
        """Keep some Ritz vectors, in place of the whole basis, and the vector to come next.

        Parameters
        ----------
        mixtures : ndarray, shape (size, kept)
            Eigenvectors of `matrix`.
        values : ndarray, shape (kept,)
            Their eigenvalues.
        """
        kept = len(values)
        weights = torch.as_tensor(mixtures.T.copy()).to(self.vectors)
        for columns in self.vectors.split(_COLUMNS, dim=1):  # in place, but for some columns
            columns[:kept] = weights @ columns[: self.size]
        self.vectors[kept] = self.vectors[self.size]
        self.size = kept
        self._matrix[:kept, :kept] = np.diag(values)

    def mixed(self, mixtures: np.ndarray) -> Tensor:
        """Mixtures of the basis, of shape (kept, d)."""
        weights = torch.as_tensor(mixtures.T.copy()).to(self.vectors)
        return weights @ self.vectors[: self.size]

    def _remove(self, vector: Tensor) -> np.ndarray:
        """Take what lies in the basis out of a vector, in place, and return how much."""
        basis = self.vectors[: self.size]
        within = basis @ vector
        vector -= within @ basis
        return within.cpu().double().numpy()
