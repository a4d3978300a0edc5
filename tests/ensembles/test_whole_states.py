"""Runs that begin at whole states, and the event that watches them."""

import json

import numpy as np
import pytest
import xarray as xr

import samdyn as sd
from samdyn.ensembles.describe import describe_event
from samdyn.ensembles.points import checked_points, whole_states
from samdyn.ensembles.recipe import build_event
from samdyn.ensembles.result import finished, whole_final

SADDLE = sd.Loss("x**2/2 - y**2/2 + y**4/4")
MOMENTUM = sd.Map(SADDLE, sd.SAM(lr=0.05, rho=0.1, momentum=0.9))
STARTS = np.random.default_rng(0).uniform(-1, 1, (7, 2))


def whole(run):
    """The state at the end of a run."""
    return np.hstack([run.final, run.final_velocity])


def test_points_become_whole_states_at_rest_and_keep_their_labels():
    grid = sd.grid(y=(0, 1, 3), x=(-1, 1, 2))
    states = whole_states(grid, MOMENTUM)
    assert states.dims == ("y", "x", "coord")
    assert states.coord.values.tolist() == list(MOMENTUM.rows)
    np.testing.assert_array_equal(states.sel(coord=["x", "y"]), grid.sel(coord=["x", "y"]))
    np.testing.assert_array_equal(states[..., 2:], 0.0)
    np.testing.assert_array_equal(states.y, grid.y)
    given = np.arange(4.0)
    np.testing.assert_array_equal(whole_states(given, MOMENTUM), given)
    with pytest.raises(ValueError, match="x0 must have shape"):
        whole_states(np.zeros(3), MOMENTUM)


def test_the_whole_states_at_the_end_of_a_run():
    run = sd.simulate(MOMENTUM, STARTS, 20, state=True)
    np.testing.assert_array_equal(whole_final(run, MOMENTUM), whole(run))
    assert finished(run) is run
    run.reason[3] = run.reason.attrs["flag_meanings"].split().index("interrupted")
    with pytest.raises(KeyboardInterrupt):
        finished(run)


def test_a_run_goes_on_where_another_ended_bit_for_bit():
    through = sd.simulate(MOMENTUM, STARTS, 50, state=True)
    first = sd.simulate(MOMENTUM, STARTS, 20, state=True)
    second = sd.simulate(MOMENTUM, whole(first), 30, state=True)
    np.testing.assert_array_equal(whole(second), whole(through))
    assert not np.array_equal(sd.simulate(MOMENTUM, first.final, 30).final, through.final)


def phases(*steps, momentum):
    algorithms = [sd.GD(lr=0.05, momentum=0.8), sd.SAM(lr=0.05, rho=0.1, momentum=0.9)]
    return sd.Map(SADDLE, sd.Switch(list(zip(steps, algorithms, strict=True)), momentum=momentum))


@pytest.mark.parametrize("momentum", ["keep", "reset"])
def test_so_does_one_through_a_switch(momentum):
    through = sd.simulate(phases(0, 30, momentum=momentum), STARTS, 50, state=True)
    first = sd.simulate(phases(0, 30, momentum=momentum), STARTS, 12, state=True)
    later = phases(0, 18, momentum=momentum)
    second = sd.simulate(later, whole(first), 38, state=True, chunk=3)
    np.testing.assert_array_equal(whole(second), whole(through))


def test_and_one_of_a_flow():
    flow = sd.Flow(SADDLE, sd.GD(lr=0.05, momentum=0.5), dt=0.01)
    through = sd.simulate(flow, STARTS, 40, state=True)
    first = sd.simulate(flow, STARTS, 15, state=True)
    second = sd.simulate(flow, whole(first), 25, state=True)
    np.testing.assert_array_equal(whole(second), whole(through))


def test_a_grid_of_velocities_runs_again(tmp_path):
    points = sd.grid(velocity_y=(-1, 1, 3), x=0.1, y=(0, 1, 2), velocity_x=0.0)
    run = sd.simulate(MOMENTUM, points, 20, record=10, state=True)
    assert run.final.dims == ("velocity_y", "y", "coord")
    assert run.initial.dims == ("velocity_y", "y", "row")
    assert list(run.row.values) == ["x", "y", "velocity_x", "velocity_y"]
    np.testing.assert_array_equal(run.velocity.isel(time=0, coord=1), run.initial[..., 3])
    run.to_netcdf(tmp_path / "run.nc", engine="h5netcdf")
    again = sd.rerun(tmp_path / "run.nc", progress=False)
    xr.testing.assert_equal(again, run)
    assert again.kernels == run.kernels


ONE = sd.Loss("x**2/2")


def test_of_one_variable_numbers_are_points_and_rows_are_states():
    system = sd.Map(ONE, sd.GD(lr=0.1, momentum=0.5))
    points = sd.simulate(system, [0.1, 0.2], 3)
    assert points.final.dims == ("particle", "coord")
    assert points.sizes["particle"] == 2
    assert points.initial.dims == ("particle", "coord")
    states = sd.simulate(system, [[0.1, 0.2], [0.1, 0.0]], 3, state=True)
    assert states.initial.dims == ("particle", "row")
    np.testing.assert_array_equal(states.final[1], points.final[0])
    x, v = 0.1, 0.2
    for _ in range(3):
        v = 0.5 * v + x
        x = x - 0.1 * v
    np.testing.assert_array_equal([*states.final[0], *states.final_velocity[0]], [x, v])
    one = xr.DataArray([0.1, 0.2], dims="coord")
    assert sd.simulate(system, one, 3).final.dims == ("coord",)


SHAPES = {
    "a number": (0.1, 1, ()),
    "one number": ([0.1], 1, ()),
    "two numbers": ([0.1, 0.2], 1, (2,)),
    "three numbers": ([0.1, 0.2, 0.3], 1, (3,)),
    "a column": ([[0.1], [0.2]], 1, (2,)),
    "a state": ([[0.1, 0.2]], 2, (1,)),
    "states": ([[0.1, 0.2]] * 3, 2, (3,)),
}


@pytest.mark.parametrize("name", SHAPES)
def test_shapes_of_one_variable_with_momentum(name):
    x0, coordinates, leading = SHAPES[name]
    assert checked_points(x0, ("x",), ("x", "velocity_x")).shape == (*leading, coordinates)


ROWS = ("x", "y", "velocity_x", "velocity_y")
LABELS = {"coord": ["velocity_y", "y", "x", "velocity_x"]}


def test_labelled_states_are_put_in_order():
    given = xr.DataArray([4.0, 2.0, 1.0, 3.0], dims="coord", coords=LABELS)
    points = checked_points(given, ("x", "y"), ROWS)
    np.testing.assert_array_equal(points, [1.0, 2.0, 3.0, 4.0])
    assert tuple(points["coord"].values) == ROWS


REFUSALS = {
    "three": (
        lambda: sd.simulate(MOMENTUM, [1.0, 2.0, 3.0], 5),
        r"x0 must have shape \(2,\) or \(n, 2\), one column for each of x, y, or \(n, 4\) for the "
        r"whole state x, y, velocity_x, velocity_y, or come .* got shape \(3,\)",
    ),
    "four without momentum": (
        lambda: sd.simulate(sd.Map(SADDLE, sd.GD(lr=0.1)), np.ones((3, 4)), 5),
        r"x0 must have shape \(2,\) or \(n, 2\), one column for each of x, y, or come from",
    ),
    "three labelled": (
        lambda: sd.simulate(MOMENTUM, sd.grid(x=0.1, y=0.2, velocity_x=0.0), 5),
        r"of length 2 \(x, y\), or 4 for the whole state x, y, velocity_x, velocity_y; it has",
    ),
    "wrong names": (
        lambda: sd.simulate(MOMENTUM, sd.grid(x=0.1, y=0.2, vx=0.0, vy=0.0), 5),
        r"coordinates \['x', 'y', 'vx', 'vy'\]; the system has \['x', 'y', 'velocity_x'",
    ),
    "nan": (lambda: sd.simulate(MOMENTUM, [1.0, 2.0, 3.0, np.nan], 5), "entry .3,. is nan"),
    "named row": (
        lambda: sd.simulate(
            sd.Map(sd.Loss("row**2"), sd.GD(lr=0.1, momentum=0.5)),
            sd.grid(row=(0, 1, 3), velocity_row=0.0),
            5,
        ),
        "begins at whole states has a dimension 'row' of its own",
    ),
    "center": (
        lambda: sd.simulate(MOMENTUM, [1.0, 2.0], 5, until=sd.Reached((0.0,) * 3, 1.0)),
        "center of Reached must have 2 entries, one for each of x, y, or 4 for the whole state",
    ),
    "center without momentum": (
        lambda: sd.simulate(
            sd.Map(SADDLE, sd.GD(lr=0.1)), [1.0, 2.0], 5, until=sd.Reached((0.0,) * 4, 1.0)
        ),
        "center of Reached must have 2 entries, one for each of x, y; got 4",
    ),
    "radius": (lambda: sd.Reached((0, 0), 0.0), "radius must be above 0, got 0"),
    "no number": (lambda: sd.Reached(("a", 0), 1.0), "center must be a number or an array"),
    "many radii": (lambda: sd.Reached((0, 0), [1.0, 2.0]), "radius of Reached must be one number"),
    "many centers": (
        lambda: sd.Reached([(0, 0), (1, 1)], 1.0),
        "center of Reached must be one point",
    ),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_what_fits_no_state_is_refused_in_one_sentence(name):
    make, message = REFUSALS[name]
    with pytest.raises((ValueError, TypeError), match=message) as caught:
        make()
    assert "\n" not in str(caught.value)


# --- Reached --------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [2, 4])
def test_reached_holds_at_the_first_step_within_the_ball(size):
    center = np.array([0.0, 1.0, 0.0, 0.0])[:size]
    event = sd.Reached(center=tuple(center), radius=0.2)
    run = sd.simulate(MOMENTUM, STARTS, 150, state=True, until=event)
    free = sd.simulate(MOMENTUM, STARTS, 150, state=True, record=1)
    z = np.concatenate([free.w, free.velocity], axis=-1)[..., :size]
    near = np.sum((z - center) ** 2, axis=-1) <= 0.2**2
    for i in range(len(STARTS)):
        if near[i].any():
            step = int(np.argmax(near[i]))
            assert (int(run.reason[i]), int(run.which[i]), int(run.steps[i])) == (5, 0, step)
            np.testing.assert_array_equal(run.final[i], free.w[i, step])
            np.testing.assert_array_equal(run.final_velocity[i], free.velocity[i, step])
        else:
            assert (int(run.reason[i]), int(run.steps[i])) == (0, 150)
    assert set(run.reason.values.tolist()) == {0, 5}


def test_the_sphere_belongs_to_the_ball():
    halving = sd.Map(ONE, sd.GD(lr=0.5))  # 1, 1/2, 1/4, … without rounding
    radii = {1.0: 0, 0.25: 2, np.nextafter(0.25, 0): 3, np.nextafter(0.25, 1): 2}
    for radius, step in radii.items():
        run = sd.simulate(halving, 1.0, 9, until=sd.Reached(center=0.0, radius=radius))
        assert int(run.steps) == step


def test_the_whole_state_comes_near_later_than_the_weights():
    runs = [
        sd.simulate(MOMENTUM, STARTS, 150, until=sd.Reached((0.0, 1.0, 0.0, 0.0)[:size], 0.2))
        for size in (2, 4)
    ]
    assert (runs[0].steps <= runs[1].steps).all()
    assert (runs[0].steps < runs[1].steps).any()


def test_reached_in_a_recipe():
    for event in (sd.Reached((0.0, 1.0), 0.2), sd.Reached(center=0.5, radius=1)):
        assert build_event(json.loads(json.dumps(describe_event(event)))) == event
    run = sd.simulate(MOMENTUM, STARTS, 50, until=[sd.Reached((0.0, 1.0), 0.2)])
    xr.testing.assert_equal(sd.rerun(run), run)


def test_center_and_radius_do_not_change_the_kernel():
    near = sd.simulate(MOMENTUM, STARTS, 1, until=[sd.Reached((0.0, 1.0), 0.2)])
    far = sd.simulate(MOMENTUM, STARTS, 1, until=[sd.Reached((5.0, 3.0), 9.0)])
    assert near.kernels == far.kernels
