"""Attractors followed from value to value: each run begins where the one before it ended."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from samdyn.ensembles.chunk import Chunk, run
from samdyn.ensembles.events import REASONS
from samdyn.ensembles.plan import Plan, refuse_too_large

LONGEST = 64
"""The longest period that is looked for."""


class Found(NamedTuple):
    """What becomes of particles at each value, in the order of the values."""

    w: np.ndarray
    period: np.ndarray
    reason: np.ndarray

    @classmethod
    def empty(cls, particles: int, values: int, samples: int, d: int) -> Found:
        """Room for the results, if there is memory for them."""
        refuse_too_large(
            particles * values * (8 * samples * d + 9),
            f"{values} values with {samples} samples of {particles} particles",
            "take fewer samples",
        )
        return cls(
            np.full((particles, values, samples, d), np.nan),
            np.zeros((particles, values), np.int64),
            np.zeros((particles, values), np.int8),
        )


def followed(
    plan: Plan,
    piece: tuple[int, int, Chunk],
    name: str,
    routes: np.ndarray,
    found: Found,
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
