"""Slices of the landscape: the loss along a direction, or on the plane of two."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from samdyn.networks.landscape.reading import read
from samdyn.networks.problem import Problem, checked_weights

if TYPE_CHECKING:
    import xarray as xr


def slice1d(
    problem: Problem,
    w: Tensor,
    direction: Tensor,
    at: Sequence[float] | np.ndarray | None = None,
    *,
    test: Problem | None = None,
    reestimate: bool = True,
    batch_size: int = 256,
) -> xr.Dataset:
    """Loss and error rate at w + x direction.

    Parameters
    ----------
    problem : Problem
        On the training samples.
    w : Tensor, shape (d,)
    direction : Tensor, shape (d,)
        An eigenvector, say, or a `random_direction`. It is used as long as it is.
    at : sequence of float, optional
        The values of x. Default: 51 from -1 to 1.
    test, reestimate, batch_size
        As in `interpolate`.

    Returns
    -------
    xarray.Dataset
        ``train_loss`` (x) and so on, as `interpolate`; ``attrs["length"]`` is abs(direction).

    Raises
    ------
    ValueError
        If w or the direction is no flat tensor of the network's weights.
    """
    import xarray as xr

    w, v = checked_weights(problem, w), checked_weights(problem, direction, "direction")
    x = np.linspace(-1.0, 1.0, 51) if at is None else checked_steps("at", at)
    columns = read(problem, (w + s * v for s in x.tolist()), test, reestimate, batch_size)
    length = float(torch.linalg.vector_norm(v))
    data = {name: ("x", values) for name, values in columns.items()}
    return xr.Dataset(data, {"x": x}, {"length": length})


def slice2d(
    problem: Problem,
    w: Tensor,
    directions: tuple[Tensor, Tensor],
    x: Sequence[float] | np.ndarray | None = None,
    y: Sequence[float] | np.ndarray | None = None,
    *,
    test: Problem | None = None,
    reestimate: bool = True,
    batch_size: int = 256,
) -> xr.Dataset:
    """Loss and error rate at w + x directions[0] + y directions[1].

    Parameters
    ----------
    problem : Problem
        On the training samples.
    w : Tensor, shape (d,)
    directions : two tensors of shape (d,)
        Used as they are: neither scaled nor made orthogonal.
    x, y : sequences of float, optional
        Default: 25 from -1 to 1.
    test, reestimate, batch_size
        As in `interpolate`.

    Returns
    -------
    xarray.Dataset
        ``train_loss`` (x, y) and so on, as `interpolate`; ``attrs["length_x"]`` and
        ``["length_y"]`` are the directions' lengths, ``["cosine"]`` that of their angle.

    Raises
    ------
    ValueError
        If w or a direction is no flat tensor of the network's weights.
    """
    import xarray as xr

    w = checked_weights(problem, w)
    if len(directions) != 2:
        raise ValueError(f"directions must be two, got {len(directions)}")
    u, v = (checked_weights(problem, one, "directions") for one in directions)
    x, y = (
        np.linspace(-1.0, 1.0, 25) if steps is None else checked_steps(name, steps)
        for name, steps in (("x", x), ("y", y))
    )
    points = (w + s * u + t * v for s in x.tolist() for t in y.tolist())
    columns = read(problem, points, test, reestimate, batch_size)
    lengths = [float(torch.linalg.vector_norm(one)) for one in (u, v)]
    angle = float(u @ v) / (lengths[0] * lengths[1]) if all(lengths) else float("nan")
    return xr.Dataset(
        {name: (("x", "y"), values.reshape(len(x), len(y))) for name, values in columns.items()},
        {"x": x, "y": y},
        {"length_x": lengths[0], "length_y": lengths[1], "cosine": angle},
    )


def checked_steps(name: str, steps: Any) -> np.ndarray:
    """Finite numbers in a row, or refuse them in one sentence."""
    try:
        found = np.asarray(steps, dtype=float)
    except (TypeError, ValueError):
        found = np.empty(0)
    if found.ndim != 1 or not found.size or not np.all(np.isfinite(found)):
        raise ValueError(f"{name} must be a row of finite numbers, got {steps!r}")
    return found
