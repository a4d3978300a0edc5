"""The Hessian whole, its products and the adapters."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from samdyn.networks.curvature import Hessian, dense, linear_operator, module_parts  # noqa: E402
from samdyn.networks.losses import CrossEntropy  # noqa: E402
from samdyn.networks.problem import Problem, Samples  # noqa: E402


def of_autograd(problem, w):
    """By another way: torch.func, row by row at once, on all samples at once."""
    jacobian = torch.func.jacrev
    return jacobian(jacobian(lambda w: problem.losses(w, problem.samples).mean()))(w)


@pytest.mark.parametrize("loss", ["mse", "cross_entropy", CrossEntropy(0.1)])
@pytest.mark.parametrize("chunk", [4096, 17])
def test_dense_is_the_hessian_whatever_the_chunk(network, loss, chunk):
    problem, w = network(loss, chunk=chunk)  # 40 samples: the last of 17 is short
    truth = of_autograd(problem, w)
    assert torch.allclose(dense(problem, w), truth, rtol=0, atol=1e-13 * truth.abs().max())


def test_dense_of_a_linear_model_is_the_normal_matrix():
    x = torch.randn(30, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    line = torch.nn.Linear(5, 1, bias=False, dtype=torch.float64)
    problem = Problem(line, Samples(x, torch.ones(30, 1, dtype=torch.float64)), "mse", chunk=7)
    assert torch.allclose(dense(problem, problem.start()), 2 * x.T @ x / 30, atol=1e-14)


def test_a_loss_linear_in_the_weights_has_no_curvature():
    line = torch.nn.Linear(3, 1, bias=False, dtype=torch.float64)
    samples = Samples(torch.ones(4, 3, dtype=torch.float64), torch.ones(4, 1))
    problem = Problem(line, samples, lambda out, _: out.sum(dim=1))
    assert not dense(problem, problem.start()).any()
    assert not Hessian(problem, problem.start())(torch.ones(3, dtype=torch.float64)).any()


@pytest.mark.parametrize("chunk", [4096, 17])
def test_products_are_those_of_the_problem_and_are_counted(network, chunk):
    problem, w = network(chunk=chunk)
    hessian, truth = Hessian(problem, w), of_autograd(problem, w)
    for seed in range(3):
        v = torch.randn(len(w), generator=torch.Generator().manual_seed(seed), dtype=w.dtype)
        assert torch.allclose(hessian(v), truth @ v, atol=1e-12)
        assert torch.allclose(hessian(v), problem.hvp(w, v), atol=1e-13)
    assert hessian.products == 6


def test_the_hessian_is_taken_in_evaluation_mode():
    model = torch.nn.Sequential(
        torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4), torch.nn.Dropout(), torch.nn.Linear(4, 1)
    ).double()
    x = torch.randn(12, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    problem = Problem(model, Samples(x, x[:, :1]), "mse")
    w = problem.start()
    model.train()
    first, mean = dense(problem, w), problem.buffers["1.running_mean"].clone()
    model.train()
    assert torch.equal(first, dense(problem, w))
    assert torch.equal(mean, problem.buffers["1.running_mean"])


def test_scipy_takes_the_operator(network):
    from scipy.sparse.linalg import eigsh

    problem, w = network(chunk=17)
    operator = linear_operator(problem, w)
    truth = dense(problem, w).numpy()
    assert operator.dtype == np.float64
    np.testing.assert_allclose(operator @ np.eye(len(w)), truth, atol=1e-13)
    np.testing.assert_allclose(
        eigsh(operator, 2, which="LA")[0], np.linalg.eigvalsh(truth)[-2:], rtol=1e-10
    )


@pytest.mark.parametrize("loss", ["mse", CrossEntropy(0.1)])
def test_parts_have_the_same_mean_loss_and_gradient(network, loss):
    problem, w = network(loss, chunk=17)
    model, sums, parameters, data, scale = module_parts(problem, w)
    value = scale * sum(sums(model(x), y) for x, y in data)
    assert value.item() == pytest.approx(problem.value(w).item(), rel=1e-14)
    slope = torch.cat([g.ravel() for g in torch.autograd.grad(value, parameters)])
    assert torch.allclose(slope, problem.grad(w), atol=1e-14)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("loss", ["mse", CrossEntropy()])
def test_curvlinops_finds_the_same_hessian(network, loss):
    curvlinops = pytest.importorskip("curvlinops")
    problem, w = network(loss, chunk=17)
    model, sums, parameters, data, scale = module_parts(problem, w)
    theirs = scale * curvlinops.HessianLinearOperator(model, sums, parameters, data)
    found = theirs @ torch.eye(len(w), dtype=w.dtype)
    assert torch.allclose(found, dense(problem, w), atol=1e-13)


def test_what_is_refused(network, quadratic):
    problem, w = network()
    with pytest.raises(ValueError, match="w must be finite, got 1 of 92 weights"):
        dense(problem, torch.where(torch.arange(92) == 3, torch.nan, w))
    with pytest.raises(ValueError, match=r"w must be a tensor of shape .* got shape \(91,\)"):
        Hessian(problem, w[1:])
    with pytest.raises(TypeError, match="w must be a tensor of floating-point numbers, got list"):
        Hessian(problem, w.tolist())
    with pytest.raises(TypeError, match="problem must be a samdyn.networks Problem, got Linear"):
        Hessian(torch.nn.Linear(1, 1), w)
    with pytest.raises(TypeError, match="module_parts needs the loss"):
        module_parts(quadratic([1.0])[0], torch.ones(1, dtype=torch.float64))
    wide, many = network(sizes=(60, 80, 10))
    with pytest.raises(ValueError, match="at most 5,000 weights, got 5,690; take eigenpairs"):
        dense(wide, many)
    broken = Problem(
        problem.model, problem.samples, lambda out, _: 1e200 * (1e200 * out**2).sum(dim=1)
    )
    with pytest.raises(ValueError, match="the Hessian of the loss must be finite at w"):
        Hessian(broken, w)(w)
