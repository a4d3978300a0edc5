"""Labelled planes: the checks on them, and their cells drawn in colours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.patches import Patch, Rectangle

_HATCH: dict[str, Any] = {"hatch": "/////", "ec": "#888888", "fc": "white", "lw": 0}
"""How what has diverged is drawn."""


def require_plane(result: Any, variable: str, source: str) -> tuple[xr.DataArray, str, str]:
    """A labelled variable over two dimensions, with their names.

    Raises
    ------
    TypeError, ValueError
        If the result is no Dataset, has no such variable, or that is not over two dimensions.
    """
    if not isinstance(result, xr.Dataset):
        raise TypeError(f"result must be a Dataset of {source}, got a {type(result).__name__}")
    if variable not in result:
        raise ValueError(
            f"result must be a Dataset of {source}, with a variable {variable!r}; this one has "
            f"{', '.join(map(str, result.data_vars)) or 'none'}"
        )
    values = result[variable]
    if values.ndim != 2:
        raise ValueError(
            f"{variable} must be over two dimensions to be drawn, got {values.dims}; "
            + (
                "choose one value of the others with result.isel(…)"
                if values.ndim > 2
                else f"run {source} over two"
            )
        )
    across, up = map(str, values.dims)
    for name in (across, up):
        if name not in values.coords:
            raise ValueError(f"{variable} must have values along {name}, got none")
    return values, across, up


def meanings(label: xr.DataArray) -> Mapping[int, str]:
    """What each value of a labelled array stands for, by its CF attributes, in plain words."""
    words = str(label.attrs.get("flag_meanings", "")).split()
    values = np.atleast_1d(label.attrs.get("flag_values", ())).tolist()
    return {int(v): word.replace("_", " ") for v, word in zip(values, words, strict=False)}


def draw_cells(
    ax: Axes,
    values: xr.DataArray,
    colors: Mapping[int, Any],
    brightness: np.ndarray | None = None,
) -> None:
    """Draw each cell of a labelled plane in its label's colour; a label without one is hatched.

    The values along the dimensions are the centres of the cells. An axis along which they are
    spaced geometrically is logarithmic.
    """
    codes, sides = values.values, [values[dim].values for dim in values.dims]
    borders = [edges(side) for side in sides]
    image = np.zeros((*codes.shape, 4))
    for code, color in colors.items():
        image[codes == code] = (*to_rgb(color), 1.0)
    if brightness is not None:
        image[..., :3] *= brightness[..., None]
    (left, right), (low, high) = ((float(b[0]), float(b[-1])) for b in borders)
    if np.any(image[..., 3] == 0.0):
        ax.add_patch(Rectangle((left, low), right - left, high - low, zorder=0.5, **_HATCH))
    ax.pcolormesh(*borders, np.swapaxes(image, 0, 1), rasterized=True, zorder=1)
    if geometric(sides[0]):
        ax.set_xscale("log")
    if geometric(sides[1]):
        ax.set_yscale("log")
    ax.set(xlim=(left, right), ylim=(low, high))


def swatch(color: Any | None) -> Patch:
    """The legend's handle of a colour of cells; of none, of those that are hatched."""
    return Patch(**_HATCH) if color is None else Patch(fc=color, ec="none", lw=0)


def geometric(values: np.ndarray) -> bool:
    """Whether values are spaced evenly in their logarithm, and not evenly themselves."""
    values = np.asarray(values, float)
    if len(values) < 3 or not np.all(values > 0):
        return False
    ratios, steps = np.diff(np.log(values)), np.diff(values)
    return bool(np.ptp(ratios) < 1e-6 * abs(ratios[0]) and np.ptp(steps) > 1e-3 * abs(steps[0]))


def edges(values: np.ndarray) -> np.ndarray:
    """Borders of the cells whose centres are the values, halfway (or halfway in logarithm)."""
    values = np.asarray(values, float)
    if len(values) == 1:
        return values[0] + np.array([-0.5, 0.5])
    if geometric(values):
        return np.exp(edges(np.log(values)))
    middle = (values[1:] + values[:-1]) / 2
    return np.concatenate([[2 * values[0] - middle[0]], middle, [2 * values[-1] - middle[-1]]])


def tint(color: str, strength: float) -> tuple[float, float, float]:
    """A colour mixed with white; of strength 1 it is itself."""
    red, green, blue = (1 - strength * (1 - part) for part in to_rgb(color))
    return red, green, blue
