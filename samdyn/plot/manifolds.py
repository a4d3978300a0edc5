"""Stable and unstable manifolds: what parts basins, and where orbits leave a saddle."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import xarray as xr
from matplotlib.axes import Axes

from samdyn.plot.labels import legend_below, symbol
from samdyn.plot.style import COLORS, axes_or_new


def manifolds(
    result: xr.Dataset | Sequence[xr.Dataset], *, ax: Axes | None = None, legend: bool = True
) -> Axes:
    """Stable and unstable manifolds, each in its own colour.

    Parameters
    ----------
    result : Dataset, or a sequence of them
        Variable ``w`` over ``branch``, ``place`` and ``coord``, NaN beyond the end of a branch,
        and the attribute ``kind``, "stable" or "unstable".
    ax : Axes, optional
        Default: new ones. Given ones keep their limits.
    legend : bool, default True

    Raises
    ------
    TypeError, ValueError
        If it is no such result, or has not two coordinates.

    Examples
    --------
    >>> import xarray as xr
    >>> line = xr.Dataset(
    ...     {"w": (("branch", "place", "coord"), [[[0.0, 0.0], [1.0, 0.0]]])},
    ...     coords={"coord": ["x", "y"]},
    ...     attrs={"kind": "stable"},
    ... )
    >>> manifolds(line).get_lines()[0].get_label()
    'stable manifold'
    """
    given = [result] if isinstance(result, xr.Dataset) else result
    if not isinstance(given, list | tuple) or not given:
        raise TypeError(
            "result must be a Dataset of manifolds, or a list of them, got a "
            f"{type(result).__name__}"
        )
    for one in given:
        _require_manifold(one)
    fresh = ax is None
    ax = axes_or_new(ax)
    fresh = fresh or not ax.has_data()
    limits = ax.get_xlim(), ax.get_ylim()
    for one in given:
        kind = one.attrs["kind"]
        color, dashes = {"stable": (COLORS[0], "-"), "unstable": (COLORS[1], "-")}[kind]
        label = f"{kind} manifold"
        if label in ax.get_legend_handles_labels()[1]:
            label = ""
        for branch in one.w.transpose("branch", "place", "coord").values:
            ax.plot(*branch.T, color=color, ls=dashes, lw=1.4, label=label, zorder=4)
            label = ""
    names = [str(name) for name in given[0].coord.values]
    ax.set(xlabel=symbol(names[0]), ylabel=symbol(names[1]))
    if not fresh:
        ax.set(xlim=limits[0], ylim=limits[1])
    if legend:
        _add_to_legend(ax)
    return ax


def _require_manifold(result: Any) -> None:
    if not isinstance(result, xr.Dataset):
        raise TypeError(f"result must be a Dataset of manifolds, got a {type(result).__name__}")
    if "w" not in result or set(result.w.dims) != {"branch", "place", "coord"}:
        raise ValueError("result must have a variable w over branch, place and coord")
    if result.attrs.get("kind") not in ("stable", "unstable"):
        raise ValueError(
            "the attribute kind of result must be 'stable' or 'unstable', got "
            f"{result.attrs.get('kind')!r}"
        )
    if result.sizes["coord"] != 2:
        raise ValueError(
            f"manifolds needs two coordinates, got {[str(c) for c in result.coord.values]}; choose "
            "two with result.sel(coord=[…])"
        )


def _add_to_legend(ax: Axes) -> None:
    """A legend of all that is on the axes, what an earlier one said included."""
    handles: list[Any]
    handles, labels = ax.get_legend_handles_labels()
    old = ax.get_legend()
    if old is not None:
        said = [text.get_text() for text in old.get_texts()]
        before: list[Any] = [
            (handle, text)
            for handle, text in zip(old.legend_handles, said, strict=True)
            if text not in labels
        ]
        handles = [handle for handle, _ in before] + handles
        labels = [text for _, text in before] + labels
    legend_below(ax, handles, labels)
