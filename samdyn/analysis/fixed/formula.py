"""A stability threshold as a formula, where SymPy finds one."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

import numpy as np
import sympy

from samdyn.readings.symbolic import formulas, jacobian_formula
from samdyn.symbols import symbols
from samdyn.systems.base import System

_LARGEST = 6
"""Rows beyond which determinants of formulas take too long."""

_COARSEST = 10_000
"""The largest denominator: a formula full of decimals takes long to factor and says nothing."""

_LONGEST = 4000
"""Operations in a step beyond which SymPy is not asked."""


def threshold_formula(
    system: System, z: np.ndarray, name: str, value: float, room: float = 0.0
) -> sympy.Expr | None:
    """The formula of a crossing that was found at ``value``, give or take ``room``; or None.

    The characteristic conditions are factored: det(J - 1) = 0 for a multiplier +1, det(J + 1) = 0
    for -1, and that two multipliers have the product 1 for a complex pair (for a flow det J = 0,
    and that two eigenvalues have the sum 0). A factor that is linear or quadratic in the number
    gives candidates; the one that has the value is it.

    Parameters
    ----------
    system : System
    z : ndarray, shape (rows,)
        A fixed point that does not depend on the numbers.
    """
    point = _exact(z)
    if len(z) > _LARGEST or point is None:
        return None
    moves = formulas(system)
    if sum(sympy.count_ops(move) for move in moves) > _LONGEST:
        return None
    if any(move.has(sympy.Piecewise) for move in moves):
        return None
    rows = symbols(system.rows)
    there = dict(zip(rows, point, strict=True))
    rest = [move.subs(there) for move in moves]
    still = [0] * len(rest) if system.continuous else point
    if any(sympy.simplify(a - b) != 0 for a, b in zip(rest, still, strict=True)):
        return None
    jacobian = jacobian_formula(system).subs(there)
    if any(number.q > _COARSEST for number in jacobian.atoms(sympy.Rational)):
        return None
    (unknown,) = symbols([name])
    numbers = dict(zip(symbols(tuple(system.numbers)), system.numbers.values(), strict=True))
    for condition in _conditions(jacobian, system.continuous):
        for candidate in _roots(condition, unknown):
            try:
                known = complex(candidate.subs(numbers))
            except TypeError:
                continue
            if abs(known - value) <= max(4 * room, 1e-9 * (1e-3 + abs(value))):
                return sympy.factor(sympy.simplify(candidate))
    return None


def _exact(z: np.ndarray) -> list[sympy.Rational] | None:
    """A state as small fractions, if it is one."""
    exact = []
    for x in z:
        fraction = sympy.Rational(float(x)).limit_denominator(1000)
        if abs(float(fraction) - x) > 1e-13 * (1.0 + abs(x)):
            return None
        exact.append(fraction)
    return exact


def _conditions(jacobian: sympy.Matrix, continuous: bool) -> Iterator[sympy.Expr]:
    one = sympy.eye(jacobian.rows)
    if continuous:
        yield jacobian.det(method="berkowitz")
    else:
        yield (jacobian - one).det(method="berkowitz")
        yield (jacobian + one).det(method="berkowitz")
    if 2 <= jacobian.rows <= 4:
        compound = _pairs(jacobian, continuous)
        shifted = compound if continuous else compound - sympy.eye(compound.rows)
        yield shifted.det(method="berkowitz")


def _pairs(matrix: sympy.Matrix, additive: bool) -> sympy.Matrix:
    """The matrix whose eigenvalues are the products (or sums) of two different ones of this."""
    places = list(combinations(range(matrix.rows), 2))
    shift = sympy.Dummy()
    source = sympy.eye(matrix.rows) + shift * matrix if additive else matrix
    minors = sympy.Matrix(
        len(places),
        len(places),
        lambda i, j: source.extract(list(places[i]), list(places[j])).det(),
    )
    return minors.diff(shift).subs(shift, 0) if additive else minors


def _roots(condition: sympy.Expr, unknown: sympy.Symbol) -> Iterator[sympy.Expr]:
    numerator, _ = sympy.fraction(sympy.together(condition))
    try:
        _, factors = sympy.factor_list(numerator)
    except sympy.PolynomialError:
        return
    for factor, _ in factors:
        if factor.has(unknown) and factor.is_polynomial(unknown):
            polynomial = sympy.Poly(factor, unknown)
            if polynomial.degree() <= 2:
                yield from sympy.roots(polynomial)
