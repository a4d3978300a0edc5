"""Pictures of trained networks: what is drawn has the data. No torch is needed."""

from typing import NamedTuple

import numpy as np
import pytest
import xarray as xr
from matplotlib.colors import to_rgba
from scipy import stats

import samdyn as sd
from samdyn.plot import COLORS, density, slices, training

REASON = {"flag_values": np.arange(4), "flag_meanings": "running finished diverged interrupted"}


@pytest.fixture
def run():
    """Two radii, four seeds, five epochs of 10 steps, and a switch at step 25."""
    rng = np.random.default_rng(0)
    dims, shape = ("rho", "seed"), (2, 4)
    step = np.broadcast_to(np.arange(5) * 10, (*shape, 5)).copy()
    return xr.Dataset(
        {
            "train_loss": ((*dims, "epoch"), rng.uniform(0.5, 1.0, (*shape, 5))),
            "test_error": ((*dims, "epoch"), rng.uniform(0.1, 0.2, (*shape, 5))),
            "w": ((*dims, "epoch", "weight"), np.zeros((*shape, 5, 3))),
            "step": ((*dims, "epoch"), step),
            "reason": (dims, np.ones(shape, int), REASON),
            "switched": ((*dims, "later_phase"), np.full((*shape, 1), 25)),
        },
        {"rho": [0.0, 0.1], "seed": [3, 1, 4, 5], "epoch": np.arange(5)},
    )


def verticals(ax):
    return [
        (line.get_xdata()[0], to_rgba(line.get_color()))
        for line in ax.lines
        if len(line.get_xdata()) == 2 and line.get_linestyle() != "-"
    ]


def test_the_mean_has_the_interval_of_a_t_test(run, paper):
    ax = training(run, ax=paper)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("epoch", "test error")
    assert [text.get_text() for text in ax.get_legend().get_texts()] == [
        r"$\rho$ = 0",
        r"$\rho$ = 0.1",
    ]
    for k in range(2):
        values = run.test_error.isel(rho=k).values
        np.testing.assert_allclose(ax.lines[k].get_ydata(), values.mean(axis=0))
        band = stats.ttest_1samp(values, 0.0).confidence_interval(0.95)
        drawn = ax.collections[k].get_paths()[0].vertices
        for epoch in range(5):
            ends = np.unique(drawn[drawn[:, 0] == epoch, 1])
            np.testing.assert_allclose(ends[[0, -1]], [band.low[epoch], band.high[epoch]])
    assert verticals(ax) == [(2.5, to_rgba("0.5"))]


def test_every_network_is_drawn_in_the_colour_of_its_value(run, paper):
    ax = training(run, "train_loss", over=None, ax=paper, log=True)
    assert ax.get_yscale() == "log"
    for k, line in enumerate(ax.lines[:8]):
        np.testing.assert_array_equal(line.get_ydata(), run.train_loss.values.reshape(8, 5)[k])
        assert line.get_color() == COLORS[k // 4]
    assert len(ax.get_legend().get_texts()) == 2
    assert not ax.collections


def test_seeds_alone_are_told_apart(run):
    ax = training(run.isel(rho=0), over=None)
    assert [t.get_text() for t in ax.get_legend().get_texts()] == [
        f"seed = {k}" for k in (3, 1, 4, 5)
    ]
    assert len({line.get_color() for line in ax.lines[:4]}) == 4


def test_one_network_needs_no_seed(run):
    ax = training(run.isel(rho=1, seed=2), x="step")
    np.testing.assert_array_equal(ax.lines[0].get_xdata(), np.arange(5) * 10)
    np.testing.assert_array_equal(ax.lines[0].get_ydata(), run.test_error[1, 2])
    assert ax.get_legend() is None
    assert verticals(ax) == [(25, to_rgba("0.5"))]


def test_switches_of_their_own_have_the_colour_of_their_line(run):
    run.switched[1] = 30
    run.switched[1, 0] = -1  # it never came there
    assert verticals(training(run)) == [(2.5, to_rgba(COLORS[0])), (3.0, to_rgba(COLORS[1]))]


def test_a_switch_swept_by_epochs_is_called_so(run):
    swept = run.rename(rho="switch").assign_coords(switch=[2, 3])
    swept.switch.attrs["units"] = "epoch"
    legend = training(swept).get_legend()
    assert [t.get_text() for t in legend.get_texts()] == ["switch at epoch 2", "switch at epoch 3"]


def test_networks_that_diverged_are_counted_not_averaged(run, paper):
    run.test_error[1, 0, 2:] = np.nan
    run.reason[1, 0] = 2
    run["step"][1, 0, 2:] = -1
    ax = training(run, ax=paper)
    np.testing.assert_allclose(ax.lines[1].get_ydata(), run.test_error[1, 1:].mean("seed"))
    assert ax.get_legend().get_texts()[1].get_text() == r"$\rho$ = 0.1 (1 of 4 diverged)"
    every = training(run, over=None)
    (cross,) = [line for line in every.lines if line.get_marker() == "x"]
    assert cross.get_xydata().tolist() == [[1.0, float(run.test_error[1, 0, 1])]]
    assert training(run.sel(rho=0.1, seed=3)).lines[0].get_xdata().tolist() == [0, 1]


def test_all_may_have_diverged_and_some_be_unfinished(run):
    run.reason[1] = 2
    assert "4 of 4 diverged" in training(run).get_legend().get_texts()[1].get_text()
    run.test_error[0, 0] = np.nan  # never begun
    run.test_error[0, 1, 3:] = np.nan  # interrupted
    run.reason[0, :2] = 3
    line = training(run).lines[0]
    np.testing.assert_allclose(line.get_ydata(), run.test_error[0, 1:, :3].mean("seed"))


def test_what_was_tracked_now_and_then_is_joined(run):
    run["trace"] = run.test_error.where(run.epoch % 2 == 0)
    np.testing.assert_array_equal(training(run, "trace").lines[0].get_xdata(), [0, 2, 4])


def test_a_run_is_refused_in_one_sentence(run):
    with pytest.raises(ValueError, match=r"name must be one of train_loss, .*got 'w'"):
        training(run, "w")
    with pytest.raises(ValueError, match=r"over must be one of \['rho', 'seed'\] or None"):
        training(run, over="lr")
    with pytest.raises(ValueError, match="x must be 'epoch' or 'step'"):
        training(run, x="time")
    with pytest.raises(ValueError, match="level must be between 0 and 1"):
        training(run, level=95)
    with pytest.raises(TypeError, match=r"run must be a result of samdyn\.networks\.train"):
        training(run.test_error)
    with pytest.raises(ValueError, match=r"one of samdyn\.simulate is drawn by plot\.series"):
        training(sd.simulate(sd.Map(sd.Loss("x**2"), sd.GD(lr=0.1)), [1.0], 2, record=1))
    run["step"][0, 1] = np.arange(5) * 20
    with pytest.raises(ValueError, match="x must be 'epoch' where networks that are averaged"):
        training(run, x="step")
    training(run, x="step", over=None)


class Curve(NamedTuple):
    eigenvalue: np.ndarray
    density: np.ndarray
    standard_error: np.ndarray


class Density(NamedTuple):
    """Four probes of a spectrum: 0 nearly always, and an outlier."""

    nodes: np.ndarray
    weights: np.ndarray

    def curve(self, x, width):
        bumps = stats.norm.pdf(x[:, None, None], self.nodes, width) * self.weights
        each = bumps.sum(axis=-1)
        return Curve(x, each.mean(axis=1), each.std(axis=1, ddof=1) / np.sqrt(each.shape[1]))


@pytest.fixture
def spectrum():
    nodes = np.tile([0.0, 2.0, 2.0], (4, 1))
    small = np.array([0.5e-3, 1e-3, 1e-3, 1.5e-3])
    return Density(nodes, np.stack([1 - small, small, 0 * small], axis=1))


def test_the_density_is_drawn_down_to_a_single_eigenvalue(spectrum, paper):
    ax = density(spectrum, ax=paper)
    x, y = ax.lines[0].get_data()
    assert np.trapezoid(y, x) == pytest.approx(1.0, abs=1e-3)
    peak = y[np.abs(x - 2.0) < 0.02].max()
    assert peak == pytest.approx(1e-3 / (0.02 * np.sqrt(2 * np.pi)), rel=0.01)
    low, high = ax.get_ylim()
    assert ax.get_yscale() == "log"
    assert 0.2 * peak < low < peak  # the padding of weight 0 says nothing
    assert high > y.max()
    reach = stats.t.ppf(0.975, 3) * np.std(spectrum.weights[:, 1], ddof=1) / 2
    top = ax.collections[0].get_paths()[0].vertices
    there = top[np.abs(top[:, 0] - 2.0) < 0.02, 1].max()
    assert there / peak == pytest.approx(1 + reach / 1e-3, rel=0.01)


def test_the_axis_goes_as_deep_as_the_dimension_says(spectrum):
    ax = density(spectrum, dimension=10**6, width=0.1)
    assert ax.get_ylim()[0] == pytest.approx(0.3e-6 / (0.1 * np.sqrt(2 * np.pi)))
    assert density(spectrum, log=False).get_ylim()[0] == 0.0


def test_a_narrow_width_is_resolved(spectrum):
    y = density(spectrum, width=1e-4).lines[0].get_ydata()
    assert y.max() == pytest.approx((1 - 1e-3) / (1e-4 * np.sqrt(2 * np.pi)), rel=0.05)


def test_densities_are_compared_at_one_width(spectrum):
    wide = spectrum._replace(nodes=2 * spectrum.nodes)
    ax = density({"SGD": wide, "SAM": spectrum})
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["SGD", "SAM"]
    peaks = [line.get_ydata().max() for line in ax.lines]
    assert peaks[0] == pytest.approx(peaks[1], rel=1e-3)


def test_other_densities_are_refused(spectrum):
    with pytest.raises(TypeError, match=r"found must be a result of samdyn\.networks\.curvature"):
        density(np.ones(3))
    with pytest.raises(ValueError, match="found must have a density, got an empty mapping"):
        density({})
    with pytest.raises(ValueError, match="width"):
        density(spectrum, width=0.0)
    with pytest.raises(ValueError, match="level must be between 0 and 1"):
        density(spectrum, level=2.0)


@pytest.fixture
def plane():
    x, y = np.linspace(-1, 1, 9), np.linspace(-2, 2, 7)
    loss = 1e-3 + x[:, None] ** 2 + 3 * y**2
    attrs = {"length_x": 2.0, "length_y": 0.5, "cosine": 0.0}
    error = (("x", "y"), loss / 20)
    return xr.Dataset(
        {"train_loss": (("x", "y"), loss), "train_error": error}, {"x": x, "y": y}, attrs
    )


def test_lines_of_train_and_test_loss(paper):
    t = np.linspace(-0.2, 1.2, 8)
    found = xr.Dataset(
        {"train_loss": ("t", t**2), "test_loss": ("t", t**2 + 0.1), "train_error": ("t", t * 0)},
        {"t": t}, {"distance": 3.0},
    )  # fmt: skip
    ax = slices(found, ax=paper)
    np.testing.assert_array_equal(ax.lines[0].get_ydata(), found.train_loss)
    np.testing.assert_array_equal(ax.lines[1].get_ydata(), found.test_loss)
    assert [line.get_xdata()[0] for line in ax.lines[2:]] == [0.0, 1.0]
    assert ax.get_xlabel() == "$t$, from $a$ at 0 to $b$ at 1, 3 away"
    assert ax.get_ylabel() == "loss"
    assert slices(found, "train_error").get_ylabel() == "train error"


def test_a_slice_says_how_long_its_direction_is():
    x = np.linspace(-1, 1, 5)
    ax = slices(xr.Dataset({"train_loss": ("x", x**2)}, {"x": x}, {"length": 2.5}))
    assert ax.get_xlabel() == "$x$, in units of 2.5"
    assert [line.get_xdata()[0] for line in ax.lines[1:]] == [0.0]


def test_a_plane_has_logarithmic_contours_that_hold_the_loss(plane, paper):
    ax = slices(plane, ax=paper)
    filled = ax.collections[0]
    assert filled.norm.vmin == pytest.approx(1e-3)
    assert filled.norm.vmax == pytest.approx(13.001)
    ratios = filled.levels[1:] / filled.levels[:-1]
    np.testing.assert_allclose(ratios, ratios[0])
    (bar,) = [other for other in ax.figure.axes if other is not ax]
    assert bar.get_ylabel() == "train loss"
    assert ax.get_xlabel() == "$x$, in units of 2"
    assert ax.get_ylabel() == "$y$, in units of 0.5"
    # a level's contour lies where the loss has it: on the axis y = 0, x = ±√(L - 0.001)
    level = filled.levels[15]
    outline = np.concatenate([p.vertices for p in ax.collections[1].get_paths()[15:16]])
    reach = np.abs(outline[:, 1]).max()
    assert reach == pytest.approx(np.sqrt((level - 1e-3) / 3), rel=0.1)


def test_an_error_rate_has_even_contours(plane):
    filled = slices(plane, "train_error", legend=False).collections[0]
    np.testing.assert_allclose(np.diff(filled.levels, 2), 0.0, atol=1e-12)


def test_a_loss_that_is_nowhere_0_or_not_finite_is_drawn(plane, paper):
    plane.train_loss[0, 0] = np.inf
    plane.train_loss[4, 3] = 0.0
    assert np.isfinite(slices(plane, ax=paper).collections[0].levels).all()


def test_other_slices_are_refused(plane):
    with pytest.raises(TypeError, match=r"found must be a Dataset of samdyn\.networks\.landscape"):
        slices(plane.train_loss)
    with pytest.raises(ValueError, match="it is over epoch"):
        slices(xr.Dataset({"train_loss": ("epoch", [1.0])}))
    with pytest.raises(ValueError, match="names must be among train_loss, train_error"):
        slices(plane, "test_loss")
    with pytest.raises(ValueError, match="names must be one for a plane"):
        slices(plane, ["train_loss", "train_error"])
    with pytest.raises(ValueError, match="must vary on the plane"):
        slices(0 * plane)
    with pytest.raises(ValueError, match="log must be False"):
        slices(plane - 1.0, log=True)
