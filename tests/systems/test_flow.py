"""Flows: their fields in closed form, their schemes' orders, and their compiled kernels."""

import numpy as np
import pytest
import xarray as xr
from scipy.integrate import solve_ivp
from scipy.linalg import expm

import samdyn as sd
from samdyn.ensembles.axes import lay_out
from samdyn.ensembles.points import checked_points
from samdyn.ensembles.steplength import too_long
from samdyn.readings.symbolic import formulas, jacobian_formula
from samdyn.symbols import evaluate, symbols

WELL = sd.Loss("a*x**4/4 - x**2/2 + x*y + 3*y**2/4", variables="x y", a=1.5)
PLACES = np.random.default_rng(0).uniform(-1.5, 1.5, (20, 2))


def gradient_at(w, ascent):
    return WELL.grad(w + ascent(w, WELL.grad(w)))


def sam_ascent(w, g):
    return 0.2 * g / np.linalg.norm(g, axis=-1, keepdims=True)


def asam_ascent(w, g):
    t = np.abs(w) + 0.01
    return 0.2 * t**2 * g / np.linalg.norm(t * g, axis=-1, keepdims=True)


FIELDS = {
    "gd": (sd.GD(lr=0.1), lambda w, g: 0.0 * g),
    "sam": (sd.SAM(lr=0.1, rho=0.2), sam_ascent),
    "usam": (sd.USAM(lr=0.1, rho=0.2), lambda w, g: 0.2 * g),
    "asam": (sd.ASAM(lr=0.1, rho=0.2), asam_ascent),
}


@pytest.mark.parametrize("name", FIELDS)
def test_the_field_is_the_gradient_at_the_perturbed_point(name):
    algorithm, ascent = FIELDS[name]
    flow = sd.Flow(WELL, algorithm)
    np.testing.assert_allclose(flow.rate(PLACES), -gradient_at(PLACES, ascent), rtol=1e-13)


def test_weight_decay_pulls_home():
    flow = sd.Flow(WELL, sd.GD(lr=0.1, weight_decay=0.3))
    np.testing.assert_allclose(flow.rate(PLACES), -(WELL.grad(PLACES) + 0.3 * PLACES), rtol=1e-14)


@pytest.mark.parametrize("name", FIELDS)
def test_without_momentum_lr_is_no_number_of_the_flow(name):
    algorithm, _ = FIELDS[name]
    flow = sd.Flow(WELL, algorithm)
    assert "lr" not in flow.numbers
    assert list(flow.numbers) == [*(n for n in algorithm.numbers if n != "lr"), "a", "dt"]
    np.testing.assert_array_equal(flow.replace(lr=0.7).rate(PLACES), flow.rate(PLACES))


STATES = np.random.default_rng(1).uniform(-1, 1, (10, 4))


def test_heavy_ball_and_nesterov():
    w, v = STATES[:, :2], STATES[:, 2:]
    lr, m = 0.1, 0.8
    g = gradient_at(w, sam_ascent)
    heavy = sd.Flow(WELL, sd.SAM(lr=lr, rho=0.2, momentum=m))
    assert heavy.rows == ("x", "y", "velocity_x", "velocity_y")
    assert "lr" in heavy.numbers
    expected = np.hstack([-(m * v + g), (g - (1 - m) * v) / lr])
    np.testing.assert_allclose(heavy.rate(STATES), expected, rtol=1e-12, atol=1e-13)
    ahead = sd.Flow(WELL, sd.SAM(lr=lr, rho=0.2, momentum=m, nesterov=True))
    expected = np.hstack([-(g + m * (m * v + g)), (g - (1 - m) * v) / lr])
    np.testing.assert_allclose(ahead.rate(STATES), expected, rtol=1e-12, atol=1e-13)


def test_heavy_ball_tends_to_a_faster_gradient_flow():
    """dw/dt -> -g/(1 - momentum) as lr falls, with an error of order lr."""
    errors = []
    for lr in (0.02, 0.01):
        flow = sd.Flow(WELL, sd.GD(lr=lr, momentum=0.5), dt=lr / 10)
        w = flow.apply([1.0, -0.5], round(2.0 / flow.dt))
        still = sd.Flow(WELL, sd.GD(lr=lr), dt=lr / 5).apply([1.0, -0.5], round(4.0 / (lr / 5)))
        errors.append(np.linalg.norm(w - still))
    assert 1.7 < errors[0] / errors[1] < 2.3


@pytest.mark.parametrize("momentum", [0.0, 0.8])
def test_formulas_and_jacobian_of_the_field(momentum):
    flow = sd.Flow(WELL, sd.USAM(lr=0.1, rho=0.2, momentum=momentum))
    z = STATES[0, : len(flow.rows)]
    known = dict(zip(symbols(flow.rows), z, strict=True))
    known |= dict(zip(symbols(tuple(flow.numbers)), flow.numbers.values(), strict=True))
    said = [float(evaluate(rate, known)) for rate in formulas(flow)]
    np.testing.assert_allclose(said, flow.rate(z), rtol=1e-12)
    h = 1e-6 * np.eye(len(z))
    differences = (flow.rate(z + h) - flow.rate(z - h)).T / 2e-6
    jacobian = [[float(evaluate(e, known)) for e in row] for row in jacobian_formula(flow).tolist()]
    np.testing.assert_allclose(jacobian, differences, rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("name", FIELDS)
def test_the_euler_step_of_length_lr_is_the_algorithm(name):
    algorithm, _ = FIELDS[name]
    flow = sd.Flow(WELL, algorithm, dt=algorithm.lr, scheme=sd.euler)
    map_ = sd.Map(WELL, algorithm)
    for steps in (1, 20):
        np.testing.assert_array_equal(flow.apply(PLACES, steps), map_.apply(PLACES, steps))


@pytest.mark.parametrize("make_loss", sd.losses.LIBRARY, ids=lambda make: make.__name__)
def test_it_is_so_on_every_loss(make_loss):
    loss, algorithm = make_loss(), sd.SAM(lr=1e-4, rho=0.05, weight_decay=0.1)
    low, high = np.transpose(loss.box)
    x0 = np.random.default_rng(0).uniform(low, high, (20, loss.dimension))
    flow = sd.Flow(loss, algorithm, dt=1e-4, scheme=sd.euler)
    np.testing.assert_array_equal(flow.apply(x0, 3), sd.Map(loss, algorithm).apply(x0, 3))


def test_so_is_it_with_momentum_up_to_rounding():
    algorithm = sd.SAM(lr=0.05, rho=0.1, momentum=0.8)
    flow = sd.Flow(WELL, algorithm, dt=0.05, scheme=sd.euler)
    expected = sd.Map(WELL, algorithm).apply(PLACES, 10)
    np.testing.assert_allclose(flow.apply(PLACES, 10), expected, rtol=1e-12, atol=1e-13)


ORDERS = {"euler": (sd.euler, 1), "heun": (sd.heun, 2), "rk4": (sd.rk4, 4)}


@pytest.mark.parametrize("name", ORDERS)
def test_the_order_of_a_scheme(name):
    """Errors at t = 1 beside an integration to 1e-13 (Dormand and Prince's method of order 8)."""
    scheme, order = ORDERS[name]
    algorithm, start = sd.USAM(lr=0.1, rho=0.2), [1.2, -0.7]
    field = sd.Flow(WELL, algorithm).rate
    exact = solve_ivp(
        lambda t, w: field(w), (0, 1), start, method="DOP853", rtol=1e-13, atol=1e-14
    ).y[:, -1]
    errors = [
        np.linalg.norm(sd.Flow(WELL, algorithm, 1 / n, scheme).apply(start, n) - exact)
        for n in (200, 400)
    ]
    assert errors[1] > 1e-12
    assert np.log2(errors[0] / errors[1]) == pytest.approx(order, abs=0.1)


def test_a_linear_flow_is_a_matrix_exponential():
    saddle = sd.Loss("3*x**2/2 + x*y - y**2/2")
    h = np.array([[3.0, 1.0], [1.0, -1.0]])
    flow = sd.Flow(saddle, sd.USAM(lr=1.0, rho=0.2), dt=0.005)
    start = np.array([0.3, -0.4])
    exact = expm(-(h + 0.2 * h @ h)) @ start
    np.testing.assert_allclose(flow.apply(start, 200), exact, rtol=1e-9)


def twice_euler(field, z, dt):
    """Two Euler steps of half the length, as a user may write a scheme."""
    for _ in range(2):
        z = [x + 0.5 * dt * rate for x, rate in zip(z, field(z), strict=True)]
    return z


COMPILED = {
    "rk4": (WELL, sd.USAM(lr=0.1, rho=0.1), sd.rk4),
    "heun": (WELL, sd.SAM(lr=0.1, rho=0.1), sd.heun),
    "twice_euler": (WELL, sd.SAM(lr=0.1, rho=0.1, momentum=0.5), twice_euler),
}


@pytest.mark.parametrize("name", COMPILED)
def test_the_compiled_kernel_equals_numpy_bit_for_bit(name):
    loss, algorithm, scheme = COMPILED[name]
    flow = sd.Flow(loss, algorithm, dt=1e-3, scheme=scheme)
    assert flow.program.is_ieee
    x0 = np.random.default_rng(2).uniform(-1, 1, (70, 2))
    run = sd.simulate(flow, x0, 50, record=[0, 50])
    np.testing.assert_array_equal(run.final, flow.apply(x0, 50))
    np.testing.assert_array_equal(run.t, [0.0, 50 * 1e-3])
    assert run.attrs["scheme"] == scheme.__name__


def test_a_sweep_over_dt_and_rho():
    dt, rho = np.array([0.01, 0.02]), np.array([0.0, 0.1, 0.2])
    flow = sd.Flow(WELL, sd.USAM(lr=0.1, rho=rho), dt=dt)
    run = sd.simulate(flow, [1.0, 0.5], 30, record=10)
    assert run.w.dims == ("rho", "dt", "time", "coord")
    assert run.t.dims == ("dt", "time")
    np.testing.assert_array_equal(run.t, dt[:, None] * np.arange(0, 31, 10))
    for i, r in enumerate(rho):
        for j, step in enumerate(dt):
            one = sd.Flow(WELL, sd.USAM(lr=0.1, rho=r), dt=step).apply([1.0, 0.5], 30)
            np.testing.assert_allclose(run.final[i, j], one, rtol=1e-14)


def test_dt_may_vary_with_the_particles():
    dt = xr.DataArray([0.01, 0.02], dims="particle")
    run = sd.simulate(sd.Flow(WELL, sd.USAM(lr=0.1, rho=0.1), dt=dt), np.ones((2, 2)), 4, record=2)
    assert run.t.dims == ("particle", "time")
    np.testing.assert_allclose(run.t, [[0, 0.02, 0.04], [0, 0.04, 0.08]])


def test_events_and_time_of_a_flow():
    """On x**2/2 the flow is exp(-t): it comes within 0.5 at the first step after t = ln 2."""
    flow = sd.Flow(sd.Loss("x**2/2"), sd.GD(lr=1.0), dt=0.01)
    assert (0.01 * np.arange(71))[-1] > np.log(2)
    run = sd.simulate(flow, 1.0, 200, until=sd.Reached(center=0.0, radius=0.5))
    assert int(run.steps) == int(np.ceil(np.log(2) / 0.01))


# --- too long a step ------------------------------------------------------------------------


def said_of(flow, x0):
    points = checked_points(x0, flow.coordinates, flow.rows)
    numbers = {f"0:{name}": value for name, value in flow.numbers.items()}
    return too_long(flow, lay_out(numbers, points, tuple(points["coord"].values)))


STIFF = sd.Loss("50*x**2 + y**2/2")
LIMITS = {"euler": (sd.euler, 0.02), "heun": (sd.heun, 0.02), "rk4": (sd.rk4, 0.0278529)}


@pytest.mark.parametrize("name", LIMITS)
def test_a_step_beyond_the_stability_limit_is_found(name):
    """The limits are the textbook's: 2 and 2.785 over the steepest curvature, which is 100."""
    scheme, limit = LIMITS[name]
    flow = sd.Flow(STIFF, sd.GD(lr=1.0), dt=0.999 * limit, scheme=scheme)
    assert said_of(flow, [1.0, 1.0]) is None
    said = said_of(flow.replace(dt=1.001 * limit), [1.0, 1.0])
    assert f"limit of {name} at 1 of the 1 initial" in said
    assert said.endswith(f"take dt below {limit:.3g}")


def test_simulate_warns_of_it_where_it_was_called():
    flow = sd.Flow(sd.Loss("x**2/2"), sd.GD(lr=1.0), dt=3.0)
    with pytest.warns(UserWarning, match="take dt below 2.79") as caught:
        sd.simulate(flow, 1.0, 1)
    assert caught[0].filename == __file__


def test_the_starts_are_counted_and_the_shortest_limit_is_named():
    flow = sd.Flow(sd.Loss("x**4/12"), sd.GD(lr=1.0), dt=[0.01, 0.1], scheme=sd.euler)
    said = said_of(flow, [[1.0], [5.0], [10.0]])  # curvature x**2
    assert "at 2 of the 6 initial points" in said
    assert said.endswith("multiplies by up to 9; take dt below 0.02")


def test_of_many_particles_64_are_looked_at():
    flow = sd.Flow(STIFF, sd.GD(lr=1.0), dt=0.03)
    assert "at 64 of the 64 initial" in said_of(flow, sd.grid(x=(-1, 1, 30), y=(-1, 1, 40)))


def test_what_the_flow_itself_expands_is_no_reason_to_warn():
    hill = sd.Flow(sd.Loss("-50*x**2"), sd.GD(lr=1.0), dt=0.1, scheme=sd.euler)
    assert said_of(hill, [1.0]) is None


def test_starts_without_a_finite_jacobian_are_left_out():
    flow = sd.Flow(sd.Loss("log(x)"), sd.GD(lr=1.0), dt=0.1)
    assert said_of(flow, [[0.0], [1.0]]) is None


def test_oscillations_that_a_scheme_drives_up_are_warned_of():
    """Heavy ball's field is a damped oscillator: Euler needs dt < -2 Re(mu)/|mu|**2."""
    flow = sd.Flow(sd.Loss("x**2/2"), sd.GD(lr=0.01, momentum=0.95), scheme=sd.euler)
    # by the docstring's equations: dx/dt = -(m v + x), dv/dt = (x - (1 - m) v)/lr
    matrix = [[-1.0, -0.95], [100.0, -5.0]]
    mu = np.linalg.eigvals(matrix)[0]
    limit = -2 * mu.real / abs(mu) ** 2
    assert said_of(flow.replace(dt=0.999 * limit), 1.0) is None
    assert said_of(flow.replace(dt=1.001 * limit), 1.0).endswith(f"take dt below {limit:.3g}")
    assert said_of(flow.replace(dt=0.999 * limit), [[1.0, 7.0]]) is None


# --- what is refused ------------------------------------------------------------------------


@sd.algorithm
def shrinking(grad, w, *, lr):
    return 0.5 * w - lr * grad(w)


@sd.algorithm
def squared(grad, w, *, lr):
    return w - lr * lr * grad(w)


@sd.algorithm
def without(grad, w, *, h):
    return w - h * grad(w)


REFUSALS = {
    "loss": (("x**2", sd.GD(lr=0.1)), {}, "loss must be a samdyn.Loss"),
    "algorithm": ((WELL, 0.1), {}, "algorithm must be an algorithm"),
    "switch": ((WELL, sd.Switch([(0, sd.GD(lr=0.1))])), {}, "a Switch is several maps"),
    "lookahead": ((WELL, sd.Lookahead(sd.GD(lr=0.1), k=2)), {}, "needs an algorithm that steps"),
    "shrinking": ((WELL, shrinking(lr=0.1)), {}, r"lr\), such as GD.*; shrinking\(lr=0.1\) does"),
    "squared": ((WELL, squared(lr=0.1)), {}, "needs an algorithm that steps w - lr"),
    "no lr": ((WELL, without(h=0.1)), {}, "needs an algorithm that steps w - lr"),
    "dt": ((WELL, sd.GD(lr=0.1)), dict(dt=0.0), "dt must be above 0, got 0"),
    "dt text": ((WELL, sd.GD(lr=0.1)), dict(dt="1"), "dt must be a number"),
    "scheme": ((WELL, sd.GD(lr=0.1)), dict(scheme="rk4"), "scheme must be one such as samdyn.rk4"),
    "lr": ((WELL, sd.GD(lr=0.0, momentum=0.5)), {}, "lr of a flow with momentum must be above 0"),
    "named dt": ((sd.Loss("dt**2"), sd.GD(lr=0.1)), {}, "dt is the flow's step length; rename"),
    "named t": ((sd.Loss("t*x**2", "x", t=1.0), sd.GD(lr=0.1)), {}, "t is the flow's time; rename"),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_a_flow_is_refused_in_one_sentence(name):
    arguments, named, message = REFUSALS[name]
    with pytest.raises((ValueError, TypeError), match=message) as caught:
        sd.Flow(*arguments, **named)
    assert "\n" not in str(caught.value)


def test_rates_and_numbers_are_refused():
    flow = sd.Flow(WELL, sd.GD(lr=0.1, momentum=0.5))
    with pytest.raises(ValueError, match=r"z must have shape \(…, 4\), got \(2,\)"):
        flow.rate([1.0, 2.0])
    with pytest.raises(ValueError, match="rho is no number"):
        flow.replace(rho=0.1)
    with pytest.raises(ValueError, match="dt must be above 0"):
        flow.replace(dt=-1.0)
    other = flow.replace(a=2.0, momentum=0.6, dt=0.5)
    assert (other.numbers["a"], other.numbers["momentum"], other.dt) == (2.0, 0.6, 0.5)
