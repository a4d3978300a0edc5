"""Bifurcation diagrams: attractors followed along one number, there and back."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any

import numpy as np
import xarray as xr
from tqdm import tqdm

from samdyn.analysis.orbits.following import LONGEST, Found, followed
from samdyn.analysis.orbits.ladder import starts_of, values_of
from samdyn.ensembles.chunk import Chunk
from samdyn.ensembles.events import REASONS, Diverged
from samdyn.ensembles.execute import cores
from samdyn.ensembles.plan import Plan, make_plan
from samdyn.numbers import checked_number, checked_whole
from samdyn.readings.writer import LANES
from samdyn.systems.base import System

_DIRECTIONS = ("up", "down")
_DELAY, _LOOK = 1.0, 0.2
"""Seconds before a progress bar appears, and between two looks at whether the user interrupted."""


def bifurcation(
    system: System,
    name: str,
    values: Any,
    x0: Any,
    *,
    transient: int = 1000,
    samples: int = 64,
    directions: str | Sequence[str] = _DIRECTIONS,
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
    directions : str or sequence of str, default ("up", "down")
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
    ladder = values_of(system, name, values)
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
        starts_of(both, name, x0, ways),
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
    found = Found.empty(plan.axes.particles, len(ladder), samples, len(system.coordinates))
    stopped = threading.Event()
    chunks = list(plan.chunks())
    total = len(chunks) * len(ladder)
    bar = tqdm(total=total, unit=" values", disable=not progress, delay=_DELAY, leave=False)

    def work(piece: tuple[int, int, Chunk]) -> None:
        for _ in followed(plan, piece, name, routes, found, nudge, tolerance):
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


def _ways(directions: Any) -> tuple[str, ...]:
    ways = (directions,) if isinstance(directions, str) else tuple(directions)
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


def _dataset(
    system: System,
    name: str,
    ladder: np.ndarray,
    ways: tuple[str, ...],
    plan: Plan,
    found: Found,
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
