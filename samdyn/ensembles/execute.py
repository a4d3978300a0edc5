"""Carrying chunks out: threads or any executor, progress, interruption, a store to resume from."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import (
    FIRST_COMPLETED,
    Executor,
    Future,
    ThreadPoolExecutor,
    wait,
)
from contextlib import suppress
from pathlib import Path

from tqdm import tqdm

from samdyn.ensembles.chunk import Chunk, Outcome, Watch, run

_DELAY = 1.0
"""Seconds before a progress bar appears: short runs show none."""

_LOOK = 0.2
"""Seconds between two looks at whether the user interrupted."""

_FOREIGN = 256
"""Chunks handed at once to an executor whose number of workers is not known."""


def cores() -> int:
    """The processors this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:
        return os.cpu_count() or 1


def execute(
    chunks: Iterator[tuple[int, int, Chunk]],
    total: int,
    collect: Callable[[int, int, Outcome], None],
    *,
    threads: int | None,
    executor: Executor | None,
    progress: bool,
    store: Path | None,
) -> bool:
    """Run chunks and hand each outcome to ``collect``.

    Parameters
    ----------
    chunks : iterator of (first, last, Chunk)
        The particles a chunk holds, and the chunk. Taken only as fast as they are worked off.
    store : Path or None
        Where chunks are kept.
    total : int
        Particle-steps in all, for the progress bar.
    collect : callable
        Called in the calling thread with (first, last, outcome).

    Returns
    -------
    bool
        False if the user interrupted: then running chunks hand in what they have.
    """
    workers = threads or cores()
    room = 2 * workers if executor is None else max(2 * workers, _FOREIGN)
    watch = Watch()
    own = ThreadPoolExecutor(workers) if executor is None else None
    pool: Executor = own or executor  # type: ignore[assignment]
    waiting: dict[Future, tuple[int, int, Chunk]] = {}
    bar = tqdm(
        total=total,
        unit=" particle-steps",
        unit_scale=True,
        disable=not progress,
        delay=_DELAY,
        leave=False,
    )

    def submit() -> bool:
        for first, last, chunk in chunks:
            # a watch cannot travel to another process
            future = pool.submit(run, chunk, watch if own else None, store)
            waiting[future] = (first, last, chunk)
            return True
        return False

    def harvest(future: Future) -> None:
        first, last, chunk = waiting.pop(future)
        outcome = future.result()
        collect(first, last, outcome)
        if own is None:  # threads of ours count as they go
            watch.add((last - first) * chunk.steps)

    def work() -> None:
        while len(waiting) < room and submit():
            pass
        while waiting:
            for future in wait(waiting, _LOOK, FIRST_COMPLETED).done:
                harvest(future)
                submit()
            bar.update(watch.take())

    try:
        work()
        return True
    except KeyboardInterrupt:
        watch.stopped.set()
        for future in [future for future in waiting if future.cancel()]:
            waiting.pop(future)
        for future in list(waiting):
            # a worker process may have been interrupted too; what it had is lost
            with suppress(KeyboardInterrupt):
                harvest(future)
        return False
    finally:
        watch.stopped.set()
        bar.close()
        if own:
            own.shutdown()
