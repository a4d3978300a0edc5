"""The factorisation that the experiment trains, and what is exact about its saddle."""

from __future__ import annotations

import numpy as np

SIZE, RANK, SAMPLES, SEEDS = 10, 3, 32, 6
SINGULAR = np.array([1.0, 2 / 3, 1 / 3])
"""Of M; at U = V = 0 the Hessian's eigenvalues are -2 s and 2 s, ten times each, and 0."""
LR, SCALE = 0.05, 0.01
RHOS = (0.0, 0.05, 0.1, 0.2, 0.5)
MOMENTA = (0.0, 0.9)
BATCHES = (SAMPLES, 8, 2)
STEPS = 960
LEFT = 0.95
"""A run has left the saddle when its loss is below this share of that at the saddle."""
USAM_RHOS, USAM_STEPS = (0.0, 0.25, 0.4, 0.6, 1.0, 1.3, 1.8), 960
LINEAR_SCALE, LINEAR_STEPS = 1e-8, 40
LINEAR_RHOS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.2, 1.6, 2.0)

AT_SADDLE = float(np.sum(SINGULAR**2))
"""The loss at the saddle, |M|_F^2."""


def multiplier(singular: float, rho: np.ndarray | float) -> np.ndarray:
    """Of un-normalised SAM without momentum along a direction of eigenvalue -2 s."""
    return np.asarray(1 + 2 * LR * singular * (1 - 2 * np.asarray(rho) * singular))


def linear_rate(singular: float, rho: float, momentum: float, steps: int = LINEAR_STEPS) -> float:
    """The mean growth a step, from rest, by the linear recursion with heavy-ball momentum."""
    curvature = -2 * singular * (1 - 2 * rho * singular)
    w, velocity = 1.0, 0.0
    for _ in range(steps):
        velocity = momentum * velocity + curvature * w
        w -= LR * velocity
    return float(np.log(abs(w)) / steps)


def thresholds() -> np.ndarray:
    """The rho from which each direction attracts, 1/(2 s)."""
    return 1 / (2 * SINGULAR)
