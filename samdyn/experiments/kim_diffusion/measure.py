"""Displacements of SGD and SAM from a saddle, measured and exact."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr
from scipy.optimize import brentq

from samdyn.algorithms import USAM
from samdyn.analysis.spread.displacement import displacement
from samdyn.ensembles.run import simulate
from samdyn.experiments.base import Runs, finished
from samdyn.experiments.kim_diffusion.setting import (
    BATCH,
    BATCH_RHOS,
    BATCHES,
    FINE,
    FINE_MOMENTA,
    LR,
    MATCHED,
    MOMENTA,
    MOMENTS,
    PARTICLES,
    RHOS,
    SADDLE,
    SHORT,
    SHOWN,
    STEPS,
    TURNED,
)
from samdyn.losses.loss import Loss
from samdyn.systems.base import System
from samdyn.systems.map import Map
from samdyn.systems.modified.covariance import absolute_hessian
from samdyn.systems.sde import SDE
from samdyn.systems.stochastic import platen


def compute() -> Runs:
    """Mean squared displacements along the unstable direction, each beside the exact one."""
    formula = "x**2/2 - y**2/2"
    noisy = Loss(f"{formula} + (xi1*x + xi2*y)/sqrt(B)", "x y", noise="xi1 xi2", B=BATCH)
    same = Map(noisy, USAM(lr=LR, rho=RHOS, momentum=MOMENTA))
    fresh = Map(noisy, USAM(lr=LR, rho=RHOS), fresh_noise=True)
    full = SDE(
        Loss(formula),
        USAM(lr=LR, rho=RHOS),
        dt=LR,
        scheme=platen,
        batch_size=BATCH,
        covariance=absolute_hessian,
    )
    runs = {
        "same": _measured(same, seed=1),
        "fresh": _measured(fresh, seed=2),
        "full": _measured(full, seed=3, paired=True),
    }
    runs["same_fine"] = _curve(same.replace(momentum=0.0), (STEPS,), rho=FINE)
    runs["fresh_fine"] = _curve(fresh, (STEPS,), rho=FINE)
    few = {"rho": np.array(TURNED), "momentum": FINE_MOMENTA}
    runs["momentum_fine"] = _curve(same, (SHORT,), **few)
    times = range(1, STEPS + 1)
    sgd_and_sam = {"rho": np.array(SHOWN)}
    runs["time_fine"] = _curve(same.replace(momentum=0.0), times, **sgd_and_sam)
    samples = _samples()
    finite = Loss(f"{formula} + a*x + b*y", "x y", data={"a": samples[:, 0], "b": samples[:, 1]})
    batches = Map(finite, USAM(lr=LR, rho=BATCH_RHOS), batch_size=np.array(BATCHES))
    runs["batches"] = _measured(batches, seed=4)
    runs["matched"] = _matched(same)
    return runs


def _samples() -> np.ndarray:
    """Gradients of 64 samples at the saddle, of mean 0 and covariance abs(H) = I."""
    drawn = np.random.default_rng(0).standard_normal((64, 2))
    drawn -= drawn.mean(axis=0)
    return drawn @ np.linalg.inv(np.linalg.cholesky(np.cov(drawn.T, bias=True))).T


def _measured(system: System, seed: int, paired: bool = False) -> xr.Dataset:
    """Mean squared displacements with standard errors, beside the exact ones.

    Paired, particles of all rho have the same draws, and differences have smaller errors.
    """
    start = np.zeros((PARTICLES, 2))
    run = finished(simulate(system, start, STEPS, record=MOMENTS, seed=seed, common_noise=paired))
    square = run.w.sel(coord="y", drop=True).reset_coords(drop=True) ** 2
    square = square.assign_coords(time=np.array(MOMENTS) * LR)
    swept = {str(d): square[d].values for d in square.dims if d not in ("particle", "time")}
    gap = square.sel(rho=0.0, drop=True) - square
    drop = square.shift(rho=1) - square
    found = xr.Dataset({"exact": _exact(system, MOMENTS, **swept)}, attrs=run.attrs)
    for name, each in (("measured", square), ("gap", gap), ("drop", drop)):
        found[name] = each.mean("particle")
        found[f"{name}_error"] = each.std("particle") / np.sqrt(PARTICLES)
    return found


def _exact(system: System, moments: Sequence[int], **swept: np.ndarray) -> xr.DataArray:
    """The exact mean squared displacement at some steps, over values of numbers."""
    found = np.empty((*map(len, swept.values()), len(moments)))
    for place in np.ndindex(found.shape[:-1]):
        values = {name: v[k].item() for (name, v), k in zip(swept.items(), place, strict=True)}
        away = displacement(system.replace(**values), SADDLE, max(moments))
        found[place] = away.values[list(moments), 0]
    return xr.DataArray(found, {**swept, "time": np.array(moments) * LR}, (*swept, "time"))


def _curve(system: System, moments: Sequence[int], **swept: np.ndarray) -> xr.Dataset:
    return xr.Dataset({"exact": _exact(system, moments, **swept).squeeze(drop=True)})


def _matched(system: System) -> xr.Dataset:
    """The momentum with which SAM diffuses as far as SGD without, exactly and in runs."""
    sgd = _exact(system.replace(rho=0.0, momentum=0.0), (SHORT, STEPS)).values
    needed = np.empty((2, len(MATCHED)))
    for i, steps in enumerate((SHORT, STEPS)):
        for j, rho in enumerate(MATCHED):
            one = system.replace(rho=float(rho))

            def excess(momentum: float, one: System = one, i: int = i, steps: int = steps) -> float:
                away = displacement(one.replace(momentum=momentum), SADDLE, steps)
                return float(np.log(away.values[-1, 0] / sgd[i]))

            needed[i, j] = brentq(excess, 0.0, 0.98, xtol=1e-6)
    together = system.replace(
        rho=xr.DataArray(np.tile(MATCHED, 2), dims="case"),
        momentum=xr.DataArray(needed.ravel(), dims="case"),
    )
    start = np.zeros((PARTICLES, 2))
    run = finished(simulate(together, start, STEPS, record=(SHORT, STEPS), seed=5))
    square = run.w.sel(coord="y").transpose("time", "case", "particle").values ** 2
    half = len(MATCHED)
    own = np.stack([square[0, :half], square[1, half:]])
    return xr.Dataset(
        {
            "momentum": (("time", "rho"), needed),
            "measured": (("time", "rho"), own.mean(axis=-1)),
            "error": (("time", "rho"), own.std(axis=-1) / np.sqrt(PARTICLES)),
            "sgd": ("time", sgd),
        },
        coords={"time": np.array((SHORT, STEPS)) * LR, "rho": MATCHED},
        attrs=run.attrs,
    )
