"""Recorded runs: paths in the plane, and quantities against the step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from samdyn.plot.style import COLORS, DASHES, axes_or_new

_MOST_LABELS = 12


def trajectory(
    run: xr.Dataset,
    x: str | None = None,
    y: str | None = None,
    *,
    ax: Axes | None = None,
    colors: Sequence[str] = COLORS,
) -> Axes:
    """Draw the recorded path of every particle in the plane of two coordinates.

    A dot marks where a path begins, a square where it ends.

    Parameters
    ----------
    run : Dataset
        A result of `samdyn.simulate` with ``record=``.
    x, y : str, optional
        The coordinates drawn. Default: the first two.
    ax : Axes, optional
        Default: new ones.
    colors : sequence of colours, optional
        One a particle, in turn. Default: a palette that colour-blind readers can tell apart.

    Raises
    ------
    ValueError
        If nothing was recorded or the run has one coordinate only.

    Examples
    --------
    >>> import samdyn as sd
    >>> saddle = sd.Map(sd.Loss("x**2 - y**2"), sd.SAM(lr=0.01, rho=[0.0, 0.5]))
    >>> ax = trajectory(sd.simulate(saddle, [-3, -0.01], steps=300, record=1))
    >>> [line.get_label() for line in ax.get_lines()][0]
    '$\\\\rho$ = 0'
    """
    _require_record(run)
    names = [str(name) for name in run.coord.values]
    if len(names) < 2:
        raise ValueError("a trajectory needs two coordinates; draw the run with plot.series")
    x, y = x or names[0], y or names[1]
    ax = axes_or_new(ax)
    for i, (label, one) in enumerate(_members(run)):
        color, dashes = _look(i, colors)
        path = one.w.sel(coord=[x, y]).values
        path = path[np.all(np.isfinite(path), axis=1)]
        ax.plot(*path.T, color=color, ls=dashes, label=label)
        ax.plot(*path[0], "o", color=color, ms=4, zorder=4)
        ax.plot(*path[-1], "s", color=color, ms=5, mec="white", mew=0.6, zorder=6)
    ax.set(xlabel=f"${x}$", ylabel=f"${y}$")
    return ax


def series(
    run: xr.Dataset,
    variable: str = "loss",
    *,
    ax: Axes | None = None,
    colors: Sequence[str] = COLORS,
) -> Axes:
    """Draw a recorded quantity against the step, a line for each particle.

    Parameters
    ----------
    run : Dataset
        A result of `samdyn.simulate` with ``record=``.
    variable : str, default "loss"
        A variable of the dataset over ``time``.
    ax : Axes, optional
        Default: new ones.
    colors : sequence of colours, optional
        As in `trajectory`.

    Raises
    ------
    ValueError
        If nothing was recorded or the variable is not over ``time``.
    """
    _require_record(run)
    if variable not in run or run[variable].dims[-1] != "time":
        known = [str(name) for name in run.data_vars if run[name].dims[-1:] == ("time",)]
        raise ValueError(f"variable must be one of {known} (over time), got {variable!r}")
    ax = axes_or_new(ax)
    for i, (label, one) in enumerate(_members(run)):
        color, dashes = _look(i, colors)
        ax.plot(one.time, one[variable], color=color, ls=dashes, label=label)
    ax.set(xlabel="step", ylabel=run[variable].attrs.get("long_name", variable).split(" at ")[0])
    return ax


def _look(i: int, colors: Sequence[str]) -> tuple[str, str]:
    return colors[i % len(colors)], DASHES[i // len(colors) % len(DASHES)]


def _require_record(run: xr.Dataset) -> None:
    if "time" not in run.dims:
        raise ValueError("nothing was recorded; run simulate with record=, for example record=10")


def _members(run: xr.Dataset) -> list[tuple[str, xr.Dataset]]:
    """Each particle of a run with a label made of the numbers that set it apart."""
    dims = [dim for dim in run.w.dims if dim not in ("time", "coord")]
    if not dims:
        return [("", run)]
    flat = run.stack(member=dims, create_index=False)
    members = [flat.isel(member=i) for i in range(flat.sizes["member"])]
    labels = [", ".join(_label(one, str(dim)) for dim in dims) for one in members]
    if len(members) > _MOST_LABELS:
        labels = [""] * len(members)
    return list(zip(labels, members, strict=True))


def _label(one: xr.Dataset, dim: str) -> str:
    if dim not in one.coords:
        return ""
    value: Any = one[dim].values[()]
    latex = one[dim].attrs.get("latex", dim)
    return f"${latex}$ = {value:g}"
