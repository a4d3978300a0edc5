import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.quiver import Quiver

import samdyn as sd
from samdyn.plot import portrait
from samdyn.plot.ascents import Perturbed
from samdyn.plot.labels import symbol

SADDLE = sd.Loss("x**2/2 - y**2/2 + y**4/4")
BOX = [(-2, 2), (-2, 2)]
HENON = sd.FormulaMap({"x": "1 - a*x**2 + y", "y": "b*x"}, a=1.4, b=0.3)


def texts(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def marked(ax, label):
    (line,) = [line for line in ax.get_lines() if line.get_label() == label]
    return line, np.transpose(line.get_data())


def quivers(ax):
    return [one for one in ax.collections if isinstance(one, Quiver)]


def test_arrows_point_along_the_step_and_tell_its_length():
    ax = portrait(sd.Map(SADDLE, sd.GD(lr=0.1)), BOX)
    (arrows,) = quivers(ax)
    step = -0.1 * SADDLE.grad(arrows.XY)
    length = np.linalg.norm(step, axis=1)
    np.testing.assert_allclose(arrows.get_array(), length, rtol=1e-12)
    directions = np.stack([arrows.U, arrows.V], axis=1)
    np.testing.assert_allclose(directions, step / length[:, None], atol=1e-12)
    assert (ax.get_xlim(), ax.get_ylim()) == ((-2, 2), (-2, 2))
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("$x$", "$y$")


def test_a_saddle_made_an_attractor_is_a_filled_dot():
    # Kim et al., arXiv 2301.06308: un-normalised SAM with rho > 1/|lambda| = 1
    ax = portrait(sd.Map(SADDLE, sd.USAM(lr=0.05, rho=1.5)), BOX)
    line, points = marked(ax, "saddle of $L$, attractor of the map")
    np.testing.assert_allclose(points, [[0, 0]], atol=1e-12)
    assert line.get_marker() == "o"
    assert line.get_markerfacecolor() != "white"
    # and there are new ones, where w^p is a critical point: y + 1.5 (y^3 - y) = 0
    line, points = marked(ax, "no critical point of $L$, saddle of the map")
    np.testing.assert_allclose(np.sort(points[:, 1]), [-(3**-0.5), 3**-0.5], atol=1e-9)
    assert line.get_markerfacecolor() == "white"
    line, points = marked(ax, "minimum of $L$, attractor of the map")
    np.testing.assert_allclose(np.sort(points[:, 1]), [-1, 1], atol=1e-9)
    below = portrait(sd.Map(SADDLE, sd.USAM(lr=0.05, rho=0.5)), BOX)
    line, _ = marked(below, "saddle of $L$, saddle of the map")
    assert line.get_marker() == "X"


def test_normalised_sam_jumps_and_weight_decay_moves_fixed_points():
    ax = portrait(sd.Map(SADDLE, sd.SAM(lr=0.05, rho=0.2)), BOX)
    assert {"minimum of $L$, the map jumps here", "saddle of $L$, the map jumps here"} <= set(
        texts(ax)
    )
    beale = portrait(sd.Flow(sd.losses.beale(), sd.SAM(lr=0.05, rho=0.2)))
    assert len(marked(beale, "saddle of $L$, the flow jumps here")[1]) == 2
    ax = portrait(sd.Map(SADDLE, sd.GD(lr=0.05, weight_decay=0.36)), BOX)
    assert len(marked(ax, "minimum of $L$, not fixed by the map")[1]) == 2
    _, points = marked(ax, "no critical point of $L$, attractor of the map")
    np.testing.assert_allclose(np.sort(points[:, 1]), [-0.8, 0.8], atol=1e-9)  # y^2 = 1 - 0.36


def test_fixed_points_of_a_formula_map_have_no_loss():
    ax = portrait(HENON, [(-1.5, 1.5), (-0.5, 0.5)], nullclines=True)
    assert texts(ax) == [r"$\Delta x = 0$", r"$\Delta y = 0$", "saddle of the map"]
    _, points = marked(ax, "saddle of the map")
    x = (-0.7 + np.array([-1, 1]) * np.sqrt(0.49 + 5.6)) / 2.8
    np.testing.assert_allclose(points[np.argsort(points[:, 0]), 0], x, rtol=1e-10)


def test_nullclines_lie_where_a_component_vanishes():
    ax = portrait(sd.Flow(SADDLE, sd.GD(lr=0.1)), BOX, nullclines=True, contours=False)
    drawn = [one for one in ax.collections if type(one).__name__ == "QuadContourSet"]
    points = [np.concatenate(one.get_paths()[0].to_polygons(closed_only=False)) for one in drawn]
    np.testing.assert_allclose(points[0][:, 0], 0, atol=1e-12)
    np.testing.assert_allclose(points[1][:, 1] ** 3, points[1][:, 1], atol=1e-3)
    assert r"$\dot{x} = 0$" in texts(ax)


W = np.random.default_rng(0).uniform(-2, 2, (7, 2))
UP = SADDLE.grad(W)


@sd.algorithm
def written_sam(grad, w, *, lr, rho):
    return w - lr * grad(w + rho * grad(w))


ASCENTS = {
    "sam": (sd.SAM(lr=0.1, rho=0.3), 0.3 * UP / np.linalg.norm(UP, axis=1, keepdims=True)),
    "usam with momentum": (sd.USAM(lr=0.1, rho=0.3, momentum=0.9), 0.3 * UP),
    "lookahead": (sd.Lookahead(sd.USAM(lr=0.1, rho=0.3)), 0.3 * UP),
    "written": (written_sam(lr=0.1, rho=0.3), 0.3 * UP),
}


@pytest.mark.parametrize("name", ASCENTS)
def test_the_perturbed_point_is_where_the_algorithm_asks(name):
    algorithm, way = ASCENTS[name]
    found = Perturbed(sd.Map(SADDLE, algorithm)).at(W)
    np.testing.assert_allclose(found, W + way, rtol=1e-12)


def test_ascent_arrows_are_true_to_length_unless_longer_than_a_cell():
    ax = portrait(sd.Map(SADDLE, sd.SAM(lr=0.1, rho=0.05)), BOX, ascent=True)
    arrows = quivers(ax)[1]
    np.testing.assert_allclose(np.hypot(arrows.U, arrows.V), 0.05, rtol=1e-12)
    assert "ascent $w \\to w^p$" in texts(ax)
    ax = portrait(sd.Flow(SADDLE, sd.USAM(lr=0.1, rho=5.0)), BOX, ascent=True)
    arrows = quivers(ax)[0]  # a flow has streamlines
    assert np.max(np.abs(arrows.U)) < 0.5
    assert "ascent $w \\to w^p$ (long ones cut)" in texts(ax)


def test_a_run_is_drawn_on_top(paper):
    system = sd.Map(SADDLE, sd.GD(lr=0.1))
    run = sd.simulate(system, [1.5, 0.1], 40, record=1)
    ax = portrait(system, BOX, ax=paper, run=run)
    assert ax is paper
    assert any(np.array_equal(np.transpose(line.get_data()), run.w) for line in ax.get_lines())
    assert len(ax.figure.axes) == 2  # and the colour bar
    assert ax.figure.axes[1].get_xlabel() == "step length $|F(z) - z|$"
    bare = portrait(system, BOX, legend=False)
    assert bare.get_legend() is None
    assert len(bare.figure.axes) == 1


def test_one_coordinate_and_its_velocity_make_a_plane():
    system = sd.Map(sd.Loss("x**4/4 - x**2/2"), sd.GD(lr=0.1, momentum=0.9))
    box = [(-1.8, 1.8), (-1, 1)]
    run = sd.simulate(system, [0.01], 30, record=1, state=True)
    ax = portrait(system, box, run=run)
    assert ax.get_ylabel() == "$v_{x}$"
    path = np.stack([run.w.values[:, 0], run.velocity.values[:, 0]])
    assert any(np.array_equal(line.get_data(), path) for line in ax.get_lines())
    assert "maximum of $L$, saddle of the map" in texts(ax)
    without = sd.simulate(system, [0.01], 30, record=1)
    with pytest.raises(ValueError, match="run simulate with state=True"):
        portrait(system, box, run=without)


def test_symbols():
    assert [symbol(n) for n in ("momentum", "rho", "x", "velocity_x1")] == [
        r"$\beta$",
        r"$\rho$",
        "$x$",
        "$v_{x1}$",
    ]


GD = sd.GD(lr=0.1)
REFUSALS = {
    "dimension": (lambda: portrait(sd.Map(sd.Loss("x**2"), GD)), "2 coordinates, or of one and"),
    "array": (lambda: portrait(sd.Map(SADDLE, sd.GD(lr=[0.1, 0.2])), BOX), "one value of lr"),
    "no box": (lambda: portrait(HENON), "box must be given for this system"),
    "box": (lambda: portrait(HENON, [(1, -1), (0, 1)]), "box must be 2 intervals"),
    "loss box": (lambda: portrait(sd.Map(SADDLE, GD)), "box must be given for this loss"),
    "ascent": (lambda: portrait(sd.Map(SADDLE, GD), BOX, ascent=True), "such as SAM with rho"),
    "formula": (lambda: portrait(HENON, BOX, ascent=True), "ascent=True needs a Map or a Flow"),
    "density": (lambda: portrait(HENON, BOX, density=0), "density must be above 0"),
    "still": (
        lambda: portrait(sd.FormulaMap({"x": "x", "y": "y"}), BOX, critical=False),
        "points that the system moves",
    ),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_portrait_refuses(name):
    make, message = REFUSALS[name]
    with pytest.raises(ValueError, match=message):
        make()
    assert not plt.get_fignums() or name == "still"


def test_portrait_refuses_other_things():
    with pytest.raises(TypeError, match="system must be a"):
        portrait(SADDLE)
    with pytest.raises(TypeError, match="a Switch is several maps"):
        portrait(sd.Map(SADDLE, sd.Switch([(0, GD), (5, sd.SAM(lr=0.1, rho=0.1))])), BOX)
