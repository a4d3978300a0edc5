"""Systems read by SymPy: a step as formulas, and its exact Jacobian."""

from __future__ import annotations

from functools import singledispatch
from types import SimpleNamespace

import sympy

from samdyn.algorithms.base import Oracle
from samdyn.losses.derivatives import differentiate
from samdyn.losses.loss import Loss
from samdyn.symbols import symbols
from samdyn.systems.base import System
from samdyn.systems.flow import Flow
from samdyn.systems.formula_map import FormulaMap
from samdyn.systems.formula_sde import FormulaSDE
from samdyn.systems.map import Map
from samdyn.systems.sde import SDE
from samdyn.words import Point


@singledispatch
def formulas(system: System) -> tuple[sympy.Expr, ...]:
    """What moves a system, a formula for each of ``system.rows``: a map's step, a flow's field.

    The symbols are those of `samdyn.symbols.symbols`: the rows and the numbers, by name. Where
    the definition has ``unit``, the formula has a Piecewise for its value 0 at 0. Gradients within
    gradients are written out: several ascent or lookahead steps make very long formulas.

    Parameters
    ----------
    system : Map, Flow or FormulaMap

    Raises
    ------
    TypeError
        If it is none of them, or a map of a `Switch`.

    Examples
    --------
    >>> from samdyn import GD, Flow, Loss, Map
    >>> formulas(Map(Loss("a*x**2/2", variables="x", a=1.0), GD(lr=0.1)))
    (-a*lr*x + x,)
    >>> formulas(Flow(Loss("a*x**2/2", variables="x", a=1.0), GD(lr=0.1)))
    (-a*x,)
    """
    raise TypeError(f"system must be a samdyn.Map, a Flow or a FormulaMap, got {system!r}")


@formulas.register
def _(system: Map) -> tuple[sympy.Expr, ...]:
    names = tuple(system.single.numbers)
    numbers = SimpleNamespace(**dict(zip(names, symbols(names), strict=True)))
    d = len(system.coordinates)
    rows = symbols(system.rows)
    z = tuple(Point(rows[i : i + d]) for i in range(0, len(rows), d))
    moved = system.single.step(_exact(system.loss), z, numbers)
    # the floats are those of an algorithm, such as the 1.0 of unit: 1/3 again, not 0.333
    return tuple(sympy.nsimplify(scalar, rational=True) for vector in moved for scalar in vector)


@formulas.register
def _(system: Flow) -> tuple[sympy.Expr, ...]:
    step = formulas(Map(system.loss, system.algorithm))
    (lr,) = symbols(["lr"])
    d = len(system.coordinates)
    rates = [sympy.diff(moved, lr) for moved in step[:d]]
    vectors = zip(step[d:], symbols(system.rows)[d:], strict=True)
    return (*rates, *((after - before) / lr for after, before in vectors))


@formulas.register
def _(system: FormulaSDE) -> tuple[sympy.Expr, ...]:
    return system.expressions


@formulas.register
def _(system: SDE) -> tuple[sympy.Expr, ...]:
    return tuple(system.drift_formula)


@formulas.register
def _(system: FormulaMap) -> tuple[sympy.Expr, ...]:
    return system.expressions


def jacobian_formula(system: System) -> sympy.Matrix:
    """The Jacobian as a formula: of a map's step, of a flow's field.

    Entry (i, j) is the derivative of row i by row j, in the order of ``system.rows``.

    Parameters
    ----------
    system : Map, Flow or FormulaMap

    Examples
    --------
    >>> from samdyn import GD, Loss, Map
    >>> jacobian_formula(Map(Loss("a*x**2/2", variables="x", a=1.0), GD(lr=0.1, momentum=0.9)))
    Matrix([
    [-a*lr + 1, -lr*momentum],
    [        a,     momentum]])
    """
    rows = symbols(system.rows)
    return sympy.Matrix([[differentiate(moved, x) for x in rows] for moved in formulas(system)])


def _exact(loss: Loss) -> Oracle:
    """The gradient without the tape's rounding of pi and 1/3 to floats."""
    constants = dict(zip(loss.constants, symbols(tuple(loss.constants)), strict=True))
    if loss.written_grad:
        return lambda p: loss.gradient_at(p, constants)
    w = symbols(loss.variables)
    slopes = [differentiate(loss.expression, x) for x in w]
    return lambda p: Point(slope.xreplace(dict(zip(w, p, strict=True))) for slope in slopes)
