"""Average-direction sharpness: the mean rise of the loss over a sphere."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import sympy

from samdyn.analysis.sharpness.intervals import SMOOTH, enclosed
from samdyn.analysis.sharpness.landscape import Formula, Landscape
from samdyn.program import Program
from samdyn.symbols import compile_expressions, symbols

_SMALL = 6
"""Up to so many coordinates product rules are used."""

_MOST_NODES = 200_000
_REPLICATES, _POINTS = 16, 4096
_ERRORS = 4.0


class Mean(NamedTuple):
    """A mean rise and what it lies between."""

    value: float
    low: float
    high: float


def average_rise(formula: Formula, p: np.ndarray, rho: float, tol: float, seed: int) -> Mean:
    """The mean of L(p + rho v) - L(p) over abs(v) = 1; see `samdyn.sharpness`."""
    laplacians = _laplacians(formula.expression, formula.variables, formula.names)
    if laplacians is not None:
        return _pizzetti(laplacians, formula, p, rho)
    land = Landscape(formula, p, rho, np.eye(len(p)))
    mean = _quadrature(land, tol) if len(p) <= _SMALL else _sampled(land, seed)
    if mean.value == -np.inf:  # somewhere on the sphere the loss has no value
        return Mean(np.nan, np.nan, np.nan)
    return Mean(*(x * rho * rho for x in mean))


# --- polynomials: exactly -----------------------------------------------------------------


@lru_cache(maxsize=256)
def _laplacians(
    expression: sympy.Expr, variables: tuple[str, ...], names: tuple[str, ...]
) -> Program | None:
    """All powers of the Laplacian, until they vanish; None if the loss is no polynomial."""
    w = symbols(variables)
    if not expression.is_polynomial(*w):
        return None
    powers = []
    last = sympy.expand(expression)
    while (last := sympy.expand(sympy.Add(*(sympy.diff(last, x, 2) for x in w)))) != 0:
        powers.append(last)
    return compile_expressions(powers or [sympy.S.Zero], (*w, *symbols(names)))


def _pizzetti(laplacians: Program, formula: Formula, p: np.ndarray, rho: float) -> Mean:
    """Pizzetti's formula: the sum of rho^2k Laplacian^k L / (2^k k! d (d + 2) … (d + 2k - 2))."""
    inputs = [np.float64(x) for x in (*p, *formula.numbers)]
    values = [float(x) for x in laplacians(*inputs)]
    factors, factor, d = [], 1.0, len(p)
    for k in range(1, len(values) + 1):
        factor *= rho * rho / (2 * k * (d + 2 * k - 2))
        factors.append(factor)
    value = float(np.dot(values, factors))
    if any(line.operation not in SMOOTH for line in laplacians.lines):  # of a constant
        return Mean(value, value, value)
    terms = enclosed(laplacians, inputs, ())
    slack = 1e-15 * len(values)
    ends = [
        [
            float(end) * f * (1 + side * np.sign(end) * slack)
            for end, f in zip(es, factors, strict=True)
        ]
        for side, es in ((-1, [t.low for t in terms]), (1, [t.high for t in terms]))
    ]
    return Mean(value, min(sum(ends[0]), value), max(sum(ends[1]), value))


# --- otherwise: product rules, or quasi-random points -------------------------------------


def _quadrature(land: Landscape, tol: float) -> Mean:
    """Rules of growing order; the last two say how far off they are."""
    d = len(land.p)
    last, error, value = np.nan, np.inf, np.nan
    order = 8 if d <= 4 else 4  # so that at least two rules are affordable
    while d > 1 or np.isnan(value):
        nodes, weights = sphere_rule(d, order)
        heights = land.value(nodes)
        last, value = value, float(weights @ heights)
        noise = 1e-15 * float(weights @ np.abs(heights))
        error = abs(value - last) + noise if d > 1 else noise
        order = int(1.5 * order)
        done = error <= 0.1 * tol * float(weights @ np.abs(heights)) + 2 * noise
        if done or 2 * order ** (d - 1) > _MOST_NODES or not np.isfinite(value):
            break
    return Mean(value, value - error, value + error)


@lru_cache(maxsize=64)
def sphere_rule(d: int, order: int) -> tuple[np.ndarray, np.ndarray]:
    """Nodes (n, d) and weights (n,) for means over the sphere, exact to degree 2*order - 1.

    A Gauss-Gegenbauer rule for each angle but the last, and equal steps for that.
    """
    from scipy.special import roots_gegenbauer

    if d == 1:
        return np.array([[1.0], [-1.0]]), np.array([0.5, 0.5])
    if d == 2:
        angle = (np.arange(2 * order) + 0.25) * np.pi / order
        return np.stack([np.cos(angle), np.sin(angle)], axis=1), np.full(2 * order, 0.5 / order)
    inner, inner_weights = sphere_rule(d - 1, order)
    height, weights = roots_gegenbauer(order, (d - 2) / 2)
    ring = np.sqrt((1.0 - height) * (1.0 + height))
    nodes = np.concatenate(
        [
            np.repeat(height, len(inner))[:, None],
            (ring[:, None, None] * inner).reshape(-1, d - 1),
        ],
        axis=1,
    )
    return nodes, np.outer(weights / np.sum(weights), inner_weights).ravel()


def _sampled(land: Landscape, seed: int) -> Mean:
    """Scrambled Sobol points in opposite pairs; 16 scramblings say how far off they are."""
    from scipy.special import ndtri
    from scipy.stats import qmc

    means = []
    for rng in np.random.default_rng(seed).spawn(_REPLICATES):
        unit = qmc.Sobol(len(land.p), rng=rng).random(_POINTS)
        normal = ndtri(np.clip(unit, 1e-12, 1 - 1e-12))
        v = normal / np.linalg.norm(normal, axis=1, keepdims=True)
        means.append(np.mean(land.value(np.concatenate([v, -v]))))
    value = float(np.mean(means))
    error = _ERRORS * float(np.std(means, ddof=1)) / np.sqrt(_REPLICATES)
    return Mean(value, value - error, value + error)
