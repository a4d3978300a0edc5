"""Valleys: losses of one or two coordinates on which statements about SAM are tested."""

from __future__ import annotations

from itertools import pairwise
from math import exp, pi

import numpy as np

from samdyn import words
from samdyn.losses.loss import Loss
from samdyn.numbers import Number, check_positive
from samdyn.words import Point

_SUB_QUADRATIC = "a sub-quadratic valley of Zhou et al., arXiv 2410.10373, Proposition 4.1"


def log_cosh(a: Number = 1.0) -> Loss:
    """A valley of slope a*tanh(x): a parabola near 0, an absolute value far away.

    Parameters
    ----------
    a : float
        Positive: the curvature at the minimum.

    Notes
    -----
    Source: a sub-quadratic valley of Zhou et al., arXiv 2410.10373, Proposition 4.1.
    """
    check_positive(a=a)
    # differentiating the value would give sinh/cosh, which overflows where tanh does not
    return Loss(_log_cosh_value, variables="x", grad=_log_cosh_slope, a=a).described(
        "log_cosh", _SUB_QUADRATIC, [(-4, 4)], [((0,), "minimum")]
    )


def _log_cosh_value(w: Point, a: Number) -> Number:
    return a * words.log(words.cosh(w[0]))


def _log_cosh_slope(w: Point, a: Number) -> Point:
    return Point([a * words.tanh(w[0])])


def arctan_valley(a: Number = 1.0) -> Loss:
    """A valley of slope a*atan(x).

    Parameters
    ----------
    a : float
        Positive: the curvature at the minimum.

    Notes
    -----
    Source: a sub-quadratic valley of Zhou et al., arXiv 2410.10373, Proposition 4.1.
    """
    return _valley("arctan_valley", "a*(x*atan(x) - log(1 + x**2)/2)", a)


def pseudo_huber(a: Number = 1.0) -> Loss:
    """A valley of slope a*x/sqrt(1 + x**2).

    Parameters
    ----------
    a : float
        Positive: the curvature at the minimum.

    Notes
    -----
    Source: a sub-quadratic valley of Zhou et al., arXiv 2410.10373, Proposition 4.1.
    """
    return _valley("pseudo_huber", "a*(sqrt(1 + x**2) - 1)", a)


def tanh_squared(a: Number = 1.0) -> Loss:
    """A valley that levels out, a*tanh(x)**2/2: a squared loss on a saturating neuron.

    Parameters
    ----------
    a : float
        Positive: the curvature at the minimum.

    Notes
    -----
    Source: a sub-quadratic valley of Zhou et al., arXiv 2410.10373, Proposition 4.1.
    """
    return _valley("tanh_squared", "a*tanh(x)**2/2", a)


def _valley(name: str, formula: str, a: Number) -> Loss:
    check_positive(a=a)
    return Loss(formula, variables="x", a=a).described(
        name, _SUB_QUADRATIC, [(-4, 4)], [((0,), "minimum")]
    )


def cosine() -> Loss:
    """-cos(x): with rho between pi and 2*pi SAM settles at 2*pi - rho, where the slope is not 0.

    Notes
    -----
    Source: chosen here to show what Si and Yun, arXiv 2306.09850, prove: SAM of constant rho
    need not converge to a stationary point. Their own example functions are not used.
    """
    return Loss("-cos(x)").described(
        "cosine",
        "after Si and Yun, arXiv 2306.09850; chosen here",
        [(-7, 7)],
        [((k * pi,), "maximum" if k % 2 else "minimum") for k in range(-2, 3)],
    )


def two_parabolas(a1: Number = 2.0, a2: Number = 1.0, b1: Number = 1.0, b2: Number = 2.0) -> Loss:
    """The mean of a1*(x - b1)**2/2 and a2*(x + b2)**2/2: two samples that disagree.

    With a1*b1 = a2*b2 the minimum is at 0, but one-sample SAM settles about
    rho*(a1 - a2)/(a1 + a2).

    Parameters
    ----------
    a1, a2 : float
        Positive curvatures of the two samples.
    b1, b2 : float
        Their minima lie at b1 and -b2.

    Notes
    -----
    Source: chosen here to show what Si and Yun, arXiv 2306.09850, prove of stochastic SAM on
    strongly convex losses. This is the full loss.
    """
    check_positive(a1=a1, a2=a2)
    formula = "(a1*(x - b1)**2/2 + a2*(x + b2)**2/2)/2"
    return Loss(formula, variables="x", a1=a1, a2=a2, b1=b1, b2=b2).described(
        "two_parabolas",
        "after Si and Yun, arXiv 2306.09850; chosen here",
        [(-4, 4)],
        lambda a1, a2, b1, b2: [(((a1 * b1 - a2 * b2) / (a1 + a2),), "minimum")],
    )


def rotated_bowls(sharp: Number = 2.0, flat: Number = 0.5, angle: Number = pi / 3) -> Loss:
    """The mean of two bowls whose sharpest directions differ by an angle.

    One sample's gradient cannot align with the sharpest direction of both.

    Parameters
    ----------
    sharp, flat : float
        Positive curvatures of each bowl, along and across its sharpest direction.
    angle : float
        Between the two, in radians.

    Notes
    -----
    Source: Wen, Ma and Li, arXiv 2211.05729, Example 5.8, with matrices chosen here. This is
    the full loss.
    """
    check_positive(sharp=sharp, flat=flat)
    formula = (
        "(sharp*x**2/2 + flat*y**2/2"
        " + sharp*(cos(angle)*x + sin(angle)*y)**2/2"
        " + flat*(cos(angle)*y - sin(angle)*x)**2/2)/2"
    )
    return Loss(formula, variables="x y", sharp=sharp, flat=flat, angle=angle).described(
        "rotated_bowls",
        "Wen, Ma and Li, arXiv 2211.05729, Example 5.8; matrices chosen here",
        [(-2, 2), (-2, 2)],
        [((0, 0), "minimum")],
    )


def gaussian_wells(
    flat_depth: Number = 1.0,
    flat_width: Number = 0.6,
    sharp_depth: Number = 1.0,
    sharp_width: Number = 0.2,
) -> Loss:
    """A flat well near x = -1 and a sharp one near x = 1, with a saddle between them.

    Parameters
    ----------
    flat_depth, sharp_depth : float
        Positive depths of the wells.
    flat_width, sharp_width : float
        Positive widths of the wells, the standard deviations of two Gaussians.

    Notes
    -----
    The minima are shifted a little by the other well's tail; the listed points are roots of
    the slope on the axis through both.

    Examples
    --------
    >>> sorted(kind for _, kind in gaussian_wells().known)
    ['minimum', 'minimum', 'saddle']
    """
    numbers = {
        "flat_depth": flat_depth,
        "flat_width": flat_width,
        "sharp_depth": sharp_depth,
        "sharp_width": sharp_width,
    }
    check_positive(**numbers)
    formula = (
        "-flat_depth*exp(-((x + 1)**2 + y**2)/(2*flat_width**2))"
        " - sharp_depth*exp(-((x - 1)**2 + y**2)/(2*sharp_width**2))"
    )
    return Loss(formula, variables="x y", **numbers).described(
        "gaussian_wells", "standard", [(-2.5, 2.5), (-2, 2)], _gaussian_points
    )


def _gaussian_points(
    flat_depth: float, flat_width: float, sharp_depth: float, sharp_width: float
) -> list:
    from scipy.optimize import brentq  # takes half a second, which the other losses need not wait

    def slope(x: float) -> float:
        left = flat_depth / flat_width**2 * exp(-((x + 1) ** 2) / (2 * flat_width**2))
        right = sharp_depth / sharp_width**2 * exp(-((x - 1) ** 2) / (2 * sharp_width**2))
        return (x + 1) * left + (x - 1) * right

    ends = np.linspace(-1.0, 1.0, 400)
    found = [
        (brentq(slope, low, high, xtol=1e-15), "minimum" if slope(low) < 0 else "saddle")
        for low, high in pairwise(ends)
        if slope(low) * slope(high) < 0
    ]
    return [((x, 0.0), kind) for x, kind in found]
