"""The limiting flows on a network's interpolating weights, against closed forms and Hessians."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from samdyn import Loss
from samdyn.analysis.minimizers.limiting import limiting_flow

torch = pytest.importorskip("torch")

from samdyn import networks as nets  # noqa: E402
from samdyn.experiments.networks.wen_one_sam.interpolators import (  # noqa: E402
    gradients,
    limiting_flows,
    projected,
    spectrum,
)

_TAU = [0.0, 0.05, 0.1, 0.15, 0.2]


def _product() -> nets.Problem:
    """(u v - 1)^2."""
    one = torch.ones(1, 1, dtype=torch.float64)
    return nets.Problem(nets.models.diagonal_linear(1).double(), nets.Samples(one, one), "mse")


def _network() -> nets.Problem:
    data = nets.data.teacher_student(3, 4, 3, test=1, activation="tanh", dtype=torch.float64)
    return nets.Problem(nets.models.mlp(3, 6, 1, activation="tanh").double(), data.train, "mse")


@pytest.mark.parametrize("single", [False, True])
def test_product_follows_the_closed_form(single: bool) -> None:
    start = torch.tensor([[2.0, 0.5]], dtype=torch.float64)
    path = limiting_flows(_product(), start, _TAU, [single], [0.0])[0, 0].numpy()
    s = np.arcsinh(np.sinh(2 * np.log(2.0)) * np.exp(-4 * np.array(_TAU))) / 2
    np.testing.assert_allclose(path, np.exp([s, -s]).T, atol=1e-5)


def test_factor_of_a_finite_lr() -> None:
    lr = 0.05
    start = torch.tensor([[2.0, 0.5]], dtype=torch.float64)
    path = limiting_flows(_product(), start, _TAU, [False, False], [lr, 0.0])[:, 0].numpy()

    def speed(_: float, s: np.ndarray) -> np.ndarray:
        return -2 * np.tanh(2 * s) / (1 - 2 * lr * np.cosh(2 * s)) ** 2

    exact = solve_ivp(speed, (0, _TAU[-1]), [np.log(2.0)], rtol=1e-10, t_eval=_TAU).y[0]
    np.testing.assert_allclose(path[0, :, 0], np.exp(exact), atol=1e-4)
    assert np.all(path[1, 1:, 0] - path[0, 1:, 0] > 0.05)


def test_two_samples_follow_the_flow_of_the_formula() -> None:
    x = torch.tensor([[1.0, 0.5, -0.3], [0.2, -1.0, 0.7]], dtype=torch.float64)
    y = torch.tensor([[1.0], [0.5]], dtype=torch.float64)
    problem = nets.Problem(nets.models.diagonal_linear(3).double(), nets.Samples(x, y), "mse")
    at = torch.tensor([[1.2, -0.7, 0.9, 0.8, 0.6, -0.5]], dtype=torch.float64)
    start = projected(problem, at)
    formula = Loss(
        "((a*p + b*q/2 - 0.3*c*r - 1)**2 + (a*p/5 - b*q + 0.7*c*r - 0.5)**2)/2",
        variables=("a", "b", "c", "p", "q", "r"),
    )
    begin = start[0].numpy()
    top = limiting_flow(formula, begin, _TAU, lr=[0.0, 0.05]).w.values
    slower = 6 * np.array(_TAU)  # average-direction sharpness is the trace/12
    trace = limiting_flow(formula, begin, slower, kind="average").w.values
    exact = [*top, trace]
    path = limiting_flows(problem, start, _TAU, [False, False, True], [0.0, 0.05, 0.0])[:, 0]
    assert np.abs(exact[0][-1] - exact[0][0]).max() > 0.05
    assert np.abs(exact[0] - exact[2]).max() > 0.01
    np.testing.assert_allclose(path.numpy(), exact, atol=1e-4)


def test_spectrum_is_that_of_the_hessian() -> None:
    problem = _network()
    torch.manual_seed(1)
    w = projected(problem, torch.randn(2, 2, problem.dimension, dtype=torch.float64))
    assert w.shape == (2, 2, problem.dimension)
    values, tops = spectrum(problem, w)
    rows = [one.reshape(4, -1) for one in (w, values, tops)]
    for at, several, top in zip(*rows, strict=True):
        hessian = nets.curvature.dense(problem, at)
        exact = torch.linalg.eigvalsh(hessian)
        torch.testing.assert_close(several, exact[-3:], rtol=1e-7, atol=1e-9)
        torch.testing.assert_close(exact.sum(), several.sum(), rtol=1e-7, atol=1e-9)
        torch.testing.assert_close(hessian @ top, several[-1] * top, rtol=1e-6, atol=1e-7)
        assert float(problem.value(at)) < 1e-18


def test_gradients_are_the_problems() -> None:
    problem = _network()
    w = torch.randn(3, problem.dimension, dtype=torch.float64)
    exact = torch.stack([problem.grad(one) for one in w])
    torch.testing.assert_close(gradients(problem, w), exact)


def test_flows_stay_on_the_manifold_and_lower_what_they_should() -> None:
    problem = _network()
    torch.manual_seed(2)
    start = projected(problem, torch.randn(2, problem.dimension, dtype=torch.float64))
    paths = limiting_flows(problem, start, _TAU, [False, True], [0.0, 0.0])
    assert paths.shape == (2, 2, 5, problem.dimension)
    torch.testing.assert_close(paths[:, :, 0], start.expand(2, -1, -1))
    values, _ = spectrum(problem, paths)
    assert bool((values[0, ..., -1].diff(dim=-1) < 0).all())
    assert bool((values[1].sum(-1).diff(dim=-1) < 0).all())


def test_what_cannot_be_fitted_is_refused() -> None:
    x = torch.ones(2, 1, dtype=torch.float64)
    y = torch.tensor([[0.0], [1.0]], dtype=torch.float64)
    problem = nets.Problem(
        nets.models.mlp(1, 4, 1, activation="tanh").double(), nets.Samples(x, y), "mse"
    )
    with pytest.raises((RuntimeError, torch.linalg.LinAlgError)):
        projected(problem, problem.start())
