"""The field of a system in the plane: arrows, streamlines, nullclines and the colours of speeds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, LogNorm
from matplotlib.ticker import LogFormatterMathtext, LogLocator

from samdyn.analysis.linear import Linear
from samdyn.plot.labels import axes_inches, symbol
from samdyn.plot.style import COLORS

_SPEEDS = LinearSegmentedColormap.from_list(
    "speeds", colormaps["viridis_r"](np.linspace(0.15, 0.95, 64))
)
_ARROW = 0.15
"""Inches from one arrow to the next."""

_FINE = 241


def mesh(box: np.ndarray, counts: Any, centred: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Values along each side; centred ones leave half a cell at the borders."""
    counts = np.broadcast_to(counts, 2)
    gap = (box[:, 1] - box[:, 0]) / (2 * counts) * centred
    x, y = (
        np.linspace(low + g, high - g, n)
        for (low, high), g, n in zip(box, gap, counts, strict=True)
    )
    return x, y


def counts(ax: Axes, distance: float) -> np.ndarray:
    """How many arrows go along each side of the axes, so many inches apart."""
    size = axes_inches(ax)
    return np.clip(np.rint(size / distance).astype(int), 4, 60)


def _field(linear: Linear, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The step or the rate on a mesh, shape (y, x, 2), and its length; NaN where not finite."""
    states = linear.states(np.stack(np.meshgrid(x, y), axis=-1))
    moved = linear.residual(states)[0][..., :2]
    moved = np.where(np.all(np.isfinite(moved), axis=-1, keepdims=True), moved, np.nan)
    with np.errstate(over="ignore"):
        length = np.hypot(moved[..., 0], moved[..., 1])
    length = np.where(np.isfinite(length) & (length > 0), length, np.nan)
    if np.all(np.isnan(length)):
        raise ValueError(
            "box must hold points that the system moves and where it is finite; it has none"
        )
    return moved, length


def _norm(length: np.ndarray) -> LogNorm:
    low, high = np.nanpercentile(length, [1, 100])
    return LogNorm(low, high) if low < high else LogNorm(low / 2, high * 2)


def draw_arrows(ax: Axes, linear: Linear, box: np.ndarray, density: float) -> Any:
    """Draw arrows of equal length, coloured by the length of the step or the speed."""
    x, y = mesh(box, counts(ax, _ARROW / density), centred=True)
    moved, length = _field(linear, x, y)
    u, v = np.moveaxis(moved / length[..., None], -1, 0)
    shown = np.isfinite(length)
    across, up = np.meshgrid(x, y)
    return ax.quiver(
        across[shown],
        up[shown],
        u[shown],
        v[shown],
        length[shown],
        angles="xy",
        pivot="mid",
        units="inches",
        scale_units="inches",
        scale=density / (0.8 * _ARROW),
        width=0.011,
        headwidth=4.0,
        headlength=4.5,
        headaxislength=4.0,
        norm=_norm(length),
        cmap=_SPEEDS,
        zorder=2.5,
    )


def draw_streamlines(ax: Axes, linear: Linear, box: np.ndarray, density: float) -> Any:
    """Draw streamlines, coloured likewise."""
    x, y = mesh(box, 201)
    moved, length = _field(linear, x, y)
    # interpolated at equal lengths, a direction is not swamped by a far faster neighbour
    u, v = np.moveaxis(np.ma.masked_invalid(moved / length[..., None]), -1, 0)
    drawn = ax.streamplot(
        x,
        y,
        u,
        v,
        density=density,
        color=np.ma.masked_invalid(length),
        norm=_norm(length),
        cmap=_SPEEDS,
        linewidth=0.8,
        arrowsize=0.7,
        zorder=2.5,
    )
    return drawn.lines


def draw_speeds(ax: Axes, field: Any, said: str) -> None:
    """The colour bar, above the axes, with ticks that do not run into each other."""
    low, high = field.norm.vmin, field.norm.vmax
    tens = np.log10(high / low) >= 2
    bar = ax.figure.colorbar(
        field,
        ax=ax,
        label=said,
        location="top",
        aspect=axes_inches(ax)[0] / 0.08,
        pad=0.02,
        ticks=LogLocator(subs=(1.0,) if tens else (1.0, 2.0, 5.0), numticks=7),
        format=LogFormatterMathtext() if tens else "%g",
    )
    bar.ax.minorticks_off()


def draw_nullclines(ax: Axes, linear: Linear, box: np.ndarray, names: Sequence[str]) -> None:
    """Draw the lines on which one coordinate stands still."""
    x, y = mesh(box, _FINE)
    moved, _ = _field(linear, x, y)
    for k, (name, dashes) in enumerate(zip(names, ("--", ":"), strict=True)):
        component = moved[..., k]
        if np.nanmin(component) < 0 < np.nanmax(component):
            ax.contour(
                x,
                y,
                component,
                [0.0],
                colors=COLORS[6],
                linestyles=dashes,
                linewidths=1.3,
                zorder=2.8,
            )
        inner = symbol(name).strip("$")
        said = rf"$\dot{{{inner}}} = 0$" if linear.system.continuous else rf"$\Delta {inner} = 0$"
        ax.plot([], [], color=COLORS[6], ls=dashes, lw=1.3, label=said)
