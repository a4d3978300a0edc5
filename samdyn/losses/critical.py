"""Critical points of a loss: where its gradient vanishes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import mpmath
import numpy as np
import sympy
from scipy.stats import qmc

from samdyn.symbols import symbols

_NEWTON_STEPS = 200
_POLISH_STEPS = 150
_DIGITS = 40
_FLAT = 1e-8


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
    seeds = _seeds(box, starts or 1024 * loss.dimension)
    rough = _newton(loss, seeds, box)
    width = box[:, 1] - box[:, 0]
    slack = 1e-9 * width
    # Newton is only linear at degenerate points: near copies are merged before polishing
    candidates = _distinct(rough, 1e-5 * width)
    polish = _polisher(loss)
    polished = np.array([polish(w) for w in candidates]).reshape(-1, loss.dimension)
    inside = np.all((polished >= box[:, 0] - slack) & (polished <= box[:, 1] + slack), axis=1)
    points = _distinct(polished[inside & np.all(np.isfinite(polished), axis=1)], 1e-8 * width)
    found = [_describe(loss, w) for w in points]
    return sorted(_thin(found, width), key=lambda c: (c.value, *c.point))


def _seeds(box: np.ndarray, count: int) -> np.ndarray:
    power = max(int(np.ceil(np.log2(count))), 4)
    sobol = qmc.Sobol(len(box), scramble=False).random_base2(power)
    # a start exactly on a symmetry axis never leaves it; the centre itself is worth a try
    jitter = sobol + 0.37 / 2**power
    centre = np.full((1, len(box)), 0.5)
    return box[:, 0] + np.concatenate([centre, sobol, jitter]) * (box[:, 1] - box[:, 0])


def _newton(loss: Any, w: np.ndarray, box: np.ndarray) -> np.ndarray:
    """Newton's method with bounded steps from every row of ``w``; those that arrived."""
    reach = 0.2 * np.max(box[:, 1] - box[:, 0])
    middle, far = box.mean(axis=1), 3 * np.max(box[:, 1] - box[:, 0])
    arrived = []
    for _ in range(_NEWTON_STEPS):
        gradient, hessian = loss.grad(w), loss.hessian(w)
        alive = np.all(np.isfinite(gradient), axis=1) & np.all(np.isfinite(hessian), axis=(1, 2))
        alive &= np.linalg.norm(w - middle, axis=1) < far
        w, gradient, hessian = w[alive], gradient[alive], hessian[alive]
        if not len(w):
            break
        step = -(np.linalg.pinv(hessian, rcond=1e-13, hermitian=True) @ gradient[..., None])[..., 0]
        length = np.linalg.norm(step, axis=1)
        size = np.linalg.norm(gradient, axis=1)
        steep = np.linalg.norm(hessian, axis=(1, 2))
        still = (length <= 1e-7 * reach) & (size <= 1e-6 * steep * reach + 1e-300)
        arrived.append(w[still] + step[still])
        w, step, length = w[~still], step[~still], length[~still]
        if not len(w):
            break
        w = w + step * np.minimum(1.0, reach / np.maximum(length, 1e-300))[:, None]
    return np.concatenate(arrived) if arrived else np.empty((0, len(box)))


def _polisher(loss: Any) -> Any:
    """Newton's method in 40 digits on the formula: 1e-12 even where the Hessian is singular."""
    variables = symbols(loss.variables)
    names = symbols(tuple(loss.constants))
    gradient = [sympy.diff(loss.expression, x) for x in variables]
    hessian = [[sympy.diff(g, x) for x in variables] for g in gradient]
    inputs = (*variables, *names)
    slope = sympy.lambdify(inputs, gradient, modules="mpmath")
    curvature = sympy.lambdify(inputs, hessian, modules="mpmath")
    constants = [mpmath.mpf(float(value)) for value in loss.constants.values()]

    def polish(start: np.ndarray) -> np.ndarray:
        with mpmath.workdps(_DIGITS):
            w = mpmath.matrix([mpmath.mpf(float(x)) for x in start])
            for _ in range(_POLISH_STEPS):
                try:
                    step = mpmath.lu_solve(
                        mpmath.matrix(curvature(*w, *constants)),
                        mpmath.matrix(slope(*w, *constants)),
                    )
                except (ZeroDivisionError, ValueError, TypeError):
                    break
                if not mpmath.norm(step) < 1:
                    break
                w = w - step
                if mpmath.norm(step) < mpmath.mpf(10) ** -20:
                    break
            return np.array([float(x) for x in w])

    return polish


def _distinct(points: np.ndarray, tolerance: np.ndarray) -> np.ndarray:
    kept: list[np.ndarray] = []
    for w in points:
        if not kept or np.min(np.max(np.abs(np.array(kept) - w) / tolerance, axis=1)) > 1:
            kept.append(w)
    return np.array(kept).reshape(-1, points.shape[-1])


def _describe(loss: Any, w: np.ndarray) -> CriticalPoint:
    w = np.where(np.abs(w) < 1e-15, 0.0, w)
    eigenvalues = np.linalg.eigvalsh(loss.hessian(w))
    return CriticalPoint(w, float(loss.value(w)), eigenvalues, classify(eigenvalues))


def _thin(found: list[CriticalPoint], width: np.ndarray) -> list[CriticalPoint]:
    """Keep every decided point; of a continuum of degenerate ones, a spaced sample."""
    degenerate = [c for c in found if c.kind == "degenerate"]
    decided = [c for c in found if c.kind != "degenerate"]
    if len(degenerate) <= 8 * len(width):
        return found
    spaced = _distinct(np.array([c.point for c in degenerate]), width / 20)
    chosen = [c for c in degenerate if np.any(np.all(c.point == spaced, axis=1))]
    return decided + [
        CriticalPoint(c.point, c.value, c.eigenvalues, c.kind, isolated=False) for c in chosen
    ]
