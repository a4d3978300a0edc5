"""SymPy and the words: expressions read as definitions, and definitions read as expressions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce
from typing import Any

import sympy

from samdyn import special, words
from samdyn.program import Program, integer_power
from samdyn.tracer import trace


class I0e(sympy.Function):
    """exp(-|x|) I_0(x), the exponentially scaled modified Bessel function."""

    def fdiff(self, argindex: int = 1) -> sympy.Expr:
        """The derivative."""
        (x,) = self.args
        return I1e(x) - sympy.sign(x) * self

    def _eval_evalf(self, prec: int) -> sympy.Expr:
        (x,) = self.args
        return (sympy.exp(-sympy.Abs(x)) * sympy.besseli(0, x))._eval_evalf(prec)

    def _latex(self, printer: Any) -> str:
        return rf"\mathrm{{I0e}}\left({printer.doprint(self.args[0])}\right)"


class I1e(sympy.Function):
    """exp(-|x|) I_1(x), the exponentially scaled modified Bessel function."""

    def fdiff(self, argindex: int = 1) -> sympy.Expr:
        """The derivative."""
        (x,) = self.args
        return I0e(x) - (sympy.sign(x) + 1 / x) * self

    def _eval_evalf(self, prec: int) -> sympy.Expr:
        (x,) = self.args
        return (sympy.exp(-sympy.Abs(x)) * sympy.besseli(1, x))._eval_evalf(prec)

    def _latex(self, printer: Any) -> str:
        return rf"\mathrm{{I1e}}\left({printer.doprint(self.args[0])}\right)"


_FUNCTIONS: dict[type, Any] = {
    sympy.exp: words.exp,
    sympy.log: words.log,
    sympy.sin: words.sin,
    sympy.cos: words.cos,
    sympy.tan: words.tan,
    sympy.sinh: words.sinh,
    sympy.cosh: words.cosh,
    sympy.tanh: words.tanh,
    sympy.asin: words.arcsin,
    sympy.acos: words.arccos,
    sympy.atan: words.arctan,
    sympy.Abs: words.absolute,
    sympy.sign: words.sign,
    sympy.erf: special.erf,
    I0e: special.i0e,
    I1e: special.i1e,
}
for _symbolic, _word in _FUNCTIONS.items():
    _word.register(sympy.Basic, lambda x, _symbolic=_symbolic: _symbolic(x))
words.sqrt.register(sympy.Basic, sympy.sqrt)
words.power.register(sympy.Basic, sympy.Pow)


def _piecewise(condition: Any, a: Any, b: Any) -> Any:
    if a is False and b is True:
        return sympy.Not(condition)
    return sympy.Piecewise((a, condition), (b, True))


for _kind in (sympy.Basic, type(sympy.true)):
    words.where.register(_kind, _piecewise)  # type: ignore[attr-defined]


def symbols(names: Sequence[str]) -> tuple[sympy.Symbol, ...]:
    """Real symbols: the same name is the same symbol everywhere."""
    return tuple(sympy.Symbol(name, real=True) for name in names)


def compile_expressions(
    expressions: Sequence[sympy.Expr], inputs: Sequence[sympy.Symbol]
) -> Program:
    """Expressions as a straight-line program, common subexpressions taken out.

    Parameters
    ----------
    expressions : sequence of sympy.Expr
    inputs : sequence of sympy.Symbol
        The order of the program's inputs.
    """
    replacements, reduced = sympy.cse(list(expressions), order="canonical")

    def definition(*values: Any) -> list[Any]:
        known = dict(zip(inputs, values, strict=True))
        for symbol, expression in replacements:
            known[symbol] = evaluate(expression, known)
        return [evaluate(expression, known) for expression in reduced]

    return trace(definition, [symbol.name for symbol in inputs])


def evaluate(expression: Any, known: Mapping[Any, Any]) -> Any:
    """Say a SymPy expression in words, on scalars of any kind.

    Parameters
    ----------
    expression : sympy.Basic
    known : mapping from sympy.Symbol to scalar

    Raises
    ------
    ValueError
        If a symbol or a function of the expression is not known.
    """
    if expression.is_Symbol:
        if expression not in known:
            raise ValueError(f"{expression} is not known; known are {sorted(map(str, known))}")
        return known[expression]
    if expression.is_number and not expression.has(sympy.Function) and expression.is_real:
        return float(expression)
    if expression.is_Add:
        return _sum(expression, known)
    if expression.is_Mul:
        return _product(expression, known)
    if expression.is_Pow:
        return _power(expression.base, expression.exp, known)
    if expression.func in _FUNCTIONS:
        return _FUNCTIONS[expression.func](evaluate(expression.args[0], known))
    return _choice(expression, known)


def _sum(expression: Any, known: Mapping) -> Any:
    total = None
    for term in expression.args:
        negative = term.could_extract_minus_sign()
        value = evaluate(-term if negative else term, known)
        if total is None:
            total = -value if negative else value
        else:
            total = total - value if negative else total + value
    return total


def _product(expression: Any, known: Mapping) -> Any:
    coefficient, rest = expression.as_coeff_Mul()
    above, below = [], []
    for factor in sympy.Mul.make_args(rest):
        base, exponent = factor.as_base_exp()
        if exponent.is_number and exponent.is_negative and base is not sympy.E:
            below.append(_power(base, -exponent, known))
        else:
            above.append(evaluate(factor, known))
    if abs(coefficient) != 1:
        above.insert(0, float(abs(coefficient)))
    value = reduce(lambda a, b: a * b, above) if above else 1.0
    if below:
        value = value / reduce(lambda a, b: a * b, below)
    return -value if coefficient < 0 else value


def _power(base: Any, exponent: Any, known: Mapping) -> Any:
    if base is sympy.E:
        return words.exp(evaluate(exponent, known))
    value = evaluate(base, known)
    if exponent.is_Integer:
        return integer_power(value, int(exponent))
    if exponent.is_Rational and exponent.q == 2:
        whole, root = int(exponent.p) // 2, words.sqrt(value)
        if whole < 0:
            return 1.0 / (integer_power(value, -whole - 1) * root)
        return integer_power(value, whole) * root if whole else root
    return words.power(value, evaluate(exponent, known))


_CHOICES = {
    *(sympy.Heaviside, sympy.Min, sympy.Max, sympy.ITE, sympy.Not, sympy.And, sympy.Or),
    *(sympy.StrictLessThan, sympy.StrictGreaterThan, sympy.LessThan, sympy.GreaterThan),
}


def _choice(expression: Any, known: Mapping) -> Any:
    """Conditions and what hangs on them."""
    kind = expression.func
    arguments = expression.args
    if expression in (sympy.true, sympy.false):
        return bool(expression)
    if kind is sympy.Piecewise:
        value = evaluate(arguments[-1].expr, known)
        for piece in reversed(arguments[:-1]):
            value = words.where(evaluate(piece.cond, known), evaluate(piece.expr, known), value)
        return value
    if kind is sympy.DiracDelta:
        return 0.0  # the derivative of a kink, almost everywhere
    if kind not in _CHOICES:
        raise ValueError(
            f"{kind.__name__} has no counterpart in words: {expression}; known are "
            f"{', '.join(known_functions())}"
        )
    values = [evaluate(argument, known) for argument in arguments]
    if kind is sympy.Heaviside:
        return words.where(values[0] < 0.0, 0.0, words.where(values[0] > 0.0, 1.0, 0.5))
    if kind in (sympy.Min, sympy.Max):
        return reduce(words.minimum if kind is sympy.Min else words.maximum, values)
    if kind in (sympy.StrictLessThan, sympy.StrictGreaterThan):
        return values[0] < values[1] if kind is sympy.StrictLessThan else values[0] > values[1]
    if kind in (sympy.LessThan, sympy.GreaterThan):
        return values[0] <= values[1] if kind is sympy.LessThan else values[0] >= values[1]
    if kind is sympy.ITE:
        return words.where(*values)
    if kind is sympy.Not:
        return words.where(values[0], False, True)
    return reduce((lambda a, b: a & b) if kind is sympy.And else (lambda a, b: a | b), values)


def known_functions() -> list[str]:
    """The names of SymPy's functions that can be said in words."""
    functions = (*_FUNCTIONS, sympy.Heaviside, sympy.Min, sympy.Max, sympy.Piecewise)
    return ["sqrt", *(function.__name__ for function in functions)]
