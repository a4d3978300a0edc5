"""The exponential law of escape times, and whether the data follow it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from samdyn.analysis.escape.confidence import exposure_until

if TYPE_CHECKING:
    from samdyn.analysis.escape.survival import EscapeTimes

_FEWEST, _MOST_INTERVALS = 10, 20
"""Escapes expected in an interval of the test at least, and intervals at most."""


class Exponential(NamedTuple):
    """The exponential law S(t) = exp(-rate t); by whole steps the geometric (1 - rate)^t.

    Attributes
    ----------
    rate : float
        Per unit of time; by whole steps the probability to escape in a step.
    rate_interval : (float, float)
    log_likelihood, aic : float
        Of the data, and Akaike's criterion with one parameter.
    p_value : float
        Of the test that the hazard is constant: time is cut into up to 20 intervals of equal
        total time at risk, and the escapes in them are compared with what the rate expects, by
        Pearson's chi-squared (Akritas, J. Amer. Statist. Assoc. 83, 1988). NaN with fewer than 20
        escapes.
    discrete : bool
    """

    rate: float
    rate_interval: tuple[float, float]
    log_likelihood: float
    aic: float
    p_value: float
    discrete: bool

    def survival(self, time: np.ndarray) -> np.ndarray:
        """The share that has not escaped at times of any shape."""
        time = np.asarray(time, float)
        if self.discrete:
            return (1 - self.rate) ** np.floor(time)
        return np.exp(-self.rate * time)


def fit_exponential(seen: EscapeTimes) -> Exponential:
    """The law by maximum likelihood.

    Raises
    ------
    ValueError
        If nobody escaped.
    """
    if not seen.escapes:
        raise ValueError("nobody escaped: a law of escape times needs at least one escape")
    rate, events, exposure = seen.rate, seen.escapes, seen.exposure
    if seen.discrete:
        stayed = (exposure - events) * np.log1p(-rate) if rate < 1 else 0.0
        log_likelihood = float(events * np.log(rate) + stayed)
    else:
        log_likelihood = float(events * np.log(rate) - rate * exposure)
    return Exponential(
        rate=rate,
        rate_interval=seen.rate_interval,
        log_likelihood=log_likelihood,
        aic=2 - 2 * log_likelihood,
        p_value=_constant_hazard(seen),
        discrete=seen.discrete,
    )


def _constant_hazard(seen: EscapeTimes) -> float:
    """The p-value of Pearson's test in intervals of equal exposure."""
    from scipy.special import chdtrc

    count = min(seen.escapes // _FEWEST, _MOST_INTERVALS)
    if count < 2:
        return np.nan
    ordered = np.sort(seen.times)
    levels = np.linspace(0, seen.exposure, count + 1)[1:-1]
    inner = np.interp(levels, exposure_until(ordered, ordered), ordered)
    if seen.discrete:
        inner = np.round(inner)
    edges = np.unique([0.0, *inner[(inner > 0) & (inner < ordered[-1])], ordered[-1]])
    exposure = np.diff(exposure_until(ordered, edges))
    escapes = np.diff(np.searchsorted(np.sort(seen.times[seen.escaped]), edges, "right"))
    expected = seen.rate * exposure
    if len(expected) < 2 or seen.rate == 1:
        return np.nan
    spread = expected * (1 - seen.rate) if seen.discrete else expected
    return float(chdtrc(len(expected) - 1, np.sum((escapes - expected) ** 2 / spread)))
