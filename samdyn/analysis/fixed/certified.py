"""Cycles that Newton's method finds from many starts: certified, classified, each of them once."""

from __future__ import annotations

import numpy as np

from samdyn.analysis.fixed.cycle import Cycle
from samdyn.analysis.fixed.resting import resting
from samdyn.analysis.fixed.shooting import (
    FLAT,
    alone,
    collapsed,
    conditioned,
    refined,
    shorter,
    spaced,
)
from samdyn.analysis.fixed.starts import around, inside, settled, spread
from samdyn.analysis.linear import Linear, described, kind_of
from samdyn.losses.critical import CriticalPoint

_CERTAIN, _SAME = 1e-12, 1e-11
_SAMPLE = 100


def certified(
    linear: Linear, period: int, box: np.ndarray, count: int, centres: list[CriticalPoint]
) -> list[Cycle]:
    """All cycles of a minimal period in a box that are found from ``count`` starts, sorted.

    Parameters
    ----------
    linear : Linear
    period : int
    box : ndarray, shape (d, 2)
    count : int
    centres : list of CriticalPoint
        Of the loss, if there is one: near these the search is closer.
    """
    # of equally good ones the first is kept: critical points are known to the last digit
    near, far = around(linear, centres, box), spread(linear, box, count)
    seeds = np.concatenate([near, far])
    if period > 1 and len(near) > len(centres):  # it jumps at some of them
        some = np.concatenate([near[:: max(len(near) // 128, 1)], far[:: max(len(far) // 128, 1)]])
        seeds = np.concatenate([seeds, settled(linear, some, box)])
    found = [] if period > 1 else resting(linear, centres)
    for one, tolerance in _candidates(linear, period, seeds, box):
        if not any(_same(one, other, tolerance) for other in found):
            found.append(one)
    size = np.max(box[:, 1] - box[:, 0])
    return sorted(found, key=lambda one: tuple(np.round(one.points[0] / size, 12)))


def _candidates(
    linear: Linear, period: int, seeds: np.ndarray, box: np.ndarray
) -> list[tuple[Cycle, float]]:
    """Certified cycles, the surest first, each with a distance at which another is the same."""
    size, d = np.max(box[:, 1] - box[:, 0]), len(box)
    z, missed = linear.polished(seeds, period, 0.2 * float(np.max(np.ptp(seeds, axis=0))))
    z, missed = z[missed < 1e-3 * size], missed[missed < 1e-3 * size]
    continuous = linear.system.continuous
    orbits = z[:, None] if continuous else np.swapaxes(linear.orbit(z, period)[0], 0, 1)
    near = inside(orbits[..., :d], box, 1e-3) & ~_closes_early(orbits, _SAME * size + 10 * missed)
    orbits, missed = _thinned(linear, orbits[near], missed[near], box)
    orbits, residual, step = refined(linear, orbits)
    ratio, rounding = conditioned(linear, orbits)
    step = np.maximum(step, rounding)
    # a slope that is typical of the box: below it, a small field means nothing
    unit = _typical_slope(linear, seeds) if continuous else 1.0
    kept = inside(orbits[..., :d], box, 1e-9)
    result = []
    for i in np.flatnonzero(kept):
        orbit, scale = orbits[i], size + np.max(np.abs(orbits[i]))
        if residual[i] > _CERTAIN * scale * unit:
            continue
        flat = ratio[i] <= FLAT
        isolated = not flat or alone(linear, orbit, box, unit)
        error = max(step[i], missed[i]) if flat and isolated else step[i]
        if error > FLAT * scale or _closes_early(orbit[None], _SAME * scale + 10 * error)[0]:
            continue
        if flat and collapsed(linear, orbit, scale):
            continue
        one = _described(linear, orbit, float(residual[i]), float(error), isolated)
        if one is not None:
            result.append((one, _SAME * scale))
    return sorted(result, key=lambda pair: pair[0].error)


def _typical_slope(linear: Linear, seeds: np.ndarray) -> float:
    sizes = np.linalg.norm(linear.law(seeds)[1], axis=(1, 2))
    return float(np.median(sizes[np.isfinite(sizes)]))


def _thinned(
    linear: Linear, orbits: np.ndarray, error: np.ndarray, box: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The best of orbits that pass through one state; of very many flat ones, a spaced sample."""
    width = box[:, 1] - box[:, 0]
    order = np.argsort(error, kind="stable")
    kept = order[spaced(orbits[order], _SAME * np.max(width))]
    flat = conditioned(linear, orbits[kept])[0] <= FLAT
    flat |= error[kept] > 1e-9 * np.max(width)
    if np.sum(flat) > 8 * len(width):
        several = kept[flat]
        sample = spaced(orbits[several][..., : len(width)] / width, 1 / 20)[:_SAMPLE]
        kept = np.concatenate([kept[~flat], several[sample]])
    return orbits[kept], error[kept]


def _closes_early(orbits: np.ndarray, tolerance: np.ndarray | float) -> np.ndarray:
    early = np.zeros(len(orbits), dtype=bool)
    for k in shorter(orbits.shape[1]):
        gaps = np.linalg.norm(orbits - np.roll(orbits, -k, axis=1), axis=2)
        early |= np.max(gaps, axis=1) <= tolerance
    return early


def _same(one: Cycle, other: Cycle, tolerance: float) -> bool:
    gaps = (
        np.max(np.linalg.norm(one.points - np.roll(other.points, k, axis=0), axis=1))
        for k in range(one.period)
    )
    return min(gaps) <= tolerance + 10 * (one.error + other.error)


def _described(
    linear: Linear, orbit: np.ndarray, residual: float, error: float, isolated: bool
) -> Cycle | None:
    size = np.max(np.abs(orbit))
    first = min(range(len(orbit)), key=lambda k: tuple(np.round(orbit[k] / (size or 1.0), 12)))
    points = np.roll(orbit, -first, axis=0)
    values = described(linear, points[0], len(points)).eigenvalues
    if any(linear.smoothness(z) == "jumps" for z in points):
        values = np.full(linear.size, np.nan + 0j)
    elif not np.all(np.isfinite(values)):
        return None
    kind = kind_of(values, linear.system.continuous)
    return Cycle(points, values, kind, residual, error, linear.system.coordinates, isolated)
