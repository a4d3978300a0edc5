"""The Hessians of the samples of a finite sum, and the gradients of their eigenvalues."""

from __future__ import annotations

from typing import Any

import numpy as np

from samdyn.analysis.minimizers.split import FLAT
from samdyn.losses.derivatives import upper
from samdyn.losses.loss import Loss


class Samples:
    """The samples of a loss with data, at points of shape (m, d)."""

    def __init__(self, loss: Loss):
        sample = loss.sample
        if sample is None or not len(sample.table):
            raise ValueError(
                "per_sample needs a loss with data, of which SAM takes one sample a step"
            )
        self.loss, self.sample = loss, sample

    def tops(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The largest eigenvalue of each Hessian, (m, n), and its gradient, (m, n, d)."""
        values, vectors = np.linalg.eigh(self._hessians(points))
        columns = list(np.moveaxis(vectors[..., :, -1], -1, 0))
        return values[..., -1], self._read(3, points, [*columns, *columns])

    def largest(self, points: np.ndarray, when: str) -> np.ndarray:
        """The largest eigenvalue of all samples at each point, shape (m,).

        Raises
        ------
        ValueError
            If the points are no minimisers of every sample, or a Hessian has a rank above 1.
        """
        values = np.linalg.eigvalsh(self._hessians(points))
        largest = values[..., -1].max(axis=-1)
        size = largest * (1.0 + np.linalg.norm(points, axis=-1))
        slopes = np.abs(self._read(1, points)).max(axis=(-2, -1))
        if np.any(slopes > 1e-8 * size):
            raise ValueError(f"per_sample needs minimisers of every sample; {when} they are not")
        if np.any(np.abs(values[..., :-1]) > FLAT * largest[:, None, None]):
            raise ValueError(
                "per_sample needs samples whose Hessians have rank 1 at the minimisers, as losses "
                f"l(f_k(w), y_k) do (Wen et al., Setting 5.1); {when} one has a higher rank"
            )
        return largest

    def _hessians(self, points: np.ndarray) -> np.ndarray:
        d = self.loss.dimension
        entries = self._read(2, points)
        matrices = np.empty((*entries.shape[:-1], d, d))
        for k, (i, j) in enumerate(upper(d)):
            matrices[..., i, j] = matrices[..., j, i] = entries[..., k]
        return matrices

    def _read(self, order: int, points: np.ndarray, more: list[Any] | None = None) -> np.ndarray:
        """A derivative of every sample at every point, shape (m, n, outputs)."""
        d, table = self.loss.dimension, self.sample.table
        w = [points[:, None, i] for i in range(d)]
        constants = [np.float64(value) for value in self.loss.constants.values()]
        shape = (len(points), len(table))
        outputs = self.sample.program(order)(*w, *(more or []), *table.T, *constants)
        return np.stack([np.broadcast_to(output, shape) for output in outputs], axis=-1)
