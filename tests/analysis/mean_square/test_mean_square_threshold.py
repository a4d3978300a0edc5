"""The exact boundary in mean square against closed forms and plain enumeration."""

from itertools import combinations, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from regressions import regression
from scipy.optimize import brentq

import samdyn as sd
from samdyn.analysis.mean_square.linear_stability import linear_stability
from samdyn.analysis.mean_square.threshold import mean_square_threshold, mean_square_thresholds

RNG = np.random.default_rng(2)
PAIR = sd.Loss("(a*x - b)**2/2", "x", data={"a": [1.0, 3.0], "b": [0.0, 0.0]})
SQUARES = np.array([1.0, 9.0])


def radius(steps):
    """The spectral radius of E[J (x) J] over equally likely steps."""
    return max(abs(np.linalg.eigvals(sum(np.kron(j, j) for j in steps) / len(steps))))


def boundary(made, low, high):
    """Where the radius of made(number) crosses 1."""
    return brentq(lambda x: radius(made(x)) - 1.0, low, high, xtol=1e-15, rtol=1e-14)


def batches(inputs, size, subset=False):
    every = combinations(inputs, size) if subset else product(inputs, repeat=size)
    return [sum(np.outer(a, a) for a in batch) / size for batch in every]


@pytest.mark.parametrize("rho", [0.0, 0.3, 2.0])
def test_the_full_batch_has_the_closed_form(rho):
    system = sd.Map(sd.Loss("x**2 + y**2/4"), sd.USAM(lr=0.1, rho=rho))
    found = mean_square_threshold(system, [0.0, 0.0], "lr")
    assert found.value == pytest.approx(2 / (2 * (1 + 2 * rho)), rel=1e-12)
    assert (found.below, found.above) == ("stable", "unstable")
    linear = sd.stability_threshold(system, [0.0, 0.0], "lr")
    assert found.value == pytest.approx(linear.value, rel=1e-12)


@pytest.mark.parametrize("rho", [0.0, 0.1, 1.0])
def test_two_samples_of_one_weight_have_closed_forms(rho):
    gain = 1 + rho * SQUARES
    system = sd.Map(PAIR, sd.USAM(lr=0.05, rho=rho), batch_size=1)
    same = mean_square_threshold(system, 0.0, "lr")
    steep = SQUARES * gain
    assert same.value == pytest.approx(2 * np.mean(steep) / np.mean(steep**2), rel=1e-12)
    fresh = sd.Map(PAIR, sd.USAM(lr=0.05, rho=rho), batch_size=1, fresh_noise=True)
    expected = 2 * np.mean(SQUARES) * np.mean(gain) / (np.mean(SQUARES**2) * np.mean(gain**2))
    assert mean_square_threshold(fresh, 0.0, "lr").value == pytest.approx(expected, rel=1e-12)


def test_rho_and_the_batch_size_have_closed_forms():
    system = sd.Map(PAIR, sd.USAM(lr=0.1, rho=0.1), batch_size=1)

    def excess(rho):
        steep = SQUARES * (1 + rho * SQUARES)
        return np.mean((1 - 0.1 * steep) ** 2) - 1.0

    found = mean_square_threshold(system, 0.0, "rho")
    assert found.value == pytest.approx(brentq(excess, 0.0, 10.0, xtol=1e-15), rel=1e-11)
    sgd = sd.Map(PAIR, sd.GD(lr=0.35), batch_size=1)  # stable where lr (h^2 + var/B) < 2 h
    least = 0.35 * 16 / (2 * 5 - 0.35 * 25)
    found = mean_square_threshold(sgd, 0.0, "batch_size", between=(1, 100))
    assert found.value == np.ceil(least) == 5
    assert found.bracket == (4.0, 5.0)
    assert (found.below, found.above) == ("unstable", "stable")


def test_multiplicative_gaussian_noise_has_a_closed_form():
    noisy = sd.Loss("(1 + s*xi)*x**2/2", "x", noise="xi", s=0.5)
    system = sd.Map(noisy, sd.GD(lr=0.1))
    found = mean_square_threshold(system, 0.0, "lr")
    assert found.value == pytest.approx(2 / (1 + 0.25), rel=1e-12)
    found = mean_square_threshold(system.replace(lr=1.0), 0.0, "s", between=(0.1, 3.0))
    assert found.value == pytest.approx(1.0, rel=1e-12)


@pytest.mark.parametrize("fresh", [False, True])
@pytest.mark.parametrize("sampling", ["replacement", "subset"])
def test_batches_of_a_regression_are_those_of_a_plain_enumeration(fresh, sampling):
    inputs, best, rho = RNG.standard_normal((4, 2)), np.array([0.5, -1.0]), 0.3
    curved = batches(inputs, 2, sampling == "subset")
    eye = np.eye(2)

    def steps(lr):
        pairs = product(curved, repeat=2) if fresh else zip(curved, curved, strict=True)
        return [eye - lr * h2 @ (eye + rho * h1) for h1, h2 in pairs]

    system = sd.Map(regression(inputs, best), sd.USAM(lr=0.1, rho=rho), 2, sampling, fresh)
    found = mean_square_threshold(system, best, "lr")
    assert found.value == pytest.approx(boundary(steps, 1e-3, 50.0), rel=1e-10)


def test_momentum_as_by_a_plain_enumeration():
    inputs = RNG.standard_normal((3, 2))
    curved = batches(inputs, 1)
    eye = np.eye(2)

    def steps(lr, momentum=0.6):
        return [
            np.block([[eye - lr * h, -lr * momentum * eye], [h, momentum * eye]]) for h in curved
        ]

    system = sd.Map(regression(inputs), sd.GD(lr=0.1, momentum=0.6), batch_size=1)
    found = mean_square_threshold(system, [0.0, 0.0], "lr")
    assert found.value == pytest.approx(boundary(steps, 1e-3, 10.0), rel=1e-9)
    lr = 1.5 * found.value
    found = mean_square_threshold(system.replace(lr=lr), [0.0, 0.0], "momentum")
    assert found.value == pytest.approx(boundary(lambda m: steps(lr, m), 0.01, 0.6), rel=1e-9)


def test_momentum_that_was_left_out_may_be_asked_for():
    system = sd.Map(PAIR, sd.GD(lr=0.2), batch_size=1)
    found = mean_square_threshold(system, 0.0, "momentum")
    known = mean_square_threshold(system.replace(momentum=0.3), 0.0, "momentum")
    assert found.value == pytest.approx(known.value, rel=1e-11)
    assert (found.below, found.above) == ("stable", "unstable")


def test_the_bound_is_attained_where_one_of_two_samples_is_flat():
    # E a^2 = 2 (E a)^2: lr = 2 E a/E a^2 is the bound 1/sqrt(Var a)
    loss = sd.Loss("a*(x - b)**2/2", "x", data={"a": [0.0, 2.0], "b": [1.0, 1.0]})
    system = sd.Map(loss, sd.GD(lr=0.1), batch_size=1)
    bound = linear_stability(system, 1.0).largest_lr
    assert bound == pytest.approx(1.0, rel=1e-12)
    assert mean_square_threshold(system, 1.0, "lr").value == pytest.approx(bound, rel=1e-10)


@pytest.mark.parametrize(("formula", "expected"), [("a", [0.0, 20.0]), ("(1 + a)", [-1.0, 19.0])])
def test_numbers_may_be_0_or_below(formula, expected):
    system = sd.Map(sd.Loss(f"{formula}*x**2/2", "x", a=0.5), sd.GD(lr=0.1))
    found = mean_square_thresholds(system, 0.0, "a", between=(-3.0, 30.0))
    assert [one.value for one in found] == pytest.approx(expected, abs=1e-12)
    for one in found:
        low, high = one.bracket
        assert low < one.value < high
        sides = [sd.mean_square_growth(system.replace(a=end), 0.0) > 1 for end in one.bracket]
        assert sides == [one.below == "unstable", one.above == "unstable"]


def test_flat_directions_do_not_count():
    inputs = RNG.standard_normal((2, 4))
    system = sd.Map(regression(inputs), sd.USAM(lr=0.1, rho=0.2), batch_size=1)
    found = mean_square_threshold(system, np.zeros(4), "lr")
    basis = np.linalg.qr(inputs.T)[0]
    within = inputs @ basis  # the same regression across the plane of minimisers

    def steps(lr):
        return [np.eye(2) - lr * h @ (np.eye(2) + 0.2 * h) for h in batches(within, 1)]

    assert found.value == pytest.approx(boundary(steps, 1e-3, 10.0), rel=1e-10)
    assert sd.mean_square_growth(system.replace(lr=0.5 * found.value), np.zeros(4)) >= 1 - 1e-9


def test_usam_makes_a_saddle_stable_in_mean_square_from_some_rho_on():
    system = sd.Map(sd.Loss("x**2 - y**2/4"), sd.USAM(lr=0.1, rho=0.1))
    found = mean_square_thresholds(system, [0.0, 0.0], "rho")
    assert [one.value for one in found] == pytest.approx([2.0, 4.5], rel=1e-9)
    assert [(one.below, one.above) for one in found] == [
        ("unstable", "stable"),
        ("stable", "unstable"),
    ]


def test_a_step_that_is_no_polynomial_of_the_number_is_taken_as_it_is():
    # samples that do not vanish together: the perturbed Hessian depends on rho in its own way
    loss = sd.Loss("log(cosh(x - c)) + c**2*x**2", "x", data={"c": [0.7, -0.7]})
    system = sd.Map(loss, sd.USAM(lr=0.5, rho=0.4), batch_size=1)
    found = mean_square_threshold(system, 0.0, "rho", between=(0.01, 20.0))
    sides = [sd.mean_square_growth(system.replace(rho=x), 0.0) for x in found.bracket]
    assert (sides[0] - 1) * (sides[1] - 1) < 0
    assert np.ptp(found.bracket) < 1e-7


@given(st.integers(0, 10_000), st.integers(2, 4), st.floats(-2.0, 1.0), st.booleans())
@settings(max_examples=12, deadline=None)
def test_the_boundary_is_never_beyond_the_bound(seed, n, power, fresh):
    rng = np.random.default_rng(seed)
    inputs = rng.standard_normal((n, 2))
    algorithm = sd.USAM(lr=0.1, rho=10.0**power)
    system = sd.Map(regression(inputs), algorithm, 1, fresh_noise=fresh)
    bound = linear_stability(system, [0.0, 0.0]).largest_lr
    found = mean_square_threshold(system, [0.0, 0.0], "lr", between=(1e-9, 1e3))
    assert found.value <= bound * (1 + 1e-9)


@pytest.mark.slow
def test_normal_inputs_as_many_as_they_are_have_their_expectation():
    # E[(I - lr x x^T) S (I - lr x x^T)] of x ~ N(0, I): lr (d + 2) = 2; B = 1 of many samples
    d, n = 2, 4000
    inputs = np.random.default_rng(0).standard_normal((n, d))
    system = sd.Map(regression(inputs), sd.GD(lr=0.1), batch_size=1)
    assert mean_square_threshold(system, [0.0, 0.0], "lr").value == pytest.approx(0.5, rel=0.06)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (
            lambda: mean_square_threshold(
                sd.Map(PAIR, sd.SAM(lr=0.1, rho=0.1), batch_size=1), 0.0, "lr"
            ),
            ValueError,
            "no derivative",
        ),
        (
            lambda: mean_square_threshold(sd.SDE(PAIR, sd.GD(lr=0.1), batch_size=1), 0.0, "lr"),
            TypeError,
            "the drift decides",
        ),
        (
            lambda: mean_square_threshold(sd.Map(PAIR, sd.GD(lr=0.1)), 0.0, "rho"),
            ValueError,
            "one of the system's numbers",
        ),
        (
            lambda: mean_square_threshold(sd.Map(PAIR, sd.GD(lr=[0.1, 0.2])), 0.0, "lr"),
            ValueError,
            "one value of lr",
        ),
        (
            lambda: mean_square_threshold(sd.Map(PAIR, sd.GD(lr=0.1)), 0.0, "lr", (1.0, 0.5)),
            ValueError,
            "low < high",
        ),
        (
            lambda: mean_square_threshold(sd.Map(PAIR, sd.GD(lr=0.1), batch_size=1), 1.0, "lr"),
            ValueError,
            "point must be a fixed point of the mean step",
        ),
        (
            lambda: mean_square_threshold(sd.Map(PAIR, sd.GD(lr=0.1)), 0.0, "lr", (0.01, 0.02)),
            ValueError,
            "does not cross 1",
        ),
    ],
)
def test_refusals(call, error, words):
    with pytest.raises(error, match=words):
        call()
