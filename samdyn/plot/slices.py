"""The loss of a network along a line of weights, and on a plane."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullLocator

from samdyn.numbers import checked_whole
from samdyn.plot.labels import plain
from samdyn.plot.style import COLORS, axes_or_new

_LINES, _PLANE = (("t",), ("x",)), ("x", "y")
_DEEPEST = 1e-9
"""Contours go down to this part of the largest loss."""

_DECADES = 1.5
"""A colour bar over fewer has plain numbers."""


def slices(
    found: xr.Dataset,
    names: str | Sequence[str] | None = None,
    *,
    ax: Axes | None = None,
    log: bool | None = None,
    levels: int = 20,
    legend: bool = True,
) -> Axes:
    """Draw the loss between two solutions, along a direction, or on a plane.

    Along a line, dotted lines mark the solutions, and what is of test samples is dashed. On a
    plane the loss is contours in colours with a colour bar, white where it is not finite, and a
    dot marks the weights that the plane goes through.

    Parameters
    ----------
    found : Dataset
        Of `samdyn.networks.landscape`: ``interpolate``, ``slice1d`` or ``slice2d``.
    names : str or sequence of str, optional
        What is drawn; on a plane, one. Default: train_loss and test_loss, as far as they are
        there; on a plane train_loss.
    ax : Axes, optional
        Default: new ones.
    log : bool, optional
        Whether the scale of the loss is logarithmic. Default: on a plane, of a loss that is
        nowhere below 0.
    levels : int, default 20
        Of contours.
    legend : bool, default True
        Draw the legend of several lines, and the colour bar of a plane.

    Raises
    ------
    TypeError, ValueError
        If it is no such result, has no such variables, or does not vary on the plane.

    Examples
    --------
    >>> t = np.linspace(0, 1, 5)
    >>> loss = xr.Dataset({"train_loss": ("t", t * (1 - t))}, {"t": t}, {"distance": 2.0})
    >>> slices(loss).get_xlabel()
    '$t$, from $a$ at 0 to $b$ at 1, 2 away'
    """
    dims = _checked(found)
    known = [str(name) for name in found.data_vars]
    if names is None:
        names = [name for name in ("train_loss", "test_loss") if name in known] or known
        names = names if len(dims) == 1 else names[:1]
    wanted = [names] if isinstance(names, str) else list(names)
    odd = [name for name in wanted if name not in known]
    if odd or not wanted:
        got = repr(odd[0]) if odd else "none"
        raise ValueError(f"names must be among {', '.join(known)}, got {got}")
    checked_whole("levels", levels, 2)
    if len(dims) == 1:
        return _draw_lines(axes_or_new(ax), found, wanted, bool(log), legend)
    if len(wanted) > 1:
        raise ValueError(f"names must be one for a plane, got {', '.join(wanted)}")
    return _draw_plane(found, wanted[0], ax, log, levels, legend)


def _checked(found: Any) -> tuple[str, ...]:
    if not isinstance(found, xr.Dataset):
        raise TypeError(
            "found must be a Dataset of samdyn.networks.landscape (interpolate, slice1d or "
            f"slice2d), got a {type(found).__name__}"
        )
    dims = tuple(map(str, next(iter(found.data_vars.values())).dims)) if found.data_vars else ()
    if (dims not in _LINES and sorted(dims) != list(_PLANE)) or not set(dims) <= set(found.coords):
        raise ValueError(
            "found must be a result of samdyn.networks.landscape, over t, over x, or over x and "
            f"y; it is over {', '.join(map(str, found.sizes)) or 'nothing'}"
        )
    return dims


def _draw_lines(ax: Axes, found: xr.Dataset, names: list[str], log: bool, legend: bool) -> Axes:
    (dim,) = found[names[0]].dims
    kinds = {name.split("_", 1)[-1] for name in names}
    for name in names:
        test = name.startswith("test_")
        style: dict[str, Any] = {"color": COLORS[test], "ls": "--" if test else "-"}
        if len(kinds) > 1:  # losses and errors in one picture
            style["lw"] = 1.0 if name.endswith("error") else 1.8
        ax.plot(found[dim], found[name], label=name.replace("_", " "), **style)
    for solution in (0.0, 1.0) if dim == "t" else (0.0,):
        ax.axvline(solution, color="0.6", lw=0.8, ls=":", zorder=0)
    if log:
        ax.set_yscale("log")
    ax.set(xlabel=_along(found, str(dim)), ylabel=kinds.pop() if len(kinds) == 1 else "")
    if legend and len(names) > 1:
        ax.legend()
    elif len(names) == 1:
        ax.set_ylabel(names[0].replace("_", " "))
    return ax


def _along(found: xr.Dataset, dim: str) -> str:
    if dim == "t":
        away = found.attrs.get("distance")
        far = "" if away is None else f", {plain(float(away), 3)} away"
        return f"$t$, from $a$ at 0 to $b$ at 1{far}"
    length = found.attrs.get(f"length_{dim}", found.attrs.get("length"))
    return f"${dim}$" if length is None else f"${dim}$, in units of {plain(float(length), 3)}"


def _draw_plane(
    found: xr.Dataset, name: str, ax: Axes | None, log: bool | None, levels: int, legend: bool
) -> Axes:
    values = found[name].transpose("y", "x").values.astype(float)
    known = np.ma.masked_invalid(values)
    if min(values.shape) < 2 or not known.count() or not known.min() < known.max():
        raise ValueError(f"{name} must vary on the plane to be drawn; choose a larger one")
    positive = bool(known.min() >= 0 and known.max() > 0)
    if log and not positive:
        raise ValueError(f"log must be False, as {name} falls below 0, to {known.min():g}")
    log = positive and not name.endswith("error") if log is None else log
    x, y = found["x"].values, found["y"].values
    if log:
        above = known.compressed()
        least = max(float(above[above > 0].min()), _DEEPEST * float(known.max()))
        steps = np.geomspace(least, float(known.max()), levels)
        shown, norm = np.ma.maximum(known, least), LogNorm(steps[0], steps[-1])
    else:
        steps = np.linspace(float(known.min()), float(known.max()), levels)
        shown, norm = known, None
    ax = axes_or_new(ax)
    drawn = ax.contourf(x, y, shown, steps, norm=norm, cmap="viridis")
    ax.contour(x, y, shown, steps, colors="white", linewidths=0.3, alpha=0.6)
    if x.min() <= 0 <= x.max() and y.min() <= 0 <= y.max():
        ax.plot(0, 0, "o", color="white", mec="black", ms=5, zorder=4)
    ax.set(xlabel=_along(found, "x"), ylabel=_along(found, "y"))
    if legend:
        figure: Any = ax.figure
        bar = figure.colorbar(drawn, ax=ax, label=name.replace("_", " "))
        if log and np.log10(steps[-1] / steps[0]) >= _DECADES:
            bar.locator = LogLocator(numticks=8)
            bar.update_ticks()
        else:
            bar.locator = FixedLocator(list(steps[:: max(levels // 6, 1)]))
            bar.formatter = FuncFormatter(lambda value, _: plain(value, 3))
            bar.minorlocator = NullLocator()
            bar.update_ticks()
    return ax
