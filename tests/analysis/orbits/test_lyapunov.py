import numpy as np
import pytest
import xarray as xr

import samdyn as sd
from samdyn.analysis.orbits.lyapunov import lyapunov
from samdyn.systems.tangent import Tangent

LOGISTIC = sd.FormulaMap({"x": "r*x*(1 - x)"}, r=4.0)
QUARTIC = sd.Loss(
    "a*x**2/2 - b*y**2/2 + c*y**4/4 + e*x*y", variables="x y", a=1.0, b=1.0, c=1.0, e=0.0
)
TILTED = QUARTIC.replace(a=2.0, b=1.2, c=0.0, e=0.8)
TILTED_HESSIAN = np.array([[2.0, 0.8], [0.8, -1.2]])
BOWL = sd.Loss("a*x**2/2 + b*y**2/2", variables="x y", a=2.0, b=0.5)


def quiet(*args, **options):
    return lyapunov(*args, progress=False, **options)


def test_logistic_map():
    """At r = 4 ln 2; on the 2-cycle the multiplier is 4 + 2r - r^2; beyond r = 4 it diverges."""
    found = quiet(LOGISTIC.replace(r=[3.2, 4.0, 4.2]), [0.3, 0.4], 300_000, after=1000)
    assert found.exponents.dims == ("r", "particle", "exponent")
    exponents, errors = found.exponents.values[..., 0], found.standard_error.values[..., 0]
    np.testing.assert_allclose(exponents[0], np.log(4 + 6.4 - 3.2**2) / 2, rtol=1e-10)
    assert np.all(np.abs(exponents[1] - np.log(2)) < np.minimum(4 * errors[1], 1e-3))
    assert np.all(errors[1] < 2e-4)
    assert np.all(np.isnan(exponents[2]))
    assert np.all(np.isnan(errors[2]))
    np.testing.assert_array_equal(found.reason, [[0, 0], [0, 0], [3, 3]])


def test_superstable_orbits_and_starts_on_a_fold():
    """Through x = 1/2, where the derivative vanishes; at r = 4 the orbit goes on to x = 0."""
    on = quiet(LOGISTIC.replace(r=[2.0, 4.0]), 0.5, 100)
    assert np.all(on.exponents == -np.inf)
    assert np.all(np.isnan(on.standard_error))
    later = quiet(LOGISTIC, 0.5, 100, after=5)
    assert later.exponents.item() == pytest.approx(np.log(4), rel=1e-12)
    assert later.final.item() == 0.0


def test_henon_map():
    """The largest exponent is 0.41922 (Sprott, Chaos and Time-Series Analysis, 2003)."""
    henon = sd.FormulaMap({"x": "1 - a*x**2 + y", "y": "b*x"}, a=1.4, b=0.3)
    found = quiet(henon, [0.1, 0.1], 4_000_000, after=1000)
    first, error = found.exponents.values[0], found.standard_error.values[0]
    assert abs(first - 0.41922) < min(4 * error, 1e-3)
    assert float(found.exponents.sum()) == pytest.approx(np.log(0.3), abs=1e-10)
    alone = quiet(henon, [0.1, 0.1], 100_000, after=1000, k=1)
    assert alone.exponents.shape == (1,)
    assert alone.exponents.item() == pytest.approx(0.41922, abs=5e-3)


def multipliers(matrix):
    return np.sort(np.log(np.abs(np.linalg.eigvals(matrix))))[::-1]


def test_at_a_saddle_they_are_the_logarithms_of_the_multipliers():
    usam = sd.USAM(lr=0.1, rho=[0.0, 0.3])
    found = quiet(sd.Map(TILTED, usam), [0.0, 0.0], 1000, after=2000)
    expected = [
        multipliers(np.eye(2) - 0.1 * TILTED_HESSIAN @ (np.eye(2) + rho * TILTED_HESSIAN))
        for rho in (0.0, 0.3)
    ]
    np.testing.assert_allclose(found.exponents, expected, atol=1e-10)
    assert np.all(found.final == 0.0)
    assert np.all(found.standard_error < 1e-10)


@pytest.mark.slow
def test_with_momentum_and_a_direction_without_memory():
    """At momentum 0 the velocity is forgotten at once."""
    system = sd.Map(TILTED, sd.GD(lr=0.05, momentum=[0.0, 0.3]))
    found = quiet(system, [0.0, 0.0], 1000, after=2000)
    stay, one = np.eye(2) - 0.05 * TILTED_HESSIAN, np.eye(2)
    whole = np.block([[stay, -0.05 * 0.3 * one], [TILTED_HESSIAN, 0.3 * one]])
    np.testing.assert_allclose(found.exponents[1], multipliers(whole), atol=1e-10)
    np.testing.assert_allclose(found.exponents[0, :2], multipliers(stay), atol=1e-10)
    assert np.all(found.exponents[0, 2:] == -np.inf)


def test_at_the_quartic_saddle_over_rho():
    """Its multipliers are 1 - lr h (1 + rho h) for h = 1 and -1; it attracts for rho > 1."""
    rho = np.array([0.0, 0.5, 1.5])
    found = quiet(sd.Map(QUARTIC, sd.USAM(lr=0.1, rho=rho)), [0.0, 0.0], 2000, after=2000)
    assert found.exponents.dims == ("rho", "exponent")
    expected = np.log(np.abs([1 - 0.1 * (1 + rho), 1 + 0.1 * (1 - rho)]))
    np.testing.assert_allclose(found.exponents, np.sort(expected.T)[:, ::-1], atol=1e-10)


@pytest.mark.parametrize("b", [0.5, -2.0])
def test_cycles_of_normalised_sam(b):
    """Their multipliers are -(1 - lr a) along the cycle and 1 - lr b - (2 - lr a)(b/a)^2 across.

    The amplitude is lr rho a/(2 - lr a) (Bartlett, Long and Bousquet, arXiv 2210.01513); at b = -2
    the cycle stands around a saddle, which so traps normalised SAM.
    """
    lr, a = 0.01, 2.0
    sam = sd.SAM(lr=lr, rho=np.array([0.2, 0.5]))
    found = quiet(sd.Map(BOWL.replace(b=b), sam), [0.1, 0.01], 2000, after=20_000)
    across = 1 - lr * b - (2 - lr * a) * (b / a) ** 2
    expected = np.sort(np.log(np.abs([1 - lr * a, across])))[::-1]
    np.testing.assert_allclose(found.exponents, [expected, expected], atol=1e-9)
    radius = lr * sam.rho * a / (2 - lr * a)
    np.testing.assert_allclose(np.abs(found.final.sel(coord="x")), radius, rtol=1e-10)


def test_normalised_sam_is_chaotic_where_a_ridge_traps_it():
    """x+ = (1 + lr h)x - lr h rho sign(x): bounded, and of slope 1 + lr h everywhere."""
    lr, h, rho = 0.01, 2.0, 0.5
    system = sd.Map(BOWL.replace(a=-h, b=0.0), sd.SAM(lr=lr, rho=rho))
    found = quiet(system, [[0.1, 0.0], [-0.3, 0.0]], 100_000, after=1000)
    np.testing.assert_allclose(found.exponents, [[np.log1p(lr * h), 0.0]] * 2, atol=1e-11)
    assert np.all(np.abs(found.final.sel(coord="x")) <= lr * h * rho)
    assert np.all(found.reason == 0)


def test_normalised_sam_has_none_on_a_critical_point():
    system = sd.Map(BOWL, sd.SAM(lr=0.05, rho=0.1))
    found = quiet(system, [[0.0, 0.0], [0.3, 0.2]], 100)
    np.testing.assert_array_equal(np.isnan(found.exponents), [[True, True], [False, False]])


@pytest.mark.slow
def test_flows_are_per_unit_of_time():
    """At a fixed point: the real parts of the eigenvalues, and what rk4 makes of them exactly."""
    dt = np.array([0.05, 0.1])
    flow = sd.Flow(QUARTIC, sd.USAM(lr=0.1, rho=0.3), dt=dt)
    found = quiet(flow, [0.0, 0.0], 500, after=500)
    rates = np.array([0.7, -1.3])
    np.testing.assert_allclose(found.exponents, [rates, rates], atol=1e-5)
    z = rates * dt[:, None]
    exact = np.log(1 + z + z**2 / 2 + z**3 / 6 + z**4 / 24) / dt[:, None]
    np.testing.assert_allclose(found.exponents, exact, atol=1e-11)
    assert found.exponents.attrs["units"] == "1/time"
    along = sd.Flow(QUARTIC, sd.USAM(lr=0.1, rho=0.3), dt=xr.DataArray(dt, dims="case"))
    again = quiet(along, sd.grid(x=(-1, 1, 3), y=0.0), 500, after=500)
    assert again.exponents.dims == ("case", "x", "exponent")
    np.testing.assert_allclose(again.exponents.isel(x=1), exact, atol=1e-11)


def test_against_numpy_s_qr():
    """Heavy ball on the quartic saddle, 200 steps of a plain loop with the Jacobian by hand."""
    lr, beta, k = 0.3, 0.8, 4
    system = sd.Map(QUARTIC, sd.GD(lr=lr, momentum=beta))
    found = quiet(system, [0.5, 0.2, 0.1, -0.2], 200, k=k, seed=3)
    w, v = np.array([0.5, 0.2]), np.array([0.1, -0.2])
    q, logs = Tangent(system, k).frame(3).T, np.zeros(k)
    for _ in range(200):
        hessian = np.diag([1.0, 3 * w[1] ** 2 - 1])
        jacobian = np.block(
            [[np.eye(2) - lr * hessian, -lr * beta * np.eye(2)], [hessian, beta * np.eye(2)]]
        )
        v = beta * v + np.array([w[0], w[1] ** 3 - w[1]])
        w = w - lr * v
        q, r = np.linalg.qr(jacobian @ q)
        logs += np.log(np.abs(np.diag(r)))
    np.testing.assert_allclose(found.exponents, np.sort(logs / 200)[::-1], atol=1e-10)
    np.testing.assert_allclose(found.final, [*w, *v], atol=1e-10)
    assert list(found.coord.values) == ["x", "y", "velocity_x", "velocity_y"]


def test_threads_do_not_matter_and_a_run_can_be_continued():
    system = LOGISTIC.replace(r=np.linspace(3.5, 4.0, 200))
    one, two = (quiet(system, 0.3, 2000, after=100, threads=n) for n in (1, 2))
    xr.testing.assert_identical(one, two)
    assert np.sum(one.exponents > 0) > 100
    further = quiet(LOGISTIC.replace(r=3.9), one.final.values[160], 10)
    assert np.all(np.isnan(further.standard_error))


def test_rows_of_tangents_clash_with_nothing():
    inner = sd.FormulaMap({"growth1": "g*growth1", "x": "growth1 + tangent1_x"}, tangent1_x=1, g=2)
    rows = Tangent(inner).rows
    assert len(rows) == len(set(rows)) == 8
    assert not set(rows) & set(inner.numbers)


def test_refusals():
    with pytest.raises(ValueError, match="k must be at most 1, one for each of x; got 2"):
        lyapunov(LOGISTIC, 0.3, 10, k=2)
    with pytest.raises(ValueError, match="steps must be a whole number >= 1, got 0"):
        lyapunov(LOGISTIC, 0.3, 0)
    with pytest.raises(ValueError, match="after must be a whole number >= 0, got -1"):
        lyapunov(LOGISTIC, 0.3, 10, after=-1)
    with pytest.raises(TypeError, match="system must be a samdyn.Map"):
        lyapunov(QUARTIC, [0.0, 0.0], 10)
    late = sd.Switch([(0, sd.GD(lr=0.1)), (5, sd.SAM(lr=0.1, rho=0.1))])
    with pytest.raises(TypeError, match="Switch"):
        lyapunov(sd.Map(QUARTIC, late), [0.0, 0.0], 10)
    with pytest.raises(ValueError, match="'exponent' is the name of something in the result"):
        lyapunov(sd.FormulaMap({"x": "exponent*x"}, exponent=0.5), 0.3, 10)
    with pytest.raises(ValueError, match="seed must be a whole number"):
        lyapunov(LOGISTIC, 0.3, 10, seed=-1)
