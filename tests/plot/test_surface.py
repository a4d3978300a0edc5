import matplotlib.pyplot as plt
import numpy as np
import pytest

import samdyn as sd
from samdyn.plot import STYLE, surface

SADDLE = sd.Loss("x**2/2 - y**2/2 + y**4/4")
BOX = [(-2, 2), (-1.5, 1.5)]


@pytest.fixture(scope="module")
def run():
    return sd.simulate(sd.Map(SADDLE, sd.SAM(lr=0.1, rho=[0.0, 0.2])), [1.5, 0.01], 50, record=5)


@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize("width", [3.3, 7.0])
def test_paths_lie_on_the_surface(run, width, log):
    with plt.rc_context(STYLE):
        figure = plt.figure(figsize=(width, width * 0.8))
        given = figure.add_subplot(projection="3d")
        ax = surface(SADDLE, BOX, run, ax=given, log=log, points=40)
        figure.canvas.draw()
    assert ax is given
    path = ax.get_lines()[0]
    x, y, z = path.get_data_3d()
    w = run.w.sel(rho=0.0).values
    np.testing.assert_array_equal([x, y], w.T)
    height = SADDLE.value(w)
    if log:
        sides = np.stack(np.meshgrid(*(np.linspace(*side, 40) for side in BOX)), axis=-1)
        values = SADDLE.value(sides)
        least = np.percentile(values - values.min(), 0.05)
        height = np.log10(np.maximum(height - values.min(), least))
    np.testing.assert_allclose(z, height, rtol=1e-12)
    said = [text.get_text() for text in ax.get_legend().get_texts()]
    assert said == [r"$\rho$ = 0", r"$\rho$ = 0.2"]
    assert ax.get_zlabel() == (r"$L - \min L$" if log else "$L$")
    assert (ax.get_xlim(), ax.get_ylabel()) == ((-2, 2), "$y$")


def test_a_path_outside_the_box_is_left_out(run):
    ax = surface(SADDLE, [(-1, 1), (-1.5, 1.5)], run, points=20, legend=False)
    x, _, _ = ax.get_lines()[0].get_data_3d()
    outside = np.abs(run.w.sel(rho=0.0, coord="x").values) > 1
    np.testing.assert_array_equal(np.isnan(x), outside)
    assert outside.any()
    assert ax.get_legend() is None


REFUSALS = {
    "flat axes": (lambda run: surface(SADDLE, BOX, ax=plt.subplots()[1]), "ax must be 3-D"),
    "dimension": (lambda run: surface(sd.Loss("x**2")), "2 variables; this one has 1"),
    "box": (lambda run: surface(SADDLE), "box must be given"),
    "constant": (lambda run: surface(sd.Loss("1", variables="x y"), BOX), "a loss that varies"),
    "points": (lambda run: surface(SADDLE, BOX, points=1), "points must be a whole"),
    "no record": (lambda run: surface(SADDLE, BOX, run.isel(time=0)), "nothing was recorded"),
    "coordinates": (
        lambda run: surface(sd.Loss("a**2 + b**2"), BOX, run),
        r"coordinates \['a', 'b'\] of the loss, got \['x', 'y'\]",
    ),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_surface_refuses(name, run):
    make, message = REFUSALS[name]
    with pytest.raises(ValueError, match=message):
        make(run)


def test_surface_refuses_other_things():
    with pytest.raises(TypeError, match="loss must be a samdyn.Loss, got a str"):
        surface("x**2")
