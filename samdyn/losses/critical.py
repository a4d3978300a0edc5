"""Critical points of a loss: where its gradient vanishes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import mpmath
import numpy as np

from samdyn.losses.derivatives import differentiate, in_high_precision
from samdyn.numbers import checked_whole
from samdyn.symbols import symbols

_NEWTON_STEPS = 120
_POLISH_STEPS = 150
_DIGITS = 40
_GONE = mpmath.mpf(10) ** -30
_FLAT = 1e-8
_NEAR = 1e-5
_SLIDE = 1e-3
_SAMPLE = 100
_LEAST = 1e-150
"""A Hessian below this is that of a plateau, from which no step leads to a critical point."""


@dataclass(frozen=True)
class CriticalPoint:
    """A point of vanishing gradient.

    Attributes
    ----------
    point : ndarray, shape (d,)
    value : float
        The loss there.
    eigenvalues : ndarray, shape (d,)
        Of the Hessian, ascending.
    kind : str
        "minimum", "saddle", "maximum", or "degenerate" if an eigenvalue is 0 to within 1e-8 of
        the largest: then second derivatives do not decide.
    isolated : bool
        False if the point stands for a curve or a surface of critical points.
    """

    point: np.ndarray
    value: float
    eigenvalues: np.ndarray
    kind: str
    isolated: bool = True

    @property
    def index(self) -> int:
        """The number of negative eigenvalues."""
        return int(np.sum(self.eigenvalues < 0))


def classify(eigenvalues: np.ndarray) -> str:
    """The kind of a critical point by its Hessian's eigenvalues; see `CriticalPoint`."""
    if np.min(np.abs(eigenvalues)) <= _FLAT * max(np.max(np.abs(eigenvalues)), 1e-300):
        return "degenerate"
    if np.all(eigenvalues > 0):
        return "minimum"
    return "maximum" if np.all(eigenvalues < 0) else "saddle"


def find_critical_points(loss: Any, box: np.ndarray, starts: int | None) -> list[CriticalPoint]:
    """See `samdyn.Loss.critical_points`."""
    count = 1024 * loss.dimension if starts is None else checked_whole("starts", starts, 1)
    plain, shifted = _seeds(box, count)
    rough = np.concatenate(
        [_newton(loss, shifted, box, damped=False), _newton(loss, plain, box, damped=True)]
    )
    width = box[:, 1] - box[:, 0]
    slack = 1e-9 * width
    # Newton is only linear at degenerate points: near copies are merged before polishing
    candidates = _spaced(loss, _distinct(rough, _NEAR * width), width)
    polish = _polisher(loss, _SLIDE * width, _largest_slope(loss, plain))
    polished = np.array([polish(w) for w in candidates]).reshape(-1, loss.dimension)
    inside = np.all((polished >= box[:, 0] - slack) & (polished <= box[:, 1] + slack), axis=1)
    points = _distinct(polished[inside & np.all(np.isfinite(polished), axis=1)], 1e-8 * width)
    found = [_describe(loss, w, width) for w in points]
    return sorted(found, key=lambda c: (c.value, *c.point))


def _seeds(box: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    from scipy.stats import qmc  # takes half a second, which only this search is worth

    power = max(int(np.ceil(np.log2(count))), 4)
    sobol = qmc.Sobol(len(box), scramble=False).random_base2(power)
    # a start exactly on a symmetry axis never leaves it; the centre itself is worth a try
    centre = np.full((1, len(box)), 0.5)
    plain, shifted = (
        box[:, 0] + np.concatenate([centre, unit]) * (box[:, 1] - box[:, 0])
        for unit in (sobol, sobol + 0.37 / 2**power)
    )
    return plain, shifted


def _newton(loss: Any, w: np.ndarray, box: np.ndarray, damped: bool) -> np.ndarray:
    """Newton's method with bounded steps from every row of ``w``; those that arrived.

    Damped (Levenberg and Marquardt), it goes to the nearest point of a continuum of critical
    points; undamped, it slides along the continuum to where that is most degenerate.
    """
    reach = 0.2 * np.max(box[:, 1] - box[:, 0])
    middle, far = box.mean(axis=1), 3 * np.max(box[:, 1] - box[:, 0])
    arrived = []
    for _ in range(_NEWTON_STEPS):
        gradient, hessian = loss.grad(w), loss.hessian(w)
        alive = np.all(np.isfinite(gradient), axis=1) & np.all(np.isfinite(hessian), axis=(1, 2))
        alive &= np.linalg.norm(w - middle, axis=1) < far
        size, steep = np.linalg.norm(gradient, axis=1), np.linalg.norm(hessian, axis=(1, 2))
        alive &= (steep > _LEAST) | (size == 0)
        w, gradient, hessian = w[alive], gradient[alive], hessian[alive]
        size, steep = size[alive], steep[alive]
        if not len(w):
            break
        eigenvalues, vectors = np.linalg.eigh(hessian)
        slopes = np.einsum("nji,nj->ni", vectors, gradient)
        damping = damped * (steep * size / reach)[:, None]
        solid = np.abs(eigenvalues) > 1e-13 * steep[:, None]
        # not slope * l / (l**2 + damping): the square could underflow
        firm = np.where(solid, eigenvalues, 1.0)
        ratio = slopes / (firm + damping / firm)
        step = -np.einsum("nij,nj->ni", vectors, np.where(solid, ratio, 0.0))
        length = np.linalg.norm(step, axis=1)
        # a damped step is short on any flat floor: there the slope itself must have gone
        level = 1e-13 if damped else 1e-6
        still = (length <= 1e-7 * reach) & (size <= level * steep * reach + 1e-300)
        arrived.append(w[still] + step[still])
        w, step, length = w[~still], step[~still], length[~still]
        if not len(w):
            break
        w = w + step * np.minimum(1.0, reach / np.maximum(length, 1e-300))[:, None]
    return np.concatenate(arrived) if arrived else np.empty((0, len(box)))


def _largest_slope(loss: Any, points: np.ndarray) -> float:
    sizes = np.linalg.norm(loss.grad(points), axis=1)
    return float(np.max(sizes[np.isfinite(sizes)], initial=0.0))


def _polisher(loss: Any, slide: np.ndarray, steepest: float) -> Any:
    """Newton's method in 40 digits on the formula: 1e-12 even where the Hessian is singular.

    Beside a continuum of critical points Newton's method may slide along it without end. A
    point that moves further than ``slide`` is polished by damped steps instead. One whose slope
    does not vanish at last, beside the box's ``steepest``, was none: it becomes NaN.
    """
    variables = symbols(loss.variables)
    gradient = [differentiate(loss.expression, x) for x in variables]
    hessian = [[differentiate(g, x) for x in variables] for g in gradient]
    inputs = (*variables, *symbols(tuple(loss.constants)))
    slope = in_high_precision(inputs, gradient)
    curvature = in_high_precision(inputs, hessian)
    constants = [mpmath.mpf(float(value)) for value in loss.constants.values()]
    reach = mpmath.mpf(float(np.max(slide)))

    def derivatives(w: Any) -> tuple[Any, Any]:
        g, h = mpmath.matrix(slope(*w, *constants)), mpmath.matrix(curvature(*w, *constants))
        if any(isinstance(x, mpmath.mpc) or not mpmath.isfinite(x) for x in (*g, *h)):
            raise ValueError("the formula has no value here")
        return g, h

    def newton(origin: Any, damped: bool) -> Any:
        w = origin
        for _ in range(_POLISH_STEPS):
            try:
                g, h = derivatives(w)
                if damped:
                    damping = mpmath.norm(h) * mpmath.norm(g) / reach
                    if not damping:
                        break
                    h, g = h * h + damping * mpmath.eye(len(g)), h * g
                step = mpmath.lu_solve(h, g)
            except (ArithmeticError, ValueError, TypeError):
                break
            w = w - step
            if not mpmath.norm(w - origin) < reach or mpmath.norm(step) < mpmath.mpf(10) ** -20:
                break
        return w

    def arrived(w: Any, origin: Any) -> bool:
        try:
            size = mpmath.norm(derivatives(w)[0])
        except (ArithmeticError, ValueError, TypeError):
            return False
        return size <= _GONE * steepest and mpmath.norm(w - origin) < reach

    def polish(start: np.ndarray) -> np.ndarray:
        with mpmath.workdps(_DIGITS):
            origin = mpmath.matrix([mpmath.mpf(float(x)) for x in start])
            for damped in (False, True):
                w = newton(origin, damped)
                if arrived(w, origin):
                    return np.array([float(x) for x in w])
            return np.full(len(start), np.nan)

    return polish


def _distinct(points: np.ndarray, tolerance: np.ndarray) -> np.ndarray:
    """The points in order, without those that come close to an earlier one."""
    from scipy.spatial import cKDTree

    tree = cKDTree(points / tolerance)
    taken = np.zeros(len(points), dtype=bool)
    kept = []
    for i, w in enumerate(points):
        if not taken[i]:
            kept.append(i)
            taken[tree.query_ball_point(w / tolerance, 1.0, p=np.inf)] = True
    return points[kept]


def _spaced(loss: Any, points: np.ndarray, width: np.ndarray) -> np.ndarray:
    """Keep every decided point; of a continuum of degenerate ones, a spaced sample."""
    size = np.abs(np.linalg.eigvalsh(loss.hessian(points)))
    flat = size.min(axis=1) <= 1e-4 * size.max(axis=1)
    if np.sum(flat) <= 8 * len(width):
        return points
    sample = _distinct(points[flat], width / 20)[:_SAMPLE]
    return np.concatenate([points[~flat], sample])


def _describe(loss: Any, w: np.ndarray, width: np.ndarray) -> CriticalPoint:
    w = np.where(np.abs(w) < 1e-15, 0.0, w)
    eigenvalues, vectors = np.linalg.eigh(loss.hessian(w))
    kind = classify(eigenvalues)
    isolated = kind != "degenerate" or _is_alone(loss, w, eigenvalues, vectors, width)
    return CriticalPoint(w, float(loss.value(w)), eigenvalues, kind, isolated)


def _is_alone(
    loss: Any, w: np.ndarray, eigenvalues: np.ndarray, vectors: np.ndarray, width: np.ndarray
) -> bool:
    """Whether Newton's method, started a little way off along flat directions, comes back."""
    size = np.abs(eigenvalues)
    flat = vectors[:, size <= _FLAT * max(size.max(), 1e-300)]
    away = np.random.default_rng(0).standard_normal((8, flat.shape[1])) @ flat.T
    distance = 1e-3 * np.min(width)
    starts = w + distance * away / np.linalg.norm(away, axis=1, keepdims=True)
    around = np.stack([w - distance, w + distance], axis=1)
    ends = _newton(loss, starts, around, True)
    # on a very flat floor damped steps stop early, with hardly less slope than at the start
    slope = np.linalg.norm(loss.grad(ends), axis=1)
    before = np.max(np.linalg.norm(loss.grad(starts), axis=1))
    critical = slope <= 1e-3 * before + 1e-14 * size.max() * distance
    return not np.any(critical & (np.linalg.norm(ends - w, axis=1) > distance / 4))
