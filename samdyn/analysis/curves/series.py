"""A manifold near its saddle, as a power series."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from samdyn.analysis.curves.images import images_of
from samdyn.analysis.linear import Linear, solved

_ORDER = 20
_EPS = float(np.finfo(float).eps)


class Local(NamedTuple):
    """The manifold near its saddle, W(t) = sum of a_j t^j for |t| <= 1.

    A map takes W(t) to W(factor t); a flow moves t at the rate (factor t).
    """

    coefficients: np.ndarray  # (order + 1, n)
    factor: float

    def __call__(self, t: Any) -> np.ndarray:
        """The points at parameters t of shape (m,), shape (m, n)."""
        return np.polynomial.polynomial.polyval(np.asarray(t), self.coefficients).T


def local_piece(
    linear: Linear,
    saddle: np.ndarray,
    period: int,
    factor: float,
    vector: np.ndarray,
    length: float,
) -> Local:
    """The power series of the manifold, as far as it holds to rounding."""
    continuous = linear.system.continuous
    jacobian = linear.residual(saddle, period)[1] + (0.0 if continuous else np.eye(linear.size))
    rate = abs(factor) if continuous else abs(np.log(abs(factor)))
    size = 1.0 + float(np.linalg.norm(saddle))
    noise = 4 * _EPS * size * (1.0 + np.linalg.norm(jacobian, 2))
    for order in (_ORDER, 1):  # what is not smooth enough has its tangent only
        reach = min(length / 4, size)
        while reach > 1e-5 * size:
            local = _series(linear, period, jacobian, factor, saddle, reach * vector, order)
            if _defect(linear, local, period) <= noise + 1e-12 * min(rate, 1.0) * reach:
                return local
            reach /= 2
    return Local(np.array([saddle, reach * vector]), factor)


def _series(
    linear: Linear,
    period: int,
    jacobian: np.ndarray,
    factor: float,
    saddle: np.ndarray,
    vector: np.ndarray,
    order: int,
) -> Local:
    """The coefficients one after the other, by Cauchy's integrals over the unit circle."""
    circle = np.exp(2j * np.pi * np.arange(64) / 64)
    coefficients = np.zeros((order + 1, len(saddle)))
    coefficients[0], coefficients[1] = saddle, vector
    local = Local(coefficients, factor)
    for j in range(2, order + 1):
        images = np.fft.fft(images_of(linear, local(circle), period), axis=0)[j].real / 64
        power = j * factor if linear.system.continuous else factor**j
        coefficients[j] = solved(power * np.eye(len(saddle)) - jacobian, images)
        if not np.all(np.abs(coefficients[j]) < 1e6):
            coefficients[j:] = np.nan
            break
    return local


def _defect(linear: Linear, local: Local, period: int) -> float:
    """By how much the local piece fails to be invariant."""
    if not np.all(np.isfinite(local.coefficients)):
        return np.inf
    t, m = np.linspace(-1.0, 1.0, 65), local.factor
    if linear.system.continuous:
        slopes = np.polynomial.polynomial.polyval(
            t, np.polynomial.polynomial.polyder(local.coefficients)
        ).T
        gap = images_of(linear, local(t), 1) - slopes * (m * t)[:, None]
    else:
        t = t / max(1.0, abs(m))
        gap = images_of(linear, local(t), period) - local(m * t)
    worst = float(np.max(np.abs(gap)))
    return worst if np.isfinite(worst) else np.inf
