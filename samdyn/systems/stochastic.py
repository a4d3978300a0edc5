"""Schemes for stochastic differential equations. Each is a definition in words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from samdyn.systems.schemes import Field
from samdyn.tracer import Traced
from samdyn.words import sqrt, where

Matrix = list[list[Any]]
"""A row for each scalar of the state, in it an entry for each Brownian motion."""

Spread = Callable[[list[Any]], Matrix]
"""The diffusion matrix of dX = drift(X) dt + diffusion(X) dW: scalars of the state -> matrix."""

Step = Callable[[Field, Spread, list[Any], Any, Sequence[Any]], list[Any]]
"""``step(drift, diffusion, z, dt, normals)`` is the state after a step of length ``dt``."""


def none(brownian: int) -> int:
    """No normals besides those of the Brownian motions."""
    return 0


def pairs(brownian: int) -> int:
    """A normal more for each pair of Brownian motions."""
    return brownian * (brownian - 1) // 2


@dataclass(frozen=True, repr=False)
class StochasticScheme:
    """A one-step scheme for an SDE, as a value.

    Parameters
    ----------
    name : str
    step : callable
        ``step(drift, diffusion, z, dt, normals)`` in words: the next state, from ``drift(z)``, a
        list, ``diffusion(z)``, a matrix as a list of rows, and independent standard normals: first
        one for each Brownian motion (its increment over sqrt(dt)), then ``extra`` more.
    weak_order, strong_order : float
        Orders of convergence for any smooth coefficients, whatever the noise.
    commuting_order : float, optional
        The strong order where the columns of the diffusion matrix commute as vector fields, as
        for one Brownian motion, constant noise, or noise of each variable by itself. Default:
        ``strong_order``.
    extra : callable, default none
        How many further normals a step takes for so many Brownian motions.
    stratonovich : bool, default False
        Whether ``drift`` has to be that of the equation in Stratonovich's sense; a system then
        hands its corrected drift to the scheme.

    Raises
    ------
    TypeError
        If step or extra is no function.

    Examples
    --------
    >>> from samdyn.systems.stochastic import euler_maruyama
    >>> moved = euler_maruyama(lambda z: [-z[0]], lambda z: [[0.5]], [1.0], 0.25, [2.0])
    >>> float(moved[0])  # 1 - 0.25 + 0.5*2*sqrt(0.25)
    1.25
    """

    name: str
    step: Step
    weak_order: float
    strong_order: float
    commuting_order: float | None = None
    extra: Callable[[int], int] = none
    stratonovich: bool = False

    def __post_init__(self) -> None:
        for what in ("step", "extra"):
            if not callable(given := getattr(self, what)):
                raise TypeError(f"{what} of a scheme must be a function, got {given!r}")

    def __call__(
        self, drift: Field, diffusion: Spread, z: Sequence[Any], dt: Any, normals: Sequence[Any]
    ) -> list[Any]:
        """The state after a step."""
        return self.step(drift, diffusion, list(z), dt, list(normals))

    def __repr__(self) -> str:
        return self.name


def _euler_maruyama(
    drift: Field, diffusion: Spread, z: list[Any], dt: Any, normals: Sequence[Any]
) -> list[Any]:
    increments = [sqrt(dt) * normal for normal in normals]
    return _pushed(_moved(z, dt, drift(z)), diffusion(z), increments)


def _stochastic_heun(
    drift: Field, diffusion: Spread, z: list[Any], dt: Any, normals: Sequence[Any]
) -> list[Any]:
    increments = [sqrt(dt) * normal for normal in normals]
    a, b = drift(z), diffusion(z)
    ahead = _pushed(_moved(z, dt, a), b, increments)
    a2, b2 = drift(ahead), diffusion(ahead)
    rates = [0.5 * _total(p, q) for p, q in zip(a, a2, strict=True)]
    matrix = [[_mean(p, q) for p, q in zip(*rows, strict=True)] for rows in zip(b, b2, strict=True)]
    return _pushed(_moved(z, dt, rates), matrix, increments)


def _platen(
    drift: Field, diffusion: Spread, z: list[Any], dt: Any, normals: Sequence[Any]
) -> list[Any]:
    root = sqrt(dt)
    a, b = drift(z), diffusion(z)
    columns = list(zip(*b, strict=True))
    m = len(columns)
    xi, signs = normals[:m], _signs(normals[m:], m)
    straight = _moved(z, dt, a)
    ahead = drift(_pushed(straight, b, [root * normal for normal in xi]))
    moved = _moved(z, 0.5 * dt, [_total(p, q) for p, q in zip(a, ahead, strict=True)])
    shifts = [[_scaled(root, entry) for entry in column] for column in columns]
    along = [_both_ways(diffusion, straight, shift) for shift in shifts]
    aside = [_both_ways(diffusion, z, shift) for shift in shifts] if m > 1 else []
    for i in range(len(z)):
        for j in range(m):
            here, (plus, minus) = b[i][j], _entries(along[j], i, j)
            level = _mean(_mean(plus, minus), here)
            change = _scaled(0.25, _difference(plus, minus))
            more = _scaled(change, xi[j] * xi[j] - 1.0)
            for r in range(m):
                if r != j:
                    plus, minus = _entries(aside[r], i, j)
                    level = _total(level, _scaled(0.5, _difference(_mean(plus, minus), here)))
                    change = _scaled(0.25, _difference(plus, minus))
                    more = _total(more, _scaled(change, xi[j] * xi[r] + signs[r][j]))
            moved[i] = _total(moved[i], _scaled(root, _total(_scaled(level, xi[j]), more)))
    return moved


def _signs(normals: Sequence[Any], m: int) -> list[list[Any]]:
    """The two-point variables over dt: 1 or -1 each with probability 1/2, antisymmetric."""
    signs: list[list[Any]] = [[0.0] * m for _ in range(m)]
    drawn = iter(normals)
    for r in range(m):
        for j in range(r):
            signs[r][j] = where(next(drawn) < 0.0, -1.0, 1.0)
            signs[j][r] = -signs[r][j]
    return signs


def _both_ways(diffusion: Spread, z: Sequence[Any], shift: Sequence[Any]) -> tuple[Matrix, Matrix]:
    there = [_total(x, d) for x, d in zip(z, shift, strict=True)]
    back = [_difference(x, d) for x, d in zip(z, shift, strict=True)]
    return diffusion(there), diffusion(back)


def _entries(matrices: tuple[Matrix, Matrix], i: int, j: int) -> tuple[Any, Any]:
    return matrices[0][i][j], matrices[1][i][j]


def _moved(z: Sequence[Any], length: Any, rates: Sequence[Any]) -> list[Any]:
    return [_total(x, _scaled(length, rate)) for x, rate in zip(z, rates, strict=True)]


def _pushed(z: Sequence[Any], matrix: Matrix, increments: Sequence[Any]) -> list[Any]:
    """``z`` and, of each Brownian increment, what the matrix's row makes of it."""
    moved = list(z)
    for i, row in enumerate(matrix):
        for entry, increment in zip(row, increments, strict=True):
            moved[i] = _total(moved[i], _scaled(entry, increment))
    return moved


# --- arithmetic in which an exact 0 or 1, and what is the same on either side, leave no trace ----


def is_zero(value: Any) -> bool:
    """Whether a scalar is the float 0.0: nothing, whatever the state."""
    return type(value) is float and value == 0.0


def _same(a: Any, b: Any) -> bool:
    """Whether two scalars are one, whatever their value: a noise that does not depend on x."""
    if isinstance(a, Traced) and isinstance(b, Traced):
        return a.tape is b.tape and a.slot == b.slot
    return a is b or (type(a) is type(b) is float and a == b)


def _scaled(a: Any, b: Any) -> Any:
    if is_zero(a) or is_zero(b):
        return 0.0
    if type(a) is float and a == 1.0:
        return b
    return a if type(b) is float and b == 1.0 else a * b


def _total(a: Any, b: Any) -> Any:
    if is_zero(a) or is_zero(b):
        return b if is_zero(a) else a
    return a + b


def _difference(a: Any, b: Any) -> Any:
    if _same(a, b):
        return 0.0
    return a if is_zero(b) else a - b


def _mean(a: Any, b: Any) -> Any:
    return a if _same(a, b) else _scaled(0.5, _total(a, b))


euler_maruyama = StochasticScheme(
    "euler_maruyama", _euler_maruyama, weak_order=1.0, strong_order=0.5
)
"""Euler and Maruyama's scheme, of weak order 1 and strong order 1/2 (1 for constant noise)."""

stochastic_heun = StochasticScheme(
    "stochastic_heun",
    _stochastic_heun,
    weak_order=1.0,
    strong_order=0.5,
    commuting_order=1.0,
    stratonovich=True,
)
"""Heun's scheme: trapezoidal in the drift and in the noise (Ruemelin, SIAM J. Numer. Anal. 19,
1982, 604).

It converges to the solution in Stratonovich's sense. A system hands it the drift corrected to
that sense, b - 1/2 sum_j (d sigma_j) sigma_j, so that a run follows the Ito equation all the same;
who calls the scheme by itself has to do so. Weak order 1 (2 for constant noise and without noise),
strong order 1/2, or 1 where the columns of the diffusion matrix commute.
"""

platen = StochasticScheme(
    "platen", _platen, weak_order=2.0, strong_order=0.5, commuting_order=1.0, extra=pairs
)
"""Platen's explicit scheme of weak order 2 (Kloeden and Platen, Numerical Solution of Stochastic
Differential Equations, 1992, section 15.1, equations 1.1 and 1.3), with Gaussian increments.

The drift is evaluated twice, the matrix 1 + 2 m times along with the drift and, for m > 1 Brownian
motions, 2 m times without. Where its entries do not depend on the state that way, nothing of it
stays in a program: for constant noise there remain two drifts. Besides m normals a step takes the
signs of m (m - 1)/2 more, those that matter.
"""

STOCHASTIC_SCHEMES = {scheme.name: scheme for scheme in (euler_maruyama, stochastic_heun, platen)}
"""The schemes by name, for recipes."""
