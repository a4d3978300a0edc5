"""Two phases of the mean loss of an ensemble, with intervals from its particles."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import xarray as xr

from samdyn.analysis.late.gathering import Phases, gathered, phases_of
from samdyn.analysis.late.growth import Coefficient, Growth
from samdyn.analysis.late.series import Series
from samdyn.analysis.late.settling import Settling, full, refined, thinned

_FEWEST = 3
_MOST_GROUPS = 100


def pooled(
    series: Series, over: str | Sequence[str], floor: float, factor: float, level: float
) -> xr.Dataset:
    """The phases of the loss averaged over dimensions; see `samdyn.two_phase`.

    Raises
    ------
    ValueError
        If there are no such dimensions, fewer than 3 particles along them, or switches at
        different steps.
    """
    names = [over] if isinstance(over, str) else list(over)
    known = [str(dim) for dim in series.loss.dims[:-1]]
    if not names or not set(names) <= set(known):
        raise ValueError(
            f"over must be among the dimensions {known} of the particles, got {over!r}"
        )
    flat = series.loss.stack(member=names).transpose(..., "member", "time")
    if flat.sizes["member"] < _FEWEST:
        raise ValueError(
            f"over must leave at least {_FEWEST} particles to average, got {flat.sizes['member']}"
        )
    if np.ptp(series.start.values) != 0:
        raise ValueError(
            "over averages particles step by step, and these were switched at different steps; "
            "leave it out"
        )
    mean = flat.isel(member=0, drop=True).copy()
    found, typical = [], []
    for place in np.ndindex(mean.shape[:-1]):
        curves = flat.values[place]
        whole = np.isfinite(curves).all(axis=0)
        time, curves = mean["time"].values[whole], curves[:, whole]
        one = _of_mean(time, curves, factor, level)
        found.append(one)
        typical.append(_typical(time, curves, one, level))
    result = gathered(mean, series.start.isel(dict.fromkeys(names, 0), drop=True), found, floor,
                      level, factor)  # fmt: skip
    values = np.array(typical).reshape(*mean.shape[:-1], 3)
    about = {"long_name": "mean of the particles' own rates of escape", "units": "1/step"}
    result["typical_rate"] = (mean.dims[:-1], values[..., 0], about)
    result["typical_interval"] = ((*mean.dims[:-1], "bound"), values[..., 1:], about)
    return result


def _of_mean(t: np.ndarray, curves: np.ndarray, factor: float, level: float) -> Phases:
    """The phases of the mean of curves of shape (particles, times)."""
    mean = np.mean(curves, axis=0)
    good = mean > 0
    t, curves, mean = t[good], curves[:, good], mean[good]
    up, down, _ = phases_of(t, np.log(mean), factor, level)
    if up.last > up.first:
        up = _regrown(t, curves, up, level)
    if down.present:
        down = _resettled(t, curves, down, level)
    return up, down, t


def _regrown(t: np.ndarray, curves: np.ndarray, up: Growth, level: float) -> Growth:
    here = slice(up.first, up.last + 1)
    away = (t[here] - np.mean(t[here])).astype(float)

    def slope(mean: np.ndarray) -> float:
        return float(away @ np.log(mean[here]) / (away @ away))

    rate = _jackknifed(curves, slope, level)
    y = np.log(np.mean(curves, axis=0)[here])
    size = float(np.exp(np.mean(y) + rate.value * (t[up.first] - np.mean(t[here]))))
    return up._replace(rate=rate, size=size)


def _resettled(t: np.ndarray, curves: np.ndarray, down: Settling, level: float) -> Settling:
    kept = down.first + thinned(len(t) - down.first)
    s = (t[kept] - t[down.first]).astype(float)
    logs = np.log([down.size, max(down.plateau, 1e-300)])
    best = {
        (True, True): [logs[0], down.rate.value],
        (False, True): [*logs, down.rate.value],
    }.get((down.plateau == 0, down.drift == 0), [*logs, down.rate.value, down.drift])

    def decay(mean: np.ndarray) -> float:
        return float(full(refined(s, np.log(mean[kept]), np.array(best)).parameters)[2])

    return down._replace(rate=_jackknifed(curves, decay, level))


def _jackknifed(
    curves: np.ndarray, rate: Callable[[np.ndarray], float], level: float
) -> Coefficient:
    """A rate of the mean curve, with an interval by leaving out one group of particles at a time.

    Groups are single particles, if there are at most 100 (Efron and Tibshirani, An Introduction
    to the Bootstrap, 1993, chapter 11).
    """
    from scipy.special import stdtrit

    groups = np.array_split(np.arange(len(curves)), min(len(curves), _MOST_GROUPS))
    total = np.sum(curves, axis=0)
    value = rate(total / len(curves))
    g = len(groups)
    without = np.array(
        [rate((total - np.sum(curves[k], axis=0)) / (len(curves) - len(k))) for k in groups]
    )
    error = np.sqrt((g - 1) / g * np.sum((without - np.mean(without)) ** 2))
    reach = float(stdtrit(g - 1, (1 + level) / 2) * error)
    return Coefficient(value, value - reach, value + reach)


def _typical(t: np.ndarray, curves: np.ndarray, phases: Phases, level: float) -> Coefficient:
    """The mean of the particles' own slopes on the stretch of the mean curve."""
    from scipy.special import stdtrit

    up, _, kept = phases
    if up.last <= up.first:
        return Coefficient(np.nan, np.nan, np.nan)
    here = (t >= kept[up.first]) & (t <= kept[up.last])
    part = curves[:, here]
    away = (t[here] - np.mean(t[here])).astype(float)
    alive = np.all(part > 0, axis=1)
    slopes = np.log(part[alive]) @ away / (away @ away)
    n = len(slopes)
    if n < 2:
        return Coefficient(np.nan, np.nan, np.nan)
    value = float(np.mean(slopes))
    reach = float(stdtrit(n - 1, (1 + level) / 2) * np.std(slopes, ddof=1) / np.sqrt(n))
    return Coefficient(value, value - reach, value + reach)
