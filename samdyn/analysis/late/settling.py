"""The second phase of one series of losses: an exponential decay to a level that may drift."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from samdyn.analysis.late.correlated import coefficient
from samdyn.analysis.late.growth import UNKNOWN, Coefficient

_FEWEST = 6
_MOST = 300
_FLAT = 0.01
"""A scatter of the logarithm that is smaller needs no explanation."""


class Settling(NamedTuple):
    """The second phase of a series, L = size exp(-rate s) + plateau exp(-drift s).

    s counts steps from ``first``.

    Attributes
    ----------
    present : bool
    first : int
        Place in the series from which it was fitted.
    rate : Coefficient
        Per step.
    size, plateau, drift : float
        The plateau is 0 where the decay shows none, and the drift where it stays the same.
    misfit : float
        By how much the fit depends on the length of the series; see `misfit`.
    """

    present: bool
    first: int
    rate: Coefficient
    size: float
    plateau: float
    drift: float
    misfit: float


NO_SETTLING = Settling(False, 0, UNKNOWN, np.nan, np.nan, np.nan, np.nan)


class Shape(NamedTuple):
    """Parameters of a fit: logarithms of the decaying part and of the plateau; rate and drift."""

    parameters: np.ndarray
    squares: float


def settling(
    t: np.ndarray, y: np.ndarray, end: int, escaped: bool, factor: float, level: float
) -> Settling:
    """The convergence of the logarithm ``y`` of a loss at steps ``t`` after the place ``end``.

    Its peak, which is round, is left out: the fit begins where the loss has halved. A decay, a
    decay to a plateau and one to a plateau that drifts exponentially are fitted to the logarithm
    by least squares; the Bayesian information criterion, of residuals freed of their correlation,
    chooses.
    """
    first = end
    if escaped:
        below = np.flatnonzero(y[end:] <= y[end] - np.log(2.0))
        if not len(below):
            return NO_SETTLING
        first = end + int(below[0])
    if len(t) - first < _FEWEST:
        return NO_SETTLING
    kept = first + thinned(len(t) - first)
    s, z = (t[kept] - t[first]).astype(float), y[kept]
    shape = chosen(s, z)
    log_size, log_plateau, _, drift = full(shape.parameters)
    slope = _rate(s, z, shape.parameters, level)
    fitted = model(s[[0, -1]], shape.parameters)
    fallen = (y[end] if escaped else fitted[0]) - fitted[1]
    scatter = np.sqrt(shape.squares / len(s))
    enough = fallen >= max(np.log(factor), 2 * scatter) and log_size > log_plateau - np.log(factor)
    if not (enough and slope.low > 0):
        return NO_SETTLING
    size, plateau = map(float, np.exp([log_size, log_plateau]))
    apart = misfit(t[first:], y[first:], shape.parameters)
    return Settling(True, first, slope, size, plateau, float(drift), apart)


def misfit(t: np.ndarray, y: np.ndarray, parameters: np.ndarray) -> float:
    """How far a fit to the first half of the steps is from the ``parameters`` of the whole.

    The logarithm of the ratio of the two rates, or, if it is more and both have a plateau, that
    of the ratio to which their drifts take it apart in the other half. 0 for an exponential; a
    decay like a power of time has no rate, so that each length gives another. NaN if the half
    is of fewer than 6 points or shows no decay.
    """
    half = int(np.searchsorted(t, (t[0] + t[-1]) / 2, "right"))
    if half < _FEWEST:
        return np.nan
    kept = thinned(half)
    early = chosen((t[kept] - t[0]).astype(float), y[kept]).parameters
    rates, drifts = np.array([full(early), full(parameters)]).T[2:]
    if not np.all(rates > 0):
        return np.nan
    apart = abs(float(np.log(rates[0] / rates[1])))
    if min(len(early), len(parameters)) > 2:
        apart = max(apart, abs(float(drifts[0] - drifts[1])) * float(t[-1] - t[half - 1]))
    return apart


def thinned(n: int) -> np.ndarray:
    """At most 300 of n places, close together at the beginning."""
    if n <= _MOST:
        return np.arange(n)
    return np.unique(np.concatenate([[0], np.geomspace(1, n - 1, _MOST)]).round().astype(int))


def full(parameters: np.ndarray) -> np.ndarray:
    """The four parameters of a shape that may leave out the last ones.

    A pure decay has (size, rate), a plateau (size, plateau, rate), a drifting one all.
    """
    if len(parameters) == 2:
        return np.array([parameters[0], -np.inf, parameters[1], 0.0])
    return np.concatenate([parameters, [0.0]]) if len(parameters) == 3 else parameters


def model(s: np.ndarray, parameters: np.ndarray) -> np.ndarray:
    """The logarithm of the fitted loss, s steps after the beginning."""
    log_size, log_plateau, rate, drift = full(parameters)
    return np.logaddexp(log_size - rate * s, log_plateau - drift * s)


def slopes(s: np.ndarray, parameters: np.ndarray) -> np.ndarray:
    """The derivatives of `model`, shape (n, parameters)."""
    log_size, _, rate, _ = full(parameters)
    share = np.exp(log_size - rate * s - model(s, parameters))
    columns = [share, 1 - share, -s * share, -s * (1 - share)]
    order = {2: (0, 2), 3: (0, 1, 2), 4: (0, 1, 2, 3)}[len(parameters)]
    return np.stack([columns[k] for k in order], axis=1)


def chosen(s: np.ndarray, z: np.ndarray) -> Shape:
    """The shape that the information criterion prefers."""
    shapes = [refined(s, z, start) for start in starts(s, z)]
    best: dict[int, Shape] = {}
    for one in shapes:
        size = len(one.parameters)
        rate, drift = full(one.parameters)[2:]
        sound = np.all(np.isfinite(one.parameters)) and (size < 3 or rate > 2 * abs(drift))
        if sound and (size not in best or one.squares < best[size].squares):
            best[size] = one
    residuals = {size: z - model(s, one.parameters) for size, one in best.items()}
    last = residuals[max(residuals)]
    carried = float(np.clip(last[1:] @ last[:-1] / max(last @ last, 1e-300), 0.0, 0.95))
    n = len(s)

    def criterion(size: int) -> float:
        e = residuals[size]
        left = float(np.mean((e[1:] - carried * e[:-1]) ** 2))
        return n * np.log(left + _FLAT**2) + (size + 1) * np.log(n)

    return best[min(best, key=criterion)]


def starts(s: np.ndarray, z: np.ndarray) -> list[np.ndarray]:
    """Where the fits begin: a line, and decays that are over after parts of the series."""
    slope, level = np.polyfit(s, z, 1)
    found = [np.array([level, -slope])]
    n = len(s)
    late = float(np.median(z[-max(n // 5, 1) :]))
    for part in (0.03, 0.1, 0.3):
        k = max(int(part * n), 3)
        rate = max((z[0] - z[k - 1]) / max(s[k - 1] - s[0], 1.0), 2.0 / s[-1])
        found.append(np.array([z[0], late, rate]))
        middle = n // 2
        drift = (z[middle] - z[-1]) / (s[-1] - s[middle])
        found.append(np.array([z[0], late + drift * s[-1], rate, drift]))
    return found


def refined(s: np.ndarray, z: np.ndarray, start: np.ndarray) -> Shape:
    """Least squares of the logarithm from a start."""
    from scipy.optimize import least_squares

    if len(s) <= len(start):
        return Shape(np.full(len(start), np.nan), np.inf)
    try:
        with np.errstate(all="ignore"):
            found = least_squares(
                lambda p: model(s, p) - z, start, lambda p: slopes(s, p), method="lm", max_nfev=200
            )
    except ValueError:  # the residuals overflowed on the way
        return Shape(np.full(len(start), np.nan), np.inf)
    return Shape(found.x, float(2 * found.cost))


def _rate(s: np.ndarray, z: np.ndarray, parameters: np.ndarray, level: float) -> Coefficient:
    """The rate with its interval, by the fit's linear part at its optimum."""
    design = slopes(s, parameters)
    # columns of one size, and none that the data do not know
    scale = np.linalg.norm(design, axis=0)
    column = 1 if len(parameters) == 2 else 2
    if np.linalg.cond(design / np.maximum(scale, 1e-300)) > 1e8:
        return UNKNOWN
    y = z - model(s, parameters) + design @ parameters
    found = coefficient(y, design / scale, np.diff(s), column, level)
    return Coefficient(*(value / scale[column] for value in found))
