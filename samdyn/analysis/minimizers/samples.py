"""The Hessians of the samples of a finite sum, and the gradients of their eigenvalues."""

from __future__ import annotations

import numpy as np

from samdyn.analysis.minimizers.split import FLAT
from samdyn.losses.loss import Loss


class Samples:
    """The samples of a loss with data, at points of shape (m, d)."""

    def __init__(self, loss: Loss):
        sample = loss.sample
        if sample is None or not len(sample.table):
            raise ValueError(
                "per_sample needs a loss with data, of which SAM takes one sample a step"
            )
        self._each = loss.samples

    def tops(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The largest eigenvalue of each Hessian, (m, n), and its gradient, (m, n, d)."""
        values, vectors = np.linalg.eigh(self._each.hessian(points))
        top = vectors[..., -1]
        return values[..., -1], self._each.third(points, top, top)

    def largest(self, points: np.ndarray, when: str) -> np.ndarray:
        """The largest eigenvalue of all samples at each point, shape (m,).

        Raises
        ------
        ValueError
            If the points are no minimisers of every sample, or a Hessian has a rank above 1.
        """
        values = np.linalg.eigvalsh(self._each.hessian(points))
        largest = values[..., -1].max(axis=-1)
        size = largest * (1.0 + np.linalg.norm(points, axis=-1))
        slopes = np.abs(self._each.grad(points)).max(axis=(-2, -1))
        if np.any(slopes > 1e-8 * size):
            raise ValueError(f"per_sample needs minimisers of every sample; {when} they are not")
        if np.any(np.abs(values[..., :-1]) > FLAT * largest[:, None, None]):
            raise ValueError(
                "per_sample needs samples whose Hessians have rank 1 at the minimisers, as losses "
                f"l(f_k(w), y_k) do (Wen et al., Setting 5.1); {when} one has a higher rank"
            )
        return largest
