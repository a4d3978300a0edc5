"""Linear functions with weights that are products: the simplest networks with saddles."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from samdyn.numbers import check_positive, checked_number, checked_whole


class DiagonalLinear(nn.Module):
    """x -> (u*v)·x; see `diagonal_linear`."""

    def __init__(self, features: int, start: tuple[float, float]):
        super().__init__()
        self.begins = start
        self.u = nn.Parameter(torch.empty(features))
        self.v = nn.Parameter(torch.empty(features))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Go back to the start, where nothing is drawn."""
        for layer, begins in zip((self.u, self.v), self.begins, strict=True):
            nn.init.constant_(layer, begins)

    def forward(self, x: Tensor) -> Tensor:
        """Inputs (n, features) to outputs (n, 1)."""
        return (x @ (self.u * self.v))[:, None]


def diagonal_linear(features: int = 30, start: float | tuple[float, float] = 0.1) -> nn.Module:
    """A diagonal linear network: x -> (u*v)·x, with weights u and v for each feature.

    Parameters
    ----------
    features : int, default 30
    start : float or (float, float), default 0.1
        Every u_j and every v_j; one number is that of u, v being 0. From u = v products can only
        become what has the sign of the start, for u_j^2 - v_j^2 is conserved under gradient
        flow.

    Notes
    -----
    Source: Andriushchenko and Flammarion, arXiv 2206.06232; the data are `data.diagonal_linear`.
    In double precision, ``initialised(model.double(), seed=0)`` has a start that is exact.

    Examples
    --------
    >>> diagonal_linear(3)(torch.ones(2, 3)).shape
    torch.Size([2, 1])
    """
    pair = start if isinstance(start, tuple) else (start, 0.0)
    if len(pair) != 2:
        raise ValueError(f"start must be one number or two, of u and of v, got {start}")
    u, v = (checked_number("start", value) for value in pair)
    return DiagonalLinear(checked_whole("features", features, 1), (u, v))


class MatrixFactorization(nn.Module):
    """x -> U V^T x; see `matrix_factorization`."""

    def __init__(self, rows: int, columns: int, width: int, scale: float):
        super().__init__()
        self.scale = scale
        self.left = nn.Parameter(torch.empty(rows, width))
        self.right = nn.Parameter(torch.empty(columns, width))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the weights anew."""
        for factor in (self.left, self.right):
            nn.init.normal_(factor, std=self.scale)

    def forward(self, x: Tensor) -> Tensor:
        """Inputs (n, columns) to outputs (n, rows)."""
        return x @ self.right @ self.left.T


def matrix_factorization(
    rows: int = 10, columns: int = 10, width: int = 10, scale: float = 0.01
) -> nn.Module:
    """Two factors of a matrix: x -> U V^T x.

    Parameters
    ----------
    rows, columns : int, default 10
        Of the matrix.
    width : int, default 10
        Columns of U and of V: the largest rank that the product can have.
    scale : float, default 0.01
        Standard deviation of the initial weights; at 0 lies a saddle.

    Notes
    -----
    The data are `data.matrix_factorization`.

    Examples
    --------
    >>> [tuple(p.shape) for p in matrix_factorization(4, 3, 2).parameters()]
    [(4, 2), (3, 2)]
    """
    check_positive(scale=scale)
    for name, size in {"rows": rows, "columns": columns, "width": width}.items():
        checked_whole(name, size, 1)
    return MatrixFactorization(rows, columns, width, float(scale))
