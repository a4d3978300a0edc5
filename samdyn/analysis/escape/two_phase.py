"""The law of two rates: escape that begins at another rate than it goes on with."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from samdyn.analysis.escape.confidence import Estimate, quantile
from samdyn.analysis.escape.phase_likelihood import Condensed, condensed, log_likelihood

if TYPE_CHECKING:
    from samdyn.analysis.escape.survival import EscapeTimes

_BOUNDS = ((-12.0, 8.0), (-7.0, 10.0), (0.0, 1 - 1e-9))
"""Of log slow and log(fast - slow), in inverse mean times, and of early / fast."""

_STARTS = [
    (np.log(slow), np.log(apart), share)
    for share in (0.0, 0.1, 0.5, 0.9)
    for slow in (0.1, 0.4, 1.0, 2.0)
    for apart in (0.3, 1.0, 5.0, 30.0, 300.0)
]
_EDGE = 1e-5
_FEWEST = 10


class TwoPhase(NamedTuple):
    """S(t) = weight exp(-fast t) + (1 - weight) exp(-slow t), with fast > slow.

    All laws of two phases with real rates (Coxian of order 2) have this form. With a weight above
    0 a share of that size leaves the fast way and the others the slow way; with one below 0
    escape is delayed: the hazard begins at ``early`` < ``slow``, as it does when the particle
    must first cross to the edge, and tends to ``slow``. The weight is bounded by
    ``early = weight fast + (1 - weight) slow >= 0``.

    Attributes
    ----------
    slow, fast, weight, early : Estimate
        The late rate, the other rate, the share, and the hazard at time 0; each with its
        standard error from the observed information and its interval (of the rates on a
        logarithmic scale). Where the likelihood is largest at ``early`` = 0 that is held to be
        known, and says so by a standard error of 0.
    log_likelihood, aic : float
        Of the data, and Akaike's criterion with three parameters.
    likelihood_ratio : float
        Twice the gain in log-likelihood over the exponential law.
    p_value : float
        Of that gain by chi-squared with 2 degrees of freedom: an approximation, as one of the
        parameters means nothing under the exponential law. Of 500 exponential times it is below
        0.05 in 5 to 9 % of cases.
    warranted : bool
        Whether two phases are: the p-value is below 1 - level, and Akaike's criterion prefers
        them to the exponential law.
    """

    slow: Estimate
    fast: Estimate
    weight: Estimate
    early: Estimate
    log_likelihood: float
    aic: float
    likelihood_ratio: float
    p_value: float
    warranted: bool

    def survival(self, time: np.ndarray) -> np.ndarray:
        """The share that has not escaped at times of any shape."""
        time = np.asarray(time, float)
        slow, apart = self.slow.value, self.fast.value - self.slow.value
        part = (slow - self.early.value) * -np.expm1(-apart * time) / apart
        return np.exp(-slow * time) * (1 + part)

    def hazard(self, time: np.ndarray) -> np.ndarray:
        """The rate of escape of who is left, at times of any shape."""
        time = np.asarray(time, float)
        slow, apart = self.slow.value, self.fast.value - self.slow.value
        change = slow - self.early.value
        part = change * -np.expm1(-apart * time) / apart
        return slow - change * np.exp(-apart * time) / (1 + part)


def fit_two_phase(seen: EscapeTimes) -> TwoPhase:
    """The law by maximum likelihood.

    Whole steps are intervals: who escapes at step k was within at k - 1.

    Raises
    ------
    ValueError
        If fewer than 10 escaped.
    """
    from scipy.special import chdtrc

    if seen.escapes < _FEWEST:
        raise ValueError(f"two phases need at least {_FEWEST} escapes, got {seen.escapes}")
    scale = seen.exposure / seen.escapes
    data = condensed(seen, scale)
    best = _maximum(data, _coarse(data))
    value, _ = log_likelihood(best, data)
    gained = float(value - (0.0 if seen.discrete else seen.escapes * np.log(scale)))
    simple = seen.exponential()
    ratio = max(2 * (gained - simple.log_likelihood), 0.0)
    p_value, aic = float(chdtrc(2, ratio)), 6 - 2 * gained
    covariance = _covariance(best, data)
    return TwoPhase(
        **_estimates(best, covariance, scale, quantile(seen.level)),
        log_likelihood=gained,
        aic=aic,
        likelihood_ratio=ratio,
        p_value=p_value,
        warranted=p_value < 1 - seen.level and aic < simple.aic,
    )


def _coarse(data: Condensed) -> np.ndarray:
    """A maximum on data of few distinct times, from several starts."""
    few = data.coarse()
    ranked = sorted(_STARTS, key=lambda start: -log_likelihood(np.array(start), few)[0])
    # the best few, and the best of a delay and of an early rush, which are two hills
    chosen = [*ranked[:2], *(next(s for s in ranked if (s[2] > 0.3) == rush) for rush in (0, 1))]
    found = [_maximum(few, np.array(start)) for start in dict.fromkeys(chosen)]
    return max(found, key=lambda z: log_likelihood(z, few)[0])


def _maximum(data: Condensed, start: np.ndarray) -> np.ndarray:
    from scipy.optimize import minimize

    def loss(z: np.ndarray) -> tuple[float, np.ndarray]:
        value, slope = log_likelihood(z, data)
        return -value / data.total, -slope / data.total

    # TNC, since L-BFGS-B calls threaded BLAS on three numbers, many times slower on a busy machine
    options = {"ftol": 1e-13, "gtol": 1e-9, "xtol": 1e-9, "maxfun": 400}
    return minimize(loss, start, jac=True, method="TNC", bounds=_BOUNDS, options=options).x


def _covariance(z: np.ndarray, data: Condensed) -> np.ndarray:
    """The inverse of the observed information; infinite where there is no maximum inside."""
    free = [k for k in range(3) if k < 2 or _EDGE < z[2] < 1 - _EDGE]
    information = np.zeros((3, 3))
    for k in free:
        step = np.zeros(3)
        step[k] = 1e-4 if k < 2 else 1e-3 * min(z[2], 1 - z[2])
        ahead, behind = (log_likelihood(z + sign * step, data)[1] for sign in (1, -1))
        information[k] = (behind - ahead) / (2 * step[k])
    part = information[np.ix_(free, free)]
    part = (part + part.T) / 2
    covariance = np.zeros((3, 3))
    known = bool(np.all(np.isfinite(part))) and bool(np.all(np.linalg.eigvalsh(part) > 0))
    covariance[np.ix_(free, free)] = np.linalg.inv(part) if known else np.inf
    return covariance


def _estimates(
    z: np.ndarray, covariance: np.ndarray, scale: float, reach: float
) -> dict[str, Estimate]:
    slow, apart, share = np.exp(z[0]), np.exp(z[1]), z[2]
    fast = slow + apart
    values = {
        "slow": (slow, (slow, 0.0, 0.0)),
        "fast": (fast, (slow, apart, 0.0)),
        "early": (share * fast, (share * slow, share * apart, fast)),
        "weight": (
            share + (share - 1) * slow / apart,
            ((share - 1) * slow / apart, (1 - share) * slow / apart, fast / apart),
        ),
    }
    known = bool(np.all(np.isfinite(covariance)))
    found = {}
    for name, (value, slopes) in values.items():
        slope = np.array(slopes)
        error = float(np.sqrt(slope @ covariance @ slope)) if known else np.inf
        if name == "weight":
            low, high = value - reach * error, min(value + reach * error, 1.0)
        elif name == "early":
            low, high = max(value - reach * error, 0.0), value + reach * error
        else:
            with np.errstate(over="ignore"):
                factor = np.exp(reach * error / value)
            low, high = value / factor, value * factor
        unit = 1.0 if name == "weight" else 1 / scale
        found[name] = Estimate(*(float(unit * part) for part in (value, error, low, high)))
    return found
