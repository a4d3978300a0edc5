"""Expectations of a random vector's length and direction, in closed form.

For y = xi + mu with xi standard normal in K dimensions, E |y| and E (y/|y|) are Kummer functions
of |mu|^2 (K = 2 is Rice's distribution), and Stein's identity, E[xi_k f(y)] = d/dmu_k E f(y), gives
every other moment from them.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import sympy

from samdyn.losses.formula import FormulaError
from samdyn.symbols import I0e, I1e

Monomial = tuple[tuple[int, ...], int]
"""The powers of each normal, and the power of the length."""

_SERIES = 18


class Length(NamedTuple):
    """A length |s (xi + mu)| in an expression, and the symbol that stands for it."""

    symbol: sympy.Symbol
    square: sympy.Expr
    scale: sympy.Expr
    centre: tuple[sympy.Expr, ...]

    @classmethod
    def taken_out(
        cls, expression: sympy.Expr, names: Sequence[sympy.Symbol]
    ) -> tuple[sympy.Expr, Length | None]:
        """The expression with a symbol in place of the one length in it that is random.

        Raises
        ------
        FormulaError
            If there are several, or the noise of its vector is not isotropic.
        """
        random = set(names)
        # a direction has the value 0 where its vector is 0: with normals, never
        expression = expression.replace(
            lambda part: part.is_Piecewise and any(c.free_symbols & random for _, c in part.args),
            lambda part: part.args[0].expr,
        )
        roots: dict[sympy.Expr, tuple[sympy.Expr, sympy.Expr]] = {}
        for part in expression.atoms(sympy.Pow, sympy.Abs, sympy.sign):
            if not part.free_symbols & random:
                continue
            if part.is_Pow and not (part.exp.is_Integer and part.exp > 0):
                if part.base.func is sympy.Abs:
                    continue
                roots[part] = (part.base, 2 * part.exp)
            elif part.func is sympy.Abs:
                roots[part] = (part.args[0] ** 2, sympy.S.One)
            elif part.func is sympy.sign:
                roots[part] = (part.args[0] ** 2, sympy.S.NegativeOne)
        if not roots:
            return expression, None
        symbol = sympy.Symbol("_length", positive=True)
        squares = {base: sympy.expand(base) for base, _ in roots.values()}
        if len(set(squares.values())) > 1:
            raise FormulaError(_NO_CLOSED_FORM.format("several lengths are random"))
        square = next(iter(squares.values()))
        length = cls._completed(symbol, square, names)
        swapped = {
            part: (part.args[0] if part.func is sympy.sign else 1) * symbol**power
            for part, (_, power) in roots.items()
        }
        return expression.xreplace(swapped), length

    @classmethod
    def _completed(
        cls, symbol: sympy.Symbol, square: sympy.Expr, names: Sequence[sympy.Symbol]
    ) -> Length:
        """The square completed: s^2 |xi + mu|^2."""
        origin = dict.fromkeys(names, sympy.S.Zero)
        scale = sympy.diff(square, names[0], 2) / 2
        mixed = [sympy.diff(square, a, b) for i, a in enumerate(names) for b in names[:i]]
        equal = [sympy.diff(square, a, 2) / 2 - scale for a in names]
        if scale == 0 or any(sympy.simplify(one) != 0 for one in mixed + equal):
            raise FormulaError(_NO_CLOSED_FORM.format("the gradient's noise is not isotropic"))
        centre = tuple(
            sympy.cancel(sympy.diff(square, a).xreplace(origin) / (2 * scale)) for a in names
        )
        left = square.xreplace(origin) - scale * sympy.Add(*(m**2 for m in centre))
        if sympy.simplify(left) != 0:
            raise FormulaError(
                _NO_CLOSED_FORM.format("the gradient has noise along some axes only")
            )
        return cls(symbol, square, sympy.sqrt(scale), centre)

    def moved(self, names: Sequence[sympy.Symbol]) -> dict[sympy.Symbol, sympy.Expr]:
        """The normals in terms of the vector xi + mu, which takes their names."""
        return {xi: xi - m for xi, m in zip(names, self.centre, strict=True)}

    def expected(self, powers: Sequence[int], over: int) -> sympy.Expr:
        """The mean of a product of powers of xi + mu and of the length."""
        mu = sympy.symbols(f"_mu:{len(self.centre)}", real=True)
        value = _expected(tuple(powers), over, mu)
        return self.scale**over * value.xreplace(dict(zip(mu, self.centre, strict=True)))


_NO_CLOSED_FORM = (
    "the mean of this algorithm's step has no closed form: {}; give nodes=…, Gauss-Hermite nodes "
    "for each normal"
)


@lru_cache(maxsize=4096)
def _expected(powers: tuple[int, ...], over: int, mu: tuple[sympy.Symbol, ...]) -> sympy.Expr:
    """E of a monomial of y times |y|^over."""
    y = sympy.symbols(f"_y:{len(mu)}", real=True)
    moved = sympy.Mul(*(a**k for a, k in zip(y, powers, strict=True)))
    while over > 0:  # an even power of a length is a polynomial
        moved, over = moved * sympy.Add(*(a**2 for a in y)), over - 2
    total = []
    for exponents, coefficient in sympy.Poly(moved, *y).terms():
        total.append(coefficient * _of_y(tuple(exponents), over, mu))
    return sympy.Add(*total)


@lru_cache(maxsize=4096)
def _of_y(exponents: tuple[int, ...], over: int, mu: tuple[sympy.Symbol, ...]) -> sympy.Expr:
    """E y^exponents |y|^over."""
    d = len(mu)
    if d == 1:  # |y|^over is y^over, with a sign if odd
        k = exponents[0] + over
        if k < 0:
            raise FormulaError(_NO_CLOSED_FORM.format("1/|g| alone has no mean"))
        root = sympy.erf(mu[0] / sympy.sqrt(2)) if over % 2 else sympy.S.One
        for _ in range(k):
            root = mu[0] * root + sympy.diff(root, mu[0])
        return root
    if over == 0:
        base, left = sympy.S.One, list(exponents)
    elif over == -1 and sum(exponents) == 0:
        length = mean_length(mu)
        return sympy.Add(*(sympy.diff(length, m, 2) for m in mu)) / (d - 1)
    elif over == -1:
        i = next(i for i, k in enumerate(exponents) if k)
        base, left = sympy.diff(mean_length(mu), mu[i]), _less(exponents, i)
    elif over == -2 and d == 2 and sum(exponents) >= 2:
        i = next(i for i, k in enumerate(exponents) if k)
        left = _less(exponents, i)
        j = next(j for j, k in enumerate(left) if k)
        left = _less(left, j)
        u = mu[0] ** 2 + mu[1] ** 2
        slope = sympy.hyper((1,), (3,), -u / 2) / 4
        base = mu[i] * mu[j] * slope + (sympy.S.Half * (1 - u * slope) if i == j else 0)
    else:
        raise FormulaError(_NO_CLOSED_FORM.format("it holds a length to a high power"))
    for i, k in enumerate(left):
        for _ in range(k):
            base = mu[i] * base + sympy.diff(base, mu[i])
    return base


def _less(exponents: Sequence[int], i: int) -> list[int]:
    return [k - (j == i) for j, k in enumerate(exponents)]


def mean_length(mu: Sequence[sympy.Expr]) -> sympy.Expr:
    """E |xi + mu| as a formula."""
    d = sympy.Integer(len(mu))
    u = sympy.Add(*(m**2 for m in mu))
    factor = sympy.sqrt(2) * sympy.gamma((d + 1) / 2) / sympy.gamma(d / 2)
    return factor * sympy.hyper((-sympy.S.Half,), (d / 2,), -u / 2)


def in_words(expression: sympy.Expr) -> sympy.Expr:
    """The expression with its Kummer functions written out in functions that have words.

    Raises
    ------
    FormulaError
        If one has no such form: a length in more than 3 dimensions.
    """
    return expression.replace(
        sympy.hyper, lambda above, below, z: _kummer(above[0], below[0], -2 * z)
    )


def _kummer(a: sympy.Expr, b: sympy.Expr, argument: sympy.Expr) -> sympy.Expr:
    """1F1(a; b; -u/2), as its series near 0, where the closed form would cancel."""
    u = sympy.Symbol("_u", positive=True)
    near = sympy.Add(
        *(
            sympy.rf(a, n) / (sympy.rf(b, n) * sympy.factorial(n)) * (-u / 2) ** n
            for n in range(_SERIES)
        )
    )
    far = _far(a, b, u)
    chosen = sympy.Piecewise((sympy.horner(sympy.N(near, 17)), u < 1), (far, True))
    # where the series is taken, the other branch must not divide by 0
    safe = far.xreplace({u: sympy.Max(u, sympy.S.Half)})
    chosen = sympy.Piecewise((chosen.args[0].expr, u < 1), (safe, True))
    return chosen.xreplace({u: argument})


@lru_cache(maxsize=64)
def _far(a: sympy.Expr, b: sympy.Expr, u: sympy.Symbol) -> sympy.Expr:
    half, r = sympy.S.Half, sympy.sqrt(u)
    roots = {
        (-half, sympy.S.One): (1 + u / 2) * I0e(u / 4) + u / 2 * I1e(u / 4),
        (-half, 3 * half): (
            sympy.exp(-u / 2)
            + sympy.sqrt(sympy.pi / 2) * (r + 1 / r) * sympy.erf(r / sympy.sqrt(2))
        )
        / 2,
        (sympy.S.One, sympy.Integer(3)): 4 / u - 8 * (1 - sympy.exp(-u / 2)) / u**2,
    }
    for (first, second), form in roots.items():
        k = a - first
        if k.is_Integer and k >= 0 and b - second == k:
            factor = (-half) ** k * sympy.rf(first, k) / sympy.rf(second, k)
            return sympy.expand(sympy.diff(form, u, int(k)) / factor)
    raise FormulaError(
        "the mean length of a vector with isotropic noise has a form in words for 1, 2 and 3 "
        "dimensions; give nodes=…, Gauss-Hermite nodes for each normal"
    )
