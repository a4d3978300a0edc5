"""First-passage times in one dimension against mpmath, closed forms and a plain simulation."""

import mpmath
import numpy as np
import pytest

import samdyn as sd
from samdyn.analysis.escape.interval import Lost, passage
from samdyn.analysis.escape.passage import first_passage
from samdyn.systems.formula_sde import FormulaSDE

INF = np.inf


def constant(value):
    return lambda x: np.full(x.shape, float(value))


def double_well(s=0.7, **more):
    return FormulaSDE({"x": "x - x**3"}, {"x": "s"}, dt=0.01, s=s, **more)


def mp_double_well(diffusion, start):
    """The double integral for dx = (x - x^3) dt + sqrt(2 D) dW from start < 0 to 0."""
    d = mpmath.mpf(diffusion)

    def potential(x):
        return x**4 / 4 - x**2 / 2

    def inner(y):
        return mpmath.quad(lambda z: mpmath.exp(-potential(z) / d), [-6, -3, -1.5, -1, y])

    outer = mpmath.quad(lambda y: mpmath.exp(potential(y) / d) * inner(y), [start, start / 2, 0])
    return outer / d


def test_the_double_well_has_the_mean_of_mpmath():
    time = first_passage(double_well(), sd.Escape("x > 0"))
    assert float(time(-1.0)) == pytest.approx(float(mp_double_well("0.245", -1)), rel=1e-9)
    assert float(time(-1.0)) == pytest.approx(5.9050, abs=5e-5)
    assert float(time(0.2)) == 0.0


def test_deep_wells_overflow_nowhere():
    """Mean and standard deviation of an exponential law of mean 8e108, and of one of 1e160."""
    solved = passage(
        lambda x: x - x**3, constant(0.002), -INF, 0.0, (False, True), np.array([-1.0])
    )
    d = 0.001
    # Kramers: pi sqrt(2) exp(1/(4 D)) to the top's other side, half of it to the top; D-correction
    kramers = np.pi / np.sqrt(2) * np.exp(0.25 / d)
    mean, std = solved.mean(np.array([-1.0]))[0], solved.std(np.array([-1.0]))[0]
    assert mean / kramers == pytest.approx(1 + 1.5 * d, abs=2e-5)
    assert std / mean == pytest.approx(1.0, abs=1e-8)
    deeper = passage(
        lambda x: x - x**3, constant(0.00136), -INF, 0.0, (False, True), np.array([-1.0])
    )
    assert 1e158 < deeper.mean(np.array([-1.0]))[0] < 1e162
    assert deeper.std(np.array([-1.0]))[0] / deeper.mean(np.array([-1.0]))[0] == pytest.approx(1)


@pytest.mark.parametrize("a", [-1.0, 0.5])
def test_escape_from_the_middle_is_the_double_integral(a):
    """T = (1/D) int_0^R exp(a y^2/2D) int_0^y exp(-a z^2/2D) dz dy for dx = -a x dt + ..."""
    d, radius = mpmath.mpf("0.02"), 1
    inner = lambda y: mpmath.quad(lambda z: mpmath.exp(-a * z * z / (2 * d)), [0, y])  # noqa: E731
    exact = mpmath.quad(lambda y: mpmath.exp(a * y * y / (2 * d)) * inner(y), [0, 0.3, radius]) / d
    system = FormulaSDE({"x": "-a*x"}, {"x": "s"}, a=a, s=float(mpmath.sqrt(2 * d)))
    time = first_passage(system, sd.Escape(center=(0,), radius=1.0))
    assert float(time(0.0)) == pytest.approx(float(exact), rel=1e-9)


def test_brownian_motion_has_its_closed_forms():
    """Between -1 and 2: mean (x+1)(2-x), variance (p^4 - q^4 ...) by its fourth moment."""
    time = first_passage(FormulaSDE({"x": "0"}, {"x": "1"}), sd.Escape(box=[(-1, 2)]))
    x = np.linspace(-1, 2, 13)
    np.testing.assert_allclose(time(x), (x + 1) * (2 - x), atol=1e-13)
    # E T^2 solves u'' = -4 (x+1)(2-x) with u = 0 at both ends
    t = x + 1
    second = 9 * t - 2 * t**3 + t**4 / 3
    np.testing.assert_allclose(time.std(x[1:-1]), np.sqrt(second - time(x) ** 2)[1:-1], rtol=1e-10)


def test_a_wall_reflects():
    """Brownian motion from x to 1 with a wall at 0: (1 - x^2)."""
    system = FormulaSDE({"x": "0"}, {"x": "1"})
    time = first_passage(system, sd.Escape("x > 1"), box=[(0, INF)])
    x = np.array([0.0, 0.25, 1.0])
    np.testing.assert_allclose(time(x), 1 - x**2, atol=1e-13)


def test_noise_that_depends_on_the_state():
    """Geometric Brownian motion out of (1/2, 2): its logarithm has a drift and a closed form."""
    system = FormulaSDE({"x": "0.3*x"}, {"x": "0.5*x"})
    time = first_passage(system, sd.Escape(box=[(0.5, 2.0)]))
    mu, s, level = 0.3 - 0.125, 0.5, np.log(2)
    y = np.log([0.7, 1.0, 1.6])
    right = -np.expm1(-2 * mu * (y + level) / s**2) / -np.expm1(-4 * mu * level / s**2)
    np.testing.assert_allclose(time(np.exp(y)), (right * 2 * level - level - y) / mu, rtol=1e-11)


def test_a_kink_in_the_drift_is_no_matter():
    """For dx = -sign(x) dt + dW from 0 to 1: (exp(2) - 1)/2 - 1 with a wall at 0."""
    system = FormulaSDE({"x": "-sign(x)"}, {"x": "1"})
    wall = first_passage(system, sd.Escape("x > 1"), box=[(0, INF)])
    one = (np.exp(2) - 1) / 2 - 1
    assert float(wall(0.0)) == pytest.approx(one, rel=1e-10)
    free = first_passage(system, sd.Escape("x > 1"))
    # below 0 the mean excursion is the same again: the speed measure is symmetric
    assert float(free(0.0)) == pytest.approx(one + (np.exp(2) - 1) / 2, rel=1e-10)


def test_two_parts_of_a_region_are_told_apart():
    time = first_passage(double_well(), sd.Escape("x**2 < 0.01"))
    assert float(time(1.0)) == pytest.approx(float(time(-1.0)), rel=1e-10)
    assert float(time(0.05)) == 0.0
    one = first_passage(double_well(), sd.Escape("x > -0.1"))
    assert float(one(-1.0)) == pytest.approx(float(time(-1.0)), rel=1e-9)


def test_a_plain_simulation_agrees():
    """Euler-Maruyama in NumPy with its own random numbers, step 2e-3, bridge-corrected."""
    rng, n, dt, s = np.random.default_rng(5), 2000, 2e-3, 0.7
    x, time, alive = np.full(n, -1.0), np.zeros(n), np.ones(n, bool)
    for _ in range(40_000):
        here = x[alive]
        moved = here + dt * (here - here**3) + s * np.sqrt(dt) * rng.standard_normal(len(here))
        with np.errstate(over="ignore"):
            met = (moved > 0) | (rng.random(len(here)) < np.exp(-2 * here * moved / (s**2 * dt)))
        time[alive] += dt * np.where(met, 0.5, 1.0)
        x[alive] = moved
        alive[np.flatnonzero(alive)[met]] = False
        if not alive.any():
            break
    exact = first_passage(double_well(), sd.Escape("x > 0"))
    assert abs(time.mean() - float(exact(-1.0))) < 4 * time.std() / np.sqrt(n)
    assert time.std() == pytest.approx(float(exact.std(-1.0)), rel=0.12)


def test_what_has_no_mean_is_refused():
    with pytest.raises(Lost, match="hold the particle back"):
        first_passage(FormulaSDE({"x": "0"}, {"x": "1"}), sd.Escape("x > 1"))(0.0)
    with pytest.raises(Lost, match="-inf"):
        first_passage(FormulaSDE({"x": "x**3"}, {"x": "1"}), sd.Escape("x > 1"))(0.0)
    with pytest.raises(Lost, match="never leaves"):
        first_passage(double_well(), sd.Escape("x > 5"), box=[(-1, 1)])(0.0)
    still = FormulaSDE({"x": "1"}, {"x": "abs(x - 0.1) - (x - 0.1)"})
    with pytest.raises(ValueError, match="noise must be above 0"):
        first_passage(still, sd.Escape("x > 1"), box=[(0, 2)])(0.05)


def test_bad_input_is_refused():
    with pytest.raises(TypeError, match="SDE"):
        first_passage(sd.Map(sd.Loss("x**2"), sd.GD(lr=0.1)), sd.Escape("x > 1"))
    with pytest.raises(TypeError, match="Escape"):
        first_passage(double_well(), "x > 1")
    with pytest.raises(ValueError, match=r"one value of s.*replace\(s="):
        first_passage(double_well(s=[0.1, 0.2]), sd.Escape("x > 1"))
    with pytest.raises(ValueError, match="one or two coordinates"):
        first_passage(FormulaSDE(dict.fromkeys("xyz", "0"), {"x": "1"}), sd.Escape("x > 1"))
    with pytest.raises(ValueError, match="names y"):
        first_passage(double_well(), sd.Escape("y > 1"))
    with pytest.raises(ValueError, match="finite"):
        first_passage(double_well(), sd.Escape("x > 0"))(np.nan)
    with pytest.raises(ValueError, match="box"):
        first_passage(double_well(), sd.Escape("x > 0"), box=[(-2, 1)])(-3.0)
