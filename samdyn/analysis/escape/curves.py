"""Survival and hazard as functions of time, and areas under the first."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from samdyn.analysis.escape.confidence import Estimate, exposure_until, quantile, rate_interval
from samdyn.numbers import checked_number, checked_whole

if TYPE_CHECKING:
    from samdyn.analysis.escape.survival import EscapeTimes


class Survival(NamedTuple):
    """The share that has not escaped, a function that falls in steps at ``time``.

    Attributes
    ----------
    time : ndarray, shape (k,)
        0, the times of the escapes in increasing order, and the last time at which anything was
        seen.
    S : ndarray, shape (k,)
        Kaplan and Meier's estimate from each time on.
    low, high : ndarray, shape (k,)
        The confidence band at each time by itself: from Greenwood's variance, on the scale of
        log(-log S), which keeps it within 0 and 1. It has no width where nobody has escaped yet;
        how far off an escape may be is said by `EscapeTimes.rate_interval`.
    """

    time: np.ndarray
    S: np.ndarray
    low: np.ndarray
    high: np.ndarray


class Hazard(NamedTuple):
    """Escapes in each interval of time over the time spent there at risk.

    Attributes
    ----------
    edges : ndarray, shape (k + 1,)
        An escape at an edge counts in the interval that ends there.
    rate, low, high : ndarray, shape (k,)
        NaN where nobody was at risk; there the interval is (0, inf).
    escapes : ndarray of int, shape (k,)
    exposure : ndarray, shape (k,)
        Total time that the particles were at risk in the interval.
    """

    edges: np.ndarray
    rate: np.ndarray
    low: np.ndarray
    high: np.ndarray
    escapes: np.ndarray
    exposure: np.ndarray


def kaplan_meier(data: Any, level: float) -> Survival:
    """Kaplan and Meier's estimate of a ``scipy.stats.CensoredData``."""
    from scipy.stats import ecdf

    sf = ecdf(data).sf
    with warnings.catch_warnings():  # the interval is undefined where S is 1 or 0
        warnings.simplefilter("ignore", RuntimeWarning)
        band = sf.confidence_interval(confidence_level=level, method="log-log")
    S = np.append(1.0, sf.probabilities)
    low = np.append(1.0, band.low.probabilities)
    high = np.append(1.0, band.high.probabilities)
    low = np.where(S == 1, 1.0, np.where(S == 0, 0.0, low))
    high = np.where(S == 1, 1.0, high)
    if S[-1] == 0:  # nobody is left, and no variance can be told: keep the end before
        high[-1] = high[-2]
    time = np.append(0.0, sf.quantiles)
    keep = np.append(True, np.diff(S) < 0)
    keep[-1] |= time[-1] > 0
    return Survival(time[keep], S[keep], low[keep], high[keep])


def area(seen: EscapeTimes, until: float) -> Estimate:
    """The area under the survival curve up to a time, by Greenwood's variance."""
    inside = seen.survival.time < until
    time, S = seen.survival.time[inside], seen.survival.S[inside]
    areas = S * np.diff(time, append=until)
    value = float(np.sum(areas))
    rest = value - np.cumsum(areas) + areas  # the area from each time on
    risk = seen.n - np.searchsorted(np.sort(seen.times), time)
    died = np.diff(np.searchsorted(np.sort(seen.times[seen.escaped]), time, "right"), prepend=0)
    terms = np.where(risk > died, rest**2 * died / np.maximum(risk * (risk - died), 1), 0.0)
    error = float(np.sqrt(np.sum(terms)))
    reach = quantile(seen.level) * error
    return Estimate(value, error, max(value - reach, 0.0), min(value + reach, until))


def occurrence(seen: EscapeTimes, edges: Any) -> Hazard:
    """Escapes over exposure between edges."""
    ends = _checked_edges(seen, edges)
    escapes = np.diff(np.searchsorted(np.sort(seen.times[seen.escaped]), ends, "right"))
    exposure = np.diff(exposure_until(np.sort(seen.times), ends))
    with np.errstate(invalid="ignore", divide="ignore"):
        rate = np.where(exposure > 0, escapes / exposure, np.nan)
    low, high = rate_interval(escapes, exposure, seen.level, discrete=seen.discrete)
    return Hazard(ends, rate, low, high, escapes, exposure)


def _checked_edges(seen: EscapeTimes, edges: Any) -> np.ndarray:
    if np.ndim(edges) == 0:
        count = checked_whole("edges", edges, 1)
        if not seen.escapes:
            raise ValueError("nobody escaped: give the edges of the hazard's intervals")
        ends = np.linspace(0, np.max(seen.times[seen.escaped]), count + 1)
        return np.unique(np.round(ends)) if seen.discrete else ends
    ends = np.asarray(checked_number("edges", edges, minimum=0.0), float)
    if ends.ndim != 1 or len(ends) < 2 or np.any(np.diff(ends) <= 0):
        raise ValueError(f"edges must increase, at least two of them; got {ends.tolist()}")
    if seen.discrete and np.any(ends != np.floor(ends)):
        raise ValueError("edges must be whole steps, as the times are")
    return ends
