"""Intervals for rates: of events in an exposure, in continuous time or by whole steps."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np


class Estimate(NamedTuple):
    """A number that was estimated, with its interval.

    Attributes
    ----------
    value : float
    standard_error : float
        Infinite where the data do not determine the number.
    low, high : float
        Ends of the confidence interval.
    """

    value: float
    standard_error: float
    low: float
    high: float


def quantile(level: float) -> float:
    """How many standard errors a two-sided interval of a normal estimate reaches."""
    from scipy.special import ndtri

    return float(ndtri(0.5 + level / 2))


def rate_interval(
    events: Any, exposure: Any, level: float, *, discrete: bool, complete: bool = False
) -> tuple[Any, Any]:
    """The interval of a rate, by number of events and total time at risk.

    In continuous time the number of events is Poisson (Garwood's interval, by quantiles of
    chi-squared); by whole steps, each a trial, it is binomial (Clopper and Pearson's).

    Parameters
    ----------
    events, exposure : float or ndarray
    level : float
    discrete : bool
        Whether time goes by whole steps.
    complete : bool, default False
        Whether every particle was seen to escape. Then the exposure is random, not the number
        of events: a Gamma (negative binomial) variable, and the interval is exact.

    Returns
    -------
    low, high : float or ndarray
        0 below where there was no event; nothing is known, (0, inf), without exposure.
    """
    from scipy.special import betaincinv, gammaincinv

    events, exposure = np.asarray(events, float), np.asarray(exposure, float)
    tail = (1 - level) / 2
    more = events + (0 if complete else 1)
    with np.errstate(all="ignore"):
        if discrete:
            rest = np.maximum(exposure - events, 0)
            low = betaincinv(events, rest + 1, tail)
            high = np.where(rest > 0, betaincinv(more, np.maximum(rest, 1), 1 - tail), 1.0)
        else:
            low = gammaincinv(events, tail) / exposure
            high = gammaincinv(more, 1 - tail) / exposure
    low = np.where((events > 0) & (exposure > 0), low, 0.0)
    high = np.where(exposure > 0, high, np.inf)
    return low[()], high[()]


def exposure_until(ordered: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Total time at risk before each end, by the times in increasing order."""
    total = np.append(0.0, np.cumsum(ordered))
    gone = np.searchsorted(ordered, ends, "right")
    return total[gone] + (len(ordered) - gone) * ends
