"""Formulas: what is read, and what is refused with which sentence."""

import math
import re

import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st

from samdyn.losses.formula import FUNCTIONS, FormulaError, check_name, parse, parse_condition
from samdyn.symbols import evaluate, symbols

x, y = symbols(["x", "y"])

REFUSED = {
    "": "must be a non-empty text",
    "   ": "must be a non-empty text",
    "x^2": r"uses \^; powers are written \*\*",
    "x.real": r"contains 'x.real'; allowed are numbers, names",
    "x.__class__.__bases__": "contains 'x.__class__.__bases__'",
    "__import__('os').system('ls')": r"__import__\('os'\).system is not a known function",
    "__import__('os')": "__import__ is not a known function; known are exp, log",
    "eval('1')": "eval is not a known function",
    "gamma(x)": "gamma is not a known function",
    "lambda x: x": "contains 'lambda x: x'",
    "[x for x in y]": "contains",
    "x if y else 1": "contains 'x if y else 1'",
    "(x := 2)": "contains",
    "x[0]": r"contains 'x\[0\]'",
    "x, y": "contains",
    "{x}": "contains",
    "f'{x}'": "contains",
    "sin(*x)": "contains",
    "~x": "contains",
    "x // 2": "contains",
    "x % 2": "contains",
    "x @ y": "contains",
    "'x'": "contains 'x', which is no real number",
    "b'x'": "which is no real number",
    "1j*x": "contains 1j, which is no real number",
    "True": "contains True, which is no real number",
    "None": "contains None, which is no real number",
    "...": "contains Ellipsis, which is no real number",
    "9**9**9": "exponent 387420489 is beyond ±64",
    "x**65": "exponent 65 is beyond ±64",
    "x**-65": "exponent -65 is beyond ±64",
    "x**(8*9)": "exponent 72 is beyond ±64",
    "((9**64)**64)**64": "not a finite real number .it gives a very large number",
    "x**exp(exp(exp(9)))": "not a finite real number",
    "sin(exp(exp(exp(exp(9)))))*x": "not a finite real number",
    "1e200*1e200*x": "not a finite real number",
    "1e200*x*1e200": "not a finite real number .it gives a very large number",
    "1e400*x": "number 1e400 is too long, too large or too small",
    "1e-999999999*x": "number 1e-999999999 is too long, too large or too small",
    "1" * 41: "is too long, too large or too small",
    "(" * 500 + "x" + ")" * 500: "does not parse|nested too deeply",
    "-" * 9000 + "x": "nested too deeply",
    "+".join(["x"] * 5000): "nested too deeply",
    "x" * 200_001: "has 200001 characters; at most 200000 are read",
    "(((((3*x)**64)**64)**64)**64)**64": "a power of a number this long is not read",
    "((2**(1/2)*x)**60 * 7**40*x)**64": "not a finite real number .it gives a very large number",
    "max(" + ",".join(f"max(x{i}, y{i})" for i in range(9)) + ")": "max of 18 numbers is not read",
    "+".join(["max(x, y)"] * 129): "formula has 258 numbers in min and max; at most 256 are read",
    "max(y, 2*" * 9 + "x" + ")" * 9: "a max with 6 min or max within it is not read; at most 5",
    "1" * 100_000 + " +": "does not parse",
    "((x**64)**64)**64": "powers of powers multiply to more than 4096; write a smaller exponent",
    "max("
    + ",".join(f"x{i}" for i in range(17))
    + ")": "max of 17 numbers is not read; at most 16",
    "*".join(f"x{i}" for i in range(101)): "a product of 101 factors; at most 100 are read",
    "x < 1 and y < 1e5 +": "invalid syntax$",
    "2 x": r"for a product write 2\*x$",
    "x y": r"where a product is meant write \*$",
    "x(y + 1)": r"\(a product is written x\*\(…\)\)",
    "lambda*x": "lambda is a word of Python and no name, choose another",
    "x + (y": "does not parse at character 5: '\\(' was never closed",
    "2x": r"does not parse at character 1: invalid decimal literal; for a product write 2\*x",
    "x +": "does not parse at character",
    "x = 1": "does not parse at character 3",
    "x; y": "does not parse",
    "import os": "does not parse",
    "x\0": "does not parse",
    "\ud800": "does not parse",
    "1and x": "does not parse",
    "x²": "invalid character '²'",
    "x − y": "invalid character '−'",
    "π*x": "name 'π' must be letters, digits and _, all ASCII",
    "sin": r"sin is a function; write sin\(…\)",
    "sin*x": r"sin is a function; write sin\(…\)",
    "sin(x, y)": r"sin takes one, as in sin\(x\)",
    "sin()": r"sin takes one, as in sin\(x\)",
    "sin(x=1)": r"sin takes one, as in sin\(x\)",
    "min(x)": r"min takes two or more numbers, as in min\(x, 1\)",
    "max(x, y, key=1)": "max takes two or more numbers",
    "x < 1": "is a condition; a number is needed here",
    "x < y < 1": "is a condition; a number is needed here",
    "x < 1 and y < 1": "is a condition",
    "1 + (x < 1)": "'x < 1' is a condition, not a number",
    "sqrt(x < 1)": "'x < 1' is a condition, not a number",
    "-(x < 1)": "'x < 1' is a condition, not a number",
    "x and y": "'x' is a number, not a condition",
    "not x": "'x' is a number, not a condition",
    "x/0": "not a finite real number",
    "0/0": "not a finite real number .it gives nan",
    "log(0)": "not a finite real number",
    "sqrt(-1)*x": "not a finite real number .it gives I",
    "asin(2)": "not a finite real number .it gives asin",
    "(-2)**pi*x": "not a finite real number",
}


@pytest.mark.parametrize(("text", "message"), REFUSED.items(), ids=lambda s: ascii(s)[:24])
def test_refused(text, message):
    with pytest.raises(FormulaError, match=message):
        parse(text)


@pytest.mark.parametrize("value", [None, 3, b"x", ["x"]])
def test_what_is_no_text_is_refused(value):
    with pytest.raises(FormulaError, match="must be a non-empty text"):
        parse(value)


def test_refusals_are_one_line_unless_the_formula_is_not():
    for text in REFUSED:
        with pytest.raises(FormulaError) as refusal:
            parse(text)
        assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x**2/2 - y**2/2", x**2 / 2 - y**2 / 2),
        ("0.1*x", x / 10),
        ("1e-3*x + .5*y + 2.*x", x * sympy.Rational(2001, 1000) + y / 2),
        ("1_000*x", 1000 * x),
        ("-x**2", -(x**2)),
        ("+x - -y", x + y),
        ("2**-1*x", x / 2),
        ("x**y**2", x ** (y**2)),
        ("x**(1/2)", sympy.sqrt(x)),
        ("pi*x", sympy.pi * x),
        ("exp(1)*x", sympy.E * x),
        ("abs(x)*sign(y)", sympy.Abs(x) * sympy.sign(y)),
        ("min(x, y, 1)", sympy.Min(x, y, 1)),
        ("(x +\n y)", x + y),
        ("x  # a comment", x),
        ("e + I", sympy.Symbol("e", real=True) + sympy.Symbol("I", real=True)),
    ],
)
def test_read(text, expected):
    assert parse(text) == expected


def test_long_sums_are_read():
    terms = [f"{i}.5*x{i}**2" for i in range(1000)]
    formula = parse(" + ".join(terms))
    assert formula == sympy.Add(*map(parse, terms))
    assert parse("x - y - (x + y) - 2*(y - x)/4*2") == x - 3 * y


def test_powers_of_powers_within_bounds_are_read():
    assert parse("((3*x)**8)**8") == 3**64 * x**64
    assert parse("(0.123*x)**-64") == (sympy.Rational(123, 1000) * x) ** -64


def test_every_function_is_read():
    for name, function in FUNCTIONS.items():
        if name in ("min", "max"):
            assert parse(f"{name}(x, y)") == function(x, y)
        else:
            assert parse(f"{name}(x)") == function(x)


def test_names_are_real_symbols_shared_by_name():
    assert parse("x1_a").free_symbols == set(symbols(["x1_a"]))


def test_conditions():
    condition = parse_condition("x > 0.8 and not (y**2 >= 1 or x < y)")
    for a, b in [(0.9, 0.5), (0.9, 2.0), (0.5, 0.1), (0.85, 0.9)]:
        assert evaluate(condition, {x: a, y: b}) == (a > 0.8 and not (b**2 >= 1 or a < b))
    assert evaluate(parse_condition("0 < x <= 1"), {x: 1.0})
    assert not evaluate(parse_condition("0 < x < 1"), {x: 1.0})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x", "condition 'x' has no comparison; write for example 'x > 0.8'"),
        ("x and y", "'x' is a number, not a condition"),
        ("x == 1", "compare with <, <=, > or >="),
        ("x != 1", "compare with <, <=, > or >="),
        ("x in y", "compare with <, <=, > or >="),
        ("x is y", "compare with <, <=, > or >="),
        ("(x < 1) < 2", "'x < 1' is a condition, not a number"),
        ("x < 1/0", "not a finite real number"),
        ("", "must be a non-empty text"),
    ],
)
def test_refused_conditions(text, message):
    with pytest.raises(FormulaError, match=re.escape(message)):
        parse_condition(text)


@pytest.mark.parametrize("name", ["x", "x1", "_a", "Theta_0", "E"])
def test_names(name):
    assert check_name(name) == name


@pytest.mark.parametrize("name", ["1x", "", "x y", "x-y", "α", "x\n"])
def test_refused_names(name):
    with pytest.raises(FormulaError, match="must be letters, digits and _"):
        check_name(name)


@pytest.mark.parametrize("name", ["sin", "pi", "lambda", "None", "min"])
def test_taken_names(name):
    with pytest.raises(FormulaError, match="is taken by a function, by pi or by Python"):
        check_name(name)


_leaves = st.sampled_from(["x", "y", "2", "0.5", "3", "1.25", "pi"])


def _grow(inner):
    return st.one_of(
        st.tuples(inner, st.sampled_from("+-*/"), inner).map(lambda t: f"({t[0]} {t[1]} {t[2]})"),
        st.tuples(st.sampled_from(["sin", "cos", "tanh", "atan", "abs", "exp"]), inner).map(
            lambda t: f"{t[0]}({t[1]})"
        ),
        st.tuples(inner, st.sampled_from(["2", "3"])).map(lambda t: f"({t[0]})**{t[1]}"),
        st.tuples(inner, inner).map(lambda t: f"max({t[0]}, {t[1]})"),
        inner.map(lambda t: f"-{t}"),
        inner.map(lambda t: f"sqrt(1 + ({t})**2)"),
    )


_expressions = st.recursive(_leaves, _grow, max_leaves=8)
_coordinates = st.floats(0.01, 2) | st.floats(-2, -0.01)
_python = {name: getattr(math, name, None) for name in FUNCTIONS} | {
    "abs": abs,
    "max": max,
    "pi": math.pi,
    "asin": math.asin,
    "atan": math.atan,
}


@settings(max_examples=100, deadline=None, derandomize=True)
@given(_expressions, _coordinates, _coordinates)
def test_random_formulas_mean_what_python_means(text, a, b):
    try:
        expected = eval(text, {"__builtins__": {}}, _python | {"x": a, "y": b})
        nearby = eval(text, {"__builtins__": {}}, _python | {"x": a + 1e-9, "y": b + 1e-9})
    except (ZeroDivisionError, OverflowError):
        return
    # where a formula is huge or jumps, rounding in a different order shows
    if not abs(expected) < 1e6 or abs(nearby - expected) > 1e-5 * (1 + abs(expected)):
        return
    try:
        formula = parse(text)
    except FormulaError:
        return  # a part of it that is a number is out of bounds
    assert float(evaluate(formula, {x: a, y: b})) == pytest.approx(expected, rel=1e-8, abs=1e-8)
