"""Tracing a definition to a straight-line program, and reading the program."""

import math

import mpmath
import numpy as np
import pytest
import sympy

from samdyn import words
from samdyn.program import OPERATIONS, TRANSCENDENTAL, Line, Program, integer_power
from samdyn.symbols import compile_expressions, evaluate, symbols
from samdyn.tracer import DefinitionError, explained, trace
from samdyn.words import Point, unit, where

for _name in ("sqrt", "exp", "log", "sin", "tanh", "sign"):
    getattr(words, _name).register(mpmath.mpf, getattr(mpmath, _name))


def sam_like(x, y):
    g = Point([x**3 - y, words.exp(-x) + y])
    p = Point([x, y]) + 0.1 * unit(g)
    bent = where((p[0] < 1.0) & ~(p[1] <= 0.0), words.sin(p[0]), words.tanh(p[1]))
    return [bent / (1.0 + p[1] ** 2), words.minimum(p[0], p[1]), 7.0]


def test_a_traced_definition_evaluates_as_itself():
    program = trace(sam_like, ["x", "y"])
    x, y = np.array([0.3, -0.4]), np.array([-0.4, 1.2])
    for ours, eager in zip(program(x, y), sam_like(x, y), strict=True):
        np.testing.assert_array_equal(ours, eager)


def test_all_readings_agree():
    program = trace(sam_like, ["x", "y"])
    points = np.random.default_rng(0).uniform(-2, 2, (20, 2))
    at_once = program(*points.T)
    x, y = symbols(["x", "y"])
    formulas = program(x, y)
    for i, (a, b) in enumerate(points):
        alone = program(float(a), float(b))
        np.testing.assert_allclose([np.broadcast_to(o, 20)[i] for o in at_once], alone, rtol=1e-15)
        said = [evaluate(sympy.sympify(f), {x: a, y: b}) for f in formulas]
        np.testing.assert_allclose(said, alone, rtol=1e-13, atol=1e-15)
        with mpmath.workdps(30):
            precise = program(mpmath.mpf(a), mpmath.mpf(b))
        np.testing.assert_allclose(np.array(precise, float), alone, rtol=1e-13, atol=1e-15)


def test_a_program_can_be_traced_again():
    program = trace(sam_like, ["x", "y"])
    assert trace(program, ["x", "y"]) == program


@pytest.mark.parametrize(
    "definition",
    [
        lambda x: [x if x > 0 else -x],
        lambda x: [min(x, 1.0)],
        lambda x: [x * (x > 0 and x < 1)],
        lambda x: [1.0 if not x else 2.0],
    ],
)
def test_branching_is_refused(definition):
    with pytest.raises(
        TypeError, match=r"cannot branch on a value .* use where\(condition, a, b\)"
    ):
        trace(definition, ["x"])


@pytest.mark.parametrize("definition", [lambda x: [x == 1.0], lambda x: [x != 1.0]])
def test_equality_is_refused(definition):
    with pytest.raises(TypeError, match="cannot test equality; compare with < or <="):
        trace(definition, ["x"])


def test_a_value_of_another_trace_is_refused():
    kept = []
    trace(lambda x: [kept.append(x) or x], ["x"])
    with pytest.raises(TypeError, match="outside its own trace"):
        trace(lambda x: [x + kept[0]], ["x"])
    with pytest.raises(TypeError, match="outside its own trace"):
        trace(lambda x: [kept[0]], ["x"])


@pytest.mark.parametrize(
    ("value", "kind"),
    [("3", "str"), (1j, "complex"), (None, "NoneType"), (np.ones(1), "ndarray"), (10**400, "int")],
)
def test_what_is_no_scalar_is_refused(value, kind):
    with pytest.raises(TypeError, match=f"combine scalars, got {kind}"):
        trace(lambda x: [value], ["x"])
    with pytest.raises(TypeError, match=f"combine scalars, got {kind}"):
        trace(lambda x: [where(x < 1.0, x, value)], ["x"])


def test_numpy_functions_and_hashing_are_refused():
    with pytest.raises(TypeError, match="does not support ufuncs"):
        trace(lambda x: [np.sqrt(x)], ["x"])
    with pytest.raises(TypeError, match="unhashable"):
        trace(lambda x: [{x: 1.0}], ["x"])
    with pytest.raises(TypeError, match="real number"):
        trace(lambda x: [math.sqrt(x)], ["x"])


def test_numpy_scalars_become_python_numbers():
    program = trace(
        lambda x: [np.float64(2.0) * x + np.float32(0.5) + np.int64(3), np.bool_(True)], ["x"]
    )
    constants = [a for line in program.lines for a in line.arguments if type(a) is not int]
    assert constants == [2.0, 0.5, 3.0]
    assert {type(a) for a in constants} == {float}
    assert program.outputs[1] is True


def test_a_line_is_written_once():
    program = trace(lambda x, y: [(x + y) * (x + y), x + y], ["x", "y"])
    assert program.lines == (Line("add", (0, 1)), Line("multiply", (2, 2)))
    assert program.outputs == (3, 2)


def test_constants_that_only_look_alike_are_kept_apart():
    program = trace(lambda x: [x + 0.0, x + -0.0, x * 1.0, where(x < 1, True, x)], ["x"])
    assert len(program.lines) == 5
    assert [math.copysign(1, line.arguments[1]) for line in program.lines[:2]] == [1, -1]


def test_unneeded_lines_are_left_out():
    def wasteful(x, y):
        words.exp(x * y)
        return [y - x]

    assert trace(wasteful, ["x", "y"]) == Program(("x", "y"), (Line("subtract", (1, 0)),), (2,))


@pytest.mark.parametrize("n", [-7, -1, 0, 1, 2, 3, 8, 13])
def test_integer_powers_are_products(n):
    program = trace(lambda x: [x**n, x ** np.int64(n)], ["x"])
    assert {line.operation for line in program.lines} <= {"multiply", "divide"}
    assert program.outputs[0] == program.outputs[1]
    assert program(1.5)[0] == pytest.approx(1.5**n, rel=1e-15)
    assert integer_power(1.5, n) == program(1.5)[0]


def test_other_powers_are_powers():
    program = trace(lambda x, y: [x**y, x**2.5, 2.0**x, words.power(2.0, y)], ["x", "y"])
    assert [line.operation for line in program.lines] == ["power"] * 4
    assert program(1.5, 0.5) == (1.5**0.5, 1.5**2.5, 2.0**1.5, 2.0**0.5)


def test_unit_of_zero_is_zero():
    program = trace(lambda x, y: unit(Point([x, y])), ["x", "y"])
    assert program(0.0, 0.0) == (0.0, 0.0)
    assert program(0.0, -2.0) == (0.0, -1.0)


def test_conditions():
    program = trace(
        lambda x: [where((x > 1.0) | (x <= -1.0), 1.0, 0.0), where(~(x >= 0.0), 1.0, 0.0)], ["x"]
    )
    assert [program(v) for v in (2.0, 1.0, -1.0)] == [(1, 0), (0, 0), (1, 1)]
    x = symbols(["x"])[0]
    _, negative = program(x)
    assert [float(negative.subs(x, v)) for v in (-1, 0)] == [1.0, 0.0]


def test_wrong_number_of_inputs():
    with pytest.raises(TypeError, match="takes 2 inputs, got 1"):
        trace(lambda x, y: [x + y], ["x", "y"])(1.0)


def test_points_meet_traced_scalars():
    program = trace(lambda x: (x * Point([1.0, x])) + np.float64(1.0), ["x"])
    assert program(3.0) == (4.0, 10.0)


def test_is_ieee():
    assert trace(lambda x: [words.sqrt(abs(x)) / (1.0 + x**4)], ["x"]).is_ieee
    assert not trace(lambda x: [words.exp(x)], ["x"]).is_ieee
    assert set(OPERATIONS) >= TRANSCENDENTAL


@pytest.mark.parametrize(
    "text",
    [
        "x**3/3 - y/(x**2 + 1)",
        "sqrt(x**2 + 1)*x**Rational(-3, 2) + x**Rational(1, 3)",
        "exp(-x*y) + E**2*pi*x",
        "Piecewise((x, x < y), (y**2, x >= 2), (3, True))",
        "Max(x, y, 1) - Min(x, y)",
        "Heaviside(x - y) + sign(y)*Abs(x)",
        "x**y + 2**y - 2**sin(1)",
        "-x/y - (x - y)*(-3)",
        "asin(x/3) + acos(y/3) + atan(x) + log(x) + tan(y) + sinh(x)*cosh(y)",
    ],
)
def test_compiled_expressions_agree_with_sympy(text):
    x, y = symbols(["x", "y"])
    expression = sympy.sympify(text, locals={"x": x, "y": y})
    program = compile_expressions([expression, expression**2], [x, y])
    for a, b in [(0.7, 1.3), (2.5, 0.4), (1.1, 1.2)]:
        exact = float(expression.evalf(30, subs={x: a, y: b}))
        assert program(a, b) == pytest.approx((exact, exact**2), rel=1e-13)


def test_what_has_no_word_is_refused():
    x = symbols(["x"])[0]
    with pytest.raises(ValueError, match="gamma has no counterpart in words"):
        evaluate(sympy.gamma(x), {x: 1.0})
    with pytest.raises(ValueError, match="x is not known"):
        evaluate(x, {})


def test_errors_of_a_definition_say_what_it_is_written_in():
    with (
        pytest.raises(DefinitionError, match="in step: no such thing; .* the words of samdyn") as e,
        explained("step"),
    ):
        raise IndexError("no such\nthing")
    assert isinstance(e.value.__cause__, IndexError)
    with pytest.raises(DefinitionError, match="^a definition cannot branch"), explained("step"):
        trace(lambda x: [x if x else 1.0], ["x"])
