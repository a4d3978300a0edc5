"""The phase portrait of a system of two coordinates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from samdyn.analysis.linear import Linear
from samdyn.losses.loss import Loss
from samdyn.numbers import checked_box, checked_number
from samdyn.plot.ascents import Perturbed, draw_ascent
from samdyn.plot.equilibria import draw_marks, marks
from samdyn.plot.fields import draw_arrows, draw_nullclines, draw_speeds, draw_streamlines, mesh
from samdyn.plot.labels import legend_below, symbol
from samdyn.plot.landscape import contours as draw_contours
from samdyn.plot.style import axes_or_new
from samdyn.plot.trajectory import trajectory
from samdyn.systems.base import System, refuse_random


def portrait(
    system: System,
    box: Sequence[tuple[float, float]] | None = None,
    *,
    ax: Axes | None = None,
    run: xr.Dataset | None = None,
    critical: bool = True,
    nullclines: bool = False,
    ascent: bool = False,
    streamlines: bool | None = None,
    density: float = 1.0,
    contours: bool = True,
    legend: bool = True,
) -> Axes:
    r"""The phase portrait of a system of two coordinates, or of one coordinate and its velocity.

    The colour of an arrow or a streamline is the length of the step F(z) - z of a map, or the
    speed of a flow. A system of two coordinates and their velocities is drawn at velocity 0.

    Parameters
    ----------
    system : Map, Flow or FormulaMap
        Each of its numbers being one value.
    box : two (low, high), optional
        Default: the loss's own suggested box.
    ax : Axes, optional
        Default: new ones.
    run : Dataset, optional
        A recorded result of `samdyn.simulate`, whose paths are drawn on top.
    critical : bool, default True
        Mark the critical points of the loss, and the system's isolated fixed points besides them.
        The colour says what a point is for the loss. The marker says what it is for the system,
        by its multipliers: a filled dot is an attractor, an open dot a repeller, a cross a
        saddle, a square a centre, a diamond neutral, a star a jump (as normalised SAM's at each
        critical point), a plus no fixed point at all.
    nullclines : bool, default False
        Draw the lines on which one coordinate stands still.
    ascent : bool, default False
        Draw arrows from the weights w to the point w^p at which the algorithm asks for the
        gradient that it descends along. None is drawn longer than a cell of their grid.
    streamlines : bool, optional
        Streamlines instead of arrows of equal length. Default: for a flow.
    density : float, default 1
        Of arrows or streamlines.
    contours : bool, default True
        Draw contours of the loss, if it has two variables; spaced evenly in its logarithm where
        its highest values dwarf the others.
    legend : bool, default True
        Draw the legend, under the axes, and the colour bar.

    Raises
    ------
    TypeError, ValueError
        If the system has not two coordinates, a number of it is an array, no box is known, the
        field is finite nowhere in the box, the algorithm does not ascend, or nothing was recorded.

    References
    ----------
    Kim et al., arXiv 2301.06308: un-normalised SAM makes attractors of saddles.

    Examples
    --------
    >>> import samdyn as sd
    >>> saddle = sd.Loss("x**2 - y**2/2")
    >>> ax = portrait(sd.Map(saddle, sd.USAM(lr=0.1, rho=1.5)), [(-1, 1), (-1, 1)])
    >>> ax.get_legend().get_texts()[0].get_text()
    'saddle of $L$, attractor of the map'
    """
    linear = Linear(system)
    refuse_random(system)
    names = _plane(system)
    loss = system.loss
    sides = _checked_box(loss, names, box)
    density = checked_number("density", density, above=0.0)
    perturbed = Perturbed(system) if ascent else None
    paths = None if run is None else _paths(run, names, system.coordinates)
    ax = axes_or_new(ax)
    if contours and loss is not None and loss.dimension == 2:
        _draw_contours(ax, loss, sides)
    streamlines = system.continuous if streamlines is None else streamlines
    field = (draw_streamlines if streamlines else draw_arrows)(ax, linear, sides, density)
    if nullclines:
        draw_nullclines(ax, linear, sides, names)
    if perturbed is not None:
        draw_ascent(ax, perturbed, sides, density)
    if paths is not None:
        trajectory(paths, *names, ax=ax, legend=False)
    if critical:
        draw_marks(ax, marks(linear, sides), system.continuous, loss is not None)
    ax.set(xlabel=symbol(names[0]), ylabel=symbol(names[1]), xlim=sides[0], ylim=sides[1])
    if legend:
        said = r"speed $|\dot z|$" if system.continuous else r"step length $|F(z) - z|$"
        draw_speeds(ax, field, said)
        if ax.get_legend_handles_labels()[0]:
            legend_below(ax)
    return ax


def _plane(system: System) -> tuple[str, str]:
    """The two scalars of the state that are drawn."""
    for names in (system.coordinates, system.rows):
        if len(names) == 2:
            return names[0], names[1]
    raise ValueError(
        f"a portrait needs a system of 2 coordinates, or of one and its velocity; this one has "
        f"the state {', '.join(system.rows)}"
    )


def _checked_box(loss: Loss | None, names: Sequence[str], box: Any) -> np.ndarray:
    if loss is not None and loss.dimension == 2:
        return loss._checked_box(box)
    if box is None:
        raise ValueError(
            f"box must be given for this system, one (low, high) for {' and '.join(names)}"
        )
    return checked_box(box, names)


def _draw_contours(ax: Axes, loss: Loss, box: Any) -> None:
    values = loss.value(np.stack(np.meshgrid(*mesh(box, 41)), axis=-1))
    height = values[np.isfinite(values)]
    if len(height) and np.ptp(height) > 0:
        height = height - height.min()
        draw_contours(loss, box, ax=ax, log=bool(height.max() > 30 * np.median(height)), levels=16)


def _paths(run: Any, names: Sequence[str], coordinates: Sequence[str]) -> xr.Dataset:
    """The run with both scalars of the plane as coordinates."""
    if not isinstance(run, xr.Dataset) or len(coordinates) == 2 or "w" not in run:
        return run
    vector = names[1].removesuffix(f"_{coordinates[0]}")
    if vector not in run:
        raise ValueError(
            f"the run has no {vector}, which this portrait draws; run simulate with state=True"
        )
    moving = run[vector].assign_coords(coord=[names[1]])
    return xr.Dataset({"w": xr.concat([run.w, moving], "coord")})
