"""The three notions of sharpness at finite rho."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from samdyn.analysis.points import finite_points
from samdyn.analysis.sharpness.average import average_rise
from samdyn.analysis.sharpness.landscape import Formula, Landscape, Long, samples, whole
from samdyn.analysis.sharpness.worst import Rise, worst_rise
from samdyn.losses.loss import Loss
from samdyn.numbers import Number, check_positive, check_single, checked_number, checked_whole

KINDS = ("worst", "ascent", "average")
"""The notions of Wen, Ma and Li."""

_LARGEST = 1e100
"""Of radii, and of their inverses."""


@dataclass(frozen=True, eq=False)
class Sharpness:
    """A sharpness R_rho(p) at finite rho. NumPy and ``float`` take it for its value.

    Attributes
    ----------
    value : ndarray, shape (…)
        L_rho(p) - L(p).
    low, high : ndarray, shape (…)
        What it lies between; see `sharpness` for what stands behind them.
    direction : ndarray, shape (…, d)
        The v of L(p + rho v): the worst one, or that of the gradient (NaN where that is 0, and
        for the average, which has none). With ``per_sample``, shape (…, n, d).
    """

    value: np.ndarray
    low: np.ndarray
    high: np.ndarray
    direction: np.ndarray

    @property
    def gap(self) -> np.ndarray:
        """``high - low``."""
        with np.errstate(invalid="ignore"):
            return np.where(np.isinf(self.low), 0.0, self.high - self.low)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self.value, dtype=dtype)

    def __float__(self) -> float:
        return float(self.value)


def sharpness(
    loss: Loss,
    p: Any,
    kind: str = "worst",
    *,
    rho: Number,
    per_sample: bool = False,
    tol: float = 1e-9,
    boxes: int = 50_000,
    seed: int = 0,
) -> Sharpness:
    """How much the loss rises within a distance ``rho``: R_rho(p) = L_rho(p) - L(p).

    ========== ============================================= ==========================
    kind       L_rho(p)                                      limit of R_rho/rho**2
    ========== ============================================= ==========================
    "worst"    max of L(p + rho v) over abs(v) <= 1          lambda_1/2
    "ascent"   L(p + rho g/abs(g)), g the gradient at p      smallest non-zero lambda/2
    "average"  mean of L(p + rho v) over abs(v) = 1          trace/(2 d)
    ========== ============================================= ==========================

    The limits hold on minimisers; `limiting_sharpness` has them.

    Parameters
    ----------
    loss : Loss
        Of a random one the mean is taken.
    p : array_like, shape (…, d)
    kind : {"worst", "ascent", "average"}
    rho : float or array
        Positive; broadcasts with (…).
    per_sample : bool, default False
        For a finite sum: the mean over its samples of each sample's own sharpness, E_k R_{k,rho},
        which one-sample SAM lowers, instead of the sharpness of the mean.
    tol : float, default 1e-9
        The gap that is asked for between ``low`` and ``high``, as a part of
        rho*abs(g) + rho**2 * (largest abs eigenvalue)/2 + value.
    boxes : int, default 50_000
        The most boxes that the certificate of "worst" looks at, for each point; 0 for none:
        then ``high`` is infinite.
    seed : int, default 0
        For the averages that are sampled.

    Returns
    -------
    Sharpness
        Of shape (…); ``low`` and ``high`` are

        - worst: a proof. The value is reached by ``direction``, and branch and bound with
          outward-rounded intervals shows that nothing in the ball lies above ``high``. What the
          matrix decompositions round is allowed for, not proved. If the boxes do not suffice, a
          warning says so and the gap is what it is: the value may then be too low by as much.
          That is to be expected where the maximum is not isolated (a round valley) or in more
          than 5 or 6 variables at large rho. No proof is given of a loss with kinks,
          or with erf.
        - ascent: what rounding leaves open, to first order. Infinite where the gradient is 0,
          or cannot be told from it when p is known to rounding only; close to a minimiser the
          direction is that of a small difference, and the bounds widen.
        - average: of a polynomial, in any dimension, exact up to rounding (Pizzetti's formula,
          by intervals). Else, up to 6 variables, product rules of growing order, which differ
          by this (an estimate); beyond 6, a sampled mean and 4 of its standard errors.

        Where the loss ends on the way (log(x) at 0), the worst direction does not look beyond, and
        the other two are NaN; so is "ascent" where the loss has no gradient.

    Raises
    ------
    TypeError
        If ``per_sample`` is asked for a loss without data.
    ValueError
        If a number is not positive, shapes do not fit, the kind is unknown or the loss has no
        value at a point.

    Warns
    -----
    RuntimeWarning
        If a certificate does not reach ``tol``.

    Notes
    -----
    Source: Wen, Ma and Li, arXiv 2211.05729, equations (1), (2) and (4), footnote 4 and, per
    sample, Section 5. The maximum is found by projected gradients and Newton's method from many
    starts; the bound is derived here, from the Lagrangian of the ball.

    Examples
    --------
    >>> loss = Loss("x**2 + y**2/4")
    >>> for kind in KINDS:
    ...     print(kind, round(float(sharpness(loss, [0.0, 1.0], kind, rho=0.5)), 12))
    worst 0.333333333333
    ascent 0.3125
    average 0.15625
    """
    check_loss(loss, kind)
    check_positive(tol=tol)
    p = finite_points(loss, p, "p")
    rho = np.asarray(checked_number("rho", rho, above=0.0), dtype=float)
    if np.any((rho < 1.0 / _LARGEST) | (rho > _LARGEST)):
        raise ValueError(
            f"rho must lie between {1 / _LARGEST:g} and {_LARGEST:g}, for its square to be a "
            f"number; got {rho}"
        )
    try:
        shape = np.broadcast_shapes(p.shape[:-1], rho.shape)
    except ValueError:
        raise ValueError(
            f"rho must broadcast with the points, of shape {p.shape[:-1]}; got {rho.shape}"
        ) from None
    rise = _rise(kind, tol, checked_whole("boxes", boxes, 0), seed)
    formulas = samples(loss) if per_sample else [whole(loss)]
    _check_defined(formulas, p)
    points = np.broadcast_to(p, (*shape, loss.dimension)).reshape(-1, loss.dimension)
    radii = np.broadcast_to(rho, shape).ravel()
    rises = [[rise(f, *at) for f in formulas] for at in zip(points, radii, strict=True)]
    if boxes:
        _warn([one for row in rises for one in row], tol)
    value, low, high = (
        np.array([[one[k] for one in row] for row in rises], float).mean(axis=1).reshape(shape)
        for k in range(3)
    )
    v = np.array([[one.direction for one in row] for row in rises])
    v = v.reshape(*shape, len(formulas), loss.dimension)
    return Sharpness(value, low, high, v if per_sample else v[..., 0, :])


def _rise(kind: str, tol: float, boxes: int, seed: int) -> Callable[..., Rise]:
    if kind == "worst":
        return partial(worst_rise, tol=tol, boxes=boxes)
    if kind == "ascent":
        return _ascent_rise

    def average(formula: Formula, p: np.ndarray, rho: float) -> Rise:
        return Rise(*average_rise(formula, p, rho, tol, seed), np.full(len(p), np.nan))

    return average


def _ascent_rise(formula: Formula, p: np.ndarray, rho: float) -> Rise:
    land = Landscape(formula, p, rho, np.eye(len(p)))
    slope = formula.gradient(p.astype(Long))
    size = np.sqrt(np.sum(slope * slope))
    if not np.isfinite(size):
        return Rise(np.nan, np.nan, np.nan, np.full(len(p), np.nan))
    if not size or (formula.smooth and _vanishes(formula, p)):
        return Rise(np.inf, np.inf, np.inf, np.full(len(p), np.nan))
    v = (slope / size).astype(float)
    value = float(land.value(v[None])[0])
    if value == -np.inf:  # the step leads to where the loss has no value
        return Rise(np.nan, np.nan, np.nan, v)
    if not formula.smooth:
        return _times(Rise(value, value, value, v), rho)
    low, high = (float(x[0]) for x in land.value_within(v[None]))
    error = float(land.gradient_within(np.zeros((1, len(p))))[1][0]) * rho
    turned = 2 * error / float(size) + 2e-16
    moved = float(np.linalg.norm(land.gradient(v[None]))) * turned
    return _times(Rise(value, min(low, value) - moved, max(high, value) + moved, v), rho)


def _times(rise: Rise, rho: float) -> Rise:
    return rise._replace(value=rise.value * rho**2, low=rise.low * rho**2, high=rise.high * rho**2)


def _vanishes(formula: Formula, p: np.ndarray) -> bool:
    """Whether the gradient cannot be told from 0 if p is known to rounding only."""
    parts = formula.enclosed(1, np.nextafter(p, -np.inf), np.nextafter(p, np.inf))
    return all(part.low <= 0.0 <= part.high for part in parts)


def _warn(rises: list[Rise], tol: float) -> None:
    over = [one for one in rises if one.high > one.low + 1.01 * one.allowed]
    if over:
        gap = max(one.high - one.low for one in over)
        warnings.warn(
            f"the worst direction is certified to {gap:.1e} only, at {len(over)} of {len(rises)} "
            f"points, where tol={tol:g} asks for {min(one.allowed for one in over):.1e}; see "
            "high, and give more boxes (unless it is rounding that is left), a larger tol, or "
            "boxes=0 for none",
            RuntimeWarning,
            stacklevel=3,
        )


def _check_defined(formulas: list[Formula], p: np.ndarray) -> None:
    for formula in formulas:
        known = np.isfinite(formula.value(p))
        if not np.all(known):
            raise ValueError(f"p must be where the loss has a value; at {p[~known][0]} it has none")


def check_loss(loss: Any, kind: str) -> None:
    """Refuse what is no loss of single constants, or an unknown kind, in one sentence."""
    if not isinstance(loss, Loss):
        raise TypeError(f"loss must be a samdyn.Loss, got {loss!r}")
    if kind not in KINDS:
        raise ValueError(f"kind must be 'worst', 'ascent' or 'average', got {kind!r}")
    constants = {f"constant {name}": value for name, value in loss.constants.items()}
    check_single("sharpness", constants, "loss.replace")
