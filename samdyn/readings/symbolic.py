"""Maps read by SymPy: a step as formulas, and its exact Jacobian."""

from __future__ import annotations

from types import SimpleNamespace

import sympy

from samdyn.algorithms import Switch
from samdyn.algorithms.base import Oracle
from samdyn.losses.derivatives import differentiate
from samdyn.losses.loss import Loss
from samdyn.symbols import symbols
from samdyn.systems.map import Map
from samdyn.words import Point


def formulas(system: Map) -> tuple[sympy.Expr, ...]:
    """One step, a formula for each of ``system.rows``.

    The symbols are those of `samdyn.symbols.symbols`: the rows and the numbers, by name. Where
    the definition has ``unit``, the formula has a Piecewise for its value 0 at 0. Gradients within
    gradients are written out: several ascent or lookahead steps make very long formulas.

    Examples
    --------
    >>> from samdyn import GD, Loss, Map
    >>> formulas(Map(Loss("a*x**2/2", variables="x", a=1.0), GD(lr=0.1)))
    (-a*lr*x + x,)
    """
    if isinstance(system.algorithm, Switch):
        raise TypeError("a Switch is several maps; take one of them from .phases")
    names = tuple(system.algorithm.numbers)
    numbers = SimpleNamespace(**dict(zip(names, symbols(names), strict=True)))
    d = len(system.coordinates)
    rows = symbols(system.rows)
    z = tuple(Point(rows[i : i + d]) for i in range(0, len(rows), d))
    moved = system.algorithm.step(_exact(system.loss), z, numbers)
    # the floats are those of an algorithm, such as the 1.0 of unit: 1/3 again, not 0.333
    return tuple(sympy.nsimplify(scalar, rational=True) for vector in moved for scalar in vector)


def jacobian(system: Map) -> sympy.Matrix:
    """The matrix of derivatives of one step: entry (i, j) is that of row i by row j.

    Examples
    --------
    >>> from samdyn import GD, Loss, Map
    >>> jacobian(Map(Loss("a*x**2/2", variables="x", a=1.0), GD(lr=0.1, momentum=0.9)))
    Matrix([
    [-a*lr + 1, -lr*momentum],
    [        a,     momentum]])
    """
    return sympy.Matrix(formulas(system)).jacobian(symbols(system.rows))


def _exact(loss: Loss) -> Oracle:
    """The gradient without the tape's rounding of pi and 1/3 to floats."""
    constants = dict(zip(loss.constants, symbols(tuple(loss.constants)), strict=True))
    if loss.written_grad:
        return lambda p: loss.gradient_at(p, constants)
    w = symbols(loss.variables)
    slopes = [differentiate(loss.expression, x) for x in w]
    return lambda p: Point(slope.xreplace(dict(zip(w, p, strict=True))) for slope in slopes)
