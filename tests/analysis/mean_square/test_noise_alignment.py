"""The structure of minibatch noise, gamma and the bounds, against loops and brute force."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from regressions import regression
from scipy.optimize import minimize

import samdyn as sd
from samdyn.analysis.mean_square import bounds
from samdyn.analysis.mean_square.linear_stability import linear_stability
from samdyn.analysis.mean_square.noise import gradient_noise, noise_alignment

RNG = np.random.default_rng(11)
INPUTS = RNG.standard_normal((5, 3))
BEST = np.array([1.0, -0.5, 2.0])
LOSS = regression(INPUTS, BEST)


def ratio(inputs, away):
    """Tr(Sigma H)/(2 L |H|_F^2) of a regression, straight from the definition."""
    n = len(inputs)
    hessian = sum(np.outer(a, a) for a in inputs) / n
    gradients = [a * (a @ away) for a in inputs]
    mean = sum(gradients) / n
    noise = sum(np.outer(g - mean, g - mean) for g in gradients) / n
    loss = sum((a @ away) ** 2 for a in inputs) / (2 * n)
    return np.trace(noise @ hessian) / (2 * loss * np.sum(hessian**2))


def test_gamma_is_the_smallest_ratio_of_all_directions():
    found = noise_alignment(LOSS, BEST)
    starts = RNG.standard_normal((12, 3))
    tried = [
        minimize(lambda v: ratio(INPUTS, v), v, method="Nelder-Mead", tol=1e-13).fun for v in starts
    ]
    assert min(tried) == pytest.approx(found.gamma, rel=1e-8)
    assert ratio(INPUTS, found.direction) == pytest.approx(found.gamma, rel=1e-10)
    assert np.linalg.norm(found.direction) == pytest.approx(1.0)
    many = [ratio(INPUTS, v) for v in RNG.standard_normal((2000, 3))]
    assert max(many) <= found.largest * (1 + 1e-12)
    assert max(many) > 0.9 * found.largest
    assert found.frobenius == pytest.approx(np.linalg.norm(INPUTS.T @ INPUTS / 5))


@given(st.integers(0, 10_000), st.integers(2, 6), st.integers(1, 4))
@settings(max_examples=25, deadline=None)
def test_no_deviation_has_a_smaller_ratio_than_gamma(seed, n, d):
    rng = np.random.default_rng(seed)
    inputs = rng.standard_normal((n, d))
    found = noise_alignment(regression(inputs), np.zeros(d))
    many = np.array([ratio(inputs, v) for v in rng.standard_normal((50, d))])
    assert np.all(many >= found.gamma * (1 - 1e-9) - 1e-12)
    assert np.all(many <= found.largest * (1 + 1e-9) + 1e-12)


def test_flat_directions_do_not_count():
    inputs = RNG.standard_normal((2, 4))  # a plane of minimisers
    found = noise_alignment(regression(inputs), np.zeros(4))
    best = min(
        minimize(lambda v: ratio(inputs, inputs.T @ v), v, method="Nelder-Mead", tol=1e-13).fun
        for v in RNG.standard_normal((10, 2))
    )
    assert found.gamma == pytest.approx(best, rel=1e-7)


def test_gradient_noise_is_that_of_a_plain_loop_on_a_nonlinear_loss():
    x, y = np.array([0.5, 1.0, -0.7]), np.array([0.3, -0.2, 0.1])
    loss = sd.Loss("(tanh(u*x)*v - y)**2/2", "u v", data={"x": x, "y": y})
    points = RNG.standard_normal((4, 2, 2))
    seen = gradient_noise(loss, points)
    for i, j in np.ndindex(4, 2):
        u, v = points[i, j]
        residual = np.tanh(u * x) * v - y
        slopes = np.stack([v * x / np.cosh(u * x) ** 2, np.tanh(u * x)], axis=1)
        gradients = residual[:, None] * slopes
        noise = np.cov(gradients.T, bias=True)
        newton = slopes.T @ slopes / 3
        here = seen.isel(point0=i, point1=j)
        np.testing.assert_allclose(here.covariance, noise, rtol=1e-11)
        np.testing.assert_allclose(here.gauss_newton, newton, rtol=1e-9)
        aligned = np.trace(noise @ newton) / (np.sum(newton**2) * np.mean(residual**2))
        assert float(here.alignment) == pytest.approx(aligned, rel=1e-9)
        assert float(here.cosine * here["size"]) == pytest.approx(aligned, rel=1e-9)


@pytest.mark.parametrize("scale", [1e-22, 1e12])
def test_the_unit_of_the_loss_does_not_matter(scale):
    data = {"a": [1.0, 3.0], "b": [0.0, 0.5]}
    one, other = (
        gradient_noise(sd.Loss("s*(sin(a*x) - b)**2/2", "x", s=s, data=data), [[1.0], [0.0]])
        for s in (1.0, scale)
    )
    for name, power in (("gauss_newton", 1), ("alignment", 0), ("size", 0), ("covariance", 2)):
        np.testing.assert_allclose(other[name], one[name] * scale**power, rtol=1e-12)


def test_the_ratio_about_a_nonlinear_minimiser_tends_to_the_linearised_one():
    loss = sd.Loss(
        "(sin(u*a) + v*b - c)**2/2",
        "u v",
        data={
            "a": [1.0, 0.4, -0.8],
            "b": [0.2, 1.0, 0.9],
            "c": np.sin([0.6, 0.24, -0.48]) + 0.5 * np.array([0.2, 1.0, 0.9]),
        },
    )
    best = np.array([0.6, 0.5])
    found = noise_alignment(loss, best)
    gaps = [
        float(gradient_noise(loss, best + h * found.direction).alignment) - found.gamma
        for h in (1e-2, 1e-3)
    ]
    assert abs(gaps[1]) < 0.2 * abs(gaps[0])
    assert abs(gaps[1]) < 1e-3


def test_bounds_are_inverses_of_each_other():
    frobenius = bounds.largest_frobenius(0.3, [0.0, 0.5, 2.0], 0.4, 2)
    np.testing.assert_allclose(bounds.largest_lr(frobenius, [0.0, 0.5, 2.0], 0.4, 2), 0.3)
    np.testing.assert_allclose(bounds.largest_rho(0.3, frobenius, 0.4, 2), [0.0, 0.5, 2.0], 0, 1e-7)
    np.testing.assert_allclose(
        bounds.escape_factor(0.3, [0.0, 0.5, 2.0], frobenius, 0.4, 2), 1.0, rtol=1e-12
    )
    square = frobenius**2  # the theorem as it stands
    left = square * (1 + np.array([0.0, 0.5, 2.0]) ** 2 * 0.4 / 2 * square)
    np.testing.assert_allclose(left, 2 / (0.3**2 * 0.4), rtol=1e-12)
    assert bounds.largest_lr(2.0, 0.1, 0.0, 1) == np.inf
    assert bounds.largest_frobenius(0.1, 0.1, 0.0, 1) == np.inf


def test_the_mean_loss_grows_no_slower_than_the_theorem_says():
    rho = 0.2
    at = sd.Map(LOSS, sd.USAM(lr=0.1, rho=rho), batch_size=1, fresh_noise=True)
    system = at.replace(lr=1.1 * linear_stability(at, BEST).largest_lr)
    says = linear_stability(system, BEST)
    assert says.excluded
    assert says.growth_factor == pytest.approx(1.21)
    start = BEST + says.noise.direction
    lr, hessian = system.algorithm.lr, says.noise.hessian
    before, after = LOSS.value(start), 0.0
    for first in INPUTS:
        for second in INPUTS:
            half = start + rho * first * (first @ (start - BEST))
            end = start - lr * second * (second @ (half - BEST))
            after += 0.5 * (end - BEST) @ hessian @ (end - BEST) / 25
    assert after >= says.growth_factor * before


def test_batches_without_repetition_have_less_noise():
    system = sd.Map(LOSS, sd.GD(lr=0.1), batch_size=2, sampling="subset")
    assert linear_stability(system, BEST).batch_size == pytest.approx(2 * 4 / 3)
    for whole in (sd.Map(LOSS, sd.GD(lr=9.0)), system.replace(batch_size=5)):
        says = linear_stability(whole, BEST)
        assert (says.largest_lr, says.largest_rho, says.excluded) == (np.inf, np.inf, False)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: noise_alignment(sd.Loss("x**2"), 0.0), TypeError, "finite sum"),
        (lambda: noise_alignment(LOSS, [0.0, 0.0, 0.0]), ValueError, "gradient of every sample"),
        (lambda: noise_alignment(LOSS, [0.0, 0.0]), ValueError, "one entry for each of"),
        (lambda: bounds.largest_lr(-1.0, 0.0, 0.1, 1), ValueError, "frobenius must be"),
        (lambda: bounds.largest_lr(1.0, -1.0, 0.1, 1), ValueError, "rho must be at least 0"),
        (lambda: bounds.largest_frobenius(0.1, -1.0, 0.1, 1), ValueError, "rho must be at least"),
        (lambda: bounds.largest_rho(0.1, -1.0, 0.1, 1), ValueError, "frobenius must be at least"),
        (lambda: bounds.escape_factor(-0.1, 1.0, 1.0, 0.1, 1), ValueError, "lr must be at least"),
        (
            lambda: linear_stability(sd.Map(LOSS, sd.SAM(lr=0.1, rho=0.1), batch_size=1), BEST),
            TypeError,
            "USAM",
        ),
        (
            lambda: linear_stability(sd.Map(LOSS, sd.GD(lr=0.1, momentum=0.9), batch_size=1), BEST),
            TypeError,
            "momentum=0.9",
        ),
        (
            lambda: gradient_noise(sd.Loss("a*x", "x", data={"a": [1.0, -1.0]}), [1.0]),
            ValueError,
            "sum of squares",
        ),
        (
            lambda: noise_alignment(sd.Loss("a*x**2", "x", data={"a": [1.0, -0.5]}), 0.0),
            ValueError,
            "minimum of every sample",
        ),
    ],
)
def test_refusals(call, error, words):
    with pytest.raises(error, match=words):
        call()
