"""Derivatives of a formula, as straight-line programs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
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
    slopes = gradient or tuple(differentiate(expression, x) for x in w)
    if order == 1:
        return compile_expressions(slopes, (*w, *constants))
    entries = {(i, j): differentiate(slopes[i], w[j]) for i, j in upper(len(w))}
    if order == 2:
        return compile_expressions(list(entries.values()), (*w, *constants))
    u, v = sympy.symbols(f"_u:{len(w)}", real=True), sympy.symbols(f"_v:{len(w)}", real=True)
    bilinear = sum(
        entry * (u[i] * v[j] + u[j] * v[i] if i != j else u[i] * v[i])
        for (i, j), entry in entries.items()
    )
    third = [differentiate(bilinear, x) for x in w]
    return compile_expressions(third, (*w, *u, *v, *constants))


class _Sign(sympy.Function):
    """The sign of what is real, though SymPy may not know that it is."""

    def fdiff(self, argindex: int = 1) -> sympy.Expr:
        return sympy.S.Zero


class _Absolute(sympy.Function):
    """The absolute value of what is real; see `_Sign`."""

    def fdiff(self, argindex: int = 1) -> sympy.Expr:
        return _Sign(self.args[0])


def differentiate(expression: sympy.Expr, x: sympy.Symbol) -> sympy.Expr:
    """The derivative almost everywhere: kinks and jumps have none of their own.

    SymPy's own derivative of ``abs(log(x))`` allows for a complex logarithm and stays unevaluated.
    """
    terms = [term for term in sympy.Add.make_args(expression) if x in _names(term)]
    return sympy.Add(*(_slope(term, x) for term in terms))


@lru_cache(maxsize=4096)
def _names(term: sympy.Expr) -> set[sympy.Basic]:
    """The symbols of a term: a long sum asks for those of each term once a variable."""
    return term.free_symbols


def _slope(expression: sympy.Expr, x: sympy.Symbol) -> sympy.Expr:
    if not expression.has(sympy.Abs, sympy.sign, sympy.Heaviside, sympy.Min, sympy.Max):
        return sympy.diff(expression, x)
    real = expression.replace(sympy.Abs, _Absolute).replace(sympy.sign, _Sign)
    slope = sympy.diff(real, x).replace(sympy.DiracDelta, lambda *_: sympy.S.Zero)
    return slope.replace(_Absolute, sympy.Abs).replace(_Sign, sympy.sign)


def in_high_precision(inputs: Sequence[sympy.Symbol], expressions: Any) -> Callable[..., Any]:
    """Expressions (one, or nested lists) as a function of mpmath numbers, at any precision."""
    # a name of the user's, such as mpf, may be one of the generated code's own
    dummies = {symbol: sympy.Dummy(real=True) for symbol in inputs}

    def renamed(part: Any) -> Any:
        return list(map(renamed, part)) if isinstance(part, list) else part.xreplace(dummies)

    steps = {"Heaviside": lambda x, half=0.5: half if x == 0 else int(x > 0)}
    return sympy.lambdify(list(dummies.values()), renamed(expressions), modules=[steps, "mpmath"])


def symmetric(entries: np.ndarray, d: int) -> np.ndarray:
    """Symmetric matrices (…, d, d), of their upper triangles in the order of `upper`."""
    matrix = np.empty((*entries.shape[:-1], d, d))
    for k, (i, j) in enumerate(upper(d)):
        matrix[..., i, j] = matrix[..., j, i] = entries[..., k]
    return matrix


def upper(d: int) -> list[tuple[int, int]]:
    """The places of a symmetric matrix's upper triangle, in the order of the programs."""
    return [(i, j) for i in range(d) for j in range(i, d)]
