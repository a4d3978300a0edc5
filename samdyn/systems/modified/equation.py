"""The modified equation of an algorithm on a random loss, derived from the algorithm's own step.

A step is z' = z + lr a(z; draw). The diffusion that follows it in law has the drift E a and the
covariance rate lr Cov(a), time running by lr a step (Monzio Compagnoni et al., arXiv 2301.08203).
The algorithm is run on symbols with an oracle of the loss of one draw, which gives a; its moments
are taken by `samdyn.systems.modified.expectation`.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations_with_replacement
from math import comb, factorial, prod
from typing import Any, NamedTuple

import numpy as np
import sympy

from samdyn.algorithms import Algorithm
from samdyn.losses.derivatives import differentiate
from samdyn.losses.formula import FormulaError
from samdyn.losses.loss import Loss
from samdyn.symbols import compile_expressions, symbols
from samdyn.systems.modified.derivation import BATCH, RHO, Derivation, Step, Vector, whole
from samdyn.systems.modified.expectation import Draw, FiniteDraw, GaussianDraw
from samdyn.words import Point

_MOST_BATCHES = 512
"""Different batches that are enumerated, where only enumeration is exact."""


class Modified(NamedTuple):
    """The coefficients of dz = drift dt + sqrt(lr) spread Cov^(1/2) dW.

    Attributes
    ----------
    drift : list
        A formula for each row of the state.
    spread : Matrix
        What a row makes of the noise of the gradient: -1 times the identity for a plain step.
    covariance : Matrix, shape (d, d)
        Of the gradient that the algorithm descends along.
    root : Matrix or None
        A matrix whose product with its transpose is the covariance, if one is known exactly.
    sized : bool
        Whether the formulas hold ``batch_size`` as a symbol.
    lets : dict from sympy.Symbol to sympy.Expr
        What symbols in the formulas stand for.
    """

    drift: Vector
    spread: sympy.Matrix
    covariance: sympy.Matrix
    root: sympy.Matrix | None
    sized: bool
    lets: dict[sympy.Symbol, sympy.Expr]


def derive(
    loss: Loss,
    algorithm: Algorithm,
    batch_size: Any,
    order: int | None,
    nodes: int | None,
) -> Modified:
    """The modified equation of an algorithm on a random loss; see `samdyn.SDE`."""
    derivation = Derivation(loss, algorithm)
    sample = loss.sample
    assert sample is not None
    if sample.noise:
        draw: Draw = GaussianDraw(sample.noise)
        if nodes is not None:
            draw = _hermite(sample.noise, nodes)
        step = derivation.step(derivation.gradient_of(sample.expression), draw.names)
        return _single(step, draw, order, sympy.S.One, False)
    draw = FiniteDraw(sample.fields, sample.table)
    step = derivation.step(derivation.gradient_of(sample.expression), draw.names)
    size, scale = BATCH, sympy.S.One
    if step.part is not None:
        if np.any(np.asarray(batch_size) % step.part) and np.any(batch_size > step.part):
            raise ValueError(
                f"batch_size must be a multiple of m = {step.part} for an SDE, or at most m; got "
                f"{batch_size}"
            )
        if np.all(np.asarray(batch_size) >= step.part):
            size, scale = sympy.Integer(step.part), step.part / BATCH
    if size == 1:
        return _single(step, draw, order, scale, True)
    found = _batched(derivation, draw, order, size, scale)
    if found:
        return found
    number = int(size) if size.is_Integer else batch_size
    if np.ndim(number):
        raise FormulaError(
            f"batch_size must be one number where the mean of {algorithm!r} over batches has no "
            f"closed form, got an array of {np.size(number)}"
        )
    own = BATCH if scale != 1 else None
    return _enumerated(derivation, int(number), order, scale, own is not None)


def _single(step: Step, draw: Draw, order: int | None, scale: sympy.Expr, sized: bool) -> Modified:
    """The moments of a step on one draw, or on one batch seen as one."""
    parts = _expanded(step.gradient, order)
    means = [[draw.mean(g) for g in part] for part in parts]
    mean = [
        sympy.Add(*(RHO**k * m for k, m in enumerate(column)))
        for column in zip(*means, strict=True)
    ]
    d = len(mean)
    root = _root(parts, means, draw) if len(parts) == 1 or not any(parts[1]) else None
    if root is not None:
        covariance = root * root.T
    else:
        covariance = sympy.zeros(d, d)
        for i in range(d):
            for j in range(i, d):
                entry = draw.covariance(parts[0][i], parts[0][j])
                if len(parts) > 1:
                    entry += RHO * draw.covariance(parts[0][i], parts[1][j])
                    entry += RHO * draw.covariance(parts[1][i], parts[0][j])
                covariance[i, j] = covariance[j, i] = entry
    drift = _added(step, mean)
    root = root * sympy.sqrt(scale) if root is not None else None
    return Modified(drift, step.spread, covariance * scale, root, sized, draw.lets)


def _root(parts: list[Vector], means: list[Vector], draw: Draw) -> sympy.Matrix | None:
    """A factor of the covariance that needs no square root: a column a source of noise."""
    if isinstance(draw, GaussianDraw):
        rows = [draw.affine(g) for g in parts[0]]
        return None if any(row is None for row in rows) else _columns(sympy.Matrix(rows))
    if isinstance(draw, FiniteDraw) and len(draw.table) <= len(parts[0]):
        rows = [
            [
                sympy.sqrt(sympy.Rational(p).limit_denominator(10**6)) * one
                for p, one in zip(draw.weights, draw.deviations(g), strict=True)
            ]
            for g in parts[0]
        ]
        return _columns(sympy.Matrix(rows))
    return None


def _columns(matrix: sympy.Matrix) -> sympy.Matrix:
    """The columns that are not 0."""
    kept = [j for j in range(matrix.cols) if any(entry != 0 for entry in matrix[:, j])]
    return matrix.extract(list(range(matrix.rows)), kept)


def _expanded(gradient: Vector, order: int | None) -> list[Vector]:
    """The gradient itself, or its value and its derivative by rho at rho = 0."""
    if order is None or not any(g.has(RHO) for g in gradient):
        return [gradient]
    zero = {RHO: sympy.S.Zero}
    slopes = [differentiate(g, RHO).xreplace(zero) for g in gradient]
    return [[g.xreplace(zero) for g in gradient], slopes]


def _batched(
    derivation: Derivation, draw: FiniteDraw, order: int | None, size: Any, scale: sympy.Expr
) -> Modified | None:
    """Moments over batches drawn with replacement, of what is of degree 2 in the batch's loss.

    Let d be what the batch's loss has above the mean loss. Of F = F0 + F1[d] + F2[d, d] the mean
    is F0 + E F2[d, d]/B with d that of one sample, and its covariance with what is linear, G1[d],
    is E G1 F1/B + E G1 F2/B^2. None for what is of another form.
    """
    t = sympy.Dummy("t", real=True)
    one = derivation.gradient_of(derivation.loss.sample.expression)  # type: ignore[union-attr]
    mean = derivation.gradient_of(None)

    def between(p: Point) -> Point:
        return mean(p) + t * (one(p) - mean(p))

    step = derivation.step(between, (*draw.names, t))
    powers: list[list[Vector]] = []
    for part in _expanded(step.gradient, order):
        found = [_powers(g, t) for g in part]
        if None in found:
            return None
        powers.append(found)  # type: ignore[arg-type]
    first = powers[0]
    if any(g[2] != 0 for g in first):
        return None
    d = len(first)
    drift = [
        sympy.Add(*(RHO**k * (f[i][0] + draw.mean(f[i][2]) / size) for k, f in enumerate(powers)))
        for i in range(d)
    ]
    covariance = sympy.zeros(d, d)
    for i in range(d):
        for j in range(i, d):
            entry = draw.covariance(first[i][1], first[j][1]) / size
            for slope in powers[1:]:
                for a, b in ((i, j), (j, i)):
                    for k in (1, 2):
                        both = draw.covariance(first[a][1], slope[b][k])
                        entry += RHO * both / size**k
            covariance[i, j] = covariance[j, i] = entry
    return Modified(_added(step, drift), step.spread, covariance * scale, None, True, draw.lets)


def _powers(expression: sympy.Expr, t: sympy.Symbol) -> list[sympy.Expr] | None:
    """The coefficients of 1, t and t^2, or None if there is more."""
    if not expression.is_polynomial(t):
        return None
    slopes = [expression]
    for _ in range(3):
        slopes.append(sympy.diff(slopes[-1], t))
    if _differs_from_0(slopes.pop()):
        return None
    here = {t: sympy.S.Zero}
    return [slope.xreplace(here) / factorial(k) for k, slope in enumerate(slopes)]


def _differs_from_0(expression: sympy.Expr) -> bool:
    """Whether it does at a few random places; a formula that is not 0 is 0 nowhere in general."""
    if expression == 0:
        return False
    names = sorted(expression.free_symbols, key=str)
    values = np.random.default_rng(0).uniform(0.3, 1.1, (len(names), 4))
    program = compile_expressions([*expression.args, expression], names)
    parts = np.array([np.broadcast_to(x, 4) for x in program(*values)])
    return bool(np.any(np.abs(parts[-1]) > 1e-10 * np.abs(parts).max()))


def _enumerated(
    derivation: Derivation, size: int, order: int | None, scale: sympy.Expr, sized: bool
) -> Modified:
    """The moments over all batches that there are, if they are few."""
    sample = derivation.loss.sample
    assert sample is not None
    n = len(sample.table)
    if comb(n + size - 1, size) > _MOST_BATCHES:
        raise FormulaError(
            f"over batches of {size} of {n} samples the mean of {derivation.algorithm!r} has no "
            f"closed form, and there are {comb(n + size - 1, size)} different ones, of which at "
            f"most {_MOST_BATCHES} are enumerated; take batch_size=1, or order=1 without "
            "normalisation"
        )
    names = [[f"{field} {k}" for field in sample.fields] for k in range(size)]
    copies = [
        sample.expression.xreplace(dict(zip(symbols(sample.fields), symbols(own), strict=True)))
        for own in names
    ]
    batches = list(combinations_with_replacement(range(n), size))
    table = np.array([sample.table[list(rows)].ravel() for rows in batches])
    counts = [np.bincount(rows) for rows in batches]
    ways = [factorial(size) / prod(factorial(int(c)) for c in own) for own in counts]
    draw = FiniteDraw(
        [name for own in names for name in own], table, np.array(ways) / float(n) ** size
    )
    slopes = derivation.gradient_of(sympy.Add(*copies) / size)
    return _single(derivation.step(slopes, draw.names), draw, order, scale, sized)


def _hermite(names: Sequence[str], nodes: int) -> FiniteDraw:
    """Gauss-Hermite nodes in place of normals."""
    places, weights = np.polynomial.hermite_e.hermegauss(nodes)
    grids = np.meshgrid(*[places] * len(names), indexing="ij")
    table = np.stack([grid.ravel() for grid in grids], axis=1)
    each = np.meshgrid(*[weights / weights.sum()] * len(names), indexing="ij")
    return FiniteDraw(names, table, np.prod([grid.ravel() for grid in each], axis=0))


def given_noise(
    loss: Loss, algorithm: Algorithm, covariance: sympy.Matrix, sized: bool
) -> Modified:
    """The step on the mean loss, with noise of a given covariance in its last gradient."""
    derivation = Derivation(loss.mean, algorithm)
    step = derivation.step(derivation.gradient_of(None), ())
    there = dict(zip(derivation.weights, step.last, strict=True))
    moved = covariance.applyfunc(lambda entry: whole(entry.xreplace(there)))
    if sized:
        moved = moved / BATCH
    return Modified(_added(step, step.gradient), step.spread, moved, None, sized, {})


def _added(step: Step, gradient: Vector) -> Vector:
    moved = step.spread * sympy.Matrix(gradient)
    return [rest + rate for rest, rate in zip(step.rest, moved, strict=True)]
