"""The peer in plain Numba on stochastic work: each particle by itself, step after step.

In ``prange`` only the legacy functions of ``np.random`` have a state for each thread.
"""

from __future__ import annotations

from math import sqrt

import numpy as np
from numba import njit, prange


@njit(parallel=True)
def diffusion_loop(
    w: np.ndarray,
    dt: float,
    rho: float,
    normalised: bool,
    radius: float,
    s: float,
    steps: int,
) -> None:
    """Advance particles of the quartic saddle's SAM diffusion in place."""
    size = s * sqrt(dt)
    for i in prange(w.shape[1]):
        x, y = w[0, i], w[1, i]
        for _ in range(steps):
            if x * x + y * y > radius * radius:
                break
            gx, gy = x, y * y * y - y
            scale = rho
            if normalised:
                length = sqrt(gx * gx + gy * gy)
                scale = rho / length if length > 0.0 else 0.0
            px, py = x + scale * gx, y + scale * gy
            x += size * np.random.standard_normal() - dt * px  # noqa: NPY002
            y += size * np.random.standard_normal() - dt * (py * py * py - py)  # noqa: NPY002
        w[0, i], w[1, i] = x, y


@njit(parallel=True)
def minibatch_loop(
    w: np.ndarray,
    lr: float,
    rho: float,
    normalised: bool,
    radius: float,
    table: np.ndarray,
    batch: int,
    steps: int,
) -> None:
    """Advance particles of SAM with minibatches on the mean of (a*x*y - b)**2/2 in place."""
    for i in prange(w.shape[1]):
        x, y = w[0, i], w[1, i]
        rows = np.empty(batch, np.int64)
        for _ in range(steps):
            if x * x + y * y > radius * radius:
                break
            slope = 0.0
            for k in range(batch):
                rows[k] = np.random.randint(table.shape[1])  # noqa: NPY002
                a = table[0, rows[k]]
                slope += a * (a * (x * y) - table[1, rows[k]])
            gx, gy = slope / batch * y, slope / batch * x
            scale = rho
            if normalised:
                length = sqrt(gx * gx + gy * gy)
                scale = rho / length if length > 0.0 else 0.0
            px, py = x + scale * gx, y + scale * gy
            slope = 0.0
            for k in range(batch):
                a = table[0, rows[k]]
                slope += a * (a * (px * py) - table[1, rows[k]])
            x -= lr * (slope / batch) * py
            y -= lr * (slope / batch) * px
        w[0, i], w[1, i] = x, y
