"""A training of networks as losses over steps."""

from __future__ import annotations

import numpy as np
import xarray as xr

from samdyn.ensembles.networks import diverged


def over_steps(run: xr.Dataset) -> xr.Dataset:
    """A result of `samdyn.networks.train` as `samdyn.simulate` would have it.

    Returns
    -------
    xarray.Dataset
        ``loss`` over ``time``, which counts steps and has the epochs beside it, NaN of networks
        that diverged; ``switched`` over ``phase`` if there is a switch; ``diverged``.

    Raises
    ------
    ValueError
        If there is one epoch only, or the networks have not taken the same number of steps by the
        same epoch.
    """
    if "epoch" not in run["train_loss"].dims:
        raise ValueError(
            "run must have the epochs of its training, got one of them; choose values of other "
            "dimensions only"
        )
    steps = _common_steps(run)
    # where an epoch is shorter than a step, records repeat: the first is the step's own
    time, first = np.unique(steps[steps >= 0], return_index=True)
    kept = np.flatnonzero(steps >= 0)[first]
    loss = run["train_loss"].isel(epoch=kept).rename(epoch="time")
    epochs = loss["time"].values
    lost = diverged(run)
    loss = loss.where(~lost).assign_coords(time=time)
    loss = loss.assign_coords(epoch=("time", epochs))
    loss["time"].attrs = {"long_name": "steps taken", "units": "step"}
    found = xr.Dataset({"loss": loss, "diverged": lost})
    if "switched" in run:
        found["switched"] = run["switched"].rename(later_phase="phase")
    return found


def without_loss(losses: xr.Dataset) -> xr.DataArray:
    """The networks of `over_steps` of which there is no series: they diverged or never began."""
    return ~losses["loss"].notnull().any("time")


def _common_steps(run: xr.Dataset) -> np.ndarray:
    """The steps taken by each recorded epoch, -1 where no network came."""
    steps = run["step"]
    rest = [dim for dim in steps.dims if dim != "epoch"]
    known = steps.where(steps >= 0)
    most = known.max(rest)
    if bool((known < most).any()):
        # of several swept dimensions, the ones along which they differ
        apart = [str(dim) for dim in rest if bool((known.max([dim]) > known.min([dim])).any())]
        choice = ", ".join(f"{dim}=…" for dim in apart)
        raise ValueError(
            "run must be of networks that have taken the same number of steps by each epoch, and "
            f"these differ along {', '.join(apart)}; choose with run.sel({choice})"
        )
    return most.fillna(-1).transpose("epoch").values.astype(int)
