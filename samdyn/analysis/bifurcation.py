"""Bifurcation diagrams: attractors followed along one number, there and back."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any, NamedTuple

import numpy as np
import psutil
import xarray as xr
from tqdm import tqdm

from samdyn.ensembles.chunk import Chunk, run
from samdyn.ensembles.events import REASONS, Diverged
from samdyn.ensembles.execute import cores
from samdyn.ensembles.plan import Plan, make_plan
from samdyn.ensembles.points import checked_points
from samdyn.numbers import checked_number, checked_whole
from samdyn.readings.writer import LANES
from samdyn.systems.base import System

LONGEST = 64
"""The longest period that is looked for."""

_DIRECTIONS = ("up", "down")
_DELAY, _LOOK = 1.0, 0.2
"""Seconds before a progress bar appears, and between two looks at whether the user interrupted."""

_SHARE = 0.8
"""The part of the free memory that a result may take."""


def bifurcation(
    system: System,
    name: str,
    values: Any,
    x0: Any,
    *,
    transient: int = 1000,
    samples: int = 64,
    directions: Sequence[str] = _DIRECTIONS,
    nudge: float = 1e-6,
    tolerance: float = 1e-8,
    limit: float = 1e6,
    threads: int | None = None,
    progress: bool = True,
) -> xr.Dataset:
    """The attractors of a system against one of its numbers, followed from value to value.

    The run at each value begins where the one before it ended, velocities and all. So an
    attractor is followed until it disappears, and where two of them exist side by side the way up
    and the way down differ (hysteresis).

    Parameters
    ----------
    system : Map, Flow or FormulaMap
        Other numbers may be arrays: they become dimensions of the result.
    name : str
        The number to vary: a hyperparameter, a constant of the loss or the map, or ``dt``.
    values : array_like, shape (m,)
        Its values, at least two, increasing.
    x0 : array_like, shape (d,) or (n, d), or DataArray
        Where the first run of each direction begins: one point, or several that are followed at
        once. As in `samdyn.simulate`.
    transient : int, default 1000
        Steps at each value before the orbit is sampled.
    samples : int, default 64
        Steps that are sampled at each value.
    directions : sequence of str, default ("up", "down")
        ``"up"`` goes through the values as they stand, ``"down"`` from the last to the first.
    nudge : float, default 1e-6
        Where a value begins from the end of the one before, every coordinate x (and velocity) is
        moved by about this times 1 + |x|, always in the same direction. Otherwise a fixed point
        that is reached to the last digit would be kept when it has long become unstable.
    tolerance : float, default 1e-8
        An orbit closes if no coordinate x misses by more than this times 1 + |x|.
    limit : float, default 1e6
        A particle with a coordinate larger in size has diverged.
    threads : int, optional
        Default: as many as the process has processors. The result does not depend on it.
    progress : bool, default True
        Show a progress bar on runs longer than a second.

    Returns
    -------
    xarray.Dataset
        Dimensions ``direction``, the number's own name, other swept numbers and those of x0,
        ``sample`` and ``coord``. ``w`` (…, sample, coord) is the sampled orbit; ``period`` (…) the
        smallest number of steps, up to 64, after which the orbit closes, or 0 if there is none:
        it is chaotic, quasiperiodic, or has not come to rest within the transient; ``reason`` as
        in `samdyn.simulate`. At a value where a particle diverges its samples are NaN, and the
        next value begins from x0 again.

    Raises
    ------
    TypeError, ValueError
        If an argument is refused; one sentence says why and what would be right.
    MemoryError
        If the result would not fit in memory.

    Notes
    -----
    Beside a bifurcation orbits come to rest ever more slowly, and one that nears a fixed point
    from alternating sides closes after two steps before it does after one: there, take a longer
    transient before believing a period.

    Examples
    --------
    >>> import samdyn as sd
    >>> logistic = sd.FormulaMap({"x": "r*x*(1 - x)"}, r=3.0)
    >>> found = bifurcation(logistic, "r", [2.8, 3.2, 3.5], 0.3)
    >>> found.period.sel(direction="up").values
    array([1, 2, 4])
    """
    ladder = _values(system, name, values)
    ways = _ways(directions)
    transient = checked_whole("transient", transient, 0)
    samples = checked_whole("samples", samples, 1)
    nudge = _single("nudge", nudge, minimum=0.0)
    tolerance = _single("tolerance", tolerance, above=0.0)
    limit = _single("limit", limit, above=0.0)
    workers = cores() if threads is None else checked_whole("threads", threads, 1)
    routes = np.stack([ladder if way == "up" else ladder[::-1] for way in ways])
    # the directions are particles of one ensemble, each with its own value of the number
    both = system.replace(**{name: xr.DataArray(routes[:, 0], dims="direction")})
    seen = samples + LONGEST
    plan = make_plan(
        both,
        _starts(both, name, x0, len(ways)),
        transient + seen - 1,
        range(transient, transient + seen),
        Diverged(limit),
        {},
        0,
        True,
        None,
    )
    # a chunk is handed to its kernel once for each value: few large ones
    plan = plan._replace(chunk=max(LANES, -(-plan.axes.particles // workers)))
    found = _Found.empty(plan.axes.particles, len(ladder), samples, len(system.coordinates))
    stopped = threading.Event()
    chunks = list(plan.chunks())
    total = len(chunks) * len(ladder)
    bar = tqdm(total=total, unit=" values", disable=not progress, delay=_DELAY, leave=False)

    def work(piece: tuple[int, int, Chunk]) -> None:
        for _ in _followed(plan, piece, name, routes, found, nudge, tolerance):
            bar.update()
            if stopped.is_set():
                break

    with bar, ThreadPoolExecutor(workers) as pool:
        try:
            for future in [pool.submit(work, piece) for piece in chunks]:
                while not wait([future], _LOOK).done:
                    pass
                future.result()
        finally:
            stopped.set()  # after Ctrl-C nobody goes on
    return _dataset(system, name, ladder, ways, plan, found)


class _Found(NamedTuple):
    """What becomes of particles at each value, in the order of the values."""

    w: np.ndarray
    period: np.ndarray
    reason: np.ndarray

    @classmethod
    def empty(cls, particles: int, values: int, samples: int, d: int) -> _Found:
        needed = particles * values * (8 * samples * d + 9)
        free = psutil.virtual_memory().available
        if needed > _SHARE * free:
            raise MemoryError(
                f"{values} values with {samples} samples of {particles} particles take "
                f"{needed / 2**30:.1f} GiB, but {free / 2**30:.1f} GiB are free; take fewer samples"
            )
        return cls(
            np.full((particles, values, samples, d), np.nan),
            np.zeros((particles, values), np.int64),
            np.zeros((particles, values), np.int8),
        )


def _followed(
    plan: Plan,
    piece: tuple[int, int, Chunk],
    name: str,
    routes: np.ndarray,
    found: _Found,
    nudge: float,
    tolerance: float,
) -> Iterator[int]:
    """Take a chunk's particles along their routes, pausing after each value."""
    first, last, chunk = piece
    particles = np.arange(first, last)
    way = np.unravel_index(particles, plan.axes.shape)[plan.axes.dims.index("direction")]
    (leg,) = chunk.legs
    place = leg.layout.numbers.index(name)
    ladder = np.sort(routes[0])
    d, samples, start = found.w.shape[-1], found.w.shape[2], chunk.w
    aside = np.random.default_rng(0).uniform(0.5, 1.0, (len(start), 1))
    chunk = chunk._replace(loss=None)  # its values are not asked for
    for k in range(routes.shape[1]):
        here = routes[way, k]
        numbers = (*leg.numbers[:place], here, *leg.numbers[place + 1 :])
        outcome = run(chunk._replace(legs=(leg._replace(numbers=numbers),)))
        ended = outcome.code != 0
        orbit = np.where(ended, np.nan, outcome.record)
        at = np.searchsorted(ladder, here)
        found.w[particles, at] = np.moveaxis(orbit[:samples, :d], -1, 0)
        found.period[particles, at] = _periods(orbit, tolerance)
        found.reason[particles, at] = np.where(ended, REASONS.index("diverged"), 0)
        moved = outcome.z + nudge * aside * (1.0 + np.abs(outcome.z))
        chunk = chunk._replace(w=np.where(ended, start, moved))
        yield k


def _periods(orbit: np.ndarray, tolerance: float) -> np.ndarray:
    """The smallest period of each of n orbits of shape (times, rows, n), or 0."""
    period = np.zeros(orbit.shape[-1], np.int64)
    near = tolerance * (1.0 + np.abs(orbit))
    for p in range(1, LONGEST + 1):
        rest = np.flatnonzero(period == 0)
        if not len(rest):
            break
        # one miss is enough to rule a period out, so the first state is asked before all others
        rest = rest[np.all(np.abs(orbit[p] - orbit[0])[:, rest] <= near[0][:, rest], axis=0)]
        if not len(rest):
            continue
        missed = np.abs(orbit[p:, :, rest] - orbit[:-p, :, rest])
        period[rest[np.all(missed <= near[:-p, :, rest], axis=(0, 1))]] = p
    return period


def _values(system: System, name: str, values: Any) -> np.ndarray:
    """The values of the number, if the system has it and takes them."""
    if not isinstance(system, System):
        raise TypeError(
            f"system must be a samdyn.Map(loss, algorithm), a Flow or a FormulaMap, got {system!r}"
        )
    if len(system.phases) > 1:
        raise TypeError("system is a Switch, which is several maps; take one from .phases")
    if not isinstance(name, str):
        raise TypeError(f"name must be that of one of the system's numbers, got {name!r}")
    ladder = np.asarray(checked_number("values", values), float)
    if ladder.ndim != 1 or len(ladder) < 2:
        raise ValueError(f"values must be at least two values of {name}, got {values!r}")
    if np.any(np.diff(ladder) <= 0):
        raise ValueError(
            "values must increase; sort them (the way down is that of directions=('down',))"
        )
    if name in system.numbers:
        system.replace(**{name: ladder})  # which refuses what it must
        return ladder
    try:
        # momentum, while it is the plain number 0, is no number but can become one
        known = name in system.replace(**{name: ladder}).numbers
    except (TypeError, ValueError):
        known = False
    if not known:
        has = ", ".join(system.numbers) or "none"
        raise ValueError(f"name must be one of the system's numbers ({has}), got {name!r}")
    return ladder


def _ways(directions: Any) -> tuple[str, ...]:
    ways = tuple(directions)
    if not ways or len(set(ways)) < len(ways) or set(ways) - set(_DIRECTIONS):
        raise ValueError(
            f"directions must be ('up',), ('down',) or ('up', 'down'), got {directions!r}"
        )
    return ways


def _single(name: str, value: Any, **bounds: float) -> float:
    checked = checked_number(name, value, **bounds)
    if np.ndim(checked):
        raise ValueError(f"{name} must be one number, got {value!r}")
    return checked


def _starts(system: System, name: str, x0: Any, ways: int) -> xr.DataArray:
    """Whole initial states, once for each direction."""
    points = checked_points(x0, system.coordinates, system.rows)
    dims = [str(dim) for dim in points.dims if dim != "coord"]
    taken = {"direction", "sample", "period"}
    clash = (taken & {*dims, *system.numbers}) | ({name} & set(dims))
    if clash:
        raise ValueError(f"{min(clash)!r} is the name of something in the result; choose another")
    states = list(np.moveaxis(points.values, -1, 0))
    if len(states) < len(system.rows):
        states = system.start(states)
    whole = xr.DataArray(
        np.stack(states, axis=-1),
        dims=(*dims, "coord"),
        coords={dim: points[dim].values for dim in dims if dim in points.coords}
        | {"coord": list(system.rows)},
    )
    return whole.expand_dims(direction=ways)


def _dataset(
    system: System,
    name: str,
    ladder: np.ndarray,
    ways: tuple[str, ...],
    plan: Plan,
    found: _Found,
) -> xr.Dataset:
    axes = plan.axes
    dims = ("direction", name, *(dim for dim in axes.dims if dim != "direction"))

    def laid(values: np.ndarray, more: tuple[str, ...], about: dict[str, Any]) -> xr.DataArray:
        shaped = values.reshape(*axes.shape, *values.shape[1:])
        return xr.DataArray(shaped, dims=(*axes.dims, name, *more), attrs=about).transpose(
            *dims, *more
        )

    flags = {
        "long_name": "why the run ended",
        "flag_values": np.arange(len(REASONS), dtype=np.int8),
        "flag_meanings": " ".join(REASONS),
    }
    result = xr.Dataset(
        {
            "w": laid(found.w, ("sample", "coord"), {"long_name": "weights on the attractor"}),
            "period": laid(found.period, (), {"long_name": "period, or 0", "units": "step"}),
            "reason": laid(found.reason, (), flags),
        },
        coords={
            "direction": list(ways),
            name: ladder,
            "coord": list(system.coordinates),
            **{d: (d, v) for d, v in axes.coordinates.items() if d != "direction"},
        },
    )
    result.attrs = {"title": f"attractors of {system.title} against {name}", **system.about}
    return result
