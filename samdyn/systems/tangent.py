"""A system together with its tangent dynamics: how fast neighbouring states part."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from samdyn.forward import pushed
from samdyn.numbers import checked_whole
from samdyn.systems.around import Around
from samdyn.systems.base import checked_single
from samdyn.words import Point, dot, log, norm, where

COLLAPSED = -1e250
"""What a tangent's growth is given, for minus infinity, in a step that takes the tangent to 0: it
stays finite however often it is added, and no sum of logarithms comes near it."""

_ROUNDING = 1e-14
"""A tangent that is this small a part of what it was, once the ones before it are taken out, is
made of rounding errors."""


@dataclass(frozen=True, eq=False)
class Tangent(Around):
    """A system that carries tangent vectors along, and how they have grown.

    Its state is the whole state of the inner system, then ``k`` tangent vectors, then the
    logarithms of their growth. A step is one of the inner system; its exact Jacobian moves the
    tangents, which modified Gram-Schmidt then makes orthonormal again. The logarithm of the
    length that a tangent had just before is added to its growth, whose rate tends to a Lyapunov
    exponent (Benettin et al., Meccanica 15, 1980).

    Parameters
    ----------
    system : Map, Flow or FormulaMap
        Any of its numbers may be an array.
    k : int, optional
        How many tangents, from 1 to the number of scalars of the system's state. Default: as many.

    Raises
    ------
    TypeError
        If it is no system, or a `Switch`, which is several.
    ValueError
        If k is out of range.

    Examples
    --------
    The growth of the second tangent is that of the area less that of the first:

    >>> from samdyn import FormulaMap
    >>> tangent = Tangent(FormulaMap({"x": "2*x", "y": "y/4"}))
    >>> tangent.rows[2:]
    ('tangent1_x', 'tangent1_y', 'tangent2_x', 'tangent2_y', 'growth1', 'growth2')
    >>> end = tangent.apply([1.0, 1.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0], steps=3)
    >>> (end[-2:] / np.log(2)).round(6)
    array([-6.,  3.])
    """

    k: int | None = None

    loss = None

    def __post_init__(self) -> None:
        checked_single(self.system)
        size = len(self.system.rows)
        k = size if self.k is None else checked_whole("k", self.k, 1)
        if k > size:
            raise ValueError(
                f"k must be at most {size}, one for each of {', '.join(self.system.rows)}; got {k}"
            )
        object.__setattr__(self, "k", k)

    @property
    def count(self) -> int:
        """How many tangents there are."""
        assert self.k is not None
        return self.k

    @property
    def coordinates(self) -> tuple[str, ...]:
        """Names of the inner system's rows, of the tangents' components, and of the growths."""
        inner = self.system.rows
        own = [f"tangent{i + 1}_{row}" for i in range(self.count) for row in inner]
        own += [f"growth{i + 1}" for i in range(self.count)]
        taken = {*inner, *self.system.numbers}
        while taken & set(own):
            own = [f"{name}_" for name in own]
        return (*inner, *own)

    @property
    def vectors(self) -> tuple[str, ...]:
        return ()

    @property
    def continuous(self) -> bool:  # type: ignore[override]
        return self.system.continuous

    @property
    def title(self) -> str:
        return f"tangents of {self.system.title}"

    def frame(self, seed: int = 0) -> np.ndarray:
        """Orthonormal tangents in random directions, of shape (k, rows of the inner system).

        Along the axes they could lie in an invariant subspace for ever, and miss a direction
        that grows.
        """
        size = len(self.system.rows)
        random = np.random.default_rng(checked_whole("seed", seed, 0))
        columns, _ = np.linalg.qr(random.standard_normal((size, self.count)))
        return np.ascontiguousarray(columns.T)

    def step(self, z: Sequence[Any], numbers: Mapping[str, Any]) -> list[Any]:
        program, n, k = self.system.program, len(self.system.rows), self.count
        state = list(z[:n])
        vectors = [z[n * (i + 1) : n * (i + 2)] for i in range(k)]
        seeds = [{i: vector[row] for i, vector in enumerate(vectors)} for row in range(n)]
        known = [numbers[name] for name in self.system.numbers]
        moved, tangents = pushed(program, [*state, *known], [*seeds, *({} for _ in known)])
        frame, lengths = _orthonormal(
            [Point(tangent.get(i, 0.0) for tangent in tangents) for i in range(k)]
        )
        growths = [before + new for before, new in zip(z[n * (k + 1) :], lengths, strict=True)]
        return [*moved, *(scalar for vector in frame for scalar in vector), *growths]


def _orthonormal(vectors: Sequence[Point]) -> tuple[list[Point], list[Any]]:
    """Modified Gram-Schmidt in words: the frame, and the logarithm of each length left over.

    A vector that nothing but rounding is left of is 0 from then on.
    """
    frame: list[Point] = []
    lengths: list[Any] = []
    for vector in vectors:
        whole = norm(vector)
        for other in frame:
            vector = vector - dot(other, vector) * other
        length = norm(vector)
        collapsed = length <= _ROUNDING * whole  # a NaN is not: it must be seen
        frame.append(vector * where(collapsed, 0.0, 1.0 / where(collapsed, 1.0, length)))
        lengths.append(where(collapsed, COLLAPSED, log(where(collapsed, 1.0, length))))
    return frame, lengths
