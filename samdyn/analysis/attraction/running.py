"""Particles run until they are in a ball, with one kernel for whatever is asked of a system."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from samdyn.analysis.linear import Linear
from samdyn.ensembles.events import REASONS, Diverged, Event, Reached
from samdyn.ensembles.result import finished, whole_final, whole_path
from samdyn.ensembles.run import simulate

NOWHERE, GONE = -1, -2

_BALLS = (2, 6, 16, 64)
_FAR = 1e12

Ball = tuple[np.ndarray, float]
"""A state of shape (rows,) and a radius."""


class Running:
    """How particles of a map are run.

    Parameters
    ----------
    linear : Linear
        Of a map.
    region : ndarray, shape (…, rows)
        States that say how large the region under study is, ``scale``; 1e12 times further out a
        particle has diverged.
    **options
        ``threads`` and ``progress`` of `samdyn.simulate`.
    """

    def __init__(self, linear: Linear, region: np.ndarray, **options: Any):
        spread = np.ptp(region.reshape(-1, region.shape[-1]), axis=0)
        largest = float(np.max(np.abs(region)))
        self.linear, self.options = linear, options
        self.scale = float(np.linalg.norm(spread)) or 1.0 + largest
        self._far = _FAR * (1.0 + largest)

    def run(
        self, states: np.ndarray, steps: int, balls: Sequence[Ball] = ()
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The first ball that each state comes into, -1 for none and -2 if it diverged.

        Parameters
        ----------
        states : ndarray, shape (n, rows)
        steps : int
        balls : sequence of (state, radius)

        Returns
        -------
        which : ndarray of int, shape (n,)
        ends : ndarray, shape (n, rows)
        taken : ndarray of int, shape (n,)

        Raises
        ------
        KeyboardInterrupt
            If the run was interrupted.
        """
        which, ends, taken = np.full(len(states), NOWHERE), states, np.zeros(len(states), int)
        for first in range(0, max(len(balls), 1), _BALLS[-1]):
            left = np.flatnonzero(which == NOWHERE)
            if not len(left):
                break
            run = self._simulate(states[left], steps, balls[first : first + _BALLS[-1]])
            place, reason = run.which.values.reshape(-1), run.reason.values.reshape(-1)
            place = np.where(reason == REASONS.index("reached"), place + first, NOWHERE)
            which[left] = np.where(reason == REASONS.index("diverged"), GONE, place)
            ends = ends.copy()
            ends[left], taken[left] = (
                whole_final(run, self.linear.system),
                run.steps.values.reshape(-1),
            )
        return which, ends, taken

    def path(self, states: np.ndarray, steps: int) -> np.ndarray:
        """The states passed, of shape (steps + 1, n, rows); one that diverged stays there."""
        run = self._simulate(states, steps, (), record=1)
        return np.moveaxis(whole_path(run, self.linear.system), 1, 0)

    def _simulate(
        self, states: np.ndarray, steps: int, balls: Sequence[Ball], record: int | None = None
    ) -> xr.Dataset:
        until: list[Event] = [Reached(tuple(center), radius) for center, radius in balls]
        # kernels differ in how many balls they watch: a round number, the last ones out of reach
        size = next(size for size in _BALLS if size >= len(balls))
        nowhere = Reached((2.0 * self._far,) * self.linear.size, 1e-300)
        run = simulate(
            self.linear.system,
            xr.DataArray(
                states,
                dims=("particle", "coord"),
                coords={"coord": list(self.linear.system.rows)},
            ),
            steps,
            until=[*until, *[nowhere] * (size - len(until)), Diverged(self._far)],
            record=record,
            state=True,
            **self.options,
        )
        finished(run)
        return run
