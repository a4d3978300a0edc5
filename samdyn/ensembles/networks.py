"""Results of samdyn.networks.train, told from those of simulate without torch."""

from __future__ import annotations

from typing import Any, TypeGuard

import numpy as np
import xarray as xr


def is_training(run: Any) -> TypeGuard[xr.Dataset]:
    """Whether this is a result of `samdyn.networks.train`, or a part of one.

    Examples
    --------
    >>> losses = {"train_loss": ("epoch", [1.0, 0.5]), "step": ("epoch", [0, 10])}
    >>> is_training(xr.Dataset(losses, {"epoch": [0, 1]}))
    True
    """
    return isinstance(run, xr.Dataset) and {"train_loss", "step", "epoch"} <= set(run.variables)


def refuse_training(argument: str, given: Any, instead: str) -> None:
    """Refuse a result of `samdyn.networks.train` where one of simulate is meant.

    Parameters
    ----------
    argument : str
        What it was given as.
    given : object
    instead : str
        The end of the sentence: what to use.

    Raises
    ------
    ValueError
        If it is one.
    """
    if is_training(given):
        raise ValueError(f"{argument} is a result of samdyn.networks.train; {instead}")


def diverged(run: xr.Dataset) -> xr.DataArray:
    """Of each network of a result of `samdyn.networks.train`, whether its training diverged."""
    reason = run["reason"]
    codes = np.atleast_1d(reason.attrs["flag_values"]).tolist()
    words = str(reason.attrs["flag_meanings"]).split()
    found = reason == codes[words.index("diverged")]
    found.attrs = {"long_name": "whether training diverged", "units": "1"}
    return found
