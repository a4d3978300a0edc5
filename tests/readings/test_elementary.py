"""The kernels' own exp, log, sin, cos and tanh: errors, special values, compiled or not."""

import re

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numba import njit

import samdyn as sd
from samdyn.ensembles.events import Diverged
from samdyn.ensembles.kernel import build
from samdyn.readings import elementary, kernels
from samdyn.readings.writer import write

BOUNDS = {"exp": 1.0, "log": 1.0, "sin": 1.0, "cos": 1.0, "tanh": 2.5}

inlined = njit(error_model="numpy")
_compiled = {"np": np, "inlined": inlined}
exec(elementary.text(set(elementary.NAMES)), _compiled)


def ulps(name, xs):
    """Errors in units in the last place of the exact value."""
    xs = np.asarray(xs, float)

    @njit(error_model="numpy")
    def over(xs, out):
        for i in range(len(xs)):
            out[i] = function(xs[i])

    function = _compiled[name]
    found = np.empty_like(xs)
    over(xs, found)
    errors = []
    with mpmath.workprec(240):
        for x, y in zip(xs.tolist(), found.tolist(), strict=True):
            exact = getattr(mpmath, name)(mpmath.mpf(x))
            unit = float(np.spacing(max(abs(float(exact)), np.finfo(float).tiny)))
            errors.append(float(abs(mpmath.mpf(y) - exact)) / unit)
    return np.array(errors)


def samples(name):
    random = np.random.default_rng(0)
    near = 10.0 ** random.uniform(-12, 1, 4000) * random.choice([-1, 1], 4000)
    quarter = np.arange(1, 2000) * (np.pi / 2)
    wide = {
        "exp": [random.uniform(-708, 709, 8000), near],
        "log": [np.exp(random.uniform(-708, 709, 8000)), 1 + 0.1 * near / np.abs(near).max(),
                np.nextafter(1.0, [0, 2]), 2.0 ** np.arange(-1074.0, 1024.0), [5e-324, 1e-310]],
        "sin": [random.uniform(-100, 100, 8000), random.uniform(-1e6, 1e6, 8000), near,
                quarter, np.nextafter(quarter, 0)],
        "tanh": [random.uniform(-25, 25, 8000), near],
    }  # fmt: skip
    return np.concatenate(
        [np.asarray(part, float) for part in wide["sin" if name == "cos" else name]]
    )


@pytest.mark.parametrize("name", BOUNDS)
def test_errors_are_within_the_promised_units_in_the_last_place(name):
    assert ulps(name, samples(name)).max() <= BOUNDS[name]


def test_sin_and_cos_of_large_angles_are_those_of_a_neighbouring_angle():
    for x in (1.5e6, 1e9 + 0.3, 7.7e12, 9e14):
        for name in ("sin", "cos"):
            found = _compiled[name](x)
            assert abs(found - float(getattr(mpmath, name)(x))) <= np.spacing(x)
    assert np.isnan(_compiled["sin"](1e15))
    assert np.isnan(_compiled["cos"](-1e300))


SPECIAL = {
    "exp": [(0.0, 1.0), (-0.0, 1.0), (np.inf, np.inf), (-np.inf, 0.0), (np.nan, np.nan),
            (710.0, np.inf), (1e300, np.inf), (-746.0, 0.0), (-745.0, 5e-324)],
    "log": [(1.0, 0.0), (0.0, -np.inf), (-0.0, -np.inf), (-1.0, np.nan), (np.inf, np.inf),
            (-np.inf, np.nan), (np.nan, np.nan)],
    "sin": [(0.0, 0.0), (np.inf, np.nan), (-np.inf, np.nan), (np.nan, np.nan)],
    "cos": [(0.0, 1.0), (-0.0, 1.0), (np.inf, np.nan), (-np.inf, np.nan), (np.nan, np.nan)],
    "tanh": [(0.0, 0.0), (np.inf, 1.0), (-np.inf, -1.0), (np.nan, np.nan), (1e300, 1.0),
             (40.0, 1.0), (-40.0, -1.0)],
    "sign": [(0.0, 0.0), (3.0, 1.0), (-5e-324, -1.0), (np.inf, 1.0), (np.nan, np.nan)],
}  # fmt: skip


@pytest.mark.parametrize("name", SPECIAL)
def test_special_values(name):
    for x, expected in SPECIAL[name]:
        np.testing.assert_array_equal(_compiled[name](x), expected)


@pytest.mark.parametrize("name", SPECIAL)
@given(x=st.floats(width=64))
def test_compiled_and_plain_python_agree_bit_for_bit(name, x):
    with np.errstate(all="ignore"):
        plain = getattr(elementary, name)(np.float64(x))
    np.testing.assert_array_equal(
        np.float64(_compiled[name](x)).view(np.int64) if x == x else np.isnan(_compiled[name](x)),
        np.float64(plain).view(np.int64) if not np.isnan(plain) or x == x else np.isnan(plain),
    )


@pytest.mark.parametrize("name", ["sin", "tanh"])
@given(x=st.floats(-1e5, 1e5))
def test_odd_functions_are_odd(name, x):
    assert _compiled[name](-x) == -_compiled[name](x)


def test_the_sign_of_zero_is_that_of_numpy():
    for x in (0.0, -0.0):
        assert not np.signbit(_compiled["sign"](x))


def test_the_text_holds_what_is_called_and_no_more():
    text = elementary.text({"tanh"})
    assert "def reduced_exp" in text
    assert "def log" not in text
    assert elementary.text(set()) == ""


def test_a_kernel_that_uses_them_is_vectorised(tmp_path, monkeypatch):
    monkeypatch.setenv("SAMDYN_CACHE_DIR", str(tmp_path))  # Numba shows no cached code
    monkeypatch.setattr(kernels, "_loaded", {})
    loss = sd.Loss("exp(x)*log(1 + y**2) + sin(x)*cos(y) + tanh(x)")  # all five at once
    kernel = build(sd.Map(loss, sd.GD(lr=0.01)), [Diverged()], {})
    advance = kernels.load(write(kernel.program, kernel.layout, kernel.title))
    (text,) = advance.inspect_asm().values()
    if not any(register in text for register in ("%xmm", "%ymm", "%zmm")):
        pytest.skip("the instructions' names are known for x86 only")
    # a lane by itself takes scalar instructions, so only the packed ones say something
    packed = re.findall(r"v?(?:mul|add|sub|div)pd\b", text)
    assert len(packed) > 100
