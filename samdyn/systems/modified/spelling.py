"""Formulas in which symbols stand for others: put in, made readable, made a program."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sympy

from samdyn.program import Program
from samdyn.symbols import evaluate, symbols
from samdyn.systems.modified.norms import in_words
from samdyn.tracer import trace


def spelled(expression: Any, lets: Mapping[sympy.Symbol, sympy.Expr]) -> Any:
    """An expression or matrix with what symbols stand for put in."""
    while expression.free_symbols & set(lets):
        expression = expression.xreplace(lets)
    return expression


def readable(expression: sympy.Expr) -> sympy.Expr:
    """The expression in a shorter form, if that is quickly found."""
    expression = sympy.sympify(expression)
    if expression.count_ops() > 100:
        return expression
    if expression.has(sympy.hyper, sympy.Piecewise, sympy.Function):
        return sympy.factor_terms(expression)
    if expression.has(sympy.Float):
        return sympy.factor_terms(sympy.expand(expression))
    return sympy.factor(expression)


def compiled(
    entries: Sequence[sympy.Expr], lets: Mapping[sympy.Symbol, sympy.Expr], names: Sequence[str]
) -> Program:
    """Formulas as a program of the named inputs, what their symbols stand for worked out first."""
    said = [in_words(one) for one in (*lets.values(), *map(readable, entries))]
    shared, reduced = sympy.cse(said, order="none")

    def definition(*values: Any) -> list[Any]:
        known = dict(zip(symbols(names), values, strict=True))
        waiting = dict(shared) | dict(zip(lets, reduced, strict=False))

        def worked_out(formula: sympy.Expr) -> Any:
            for name in formula.free_symbols:
                if name in waiting and name not in known:
                    known[name] = worked_out(waiting[name])
            return evaluate(formula, known)

        return [worked_out(formula) for formula in reduced[len(lets) :]]

    return trace(definition, names)
