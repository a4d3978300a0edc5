"""The ball around an attractor's point from which everything is seen to be drawn in."""

from __future__ import annotations

import numpy as np

from samdyn.analysis.linear import Linear

_SHELLS = 2.0 ** -np.arange(0, 60, 0.5)
_UNTOLD = 1e-10


def certified_radius(linear: Linear, points: np.ndarray) -> float:
    """The radius of a ball around ``points[0]`` that F^p takes into itself, for good.

    V(z) = |L (z - z0)|^2 with M' L'L M - L'L = -1 falls along the linear part M of F^p. On ever
    smaller level sets it is seen to fall at a fixed sample of states; the largest of those from
    which on it always does is kept, and the ball within it. A jump close by ends the ball.

    Parameters
    ----------
    linear : Linear
        Of a map.
    points : ndarray, shape (p, rows)
        Of a cycle whose multipliers are inside the unit circle.

    Returns
    -------
    float
        0 if there is no such ball.
    """
    from scipy.linalg import solve_discrete_lyapunov

    period, z0 = len(points), points[0]
    _, _, jacobian = linear.orbit(z0, period)
    with np.errstate(all="ignore"):
        form = solve_discrete_lyapunov(jacobian.T, np.eye(linear.size))
    form = 0.5 * (form + form.T)
    if not np.all(np.isfinite(form)):
        return 0.0
    widths = np.linalg.eigvalsh(form)
    if not widths[0] > 0:
        return 0.0
    root = np.linalg.cholesky(form).T
    offsets = np.linalg.solve(root, _sphere(linear.size).T).T  # V = 1 on all of them
    levels = 4.0 * (1.0 + float(np.linalg.norm(z0))) * np.sqrt(widths[-1]) * _SHELLS
    starts = z0 + levels[:, None, None] * offsets
    gaps = moved(linear, starts, period) - moved(linear, z0, period)
    with np.errstate(over="ignore", invalid="ignore"):
        after = np.sum((gaps @ root.T) ** 2, axis=-1) / levels[:, None] ** 2
    # closer to the point than this a float cannot tell
    untold = _UNTOLD * float(np.linalg.norm(z0)) * np.sqrt(widths[-1]) > levels
    falls = untold | np.all(after < 1.0, axis=-1)
    whole = np.logical_and.accumulate(falls[::-1])[::-1]
    if not np.any(whole):
        return 0.0
    best = int(np.argmax(whole))
    return 0.0 if untold[best] else float(levels[best] / np.sqrt(widths[-1]))


def moved(linear: Linear, z: np.ndarray, steps: int = 1) -> np.ndarray:
    """States of shape (…, rows) after some steps of a map, without Jacobians."""
    scalars = list(np.moveaxis(z, -1, 0))
    numbers = list(linear.system.numbers.values())
    with np.errstate(all="ignore"):
        for _ in range(steps):
            scalars = list(linear.system.program(*scalars, *numbers))
    return np.stack([np.broadcast_to(x, z.shape[:-1]) for x in scalars], axis=-1)


def _sphere(n: int) -> np.ndarray:
    """Directions all around: the axes and a fixed random sample."""
    random = np.random.default_rng(0).standard_normal((64 * n, n))
    random /= np.linalg.norm(random, axis=1, keepdims=True)
    return np.concatenate([np.eye(n), -np.eye(n), random])
