"""The words, read by NumPy."""

import numpy as np
import pytest

from samdyn import words
from samdyn.words import Point, dot, norm, unit, where

NUMPY_WORDS = (
    *("sqrt", "exp", "log", "sin", "cos", "tan", "sinh", "cosh", "tanh"),
    *("arcsin", "arccos", "arctan", "absolute", "sign"),
)


def test_words_read_floats_and_arrays_alike():
    x = np.linspace(0.1, 0.9, 5)
    for name in NUMPY_WORDS:
        word = getattr(words, name)
        expected = getattr(np, name)(x)
        np.testing.assert_array_equal(word(x), expected)
        assert [word(float(v)) for v in x] == list(expected)
        assert word.__name__ == name
    assert words.power(2.0, 3.0) == 8.0


def test_words_can_be_registered_for_another_number_type():
    class Odd:
        pass

    words.sqrt.register(Odd, lambda x: "root")
    words.power.register(Odd, lambda base, exponent: (base, exponent))
    odd = Odd()
    assert words.sqrt(odd) == "root"
    assert words.power(odd, 2.0) == (odd, 2.0)
    assert words.power(2.0, odd) == (2.0, odd)  # either of the two may be the odd one


def test_where_chooses_scalars_arrays_and_points():
    assert where(True, 1.0, 2.0) == 1.0
    assert where(np.bool_(False), 1.0, 2.0) == 2.0
    np.testing.assert_array_equal(where(np.array([True, False]), 1.0, np.array([5.0, 6.0])), [1, 6])
    chosen = where(np.array([True, False]), Point([1.0, 2.0]), 0.0)
    np.testing.assert_array_equal(chosen[0], [1, 0])
    np.testing.assert_array_equal(chosen[1], [2, 0])
    assert where(False, Point([1.0]), Point([2.0])).components == (2.0,)


def test_minimum_and_maximum():
    a, b = np.array([1.0, 4.0]), np.array([3.0, 2.0])
    np.testing.assert_array_equal(words.minimum(a, b), [1, 2])
    np.testing.assert_array_equal(words.maximum(a, b), [3, 4])


def test_point_arithmetic_is_elementwise():
    p, q = Point([1.0, 2.0]), Point([3.0, 5.0])
    assert (p + q).components == (4.0, 7.0)
    assert (p - q).components == (-2.0, -3.0)
    assert (p * q).components == (3.0, 10.0)
    assert (q / p).components == (3.0, 2.5)
    assert (-p).components == (-1.0, -2.0)
    assert abs(-p).components == p.components
    assert (1.0 + p).components == (p + 1.0).components == (2.0, 3.0)
    assert (1.0 - p).components == (0.0, -1.0)
    assert (2.0 * p).components == (p * 2.0).components == (2.0, 4.0)
    assert len(p) == 2
    assert list(p) == [1.0, 2.0]
    assert p[1] == 2.0
    assert repr(p) == "Point([1.0, 2.0])"


def test_an_array_of_numbers_scales_a_point_over_particles():
    scaled = np.array([1.0, 2.0, 3.0]) * Point([1.0, 10.0])
    assert isinstance(scaled, Point)
    np.testing.assert_array_equal(scaled[1], [10, 20, 30])
    assert isinstance(np.float64(2.0) * Point([1.0]), Point)


def test_points_of_different_lengths_do_not_mix():
    with pytest.raises(ValueError, match="as many components as each other, got 2 and 1"):
        Point([1.0, 2.0]) + Point([1.0])
    with pytest.raises(ValueError, match="zip"):
        dot(Point([1.0, 2.0]), Point([1.0]))


def test_dot_and_norm():
    assert dot(Point([1.0, 2.0, 3.0]), Point([4.0, 5.0, 6.0])) == 32.0
    assert norm(Point([3.0, 4.0])) == 5.0


def test_dot_is_summed_in_the_order_of_the_coordinates():
    big = Point([1e16, 1.0, -1e16])
    assert dot(big, Point([1.0, 1.0, 1.0])) == (1e16 + 1.0) - 1e16


def test_unit_is_a_direction_and_zero_at_zero():
    assert unit(Point([0.0, 0.0])).components == (0.0, 0.0)
    np.testing.assert_allclose(unit(Point([3.0, -4.0])).components, (0.6, -0.8), rtol=1e-15)
    x = np.array([0.0, 2.0])
    direction = unit(Point([x, 0 * x]))
    np.testing.assert_array_equal(direction[0], [0, 1])
    np.testing.assert_array_equal(direction[1], [0, 0])
    assert np.isnan(unit(Point([np.nan, 1.0]))[0])


def test_points_have_powers_products_and_quotients():
    p = Point([2.0, 4.0])
    assert (p**2).components == (4.0, 16.0)
    assert (1.0 / p).components == (0.5, 0.25)
    assert p @ Point([1.0, 2.0]) == 10.0
    with pytest.raises(TypeError, match="unsupported operand"):
        p @ 2.0


@pytest.mark.parametrize("word", ["sqrt", "exp", "tanh", "absolute", "sign", "log"])
def test_words_of_a_point_are_said_of_each_component(word):
    said = getattr(words, word)
    assert said(Point([0.5, 2.0])).components == (said(0.5), said(2.0))
