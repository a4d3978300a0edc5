"""What the experiment on diffusion from a saddle is run at, and what the paper prints."""

from __future__ import annotations

import numpy as np
import xarray as xr

from samdyn.analysis.spread.saddles import printed_displacement
from samdyn.experiments.base import Runs

LR, BATCH, PARTICLES = 0.01, 16.0, 4_000
STEPS, SHORT = 200, 50
MOMENTS = (2, 5, 10, 20, 40, SHORT, 80, 120, 160, STEPS)
TOLD = (10 * LR, SHORT * LR, STEPS * LR)
RHOS = np.array([0.0, 0.1, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0])
FINE = np.linspace(0.0, 2.0, 41)
MOMENTA = np.array([0.0, 0.3, 0.5, 0.7, 0.8, 0.9])
FINE_MOMENTA = np.linspace(0.0, 0.9, 19)
BATCHES, BATCH_RHOS = (4, 8, 16, 32), np.array([0.0, 0.25, 0.5])
SHOWN, TURNED = (0.0, 0.25, 0.5, 1.5), (0.0, 0.25, 0.5, 0.75)
MATCHED = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8])
SADDLE = (0.0, 0.0)
SAID = {
    "same": "one batch for both",
    "full": "ascent by full gradient",
    "fresh": "a batch each",
}
MARKS = {"same": "o", "full": "s", "fresh": "^"}


def at(runs: Runs, name: str, time: float) -> xr.Dataset:
    """One way of drawing the noise at a time, without momentum."""
    one = runs[name].sel(time=time)
    return one.sel(momentum=0.0) if "momentum" in one.dims else one


def printed_gap(rho: float, time: np.ndarray | float) -> np.ndarray:
    """Corollary 1: 2 lr t^2 abs(l)^3 rho/B, with l = -1."""
    return 2.0 * LR * np.square(time) * rho / BATCH


def printed(rho: np.ndarray | float, time: np.ndarray | float) -> np.ndarray:
    """Theorem 2 as it stands, with l = -1."""
    return printed_displacement(-1.0, LR, rho, BATCH**-0.5, time)
