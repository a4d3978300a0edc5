"""Attractors without a period: chaotic and quasi-periodic ones."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from samdyn.analysis.attractors import Attractor
from samdyn.analysis.linear import Linear

_SAMPLE = 8192
_BLOCKS = 16
_BEYOND = 4.0

Here = Callable[[np.ndarray], np.ndarray]
"""States of shape (m, rows) -> whether each is on the set."""


def aperiodic(linear: Linear, state: np.ndarray, scale: float) -> tuple[Attractor, Here] | None:
    """The aperiodic set that a state is on, if its orbit stays and does not close.

    Parameters
    ----------
    linear : Linear
        Of a map.
    state : ndarray, shape (rows,)
        After a long run: on the set but for rounding.
    scale : float
        The size of the region under study.

    Returns
    -------
    (Attractor, callable) or None
        The kind is "chaotic" if the largest Lyapunov exponent along 8,192 steps is above 0 by four
        standard errors of its 16 block means, "quasiperiodic" if it is 0 within them. None if it
        is below (the orbit is still converging) or the orbit leaves the region.
    """
    points, logs = _orbit(linear, state)
    if not np.all(np.isfinite(points)) or np.max(np.abs(points - state)) > 10 * scale:
        return None
    blocks = logs.reshape(_BLOCKS, -1).mean(axis=1)
    exponent, error = float(blocks.mean()), float(blocks.std(ddof=1) / np.sqrt(_BLOCKS))
    if not np.isfinite(exponent) or exponent < -4 * error - 1e-6:
        return None
    kind = "chaotic" if exponent > 4 * error + 1e-6 else "quasiperiodic"
    attractor = Attractor(kind, points, exponent, 0.0, np.array([], complex))
    return attractor, _membership(points)


def _orbit(linear: Linear, state: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """An orbit, and the log of what one tangent vector is stretched by at each step."""
    z = state
    tangent = np.random.default_rng(0).standard_normal(linear.size)
    tangent /= np.linalg.norm(tangent)
    points, logs = [], []
    for _ in range(_SAMPLE):
        points.append(z)
        z, jacobian = linear.law(z)
        tangent = jacobian @ tangent
        length = float(np.linalg.norm(tangent))
        logs.append(np.log(length) if length > 0 else -np.inf)
        tangent = tangent / length if length > 0 else tangent
    return np.array(points), np.array(logs)


def _membership(points: np.ndarray) -> Here:
    """Whether states are as close to a set's sample as most of its own points are."""
    from scipy.spatial import cKDTree

    half = cKDTree(points[::2])
    own, _ = half.query(points[1::2])
    tree, reach = cKDTree(points), _BEYOND * float(np.max(own))

    def here(states: np.ndarray) -> np.ndarray:
        return tree.query(states)[0] <= reach

    return here
