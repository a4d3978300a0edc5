"""A run before it is run: checked, broadcast, traced and cut into chunks."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import psutil
import sympy
import xarray as xr

from samdyn.ensembles.axes import RESERVED, Axes, lay_out
from samdyn.ensembles.chunk import Chunk, Leg
from samdyn.ensembles.events import Event, checked_events
from samdyn.ensembles.kernel import SUMS
from samdyn.ensembles.marks import Marks
from samdyn.ensembles.moment import read_formula
from samdyn.ensembles.phases import Act, acting, acts
from samdyn.ensembles.points import checked_points
from samdyn.losses.formula import FormulaError, check_name
from samdyn.numbers import checked_whole
from samdyn.random import checked_seed, keys
from samdyn.readings import kernels
from samdyn.systems.base import System, checked_system

_LARGEST_CHUNK = 16_384
_MOST_STEPS = 2**62

_SHARE = 0.8
"""The part of the free memory that a result may take."""


class Plan(NamedTuple):
    """All that a run needs.

    Attributes
    ----------
    events : tuple of Event
        The first ``watched`` are the user's, in order.
    vectors : tuple of str
        The vectors of the state besides the weights that are kept in the result.
    times : ndarray or None
        Steps at which the state is recorded.
    streams : (dimensions, ndarray of int)
        The number of each particle's random stream.
    """

    system: System
    points: xr.DataArray
    steps: int
    after: int
    times: np.ndarray | None
    events: tuple[Event, ...]
    watched: int
    statistics: dict[str, sympy.Expr]
    acts: tuple[Act, ...]
    marks: Marks
    axes: Axes
    vectors: tuple[str, ...]
    chunk: int
    seed: int
    streams: tuple[tuple[str, ...], np.ndarray]

    @property
    def kept(self) -> int:
        """Scalars of the state that are kept."""
        return len(self.system.coordinates) * (1 + len(self.vectors))

    @property
    def sums(self) -> int:
        """Running sums of each particle."""
        return len(self.acts[0].kernel.layout.sums)

    @property
    def recorded(self) -> int:
        """How many times the state is recorded."""
        return 0 if self.times is None else len(self.times)

    def chunks(self) -> Iterator[tuple[int, int, Chunk]]:
        """The particles' numbers from first to last, and the work on them."""
        for first in range(0, self.axes.particles, self.chunk):
            last = min(first + self.chunk, self.axes.particles)
            yield first, last, self._chunk(first, last)

    def _chunk(self, first: int, last: int) -> Chunk:
        def take(prefix: Any, names: Any) -> list[Any]:
            return [self.axes.take(f"{prefix}:{name}", first, last) for name in names]

        known = [str(name) for name in self.points["coord"].values]
        w = np.array([np.broadcast_to(x, last - first) for x in take("x0", known)])
        loss = self.system.loss
        return Chunk(
            legs=tuple(
                Leg(
                    act.source,
                    act.kernel.layout,
                    act.first,
                    act.stop,
                    tuple(self.axes.take(name, first, last) for name in act.numbers),
                    tuple(act.kernel.thresholds.values()),
                    np.empty((0, 0)) if batches is None else batches.table.copy(),
                    tuple(act.sets.items()),
                    tuple(act.copies.items()),
                )
                for act in self.acts
                for batches in (act.system.minibatches,)
            ),
            w=w,
            coordinates=len(self.system.coordinates),
            steps=self.steps,
            after=self.after,
            times=np.array([] if self.times is None else self.times, np.int64),
            recorded=self.kept,
            loss=loss.program(0) if loss else None,
            constants=tuple(take(0, loss.constants)) if loss else (),
            keys=self._keys(first, last),
        )

    @property
    def random(self) -> bool:
        """Whether the run draws anything."""
        return any(act.kernel.layout.random for act in self.acts)

    def _keys(self, first: int, last: int) -> np.ndarray:
        if not self.random:
            return np.zeros((2, last - first), np.uint64)
        dims, streams = self.streams
        place = (
            dict(
                zip(
                    self.axes.dims,
                    np.unravel_index(np.arange(first, last), self.axes.shape),
                    strict=True,
                )
            )
            if self.axes.dims
            else {}
        )
        chosen = streams[tuple(place[dim] for dim in dims)]
        return keys(self.seed, np.broadcast_to(chosen, last - first))


def make_plan(
    system: System,
    x0: Any,
    steps: int,
    record: int | Sequence[int] | np.ndarray | None,
    until: Event | Sequence[Event],
    statistics: Mapping[str, str],
    after: int,
    state: bool,
    chunk: int | None,
    seed: int = 0,
    common_noise: bool = False,
    streams: xr.DataArray | None = None,
) -> Plan:
    """Check a request and lay it out; see `samdyn.simulate` for the arguments and refusals."""
    checked_system(system)
    steps = checked_whole("steps", steps, 0)
    if steps > _MOST_STEPS:
        raise ValueError(f"steps must be at most {_MOST_STEPS}, got {steps}")
    after = checked_whole("after", after, 0)
    if statistics and after > steps:
        raise ValueError(f"statistics would begin after step {after}, but the run ends at {steps}")
    if not isinstance(state, bool):
        raise TypeError(f"state must be True or False, got {state!r}")
    if not isinstance(statistics, Mapping):
        raise TypeError(
            f"statistics must map names to formulas, as in {{'r2': 'x**2 + y**2'}}; got "
            f"{statistics!r}"
        )
    seed = checked_seed(seed)
    if not isinstance(common_noise, bool):
        raise TypeError(f"common_noise must be True or False, got {common_noise!r}")
    times = _times(record, steps)
    events, watched = checked_events(until)
    formulas = {
        _statistic_name(name, system): read_formula(text, system, f"statistic {name}")
        for name, text in statistics.items()
    }
    phases = acting(system, steps)
    vectors = tuple(dict.fromkeys(name for phase in phases for name in phase.system.vectors))
    rows = system.coordinates + tuple(f"{v}_{x}" for v in vectors for x in system.coordinates)
    points = checked_points(x0, system.coordinates, rows)
    axes = lay_out(
        {p.named(name): value for p in phases for name, value in p.system.numbers.items()},
        points,
        tuple(str(name) for name in points["coord"].values),
    )
    if points.sizes["coord"] > len(system.coordinates) and "row" in axes.dims:
        raise ValueError(
            "a result that begins at whole states has a dimension 'row' of its own; choose "
            "another name, or give the coordinates alone"
        )
    for name in vectors:
        if name in RESERVED | set(axes.dims) or f"final_{name}" in RESERVED:
            raise ValueError(
                f"a vector of the algorithm is called {name!r}, which the result has for "
                "something else; choose another name"
            )
    kept = len(rows) if state else len(system.coordinates)
    sums = (1 + len(SUMS) * len(formulas)) if formulas else 0
    _refuse_too_many(axes.particles, 0 if times is None else len(times), kept, sums)
    marks = Marks(
        system.coordinates, rows[len(system.coordinates) :], len(system.phases), system.resets
    )
    made = acts(phases, steps, events, formulas, rows, marks)
    for act in made:
        kernels.load(act.source)
    return Plan(
        system=system,
        points=points,
        steps=steps,
        after=after,
        times=None if times is None else np.array(times, np.int64),
        events=events,
        watched=watched,
        statistics=formulas,
        acts=made,
        marks=marks,
        axes=axes,
        vectors=vectors if state else (),
        chunk=_chunk_size(chunk, axes.particles),
        seed=seed,
        streams=_streams(axes, points, common_noise) if streams is None else _given(streams, axes),
    )


def _streams(
    axes: Axes, points: xr.DataArray, common_noise: bool
) -> tuple[tuple[str, ...], np.ndarray]:
    """The number of each particle's stream: its place in the result, or among the points."""
    starts = tuple(dim for dim in axes.dims if dim in points.dims)
    dims = starts if common_noise else axes.dims
    shape = tuple(axes.sizes[dim] for dim in dims)
    return dims, np.arange(math.prod(shape)).reshape(shape)


def _given(streams: Any, axes: Axes) -> tuple[tuple[str, ...], np.ndarray]:
    """The streams that the user asks for."""
    if not isinstance(streams, xr.DataArray):
        raise TypeError(
            "streams must be a DataArray of stream numbers, such as a result's coordinate stream; "
            f"got {streams!r}"
        )
    sizes = {str(dim): size for dim, size in streams.sizes.items()}
    if any(axes.sizes.get(dim) != size for dim, size in sizes.items()):
        raise ValueError(f"streams has the sizes {sizes}, but the particles have {axes.sizes}")
    if not np.issubdtype(streams.dtype, np.integer) or np.any(streams.values < 0):
        raise ValueError(f"streams must be whole numbers from 0 on, got {streams.values}")
    return tuple(sizes), streams.values


def _times(record: Any, steps: int) -> Sequence[int] | np.ndarray | None:
    if record is None:
        return None
    if isinstance(record, range):  # not to be laid out before it is known to fit in memory
        ends = sorted((record[0], record[-1])) if record else []
        increasing = record.step > 0
    elif np.ndim(record) == 0:
        return range(0, steps + 1, checked_whole("record", record, 1))
    else:
        times = np.asarray(record)
        whole = times.ndim == 1 and times.size > 0 and np.issubdtype(times.dtype, np.integer)
        ends = [times.min(), times.max()] if whole else []
        increasing = whole and bool(np.all(np.diff(times) > 0))
    if not ends:
        raise ValueError(f"record must be a whole number or a sequence of steps, got {record!r}")
    if ends[0] < 0 or ends[1] > steps:
        worst = ends[0] if ends[0] < 0 else ends[1]
        raise ValueError(f"record asks for step {worst}, but the run goes from 0 to {steps}")
    if not increasing:
        raise ValueError("record must be increasing steps, each once")
    return record if isinstance(record, range) else times.astype(np.int64)


def _statistic_name(name: str, system: System) -> str:
    check_name(name)
    if name in (*system.coordinates, "loss", "grad_norm", "final", "w"):
        raise FormulaError(f"statistic {name!r} has the name of something else; choose another")
    return name


def _chunk_size(chunk: int | None, count: int) -> int:
    if chunk is not None:
        return checked_whole("chunk", chunk, 1)
    # enough chunks to share out evenly, by a rule that knows no number of threads: a store
    # must find the same chunks again on another machine
    even = -(-count // 32)
    return min(_LARGEST_CHUNK, max(64, -(-even // 64) * 64))


def refuse_too_large(needed: int, what: str, remedy: str) -> None:
    """Refuse what would take more than 80 % of the free memory.

    Parameters
    ----------
    needed : int
        Bytes.
    what : str
        What the result is of, such as "3 particles with 10 recorded steps".
    remedy : str
        What the user may do instead.

    Raises
    ------
    MemoryError
        If it would not fit.
    """
    free = psutil.virtual_memory().available
    if needed > _SHARE * free:
        raise MemoryError(
            f"the result of {what} takes {needed / 2**30:.1f} GiB, but {free / 2**30:.1f} GiB are "
            f"free; {remedy}"
        )


def _refuse_too_many(count: int, times: int, rows: int, sums: int) -> None:
    # a chunk holds its share of the records until it is gathered
    needed = count * (8 * (2 * times * (rows + 1) + rows + 1 + sums) + 8 + 2)
    remedy = "record fewer steps (record=)" if times > 1 else "run fewer particles at a time"
    refuse_too_large(needed, f"{count} particles with {times} recorded steps", remedy)
