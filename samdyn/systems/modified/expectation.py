"""Expectations over one draw of a random loss, by symbol.

An expression is a sum of terms, each a coefficient times something random. Means and covariances
are taken of the random parts alone, so that what cancels in a covariance cancels exactly, before
any number is put in.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import sympy

from samdyn.losses.formula import FormulaError
from samdyn.losses.sample import exact, multiplied_out
from samdyn.symbols import symbols
from samdyn.systems.modified.norms import Length, Monomial
from samdyn.systems.modified.spelling import spelled

_LONGEST = 4096
"""Rows of a table that are written out."""

_FEW, _SHORT = 64, 24
"""So few rows are written out at once, if an expression is not so short."""


class Draw:
    """One draw of a random loss: something whose expectation can be taken.

    Attributes
    ----------
    names : tuple of sympy.Symbol
        What is random.
    lets : dict from sympy.Symbol to sympy.Expr
        What symbols in an expectation stand for, in an order in which they can be worked out.
    """

    names: tuple[sympy.Symbol, ...]
    lets: dict[sympy.Symbol, sympy.Expr]

    def spelled(self, expression: Any) -> Any:
        """An expression or matrix with what its symbols stand for put in."""
        return spelled(expression, self.lets)

    def mean(self, expression: sympy.Expr) -> sympy.Expr:
        """The expected value."""
        raise NotImplementedError

    def covariance(self, a: sympy.Expr, b: sympy.Expr) -> sympy.Expr:
        """The expected product of the deviations from the means."""
        raise NotImplementedError


class GaussianDraw(Draw):
    """Independent standard normals.

    Their expectations are exact: of polynomials, and of polynomials over the length of a vector
    whose noise is isotropic (see `samdyn.systems.modified.norms`), as normalised SAM has them.

    Raises
    ------
    FormulaError
        From ``mean`` and ``covariance``, for an expression that is neither.
    """

    def __init__(self, names: Sequence[str]):
        self.names = symbols(names)
        self.lets = {}

    def mean(self, expression: sympy.Expr) -> sympy.Expr:
        terms, length = self._terms(expression)
        return sympy.Add(*(c * self._expected(key, length) for key, c in terms.items()))

    def covariance(self, a: sympy.Expr, b: sympy.Expr) -> sympy.Expr:
        (first, one), (second, other) = self._terms(a), self._terms(b)
        length = self._same(one, other)
        if length and not (one and other):
            first, second = (self._moved(t, x, length) for t, x in ((first, one), (second, other)))
        total = []
        for p, c in first.items():
            for q, e in second.items():
                together = self._expected(_product(p, q), length)
                apart = self._expected(p, length) * self._expected(q, length)
                total.append(c * e * (together - apart))
        return sympy.Add(*total)

    def affine(self, expression: sympy.Expr) -> list[sympy.Expr] | None:
        """The coefficients of the normals in an expression of first degree, else None."""
        if any(not one.is_polynomial(*self.names) for one in [expression]):
            return None
        terms, _ = self._terms(expression)
        if any(sum(powers) > 1 for powers, _ in terms):
            return None
        units = [tuple(int(i == j) for i in range(len(self.names))) for j in range(len(self.names))]
        return [terms.get((unit, 0), sympy.S.Zero) for unit in units]

    def _terms(self, expression: sympy.Expr) -> tuple[dict[Monomial, sympy.Expr], Length | None]:
        """Coefficients by powers of the normals (or of the vector) and of its length."""
        expression, length = Length.taken_out(expression, self.names)
        lengths = [length.symbol] if length else []
        if length:  # by what the length is that of: only so do numerators vanish with it
            expression = expression.xreplace(length.moved(self.names))
        found: dict[Monomial, list[sympy.Expr]] = {}
        for term in sympy.Add.make_args(sympy.expand(expression)):
            coefficient, random = term.as_independent(*self.names, *lengths, as_Add=False)
            powers = random.as_powers_dict()
            own = tuple(powers.pop(name, sympy.S.Zero) for name in self.names)
            over = powers.pop(length.symbol, sympy.S.Zero) if length else sympy.S.Zero
            powers.pop(sympy.S.One, None)
            if powers or any(not k.is_Integer or k < 0 for k in own):
                raise FormulaError(
                    f"the expectation of {random} over normals {', '.join(map(str, self.names))} "
                    "has no closed form here; give nodes=…, Gauss-Hermite nodes for each of them"
                )
            found.setdefault((tuple(map(int, own)), int(over)), []).append(coefficient)
        terms = {key: sympy.Add(*parts) for key, parts in found.items()}
        terms = {key: sympy.cancel(c) if key[1] < 0 else c for key, c in terms.items()}
        return {key: c for key, c in terms.items() if c != 0}, length

    def _expected(self, key: Monomial, length: Length | None) -> sympy.Expr:
        powers, over = key
        if length is None:
            return sympy.Mul(*(_moment(k) for k in powers))
        return length.expected(powers, over)

    def _moved(
        self, terms: dict[Monomial, sympy.Expr], own: Length | None, length: Length
    ) -> dict[Monomial, sympy.Expr]:
        """Powers of the normals as powers of the vector whose length there is."""
        if own:
            return terms
        found: dict[Monomial, sympy.Expr] = {}
        for (powers, _), coefficient in terms.items():
            factors = zip(self.names, length.centre, powers, strict=True)
            moved = sympy.Mul(*((xi - m) ** k for xi, m, k in factors))
            for exponents, c in sympy.Poly(sympy.expand(moved), *self.names).terms():
                key = (tuple(exponents), 0)
                found[key] = found.get(key, sympy.S.Zero) + c * coefficient
        return found

    @staticmethod
    def _same(one: Length | None, other: Length | None) -> Length | None:
        if one and other and sympy.expand(one.square - other.square) != 0:
            raise FormulaError(
                "the covariance holds two lengths that are random, which has no closed form here; "
                "give nodes=…, Gauss-Hermite nodes for each normal"
            )
        return one or other


class FiniteDraw(Draw):
    """One row of a table, with given probabilities.

    Terms that are data times variables are averaged one by one. What does not separate, or has
    more terms than there are rows, is written out: a symbol stands for its value on each row, and
    one for its mean.

    Parameters
    ----------
    names : sequence of str
        Of the table's columns.
    table : ndarray, shape (n, columns)
    weights : ndarray, shape (n,), optional
        Probabilities. Default: 1/n each.

    Raises
    ------
    FormulaError
        From ``mean`` and ``covariance``, if too much would have to be written out.
    """

    def __init__(self, names: Sequence[str], table: np.ndarray, weights: Any = None):
        self.names = symbols(names)
        self.table = table
        n = len(table)
        self.weights = np.full(n, 1.0 / n) if weights is None else np.asarray(weights, float)
        self.lets = {}
        self._rows = [dict(zip(self.names, map(exact, row), strict=True)) for row in table]
        self._written: dict[sympy.Expr, tuple[list[sympy.Symbol], sympy.Symbol]] = {}

    def mean(self, expression: sympy.Expr) -> sympy.Expr:
        terms = self._terms(expression)
        if terms is None:
            return self._each(expression)[1]
        return sympy.Add(*(exact(self.weights @ column) * rest for rest, column in terms.items()))

    def covariance(self, a: sympy.Expr, b: sympy.Expr) -> sympy.Expr:
        first, second = self._terms(a), self._terms(b)
        if first is None or second is None:
            products = [p * q for p, q in zip(*map(self.deviations, (a, b)), strict=True)]
            return self._over_rows(products)
        total = []
        for p, c in first.items():
            for q, e in second.items():
                value = self.weights @ ((c - self.weights @ c) * (e - self.weights @ e))
                total.append(exact(value) * p * q)
        return sympy.Add(*total)

    def deviations(self, expression: sympy.Expr) -> list[sympy.Expr]:
        """What the expression has above its mean, on every row."""
        values, mean = self._each(expression)
        return [value - mean for value in values]

    def _each(self, expression: sympy.Expr) -> tuple[list[sympy.Symbol], sympy.Symbol]:
        """Symbols for the values on all rows, and for their mean."""
        if expression not in self._written:
            if len(self.table) > _LONGEST:
                raise FormulaError(
                    f"an expectation over {len(self.table)} samples has terms that do not "
                    f"separate into data times variables; at most {_LONGEST} samples are written "
                    "out: give fewer"
                )
            values = [sympy.Dummy(f"v{k}", real=True) for k in range(len(self.table))]
            mean = sympy.Dummy("mean", real=True)
            for value, row in zip(values, self._rows, strict=True):
                self.lets[value] = expression.xreplace(row)
            self.lets[mean] = self._over_rows(values)
            self._written[expression] = values, mean
        return self._written[expression]

    def _over_rows(self, values: Sequence[sympy.Expr]) -> sympy.Expr:
        if np.ptp(self.weights) == 0:
            return sympy.Add(*values) / len(values)
        return sympy.Add(*(exact(p) * v for p, v in zip(self.weights, values, strict=True)))

    def _terms(self, expression: sympy.Expr) -> dict[sympy.Expr, np.ndarray] | None:
        """Columns of numbers by what they multiply; None if the rows are to be written out."""
        n, others = len(self.table), expression.free_symbols - set(self.names)
        if n <= _FEW and expression.count_ops() > _SHORT:
            return None
        apart: dict[sympy.Expr, np.ndarray] = {}
        for term in sympy.Add.make_args(multiplied_out(expression)):
            rest, data = term.as_independent(*self.names, as_Add=False)
            if data.free_symbols & others:
                return None
            column = np.broadcast_to(np.asarray(self._over(data), float), n)
            number, rest = rest.as_coeff_Mul()
            apart[rest] = apart.get(rest, 0.0) + float(number) * column
        return apart if len(apart) <= max(n, _SHORT) or n > _LONGEST else None

    def _over(self, data: sympy.Expr) -> Any:
        with np.errstate(all="ignore"):
            return sympy.lambdify(self.names, data, "numpy")(*self.table.T)


def _product(p: Monomial, q: Monomial) -> Monomial:
    return tuple(a + b for a, b in zip(p[0], q[0], strict=True)), p[1] + q[1]


def _moment(k: int) -> sympy.Expr:
    """E xi^k of a standard normal."""
    return sympy.factorial2(k - 1) if k % 2 == 0 else sympy.S.Zero
