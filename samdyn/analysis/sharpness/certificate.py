"""An upper bound of the loss over a ball, by branch and bound on intervals.

Over a box, f is at most its Lagrangian f + m*s - k*s**2 with s = (1 - |u|**2)/2, whatever
m >= k*s >= 0. Where intervals show that this is concave, its value at a maximum bounds it up
to rounding: so boxes about a maximum need not shrink to points.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from samdyn.analysis.sharpness.landscape import Landscape

_AT_ONCE = 1024
_EDGE = 1e-14
"""The basis is orthogonal up to this, so the ball is taken this much larger."""

_TINY = 1e-150


class Bound(NamedTuple):
    """An upper bound, the number of boxes that it took, and the middles of those left open."""

    high: float
    boxes: int
    open: np.ndarray


class _Boxes(NamedTuple):
    middle: np.ndarray
    half: np.ndarray
    high: np.ndarray

    def take(self, which: np.ndarray) -> _Boxes:
        return _Boxes(*(part[which] for part in self))


class _Expansion(NamedTuple):
    """Points to expand about, (n, d), with enclosed values and slopes."""

    at: np.ndarray
    value: np.ndarray
    slope: np.ndarray
    error: np.ndarray

    def take(self, which: np.ndarray) -> _Expansion:
        return _Expansion(*(part[which] for part in self))


def upper_bound(land: Landscape, maxima: np.ndarray, low: float, gap: float, boxes: int) -> Bound:
    """A number that f nowhere exceeds on the unit ball, within ``gap`` of ``low`` if it can be.

    Parameters
    ----------
    land : Landscape
        Of a smooth formula.
    maxima : ndarray, shape (m, d)
        Local maxima.
    low : float
        A value that is reached.
    gap : float
    boxes : int
        The most that are looked at.
    """
    d, level = len(land.p), low + gap
    tops = _expanded(land, maxima)
    active = _Boxes(np.zeros((1, d)), np.ones((1, d)), np.array([np.inf]))
    closed, looked = low, 0
    while len(active.high) and looked < boxes:
        order = np.argsort(-active.high, kind="stable")
        count = min(_AT_ONCE, boxes - looked)
        now, later = active.take(order[:count]), active.take(order[count:])
        looked += len(now.high)
        now = now._replace(high=np.minimum(now.high, _bounds(land, now, tops, level)))
        done = now.high <= level
        closed = max(closed, float(np.max(now.high[done], initial=-np.inf)))
        children = _split(now.take(~done))
        active = _Boxes(*(np.concatenate(pair) for pair in zip(later, children, strict=True)))
    high = max(closed, float(np.max(active.high, initial=-np.inf)))
    return Bound(high, looked, active.middle[np.argsort(-active.high, kind="stable")])


def _split(boxes: _Boxes) -> _Boxes:
    """Halved along the longest side; what misses the ball goes."""
    n, d = boxes.half.shape
    # of equally long sides the one along which the loss is most curved, which stands last
    axis = d - 1 - np.argmax(boxes.half[:, ::-1], axis=1)
    half = boxes.half.copy()
    half[np.arange(n), axis] /= 2
    shift = np.zeros_like(half)
    shift[np.arange(n), axis] = half[np.arange(n), axis]
    middle = np.concatenate([boxes.middle - shift, boxes.middle + shift])
    both = _Boxes(middle, np.concatenate([half, half]), np.concatenate([boxes.high, boxes.high]))
    nearest = np.maximum(np.abs(both.middle) - both.half, 0.0)
    return both.take(np.sum(nearest**2, axis=1) <= 1.0 + _EDGE)


def _bounds(land: Landscape, boxes: _Boxes, tops: _Expansion, level: float) -> np.ndarray:
    """Upper bounds over boxes: expanded about their middles, then about a maximum close by."""
    away = np.maximum(np.abs(boxes.middle[:, None] - tops.at) - boxes.half[:, None], 0.0)
    distance = np.linalg.norm(away, axis=2)
    nearest = np.argmin(distance, axis=1)
    close = distance[np.arange(len(nearest)), nearest] <= np.linalg.norm(boxes.half, axis=1)
    high = np.full(len(boxes.high), np.inf)
    if np.any(close):
        high[close] = _expansion_bound(land, boxes.take(close), tops.take(nearest[close]))
    rest = high > level
    if np.any(rest):
        some = boxes.take(rest)
        about = _expanded(land, some.middle)
        high[rest] = np.minimum(high[rest], _expansion_bound(land, some, about))
    return high


def _expanded(land: Landscape, u: np.ndarray) -> _Expansion:
    _, high = land.value_within(u)
    return _Expansion(u, high, *land.gradient_within(u))


def _expansion_bound(land: Landscape, boxes: _Boxes, about: _Expansion) -> np.ndarray:
    c = about.at
    low = np.minimum(boxes.middle - boxes.half, c)
    high = np.maximum(boxes.middle + boxes.half, c)
    hessian, far = land.hessian_within(low, high)
    span = np.abs(boxes.middle - c) + boxes.half  # of each coordinate, from c
    radius = np.linalg.norm(span, axis=1)
    lost = about.error * radius
    known = np.isfinite(about.value + lost + far) & np.all(np.isfinite(hessian), axis=(1, 2))
    hessian, far = np.where(known[:, None, None], hessian, 0.0), np.where(known, far, 0.0)
    slope = np.where(known[:, None], about.slope, 0.0)
    # s = (1 - |u|**2)/2 at the centre, and at most over the box and over the hull with c
    deep = (1.0 + _EDGE - np.sum(c * c, axis=1)) / 2
    deepest = _deepest(boxes.middle - boxes.half, boxes.middle + boxes.half)
    hull = _deepest(low, high)
    size = np.sqrt(np.sum(c * c, axis=1))
    pull = np.maximum(np.sum(slope * c, axis=1), 0.0)
    best = np.full(len(c), np.inf)
    for share in (0.0, 0.03, 0.3):
        k = share * pull
        bent = hessian - 2 * k[:, None, None] * c[:, :, None] * c[:, None, :]
        spread = far + 2 * k * (radius * (2 * size + radius) + np.maximum(hull, 0.0))
        spread = spread + 1e-14 * np.linalg.norm(bent, axis=(1, 2))
        bound = _lagrangian(
            about.value - k * deep**2,
            slope + 2 * (k * deep)[:, None] * c,
            bent,
            spread,
            c,
            span,
            deep,
            k * np.maximum(deepest, 0.0),
        )
        best = np.minimum(best, bound)
    return np.where(known, best + lost, np.inf)


def _deepest(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    nearest = np.maximum(np.maximum(low, -high), 0.0)
    return (1.0 + _EDGE - np.sum(nearest**2, axis=1)) / 2


def _lagrangian(
    value: np.ndarray,
    slope: np.ndarray,
    hessian: np.ndarray,
    spread: np.ndarray,
    c: np.ndarray,
    span: np.ndarray,
    deep: np.ndarray,
    least: np.ndarray,
) -> np.ndarray:
    """The most of a quadratic, spread added to its Hessian, on the ball and within span of c.

    Two multipliers: of the unit ball, at least ``least``, and of the ball about c. Any choice is
    a bound; the best of a few is taken.
    """
    radius2 = np.sum(span**2, axis=1) * (1 + _EDGE)
    eigenvalues, vectors = np.linalg.eigh(hessian)
    b, e = (np.einsum("nij,ni->nj", vectors, x) for x in (slope, c))
    top = eigenvalues[:, -1] + spread
    size = np.abs(eigenvalues).max(axis=1) + spread + _TINY
    length = np.linalg.norm(slope, axis=1) / np.sqrt(radius2)
    floor = np.maximum(np.maximum(top, 0.0) + 1e-6 * size, least)
    own = np.sum(slope * c, axis=1) / np.maximum(np.sum(c * c, axis=1), _TINY)
    best = np.full(len(value), np.inf)
    choices = [floor + share * length for share in (0.0, 0.1, 0.3, 0.6, 1.0, 2.0)]
    for total in (*choices, np.maximum(own, np.maximum(top, 0.0) + 1e-14 * size)):
        total = np.maximum(total, least)
        a = 1.0 / (total[:, None] - spread[:, None] - eigenvalues)
        offset = (2 * deep - radius2) / 2
        across = np.maximum(np.sum(a * e * e, axis=1), _TINY)
        sphere = np.clip((np.sum(a * b * e, axis=1) - offset) / across, least, total)
        for m in (sphere, np.clip(own, least, total)):
            rest = 0.5 * np.sum(a * (b - m[:, None] * e) ** 2, axis=1)
            linear = np.sum(np.abs(slope - m[:, None] * c) * span, axis=1)
            # either the quadratic part pays for the slope, or the box is wide for it
            rest = np.minimum(rest * (1 + 1e-8), linear)
            bound = value + m * deep + (total - m) * radius2 / 2 + rest
            best = np.minimum(best, bound + 4e-15 * (np.abs(value) + m + rest))
    return best
