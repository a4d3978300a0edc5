import numpy as np
import pytest
import xarray as xr

import samdyn as sd
from samdyn.analysis.orbits.bifurcation import bifurcation

LOGISTIC = sd.FormulaMap({"x": "r*x*(1 - x)"}, r=3.0)
FOLD = sd.FormulaMap({"x": "x + h*(mu + x - x**3)"}, h=0.1, mu=0.0)
BOWL = sd.Loss("a*x**2/2 + b*y**2/2", variables="x y", a=2.0, b=0.5)
WELL = sd.Loss("a*x**4/4 - x**2/2", variables="x", a=1.0)


def quiet(*args, **options):
    return bifurcation(*args, progress=False, **options)


def test_periods_of_the_logistic_map():
    r = np.array([2.8, 3.2, 3.5, 3.835, 3.9, 4.1])
    found = quiet(LOGISTIC, "r", r, 0.3)
    assert found.w.dims == ("direction", "r", "sample", "coord")
    assert dict(found.sizes) == {"direction": 2, "r": 6, "sample": 64, "coord": 1}
    np.testing.assert_array_equal(found.period, [[1, 2, 4, 3, 0, 0]] * 2)
    np.testing.assert_array_equal(found.reason, [[0, 0, 0, 0, 0, 3]] * 2)
    assert np.all(np.isnan(found.w.sel(r=4.1)))
    for value, period in zip(r[:4], [1, 2, 4, 3], strict=True):
        x = 0.3
        for _ in range(20_000):
            x = value * x * (1 - x)
        cycle = []
        for _ in range(period):
            x = value * x * (1 - x)
            cycle.append(x)
        for way in ("up", "down"):
            samples = found.w.sel(direction=way, r=value).values[:, 0]
            np.testing.assert_allclose(np.sort(samples[:period]), np.sort(cycle), atol=1e-7)
            np.testing.assert_allclose(samples[period:], samples[:-period], atol=1e-7)


def test_each_value_begins_where_the_one_before_it_ended():
    r = np.array([3.6, 3.7, 3.9])
    found = quiet(
        LOGISTIC, "r", r, [[0.3], [0.6]], transient=5, samples=3, directions=("down",), nudge=0
    )
    assert found.w.dims == ("direction", "r", "particle", "sample", "coord")
    for particle, x in enumerate((0.3, 0.6)):
        for value in r[::-1]:
            for _ in range(5):
                x = value * x * (1 - x)
            orbit = [x]
            for _ in range(3 + 64 - 1):  # the states sampled, and those that show a period
                x = value * x * (1 - x)
                orbit.append(x)
            seen = found.w.sel(r=value).isel(direction=0, particle=particle, coord=0)
            np.testing.assert_allclose(seen, orbit[:3], rtol=1e-9)


def test_hysteresis_between_two_folds():
    """The equilibria of mu + x - x^3 = 0 end in folds at mu = 2/(3 sqrt 3) and its negative."""
    mu = np.linspace(-0.6, 0.6, 241)
    found = quiet(FOLD, "mu", mu, -1.0, transient=3000)
    fold = 2 / (3 * np.sqrt(3))
    x = found.w.isel(sample=-1, coord=0)
    roots = [np.roots([-1.0, 0.0, 1.0, m]) for m in mu]
    low, high = (np.array([f(r[np.abs(r.imag) < 1e-9].real) for r in roots]) for f in (min, max))
    np.testing.assert_allclose(x.sel(direction="up"), np.where(mu < fold, low, high), atol=1e-6)
    np.testing.assert_allclose(x.sel(direction="down"), np.where(mu > -fold, high, low), atol=1e-6)
    assert np.all(found.period == 1)


@pytest.mark.parametrize("chosen", ["rho", "a"])
def test_the_cycle_of_normalised_sam(chosen):
    """Its amplitude is lr rho a/(2 - lr a), a being the largest eigenvalue of the Hessian."""
    lr, values = 0.1, np.linspace(1.0, 4.0, 7)
    system = sd.Map(BOWL, sd.SAM(lr=lr, rho=0.5))
    found = quiet(system, chosen, values, [0.3, 0.02], transient=2000)
    numbers = {"rho": 0.5, "a": 2.0, chosen: values}
    amplitude = lr * numbers["rho"] * numbers["a"] / (2 - lr * numbers["a"])
    np.testing.assert_allclose(np.abs(found.w[..., 0, 0]), [amplitude, amplitude], rtol=1e-8)
    np.testing.assert_allclose(found.w[..., 1, 0], -found.w[..., 0, 0], rtol=1e-8)
    assert np.all(np.abs(found.w.sel(coord="y")) < 1e-8)
    assert np.all(found.period == 2)


def test_velocities_are_carried_on():
    """Heavy ball at a minimum of curvature h doubles its period at lr h = 2 (1 + momentum)."""
    momentum, a = np.array([0.05, 0.2]), np.linspace(0.5, 2.0, 4)
    edge = 2 * (1 + momentum) / 2  # the curvature at the minima of x^4/4 - x^2/2 is 2
    system = sd.Map(WELL, sd.GD(lr=1.0, momentum=momentum))
    lr = np.array([0.5, 1.03, 1.07, 1.17, 1.23])
    found = quiet(system, "lr", lr, [0.9], transient=5000)
    assert found.w.dims == ("direction", "lr", "momentum", "sample", "coord")
    expected = np.where(lr[:, None] < edge, 1, 2)
    np.testing.assert_array_equal(found.period, [expected, expected])
    resting = found.w.sel(direction="up").isel(sample=0, coord=0).values[expected == 1]
    np.testing.assert_allclose(np.abs(resting), 1.0, atol=1e-8)
    # the minimum moves as 1/sqrt(a): by hand, with the velocity that the last value ended with
    system = system.replace(lr=0.3, momentum=0.9)
    short = quiet(system, "a", a, [0.9], transient=0, samples=2, nudge=0)
    short = short.sel(direction="up")
    x, v = 0.9, 0.0
    for value in a:
        for step in range(2 + 64 - 1):
            if step < 2:
                seen = float(short.w.sel(a=value).isel(sample=step, coord=0))
                assert seen == pytest.approx(x, rel=1e-9)
            v = 0.9 * v + (value * x**3 - x)
            x = x - 0.3 * v


def test_an_orbit_that_has_become_unstable_is_left():
    """The fixed point 1 - 1/r of the logistic map, once it is reached to the last digit."""
    r = np.array([2.0, 3.2])
    kept = quiet(FOLD, "mu", [-0.1, 0.0], 0.0, nudge=0, directions=("down",))
    assert np.all(kept.w.sel(mu=0.0) == 0.0)
    found = quiet(LOGISTIC, "r", r, 0.5, directions=("up",))
    assert found.w.sel(r=2.0).values.ravel()[0] == 0.5
    np.testing.assert_array_equal(found.period, [[1, 2]])


def test_after_divergence_a_particle_begins_again():
    """Gradient descent on a parabola leaves at lr a > 2, slowly: the limit ends it."""
    lr = np.array([0.5, 0.9, 1.1, 1.5])
    system = sd.Map(BOWL, sd.GD(lr=0.5))
    found = quiet(system, "lr", lr, [0.3, 0.2], transient=500)
    np.testing.assert_array_equal(found.reason, [[0, 0, 3, 3]] * 2)
    assert np.all(np.isnan(found.w.sel(lr=[1.1, 1.5])))
    np.testing.assert_allclose(found.w.sel(lr=[0.5, 0.9]), 0.0, atol=1e-8)
    np.testing.assert_array_equal(found.period.sel(direction="up"), [1, 1, 0, 0])


def test_grids_threads_and_other_sweeps():
    system = FOLD.replace(h=[0.1, 0.2])
    x0 = sd.grid(x=(-2, 2, 70))
    one, two = (quiet(system, "mu", [0.0, 0.1], x0, transient=500, threads=n) for n in (1, 2))
    assert one.w.dims == ("direction", "mu", "h", "x", "sample", "coord")
    xr.testing.assert_identical(one, two)
    ends = one.w.sel(mu=0.0, direction="up").isel(sample=0, coord=0)
    np.testing.assert_allclose(ends, [np.sign(one.x)] * 2, atol=1e-7)


def test_a_flow_is_followed_too():
    flow = sd.Flow(WELL, sd.GD(lr=0.1), dt=0.1)
    found = quiet(flow, "a", [0.25, 1.0, 4.0], 0.5, transient=500)
    np.testing.assert_allclose(found.w.isel(sample=0, coord=0), [[2.0, 1.0, 0.5]] * 2, atol=1e-8)


def test_refusals():
    refused = [
        (ValueError, r"name must be one of .* numbers \(r\), got 'q'", ("q", [1, 2], 0.3), {}),
        (ValueError, "values must be at least two values of r", ("r", [1], 0.3), {}),
        (ValueError, "values must be at least two values of r", ("r", 2.0, 0.3), {}),
        (ValueError, "values must increase", ("r", [2, 1], 0.3), {}),
        (ValueError, "values must be finite", ("r", [1, np.nan], 0.3), {}),
        (TypeError, "name must be that of one of the system's numbers", (3, [1, 2], 0.3), {}),
        (ValueError, "directions must be", ("r", [1, 2], 0.3), {"directions": "left"}),
        (ValueError, "directions must be", ("r", [1, 2], 0.3), {"directions": ()}),
        (ValueError, "transient must be a whole number", ("r", [1, 2], 0.3), {"transient": -1}),
        (ValueError, "samples must be a whole number", ("r", [1, 2], 0.3), {"samples": 0}),
        (ValueError, "nudge must be at least 0", ("r", [1, 2], 0.3), {"nudge": -1e-6}),
        (ValueError, "tolerance must be above 0", ("r", [1, 2], 0.3), {"tolerance": 0}),
        (ValueError, "limit must be above 0", ("r", [1, 2], 0.3), {"limit": -1}),
        (ValueError, "x0 must have shape", ("r", [1, 2], [[0.3, 0.1]]), {}),
    ]
    for error, message, arguments, options in refused:
        with pytest.raises(error, match=message):
            bifurcation(LOGISTIC, *arguments, **options)
    with pytest.raises(ValueError, match="rho must be at least 0"):
        bifurcation(sd.Map(BOWL, sd.SAM(lr=0.1, rho=0.1)), "rho", [-1.0, 1.0], [0.1, 0.1])
    with pytest.raises(TypeError, match="system must be a samdyn.Map"):
        bifurcation(BOWL, "a", [1.0, 2.0], [0.1, 0.1])
    with pytest.raises(MemoryError, match="take fewer samples"):
        bifurcation(LOGISTIC, "r", np.linspace(1, 2, 10**6), 0.3, samples=10**5)
    late = sd.Switch([(0, sd.GD(lr=0.1)), (5, sd.SAM(lr=0.1, rho=0.1))])
    with pytest.raises(TypeError, match="Switch"):
        bifurcation(sd.Map(BOWL, late), "a", [1.0, 2.0], [0.1, 0.1])
    with pytest.raises(ValueError, match="'sample' is the name of something in the result"):
        bifurcation(sd.FormulaMap({"x": "sample*x"}, sample=0.5), "sample", [0.1, 0.2], 0.1)
