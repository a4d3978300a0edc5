"""Initial points: grids, random ensembles, and what a user may give as x0."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from samdyn.numbers import checked_number, checked_whole
from samdyn.systems.base import System

Range = tuple[float, float, int]


def grid(**axes: Range | float | np.ndarray) -> xr.DataArray:
    """A grid of initial points that keeps its own dimensions.

    Parameters
    ----------
    **axes : (low, high, count), array or float
        One for each variable of the loss: evenly spaced values, the values themselves, or one
        value for all points. A list of three is refused: it could be either of the first two.

    Returns
    -------
    DataArray
        Dimensions: one for each axis that is no single value, then ``coord``.

    Raises
    ------
    TypeError, ValueError
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
        stacked,
        dims=(*wide, "coord"),
        coords={**wide, "coord": list(values)},
        name="x0",
        attrs={"distribution": "grid"},
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
    count, seed = checked_whole("count", count, 1), checked_whole("seed", seed, 0)
    if not axes:
        raise ValueError("uniform needs an interval for each variable, for example x=(-1, 1)")
    low, high = np.transpose([_interval(name, axis) for name, axis in axes.items()])
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
    count, seed = checked_whole("count", count, 1), checked_whole("seed", seed, 0)
    given, center = center, np.asarray(checked_number("center", center), float)
    if center.ndim != 1:
        raise ValueError(f"center must be a point such as (0, 0), got {given!r}")
    if np.ndim(radius) or not checked_number("radius", radius) > 0:
        raise ValueError(f"ball needs a radius above 0, got {radius!r}")
    if names is not None and len(names) != len(center):
        raise ValueError(f"names must be {len(center)}, one for each entry of center; got {names}")
    random = np.random.default_rng(seed)
    directions = random.standard_normal((count, len(center)))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    lengths = radius * random.uniform(size=(count, 1)) ** (1 / len(center))
    recipe = {"seed": seed, "distribution": "uniform in a ball"}
    return _particles(center + lengths * directions, names, recipe)


def checked_points(x0: Any, names: tuple[str, ...], rows: tuple[str, ...] = ()) -> xr.DataArray:
    """Initial points as a DataArray whose last dimension ``coord`` is in the system's order.

    Parameters
    ----------
    x0 : array_like, shape (d,) or (n, d), or DataArray
        One point, n points, or what `grid`, `uniform` and `ball` return. For a system of one
        variable also a number, which is one point, or n > 1 numbers, which are n points; its
        whole states then need the shape (n, rows).
    names : tuple of str
        The coordinates of the system.
    rows : tuple of str, optional
        All scalars of its state: points may give those instead, so that velocities need not
        begin at 0.

    Returns
    -------
    DataArray
        Whose ``coord`` is ``names`` or ``rows``, with the attributes (seed,
        distribution) of the one given.

    Raises
    ------
    TypeError
        If it is no array of real numbers.
    ValueError
        If a coordinate is missing or unknown, the shape is wrong, or a value is not finite.
    """
    d, more = len(names), len(rows) > len(names)
    if not isinstance(x0, xr.DataArray):
        array = _real(x0)
        if d == 1 and array.shape != (1,) and array.ndim < 2:
            # of one variable a number is a point, so numbers are points
            array = array.reshape(-1, 1) if array.ndim else array.reshape(1)
        if array.ndim not in (1, 2) or array.shape[-1] not in (d, len(rows) if more else d):
            whole = f", or (n, {len(rows)}) for the whole state {', '.join(rows)}" if more else ""
            raise ValueError(
                f"x0 must have shape ({d},) or (n, {d}), one column for each of "
                f"{', '.join(names)}{whole}, or come from samdyn.grid; got shape {array.shape}"
            )
        x0 = xr.DataArray(array, dims=("particle", "coord")[-array.ndim :])
    if "coord" not in x0.dims or x0.sizes["coord"] not in (d, len(rows) if more else d):
        whole = f", or {len(rows)} for the whole state {', '.join(rows)}" if more else ""
        raise ValueError(
            f"x0 must have a dimension 'coord' of length {d} ({', '.join(names)}){whole}; it has "
            f"{dict(x0.sizes)}"
        )
    names = names if x0.sizes["coord"] == d else rows
    if "coord" in x0.coords:
        given = [str(name) for name in x0["coord"].values]
        if set(given) != set(names):
            raise ValueError(f"x0 has the coordinates {given}; the system has {list(names)}")
        x0 = x0.sel(coord=list(names))
    x0 = x0.assign_coords(coord=list(names))
    _real(x0)
    x0 = x0.transpose(..., "coord").astype(float)
    if x0.size == 0:
        raise ValueError(f"x0 has no points: its shape is {x0.shape}")
    bad = np.argwhere(~np.isfinite(x0.values))
    if len(bad):
        raise ValueError(
            f"x0 must be finite; entry {tuple(map(int, bad[0]))} is {x0.values[tuple(bad[0])]}"
        )
    return x0


def whole_states(x0: Any, system: System) -> xr.DataArray:
    """Initial points as whole states: velocities that are not given begin at 0.

    Parameters
    ----------
    x0 : array_like or DataArray
        As `checked_points` takes it.
    system : System
        Of one phase.

    Returns
    -------
    DataArray
        Whose ``coord`` is ``system.rows``.

    Raises
    ------
    TypeError, ValueError
        As `checked_points`.
    """
    points = checked_points(x0, system.coordinates, system.rows)
    states = list(np.moveaxis(points.values, -1, 0))
    if len(states) < len(system.rows):
        states = system.start(states)
    return relabelled(np.stack(states, axis=-1), points, system.rows)


def relabelled(values: np.ndarray, points: xr.DataArray, names: tuple[str, ...]) -> xr.DataArray:
    """Values over the dimensions of points, with a ``coord`` of their own.

    Parameters
    ----------
    values : ndarray, shape (…, k)
    points : DataArray
        Whose last dimension is ``coord``.
    names : tuple of str, length k
    """
    places = {
        dim: points[dim].values for dim in points.dims if dim != "coord" and dim in points.coords
    }
    return xr.DataArray(
        values, dims=points.dims, coords={**places, "coord": list(names)}, attrs=points.attrs
    )


def _axis(name: str, axis: Any) -> np.ndarray:
    what = f"axis {name}"
    if isinstance(axis, list) and len(axis) == 3:
        raise ValueError(
            f"{what} is the list {axis}, which could be a range or three values; write (low, high, "
            "count) as a tuple, or numpy.array([...]) for the values themselves"
        )
    if isinstance(axis, tuple) and len(axis) == 3 and isinstance(axis[2], int | np.integer):
        low, high = checked_number(what, axis[:2])
        if axis[2] < 1 or not low < high:
            raise ValueError(f"{what} needs low < high and a count of at least 1, got {axis}")
        return np.linspace(low, high, axis[2])
    values = np.asarray(checked_number(what, axis), dtype=float)
    if values.ndim > 1 or isinstance(axis, tuple):
        raise ValueError(
            f"{what} must be (low, high, count), a 1-D array or one number, got {axis!r}"
        )
    return values


def _interval(name: str, axis: Any) -> np.ndarray:
    interval = np.asarray(checked_number(f"interval {name}", axis), float)
    if interval.shape != (2,) or not interval[0] < interval[1]:
        raise ValueError(
            f"uniform needs an interval (low, high) with low < high for {name}, got {axis!r}"
        )
    return interval


def _real(x0: Any) -> np.ndarray:
    """The numbers of x0, if it has one real number in each place."""
    try:
        array = np.asarray(x0)
    except ValueError:  # rows of different lengths
        array = np.asarray(None)
    if array.dtype.kind not in "iuf":
        shown = " ".join(repr(x0).split())
        shown = shown if len(shown) < 60 else f"a {type(x0).__name__}"
        raise TypeError(
            "x0 must be real numbers, a point or rows of equal length, or come from samdyn.grid; "
            f"got {shown}"
        )
    return array.astype(float)


def _particles(points: np.ndarray, names: Any, recipe: dict[str, Any]) -> xr.DataArray:
    coordinates = {} if names is None else {"coord": list(names)}
    return xr.DataArray(
        points, dims=("particle", "coord"), coords=coordinates, name="x0", attrs=recipe
    )
