import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest

import samdyn as sd

mpl.use("agg")
SADDLE = sd.Loss("x**2/2 - y**2/2 + y**4/4")


@pytest.fixture(autouse=True)
def _closed():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def run():
    return sd.simulate(sd.Map(SADDLE, sd.SAM(lr=0.1, rho=[0.0, 0.2])), [0.3, 0.01], 50, record=5)


def test_trajectory_draws_what_was_recorded(run):
    _, given = plt.subplots()
    ax = sd.plot.trajectory(run, ax=given)
    assert ax is given
    paths = [line for line in ax.get_lines() if len(line.get_xdata()) > 1]
    assert [line.get_label() for line in paths] == [r"$\rho$ = 0", r"$\rho$ = 0.2"]
    for line, rho in zip(paths, run.rho, strict=True):
        np.testing.assert_array_equal(np.transpose(line.get_data()), run.w.sel(rho=rho))
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("$x$", "$y$")


def test_trajectory_takes_the_coordinates_asked_for(run):
    line = sd.plot.trajectory(run, "y", "x").get_lines()[0]
    np.testing.assert_array_equal(line.get_xdata(), run.w.sel(rho=0.0, coord="y"))


def test_many_particles_carry_no_labels():
    many = sd.simulate(sd.Map(SADDLE, sd.GD(lr=0.1)), np.zeros((20, 2)), 5, record=1)
    assert all(
        line.get_label().startswith(("_", " ")) or not line.get_label()
        for line in sd.plot.trajectory(many).get_lines()
    )


def test_series_draws_a_variable_over_the_steps(run):
    ax = sd.plot.series(run)
    line = ax.get_lines()[1]
    np.testing.assert_array_equal(line.get_ydata(), run.loss.sel(rho=0.2))
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("step", "loss")


def test_contours_have_the_axes_of_the_loss():
    ax = sd.plot.contours(SADDLE, [(-1, 2), (-3, 4)], log=True)
    assert ax.get_xlim() == (-1, 2)
    assert ax.get_ylim() == (-3, 4)
    assert ax.get_xlabel() == "$x$"
    assert sd.plot.contours(sd.losses.beale()).get_xlim() == sd.losses.beale().box[0]


def test_critical_points_are_marked_by_kind():
    points = SADDLE.critical_points([(-2, 2), (-2, 2)])
    ax = sd.plot.critical_points(points, ax=sd.plot.contours(SADDLE, [(-2, 2), (-2, 2)]))
    marks = {line.get_label(): np.transpose(line.get_data()) for line in ax.get_lines()}
    np.testing.assert_allclose(marks["saddle"], [[0, 0]], atol=1e-12)
    np.testing.assert_allclose(np.sort(marks["minimum"][:, 1]), [-1, 1], atol=1e-12)


REFUSALS = {
    "no record": (
        lambda: sd.plot.trajectory(sd.simulate(sd.Map(SADDLE, sd.GD(lr=0.1)), [0.1, 0.1], 3)),
        "nothing was recorded; run simulate with record=",
    ),
    "one coordinate": (
        lambda: sd.plot.trajectory(
            sd.simulate(sd.Map(sd.Loss("x**2"), sd.GD(lr=0.1)), [0.1], 3, record=1)
        ),
        "draw the run with plot.series",
    ),
    "dimension": (lambda: sd.plot.contours(sd.Loss("x**2")), "2 variables; this one has 1"),
    "box": (lambda: sd.plot.contours(SADDLE), "box must be given"),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_plots_refuse(name):
    make, message = REFUSALS[name]
    with pytest.raises(ValueError, match=message):
        make()


def test_series_refuses_what_is_not_over_time(run):
    with pytest.raises(ValueError, match=r"one of \['w'|'loss'\].*got 'final'"):
        sd.plot.series(run, "final")
