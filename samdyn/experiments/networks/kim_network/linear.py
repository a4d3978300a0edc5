"""Near the saddle at the origin: SAM on the network itself, against the linearised maps."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from samdyn.algorithms import SAM, USAM
from samdyn.experiments.networks.kim_network.setting import CLASSES, HIDDEN, LR, LRS, SAMPLES

_RHOS = np.array([0.0, 0.1, 0.25, 0.4, 0.6, 1.0, 2.0, 4.0, 6.0, 8.4])
_STEPS, _CYCLE_STEPS = 60, 6
_SMALL = 1e-9
"""The start: so small that the next order in the weights is below rounding."""
_CYCLE_RHO, _CYCLE_SMALL = 1e-4, 1e-10
"""The cycle of normalised SAM, as near the origin as its rho is small, and a little beside it."""


class Correlation(NamedTuple):
    """The singular value decomposition of the mean of y x^T, over the samples."""

    u: np.ndarray
    s: np.ndarray
    v: np.ndarray

    def direction(self, i: int, hidden: int, sign: float) -> np.ndarray:
        """The unit eigenvector of the Hessian at 0 of eigenvalue ``2*sign*s[i]``, flat.

        In it one hidden unit reads the i-th right singular vector and writes the left one.
        """
        first = np.zeros((HIDDEN, self.v.shape[1]))
        second = np.zeros((CLASSES, HIDDEN))
        first[hidden], second[:, hidden] = self.v[i], -sign * self.u[:, i]
        return np.concatenate([first.ravel(), second.ravel()]) / np.sqrt(2)


def correlation(inputs: np.ndarray, labels: np.ndarray) -> Correlation:
    """By NumPy alone, from images (n, pixels) and classes (n,)."""
    m = np.eye(CLASSES)[labels].T @ inputs / len(inputs)
    return Correlation(*np.linalg.svd(m, full_matrices=False))


def linear(network: Any, data: Any) -> xr.Dataset:
    """Eigenvalues at the origin, and what each direction is multiplied by in a step.

    Parameters
    ----------
    network, data : Module, Samples
        Both in double precision.

    Returns
    -------
    Dataset
        ``usam`` and ``usam_linear`` (rho, direction), ``cycle`` and ``cycle_linear`` (lr,
        direction), ``singular`` (direction), ``smallest`` (place): the most negative eigenvalues.
    """
    from samdyn.networks import Problem, curvature, train

    problem = Problem(network, data, "mse")
    known = correlation(data.inputs.numpy(), data.targets.numpy())
    found = curvature.eigenpairs(problem, 0 * problem.start(), which="smallest", tol=1e-9)
    away = np.array([known.direction(i, i, -1.0) for i in range(CLASSES)])
    common: dict[str, Any] = {"batch_size": SAMPLES, "loss": "mse", "weights": True}
    common |= {"together": False, "progress": False}

    start = _SMALL * away.sum(axis=0)
    run = train(network, data, USAM(lr=LR, rho=_RHOS), start=start, epochs=_STEPS, **common)
    usam = _multiplier(run.w.values @ away.T)
    l = 2 * known.s

    cycle, cycle_linear = [], []
    for lr in LRS:
        # at rest across the valley, the gradient has this length, and rho/length is USAM's rho
        size = lr * l[0] * _CYCLE_RHO / (2 - lr * l[0])
        start = size * known.direction(0, CLASSES, 1.0) + _CYCLE_SMALL * away.sum(axis=0)
        sam = SAM(lr=lr, rho=_CYCLE_RHO)
        one = train(network, data, sam, start=start, epochs=_CYCLE_STEPS, **common)
        cycle.append(_multiplier(one.w.values @ away.T))
        cycle_linear.append(1 + lr * l * (1 - _CYCLE_RHO / (l[0] * size) * l))
    return xr.Dataset(
        {
            "usam": (("rho", "direction"), usam),
            "usam_linear": (("rho", "direction"), 1 + LR * l * (1 - _RHOS[:, None] * l)),
            "cycle": (("lr", "direction"), np.array(cycle)),
            "cycle_linear": (("lr", "direction"), np.array(cycle_linear)),
            "singular": ("direction", known.s),
            "smallest": found.values[0].item(),
            "residual": found.residuals[0].item(),
        },
        coords={"rho": _RHOS, "lr": LRS, "direction": np.arange(1, CLASSES + 1)},
    )


def _multiplier(along: np.ndarray) -> np.ndarray:
    """By what each of (..., step, direction) is multiplied in a step: the median over steps."""
    return np.median(along[..., 1:, :] / along[..., :-1, :], axis=-2)
