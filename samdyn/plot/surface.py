"""A loss as a surface in space, with the paths of a run on it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.ticker import FuncFormatter, MaxNLocator

from samdyn.losses.loss import Loss
from samdyn.numbers import checked_whole
from samdyn.plot.labels import symbol
from samdyn.plot.style import COLORS
from samdyn.plot.trajectory import _members, _require_record

_LIGHT = LinearSegmentedColormap.from_list("light", ["#9fb4c7", "#f4f6f8"])
_TALL = 0.25
"""The floor lies this much of the surface's height below its lowest point."""


def surface(
    loss: Loss,
    box: Sequence[tuple[float, float]] | None = None,
    run: xr.Dataset | None = None,
    *,
    ax: Axes | None = None,
    log: bool = False,
    points: int = 150,
    legend: bool = True,
) -> Axes:
    """The surface of a loss of two variables, with the paths of a recorded run on it.

    Below the surface lie its contours and the shadows of the paths. Paths are drawn over the
    surface, also where a hill would hide them; what lies outside the box is left out.

    Parameters
    ----------
    loss : Loss
        Of two variables.
    box : two (low, high), optional
        Default: the loss's own suggested box.
    run : Dataset, optional
        A recorded result of `samdyn.simulate` on this loss.
    ax : Axes, optional
        Of projection "3d". Default: new ones.
    log : bool, default False
        Draw the logarithm of the loss above its lowest value drawn.
    points : int, default 150
        Evaluations along each side.
    legend : bool, default True
        Draw a legend above the axes, if values set the paths apart.

    Raises
    ------
    TypeError, ValueError
        If the loss has not two variables, varies nowhere in the box, the axes are flat, or
        nothing was recorded.

    Examples
    --------
    >>> import samdyn as sd
    >>> surface(sd.Loss("x**2/2 - y**2/2"), [(-1, 1), (-1, 1)], points=20).get_zlabel()
    '$L$'
    """
    if not isinstance(loss, Loss):
        raise TypeError(f"loss must be a samdyn.Loss, got a {type(loss).__name__}")
    if loss.dimension != 2:
        raise ValueError(f"surface needs a loss of 2 variables; this one has {loss.dimension}")
    loss.require_scalars("surface")
    sides = loss._checked_box(box)
    checked_whole("points", points, 2)
    if run is not None:
        _require_run(run, loss)
    axes = _axes_in_space(ax)
    x, y = (np.linspace(low, high, points) for low, high in sides)
    values = loss.value(np.stack(np.meshgrid(x, y), axis=-1))
    values = np.where(np.isfinite(values), values, np.nan)
    if not np.nanmin(values, initial=np.inf) < np.nanmax(values, initial=-np.inf):
        raise ValueError("surface needs a loss that varies in the box; choose another box")
    scale = _Scale(values, log)
    height = scale(values)
    top, bottom = np.nanmax(height), np.nanmin(height)
    floor = bottom - _TALL * (top - bottom)
    axes.computed_zorder = False  # else a path sinks into the surface that it lies on
    across, up = np.meshgrid(x, y)
    axes.contour(x, y, height, 14, zdir="z", offset=floor, cmap="Greys_r", linewidths=0.5)
    axes.plot_surface(
        across, up, height, cmap=_LIGHT, rcount=points, ccount=points, lw=0, alpha=0.75,
        antialiased=False, rasterized=True, zorder=2,
    )  # fmt: skip
    axes.plot_wireframe(
        across, up, height, rcount=12, ccount=12, color="#666666", lw=0.3, alpha=0.6, zorder=3
    )
    if run is not None:
        _draw_paths(axes, run, loss, sides, scale, floor)
    axes.set(
        xlabel=symbol(loss.variables[0]),
        ylabel=symbol(loss.variables[1]),
        zlabel=scale.label,
        xlim=sides[0],
        ylim=sides[1],
        zlim=(floor, top),
    )
    if log:
        axes.zaxis.set_major_locator(MaxNLocator(5, integer=True))
        axes.zaxis.set_major_formatter(FuncFormatter(lambda k, _: f"$10^{{{k:.0f}}}$"))
    else:
        axes.zaxis.set_major_locator(MaxNLocator(5))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(5))
    for axis in (axes.xaxis, axes.yaxis, axes.zaxis):
        axis.pane.set_facecolor("white")
        axis._axinfo["grid"].update(color="#e4e4e4", linewidth=0.5)
    axes.set_box_aspect((1, 1, 0.75), zoom=0.86)
    if legend and axes.get_legend_handles_labels()[0]:
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, 0.97), ncols=3, borderaxespad=0.0)
    return axes


class _Scale:
    """How high a loss is drawn: itself, or the logarithm of its height above the lowest value."""

    def __init__(self, values: np.ndarray, log: bool):
        self.log, self.lowest = log, float(np.nanmin(values))
        height = values - self.lowest
        self.least = max(np.nanpercentile(height, 0.05), np.nanmax(height) * 1e-9)
        self.label = "$L$"
        if log:
            self.label = r"$L - \min L$" if abs(self.lowest) > self.least else "$L$"

    def __call__(self, values: np.ndarray) -> np.ndarray:
        if not self.log:
            return values
        return np.log10(np.maximum(values - self.lowest, self.least))


def _draw_paths(
    axes: Any, run: xr.Dataset, loss: Loss, box: np.ndarray, scale: _Scale, floor: float
) -> None:
    for one in _members(run.w, ("time", "coord"), COLORS):
        path = one.values.transpose("time", "coord").sel(coord=list(loss.variables)).values
        inside = np.all((path >= box[:, 0]) & (path <= box[:, 1]), axis=1)
        path = np.where(inside[:, None], path, np.nan)
        x, y = path.T
        z = scale(loss.value(path))
        axes.plot(x, y, z, color=one.color, ls=one.dashes, lw=1.6, label=one.label, zorder=6)
        axes.plot(x, y, np.full_like(x, floor), color=one.color, lw=0.8, alpha=0.5, zorder=1)
        for place, marker in ((0, "o"), (-1, "s")):
            if inside[place]:
                axes.plot(
                    *(values[[place]] for values in (x, y, z)), marker, color=one.color, ms=5,
                    mec="white", mew=0.6, zorder=7,
                )  # fmt: skip


def _require_run(run: Any, loss: Loss) -> None:
    _require_record(run)
    names = [str(name) for name in run.coord.values]
    if set(names) != set(loss.variables):
        raise ValueError(
            f"run must have the coordinates {list(loss.variables)} of the loss, got {names}"
        )


def _axes_in_space(ax: Axes | None) -> Any:
    if ax is None:
        return plt.figure(layout="constrained").add_subplot(projection="3d")
    if ax.name != "3d":
        raise ValueError(
            'ax must be 3-D, as plt.subplots(subplot_kw={"projection": "3d"}) makes them; these '
            f"are {ax.name}"
        )
    return ax
