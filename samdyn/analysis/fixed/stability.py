"""Stability of fixed points and cycles by their multipliers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from samdyn.analysis.linear import NEUTRAL, Linear, described, growth, kind_of
from samdyn.systems.base import System

_FIXED = 1e-6
_POLISH = 1e-5


@dataclass(frozen=True, eq=False)
class Stability:
    """What a system does close to a fixed point or a cycle.

    Attributes
    ----------
    kind : str
        "attractor" (every multiplier inside the unit circle; for a flow, every eigenvalue left of
        the imaginary axis), "repeller" (all outside), "saddle" (some inside, some outside),
        "centre" (all on it, some of them complex), "neutral" (some on it, to within 1e-9: there
        the linear part does not decide) or "discontinuous" (the step jumps here).
    eigenvalues : ndarray of complex, shape (rows,)
        The multipliers of a map, over the whole cycle; for a flow the eigenvalues of its field.
        The most unstable first. NaN where the step jumps.
    eigenvectors : ndarray of complex, shape (rows, rows)
        In its columns, at the first point.
    points : ndarray, shape (period, rows)
        The states of the cycle; one state if it is a fixed point.
    rates : ndarray, shape (rows,)
        Growth along each eigenvector: log |multiplier| a step, or a flow's rate in its time.
    continuous : bool
        Whether it is one of a flow.
    """

    kind: str
    eigenvalues: np.ndarray
    eigenvectors: np.ndarray
    points: np.ndarray
    continuous: bool

    @property
    def period(self) -> int:
        """The number of steps after which the cycle closes."""
        return len(self.points)

    @property
    def rates(self) -> np.ndarray:
        """Growth along each eigenvector, a step or a unit of time."""
        if self.continuous:
            return self.eigenvalues.real
        with np.errstate(divide="ignore"):
            return np.log(np.abs(self.eigenvalues)) / self.period

    @property
    def unstable(self) -> int:
        """The number of directions along which it repels."""
        return int(np.sum(growth(self.eigenvalues, self.continuous) > NEUTRAL))

    def __repr__(self) -> str:
        place = " -> ".join(f"({', '.join(f'{x:.6g}' for x in z)})" for z in self.points)
        values = ", ".join(_plain(value) for value in self.eigenvalues)
        word = "eigenvalues" if self.continuous else "multipliers"
        return f"Stability({self.kind} at {place}; {word} {values})"


def stability(system: System, point: Any) -> Stability:
    """What a system does close to a fixed point or a cycle, by its exact linear part.

    The Jacobian of one step is derived from the definition of the algorithm; with momentum it is
    that of (w, v) -> (w', v').

    Parameters
    ----------
    system : Map, Flow or FormulaMap
        Each of its numbers being one value.
    point : array_like, shape (d,), (rows,) or (period, d or rows)
        A fixed point: its coordinates (velocities are then 0) or its whole state; or the points of
        a cycle in turn. A few digits are enough: they are polished by Newton's method.

    Returns
    -------
    Stability

    Raises
    ------
    ValueError
        If the point is neither fixed nor on a cycle of that period, or has the wrong length.

    References
    ----------
    Kim et al., arXiv 2301.06308, Theorem 1: un-normalised SAM turns a saddle into an attractor.

    Examples
    --------
    >>> import samdyn as sd
    >>> saddle = sd.Loss("x**2 - y**2/2")
    >>> stability(sd.Map(saddle, sd.USAM(lr=0.1, rho=0.5)), [0, 0])
    Stability(saddle at (0, 0); multipliers 1.05, 0.6)
    >>> stability(sd.Map(saddle, sd.USAM(lr=0.1, rho=1.5)), [0, 0]).kind
    'attractor'
    >>> stability(sd.Map(saddle, sd.SAM(lr=0.1, rho=0.5)), [0, 0]).kind
    'discontinuous'
    """
    linear = Linear(system)
    z, period = located(linear, point)
    if linear.smoothness(z) == "jumps":
        blank = np.full(linear.size, np.nan + 0j)
        return Stability("discontinuous", blank, np.diag(blank), z[None], system.continuous)
    orbit = described(linear, z, period)
    kind = kind_of(orbit.eigenvalues, system.continuous)
    return Stability(kind, orbit.eigenvalues, orbit.eigenvectors, orbit.points, system.continuous)


def multipliers(system: System, point: Any) -> np.ndarray:
    """The multipliers of a fixed point or a cycle (for a flow, the eigenvalues of its field).

    Parameters
    ----------
    system, point
        As in `stability`.

    Returns
    -------
    ndarray of complex, shape (rows,)
        The most unstable first; NaN where the step jumps.

    Examples
    --------
    >>> import samdyn as sd
    >>> logistic = sd.FormulaMap({"x": "r*x*(1 - x)"}, r=3.2)
    >>> multipliers(logistic, [1 - 1 / 3.2]).real.round(12)
    array([-1.2])
    """
    return stability(system, point).eigenvalues


def jacobian(system: System, point: Any) -> np.ndarray:
    """The exact Jacobian of a map's step, or of a flow's field, at any states.

    Parameters
    ----------
    system : Map, Flow or FormulaMap
    point : array_like, shape (…, d) or (…, rows)
        Coordinates (velocities are then 0) or whole states, not necessarily fixed.

    Returns
    -------
    ndarray, shape (…, rows, rows)
        Entry (i, j) is the derivative of row i by row j, in the order of ``system.rows``.

    See Also
    --------
    jacobian_formula : the same as SymPy formulas.

    Examples
    --------
    >>> import samdyn as sd
    >>> jacobian(sd.Map(sd.Loss("x**2"), sd.GD(lr=0.1, momentum=0.5)), [1.0])
    array([[ 0.8 , -0.05],
           [ 2.  ,  0.5 ]])
    """
    linear = Linear(system)
    return linear.law(linear.states(point))[1]


def located(linear: Linear, point: Any) -> tuple[np.ndarray, int]:
    """The polished state of a fixed point, or the first of a cycle's, and the period.

    Raises
    ------
    ValueError
        If the point is neither fixed nor on a cycle.
    """
    points = np.asarray(point, dtype=float)
    given = linear.states(points if points.ndim > 1 else np.atleast_1d(points)[None])
    if given.ndim != 2 or not len(given):
        raise ValueError(
            f"point must be a fixed point or the points of a cycle in rows, got shape "
            f"{points.shape}"
        )
    if linear.system.continuous and len(given) > 1:
        raise ValueError("a flow has fixed points here, not cycles; give one point")
    period, z = len(given), given[0]
    for shorter in range(1, period):
        if period % shorter == 0 and np.allclose(
            given[shorter:], given[:-shorter], rtol=0, atol=1e-9 * np.max(np.abs(given))
        ):
            raise ValueError(
                f"point has period {shorter}, not {period}: give each point of the cycle once"
            )
    jumps = linear.smoothness(z) == "jumps"
    scale = 1.0 + float(np.linalg.norm(z))
    if not jumps:
        better, error = linear.polished(z[None], period, reach=scale)
        near = np.linalg.norm(better[0] - z) <= _POLISH * scale
        if near and error[0] <= _POLISH * scale:
            z = better[0]
        _refuse_moving(linear, z, period)
    return z, period


def _refuse_moving(linear: Linear, z: np.ndarray, period: int) -> None:
    moved, _ = linear.residual(z, period)
    length = float(np.linalg.norm(moved))
    if not length <= _FIXED * (1.0 + float(np.linalg.norm(z))):
        what = "the field there" if linear.system.continuous else "the step from it"
        if period > 1:
            what = f"the gap after {period} steps"
        where = ", ".join(f"{x:g}" for x in z[: len(linear.system.coordinates)])
        raise ValueError(
            f"point ({where}) is not fixed: {what} has length {length:.3g}; find fixed points with "
            "samdyn.fixed_points or samdyn.cycles"
        )


def _plain(value: complex) -> str:
    if abs(value.imag) <= 1e-12 * max(1.0, abs(value)):
        return f"{value.real:.6g}"
    return f"{value.real:.6g}{value.imag:+.6g}j"
