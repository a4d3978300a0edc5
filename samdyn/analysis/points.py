"""Points at which a loss is looked at, as the user gives them."""

from __future__ import annotations

from typing import Any

import numpy as np

from samdyn.losses.loss import Loss


def finite_points(loss: Any, p: Any, name: str, what: str = "this") -> np.ndarray:
    """Points of a loss as finite floats of shape (…, d); of one variable a number is a point.

    Parameters
    ----------
    loss : Loss
        Whose constants are single numbers.
    p : array_like
    name : str
        What the points are called.
    what : str
        The function that asks.

    Raises
    ------
    TypeError
        If ``loss`` is none, or the points are no numbers.
    ValueError
        If there are none, or they do not fit the loss, or one is not finite; or if a constant of
        the loss is an array.
    """
    if not isinstance(loss, Loss):
        raise TypeError(f"loss must be a samdyn.Loss, got {loss!r}")
    loss.require_scalars(what)
    try:
        points = np.asarray(p, dtype=float)
    except (TypeError, ValueError):
        raise TypeError(f"{name} must be an array of real numbers, got {p!r}") from None
    if points.ndim == 0 and loss.dimension == 1:
        points = points.reshape(1)
    if not points.size or points.ndim == 0 or points.shape[-1] != loss.dimension:
        raise ValueError(
            f"{name} must have shape (…, {loss.dimension}), one entry for each of "
            f"{', '.join(loss.variables)}; got shape {points.shape}"
        )
    if not np.all(np.isfinite(points)):
        bad = points[~np.isfinite(points).all(axis=-1)][0]
        raise ValueError(f"{name} must be finite, got {bad.tolist()}")
    return points
