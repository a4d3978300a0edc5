"""Interval arithmetic on arrays: what a program gives on whole boxes at once, rounded outwards.

An interval that contains a pole, or leaves a function's domain, becomes NaN: nothing is known.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from samdyn import words
from samdyn.program import UNARY, Program

SMOOTH = frozenset({*UNARY, "add", "subtract", "multiply", "divide", "power"}) - {
    "absolute",
    "sign",
}
"""Operations of programs whose second derivatives hold on intervals: there are no kinks."""

_ULPS = 8
"""By so many units in the last place NumPy's transcendental functions may err."""


class Interval:
    """Intervals, one for each place of two arrays (of any float type) of lower and upper ends.

    Examples
    --------
    >>> x = Interval(np.array([-1.0]), np.array([2.0]))
    >>> square = x * x
    >>> bool(square.low[0] == 0.0 and 4.0 <= square.high[0] < 4.0 + 1e-14)
    True
    """

    __slots__ = ("high", "low")
    __array_ufunc__ = None  # array * Interval must reach Interval.__rmul__

    def __init__(self, low: Any, high: Any):
        self.low, self.high = low, high

    def __add__(self, other: Any) -> Interval:
        other = _interval(other)
        return _outward(self.low + other.low, self.high + other.high)

    __radd__ = __add__

    def __neg__(self) -> Interval:
        return Interval(-self.high, -self.low)

    def __sub__(self, other: Any) -> Interval:
        other = _interval(other)
        return _outward(self.low - other.high, self.high - other.low)

    def __rsub__(self, other: Any) -> Interval:
        return _interval(other) - self

    def __mul__(self, other: Any) -> Interval:
        if other is self:  # a square is never negative
            size = abs(self)
            return _outward(size.low * size.low, size.high * size.high, floor=0.0)
        other = _interval(other)
        ends = [a * b for a in (self.low, self.high) for b in (other.low, other.high)]
        low = np.minimum(np.minimum(ends[0], ends[1]), np.minimum(ends[2], ends[3]))
        high = np.maximum(np.maximum(ends[0], ends[1]), np.maximum(ends[2], ends[3]))
        return _outward(low, high)

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> Interval:
        other = _interval(other)
        pole = (other.low <= 0) & (other.high >= 0)
        inverse = _outward(1.0 / other.high, 1.0 / other.low)
        return self * Interval(_nan(inverse.low, pole), _nan(inverse.high, pole))

    def __rtruediv__(self, other: Any) -> Interval:
        return _interval(other) / self

    def __abs__(self) -> Interval:
        low, high = np.abs(self.low), np.abs(self.high)
        zero = (self.low <= 0) & (self.high >= 0)
        return Interval(np.where(zero, 0.0, np.minimum(low, high)), np.maximum(low, high))


def enclosed(program: Program, inputs: list[Any], shape: tuple[int, ...]) -> list[Interval]:
    """The outputs of a program on intervals, each of the given shape."""
    with np.errstate(all="ignore"):
        outputs = [_interval(out) for out in program(*inputs)]
    return [
        Interval(np.broadcast_to(out.low, shape), np.broadcast_to(out.high, shape))
        for out in outputs
    ]


def _interval(x: Any) -> Interval:
    return x if isinstance(x, Interval) else Interval(x, x)


def _outward(low: Any, high: Any, floor: float = -np.inf) -> Interval:
    low, high = np.nextafter(low, -np.inf), np.nextafter(high, np.inf)
    return Interval(np.maximum(low, floor) if floor > -np.inf else low, high)


def _nan(x: Any, where: Any) -> Any:
    return np.where(where, np.nan, x)


def _wider(low: Any, high: Any) -> Interval:
    unit = _ULPS * np.finfo(np.result_type(low)).eps
    tiny = np.finfo(np.result_type(low)).tiny
    return Interval(low - unit * np.abs(low) - tiny, high + unit * np.abs(high) + tiny)


def _rising(function: Callable, least: float = -np.inf, most: float = np.inf) -> Callable:
    """An increasing function with its domain."""

    def on_intervals(x: Interval) -> Interval:
        outside = ~((x.low >= least) & (x.high <= most))
        return _wider(_nan(function(x.low), outside), _nan(function(x.high), outside))

    return on_intervals


def _falling(function: Callable, least: float, most: float) -> Callable:
    rising = _rising(lambda x: -function(x), least, most)
    return lambda x: -rising(x)


def _cosh(x: Interval) -> Interval:
    size = abs(x)
    return _wider(np.cosh(size.low), np.cosh(size.high))


def _wave(function: Callable, crest: float) -> Callable:
    """A sine or a cosine, whose maxima lie at ``crest`` and every 2 pi from there."""

    def on_intervals(x: Interval) -> Interval:
        ends = function(x.low), function(x.high)
        inner = _wider(np.minimum(*ends), np.maximum(*ends))
        low = np.where(_passes(x, crest + np.pi), -1.0, np.maximum(inner.low, -1.0))
        return Interval(low, np.where(_passes(x, crest), 1.0, np.minimum(inner.high, 1.0)))

    return on_intervals


def _passes(x: Interval, start: float, period: float = 2 * np.pi) -> Any:
    """Whether an interval may contain ``start`` plus a multiple of the period."""
    first, last = (x.low - start) / period, (x.high - start) / period
    slack = 1e-15 * (4.0 + np.abs(first) + np.abs(last))
    return ~(np.floor(last + slack) < np.ceil(first - slack))


def _tan(x: Interval) -> Interval:
    pole = _passes(x, np.pi / 2, np.pi)
    return _wider(_nan(np.tan(x.low), pole), _nan(np.tan(x.high), pole))


def _power(base: Any, exponent: Any) -> Any:
    return words.exp(exponent * words.log(_interval(base)))


for _word, _reading in {
    words.sqrt: _rising(np.sqrt, 0.0),
    words.exp: _rising(np.exp),
    words.log: _rising(np.log, 0.0),
    words.sin: _wave(np.sin, np.pi / 2),
    words.cos: _wave(np.cos, 0.0),
    words.tan: _tan,
    words.sinh: _rising(np.sinh),
    words.cosh: _cosh,
    words.tanh: _rising(np.tanh),
    words.arcsin: _rising(np.arcsin, -1.0, 1.0),
    words.arccos: _falling(np.arccos, -1.0, 1.0),
    words.arctan: _rising(np.arctan),
    words.power: _power,
}.items():
    _word.register(Interval, _reading)
