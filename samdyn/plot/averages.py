"""Lines of trained networks: means over seeds with their intervals, and where they switched."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from samdyn.ensembles.networks import diverged
from samdyn.notation import LATEX
from samdyn.plot.labels import plain, symbol


class Line(NamedTuple):
    """A mean with the reach of its interval, what it is called, and the moments of its switches.

    ``lost`` says that it ends because its only network diverged.
    """

    at: np.ndarray
    mean: np.ndarray
    reach: np.ndarray
    label: str
    switches: np.ndarray
    lost: bool


def line_of(
    run: xr.Dataset, name: str, place: dict[str, int], told: list[str], drawn: list[str], x: str,
    level: float,
) -> Line:  # fmt: skip
    """The line at one place of the sweep.

    Parameters
    ----------
    run : Dataset
        Of `samdyn.networks.train`.
    name : str
        A variable over epochs.
    place : dict
        Dimension -> index in the sweep.
    told : list of str
        The dimensions that its label speaks of.
    drawn : list of str
        The dimension that it averages over, if any.
    x : str
        "epoch" or "step".
    level : float
        Of the interval.

    Raises
    ------
    ValueError
        If x is "step" and the networks averaged took different numbers of steps by an epoch.
    """
    part = run.isel({dim: k for dim, k in place.items() if dim in run.dims})
    values = part[name].transpose(*drawn, "epoch").values.reshape(-1, run.sizes["epoch"])
    steps, gone, switched = _aside(part, drawn)
    label = ", ".join(_label(part, dim) for dim in told if dim in part.coords)
    if drawn and gone.any():
        said = f"{gone.sum()} of {len(values)} diverged"
        label = f"{label} ({said})" if label else said
    lost = not drawn and bool(gone.any())
    counted = np.isfinite(values).any(axis=1) & (not drawn or ~gone)
    if not counted.any():
        return Line(np.empty(0), np.empty(0), np.empty(0), label, np.empty(0), lost)
    whole = np.isfinite(values[counted]).all(axis=0)
    at = _moments(run, steps[counted], x)[whole]
    switches = np.unique(_switches(run, steps[counted], switched[counted], x))
    return Line(at, *_mean(values[counted][:, whole], level), label, switches, lost)


def _mean(values: np.ndarray, level: float) -> tuple[np.ndarray, np.ndarray]:
    """The mean of rows, and how far its interval reaches; NaN for a single one."""
    from scipy.special import stdtrit

    n = len(values)
    mean = values.mean(axis=0)
    if n < 2:
        return mean, np.full(len(mean), np.nan)
    return mean, stdtrit(n - 1, (1 + level) / 2) * values.std(axis=0, ddof=1) / np.sqrt(n)


def _switches(run: xr.Dataset, steps: np.ndarray, switched: np.ndarray, x: str) -> np.ndarray:
    """When networks switched, in the unit of x; those that never did are left out."""
    if x == "step":
        return switched[switched > 0]
    epochs = run["epoch"].values
    found = [
        np.interp(begun[begun > 0], own[own >= 0], epochs[own >= 0])
        for own, begun in zip(steps, switched, strict=True)
    ]
    return np.concatenate(found)


def _aside(part: xr.Dataset, drawn: list[str]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of each network: its steps, whether it diverged, and the steps at which it switched."""
    like = part["train_loss"].isel(epoch=0, drop=True)
    n = like.size
    steps = part["step"].broadcast_like(part["train_loss"]).transpose(*drawn, "epoch")
    lost, switched = np.zeros(n, bool), np.empty((n, 0))
    if "reason" in part:
        lost = diverged(part).values.reshape(-1)
    if "switched" in part:
        switched = part["switched"].transpose(*drawn, "later_phase").values.reshape(n, -1)
    return steps.values.reshape(n, -1), lost, switched


def _moments(run: xr.Dataset, steps: np.ndarray, x: str) -> np.ndarray:
    if x == "epoch" or not len(steps):
        return run["epoch"].values
    known = np.max(steps, axis=0)
    if np.any((steps >= 0) & (steps != known)):
        raise ValueError(
            "x must be 'epoch' where networks that are averaged took different numbers of steps "
            "by an epoch, got 'step'; or draw them all with over=None"
        )
    return known


def _label(part: xr.Dataset, dim: str) -> str:
    value: Any = part[dim].values[()]
    said = plain(float(value)) if np.issubdtype(type(value), np.number) else str(value)
    if dim == "switch":
        return f"switch at {part[dim].attrs.get('units', 'step')} {said}"
    return f"{symbol(dim) if dim in LATEX or len(dim) == 1 else words(dim)} = {said}"


def words(name: str) -> str:
    """A name without its underscores."""
    return name.replace("_", " ")
