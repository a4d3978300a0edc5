"""Basins: which attractor each initial point reaches."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from samdyn.analysis.attraction.attractors import Attractor
from samdyn.analysis.attraction.refinement import refined
from samdyn.analysis.attraction.running import Running
from samdyn.analysis.attraction.search import DIVERGED, UNDECIDED, UNSTABLE, Search
from samdyn.analysis.linear import Linear
from samdyn.ensembles.points import checked_points
from samdyn.numbers import checked_whole
from samdyn.systems.base import System
from samdyn.systems.stepped import Stepped


def basins(
    system: System,
    x0: xr.DataArray | Any,
    *,
    steps: int = 1_000_000,
    refine: int = 0,
    threads: int | None = None,
    progress: bool = True,
    seed: int = 0,
) -> xr.Dataset:
    """Label every initial point by the attractor that it reaches.

    A fixed point or a cycle counts as an attractor only once it is certified: its points close to
    rounding, every multiplier is inside the unit circle, and a ball around it is seen to contract.
    A particle is labelled when it enters that ball, so that one that lingers at a saddle is never
    taken for one that has arrived. Attractors are looked for among the ends of a sample of those
    that are not yet labelled, again and again, with ever more steps.

    Parameters
    ----------
    system : Map, Flow or FormulaMap
        Each of its numbers being one value.
    x0 : DataArray or array_like
        Initial points: a `samdyn.grid`, a random ensemble, or points in rows.
    steps : int, default 1_000_000
        The most steps a particle is given. Most need far fewer.
    refine : int, default 0
        Of a two-dimensional grid: how often the cells at which labels meet are halved. The result
        has ``2**refine`` times as many points a side; inside cells with one label at all corners
        the points have that label and are not run, so islands smaller than a cell may be missed.
        ``ran`` says which were.
    threads, progress
        As in `samdyn.simulate`.
    seed : int, default 0
        Of the sample among which attractors are looked for.

    Returns
    -------
    xarray.Dataset
        ``label`` and ``steps`` (taken until the particle was in the certified ball) over the
        dimensions of ``x0``. A label is the place in ``attractor``, or -1: undecided after all
        steps (so are the few points on a set that moves for ever but attracts nothing), -2:
        diverged (1e12 times further out than any initial point), -3: it stays at a fixed point
        or a cycle that is no attractor (it began on its stable manifold).

        Over ``attractor``: ``attractor_kind`` ("fixed point", "cycle", "neutral set", "chaotic",
        "quasiperiodic"), ``period``, ``point`` (…, row), ``rate`` (log of the largest multiplier,
        or the largest Lyapunov exponent, a step), ``radius`` of the certified ball, and the share
        of the initial points that reach it, ``fraction`` with Wilson's 95 % interval
        ``fraction_low``, ``fraction_high`` (wider than needed for a grid, whose points are spread
        evenly). The largest basin comes first.

        An aperiodic attractor is certified less strictly: the orbits of a sample stay on it for
        all ``steps``, cover it again and again, and take back states moved off it; the largest
        exponent is positive, or 0. All fixed points with a multiplier on the unit circle, such as
        several curves of minimisers, are one neutral set.

    Raises
    ------
    ValueError
        If a number is an array, or ``refine`` is asked of points that are no grid of two
        dimensions.

    Examples
    --------
    >>> import samdyn as sd
    >>> wells = sd.Map(sd.Loss("(x**2 - 1)**2/4 + y**2/2"), sd.GD(lr=0.1))
    >>> found = basins(wells, sd.grid(x=(-2, 2, 40), y=(-1, 1, 20)))
    >>> found.fraction.values
    array([0.5, 0.5])
    >>> found.attractor_kind.values
    array(['fixed point', 'fixed point'], dtype=...)
    """
    flow = system
    linear = Linear(Stepped(system) if isinstance(system, System) and system.continuous else system)
    system = linear.system
    checked_whole("steps", steps, 1)
    checked_whole("refine", refine, 0)
    points = checked_points(x0, system.coordinates, system.rows)
    dims = tuple(str(dim) for dim in points.dims if dim != "coord")
    region = linear.states(points.values.reshape(-1, points.sizes["coord"]), "x0")
    search = Search(Running(linear, region, threads=threads, progress=progress), steps, seed)
    if refine:
        _refuse_no_grid(points, dims)

        def evaluate(places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            return search.label(linear.states(_at(points, dims, places)))

        axes, (labels, taken), ran = refined(evaluate, [points[dim].values for dim in dims], refine)
        coords = dict(zip(dims, axes, strict=True))
    else:
        shape = tuple(points.sizes[dim] for dim in dims)
        labels, taken = (part.reshape(shape) for part in search.label(region))
        coords = {dim: points[dim].values for dim in dims if dim in points.coords}
        ran = np.ones(shape, bool)
    return _dataset(flow, search.attractors, dims, coords, labels, taken, ran)


def _refuse_no_grid(points: xr.DataArray, dims: tuple[str, ...]) -> None:
    if len(dims) != 2 or any(dim not in points.coords for dim in dims):
        raise ValueError(
            "refine needs a grid of two dimensions, as samdyn.grid(x=(-2, 2, 50), y=(-1, 1, 50)) "
            f"gives; x0 has the dimensions {dims}"
        )
    if any(points.sizes[dim] < 2 for dim in dims):
        raise ValueError("refine needs at least two points along each dimension of x0")


def _at(points: xr.DataArray, dims: tuple[str, ...], places: np.ndarray) -> np.ndarray:
    """Initial points at places of a grid: its two axes, and what all its points share."""
    names = [str(name) for name in points["coord"].values]
    whole = np.broadcast_to(points.values[0, 0], (len(places), len(names))).copy()
    for dim, column in zip(dims, places.T, strict=True):
        whole[:, names.index(dim)] = column
    return whole


def _dataset(
    system: System,
    attractors: list[Attractor],
    dims: tuple[str, ...],
    coords: dict[str, np.ndarray],
    labels: np.ndarray,
    taken: np.ndarray,
    ran: np.ndarray,
) -> xr.Dataset:
    from scipy.stats import binomtest

    counts = [int(np.sum(labels == k)) for k in range(len(attractors))]
    # basins of one size in the order of their points, so that a sample's order plays no part
    places = [tuple(np.round(one.points[0], 6)) for one in attractors]
    order = sorted(np.flatnonzero(counts).tolist(), key=lambda k: (-counts[k], places[k]))
    codes = np.unique(labels)
    ranks = [order.index(int(code)) if code >= 0 else int(code) for code in codes]
    labels = np.array(ranks, np.int16)[np.searchsorted(codes, labels)]
    kept = [attractors[k] for k in order]
    tests = [binomtest(counts[k], labels.size).proportion_ci(method="wilson") for k in order]
    rows = list(system.rows)
    starts = np.array([one.points[0] for one in kept]).reshape(-1, len(rows))
    about = {
        "long_name": "attractor reached",
        "flag_values": np.array([*range(len(kept)), UNDECIDED, DIVERGED, UNSTABLE], np.int16),
        "flag_meanings": " ".join(
            [*(f"attractor_{k}" for k in range(len(kept))), "undecided", "diverged", "unstable"]
        ),
    }
    return xr.Dataset(
        {
            "label": (dims, labels, about),
            "steps": (dims, taken, {"long_name": "steps until the attractor", "units": "step"}),
            "ran": (dims, ran, {"long_name": "whether the point was run"}),
            "attractor_kind": ("attractor", [one.kind for one in kept]),
            "period": ("attractor", [one.period for one in kept]),
            "point": (("attractor", "row"), starts),
            "rate": ("attractor", [one.rate for one in kept], {"units": "1/step"}),
            "radius": ("attractor", [one.radius for one in kept]),
            "fraction": ("attractor", [counts[k] / labels.size for k in order]),
            "fraction_low": ("attractor", [test.low for test in tests]),
            "fraction_high": ("attractor", [test.high for test in tests]),
        },
        coords={**coords, "row": rows},
        attrs={
            "title": f"basins of {system.title}",
            "points_run": int(np.sum(ran)),
            **system.about,
        },
    )
