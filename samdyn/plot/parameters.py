"""Pictures over one number of a system: bifurcation diagrams and branches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from samdyn.plot.cells import geometric
from samdyn.plot.labels import legend_below, number_label, plain, symbol
from samdyn.plot.style import COLORS, axes_or_new

_SAMPLES = ("direction", "particle", "sample", "coord")
_MANY = 2_000
_FEW = 6

_SWEEPS = {"up": (COLORS[0], 1.8, 3), "down": (COLORS[1], 3.2, 2)}
"""Colour, size and height of the points: a smaller one on a larger one shows both."""

_CLOUD, _SHARE, _DUST = 24, 0.15, 0.35
"""If so many different values are found at such a share of the numbers, points shrink so much."""

_SPECIAL = {
    "fold": "D",
    "flip": "s",
    "Neimark-Sacker": "o",
    "Hopf": "o",
    "branch point": "^",
}


def bifurcation(
    result: xr.Dataset,
    coord: str | None = None,
    *,
    branch: xr.Dataset | Sequence[xr.Dataset] = (),
    ax: Axes | None = None,
    legend: bool = True,
) -> Axes:
    """A bifurcation diagram: where a coordinate is found late in a run, against a number.

    Sweeps up and down are drawn apart: small dots on larger ones, so that hysteresis shows as
    places with one of them only.

    Parameters
    ----------
    result : Dataset
        A result of `samdyn.bifurcation`: ``w`` over ``direction``, a number, ``sample`` and
        ``coord``.
    coord : str, optional
        The coordinate drawn. Default: the first.
    branch : Dataset, or a sequence of them, optional
        Branches of a continuation, drawn on top as by `branches`.
    ax : Axes, optional
        Default: new ones.
    legend : bool, default True

    Raises
    ------
    TypeError, ValueError
        If it is no such result, or has not that coordinate.

    Examples
    --------
    >>> import xarray as xr
    >>> found = xr.Dataset(
    ...     {"w": (("direction", "rho", "sample", "coord"), [[[[0.0]], [[1.0]]]])},
    ...     coords={"direction": ["up"], "rho": [0.1, 0.2], "coord": ["x"]},
    ... )
    >>> bifurcation(found).get_xlabel()
    'ascent radius $\\\\rho$'
    """
    name = _number_of(result)
    w = _chosen(result.w, coord)
    ax = axes_or_new(ax)
    numbers = w[name].values
    for direction in _directions(w):
        told = str(direction.direction.values) if "direction" in direction.coords else ""
        color, size, height = _SWEEPS.get(told, _SWEEPS["up"])
        rest = [dim for dim in direction.dims if dim != name]
        values = direction.transpose(name, *rest).values.reshape(len(numbers), -1)
        counts = [len(np.unique(np.round(row, 6))) for row in values]
        dusty = np.mean(np.array(counts) > _CLOUD) > _SHARE
        ax.plot(
            np.repeat(numbers, values.shape[1]),
            values.ravel(),
            "o",
            color=color,
            ms=size * (_DUST if dusty else 1.0),
            mew=0,
            rasterized=values.size > _MANY,
            zorder=height,
        )
        if told in _SWEEPS and w.sizes.get("direction", 1) > 1:
            ax.plot([], [], "o", color=color, ms=2 + size, mew=0, label=f"sweep {told}")
    drawn = str(w.coord.values)
    _label_axes(ax, name, result[name], numbers, drawn)
    if not isinstance(branch, xr.Dataset) and not branch:
        if legend and ax.get_legend_handles_labels()[0]:
            legend_below(ax)
        return ax
    limits = ax.get_xlim()
    before = len(ax.lines)
    branches(branch, drawn, ax=ax, legend=legend)
    for line in ax.lines[before:]:  # the points below are to be seen
        line.set_linewidth(0.8)
    ax.set_xlim(limits)
    return ax


def branches(
    result: xr.Dataset | Sequence[xr.Dataset],
    coord: str | None = None,
    *,
    ax: Axes | None = None,
    legend: bool = True,
) -> Axes:
    """Branches of fixed points or cycles against a number: solid if stable, dashed if not.

    Parameters
    ----------
    result : Dataset, or a sequence of them
        Results of a continuation: over ``place`` the number, ``z`` (place, row) or ``orbit``
        (place, phase, row), and ``stable``; over ``special`` ``special_kind``, ``special_value``
        and ``special_z``.
    coord : str, optional
        The coordinate drawn, one of ``row``. Default: the first.
    ax : Axes, optional
        Default: new ones.
    legend : bool, default True
        Draw the legend, which names the special points and, if they are few, their values.

    Raises
    ------
    TypeError, ValueError
        If it is no such result, the branches are over different numbers, or there is no such
        coordinate.

    Examples
    --------
    >>> import xarray as xr
    >>> branch = xr.Dataset(
    ...     {
    ...         "rho": ("place", [0.0, 1.0, 2.0]),
    ...         "z": (("place", "row"), [[0.0], [0.0], [0.0]]),
    ...         "stable": ("place", [False, True, True]),
    ...     },
    ...     coords={"row": ["x"]},
    ... )
    >>> [line.get_linestyle() for line in branches(branch).get_lines()[:2]]
    ['--', '-']
    """
    given = [result] if isinstance(result, xr.Dataset) else result
    if not isinstance(given, list | tuple) or not given:
        raise TypeError(
            f"result must be a branch, a Dataset, or a list of them, got a {type(result).__name__}"
        )
    names = [_followed(one) for one in given]
    if len(set(names)) > 1:
        raise ValueError(f"the branches must follow one number, got {sorted(set(names))}")
    name = names[0]
    coord = str(given[0].row.values[0]) if coord is None else coord
    for one in given:
        if coord not in one.row.values:
            rows = [str(row) for row in one.row.values]
            raise ValueError(f"coord must be one of {rows}, got {coord!r}")
    ax = axes_or_new(ax)
    for one in given:
        numbers = one[name].values
        states = one["orbit"] if "orbit" in one else one["z"]
        values = states.sel(row=coord).transpose("place", ...).values.reshape(len(numbers), -1)
        for first, last, stable in _pieces(one.stable.values):
            dashes, width = ("-", 1.4) if stable else ("--", 1.1)
            piece = numbers[first:last], values[first:last]
            ax.plot(*piece, color="black", ls=dashes, lw=width, zorder=4)
    kinds = np.unique(np.concatenate([one.stable.values.astype(bool) for one in given]))
    for stable in kinds[::-1]:
        label, dashes = ("stable", "-") if stable else ("unstable", "--")
        ax.plot([], [], color="black", ls=dashes, lw=1.2, label=label)
    _draw_special(ax, given, coord, name)
    _label_axes(ax, name, given[0][name], given[0][name].values, coord)
    if legend:
        legend_below(ax)
    return ax


def _number_of(result: Any) -> str:
    """The number along which a bifurcation diagram goes."""
    if not isinstance(result, xr.Dataset):
        raise TypeError(
            f"result must be a result of samdyn.bifurcation, got a {type(result).__name__}"
        )
    if "w" not in result or not {"sample", "coord"} <= set(result.w.dims):
        raise ValueError(
            "result must be a result of samdyn.bifurcation, with w over direction, a number, "
            "sample and coord"
        )
    starts = [*_SAMPLES, *map(str, result.coord.values)]  # a grid of initial points has those
    names = [str(dim) for dim in result.w.dims if dim not in starts]
    if len(names) != 1 or names[0] not in result.coords:
        raise ValueError(
            f"w must be over one number besides {', '.join(_SAMPLES)}, got {names}; choose one "
            "value of the others with result.sel(…)"
        )
    return names[0]


def _chosen(w: xr.DataArray, coord: str | None) -> xr.DataArray:
    names = [str(name) for name in w.coord.values]
    coord = names[0] if coord is None else coord
    if coord not in names:
        raise ValueError(f"coord must be one of the coordinates {names}, got {coord!r}")
    return w.sel(coord=coord)


def _directions(w: xr.DataArray) -> list[xr.DataArray]:
    if "direction" not in w.dims:
        return [w]
    return [w.isel(direction=k) for k in range(w.sizes["direction"])]


def _label_axes(ax: Axes, name: str, about: xr.DataArray, numbers: np.ndarray, coord: str) -> None:
    if geometric(np.sort(numbers)):
        ax.set_xscale("log")
    ax.set(xlabel=number_label(name, about), ylabel=symbol(coord))


def _followed(branch: Any) -> str:
    """The number that a branch follows: the one numeric variable over ``place`` alone."""
    if not isinstance(branch, xr.Dataset):
        raise TypeError(f"a branch must be a Dataset, got a {type(branch).__name__}")
    missing = {"z", "stable"} - set(map(str, branch.data_vars))
    if missing == {"z"} and "orbit" in branch:
        missing = set()
    if missing or "row" not in branch.coords:
        raise ValueError(
            "a branch must have z (place, row) or orbit (place, phase, row), with names along row, "
            "and stable (place)"
        )
    told = branch.attrs.get("number")
    if told in branch.variables:
        return str(told)
    names = [
        str(name)
        for name, values in branch.variables.items()
        if values.dims == ("place",) and values.dtype.kind == "f" and name != "place"
    ]
    if len(names) != 1:
        raise ValueError(
            f"a branch must have one number over place, got {names or 'none'}; say which in its "
            "attribute 'number'"
        )
    return names[0]


def _pieces(stable: np.ndarray) -> Iterator[tuple[int, int, bool]]:
    """Stretches of equal stability as (first, last, stable), each reaching the next one's start."""
    changes = np.flatnonzero(np.diff(stable.astype(int))) + 1
    starts = [0, *changes.tolist()]
    for first, last in zip(starts, [*changes.tolist(), len(stable)], strict=True):
        yield first, min(last + 1, len(stable)), bool(stable[first])


def _draw_special(ax: Axes, given: Sequence[xr.Dataset], coord: str, name: str) -> None:
    points = [
        (str(kind), float(value), float(z))
        for one in given
        if "special_kind" in one
        for kind, value, z in zip(
            one.special_kind.values,
            one.special_value.values,
            one.special_z.sel(row=coord).values,
            strict=True,
        )
    ]
    at = symbol(name)
    said = {(kind, plain(value)) for kind, value, _ in points}
    for kind in dict.fromkeys(kind for kind, _, _ in points):
        here = np.array([(value, z) for other, value, z in points if other == kind])
        values = dict.fromkeys(plain(value) for value in np.sort(here[:, 0]))
        label = f"{kind}, {at} = {', '.join(values)}" if len(said) <= _FEW else kind
        marker = _SPECIAL.get(kind, "P")
        ax.plot(*here.T, marker, color="white", mec=COLORS[3], mew=1.4, ms=6, label=label, zorder=5)
