"""Linear regression whose errors are correlated from one moment to the next."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

_CORRELATIONS = np.tanh([*np.linspace(-1.75, 4.5, 51), 6.5])
_RANDOM_WALK = 0.5
"""The share of belief, beforehand, that errors add up: the last of the correlations."""

_NOTHING = 1e-26
"""Mean squares below that are rounding."""


class Coefficient(NamedTuple):
    """A coefficient with its interval."""

    value: float
    low: float
    high: float


def coefficient(
    y: np.ndarray, design: np.ndarray, gaps: np.ndarray, column: int, level: float
) -> Coefficient:
    """One coefficient of y = design b + e, with e an autoregression of order 1.

    How strongly neighbours are correlated is unknown, and from a short series it stays so: an
    interval at the most likely correlation is too narrow. Here the correlation is integrated
    out: given it, a coefficient follows Student's distribution about its generalised least
    squares value; these are mixed with weights by the restricted likelihood. Beforehand all
    correlations are equally likely (their Fisher transforms are), but half of the belief is in a
    random walk, which the logarithm of a product of random factors is.

    Parameters
    ----------
    y : ndarray, shape (n,)
    design : ndarray, shape (n, p)
        Of full rank, with p < n.
    gaps : ndarray, shape (n - 1,)
        Steps between the neighbours. Unless they are all the same, neighbours are taken to be
        correlated positively.
    column : int
        Of the coefficient.
    level : float
        Of the interval, such as 0.95.

    Returns
    -------
    Coefficient
        The median of the mixture, and the interval that leaves equal parts out on both sides.
    """
    from scipy.special import stdtr, stdtrit

    n, p = design.shape
    gaps = gaps / np.min(gaps)
    even = bool(np.all(gaps == 1.0))
    rho = _CORRELATIONS if even else _CORRELATIONS[_CORRELATIONS >= 0]
    carried = rho[:, None] ** gaps
    spread = (1 - carried**2) / (1 - rho**2)[:, None]
    first, scale = np.sqrt(1 - rho**2), 1 / np.sqrt(spread)
    wide = np.concatenate([design, y[:, None]], axis=1)
    white = np.empty((len(rho), n, p + 1))
    white[:, 0] = first[:, None] * wide[0]
    white[:, 1:] = scale[..., None] * (wide[1:] - carried[..., None] * wide[:-1])
    x, z = white[..., :p], white[..., p]
    inverse = np.linalg.inv(np.einsum("kni,knj->kij", x, x))
    b = np.einsum("kij,knj,kn->ki", inverse, x, z)
    left = np.sum((z - np.einsum("kni,ki->kn", x, b)) ** 2, axis=-1)
    left = np.maximum(left, _NOTHING * n)
    size = np.sqrt(left / (n - p) * inverse[:, column, column])
    weight = (
        -0.5 * (np.sum(np.log(spread), axis=-1) - np.log(1 - rho**2))
        + 0.5 * np.linalg.slogdet(inverse)[1]
        - 0.5 * (n - p) * np.log(left)
    )
    belief = np.full(len(rho), (1 - _RANDOM_WALK) / (len(rho) - 1))
    belief[-1] = _RANDOM_WALK
    weight = belief * np.exp(weight - np.max(weight))
    weight /= np.sum(weight)
    middle = b[:, column]
    shares = np.array([0.5, (1 - level) / 2, (1 + level) / 2])
    reach = stdtrit(n - p, 1 - (1 - level) / 1e3) * size
    low, high = (np.full(3, end) for end in (np.min(middle - reach), np.max(middle + reach)))
    for _ in range(60):  # bisection on the mixture's distribution function
        centre = (low + high) / 2
        below = stdtr(n - p, (centre[:, None] - middle) / size) @ weight < shares
        low, high = np.where(below, centre, low), np.where(below, high, centre)
    return Coefficient(*map(float, (low + high) / 2))
