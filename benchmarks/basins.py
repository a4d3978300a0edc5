"""Basin images: `samdyn.basins` beside loops that are told the attractors beforehand.

Prints the seconds for a grid of initial points: the first call, which compiles, and then the best
and the median of several, in which all take turns. Before, all images are held against each other.
See README.md.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any, NamedTuple

os.environ["SAMDYN_CACHE_DIR"] = tempfile.mkdtemp()  # the first call must compile

import numba
import numpy as np
import xarray as xr

import samdyn as sd
from samdyn.ensembles.events import Event

THREADS = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
MOST_DISAGREEING = 1e-4
"""The share of points that rounding may move across a boundary between basins."""

GONE = 1e3
"""The peers give a point up as soon as a coordinate is larger than this."""

GUESS = 1e-3
"""The radius that one would take who has no certificate."""

API_POINTS = 2_500
LR, RHO = 0.1, 0.2

Step = Callable[[Any, Any], tuple[Any, Any]]
Image = Callable[[], np.ndarray]


def descent(x: Any, y: Any) -> tuple[Any, Any]:
    """Gradient descent on (x**2 - 1)**2/4 + y**2/2."""
    return x - LR * x * (x * x - 1.0), y - LR * y


def sam(x: Any, y: Any) -> tuple[Any, Any]:
    """Normalised SAM on the same."""
    a = x * (x * x - 1.0)
    length = np.sqrt(a * a + y * y)
    scale = RHO / (length + (length == 0.0))
    x1, y1 = x + scale * a, y + scale * y
    return x - LR * x1 * (x1 * x1 - 1.0), y - LR * y1


def henon(x: Any, y: Any) -> tuple[Any, Any]:
    """The map of Henon."""
    return 1.0 - 1.4 * x * x + y, 0.3 * x


class Work(NamedTuple):
    """A map, and the region whose points are labelled."""

    title: str
    system: sd.Map | sd.FormulaMap
    step: Step
    x: tuple[float, float]
    y: tuple[float, float]


WELLS = sd.Loss("(x**2 - 1)**2/4 + y**2/2")
HENON = sd.FormulaMap({"x": "1 - a*x**2 + y", "y": "b*x"}, a=1.4, b=0.3)
ALL = (
    Work("double well, GD", sd.Map(WELLS, sd.GD(lr=LR)), descent, (-2.0, 2.0), (-1.0, 1.0)),
    Work("double well, SAM", sd.Map(WELLS, sd.SAM(lr=LR, rho=RHO)), sam, (-2.0, 2.0), (-1.0, 1.0)),
    Work("Henon", HENON, henon, (-2.0, 2.0), (-2.0, 2.0)),
)


class Told(NamedTuple):
    """What the peers need not find out: the answer of `samdyn.basins` but for the image.

    Attributes
    ----------
    centers : ndarray, shape (k, 2)
        A point of each attractor that has a ball from which all end there.
    radius : float
        Of the smallest of these balls.
    steps : int
        Those that the slowest particle took.
    rest : int
        The label of what has then neither arrived nor gone: the attractor without a ball, or -1.
    """

    centers: np.ndarray
    radius: float
    steps: int
    rest: int


def told(found: xr.Dataset) -> Told:
    """What a result of `samdyn.basins` tells the peers."""
    balls = found.radius.values > 0
    centers = found.point.values[balls]
    radius = float(found.radius.values[balls].min()) if balls.any() else 0.0
    rest = -1 if balls.all() else int(np.flatnonzero(~balls)[0])
    return Told(centers, radius, int(found.steps.max()), rest)


def simulated(work: Work, grid: xr.DataArray, known: Told) -> Image:
    """`samdyn.simulate` with the events that the peers watch for."""
    arrive: list[Event] = [sd.Reached(tuple(center), known.radius) for center in known.centers]
    until = [*arrive, sd.Diverged(GONE)]

    def image() -> np.ndarray:
        run = sd.simulate(work.system, grid, known.steps, until=until, progress=False)
        meanings = str(run.reason.attrs["flag_meanings"]).split()
        reached, gone = (run.reason.values == meanings.index(m) for m in ("reached", "diverged"))
        return np.where(reached, run.which.values, np.where(gone, -2, known.rest))

    return image


def numpy(work: Work, grid: xr.DataArray, known: Told) -> Image:
    """Arrays over the points that are still under way."""
    start = grid.values

    def image() -> np.ndarray:
        x, y = start[..., 0].ravel().copy(), start[..., 1].ravel().copy()
        labels = np.full(x.size, known.rest)
        open_ = np.arange(x.size)
        for _ in range(known.steps + 1):
            ended = np.full(x.size, -9)
            ended[~(np.maximum(np.abs(x), np.abs(y)) <= GONE)] = -2
            for k, (a, b) in enumerate(known.centers):
                ended[(x - a) ** 2 + (y - b) ** 2 <= known.radius**2] = k
            over = ended != -9
            if over.any():
                labels[open_[over]] = ended[over]
                x, y, open_ = x[~over], y[~over], open_[~over]
            if not open_.size:
                break
            x, y = work.step(x, y)
        return labels.reshape(start.shape[:-1])

    return image


def plain_numba(work: Work, grid: xr.DataArray, known: Told) -> Image:
    """``prange`` over points, and in it a scalar loop that breaks."""
    step = numba.njit(work.step)
    points = np.ascontiguousarray(grid.values.reshape(-1, 2))

    @numba.njit(parallel=True)
    def follow(points, centers, radius, steps, rest):
        labels = np.full(len(points), rest)
        for i in numba.prange(len(points)):
            x, y = points[i]
            for _ in range(steps + 1):
                if not (abs(x) <= GONE and abs(y) <= GONE):
                    labels[i] = -2
                    break
                arrived = -1
                for k in range(len(centers)):
                    dx, dy = x - centers[k, 0], y - centers[k, 1]
                    if dx * dx + dy * dy <= radius * radius:
                        arrived = k
                if arrived >= 0:
                    labels[i] = arrived
                    break
                x, y = step(x, y)
        return labels

    def image() -> np.ndarray:
        labels = follow(points, known.centers, known.radius, known.steps, known.rest)
        return labels.reshape(grid.shape[:-1])

    return image


def stride(points: int) -> int:
    """Every so manieth point is given to what is too slow for all; odd, not to follow the rows."""
    return max(1, points // API_POINTS) | 1


def pynamicalsys(work: Work, grid: xr.DataArray, known: Told) -> dict[str, Image]:
    """Its escape analysis, as there is nothing for basins of maps.

    By its interface, one call a point, on a part of the points; and its compiled function in a
    ``prange`` of ours, which its interface does not offer.
    """
    try:
        from pynamicalsys import DiscreteDynamicalSystem
        from pynamicalsys.discrete_time.escape import (
            escape_basin_and_time_entering,
            escape_time_exiting,
        )
    except ImportError:
        return {}
    step = numba.njit(work.step)

    @numba.njit
    def mapping(u, parameters):
        x, y = step(u[0], u[1])
        return np.array([x, y])

    @numba.njit(parallel=True)
    def follow(points, function, places, steps):
        labels = np.empty(len(points), np.int64)
        for i in numba.prange(len(points)):
            labels[i] = function(points[i], np.zeros(1), mapping, steps, places)[0]
        return labels

    arriving = len(known.centers) > 0
    reach = np.array([-known.radius, known.radius])
    box = np.array([[-GONE, GONE]] * 2)
    places = known.centers[:, :, None] + reach if arriving else box
    function = escape_basin_and_time_entering if arriving else escape_time_exiting
    system = DiscreteDynamicalSystem(mapping=mapping, system_dimension=2, parameters=[0.0])
    points = np.ascontiguousarray(grid.values.reshape(-1, 2))
    options: dict[str, Any] = {"exits": box, "escape": "exiting"}
    if arriving:
        options = {"exits": known.centers, "hole_size": 2 * known.radius}

    def labels_of(found: np.ndarray) -> np.ndarray:
        return found if arriving else np.where(found >= 0, -2, known.rest)

    def shared_out() -> np.ndarray:
        found = follow(points, function, places, known.steps)
        return labels_of(found).reshape(grid.shape[:-1])

    def called() -> np.ndarray:
        some = points[:: stride(len(points))]
        return labels_of(
            np.array([system.escape_analysis(u, known.steps, **options)[0] for u in some])
        )

    return {"pynamicalsys, a call a point *": called, "pynamicalsys's loop in prange": shared_out}


class Timed(NamedTuple):
    """What the clock said of one of them, in seconds for the whole grid."""

    first: float
    runs: list[float]


def measure(images: dict[str, Image], shares: dict[str, float], repeats: int) -> dict[str, Timed]:
    """Everyone once before anyone again."""
    times: dict[str, list[float]] = {name: [] for name in images}
    for _ in range(repeats + 1):
        for name, image in images.items():
            began = time.perf_counter()
            image()
            times[name].append((time.perf_counter() - began) / shares.get(name, 1.0))
    return {name: Timed(first, runs) for name, (first, *runs) in times.items()}


def check(name: str, ours: np.ndarray, other: np.ndarray) -> int:
    """How many points have another label; stop if they are too many."""
    if ours.size != other.size:
        ours = ours.ravel()[:: stride(ours.size)]
    differ = int(np.sum(ours.ravel() != other.ravel()))
    if differ > max(1, MOST_DISAGREEING * ours.size):
        sys.exit(f"{name} does not agree with samdyn: {differ} of {ours.size} labels differ")
    return differ


def compare(work: Work, size: int, repeats: int) -> None:
    """Measure one map, and print its part of the table."""
    grid = sd.grid(x=(*work.x, size), y=(*work.y, size))

    def basins() -> np.ndarray:
        return sd.basins(work.system, grid, progress=False).label.values

    began = time.perf_counter()
    found = sd.basins(work.system, grid, progress=False)
    first = time.perf_counter() - began
    known = told(found)
    images: dict[str, Image] = {
        "samdyn.basins": basins,
        "samdyn.simulate": simulated(work, grid, known),
        "NumPy": numpy(work, grid, known),
        "Numba": plain_numba(work, grid, known),
    }
    if len(known.centers):
        guess = known._replace(radius=GUESS, steps=100_000)
        images |= {
            f"NumPy, radius {GUESS:g}": numpy(work, grid, guess),
            f"Numba, radius {GUESS:g}": plain_numba(work, grid, guess),
        }
    images |= pynamicalsys(work, grid, known)
    part = len(range(0, size**2, stride(size**2))) / size**2
    shares = {name: part for name in images if name.endswith("*")}
    timed = measure(images, shares, repeats)
    timed["samdyn.basins"] = timed["samdyn.basins"]._replace(first=first)
    kinds = ", ".join(
        f"{kind.item()} {share:.1%}"
        for kind, share in zip(found.attractor_kind, found.fraction.values, strict=True)
    )
    print(
        f"\n{work.title}: {kinds}; {int(found.steps.mean())} steps a point, {known.steps} at most"
    )
    print(
        f"  {'':32}{'first':>8}{'best':>9}{'median':>9}   beside samdyn.basins   labels that differ"
    )
    ours = min(timed["samdyn.basins"].runs)
    for name, (first, runs) in timed.items():
        differ = check(name, found.label.values, images[name]())
        compiled = f"{first:8.2f}" if name not in shares else f"{'':8}"
        print(
            f"  {name:32}{compiled}{min(runs):9.3f}{statistics.median(runs):9.3f}"
            f"{min(runs) / ours:11.3g} x{differ:22}",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--size", type=int, default=1000, help="points a side (default 1000)")
    parser.add_argument("--repeats", type=int, default=5, help="runs of each after the first")
    parser.add_argument("--only", default="", help="only work whose title contains this")
    options = parser.parse_args()
    numba.set_num_threads(THREADS)
    print(
        f"{platform.machine()}, {THREADS} threads, {options.size} x {options.size} points, seconds"
    )
    for work in ALL:
        if options.only in work.title:
            compare(work, options.size, options.repeats)
    try:
        import pynamicalsys  # noqa: F401

        print(f"\n* scaled up from {API_POINTS:,} of the points")
    except ImportError:
        print("\npynamicalsys is not installed, and left out")


if __name__ == "__main__":
    main()
