"""The likelihood of the law of two rates, with its slope, on data with repeated times."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from samdyn.analysis.escape.survival import EscapeTimes

_FEW = 2_000


class Condensed(NamedTuple):
    """Times in units of their mean, each once, with how many particles have it.

    Attributes
    ----------
    died, alive : (ndarray, ndarray)
        Times and counts of who escaped, and of who was last seen.
    step : float
        The length of a whole step; 0 in continuous time.
    """

    died: tuple[np.ndarray, np.ndarray]
    alive: tuple[np.ndarray, np.ndarray]
    step: float

    @property
    def total(self) -> float:
        """How many particles there are."""
        return float(self.died[1].sum() + self.alive[1].sum())

    def coarse(self) -> Condensed:
        """The same with at most some thousand different times: neighbours share their mean."""
        return self._replace(died=_shared(*self.died), alive=_shared(*self.alive))


def condensed(seen: EscapeTimes, scale: float) -> Condensed:
    """The data in units of ``scale``."""
    sides = []
    for which in (seen.escaped, ~seen.escaped):
        times, counts = np.unique(seen.times[which], return_counts=True)
        sides.append((times / scale, counts.astype(float)))
    return Condensed(sides[0], sides[1], 1 / scale if seen.discrete else 0.0)


def log_likelihood(z: np.ndarray, data: Condensed) -> tuple[float, np.ndarray]:
    """The log-likelihood and its derivatives by log slow, log(fast - slow) and early / fast."""
    b, c = np.exp(z[:2])
    h = z[2] * (b + c)
    times, counts = data.died
    if data.step:
        died, slopes = _within_step(times, data.step, b, c, h)
    else:
        died, slopes = _log_density(times, b, c, h)
    alive, more = _log_survival(data.alive[0], b, c, h)
    # not by @: for arrays as small as these BLAS spends its time on waking threads
    by_b, by_c, by_h = np.sum(slopes * counts, axis=1) + np.sum(more * data.alive[1], axis=1)
    slope = np.array([b * (by_b + z[2] * by_h), c * (by_c + z[2] * by_h), (b + c) * by_h])
    return float(np.sum(died * counts) + np.sum(alive * data.alive[1])), slope


def _log_survival(t: np.ndarray, b: float, c: float, h: float) -> tuple[np.ndarray, np.ndarray]:
    """Log S and its slopes by b, c, h, where S = exp(-b t) (1 + (b - h) phi)."""
    _, phi, phi_c = _relaxation(t, c)
    g = 1 + (b - h) * phi
    return np.log(g) - b * t, np.stack([phi / g - t, (b - h) * phi_c / g, -phi / g])


def _log_density(t: np.ndarray, b: float, c: float, h: float) -> tuple[np.ndarray, np.ndarray]:
    """Log of -dS/dt = exp(-b t) k and its slopes."""
    e, phi, phi_c = _relaxation(t, c)
    k = b * phi * (b + c - h) + h * e
    by_c = b * phi + b * (b + c - h) * phi_c - h * t * e
    with np.errstate(divide="ignore", invalid="ignore"):
        slopes = np.stack([phi * (2 * b + c - h) / k - t, by_c / k, (e - b * phi) / k])
        return np.log(k) - b * t, np.nan_to_num(slopes)


def _within_step(
    t: np.ndarray, step: float, b: float, c: float, h: float
) -> tuple[np.ndarray, np.ndarray]:
    """Log of S(t - step) - S(t) and its slopes."""
    before, slopes = _log_survival(np.maximum(t - step, 0.0), b, c, h)
    after, more = _log_survival(t, b, c, h)
    left = np.exp(np.minimum(after - before, 0.0))
    gone = np.maximum(-np.expm1(np.minimum(after - before, 0.0)), 1e-300)
    return before + np.log(gone), (slopes - left * more) / gone


def _relaxation(t: np.ndarray, c: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """exp(-c t), phi = (1 - exp(-c t))/c, and the derivative of phi by c."""
    e = np.exp(-c * t)
    phi = -np.expm1(-c * t) / c
    return e, phi, (t * e - phi) / c


def _shared(times: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if len(times) <= _FEW:
        return times, counts
    cumulated = np.cumsum(counts)
    place = np.minimum((cumulated - counts / 2) * (_FEW / cumulated[-1]), _FEW - 1).astype(int)
    sums = np.bincount(place, counts, _FEW)
    means = np.bincount(place, counts * times, _FEW)[sums > 0] / sums[sums > 0]
    return means, sums[sums > 0]
