import numpy as np
import pytest
import xarray as xr
from scipy.stats import binomtest

from samdyn.experiments.networks.kim_factorization import setting
from samdyn.experiments.networks.kim_factorization.claims import _only_one_leaves, _said
from samdyn.experiments.networks.kim_factorization.measure import ends_of, first_step, times_of


def test_the_recursion_is_the_multiplier_without_momentum():
    for s in setting.SINGULAR:
        for rho in setting.LINEAR_RHOS:
            exact = np.log(abs(setting.multiplier(s, rho)))
            assert setting.linear_rate(s, rho, 0.0) == pytest.approx(exact, abs=1e-13)


def test_with_momentum_it_tends_to_the_larger_root():
    s, rho, momentum, n = 1.0, 0.2, 0.9, 400
    curvature = -2 * s * (1 - 2 * rho * s)
    root = np.roots([1, -(1 + momentum - setting.LR * curvature), momentum]).max()
    late = 2 * setting.linear_rate(s, rho, momentum, 2 * n) - setting.linear_rate(
        s, rho, momentum, n
    )
    assert late == pytest.approx(np.log(root), abs=1e-10)


def test_a_direction_rests_at_its_threshold():
    for s, rho in zip(setting.SINGULAR, setting.thresholds(), strict=True):
        assert setting.multiplier(s, rho) == pytest.approx(1.0, abs=1e-15)


def test_ends_of_runs():
    at = setting.AT_SADDLE
    losses = [
        [1.0, 1.0, 0.9, 0.1],  # leaves
        [1.0, 1.01, 0.96, 1.0],  # is stuck
        [1.0, 0.9, np.nan, np.nan],  # diverges: it has not left, whatever it passed
    ]
    run = xr.Dataset(
        {"train_loss": (("seed", "step"), at * np.array(losses))}, coords={"step": [0, 5, 10, 20]}
    )
    ends = ends_of({"sam": run})
    assert ends.left.values.tolist() == [True, False, False]
    assert ends.stuck.values.tolist() == [False, True, False]
    assert ends.diverged.values.tolist() == [False, False, True]
    assert ends.time.values.tolist() == [10, 20, 5]
    times = times_of(ends)
    assert (times.n, times.escapes, times.median) == (3, 1, 10)


def test_a_first_step_that_never_comes_is_nan():
    holds = xr.DataArray(
        [[False, True], [False, False]], dims=("seed", "step"), coords={"step": [0, 7]}
    )
    assert first_step(holds).values[0] == 7
    assert np.isnan(first_step(holds).values[1])


def marks(*counts):
    """Ends of 6 seeds each: the first so many left, at steps 10, 20, …."""
    steps = 10.0 * np.arange(1, 7)
    for count in counts:
        left = np.arange(6) < count
        yield xr.Dataset({"left": ("seed", left), "time": ("seed", steps)})


@pytest.mark.parametrize("ahead", [6, 5, 4, 0])
def test_mcnemars_test_is_the_binomial_one(ahead):
    one, other = marks(ahead, 0)
    expected = binomtest(ahead, ahead, alternative="greater").pvalue if ahead else 1.0
    assert _only_one_leaves(one, other) == pytest.approx(expected, rel=1e-12)
    assert _only_one_leaves(one, one) == 1.0


def test_steps_of_few_runs_are_said_without_an_interval():
    none, one, two = marks(0, 1, 2)
    assert _said(none) == "none"
    assert _said(one) == "10"
    assert _said(two).startswith("14 (")
