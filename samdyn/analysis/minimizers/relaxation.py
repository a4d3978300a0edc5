"""Gradient flow by an extrapolated one-step method, many points at once.

The flow w' = -grad L(w) is stiff where the Hessian's eigenvalues differ much. In the eigenvectors
of the Hessian at the beginning of a step its linear part is solved exactly, so that close to a
manifold of minimisers little is left to integrate (exponential Euler; Hochbruck and Ostermann,
Acta Numerica 19, 2010), and along stiff directions by the linearly implicit Euler method, whose
extrapolation bears them (Hairer and Wanner, Solving ODEs II, IV.9). Both are extrapolated to order
8 in the number of substeps.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from samdyn.losses.loss import Loss

_ORDER = 8
_STIFF = 10.0
"""Times of relaxation in a step from which a direction counts as stiff."""

_SUBSTEPS = np.arange(1, _ORDER + 1)


class Step(NamedTuple):
    """One step of gradient flow from each of m points.

    Attributes
    ----------
    moved : ndarray, shape (m, d)
        The displacement.
    error : ndarray, shape (m,)
        An estimate of its error; inf where the step came to nothing.
    """

    moved: np.ndarray
    error: np.ndarray


def relaxed(
    loss: Loss, w: np.ndarray, values: np.ndarray, vectors: np.ndarray, h: np.ndarray
) -> Step:
    """Follow gradient flow for times ``h``, each point for its own.

    Parameters
    ----------
    w : ndarray, shape (m, d)
    values, vectors : ndarray, shapes (m, d) and (m, d, d)
        The spectrum of the Hessian at ``w``.
    h : ndarray, shape (m,)
    """
    table = [_euler(loss, w, values, vectors, h, n) for n in map(int, _SUBSTEPS)]
    before = table[-1]
    for k in range(1, _ORDER):  # Aitken and Neville, in 1/n
        before = table[-1]
        table = [
            table[j] + (table[j] - table[j - 1]) / (_SUBSTEPS[j + k - 1] / _SUBSTEPS[j - 1] - 1.0)
            for j in range(1, len(table))
        ]
    error = np.linalg.norm(table[0] - before, axis=-1)
    return Step(table[0], np.where(np.isfinite(error), error, np.inf))


def _euler(
    loss: Loss, w: np.ndarray, values: np.ndarray, vectors: np.ndarray, h: np.ndarray, n: int
) -> np.ndarray:
    """The displacement after n steps of h/n: implicit along stiff directions, else exponential."""
    small = (h / n)[:, None]
    stiff = h[:, None] * values > _STIFF
    exponent = np.where(stiff | (values == 0.0), 1.0, small * values)
    exact = np.where(values == 0.0, 1.0, -np.expm1(-exponent) / exponent)
    damping = small * np.where(stiff, 1.0 / (1.0 + small * np.maximum(values, 0.0)), exact)
    moved = np.zeros_like(w)
    with np.errstate(all="ignore"):
        for _ in range(n):
            slopes = np.einsum("mji,mj->mi", vectors, loss.grad(w + moved))
            moved = moved - np.einsum("mij,mj->mi", vectors, slopes * damping)
    return moved


def next_length(h: np.ndarray, error: np.ndarray, allowed: np.ndarray) -> np.ndarray:
    """The time to try next, by the error of the last step."""
    with np.errstate(divide="ignore"):
        factor = 0.8 * (allowed / error) ** (1.0 / _ORDER)
    return h * np.clip(factor, 0.1, 5.0)
