"""Local maxima of the loss over a ball: projected gradients from many starts, then Newton."""

from __future__ import annotations

import numpy as np

from samdyn.analysis.linear import solved
from samdyn.analysis.sharpness.landscape import Landscape

_CLIMBS = 80
_NEWTON_STEPS = 12
_SAME = 1e-6
_MOST = 64
"""So many local maxima are kept, the highest."""


def local_maxima(land: Landscape, starts: np.ndarray | None = None) -> np.ndarray:
    """Local maxima over the unit ball, shape (m, d), the highest first; at least one.

    Parameters
    ----------
    land : Landscape
    starts : ndarray, shape (n, d), optional
        Default: both ends of each axis of the Hessian and of the gradient, the centre, and 16
        random ones for each coordinate.
    """
    u = _climbed(land, _starts(land, 16 * len(land.p)) if starts is None else starts)
    values = land.value(u)
    u = _distinct(u[np.argsort(-values, kind="stable")], 1e-3)
    u = _polished(land, u)
    u = u[np.argsort(-land.value(u), kind="stable")]
    return _distinct(u, _SAME)[:_MOST]


def _starts(land: Landscape, count: int) -> np.ndarray:
    d = len(land.p)
    axes = np.concatenate([np.eye(d), -np.eye(d)])
    slope = land.gradient(np.zeros((1, d)))
    rng = np.random.default_rng(0)
    scattered = rng.standard_normal((count, d))
    scattered = inside(scattered / np.linalg.norm(scattered, axis=1, keepdims=True))
    scattered[::2] *= rng.uniform(0.0, 1.0, len(scattered[::2]))[:, None] ** (1 / d)
    size = np.linalg.norm(slope)
    uphill = slope / size if 0 < size < np.inf else slope[:0]
    return np.concatenate([axes, uphill, -uphill, scattered, np.zeros((1, d))])


def _climbed(land: Landscape, u: np.ndarray) -> np.ndarray:
    """Projected gradient ascent; each start has a step of its own that fits itself."""
    value, slope = land.value(u), land.gradient(u)
    size = np.linalg.norm(slope, axis=1)
    step = np.where((size > 0) & np.isfinite(size), 0.5 / np.where(size > 0, size, 1.0), 1.0)
    for _ in range(_CLIMBS):
        slope[~np.isfinite(slope)] = 0.0
        trial = inside(u + np.clip(step[:, None] * slope, -1e6, 1e6))
        there = land.value(trial)
        better = there > value
        moved = np.linalg.norm(trial - u, axis=1)
        if np.all(moved <= 1e-4):  # Newton's method takes it from here
            break
        step = np.where(better, 2.0 * step, 0.3 * step)
        u[better], value[better] = trial[better], there[better]
        slope[better] = land.gradient(u[better])
    return u


def _polished(land: Landscape, u: np.ndarray) -> np.ndarray:
    """Newton's method on the conditions of Karush, Kuhn and Tucker; what does not rise stays."""
    best, value = u, land.value(u)
    d = len(land.p)
    for _ in range(_NEWTON_STEPS):
        slope, hessian = land.gradient(u), land.hessian(u)
        multiplier = np.sum(slope * u, axis=1)
        bound = (np.linalg.norm(u, axis=1) > 1 - 1e-7) & (multiplier > 0)
        multiplier = np.where(bound, multiplier, 0.0)
        matrix = np.zeros((len(u), d + 1, d + 1))
        matrix[:, :d, :d] = hessian - multiplier[:, None, None] * np.eye(d)
        matrix[:, :d, d] = matrix[:, d, :d] = np.where(bound[:, None], -u, 0.0)
        matrix[:, d, d] = np.where(bound, 0.0, 1.0)
        off = np.where(bound, (np.sum(u * u, axis=1) - 1.0) / 2, 0.0)
        right = np.concatenate([multiplier[:, None] * u - slope, off[:, None]], axis=1)
        step = solved(matrix, right)[:, :d]
        step[~np.all(np.isfinite(step), axis=1)] = 0.0
        u = u + step * np.minimum(1.0, 0.5 / np.maximum(np.linalg.norm(step, axis=1), 0.5))[:, None]
        size = np.where(bound, np.linalg.norm(u, axis=1), 1.0)
        u = inside(u / size[:, None])
        reached = land.value(u)
        # beside the maximum the value is flat: the newer point is the better one
        better = reached >= value - 4e-16 * np.abs(value)
        best = np.where(better[:, None], u, best)
        value = np.where(better, np.maximum(reached, value), value)
        if np.all(np.linalg.norm(step, axis=1) <= 1e-14):
            break
    return best


def inside(u: np.ndarray) -> np.ndarray:
    """The nearest points of the unit ball; rounding leaves none of them outside."""
    size = np.linalg.norm(u, axis=-1, keepdims=True)
    edge = 1.0 - 4e-15
    return np.where(size > edge, u * (edge / np.maximum(size, edge)), u)


def _distinct(points: np.ndarray, distance: float) -> np.ndarray:
    kept: list[np.ndarray] = []
    for one in points:
        if all(np.linalg.norm(one - other) > distance for other in kept):
            kept.append(one)
    return np.array(kept)
