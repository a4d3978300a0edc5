import numpy as np
import pytest
import xarray as xr
from matplotlib.colors import to_rgb

from samdyn.plot import COLORS, bifurcation, branches, phase_diagram


def texts(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


@pytest.fixture
def diagram():
    w = np.random.default_rng(0).uniform(size=(2, 4, 3, 2))
    return xr.Dataset(
        {"w": (("direction", "rho", "sample", "coord"), w)},
        coords={
            "direction": ["up", "down"],
            "rho": ("rho", [0.1, 0.2, 0.4, 0.8], {"latex": r"\rho", "long_name": "ascent radius"}),
            "coord": ["x", "y"],
        },
    )


@pytest.fixture
def branch():
    a = np.array([0.0, 0.5, 1.0, 0.5, 0.2])
    return xr.Dataset(
        {
            "z": (("place", "row"), np.stack([np.arange(5.0), 10 + np.arange(5.0)], axis=1)),
            "stable": ("place", [True, True, True, False, False]),
            "special_kind": ("special", ["fold", "flip"]),
            "special_value": ("special", [1.0, -0.25]),
            "special_z": (("special", "row"), [[2.0, 12.0], [0.5, 10.5]]),
        },
        coords={"row": ["x", "y"], "rho": ("place", a)},
        attrs={"number": "rho"},
    )


def test_sweeps_up_and_down_are_drawn_apart(diagram, paper):
    ax = bifurcation(diagram, "y", ax=paper)
    up, down = [line for line in ax.get_lines() if len(line.get_xdata())]
    for line, way in ((up, "up"), (down, "down")):
        np.testing.assert_array_equal(line.get_xdata(), np.repeat(diagram.rho, 3))
        values = diagram.w.sel(direction=way, coord="y").values
        np.testing.assert_array_equal(line.get_ydata(), values.ravel())
    assert up.get_color() != down.get_color()
    assert up.get_markersize() < down.get_markersize()
    assert up.get_zorder() > down.get_zorder()
    assert texts(ax) == ["sweep up", "sweep down"]
    assert (ax.get_xlabel(), ax.get_ylabel()) == (r"ascent radius $\rho$", "$y$")
    assert ax.get_xscale() == "log"  # the values double


def test_one_direction_needs_no_legend_and_particles_are_drawn_together(diagram):
    one = diagram.isel(direction=0)
    assert bifurcation(one).get_legend() is None
    assert len(bifurcation(one).get_lines()[0].get_xdata()) == 12
    several = xr.concat([diagram, diagram + 1], "particle")
    assert len(bifurcation(several).get_lines()[0].get_xdata()) == 24
    grid = xr.concat([diagram, diagram + 1], "x")
    assert len(bifurcation(grid).get_lines()[0].get_xdata()) == 24


def test_clouds_are_drawn_as_dust():
    w = np.random.default_rng(0).uniform(size=(2, 4, 900, 1))
    dims = ("direction", "r", "sample", "coord")
    known = {"direction": ["up", "down"], "r": np.arange(4.0), "coord": ["x"]}
    chaos = xr.Dataset({"w": (dims, w)}, coords=known)
    line = bifurcation(chaos).get_lines()[0]
    assert line.get_rasterized()
    calm = bifurcation(chaos.isel(sample=slice(2))).get_lines()[0]
    assert not calm.get_rasterized()
    assert line.get_markersize() < calm.get_markersize()


def test_branches_are_solid_where_stable(branch, paper):
    ax = branches(branch, "y", ax=paper)
    solid, dashed = [line for line in ax.get_lines() if len(line.get_xdata()) > 1]
    np.testing.assert_array_equal(solid.get_xdata(), [0, 0.5, 1.0, 0.5])  # no gap to the next
    np.testing.assert_array_equal(np.ravel(solid.get_ydata()), [10, 11, 12, 13])
    assert (solid.get_linestyle(), dashed.get_linestyle()) == ("-", "--")
    said = ["stable", "unstable", r"fold, $\rho$ = 1", r"flip, $\rho$ = −0.25"]
    assert texts(ax) == said
    fold = next(line for line in ax.get_lines() if line.get_label().startswith("fold"))
    np.testing.assert_array_equal(np.ravel(fold.get_data()), [1.0, 12.0])


def test_each_point_of_a_cycle_is_a_line(branch):
    orbit = np.stack([branch.z, branch.z + 100], axis=1)
    cycle = branch.assign(orbit=(("place", "phase", "row"), orbit))
    drawn = [line for line in branches(cycle).get_lines() if len(line.get_xdata()) > 1]
    assert len(drawn) == 4  # two points, a stable and an unstable stretch


def test_branches_lie_on_a_bifurcation_diagram(diagram, branch):
    ax = bifurcation(diagram, "y", branch=[branch, branch])
    assert texts(ax)[:4] == ["sweep up", "sweep down", "stable", "unstable"]
    low, high = ax.get_xlim()
    assert low > 0.05  # the diagram's own limits
    assert high < 1.0


@pytest.fixture
def plane():
    lr, rho = np.geomspace(0.01, 1, 9), np.linspace(0, 2, 5)
    label = np.zeros((9, 5), np.int8)
    label[5:], label[8], label[:, 0] = 2, 5, 6
    words = "converges cycle trapped escapes chaotic diverges undecided"
    about = {"flag_values": np.arange(7, dtype=np.int8), "flag_meanings": words}
    radius = np.broadcast_to(0.5 + lr[:, None], (9, 5))
    return xr.Dataset(
        {"label": (("lr", "rho"), label, about), "spectral_radius": (("lr", "rho"), radius)},
        coords={"lr": lr, "rho": rho},
    )


def test_a_phase_diagram_shows_labels_and_theory(plane, paper):
    ax = phase_diagram(plane, ax=paper)
    theory = r"theory: $|$multiplier$| = 1$"
    assert texts(ax) == ["converges", "trapped", "diverges", "undecided", theory]
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "linear")
    assert ax.get_xlabel() == r"learning rate $\eta$"
    image = ax.collections[0].get_array()
    assert image.shape == (5, 9, 4)
    assert len({tuple(color) for color in image.reshape(-1, 4)}) == 4
    np.testing.assert_array_equal(image[..., 3] == 0, (plane.label.values == 5).T)
    (line,) = ax.collections[1].get_paths()
    # 0.5 + lr = 1, interpolated between 10**-0.5 and 10**-0.25
    np.testing.assert_allclose(line.vertices[:, 0], 0.5, rtol=1e-9)


def test_theory_is_left_out_where_it_decides_nothing(plane):
    without = plane.assign(spectral_radius=plane.spectral_radius * 0 + 0.3)
    assert "theory" not in " ".join(texts(phase_diagram(without)))
    assert "theory" not in " ".join(texts(phase_diagram(plane.drop_vars("spectral_radius"))))
    unknown = plane.copy(deep=True)
    unknown.label.attrs["flag_meanings"] = "converges cycle held_back escapes chaotic x y"
    assert texts(phase_diagram(unknown))[1] == "held back"


def test_the_labels_colours_are_those_of_colour_blind_readers(plane):
    ax = phase_diagram(plane, legend=False)
    assert ax.get_legend() is None
    trapped = ax.collections[0].get_array()[2, 6, :3]
    blended = 1 - 0.85 * (1 - np.array(to_rgb(COLORS[1])))
    np.testing.assert_allclose(trapped, blended)


REFUSALS = {
    "bifurcation": (lambda d, b, p: bifurcation(3), TypeError, "samdyn.bifurcation, got a int"),
    "no w": (lambda d, b, p: bifurcation(b), ValueError, "with w over direction"),
    "two numbers": (
        lambda d, b, p: bifurcation(d.expand_dims(lr=[0.1, 0.2])),
        ValueError,
        "over one number besides",
    ),
    "coord": (lambda d, b, p: bifurcation(d, "z"), ValueError, r"\['x', 'y'\], got 'z'"),
    "row": (lambda d, b, p: branches(b, "z"), ValueError, "coord must be one of"),
    "branch": (lambda d, b, p: branches("b"), TypeError, "result must be a branch"),
    "of branches": (lambda d, b, p: branches([b, 3]), TypeError, "a branch must be a Dataset"),
    "no stable": (lambda d, b, p: branches(b.drop_vars("stable")), ValueError, "and stable"),
    "no number": (
        lambda d, b, p: branches(b.drop_vars("rho").drop_attrs()),
        ValueError,
        "one number over place, got none",
    ),
    "other numbers": (
        lambda d, b, p: branches([b, b.rename(rho="lr").drop_attrs()]),
        ValueError,
        r"must follow one number, got \['lr', 'rho'\]",
    ),
    "phases": (lambda d, b, p: phase_diagram(p.label), TypeError, "samdyn.phase_diagram"),
    "line": (lambda d, b, p: phase_diagram(p.isel(lr=0)), ValueError, "over two dimensions"),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_refusals(name, diagram, branch, plane):
    make, kind, message = REFUSALS[name]
    with pytest.raises(kind, match=message):
        make(diagram, branch, plane)
