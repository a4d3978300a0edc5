"""Right-censored times to an event, and what follows from them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from samdyn.analysis.escape.confidence import Estimate, rate_interval
from samdyn.analysis.escape.curves import Hazard, Survival, area, kaplan_meier, occurrence
from samdyn.analysis.escape.exponential import Exponential, fit_exponential
from samdyn.analysis.escape.two_phase import TwoPhase, fit_two_phase
from samdyn.numbers import checked_number


@dataclass(frozen=True, eq=False)
class EscapeTimes:
    """Times at which particles escaped, or until which they were seen not to have.

    Parameters
    ----------
    times : array_like, shape (n,)
    escaped : array_like of bool, shape (n,), optional
        Whether each particle escaped at its time; if not, it was last seen then (it is
        censored). Default: all escaped.
    level : float, default 0.95
        Of all intervals.
    discrete : bool, default False
        Whether times are counts of whole steps, as those of an algorithm.

    Raises
    ------
    ValueError
        If there are no particles, times are not finite and at least 0 (above 0 of who escaped),
        not whole though ``discrete``, or the shapes differ.

    Examples
    --------
    >>> seen = EscapeTimes([1.0, 2.0, 4.0, 5.0], [True, True, False, True])
    >>> seen.n, seen.censored, seen.mean, seen.median
    (4, 1, 4.0, 2.0)
    """

    times: np.ndarray
    escaped: Any = None
    level: float = 0.95
    discrete: bool = False

    def __post_init__(self) -> None:
        times = np.array(checked_number("times", self.times, minimum=0.0), float, ndmin=1)
        given = np.ones(times.shape, bool) if self.escaped is None else np.asarray(self.escaped)
        if given.dtype != bool:
            raise TypeError(f"escaped must be True or False for each time, got {given.dtype}")
        if times.ndim > 1 or np.atleast_1d(given).shape != times.shape:
            raise ValueError(
                f"times and escaped must have one shape (n,), got {times.shape} and {given.shape}"
            )
        escaped = np.array(given, ndmin=1)
        if np.any(times[escaped] == 0):
            raise ValueError(
                "the times of who escaped must be above 0; leave out particles that were outside "
                "from the start"
            )
        if self.discrete and np.any(times != np.floor(times)):
            raise ValueError("discrete times must be whole steps")
        if np.ndim(self.level) or not 0 < checked_number("level", self.level) < 1:
            raise ValueError(f"level must be between 0 and 1, got {self.level}")
        for name, array in (("times", times), ("escaped", escaped)):
            array.flags.writeable = False
            object.__setattr__(self, name, array)

    def __repr__(self) -> str:
        unit = "steps" if self.discrete else "time"
        return (
            f"EscapeTimes({self.n} particles, {self.escapes} escaped, "
            f"median {self.median:.4g}, mean {self.mean:.4g} in {unit})"
        )

    @property
    def n(self) -> int:
        """Number of particles."""
        return len(self.times)

    @cached_property
    def escapes(self) -> int:
        """Number of those that escaped."""
        return int(np.sum(self.escaped))

    @property
    def censored(self) -> int:
        """Number of those that were not seen to escape."""
        return self.n - self.escapes

    @cached_property
    def exposure(self) -> float:
        """Total time at risk: the sum of all times."""
        return float(np.sum(self.times))

    @property
    def mean(self) -> float:
        """The mean escape time.

        If all escaped, that of the sample, whatever the law. If some are censored, the mean of
        the exponential law that fits best: total time at risk over escapes; inf without an
        escape. For a mean that assumes no law see `restricted_mean`.
        """
        return self.exposure / self.escapes if self.escapes else np.inf

    @cached_property
    def mean_interval(self) -> tuple[float, float]:
        """The interval of `mean`.

        If all escaped, by the standard error of the sample mean (Student's t): skewed times
        want some hundred particles for it to cover as often as it says. If some are censored,
        that of the exponential law, the inverse of `rate_interval`.
        """
        if self.censored:
            low, high = self.rate_interval
            return 1 / high, 1 / low if low > 0 else np.inf
        if self.n == 1:
            return 0.0, np.inf
        from scipy.special import stdtrit

        error = np.std(self.times, ddof=1) / np.sqrt(self.n)
        reach = float(stdtrit(self.n - 1, 0.5 + self.level / 2) * error)
        return max(self.mean - reach, 0.0), self.mean + reach

    @property
    def rate(self) -> float:
        """Escapes over total time at risk: the exponential law's rate by maximum likelihood.

        By whole steps: the probability to escape in a step, of the geometric law.
        """
        return self.escapes / self.exposure if self.exposure else np.nan

    @cached_property
    def rate_interval(self) -> tuple[float, float]:
        """The interval of `rate` if the law is exponential (geometric).

        Exact if all escaped. If some are censored it treats the number of escapes in the total
        time at risk as Poisson (binomial), and covers slightly more often than it says.
        """
        low, high = rate_interval(
            self.escapes,
            self.exposure,
            self.level,
            discrete=self.discrete,
            complete=self.censored == 0,
        )
        return float(low), float(high)

    @property
    def median(self) -> float:
        """The first time by which half have escaped, by Kaplan and Meier; inf if fewer did."""
        return self.quantile(0.5)[0]

    @property
    def median_interval(self) -> tuple[float, float]:
        """The interval of the median: where the band of `survival` passes 1/2."""
        return self.quantile(0.5)[1:]

    def quantile(self, share: float) -> tuple[float, float, float]:
        """The first time by which a share has escaped, with its interval.

        Parameters
        ----------
        share : float
            Between 0 and 1.

        Returns
        -------
        value, low, high : float
            From the band of `survival` (Brookmeyer and Crowley); inf where the run ends before.
        """
        if np.ndim(share) or not 0 < checked_number("share", share) < 1:
            raise ValueError(f"share must be between 0 and 1, got {share}")
        time, *curves = self.survival
        crossed = []
        for curve in curves:
            below = curve <= 1 - share + 1e-12
            crossed.append(float(time[np.argmax(below)]) if below.any() else np.inf)
        return crossed[0], crossed[1], crossed[2]

    @cached_property
    def survival(self) -> Survival:
        """The share that has not escaped, against time, with its band; see `Survival`."""
        return kaplan_meier(self.as_censored_data(), self.level)

    def restricted_mean(self, until: float | None = None) -> Estimate:
        """The mean of the escape time cut at ``until``: the area under `survival` up to there.

        It assumes no law, unlike `mean` where some are censored.

        Parameters
        ----------
        until : float, optional
            Default: the last time seen.

        Raises
        ------
        ValueError
            If it is not above 0, or nobody was seen for so long.
        """
        last = float(np.max(self.times))
        until = last if until is None else float(checked_number("until", until, above=0.0))
        if until > last and self.survival.S[-1] > 0:
            raise ValueError(f"until must be at most {last:g}, the last time seen; got {until:g}")
        return area(self, until)

    def scaled(self, factor: float) -> EscapeTimes:
        """The same in other units: steps times the learning rate are the time of an SDE.

        Raises
        ------
        ValueError
            If factor is not above 0.

        Examples
        --------
        >>> EscapeTimes([3.0, 5.0], discrete=True).scaled(0.1).mean
        0.4
        """
        factor = checked_number("factor", factor, above=0.0)
        return EscapeTimes(self.times * factor, self.escaped, self.level)

    def hazard(self, edges: int | Any = 20) -> Hazard:
        """Escapes per time at risk in intervals of time, with intervals of their rate.

        Parameters
        ----------
        edges : int or array_like, default 20
            Ends of the intervals, increasing from at least 0; or how many equal ones up to the
            last escape. By whole steps these end at whole steps.

        Raises
        ------
        ValueError
            If edges do not increase, or a number of them is asked for and nobody escaped.
        """
        return occurrence(self, edges)

    def exponential(self) -> Exponential:
        """The exponential (by whole steps, geometric) law by maximum likelihood; see there."""
        return fit_exponential(self)

    def two_phase(self) -> TwoPhase:
        """The law of two rates, an early and a late one, by maximum likelihood; see there."""
        return fit_two_phase(self)

    def as_censored_data(self) -> Any:
        """The times as a ``scipy.stats.CensoredData``."""
        from scipy.stats import CensoredData

        return CensoredData(uncensored=self.times[self.escaped], right=self.times[~self.escaped])
