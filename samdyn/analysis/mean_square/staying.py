"""Does the run stay in the valley? Measured, beside whether the theorem says so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from samdyn.analysis.mean_square.linear_stability import plain_rho
from samdyn.analysis.mean_square.valley import as_array, valley
from samdyn.ensembles.result import finished
from samdyn.ensembles.run import simulate
from samdyn.numbers import Number
from samdyn.systems.base import refuse_random
from samdyn.systems.map import Map

if TYPE_CHECKING:
    import xarray as xr


def stays_in_valley(
    system: Map, b: Number, x0: Any, steps: int, minimum: float = 0.0, **options: Any
) -> xr.Dataset:
    """Run a map of one variable, and say whether it stays in [-2 b, 2 b], and whether it must.

    Parameters
    ----------
    system : Map
        Of any algorithm on a loss of one variable, nothing being random; numbers may be arrays.
    b : float or array
        A quarter of the valley's width.
    x0, steps
        As in `samdyn.simulate`.
    minimum : float, default 0.0
        Where the valley is lowest.
    **options
        For `samdyn.simulate`: ``threads``, ``progress``, ….

    Returns
    -------
    xarray.Dataset
        ``applies``: whether Zhou et al.'s Proposition 4.1 speaks of these numbers and this start
        (never of normalised SAM, momentum or weight decay); ``stays``: whether the run stayed;
        ``furthest``: its largest distance from the minimum over 2 b. All have the dimensions of
        the run, and of b.

    Raises
    ------
    TypeError, ValueError
        As `samdyn.simulate` and `valley` do.

    References
    ----------
    Zhou et al., arXiv 2410.10373, Proposition 4.1.

    Examples
    --------
    >>> import samdyn as sd
    >>> system = sd.Map(sd.losses.log_cosh(), sd.USAM(lr=[0.9, 9.0], rho=0.5))
    >>> seen = stays_in_valley(system, b=1.0, x0=0.7, steps=100, progress=False)
    >>> seen.applies.values, seen.stays.values
    (array([ True, False]), array([ True, False]))
    """
    import xarray as xr

    if not isinstance(system, Map):
        raise TypeError(f"system must be a samdyn.Map(loss, algorithm), got {system!r}")
    refuse_random(system)
    bounds = valley(system.loss, b, minimum)
    (name,) = system.coordinates
    away = {"away": f"abs({name} - ({minimum!r}))"}
    run = finished(simulate(system, x0, steps, statistics=away, **options))
    end = abs(run.final.isel(coord=0, drop=True) - minimum)
    distance = np.maximum(run["away_max"], end).where(np.isfinite(end), np.inf)
    furthest = distance / (2.0 * bounds.b)
    stays = furthest <= 1.0
    try:
        rho: Any = plain_rho(system.single)
    except TypeError:
        applies = xr.zeros_like(stays)
    else:
        applies = bounds.admits(system.numbers["lr"], rho) & _inside(x0, bounds.b, minimum)
    return xr.Dataset(
        {
            "applies": applies.broadcast_like(stays).transpose(*stays.dims),
            "stays": stays,
            "furthest": furthest,
        }
    )


def _inside(x0: Any, b: xr.DataArray, minimum: float) -> xr.DataArray:
    """Whether a run begins in (-b, b)."""
    import xarray as xr

    if isinstance(x0, xr.DataArray):
        start = x0.isel(coord=0, drop=True) if "coord" in x0.dims else x0
    else:
        array = np.asarray(x0, float)
        many = array.ndim == 2 or array.size > 1
        start = (
            xr.DataArray(array.ravel(), dims="particle") if many else as_array("x0", array.sum())
        )
    return abs(start - minimum) < b
