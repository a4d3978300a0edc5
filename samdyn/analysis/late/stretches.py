"""Where a series grows steadily: straight pieces of it, by change-point regression."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np

_MOST_PIECES = 4
_MOST_PLACES = 160
"""Points of a longer series are thinned to about so many."""

_FLAT = 0.003
"""Departures from a line that are smaller are no reason for a further piece."""

LEAST = 3
"""Points that a piece has, unless it is the first: a jump at the switch."""


class Piece(NamedTuple):
    """A straight piece of a series.

    Attributes
    ----------
    first, last : int
        Places in the series, both included.
    slope : float
        Per unit of time.
    rise : float
        Of the fitted line from the first to the last point.
    """

    first: int
    last: int
    slope: float
    rise: float


class Pieces(NamedTuple):
    """A series cut into straight pieces, and the scatter about them."""

    pieces: list[Piece]
    scatter: float


def pieces(t: np.ndarray, y: np.ndarray, jump: bool = True) -> Pieces:
    """Cut a series into at most four straight pieces.

    Least squares over all places of the cuts, by dynamic programming (Bai and Perron, J. Appl.
    Econometrics 18, 2003), with the number of pieces by the Bayesian information criterion, made
    stricter for short series. Errors may be independent, or add up as they do in a product of
    random factors (then the increments are cut into stretches of constant mean); of the two the
    likelier is taken. A jump in the first step is a piece of its own.

    Parameters
    ----------
    t : ndarray, shape (n,)
        Moments, increasing; at least 2.
    y : ndarray, shape (n,)
    jump : bool, default True
        Whether the first step may be a jump.
    """
    n = len(t)
    kept = np.unique(np.linspace(0, n - 1, min(n, _MOST_PLACES)).round().astype(int))
    at, values = t[kept].astype(float), y[kept]
    lines, walks = _lines(at, values), _walks(at, values)
    independent, summed = (
        min(
            (_cut(cost, least, own, kick) for kick in (False, True)[: 1 + jump]),
            key=lambda cut: cut.criterion,
        )
        for cost, least, own in ((lines, LEAST, 2), (walks, LEAST - 1, 1))
    )
    adding_up = summed.criterion < independent.criterion
    best = summed if adding_up else independent
    found = []
    for first, after in pairwise(best.ends):
        last = after if adding_up else after - 1
        found.append(_piece(t, y, int(kept[first]), int(kept[last])))
    return Pieces(found, best.scatter)


def _piece(t: np.ndarray, y: np.ndarray, first: int, last: int) -> Piece:
    if first == last:
        return Piece(first, last, 0.0, 0.0)
    time, values = t[first : last + 1], y[first : last + 1]
    away = time - np.mean(time)
    slope = float(away @ values / (away @ away))
    return Piece(first, last, slope, slope * float(time[-1] - time[0]))


class _Cut(NamedTuple):
    criterion: float
    ends: list[int]
    scatter: float


def _cut(cost: np.ndarray, least: int, own: int, jump: bool) -> _Cut:
    """The best cut of m items, from the squares left ``cost[i, j]`` of items i to j - 1.

    A piece has its own parameters, and with each cut comes its place, which counts twice: it was
    looked for. A jump is a first piece of one item, whose place is known.
    """
    m = len(cost) - 1
    ends = np.arange(m + 1)
    allowed = np.where(ends - ends[:, None] < least, np.inf, cost)
    totals = allowed[0].copy()
    if jump:
        totals = np.where(ends == 1, 0.0, np.inf)
    elif m < least:
        totals[m] = cost[0, m]
    before: list[np.ndarray] = []
    cuts = [_Cut(np.inf, [0, m], float(np.sqrt(cost[0, m] / m)))]
    for k in range(1, _MOST_PIECES + 1 + jump):
        if k > 1:
            through = totals[:, None] + allowed
            before.append(np.argmin(through, axis=0))
            totals = np.min(through, axis=0)
        free = k - jump
        p, left = own * free + 2 * (free - 1) + 1 + jump, totals[m] / m
        room = m - p / 2 - 1
        if not np.isfinite(left) or (k > 1 and room <= 0):
            continue
        strict = p * np.log(m) * m / room if room > 0 else 0.0
        path = [m]
        for earlier in reversed(before):
            path.insert(0, int(earlier[path[0]]))
        criterion = float(m * np.log(left + _FLAT**2) + strict)
        cuts.append(_Cut(criterion, [0, *path], float(np.sqrt(left))))
    return min(cuts, key=lambda cut: cut.criterion)


def _lines(t: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Squares left of a line through points i to j - 1, for i < j; shape (n + 1, n + 1)."""
    away, level = t - np.mean(t), y - np.mean(y)
    m, a, b, aa, ab, bb = _between(
        np.array([np.ones(len(t)), away, level, away * away, away * level, level * level])
    )
    with np.errstate(all="ignore"):
        along = (ab - a * b / m) ** 2 / (aa - a * a / m)
        left = bb - b * b / m - along
    return np.where(m <= 2, 0.0, np.maximum(left, 0.0))


def _walks(t: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Squares left of a constant drift over increments i to j - 1, for i < j; shape (n, n)."""
    gaps = np.diff(t)
    gaps = gaps / np.mean(gaps)
    rises = np.diff(y)
    time, rise, squares = _between(np.array([gaps, rises, rises * rises / gaps]))
    with np.errstate(all="ignore"):
        left = squares - rise * rise / time
    return np.where(time > 0, np.maximum(left, 0.0), 0.0)


def _between(terms: np.ndarray) -> np.ndarray:
    """Sums of terms i to j - 1, shape (kinds, m + 1, m + 1)."""
    whole = np.concatenate([np.zeros((len(terms), 1)), np.cumsum(terms, axis=1)], axis=1)
    return whole[:, None, :] - whole[:, :, None]
