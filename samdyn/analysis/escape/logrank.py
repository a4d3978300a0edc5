"""Two ensembles compared: whether one escapes sooner, and how much."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from samdyn.analysis.escape.survival import EscapeTimes

_FAR = 30.0
"""A log hazard ratio beyond which it is as good as infinite."""


class Logrank(NamedTuple):
    """Two ensembles' escape times compared.

    Attributes
    ----------
    statistic : float
        Standardised: about normal if both escape alike, above 0 if the first escapes sooner.
    p_value : float
        Two-sided.
    hazard_ratio : float
        The first's hazard over the second's, if they are proportional: Cox's partial likelihood,
        ties by Efron's method. 0 or inf if all escapes are one ensemble's.
    hazard_ratio_interval : (float, float)
        By the likelihood ratio.
    """

    statistic: float
    p_value: float
    hazard_ratio: float
    hazard_ratio_interval: tuple[float, float]


def logrank(a: EscapeTimes, b: EscapeTimes) -> Logrank:
    """The log-rank test of whether two ensembles escape alike, with the ratio of their hazards.

    The ensembles are taken to be independent; those of ``common_noise=True`` are paired, and the
    test does not know.

    Parameters
    ----------
    a, b : EscapeTimes
        In the same unit of time. The level of the interval is that of ``a``.

    Returns
    -------
    Logrank

    Raises
    ------
    TypeError
        If one is no EscapeTimes.
    ValueError
        If one counts steps and the other is in continuous time, or nobody escaped.

    Examples
    --------
    >>> a = EscapeTimes([1.0, 2.0, 3.0, 4.0])
    >>> b = EscapeTimes([2.5, 5.0, 6.0, 7.0])
    >>> found = logrank(a, b)
    >>> found.hazard_ratio > 1, round(found.p_value, 3)
    (True, 0.051)
    """
    from scipy.stats import logrank as test

    for name, one in (("a", a), ("b", b)):
        if not isinstance(one, EscapeTimes):
            raise TypeError(f"{name} must be EscapeTimes, got a {type(one).__name__}")
    if a.discrete != b.discrete:
        raise ValueError(
            "a and b must be in one unit of time, got whole steps and continuous time; multiply "
            "the steps by the learning rate"
        )
    if not a.escapes + b.escapes:
        raise ValueError("nobody escaped in either ensemble: there is nothing to compare")
    with np.errstate(invalid="ignore", divide="ignore"):
        found = test(a.as_censored_data(), b.as_censored_data())
    ratio, low, high = _hazard_ratio(a, b)
    return Logrank(float(found.statistic), float(found.pvalue), ratio, (low, high))


def _hazard_ratio(a: EscapeTimes, b: EscapeTimes) -> tuple[float, float, float]:
    """The maximum of the partial likelihood, and where twice its logarithm falls by chi-squared."""
    from scipy.optimize import brentq
    from scipy.special import chdtri

    died = [np.sort(one.times[one.escaped]) for one in (a, b)]
    times, deaths = np.unique(np.concatenate(died), return_counts=True)
    risk = [len(one.times) - np.searchsorted(np.sort(one.times), times) for one in (a, b)]
    of_a = np.searchsorted(died[0], times, "right") - np.searchsorted(died[0], times)
    # Efron: of d that die at one time, the l-th to go meets a risk set less l/d of them
    first = np.cumsum(deaths) - deaths
    gone = (np.arange(deaths.sum()) - np.repeat(first, deaths)) / np.repeat(deaths, deaths)
    at_a = np.repeat(risk[0], deaths) - gone * np.repeat(of_a, deaths)
    at_b = np.repeat(risk[1], deaths) - gone * np.repeat(deaths - of_a, deaths)

    def score(log_ratio: float) -> float:
        weighed = at_a * np.exp(log_ratio)
        return float(a.escapes - np.sum(weighed / (weighed + at_b)))

    def fallen(log_ratio: float) -> float:
        return float(top - a.escapes * log_ratio + np.sum(np.log(at_a * np.exp(log_ratio) + at_b)))

    top = 0.0
    if score(-_FAR) <= 0:
        best = -_FAR
    elif score(_FAR) >= 0:
        best = _FAR
    else:
        best = float(brentq(score, -_FAR, _FAR, xtol=1e-12))
    top -= fallen(best)
    allowed = float(chdtri(1, 1 - a.level)) / 2
    ends = []
    for far in (-_FAR, _FAR):
        open_ended = best == far or fallen(far) < allowed
        root = far if open_ended else brentq(lambda x: fallen(x) - allowed, far, best, xtol=1e-9)
        ends.append(_exponential(float(root)))
    return _exponential(best), ends[0], ends[1]


def _exponential(log_ratio: float) -> float:
    if abs(log_ratio) == _FAR:
        return 0.0 if log_ratio < 0 else np.inf
    return float(np.exp(log_ratio))
