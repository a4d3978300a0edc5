"""Known answers: thresholds, cycles, traps, Jacobians, and a published example."""

import mpmath
import numpy as np
import pytest
import sympy
from hypothesis import assume, given
from hypothesis import strategies as st

import samdyn as sd
from samdyn.readings.symbolic import formulas, jacobian_formula
from samdyn.symbols import symbols


def values(system, point):
    """Symbols of a map and their values, the velocity at 0."""
    rows = dict.fromkeys(system.rows, 0.0) | dict(zip(system.coordinates, point, strict=True))
    named = {**rows, **system.numbers}
    return dict(zip(symbols(tuple(named)), named.values(), strict=True))


def multipliers(system, point):
    known = values(system, point)
    return np.linalg.eigvals(np.array(jacobian_formula(system).subs(known).evalf(), float))


# --- USAM at a saddle ---------------------------------------------------------------------

eigenvalues = st.floats(-2.0, 2.0)


@given(
    pair=st.tuples(eigenvalues, eigenvalues),
    rho=st.floats(0.0, 3.0),
    lr=st.floats(0.01, 2.0),
    momentum=st.sampled_from([0.0, 0.5, 0.9]),
)
def test_usam_is_attracted_where_every_effective_curvature_is_in_range(pair, rho, lr, momentum):
    curvatures = np.array([l * (1 + rho * l) for l in pair])
    limit = 2 * (1 + momentum) / lr
    margins = np.concatenate([curvatures, limit - curvatures])
    assume(np.abs(margins).min() > 1e-6)
    system = sd.Map(sd.losses.quadratic_saddle(pair), sd.USAM(lr=lr, rho=rho, momentum=momentum))
    attracted = bool(np.all(np.abs(multipliers(system, (0.0, 0.0))) < 1))
    assert attracted == bool(np.all(margins > 0))


@pytest.mark.parametrize("momentum", [0.0, 0.5])
def test_usam_runs_into_the_saddle_just_past_its_threshold(momentum):
    low, high, lr = -0.5, 1.0, 0.25
    unstable = 1 / -low  # l (1 + rho l) > 0 for l = low
    steep = (2 * (1 + momentum) / lr / high - 1) / high  # l (1 + rho l) < 2 (1 + momentum) / lr
    rho = np.array([0.97 * unstable, 1.03 * unstable, 0.97 * steep, 1.03 * steep])
    system = sd.Map(
        sd.losses.quadratic_saddle((high, low)), sd.USAM(lr=lr, rho=rho, momentum=momentum)
    )
    run = sd.simulate(system, [0.1, 0.1], 20_000, progress=False)
    size = np.abs(run.final).max("coord")
    np.testing.assert_array_equal(size < 1e-3, [False, True, True, False])
    assert not (size[[0, 3]] < 1.0).any()


# --- normalised SAM -----------------------------------------------------------------------


@pytest.mark.parametrize("momentum", [0.0, 0.5])
def test_sam_on_a_quadratic_ends_in_the_two_cycle(momentum):
    steepest, lr, rho = 1.5, 0.1, 0.2
    loss = sd.losses.quadratic((steepest, 0.3))
    system = sd.Map(loss, sd.SAM(lr=lr, rho=rho, momentum=momentum))
    first, second = (system.apply([0.7, 0.4], steps) for steps in (2_999, 3_000))
    # x -> -x asks for v -> -v: with momentum, 2x = lr v and v (1 + momentum) = l (x + rho)
    amplitude = lr * rho * steepest / (2 * (1 + momentum) - lr * steepest)
    np.testing.assert_allclose(np.abs([first[0], second[0]]), amplitude, rtol=1e-10)
    assert first[0] == pytest.approx(-second[0], rel=1e-10)
    assert max(abs(first[1]), abs(second[1])) < 1e-10 * amplitude


def test_sam_is_trapped_by_a_saddle_within_rho_on_its_unstable_axis():
    rho = 0.3
    system = sd.Map(sd.losses.quadratic_saddle((1.0, -0.5)), sd.SAM(lr=0.05, rho=rho))
    starts = np.array([[0.0, 0.99 * rho], [0.0, 1.01 * rho], [0.0, -0.99 * rho]])
    run = sd.simulate(
        system, starts, 2_000, until=sd.Escape(center=(0, 0), radius=1.0), progress=False
    )
    np.testing.assert_array_equal(run.reason, [0, 1, 0])
    assert np.abs(run.final[[0, 2]]).max() < 0.05
    assert (run.final[:, 0] == 0).all()
    gd = sd.Map(sd.losses.quadratic_saddle((1.0, -0.5)), sd.GD(lr=0.05))
    assert np.abs(gd.apply(starts, 2_000)[:, 1]).min() > 1.0


# --- Jacobians ----------------------------------------------------------------------------

h1, h2, lr, rho, momentum = symbols(("lambda1", "lambda2", "lr", "rho", "momentum"))
HESSIAN = sympy.diag(h1, h2)
ONE = sympy.eye(2)
WAVES = sd.Loss("y**3/3 + cos(2*pi*x)*exp(y)")
EFFECTIVE = HESSIAN * (ONE + rho * HESSIAN)


@pytest.mark.parametrize(
    ("algorithm", "expected"),
    [
        (sd.GD(lr=0.1), ONE - lr * HESSIAN),
        (sd.USAM(lr=0.1, rho=0.1), ONE - lr * EFFECTIVE),
        (
            sd.GD(lr=0.1, momentum=0.9),
            sympy.Matrix([[ONE - lr * HESSIAN, -lr * momentum * ONE], [HESSIAN, momentum * ONE]]),
        ),
        (
            sd.USAM(lr=0.1, rho=0.1, momentum=0.9),
            sympy.Matrix(
                [[ONE - lr * EFFECTIVE, -lr * momentum * ONE], [EFFECTIVE, momentum * ONE]]
            ),
        ),
    ],
    ids=["gd", "usam", "gd momentum", "usam momentum"],
)
def test_the_jacobian_on_a_quadratic_is_the_closed_form(algorithm, expected):
    system = sd.Map(sd.losses.quadratic(), algorithm)
    assert (jacobian_formula(system) - expected).applyfunc(sympy.expand) == sympy.zeros(
        *expected.shape
    )


@pytest.mark.parametrize(
    "algorithm",
    [
        sd.GD(lr=0.05, momentum=0.9, nesterov=True, weight_decay=0.1),
        sd.SAM(lr=0.05, rho=0.1, momentum=0.9),
        sd.ASAM(lr=0.05, rho=0.1),
        sd.Lookahead(sd.USAM(lr=0.05, rho=0.1), k=2),
    ],
    ids=lambda algorithm: type(algorithm).__name__,
)
@pytest.mark.parametrize("loss", [sd.losses.quartic_saddle(), WAVES])
def test_the_jacobian_is_the_derivative_of_the_step(algorithm, loss):
    system = sd.Map(loss, algorithm)
    known = values(system, (0.3, 0.7))
    step = sympy.lambdify(list(known), formulas(system), "mpmath")
    slopes = sympy.lambdify(list(known), jacobian_formula(system), "mpmath")
    with mpmath.workdps(50):
        point = [mpmath.mpf(value) for value in known.values()]
        exact = slopes(*point)
        change = mpmath.mpf(10) ** -15
        for j in range(len(system.rows)):
            ahead, behind = list(point), list(point)
            ahead[j], behind[j] = ahead[j] + change, behind[j] - change
            for i, (a, b) in enumerate(zip(step(*ahead), step(*behind), strict=True)):
                assert abs((a - b) / (2 * change) - exact[i, j]) < 1e-20
        numbers = [float(value) for value in step(*point)]
    np.testing.assert_allclose(numbers, system.program(*known.values()), rtol=1e-13)


def test_formulas_are_exact():
    x = sympy.Symbol("x", real=True)
    (moved,) = formulas(sd.Map(sd.Loss("cos(2*pi*x)/3 + 0.1*x"), sd.GD(lr=0.5)))
    turn = 2 * sympy.pi
    expected = x - lr * (sympy.Rational(1, 10) - turn * sympy.sin(turn * x) / 3)
    assert sympy.expand(moved - expected) == 0


def test_formulas_keep_the_value_at_a_critical_point():
    system = sd.Map(sd.losses.quadratic(), sd.SAM(lr=0.1, rho=0.2))
    assert formulas(system)[0].subs(values(system, (0.0, 0.0))) == 0


def test_formulas_want_one_map():
    switch = sd.Switch([(0, sd.GD(lr=0.1)), (5, sd.GD(lr=0.2))])
    with pytest.raises(TypeError, match="take one of them from .phases"):
        formulas(sd.Map(sd.losses.quadratic(), switch))


# --- SAM late in training -----------------------------------------------------------------


def test_sam_leaves_the_minimum_of_gd_for_a_flatter_one():
    """Zhou et al. (arXiv 2410.10373), Example 4.1: the loss tanh(v tanh(u))^2 / 2."""
    loss = sd.Loss("0.5*tanh(v*tanh(u))**2", variables="u v")
    gd, sam = sd.GD(lr=2.5), sd.SAM(lr=2.5, rho=0.05)
    run = sd.simulate(
        sd.Map(loss, sd.Switch([(0, gd), (100, sam)])),
        [1.6, 0.3],
        1_000,
        record=[99, 100, 103, 1_000],
        progress=False,
    )
    sharpness = np.linalg.eigvalsh(loss.hessian(run.w.values))[:, -1]
    before, at, out, end = range(4)
    # GD has come to rest at a minimum (u, 0), of sharpness tanh(u)^2 just below 2/lr
    assert run.loss[at] < 1e-9
    assert abs(sharpness[at] - np.tanh(run.w[at, 0]) ** 2) < 1e-6
    assert abs(sharpness[at] - sharpness[before]) < 1e-6
    assert 0.9 * 2 / 2.5 < sharpness[at] < 2 / 2.5
    # SAM kicks the weights out within steps, and they come to rest where it is far flatter
    assert run.loss[out] > 1e6 * run.loss[at]
    assert run.loss[end] < 1e-9
    assert sharpness[end] < 0.01 * sharpness[at]
    stayed = sd.Map(loss, gd).apply([1.6, 0.3], 1_000)
    assert np.linalg.eigvalsh(loss.hessian(stayed))[-1] == pytest.approx(sharpness[at], rel=1e-6)
