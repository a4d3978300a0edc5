"""Chunks: self-contained pieces of work, plain data that any process can run."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from samdyn.ensembles import store
from samdyn.ensembles.kernel import SUMS
from samdyn.ensembles.packing import Packed, by_row
from samdyn.program import Program
from samdyn.readings import kernels
from samdyn.readings.lines import LANES
from samdyn.readings.writer import Layout

_SLICE = 0.1
"""Seconds between two looks at whether to stop."""

_STRIDE = 1024
"""Steps of the first slice; how long it took says how many the next may have."""

_AT_ONCE = 2**20
"""Numbers that are held at once while records are taken and losses computed."""

_KEEP = 10.0
"""Seconds after which a chunk that goes into a store is kept again."""


class Leg(NamedTuple):
    """One kernel over a range of steps.

    ``numbers`` has one entry for each of ``layout.numbers``: a float or an array over particles;
    ``thresholds`` a float for each of ``layout.thresholds``; ``data`` the samples of a finite sum.
    Where the leg begins, ``sets`` says which rows of the state get which number, and ``copies``
    which get what another row holds.
    """

    source: str
    layout: Layout
    first: int
    stop: int
    numbers: tuple[float | np.ndarray, ...]
    thresholds: tuple[float, ...]
    data: np.ndarray
    sets: tuple[tuple[str, float], ...] = ()
    copies: tuple[tuple[str, str], ...] = ()

    def open(self, z: np.ndarray, running: np.ndarray) -> None:
        """Make the state ready for the leg, for particles that still run."""
        row = self.layout.state.index
        for name, value in self.sets:
            z[row(name), running] = value
        for name, other in self.copies:
            z[row(name), running] = z[row(other), running]

    @property
    def most(self) -> int:
        """The largest batch."""
        if not self.layout.batches:
            return 0
        return int(np.max(self.numbers[self.layout.numbers.index("batch_size")]))

    @property
    def named(self) -> Leg:
        """The leg with its kernel's key in place of the source."""
        return self._replace(source=kernels.key(self.source))


class Chunk(NamedTuple):
    """Particles to be taken through some legs.

    Attributes
    ----------
    w : ndarray, shape (k, n)
        Initial values of the leading k scalars of the state; the others begin at 0.
    coordinates : int
        How many leading scalars are the weights.
    steps : int
        The last step.
    times : ndarray of int64
        Steps at which the state is recorded.
    recorded : int
        How many leading rows of the state are recorded.
    loss : Program or None
        The loss, for its values at recorded and final states.
    constants : tuple
        Its constants, as ``Leg.numbers``.
    keys : ndarray of uint64, shape (2, n)
        The keys of the particles' random streams.
    """

    legs: tuple[Leg, ...]
    w: np.ndarray
    coordinates: int
    steps: int
    after: int
    times: np.ndarray
    recorded: int
    loss: Program | None
    constants: tuple[float | np.ndarray, ...]
    keys: np.ndarray

    @property
    def key(self) -> str:
        """A name made from all that determines the outcome."""
        digest = hashlib.sha256()
        _feed(digest, self._replace(legs=tuple(leg.named for leg in self.legs)))
        return digest.hexdigest()[:24]


class Outcome(NamedTuple):
    """What became of a chunk's n particles.

    Attributes
    ----------
    z : ndarray, shape (rows, n)
        The final state.
    sums : ndarray, shape (sums, n)
    code : ndarray of int8, shape (n,)
        0, or 1 + the number of the event that ended the run.
    ended : ndarray of int64, shape (n,)
        Steps taken.
    record : ndarray, shape (times, recorded, n)
    record_loss : ndarray, shape (times, n)
    loss : ndarray, shape (n,)
    finished : bool
        False if the chunk was stopped on the way.
    """

    z: np.ndarray
    sums: np.ndarray
    code: np.ndarray
    ended: np.ndarray
    record: np.ndarray
    record_loss: np.ndarray
    loss: np.ndarray
    finished: bool


class Watch:
    """What the calling thread and the chunks in its threads tell each other."""

    def __init__(self) -> None:
        self.stopped = threading.Event()
        self._steps = 0
        self._lock = threading.Lock()

    def add(self, steps: int) -> None:
        """Count particle-steps that are done."""
        with self._lock:
            self._steps += steps

    def take(self) -> int:
        """The particle-steps counted since the last call."""
        with self._lock:
            steps, self._steps = self._steps, 0
        return steps


class _Part(NamedTuple):
    """A chunk under way: at step ``t`` of a leg, with that leg's table."""

    leg: int
    t: int
    table: np.ndarray
    record: np.ndarray


def run(chunk: Chunk, watch: Watch | None = None, folder: Path | None = None) -> Outcome:
    """Run a chunk to its end, or until the watch is stopped.

    With a folder the outcome is kept there, and a chunk that was stopped goes on from where it
    was.
    """
    watch = watch or Watch()
    whole = folder / f"{chunk.key}.npz" if folder else None
    part = whole.with_suffix(".part.npz") if whole else None
    kept = store.load(whole)
    if kept is not None:
        watch.add(chunk.steps * chunk.w.shape[1])
        return Outcome(**kept | {"finished": True})  # type: ignore[arg-type]
    outcome = _run(chunk, watch, part)
    if whole and part and outcome.finished:
        store.save(whole, outcome._asdict())
        part.unlink(missing_ok=True)
    return outcome


def _run(chunk: Chunk, watch: Watch, part: Path | None) -> Outcome:
    n = chunk.w.shape[1]
    record = np.full((len(chunk.times), chunk.recorded, n), np.nan)
    layout = chunk.legs[0].layout
    d, rows = chunk.coordinates, len(layout.state)
    z = np.zeros((rows, n))
    z[: len(chunk.w)] = chunk.w
    sums = np.array([[_fresh(name)] * n for name in layout.sums]).reshape(-1, n)
    code, ended = np.zeros(n), np.zeros(n)
    begun = _begun(part)
    if begun:
        record = begun.record
        watch.add(begun.t * n)
    for k, leg in enumerate(chunk.legs):
        if begun and k < begun.leg:
            continue
        if begun and k == begun.leg:
            table, first = begun.table, begun.t
        else:
            leg.open(z, code == 0.0)
            table, first = _table(leg, z, sums, code, ended), leg.first

        def keep(t: int, k: int = k, table: np.ndarray = table) -> None:
            if part:
                store.save(part, _Part(k, t, table, record)._asdict())

        finished, reached = _advance(leg, table, first, chunk, record, watch, keep)
        z, sums = table[:rows].copy(), table[rows : rows + len(sums)].copy()
        code, ended = table[leg.layout.code].copy(), table[leg.layout.ended].copy()
        ended[code == 0.0] = reached
        if not finished:
            break
    return Outcome(
        z=z,
        sums=sums,
        code=code.astype(np.int8),
        ended=ended.astype(np.int64),
        record=record,
        record_loss=_losses(chunk, record[:, :d]),
        loss=_losses(chunk, z[None, :d])[0],
        finished=finished,
    )


def _begun(part: Path | None) -> _Part | None:
    kept = store.load(part)
    if kept is None:
        return None
    return _Part(int(kept["leg"]), int(kept["t"]), kept["table"], kept["record"])


def _feed(digest: Any, value: Any) -> None:
    """Hash numbers and texts by what they say, not by how they are stored."""
    if isinstance(value, np.ndarray):
        digest.update(f"{value.dtype.str}{value.shape}".encode())
        digest.update(np.ascontiguousarray(value).tobytes())
    elif isinstance(value, tuple):
        digest.update(f"({len(value)}".encode())
        for entry in value:
            _feed(digest, entry)
    else:
        digest.update(f"{type(value).__name__} {value!r}".encode())


def _fresh(name: str) -> float:
    """A sum before anything is counted."""
    return 0.0 if name == "count" else SUMS[name.rsplit("_", 1)[1]]


def _table(
    leg: Leg, z: np.ndarray, sums: np.ndarray, code: np.ndarray, ended: np.ndarray
) -> np.ndarray:
    """All quantities of a leg, a row each, over the particles."""
    layout = leg.layout
    table = np.zeros((layout.rows, len(code)))
    kept = len(z) + len(sums)
    table[: len(z)] = z
    table[len(z) : kept] = sums
    for row, number in enumerate(leg.numbers, start=kept):
        table[row] = number
    table[layout.code], table[layout.ended] = code, ended
    return table


def _advance(
    leg: Leg,
    table: np.ndarray,
    first: int,
    chunk: Chunk,
    record: np.ndarray,
    watch: Watch,
    keep: Callable[[int], None],
) -> tuple[bool, int]:
    """Take the table through the leg in slices of time; whether it ended, and the step reached."""
    advance = kernels.load(leg.source)
    # the very last state is looked at, not moved
    stop = leg.stop + 1 if leg.stop == chunk.steps else leg.stop
    t, stride, shared = first, _STRIDE, np.array(leg.thresholds)
    packed = Packed(table, chunk.keys, leg.layout.code)
    kept = time.perf_counter()
    n, recorded = chunk.w.shape[1], chunk.recorded
    while t < stop:
        stopped = watch.stopped.is_set()
        if stopped or time.perf_counter() - kept > _KEEP:
            packed.unpack()
            keep(t)
            kept = time.perf_counter()
        if stopped:
            return False, min(t, leg.stop)
        packed = packed.repacked()
        blocks = len(packed.blocks)
        if not blocks:
            stride = stop - t  # nobody moves: what is left is to fill the records
        until = min(t + stride, stop)
        low, high = np.searchsorted(chunk.times, [t, until])
        room = max(1, _AT_ONCE // (max(blocks, 1) * recorded * LANES))
        if blocks and high - low > room:
            high = low + room
            until = int(chunk.times[high])
        began = time.perf_counter()
        times = chunk.times[low:high]
        rows = np.empty((high - low if blocks else 0, blocks, recorded * LANES))
        drawn = packed.keys, leg.data, leg.most
        if blocks:
            advance(packed.blocks, shared, *drawn, t, until, leg.stop, chunk.after, times, rows)
        if high > low:
            if len(packed.index) < n:  # who has ended stays where they are
                record[low:high] = table[:recorded]
            if blocks:
                lanes = by_row(rows, recorded)
                record[low:high][..., packed.index] = lanes[..., : len(packed.index)]
        spent = max(time.perf_counter() - began, 1e-6)
        stride = int(max(64, min(stride * _SLICE / spent, 4 * stride)))
        watch.add((min(until, leg.stop) - t) * n)
        t = until
    packed.unpack()
    return True, leg.stop


def _losses(chunk: Chunk, states: np.ndarray) -> np.ndarray:
    """The loss at states of shape (times, d, n), as an array of shape (times, n)."""
    times, _, n = states.shape
    losses = np.full((times, n), np.nan)
    if chunk.loss is None:
        return losses
    block = max(1, _AT_ONCE // n)
    with np.errstate(all="ignore"):
        for k in range(0, times, block):
            w = np.moveaxis(states[k : k + block], 1, 0)
            losses[k : k + block] = chunk.loss(*w, *chunk.constants)[0]
    return losses
