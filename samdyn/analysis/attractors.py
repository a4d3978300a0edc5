"""Attractors: what an ensemble ends in, counted only once certified."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from samdyn.analysis.linear import Linear, described, kind_of

NEWTON_PERIOD = 64
"""The longest cycle that Newton's method looks for."""

LONGEST_PERIOD = 4096
"""Longer cycles are not told from quasi-periodic motion."""

_SHELLS = 2.0 ** -np.arange(0, 60, 0.5)
_SAME = 1e-7


@dataclass(frozen=True, eq=False)
class Attractor:
    """A set that a system's trajectories end in.

    Attributes
    ----------
    kind : str
        "fixed point", "cycle", "chaotic", "quasiperiodic" or "neutral set" (fixed points with a
        multiplier on the unit circle, such as a curve of minimisers).
    points : ndarray, shape (k, rows)
        The points of the cycle, or a sample of the set.
    rate : float
        Of a fixed point or a cycle, log of the largest multiplier's size a step: below 0; 0 of a
        neutral set; of a chaotic set the largest Lyapunov exponent a step.
    radius : float
        Within this distance of ``points[0]`` every state ends here, as certified by a quadratic
        Lyapunov function that falls on a sample of states. 0 where there is no such ball.
    eigenvalues : ndarray of complex, shape (rows,)
        The multipliers over the whole cycle; empty of sets.
    """

    kind: str
    points: np.ndarray
    rate: float
    radius: float
    eigenvalues: np.ndarray

    @property
    def period(self) -> int:
        """The number of steps after which it closes; 0 if it does not."""
        return len(self.points) if self.kind in ("fixed point", "cycle") else 0


@dataclass(frozen=True, eq=False)
class Unstable:
    """A fixed point or a cycle that is no attractor, though a trajectory can sit on it."""

    points: np.ndarray
    kind: str


def closing(
    linear: Linear,
    states: np.ndarray,
    scale: float,
    known: Sequence[Attractor | Unstable] = (),
) -> list[Attractor | Unstable | None]:
    """What fixed point or cycle each state is at or close to, or None.

    Parameters
    ----------
    linear : Linear
        Of a map.
    states : ndarray, shape (m, rows)
    scale : float
        The size of the region under study, beside which distances are small or not.
    known : sequence, optional
        What was found earlier: the same object is given again.

    Returns
    -------
    list of Attractor, Unstable or None
        An attractor is certified: its points close to rounding (up to period 64 by Newton's method
        with the exact Jacobian), every multiplier is inside the unit circle, and a neighbourhood
        contracts.
    """
    found: list[Attractor | Unstable | None] = [None] * len(states)
    seen = list(known)

    def named(z: np.ndarray, period: int) -> Attractor | Unstable | None:
        for one in seen:
            if np.min(np.linalg.norm(one.points - z, axis=-1)) <= _SAME * scale:
                return one
        fresh = _recognised(linear, z, period)
        if fresh is not None:
            seen.append(fresh)
        return fresh

    gaps, extent = _returns(linear, states, NEWTON_PERIOD)
    for period in range(1, len(gaps) + 1):
        for i in _closest_yet(gaps, extent, period, scale):
            if found[i] is None:
                roots, errors = linear.polished(states[i][None], period, reach=0.1 * scale)
                away = np.linalg.norm(roots[0] - states[i])
                if errors[0] <= 1e-9 * scale and away <= max(
                    20 * gaps[period - 1][i], 0.05 * scale
                ):
                    found[i] = named(roots[0], period)
    rest = np.array([i for i, one in enumerate(found) if one is None], int)
    if len(rest):
        gaps, _ = _returns(linear, states[rest], LONGEST_PERIOD)
        closed = gaps <= 1e-11 * scale
        for place in np.flatnonzero(np.any(closed, axis=0)):
            period = int(np.argmax(closed[:, place])) + 1
            found[rest[place]] = named(states[rest[place]], period)
    return found


def _returns(linear: Linear, states: np.ndarray, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """How far each state is from where it was, after each step; and the furthest of all."""
    gaps, z = [], states
    for _ in range(steps):
        z = _moved(linear, z)
        gap = np.linalg.norm(z - states, axis=-1)
        gaps.append(np.where(np.isfinite(gap), gap, np.inf))
    return np.array(gaps), np.max(gaps, axis=0)


def _moved(linear: Linear, z: np.ndarray, steps: int = 1) -> np.ndarray:
    """States after some steps, without Jacobians."""
    scalars = list(np.moveaxis(z, -1, 0))
    numbers = list(linear.system.numbers.values())
    with np.errstate(all="ignore"):
        for _ in range(steps):
            scalars = list(linear.system.program(*scalars, *numbers))
    return np.stack([np.broadcast_to(x, z.shape[:-1]) for x in scalars], axis=-1)


def _closest_yet(gaps: np.ndarray, extent: np.ndarray, period: int, scale: float) -> np.ndarray:
    """The states that come back after ``period`` steps more closely than after fewer.

    A slow drift closes with every period; only its first return is worth Newton's method.
    """
    gap = gaps[period - 1]
    # a chaotic orbit comes back roughly all the time, a slow drift only shows in the first returns
    close = gap <= (0.05 if period <= 2 else 2e-3) * extent + 1e-12 * scale
    if period > 1:
        close &= gap < 0.5 * np.min(gaps[: period - 1], axis=0)
    return np.flatnonzero(close & np.isfinite(gap))


def _recognised(linear: Linear, z: np.ndarray, period: int) -> Attractor | Unstable | None:
    orbit = described(linear, z, period)
    points = orbit.points
    extent = float(np.max(np.linalg.norm(points - z, axis=-1)))
    for shorter in range(1, period // 2 + 1):
        if period % shorter == 0 and np.linalg.norm(points[shorter] - z) <= 1e-6 * extent:
            return None
    if linear.smoothness(z) == "jumps":
        return Unstable(points, "discontinuous")
    kind = kind_of(orbit.eigenvalues, False)
    size = float(np.max(np.abs(orbit.eigenvalues)))
    rate = float(np.log(size)) / period if size > 0 else -np.inf
    if kind == "attractor":
        radius = _certified_radius(linear, points)
        name = "fixed point" if period == 1 else "cycle"
        return Attractor(name, points, rate, radius, orbit.eigenvalues) if radius > 0 else None
    if kind == "neutral" and np.all(np.abs(orbit.eigenvalues) <= 1 + 1e-9) and period == 1:
        return Attractor("neutral set", points, 0.0, 0.0, orbit.eigenvalues)
    return Unstable(points, kind)


def _certified_radius(linear: Linear, points: np.ndarray) -> float:
    """The radius of a ball around ``points[0]`` that F^p takes into itself, for good.

    V(z) = |L (z - z0)|^2 with M' L'L M - L'L = -1 falls along the linear part M. On ever smaller
    level sets it is seen to fall at a fixed sample of states; the largest of those from which on
    it always does is kept, and the ball within it. A jump close by ends the ball.
    """
    from scipy.linalg import solve_discrete_lyapunov

    period, z0 = len(points), points[0]
    _, _, jacobian = linear.orbit(z0, period)
    form = solve_discrete_lyapunov(jacobian.T, np.eye(linear.size))
    form = 0.5 * (form + form.T)
    widths = np.linalg.eigvalsh(form)
    if not widths[0] > 0 or not np.all(np.isfinite(widths)):
        return 0.0
    root = np.linalg.cholesky(form).T
    offsets = np.linalg.solve(root, _sphere(linear.size).T).T  # V = 1 on all of them
    largest = 4.0 * (1.0 + float(np.linalg.norm(z0))) * np.sqrt(widths[-1])
    levels = largest * _SHELLS
    starts = z0 + levels[:, None, None] * offsets
    gaps = _moved(linear, starts, period) - _moved(linear, z0, period)
    with np.errstate(over="ignore", invalid="ignore"):
        after = np.sum((gaps @ root.T) ** 2, axis=-1) / levels[:, None] ** 2
    # closer to the point than this a float cannot tell
    untold = 1e-10 * float(np.linalg.norm(z0)) * np.sqrt(widths[-1]) > levels
    falls = untold | np.all(after < 1.0, axis=-1)
    whole = np.logical_and.accumulate(falls[::-1])[::-1]
    if not np.any(whole):
        return 0.0
    best = int(np.argmax(whole))
    return 0.0 if untold[best] else float(levels[best] / np.sqrt(widths[-1]))


def _sphere(n: int) -> np.ndarray:
    """Directions all around: the axes and a fixed random sample."""
    random = np.random.default_rng(0).standard_normal((64 * n, n))
    random /= np.linalg.norm(random, axis=1, keepdims=True)
    return np.concatenate([np.eye(n), -np.eye(n), random])


def scale_of(states: Any) -> float:
    """The size of the region that states cover."""
    spread = np.ptp(np.asarray(states).reshape(-1, np.shape(states)[-1]), axis=0)
    return float(np.linalg.norm(spread)) or 1.0
