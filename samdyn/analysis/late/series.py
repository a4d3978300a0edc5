"""The losses of a run as series that begin at a switch, one for each particle."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import xarray as xr

from samdyn.numbers import checked_whole

_LEAST = 1e-300
"""Losses below are 0: their digits are lost."""


class Series(NamedTuple):
    """What two phases are looked for in.

    Attributes
    ----------
    loss : DataArray, over the dimensions of the particles, then ``time``
        Above the floor; NaN before the switch, and after a particle has ended.
    start : DataArray of int
        The step of the switch, -1 where there was none.
    """

    loss: xr.DataArray
    start: xr.DataArray

    def each(self) -> Iterator[tuple[tuple[int, ...], np.ndarray, np.ndarray]]:
        """Place, steps and logarithm of the loss of every particle, as far as it is positive."""
        time = self.loss["time"].values
        for place in np.ndindex(self.loss.shape[:-1]):
            values = self.loss.values[place]
            known = np.isfinite(values) & (values > _LEAST)
            yield place, time[known], np.log(values[known])


def series_of(run: xr.Dataset | xr.DataArray, after: int | None, floor: float) -> Series:
    """The losses of a run from its last switch on, or from a given step.

    Raises
    ------
    TypeError, ValueError
        If run holds no losses over time, one is below the floor, or after is no step of it.
    """
    loss = run if isinstance(run, xr.DataArray) else _recorded(run)
    if "time" not in loss.dims:
        raise ValueError("run must hold the loss over time; run simulate with record=1")
    loss = loss.transpose(..., "time").astype(float)
    known = loss.where(np.isfinite(loss))
    least = float(known.min())
    if not floor <= least:
        raise ValueError(
            f"floor must be the least value that the loss can have, and it falls to {least:g}; "
            f"got {floor:g}" if np.isfinite(least) else "run has no finite loss"
        )  # fmt: skip
    start = switch_of(run)
    if after is not None:
        last = int(loss["time"].values[-1])
        if checked_whole("after", after, 0) >= last:
            raise ValueError(
                f"after must be a step before the last recorded one, {last}; got {after}"
            )
        start = xr.full_like(start, after)
    values = (known - floor).where((loss["time"] >= start) & (start >= 0))
    if isinstance(run, xr.Dataset) and "steps" in run:
        values = values.where(values["time"] <= run["steps"])
    return Series(values.transpose(*loss.dims), start)


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
