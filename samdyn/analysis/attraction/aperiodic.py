"""Attractors without a period: chaotic and quasi-periodic ones."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from samdyn.analysis.attraction.attractors import Attractor
from samdyn.analysis.attraction.running import Running
from samdyn.analysis.linear import Linear

_LENGTH = 8192
_BLOCKS = 16
_BEYOND = 4.0
_NUDGE = 0.01
_NUDGED = 16
_NO_CHANGE = 1e-9

Here = Callable[[np.ndarray], np.ndarray]
"""States of shape (m, rows) -> whether each is on the set."""


def aperiodic(running: Running, states: np.ndarray) -> list[tuple[Attractor, Here]]:
    """The aperiodic attractors that states are on.

    Parameters
    ----------
    running : Running
    states : ndarray, shape (m, rows)
        After a long run: on an attractor but for rounding.

    Returns
    -------
    list of (Attractor, callable)
        Each set once. The orbit of 8,192 steps must stay in the region, come back to where it was
        (the second half covers the first: a slow drift does not), not keep volumes as a
        conservative map does, and take back states that are moved off it by a hundredth of its
        size. "chaotic" if the largest Lyapunov exponent is above 0 by four standard errors of its
        16 block means, "quasiperiodic" if it is 0 within them.
    """
    found: list[tuple[Attractor, Here]] = []
    if not len(states):
        return found
    orbits = running.path(states, _LENGTH - 1)
    reach = np.max(np.abs(orbits - orbits[0]), axis=(0, 2))
    stay = np.flatnonzero(np.isfinite(reach) & (reach <= 10 * running.scale))
    stay = np.array([k for k in stay if _recurs(orbits[:, k])], int)
    if not len(stay):
        return found
    orbits = orbits[:, stay]
    logs, volumes = _growths(running.linear, orbits)
    for k in range(len(stay)):
        points = orbits[:, k]
        if any(np.all(here(points[-64:])) for _, here in found):
            continue
        blocks = logs[:, k].reshape(_BLOCKS, -1).mean(axis=1)
        exponent, error = float(blocks.mean()), float(blocks.std(ddof=1) / np.sqrt(_BLOCKS))
        if not np.isfinite(exponent) or exponent < -4 * error - 1.0 / _LENGTH:
            continue
        if np.max(np.abs(volumes[:, k])) < _NO_CHANGE:
            continue
        here = _membership(points)
        if not _draws(running, points, here):
            continue
        kind = "chaotic" if exponent > 4 * error + 1.0 / _LENGTH else "quasiperiodic"
        rate = exponent if kind == "chaotic" else 0.0
        found.append((Attractor(kind, points, rate, 0.0, np.array([], complex)), here))
    return found


def _growths(linear: Linear, orbits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Logs of how a tangent vector, and volume, grow at each step: of shape (steps, m)."""
    tangent = np.random.default_rng(0).standard_normal(orbits.shape[1:])
    lengths = []
    with np.errstate(all="ignore"):
        jacobians = linear.law(orbits)[1]
        for jacobian in jacobians:
            tangent /= np.linalg.norm(tangent, axis=-1, keepdims=True)
            tangent = np.einsum("mij,mj->mi", jacobian, tangent)
            lengths.append(np.linalg.norm(tangent, axis=-1))
            tangent = np.where(lengths[-1][:, None] > 0, tangent, 1.0)
        return np.log(lengths), np.log(np.abs(np.linalg.det(jacobians)))


def _recurs(points: np.ndarray) -> bool:
    """Whether the second half of an orbit is where the first was, as closely as that lies."""
    from scipy.spatial import cKDTree

    first, second = points[: len(points) // 2], points[len(points) // 2 :]
    own = _spacing(first)
    again, _ = cKDTree(first).query(second)
    return bool(np.quantile(again, 0.9) <= 2.0 * np.quantile(own, 0.9) + 1e-300)


def _spacing(points: np.ndarray) -> np.ndarray:
    """How far half of the points are from the nearest of the others.

    The halves are random: every second point may be in another band of the set.
    """
    from scipy.spatial import cKDTree

    order = np.random.default_rng(0).permutation(len(points))
    one, other = np.array_split(points[order], 2)
    return np.asarray(cKDTree(one).query(other)[0])


def _membership(points: np.ndarray) -> Here:
    """Whether states are as close to a set's sample as its own points are."""
    from scipy.spatial import cKDTree

    tree, reach = cKDTree(points), _BEYOND * float(np.max(_spacing(points)))

    def here(states: np.ndarray) -> np.ndarray:
        known = np.all(np.isfinite(states), axis=-1)
        near = np.zeros(len(states), bool)
        near[known] = tree.query(states[known])[0] <= reach
        return near

    return here


def _draws(running: Running, points: np.ndarray, here: Here) -> bool:
    """Whether states that are moved off the set come back; three in four must."""
    random = np.random.default_rng(0)
    nudge = random.standard_normal((_NUDGED, points.shape[1]))
    nudge *= (
        _NUDGE
        * np.linalg.norm(np.std(points, axis=0))
        / np.linalg.norm(nudge, axis=-1, keepdims=True)
    )
    starts = points[random.integers(len(points), size=_NUDGED)] + nudge
    return bool(np.mean(here(running.run(starts, _LENGTH)[1])) >= 0.75)
