from itertools import product

import numpy as np
import pytest
import xarray as xr

from samdyn.experiments.kim_toy_network import setting
from samdyn.experiments.kim_toy_network.measure import outcome, share


@pytest.fixture(scope="module")
def net():
    return setting.network()


def test_the_mean_loss_is_that_of_the_samples(net):
    w1, w2 = 0.7, 1.3
    p = xr.DataArray(w2 * w1**2)
    seen = float(net.loss.value([w1, w2]))
    assert float(net.loss_at(p)) == pytest.approx(seen, rel=1e-13)
    assert net.least == pytest.approx(float(net.loss_at(xr.DataArray(net.c / net.m4))), rel=1e-13)


def test_growth_is_the_mean_over_all_minibatches(net):
    rho, lr = 0.1, setting.LR
    hessians = [net.loss.samples.hessian([0.0, setting.HEIGHT])[k, 0, 0] for k in range(16)]
    pairs = [(a + b) / 2 for (i, a), (j, b) in product(enumerate(hessians), repeat=2) if i < j]
    by_hand = np.mean([np.log(abs(1 - lr * h * (1 + rho * h))) for h in pairs])
    assert setting.exponent(net, 2, rho) == pytest.approx(by_hand, rel=1e-12)


def test_the_full_batch_threshold_is_theorem_1(net):
    found = setting.critical_rho(net, setting.SAMPLES)
    assert found == pytest.approx(1 / (4 * net.c * setting.HEIGHT), rel=1e-9)


def test_drift_solves_its_equation(net):
    rho, w2 = 0.3, np.array([0.4, 0.6])
    slope = (setting.drift(net, w2, rho, 1e-3) - w2) / 1e-3
    assert slope == pytest.approx(-setting.LR * net.loss.mean.grad([[rho, x] for x in w2])[:, 1])


def test_outcomes_of_weights(net):
    least = net.c / net.m4
    ends = [[1.0, least], [0.0, 2.0], [3.0, 3.0], [np.nan, 1.0], [np.inf, 1.0]]
    found = outcome(
        net, xr.DataArray(ends, dims=("particle", "coord"), coords={"coord": ["w1", "w2"]})
    )
    assert found.stuck.values.tolist() == [False, True, False, False, False]
    assert found.away.values.tolist() == [False, False, True, True, True]
    line = net.on_line
    assert found.loss.values == pytest.approx([net.least, line, line, line, line], rel=1e-12)


def test_a_share_has_wilsons_interval():
    found = share(xr.DataArray([True] * 10 + [False] * 30))
    z = 1.959963984540054
    middle, half = (0.25 + z**2 / 80) / (1 + z**2 / 40), z * np.sqrt(0.1875 / 40 + z**2 / 6400)
    half /= 1 + z**2 / 40
    assert found == pytest.approx((0.25, middle - half, middle + half), rel=1e-9)
