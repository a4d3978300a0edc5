"""Weights that fit a network's samples to rounding."""

import pytest

torch = pytest.importorskip("torch")

import samdyn.networks as nets  # noqa: E402
from samdyn.networks.curvature import NotConverged  # noqa: E402


def problem(n, targets, outputs=2):
    draw = torch.Generator().manual_seed(0)
    inputs = torch.randn(n, 3, generator=draw, dtype=torch.float64)
    net = nets.models.initialised(nets.models.mlp(3, 24, outputs, activation="tanh").double(), 1)
    return nets.Problem(net, nets.Samples(inputs, targets), "mse")


def test_numbers_are_fitted():
    draw = torch.Generator().manual_seed(1)
    one = problem(12, torch.randn(12, 2, generator=draw, dtype=torch.float64))
    assert one.value(one.start()) > 0.1
    w = nets.interpolating(one)
    assert one.value(w) < 1e-28
    assert torch.equal(nets.interpolating(one, w), w)


def test_classes_are_fitted():
    one = problem(12, torch.arange(12) % 3, outputs=3)
    w = nets.interpolating(one)
    one_hot = torch.nn.functional.one_hot(one.samples.targets, 3).double()
    assert (one.outputs(w, one.samples.inputs) - one_hot).abs().max() < 1e-13


def test_it_is_the_nearest_solution_where_the_network_is_linear():
    """From 0 on, the pseudo-inverse's: damping changes the way, not the end."""
    draw = torch.Generator().manual_seed(2)
    x, y = (torch.randn(4, k, generator=draw, dtype=torch.float64) for k in (9, 1))
    line = torch.nn.Linear(9, 1, bias=False, dtype=torch.float64)
    one = nets.Problem(line, nets.Samples(x, y), "mse")
    found = nets.interpolating(one, torch.zeros(9, dtype=torch.float64))
    torch.testing.assert_close(found, (torch.linalg.pinv(x) @ y)[:, 0], rtol=1e-12, atol=1e-13)


def test_samples_that_contradict_each_other_are_not_fitted():
    one = problem(2, torch.tensor([[0.0, 1.0], [1.0, 0.0]], dtype=torch.float64))
    same = one.samples._replace(inputs=one.samples.inputs[:1].repeat(2, 1))
    with pytest.raises(
        NotConverged, match=r"does not fit its samples .*loss is 5\.0e-01"
    ) as caught:
        nets.interpolating(one.on(same))
    assert one.on(same).value(caught.value.best) == pytest.approx(0.5)


def test_other_losses_are_refused():
    one = problem(4, torch.arange(4) % 2)
    with pytest.raises(ValueError, match="must have the loss 'mse'"):
        nets.interpolating(nets.Problem(one.model, one.samples, "cross_entropy"))
