"""Who has left a saddle, and the Hessian there by NumPy alone."""

import numpy as np
import xarray as xr

from samdyn.experiments.networks.kim_network.escapes import _outcome
from samdyn.experiments.networks.kim_network.linear import _multiplier, correlation
from samdyn.experiments.networks.kim_network.setting import CLASSES, HIDDEN


def test_leaving_is_for_good():
    nan = np.nan
    losses = [
        [2.0, 1.9, 1.5, 1.4, 1.3],  # leaves
        [2.0, 1.5, 1.9, 1.5, 1.5],  # comes back, then leaves
        [2.0, 1.5, 1.5, 1.5, 1.9],  # is back at the end
        [2.0, 1.5, 1.5, nan, nan],  # diverges after it left
        [2.0, 1.5, 1.5, 1.5, 2.5],  # blows up after it left
    ]
    seeds, dims = len(losses), ("rho", "seed", "epoch")
    steady = np.ones((1, seeds, 5))
    run = xr.Dataset(
        {
            "train_loss": (dims, [losses]),
            "weight_norm": (dims, steady),
            "grad_norm": (dims, steady),
            "steps": (dims[:2], [[32, 32, 32, 12, 32]]),
        },
        coords={"epoch": np.arange(5) / 2, "at": ("epoch", np.arange(0, 25, 5))},
    )
    end = _outcome(run).isel(rho=0)
    np.testing.assert_array_equal(end.left, [10, 15, nan, nan, nan])
    np.testing.assert_array_equal(end.blown, [0, 0, 0, 1, 1])
    np.testing.assert_array_equal(end.watched, [20, 20, 20, 12, 20])


def test_directions_are_eigenvectors_at_the_origin():
    """Of the loss to second order, sum |y|^2 - 2 tr(W2 W1 M^T) in the mean, by differences."""
    rng = np.random.default_rng(0)
    x, labels = rng.random((50, 12)), rng.integers(CLASSES, size=50)
    known = correlation(x, labels)
    y = np.eye(CLASSES)[labels]

    def slope(w):
        first = w[: HIDDEN * 12].reshape(HIDDEN, 12)
        second = w[HIDDEN * 12 :].reshape(CLASSES, HIDDEN)
        m = y.T @ x / 50
        return np.concatenate([(-2 * second.T @ m).ravel(), (-2 * m @ first.T).ravel()])

    for sign in (-1.0, 1.0):
        v = known.direction(3, 7, sign)
        np.testing.assert_allclose(np.linalg.norm(v), 1, rtol=1e-12)
        np.testing.assert_allclose(slope(v), 2 * sign * known.s[3] * v, atol=1e-12)


def test_multiplier_of_several_directions():
    along = np.array([[1.0, 2.0, 4.0, 8.0], [1.0, -0.5, 0.25, -0.125]]).T
    np.testing.assert_allclose(_multiplier(along), [2.0, -0.5])
