"""Recorded runs: paths in the plane, and quantities against the step."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from samdyn.ensembles.networks import refuse_training
from samdyn.plot.style import COLORS, DASHES, axes_or_new

_MOST_LABELS = 12


def trajectory(
    run: xr.Dataset,
    x: str | None = None,
    y: str | None = None,
    *,
    ax: Axes | None = None,
    colors: Sequence[str] = COLORS,
    legend: bool = True,
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
        Particles that no value sets apart share theirs.
    legend : bool, default True
        Draw a legend, if values set the particles apart and there are at most 12.

    Raises
    ------
    TypeError, ValueError
        If nothing was recorded, the run has one coordinate only, or no recorded point is finite.

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
    x, y = names[0] if x is None else x, names[1] if y is None else y
    for given, name in (("x", x), ("y", y)):
        if name not in names:
            raise ValueError(f"{given} must be one of the coordinates {names}, got {name!r}")
    weights = run.w.where(np.isfinite(run.w))
    if not bool(weights.sel(coord=[x, y]).notnull().all("coord").any()):
        raise ValueError("the run has no finite point to draw; look at run.reason")
    ax = axes_or_new(ax)
    members = _members(weights, ("time", "coord"), colors)
    for one in members:
        path = one.values.transpose("time", "coord").sel(coord=[x, y]).dropna("time").values
        if len(path):
            ax.plot(*path.T, color=one.color, ls=one.dashes, label=one.label)
            ax.plot(*path[0], "o", color=one.color, ms=4, zorder=4)
            ax.plot(*path[-1], "s", color=one.color, ms=5, mec="white", mew=0.6, zorder=6)
    ax.set(xlabel=f"${x}$", ylabel=f"${y}$")
    _draw_legend(ax, members, legend)
    return ax


def series(
    run: xr.Dataset,
    variable: str = "loss",
    *,
    ax: Axes | None = None,
    colors: Sequence[str] = COLORS,
    legend: bool = True,
) -> Axes:
    """Draw a recorded quantity against the step, a line for each particle.

    Parameters
    ----------
    run : Dataset
        A result of `samdyn.simulate` with ``record=``.
    variable : str, default "loss"
        A variable of the dataset over ``time``, such as ``"velocity"`` (a line for each
        coordinate too), or a coordinate, such as ``"x"``.
    ax : Axes, optional
        Default: new ones.
    colors, legend
        As in `trajectory`.

    Raises
    ------
    TypeError, ValueError
        If nothing was recorded or the variable is not over ``time``.

    Examples
    --------
    >>> import samdyn as sd
    >>> valley = sd.Map(sd.Loss("x**2"), sd.GD(lr=0.1))
    >>> series(sd.simulate(valley, [1.0], steps=10, record=1), "x").get_ylabel()
    '$x$'
    """
    _require_record(run)
    values, label = _over_time(run, variable)
    ax = axes_or_new(ax)
    members = _members(values, ("time",), colors)
    for one in members:
        ax.plot(run.time, one.values, color=one.color, ls=one.dashes, label=one.label)
    ax.set(xlabel="step", ylabel=label)
    _draw_legend(ax, members, legend)
    return ax


class _Member(NamedTuple):
    """What is drawn of one particle, and how. The label is empty if another's says the same."""

    values: xr.DataArray
    label: str
    color: str
    dashes: str


def _over_time(run: xr.Dataset, variable: str) -> tuple[xr.DataArray, str]:
    """A variable or a coordinate of the weights, and what its axis is called."""
    known = [str(name) for name, values in run.data_vars.items() if "time" in values.dims]
    names = [str(name) for name in run.coord.values]
    if variable in known:
        about = run[variable].attrs.get("long_name", variable)
        return run[variable], about.split(" at ")[0]
    if variable in names:
        return run.w.sel(coord=variable, drop=True), f"${variable}$"
    raise ValueError(
        f"variable must be one of {known} (over time) or of the coordinates {names}, got "
        f"{variable!r}"
    )


def _require_record(run: Any) -> None:
    if not isinstance(run, xr.Dataset):
        raise TypeError(f"run must be a result of samdyn.simulate, got a {type(run).__name__}")
    refuse_training("run", run, "draw what it recorded with plot.training")
    if "time" not in run.dims or "w" not in run:
        raise ValueError("nothing was recorded; run simulate with record=, for example record=10")


def _members(values: xr.DataArray, kept: tuple[str, ...], colors: Sequence[str]) -> list[_Member]:
    """Each particle of a variable, with a label made of the numbers that set it apart."""
    dims = [str(dim) for dim in values.dims if dim not in kept]
    flat = list(_flat(values, dims))
    labels = [", ".join(filter(None, (_label(one, dim) for dim in dims))) for one in flat]
    if len(flat) > _MOST_LABELS:
        labels = [""] * len(flat)
    seen = list(dict.fromkeys(labels))
    members = []
    for i, (one, label) in enumerate(zip(flat, labels, strict=True)):
        shown = label if label not in labels[:i] else ""
        members.append(_Member(one, shown, *_look(seen.index(label) if label else i, colors)))
    return members


def _flat(values: xr.DataArray, dims: list[str]) -> Iterator[xr.DataArray]:
    for place in np.ndindex(*(values.sizes[dim] for dim in dims)):
        yield values.isel(dict(zip(dims, place, strict=True)))


def _label(one: xr.DataArray, dim: str) -> str:
    if dim not in one.coords:
        return ""
    value: Any = one[dim].values[()]
    if dim == "coord":
        return f"${value}$"
    latex = one[dim].attrs.get("latex", dim)
    return f"${latex}$ = {value:g}" if np.issubdtype(type(value), np.number) else str(value)


def _look(i: int, colors: Sequence[str]) -> tuple[str, str]:
    return colors[i % len(colors)], DASHES[i // len(colors) % len(DASHES)]


def _draw_legend(ax: Axes, members: list[_Member], legend: bool) -> None:
    if legend and any(one.label for one in members):
        ax.legend()
