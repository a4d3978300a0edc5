import numpy as np
import pytest
import xarray as xr
from matplotlib.colors import to_rgb

from samdyn.plot import COLORS, basins, manifolds
from samdyn.plot.cells import edges, geometric


def texts(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


@pytest.fixture
def result():
    label = np.zeros((4, 5), np.int16)
    label[2:] = 1
    label[0, 0], label[0, 1], label[3, 4] = -1, -2, -3
    about = {"flag_values": [-3, -2, -1], "flag_meanings": "unstable diverged undecided"}
    return xr.Dataset(
        {
            "label": (("x", "y"), label, about),
            "steps": (("x", "y"), np.arange(20).reshape(4, 5)),
            "attractor_kind": ("attractor", ["fixed point", "cycle"]),
            "period": ("attractor", [1, 2]),
            "point": (("attractor", "row"), [[-1.0, 0.5, 9.0], [1.0, -1e-49, 9.0]]),
            "fraction": ("attractor", [0.4, 0.45]),
            "fraction_low": ("attractor", [0.35, 0.4]),
            "fraction_high": ("attractor", [0.44, 0.5]),
        },
        coords={
            "x": [-1.5, -0.5, 0.5, 1.5],
            "y": [-2.0, -1.0, 0.0, 1.0, 2.0],
            "row": ["x", "y", "velocity_x"],
        },
    )


def cells(ax):
    return ax.collections[0].get_array()


def test_each_cell_has_its_attractors_colour(result, paper):
    ax = basins(result, ax=paper)
    assert ax is paper
    image = cells(ax)
    assert image.shape == (5, 4, 4)  # y goes up, x across
    zero, one = image[2, 0, :3], image[2, 3, :3]
    inside = (result.label.values == 0).T
    np.testing.assert_array_equal(np.all(image[..., :3] == zero, axis=-1), inside)
    assert zero[2] > zero[0]  # a tint of blue
    assert one[0] > one[2]  # and of vermillion
    assert image[1, 0, 3] == 0.0  # diverged: the hatching behind shows
    assert ax.patches[0].get_hatch()
    assert np.ptp(image[0, 0, :3]) == 0  # undecided: grey
    assert (ax.get_xlim(), ax.get_ylim()) == ((-2.0, 2.0), (-2.5, 2.5))
    assert ax.collections[0].get_rasterized()


def test_attractors_are_marked_and_named_by_size(result):
    ax = basins(result)
    points = {line.get_marker(): np.transpose(line.get_data())[0] for line in ax.get_lines()}
    np.testing.assert_allclose(points["o"], [-1.0, 0.5])
    np.testing.assert_allclose(points["s"], [1.0, 0.0], atol=1e-12)
    assert {line.get_marker(): line.get_color() for line in ax.get_lines()}["s"] == COLORS[1]
    assert texts(ax) == [
        "2-cycle at (1, 0): 45.0 % [40.0, 50.0]",
        "fixed point (−1, 0.5): 40.0 % [35.0, 44.0]",
        "undecided: 5.0 %",
        "diverged: 5.0 %",
        "stays at an unstable point: 5.0 %",
    ]
    assert basins(result, legend=False).get_legend() is None


def test_shade_darkens_what_settles_late(result):
    plain, shaded = cells(basins(result)), cells(basins(result, shade=True))
    ratio = shaded[2, :, 0] / plain[2, :, 0]
    assert np.all(np.diff(ratio) < 0)
    assert ratio[0] < 1.0
    with pytest.raises(ValueError, match="shade=True needs the variable 'steps'"):
        basins(result.drop_vars("steps"), shade=True)


def test_many_attractors_are_told_by_the_largest():
    label = np.repeat(np.arange(30, dtype=np.int16), 2).reshape(6, 10)
    result = xr.Dataset({"label": (("x", "y"), label)}, coords={"x": range(6), "y": range(10)})
    ax = basins(result)
    assert len(texts(ax)) == 11
    assert texts(ax)[-1] == "20 more: 66.7 %"
    colors = {tuple(color) for color in cells(ax).reshape(-1, 4)}
    assert len(colors) == 21  # seven colours in three strengths


def test_borders_lie_between_the_values():
    np.testing.assert_allclose(edges(np.array([0.0, 1.0, 3.0])), [-0.5, 0.5, 2.0, 4.0])
    np.testing.assert_allclose(edges(np.array([1.0, 10.0, 100.0])), 10 ** np.arange(-0.5, 3))
    assert geometric(np.geomspace(1e-3, 1, 7))
    assert not geometric(np.linspace(1e-3, 1, 7))
    assert not geometric(np.array([1.0, 2.0]))


def manifold(kind):
    w = np.full((2, 3, 2), np.nan)
    w[0], w[1, :2] = [[0, 0], [1, 0], [2, 1]], [[0, 0], [-1, 0]]
    dims = ("branch", "place", "coord")
    return xr.Dataset({"w": (dims, w)}, coords={"coord": ["x", "y"]}, attrs={"kind": kind})


def test_manifolds_are_lines_of_two_colours(result, paper):
    basins(result, ax=paper)
    ax = manifolds([manifold("stable"), manifold("unstable")], ax=paper)
    lines = [line for line in ax.get_lines() if len(line.get_xdata()) == 3]
    np.testing.assert_array_equal(np.transpose(lines[0].get_data()), [[0, 0], [1, 0], [2, 1]])
    colors = [to_rgb(line.get_color()) for line in lines]
    assert colors[0] == colors[1] == to_rgb(COLORS[0])
    assert colors[2] == colors[3] == to_rgb(COLORS[1])
    assert texts(ax)[0].startswith("2-cycle")  # the basins' legend is kept
    assert texts(ax)[-2:] == ["stable manifold", "unstable manifold"]
    assert ax.get_xlim() == (-2.0, 2.0)


REFUSALS = {
    "type": (lambda r: basins(r.label), TypeError, "Dataset of samdyn.basins, got a DataArray"),
    "label": (lambda r: basins(r.drop_vars("label")), ValueError, "with a variable 'label'"),
    "line": (lambda r: basins(r.isel(x=0)), ValueError, "label must be over two dimensions"),
    "no values": (lambda r: basins(r.drop_vars("x")), ValueError, "values along x, got none"),
    "none": (lambda r: manifolds([]), TypeError, "Dataset of manifolds, or a list"),
    "others": (lambda r: manifolds([3]), TypeError, "got a int"),
    "no w": (lambda r: manifolds(r), ValueError, "a variable w over branch, place and coord"),
    "kind": (lambda r: manifolds(manifold("slow")), ValueError, "'unstable', got 'slow'"),
    "coordinates": (
        lambda r: manifolds(manifold("stable").isel(coord=[0])),
        ValueError,
        "two coordinates",
    ),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_refusals(name, result):
    make, kind, message = REFUSALS[name]
    with pytest.raises(kind, match=message):
        make(result)
