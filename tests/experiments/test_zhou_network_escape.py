"""What the experiment zhou-network-escape works out by itself."""

import numpy as np
import pytest
import xarray as xr

torch = pytest.importorskip("torch")

from samdyn import networks as nets  # noqa: E402
from samdyn.experiments.networks.zhou_network_escape.interpolating import interpolating  # noqa: E402
from samdyn.experiments.networks.zhou_network_escape.setting import (  # noqa: E402
    above,
    barriers,
    critical_rho,
    multiplier,
    sam_edges,
)


def problem(n, targets):
    draw = torch.Generator().manual_seed(0)
    inputs = torch.randn(n, 3, generator=draw, dtype=torch.float64)
    net = nets.models.initialised(nets.models.mlp(3, 24, 2, activation="tanh").double(), 1)
    return nets.Problem(net, nets.Samples(inputs[: len(targets)], targets), "mse")


def test_a_network_is_fitted_to_rounding():
    draw = torch.Generator().manual_seed(1)
    one = problem(12, torch.randn(12, 2, generator=draw, dtype=torch.float64))
    assert one.value(one.start()) > 0.1
    assert one.value(interpolating(one)) < 1e-28


def test_samples_that_contradict_each_other_are_not_fitted():
    targets = torch.tensor([[0.0, 1.0], [1.0, 0.0]], dtype=torch.float64)
    one = problem(2, targets)
    same = one.samples._replace(inputs=one.samples.inputs[:1].repeat(2, 1))
    with pytest.raises(RuntimeError, match=r"does not fit its samples: its loss is 5\.0e-01"):
        interpolating(one.on(same))


def test_barriers_are_those_of_the_landscape():
    t = (np.arange(43) - 6) / 30
    curves = np.array([np.sin(np.pi * t) + t, t**2, 1 + 0 * t])
    lines = xr.Dataset(
        {"train_loss": (("seed", "t"), curves), "test_loss": (("seed", "t"), 2 * curves)},
        {"t": t},
    )
    for name, found in zip(("train_loss", "test_loss"), barriers(lines), strict=True):
        expected = [nets.landscape.barrier(lines.isel(seed=k), name) for k in range(3)]
        np.testing.assert_allclose(found, expected, atol=1e-12)
    np.testing.assert_allclose(above(lines), [curves[0, 6:37].max() - 1, 0, 0], atol=1e-12)


def test_at_the_critical_rho_the_minimum_is_at_the_edge():
    top, lr = 8.0, 0.2
    rho = critical_rho(top, lr)
    assert multiplier(top, lr, rho) == pytest.approx(1)
    edge = sam_edges(xr.Dataset(coords={"rho": [rho, 2 * rho]}, attrs={"lr": lr}))
    assert edge[0] == pytest.approx(top)
    assert edge[1] < top
