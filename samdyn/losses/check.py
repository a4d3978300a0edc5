"""Derivatives held against high-precision differences of the formula itself."""

from __future__ import annotations

from typing import Any, NamedTuple

import mpmath
import numpy as np

from samdyn.losses.derivatives import in_high_precision
from samdyn.symbols import symbols

_DIGITS = 80
_STEP = mpmath.mpf(10) ** -15
_TOLERANCE = 1e-10


class Check(NamedTuple):
    """The largest relative error of each derivative, over all points.

    Errors are relative to the largest entry of the derivative at the point.
    """

    value: float
    grad: float
    hessian: float
    third: float

    @property
    def ok(self) -> bool:
        """Whether every error is below 1e-10."""
        return all(error < _TOLERANCE for error in self)  # NaN fails


def check_derivatives(loss: Any, points: np.ndarray, seed: int) -> Check:
    """See `samdyn.Loss.check`. Only values of the formula are used, by SymPy's own printer."""
    names = (*loss.variables, *loss.constants)
    formula = in_high_precision(symbols(names), loss.expression)
    constants = [mpmath.mpf(float(value)) for value in loss.constants.values()]
    random = np.random.default_rng(seed)
    errors = []
    with mpmath.workdps(_DIGITS):

        def value(w: list) -> Any:
            return mpmath.mpf(formula(*w, *constants))

        for p in points:
            u, v = random.standard_normal((2, loss.dimension))
            axes = np.eye(loss.dimension)
            errors.append(
                [
                    _error(loss.value(p), value(list(map(mpmath.mpf, p)))),
                    _error(loss.grad(p), [_difference(value, p, [e]) for e in axes]),
                    _error(
                        loss.hessian(p),
                        [[_difference(value, p, [e, f]) for f in axes] for e in axes],
                    ),
                    _error(loss.third(p, u, v), [_difference(value, p, [u, v, e]) for e in axes]),
                ]
            )
    return Check(*map(float, np.max(errors, axis=0)))


def _difference(value: Any, p: Any, directions: list) -> Any:
    """The central difference of ``value`` at ``p`` along each of the directions in turn."""
    if not directions:
        return value([mpmath.mpf(x) for x in p])
    *rest, last = directions
    step = [_STEP * mpmath.mpf(x) for x in last]
    ahead = [mpmath.mpf(x) + s for x, s in zip(p, step, strict=True)]
    behind = [mpmath.mpf(x) - s for x, s in zip(p, step, strict=True)]
    return (_difference(value, ahead, rest) - _difference(value, behind, rest)) / (2 * _STEP)


def _error(ours: np.ndarray, theirs: Any) -> float:
    exact = list(np.asarray(theirs, dtype=object).flat)
    gaps = [
        abs(mpmath.mpf(float(a)) - b) for a, b in zip(np.asarray(ours).flat, exact, strict=True)
    ]
    if not all(map(mpmath.isfinite, [*gaps, *exact])):
        return float("nan")
    scale = max(map(abs, exact))
    # a derivative that is 0 comes out of the differences as rounding noise
    return float(max(gaps) / scale) if scale > 1e-25 else float(max(gaps))
