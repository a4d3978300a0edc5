"""Saddles and wells: the smallest losses on which escape and attraction can be studied."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from math import acos, cos, pi, sqrt

import numpy as np

from samdyn.losses.critical import classify
from samdyn.losses.loss import Loss
from samdyn.numbers import Number, check_positive


def quadratic(eigenvalues: Sequence[Number] = (1.0, 0.1)) -> Loss:
    """The sum of lambda_i*x_i**2/2, by default a bowl.

    On it normalised SAM ends in a two-cycle along the steepest direction, of amplitude
    lr*rho*lambda_1/(2 - lr*lambda_1).

    Parameters
    ----------
    eigenvalues : sequence of float
        One a dimension: the constants lambda1, lambda2, … of the formula.

    Notes
    -----
    Source: Bartlett, Long and Bousquet, arXiv 2210.01513; Wen, Ma and Li, arXiv 2211.05729,
    Theorem 4.8.

    Examples
    --------
    >>> quadratic((3.0, 1.0)).grad([1.0, 1.0])
    array([3., 1.])
    """
    return _quadratic(eigenvalues, "quadratic", "Wen, Ma and Li, arXiv 2211.05729, Theorem 4.8")


def quadratic_saddle(eigenvalues: Sequence[Number] = (1.0, -1.0)) -> Loss:
    """The sum of lambda_i*x_i**2/2 with eigenvalues of both signs.

    Un-normalised SAM with a small step is attracted if rho > -1/lambda_i for every negative
    eigenvalue.

    Parameters
    ----------
    eigenvalues : sequence of float
        One a dimension: the constants lambda1, lambda2, … of the formula.

    Notes
    -----
    Source: Kim et al., arXiv 2301.06308, Theorem 1; Monzio Compagnoni et al., arXiv 2301.08203.

    Examples
    --------
    >>> [(c.kind, c.index) for c in quadratic_saddle((2.0, -1.0, -0.5)).critical_points()]
    [('saddle', 2)]
    """
    return _quadratic(eigenvalues, "quadratic_saddle", "Kim et al., arXiv 2301.06308, Theorem 1")


def hyperbolic_saddle() -> Loss:
    """The saddle x**2 - y**2.

    Notes
    -----
    Source: Kim et al., arXiv 2301.06308, the trajectory figure: start (-3, -0.01), lr 0.01,
    500 steps, rho 0 and 0.5.
    """
    return Loss("x**2 - y**2").described(
        "hyperbolic_saddle",
        "Kim et al., arXiv 2301.06308",
        [(-4, 4), (-4, 4)],
        [((0, 0), "saddle")],
    )


def quartic_saddle(a: Number = 1.0, b: Number = 1.0, c: Number = 1.0) -> Loss:
    """A saddle between two minima, a*x**2/2 - b*y**2/2 + c*y**4/4: escape is bounded.

    Parameters
    ----------
    a, b, c : float
        Positive. The saddle's eigenvalues are a and -b; the minima lie at y = ±sqrt(b/c).

    Examples
    --------
    >>> float(quartic_saddle().value([0.0, 1.0]))
    -0.25
    """
    check_positive(a=a, b=b, c=c)
    return Loss("a*x**2/2 - b*y**2/2 + c*y**4/4", variables="x y", a=a, b=b, c=c).described(
        "quartic_saddle",
        "standard",
        [(-2, 2), (-2, 2)],
        lambda a, b, c: [
            ((0, 0), "saddle"),
            ((0, sqrt(b / c)), "minimum"),
            ((0, -sqrt(b / c)), "minimum"),
        ],
    )


def embedded_saddle(eigenvalues: Sequence[Number] = (1.0, -1.0), quartic: Number = 0.25) -> Loss:
    """A quadratic saddle held together by fourth powers of every coordinate.

    Parameters
    ----------
    eigenvalues : sequence of float
        One a dimension: the constants lambda1, lambda2, … of the formula.
    quartic : float
        Positive: the factor of the sum of fourth powers.

    Notes
    -----
    Source: the kind of loss in Monzio Compagnoni et al., arXiv 2301.08203; the coefficients
    are a choice made here.

    Examples
    --------
    >>> [c.kind for c in embedded_saddle().critical_points()]
    ['minimum', 'minimum', 'saddle']
    """
    source = "after Monzio Compagnoni et al., arXiv 2301.08203; coefficients chosen here"
    return _quartic(eigenvalues, quartic, "embedded_saddle", source)


def quartic_well(eigenvalues: Sequence[Number] = (2.0, 0.5), quartic: Number = 0.125) -> Loss:
    """A bowl that steepens: a quadratic plus fourth powers of every coordinate.

    With noise, a loss on which the SDEs of SAM are not exact.

    Parameters
    ----------
    eigenvalues : sequence of float
        One a dimension: the constants lambda1, lambda2, … of the formula.
    quartic : float
        Positive: the factor of the sum of fourth powers.

    Notes
    -----
    Source: a test loss for the SDEs of Monzio Compagnoni et al., arXiv 2301.08203; the
    coefficients are a choice made here.

    Examples
    --------
    >>> float(quartic_well((1.0,)).value([2.0]))
    4.0
    """
    source = "after Monzio Compagnoni et al., arXiv 2301.08203; coefficients chosen here"
    return _quartic(eigenvalues, quartic, "quartic_well", source)


def double_well(a: Number = 1.0, b: Number = 1.0, tilt: Number = 0.0) -> Loss:
    """One coordinate, two minima and a maximum between them: -a*x**2/2 + b*x**4/4 + tilt*x.

    Parameters
    ----------
    a, b : float
        Positive. Without tilt the minima lie at ±sqrt(a/b), a**2/(4*b) below the maximum.
    tilt : float
        Raises one minimum above the other; beyond 2/3*sqrt(a**3/(3*b)) only one is left.

    Examples
    --------
    >>> [c.kind for c in double_well(tilt=0.1).critical_points()]
    ['minimum', 'minimum', 'maximum']
    """
    check_positive(a=a, b=b)
    formula = "-a*x**2/2 + b*x**4/4 + tilt*x"
    return Loss(formula, variables="x", a=a, b=b, tilt=tilt).described(
        "double_well", "Kramers, Physica 7, 284 (1940)", [(-2, 2)], _double_well_points
    )


def _double_well_points(a: float, b: float, tilt: float) -> list:
    """The roots of b*x**3 - a*x + tilt by Viète's formula; none listed if there is but one."""
    if tilt == 0:
        return [((0,), "maximum"), ((sqrt(a / b),), "minimum"), ((-sqrt(a / b),), "minimum")]
    ratio = -1.5 * tilt / a * sqrt(3 * b / a)
    if abs(ratio) >= 1:
        return []
    roots = [2 * sqrt(a / (3 * b)) * cos((acos(ratio) - 2 * pi * k) / 3) for k in range(3)]
    return [((x,), "minimum" if 3 * b * x**2 > a else "maximum") for x in sorted(roots)]


def symmetric_wells(b: Number = 1.0) -> Loss:
    """Two equal minima at x = ±1 with a saddle between them: (x**2 - 1)**2/4 + b*y**2/2.

    Parameters
    ----------
    b : float
        Positive: the curvature across.

    Examples
    --------
    >>> float(symmetric_wells().value([0.0, 0.0]))
    0.25
    """
    check_positive(b=b)
    return Loss("(x**2 - 1)**2/4 + b*y**2/2", variables="x y", b=b).described(
        "symmetric_wells",
        "standard",
        [(-2, 2), (-2, 2)],
        [((0, 0), "saddle"), ((1, 0), "minimum"), ((-1, 0), "minimum")],
    )


def monkey_saddle() -> Loss:
    """The monkey saddle x**3 - 3*x*y**2: isolated, with a Hessian that vanishes.

    Its one critical point is listed as degenerate.
    """
    return Loss("x**3 - 3*x*y**2").described(
        "monkey_saddle", "standard", [(-1, 1), (-1, 1)], [((0, 0), "degenerate")]
    )


def _bowl(eigenvalues: Sequence[Number]) -> tuple[str, list[str], dict[str, Number]]:
    if len(eigenvalues) == 0:
        raise ValueError("eigenvalues must have at least one entry, one a dimension; got none")
    indices = range(1, len(eigenvalues) + 1)
    formula = " + ".join(f"lambda{i}*x{i}**2/2" for i in indices)
    constants = {f"lambda{i}": value for i, value in zip(indices, eigenvalues, strict=True)}
    return formula, [f"x{i}" for i in indices], constants


def _quadratic(eigenvalues: Sequence[Number], name: str, source: str) -> Loss:
    formula, variables, constants = _bowl(eigenvalues)
    return Loss(formula, variables=variables, **constants).described(
        name,
        source,
        [(-2, 2)] * len(variables),
        lambda **given: [((0,) * len(given), classify(np.array(list(given.values()))))],
    )


def _quartic(eigenvalues: Sequence[Number], quartic: Number, name: str, source: str) -> Loss:
    check_positive(quartic=quartic)
    formula, variables, constants = _bowl(eigenvalues)
    formula += "".join(f" + quartic*{x}**4" for x in variables)

    def known(quartic: float, **given: float) -> list:
        axes = []
        for curvature in given.values():
            root = sqrt(max(-curvature, 0.0) / (4 * quartic))
            axes.append([(0.0, curvature), *((s * root, -2 * curvature) for s in (1, -1) if root)])
        return [
            (tuple(x for x, _ in point), classify(np.array([h for _, h in point])))
            for point in product(*axes)
        ]

    return Loss(formula, variables=variables, quartic=quartic, **constants).described(
        name, source, [(-2, 2)] * len(variables), known
    )
