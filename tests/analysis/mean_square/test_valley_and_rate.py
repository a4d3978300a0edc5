"""Zhou et al.'s Proposition 4.1 and Theorem 4.3: hypotheses, constants and plain runs."""

import numpy as np
import pytest
import xarray as xr
from regressions import regression

import samdyn as sd
from samdyn.analysis.mean_square.convergence import convergence_bound
from samdyn.analysis.mean_square.staying import stays_in_valley
from samdyn.analysis.mean_square.valley import valley

RNG = np.random.default_rng(4)
K = 2 * np.pi / (2 * 0.7 / 400)
VALLEYS = {
    "log_cosh": np.tanh,
    "arctan_valley": np.arctan,
    "pseudo_huber": lambda z: z / np.sqrt(1 + z**2),
    "tanh_squared": lambda z: np.tanh(z) / np.cosh(z) ** 2,
}


@pytest.mark.parametrize("name", VALLEYS)
def test_the_library_s_valleys_are_sub_quadratic_with_these_constants(name):
    slope, widths = VALLEYS[name], np.array([0.05, 0.4, 1.0, 2.5])
    found = valley(getattr(sd.losses, name)(), widths)
    assert found.b.dims == ("b",)
    assert found.sub_quadratic.all()
    np.testing.assert_allclose(found.curvature, 1.0)
    for b, largest, ratio in zip(widths, found.largest_lr, found.slope_ratio, strict=True):
        z = np.linspace(1e-6, b, 200_001)
        assert float(largest) == pytest.approx(b / np.max(slope(2 * z)), rel=1e-8)
        assert float(ratio) == pytest.approx(np.min(slope(2 * z) / slope(z)), rel=1e-8)


@pytest.mark.parametrize(
    ("formula", "holds"),
    [
        ("x**2/2 + 0.01*x**4", False),  # steeper than a parabola
        ("x**2/2 + 0.05*x**3", False),  # on one side
        ("x**2/2 - 0.05*x**3", False),  # on the other
        ("x**2/2", True),
        ("-cos(x)", True),
        ("x**2/2 + max(x - 0.3, 0)/10", False),  # the slope jumps
        # ripples that L'/z itself does not show at the 400 values, but its derivative does
        (f"x**2 - x**4/16 + (sin({K}*x)/{K}**2 - x*cos({K}*x)/{K})/200", False),
    ],
)
def test_the_hypothesis_is_checked(formula, holds):
    found = valley(sd.Loss(formula), 0.7)
    assert bool(found.sub_quadratic) is holds
    assert bool(found.admits(0.01, 0.001)) is holds


def test_what_is_admitted_ends_where_it_says():
    found = valley(sd.losses.log_cosh(), 1.0)
    lr = float(found.largest_lr)
    assert lr == pytest.approx(1 / np.tanh(2), rel=1e-12)
    rho = float(found.largest_rho(0.5))  # lr tanh(2)/tanh(1), and at most 1
    assert rho == pytest.approx(0.5 * np.tanh(2) / np.tanh(1), rel=1e-12)
    said = found.admits(np.array([0.999, 1.001]) * lr, 0.1).values.tolist()
    assert said == [True, False]
    assert found.admits(0.5, np.array([0.999, 1.001]) * rho).values.tolist() == [True, False]


def test_a_valley_ends_where_the_slope_turns():
    assert bool(valley(sd.Loss("-cos(x)"), 1.5).sub_quadratic)
    assert not bool(valley(sd.Loss("-cos(x)"), 1.6).sub_quadratic)  # 2 b is beyond pi


def test_the_minimum_may_be_anywhere_and_constants_may_be_arrays():
    loss = sd.Loss("a*log(cosh(x - 3))", "x", a=np.array([1.0, 4.0]))
    found = valley(loss, 1.0, minimum=3.0)
    np.testing.assert_allclose(found.curvature, [1.0, 4.0])
    np.testing.assert_allclose(found.largest_lr, 1 / np.tanh(2) / np.array([1.0, 4.0]))
    np.testing.assert_allclose(found.largest_rho(0.1), 0.1 * np.tanh(2) / np.tanh(1))
    np.testing.assert_allclose(found.largest_rho(1e3), [1.0, 0.25])
    with pytest.raises(ValueError, match="minimum must be"):
        valley(loss, 1.0)
    with pytest.raises(ValueError, match="one variable"):
        valley(sd.Loss("x**2 + y**2"), 1.0)
    with pytest.raises(ValueError, match="b must be above 0"):
        valley(loss, -1.0, 3.0)


@pytest.mark.parametrize("b", [1.0, 1e-2, 1e-4])
@pytest.mark.parametrize(
    ("formula", "minimum"),
    [("log(cosh(x - 3))", 3.0), ("-cos(x)", 2 * np.pi), ("x**2/2 - 3*x", 3.0)],
)
def test_narrow_valleys_far_from_0_are_seen_through_rounding(formula, minimum, b):
    for off in (0.0, 1e-10):  # nor need the minimum be known to the last digit
        found = valley(sd.Loss(formula), b, minimum + off)
        assert bool(found.sub_quadratic)
        assert 2 * (1 - b**2) - 1e-6 <= float(found.slope_ratio) <= 2.0
    assert not bool(
        valley(sd.Loss(f"{formula} + 5*(x - {minimum!r})**3"), b, minimum).sub_quadratic
    )
    with pytest.raises(ValueError, match="b must be at least 1e-06 of"):
        valley(sd.Loss(formula), 1e-7, minimum)


def test_runs_stay_where_the_proposition_applies_and_as_a_plain_loop_says():
    loss, count = sd.losses.tanh_squared(), 500
    b = xr.DataArray(10.0 ** RNG.uniform(-1.0, 0.3, count), dims="particle")
    bounds = valley(loss, b)
    lr = bounds.largest_lr * RNG.uniform(0.1, 1.8, count)
    rho = bounds.largest_rho(lr) * RNG.uniform(0.0, 1.8, count)
    start = (b * RNG.uniform(-1.2, 1.2, count)).values[:, None]
    seen = stays_in_valley(sd.Map(loss, sd.USAM(lr=lr, rho=rho)), b, start, 200, progress=False)
    assert 50 < int(seen.applies.sum()) < 400
    assert bool(seen.stays.where(seen.applies, True).all())
    slope, z, furthest = VALLEYS["tanh_squared"], start[:, 0], np.abs(start[:, 0])
    for _ in range(200):
        z = z - lr.values * slope(z + rho.values * slope(z))
        furthest = np.maximum(furthest, np.abs(z))
    tame = (lr * (1 + rho)).values < 2.0  # beyond, runs are chaotic and feel rounding
    assert tame.sum() > 100
    measured = (seen.furthest * 2 * b).values
    np.testing.assert_allclose(measured[tame], furthest[tame], rtol=1e-12)
    np.testing.assert_allclose(measured, furthest, rtol=0.05)
    inside = np.abs(start[:, 0]) < b.values
    expected = inside & bounds.admits(lr, rho).values
    np.testing.assert_array_equal(seen.applies, expected)


@pytest.mark.slow
def test_normalised_sam_is_not_covered():
    system = sd.Map(sd.losses.log_cosh(), sd.SAM(lr=0.5, rho=0.1))
    seen = stays_in_valley(system, 1.0, 0.5, 20, progress=False)
    assert not bool(seen.applies)
    assert bool(seen.stays)


def test_the_constants_of_the_rate_are_suprema():
    inputs = RNG.standard_normal((6, 3))
    found = convergence_bound(regression(inputs), np.zeros(3))
    axes = np.linalg.eigh(inputs.T @ inputs)[1].T
    many = np.concatenate([axes, RNG.standard_normal((20_000, 3))])
    residuals = many @ inputs.T
    value = 0.5 * np.mean(residuals**2, axis=1)
    gradients = residuals[:, :, None] * inputs
    mean = gradients.mean(axis=1)
    spread = np.mean(np.sum((gradients - mean[:, None]) ** 2, axis=2), axis=1) / value
    assert 0.98 * found.noise < spread.max() <= found.noise * (1 + 1e-12)
    steep = np.sum(mean**2, axis=1) / (2 * value)
    assert found.pl * (1 - 1e-12) <= steep.min() < found.pl * (1 + 1e-9)
    assert found.smoothness * (1 - 1e-9) < steep.max() <= found.smoothness * (1 + 1e-12)


def test_the_theorem_admits_what_it_says():
    inputs = RNG.standard_normal((6, 3))
    found = convergence_bound(regression(inputs), np.zeros(3))
    steep, mu, noise = found.smoothness, found.pl, found.noise
    for size in (1, 7, 10**9):
        lr = min(1 / steep, mu * size / (2 * steep * noise))
        assert float(found.largest_lr(size)) == pytest.approx(lr, rel=1e-14)
        for lr in (1e-3, 1e3, 1e6):
            limits = 1 / steep, mu * size / (4 * steep * noise), lr * mu**2 / (24 * steep**2)
            assert float(found.largest_rho(lr, size)) == pytest.approx(min(limits), rel=1e-14)
    assert float(found.rate(0.1)) == pytest.approx(1 - 0.05 * mu, rel=1e-14)
    with pytest.raises(ValueError, match="rho must be at least 0"):
        found.admits(0.1, -0.1, 1)


@pytest.mark.parametrize("fresh", [False, True])
@pytest.mark.parametrize(("n", "d", "size"), [(6, 3, 1), (5, 2, 2), (3, 4, 1)])
def test_the_mean_loss_falls_no_slower_than_the_rate(fresh, n, d, size):
    inputs = RNG.standard_normal((n, d))
    loss, rest = regression(inputs), np.zeros(d)
    found = convergence_bound(loss, rest)
    lr = float(found.largest_lr(size))
    rho = float(found.largest_rho(lr, size))
    assert bool(found.admits(lr, rho, size))
    assert not bool(found.admits(1.01 * lr, rho, size))
    start = RNG.standard_normal(d)
    system = sd.Map(loss, sd.USAM(lr=lr, rho=rho), size, fresh_noise=fresh)
    seen = sd.moments(system, rest, 300, start)
    mean = seen["mean"].values
    second = seen["covariance"].values + mean[:, :, None] * mean[:, None, :]
    expected = 0.5 * np.einsum("tij,ij->t", second, loss.hessian(rest))
    assert np.all(expected <= expected[0] * found.rate(lr) ** np.arange(301) * (1 + 1e-12))
