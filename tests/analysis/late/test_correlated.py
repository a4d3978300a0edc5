"""Regression with correlated errors, against ordinary least squares and by its coverage."""

import numpy as np
import pytest

from samdyn.analysis.late.correlated import coefficient


def _fit(y, level=0.95):
    t = np.arange(len(y), dtype=float)
    return coefficient(y, np.stack([np.ones(len(y)), t], axis=1), np.ones(len(y) - 1), 1, level)


def test_of_independent_errors_it_is_least_squares():
    rng = np.random.default_rng(1)
    t = np.arange(400.0)
    y = 2.0 + 0.3 * t + rng.standard_normal(400)
    found = _fit(y)
    slope, cov = np.polyfit(t, y, 1, cov=True)
    error = np.sqrt(cov[0, 0])
    assert abs(found.value - slope[0]) < 0.3 * error
    assert 0.8 < (found.high - found.low) / (2 * 1.966 * error) < 1.4


def test_of_a_random_walk_it_is_the_mean_increment():
    rng = np.random.default_rng(2)
    y = np.cumsum(0.3 + rng.standard_normal(200))
    found = _fit(y)
    increments = np.diff(y)
    error = np.std(increments, ddof=1) / np.sqrt(len(increments))
    assert abs(found.value - np.mean(increments)) < error
    assert 0.7 < (found.high - found.low) / (2 * 1.97 * error) < 1.5


@pytest.mark.parametrize("rho", [0.0, 0.6, 1.0])
def test_intervals_hold_the_slope_as_often_as_they_say(rho):
    rng = np.random.default_rng(3)
    held = 0
    for _ in range(120):
        errors = rng.standard_normal(40)
        for k in range(1, 40):
            errors[k] += rho * errors[k - 1]
        found = _fit(0.2 * np.arange(40) + errors)
        held += found.low <= 0.2 <= found.high
    assert held >= 120 * 0.88  # 3 standard errors below 0.95


def test_of_no_errors_the_interval_is_a_point():
    found = _fit(1.0 - 0.25 * np.arange(12))
    assert found.value == pytest.approx(-0.25, abs=1e-10)
    assert found.high - found.low < 1e-8


def test_uneven_steps_are_seen():
    t = np.array([0.0, 1.0, 2.0, 5.0, 10.0, 20.0, 40.0])
    rng = np.random.default_rng(4)
    y = 0.5 * t + 0.01 * rng.standard_normal(7)
    design = np.stack([np.ones(7), t], axis=1)
    found = coefficient(y, design, np.diff(t), 1, 0.95)
    assert found.low < 0.5 < found.high
    assert found.high - found.low < 0.02
