"""Square roots of covariances in words, and products in which an exact 0 leaves no trace."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from samdyn import words


def lower_triangle(matrix: Sequence[Sequence[Any]], noisy: Sequence[int]) -> list[list[Any]]:
    """Cholesky's factor in words, of a matrix that may be semi-definite.

    A pivot that is 0, or below, gives a column of 0.

    Parameters
    ----------
    matrix : rows of scalars
    noisy : sequence of int
        The rows that are not 0; each has a column of the factor.
    """
    factor = [[0.0] * len(noisy) for _ in matrix]
    for j, row in enumerate(noisy):
        pivot = matrix[row][row]
        for k in range(j):
            pivot = difference(pivot, times(factor[row][k], factor[row][k]))
        # what rounding leaves of a pivot of 0 is below this
        positive = pivot > 1e-14 * matrix[row][row]
        root = words.sqrt(words.where(positive, pivot, 1.0))
        factor[row][j] = words.where(positive, root, 0.0)
        for below in noisy[j + 1 :]:
            entry = matrix[below][row]
            for k in range(j):
                entry = difference(entry, times(factor[below][k], factor[row][k]))
            if not is_zero(entry):
                factor[below][j] = words.where(positive, entry / root, 0.0)
    return factor


def symmetric(upper: Sequence[Any], d: int) -> list[list[Any]]:
    """The symmetric matrix of an upper part."""
    matrix: list[list[Any]] = [[0.0] * d for _ in range(d)]
    entries = iter(upper)
    for i in range(d):
        for j in range(i, d):
            matrix[i][j] = matrix[j][i] = next(entries)
    return matrix


def is_zero(value: Any) -> bool:
    """Whether a scalar is the number 0, whatever the state."""
    return type(value) is float and value == 0.0


def times(a: Any, b: Any) -> Any:
    """A product in which 0, 1 and -1 leave no trace."""
    if is_zero(a) or is_zero(b):
        return 0.0
    for one, other in ((a, b), (b, a)):
        if type(one) is float and abs(one) == 1.0:
            return other if one > 0 else -other
    return a * b


def total(a: Any, b: Any) -> Any:
    """A sum in which 0 leaves no trace."""
    if is_zero(a) or is_zero(b):
        return b if is_zero(a) else a
    return a + b


def difference(a: Any, b: Any) -> Any:
    """A difference in which 0 leaves no trace."""
    return a if is_zero(b) else a - b
