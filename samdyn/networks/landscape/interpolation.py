"""The loss on the segment between two solutions, and the barrier there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from samdyn.networks.landscape.reading import read
from samdyn.networks.landscape.slices import checked_steps
from samdyn.networks.problem import Problem, checked_weights

if TYPE_CHECKING:
    import xarray as xr

_AT = (np.arange(43) - 6) / 30
"""From -0.2 to 1.2, with 0 and 1 among them."""


def interpolate(
    problem: Problem,
    a: Tensor,
    b: Tensor,
    at: Sequence[float] | np.ndarray | None = None,
    *,
    test: Problem | None = None,
    reestimate: bool = True,
    batch_size: int = 256,
) -> xr.Dataset:
    """Loss and error rate at (1 - t) a + t b, on the line through two solutions.

    Parameters
    ----------
    problem : Problem
        On the training samples.
    a, b : Tensor, shape (d,)
    at : sequence of float, optional
        The values of t. Default: 43 from -0.2 to 1.2, 0 and 1 among them.
    test : Problem, optional
        The same network and loss on the test samples.
    reestimate : bool, default True
        Whether each batch norm's running statistics are averaged anew over the training samples
        at every point. Those of a solution do not belong to the points between: without this a
        barrier appears where there is none. Of no effect without batch norm.
    batch_size : int, default 256
        Of that average; see `reestimated`.

    Returns
    -------
    xarray.Dataset
        ``train_loss`` (t), ``test_loss`` with ``test``, and of classes ``train_error`` and
        ``test_error``, as shares. ``attrs["distance"]`` is abs(b - a).

    Raises
    ------
    ValueError
        If a or b is no flat tensor of the network's weights.

    References
    ----------
    Of late SAM: Zhou et al., arXiv 2410.10373. Of batch norm between solutions: Jordan et al.,
    arXiv 2211.08403.

    Examples
    --------
    >>> from samdyn.networks.problem import Samples
    >>> line = torch.nn.Linear(1, 1, bias=False, dtype=torch.float64)
    >>> x = torch.ones((1, 1), dtype=torch.float64)
    >>> problem = Problem(line, Samples(x, x), "mse")
    >>> ends = torch.zeros(1, dtype=torch.float64), 2 * torch.ones(1, dtype=torch.float64)
    >>> seen = interpolate(problem, *ends, at=[0.0, 0.5, 1.0])
    >>> seen.train_loss.values, seen.distance, barrier(seen)
    (array([1., 0., 1.]), 2.0, 0.0)
    """
    import xarray as xr

    a, b = checked_weights(problem, a, "a"), checked_weights(problem, b, "b")
    t = _AT if at is None else checked_steps("at", at)
    points = ((1.0 - s) * a + s * b for s in t.tolist())
    columns = read(problem, points, test, reestimate, batch_size)
    return xr.Dataset(
        {name: ("t", values) for name, values in columns.items()},
        {"t": t},
        {"distance": float(torch.linalg.vector_norm(b - a))},
    )


def barrier(curve: xr.Dataset, of: str = "train_loss") -> float:
    """How high the curve of `interpolate` rises over the chord between its ends, at least 0.

    The maximum over t in [0, 1] of f(t) - ((1 - t) f(0) + t f(1)).

    Parameters
    ----------
    curve : xarray.Dataset
        With 0 and 1 among its t.
    of : str, default "train_loss"
        The variable f.

    Raises
    ------
    ValueError
        If f(0) or f(1) is missing, or there is no such variable.

    References
    ----------
    Entezari et al., arXiv 2110.06296, Definition 1.
    """
    if of not in curve:
        raise ValueError(f"of must be one of {', '.join(map(str, curve.data_vars))}; got {of!r}")
    t, f = curve.t.values, curve[of].values
    ends = [np.flatnonzero(np.abs(t - end) < 1e-9) for end in (0.0, 1.0)]
    if not all(len(found) for found in ends):
        raise ValueError(f"the curve must have t = 0 and t = 1 for a barrier; its t are {t}")
    low, high = (f[found[0]] for found in ends)
    inside = (t > -1e-9) & (t < 1.0 + 1e-9)
    return max(0.0, float(np.max((f - (1.0 - t) * low - t * high)[inside])))
