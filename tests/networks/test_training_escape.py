"""Escape of a network from a sharp minimum: its rate is known exactly."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import samdyn as sd  # noqa: E402
from samdyn.networks.training import train  # noqa: E402

N = 20
ASIDE = 1e-8


@pytest.fixture(scope="module")
def interpolated(self_taught):
    return self_taught(16, N)


def escape(interpolated, share, epochs, **options):
    """Un-normalised full-batch SAM at a share of the critical rho, from beside the minimum."""
    problem, top, v = interpolated
    lr = 1.0 / top
    rho = share * (2.0 / (lr * top) - 1.0) / top
    run = train(
        problem.model, problem.samples, sd.USAM(lr=lr, rho=rho), epochs=epochs, batch_size=N,
        loss="mse", start=problem.start() + ASIDE * v, progress=False, **options,
    )  # fmt: skip
    return run, lr, rho


@pytest.mark.parametrize(("share", "steps"), [(0.9, 50), (1.1, 50), (1.5, 20), (2.0, 10)])
def test_the_rate_of_escape_is_exact(interpolated, share, steps):
    problem, top, v = interpolated
    run, lr, rho = escape(interpolated, share, steps, weights=True)
    away = torch.as_tensor(run.w.values) - problem.start()
    growth = np.diff(np.log(abs(away @ v).numpy()))
    expected = np.log(abs(1.0 - lr * top * (1.0 + rho * top)))
    assert np.sign(expected) == np.sign(share - 1.0)
    np.testing.assert_allclose(growth, expected, rtol=1e-5)


def test_both_phases_show_in_one_run(interpolated):
    _, top, _ = interpolated
    run, lr, rho = escape(interpolated, 1.2, 400, track="top_eigenvalue", every=100)
    loss, curvature = run.train_loss.values, run.top_eigenvalue.values[::100]
    peak = loss.argmax()
    assert loss[0] < 1e-15
    assert 50 < peak < 150  # out of the sharp minimum, exponentially
    assert loss[peak] > 1e-4
    assert loss[-1] < 1e-2 * loss[peak]  # and down in a flatter one
    assert curvature[0] == pytest.approx(top, rel=1e-6)
    assert lr * curvature[0] * (1 + rho * curvature[0]) > 2.0
    assert lr * curvature[-1] * (1 + rho * curvature[-1]) < 1.9  # where SAM is stable
