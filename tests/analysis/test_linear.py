"""The linear part of a system: Jacobians, orbits, Newton's method, and where there is none."""

import numpy as np
import pytest

import samdyn as sd
from samdyn.analysis.linear import Linear, described, growth, kind_of, solved
from samdyn.systems.base import System

BEALE = sd.losses.beale()
QUARTIC = sd.Loss("x**2/2 - y**2/2 + y**4/4")
HENON = sd.FormulaMap({"x": "1 - a*x**2 + y", "y": "b*x"}, a=1.4, b=0.3)


# --- states ---------------------------------------------------------------------------------


def test_states_are_coordinates_or_whole_states():
    linear = Linear(sd.Map(QUARTIC, sd.GD(lr=0.1, momentum=0.5)))
    np.testing.assert_array_equal(linear.states([1, 2]), [1.0, 2.0, 0.0, 0.0])
    np.testing.assert_array_equal(linear.states([[1, 2, 3, 4]]), [[1.0, 2.0, 3.0, 4.0]])
    assert linear.states(np.ones((5, 3, 2))).shape == (5, 3, 4)
    assert Linear(sd.FormulaMap({"x": "x/2"})).states(0.5).shape == (1,)


def test_a_point_of_one_variable_with_momentum():
    linear = Linear(sd.Map(sd.Loss("x**2"), sd.GD(lr=0.1, momentum=0.5)))
    np.testing.assert_array_equal(linear.states([0.3]), [0.3, 0.0])
    np.testing.assert_array_equal(linear.states([0.3, 0.1]), [0.3, 0.1])


SWITCH = sd.Map(QUARTIC, sd.Switch([(0, sd.GD(lr=0.1))]))
REFUSALS = {
    "system": (lambda: Linear(QUARTIC), r"system must be a samdyn.Map\(loss, algorithm\)"),
    "switch": (lambda: Linear(SWITCH), "a Switch is several maps; take one of them from .phases"),
    "array": (
        lambda: Linear(sd.Map(QUARTIC, sd.GD(lr=[0.1, 0.2]))),
        r"one value of lr, .* shape \(2,\); choose one with system.replace\(lr=…\)",
    ),
    "length": (
        lambda: Linear(HENON).states([1.0, 2.0, 3.0], "x0"),
        r"x0 must have 2 entries \(x, y\), got shape \(3,\)",
    ),
    "momentum": (
        lambda: Linear(sd.Map(QUARTIC, sd.GD(lr=0.1, momentum=0.5))).states([1.0] * 3),
        r"point must have 2 entries \(x, y\), or 4 for the whole state, got shape \(3,\)",
    ),
    "number": (lambda: Linear(HENON).states(1.0), r"got shape \(\)"),
    "nan": (lambda: Linear(HENON).states([1.0, np.nan]), "point must be finite, got"),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_what_has_no_linear_part_is_refused(name):
    make, message = REFUSALS[name]
    with pytest.raises((ValueError, TypeError), match=message) as caught:
        make()
    assert "\n" not in str(caught.value)


# --- the law and its Jacobian ---------------------------------------------------------------

SYSTEMS = {
    "map": sd.Map(BEALE, sd.SAM(lr=0.01, rho=0.1)),
    "momentum": sd.Map(BEALE, sd.USAM(lr=0.01, rho=0.01, momentum=0.9)),
    "lookahead": sd.Map(BEALE, sd.Lookahead(sd.SAM(lr=0.01, rho=0.1, momentum=0.5), k=3)),
    "flow": sd.Flow(BEALE, sd.SAM(lr=0.01, rho=0.1, momentum=0.5), dt=0.7),
    "formula": HENON,
}


def stepped(system, z):
    """A step of a map, or the field of a flow, without `Linear`."""
    if system.continuous:
        return system.rate(z)
    numbers = [np.asarray(value) for value in system.numbers.values()]
    return np.stack(np.broadcast_arrays(*system.program(*np.moveaxis(z, -1, 0), *numbers)), -1)


@pytest.mark.parametrize("name", SYSTEMS)
def test_the_law_and_its_jacobian(name):
    system = SYSTEMS[name]
    linear = Linear(system)
    z = np.random.default_rng(0).uniform(0.2, 1.0, (3, 5, linear.size))
    value, jacobian = linear.law(z)
    np.testing.assert_array_equal(value, stepped(system, z))
    h = 1e-6 * np.eye(linear.size)
    columns = [(stepped(system, z + e) - stepped(system, z - e)) / 2e-6 for e in h]
    np.testing.assert_allclose(jacobian, np.stack(columns, -1), rtol=1e-6, atol=1e-6)


def test_numbers_may_vary_with_the_states():
    linear = Linear(HENON)
    z, a = np.random.default_rng(1).uniform(-1, 1, (4, 2)), np.array([0.1, 0.5, 1.0, 2.0])
    value, jacobian = linear.law(z, a=a)
    assert jacobian.shape == (4, 2, 2)
    np.testing.assert_allclose(value[:, 0], 1 - a * z[:, 0] ** 2 + z[:, 1], rtol=1e-14)
    np.testing.assert_allclose(jacobian[:, 0, 0], -2 * a * z[:, 0], rtol=1e-14)
    assert linear.law(z[0], a=a)[1].shape == (4, 2, 2)


@pytest.mark.parametrize("name", ["map", "momentum", "formula"])
def test_the_jacobian_of_an_orbit(name):
    system = SYSTEMS[name]
    linear = Linear(system)
    z = np.random.default_rng(2).uniform(0.2, 0.4, (6, linear.size))

    def far(z):
        for _ in range(4):
            z = stepped(system, z)
        return z

    points, end, jacobian = linear.orbit(z, 4)
    assert points.shape == (4, 6, linear.size)
    np.testing.assert_array_equal(points[0], z)
    np.testing.assert_array_equal(points[2], stepped(system, points[1]))
    np.testing.assert_array_equal(end, far(z))
    columns = [(far(z + e) - far(z - e)) / 2e-6 for e in 1e-6 * np.eye(linear.size)]
    np.testing.assert_allclose(jacobian, np.stack(columns, -1), rtol=1e-5, atol=1e-6)


def test_multipliers_of_heavy_ball_in_closed_form():
    """Polyak: the roots of m**2 - (1 + momentum - lr h) m + momentum, h each curvature."""
    found = described(
        Linear(sd.Map(QUARTIC, sd.GD(lr=0.3, momentum=0.5))), np.array([0.0, 1, 0, 0])
    )
    expected = np.concatenate([np.roots([1, -(1.5 - 0.3 * h), 0.5]) for h in (1.0, 2.0)])
    np.testing.assert_allclose(
        np.sort_complex(found.eigenvalues), np.sort_complex(expected), rtol=1e-12
    )
    assert np.all(np.diff(np.abs(found.eigenvalues)) < 1e-12)


# --- Newton's method ------------------------------------------------------------------------


def test_newton_finds_fixed_points_to_rounding():
    disc = np.sqrt(0.7**2 + 4 * 1.4)
    exact = np.array([[x, 0.3 * x] for x in ((-0.7 + disc) / 2.8, (-0.7 - disc) / 2.8)])
    found, error = Linear(HENON).polished(exact + np.array([[0.1, -0.05], [-0.1, 0.2]]))
    assert np.abs(found - exact).max() <= 1e-15
    assert error.max() <= 1e-15


def test_newton_finds_cycles_to_rounding():
    """Henon's 2-cycle: its x are the roots of a**2 x**2 - a(1 - b) x + (1 - b)**2 - a."""
    x = np.roots([1.4**2, -1.4 * 0.7, 0.7**2 - 1.4])
    exact = np.column_stack([x, 0.3 * x[::-1]])
    found, error = Linear(HENON).polished(exact + 0.03, period=2)
    assert np.abs(found - exact).max() <= 1e-14
    assert error.max() <= 1e-14


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("kind", [sd.Map, sd.Flow], ids=lambda kind: kind.__name__)
def test_newton_finds_beales_minimum(kind, momentum):
    linear = Linear(kind(BEALE, sd.USAM(lr=0.01, rho=0.01, momentum=momentum)))
    found, error = linear.polished(linear.states([[2.95, 0.49], [3.05, 0.51]]))
    np.testing.assert_allclose(found[:, :2], [[3.0, 0.5]] * 2, atol=1e-14)
    np.testing.assert_allclose(found[:, 2:], 0.0, atol=1e-13)
    assert error.max() <= 1e-13


def test_the_error_says_where_newton_went_nowhere():
    nowhere = Linear(sd.FormulaMap({"x": "x + 1 + x**2"}))  # x**2 + 1 has no root
    _, error = nowhere.polished(np.array([[0.4], [2.0]]))
    assert error.min() > 1e-3
    shift = Linear(sd.FormulaMap({"x": "x + log(y)", "y": "y"}))
    _, error = shift.polished(np.array([[0.3, -1.0]]))
    assert np.isinf(error).all()


def test_a_row_uses_its_own_numbers():
    linear = Linear(sd.FormulaMap({"x": "r*x*(1 - x)"}, r=2.0))
    r = np.array([2.0, 3.0, 4.0])
    found, _ = linear.polished(np.full((3, 1), 0.7), r=r)
    np.testing.assert_allclose(found[:, 0], 1 - 1 / r, rtol=1e-14)


def test_reach_bounds_the_step():
    linear = Linear(sd.FormulaMap({"x": "x + sin(x)"}))
    start = np.array([[1.5]])  # the tangent here is nearly level: a free step goes far away
    free, _ = linear.polished(start)
    near, error = linear.polished(start, reach=0.5)
    assert abs(free[0, 0]) > 3.0
    assert abs(near[0, 0]) < 1e-14
    assert error[0] < 1e-14


def test_singular_systems_are_solved_by_least_squares():
    matrices = np.array([np.diag([2.0, 0.0]), np.eye(2), np.full((2, 2), np.nan)])
    found = solved(matrices, np.array([[1.0, 0.0], [3.0, 4.0], [1.0, 1.0]]))
    np.testing.assert_allclose(found[:2], [[0.5, 0.0], [3.0, 4.0]])
    assert np.isnan(found[2]).all()


# --- smooth, kinked, jumping ----------------------------------------------------------------

GD, SAM = sd.GD(lr=0.01), sd.SAM(lr=0.01, rho=0.1)
SLOW, USAM = sd.SAM(lr=1e-4, rho=1e-4), sd.USAM(lr=0.01, rho=0.01, momentum=0.9)
KINKED = sd.Loss("x*abs(x) + y**2")
FAINT = sd.Loss("1e-3*max(x, 0)**2 + 50*y**2")
STIFF = sd.losses.rosenbrock()
LAWS = {
    "minimum, gd": (sd.Map(BEALE, GD), [3.0, 0.5], "smooth"),
    "minimum, sam": (sd.Map(BEALE, SAM), [3.0, 0.5], "jumps"),
    "minimum, asam": (sd.Map(BEALE, sd.ASAM(lr=0.01, rho=0.1)), [3.0, 0.5], "jumps"),
    "minimum, usam": (sd.Map(BEALE, USAM), [3.0, 0.5], "smooth"),
    "minimum, flow of sam": (sd.Flow(BEALE, SAM), [3.0, 0.5], "jumps"),
    "saddle, sam": (sd.Map(QUARTIC, SAM), [0.0, 0.0], "jumps"),
    "a small jump": (sd.Map(sd.Loss("1e-3*x**2 + 1e-4*y**2"), SLOW), [0.0, 0.0], "jumps"),
    "kink, gd": (sd.Map(KINKED, GD), [0.0, 0.3], "kink"),
    "kink, sam": (sd.Map(KINKED, SAM), [0.0, 0.3], "kink"),
    "kink, flow": (sd.Flow(KINKED, GD), [0.0, 0.3], "kink"),
    "beside the kink": (sd.Map(KINKED, GD), [0.1, 0.3], "smooth"),
    "a faint kink": (sd.Map(FAINT, GD), [0.0, 0.3], "kink"),
    "kink of a map": (sd.FormulaMap({"x": "1 - 2*abs(x)"}), [0.0], "kink"),
    "piecewise": (sd.FormulaMap({"x": "min(2*x, 2 - 2*x)"}), [0.5], "kink"),
    "jump of the gradient": (sd.Map(sd.Loss("abs(x) + y**2"), GD), [0.0, 0.3], "jumps"),
    "cubed size": (sd.Map(sd.Loss("abs(x)**3"), GD), [0.0], "smooth"),
    "rosenbrock": (sd.Map(STIFF, SAM), [1.5, -2.0], "smooth"),
    "rosenbrock far out": (sd.Map(STIFF, GD), [100.0, -50.0], "smooth"),
    "flow far out": (sd.Flow(STIFF, USAM), [100.0, -50.0], "smooth"),
    "beale far out": (sd.Map(BEALE, SAM), [-1000.0, 1000.0], "smooth"),
    "beale in the corner": (sd.Map(BEALE, USAM), [-4.5, 4.5], "smooth"),
    "linear": (sd.Map(sd.Loss("x**2 - y**2"), GD), [0.0, 0.0], "smooth"),
    "undefined": (sd.Map(sd.Loss("log(x)"), GD), [0.0], "jumps"),
}


@pytest.mark.parametrize("name", LAWS)
def test_smooth_kinked_or_jumping(name):
    system, point, expected = LAWS[name]
    linear = Linear(system)
    assert linear.smoothness(linear.states(point)) == expected


@pytest.mark.parametrize("rho", [1e-1, 1e-2, 1e-3, 1e-4])
def test_tiny_cycles_of_sam_are_smooth(rho):
    """On h y**2/2 SAM hops between y and -y, y = lr h rho/(2 - lr h), down to 1e-7 here."""
    linear = Linear(sd.Map(sd.Loss("x**2/2 + y**2"), sd.SAM(lr=1e-3, rho=rho)))
    y = 2e-3 * rho / (2 - 2e-3)
    found, error = linear.polished(np.array([[0.0, 1.05 * y]]), period=2)
    np.testing.assert_allclose(found, [[0.0, y]], rtol=1e-12)
    assert error[0] <= 1e-15
    assert linear.smoothness(found[0]) == "smooth"


# --- kinds ----------------------------------------------------------------------------------

KINDS = {
    "attractor": ([0.5, -0.9], [-1.0, -2.0 + 3j]),
    "saddle": ([0.5, -1.1], [-1.0, 0.1]),
    "repeller": ([1.5, -1.1], [1.0 + 2j, 0.1]),
    "neutral": ([1.0, 0.5], [0.0, -1.0]),
    "centre": ([1j, -1j], [2j, -2j]),
    "discontinuous": ([np.nan, np.nan], [np.nan, np.nan]),
}


@pytest.mark.parametrize("kind", KINDS)
def test_kinds(kind):
    multipliers, rates = KINDS[kind]
    assert kind_of(np.array(multipliers), False) == kind
    assert kind_of(np.array(rates), True) == kind


def test_growth():
    np.testing.assert_allclose(growth(np.array([2j, -0.5]), False), [1.0, -0.5])
    np.testing.assert_allclose(growth(np.array([2j, -0.5]), True), [0.0, -0.5])


def test_the_base_of_all_systems_promises_no_more_than_it_has():
    for call in (lambda s: s.coordinates, lambda s: s.numbers, lambda s: s.step([], {})):
        with pytest.raises(NotImplementedError):
            call(System())


def test_a_residual_that_no_step_takes_away_is_no_root():
    # x + c + x**2 has slope 1 at 0, where Newton's method has nowhere to go
    start = np.zeros((1, 1))
    for c in (1.0, 1e-9):
        linear = Linear(sd.FormulaMap({"x": "x + c + x**2"}, c=c))
        z, error = linear.polished(start)
        assert (z.item(), error.item()) == (0.0, np.inf)
    z, error = Linear(sd.FormulaMap({"x": "x + c + x**2"}, c=0.0)).polished(start)
    assert (z.item(), error.item()) == (0.0, 0.0)
    # along a line of fixed points the Jacobian is singular, and each of them is a root
    line = Linear(sd.FormulaMap({"x": "x", "y": "y/2 + x/4"}))
    z, error = line.polished(np.array([[0.3, 5.0]]))
    np.testing.assert_allclose(z[0, 1], z[0, 0] / 2, atol=1e-15)
    assert error[0] <= 1e-15
