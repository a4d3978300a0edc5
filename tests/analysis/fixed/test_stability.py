"""Multipliers and thresholds against closed forms, and the theorems of Kim et al."""

import numpy as np
import pytest
import sympy
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import samdyn as sd


def quadratic(eigenvalues):
    """A diagonal quadratic turned by a fixed rotation, so that nothing is diagonal."""
    d = len(eigenvalues)
    turn, _ = np.linalg.qr(np.random.default_rng(d).standard_normal((d, d)))
    hessian = turn @ np.diag(eigenvalues) @ turn.T
    names = [f"x{i}" for i in range(d)]
    terms = [f"({float(hessian[i, j] / 2)!r})*x{i}*x{j}" for i in range(d) for j in range(d)]
    # the float text is read back exactly, so the loss has this Hessian to rounding
    return sd.Loss(" + ".join(terms), variables=names)


def effective(eigenvalues, rho):
    return eigenvalues * (1 + rho * eigenvalues)


def heavy_ball(effective_, lr, momentum):
    """Both roots of z^2 - (1 + momentum - lr e) z + momentum for each eigenvalue."""
    roots = [np.roots([1.0, -(1 + momentum - lr * e), momentum]) for e in effective_]
    return np.concatenate(roots).astype(complex)


def sorted_complex(values):
    return np.array(sorted(values, key=lambda z: (round(abs(z), 9), round(z.imag, 9), z.real)))


EIGENVALUES = {d: np.linspace(-0.9, 2.1, d) + 0.013 for d in range(2, 11)}


@pytest.mark.parametrize("d", range(2, 11))
@pytest.mark.parametrize("rho", [0.0, 0.7])
@pytest.mark.parametrize("momentum", [0.0, 0.6])
def test_multipliers_on_quadratics_are_the_closed_forms(d, rho, momentum):
    values = EIGENVALUES[d]
    algorithm = (
        sd.USAM(lr=0.3, rho=rho, momentum=momentum) if rho else sd.GD(lr=0.3, momentum=momentum)
    )
    found = sd.multipliers(sd.Map(quadratic(values), algorithm), np.zeros(d))
    strength = effective(values, rho)
    expected = heavy_ball(strength, 0.3, momentum) if momentum else (1 - 0.3 * strength) + 0j
    np.testing.assert_allclose(sorted_complex(found), sorted_complex(expected), atol=1e-10)


@pytest.mark.parametrize(
    "d", [pytest.param(d, marks=() if d in (2, 3, 6) else pytest.mark.slow) for d in range(2, 11)]
)
@pytest.mark.parametrize("momentum", [0.0, 0.6])
def test_thresholds_on_quadratics_are_the_closed_forms(d, momentum):
    """Stable iff 0 < lam(1 + rho lam) < 2(1 + momentum)/lr for every eigenvalue."""
    values = EIGENVALUES[d]
    lr = 0.3
    system = sd.Map(quadratic(values), sd.USAM(lr=lr, rho=0.05, momentum=momentum))
    found = [t.value for t in sd.stability_thresholds(system, np.zeros(d), "rho", (1e-4, 1e5))]
    expected = []
    for value in values:
        if value < 0:
            expected.append(-1 / value)
        expected.append((2 * (1 + momentum) / (lr * value) - 1) / value)
    np.testing.assert_allclose(found, np.sort(expected), rtol=1e-10)
    positive = values[values > 0]
    system = sd.Map(quadratic(positive), sd.GD(lr=lr, momentum=momentum))
    threshold = sd.stability_threshold(system, np.zeros(len(positive)), "lr")
    assert threshold.kind == "flip"
    np.testing.assert_allclose(threshold.value, 2 * (1 + momentum) / positive.max(), rtol=1e-10)


@settings(max_examples=15)
@given(
    lam=st.floats(0.05, 50.0),
    other=st.floats(0.05, 5.0),
    lr=st.floats(1e-4, 1e-2),
    momentum=st.sampled_from([0.0, 0.5, 0.9]),
)
def test_theorem_1_for_any_saddle(lam, other, lr, momentum):
    """Past rho = -1/lambda_1 the saddle is an attractor; momentum does not move that."""
    assume((2 / (lr * other) - 1) / other > 3 / lam)  # else the other direction flips first
    loss = sd.Loss("a*x**2/2 - b*y**2/2", variables="x y", a=other, b=lam)
    usam = sd.USAM(lr=lr, rho=0.5 / lam, momentum=momentum)
    found = sd.stability_threshold(sd.Map(loss, usam), [0, 0], "rho", (0.2 / lam, 2 / lam))
    assert found.value == pytest.approx(1 / lam, rel=1e-12)
    assert (found.kind, found.below, found.above) == ("fold", "saddle", "attractor")


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("view", ["map", "flow"])
def test_theorem_1_at_beales_saddle(view, momentum):
    """The saddle (0, 1) of the Beale function: eigenvalues -27.75 and 27.75."""
    algorithm = sd.USAM(lr=1e-4, rho=0.01, momentum=momentum)
    beale = sd.losses.beale()
    system = sd.Map(beale, algorithm) if view == "map" else sd.Flow(beale, algorithm)
    assert sd.stability(system, [0, 1]).kind == "saddle"
    found = sd.stability_threshold(system, [0, 1], "rho")
    assert found.value == pytest.approx(1 / 27.75, rel=1e-12)
    assert found.formula == sympy.Rational(4, 111)
    assert sd.stability(system.replace(rho=0.04), [0, 1]).kind == "attractor"


def test_formulas_of_thresholds():
    loss = sd.Loss("a*x**2/2 - b*y**2/2", variables="x y", a=2.0, b=0.5)
    a, b, lr, rho, momentum = sympy.symbols("a b lr rho momentum", real=True)
    system = sd.Map(loss, sd.USAM(lr=0.1, rho=0.1, momentum=0.5))
    in_rho = {t.kind: t.formula for t in sd.stability_thresholds(system, [0, 0], "rho")[:2]}
    assert sympy.simplify(in_rho["fold"] - 1 / b) == 0
    assert sympy.simplify(in_rho["flip"] - (2 * (1 + momentum) / (lr * a) - 1) / a) == 0
    (in_lr,) = [t for t in sd.stability_thresholds(system, [0, 0], "lr") if t.kind == "flip"][:1]
    assert sympy.simplify(in_lr.formula - 2 * (1 + momentum) / (a * (1 + rho * a))) == 0
    gd = sd.Map(sd.Loss("2*x**2"), sd.GD(lr=0.9))
    found = sd.stability_threshold(gd, [0], "momentum")  # not among its numbers while it is 0
    assert found.value == pytest.approx(0.8, abs=1e-12)
    assert sympy.simplify(found.formula - (2 * lr - 1)) == 0
    assert (found.below, found.above) == ("saddle", "attractor")


def test_a_complex_pair_crosses():
    """The delayed logistic map: the point 1 - 1/r loses its stability at r = 2, exp(i pi/3)."""
    system = sd.FormulaMap({"x": "r*x*(1 - y)", "y": "x"}, r=1.8)
    point = [1 - 1 / 1.8] * 2
    (found,) = [
        t
        for t in sd.stability_thresholds(system, point, "r", (1.5, 2.2))
        if t.kind == "Neimark-Sacker"
    ]
    assert found.value == pytest.approx(2.0, abs=1e-12)
    assert abs(np.angle(found.multiplier)) == pytest.approx(np.pi / 3, abs=1e-9)
    np.testing.assert_allclose(found.point, [0.5, 0.5], atol=1e-12)


@pytest.mark.parametrize(
    ("period", "start", "doubling"),
    [(1, 2.5, 3.0), (2, 3.2, 1 + np.sqrt(6)), (4, 3.5, 3.5440903596)],
)
def test_period_doublings_of_the_logistic_map(period, start, doubling):
    system = sd.FormulaMap({"x": "r*x*(1 - x)"}, r=start)
    x = 0.4
    for _ in range(5000):
        x = start * x * (1 - x)
    orbit = []
    for _ in range(period):
        orbit.append([x])
        x = start * x * (1 - x)
    found = sd.stability_threshold(system, orbit, "r", (start - 0.02, start + 0.6))
    assert found.kind == "flip"
    assert found.value == pytest.approx(doubling, abs=1e-6 if period == 4 else 1e-11)


def test_stability_of_fixed_points_of_the_henon_map():
    a, b = 1.4, 0.3
    system = sd.FormulaMap({"x": "1 - a*x**2 + y", "y": "b*x"}, a=a, b=b)
    for sign in (1, -1):
        x = (b - 1 + sign * np.sqrt((1 - b) ** 2 + 4 * a)) / (2 * a)
        found = sd.stability(system, [round(x, 6), round(b * x, 6)])  # polished
        np.testing.assert_allclose(found.points, [[x, b * x]], rtol=1e-14)
        expected = np.roots([1.0, 2 * a * x, -b])
        np.testing.assert_allclose(
            sorted_complex(found.eigenvalues), sorted_complex(expected + 0j), atol=1e-12
        )
        assert found.kind == "saddle"
        assert found.unstable == 1
        for value, vector in zip(found.eigenvalues, found.eigenvectors.T, strict=True):
            np.testing.assert_allclose(
                sd.jacobian(system, found.points[0]) @ vector, value * vector, atol=1e-12
            )


def test_kinds():
    square = sd.Loss("x**2 + y**2/2")
    assert sd.stability(sd.Map(square, sd.GD(lr=0.1)), [0, 0]).kind == "attractor"
    assert sd.stability(sd.Map(square, sd.GD(lr=1.5)), [0, 0]).kind == "saddle"
    assert sd.stability(sd.Map(square, sd.GD(lr=5.0)), [0, 0]).kind == "repeller"
    assert sd.stability(sd.Map(sd.Loss("(x*y - 1)**2"), sd.GD(lr=0.1)), [1, 1]).kind == "neutral"
    turn = sd.FormulaMap({"x": "x*3/5 - y*4/5", "y": "x*4/5 + y*3/5"})
    assert sd.stability(turn, [0, 0]).kind == "centre"
    assert sd.stability(sd.Map(square, sd.SAM(lr=0.1, rho=0.1)), [0, 0]).kind == "discontinuous"
    assert sd.stability(sd.Flow(square, sd.GD(lr=0.1)), [0, 0]).kind == "attractor"
    assert sd.stability(sd.Flow(sd.Loss("x**2-y**2"), sd.GD(lr=0.1)), [0, 0]).kind == "saddle"


def test_the_flow_has_the_field_of_the_algorithm():
    """dx/dt = -lam (1 + rho lam) x, with momentum the roots of lr s^2 + (1 - m + lr e) s + e."""
    loss, lr, momentum = sd.Loss("x**2 - y**2/4"), 0.1, 0.9
    strength = effective(np.array([2.0, -0.5]), 0.3)
    flow = sd.Flow(loss, sd.USAM(lr=lr, rho=0.3))
    np.testing.assert_allclose(
        sd.multipliers(flow, [0, 0]).real, np.sort(-strength)[::-1], atol=1e-13
    )
    flow = sd.Flow(loss, sd.USAM(lr=lr, rho=0.3, momentum=momentum))
    expected = np.concatenate([np.roots([lr, 1 - momentum + lr * e, e]) for e in strength])
    np.testing.assert_allclose(
        sorted_complex(sd.multipliers(flow, [0, 0])), sorted_complex(expected + 0j), atol=1e-11
    )


def test_multipliers_of_sams_two_cycle():
    """Squares of -(1 - lr l1) along it and of 1 - lr li - (2 - lr l1)(li/l1)^2 across it."""
    lr, rho, lams = 0.1, 0.05, np.array([3.0, 1.0, 0.4])
    loss = sd.Loss("3*x**2/2 + y**2/2 + 0.4*z**2/2")
    r = lr * rho * 3 / (2 - lr * 3)
    found = sd.stability(sd.Map(loss, sd.SAM(lr=lr, rho=rho)), [[r, 0, 0], [-r, 0, 0]])
    own = 1 - lr * lams - (2 - lr * 3) * (lams / 3) ** 2
    own[0] = -(1 - lr * 3)
    np.testing.assert_allclose(np.sort(found.eigenvalues.real), np.sort(own**2), atol=1e-10)
    np.testing.assert_allclose(found.rates.max(), np.log(np.max(np.abs(own))), atol=1e-10)
    assert found.kind == "attractor"
    assert found.period == 2


@pytest.mark.parametrize("x", [1.0, 1.3, 1.7])
def test_thresholds_on_a_curve_of_minimisers(x):
    """The multiplier 1 along xy = 1 is neutral throughout and does not count."""
    top = 2 * (x**2 + x**-2)
    gd = sd.Map(sd.Loss("(x*y - 1)**2"), sd.GD(lr=0.1))
    (found,) = sd.stability_thresholds(gd, [x, 1 / x], "lr")
    assert (found.kind, found.below) == ("flip", "attractor")
    assert found.value == pytest.approx(2 / top, rel=1e-12)
    assert found.multiplier == pytest.approx(-1)
    usam = sd.Map(sd.Loss("(x*y - 1)**2"), sd.USAM(lr=0.1, rho=0.1, momentum=0.5))
    (found,) = sd.stability_thresholds(usam, [x, 1 / x], "rho")
    assert found.value == pytest.approx((2 * 1.5 / (0.1 * top) - 1) / top, rel=1e-11)


def test_the_multiplier_that_crosses_is_named():
    for formula, value in (("x**2/2 + y**4", 2.0), ("x**4 + y**2", 1.0)):
        found = sd.stability_threshold(sd.Map(sd.Loss(formula), sd.GD(lr=0.1)), [0, 0], "lr")
        assert (found.kind, found.value) == ("flip", pytest.approx(value, rel=1e-12))
        assert found.multiplier == pytest.approx(-1)


@pytest.mark.parametrize(("steps", "decides"), [(2, None), (3, 1.5)])
def test_multipliers_that_touch_or_cross_without_a_slope(steps, decides):
    """With k ascent steps lam (1 + rho lam/k)^k: k = 2 touches the circle, k = 3 crosses it."""
    system = sd.Map(sd.Loss("x**2 - y**2"), sd.USAM(lr=0.1, rho=0.1, ascent_steps=steps))
    folds = [t for t in sd.stability_thresholds(system, [0, 0], "rho") if t.kind == "fold"]
    if decides is None:
        assert not folds
        return
    (found,) = folds
    assert found.value == pytest.approx(decides, abs=1e-12)
    assert (found.below, found.above) == ("saddle", "attractor")
    assert sd.stability_threshold(system, [0, 0], "rho").value == found.value


def test_crossings_far_from_the_usual_values_and_common_ones():
    stiff = sd.Map(sd.Loss("1e10*x**2 + 1e-6*y**2"), sd.GD(lr=1e-12))
    assert sd.stability_threshold(stiff, [0, 0], "lr").value == pytest.approx(1e-10, rel=1e-9)
    both = sd.Map(sd.Loss("x**2 + y**2/4"), sd.GD(lr=0.1, momentum=0.9))
    (found,) = sd.stability_thresholds(both, [0, 0], "momentum", (0, 2))
    assert found.kind == "Neimark-Sacker"
    assert found.value == pytest.approx(1.0, abs=1e-12)


def test_a_number_stands_for_a_point_of_one_variable():
    logistic = sd.FormulaMap({"x": "r*x*(1 - x)"}, r=3.2)
    assert sd.stability(logistic, 0.6875).kind == "repeller"


REFUSALS = {
    "twice the same": (
        lambda s: sd.stability(s, [[0, 0], [0, 0]]),
        ValueError,
        "point has period 1, not 2",
    ),
    "one end": (
        lambda s: sd.stability_threshold(s, [0, 0], "rho", 3),
        ValueError,
        "between must be .low, high.",
    ),
    "not fixed": (lambda s: sd.stability(s, [1, 1]), ValueError, r"point \(1, 1\) is not fixed"),
    "wrong length": (lambda s: sd.stability(s, [1, 1, 1]), ValueError, "point must have 2 entries"),
    "NaN": (lambda s: sd.stability(s, [np.nan, 0]), ValueError, "point must be finite"),
    "array": (
        lambda s: sd.stability(s.replace(lr=[0.1, 0.2]), [0, 0]),
        ValueError,
        "one value of lr",
    ),
    "a loss": (lambda s: sd.stability(s.loss, [0, 0]), TypeError, "system must be a samdyn.Map"),
    "unknown": (
        lambda s: sd.stability_threshold(s, [0, 0], "tau"),
        ValueError,
        "name must be one of the system's numbers .lr, rho, a.",
    ),
    "constant": (
        lambda s: sd.stability_threshold(s, [0, 0], "a"),
        ValueError,
        "between must be given for a",
    ),
    "interval": (
        lambda s: sd.stability_threshold(s, [0, 0], "rho", (2, 1)),
        ValueError,
        "between must be .low, high.",
    ),
    "nothing there": (
        lambda s: sd.stability_threshold(s, [0, 0], "rho", (0.1, 0.2)),
        ValueError,
        "no multiplier crosses",
    ),
    "jumps": (
        lambda s: sd.stability_threshold(sd.Map(s.loss, sd.SAM(lr=0.1, rho=0.1)), [0, 0], "rho"),
        ValueError,
        "jumps at the point",
    ),
    "dt": (
        lambda s: sd.stability_threshold(sd.Flow(s.loss, s.algorithm), [0, 0], "dt"),
        ValueError,
        "name dt is the scheme's",
    ),
    "a flow's cycle": (
        lambda s: sd.stability(sd.Flow(s.loss, s.algorithm), [[0, 0], [1, 1]]),
        ValueError,
        "a flow has fixed points",
    ),
    "a switch": (
        lambda s: sd.stability(sd.Map(s.loss, sd.Switch([(0, s.algorithm)])), [0, 0]),
        TypeError,
        "a Switch is several maps",
    ),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_refusals_are_one_sentence(case):
    call, error, message = REFUSALS[case]
    system = sd.Map(sd.Loss("a*x**2/2 - y**2/2", variables="x y", a=1.0), sd.USAM(lr=0.1, rho=0.1))
    with pytest.raises(error, match=message) as caught:
        call(system)
    assert "\n" not in str(caught.value)
