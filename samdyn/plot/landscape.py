"""The loss as a landscape: contours and critical points of a function of two variables."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm

from samdyn.losses.critical import CriticalPoint
from samdyn.losses.loss import Loss
from samdyn.numbers import checked_whole
from samdyn.plot.style import axes_or_new

_MARKERS = {
    "minimum": ("o", "minimum"),
    "saddle": ("X", "saddle"),
    "maximum": ("^", "maximum"),
    "degenerate": ("D", "degenerate critical point"),
}


def contours(
    loss: Loss,
    box: Sequence[tuple[float, float]] | None = None,
    *,
    ax: Axes | None = None,
    log: bool = False,
    levels: int = 24,
    points: int = 300,
) -> Axes:
    """Contours of a loss of two variables.

    Parameters
    ----------
    loss : Loss
        Of two variables.
    box : two (low, high), optional
        Default: the loss's own suggested box.
    ax : Axes, optional
        Default: new ones.
    log : bool, default False
        Space the levels evenly in the logarithm of the loss above its lowest value drawn.
    levels : int, default 24
    points : int, default 300
        Evaluations along each side.

    Returns
    -------
    Axes
        With the variables as axis labels.

    Raises
    ------
    TypeError, ValueError
        If the loss has not two variables or several values of a constant, or no box is known.
    """
    if not isinstance(loss, Loss):
        raise TypeError(f"loss must be a samdyn.Loss, got a {type(loss).__name__}")
    if loss.dimension != 2:
        raise ValueError(f"contours needs a loss of 2 variables; this one has {loss.dimension}")
    loss.require_scalars("contours")
    (left, right), (low, high) = loss._checked_box(box)
    checked_whole("levels", levels, 1)
    checked_whole("points", points, 2)
    x, y = np.linspace(left, right, points), np.linspace(low, high, points)
    values = loss.value(np.stack(np.meshgrid(x, y), axis=-1))
    values = np.where(np.isfinite(values), values, np.nan)
    if not np.nanmin(values, initial=np.inf) < np.nanmax(values, initial=-np.inf):
        raise ValueError("contours needs a loss that varies in the box; choose another box")
    ax = axes_or_new(ax)
    if log:
        height = values - np.nanmin(values)
        floor = max(np.nanpercentile(height, 0.05), np.nanmax(height) * 1e-9)
        height = np.maximum(height, floor)
        steps = np.geomspace(floor, np.nanmax(height), levels)
        drawn = ax.contour(
            x, y, height, steps, norm=LogNorm(floor, steps[-1]), cmap="Greys_r", linewidths=0.6
        )
    else:
        drawn = ax.contour(x, y, values, levels, cmap="Greys_r", linewidths=0.6)
    drawn.set_alpha(0.7)
    ax.set(
        xlabel=f"${loss.variables[0]}$",
        ylabel=f"${loss.variables[1]}$",
        xlim=(left, right),
        ylim=(low, high),
    )
    return ax


def critical_points(points: Sequence[CriticalPoint], *, ax: Axes | None = None) -> Axes:
    """Mark critical points of a loss of two variables, a marker for each kind.

    Parameters
    ----------
    points : sequence of CriticalPoint
        As `Loss.critical_points` returns them.
    ax : Axes, optional

    Raises
    ------
    TypeError
        If these are no critical points of two variables.
    """
    listed = isinstance(points, list | tuple)
    if not listed or any(not isinstance(c, CriticalPoint) or len(c.point) != 2 for c in points):
        raise TypeError(
            "points must be critical points of two variables, as loss.critical_points(box) "
            f"returns them, got a {type(points).__name__}"
        )
    ax = axes_or_new(ax)
    for kind, (marker, label) in _MARKERS.items():
        here = np.array([c.point for c in points if c.kind == kind])
        if len(here):
            ax.plot(
                *here.T, marker, color="white", mec="black", ms=7, mew=1.2, label=label, zorder=5
            )
    return ax
