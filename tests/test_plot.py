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


def labels(ax):
    return [line.get_label() for line in ax.get_lines() if not line.get_label().startswith("_")]


def test_labels_name_values_only_and_once():
    points = np.array([[0.3, 0.01], [0.2, 0.02]])
    run = sd.simulate(sd.Map(SADDLE, sd.SAM(lr=0.1, rho=[0.0, 0.2])), points, 10, record=5)
    ax = sd.plot.series(run)
    assert [label for label in labels(ax) if label] == [r"$\rho$ = 0", r"$\rho$ = 0.2"]
    colors = [line.get_color() for line in ax.get_lines()]
    assert colors[0] == colors[1] != colors[2] == colors[3]
    alone = sd.simulate(sd.Map(SADDLE, sd.GD(lr=0.1)), points, 10, record=5)
    ax = sd.plot.trajectory(alone)
    assert not any(labels(ax))
    assert ax.get_legend() is None
    paths = [line for line in ax.get_lines() if len(line.get_xdata()) > 1]
    assert paths[0].get_color() != paths[1].get_color()


def test_a_legend_is_drawn_unless_not_wanted(run):
    for draw in (sd.plot.trajectory, sd.plot.series):
        said = [text.get_text() for text in draw(run).get_legend().get_texts()]
        assert said == [r"$\rho$ = 0", r"$\rho$ = 0.2"]
        assert draw(run, legend=False).get_legend() is None


def test_series_draws_vectors_and_coordinates(run):
    system = sd.Map(SADDLE, sd.GD(lr=0.1, momentum=0.9))
    moving = sd.simulate(system, [0.3, 0.01], 20, record=1, state=True)
    ax = sd.plot.series(moving, "velocity")
    assert [line.get_label() for line in ax.get_lines()] == ["$x$", "$y$"]
    np.testing.assert_array_equal(ax.get_lines()[1].get_ydata(), moving.velocity.sel(coord="y"))
    ax = sd.plot.series(run, "y")
    np.testing.assert_array_equal(ax.get_lines()[0].get_ydata(), run.w.sel(rho=0.0, coord="y"))
    assert ax.get_ylabel() == "$y$"
    one = sd.simulate(sd.Map(sd.Loss("x**2"), sd.GD(lr=0.1)), [0.1], 3, record=1)
    assert len(sd.plot.series(one, "x").get_lines()) == 1


def test_a_particle_without_a_finite_point_is_left_out(run):
    half = run.copy(deep=True)
    half["w"].loc[{"rho": 0.0}] = np.nan
    assert len(sd.plot.trajectory(half).get_lines()) == 3
    half["w"][:] = np.nan
    with pytest.raises(ValueError, match="no finite point to draw"):
        sd.plot.trajectory(half)


def test_plots_refuse_coordinates_that_are_none(run):
    with pytest.raises(ValueError, match=r"x must be one of the coordinates \['x', 'y'\], got 'z'"):
        sd.plot.trajectory(run, "z")
    with pytest.raises(ValueError, match="y must be one of the coordinates"):
        sd.plot.trajectory(run, "x", "")


TYPES = {
    "contours": (lambda run: sd.plot.contours(run), "loss must be a samdyn.Loss, got a Dataset"),
    "trajectory": (lambda run: sd.plot.trajectory(SADDLE), "a result of samdyn.simulate"),
    "series": (lambda run: sd.plot.series(run.w), "simulate, got a DataArray"),
    "points": (lambda run: sd.plot.critical_points(SADDLE), "critical points .* got a Loss"),
}


@pytest.mark.parametrize("name", TYPES)
def test_plots_refuse_other_things(name, run):
    make, message = TYPES[name]
    with pytest.raises(TypeError, match=message):
        make(run)


SWEPT = sd.Loss("a*x**2 + y**2", variables="x y", a=[1.0, 2.0])
BOX = [(-1, 1), (-1, 1)]

REFUSALS = {
    "intervals": (lambda: sd.plot.contours(SADDLE, (-1, 1)), "box must be 2 intervals"),
    "array": (lambda: sd.plot.contours(SWEPT, BOX), "contours needs one value of constant a"),
    "flat": (
        lambda: sd.plot.contours(sd.Loss("1", variables="x y"), BOX, log=True),
        "needs a loss that varies",
    ),
    "nowhere": (
        lambda: sd.plot.contours(sd.Loss("log(-1 - x**2 - y**2)"), BOX),
        "needs a loss that varies",
    ),
    "levels": (lambda: sd.plot.contours(SADDLE, BOX, levels=0), "levels must be a whole"),
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
