"""The words that definitions are written in.

Losses, algorithms and events are written once, over abstract scalars and points, with
Python's operators and the words below. Who reads a definition decides what the scalars are:
NumPy arrays (one entry a particle), traced symbols, SymPy expressions, torch tensors, or any
other number type that registers its words with ``word.register(type)``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import singledispatch
from typing import Any

import numpy as np

Scalar = Any
"""Anything with Python's arithmetic and an entry in the words below."""


def _word(name: str, numpy_function: Callable) -> Any:
    """A word that a number type may register for; floats and arrays are read by NumPy."""

    def spoken(first: Scalar, *rest: Scalar) -> Scalar:
        return numpy_function(first, *rest)

    spoken.__name__ = name
    return singledispatch(spoken)


sqrt = _word("sqrt", np.sqrt)
exp = _word("exp", np.exp)
log = _word("log", np.log)
sin = _word("sin", np.sin)
cos = _word("cos", np.cos)
tan = _word("tan", np.tan)
sinh = _word("sinh", np.sinh)
cosh = _word("cosh", np.cosh)
tanh = _word("tanh", np.tanh)
arcsin = _word("arcsin", np.arcsin)
arccos = _word("arccos", np.arccos)
arctan = _word("arctan", np.arctan)
absolute = _word("absolute", np.abs)
sign = _word("sign", np.sign)


@singledispatch
def power(base: Scalar, exponent: Scalar) -> Scalar:
    """``base ** exponent``, read by whichever of the two registers for it."""
    reader = power.dispatch(type(exponent))
    plain = reader is power.dispatch(object)
    return np.power(base, exponent) if plain else reader(base, exponent)


@singledispatch
def _choose(condition: Scalar, a: Scalar, b: Scalar) -> Scalar:
    return np.where(condition, a, b)[()]  # type: ignore[call-overload]


def where(condition: Scalar, a: Scalar, b: Scalar) -> Scalar:
    """``a`` where the condition holds and ``b`` elsewhere, for scalars or for points."""
    if condition is True or condition is False:
        return a if condition else b
    if isinstance(a, Point) or isinstance(b, Point):
        size = len(a) if isinstance(a, Point) else len(b)
        pairs = zip(_parts(a, size), _parts(b, size), strict=True)
        return Point(_choose(condition, p, q) for p, q in pairs)
    return _choose(condition, a, b)


where.register = _choose.register  # type: ignore[attr-defined]


def minimum(a: Scalar, b: Scalar) -> Scalar:
    """The smaller of two scalars."""
    return where(a < b, a, b)


def maximum(a: Scalar, b: Scalar) -> Scalar:
    """The larger of two scalars."""
    return where(a > b, a, b)


class Point:
    """A point or a vector: a tuple of scalar components with elementwise arithmetic.

    Parameters
    ----------
    components : iterable of scalars
        One scalar a coordinate. Each may be an array over particles.

    Examples
    --------
    >>> p = 2.0 * Point([1.0, 2.0]) + Point([0.0, 1.0])
    >>> p.components
    (2.0, 5.0)
    """

    __slots__ = ("components",)
    __array_ufunc__ = None  # array * Point must reach Point.__rmul__

    def __init__(self, components: Iterable[Scalar]):
        self.components = tuple(components)

    def __len__(self) -> int:
        return len(self.components)

    def __iter__(self) -> Iterator[Scalar]:
        return iter(self.components)

    def __getitem__(self, index: int) -> Scalar:
        return self.components[index]

    def __repr__(self) -> str:
        return f"Point({list(self.components)!r})"

    def __add__(self, other: Any) -> Point:
        return Point(a + b for a, b in self._with(other))

    def __radd__(self, other: Any) -> Point:
        return Point(b + a for a, b in self._with(other))

    def __sub__(self, other: Any) -> Point:
        return Point(a - b for a, b in self._with(other))

    def __rsub__(self, other: Any) -> Point:
        return Point(b - a for a, b in self._with(other))

    def __mul__(self, other: Any) -> Point:
        return Point(a * b for a, b in self._with(other))

    def __rmul__(self, other: Any) -> Point:
        return Point(b * a for a, b in self._with(other))

    def __truediv__(self, other: Any) -> Point:
        return Point(a / b for a, b in self._with(other))

    def __rtruediv__(self, other: Any) -> Point:
        return Point(b / a for a, b in self._with(other))

    def __pow__(self, exponent: Any) -> Point:
        return Point(a**b for a, b in self._with(exponent))

    def __matmul__(self, other: Any) -> Scalar:
        if not isinstance(other, Point):
            return NotImplemented
        return dot(self, other)

    def __neg__(self) -> Point:
        return Point(-a for a in self.components)

    def __abs__(self) -> Point:
        return Point(absolute(a) for a in self.components)

    def _with(self, other: Any) -> Iterator[tuple[Scalar, Scalar]]:
        if isinstance(other, Point) and len(other) != len(self):
            raise ValueError(
                f"points must have as many components as each other, got {len(self)} and "
                f"{len(other)}"
            )
        return zip(self.components, _parts(other, len(self)), strict=True)


def _register_on_points(word: Any) -> None:
    """A word of one scalar, said of a point, is said of each component."""
    word.register(Point, lambda point: Point(map(word, point)))


for _said in (sqrt, exp, log, sin, cos, tan, sinh, cosh, tanh, arcsin, arccos, arctan):
    _register_on_points(_said)
for _said in (absolute, sign):
    _register_on_points(_said)


def _parts(value: Any, size: int) -> tuple[Scalar, ...]:
    return value.components if isinstance(value, Point) else (value,) * size


@singledispatch
def dot(a: Any, b: Any) -> Scalar:
    """The inner product, summed in the order of the coordinates.

    The order is part of the definition: it makes every reading round alike.
    """
    products = [p * q for p, q in zip(a, b, strict=True)]
    total = products[0]
    for product in products[1:]:
        total = total + product
    return total


def norm(a: Any) -> Scalar:
    """The Euclidean length."""
    return sqrt(dot(a, a))


def along(a: Any, length: Scalar) -> Any:
    """The vector of a length in the direction of ``a``, and 0 where ``a`` is 0.

    Normalised SAM is discontinuous at critical points; 0 there says that a particle that sits
    exactly on one is not perturbed.
    """
    own = norm(a)
    return a * (length / where(own > 0.0, own, 1.0))


def unit(a: Any) -> Any:
    """The direction ``a / |a|``, and 0 where ``a`` is 0."""
    return along(a, 1.0)
