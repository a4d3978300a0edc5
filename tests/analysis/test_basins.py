"""Basins, held against plain NumPy runs and what symmetry says."""

import numpy as np
import pytest

import samdyn as sd

WELL = sd.Loss("(x**2 - 1)**2/4 + y**2/2")
HENON = {"x": "1 - a*x**2 + y", "y": "b*x"}


def iterated(system, states, steps):
    rows = list(np.moveaxis(np.asarray(states, float), -1, 0))
    numbers = list(system.numbers.values())
    with np.errstate(all="ignore"):
        for _ in range(steps):
            rows = list(system.program(*rows, *numbers))
    return np.stack(np.broadcast_arrays(*rows), axis=-1)


def basins(*given, **options):
    return sd.basins(*given, progress=False, **options)


def test_a_symmetric_double_well_is_halved_within_the_interval():
    points = sd.uniform(4000, seed=1, x=(-2, 2), y=(-1, 1))
    found = basins(sd.Map(WELL, sd.GD(lr=0.1)), points)
    assert list(found.attractor_kind.values) == ["fixed point"] * 2
    assert np.all((found.fraction_low <= 0.5) & (found.fraction_high >= 0.5))
    assert np.all(found.fraction_high - found.fraction_low < 0.035)
    # the sign of x decides
    side = np.sign(found.point.sel(row="x").values[found.label.values])
    np.testing.assert_array_equal(side, np.sign(points.values[:, 0]))
    assert np.all(found.rate == pytest.approx(np.log(0.9)))


def test_a_slow_saddle_is_no_attractor():
    system = sd.Map(WELL, sd.GD(lr=0.01))
    start = [[1e-6, 0.5], [-1e-6, 0.5]]
    short = basins(system, start, steps=700)
    assert short.sizes["attractor"] == 0
    assert list(short.label.values) == [-1, -1]
    found = basins(system, start)
    np.testing.assert_allclose(found.point.values[found.label.values], [[1, 0], [-1, 0]], atol=1e-9)
    assert np.all(found.steps > 1200)


def test_points_on_a_stable_manifold_stay_at_what_is_unstable():
    found = basins(sd.Map(WELL, sd.GD(lr=0.1)), [[0, 0.5], [0, 0], [1, 0.5], [1, 0]])
    assert list(found.label.values) == [-3, -3, 0, 0]
    assert found.steps.values[3] == 0


def test_threads_seed_and_the_form_of_the_points_play_no_part():
    system, points = sd.Map(WELL, sd.SAM(lr=0.1, rho=0.3)), sd.grid(x=(-2, 2, 30), y=(-1, 1, 20))
    one = basins(system, points, threads=1)
    for other in (basins(system, points, threads=2), basins(system, points, seed=7)):
        for name in set(one.variables) - {"point"}:
            assert one[name].identical(other[name])
        np.testing.assert_allclose(one.point, other.point, atol=1e-12)
    rows = basins(system, points.values.reshape(-1, 2))
    np.testing.assert_array_equal(rows.label.values, one.label.values.reshape(-1))
    np.testing.assert_array_equal(rows.steps.values, one.steps.values.reshape(-1))
    assert set(one.attractor_kind.values) == {"cycle"}
    # and it is what a plain run says: within the cycle's reach of its middle
    ends = iterated(system, points.values.reshape(-1, 2), 3000)
    middle = np.where(np.abs(ends[:, 0]) < 0.5, 0.0, np.sign(ends[:, 0]))
    theirs = np.round(one.point.sel(row="x").values)[rows.label.values]
    np.testing.assert_array_equal(theirs, middle)


@pytest.mark.slow
def test_refinement_labels_as_the_full_grid_does():
    system = sd.Map(sd.Loss("(x**2 - 1)**2/4 + (y - x**2/2)**2"), sd.GD(lr=0.05, momentum=0.8))
    coarse = basins(system, sd.grid(x=(-2, 2, 26), y=(-1, 1, 21)), refine=2)
    full = basins(system, sd.grid(x=(-2, 2, 101), y=(-1, 1, 81)))
    np.testing.assert_allclose(coarse.x, full.x, atol=1e-12)
    agree = coarse.label.values == full.label.values
    ran = coarse.ran.values
    assert coarse.attrs["points_run"] == np.sum(ran) < 0.6 * ran.size
    assert np.all(agree[ran])
    assert np.mean(agree) >= 0.999
    # and the labels are where NumPy ends
    starts = np.stack(np.meshgrid(full.x, full.y, indexing="ij"), axis=-1).reshape(-1, 2)[::5]
    ends = iterated(system, np.concatenate([starts, 0 * starts], axis=1), 2000)
    label = full.label.values.reshape(-1)[::5]
    ends, label = ends[label >= 0], label[label >= 0]
    assert np.mean(full.label < 0) < 0.02  # x = 0 is the saddle's own
    theirs = full.point.values[label, 0]
    np.testing.assert_allclose(ends[:, 0], theirs, atol=1e-6)


@pytest.mark.slow
def test_a_small_basin_is_found():
    # x + 0.2 x (1 - x^2) is drawn to -1 and 1; within 0.001 of 0.5 it halves the way to 0.5
    far, inside = "0.2*x*(1 - x**2)", "0.5*(1 + sign(0.001 - abs(x - 0.5)))"
    system = sd.FormulaMap({"x": f"x + {far} + {inside}*(-0.5*(x - 0.5) - {far})"})
    found = basins(system, np.linspace(-0.95, 1.05, 10_000))
    assert found.sizes["attractor"] == 3
    assert found.point.values[-1, 0] == pytest.approx(0.5)
    assert 0.0008 < found.fraction.values[-1] < 0.01


def test_coexisting_cycles_and_chaos_beside_infinity():
    cubic = basins(sd.FormulaMap({"x": "a*x - x**3"}, a=2.2), np.linspace(-1.7, 1.7, 400))
    assert list(cubic.period.values) == [2, 2]
    assert list(cubic.fraction.values) == [0.5, 0.5]

    points = sd.uniform(2000, seed=0, x=(-2, 2), y=(-2, 2))
    henon = sd.FormulaMap(HENON, a=1.4, b=0.3)
    found = basins(henon, points, steps=100_000)
    assert list(found.attractor_kind.values) == ["chaotic"]
    assert found.rate.item() == pytest.approx(0.4192, abs=0.02)  # the known exponent
    stays = np.all(np.abs(iterated(henon, points.values, 3000)) < 10, axis=-1)
    np.testing.assert_array_equal(found.label.values, np.where(stays, 0, -2))


def test_a_curve_of_minimisers_is_one_neutral_set():
    found = basins(
        sd.Map(sd.Loss("(x*y - 1)**2/2"), sd.GD(lr=0.1)), sd.grid(x=(-2, 2, 20), y=(-2, 2, 21))
    )
    assert list(found.attractor_kind.values) == ["neutral set"]
    assert found.rate.item() == 0
    assert np.mean(found.label == 0) > 0.95


@pytest.mark.slow
def test_a_flow_has_the_basins_of_its_steps():
    flow = sd.Flow(WELL, sd.GD(lr=0.1), dt=0.05)
    found = basins(flow, sd.grid(x=(-2, 2, 20), y=(-1, 1, 10)))
    assert list(found.fraction.values) == [0.5, 0.5]
    assert found.rate.values == pytest.approx([-0.05, -0.05], rel=1e-4)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"refine": 1}, "refine needs a grid of two dimensions"),
        ({"steps": 0}, "steps must be"),
    ],
)
def test_refusals(options, said):
    with pytest.raises(ValueError, match=said):
        basins(sd.Map(WELL, sd.GD(lr=0.1)), [[0.0, 1.0], [1.0, 1.0]], **options)


def test_an_array_among_the_numbers_is_refused():
    with pytest.raises(ValueError, match="one value of lr"):
        basins(sd.Map(WELL, sd.GD(lr=[0.1, 0.2])), [0.0, 1.0])


def test_an_interrupted_search_gives_nothing(monkeypatch):
    from samdyn.analysis.attraction import running

    def interrupted(*given, **options):
        run = simulate(*given, **options)
        run.reason[...] = 4
        return run

    simulate = running.simulate
    monkeypatch.setattr(running, "simulate", interrupted)
    with pytest.raises(KeyboardInterrupt):
        basins(sd.Map(WELL, sd.GD(lr=0.1)), [[0.5, 0.5]])


@pytest.mark.slow
def test_a_million_points_take_seconds():
    import time

    system = sd.Map(WELL, sd.GD(lr=0.1))
    basins(system, [[0.5, 0.5]])
    began = time.perf_counter()
    found = basins(system, sd.grid(x=(-2, 2, 1000), y=(-1, 1, 1000)), threads=2)
    assert time.perf_counter() - began < 10
    assert list(found.fraction.values) == [0.5, 0.5]
