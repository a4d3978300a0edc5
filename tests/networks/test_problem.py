"""Problem: a network with a loss on samples, as a function of flat weights."""

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from samdyn.networks.problem import Problem, Samples, checked_weights  # noqa: E402

X = torch.linspace(-1, 1, 10, dtype=torch.float64)[:, None]
DATA = Samples(X, X**2)


def network():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(
            nn.Linear(1, 4), nn.BatchNorm1d(4), nn.Tanh(), nn.Dropout(0.5), nn.Linear(4, 1)
        ).double()


def test_the_model_is_left_as_it_was():
    model = network()
    model[1].eval()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    problem = Problem(model, DATA, "mse")
    w = problem.start() + 0.1
    problem.value(w), problem.grad(w), problem.hvp(w, w)
    with torch.random.fork_rng():
        problem.batch_grad(w, DATA, dict(problem.buffers), training=True)
    assert [module.training for module in model] == [True, False, True, True, True]
    with pytest.raises(RuntimeError):
        problem.outputs(w, X.T)
    assert model[3].training
    fresh = model.state_dict()
    assert all(torch.equal(fresh[name], tensor) for name, tensor in before.items())


@pytest.mark.parametrize("chunk", [3, 10])
def test_it_is_the_module_in_evaluation_mode(chunk):
    model = network()
    problem = Problem(model, DATA, "mse", chunk)
    assert problem.value(problem.start()).item() == pytest.approx(
        nn.functional.mse_loss(model.eval()(X), DATA.targets).item(), rel=1e-14
    )
    w, v = problem.start() + 0.1, torch.ones(problem.dimension, dtype=torch.float64)
    h = 1e-5
    slope = (problem.value(w + h * v) - problem.value(w - h * v)) / (2 * h)
    assert (problem.grad(w) @ v).item() == pytest.approx(slope.item(), rel=1e-8)
    bent = (problem.grad(w + h * v) - problem.grad(w - h * v)) / (2 * h)
    torch.testing.assert_close(problem.hvp(w, v), bent, rtol=1e-7, atol=1e-8)


def test_refusals():
    problem = Problem(network(), DATA, "mse")
    with pytest.raises(ValueError, match=r"w must be a tensor of shape \(21,\).*got shape \(3,\)"):
        problem.value(torch.zeros(3))
    with pytest.raises(TypeError, match="model must be a torch.nn.Module, got type"):
        Problem(nn.Linear, DATA)
    with pytest.raises(TypeError, match="samples must be Samples, got tuple"):
        Problem(network(), tuple(DATA))
    with pytest.raises(ValueError, match="10 inputs and 9 targets"):
        Problem(network(), Samples(X, X[1:]))
    with pytest.raises(ValueError, match="chunk must be a whole number >= 1, got 0"):
        Problem(network(), DATA, chunk=0)
    with pytest.raises(ValueError, match="model must have parameters that require gradients"):
        Problem(nn.ReLU(), DATA)
    with pytest.raises(TypeError, match="w must be torch.float64, as the samples are, got torch.f"):
        checked_weights(problem, problem.start().float())
