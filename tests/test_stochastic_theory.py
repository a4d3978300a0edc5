"""What a run under noise must come to, in closed form, at a million paths."""

import numpy as np
import pytest

import samdyn as sd

PATHS = 1_000_000


def within(measured, expected, error):
    """Within 4 standard errors."""
    np.testing.assert_array_less(np.abs(measured - expected), 4 * error)


@pytest.mark.slow
def test_ornstein_uhlenbeck_moments_at_a_million_paths():
    # dx = -x dt + dW1, dy = -2 y dt + 0.5 dW1 + dW2 from (1, -1); Euler's step is an exact
    # recursion of mean and covariance: m' = A m, P' = A P A^T + dt S S^T
    dt, steps = 0.02, 100
    a, s = np.diag([1.0 - dt, 1.0 - 2.0 * dt]), np.array([[1.0, 0.0], [0.5, 1.0]])
    system = sd.FormulaSDE(
        drift={"x": "-x", "y": "-2*y"}, diffusion={"x": ["1", "0"], "y": ["0.5", "1"]}, dt=dt
    )
    run = sd.simulate(
        system, np.tile([1.0, -1.0], (PATHS, 1)), steps, record=[50, steps], seed=1, progress=False
    )
    mean, covariance = np.array([1.0, -1.0]), np.zeros((2, 2))
    for step in range(1, steps + 1):
        mean, covariance = a @ mean, a @ covariance @ a.T + dt * s @ s.T
        if step not in run.time:
            continue
        away = run.w.sel(time=step).values - mean
        within(away.mean(0), 0.0, away.std(0) / PATHS**0.5)
        for i, j in ((0, 0), (0, 1), (1, 1)):
            products = away[:, i] * away[:, j]
            within(products.mean(), covariance[i, j], products.std() / PATHS**0.5)
            fourth = covariance[i, i] * covariance[j, j] + 2 * covariance[i, j] ** 2
            within((products**2).mean(), fourth, (products**2).std() / PATHS**0.5)


@pytest.mark.slow
@pytest.mark.parametrize("rho", [0.0, 0.2, 0.5])
def test_minibatches_displace_a_particle_as_the_recursion_says(rho):
    # w' = (1 - lr h (1 + rho h)) w - lr (1 + rho h) b, b the mean of a batch drawn with
    # replacement: its variance is that of the samples over the batch size
    lr, sizes, steps, paths = 0.05, np.array([1, 4, 16]), 60, 200_000
    b = np.random.default_rng(0).standard_exponential(40)
    b -= b.mean()
    loss = sd.Loss("-h*x**2/2 + b*x", variables="x", data={"b": b}, h=1.0)
    system = sd.Map(loss, sd.USAM(lr=lr, rho=rho), batch_size=sizes)
    run = sd.simulate(system, np.zeros(paths), steps, seed=2, progress=False)
    squares = run.final.values[..., 0] ** 2
    growth, noise = 1 + lr * (1 - rho), lr * (1 - rho) * b.std() / sizes**0.5
    expected = noise**2 * sum(growth ** (2 * k) for k in range(steps))
    within(squares.mean(1), expected, squares.std(1) / paths**0.5)
