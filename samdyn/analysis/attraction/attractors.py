"""Attractors: what an ensemble ends in, counted only once certified."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from samdyn.analysis.attraction.ball import certified_radius
from samdyn.analysis.attraction.running import Running
from samdyn.analysis.linear import Linear, described, kind_of

NEWTON_PERIOD = 64
"""The longest cycle that Newton's method looks for."""

LONGEST_PERIOD = 4096
"""Longer cycles are not told from quasi-periodic motion."""

ON = 1e-9
"""As close to a cycle, beside the region under study, a state is on it."""

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


Closed = Attractor | Unstable


def closing(
    running: Running, states: np.ndarray, known: Sequence[Closed] = ()
) -> list[Closed | None]:
    """What fixed point or cycle each state is at or close to, or None.

    Parameters
    ----------
    running : Running
    states : ndarray, shape (m, rows)
    known : sequence, optional
        What was found earlier: the same object is given again.

    Returns
    -------
    list of Attractor, Unstable or None
        An attractor is certified: its points close to rounding (up to period 64 by Newton's method
        with the exact Jacobian), every multiplier is inside the unit circle, and a neighbourhood
        contracts; the state is on its way there, or there. On what is unstable a state is to
        rounding: who only passes by is at nothing.
    """
    found: list[Closed | None] = [None] * len(states)
    if not len(states):
        return found
    seen = list(known)
    linear, scale = running.linear, running.scale

    def named(z: np.ndarray, period: int, away: float) -> Closed | None:
        for one in seen:
            if np.min(np.linalg.norm(one.points - z, axis=-1)) <= _SAME * scale:
                break
        else:
            fresh = _recognised(linear, z, period, scale)
            if fresh is None:
                return None
            seen.append(one := fresh)
        return one if isinstance(one, Attractor) or away <= ON * scale else None

    with np.errstate(all="ignore"):
        gaps, extent = _returns(running, states, NEWTON_PERIOD)
        for period in range(1, len(gaps) + 1):
            close = _closest_yet(gaps, extent, period, scale)
            some = np.array([i for i in close if found[i] is None], int)
            if not len(some):
                continue
            roots, errors = linear.polished(states[some], period, reach=0.1 * scale)
            away = np.linalg.norm(roots - states[some], axis=-1)
            near = away <= np.maximum(20 * gaps[period - 1][some], 0.05 * scale)
            for k in np.flatnonzero((errors <= 1e-9 * scale) & near):
                found[some[k]] = named(roots[k], period, away[k])
        rest = np.array([i for i, one in enumerate(found) if one is None], int)
        if len(rest):
            gaps, _ = _returns(running, states[rest], LONGEST_PERIOD)
            closed = gaps <= 1e-11 * scale
            for place in np.flatnonzero(np.any(closed, axis=0)):
                period = int(np.argmax(closed[:, place])) + 1
                found[rest[place]] = named(states[rest[place]], period, 0.0)
    return found


def _returns(running: Running, states: np.ndarray, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """How far each state is from where it was, after each step; and the furthest of all."""
    path = running.path(states, steps)
    gaps = np.linalg.norm(path[1:] - path[0], axis=-1)
    gaps = np.where(np.isfinite(gaps), gaps, np.inf)
    return gaps, np.max(gaps, axis=0)


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


def _recognised(linear: Linear, z: np.ndarray, period: int, scale: float) -> Closed | None:
    """The cycle through a state, from a point of it that does not depend on the state."""
    points = described(linear, z, period).points
    extent = float(np.max(np.linalg.norm(points - z, axis=-1)))
    for shorter in range(1, period // 2 + 1):
        if period % shorter == 0 and np.linalg.norm(points[shorter] - z) <= 1e-6 * extent:
            return None
    order = np.lexsort(np.round(points / (1e-6 * scale)).T[::-1])
    orbit = described(linear, points[order[0]], period)
    if linear.smoothness(orbit.points[0]) == "jumps":
        return Unstable(orbit.points, "discontinuous")
    kind = kind_of(orbit.eigenvalues, False)
    size = float(np.max(np.abs(orbit.eigenvalues)))
    if kind == "attractor":
        radius = certified_radius(linear, orbit.points)
        rate = float(np.log(size)) / period if size > 0 else -np.inf
        name = "fixed point" if period == 1 else "cycle"
        return Attractor(name, orbit.points, rate, radius, orbit.eigenvalues) if radius else None
    if kind == "neutral" and size <= 1 + 1e-9 and period == 1:
        return Attractor("neutral set", orbit.points, 0.0, 0.0, np.array([], complex))
    return Unstable(orbit.points, kind)
