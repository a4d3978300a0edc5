"""Basins: which attractor each initial point reaches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import xarray as xr

from samdyn.analysis.attractors import Attractor, Unstable, closing, scale_of
from samdyn.analysis.chaotic import aperiodic
from samdyn.analysis.linear import Linear
from samdyn.analysis.refinement import refined
from samdyn.ensembles.events import REASONS, Diverged, Reached
from samdyn.ensembles.points import checked_points
from samdyn.ensembles.run import simulate
from samdyn.numbers import checked_whole
from samdyn.systems.base import System
from samdyn.systems.stepped import Stepped

UNDECIDED, DIVERGED, UNSTABLE = -1, -2, -3
_FIRST = 512
_SAMPLE = 64
_GROWTH = 4
_SIZES = (1, 2, 4, 8, 16, 32, 64)
_ON = 1e-9
_FAR = 1e12


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
    threads, progress
        As in `samdyn.simulate`.
    seed : int, default 0
        Of the sample among which attractors are looked for.

    Returns
    -------
    xarray.Dataset
        ``label`` and ``steps`` (taken until the particle was in the certified ball) over the
        dimensions of ``x0``. A label is the place in ``attractor``, or -1: undecided after all
        steps, -2: diverged (1e12 times further out than any initial point), -3: it stays at a
        fixed point or a cycle that is no attractor (it began on its stable manifold).

        Over ``attractor``: ``attractor_kind`` ("fixed point", "cycle", "neutral set", "chaotic",
        "quasiperiodic"), ``period``, ``point`` (…, row), ``rate`` (log of the largest multiplier,
        or the largest Lyapunov exponent, a step), ``radius`` of the certified ball, and the share
        of the initial points that reach it, ``fraction`` with Wilson's 95 % interval
        ``fraction_low``, ``fraction_high`` (wider than needed for a grid, whose points are spread
        evenly). The largest basin comes first.

        An aperiodic attractor is certified less strictly: a positive (or zero) largest exponent,
        and that a long orbit stays with it.

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
    far = 1.0 + float(np.max(np.abs(points.values)))
    search = _Search(linear, steps, threads, progress, np.random.default_rng(seed), far)
    if refine:
        _refuse_no_grid(points, dims)
        axes = [points[dim].values for dim in dims]

        def evaluate(places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            start = _at(points, dims, places)
            return search.label(linear.states(start))

        axes, (labels, taken), ran = refined(evaluate, axes, refine)
        coords = dict(zip(dims, axes, strict=True))
    else:
        flat = points.values.reshape(-1, points.sizes["coord"])
        shape = tuple(points.sizes[dim] for dim in dims)
        labels, taken = (part.reshape(shape) for part in search.label(linear.states(flat)))
        coords = {dim: points[dim].values for dim in dims if dim in points.coords}
        ran = labels.size
    return _dataset(flow, search.attractors, dims, coords, labels, taken, ran)


@dataclass
class _Search:
    """The attractors found so far, and how particles are taken to them."""

    linear: Linear
    steps: int
    threads: int | None
    progress: bool
    random: np.random.Generator
    far: float
    attractors: list[Attractor] = field(default_factory=list)
    unstable: list[Unstable] = field(default_factory=list)

    def label(self, states: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The label of each state and the steps that it took."""
        labels = np.full(len(states), UNDECIDED, np.int16)
        taken = np.zeros(len(states), np.int64)
        scale = scale_of(states) if len(states) > 1 else 1.0 + float(np.linalg.norm(states))
        z, open_, stride, spent = states.copy(), np.arange(len(states)), _FIRST, 0
        while len(open_) and spent < self.steps:
            stride = min(stride, self.steps - spent)
            self._look(z[open_], stride, scale)
            which, end, used = self._advance(z[open_], stride)
            taken[open_] += used
            labels[open_] = which
            stuck = (which == UNDECIDED) & np.all(end == z[open_], axis=-1)
            labels[open_[stuck]] = self._resting(end[stuck], scale)
            z[open_] = end
            still = (which == UNDECIDED) & ~stuck
            open_, spent, stride = open_[still], spent + stride, stride * _GROWTH
            self._drop_sets(labels, z, open_, scale)
            open_ = open_[labels[open_] == UNDECIDED]
        self._last(labels, z, open_, scale)
        return labels, taken

    def _look(self, states: np.ndarray, stride: int, scale: float) -> None:
        """Look for attractors among the ends of a sample."""
        some = self.random.permutation(len(states))[:_SAMPLE]
        which, ends, _ = self._advance(states[some], stride)
        ends = ends[which == UNDECIDED]
        for one in closing(self.linear, ends, scale, [*self.attractors, *self.unstable]):
            if isinstance(one, Attractor) and all(one is not known for known in self.attractors):
                self.attractors.append(one)
            if isinstance(one, Unstable) and all(one is not known for known in self.unstable):
                self.unstable.append(one)

    def _advance(self, states: np.ndarray, steps: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Labels, states and steps taken of particles after at most so many steps."""
        balls = [(k, one) for k, one in enumerate(self.attractors) if one.radius > 0]
        # kernels differ in how many balls they watch: the last one is repeated to a round number
        size = next((size for size in _SIZES if size >= len(balls)), len(balls))
        watched = [balls[min(i, len(balls) - 1)] for i in range(size if balls else 0)]
        system = self.linear.system
        run = simulate(
            system,
            xr.DataArray(states, dims=("particle", "coord"), coords={"coord": list(system.rows)}),
            steps,
            until=[
                *(Reached(tuple(one.points[0]), one.radius) for _, one in watched),
                Diverged(_FAR * self.far),
            ],
            state=True,
            threads=self.threads,
            progress=self.progress,
        )
        if bool((run.reason == REASONS.index("interrupted")).any()):
            raise KeyboardInterrupt
        place = run.which.values.reshape(len(states))
        labels = np.full(len(states), UNDECIDED, np.int16)
        reached = (place >= 0) & (place < len(watched))
        labels[reached] = np.array([k for k, _ in watched] or [0])[place[reached]]
        labels[run.reason.values.reshape(-1) == REASONS.index("diverged")] = DIVERGED
        parts = [run.final, *(run[f"final_{name}"] for name in system.vectors)]
        ends = np.concatenate([part.values.reshape(len(states), -1) for part in parts], axis=-1)
        return labels, ends, run.steps.values.reshape(-1)

    def _resting(self, states: np.ndarray, scale: float) -> np.ndarray:
        """Labels of states that no longer move at all."""
        labels = np.full(len(states), UNSTABLE, np.int16)
        for k, one in enumerate(self.attractors):
            if one.kind == "neutral set":
                jacobian = self.linear.law(states)[1]
                sizes = np.max(np.abs(np.linalg.eigvals(np.nan_to_num(jacobian, nan=2.0))), axis=-1)
                labels[np.isclose(sizes, 1.0, atol=1e-9)] = k
        return labels

    def _drop_sets(
        self, labels: np.ndarray, z: np.ndarray, open_: np.ndarray, scale: float
    ) -> None:
        """Label what has come to a neutral set: there is no ball to enter."""
        for k, one in enumerate(self.attractors):
            if one.kind == "neutral set" and len(open_):
                value, jacobian = self.linear.law(z[open_])
                slow = np.linalg.norm(value - z[open_], axis=-1) <= 1e-12 * scale
                sizes = np.max(np.abs(np.linalg.eigvals(np.nan_to_num(jacobian, nan=2.0))), axis=-1)
                labels[open_[slow & np.isclose(sizes, 1.0, atol=1e-9)]] = k

    def _last(self, labels: np.ndarray, z: np.ndarray, open_: np.ndarray, scale: float) -> None:
        """What is left after all steps: resting on something unstable, or on an aperiodic set."""
        for one in self.unstable:
            if len(open_):
                gaps = np.linalg.norm(z[open_][:, None] - one.points, axis=-1).min(axis=1)
                labels[open_[gaps <= _ON * scale]] = UNSTABLE
                open_ = open_[labels[open_] == UNDECIDED]
        while len(open_):
            found = aperiodic(self.linear, z[open_[0]], scale)
            if found is None:
                break
            attractor, here = found
            self.attractors.append(attractor)
            mine = here(z[open_])
            mine[0] = True
            labels[open_[mine]] = len(self.attractors) - 1
            open_ = open_[~mine]


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
    attractors: Sequence[Attractor],
    dims: tuple[str, ...],
    coords: dict[str, np.ndarray],
    labels: np.ndarray,
    taken: np.ndarray,
    ran: int,
) -> xr.Dataset:
    from scipy.stats import binomtest

    counts = np.array([int(np.sum(labels == k)) for k in range(len(attractors))])
    order = [int(k) for k in np.argsort(-counts, kind="stable") if counts[k]]
    rank = {old: new for new, old in enumerate(order)}
    labels = np.array([rank.get(int(k), k) for k in np.unique(labels)], np.int16)[
        np.unique(labels, return_inverse=True)[1].reshape(labels.shape)
    ]
    kept = [attractors[k] for k in order]
    tests = [binomtest(int(counts[k]), labels.size).proportion_ci(method="wilson") for k in order]
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
            "attractor_kind": ("attractor", [one.kind for one in kept]),
            "period": ("attractor", [one.period for one in kept]),
            "point": (("attractor", "row"), starts),
            "rate": ("attractor", [one.rate for one in kept], {"units": "1/step"}),
            "radius": ("attractor", [one.radius for one in kept]),
            "fraction": ("attractor", counts[order] / labels.size),
            "fraction_low": ("attractor", [test.low for test in tests]),
            "fraction_high": ("attractor", [test.high for test in tests]),
        },
        coords={**coords, "row": rows},
        attrs={"title": f"basins of {system.title}", "points_run": int(ran), **system.about},
    )
