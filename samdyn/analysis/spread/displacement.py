"""Mean squared displacement along the eigen-directions of a critical point."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from samdyn.analysis.linear import Linear
from samdyn.analysis.spread.moments import moments
from samdyn.systems.base import System

if TYPE_CHECKING:
    import xarray as xr


def directions(system: System, point: Any) -> tuple[np.ndarray, np.ndarray]:
    """The eigenvalues of the loss's Hessian at a point, ascending, and its eigenvectors.

    Of a system without a loss those of minus the symmetric part of the drift's Jacobian.

    Returns
    -------
    eigenvalues : ndarray, shape (d,)
    eigenvectors : ndarray, shape (d, d)
        Its columns.
    """
    point = np.atleast_1d(np.asarray(point, float))
    d = len(system.coordinates)
    if system.loss is not None:
        hessian = system.loss.hessian(point[:d])
    else:
        jacobian = Linear(system).law(point)[1][:d, :d]
        if not system.continuous:
            jacobian = jacobian - np.eye(d)
        hessian = -0.5 * (jacobian + jacobian.T)
    return np.linalg.eigh(hessian)


def displacement(system: System, point: Any, steps: int, start: Any = None) -> xr.DataArray:
    """The mean squared displacement from a point along each eigen-direction, in theory.

    Exact for the dynamics linearised at the point; see `moments`. Measured, it is the mean over
    particles of ((w - point) @ eigenvectors)**2 with the eigenvectors of `directions`.

    Parameters
    ----------
    system, point, steps, start
        As in `moments`.

    Returns
    -------
    xarray.DataArray
        Of dimensions (time, direction), with the coordinate ``eigenvalue`` (direction).

    Examples
    --------
    >>> import samdyn as sd
    >>> noisy = sd.Loss("x**2/2 - y**2/2 + 0.1*(a*x + b*y)", variables="x y", noise="a b")
    >>> away = displacement(sd.Map(noisy, sd.GD(lr=0.1)), [0.0, 0.0], 2)
    >>> away.sel(time=2).values.round(6), away.eigenvalue.values
    (array([0.000221, 0.000181]), array([-1.,  1.]))
    """
    import xarray as xr

    about = moments(system, point, steps, start)
    eigenvalues, vectors = directions(system, point)
    d = len(system.coordinates)
    away = about["mean"].values[:, :d] - np.atleast_1d(np.asarray(point, float))[:d]
    second = about["covariance"].values[:, :d, :d] + away[:, :, None] * away[:, None, :]
    return xr.DataArray(
        np.einsum("ik,tij,jk->tk", vectors, second, vectors),
        dims=("time", "direction"),
        coords={"time": about.time, "eigenvalue": ("direction", eigenvalues)},
        name="displacement",
    )
