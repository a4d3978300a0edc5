"""The escape phase of one series of losses: its end, and the stretch on which it is exponential."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from samdyn.analysis.late.correlated import Coefficient, coefficient
from samdyn.analysis.late.stretches import LEAST, Piece, pieces

_SLACK = 0.1
"""Growth below this part of the exponential rate is no longer escape."""

_SCATTERS = 4.0
"""A rise below so many standard deviations about the fit is noise."""

_TELLING = 8
"""Points of a stretch from which on the interval of its rate is asked to exclude 0."""

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


def growth(t: np.ndarray, y: np.ndarray, factor: float, level: float) -> Growth:
    """The escape phase of the logarithm ``y`` of a loss at steps ``t``, which begin at the switch.

    The series up to its maximum is cut into straight pieces. That which rises most is the
    exponential stretch, or its part, if it can be cut again; what comes after and rises less than
    a tenth as fast is cut off, and escape ends at the largest value of what is left.
    """
    top = int(np.argmax(y))
    if top < 1:
        return NO_GROWTH
    cut = pieces(t[: top + 1], y[: top + 1])
    steepest = max(cut.pieces, key=lambda one: one.rise)
    main = _steady(cut.pieces)
    end = _end(cut.pieces, main or steepest, y)
    risen = sum(max(one.rise, 0.0) for one in cut.pieces if one.first <= end)
    noise = roughness(y) if len(y) >= _TELLING else cut.scatter
    if min(risen, y[end] - y[0]) < max(np.log(factor), _SCATTERS * noise):
        return NO_GROWTH
    if main is None:
        return Growth(True, end, steepest.first, steepest.first, UNKNOWN, np.nan)
    first, last = _straightest(t, y, main.first, max(min(main.last, end), main.first + LEAST - 1))
    rate, size = line(t[first : last + 1], y[first : last + 1], level)
    if last - first + 1 >= _TELLING and not rate.low > 0:
        return NO_GROWTH
    return Growth(True, end, first, last, rate, size)


def roughness(y: np.ndarray) -> float:
    """The standard deviation of independent errors, by second differences; jumps do not matter."""
    return float(1.4826 * np.median(np.abs(np.diff(y, 2))) / np.sqrt(6))


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
