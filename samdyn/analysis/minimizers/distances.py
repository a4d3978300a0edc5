"""How far a path has gone along a manifold of minimisers, and how far from it the path is."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from samdyn.analysis.minimizers.projection import project
from samdyn.analysis.points import finite_points
from samdyn.losses.loss import Loss


def along_and_across(loss: Loss, path: Any, origin: Any = None) -> xr.Dataset:
    """Split a path beside a manifold of minimisers into what lies along it and across it.

    Every point w of the path is projected to the minimiser Phi(w) at which gradient flow from it
    ends; see `samdyn.project`.

    Parameters
    ----------
    loss : Loss
    path : array_like, shape (…, time, d), or DataArray with dimensions time and coord
        A path, or several, such as ``run.w``.
    origin : array_like, shape (d,) or (…, d), optional
        From where lengths count: from the projection of this point. Default: of the first point
        of the path that has one.

    Returns
    -------
    xarray.Dataset
        Over (…, time): ``across``, the distance abs(w - Phi(w)); ``along``, the length of the
        polygon of the projections from the origin's to this one; ``chord``, the straight distance
        from the origin's projection; ``projection`` Phi(w) (…, time, coord) and its ``rank``.
        Where gradient flow does not end at a minimum all of them are NaN (the rank -1), and
        ``along`` goes on from the last projection before.

    Raises
    ------
    ValueError
        If the path or the origin has another shape, or gradient flow from an origin that is
        given does not end at a minimum.

    Examples
    --------
    >>> found = along_and_across(Loss("x**2"), [[1.0], [0.5]])
    >>> found.across.values, found.along.values
    (array([1. , 0.5]), array([0., 0.]))
    """
    data = _labelled(loss, path)
    points = finite_points(loss, data.values, "path", "along_and_across")
    found = project(loss, points)
    limits = np.where(found.converged[..., None], found.point, np.nan)
    base = _first(limits) if origin is None else _projected(loss, origin, points.shape[:-2])
    known = _held(limits, base)
    steps = np.linalg.norm(np.diff(known, axis=-2), axis=-1)
    lost = np.isnan(limits[..., 0])
    over = data.dims[:-1]
    variables = {
        "projection": (data.dims, limits),
        "across": (over, np.where(lost, np.nan, found.distance)),
        "along": (over, np.where(lost, np.nan, np.cumsum(steps, axis=-1))),
        "chord": (over, np.linalg.norm(limits - base[..., None, :], axis=-1)),
        "rank": (over, np.where(lost, -1, found.rank)),
    }
    return xr.Dataset(variables, coords=data.coords)


def _first(limits: np.ndarray) -> np.ndarray:
    """The first limit of each path that is known; NaN where none is."""
    place = np.argmax(~np.isnan(limits[..., 0]), axis=-1)[..., None, None]
    return np.take_along_axis(limits, place, axis=-2)[..., 0, :]


def _projected(loss: Loss, origin: Any, shape: tuple[int, ...]) -> np.ndarray:
    """The minimiser that each path's origin leads to."""
    points = finite_points(loss, origin, "origin", "along_and_across")
    try:
        points = np.broadcast_to(points, (*shape, loss.dimension))
    except ValueError:
        raise ValueError(
            f"origin must be one point, or one for each path, of shape "
            f"{(*shape, loss.dimension)}; got {points.shape}"
        ) from None
    found = project(loss, points)
    if not np.all(found.converged):
        worst = points[~found.converged][0]
        raise ValueError(
            f"origin must be a point from which gradient flow ends at a minimum; from {worst} it "
            "does not"
        )
    return found.point


def _held(limits: np.ndarray, base: np.ndarray) -> np.ndarray:
    """The base, then the limits, the last one before in the place of each that is not known."""
    known = np.concatenate([base[..., None, :], limits], axis=-2)
    places = np.arange(known.shape[-2])
    last = np.maximum.accumulate(np.where(np.isnan(known[..., 0]), 0, places), axis=-1)
    return np.take_along_axis(known, last[..., None], axis=-2)


def _labelled(loss: Loss, path: Any) -> xr.DataArray:
    if not isinstance(loss, Loss):
        raise TypeError(f"loss must be a samdyn.Loss, got {loss!r}")
    if isinstance(path, xr.DataArray):
        if not {"time", "coord"} <= set(path.dims):
            raise ValueError(f"path must have the dimensions time and coord, got {path.dims}")
        if not path.sizes["time"]:
            raise ValueError("path must have a point, but its time is empty")
        kept = path.transpose(..., "time", "coord")
        return kept.sel(coord=list(loss.variables)) if "coord" in path.coords else kept
    values = np.asarray(path, dtype=float)
    if values.ndim < 2 or values.shape[-1] != loss.dimension or values.shape[-2] == 0:
        raise ValueError(f"path must have shape (…, time, {loss.dimension}), got {values.shape}")
    leading = [f"path_{k}" for k in range(values.ndim - 2)] if values.ndim > 3 else ["path"]
    dims = [*leading[: values.ndim - 2], "time", "coord"]
    return xr.DataArray(values, dims=dims, coords={"coord": list(loss.variables)})
