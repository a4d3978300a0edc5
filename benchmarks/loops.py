"""The peer in plain Numba: each particle by itself, its steps one after the other."""

from __future__ import annotations

from math import sqrt
from typing import Any

import numpy as np
from numba import njit, prange


@njit(parallel=True)
def plane_loop(
    gradient: Any,
    w: np.ndarray,
    lr: np.ndarray,
    rho: np.ndarray,
    momentum: float,
    ascends: bool,
    radius: float,
    steps: int,
) -> np.ndarray:
    """Advance particles in the plane in place; return the steps that each took."""
    taken = np.full(w.shape[1], steps)
    for i in prange(w.shape[1]):
        x, y = w[0, i], w[1, i]
        vx = vy = 0.0
        for t in range(steps):
            if x * x + y * y > radius * radius:
                taken[i] = t
                break
            gx, gy = gradient((x, y))
            if ascends:
                length = sqrt(gx * gx + gy * gy)
                scale = rho[i] / length if length > 0.0 else 0.0
                gx, gy = gradient((x + scale * gx, y + scale * gy))
            vx = momentum * vx + gx
            vy = momentum * vy + gy
            x -= lr[i] * vx
            y -= lr[i] * vy
        w[0, i], w[1, i] = x, y
    return taken


@njit
def _rosenbrock(w: np.ndarray, g: np.ndarray) -> None:
    last = 0.0
    for j in range(len(w) - 1):
        above = w[j + 1] - w[j] * w[j]
        g[j] = 2.0 * (w[j] - 1.0) - 400.0 * w[j] * above + last
        last = 200.0 * above
    g[-1] = last


@njit(parallel=True)
def rosenbrock_loop(
    w: np.ndarray,
    lr: np.ndarray,
    rho: np.ndarray,
    momentum: float,
    ascends: bool,
    radius: float,
    steps: int,
) -> np.ndarray:
    """Advance particles on Rosenbrock's function in place; return the steps that each took."""
    taken = np.full(w.shape[1], steps)
    for i in prange(w.shape[1]):
        a = w[:, i].copy()
        up, g, v = np.empty_like(a), np.empty_like(a), np.zeros_like(a)
        for t in range(steps):
            square = 0.0
            for j in range(len(a)):
                square += a[j] * a[j]
            if square > radius * radius:
                taken[i] = t
                break
            _rosenbrock(a, g)
            if ascends:
                size = 0.0
                for j in range(len(a)):
                    size += g[j] * g[j]
                scale = rho[i] / sqrt(size) if size > 0.0 else 0.0
                for j in range(len(a)):
                    up[j] = a[j] + scale * g[j]
                _rosenbrock(up, g)
            for j in range(len(a)):
                v[j] = momentum * v[j] + g[j]
                a[j] -= lr[i] * v[j]
        w[:, i] = a
    return taken
