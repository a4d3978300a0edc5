"""Basin entropy and the uncertainty exponent, on planes whose answer is known."""

import numpy as np
import pytest
import xarray as xr

import samdyn as sd


def plane(labels):
    return xr.Dataset({"label": (("x", "y"), np.asarray(labels))})


def test_a_straight_boundary_has_exponent_one_exactly():
    labels = np.zeros((256, 200), int)
    labels[120:] = 1
    for turned in (labels, labels.T):
        found = sd.uncertainty_exponent(plane(turned))
        assert found.exponent == pytest.approx(1.0, abs=1e-12)
        assert found.dimension == pytest.approx(1.0, abs=1e-12)


def test_a_slanted_boundary_is_smooth_too():
    x, y = np.meshgrid(np.arange(600), np.arange(600), indexing="ij")
    found = sd.uncertainty_exponent(plane((3 * x + 2 * y > 1500).astype(int)))
    assert abs(found.exponent - 1.0) < 0.03


def test_a_cantor_set_of_lines_has_its_dimension():
    """The middle thirds' gaps in colours by turns: dimension 1 + log 2/log 3."""
    n = 3**8
    x, column = (np.arange(n) + 0.5) / n, np.full(n, -1)
    for generation in range(8):
        middle = (x >= 1 / 3) & (x < 2 / 3) & (column < 0)
        column[middle] = generation % 2
        x = np.where(x < 0.5, 3 * x, 3 * x - 2)
    column[column < 0] = 0
    labels = np.broadcast_to(column[:, None], (n, n // 8))
    found = sd.uncertainty_exponent(plane(labels))
    alpha = 1 - np.log(2) / np.log(3)
    assert abs(found.exponent - alpha) < max(0.03, 3 * found.standard_error)
    assert found.dimension == pytest.approx(2 - found.exponent)


def test_entropies_in_closed_form():
    n = 50
    one = sd.basin_entropy(plane(np.zeros((n, n), int)))
    assert (one.whole, one.boundary, one.mixed) == (0.0, 0.0, 0)
    checkers = np.indices((n, n)).sum(axis=0) % 2
    found = sd.basin_entropy(plane(checkers), box=2)
    assert found.whole == pytest.approx(np.log(2), abs=1e-12)
    assert (found.boxes, found.mixed) == (625, 625)
    line = np.zeros((n, n), int)
    line[22:] = -2  # 2 of the 5 rows of a box
    found = sd.basin_entropy(plane(line))
    mixed = -(0.4 * np.log(0.4) + 0.6 * np.log(0.6))
    assert found.boundary == pytest.approx(mixed, abs=1e-12)
    assert found.whole == pytest.approx(mixed / 10, abs=1e-12)
    coins = np.random.default_rng(0).integers(0, 2, (n * 20, n * 20))
    assert sd.basin_entropy(plane(coins), box=20).whole == pytest.approx(np.log(2), abs=2e-3)


def test_refusals():
    with pytest.raises(ValueError, match="result must be what samdyn.basins returns"):
        sd.basin_entropy(xr.Dataset())
    with pytest.raises(ValueError, match="box must be at most 8"):
        sd.basin_entropy(plane(np.zeros((8, 9), int)), box=9)
    with pytest.raises(ValueError, match="too little of a boundary"):
        sd.uncertainty_exponent(plane(np.zeros((100, 100), int)))
