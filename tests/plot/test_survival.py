import numpy as np
import pytest
import xarray as xr

from samdyn.analysis.escape.survival import EscapeTimes
from samdyn.analysis.escape.sweep import EscapeSweep
from samdyn.plot.style import COLORS
from samdyn.plot.survival import survival


def seen(rate=1.0, n=200, last=2.0, discrete=False):
    times = np.random.default_rng(0).exponential(1 / rate, n)
    times = np.ceil(10 * times) if discrete else times
    return EscapeTimes(np.minimum(times, last), times <= last, discrete=discrete)


def texts(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def test_a_curve_falls_in_steps_inside_its_band(paper):
    one = seen()
    ax = survival(one, ax=paper)
    line = ax.get_lines()[0]
    assert line.get_drawstyle() == "steps-post"
    np.testing.assert_array_equal(line.get_xdata(), one.survival.time)
    np.testing.assert_array_equal(line.get_ydata(), one.survival.S)
    edge = ax.collections[0].get_paths()[0].vertices
    assert edge[:, 1].min() == pytest.approx(one.survival.low.min())
    marks = ax.get_lines()[1]
    np.testing.assert_allclose(marks.get_data(), [[2.0], [one.survival.S[-1]]])
    assert ax.get_legend() is None
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("time $t$", "share not escaped $S(t)$")


def test_curves_are_compared_with_theories_in_their_colours(paper):
    curves = {"SGD": seen(2.0), "SAM": seen(0.5)}
    theory = {"SGD": 2.0, "SAM": curves["SAM"].exponential().survival}
    ax = survival(curves, ax=paper, log=True, censored=False, theory=theory)
    assert texts(ax) == ["SGD", "SAM", "theory"]
    assert ax.get_yscale() == "log"
    sgd, sam, first, second = ax.get_lines()
    assert (sgd.get_color(), sam.get_color()) == COLORS[:2]
    assert (first.get_color(), second.get_color()) == COLORS[:2]
    np.testing.assert_allclose(first.get_ydata(), np.exp(-2 * first.get_xdata()))
    rate = curves["SAM"].rate
    np.testing.assert_allclose(second.get_ydata(), np.exp(-rate * second.get_xdata()))


def test_a_sweep_is_labelled_by_its_values():
    each = np.empty(2, object)
    each[:] = [seen(2.0, discrete=True, last=20), seen(discrete=True, last=20)]
    sweep = EscapeSweep(xr.DataArray(each, dims="rho", coords={"rho": [0.1, 0.5]}))
    ax = survival(sweep, theory=0.1, band=False)
    assert texts(ax) == [r"$\rho$ = 0.1", r"$\rho$ = 0.5", "theory"]
    assert ax.get_xlabel() == "step $t$"
    assert not ax.collections


@pytest.mark.parametrize("last", [1.0, 1e9])
def test_many_particles_are_drawn_by_few_points(last):
    one = seen(n=200_000, last=last)
    x, y = survival(one, log=True).get_lines()[0].get_data()
    assert 500 < len(x) <= 2001
    assert (x[0], x[-1]) == (0, one.times.max())
    shares = y[y > 0]
    assert np.max(shares[:-1] / shares[1:]) < 2.01 if last > 1 else 1.01
    np.testing.assert_array_equal(y, one.survival.S[np.searchsorted(one.survival.time, x)])


REFUSALS = {
    "list": (lambda: survival([seen()]), TypeError, "got a list"),
    "empty": (lambda: survival({}), TypeError, "times must be what"),
    "value": (lambda: survival({"a": 3}), TypeError, "times of 'a' must be EscapeTimes"),
    "units": (
        lambda: survival({"a": seen(), "b": seen(discrete=True, last=9)}),
        ValueError,
        "in one unit",
    ),
    "label": (lambda: survival({"a": seen()}, theory={"b": 1.0}), ValueError, "got 'b'"),
    "rate": (lambda: survival(seen(), theory=-1.0), ValueError, "theory must be at least 0"),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_refusals(name):
    call, kind, message = REFUSALS[name]
    with pytest.raises(kind, match=message):
        call()
