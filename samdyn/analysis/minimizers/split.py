"""Directions along a manifold of minimisers, and across it, by the spectrum of the Hessian."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from samdyn.losses.loss import Loss

FLAT = 1e-6
"""Eigenvalues below this part of the largest count as 0.

At a distance d from a manifold of minimisers the eigenvalues along it are of order d, not 0, and
points are projected onto it from d = 1e-8 on; an eigenvalue across it must be seen above that.
"""


class Split(NamedTuple):
    """The spectrum of a Hessian at minimisers, in what lies across their manifold and along it.

    Attributes
    ----------
    eigenvalues : ndarray, shape (…, d)
        Of the Hessian, the largest first.
    vectors : ndarray, shape (…, d, d)
        Its eigenvectors, in columns.
    rank : ndarray of int, shape (…)
        How many eigenvalues are not 0: the codimension of the manifold.
    """

    eigenvalues: np.ndarray
    vectors: np.ndarray
    rank: np.ndarray

    @property
    def across(self) -> np.ndarray:
        """The projector onto the normal space, the range of the Hessian, shape (…, d, d)."""
        kept = np.arange(self.eigenvalues.shape[-1]) < self.rank[..., None]
        columns = self.vectors * kept[..., None, :]
        return columns @ np.swapaxes(columns, -1, -2)

    @property
    def along(self) -> np.ndarray:
        """The projector onto the tangent space, the Hessian's kernel, shape (…, d, d)."""
        return np.eye(self.eigenvalues.shape[-1]) - self.across

    @property
    def top(self) -> np.ndarray:
        """The largest eigenvalue, shape (…)."""
        return self.eigenvalues[..., 0]

    @property
    def smallest(self) -> np.ndarray:
        """The smallest eigenvalue that is not 0, shape (…); 0 where all of them are."""
        last = np.maximum(self.rank - 1, 0)[..., None]
        found = np.take_along_axis(self.eigenvalues, last, axis=-1)[..., 0]
        return np.where(self.rank > 0, found, 0.0)


def split(loss: Loss, points: np.ndarray, flat: float = FLAT) -> Split:
    """Split directions at minimisers into those across their manifold and those along it.

    Where L is a Morse-Bott function about its minimisers the kernel of the Hessian is the tangent
    space (Wen, Ma and Li, arXiv 2211.05729, Assumption 3.3).

    Parameters
    ----------
    loss : Loss
    points : ndarray, shape (…, d)
    flat : float, default 1e-6
        Eigenvalues of a size up to this part of the largest count as 0.

    Examples
    --------
    >>> found = split(Loss("(x*y - 1)**2"), np.array([1.0, 1.0]))
    >>> int(found.rank), found.top.round(12), found.along.round(12)
    (1, np.float64(4.0), array([[ 0.5, -0.5],
           [-0.5,  0.5]]))
    """
    values, vectors = np.linalg.eigh(loss.hessian(points))
    values, vectors = values[..., ::-1], vectors[..., ::-1]
    largest = np.max(np.abs(values), axis=-1, keepdims=True)
    rank = np.sum(values > flat * largest, axis=-1)
    return Split(values, vectors, rank)


def newton_step(gradients: np.ndarray, parts: Split) -> np.ndarray:
    """The shortest step to the manifold to first order, -H^+ g, shape (…, d).

    It is normal to the manifold; by as much as the square of its length it ends beside the limit
    of gradient flow.
    """
    slopes = np.einsum("...ji,...j->...i", parts.vectors, gradients)
    kept = (np.arange(slopes.shape[-1]) < parts.rank[..., None]) & (parts.eigenvalues != 0)
    inverse = np.where(kept, 1.0 / np.where(kept, parts.eigenvalues, 1.0), 0.0)
    return -np.einsum("...ij,...j->...i", parts.vectors, slopes * inverse)
