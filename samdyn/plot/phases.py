"""Phase diagrams: what a system comes to, over two of its numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from samdyn.plot.cells import draw_cells, meanings, require_plane, swatch, tint
from samdyn.plot.labels import legend_below, number_label
from samdyn.plot.style import COLORS, axes_or_new

_COLORS: dict[str, Any] = {
    "converges": tint(COLORS[0], 0.6),
    "cycle": tint(COLORS[5], 0.45),
    "trapped": tint(COLORS[1], 0.85),
    "escapes": tint(COLORS[4], 0.45),
    "chaotic": tint(COLORS[3], 0.9),
    "diverges": None,  # hatched
    "undecided": tint("#000000", 0.35),
}
_OTHERS = (tint(COLORS[2], 0.8), tint(COLORS[7], 0.5), tint(COLORS[2], 0.3))


def phase_diagram(result: xr.Dataset, *, ax: Axes | None = None, legend: bool = True) -> Axes:
    """What a system comes to, over two of its numbers.

    If the result has ``spectral_radius``, that of the Jacobian at a marked point, its contour at
    1 is drawn: where linear theory puts the border of that point's stability.

    Parameters
    ----------
    result : Dataset
        With ``label`` over two numbers, its attributes ``flag_values`` and ``flag_meanings``, and
        if known ``spectral_radius`` over the same. An axis whose values are spaced geometrically
        is logarithmic.
    ax : Axes, optional
        Default: new ones.
    legend : bool, default True
        Draw the legend, under the axes: the labels that occur, and the theory.

    Raises
    ------
    TypeError, ValueError
        If it is no such result, or not over two dimensions.

    Examples
    --------
    >>> import xarray as xr
    >>> label = xr.DataArray([[0, 0], [1, 0]], dims=("lr", "rho"), name="label")
    >>> label.attrs = {"flag_values": [0, 1], "flag_meanings": "converges trapped"}
    >>> result = label.assign_coords(lr=[0.1, 0.2], rho=[0.5, 1.0]).to_dataset()
    >>> [text.get_text() for text in phase_diagram(result).get_legend().get_texts()]
    ['converges', 'trapped']
    """
    label, across, up = require_plane(result, "label", "samdyn.phase_diagram")
    said = meanings(label)
    present = [int(code) for code in np.unique(label.values)]
    words = {code: said.get(code, f"label {code}") for code in present}
    others = iter(_OTHERS * len(present))
    colors = {
        code: _COLORS[word] if word in _COLORS else next(others) for code, word in words.items()
    }
    ax = axes_or_new(ax)
    draw_cells(ax, label, {code: color for code, color in colors.items() if color is not None})
    ax.set(xlabel=number_label(across, label[across]), ylabel=number_label(up, label[up]))
    order = sorted(present, key=lambda code: (code < 0, code))
    handles: list[Any] = [swatch(colors[code]) for code in order]
    labels = [words[code] for code in order]
    if "spectral_radius" in result and _draw_theory(ax, result, across, up):
        handles.append(Line2D([], [], color="black", lw=1.6))
        labels.append(r"theory: $|$multiplier$| = 1$")
    if legend:
        legend_below(ax, handles, labels)
    return ax


def _draw_theory(ax: Axes, result: xr.Dataset, across: str, up: str) -> bool:
    """The contour at 1 of the spectral radius, if it has one."""
    radius = result.spectral_radius.transpose(up, across).values
    radius = np.ma.masked_invalid(radius)
    if min(radius.shape) < 2 or not radius.count() or not radius.min() < 1.0 < radius.max():
        return False
    drawn = ax.contour(
        result[across].values,
        result[up].values,
        radius,
        [1.0],
        colors="black",
        linewidths=1.6,
        zorder=4,
    )
    drawn.set_path_effects([patheffects.withStroke(linewidth=3.4, foreground="white")])
    return True
