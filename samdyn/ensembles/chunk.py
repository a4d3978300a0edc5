"""Chunks: self-contained pieces of work, plain data that any process can run."""

from __future__ import annotations

import hashlib
import pickle
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from samdyn.ensembles import store
from samdyn.ensembles.kernel import SUMS
from samdyn.program import Program
from samdyn.readings import kernels
from samdyn.readings.writer import LANES, Layout

_SLICE = 0.1
"""Seconds between two looks at whether to stop."""

_KEEP = 10.0
"""Seconds after which a chunk that goes into a store is kept again."""


class Leg(NamedTuple):
    """One kernel over a range of steps.

    ``numbers`` has one entry for each of ``layout.numbers``: a float or an array over particles;
    ``thresholds`` a float for each of ``layout.thresholds``.
    """

    source: str
    layout: Layout
    first: int
    stop: int
    numbers: tuple[float | np.ndarray, ...]
    thresholds: tuple[float, ...]


class Chunk(NamedTuple):
    """Particles to be taken through some legs.

    Attributes
    ----------
    w : ndarray, shape (d, n)
        Initial weights.
    steps : int
        The last step.
    times : ndarray of int64
        Steps at which the state is recorded.
    recorded : int
        How many leading rows of the state are recorded.
    reset : bool
        Whether vectors other than the weights go back to 0 where a leg begins.
    loss : Program
        The loss, for its values at recorded and final states.
    constants : tuple
        Its constants, as ``Leg.numbers``.
    """

    legs: tuple[Leg, ...]
    w: np.ndarray
    steps: int
    after: int
    times: np.ndarray
    recorded: int
    reset: bool
    loss: Program
    constants: tuple[float | np.ndarray, ...]

    @property
    def key(self) -> str:
        """A name made from all that determines the outcome."""
        return hashlib.sha256(pickle.dumps(tuple(self), protocol=5)).hexdigest()[:24]


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
    record : ndarray, shape (times, rows, n)
    record_loss : ndarray, shape (times, n)
    loss : ndarray, shape (n,)
    reached : int
        The step up to which the chunk was run; below ``Chunk.steps`` if it was stopped.
    """

    z: np.ndarray
    sums: np.ndarray
    code: np.ndarray
    ended: np.ndarray
    record: np.ndarray
    record_loss: np.ndarray
    loss: np.ndarray
    reached: int


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
    whole, part = (folder and folder / f"{chunk.key}.{kind}npz" for kind in ("", "part."))
    kept = store.load(whole)
    if kept is not None:
        watch.add(chunk.steps * chunk.w.shape[1])
        return Outcome(**kept | {"reached": int(kept["reached"])})
    outcome = _run(chunk, watch, part)
    if whole and part and outcome.reached >= chunk.steps:
        store.save(whole, outcome._asdict())
        part.unlink(missing_ok=True)
    return outcome


def _run(chunk: Chunk, watch: Watch, part: Path | None) -> Outcome:
    n = chunk.w.shape[1]
    record = np.full((len(chunk.times), -(-n // LANES), chunk.recorded * LANES), np.nan)
    layout = chunk.legs[0].layout
    d, rows = len(chunk.w), len(layout.state)
    z = np.zeros((rows, n))
    z[:d] = chunk.w
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
            if chunk.reset:
                z[d:] = 0.0
            table, first = _pack(leg, z, sums, code, ended), leg.first

        def keep(t: int, k: int = k, table: np.ndarray = table) -> None:
            if part:
                store.save(part, _Part(k, t, table, record)._asdict())

        finished, reached = _advance(leg, table, first, chunk, record, watch, keep)
        shaped = table.reshape(len(table), leg.layout.rows, LANES)
        flat = np.moveaxis(shaped, 1, 0).reshape(leg.layout.rows, -1)[:, :n]
        z, sums = flat[:rows].copy(), flat[rows : rows + len(sums)].copy()
        code, ended = flat[leg.layout.code].copy(), flat[leg.layout.ended].copy()
        ended[code == 0.0] = reached
        if not finished:
            break
    return _outcome(chunk, z, sums, code, ended, record, reached)


def _begun(part: Path | None) -> _Part | None:
    kept = store.load(part)
    return kept and _Part(**kept | {"leg": int(kept["leg"]), "t": int(kept["t"])})


def _fresh(name: str) -> float:
    """A sum before anything is counted."""
    return 0.0 if name == "count" else SUMS[name.rsplit("_", 1)[1]]


def _pack(
    leg: Leg, z: np.ndarray, sums: np.ndarray, code: np.ndarray, ended: np.ndarray
) -> np.ndarray:
    """The table of a leg, block by block."""
    n, layout = len(code), leg.layout
    blocks = -(-n // LANES)
    table = np.zeros((layout.rows, blocks * LANES))
    kept = len(z) + len(sums)
    table[: len(z), :n] = z
    table[len(z) : kept, :n] = sums
    for row, number in enumerate(leg.numbers, start=kept):
        table[row, :n] = number
    table[layout.code, :n] = code
    table[layout.code, n:] = 1.0  # lanes that no particle fills are done before they begin
    table[layout.ended, :n] = ended
    shaped = np.moveaxis(table.reshape(layout.rows, blocks, LANES), 0, 1)
    return np.ascontiguousarray(shaped).reshape(blocks, -1)


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
    t, stride, shared = first, 1024, np.array(leg.thresholds)
    kept = time.perf_counter()
    codes = table.reshape(len(table), leg.layout.rows, LANES)[:, leg.layout.code]
    while t < stop:
        stopped = watch.stopped.is_set()
        if stopped or time.perf_counter() - kept > _KEEP:
            keep(t)
            kept = time.perf_counter()
        if stopped:
            return False, t
        if np.all(codes != 0.0):
            stride = stop - t  # nobody moves: what is left is to fill the records
        until = min(t + stride, stop)
        here = slice(*np.searchsorted(chunk.times, [t, until]))
        began = time.perf_counter()
        advance(table, shared, t, until, leg.stop, chunk.after, chunk.times[here], record[here])
        spent = max(time.perf_counter() - began, 1e-6)
        stride = int(max(64, min(stride * _SLICE / spent, 4 * stride)))
        watch.add((min(until, leg.stop) - t) * chunk.w.shape[1])
        t = until
    return True, leg.stop


def _outcome(
    chunk: Chunk,
    z: np.ndarray,
    sums: np.ndarray,
    code: np.ndarray,
    ended: np.ndarray,
    record: np.ndarray,
    reached: int,
) -> Outcome:
    n, d = chunk.w.shape[1], len(chunk.w)
    shaped = record.reshape(*record.shape[:2], chunk.recorded, LANES)
    states = np.moveaxis(shaped, 2, 1).reshape(
        len(record), chunk.recorded, record.shape[1] * LANES
    )[..., :n]

    def loss(w: np.ndarray) -> np.ndarray:
        with np.errstate(all="ignore"):
            return np.broadcast_to(chunk.loss(*w, *chunk.constants)[0], w.shape[1:])

    losses = [loss(state[:d]) for state in states]
    return Outcome(
        z=z,
        sums=sums,
        code=code.astype(np.int8),
        ended=ended.astype(np.int64),
        record=states,
        record_loss=np.array(losses).reshape(len(chunk.times), n),
        loss=np.array(loss(z[:d])),
        reached=reached,
    )
