"""The losses of a run as series that begin at a switch, one for each particle."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import xarray as xr

from samdyn.numbers import checked_whole

_LEAST = 1e-300
"""Losses below are 0: their digits are lost."""


_ROUNDING = 1e-9
"""A loss may fall below its floor by this part of the largest: mean losses of data cancel."""

_REACH = 4.0
"""How far rounding is taken to reach, in sizes that were seen."""


class Known(NamedTuple):
    """The losses of a series whose digits are known.

    Attributes
    ----------
    steps, logarithms : ndarray, shape (n,)
    before : float
        The logarithm at the switch; where its digits are not known, of the most that it can be.
    """

    steps: np.ndarray
    logarithms: np.ndarray
    before: float


class Series(NamedTuple):
    """What two phases are looked for in.

    Attributes
    ----------
    loss : DataArray, over the dimensions of the particles, then ``time``
        Above the floor; NaN before the switch, and after a particle has ended; 0 where it is
        within rounding.
    start : DataArray of int
        The step of the switch, -1 where there was none.
    rounding : float
        Losses up to it are not known.
    """

    loss: xr.DataArray
    start: xr.DataArray
    rounding: float

    def each(self) -> Iterator[Known]:
        """What is known of the loss of every particle."""
        time = self.loss["time"].values
        for place in np.ndindex(self.loss.shape[:-1]):
            yield known_of(time, self.loss.values[place], self.rounding)


def known_of(time: np.ndarray, values: np.ndarray, rounding: float) -> Known:
    """The losses of one series that are above rounding."""
    least = max(rounding, _LEAST)
    here = np.isfinite(values)
    known = here & (values > least)
    y = np.log(values[known])
    before = np.log(max(values[here][0], least)) if here.any() else np.nan
    return Known(time[known], y, float(before))


def series_of(
    run: xr.Dataset | xr.DataArray,
    after: int | None,
    floor: float,
    without: xr.DataArray | None = None,
) -> Series:
    """The losses of a run from its last switch on, or from a given step.

    What ``without`` marks has no loss at all, and counts as never switched.

    Raises
    ------
    TypeError, ValueError
        If run holds no losses over time, one is below the floor, or after is no step of it.
    """
    loss = run if isinstance(run, xr.DataArray) else _recorded(run)
    if "time" not in loss.dims:
        raise ValueError(
            f"run must hold the loss over time, got dimensions {loss.dims}; record it with "
            "simulate(…, record=1), or give a whole result of samdyn.networks.train"
        )
    loss = loss.transpose(..., "time").astype(float)
    known = loss.where(np.isfinite(loss))
    finite = known.values[np.isfinite(known.values)]
    missing = not finite.size and without is not None and bool(without.all())
    rounding = 0.0 if missing else rounding_of(finite, floor)
    start = switch_of(run)
    if after is not None:
        last = int(loss["time"].values[-1])
        if checked_whole("after", after, 0) >= last:
            raise ValueError(
                f"after must be a step before the last recorded one, {last}; got {after}"
            )
        start = xr.full_like(start, after)
    if without is not None:
        start = start.where(~without, -1)
    above = known - floor
    above = above.where(~(above <= rounding), 0.0)
    values = above.where((loss["time"] >= start) & (start >= 0))
    if isinstance(run, xr.Dataset) and "steps" in run:
        values = values.where(values["time"] <= run["steps"])
    return Series(values.transpose(*loss.dims), start, rounding)


def rounding_of(values: np.ndarray, floor: float) -> float:
    """How far above the floor a loss is lost in rounding, as far as recorded losses show it.

    They do where they go below the floor, or are at it: rounding then reaches four times as far
    as the lowest is below it, or the next is above it.

    Raises
    ------
    ValueError
        If there are no losses, or they are truly below the floor.
    """
    if not values.size:
        raise ValueError("run has no finite loss")
    above = values - floor
    largest, below = float(np.max(above)), max(-float(np.min(above)), 0.0)
    if below > _ROUNDING * largest:
        raise ValueError(
            f"floor must be the least value that the loss can have, and it falls to "
            f"{floor - below:g}; got {floor:g}"
        )
    size = max(below, np.finfo(float).eps * abs(floor))
    if np.min(above) <= 0:
        smallest = float(np.min(above, where=above > 0, initial=np.inf))
        size = max(size, smallest) if smallest <= _ROUNDING * largest else size
    return _REACH * size


def _recorded(run: xr.Dataset) -> xr.DataArray:
    if not isinstance(run, xr.Dataset):
        raise TypeError(
            "run must be a result of samdyn.simulate, or losses over time as an xarray.DataArray; "
            f"got a {type(run).__name__}"
        )
    if "loss" not in run:
        raise ValueError("nothing was recorded; run simulate with record=, for example record=1")
    return run["loss"]


def switch_of(run: xr.Dataset | xr.DataArray) -> xr.DataArray:
    """The step of the last switch of every particle: 0 without one, -1 where it never came."""
    if isinstance(run, xr.Dataset) and "switched" in run:
        steps = run["switched"].isel(phase=-1, drop=True)
        return steps.reset_coords(drop=True)
    rest = run["loss"] if isinstance(run, xr.Dataset) else run
    return xr.zeros_like(rest.isel(time=0, drop=True), dtype=int).reset_coords(drop=True)
