"""Intervals and the bounds built on them: they must hold, whatever they are asked."""

from fractions import Fraction
from functools import lru_cache

import mpmath
import numpy as np
import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st

from samdyn.analysis.sharpness.certificate import (
    _Boxes,
    _expanded,
    _expansion_bound,
    upper_bound,
)
from samdyn.analysis.sharpness.finite import sharpness
from samdyn.analysis.sharpness.intervals import SMOOTH, Interval, enclosed
from samdyn.analysis.sharpness.landscape import Landscape, Long, whole
from samdyn.analysis.sharpness.maxima import inside
from samdyn.losses.loss import Loss

FORMULAS = [
    "x**3 - 2*x*y + y**4/3",
    "sin(3*x)*cos(x*y) + sin(y)**2",
    "exp(-x**2) / (2 + sin(x + y))",
    "sqrt(1 + x**2*y**2) + log(2 + x*y + x**2 + y**2)",
    "tanh(x*y) - sinh(x)*cosh(y)/10",
    "atan(x - y) + asin(x/4) + acos(y/4) + tan(x/4)",
    "(1 + x**2)**0.7 + (2 + y)**(-1.3)",
]
ends = st.floats(-1.0, 1.0)


@lru_cache
def derivatives(formula):
    """A loss, and by order its derivatives as functions of mpmath numbers."""
    loss = Loss(formula, variables="x y")
    w = sympy.symbols("x y", real=True)
    f = loss.expression
    slopes = [sympy.diff(f, v) for v in w]
    orders = [[f], slopes, [slopes[0].diff(w[0]), slopes[0].diff(w[1]), slopes[1].diff(w[1])]]
    return loss, [[sympy.lambdify(w, out, "mpmath") for out in outs] for outs in orders]


@settings(max_examples=30, deadline=None, derandomize=True)
@given(st.sampled_from(FORMULAS), ends, ends, st.floats(0, 2), st.floats(0, 2))
def test_intervals_contain_what_mpmath_gives_inside(formula, x, y, wide, high):
    loss, orders = derivatives(formula)
    rng = np.random.default_rng(0)
    for dtype in (float, Long):
        low = np.array([[x, y]], dtype)
        top = low + np.array([wide, high], dtype) * dtype(0.4)
        box = [Interval(low[:, i], top[:, i]) for i in range(2)]
        at = [[x, y], *rng.uniform(low[0].astype(float), top[0].astype(float), (3, 2))]
        for order, exact in enumerate(orders):
            found = enclosed(loss.program(order), box, (1,))
            with mpmath.workdps(30):
                for out, interval in zip(exact, found, strict=True):
                    if not np.isfinite(interval.low[0] + interval.high[0]):
                        continue
                    for one in at:
                        value = out(*map(mpmath.mpf, map(float, one)))
                        # a formula's 0.7 is a float in the program, a fraction here
                        slack = mpmath.mpf(1e-15) * (1 + abs(value))
                        assert float(interval.low[0]) - slack <= value
                        assert value <= float(interval.high[0]) + slack


def test_a_point_is_enclosed_tightly_and_a_pole_not_at_all():
    x = Interval(np.array([0.3]), np.array([0.3]))
    for program in (Loss("sin(x)*exp(x) + x**5/(1 + x)").program(k) for k in range(3)):
        (out,) = enclosed(program, [x], (1,))
        assert 0 <= out.high[0] - out.low[0] < 1e-13
    pole = enclosed(
        Loss("1/x + sqrt(x)").program(0), [Interval(np.array([-1.0]), np.array([1.0]))], (1,)
    )
    assert np.isnan(pole[0].high[0])
    wave = enclosed(
        Loss("cos(x)").program(0), [Interval(np.array([-0.5, 3.0]), np.array([0.2, 3.2]))], (2,)
    )
    assert wave[0].high[0] == 1.0
    assert wave[0].low[1] == -1.0
    assert "absolute" not in SMOOTH


@pytest.mark.parametrize("boxes", [1, 7, 60])
def test_bounds_hold_however_few_boxes_and_bad_maxima(boxes):
    rng = np.random.default_rng(boxes)
    v = rng.standard_normal((20_000, 3))
    v *= rng.uniform(0, 1, (len(v), 1)) ** (1 / 3) / np.linalg.norm(v, axis=1, keepdims=True)
    v[::2] /= np.linalg.norm(v[::2], axis=1, keepdims=True)
    for formula in (
        "x**3/3 - x*y**2 + z**2*x/2 + cos(y + z)",
        "a*x*y*z + b*x**2 + c*sin(2*y)*z",
        "exp(-((x - a)**2 + y**2 + (z - b)**2)) + c*x**4",
    ):
        names = {k: float(rng.uniform(-1, 1)) for k in "abc" if k in formula.replace("cos", "")}
        loss = Loss(formula, variables="x y z", **names)
        p, rho = rng.uniform(-1, 1, 3), float(rng.uniform(0.1, 2.0))
        basis = np.linalg.qr(rng.standard_normal((3, 3)))[0]
        land = Landscape(whole(loss), p, rho, basis)
        told = rng.uniform(-0.5, 0.5, (2, 3))
        low = float(np.max(land.value(told)))
        high = upper_bound(land, told, low, 0.0, boxes).high
        assert np.max(land.value(v)) <= high
        assert high < 100.0 / min(rho, 1.0)


def test_hessians_stay_as_near_as_is_said():
    loss = Loss("x**3/3 - x*y**2 + z**2*x/2 + cos(y + z) + x**4")
    rng = np.random.default_rng(2)
    basis = np.linalg.qr(rng.standard_normal((3, 3)))[0]
    land = Landscape(whole(loss), np.array([0.4, -0.3, 0.2]), 0.7, basis)
    tightest = np.inf
    for _ in range(40):
        low = rng.uniform(-1, 0.5, 3)
        high = low + rng.uniform(0, 0.8, 3)
        matrix, far = land.hessian_within(low[None], high[None])
        corners = np.stack(np.meshgrid(*np.stack([low, (low + high) / 2, high], axis=1)), -1)
        hessians = land.hessian(corners.reshape(-1, 3))
        off = np.max(np.linalg.norm(hessians - matrix, 2, axis=(1, 2)))
        assert off <= far[0]
        tightest = min(tightest, far[0] / off)
    assert tightest < 2.0  # half of it would not do


def test_bounds_of_quadratics_are_sharp_and_never_below_the_maximum():
    # with a slope along the top eigenvector the maximum is at its end
    rng = np.random.default_rng(4)
    for _ in range(5):
        basis = np.linalg.qr(rng.standard_normal((2, 2)))[0]
        values, slope = np.array([-1.0, 2.0]), 0.7
        matrix = basis @ np.diag(values) @ basis.T
        g = slope * basis[:, 1]
        text = (
            f"({g[0]!r})*x + ({g[1]!r})*y + ({matrix[0, 0]!r})*x**2/2 + ({matrix[1, 1]!r})*y**2/2"
        )
        text = (text + f" + ({matrix[0, 1]!r})*x*y").replace("np.float64", "")
        exact = slope + values[1] / 2
        land = Landscape(whole(Loss(text, "x y")), np.zeros(2), 1.0, np.eye(2))
        told = rng.uniform(-0.5, 0.5, (1, 2))
        for boxes in (1, 10, 500):
            high = upper_bound(land, told, float(land.value(told)[0]), 0.0, boxes).high
            assert exact * (1 - 1e-14) <= high
        assert high <= exact * (1 + 1e-3)


def test_arithmetic_is_rounded_outwards():
    # exact sums, products and quotients of floats, as fractions
    rng = np.random.default_rng(1)
    for a, b in rng.uniform(-3, 3, (40, 2)):
        x, y = (Interval(np.array([v]), np.array([v])) for v in (a, b))
        for out, exact in (
            (x + y, Fraction(a) + Fraction(b)),
            (x - y, Fraction(a) - Fraction(b)),
            (x * y, Fraction(a) * Fraction(b)),
            (x / y, Fraction(a) / Fraction(b)),
        ):
            assert Fraction(out.low[0]) <= exact <= Fraction(out.high[0])


@pytest.mark.parametrize("word", ["sqrt", "exp", "log", "sin", "cos", "tanh", "sinh", "cosh"])
def test_functions_are_rounded_outwards(word):
    program = Loss(f"{word}(x)").program(0)
    for x in np.random.default_rng(2).uniform(0.1, 20.0, 40):
        (out,) = enclosed(program, [Interval(np.array([x]), np.array([x]))], (1,))
        with mpmath.workdps(40):
            exact = getattr(mpmath, word)(mpmath.mpf(x))
            assert mpmath.mpf(float(out.low[0])) <= exact <= mpmath.mpf(float(out.high[0]))


@pytest.mark.parametrize("formula", ["1/x", "sqrt(x)", "log(x)", "tan(2*x)", "asin(3*x)"])
def test_poles_and_ends_of_domains_are_seen(formula):
    for low, high in ((-1.0, 1.0), (-1.0, 0.0)):
        box = [Interval(np.array([low]), np.array([high]))]
        (out,) = enclosed(Loss(formula).program(0), box, (1,))
        assert np.isnan(out.low[0])
        assert np.isnan(out.high[0])


def test_values_and_slopes_at_points_are_enclosed_where_digits_cancel():
    basis = np.array([[0.6, -0.8], [0.8, 0.6]])
    land = Landscape(whole(Loss("(x*y - 1)**2")), np.array([2.0, 0.5]), 1e-6, basis)
    u = np.random.default_rng(3).uniform(-0.7, 0.7, (20, 2))
    (low, high), (slope, error) = land.value_within(u), land.gradient_within(u)
    with mpmath.workdps(60):
        rho, turn = mpmath.mpf(1e-6), mpmath.matrix(basis.tolist())
        for k, one in enumerate(u):
            v = turn * mpmath.matrix(one.tolist())
            x, y = 2 + rho * v[0], mpmath.mpf(0.5) + rho * v[1]
            rest = x * y - 1
            assert mpmath.mpf(low[k]) <= (rest / rho) ** 2 <= mpmath.mpf(high[k])
            g = turn.T * (mpmath.matrix([2 * rest * y, 2 * rest * x]) / rho)
            off = mpmath.norm(g - mpmath.matrix(slope[k].tolist()))
            assert 0 < off <= mpmath.mpf(error[k])
    assert np.all(high - low < 1e-6)


FORMS = ["sin(4*x + y)", "cos(3*x)*y + 3*x", "2*x - y - sin(5*y)", "exp(x - 2*y) + cos(6*x*y)"]


def expansions(formula, seed, dx=0.0):
    """Bounds over random boxes about points that lie anywhere, and what is reached in them."""
    rng = np.random.default_rng(seed)
    land = Landscape(whole(Loss(formula, "x y")), np.zeros(2), 1.0, np.eye(2))
    n = 150
    boxes = _Boxes(
        rng.uniform(-0.9, 0.9, (n, 2)), rng.uniform(0.01, 0.35, (n, 2)), np.full(n, np.inf)
    )
    c = inside(boxes.middle + rng.normal(0.0, 0.4, (n, 2)))
    about = _expanded(land, c)
    wrong = rng.standard_normal((n, 2))
    wrong *= dx / np.linalg.norm(wrong, axis=1, keepdims=True)
    about = about._replace(slope=about.slope + wrong, error=about.error + dx)
    bound = _expansion_bound(land, boxes, about)
    part = np.stack(np.meshgrid(*[np.linspace(-1, 1, 41)] * 2), -1).reshape(-1, 1, 2)
    u = boxes.middle + part * boxes.half
    values = land.value(u.reshape(-1, 2)).reshape(u.shape[:2])
    reached = np.max(np.where(np.sum(u * u, axis=2) <= 1, values, -np.inf), axis=0)
    return bound, reached


@pytest.mark.parametrize("formula", FORMS)
@pytest.mark.parametrize("dx", [0.0, 0.3])
def test_expansions_bound_a_box_from_wherever_they_are_made(formula, dx):
    # the centre may be outside the box, and its slope be known to dx only
    for seed in range(6):
        bound, reached = expansions(formula, seed, dx)
        assert np.all(reached <= bound + 1e-13)
    if not dx:
        assert np.min(bound - reached) < 0.05  # nor is it far above


def test_nothing_is_said_of_boxes_where_the_loss_is_not_known():
    land = Landscape(whole(Loss("sqrt(x) + y**2")), np.array([0.5, 0.0]), 1.0, np.eye(2))
    boxes = _Boxes(np.array([[-0.5, 0.0]]), np.array([[0.2, 0.2]]), np.array([np.inf]))
    about = _expanded(land, np.array([[0.1, 0.0]]))
    assert _expansion_bound(land, boxes, about)[0] == np.inf


def test_a_wide_gap_is_no_excuse_for_a_bound_below_the_maximum():
    loss = Loss("x**2 + y**2/2 + x*y/3")
    true = float(sharpness(loss, [0.2, 0.1], rho=1.0))
    land = Landscape(whole(loss), np.array([0.2, 0.1]), 1.0, np.eye(2))
    low = 0.9 * true
    found = upper_bound(land, np.array([[0.5, 0.5]]), low, 0.3 * true, 4000)
    assert true <= found.high <= low + 0.3 * true


@pytest.mark.parametrize("word", ["cosh", "cos", "sin", "tan", "tanh", "x**2", "sinh"])
def test_functions_of_wide_intervals_reach_as_far_as_the_function(word):
    formula = word if "x" in word else f"{word}(x)"
    loss = Loss(formula)
    for low, high in ((-1.4, -0.3), (-1.2, 0.7), (0.2, 1.1), (-1.0, 1.5), (2.5, 7.0)):
        if word == "tan" and high > np.pi / 2:
            continue
        (out,) = enclosed(loss.program(0), [Interval(np.array([low]), np.array([high]))], (1,))
        values = loss.value(np.linspace(low, high, 2001)[:, None])
        assert out.low[0] <= np.min(values) <= out.low[0] + 1e-5 * (1 + abs(out.low[0]))
        assert out.high[0] >= np.max(values) >= out.high[0] - 1e-5 * (1 + abs(out.high[0]))
