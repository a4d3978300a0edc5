"""Schemes: how a step of length dt follows a field. Each is a definition in words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

Field = Callable[[list[Any]], list[Any]]
"""The right-hand side of dz/dt = field(z): scalars of the state -> their rates."""

Scheme = Callable[[Field, list[Any], Any], list[Any]]
"""``scheme(field, z, dt)`` is the state after a step of length ``dt``."""


def euler(field: Field, z: Sequence[Any], dt: Any) -> list[Any]:
    """Euler's explicit method, of order 1."""
    return _moved(z, dt, field(list(z)))


def heun(field: Field, z: Sequence[Any], dt: Any) -> list[Any]:
    """Heun's method (the explicit trapezoidal rule), of order 2."""
    first = field(list(z))
    second = field(_moved(z, dt, first))
    return _moved(z, 0.5 * dt, [a + b for a, b in zip(first, second, strict=True)])


def rk4(field: Field, z: Sequence[Any], dt: Any) -> list[Any]:
    """The classical Runge-Kutta method, of order 4."""
    half = 0.5 * dt
    a = field(list(z))
    b = field(_moved(z, half, a))
    c = field(_moved(z, half, b))
    d = field(_moved(z, dt, c))
    slopes = [p + 2.0 * q + 2.0 * r + s for p, q, r, s in zip(a, b, c, d, strict=True)]
    return _moved(z, dt / 6.0, slopes)


def _moved(z: Sequence[Any], length: Any, rates: Sequence[Any]) -> list[Any]:
    return [x + length * rate for x, rate in zip(z, rates, strict=True)]


SCHEMES: dict[str, Scheme] = {scheme.__name__: scheme for scheme in (euler, heun, rk4)}
"""The schemes by name, for recipes."""
