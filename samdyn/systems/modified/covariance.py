"""The covariance of a gradient's noise where the loss does not say it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import sympy

from samdyn.losses.formula import parse
from samdyn.losses.loss import Loss
from samdyn.losses.names import realised
from samdyn.symbols import symbols

Covariance = Sequence[Sequence[Any]] | Callable[[Loss], sympy.Matrix]


def absolute_hessian(loss: Loss) -> sympy.Matrix:
    """The Hessian with its eigenvalues' sizes, as the covariance of the gradient's noise.

    [H]^+ = Q diag(|lambda|) Q^T, the Fisher approximation of Kim et al. (arXiv 2301.06308). As a
    formula for one or two variables, or a Hessian that is diagonal.

    Raises
    ------
    ValueError
        For another.

    Examples
    --------
    >>> from samdyn import Loss, USAM
    >>> absolute_hessian(Loss("x**2 - y**2"))
    Matrix([
    [2, 0],
    [0, 2]])
    >>> from samdyn.systems.sde import SDE
    >>> saddle = SDE(Loss("x**2 - y**2"), USAM(lr=0.1, rho=0.5), batch_size=4,
    ...              covariance=absolute_hessian)
    >>> saddle.covariance([0.0, 0.0]).round(3).tolist()
    [[0.05, 0.0], [0.0, 0.05]]
    """
    hessian = sympy.hessian(loss.expression, symbols(loss.variables))
    if hessian.is_diagonal():
        return hessian.applyfunc(sympy.Abs)
    if loss.dimension > 2:
        raise ValueError(
            "absolute_hessian has a formula for one or two variables, or a diagonal Hessian; give "
            "the covariance as a matrix"
        )
    # the root of A = H^2 by Cayley and Hamilton: (A + sqrt(det A))/sqrt(tr A + 2 sqrt(det A))
    square, area = hessian * hessian, sympy.Abs(hessian.det())
    length = sympy.sqrt(square.trace() + 2 * area)
    safe = sympy.Piecewise((length, length > 0), (1, True))
    return (square + area * sympy.eye(2)) / safe


def checked_covariance(given: Covariance | None, loss: Loss) -> sympy.Matrix:
    """A covariance given by the user, as formulas of the variables and constants of a loss.

    Raises
    ------
    TypeError, ValueError
        If it is no symmetric matrix of such formulas.
    """
    given = given(loss.mean) if callable(given) else given
    d = loss.dimension
    try:
        rows = given.tolist() if isinstance(given, sympy.MatrixBase | np.ndarray) else given
        matrix = sympy.Matrix([[_entry(one) for one in row] for row in rows])  # type: ignore
    except (TypeError, ValueError) as error:
        raise TypeError(
            f"covariance must be a {d} by {d} matrix of formulas or numbers, got {given!r}; {error}"
        ) from None
    if matrix.shape != (d, d) or any(sympy.simplify(entry) != 0 for entry in matrix - matrix.T):
        raise ValueError(f"covariance must be a symmetric {d} by {d} matrix, got {given!r}")
    unknown = sorted({x.name for x in matrix.free_symbols} - {*loss.variables, *loss.constants})
    if unknown:
        raise ValueError(
            f"covariance names {unknown[0]}, which is neither a variable nor a constant of the loss"
        )
    return matrix


def _entry(one: Any) -> sympy.Expr:
    return parse(one) if isinstance(one, str) else realised(sympy.sympify(one))
