"""Derivatives of programs, against differences in 60 digits and against SymPy."""

import mpmath
import numpy as np
import pytest
import sympy
from hypothesis import given
from hypothesis import strategies as st

import samdyn as sd
from samdyn import losses, words
from samdyn.forward import differentiated
from samdyn.program import OPERATIONS
from samdyn.readings.symbolic import jacobian_formula
from samdyn.symbols import evaluate, symbols
from samdyn.tracer import trace
from samdyn.words import Point, unit, where

_NAMES = {"arcsin": "asin", "arccos": "acos", "arctan": "atan", "absolute": "fabs"}
for _name in "sqrt exp log sin cos tan sinh cosh tanh arcsin arccos arctan absolute sign".split():
    getattr(words, _name).register(mpmath.mpf, getattr(mpmath, _NAMES.get(_name, _name)))


def differences(program, values, names):
    """The Jacobian of a program by central differences in 60 digits, right to 1e-25 or so."""
    with mpmath.workdps(60):
        h = mpmath.mpf(10) ** -18
        exact = [mpmath.mpf(float(value)) for value in values]
        columns = []
        for name in names:
            i = program.inputs.index(name)
            up, down = ([*exact[:i], exact[i] + s * h, *exact[i + 1 :]] for s in (1, -1))
            pairs = zip(program(*up), program(*down), strict=True)
            columns.append([float((a - b) / (2 * h)) for a, b in pairs])
    return np.transpose(columns)


def jacobian(program, values, names):
    """The Jacobian by `differentiated`, in floats."""
    found = differentiated(program, names)(*values)
    n = len(program.outputs)
    assert found[:n] == program(*values)
    return np.array(found[n:], float).reshape(n, len(names))


# --- one step of every algorithm on every loss ---------------------------------------------

ALGORITHMS = {
    "gd": lambda rho: sd.GD(lr=0.05),
    "nesterov": lambda rho: sd.GD(lr=0.05, momentum=0.8, nesterov=True, weight_decay=0.1),
    "sam": lambda rho: sd.SAM(lr=0.05, rho=rho),
    "sam 2 ascents": lambda rho: sd.SAM(lr=0.05, rho=rho, ascent_steps=2, momentum=0.5),
    "usam momentum": lambda rho: sd.USAM(lr=0.05, rho=1e-3, momentum=0.9),
    "asam": lambda rho: sd.ASAM(lr=0.05, rho=rho),
    "lookahead": lambda rho: sd.Lookahead(sd.SAM(lr=0.05, rho=rho), k=2, alpha=0.5),
}


def state_in_the_box(system, seed):
    """A random state whose weights lie in the middle part of the loss's box."""
    low, high = np.transpose(system.loss.box)
    random = np.random.default_rng(seed)
    w = low + (high - low) * random.uniform(0.2, 0.8, len(low))
    return np.concatenate([w, random.normal(size=len(system.rows) - len(w))])


@pytest.mark.parametrize("name", ALGORITHMS)
@pytest.mark.parametrize("make_loss", losses.LIBRARY, ids=lambda make: make.__name__)
def test_the_jacobian_of_a_step_equals_differences_in_60_digits(make_loss, name):
    loss = make_loss()
    rho = 0.01 * float(np.min(np.ptp(loss.box, axis=1)))
    system = sd.Map(loss, ALGORITHMS[name](rho))
    values = [*state_in_the_box(system, 3), *system.numbers.values()]
    found = jacobian(system.program, values, system.rows)
    expected = differences(system.program, values, system.rows)
    assert np.all(np.isfinite(expected))
    assert np.abs(found - expected).max() <= 1e-9 * np.abs(expected).max()


@pytest.mark.parametrize("name", ["gd", "nesterov", "sam", "usam momentum", "asam"])
@pytest.mark.parametrize(
    "make_loss", [losses.beale, losses.log_cosh, losses.monkey_saddle], ids=lambda f: f.__name__
)
def test_the_jacobian_equals_its_formula(make_loss, name):
    system = sd.Map(make_loss(), ALGORITHMS[name](0.1))
    values = [*state_in_the_box(system, 5), *system.numbers.values()]
    inputs = dict(zip(symbols((*system.rows, *system.numbers)), values, strict=True))
    formula = jacobian_formula(system)
    expected = np.array([float(evaluate(entry, inputs)) for entry in formula])
    found = jacobian(system.program, values, system.rows)
    np.testing.assert_allclose(
        found, expected.reshape(formula.shape), rtol=1e-9, atol=1e-12 * np.abs(expected).max()
    )


# --- each rule ------------------------------------------------------------------------------

X, Y = 0.7, -0.4
RULES = {
    "add": lambda x, y: x + y,
    "subtract": lambda x, y: x - y,
    "multiply": lambda x, y: x * y,
    "divide": lambda x, y: x / y,
    "power": lambda x, y: words.power(x, y),
    "negative": lambda x, y: -(x * y),
    "sqrt": lambda x, y: words.sqrt(x - y),
    "exp": lambda x, y: words.exp(x * y),
    "log": lambda x, y: words.log(x - y),
    "sin": lambda x, y: words.sin(x + y * y),
    "cos": lambda x, y: words.cos(x + y * y),
    "tan": lambda x, y: words.tan(x * y),
    "sinh": lambda x, y: words.sinh(x * y),
    "cosh": lambda x, y: words.cosh(x * y),
    "tanh": lambda x, y: words.tanh(x * y),
    "arcsin": lambda x, y: words.arcsin(x * y),
    "arccos": lambda x, y: words.arccos(x * y),
    "arctan": lambda x, y: words.arctan(x * y),
    "absolute": lambda x, y: abs(x) * abs(y),
    "where": lambda x, y: where(x < y, x * y, x / y) + where(x > y, y * y, x),
    "sign": lambda x, y: words.sign(y) * x,
    "less": lambda x, y: where(x < 1.0, y, x),
    "less_equal": lambda x, y: where(x <= y, y, x),
    "both": lambda x, y: where((x < 1.0) & (y < 0.0), x * y, y),
    "either": lambda x, y: where((x < 0.0) | (y > 0.0), x * y, y),
}
OTHERS = {
    "x*x": lambda x, y: x * x,
    "x**3": lambda x, y: x**3,
    "x**-2": lambda x, y: y**-2,
    "constant exponent": lambda x, y: x**2.5,
    "constant base": lambda x, y: 2.5**y,
    "negative base": lambda x, y: words.power(y, 3.0),
    "negative base, negative exponent": lambda x, y: words.power(y, -1.0),
    "constants beside": lambda x, y: 3.0 - (2.0 / x) * (y - 1.0) / 4.0,
    "one side of where": lambda x, y: where(x > 0.0, 2.0, y) * y,
    "minimum and maximum": lambda x, y: words.minimum(x, y) * words.maximum(x * x, y),
}


def test_every_operation_has_its_case():
    assert set(RULES) == set(OPERATIONS) - {"entry"}  # of a mean, which has no derivative here


@pytest.mark.parametrize("name", [*RULES, *OTHERS])
def test_every_rule_equals_mpmath(name):
    definition = {**RULES, **OTHERS}[name]
    program = trace(lambda x, y: [definition(x, y)], ["x", "y"])
    found = jacobian(program, (X, Y), ["x", "y"])
    with mpmath.workdps(60):
        place = (mpmath.mpf(X), mpmath.mpf(Y))
        exact = [float(mpmath.diff(definition, place, order)) for order in ((1, 0), (0, 1))]
    np.testing.assert_allclose(found[0], exact, rtol=1e-14, atol=1e-30)


def test_a_power_of_a_negative_base_takes_no_logarithm():
    program = differentiated(trace(lambda x, p: [words.power(x, p)], ["x", "p"]), ["x"])
    assert program(-2.0, 3.0) == (-8.0, 12.0)
    assert "log" not in {line.operation for line in program.lines}


def test_what_does_not_depend_is_exactly_zero_and_costs_nothing():
    program = differentiated(trace(lambda x, y: [x * x, words.exp(y), 3.0], ["x", "y"]), ["x", "y"])
    assert program.outputs[4:] == (0.0, 0.0, program.outputs[1], 0.0, 0.0)
    assert len(program.lines) == 3  # x*x, exp(y) and x + x
    steps = trace(lambda x: [words.sign(x), where(x > 0.0, 1.0, 2.0)], ["x"])
    assert differentiated(steps, ["x"])(3.0) == (1.0, 1.0, 0.0, 0.0)


def test_columns_come_in_the_order_asked_for():
    program = trace(lambda a, b, c: [a + 2.0 * b + 3.0 * c], ["a", "b", "c"])
    assert differentiated(program, ["c", "a"])(0.0, 0.0, 0.0) == (0.0, 3.0, 1.0)


def test_beside_a_kink_the_derivative_is_that_of_the_branch_taken():
    program = differentiated(trace(lambda x: [where(x < 0.0, x * x, 5.0 * x)], ["x"]), ["x"])
    assert program(-3.0)[1] == -6.0
    assert program(0.0)[1] == 5.0
    assert differentiated(trace(lambda x: [abs(x)], ["x"]), ["x"])(0.0)[1] == 0.0


def test_the_branch_not_taken_may_be_infinite_or_undefined():
    program = differentiated(trace(lambda x, y: unit(Point([x, y])), ["x", "y"]), ["x", "y"])
    with np.errstate(all="ignore"):
        assert np.all(np.isfinite(program(0.0, 0.0)))
    found = np.reshape(program(3.0, 4.0)[2:], (2, 2))
    u = np.array([0.6, 0.8])
    np.testing.assert_allclose(found, (np.eye(2) - np.outer(u, u)) / 5.0, atol=1e-16)


def test_a_program_may_be_differentiated_again():
    cubic = trace(lambda x, y: [x**3 * y], ["x", "y"])
    twice = differentiated(differentiated(cubic, ["x", "y"]), ["x", "y"])
    hessian = np.reshape(twice(2.0, 5.0)[5:], (2, 2))
    np.testing.assert_array_equal(hessian, [[60.0, 12.0], [12.0, 0.0]])


def test_arrays_of_points_at_once_and_sympy():
    program = trace(lambda x, y: [words.sin(x) * y, where(x < y, x, y * y)], ["x", "y"])
    derived = differentiated(program, ["x", "y"])
    points = np.random.default_rng(0).normal(size=(2, 50))
    at_once = [np.broadcast_to(out, 50) for out in derived(*points)]
    for i, point in enumerate(points.T):
        np.testing.assert_array_equal([out[i] for out in at_once], derived(*point))
    x, y = symbols(["x", "y"])
    assert derived(x, y)[2:4] == (y * sympy.cos(x), sympy.sin(x))


# --- random programs ------------------------------------------------------------------------

SAFE = {
    "add": lambda a, b: a + b,
    "subtract": lambda a, b: a - b,
    "multiply": lambda a, b: a * b,
    "divide": lambda a, b: a / (2.0 + b * b),
    "power": lambda a, b: words.power(1.0 + a * a, words.sin(b)),
    "root": lambda a, b: words.sqrt(1.0 + a * a + b * b),
    "where": lambda a, b: where(a + 0.123 < b, words.sin(a), words.cos(b)),
    "bounded": lambda a, b: words.tanh(a) + words.arctan(b),
    "log": lambda a, b: words.log(1.5 + a * a) - abs(b),
    "exp": lambda a, b: words.exp(-a * a) * b,
}


@given(
    st.lists(
        st.tuples(st.sampled_from(sorted(SAFE)), st.integers(0, 99), st.integers(0, 99)),
        min_size=1,
        max_size=10,
    ),
    st.integers(0, 2**31),
)
def test_random_programs_equal_differences(recipe, seed):
    def definition(*values):
        known = [words.sin(value) for value in values]
        for name, i, j in recipe:
            known.append(words.tanh(SAFE[name](known[i % len(known)], known[j % len(known)])))
        return known[-3:]

    program = trace(definition, ["x", "y", "z"])
    values = np.random.default_rng(seed).uniform(-2, 2, 3)
    found = jacobian(program, values.tolist(), ["x", "z"])
    expected = differences(program, values, ["x", "z"])
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-13)
