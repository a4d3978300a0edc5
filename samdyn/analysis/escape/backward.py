"""Mean first-passage times of a two-dimensional diffusion: the backward equation by differences.

The moments of the time in which a particle leaves a region solve L u_k = -k u_{k-1} with u = 0 on
the region's boundary, L = a . grad + (D : grad grad)/2 with D = b b^T (Gardiner, Stochastic
Methods, 4th ed., ch. 6.6). L is written as a sum of second derivatives along the axes and one
diagonal of the grid (which stays positive where D allows it), each difference reaching up to the
boundary itself (Shortley and Weller, 1938) and fitted to the local drift (Il'in, Allen and
Southwell), so that steep valleys need no fine grid to stay stable.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from samdyn.analysis.escape.domain import Field

_ON_BOUNDARY = 1e-7
"""A node this close to the boundary, in cells, counts as on it."""
_NEIGHBOURS = 24


class Solution(NamedTuple):
    """Moments of the passage time on a grid.

    Attributes
    ----------
    axes : tuple of ndarray
        The grid's coordinates.
    moments : ndarray, shape (2, nx, ny)
        The first two moments; 0 outside the region.
    boundary : ndarray, shape (n, 2)
        Where the grid's lines and diagonals cross the region's boundary.
    rounding : float
        A bound on the relative error by rounding.
    """

    axes: tuple[np.ndarray, ...]
    moments: np.ndarray
    boundary: np.ndarray
    rounding: float

    @property
    def step(self) -> np.ndarray:
        """The sides of a cell."""
        return np.array([axis[1] - axis[0] for axis in self.axes])

    @property
    def nodes(self) -> np.ndarray:
        """The nodes in the region, shape (n, 2)."""
        grid = np.stack(np.meshgrid(*self.axes, indexing="ij"), axis=-1)
        return grid[self.moments[0] > 0]

    def on(self, nodes: np.ndarray) -> np.ndarray:
        """Both moments on nodes of this grid, shape (2, n)."""
        low = np.array([axis[0] for axis in self.axes])
        i, j = np.rint((nodes - low) / self.step).astype(int).T
        return self.moments[:, i, j]

    def interpolated(self, points: np.ndarray, nodes: np.ndarray, values: np.ndarray) -> np.ndarray:
        """What is known on nodes, and 0 on the boundary, at points, shape (k, m).

        A cubic is fitted to the nearest of them.

        Parameters
        ----------
        points : ndarray, shape (m, 2)
        nodes : ndarray, shape (n, 2)
        values : ndarray, shape (k, n)
        """
        from scipy.spatial import cKDTree

        known = np.concatenate([nodes, self.boundary])
        values = np.concatenate([values, np.zeros((len(values), len(self.boundary)))], axis=1)
        size = min(_NEIGHBOURS, len(known))
        far, near = cKDTree(known / self.step).query(points / self.step, k=size)
        x, y = np.moveaxis((known[near] - points[:, None]) / self.step, -1, 0)
        columns = np.stack([x**i * y**j for i in range(4) for j in range(4 - i)], axis=-1)
        scale = 1.0 / np.sqrt(far * far + 1e-8)[..., None]
        fitted = np.linalg.pinv(columns * scale) @ (np.moveaxis(values[:, near], 0, -1) * scale)
        return fitted[:, 0].T


def extrapolated(grids: Sequence[Solution], points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both moments at points, extrapolated from grids of h, 2h and 4h, and the mean's error.

    Richardson's correction is taken on the nodes that two grids share, where it is known, and
    is smooth enough to be interpolated.

    Returns
    -------
    moments : ndarray, shape (2, m)
    error : ndarray, shape (m,)
        An estimate: how far the extrapolations of the finer and of the coarser pair differ.
    """
    fine, middle, coarse = grids
    moments = fine.interpolated(points, fine.nodes, fine.on(fine.nodes))
    moments += middle.interpolated(points, middle.nodes, _correction(fine, middle, middle.nodes))
    nodes = coarse.nodes
    finer = fine.on(nodes) + _correction(fine, middle, nodes)
    coarser = middle.on(nodes) + _correction(middle, coarse, nodes)
    error = coarse.interpolated(points, nodes, np.abs(finer - coarser)[:1])[0]
    return np.maximum(moments, 0.0), np.abs(error)


def _correction(fine: Solution, coarse: Solution, nodes: np.ndarray) -> np.ndarray:
    return (fine.on(nodes) - coarse.on(nodes)) / 3.0


def solve(
    drift: Field, covariance: Field, inside: Field, box: np.ndarray, cells: tuple[int, int]
) -> Solution:
    """Solve the backward equation for the first two moments.

    Parameters
    ----------
    drift, covariance : callable
        a of shape (…, 2) and b b^T of shape (…, 2, 2).
    inside : callable
        Whether points are in the region: the boundary is where this changes.
    box : ndarray, shape (2, 2)
        The grid's extent. Where the region reaches an edge of it, the edge reflects.
    cells : (int, int)
        Cells along each side.
    """
    from scipy.sparse import coo_matrix
    from scipy.sparse.linalg import splu

    axes = tuple(np.linspace(low, high, n + 1) for (low, high), n in zip(box, cells, strict=True))
    step = np.array([axis[1] - axis[0] for axis in axes])
    shape = tuple(n + 1 for n in cells)
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
    index = np.argwhere(inside(grid))
    reach = {way: _reach(inside, grid, index, way, step) for way in _WAYS}
    # a node on the boundary is part of it: seen from it, the boundary is next to nothing away
    off = np.min(list(reach.values()), axis=0) > _ON_BOUNDARY
    index = index[off]
    reach = {way: values[off] for way, values in reach.items()}
    if not len(index):
        raise ValueError("no node of the grid lies in the region; is the box around it right?")
    z = grid[tuple(index.T)]
    a, d = drift(z), 0.5 * covariance(z)
    if not (np.all(np.isfinite(a)) and np.all(np.isfinite(d))):
        raise ValueError("the drift and the noise must be finite inside the region")
    number = np.full(shape, -1)
    number[tuple(index.T)] = np.arange(len(index))
    cross = np.abs(d[:, 0, 1]) / np.prod(step)
    along = d[:, (0, 1), (0, 1)] / step**2 - cross[:, None]
    stencils = [
        ((1, 0), along[:, 0], a[:, 0] / step[0]),
        ((0, 1), along[:, 1], a[:, 1] / step[1]),
        ((1, 1), np.where(d[:, 0, 1] > 0, cross, 0.0), 0.0 * cross),
        ((1, -1), np.where(d[:, 0, 1] < 0, cross, 0.0), 0.0 * cross),
    ]
    rows, columns, entries = [], [], []
    diagonal = np.zeros(len(index))
    crossed = []
    for way, strength, speed in stencils:
        if not np.any(strength) and not np.any(speed):
            continue
        opposite = (-way[0], -way[1])
        pair = _fitted(strength, speed, reach[opposite], reach[way])
        for one, rate in zip((opposite, way), pair, strict=True):
            diagonal -= rate
            neighbour = number[tuple(_mirrored(index + one, shape).T)]
            cut = (reach[one] < 1.0) | (neighbour < 0)
            crossed.append((z + reach[one][:, None] * one * step)[cut])
            rows.append(np.flatnonzero(~cut))
            columns.append(neighbour[~cut])
            entries.append(rate[~cut])
    if not any(map(len, crossed)):
        raise ValueError("a particle never leaves: the region has no boundary within the box")
    own = np.arange(len(index))
    matrix = coo_matrix(
        (
            np.concatenate([*entries, diagonal]),
            (np.concatenate([*rows, own]), np.concatenate([*columns, own])),
        ),
        shape=(len(index), len(index)),
    ).tocsc()
    try:
        factors = splu(matrix)
    except RuntimeError:
        raise ValueError("a particle never leaves a part of the region: it is closed") from None
    first = factors.solve(-np.ones(len(index)))
    second = factors.solve(-2.0 * first)
    moments = np.zeros((2, *shape))
    moments[:, index[:, 0], index[:, 1]] = first, second
    rounding = np.finfo(float).eps * float(np.max(np.abs(first)) * np.median(np.abs(diagonal)))
    return Solution(axes, moments, np.concatenate(crossed), rounding)


_WAYS = [(i, j) for i in (-1, 0, 1) for j in (-1, 0, 1) if (i, j) != (0, 0)]


def _mirrored(index: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Indices beyond an edge of the grid, reflected in it."""
    last = np.array(shape) - 1
    return last - np.abs(last - np.abs(index))


def _reach(
    inside: Field, grid: np.ndarray, index: np.ndarray, way: tuple[int, int], step: np.ndarray
) -> np.ndarray:
    """How far it is from nodes to the boundary in a direction, in steps of the grid, at most 1."""
    z = grid[tuple(index.T)]
    beyond = _mirrored(index + way, grid.shape[:2])
    reach = np.ones(len(z))
    cut = np.flatnonzero(~inside(grid[tuple(beyond.T)]))
    # a neighbour mirrored in an edge is reached by the mirrored direction
    towards = (beyond[cut] - index[cut]) * step
    low, high = np.zeros(len(cut)), np.ones(len(cut))
    for _ in range(50):
        middle = 0.5 * (low + high)
        within = inside(z[cut] + middle[:, None] * towards)
        low, high = np.where(within, middle, low), np.where(within, high, middle)
    reach[cut] = high
    return reach


def _fitted(
    d: np.ndarray, a: np.ndarray, back: np.ndarray, ahead: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Rates of d u'' + a u' to the points ``back`` behind and ``ahead`` of a node.

    They are exact for 1, x and exp(-a x/d): central differences where the drift is slow, upwind
    ones where it is fast, and positive where d is.
    """
    with np.errstate(all="ignore"):
        q = np.where(a == 0.0, 0.0, a / d)
        low = np.expm1(np.clip(q * back, -500.0, 500.0))
        high = -np.expm1(np.clip(-q * ahead, -500.0, 500.0))
        whole = ahead * low - back * high
        fitted_back, fitted_ahead = a * high / whole, a * low / whole
        central_back = (2.0 * d - a * ahead) / (back * (back + ahead))
        central_ahead = (2.0 * d + a * back) / (ahead * (back + ahead))
        upwind = (np.maximum(-a, 0.0) / back, np.maximum(a, 0.0) / ahead)
    fast, slow = np.abs(q) * np.minimum(back, ahead) > 300.0, np.abs(q) * (back + ahead) < 0.02
    central = (d < 0) | slow  # without a maximum principle nothing is to be fitted
    return (
        np.where(fast, upwind[0], np.where(central, central_back, fitted_back)),
        np.where(fast, upwind[1], np.where(central, central_ahead, fitted_ahead)),
    )
