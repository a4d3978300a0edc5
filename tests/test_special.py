"""The error function and the scaled Bessel functions in words, against mpmath."""

import mpmath
import numpy as np
import pytest
import sympy

from samdyn import special
from samdyn.forward import differentiated
from samdyn.symbols import I0e, I1e, compile_expressions, symbols
from samdyn.tracer import trace

EXACT = {
    "erf": (mpmath.erf, 2.0),
    "i0e": (lambda x: mpmath.exp(-abs(x)) * mpmath.besseli(0, x), 6.0),
    "i1e": (lambda x: mpmath.exp(-abs(x)) * mpmath.besseli(1, x), 6.0),
}


def places():
    random = np.random.default_rng(0)
    return np.concatenate(
        [random.uniform(-7, 7, 500), 10.0 ** random.uniform(-10, 3, 300), np.linspace(0.9, 1.1, 41),
         np.linspace(7.9, 8.1, 41), [0.0, 6.0, -6.0, 8.0, 1e12]]
    )  # fmt: skip


@pytest.mark.parametrize("name", EXACT)
def test_errors_are_within_the_promised_units_in_the_last_place(name):
    exact, bound = EXACT[name]
    xs = places()
    if name != "erf":
        xs = xs[np.abs(xs) < 1e5]
    found = getattr(special, name)(xs)
    with mpmath.workprec(160):
        errors = [
            float(abs(mpmath.mpf(float(y)) - exact(mpmath.mpf(float(x))))) / np.spacing(abs(y))
            for x, y in zip(xs, found, strict=True)
        ]
    assert max(errors) <= bound


@pytest.mark.parametrize("name", EXACT)
def test_nan_stays_nan_and_traces_give_the_same(name):
    word = getattr(special, name)
    assert np.isnan(word(np.nan))
    program = trace(lambda x: [word(x)], ["x"])
    np.testing.assert_array_equal(program(places())[0], word(places()))


def test_derivatives_of_words_are_those_of_the_formulas():
    x = symbols(["x"])[0]
    for symbolic, word in ((sympy.erf, special.erf), (I0e, special.i0e), (I1e, special.i1e)):
        there = np.array([-9.5, -2.0, 0.3, 0.9, 2.5, 7.0, 9.0])
        formula = compile_expressions([sympy.diff(symbolic(x), x)], [x])
        slope = differentiated(trace(lambda t, word=word: [word(t)], ["t"]), ["t"])
        np.testing.assert_allclose(slope(there)[1], formula(there)[0], rtol=1e-10, atol=1e-13)
        exact = float(symbolic(sympy.Rational(7, 2)).evalf(20))
        assert word(3.5) == pytest.approx(exact, rel=1e-15)
