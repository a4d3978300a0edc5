"""Minimisers that fit all the data: the Hessians of the samples there."""

from __future__ import annotations

from typing import Any

import numpy as np

from samdyn.analysis.points import finite_points
from samdyn.losses.loss import Loss
from samdyn.losses.samples import Samples

_FITS = 1e-9
_CONVEX = 1e-9


def samples_of(loss: Any) -> Samples:
    """The samples of a loss with data.

    Raises
    ------
    TypeError
        If it is no loss, or has no data.
    ValueError
        If one of its constants is an array.
    """
    if not isinstance(loss, Loss):
        raise TypeError(f"loss must be a samdyn.Loss, got {loss!r}")
    return loss.samples


def fitted(loss: Loss, point: Any) -> np.ndarray:
    """The Hessians of the samples, shape (n, d, d), at a point that is a minimum of every one.

    Such is a minimiser that interpolates the data. There, of a squared loss (1/2) (f - y)^2, they
    are the products grad f grad f^T, so that the model linear in f (Zhou et al., Definition 4.1)
    has the same.

    Raises
    ------
    ValueError
        If a sample's gradient does not vanish there, or one of the Hessians has a negative
        eigenvalue, or all are 0.
    """
    samples, z = samples_of(loss), finite_points(loss, point, "point")
    if z.ndim != 1:
        raise ValueError(f"point must be one point, of shape ({loss.dimension},), got {z.shape}")
    hessians = samples.hessian(z)
    size = float(np.max(np.abs(hessians), initial=0.0))
    slope = float(np.max(np.linalg.norm(samples.grad(z), axis=-1)))
    if not slope <= _FITS * size * (1.0 + np.linalg.norm(z)):
        raise ValueError(
            f"point must be where the gradient of every sample vanishes (a minimiser that fits all "
            f"the data); at {z.tolist()} one is {slope:.3g} long"
        )
    if size == 0.0:
        raise ValueError(f"point must have a curved direction; at {z.tolist()} there is none")
    lowest = float(np.min(np.linalg.eigvalsh(hessians)))
    if lowest < -_CONVEX * size:
        raise ValueError(
            f"point must be a minimum of every sample's loss; at {z.tolist()} a Hessian of one has "
            f"the eigenvalue {lowest:.3g}"
        )
    return hessians


def whitened(hessian: np.ndarray, flat: float = 1e-10) -> np.ndarray:
    """Columns W with W^T H W = I that span the range of H: generalised eigenproblems in it."""
    values, vectors = np.linalg.eigh(hessian)
    kept = values > flat * values[-1]
    return vectors[:, kept] / np.sqrt(values[kept])
