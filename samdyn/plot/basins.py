"""Basins of attraction: what each initial point tends to."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from samdyn.plot.cells import draw_cells, meanings, require_plane, swatch, tint
from samdyn.plot.labels import legend_below, plain, symbol
from samdyn.plot.style import COLORS, axes_or_new

_PALETTE = (*COLORS[:6], COLORS[7])
_STRENGTHS = (0.42, 0.8, 0.2)
_MOST = 10

UNDECIDED, DIVERGED, UNSTABLE = -1, -2, -3
_SPECIAL = {UNDECIDED: "#a8a8a8", UNSTABLE: "#333333"}
_SAID = {UNDECIDED: "undecided", DIVERGED: "diverged", UNSTABLE: "stays at an unstable point"}

_MARKERS = {
    "fixed point": "o",
    "cycle": "s",
    "chaotic": "*",
    "quasiperiodic": "D",
    "neutral set": "^",
}


def basins(
    result: xr.Dataset, *, ax: Axes | None = None, legend: bool = True, shade: bool = False
) -> Axes:
    """Basins of attraction: each initial point in the colour of the attractor that it tends to.

    Grey is undecided, hatched white diverged, and near-black stays at an unstable point. Each
    attractor that lies in the plane drawn is marked: a dot is a fixed point, a square a point of a
    cycle, a star chaotic, a diamond quasiperiodic, a triangle a neutral set. The legend gives the
    share of the initial points, with its interval.

    Parameters
    ----------
    result : Dataset
        A result of `samdyn.basins`, over two dimensions.
    ax : Axes, optional
        Default: new ones.
    legend : bool, default True
        Draw the legend, under the axes; of more than 10 attractors those with the largest basins.
    shade : bool, default False
        Darken each point by the logarithm of the steps that it takes to settle.

    Raises
    ------
    TypeError, ValueError
        If it is no such result, or not over two dimensions.

    Examples
    --------
    >>> import numpy as np
    >>> import xarray as xr
    >>> label = xr.DataArray([[0, 0], [-2, 0]], dims=("x", "y"), name="label")
    >>> result = label.assign_coords(x=[0.0, 1.0], y=[0.0, 1.0]).to_dataset()
    >>> [text.get_text() for text in basins(result).get_legend().get_texts()]
    ['attractor 0: 75.0 %', 'diverged: 25.0 %']
    """
    label, across, up = require_plane(result, "label", "samdyn.basins")
    if shade and "steps" not in result:
        raise ValueError("shade=True needs the variable 'steps', which this result has not")
    ax = axes_or_new(ax)
    colors = {int(code): _color(int(code)) for code in np.unique(label.values)}
    solid = {code: color for code, color in colors.items() if color is not None}
    late = _brightness(result.steps.transpose(across, up).values) if shade else None
    draw_cells(ax, label, solid, late)
    _mark_attractors(ax, result, across, up)
    ax.set(xlabel=symbol(across, label[across]), ylabel=symbol(up, label[up]))
    if legend:
        legend_below(ax, *_entries(result, shade))
    return ax


def _color(code: int) -> Any | None:
    """The colour of a label's cells, or none if they are hatched."""
    if code < 0:
        return _SPECIAL.get(code)
    return tint(_PALETTE[code % len(_PALETTE)], _strength(code))


def _strength(code: int) -> float:
    return _STRENGTHS[code // len(_PALETTE) % len(_STRENGTHS)]


def _brightness(steps: np.ndarray) -> np.ndarray:
    """From 1 at once to 0.45 at last."""
    late = np.log1p(np.maximum(steps, 0.0))
    spread = np.nanmax(late) - np.nanmin(late)
    return 1.0 - 0.55 * (late - np.nanmin(late)) / (spread if spread > 0 else 1.0)


def _mark_attractors(ax: Axes, result: xr.Dataset, across: str, up: str) -> None:
    if "point" not in result or "row" not in result.coords:
        return
    rows = [str(name) for name in result.row.values]
    if across not in rows or up not in rows:
        return
    points = result.point.sel(row=[across, up]).transpose("attractor", "row").values
    for k, point in reversed(list(enumerate(points))):  # those with the largest basins come first
        ax.plot(*point, **_marker(result, k), zorder=6)


def _marker(result: xr.Dataset, k: int) -> dict[str, Any]:
    kind = str(result.attractor_kind.values[k]) if "attractor_kind" in result else ""
    marker = _MARKERS.get(kind, "o")
    return {
        "marker": marker,
        "ls": "",
        "color": _PALETTE[k % len(_PALETTE)],
        "mec": "black",
        "mew": 0.8,
        "ms": {"*": 10, "o": 7}.get(marker, 6),
    }


def _entries(result: xr.Dataset, shade: bool) -> tuple[list[Any], list[str]]:
    """Handles and labels of a legend: attractors by size of basin, then the other labels."""
    codes, counts = np.unique(result.label.values, return_counts=True)
    share = dict(zip(codes.tolist(), (counts / counts.sum()).tolist(), strict=True))
    known = int(result.sizes.get("attractor", max(codes.max() + 1, 0)))
    order = sorted(range(known), key=lambda k: -share.get(k, 0.0))
    handles: list[Any] = []
    labels: list[str] = []
    for k in order[:_MOST]:
        handles.append((swatch(_color(k)), Line2D([], [], **_marker(result, k))))
        labels.append(f"{_named(result, k)}: {_share(result, k, share.get(k, 0.0))}")
    if len(order) > _MOST:
        rest = sum(share.get(k, 0.0) for k in order[_MOST:])
        handles.append(Line2D([], [], ls=""))
        labels.append(f"{len(order) - _MOST} more: {_percent(rest)} %")
    said = {**meanings(result.label), **_SAID}
    for code in sorted((code for code in share if code < 0), reverse=True):
        handles.append(swatch(_color(code)))
        labels.append(f"{said.get(code, str(code))}: {_percent(share[code])} %")
    if shade:
        handles.append(Line2D([], [], ls=""))
        labels.append("darker: settles later")
    return handles, labels


def _named(result: xr.Dataset, k: int) -> str:
    if "attractor_kind" not in result:
        return f"attractor {k}"
    kind = str(result.attractor_kind.values[k])
    if kind == "cycle" and "period" in result:
        kind = f"{int(result.period.values[k])}-cycle"
    if kind in ("chaotic", "quasiperiodic"):
        return f"{kind} attractor"
    if "point" not in result:
        return kind
    where = ", ".join(plain(x, 3) for x in _place(result, k))
    return f"{kind} ({where})" if kind == "fixed point" else f"{kind} at ({where})"


def _place(result: xr.Dataset, k: int) -> np.ndarray:
    """The coordinates of an attractor's point in the plane drawn, noise of rounding left out."""
    point = result.point.isel(attractor=k)
    rows = [str(name) for name in result.row.values] if "row" in result.coords else []
    drawn = [str(dim) for dim in result.label.dims]
    values = point.sel(row=drawn).values if set(drawn) <= set(rows) else point.values
    return np.where(np.abs(values) < 1e-9, 0.0, values)


def _share(result: xr.Dataset, k: int, counted: float) -> str:
    if "fraction" not in result:
        return f"{_percent(counted)} %"
    said = f"{_percent(float(result.fraction.values[k]))} %"
    if "fraction_low" in result and "fraction_high" in result:
        low, high = float(result.fraction_low.values[k]), float(result.fraction_high.values[k])
        said += f" [{_percent(low)}, {_percent(high)}]"
    return said


def _percent(share: float) -> str:
    percent = 100 * share
    return f"{percent:.1f}" if percent >= 1 or percent == 0 else f"{percent:.2g}"
