"""Phi: the minimiser at which gradient flow ends."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from samdyn.analysis.minimizers.relaxation import next_length, relaxed
from samdyn.analysis.minimizers.split import FLAT, Split, newton_step, split
from samdyn.analysis.points import finite_points
from samdyn.losses.loss import Loss
from samdyn.numbers import checked_whole

_CLOSE = 1e-8
"""From this distance on a Newton step ends beside the limit by 1e-16."""

_SLOW = 1e3
"""A step that lasts so many times of relaxation follows what is slower than exponential."""

_ERROR = 1e-13
_ROUNDING = 1e-15
_FAR = 1e8
_EPS = float(np.finfo(float).eps)


_VANISHED = 1e-12
"""A Hessian that falls to this part of its size on the way counts as 0."""

_BESIDE = 1e-3
"""How far along a flat direction the loss is looked at, in units of 1 + |w|."""


class Projection(NamedTuple):
    """The limits of gradient flow from a number of points.

    Attributes
    ----------
    point : ndarray, shape (…, d)
        The limit; NaN where the flow was not seen to end.
    kind : ndarray of str, shape (…)
        "minimum"; "saddle" where the Hessian at the limit has a negative eigenvalue ("maximum", if
        no positive one); "none" where the flow goes to infinity, or nears a limit at which the
        Hessian loses rank, and more slowly than exponentially, or the Hessian there is 0.
    rank : ndarray of int, shape (…)
        Of the Hessian at the limit: at a minimum, the codimension of the manifold of minimisers.
    distance : ndarray, shape (…)
        From the point to its limit.
    """

    point: np.ndarray
    kind: np.ndarray
    rank: np.ndarray
    distance: np.ndarray

    @property
    def converged(self) -> np.ndarray:
        """Whether the flow ends at a minimum, shape (…)."""
        return self.kind == "minimum"


def project(loss: Loss, w: Any, *, steps: int = 1000) -> Projection:
    """The limit Phi(w) of gradient flow from each point: the minimiser that it leads to.

    The flow is integrated with the exact Hessian, which also stiff losses allow, to about 1e-12,
    until a Newton step to the nearest critical point is shorter than 1e-8. That step is then
    taken: it is normal to the manifold of minimisers, and what it lacks along the manifold is of
    second order in its length.

    Parameters
    ----------
    loss : Loss
        Of a random loss the mean.
    w : array_like, shape (…, d)
    steps : int, default 1000
        The most steps of the integration that a point is followed for.

    Returns
    -------
    Projection
        ``point``, ``kind``, ``rank`` and ``distance``.

    Raises
    ------
    ValueError
        If w has another shape or is not finite, or a constant of the loss is an array.

    Notes
    -----
    Wen, Ma and Li, arXiv 2211.05729, Definition 3.1. dPhi(w) grad L(w) = 0 everywhere (their
    Lemma 3.2), and on the manifold dPhi is the projector onto its tangent space (Lemma 3.5).

    Examples
    --------
    Gradient flow of (x*y - 1)**2 keeps x**2 - y**2:

    >>> found = project(Loss("(x*y - 1)**2"), [[2.0, 1.0], [1.0, -1.0]])
    >>> found.kind, found.rank
    (array(['minimum', 'saddle'], dtype='<U7'), array([1, 2]))
    >>> x, y = found.point[0]
    >>> round(float(x * y), 12), round(float(x**2 - y**2), 11)
    (1.0, 3.0)
    """
    start = finite_points(loss, w, "w", "project")
    checked_whole("steps", steps, 1)
    flat = start.reshape(-1, loss.dimension)
    point = _followed(loss, flat, steps)
    kind, rank = _described(loss, flat, point)
    shape = start.shape[:-1]
    distance = np.linalg.norm(point - flat, axis=-1)
    return Projection(
        point.reshape(start.shape),
        kind.reshape(shape),
        rank.reshape(shape),
        distance.reshape(shape),
    )


def _followed(loss: Loss, start: np.ndarray, steps: int) -> np.ndarray:
    """The limits of the flow from every row; rows of NaN where there was none."""
    limits = np.full(start.shape, np.nan)
    w, rows, h = start.copy(), np.arange(len(start)), np.full(len(start), np.nan)
    for _ in range(steps):
        if not len(rows):
            break
        with np.errstate(all="ignore"):
            gradients, hessians = loss.grad(w), loss.hessian(w)
        size = 1.0 + np.linalg.norm(w, axis=-1)
        sound = np.isfinite(gradients).all(axis=-1) & np.isfinite(hessians).all(axis=(-2, -1))
        sound &= size < _FAR * (1.0 + np.linalg.norm(start[rows], axis=-1))
        w, rows, h, size, gradients = (a[sound] for a in (w, rows, h, size, gradients))
        if not len(rows):
            break
        parts = split(loss, w)
        there = _arrived(w, gradients, parts, size)
        if np.any(there):
            near = there & ~(h * parts.smallest > _SLOW)  # h is NaN before the first step
            limits[rows[near]] = polished(loss, w[near])
            parts = Split(*(a[~there] for a in parts))
            w, rows, h, size, gradients = (a[~there] for a in (w, rows, h, size, gradients))
        if not len(rows):
            break
        largest = np.max(np.abs(parts.eigenvalues), axis=-1)
        h = np.where(np.isnan(h), 0.5 / np.maximum(largest, 1e-100), h)
        # what grows is not to grow beyond what the step's Hessian is good for
        h = np.minimum(h, 1.0 / np.maximum(-parts.eigenvalues[:, -1], 1e-100))
        step = relaxed(loss, w, parts.eigenvalues, parts.vectors, h)
        allowed = _ERROR * size
        taken = step.error <= allowed
        w = np.where(taken[:, None], w + step.moved, w)
        h = next_length(h, step.error, allowed)
    return limits


def _arrived(w: np.ndarray, gradients: np.ndarray, parts: Split, size: np.ndarray) -> np.ndarray:
    """Which points are so near to a critical one that a Newton step ends at the flow's limit."""
    near = np.linalg.norm(newton_step(gradients, parts), axis=-1) <= _CLOSE * size
    slopes = np.abs(np.einsum("mji,mj->mi", parts.vectors, gradients))
    largest = np.max(np.abs(parts.eigenvalues), axis=-1)
    # along the manifold the gradient is of second order; where it grows, of none but rounding
    grows = parts.eigenvalues < -FLAT * largest[:, None]
    small = np.where(grows, 8 * _EPS, _CLOSE) * (largest * size)[:, None]
    return near & np.all(slopes <= small, axis=-1)


def polished(loss: Loss, w: np.ndarray, rank: np.ndarray | None = None) -> np.ndarray:
    """The critical points next to points that are near to them, by Newton's shortest steps.

    Parameters
    ----------
    w : ndarray, shape (m, d)
    rank : ndarray of int, shape (m,), optional
        Of the Hessian on the manifold. Default: as its spectrum says at each point.

    Returns
    -------
    ndarray, shape (m, d)
        NaN where the steps did not come to an end.
    """
    shortest = np.full(len(w), np.inf)
    best = w
    for _ in range(20):
        parts = split(loss, w)
        if rank is not None:
            parts = parts._replace(rank=rank)
        moved = newton_step(loss.grad(w), parts)
        length = np.linalg.norm(moved, axis=-1)
        better = length < shortest
        best = np.where(better[:, None], w, best)
        shortest = np.where(better, length, shortest)
        if not np.any(better & (length > _ROUNDING * (1.0 + np.linalg.norm(w, axis=-1)))):
            break
        w = w + moved
    size = 1.0 + np.linalg.norm(best, axis=-1)
    return np.where((shortest <= 1e-12 * size)[:, None], best, np.nan)


def _described(loss: Loss, starts: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The kind of each limit, and the rank of the Hessian there."""
    kind, rank = np.full(len(points), "none", dtype="<U7"), np.zeros(len(points), int)
    found = np.flatnonzero(np.all(np.isfinite(points), axis=-1))
    if not len(found):
        return kind, rank
    before = np.max(np.abs(split(loss, starts[found]).eigenvalues), axis=-1)
    here = np.max(np.abs(split(loss, points[found]).eigenvalues), axis=-1)
    found = found[here > _VANISHED * before]
    parts = split(loss, points[found])
    bound = FLAT * np.max(np.abs(parts.eigenvalues), axis=-1, keepdims=True)
    rank[found] = np.sum(np.abs(parts.eigenvalues) > bound, axis=-1)
    rises = np.any(parts.eigenvalues > bound, axis=-1)
    falls = np.any(parts.eigenvalues < -bound, axis=-1) | _lower(loss, points[found], parts)
    kind[found] = np.where(falls, np.where(rises, "saddle", "maximum"), "minimum")
    return kind, rank


def _lower(loss: Loss, points: np.ndarray, parts: Split) -> np.ndarray:
    """Whether the loss falls along a direction in which the Hessian says nothing."""
    size = 1.0 + np.linalg.norm(points, axis=-1)
    level = loss.value(points) - 1e-14 * np.abs(parts.top) * size**2
    lower = np.zeros(len(points), bool)
    for k in range(points.shape[-1]):
        step = _BESIDE * size[:, None] * parts.vectors[:, :, k]
        for beside in (points + step, points - step):
            lower |= (k >= parts.rank) & (loss.value(beside) < level)
    return lower
