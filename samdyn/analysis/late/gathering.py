"""Both phases of each series of losses, laid out as a dataset."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import xarray as xr

from samdyn.analysis.late.growth import NO_GROWTH, Growth, growth
from samdyn.analysis.late.series import Known
from samdyn.analysis.late.settling import NO_SETTLING, Settling, settling

_FEWEST = 4

_STEP = "1/step"
_ABOUT = {
    "start": ("step of the switch", "t_0", "step"),
    "escapes": ("whether there is an escape phase", "", "1"),
    "end": ("step at which the escape phase ends", "t_1", "step"),
    "escape_rate": ("rate of escape of the loss", r"\lambda", _STEP),
    "escape_interval": ("interval of the rate of escape", r"\lambda", _STEP),
    "escape_stretch": ("steps between which escape is exponential", "t", "step"),
    "multiplier": ("factor a step by which the distance grows", "m", "1"),
    "multiplier_interval": ("interval of the multiplier", "m", "1"),
    "converges": ("whether there is a convergence phase", "", "1"),
    "convergence_rate": ("rate of convergence of the loss", "k", _STEP),
    "convergence_interval": ("interval of the rate of convergence", "k", _STEP),
    "convergence_misfit": ("dependence of the decay's fit on the record's length", "", "1"),
    "plateau": ("loss that the decay leads to", "L_\\infty", "1"),
    "drift": ("rate at which that level falls", "c", _STEP),
    "fit": ("loss as fitted", "L", "1"),
}


Phases = tuple[Growth, Settling, np.ndarray]
"""Both phases of a series, and the steps that it has."""


def phases_of(known: Known, factor: float, level: float) -> Phases:
    """Both phases of the logarithm of one series of losses."""
    t, y, before = known
    if len(t) < _FEWEST:
        return NO_GROWTH, NO_SETTLING, t
    up = growth(t, y, before, factor, level)
    return up, settling(t, y, up.end, up.present, factor, level), t


def fitted(phases: Phases, time: np.ndarray) -> np.ndarray:
    """The fitted loss at recorded steps; NaN where nothing was fitted."""
    up, down, t = phases
    loss = np.full(len(time), np.nan)
    if up.last > up.first:
        here = (time >= t[up.first]) & (time <= t[up.last])
        loss[here] = up.size * np.exp(up.rate.value * (time[here] - t[up.first]))
    if down.present:
        here = (time >= t[down.first]) & (time <= t[-1])
        s = time[here] - t[down.first]
        loss[here] = down.size * np.exp(-down.rate.value * s)
        loss[here] += down.plateau * np.exp(-down.drift * s)
    return loss


def gathered(
    loss: xr.DataArray,
    start: xr.DataArray,
    found: Sequence[Phases],
    floor: float,
    level: float,
    factor: float,
) -> xr.Dataset:
    """The phases of all particles as a dataset."""
    dims, shape = loss.dims[:-1], loss.shape[:-1]
    time = loss["time"].values

    def laid(values: Callable[[Phases], object], *more: str) -> tuple:
        array = np.array([values(one) for one in found])
        return (*dims, *more), array.reshape((*shape, *array.shape[1:]))

    def within(present: bool, value: float) -> float:
        return value if present else np.nan

    variables = {
        "start": (start.dims, start.values),
        "escapes": laid(lambda p: p[0].present),
        "end": laid(lambda p: int(p[2][p[0].end]) if p[0].present else -1),
        "escape_rate": laid(lambda p: p[0].rate.value),
        "escape_interval": laid(lambda p: p[0].rate[1:], "bound"),
        "escape_stretch": laid(
            lambda p: p[2][[p[0].first, p[0].last]] if p[0].last > p[0].first else [-1, -1],
            "bound",
        ),
        "multiplier": laid(lambda p: np.exp(p[0].rate.value / 2)),
        "multiplier_interval": laid(lambda p: np.exp(np.array(p[0].rate[1:]) / 2), "bound"),
        "converges": laid(lambda p: p[1].present),
        "convergence_rate": laid(lambda p: p[1].rate.value),
        "convergence_interval": laid(lambda p: p[1].rate[1:], "bound"),
        "convergence_misfit": laid(lambda p: p[1].misfit),
        "plateau": laid(lambda p: within(p[1].present, floor + p[1].plateau)),
        "drift": laid(lambda p: within(p[1].present, p[1].drift)),
        "fit": laid(lambda p: floor + fitted(p, time), "time"),
    }
    coords = {name: values for name, values in loss.coords.items() if name != "bound"}
    result = xr.Dataset(variables, coords).assign_coords(bound=["low", "high"])
    for name, (long_name, latex, units) in _ABOUT.items():
        result[name].attrs = {"long_name": long_name, "latex": latex, "units": units}
    result.attrs = {"level": level, "factor": factor, "floor": floor}
    return result
