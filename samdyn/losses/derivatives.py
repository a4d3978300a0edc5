"""Derivatives of a formula, as straight-line programs."""

from __future__ import annotations

from functools import lru_cache

import sympy

from samdyn.program import Program
from samdyn.symbols import compile_expressions, symbols


@lru_cache(maxsize=512)
def derivative(
    expression: sympy.Expr,
    gradient: tuple[sympy.Expr, ...] | None,
    variables: tuple[str, ...],
    names: tuple[str, ...],
    order: int,
) -> Program:
    """The value (0), gradient (1), Hessian's upper triangle (2) or third contraction (3).

    Parameters
    ----------
    expression : sympy.Expr
    gradient : tuple of sympy.Expr or None
        The gradient, if it is not to be differentiated from the expression.
    variables, names : tuple of str
        The variables; and the variables followed by the constants.
    order : int
        The inputs of the program are the variables, for order 3 the components of u and of v,
        then the constants.
    """
    w = symbols(variables)
    constants = symbols(names[len(variables) :])
    if order == 0:
        return compile_expressions([expression], (*w, *constants))
    slopes = gradient or tuple(sympy.diff(expression, x) for x in w)
    if order == 1:
        return compile_expressions(slopes, (*w, *constants))
    entries = {(i, j): sympy.diff(slopes[i], w[j]) for i, j in upper(len(w))}
    if order == 2:
        return compile_expressions(list(entries.values()), (*w, *constants))
    u, v = sympy.symbols(f"_u:{len(w)}", real=True), sympy.symbols(f"_v:{len(w)}", real=True)
    bilinear = sum(
        entry * (u[i] * v[j] + u[j] * v[i] if i != j else u[i] * v[i])
        for (i, j), entry in entries.items()
    )
    third = [sympy.diff(bilinear, x) for x in w]
    return compile_expressions(third, (*w, *u, *v, *constants))


def upper(d: int) -> list[tuple[int, int]]:
    """The places of a symmetric matrix's upper triangle, in the order of the programs."""
    return [(i, j) for i in range(d) for j in range(i, d)]
