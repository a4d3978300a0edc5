"""Phase diagrams: what a system does, over two of its numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from samdyn.analysis.linear import Linear
from samdyn.analysis.lyapunov import lyapunov
from samdyn.analysis.refinement import refined
from samdyn.ensembles.events import REASONS, Diverged, Escape
from samdyn.ensembles.points import checked_points
from samdyn.ensembles.run import simulate
from samdyn.numbers import checked_number, checked_whole
from samdyn.systems.base import System

LABELS = ("converges", "cycle", "trapped", "escapes", "chaotic", "diverges", "undecided")
"""What a cell may do; the label is the place in this list."""

_CONVERGES, _CYCLE, _TRAPPED, _ESCAPES, _CHAOTIC, _DIVERGES, _UNDECIDED = range(len(LABELS))
_LONGEST = 64
_FAR = 1e12


def phase_diagram(
    system: System,
    numbers: Mapping[str, Any],
    x0: Any,
    *,
    about: Sequence[float] | None = None,
    radius: float | None = None,
    steps: int = 20_000,
    refine: int = 0,
    threads: int | None = None,
    progress: bool = True,
) -> xr.Dataset:
    """What becomes of one initial point, over two numbers of the system.

    Parameters
    ----------
    system : Map, Flow or FormulaMap
        Its other numbers being one value each.
    numbers : mapping
        Two names of the system's numbers, each with its increasing values, for example
        ``{"lr": np.geomspace(1e-3, 1, 60), "rho": np.linspace(0, 2, 60)}``.
    x0 : array_like, shape (d,) or (rows,)
        The initial point; near the saddle, if that is the question.
    about : sequence of float, optional
        A saddle (or any point): then a particle that leaves the ball of ``radius`` around it
        escapes, and one that stays is trapped.
    radius : float, optional
        Needed with ``about``.
    steps : int, default 20_000
        Steps of the run. A quarter as many more measure the rate.
    refine : int, default 0
        How often cells are halved where the labels of their corners differ.
    threads, progress
        As in `samdyn.simulate`.

    Returns
    -------
    xarray.Dataset
        Over the two numbers: ``label``, a code with CF flag meanings:

        - ``converges``: to a fixed point, with a negative exponent;
        - ``cycle``: on a cycle of ``period`` 2 to 64;
        - ``trapped``: stays in the ball about the saddle, whatever it does there (``period`` is 1
          at a fixed point, 2 on a 2-cycle, 0 without one, and then a positive rate means chaos);
        - ``escapes``: left the ball, or leaves the saddle still, however slowly;
        - ``chaotic``: no period and a positive exponent by four standard errors;
        - ``diverges``; and ``undecided``, after all steps.

        ``rate``: the largest Lyapunov exponent at the end of the run, per step (a flow: per unit
        of time); where the particle escapes, the mean rate at which log |z - about| grew.
        ``steps`` taken. With ``about`` a point at which the step is smooth, ``spectral_radius``:
        the size of the largest multiplier there (a flow: exp of the largest real part), so that
        its contour at 1 is what theory has for the boundary of the trapped region (Kim et al.,
        arXiv 2301.06308, Theorem 1, is its limit for small lr).

    Raises
    ------
    ValueError
        If there are not two names, or values do not increase, or ``radius`` is missing.

    Examples
    --------
    >>> import samdyn as sd
    >>> saddle = sd.Map(sd.Loss("x**2/2 - y**2/2 + y**4/4"), sd.USAM(lr=0.1, rho=0.1))
    >>> found = phase_diagram(saddle, {"lr": [0.1, 0.2], "rho": [0.5, 1.5]}, [0.1, 0.01],
    ...                       about=(0, 0), radius=0.5, steps=2000, progress=False)
    >>> [[found.label.attrs["flag_meanings"].split()[k] for k in row] for row in found.label.values]
    [['escapes', 'trapped'], ['escapes', 'trapped']]
    """
    cells = _Cells(system, numbers, x0, about, radius, steps, threads, progress)
    checked_whole("refine", refine, 0)
    geometric = [_is_geometric(axis) for axis in cells.axes]
    axes, values, ran = refined(cells.evaluate, cells.axes, refine, geometric)
    label, rate, period, taken = values
    dims = cells.names
    about_label = {
        "long_name": "what the particle does",
        "flag_values": np.arange(len(LABELS), dtype=np.int8),
        "flag_meanings": " ".join(LABELS),
    }
    per = "1/time" if system.continuous else "1/step"
    result = xr.Dataset(
        {
            "label": (dims, label.astype(np.int8), about_label),
            "rate": (dims, rate, {"long_name": "largest exponent", "units": per}),
            "period": (dims, period.astype(np.int64), {"long_name": "period, 0 if none"}),
            "steps": (dims, taken.astype(np.int64), {"long_name": "steps taken", "units": "step"}),
        },
        coords=dict(zip(dims, axes, strict=True)),
        attrs={"title": f"phase diagram of {system.title}", "points_run": ran, **system.about},
    )
    if cells.center is not None:
        result.attrs |= {"about": [float(x) for x in cells.center], "radius": cells.radius}
        size = _spectral_radius(cells, axes)
        if size is not None:
            called = {"long_name": "size of the largest multiplier at the saddle"}
            result["spectral_radius"] = (dims, size, called)
    return result


class _Cells:
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
        first = {name: float(axis[0]) for name, axis in zip(self.names, self.axes, strict=True)}
        self.linear = Linear(system.replace(**first) if isinstance(system, System) else system)
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
        end, taken = self._ends(run), run.steps.values.reshape(n)
        reason = run.reason.values.reshape(n)
        if np.any(reason == REASONS.index("interrupted")):
            raise KeyboardInterrupt
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
        n = len(values)
        more = max(self.steps // 4, 4 * _LONGEST)
        found = lyapunov(self._at(values), self._points(states), more, k=1, **self.options)
        rate = found.exponents.values.reshape(n)
        error = found.standard_error.values.reshape(n)
        ends = np.where(np.isfinite(found.final.values), found.final.values, states)
        path = self._run(values, ends, _LONGEST, record=1)
        track = np.concatenate(
            [path.w.values, *(path[v].values for v in self.linear.system.vectors)], axis=-1
        ).reshape(n, _LONGEST + 1, -1)
        gaps = np.linalg.norm(track[:, 1:] - track[:, :1], axis=-1)
        gaps = np.where(np.isfinite(gaps), gaps, np.inf)
        size = 1e-3 + np.linalg.norm(track[:, 0], axis=-1)
        extent = np.max(gaps, axis=1)
        closed = gaps <= np.maximum(1e-7 * extent, 1e-11 * size)[:, None]
        period = np.where(closed.any(axis=1), np.argmax(closed, axis=1) + 1, 0)
        # a slow approach or departure: each step is a small part of the way of sixty-four
        drifting = (period == 0) & (gaps[:, 0] <= 0.1 * extent)
        down = ~(rate > 4 * error + 1e-9)
        label = np.full(n, _UNDECIDED)
        label[(period == 1) & down | drifting & (rate < -1e-9)] = _CONVERGES
        period = np.where(label == _CONVERGES, 1, period)
        label[(period > 1) & down] = _CYCLE
        label[(period == 0) & ~drifting & ~down] = _CHAOTIC
        if self.center is not None:
            inside = self._away(track[:, -1]) < self.radius
            leaving = ~down & (drifting | (period == 1))
            label[inside & ~leaving & (label != _UNDECIDED)] = _TRAPPED
            label[inside & leaving] = _ESCAPES
            label[~inside & (self._away(track[:, 0]) < self.radius)] = _ESCAPES
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

    def _ends(self, run: xr.Dataset) -> np.ndarray:
        parts = [run.final, *(run[f"final_{name}"] for name in self.linear.system.vectors)]
        return np.concatenate([part.values for part in parts], axis=-1)

    def _away(self, states: np.ndarray) -> np.ndarray:
        d = len(self.linear.system.coordinates)
        assert self.center is not None
        return np.linalg.norm(states[..., :d] - self.center[:d], axis=-1)


def _spectral_radius(cells: _Cells, axes: Sequence[np.ndarray]) -> np.ndarray | None:
    linear, center = cells.linear, cells.center
    assert center is not None
    a, b = np.meshgrid(*axes, indexing="ij")
    middle = {
        name: float(axis[len(axis) // 2]) for name, axis in zip(cells.names, axes, strict=True)
    }
    if Linear(cells.system.replace(**middle)).smoothness(center) == "jumps":
        return None
    states = np.broadcast_to(center, (*a.shape, len(center)))
    jacobian = linear.law(states, **dict(zip(cells.names, (a, b), strict=True)))[1]
    values = np.linalg.eigvals(jacobian)
    if linear.system.continuous:
        return np.exp(np.max(values.real, axis=-1))
    return np.max(np.abs(values), axis=-1)


def _increasing(name: str, values: Any) -> np.ndarray:
    axis = np.asarray(checked_number(f"values of {name}", values), float)
    if axis.ndim != 1 or len(axis) < 2 or not np.all(np.diff(axis) > 0):
        raise ValueError(
            f"values of {name} must be at least two increasing numbers, got {values!r}"
        )
    return axis


def _is_geometric(axis: np.ndarray) -> bool:
    """Whether values are spaced evenly in their logarithm rather than in themselves."""
    if axis[0] <= 0 or len(axis) < 3:
        return False
    return bool(np.ptp(np.diff(np.log(axis))) < 1e-6 * np.log(axis[-1] / axis[0]))
