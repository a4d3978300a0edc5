"""The cells of a phase diagram: what one initial point does at given values of two numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from samdyn.analysis.linear import Linear
from samdyn.analysis.orbits.lyapunov import lyapunov
from samdyn.ensembles.events import REASONS, Diverged, Escape
from samdyn.ensembles.points import checked_points
from samdyn.ensembles.result import finished, whole_final, whole_path
from samdyn.ensembles.run import simulate
from samdyn.numbers import checked_number, checked_whole
from samdyn.systems.base import System

LABELS = ("converges", "cycle", "trapped", "escapes", "chaotic", "diverges", "undecided")
"""What a cell may do; the label is the place in this list."""

_CONVERGES, _CYCLE, _TRAPPED, _ESCAPES, _CHAOTIC, _DIVERGES, _UNDECIDED = range(len(LABELS))
_LONGEST = 64
_FAR = 1e12


class Cells:
    """The cells of a diagram: what is run at given values of the two numbers."""

    def __init__(
        self,
        system: System,
        numbers: Mapping[str, Any],
        x0: Any,
        about: Sequence[float] | None,
        radius: float | None,
        steps: int,
        threads: int | None,
        progress: bool,
    ):
        if not isinstance(numbers, Mapping) or len(numbers) != 2:
            raise ValueError(
                "numbers must be two names with their values, as {'lr': [...], 'rho': [...]}, got "
                f"{numbers!r}"
            )
        self.names = tuple(numbers)
        self.axes = [_increasing(name, values) for name, values in numbers.items()]
        self.system = system
        # the last values: at 0 a momentum has no velocity
        last = {name: float(axis[-1]) for name, axis in zip(self.names, self.axes, strict=True)}
        self.linear = Linear(system.replace(**last) if isinstance(system, System) else system)
        self.steps = checked_whole("steps", steps, 1)
        self.options: dict[str, Any] = {"threads": threads, "progress": progress}
        rows = self.linear.system.rows
        self.start = self.linear.states(
            checked_points(x0, self.linear.system.coordinates, rows).values, "x0"
        )
        if self.start.ndim != 1:
            raise ValueError(f"x0 must be one point, got shape {self.start.shape}")
        if (about is None) != (radius is None):
            raise ValueError("about and radius go together: the saddle, and how far is escaped")
        self.center = None if about is None else self.linear.states(about, "about")
        self.radius = None if radius is None else checked_number("radius", radius, above=0.0)
        if self.center is not None and self._away(self.start[None])[0] >= self.radius:
            raise ValueError(f"x0 must be within radius {radius} of about, else it has escaped")

    def evaluate(self, values: np.ndarray) -> tuple[np.ndarray, ...]:
        """Label, rate, period and steps at values of the two numbers, of shape (n, 2)."""
        n = len(values)
        label, rate = np.full(n, _UNDECIDED), np.full(n, np.nan)
        period = np.zeros(n, int)
        run = self._run(values, np.broadcast_to(self.start, (n, len(self.start))), self.steps)
        finished(run)
        end, taken = (
            whole_final(run, self.linear.system).reshape(n, -1),
            run.steps.values.reshape(n),
        )
        reason = run.reason.values.reshape(n)
        escaped = reason == REASONS.index("escaped")
        diverged = reason == REASONS.index("diverged")
        label[escaped], label[diverged] = _ESCAPES, _DIVERGES
        gone = (escaped | diverged) & (taken > 0)
        if self.center is not None:
            with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
                grown = np.log(self._away(end[gone]) / self._away(self.start[None]))
            rate[gone] = grown / (taken[gone] * self.linear.system.duration)
        left = np.flatnonzero(reason == 0)
        if len(left):
            label[left], rate[left], period[left] = self._settled(values[left], end[left])
        return label, rate, period, taken

    def _settled(self, values: np.ndarray, states: np.ndarray) -> tuple[np.ndarray, ...]:
        """What particles do that are still there after all steps."""
        more = max(self.steps // 4, 4 * _LONGEST)
        found = lyapunov(
            self._at(values), self._points(states), more, after=more, k=1, **self.options
        )
        with np.errstate(over="ignore", invalid="ignore"):  # some leave for good meanwhile
            return self._judged(values, states, found)

    def _judged(
        self, values: np.ndarray, states: np.ndarray, found: xr.Dataset
    ) -> tuple[np.ndarray, ...]:
        """Label, rate and period by the exponents and by sixty-four steps more."""
        n = len(values)
        rate = found.exponents.values.reshape(n)
        error = found.standard_error.values.reshape(n)
        ends = np.where(np.isfinite(found.final.values), found.final.values, states)
        path = self._run(values, ends, _LONGEST, record=1)
        track = whole_path(path, self.linear.system).reshape(n, _LONGEST + 1, -1)
        gaps = np.linalg.norm(track[:, 1:] - track[:, :1], axis=-1)
        gaps = np.where(np.isfinite(gaps), gaps, np.inf)
        size = 1e-3 + np.linalg.norm(track[:, 0], axis=-1)
        extent = np.max(gaps, axis=1)
        closed = gaps <= np.maximum(1e-7 * extent, 1e-11 * size)[:, None]
        period = np.where(closed.any(axis=1), np.argmax(closed, axis=1) + 1, 0)
        # a slow approach or departure: each step is a small part of the way of sixty-four
        longest = np.max(np.linalg.norm(np.diff(track, axis=1), axis=-1), axis=1)
        drifting = (period == 0) & (longest <= 0.1 * extent)
        down = ~(rate > 4 * error + 1e-9)
        label = np.full(n, _UNDECIDED)
        label[(period == 1) & down | drifting & (rate < -1e-9)] = _CONVERGES
        period = np.where(label == _CONVERGES, 1, period)
        label[(period > 1) & down] = _CYCLE
        label[(period == 0) & ~drifting & ~down] = _CHAOTIC
        if self.center is not None:
            inside = self._away(track[:, -1]) < self.radius
            outwards = self._away(track[:, -1]) >= self._away(track[:, 0])
            leaving = ~down & (drifting & outwards | (period == 1))
            label[inside & ~leaving & (label != _UNDECIDED)] = _TRAPPED
            label[inside & leaving] = _ESCAPES
            label[~inside] = _ESCAPES  # after all steps they were still there
        return label, rate, period

    def _run(
        self, values: np.ndarray, states: np.ndarray, steps: int, record: int | None = None
    ) -> xr.Dataset:
        until: list[Any] = [Diverged(_FAR * (1.0 + float(np.max(np.abs(self.start)))))]
        if self.center is not None and record is None:
            d = len(self.linear.system.coordinates)
            until = [Escape(center=tuple(self.center[:d]), radius=self.radius), *until]
        return simulate(
            self._at(values),
            self._points(states),
            steps,
            until=until,
            record=record,
            state=True,
            **self.options,
        )

    def _at(self, values: np.ndarray) -> System:
        columns = {
            name: xr.DataArray(column, dims="cell")
            for name, column in zip(self.names, values.T, strict=True)
        }
        return self.system.replace(**columns)

    def _points(self, states: np.ndarray) -> xr.DataArray:
        rows = list(self.linear.system.rows)
        return xr.DataArray(states, dims=("cell", "coord"), coords={"coord": rows})

    def _away(self, states: np.ndarray) -> np.ndarray:
        d = len(self.linear.system.coordinates)
        assert self.center is not None
        return np.linalg.norm(states[..., :d] - self.center[:d], axis=-1)


def _increasing(name: str, values: Any) -> np.ndarray:
    axis = np.asarray(checked_number(f"values of {name}", values), float)
    if axis.ndim != 1 or len(axis) < 2 or not np.all(np.diff(axis) > 0):
        raise ValueError(
            f"values of {name} must be at least two increasing numbers, got {values!r}"
        )
    return axis
