"""Example 4.1 of Zhou et al. with eight samples: setting, and linear theory at its minima."""

from __future__ import annotations

from itertools import product

import numpy as np

from samdyn.experiments.base import Runs
from samdyn.losses.loss import Loss

INPUTS = np.linspace(0.5, 1.5, 8)
BATCH, LR, RHO, NORMALIZED = 4, 2.4, 0.5, 0.05
START, LOW = np.array([1.5, 0.3]), 1e-7
RUNS, SHOWN, STEPS, LAST = 1_000, 100, 400, 150
PAPER = np.array([4.16e-5, 3.46e-4, 7.60e-4, 1.42e-3, 2.95e-3, 6.93e-3, 1.52e-2, 3.35e-2, 6.43e-2])
"""Mean training loss of the paper's Fig. 4b, read off the figure: a deep network, 8 steps."""


def loss_of_eight() -> Loss:
    """Example 4.1 with eight samples: each is fitted wherever v = 0."""
    return Loss("tanh(v*tanh(u*x))**2/2", "u v", data={"x": INPUTS})


def _batches() -> np.ndarray:
    """Every batch, as places of its samples; all are equally likely."""
    return np.array(list(product(range(len(INPUTS)), repeat=BATCH)))


def rates(u: np.ndarray, rho: float) -> tuple[np.ndarray, np.ndarray]:
    """Rates of E v^2 and of a typical v^2 at minima (u, 0), over every batch.

    A step multiplies v by 1 - lr a (1 + rho a), a being the mean of tanh(u x)^2 over the batch.
    """
    inputs = INPUTS[_batches()]
    a = np.mean(np.tanh(np.asarray(u)[..., None, None] * inputs) ** 2, axis=-1)
    m = 1 - LR * a * (1 + rho * a)
    return np.log(np.mean(m**2, axis=-1)), 2 * np.mean(np.log(np.abs(m)), axis=-1)


def curvature(u: np.ndarray) -> np.ndarray:
    """The sharpness at minima (u, 0)."""
    return np.mean(np.tanh(np.multiply.outer(u, INPUTS)) ** 2, axis=-1)


def ends_of(runs: Runs) -> np.ndarray:
    """The u at which the runs of un-normalised SAM come to rest."""
    return runs["usam"].final.sel(rho=RHO, coord="u").values


def between(runs: Runs, shares: np.ndarray) -> np.ndarray:
    """The loss between the ends of SAM (0) and that of SGD (1), shape (runs, shares)."""
    far = runs["sam"].final.values[:SHOWN, None, :]
    sgd = runs["sgd"].w.values[-1]
    return loss_of_eight().value(far + shares[:, None] * (sgd - far))
