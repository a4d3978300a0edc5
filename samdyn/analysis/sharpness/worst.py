"""Worst-direction sharpness: the highest rise of the loss in a ball, with its certificate."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from samdyn.analysis.sharpness.certificate import upper_bound
from samdyn.analysis.sharpness.landscape import Formula, Landscape
from samdyn.analysis.sharpness.maxima import inside, local_maxima

_RESTARTS = 256
_NOTHING = 1e-100
"""Rises below this are none."""


class Rise(NamedTuple):
    """A rise of the loss: its value, what it lies between, and the direction v."""

    value: float
    low: float
    high: float
    direction: np.ndarray
    allowed: float = np.inf
    """The gap that was asked for."""


def worst_rise(formula: Formula, p: np.ndarray, rho: float, tol: float, boxes: int) -> Rise:
    """The maximum of L(p + rho v) - L(p) over abs(v) <= 1.

    Parameters
    ----------
    formula : Formula
    p : ndarray, shape (d,)
    rho, tol : float
    boxes : int
        As in `samdyn.sharpness`.
    """
    hessian = formula.hessian(p)
    finite = bool(np.all(np.isfinite(hessian)))
    basis = np.linalg.eigh(hessian)[1] if finite else np.eye(len(p))
    land = Landscape(formula, p, rho, basis)
    maxima = local_maxima(land)
    low = _reached(land, maxima)
    size = _size(land) + low
    smooth, high = formula.smooth, np.inf
    while boxes > 0 and smooth:
        bound = upper_bound(land, maxima, low, tol * size, boxes)
        high, boxes = min(high, bound.high), boxes - bound.boxes
        if high <= low + tol * size or not len(bound.open):
            break
        # a higher maximum than those known may be what keeps boxes open
        more = local_maxima(land, inside(bound.open[:_RESTARTS]))
        if _reached(land, more) <= low + tol * size:
            break
        maxima = np.concatenate([more, maxima])
        low = _reached(land, maxima)
    value = max(float(land.value(maxima[:1])[0]), 0.0)
    return _scaled(
        Rise(value, min(low, value), max(high, value), inside(basis @ maxima[0]), tol * size), rho
    )


def _reached(land: Landscape, maxima: np.ndarray) -> float:
    """What the highest maximum reaches at least; at v = 0 the loss does not rise."""
    low = float(land.value_within(maxima[:1])[0][0]) if land.formula.smooth else np.nan
    return max(low if low > -np.inf else float(land.value(maxima[:1])[0]), 0.0)


def _size(land: Landscape) -> float:
    """What a rise over rho squared is typically: the gap is measured by it."""
    zero = np.zeros((1, len(land.p)))
    slope, hessian = land.gradient(zero), land.hessian(zero)[0]
    if not (np.all(np.isfinite(slope)) and np.all(np.isfinite(hessian))):
        return 1.0
    return float(np.linalg.norm(slope) + np.linalg.norm(hessian, 2) / 2) + _NOTHING


def _scaled(rise: Rise, rho: float) -> Rise:
    square = rho * rho
    return rise._replace(
        value=rise.value * square,
        low=rise.low * square * (1 - 1e-15),
        high=rise.high * square * (1 + 1e-15),
        allowed=rise.allowed * square,
    )
