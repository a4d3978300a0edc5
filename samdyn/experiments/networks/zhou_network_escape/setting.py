"""Three networks on digits that are left by SAM, and what linear theory says of it."""

from __future__ import annotations

import numpy as np
import xarray as xr

from samdyn.algorithms import USAM
from samdyn.analysis.edges.stability import edge_of_stability

# (a) a network that fits 100 digits exactly, in double precision, full batch
FITTED, NARROW = 100, 32
SHARES = np.array([0.9, 1.2, 1.5, 2.0])
"""Of the critical rho."""
ASIDE = 1e-8
PUSH = 1.5
"""lr times the top eigenvalue."""
ESCAPE, REST = 180, 800

# (b) one that SGD has nearly fitted to 100 digits
WIDE, NEAR_LR, NEAR_BATCH, NEAR_EPOCHS = 256, 0.1, 25, 1_500
NEAR_RHOS, NEAR_NORMALIZED = np.array([0.0, 0.01, 0.02]), 0.001
NEAR_RUNS, NEAR_STEPS = 32, 60

# (c) and (d) usual training on all digits
WIDTH, LR, MOMENTUM, DECAY, BATCH = 64, 0.03, 0.9, 5e-4, 32
EPOCHS, LATER, RHO, SEEDS = 90, 10, 0.2, 12
PER_EPOCH = 40


def multiplier(top: float, lr: float, rho: np.ndarray | float) -> np.ndarray:
    """By which un-normalised full-batch SAM multiplies the distance along an eigenvector."""
    return np.abs(1 - lr * top * (1 + rho * top))


def critical_rho(top: float, lr: float) -> float:
    """Above it un-normalised full-batch SAM leaves a minimum where GD is stable."""
    return (2 / (lr * top) - 1) / top


def sam_edges(run: xr.Dataset) -> np.ndarray:
    """The largest eigenvalue at which full-batch un-normalised SAM is stable, for each rho."""
    return np.asarray(edge_of_stability(USAM(lr=run.attrs["lr"], rho=run.rho.values)))


def log_linear(loss: np.ndarray, steps: np.ndarray) -> tuple[float, float]:
    """The slope of log loss against the step, by least squares, and its R2."""
    y = np.log(loss)
    slope, level = np.polyfit(steps, y, 1)
    left = y - slope * steps - level
    return float(slope), float(1 - np.var(left) / np.var(y))


def risen(loss: xr.DataArray) -> tuple[int, float]:
    """The place of the largest mean loss, and how many decades it is above the first."""
    curve = loss.values
    peak = int(np.argmax(curve))
    return peak, float(np.log10(curve[peak] / curve[0]))


def to_peak(loss: xr.DataArray) -> tuple[float, float]:
    """Slope and R2 of the mean loss from the switch to its peak."""
    rise = loss.isel(step=slice(0, risen(loss)[0] + 1))
    return log_linear(rise.values, rise.step.values)


def fit_of_mean(loss: xr.DataArray, phases: xr.Dataset) -> tuple[float, int, int]:
    """The slope on the stretch that `two_phase` finds, and its first and last step."""
    first, last = (int(step) for step in phases.escape_stretch.values)
    here = loss.sel(step=slice(first, last))
    return log_linear(here.values, here.step.values)[0], first, last


def barriers(lines: xr.Dataset) -> tuple[xr.DataArray, xr.DataArray]:
    """How far training and test loss rise over the chord between the ends, for each seed."""
    inside = lines.sel(t=slice(-1e-9, 1 + 1e-9))
    chord = (1 - inside.t) * inside.isel(t=0) + inside.t * inside.isel(t=-1)
    rise = (inside - chord).max("t")
    return rise.train_loss, rise.test_loss


def above(lines: xr.Dataset) -> xr.DataArray:
    """How far the training loss between the ends rises over the higher of them, for each seed."""
    loss = lines.train_loss.sel(t=slice(-1e-9, 1 + 1e-9))
    ends = np.maximum(loss.isel(t=0, drop=True), loss.isel(t=-1, drop=True))
    return loss.max("t") - ends
