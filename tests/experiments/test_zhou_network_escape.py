"""What the experiment zhou-network-escape works out by itself."""

import numpy as np
import pytest
import xarray as xr

torch = pytest.importorskip("torch")

from samdyn import networks as nets  # noqa: E402
from samdyn.experiments.networks.zhou_network_escape.setting import (  # noqa: E402
    above,
    barriers,
    critical_rho,
    multiplier,
    sam_edges,
)


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
