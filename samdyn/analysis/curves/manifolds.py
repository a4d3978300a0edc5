"""Stable and unstable manifolds of saddles, where they are curves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from samdyn.analysis.curves.growing import iterates, trajectory
from samdyn.analysis.curves.line import cut, thinned
from samdyn.analysis.curves.series import Local, local_piece
from samdyn.analysis.linear import NEUTRAL, Linear, described, growth, kind_of
from samdyn.numbers import checked_box, checked_number, checked_whole
from samdyn.systems.base import System


def manifolds(
    system: System,
    point: Any,
    *,
    kind: str = "unstable",
    length: float = 10.0,
    spacing: float | None = None,
    box: Sequence[tuple[float, float]] | None = None,
    period: int = 1,
) -> xr.Dataset:
    """The two branches of a saddle's stable or unstable manifold, where it is a curve.

    Near the saddle the manifold is a power series, the solution of F(W(t)) = W(m t), m being the
    multiplier (of a flow, of f(W) = W' m t), taken as far as it holds to rounding. Beyond, the
    images of this piece under the map are followed; the stable manifold's under its inverse,
    solved by Newton's method from the neighbouring point. Points are added where neighbours are
    farther apart than ``spacing`` or the curve bends, each iterated from the local piece itself
    and not interpolated. A flow's is its trajectory.

    Parameters
    ----------
    system : Map, Flow or FormulaMap
    point : array_like, shape (d,) or (rows,)
        The saddle, or a point of a cycle; to four digits or better.
    kind : "unstable" or "stable", default "unstable"
    length : float, default 10
        Arclength of each branch, in the space of all rows.
    spacing : float, optional
        The largest distance between neighbouring points; default length/500.
    box : sequence of (low, high), optional
        One pair a coordinate; a branch stops where it leaves.
    period : int, default 1
        The period of the cycle, of a map.

    Returns
    -------
    xarray.Dataset
        ``w`` (branch, place, coord) and ``arclength`` (branch, place), NaN beyond a branch's end;
        if the state has more rows than coordinates, also ``z`` (branch, place, row). A branch
        begins at the saddle; the first leaves it along the eigenvector whose largest weight is
        positive. The attributes hold the ``eigenvalue`` and why each branch stopped:
        ``stopped_0`` and ``stopped_1``. The stable manifold of a map that has no inverse has
        further preimages; only the piece through the saddle is followed, up to where the Jacobian
        becomes singular.

    Raises
    ------
    ValueError
        If the point is no fixed point or cycle of the period, is no saddle, lies where the law
        jumps (normalised SAM at a critical point), or the manifold is no curve.

    References
    ----------
    You, Kostelich and Yorke, Int. J. Bifurcation Chaos 1 (1991) 605; Hobson, J. Comput. Phys. 104
    (1993) 14; Cabre, Fontich and de la Llave, J. Differential Equations 218 (2005) 444.

    Examples
    --------
    >>> from samdyn import GD, Loss, Map
    >>> wells = Map(Loss("(x**2 - 1)**2/4 + y**2/2"), GD(lr=0.1))
    >>> curve = manifolds(wells, [0.0, 0.0])
    >>> curve.w.isel(branch=0).dropna("place").values[-1].round(6)
    array([1., 0.])
    >>> curve.stopped_0
    'it tends to [1.0, 0.0]'
    """
    linear = Linear(system)
    if kind not in ("unstable", "stable"):
        raise ValueError(f'kind must be "unstable" or "stable", got {kind!r}')
    length = checked_number("length", length, above=0.0)
    spacing = length / 500 if spacing is None else checked_number("spacing", spacing, above=0.0)
    if box is None:
        box = [(-np.inf, np.inf)] * len(system.coordinates)
    limits = checked_box(box, system.coordinates, endless=True)
    saddle = _saddle(linear, point, checked_whole("period", period, 1))
    factor, vector = _direction(linear, saddle, period, kind)
    local = local_piece(linear, saddle, period, factor, vector, length)
    grow = trajectory if system.continuous else iterates
    branches = []
    for side in (1.0, -1.0):
        turned = Local(
            local.coefficients * side ** np.arange(len(local.coefficients))[:, None], local.factor
        )
        line, why = grow(linear, turned, period, length, spacing, limits)
        line, why = cut(line, why, length, limits)
        branches.append((thinned(line, spacing), why))
    return _dataset(linear, kind, factor, period, branches)


def _saddle(linear: Linear, point: Any, period: int) -> np.ndarray:
    """The saddle near a point, to rounding."""
    z = linear.states(point)
    if z.shape != (linear.size,):
        raise ValueError(f"point must be one point, got an array of shape {z.shape}")
    if linear.system.continuous and period != 1:
        raise ValueError(f"period must be 1 for a fixed point of a flow, got {period}")
    orbit = [z] if linear.system.continuous else linear.orbit(z, period)[0]
    if any(linear.smoothness(one) == "jumps" for one in orbit):
        raise ValueError(
            f"point must be where the law is smooth, and it jumps at {z.tolist()}, as normalised "
            "SAM does at critical points: it has no manifolds there"
        )
    solutions, errors = linear.polished(z[None], period)
    near = np.linalg.norm(solutions[0] - z) <= 1e-3 * (1.0 + np.linalg.norm(z))
    if not (near and errors[0] <= 1e-8 * (1.0 + np.linalg.norm(z))):
        residual = np.linalg.norm(linear.residual(z, period)[0])
        what = "fixed point" if period == 1 else f"point of a cycle of period {period}"
        raise ValueError(f"point must be a {what}; at {z.tolist()} the residual is {residual:.3g}")
    return solutions[0]


def _direction(
    linear: Linear, saddle: np.ndarray, period: int, kind: str
) -> tuple[float, np.ndarray]:
    """The eigenvalue and the eigenvector on the side asked for, of which there must be one."""
    continuous = linear.system.continuous
    orbit = described(linear, saddle, period)
    grown = growth(orbit.eigenvalues, continuous)
    sort = kind_of(orbit.eigenvalues, continuous)
    sides = {"unstable": grown > NEUTRAL, "stable": grown < -NEUTRAL}
    if not all(np.any(side) for side in sides.values()):
        raise ValueError(f"point must be a saddle; {saddle.tolist()} is of kind {sort!r}")
    places = np.flatnonzero(sides[kind])
    if len(places) != 1:
        raise ValueError(
            f"the {kind} manifold must be a curve, of one {kind} direction; at {saddle.tolist()} "
            f"there are {len(places)}"
        )
    vector = orbit.eigenvectors[:, places[0]].real
    vector = vector / np.linalg.norm(vector)
    weights = vector[: len(linear.system.coordinates)]
    vector *= np.sign(weights[np.argmax(np.abs(weights))])
    return float(orbit.eigenvalues[places[0]].real), vector


def _dataset(
    linear: Linear, kind: str, factor: float, period: int, branches: list[tuple[np.ndarray, str]]
) -> xr.Dataset:
    system, d = linear.system, len(linear.system.coordinates)
    longest = max(len(line) for line, _ in branches)
    z = np.full((2, longest, linear.size), np.nan)
    arclength = np.full((2, longest), np.nan)
    for k, (line, _) in enumerate(branches):
        z[k, : len(line)] = line
        steps = np.linalg.norm(np.diff(line, axis=0), axis=1)
        arclength[k, : len(line)] = np.append(0.0, np.cumsum(steps))
    variables: dict[str, Any] = {
        "w": (("branch", "place", "coord"), z[..., :d], {"long_name": f"{kind} manifold"}),
        "arclength": (("branch", "place"), arclength, {"long_name": "arclength"}),
    }
    coords: dict[str, Any] = {"coord": list(system.coordinates)}
    if linear.size > d:
        variables["z"] = (("branch", "place", "row"), z)
        coords["row"] = list(system.rows)
    attributes = {
        "title": f"{kind} manifold of {system.title}",
        "system": system.title,
        "kind": kind,
        "period": period,
        "eigenvalue": factor,
        "stopped_0": branches[0][1],
        "stopped_1": branches[1][1],
    }
    return xr.Dataset(variables, coords=coords, attrs=attributes)
