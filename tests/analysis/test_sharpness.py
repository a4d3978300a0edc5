"""Sharpness at finite rho and its limits against closed forms, mpmath and dense sampling."""

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import gamma, iv
from scipy.stats import special_ortho_group

from samdyn.analysis.sharpness.average import sphere_rule
from samdyn.analysis.sharpness.certificate import upper_bound
from samdyn.analysis.sharpness.finite import KINDS, sharpness
from samdyn.analysis.sharpness.landscape import Landscape, whole
from samdyn.analysis.sharpness.limits import limiting_sharpness
from samdyn.losses.loss import Loss
from samdyn.losses.manifolds import (
    crossed_sharpness,
    scalar_factorization,
    tanh_network,
    two_residuals,
)
from samdyn.losses.valleys import cosine

FACTORS = scalar_factorization()
CROSSED = crossed_sharpness()


def quadratic(matrix, slope):
    d = len(slope)
    names = [f"w{i}" for i in range(d)]
    terms = [f"({matrix[i, j]!r})*w{i}*w{j}/2" for i in range(d) for j in range(d)]
    terms += [f"({slope[i]!r})*w{i}" for i in range(d)]
    return Loss(" + ".join(terms).replace("np.float64", ""), variables=names)


def trust_region(matrix, slope, rho):
    """The maximum of g.v + v'Hv/2 over |v| <= rho by the secular equation, in 40 digits."""
    with mpmath.workdps(40):
        values, vectors = mpmath.eigsy(mpmath.matrix(matrix.tolist()))
        g = list(vectors.T * mpmath.matrix(slope.tolist()))
        top = max(values)

        def length(m):
            return mpmath.sqrt(sum((gi / (m - l)) ** 2 for gi, l in zip(g, values, strict=True)))

        if top < 0 and length(mpmath.mpf(0)) <= rho:
            return float(sum(gi**2 / -l for gi, l in zip(g, values, strict=True)) / 2)
        small = max(top, 0)
        if small == top and all(
            abs(gi) < mpmath.mpf(10) ** -15 for gi, l in zip(g, values, strict=True) if l == top
        ):  # the hard case, unless the slope's other parts are large
            rest = [(gi, l) for gi, l in zip(g, values, strict=True) if l != top]
            if sum((gi / (top - l)) ** 2 for gi, l in rest) < rho**2:
                return float((top * rho**2 + sum(gi**2 / (top - l) for gi, l in rest)) / 2)
        low, high = small, small + mpmath.norm(g) / rho + 1
        for _ in range(140):
            middle = (low + high) / 2
            low, high = (middle, high) if length(middle) > rho else (low, middle)
        return float(
            (low * rho**2 + sum(gi**2 / (low - l) for gi, l in zip(g, values, strict=True))) / 2
        )


@pytest.mark.parametrize("d", [1, 2, 3, 5])
@pytest.mark.parametrize("sign", ["any", "concave", "minimiser"])
def test_worst_of_quadratics_is_the_trust_region_problem(d, sign):
    rng = np.random.default_rng(d)
    matrix = rng.standard_normal((d, d))
    matrix = -matrix @ matrix.T - 0.1 * np.eye(d) if sign == "concave" else matrix + matrix.T
    slope = rng.standard_normal(d) * (0.0 if sign == "minimiser" else 1.0)
    if sign == "minimiser":
        matrix = matrix @ matrix.T
    for rho in (0.1, 20.0):
        found = sharpness(quadratic(matrix, slope), np.zeros(d), rho=rho)
        exact = trust_region(matrix, slope, rho)
        assert float(found) == pytest.approx(exact, rel=1e-12)
        assert found.low <= exact * (1 + 1e-14)
        assert exact <= found.high * (1 + 1e-14)
        v = found.direction
        assert np.linalg.norm(v) <= 1.0
        rise = slope @ v * rho + v @ matrix @ v * rho**2 / 2
        assert rise == pytest.approx(float(found), rel=1e-12)


def test_the_hard_case_of_the_trust_region_problem():
    matrix, slope = np.diag([2.0, 1.0, -1.0]), np.array([0.0, 0.1, 0.2])
    found = sharpness(quadratic(matrix, slope), np.zeros(3), rho=0.7)
    exact = 0.7**2 + (0.1**2 / 1.0 + 0.2**2 / 3.0) / 2
    assert float(found) == pytest.approx(exact, rel=1e-13)
    assert found.gap < 1e-12


@pytest.mark.parametrize("rho", [1.0, 0.1, 1e-3, 1e-5])
def test_a_product_on_its_minimisers(rho):
    # (x + rho v1)(y + rho v2) - 1 = rho (y v1 + x v2) + rho^2 v1 v2, largest on the diagonal
    worst = sharpness(FACTORS, [1.0, 1.0], rho=rho)
    assert float(worst) == pytest.approx((np.sqrt(2) * rho + rho**2 / 2) ** 2, rel=1e-10)
    assert worst.gap <= 1e-9 * 2 * rho**2
    np.testing.assert_allclose(worst.direction, [np.sqrt(0.5)] * 2, atol=1e-7)
    mean = sharpness(FACTORS, [2.0, 0.5], "average", rho=rho)
    assert float(mean) == pytest.approx(rho**2 * 4.25 / 2 + rho**4 / 8, rel=1e-14)
    assert mean.low <= rho**2 * 4.25 / 2 + rho**4 / 8 <= mean.high
    with mpmath.workdps(50):
        v = mpmath.findroot(
            lambda a: mpmath.diff(
                lambda t: mpmath.cos(t) / 2 + 2 * mpmath.sin(t) + rho * mpmath.sin(2 * t) / 2, a
            ),
            mpmath.atan(4),
        )
        rise = rho * (mpmath.cos(v) / 2 + 2 * mpmath.sin(v) + rho * mpmath.sin(2 * v) / 2)
        exact = float(rise**2)
    assert float(sharpness(FACTORS, [2.0, 0.5], rho=rho)) == pytest.approx(exact, rel=1e-10)


def test_ascent_of_a_product():
    p, rho = np.array([[1.5, 1.0], [0.3, -0.2], [2.0, 0.49]]), np.array([0.05, 0.3, 0.01])
    found = sharpness(FACTORS, p, "ascent", rho=rho)
    x, y = p.T
    r, n = x * y - 1, np.hypot(x, y)
    exact = (r + np.sign(r) * rho * n + rho**2 * x * y / n**2) ** 2 - r**2
    np.testing.assert_allclose(found.value, exact, rtol=1e-12)
    np.testing.assert_allclose(found.direction, (np.sign(r) / n)[:, None] * p[:, ::-1], rtol=1e-12)
    assert np.all((found.low <= exact) & (exact <= found.high))


def test_ascent_is_infinite_where_the_gradient_vanishes_even_to_rounding():
    p = [[1.0, 1.0], [1.3, 1 / 1.3], [1.3, 0.77]]
    found = sharpness(FACTORS, p, "ascent", rho=0.1)
    assert np.isinf(found.value).tolist() == [True, True, False]
    assert np.isnan(found.direction[:2]).all()
    assert found.gap[:2].tolist() == [0.0, 0.0]


@pytest.mark.parametrize("x", [(0.0, 0.0), (1.0, 1.0), (0.4, 0.3)])
def test_three_notions_differ_on_the_crossed_toy(x):
    rho = 0.1
    f1, f2 = x[0] ** 2 + 6 * x[1] ** 2 + 8, 4 * (1 - x[0]) ** 2 + (1 - x[1]) ** 2 + 1
    p = [*x, 0.0, 0.0]
    # second and fourth moments of the sphere: 1/4 and 1/24
    mean = rho**2 * (f1 + f2) / 4 + rho**4 * (7 + 5) / 24
    assert float(sharpness(CROSSED, p, "average", rho=rho)) == pytest.approx(mean, rel=1e-14)
    # v4 = 0: the larger curvature rules, and v1, v2 raise it at the cost of v3
    with mpmath.workdps(40):
        f = lambda a, b: (  # noqa: E731
            (f1 + rho * (2 * x[0] * a + 12 * x[1] * b) + rho**2 * (a**2 + 6 * b**2))
            * (1 - a**2 - b**2)
        )
        slopes = [
            lambda a, b: mpmath.diff(f, (a, b), (1, 0)),
            lambda a, b: mpmath.diff(f, (a, b), (0, 1)),
        ]
        a, b = mpmath.findroot(slopes, (rho * x[0] / f1, rho * 6 * x[1] / f1))
        exact = float(rho**2 * f(a, b))
    found = sharpness(CROSSED, p, rho=rho)
    assert float(found) == pytest.approx(exact, rel=1e-12)
    assert found.gap < 1e-9 * rho**2 * f1
    np.testing.assert_allclose(found.direction[:2], [float(a), float(b)], atol=1e-8)
    assert abs(found.direction[3]) < 1e-8
    # beside the minimiser, along the flatter direction, the gradient points along it
    e = 1e-9
    beside = sharpness(CROSSED, [*x, 0.0, e], "ascent", rho=rho)
    assert float(beside) == pytest.approx(f2 * ((e + rho) ** 2 - e**2), rel=1e-8)
    limits = [float(limiting_sharpness(CROSSED, p, kind)) for kind in KINDS]
    np.testing.assert_allclose(limits, [max(f1, f2), min(f1, f2), (f1 + f2) / 4], rtol=1e-14)


def test_one_sample_notions_on_the_crossed_toy():
    loss = Loss(
        "a*(x1**2 + 6*x2**2 + 8)*x3**2 + b*(4*(1 - x1)**2 + (1 - x2)**2 + 1)*x4**2",
        variables="x1 x2 x3 x4",
        data={"a": [1.0, 0.0], "b": [0.0, 1.0]},
    )
    p, rho = [0.0, 0.0, 0.0, 0.0], 0.01
    f1, f2 = 8.0, 6.0
    for kind, limit in zip(KINDS, ((f1 + f2) / 2, (f1 + f2) / 2, (f1 + f2) / 8), strict=True):
        assert float(limiting_sharpness(loss, p, kind, per_sample=True)) == pytest.approx(limit)
    trace = np.trace(loss.hessian(p))
    assert trace / 2 == pytest.approx((f1 + f2) / 2)  # Theorem 5.3
    worst = sharpness(loss, p, rho=rho, per_sample=True)
    assert worst.direction.shape == (2, 4)
    # sample 1: (8 + rho^2 (...)) v3^2 is largest on the axis; sample 2 is larger off it
    assert 0.0 < float(worst) / rho**2 - (f1 + f2) / 2 < 0.1
    assert float(sharpness(loss, p, rho=rho)) == pytest.approx(rho**2 * f1 / 2, rel=1e-12)


def test_a_maximum_inside_the_ball():
    for rho, exact in ((4.0, 1 + np.cos(0.3)), (2.0, np.cos(0.3) - np.cos(2.3))):
        found = sharpness(cosine(), [0.3], rho=rho)
        assert float(found) == pytest.approx(exact, rel=1e-14)
        assert found.low <= found.value <= found.high <= exact * (1 + 1e-13)
    assert np.all(np.abs(0.3 + 4.0 * sharpness(cosine(), [0.3], rho=4.0).direction) < np.pi + 1e-7)
    assert float(sharpness(cosine(), [np.pi], rho=1.0)) == 0.0
    mean = float(sharpness(cosine(), [0.3], "average", rho=2.0))
    assert mean == pytest.approx(np.cos(0.3) * (1 - np.cos(2.0)), rel=1e-14)


def extrapolated(values, order, step):
    """Richardson's table for values at rho, rho/2, rho/4, … with errors in powers of rho."""
    values = np.array(values)
    while len(values) > 1:
        values = (2**order * values[1:] - values[:-1]) / (2**order - 1)
        order += step
    return float(values[0])


@pytest.mark.parametrize(
    ("loss", "p"),
    [
        (FACTORS, (2.0, 0.5)),
        (two_residuals(0.2, 0.1), (0.195, 0.1, 0.0, 0.0, 0.0)),
        (CROSSED, (1.0, 0.5, 0, 0)),
        (tanh_network(), (1.0, 0.0)),
    ],
    ids=["product", "residuals", "crossed", "network"],
)
def test_small_rho_tends_to_the_limits(loss, p):
    rhos = 0.04 * 0.5 ** np.arange(6)
    for kind, order, step in (("worst", 1, 1), ("average", 2, 2)):
        # at a tangent the order may be higher; Richardson's table does not mind
        values = sharpness(loss, p, kind, rho=rhos, boxes=0).value / rhos**2
        limit = float(limiting_sharpness(loss, p, kind))
        assert extrapolated(values, order, step) == pytest.approx(limit, rel=1e-8)
    # the ascent direction beside p, on both sides of the flattest curved direction
    eigenvalues, vectors = np.linalg.eigh(loss.hessian(p))
    flattest = vectors[:, eigenvalues > 1e-8 * eigenvalues[-1]][:, 0]
    limit = float(limiting_sharpness(loss, p, "ascent"))
    rho = 1e-4
    beside = [np.array(p) + e * flattest for e in (1e-8, -1e-8)]
    values = sharpness(loss, beside, "ascent", rho=rho).value / rho**2
    assert np.mean(values) == pytest.approx(limit, rel=3e-4)
    assert np.min(values) < limit * (1 + 3e-4)


def test_worst_differs_from_its_limit_in_first_order():
    rhos = np.array([0.02, 0.01, 0.005])
    off = sharpness(FACTORS, [1.0, 1.0], rho=rhos).value / rhos**2 - 2.0
    np.testing.assert_allclose(off[:-1] / off[1:], 2.0, rtol=1e-2)
    off = sharpness(FACTORS, [1.0, 1.0], "average", rho=rhos).value / rhos**2 - 1.0
    np.testing.assert_allclose(off[:-1] / off[1:], 4.0, rtol=1e-9)


# --- certificates ---------------------------------------------------------------------------

numbers = st.floats(-1.5, 1.5).map(lambda x: round(x, 3))


@settings(max_examples=12, deadline=None, derandomize=True)
@given(st.tuples(*[numbers] * 6), st.sampled_from([0.1, 0.7, 2.0]))
def test_certificates_hold_against_dense_sampling(c, rho):
    a, b, k, m, x, y = c
    formula = "a*sin(2*x + y) + b*exp(-x**2)*y + tanh(k*x*y) + m*x**3/3"
    loss = Loss(formula, variables="x y", a=a, b=b, k=k, m=m)
    p = np.array([x, y])
    found = sharpness(loss, p, rho=rho, tol=1e-7)
    angle, radius = np.meshgrid(np.linspace(0, 2 * np.pi, 721), np.linspace(0, 1, 121))
    v = radius[..., None] * np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    dense = np.max(loss.value(p + rho * v)) - loss.value(p)
    assert dense <= found.high + 1e-15
    assert found.value >= dense - 1e-14
    assert found.value == pytest.approx(dense, abs=2e-3)  # the certificate is not far either
    scale = rho * np.linalg.norm(loss.grad(p)) + rho**2 * np.linalg.norm(loss.hessian(p), 2) / 2
    assert found.low <= found.value <= found.high
    assert found.gap <= 1.01e-7 * (scale + found.value) + 1e-100
    ascent, mean = (sharpness(loss, p, kind, rho=rho) for kind in KINDS[1:])
    assert mean.value <= found.value + 1e-12
    assert np.isinf(ascent.value) or ascent.value <= found.value + 1e-12


def test_a_bound_does_not_trust_the_maxima_it_is_given():
    # two bumps: told of the lower alone, the bound must rise to the higher
    loss = Loss("exp(-8*((x - 0.6)**2 + y**2)) + 1.2*exp(-8*((x + 0.6)**2 + (y - 0.1)**2))")
    land = Landscape(whole(loss), np.zeros(2), 1.0, np.eye(2))
    told = np.array([[0.6, 0.0]])
    low = float(land.value(told)[0])
    high = upper_bound(land, told, low, 1e-9, 4000).high
    true = float(sharpness(loss, [0.0, 0.0], rho=1.0))
    assert low < 0.9 * true
    assert high >= true
    assert high < 1.01 * true


def test_a_round_valley_is_certified_by_many_boxes_or_said_not_to_be():
    round_ = Loss("(x**2 + y**2)**2 + x**2 + y**2")
    found = sharpness(round_, [0.0, 0.0], rho=0.5, tol=1e-4)
    assert float(found) == pytest.approx(0.3125, rel=1e-13)
    assert found.gap <= 1e-4
    with pytest.warns(RuntimeWarning, match="give more boxes"):
        found = sharpness(round_, [0.0, 0.0], rho=0.5, boxes=8)
    assert found.low <= 0.3125 <= found.high < np.inf


def test_no_certificate_of_kinks():
    kinked = Loss("abs(x) + y**2")
    with pytest.warns(RuntimeWarning, match="certified to inf"):
        found = sharpness(kinked, [0.1, 0.0], rho=0.5)
    assert np.isinf(found.high)
    assert float(found) == pytest.approx(0.5, rel=1e-12)
    assert float(sharpness(kinked, [0.1, 0.0], rho=0.5, boxes=0)) == float(found)


def test_worst_rises_with_rho_and_does_not_see_rotations():
    rng = np.random.default_rng(3)
    rhos = np.linspace(0.1, 2.0, 8)
    loss = Loss("x**3/3 - x*y**2 + z**2*x/2 + cos(y + z)")
    turn = special_ortho_group.rvs(3, random_state=rng)
    names = [
        f"({' + '.join(f'({float(t)!r})*{w}' for t, w in zip(row, 'xyz', strict=True))})"
        for row in turn
    ]
    text = "X**3/3 - X*Y**2 + Z**2*X/2 + cos(Y + Z)"
    for capital, name in zip("XYZ", names, strict=True):
        text = text.replace(capital, name)
    turned = Loss(text, variables="x y z")
    p = np.array([0.3, -0.2, 0.5])
    worst = sharpness(loss, p, rho=rhos, tol=1e-8)
    assert np.all(np.diff(worst.value) > 0)
    for kind in KINDS:
        here = sharpness(loss, p, kind, rho=0.7)
        there = sharpness(turned, turn.T @ p, kind, rho=0.7)
        assert float(there) == pytest.approx(float(here), rel=1e-9)


# --- averages -------------------------------------------------------------------------------


@pytest.mark.parametrize("d", [1, 2, 3, 4, 6])
def test_sphere_rules_have_the_moments_of_the_sphere(d):
    nodes, weights = sphere_rule(d, 5)
    assert np.sum(weights) == pytest.approx(1.0, rel=1e-13)
    np.testing.assert_allclose(np.sum(nodes**2, axis=1), 1.0, rtol=1e-13)
    second = np.einsum("n,ni,nj->ij", weights, nodes, nodes)
    np.testing.assert_allclose(second, np.eye(d) / d, atol=1e-13)
    fourth = np.einsum("n,ni,nj->ij", weights, nodes**2, nodes**2)
    np.testing.assert_allclose(fourth, (1 + 2 * np.eye(d)) / (d * (d + 2)), atol=1e-13)
    sixth, eighth = weights @ nodes**6, weights @ nodes**8
    np.testing.assert_allclose(sixth, 15 / (d * (d + 2) * (d + 4)), rtol=1e-12)
    np.testing.assert_allclose(eighth, 105 / (d * (d + 2) * (d + 4) * (d + 6)), rtol=1e-12)


@pytest.mark.parametrize("d", [2, 3, 5, 6, 8])
def test_average_of_an_exponential(d):
    a = np.arange(1, d + 1) / d
    names = [f"w{i}" for i in range(d)]
    loss = Loss(f"exp({' + '.join(f'{t}*{w}' for t, w in zip(a, names, strict=True))})", names)
    rho = 1.3
    k = rho * np.linalg.norm(a)
    exact = gamma(d / 2) * (2 / k) ** (d / 2 - 1) * iv(d / 2 - 1, k) - 1
    found = sharpness(loss, np.zeros(d), "average", rho=rho)
    assert found.low <= exact <= found.high
    assert float(found) == pytest.approx(exact, rel=1e-12 if d <= 6 else 2e-3)
    assert found.gap <= (1e-9 if d <= 6 else 1e-2)


def test_average_of_polynomials_in_two_ways():
    loss = two_residuals(0.3, -0.2)
    p = np.array([0.4, -0.3, 0.2, 0.8, -0.5])
    nodes, weights = sphere_rule(5, 6)
    for rho in (0.3, 2.0):
        exact = weights @ loss.value(p + rho * nodes) - loss.value(p)
        found = sharpness(loss, p, "average", rho=rho)
        assert float(found) == pytest.approx(exact, rel=1e-12)
        assert found.gap < 1e-13 * max(1, rho**4)


# --- shapes and refusals --------------------------------------------------------------------


def test_points_and_rho_broadcast():
    p = np.array([[1.0, 1.0], [2.0, 0.5], [4.0, 0.25]])
    rho = np.array([[0.1], [0.2]])
    for kind in KINDS:
        found = sharpness(FACTORS, p, kind, rho=rho, boxes=0)
        assert found.value.shape == found.low.shape == (2, 3)
        one = sharpness(FACTORS, p[2], kind, rho=0.2, boxes=0)
        assert float(one) == float(found.value[1, 2])
        assert found.direction.shape == (2, 3, 2)
        assert np.isnan(one.direction).all() == (kind != "worst")  # (4, 1/4) is a minimiser
    assert (np.asarray(found) == found.value).all()
    assert limiting_sharpness(FACTORS, p).tolist() == [2.0, 4.25, 16.0625]


def test_limits_know_the_rank():
    loss = Loss("2*x**2 + 1e-5*y**2")
    assert float(limiting_sharpness(loss, [0, 0], "ascent")) == pytest.approx(1e-5)
    assert float(limiting_sharpness(loss, [0, 0], "ascent", rtol=1e-4)) == pytest.approx(2.0)
    assert np.isnan(limiting_sharpness(Loss("x**4"), [0.0], "ascent"))
    assert float(limiting_sharpness(Loss("x**4"), [0.0])) == 0.0


def test_where_the_loss_ends():
    log = Loss("log(x) + y**2")
    found = [sharpness(log, [0.05, 0.0], kind, rho=0.1, boxes=0) for kind in KINDS]
    assert float(found[0]) == pytest.approx(np.log(3.0), rel=1e-6)  # it looks where log(x) is
    assert float(found[1]) == pytest.approx(np.log(3.0), rel=1e-12)
    assert np.isnan([found[2].value, found[2].low, found[2].high]).all()
    downhill = sharpness(Loss("-log(x)"), 0.05, "ascent", rho=0.1)
    assert np.isnan([downhill.value, downhill.low, downhill.high]).all()
    cone = Loss("sqrt(x**2 + y**2)")  # has no gradient at its tip
    tip = [float(sharpness(cone, [0.0, 0.0], kind, rho=0.3, boxes=0)) for kind in KINDS]
    assert tip == pytest.approx([0.3, np.nan, 0.3], nan_ok=True)
    for kind in KINDS:
        with pytest.raises(ValueError, match=r"p must be where the loss has a value.*at \[-1"):
            sharpness(log, [[1.0, 1.0], [-1.0, 0.0]], kind, rho=0.1)


def test_a_number_is_a_point_of_one_variable():
    assert float(sharpness(cosine(), 0.3, rho=1.0)) == float(sharpness(cosine(), [0.3], rho=1.0))
    assert float(limiting_sharpness(cosine(), 0.0)) == 0.5


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="rho must lie between 1e-100 and 1e"):
        sharpness(FACTORS, [1, 1], rho=[0.1, 1e-160])
    with pytest.raises(TypeError, match="p must be an array of real numbers, got 'here'"):
        sharpness(FACTORS, "here", rho=0.1)
    with pytest.raises(ValueError, match=r"p must have shape.*got shape \(0, 2\)"):
        sharpness(FACTORS, np.zeros((0, 2)), rho=0.1)
    with pytest.raises(ValueError, match="kind must be 'worst', 'ascent' or 'average', got 'max'"):
        sharpness(FACTORS, [1, 1], "max", rho=0.1)
    with pytest.raises(ValueError, match="rho must be above 0, got 0"):
        sharpness(FACTORS, [1, 1], rho=0.0)
    with pytest.raises(ValueError, match=r"rho must broadcast with the points, of shape \(2,\)"):
        sharpness(FACTORS, [[1, 1], [2, 2]], rho=[0.1, 0.2, 0.3])
    with pytest.raises(ValueError, match=r"p must have shape \(…, 2\)"):
        sharpness(FACTORS, [1, 1, 1], rho=0.1)
    with pytest.raises(ValueError, match="p must be finite"):
        sharpness(FACTORS, [1, np.nan], rho=0.1)
    with pytest.raises(TypeError, match="per_sample needs a finite sum"):
        sharpness(FACTORS, [1, 1], rho=0.1, per_sample=True)
    with pytest.raises(TypeError, match="loss must be a samdyn.Loss"):
        sharpness("x**2", [1], rho=0.1)
    with pytest.raises(ValueError, match="one value of constant scale"):
        sharpness(scalar_factorization(scale=[1.0, 2.0]), [1, 1], rho=0.1)
    with pytest.raises(ValueError, match="boxes must be a whole number"):
        sharpness(FACTORS, [1, 1], rho=0.1, boxes=-1)
    with pytest.raises(ValueError, match=r"p must be minimisers.*the gradient has length 5\.66"):
        limiting_sharpness(FACTORS, [[1, 1], [2.0, 0.0], [-1.0, 1.0]][::2])
    with pytest.raises(ValueError, match="the Hessian has an eigenvalue -2"):
        limiting_sharpness(FACTORS, [0.0, 0.0])
