"""Two phases of the mean loss of an ensemble, with intervals from its particles."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import xarray as xr

from samdyn.analysis.late.gathering import Phases, gathered, phases_of
from samdyn.analysis.late.growth import Coefficient, Growth
from samdyn.analysis.late.series import Series, known_of
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
        different steps of a record that is not even.
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
    start = series.start.broadcast_like(series.loss.isel(time=0, drop=True))
    starts = start.stack(member=names).transpose(*flat.dims[:-1]).values
    steps = np.unique(starts[starts >= 0])
    losses = flat.values if len(steps) < 2 else since(flat["time"].values, flat.values, starts)
    mean = flat.isel(member=0, drop=True).copy()
    if len(steps) > 1:
        beside = [name for name, x in mean.coords.items() if "time" in x.dims and name != "time"]
        mean = mean.drop_vars(beside)  # such as epochs, which are each particle's own
        mean = mean.assign_coords(time=mean["time"] - mean["time"][0])
    found, typical, counts = [], [], []
    for place in np.ndindex(mean.shape[:-1]):
        curves = losses[place][starts[place] >= 0]
        counts.append(len(curves))
        whole = np.isfinite(curves).all(axis=0) & (len(curves) >= _FEWEST)
        time, curves = mean["time"].values[whole], curves[:, whole]
        one = _of_mean(time, curves, series.rounding, factor, level)
        found.append(one)
        typical.append(_typical(time, curves, one, level))
    common = int(steps[0]) if len(steps) == 1 else -1
    switch = xr.full_like(mean.isel(time=0, drop=True), common, dtype=int)
    result = gathered(mean, switch, found, floor, level, factor)
    said = {"long_name": "particles averaged: those that were switched", "units": "1"}
    result["averaged"] = (mean.dims[:-1], np.reshape(counts, mean.shape[:-1]), said)
    values = np.array(typical).reshape(*mean.shape[:-1], 3)
    about = {"long_name": "mean of the particles' own rates of escape", "units": "1/step"}
    result["typical_rate"] = (mean.dims[:-1], values[..., 0], about)
    result["typical_interval"] = ((*mean.dims[:-1], "bound"), values[..., 1:], about)
    return result


def since(time: np.ndarray, losses: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Losses of shape (…, times), each moved to begin at its own switch; NaN after the record."""
    every = np.diff(time)
    if np.ptp(every) != 0 or np.any((starts[starts >= 0] - time[0]) % every[0] != 0):
        raise ValueError(
            "over averages particles step by step, and these were switched at different steps; "
            "record every step (simulate with record=1), or leave over out"
        )
    places = np.arange(len(time)) + np.maximum(starts - time[0], 0)[..., None] // every[0]
    moved = np.take_along_axis(losses, np.minimum(places, len(time) - 1), axis=-1)
    return np.where(places < len(time), moved, np.nan)


def _of_mean(
    time: np.ndarray, curves: np.ndarray, rounding: float, factor: float, level: float
) -> Phases:
    """The phases of the mean of curves of shape (particles, times)."""
    mean = np.mean(curves, axis=0) if len(curves) else np.zeros(len(time))
    known = known_of(time, mean, rounding)
    t, curves = known.steps, curves[:, np.isin(time, known.steps)]
    up, down, _ = phases_of(known, factor, level)
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
