"""Straight pieces of a series, against places that are known."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from samdyn.analysis.late.stretches import pieces

T = np.arange(80)


def test_a_line_is_one_piece():
    (only,) = pieces(T, 0.3 * T - 5.0).pieces
    assert (only.first, only.last) == (0, 79)
    assert abs(only.slope - 0.3) < 1e-12


def test_a_jump_at_the_beginning_is_left_out():
    y = 0.3 * T
    y[1:] += 8.0
    first, second = pieces(T, y).pieces
    assert first.last <= 1
    assert second.first == 1
    assert abs(second.slope - 0.3) < 1e-6


def test_cuts_are_found_where_they_are():
    y = np.where(T < 30, 0.5 * T, 15.0) + np.where(T > 50, -0.2 * (T - 50), 0.0)
    rng = np.random.default_rng(5)
    found = pieces(T, y + 0.05 * rng.standard_normal(80)).pieces
    assert len(found) == 3
    assert abs(found[0].first) == 0
    assert abs(found[1].first - 30) <= 2
    assert abs(found[2].first - 50) <= 2
    np.testing.assert_allclose([one.slope for one in found], [0.5, 0.0, -0.2], atol=0.02)


def test_a_random_walk_with_drift_is_seldom_cut():
    rng = np.random.default_rng(6)
    counts = [len(pieces(T, np.cumsum(0.2 + rng.standard_normal(80))).pieces) for _ in range(60)]
    assert np.mean(np.array(counts) == 1) > 0.85


@given(st.floats(-1, 1), st.floats(-50, 50), st.integers(0, 5))
def test_tilting_a_series_tilts_its_pieces(tilt, level, seed):
    rng = np.random.default_rng(seed)
    t = np.arange(30)
    y = np.where(t < 12, 0.8 * t, 9.6) + 0.01 * rng.standard_normal(30)
    plain, tilted = pieces(t, y).pieces, pieces(t, y + tilt * t + level).pieces
    assert [one[:2] for one in plain] == [one[:2] for one in tilted]
    # a single point has no slope
    slopes = [[one.slope for one in found if one.last > one.first] for found in (plain, tilted)]
    np.testing.assert_allclose(slopes[1], np.array(slopes[0]) + tilt, atol=1e-9)
