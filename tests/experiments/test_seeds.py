"""Intervals over seeds."""

import numpy as np
import pytest
import xarray as xr
from scipy import stats

from samdyn.experiments.networks.seeds import gap_closed, mean


def seeds(values):
    return xr.DataArray(values, dims=("setting", "seed")[-np.ndim(values) :])


def test_the_mean_has_students_interval():
    values = np.random.default_rng(0).normal(3, 2, (4, 7))
    found = mean(seeds(values))
    low, high = stats.t.interval(0.95, 6, values.mean(1), stats.sem(values, axis=1))
    np.testing.assert_allclose(found.low, low, rtol=1e-12)
    np.testing.assert_allclose(found.high, high, rtol=1e-12)


def test_seeds_that_are_not_known_do_not_count():
    known, holed = seeds([1.0, 2.0, 3.0]), seeds([1.0, 2.0, 3.0, np.nan, np.nan])
    for one, other in zip(mean(known), mean(holed), strict=True):
        assert float(one) == float(other)
    base, best = seeds([9.0, 8.0, 9.5, 9.0, 8.8]), seeds([0.1, 0.2, 0.3, 0.1, np.nan])
    some = [values.isel(seed=slice(0, 3)) for values in (holed, base, best)]
    for one, other in zip(gap_closed(holed, base, best), gap_closed(*some), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12)


def test_one_seed_has_no_interval():
    with pytest.raises(ValueError, match="at least 2 seeds, got 1"):
        mean(seeds([1.0]))


def test_fiellers_ends_are_where_the_t_test_turns():
    """At each end r, the test of mean(a - r b) = 0 is just at its level."""
    rng = np.random.default_rng(1)
    base, best = rng.normal(10, 0.5, (3, 6)), rng.normal(4, 0.5, (3, 6))
    values = rng.normal([[5.0], [8.0], [10.0]], 0.5, (3, 6))
    found = gap_closed(seeds(values), seeds(base), seeds(best))
    np.testing.assert_allclose(
        found.value, (base - values).mean(1) / (base - best).mean(1), rtol=1e-12
    )
    for end in (found.low, found.high):
        rest = (base - values) - end.values[:, None] * (base - best)
        np.testing.assert_allclose(stats.ttest_1samp(rest, 0, axis=1).pvalue, 0.05, rtol=1e-9)


def test_fiellers_interval_covers_as_often_as_it_says():
    rng = np.random.default_rng(2)
    base, best, values = (rng.normal(m, 1.0, (20_000, 5)) for m in (10.0, 4.0, 5.5))
    found = gap_closed(seeds(values), seeds(base), seeds(best))
    covered = float(((found.low <= 0.75) & (found.high >= 0.75)).mean())
    assert abs(covered - 0.95) < 4 * np.sqrt(0.95 * 0.05 / 20_000)


def test_without_a_gap_nothing_is_known():
    rng = np.random.default_rng(3)
    base, best, values = (rng.normal(0, 1.0, 5) for _ in range(3))
    found = gap_closed(seeds(values), seeds(base), seeds(best))
    assert np.isneginf(found.low)
    assert np.isposinf(found.high)
