"""Exact first-passage times of a diffusion in one or two dimensions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from samdyn.analysis.escape.backward import Solution, extrapolated, solve
from samdyn.analysis.escape.domain import coefficients, extent, staying
from samdyn.analysis.escape.interval import Coefficient, passage
from samdyn.ensembles.events import Escape
from samdyn.numbers import check_single, checked_box, checked_whole
from samdyn.systems.diffusion import Diffusion

_SCAN = 20_001
_RAREST = 1e-3
"""The relative error by rounding up to which a solution in two dimensions is given."""


def first_passage(
    system: Diffusion,
    region: Escape,
    box: Any = None,
    cells: int = 128,
) -> FirstPassage:
    """The exact time in which a diffusion escapes, as a function of where it starts.

    In one dimension by quadrature of scale function and speed measure, to about 1e-12 and without
    overflow for wells of any depth. In two dimensions by solving the backward equation on three
    grids, extrapolated (Richardson).

    Parameters
    ----------
    system : Diffusion
        dX = a dt + b dW of one or two coordinates, each of its numbers being one value.
    region : Escape
        Ball, box or condition: the very event that ends a run of `samdyn.simulate`.
    box : sequence of (low, high), optional
        Its sides reflect, where the particle does not escape there. Default: none. A condition
        in two dimensions needs one: take it so large that hardly a particle gets there.
    cells : int, default 128
        Cells along each side of the finest grid, in two dimensions; a multiple of 4.

    Returns
    -------
    FirstPassage
        Called with points of shape (…, d) it gives the mean time, of shape (…); ``std(points)``
        the standard deviation, ``error(points)`` an estimate of the mean's relative error.

    Raises
    ------
    TypeError
        If the system is no diffusion or the region no `Escape`.
    ValueError
        If a number is an array, there are more than two coordinates, or the region is never left.

    References
    ----------
    Karlin and Taylor, A Second Course in Stochastic Processes (1981), ch. 15.3; Gardiner,
    Stochastic Methods, 4th ed., ch. 5.5 and 6.6.

    Examples
    --------
    >>> import samdyn as sd
    >>> well = sd.FormulaSDE(drift={"x": "x - x**3"}, diffusion={"x": "0.7"}, dt=0.01)
    >>> time = first_passage(well, sd.Escape("x > 0"))
    >>> round(float(time(-1.0)), 6)
    5.904996
    """
    if not isinstance(system, Diffusion):
        raise TypeError(f"system must be an SDE such as samdyn.FormulaSDE, got {system!r}")
    if not isinstance(region, Escape):
        raise TypeError(f"region must be a samdyn.Escape, got {region!r}")
    check_single("first_passage", system.numbers)
    names, d = system.coordinates, len(system.rows)
    if d != len(names) or d > 2:
        raise ValueError(
            f"first_passage is for SDEs of one or two coordinates and no velocity; this one has "
            f"{', '.join(system.rows)}"
        )
    limits = None if box is None else checked_box(box, names, endless=d == 1)
    inside = staying(system, region)
    if d == 2:
        return _planar(system, region, inside, limits, cells)
    drift, covariance = coefficients(system)
    own = extent(region)
    return LinePassage(
        inside,
        np.array([[-np.inf, np.inf]]) if limits is None else limits,
        lambda x: drift(x[..., None])[..., 0],
        lambda x: covariance(x[..., None])[..., 0, 0],
        None if own is None else tuple(own[0]),
    )


@dataclass(frozen=True, eq=False, repr=False)
class FirstPassage:
    """Mean and spread of the time in which a diffusion escapes; see `first_passage`."""

    inside: Callable[[np.ndarray], np.ndarray]
    box: np.ndarray

    def __repr__(self) -> str:
        return f"{type(self).__name__}(box={self.box.tolist()})"

    def __call__(self, points: Any) -> np.ndarray:
        """The mean time from points of shape (…, d), as an array of shape (…).

        It is 0 where the particle has escaped already.
        """
        return self._times(points)[0]

    def std(self, points: Any) -> np.ndarray:
        """The standard deviation of the time, shape (…)."""
        return self._times(points)[1]

    def error(self, points: Any) -> np.ndarray:
        """An estimate of the relative error of the mean, shape (…)."""
        return self._times(points)[2]

    def _times(self, points: Any) -> np.ndarray:
        """Mean, standard deviation and relative error at points, shape (3, …)."""
        d = len(self.box)
        points = np.asarray(points, float)
        if d == 1 and (points.ndim == 0 or points.shape[-1] != 1):
            points = points[..., None]
        if points.shape[-1] != d or not np.all(np.isfinite(points)):
            raise ValueError(f"points must be finite and of shape (…, {d}), got {points.shape}")
        low, high = self.box.T
        if not np.all((points >= low) & (points <= high)):
            raise ValueError(
                f"points must lie in the box {self.box.tolist()}, beyond which nothing is solved"
            )
        times = np.zeros((3, *points.shape[:-1]))
        within = self.inside(points)
        if np.any(within):
            times[:, within] = self._solved(points[within])
        return times

    def _solved(self, points: np.ndarray) -> np.ndarray:
        raise NotImplementedError


@dataclass(frozen=True, eq=False, repr=False)
class LinePassage(FirstPassage):
    """First passage in one dimension; see `first_passage`."""

    drift: Coefficient
    variance: Coefficient
    ends: tuple[float, float] | None

    def _solved(self, points: np.ndarray) -> np.ndarray:
        x = points[:, 0]
        times = np.empty((3, len(x)))
        left = np.ones(len(x), bool)
        while np.any(left):
            low, high = self._open(x[left][0])
            here = left & (x >= low) & (x <= high)
            walls = self.box[0]
            absorbing = (bool(low > walls[0]), bool(high < walls[1]))
            solved = passage(self.drift, self.variance, low, high, absorbing, x[here])
            times[:, here] = (
                solved.mean(x[here]),
                solved.std(x[here]),
                np.full(int(here.sum()), 1e-12),
            )
            left &= ~here
        return times

    def _open(self, start: float) -> tuple[float, float]:
        """The interval around a point that a particle must cross an end of, to escape."""
        if self.ends is not None:
            low, high = self.ends
            return max(low, self.box[0, 0]), min(high, self.box[0, 1])
        away = np.sinh(np.linspace(0.0, 22.0, _SCAN)[1:]) * 1e-3
        found = []
        for side, wall in zip((-1.0, 1.0), self.box[0], strict=True):
            x = start + side * away
            x = x[(x >= self.box[0, 0]) & (x <= self.box[0, 1])]
            x = np.concatenate([[start], x, [wall] if np.isfinite(wall) else []])
            out = np.flatnonzero(~self.inside(x[:, None]))
            if not len(out):
                found.append(float(wall))
                continue
            near, far = x[out[0] - 1], x[out[0]]
            while near != (middle := 0.5 * (near + far)) != far:
                near, far = (middle, far) if self.inside(np.array([middle])) else (near, middle)
            found.append(float(near))
        return found[0], found[1]


@dataclass(frozen=True, eq=False, repr=False)
class PlanarPassage(FirstPassage):
    """First passage in two dimensions; see `first_passage`.

    Attributes
    ----------
    solutions : tuple of Solution
        On the finest grid, one of half as many cells, and one of a quarter.
    """

    solutions: tuple[Solution, ...]

    def _solved(self, points: np.ndarray) -> np.ndarray:
        (first, second), wrong = extrapolated(self.solutions, points)
        with np.errstate(all="ignore"):
            error = wrong / first + self.solutions[0].rounding
        return np.stack([first, np.sqrt(np.maximum(second - first**2, 0.0)), error])


def _planar(
    system: Diffusion, region: Escape, inside: Any, limits: np.ndarray | None, cells: int
) -> PlanarPassage:
    cells = checked_whole("cells", cells, 16)
    if cells % 4:
        raise ValueError(f"cells must be a multiple of 4, got {cells}")
    own = extent(region)
    wide = own if limits is None else limits
    if wide is None:
        raise ValueError(
            "box must be given with a condition in two dimensions: the equation is solved in it, "
            "and its sides reflect; take it so large that hardly a particle gets there"
        )
    drift, covariance = coefficients(system)
    solutions = []
    for n in (cells, cells // 2, cells // 4):
        grid, size = wide, n
        if limits is None:  # the grid must see both sides of the boundary
            grid, size = wide + (wide[:, 1:] - wide[:, :1]) / n * np.array([-1.0, 1.0]), n + 2
        solutions.append(solve(drift, covariance, inside, grid, (size, size)))
    if solutions[0].rounding > _RAREST:
        raise ValueError(
            "escape is too rare for the backward equation in double precision (the mean is above "
            "about 1e9 of the shortest times); use escape_rate"
        )
    if any(np.min(solution.moments[0]) < 0 for solution in solutions):
        raise ValueError(
            "the noise is too nearly in one direction, aslant to the axes, for this grid; give "
            "more cells, or turn the coordinates"
        )
    everywhere = np.array([[-np.inf, np.inf]] * 2)
    return PlanarPassage(inside, everywhere if limits is None else limits, tuple(solutions))
