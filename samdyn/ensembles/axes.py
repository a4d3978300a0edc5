"""How the numbers and the initial points of a run broadcast: every array is a named dimension."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

RESERVED = frozenset(
    "w loss final final_loss steps reason which time coord initial stream".split()  # noqa: SIM905
) | {"phase", "switched", "switch_point"}
"""Names in every result, which nothing of the user's may have there."""


class Axes(NamedTuple):
    """Named dimensions, and arrays that live on some of them.

    Attributes
    ----------
    sizes : dict
        Dimension -> length, in the order of the result.
    coordinates : dict
        Dimension -> values, where it has any.
    arrays : dict
        Name -> (dimensions, values). Scalars have no dimensions.
    """

    sizes: dict[str, int]
    coordinates: dict[str, np.ndarray]
    arrays: dict[str, tuple[tuple[str, ...], np.ndarray]]

    @property
    def dims(self) -> tuple[str, ...]:
        """The dimensions, in the order of the result."""
        return tuple(self.sizes)

    @property
    def shape(self) -> tuple[int, ...]:
        """Their lengths."""
        return tuple(self.sizes.values())

    @property
    def particles(self) -> int:
        """The number of particles."""
        return math.prod(self.shape)

    def take(self, name: str, first: int, last: int) -> Any:
        """A number of particles ``first`` to ``last - 1``: a float, or one value a particle."""
        dims, values = self.arrays[name]
        if not dims:
            return float(values)
        index = np.unravel_index(np.arange(first, last), self.shape)
        places = dict(zip(self.dims, index, strict=True))
        return np.ascontiguousarray(values[tuple(places[dim] for dim in dims)])


def lay_out(numbers: Mapping[str, Any], x0: xr.DataArray, names: tuple[str, ...]) -> Axes:
    """Broadcast numbers against initial points.

    Parameters
    ----------
    numbers : mapping
        Name -> float, 1-D array or DataArray. A name may carry a prefix ``"phase:"``, which does
        not reach the dimension's name.
    x0 : DataArray
        Initial points with the dimension "coord" last.
    names : tuple of str
        The coordinates of the system.

    Raises
    ------
    ValueError
        If an array has more than one dimension without names, or a dimension has two lengths.
    """
    sizes: dict[str, int] = {}
    coordinates: dict[str, np.ndarray] = {}
    arrays: dict[str, tuple[tuple[str, ...], np.ndarray]] = {}

    def add(dim: str, values: np.ndarray | None, length: int, whose: str) -> None:
        if dim in RESERVED:
            raise ValueError(
                f"{whose} would be a dimension called {dim!r}, which every result has for "
                "something else; choose another name"
            )
        if sizes.setdefault(dim, length) != length:
            raise ValueError(
                f"{whose} has {length} entries along {dim!r}, but another array has {sizes[dim]}"
            )
        if values is not None and dim not in coordinates:
            coordinates[dim] = values
        elif values is not None and not np.array_equal(coordinates[dim], values):
            raise ValueError(
                f"{whose} has other values along {dim!r} than another array; give one of them as "
                "an xarray.DataArray with a dimension of its own name"
            )

    swept: dict[str, Any] = {}
    for name, value in numbers.items():
        plain = name.rsplit(":", 1)[-1]
        named = isinstance(value, xr.DataArray) and value.dims != (plain,)
        other = value if named or not np.ndim(value) else swept.setdefault(plain, value)
        if np.shape(other) != np.shape(value) or not np.array_equal(other, value):
            raise ValueError(
                f"{plain} is swept over two different arrays in two phases; give one array, or two "
                "xarray.DataArrays along one dimension of another name"
            )
        if named:
            if plain in RESERVED:
                raise ValueError(f"{plain!r} is the name of something else in every result")
            for dim in value.dims:
                values = np.asarray(value[dim]) if dim in value.coords else None
                add(str(dim), values, value.sizes[dim], plain)
            arrays[name] = (tuple(map(str, value.dims)), np.asarray(value, float))
            continue
        array = np.asarray(value, float)
        labels = (
            value[plain] if isinstance(value, xr.DataArray) and plain in value.coords else array
        )
        if not np.array_equal(labels, array):
            raise ValueError(
                f"{plain} has other values than the labels of its dimension; name the dimension "
                "otherwise"
            )
        if array.ndim > 1:
            raise ValueError(
                f"{plain} has shape {array.shape}; give a 1-D array (a dimension called "
                f"{plain!r}) or an xarray.DataArray with named dimensions"
            )
        if array.ndim:
            add(plain, array, len(array), plain)
        arrays[name] = ((plain,) if array.ndim else (), array)

    dims = tuple(str(dim) for dim in x0.dims if dim != "coord")
    for dim in dims:
        values = np.asarray(x0[dim]) if dim in x0.coords else None
        add(dim, values, x0.sizes[dim], "x0")
    for i, name in enumerate(names):
        arrays[f"x0:{name}"] = (dims, np.asarray(x0.isel(coord=i), float))
    # the swept numbers first, even where one of them is given along the particles
    order = sorted(sizes, key=lambda dim: dim in dims)
    return Axes({dim: sizes[dim] for dim in order}, coordinates, arrays)
