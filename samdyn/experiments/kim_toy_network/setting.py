"""The network of one neuron, its samples, and what is exact about its line of saddles."""

from __future__ import annotations

from itertools import combinations
from typing import NamedTuple

import numpy as np
import xarray as xr

from samdyn.losses.loss import Loss

SAMPLES, LR, STEPS, RUNS = 16, 1e-3, 5_000, 300
RHOS = np.array([0.0, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5])
MOMENTA = np.array([0.0, 0.9, 0.95])
BATCHES = np.array([1, 4, SAMPLES])
HEIGHT = 0.5
"""The w2 of the saddle at which growth is measured."""
TINY, GROWING = 1e-9, 500
SLOPES = np.array([0.0, 0.05, 0.1, 0.15, 0.2, 0.25])
LONG, LONG_RHOS = 40_000, np.array([0.4, 0.5])
FREED = 0.1
"""The rho at which momentum and small batches are compared."""
DRAWS, DRAWN_RUNS, DRAWN_BATCHES = 6, 100, np.array([1, 2, 4, 8])
"""Other samples, on which the comparison is made again, with lr c as it was."""
SHOWN = ((SAMPLES, 0.0), (SAMPLES, 0.9), (1, 0.0), (1, 0.9), (1, 0.95), (4, 0.95))
"""Batch size and momentum of what is drawn."""


class Network(NamedTuple):
    """The samples, and what of them the mean loss m4 p^2 - 2 c p + y2, p = w2 w1^2, is made of."""

    x: np.ndarray
    y: np.ndarray

    @property
    def pulls(self) -> np.ndarray:
        """x^2 y of each sample: at (0, w2) its loss has the curvature -4 w2 x^2 y across."""
        return self.x**2 * self.y

    @property
    def c(self) -> float:
        """The mean of x^2 y."""
        return float(self.pulls.mean())

    @property
    def m4(self) -> float:
        """The mean of x^4."""
        return float(np.mean(self.x**4))

    @property
    def on_line(self) -> float:
        """The loss on the line w1 = 0."""
        return float(np.mean(self.y**2))

    @property
    def least(self) -> float:
        """The loss in the global minima, w2 w1^2 = c/m4."""
        return self.on_line - self.c**2 / self.m4

    def loss_at(self, p: xr.DataArray) -> xr.DataArray:
        """The mean loss by p = w2 w1^2."""
        return self.m4 * p**2 - 2 * self.c * p + self.on_line

    @property
    def loss(self) -> Loss:
        """The finite sum."""
        formula = "(w2*(w1*x)**2 - y)**2"
        return Loss(formula, variables="w1 w2", data={"x": self.x, "y": self.y})


def network(seed: int = 0) -> Network:
    """Noisy samples of a teacher with w2 w1^2 = 1."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(-np.sqrt(3), np.sqrt(3), SAMPLES)
    return Network(x, x**2 + rng.standard_normal(SAMPLES))


def exponent(net: Network, size: int, rho: float) -> float:
    """The growth of w1 at (0, w2) under un-normalised SAM: the mean of log multipliers."""
    pulls = np.array([np.mean(batch) for batch in combinations(net.pulls, size)])
    h = -4 * HEIGHT * pulls
    return float(np.mean(np.log(np.abs(1 - LR * h * (1 + rho * h)))))


def critical_rho(net: Network, size: int) -> float:
    """The rho from which the saddle attracts, with probability 1, by minibatches of a size."""
    from scipy.optimize import brentq

    return float(brentq(lambda rho: exponent(net, size, rho), 0.0, 1.0))


def drift(net: Network, w2: np.ndarray, rho: float, steps: np.ndarray | int) -> np.ndarray:
    """The w2 of who oscillates about w1 = 0: SAM's gradient is that at (rho, w2)."""
    end = net.c / (net.m4 * rho**2)
    return end + (w2 - end) * np.exp(-2 * LR * net.m4 * rho**4 * steps)
