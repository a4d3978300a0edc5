"""Training of networks: what was recorded against the epoch, averaged over seeds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from samdyn.ensembles.networks import is_training
from samdyn.numbers import checked_number
from samdyn.plot.averages import Line, line_of, words
from samdyn.plot.style import COLORS, DASHES, axes_or_new

_MOST_LABELS = 12
_MOST_SWITCHES = 30
_HIGHEST = 1e300
"""Of a logarithmic axis: beyond are no numbers."""


def training(
    run: xr.Dataset,
    name: str = "test_error",
    *,
    over: str | None = "seed",
    x: str = "epoch",
    ax: Axes | None = None,
    log: bool = False,
    level: float = 0.95,
    colors: Sequence[str] = COLORS,
    legend: bool = True,
) -> Axes:
    """Draw what training recorded, a line for each value of what was swept.

    Dashed vertical lines mark switches, in a line's colour where they are its own. A cross ends
    the line of a network that diverged.

    Parameters
    ----------
    run : Dataset
        A result of `samdyn.networks.train`, or a part of one.
    name : str, default "test_error"
        A variable over ``epoch``, such as ``"train_loss"`` or one that was tracked.
    over : str or None, default "seed"
        The dimension whose mean is drawn, with the interval of the mean by Student's distribution
        as a band, as far as all its networks go. Networks that diverged, or never began, are left
        out, and the legend says how many diverged. None draws every network, those that differ
        by their seed in one colour.
    x : str, default "epoch"
        What it is drawn against: ``"epoch"``, or ``"step"``.
    ax : Axes, optional
        Default: new ones.
    log : bool, default False
        A logarithmic vertical axis.
    level : float, default 0.95
        Of the band.
    colors : sequence of colours, optional
        One a line, in turn.
    legend : bool, default True
        Draw a legend, if values set lines apart and there are at most 12.

    Raises
    ------
    TypeError, ValueError
        If it is no such result, has no such variable or dimension, or the networks that are
        averaged took different numbers of steps by an epoch and ``x`` is "step".

    Examples
    --------
    >>> error = [[[0.5, 0.2], [0.5, 0.4]], [[0.5, 0.1], [0.5, 0.3]]]
    >>> run = xr.Dataset(
    ...     {"train_loss": (("rho", "seed", "epoch"), error), "step": ("epoch", [0, 10])},
    ...     {"rho": [0.0, 0.1], "epoch": [0, 1]},
    ... )
    >>> [line.get_label() for line in training(run, "train_loss").get_lines()]
    ['$\\\\rho$ = 0', '$\\\\rho$ = 0.1']
    """
    values = _recorded(run, name)
    if over is not None and over != "seed" and over not in values.dims:
        raise ValueError(f"over must be one of {_swept(values)} or None, got {over!r}")
    if x not in ("epoch", "step"):
        raise ValueError(f"x must be 'epoch' or 'step', got {x!r}")
    if np.ndim(level) or not 0 < checked_number("level", level) < 1:
        raise ValueError(f"level must be between 0 and 1, got {level}")
    ax = axes_or_new(ax)
    drawn = [] if over is None or over not in values.dims else [over]
    dims = [dim for dim in _swept(values) if dim not in drawn]
    # seeds of one value share its colour
    told = [dim for dim in dims if dim != "seed"] or dims
    places = [
        dict(zip(dims, place, strict=True))
        for place in np.ndindex(*(values.sizes[dim] for dim in dims))
    ]
    lines = [line_of(run, name, place, told, drawn, x, level) for place in places]
    kinds = list(dict.fromkeys(tuple(place[dim] for dim in told) for place in places))
    looks = [_look(kinds.index(tuple(place[dim] for dim in told)), colors) for place in places]
    labels = [one.label if len(kinds) <= _MOST_LABELS else "" for one in lines]
    width: dict[str, Any] = {"lw": 0.9} if len(lines) > len(kinds) else {}
    crosses = 0
    for k, (one, look) in enumerate(zip(lines, looks, strict=True)):
        label = "_" if labels[k] in ("", *labels[:k]) else labels[k]
        ax.plot(one.at, one.mean, label=label, zorder=3, **look, **width)
        if np.isfinite(one.reach).any():
            band = one.mean - one.reach, one.mean + one.reach
            ax.fill_between(one.at, *band, color=look["color"], alpha=0.2, lw=0, zorder=2)
        if one.lost and len(one.at):
            said = "_" if crosses else "diverged"
            ax.plot(one.at[-1], one.mean[-1], "x", color=look["color"], ms=6, zorder=4, label=said)
            crosses += 1
    _mark_switches(ax, lines, looks)
    if log:
        _scale(ax, lines)
    ax.set(xlabel=x, ylabel=words(name))
    if legend and (any(labels) or crosses):
        ax.legend(frameon=True, framealpha=0.8, edgecolor="none", fancybox=False)
    return ax


def _look(k: int, colors: Sequence[str]) -> dict[str, Any]:
    return {"color": colors[k % len(colors)], "ls": DASHES[k // len(colors) % len(DASHES)]}


def _mark_switches(ax: Axes, lines: list[Line], looks: list[dict[str, Any]]) -> None:
    """Dashed lines at switches: grey if all lines have the same."""
    every = {tuple(one.switches) for one in lines if len(one.at)}
    if len(every) == 1:
        marks = [(moment, "0.5") for moment in next(iter(every))]
    else:
        marks = [
            (moment, look["color"])
            for one, look in zip(lines, looks, strict=True)
            for moment in one.switches
        ]
    if len(marks) <= _MOST_SWITCHES:
        for moment, color in marks:
            ax.axvline(moment, color=color, lw=0.9, ls=(0, (4, 3)), zorder=1)


def _scale(ax: Axes, lines: list[Line]) -> None:
    """A logarithmic axis that holds the means: a band may reach below 0."""
    ax.set_yscale("log")
    means = np.concatenate([one.mean for one in lines])
    above = means[means > 0]
    if len(above):
        tops = np.concatenate([np.nansum([one.mean, one.reach], axis=0) for one in lines])
        ax.set_ylim(0.7 * above.min(), min(1.4 * tops.max(), _HIGHEST))


def _recorded(run: Any, name: str) -> xr.DataArray:
    if not isinstance(run, xr.Dataset):
        raise TypeError(
            f"run must be a result of samdyn.networks.train, got a {type(run).__name__}"
        )
    if not is_training(run):
        raise ValueError(
            "run must be a result of samdyn.networks.train, with train_loss and step over epoch; "
            "one of samdyn.simulate is drawn by plot.series"
        )
    like = set(run["train_loss"].dims)
    known = [str(n) for n, values in run.data_vars.items()
             if "epoch" in values.dims and set(values.dims) <= like]  # fmt: skip
    if not known:
        raise ValueError("run must have the epochs of its training, got one of them")
    if name not in known:
        raise ValueError(f"name must be one of {', '.join(known)}, got {name!r}")
    return run[name]


def _swept(values: xr.DataArray) -> list[str]:
    return [str(dim) for dim in values.dims if dim != "epoch"]
