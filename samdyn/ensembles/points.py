"""Initial points: grids, random ensembles, and what a user may give as x0."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

Range = tuple[float, float, int]


def grid(**axes: Range | float | np.ndarray) -> xr.DataArray:
    """A grid of initial points that keeps its own dimensions.

    Parameters
    ----------
    **axes : (low, high, count), array or float
        One for each variable of the loss: evenly spaced values, the values themselves, or one
        value for all points.

    Returns
    -------
    DataArray
        Dimensions: one for each axis that is no single value, then ``coord``.

    Raises
    ------
    ValueError
        If an axis is none of these.

    Examples
    --------
    >>> points = grid(x=(-1, 1, 3), y=0.5)
    >>> dict(points.sizes)
    {'x': 3, 'coord': 2}
    """
    if not axes:
        raise ValueError(
            "grid needs an axis for each variable, for example grid(x=(-1, 1, 50), y=0)"
        )
    values = {name: _axis(name, axis) for name, axis in axes.items()}
    wide = {name: axis for name, axis in values.items() if axis.ndim}
    meshes = np.meshgrid(*wide.values(), indexing="ij")
    shape = tuple(len(axis) for axis in wide.values())
    full = dict(zip(wide, meshes, strict=True))
    stacked = np.stack(
        [np.broadcast_to(full.get(name, axis), shape) for name, axis in values.items()], axis=-1
    )
    return xr.DataArray(
        stacked, dims=(*wide, "coord"), coords={**wide, "coord": list(values)}, name="x0"
    )


def uniform(count: int, *, seed: int, **axes: tuple[float, float]) -> xr.DataArray:
    """Initial points drawn uniformly from a box.

    Parameters
    ----------
    count : int
        Number of points.
    seed : int
        Of the random generator: the same seed gives the same points. Kept with the result.
    **axes : (low, high)
        One interval for each variable of the loss.

    Returns
    -------
    DataArray
        Dimensions ``particle`` and ``coord``.

    Examples
    --------
    >>> uniform(100, seed=0, x=(-1, 1), y=(0, 2)).shape
    (100, 2)
    """
    if not axes or any(np.shape(axis) != (2,) or not axis[0] < axis[1] for axis in axes.values()):
        raise ValueError(f"uniform needs an interval (low, high) for each variable, got {axes}")
    low, high = np.transpose(np.array(list(axes.values()), float))
    points = np.random.default_rng(seed).uniform(low, high, (count, len(axes)))
    return _particles(points, axes, {"seed": seed, "distribution": "uniform in a box"})


def ball(count: int, *, center: Any, radius: float, seed: int, names: Any = None) -> xr.DataArray:
    """Initial points drawn uniformly from a ball.

    Parameters
    ----------
    count : int
        Number of points.
    center : array_like, shape (d,)
    radius : float
        Above 0.
    seed : int
        Of the random generator. Kept with the result.
    names : sequence of str, optional
        Names of the coordinates. Default: the system's own, in order.

    Returns
    -------
    DataArray
        Dimensions ``particle`` and ``coord``.

    Examples
    --------
    >>> ball(100, center=(0, 0), radius=0.1, seed=0).shape
    (100, 2)
    """
    center = np.asarray(center, float)
    if center.ndim != 1 or not radius > 0:
        raise ValueError(f"ball needs a center of shape (d,) and a radius above 0, got {radius}")
    random = np.random.default_rng(seed)
    directions = random.standard_normal((count, len(center)))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    lengths = radius * random.uniform(size=(count, 1)) ** (1 / len(center))
    recipe = {"seed": seed, "distribution": "uniform in a ball"}
    return _particles(center + lengths * directions, names, recipe)


def checked_points(x0: Any, names: tuple[str, ...]) -> xr.DataArray:
    """Initial points as a DataArray whose last dimension ``coord`` is in the system's order.

    Raises
    ------
    ValueError
        If a coordinate is missing or unknown, the shape is wrong, or a value is not finite.
    """
    d = len(names)
    if not isinstance(x0, xr.DataArray):
        array = np.asarray(x0, dtype=float)
        if array.ndim not in (1, 2) or array.shape[-1] != d:
            raise ValueError(
                f"x0 must have shape ({d},) or (n, {d}), one column for each of "
                f"{', '.join(names)}, or come from samdyn.grid; got shape {array.shape}"
            )
        x0 = xr.DataArray(array, dims=("particle", "coord")[-array.ndim :])
    if "coord" not in x0.dims or x0.sizes["coord"] != d:
        raise ValueError(
            f"x0 must have a dimension 'coord' of length {d} ({', '.join(names)}); it has "
            f"{dict(x0.sizes)}"
        )
    if "coord" in x0.coords:
        given = [str(name) for name in x0["coord"].values]
        if set(given) != set(names):
            raise ValueError(f"x0 has the coordinates {given}; the system has {list(names)}")
        x0 = x0.sel(coord=list(names))
    x0 = x0.transpose(..., "coord").astype(float)
    if x0.size == 0:
        raise ValueError(f"x0 has no points: its shape is {x0.shape}")
    bad = np.argwhere(~np.isfinite(x0.values))
    if len(bad):
        raise ValueError(
            f"x0 must be finite; entry {tuple(map(int, bad[0]))} is {x0.values[tuple(bad[0])]}"
        )
    return x0


def _axis(name: str, axis: Any) -> np.ndarray:
    if isinstance(axis, tuple) and len(axis) == 3 and isinstance(axis[2], int | np.integer):
        low, high, count = axis
        if count < 1 or not low < high:
            raise ValueError(f"axis {name} needs low < high and a count of at least 1, got {axis}")
        return np.linspace(low, high, count)
    values = np.asarray(axis, dtype=float)
    if values.ndim > 1 or isinstance(axis, tuple):
        raise ValueError(
            f"axis {name} must be (low, high, count), a 1-D array or one number, got {axis!r}"
        )
    return values


def _particles(points: np.ndarray, names: Any, recipe: dict[str, Any]) -> xr.DataArray:
    coordinates = {} if names is None else {"coord": list(names)}
    return xr.DataArray(
        points, dims=("particle", "coord"), coords=coordinates, name="x0", attrs=recipe
    )
