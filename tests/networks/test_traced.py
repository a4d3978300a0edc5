"""Functions written down as a straight line of operations: the same, or called as before."""

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from samdyn.networks.traced import Traced  # noqa: E402

CALLS = 120


class Called:
    """A function that knows how often it was run through Python."""

    def __init__(self, function):
        self.function, self.count = function, 0

    def __call__(self, *given):
        self.count += 1
        return self.function(*given)


def slopes(model):
    """Gradients of many networks at once, with momentum and numbers of their own."""

    def one(numbers, w, velocity, x):
        def loss(w):
            parts = dict(zip(("weight", "bias"), w.split([6, 2]), strict=True))
            parts["weight"] = parts["weight"].view(2, 3)
            return torch.func.functional_call(model, parts, (x,)).tanh().square().mean()

        velocity = numbers["momentum"] * velocity + torch.func.grad(loss)(w)
        return {"w": w - numbers["lr"] * velocity, "v": velocity}

    return torch.vmap(one, in_dims=(None, 0, 0, 0))


def inputs(seed, networks=5):
    draw = torch.Generator().manual_seed(seed)
    numbers = {"lr": torch.tensor(0.1 * (seed + 1)), "momentum": torch.tensor(0.9)}
    shapes = ((networks, 8), (networks, 8), (networks, 4, 3))
    return numbers, *(torch.randn(shape, generator=draw) for shape in shapes)


def test_not_a_bit_changes_and_numbers_stay_data():
    called = Called(slopes(nn.Linear(3, 2)))
    traced = Traced(called, nn.Linear(3, 2))
    for seed in range(CALLS):
        found, expected = traced(*inputs(seed)), called.function(*inputs(seed))
        assert torch.equal(found["w"], expected["w"])
        assert torch.equal(found["v"], expected["v"])
    assert called.count == 101  # of which one wrote it down


def test_each_shape_is_written_down_by_itself():
    called = Called(slopes(nn.Linear(3, 2)))
    traced = Traced(called, nn.Linear(3, 2))
    for _ in range(CALLS):
        for networks in (3, 5):
            expected = called.function(*inputs(0, networks))
            assert torch.equal(traced(*inputs(0, networks))["w"], expected["w"])
    assert called.count == 202


def test_a_network_that_counts_its_calls_is_called():
    class Counting(nn.Module):
        def __init__(self):
            super().__init__()
            self.calls = 0

        def forward(self, x):
            self.calls += 1
            return x * self.calls

    model = Counting()
    traced = Traced(model, model)
    said = [traced(torch.ones(1)).item() for _ in range(CALLS)]
    assert said == list(range(1, CALLS + 1))


def test_a_function_that_looks_at_values_is_called():
    traced = Traced(lambda x: x if x.sum() > 0 else -x, nn.Identity())
    for k in range(CALLS):
        assert traced(torch.tensor([1.0 - 2.0 * (k % 2)])).item() == 1.0


def test_an_error_stays_what_it_was():
    traced = Traced(lambda x: x @ torch.ones(3), nn.Identity())
    for _ in range(CALLS):
        with pytest.raises(RuntimeError, match="size mismatch|inconsistent"):
            traced(torch.ones(2))
