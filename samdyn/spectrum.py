"""Eigenvalues and eigenvectors of small symmetric matrices, in words: without a branch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from samdyn.words import Point, absolute, sqrt, where

LARGEST = 6
"""The most rows that a matrix may have: the work, written out, grows with their cube."""

_SWEEPS = (0, 0, 1, 5, 6, 6, 7)
"""Sweeps over all pairs of rows that leave nothing but rounding, by the number of rows."""


class Pair(NamedTuple):
    """An eigenvalue and a unit vector of its eigenspace."""

    value: Any
    vector: Point


def eigenpairs(matrix: Sequence[Sequence[Any]]) -> list[Pair]:
    """All eigenpairs of a symmetric matrix, in no order, by Jacobi's rotations.

    Parameters
    ----------
    matrix : square, symmetric sequence of rows
        Of scalars of any kind, at most `LARGEST` rows. Entries below 1e-154, whose squares
        underflow, count as 0.

    Raises
    ------
    ValueError
        If it has more rows.

    References
    ----------
    Golub and Van Loan, Matrix Computations, section 8.5 (cyclic Jacobi).

    Examples
    --------
    >>> import numpy as np
    >>> one, other = eigenpairs(np.array([[2.0, 1.0], [1.0, 2.0]]))
    >>> round(float(one.value), 12), round(float(other.value), 12)
    (1.0, 3.0)
    """
    n = len(matrix)
    if n > LARGEST:
        raise ValueError(f"eigenvalues are taken of at most {LARGEST} rows while running, got {n}")
    a = [list(row) for row in matrix]
    v = [[1.0 if i == j else 0.0 for j in range(n)] for i in range(n)]
    for _ in range(_SWEEPS[n]):
        for p in range(n):
            for q in range(p + 1, n):
                _rotate(a, v, p, q)
    return [Pair(a[k][k], Point(row[k] for row in v)) for k in range(n)]


def top_eigenpair(matrix: Sequence[Sequence[Any]]) -> Pair:
    """The largest eigenvalue, with a vector; see `eigenpairs`."""
    top, *others = eigenpairs(matrix)
    for other in others:
        larger = other.value > top.value
        top = Pair(where(larger, other.value, top.value), where(larger, other.vector, top.vector))
    return top


def _rotate(a: list[list[Any]], v: list[list[Any]], p: int, q: int) -> None:
    """Turn rows and columns p and q so that their common entry becomes 0."""
    gap, twice = a[q][q] - a[p][p], 2.0 * a[p][q]
    length = absolute(gap) + sqrt(gap * gap + twice * twice)
    # the smaller of the two angles, and none where there is nothing to turn
    tangent = where(gap < 0.0, -twice, twice) / where(length > 0.0, length, 1.0)
    cosine = 1.0 / sqrt(1.0 + tangent * tangent)
    sine = tangent * cosine
    moved = tangent * a[p][q]
    a[p][p], a[q][q] = a[p][p] - moved, a[q][q] + moved
    a[p][q] = a[q][p] = 0.0
    for k in range(len(a)):
        if k not in (p, q):
            one, other = a[k][p], a[k][q]
            a[k][p] = a[p][k] = cosine * one - sine * other
            a[k][q] = a[q][k] = sine * one + cosine * other
        one, other = v[k][p], v[k][q]
        v[k][p] = cosine * one - sine * other
        v[k][q] = sine * one + cosine * other
