"""The escape phase of one series of losses: its end, and the stretch on which it is exponential."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np

from samdyn.analysis.late.correlated import Coefficient, coefficient
from samdyn.analysis.late.stretches import LEAST, Piece, Pieces, pieces

_SLACK = 0.1
"""Growth below this part of the exponential rate is no longer escape."""

_SCATTERS = 4.0
"""A rise below so many standard deviations about the fit is noise."""

_TELLING = 8
"""Points of a stretch from which on the interval of its rate is asked to exclude 0."""

_LAGS = (1, 2)
"""Neighbours by which noise is judged: of a cycle of two steps, which is no noise, the second."""

UNKNOWN = Coefficient(np.nan, np.nan, np.nan)


class Growth(NamedTuple):
    """The escape phase of a series.

    Attributes
    ----------
    present : bool
    end : int
        Place in the series where it ends; 0 if it is absent.
    first, last : int
        Places between which growth is exponential; the same if it is nowhere.
    rate : Coefficient
        Of the logarithm, per step; NaN where growth is exponential nowhere.
    size : float
        The fitted value at ``first``.
    """

    present: bool
    end: int
    first: int
    last: int
    rate: Coefficient
    size: float


NO_GROWTH = Growth(False, 0, 0, 0, UNKNOWN, np.nan)


def growth(t: np.ndarray, y: np.ndarray, before: float, factor: float, level: float) -> Growth:
    """The escape phase of the logarithm ``y`` of a loss at steps ``t`` after the switch.

    The series up to its maximum is cut into straight pieces. That which rises most is the
    exponential stretch, or its part, if it can be cut again; what comes after and rises less than
    a tenth as fast is cut off, and escape ends at the largest value of what is left. Whether it
    is an escape is decided by the whole rise, from the logarithm ``before`` at the switch, and
    with the jumps between pieces. If these are enough, and no stretch is exponential, escape
    ends where the loss comes within ``factor`` of its maximum.
    """
    top = int(np.argmax(y))
    if y[top] <= before:
        return NO_GROWTH
    alone = Pieces([Piece(0, 0, 0.0, 0.0)], 0.0)
    cut = pieces(t[: top + 1], y[: top + 1]) if top else alone
    noise = roughness(y) if len(y) >= _TELLING else cut.scatter
    enough = max(np.log(factor), _SCATTERS * noise)
    leaps = min(y[0] - before + _leapt(t, y, cut.pieces), y[top] - before) >= enough
    main = _steady(cut.pieces)
    if main is not None and (main.rise >= np.log(factor) or not leaps):
        end = _end(cut.pieces, main, y)
        reached = [one for one in cut.pieces if one.first <= end]
        risen = sum(max(one.rise, 0.0) for one in reached if one.last - one.first + 1 >= LEAST)
        risen += y[0] - before + _leapt(t, y, reached)
        last = max(min(main.last, end), main.first + LEAST - 1)
        first, last = _straightest(t, y, main.first, last)
        rate, size = line(t[first : last + 1], y[first : last + 1], level)
        telling = last - first + 1 < _TELLING or rate.low > 0
        if telling and min(risen, y[end] - before) >= enough:
            return Growth(True, end, first, last, rate, size)
    if not leaps:
        return NO_GROWTH
    end = int(np.argmax(y >= y[top] - np.log(factor)))
    return Growth(True, end, end, end, UNKNOWN, np.nan)


def roughness(y: np.ndarray) -> float:
    """The standard deviation of independent errors, by second differences; jumps do not matter."""
    bends = [y[2 * lag :] - 2 * y[lag:-lag] + y[: -2 * lag] for lag in _LAGS]
    return min(float(1.4826 * np.median(np.abs(bend)) / np.sqrt(6)) for bend in bends)


def _leapt(t: np.ndarray, y: np.ndarray, found: list[Piece]) -> float:
    """What rises outside pieces of enough points: in pieces of fewer, and from one to the next.

    Or all at once, so that every value after a step is above every one before; a piece of enough
    points may hide this, where the maximum follows at once.
    """
    short = sum(max(one.rise, 0.0) for one in found if one.last - one.first + 1 < LEAST)
    between = [
        _ends(t, y, later)[0] - _ends(t, y, one)[1]
        for one, later in pairwise(found)
        if later.first > one.last
    ]
    part = y[: found[-1].last + 1]
    lowest = np.minimum.accumulate(part[::-1])[::-1]
    once = float(np.max(lowest[1:] - np.maximum.accumulate(part)[:-1], initial=0.0))
    return max(short + sum(max(gap, 0.0) for gap in between), once)


def _ends(t: np.ndarray, y: np.ndarray, one: Piece) -> tuple[float, float]:
    """The values at both ends of a piece's line."""
    here = slice(one.first, one.last + 1)
    begins = float(np.mean(y[here]) - one.slope * (np.mean(t[here]) - t[one.first]))
    return begins, begins + one.rise


def _steady(found: list[Piece]) -> Piece | None:
    """The piece of enough points that rises most."""
    rising = [one for one in found if one.last - one.first + 1 >= LEAST and one.slope > 0]
    return max(rising, key=lambda one: one.rise, default=None)


def _straightest(t: np.ndarray, y: np.ndarray, first: int, last: int) -> tuple[int, int]:
    """The part of a piece that cannot be cut again: of a smooth curve, where it is a line."""
    while True:
        here = slice(first, last + 1)
        part = _steady(pieces(t[here], y[here], jump=False).pieces)
        if part is None or part.last - part.first == last - first:
            return first, last
        first, last = first + part.first, first + part.last


def _end(found: list[Piece], main: Piece, y: np.ndarray) -> int:
    """Where escape ends: the maximum before growth has all but stopped."""
    last = main.last
    for one in found[found.index(main) + 1 :]:
        if one.slope < _SLACK * main.slope:
            break
        last = one.last
    return main.first + int(np.argmax(y[main.first : last + 1]))


def line(t: np.ndarray, y: np.ndarray, level: float) -> tuple[Coefficient, float]:
    """The slope of a line with its interval, and its exponential where it begins."""
    away = (t - t[0]).astype(float)
    design = np.stack([np.ones(len(t)), away], axis=1)
    rate = coefficient(y, design, np.diff(t).astype(float), 1, level)
    return rate, float(np.exp(np.mean(y - rate.value * away)))
