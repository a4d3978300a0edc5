"""Fixed points and cycles: found by Newton's method from many starts, certified, classified."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np

from samdyn.analysis.linear import Linear, described, kind_of
from samdyn.analysis.shooting import (
    FLAT,
    alone,
    collapsed,
    conditioned,
    refined,
    shooting,
    shorter,
    spaced,
)
from samdyn.analysis.starts import around, inside, spread
from samdyn.losses.critical import CriticalPoint
from samdyn.numbers import checked_whole
from samdyn.systems.base import System
from samdyn.systems.flow import Flow
from samdyn.systems.map import Map
from samdyn.words import Point

_LONGEST = 8
_CERTAIN, _SAME = 1e-12, 1e-11
_SAMPLE = 100


@dataclass(frozen=True, eq=False, repr=False)
class Cycle:
    """A fixed point (period 1) or a cycle of a map; a fixed point of a flow.

    Attributes
    ----------
    points : ndarray, shape (period, rows)
        The whole states passed, one a step; the smallest comes first.
    eigenvalues : ndarray of complex, shape (rows,)
        Multipliers of the whole cycle, or eigenvalues of a flow's field; the most unstable first.
        NaN where the system jumps.
    kind : str
        "attractor", "saddle", "repeller", "centre", "neutral" or "discontinuous".
    residual : float
        The largest distance between the image of a point and the next point; for a flow the
        length of the field.
    error : float
        How far off the true cycle is: the length of the next Newton step, or what rounding may
        add to it if that is more. Of a simple root; a neutral cycle may be further off.
    coordinates : tuple of str
        Names of the coordinates, which are the first entries of a state.
    isolated : bool
        False if this one stands for a curve or a surface of such cycles.
    """

    points: np.ndarray
    eigenvalues: np.ndarray
    kind: str
    residual: float
    error: float
    coordinates: tuple[str, ...]
    isolated: bool = True

    @property
    def period(self) -> int:
        """The number of points."""
        return len(self.points)

    @property
    def path(self) -> np.ndarray:
        """The coordinates of all points, shape (period, d)."""
        return self.points[:, : len(self.coordinates)]

    @property
    def point(self) -> np.ndarray:
        """The coordinates of the first point, shape (d,)."""
        return self.path[0]

    def __repr__(self) -> str:
        what = f"cycle of period {self.period}" if self.period > 1 else "fixed point"
        # what is only rounding beside the rest is written as 0
        gone = 1e-14 * np.max(np.abs(self.path))
        path = np.where(np.abs(self.path) <= gone, 0.0, self.path)
        places = (", ".join(f"{x:.6g}" for x in point) for point in path)
        values = ", ".join(
            f"{e.real + 0.0:.6g}" if e.imag == 0 else f"{e.real:.6g}{e.imag:+.6g}j"
            for e in self.eigenvalues
        )
        among = "" if self.isolated else ", one of a continuum"
        return (
            f"<{what}, {self.kind}{among}: ({', '.join(self.coordinates)}) = "
            f"{' -> '.join(f'({place})' for place in places)}; eigenvalues {values}>"
        )


def fixed_points(system: System, box: Any = None, starts: int | None = None) -> list[Cycle]:
    """All fixed points found in a box: F(z) = z of a map, the zeros of a flow's field.

    Newton's method with exact Jacobians from a low-discrepancy set of starts, from the ends of
    short simulations, from the critical points of the loss and from around those where the
    system jumps. The search is thorough, but no proof that there are no others.

    Normalised SAM jumps at critical points of the loss. Since g/|g| counts as 0 at g = 0, it rests
    there if started there exactly; these are the fixed points of kind "discontinuous". What it
    does beside them, `cycles` of period 2 tell.

    Parameters
    ----------
    system : Map, Flow or FormulaMap
        With one value of each number.
    box : sequence of (low, high), optional
        One interval a coordinate. Default: the box that the loss suggests.
    starts : int, optional
        Number of starts spread over the box, here and in the search for critical points of the
        loss. Default 1024 for each coordinate.

    Returns
    -------
    list of Cycle
        Of period 1, sorted by their coordinates. Of a continuum, a spaced sample whose
        ``isolated`` is False.

    Raises
    ------
    TypeError
        If the system is none, or a `Switch`, which is several maps.
    ValueError
        If no box is known or it does not fit, or a number of the system is an array.

    Examples
    --------
    >>> from samdyn import FormulaMap
    >>> fixed_points(FormulaMap({"x": "r*x*(1 - x)"}, r=3.2), box=[(-1, 2)])
    [<fixed point, repeller: (x) = (0); eigenvalues 3.2>,
     <fixed point, repeller: (x) = (0.6875); eigenvalues -1.2>]
    """
    return _search(system, 1, box, starts)


def cycles(system: System, period: int, box: Any = None, starts: int | None = None) -> list[Cycle]:
    """All cycles of a map found in a box that have this minimal period.

    Searched for as in `fixed_points`. Normalised SAM on a quadratic loss has one cycle of period 2
    along each eigenvector v of the Hessian, +-r v with r = lr rho |l| / (2 - lr l) for the
    eigenvalue l (Bartlett, Long and Bousquet, arXiv 2210.01513, for the largest).

    Parameters
    ----------
    system : Map or FormulaMap
        With one value of each number.
    period : int
        From 1 to 8.
    box, starts
        As in `fixed_points`. All points of a cycle lie in the box.

    Returns
    -------
    list of Cycle
        Each cycle once, sorted by its smallest point.

    Raises
    ------
    TypeError
        If the system is none, or a `Switch`, which is several maps.
    ValueError
        If period is not a whole number from 1 to 8, or above 1 for a flow; and as `fixed_points`.

    Examples
    --------
    >>> from samdyn import Loss, Map, SAM
    >>> sam = Map(Loss("x**2 + y**2/2"), SAM(lr=0.5, rho=0.1))
    >>> for cycle in cycles(sam, 2, box=[(-1, 1), (-1, 1)]):
    ...     print(cycle.kind, cycle.point.round(6), cycle.eigenvalues.real.round(6))
    attractor [-0.1  0. ] [0.0625 0.    ]
    saddle [ 0.       -0.033333] [36.    0.25]
    """
    checked_whole("period", period, 1)
    if period > _LONGEST:
        raise ValueError(f"period must be at most {_LONGEST}, got {period}")
    if isinstance(system, System) and system.continuous and period > 1:
        raise ValueError(
            f"period must be 1 for a flow, whose fixed points are the zeros of its field; got "
            f"{period} (cycles are of maps, such as Map(loss, algorithm))"
        )
    return _search(system, period, box, starts)


def _search(system: System, period: int, box: Any, starts: int | None) -> list[Cycle]:
    linear = Linear(system)
    box = _checked_box(system, box)
    count = 1024 * len(box) if starts is None else checked_whole("starts", starts, 1)
    with np.errstate(all="ignore"):  # of starts far out
        loss = system.loss
        centres = [] if loss is None else loss.critical_points(box.tolist(), starts)
        return _certified(linear, period, box, count, centres)


def _certified(
    linear: Linear, period: int, box: np.ndarray, count: int, centres: list[CriticalPoint]
) -> list[Cycle]:
    # of equally good ones the first is kept: critical points are known to the last digit
    seeds = np.concatenate([around(linear, centres, box), spread(linear, box, count)])
    found = [] if period > 1 else _resting(linear, centres)
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


def _checked_box(system: System, box: Any) -> np.ndarray:
    names = system.coordinates
    if box is None:
        box = None if system.loss is None else system.loss.box
    if box is None:
        raise ValueError(f"box must be given, one (low, high) for each of {', '.join(names)}")
    box = np.asarray(box, dtype=float)
    if box.shape != (len(names), 2) or not np.all(box[:, 0] < box[:, 1]):
        raise ValueError(
            f"box must be {len(names)} intervals (low, high) with low < high, one for each of "
            f"{', '.join(names)}; got {box.tolist()}"
        )
    if not np.all(np.isfinite(box)):
        raise ValueError(f"box must be finite, got {box.tolist()}; choose where to search")
    return box


def _typical_slope(linear: Linear, seeds: np.ndarray) -> float:
    sizes = np.linalg.norm(linear.law(seeds)[1], axis=(1, 2))
    return float(np.median(sizes[np.isfinite(sizes)]))


def _thinned(
    linear: Linear, orbits: np.ndarray, error: np.ndarray, box: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The best of orbits that pass through one state; of very many flat ones, a spaced sample."""
    width = box[:, 1] - box[:, 0]
    # where Newton's method found no way on, its step is short but the gap is not
    gap = np.max(np.linalg.norm(shooting(linear, orbits)[0], axis=2), axis=1, initial=0.0)
    order = np.argsort(np.maximum(error, gap), kind="stable")
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


def _resting(linear: Linear, centres: list[CriticalPoint]) -> list[Cycle]:
    """The critical points at which the system jumps, but rests if the gradient is exactly 0."""
    system, found = linear.system, []
    for c in centres:
        z = linear.states(c.point)
        if not isinstance(system, Map | Flow) or linear.smoothness(z) != "jumps":
            continue
        gap = float(np.linalg.norm(_stepped(system, c.point) - z))
        rounding = float(np.linalg.norm(np.spacing(c.point)))
        if gap <= _CERTAIN * (1.0 + np.linalg.norm(z)):
            values = np.full(linear.size, np.nan + 0j)
            kind = kind_of(values, system.continuous)
            names = system.coordinates
            found.append(Cycle(z[None], values, kind, gap, rounding, names, c.isolated))
    return found


def _stepped(system: Map | Flow, point: np.ndarray) -> np.ndarray:
    """A step of the algorithm from rest at a point, the loss's gradient there being exactly 0.

    The gradient at a float beside the true critical point is not 0, and normalised it is as long
    as any other.
    """
    algorithm = Map(system.loss, system.algorithm).single
    constants = {name: np.float64(value) for name, value in system.loss.constants.items()}
    numbers = {name: np.float64(value) for name, value in algorithm.numbers.items()}
    w, zero = Point(point), Point(np.zeros(len(point)))

    def oracle(p: Any) -> Any:
        return zero if np.array_equal([*p], point) else system.loss.gradient_at(p, constants)

    with np.errstate(all="ignore"):
        vectors = (w, *(zero for _ in algorithm.state))
        moved = algorithm.step(oracle, vectors, SimpleNamespace(**numbers))
    return np.array([float(scalar) for vector in moved for scalar in vector])
