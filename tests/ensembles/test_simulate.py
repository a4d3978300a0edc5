import numpy as np
import pytest
import xarray as xr

import samdyn as sd

SADDLE = sd.Loss("x**2/2 - y**2/2 + y**4/4")
STARTS = np.array([[0.3, 0.01], [-0.2, 0.4], [1.0, -1.0]])


def test_one_point_has_no_particle_dimension():
    run = sd.simulate(sd.Map(SADDLE, sd.GD(lr=0.1)), [0.3, 0.01], 5, record=1)
    assert run.final.dims == ("coord",)
    assert run.w.dims == ("time", "coord")
    assert list(run.coord.values) == ["x", "y"]


def test_records_are_the_states_before_each_step():
    system = sd.Map(SADDLE, sd.SAM(lr=0.05, rho=0.1))
    run = sd.simulate(system, STARTS, 40, record=[0, 1, 7, 40])
    assert list(run.time.values) == [0, 1, 7, 40]
    for step in run.time.values:
        np.testing.assert_array_equal(run.w.sel(time=step), system.apply(STARTS, int(step)))
    np.testing.assert_array_equal(run.final, run.w.sel(time=40))
    np.testing.assert_array_equal(run.loss, SADDLE.value(run.w.values))
    np.testing.assert_array_equal(run.final_loss, SADDLE.value(run.final.values))


def test_record_every_counts_from_zero():
    run = sd.simulate(sd.Map(SADDLE, sd.GD(lr=0.1)), STARTS, 25, record=10)
    assert list(run.time.values) == [0, 10, 20]


def test_zero_steps_return_the_start():
    run = sd.simulate(sd.Map(SADDLE, sd.GD(lr=0.1)), STARTS, 0, record=[0])
    np.testing.assert_array_equal(run.final, STARTS)
    np.testing.assert_array_equal(run.w.sel(time=0), STARTS)
    assert not run.steps.any()


def test_sweeps_become_named_dimensions_in_order():
    lrs, rhos, scales = [0.05, 0.1], [0.0, 0.1, 0.2], [1.0, 2.0]
    loss = sd.Loss("a*x**2/2 - y**2/2 + y**4/4", variables="x y", a=scales)
    run = sd.simulate(sd.Map(loss, sd.SAM(lr=lrs, rho=rhos)), STARTS, 20, record=5)
    assert run.w.dims == ("lr", "rho", "a", "particle", "time", "coord")
    assert run.w.shape == (2, 3, 2, 3, 5, 2)
    for i, lr in enumerate(lrs):
        for j, rho in enumerate(rhos):
            for k, a in enumerate(scales):
                alone = sd.simulate(
                    sd.Map(loss.replace(a=a), sd.SAM(lr=lr, rho=rho)), STARTS, 20, record=5
                )
                np.testing.assert_array_equal(run.w[i, j, k], alone.w)
                np.testing.assert_array_equal(run.loss[i, j, k], alone.loss)


def test_named_arrays_vary_together_or_with_the_particles():
    lr = xr.DataArray([0.05, 0.1, 0.2], dims="particle")
    rho = xr.DataArray([0.0, 0.1, 0.2], dims="particle")
    run = sd.simulate(sd.Map(SADDLE, sd.SAM(lr=lr, rho=rho)), STARTS, 20)
    assert run.final.dims == ("particle", "coord")
    for i in range(3):
        system = sd.Map(SADDLE, sd.SAM(lr=float(lr[i]), rho=float(rho[i])))
        np.testing.assert_array_equal(run.final[i], system.apply(STARTS[i], 20))
    np.testing.assert_array_equal(run.rho, rho)


def test_grid_keeps_its_dimensions():
    points = sd.grid(y=(-1, 1, 3), x=(0, 2, 5))
    run = sd.simulate(sd.Map(SADDLE, sd.GD(lr=0.1)), points, 3)
    assert run.final.dims == ("y", "x", "coord")
    start = [float(run.x[4]), float(run.y[0])]
    expected = sd.Map(SADDLE, sd.GD(lr=0.1)).apply(start, 3)
    np.testing.assert_array_equal(run.final.isel(x=4, y=0), expected)


def test_state_brings_the_velocity_along():
    system = sd.Map(SADDLE, sd.GD(lr=0.1, momentum=0.9))
    run = sd.simulate(system, STARTS, 3, record=1, state=True)
    expected = np.zeros_like(STARTS)
    w = STARTS
    for step in range(3):
        np.testing.assert_array_equal(run.velocity.sel(time=step), expected)
        expected = 0.9 * expected + SADDLE.grad(w)
        w = w - 0.1 * expected
    np.testing.assert_array_equal(run.final_velocity, expected)


@pytest.mark.parametrize("keep", ["keep", "reset"])
def test_switch_runs_one_phase_after_the_other(keep):
    first, second = sd.GD(lr=0.1, momentum=0.5), sd.SAM(lr=0.05, rho=0.1, momentum=0.9)
    system = sd.Map(SADDLE, sd.Switch([(0, first), (7, second)], momentum=keep))
    run = sd.simulate(system, STARTS, 20, record=1, state=True)
    before = sd.simulate(sd.Map(SADDLE, first), STARTS, 7, state=True)
    w, v = before.final.values, before.final_velocity.values
    np.testing.assert_array_equal(run.w.sel(time=7), w)
    v = np.zeros_like(v) if keep == "reset" else v
    program = sd.Map(SADDLE, second).program
    z = [*w.T, *v.T]
    for _ in range(13):
        z = program(*z, 0.05, 0.9, 0.1)
    np.testing.assert_array_equal(run.final, np.transpose(z[:2]))
    np.testing.assert_array_equal(run.final_velocity, np.transpose(z[2:]))


def test_a_reset_leaves_those_alone_that_have_ended():
    phases = [(0, sd.GD(lr=0.1, momentum=0.9)), (50, sd.GD(lr=0.1, momentum=0.9))]
    system = sd.Map(sd.Loss("-x**2/2"), sd.Switch(phases, momentum="reset"))
    run = sd.simulate(system, [1.0], 60, record=10, until=sd.Escape("x > 2"), state=True)
    assert int(run.steps) < 50
    assert run.final_velocity < -1
    assert (run.velocity[1:] == run.final_velocity).all()


@pytest.mark.parametrize("momentum", ["keep", "reset"])
def test_apply_follows_a_switch(momentum):
    phases = [
        (0, sd.GD(lr=0.1, momentum=0.9)),
        (5, sd.SAM(lr=0.1, rho=0.1, momentum=0.5)),
        (8, sd.GD(lr=0.1)),
        (9, sd.GD(lr=0.1, momentum=0.9)),
    ]
    system = sd.Map(SADDLE, sd.Switch(phases, momentum=momentum))
    run = sd.simulate(system, STARTS, 15, record=1)
    for step in (0, 3, 5, 6, 8, 9, 12, 15):
        np.testing.assert_array_equal(system.apply(STARTS, step), run.w.sel(time=step))


def test_swept_numbers_come_before_the_particles():
    lr = xr.DataArray([0.05, 0.1, 0.2], dims="particle")
    run = sd.simulate(sd.Map(SADDLE, sd.SAM(lr=lr, rho=[0.0, 0.1])), STARTS, 5)
    assert run.final.dims == ("rho", "particle", "coord")


def test_variables_called_x0_live_beside_the_initial_points():
    loss = sd.Loss("x0**2 + x1**2")
    run = sd.simulate(sd.Map(loss, sd.GD(lr=0.1)), sd.grid(x0=(-1, 1, 3), x1=(0, 1, 2)), 4)
    assert run.final.dims == ("x0", "x1", "coord")
    np.testing.assert_allclose(run.final.sel(x0=1.0, x1=1.0), 0.8**4)
    np.testing.assert_array_equal(run.initial.sel(x0=1.0, x1=1.0), [1.0, 1.0])


def test_switch_zeroes_a_velocity_that_a_phase_lacks():
    phases = [
        (0, sd.GD(lr=0.1, momentum=0.9)),
        (5, sd.GD(lr=0.1)),
        (6, sd.GD(lr=0.1, momentum=0.9)),
    ]
    run = sd.simulate(sd.Map(SADDLE, sd.Switch(phases)), STARTS, 7, record=1, state=True)
    np.testing.assert_array_equal(run.velocity.sel(time=6), 0.0)
    w = run.w.sel(time=6).values
    np.testing.assert_array_equal(run.final, w - 0.1 * SADDLE.grad(w))


def test_switch_beyond_the_last_step_changes_nothing():
    late = sd.Switch([(0, sd.GD(lr=0.1)), (50, sd.SAM(lr=0.1, rho=0.1))])
    run = sd.simulate(sd.Map(SADDLE, late), STARTS, 50)
    np.testing.assert_array_equal(run.final, sd.Map(SADDLE, sd.GD(lr=0.1)).apply(STARTS, 50))


def test_switch_sweeps_a_number_of_one_phase():
    phases = [(0, sd.GD(lr=0.1)), (10, sd.SAM(lr=0.1, rho=[0.0, 0.3]))]
    run = sd.simulate(sd.Map(SADDLE, sd.Switch(phases)), STARTS, 20)
    assert run.final.dims == ("rho", "particle", "coord")
    middle = sd.Map(SADDLE, sd.GD(lr=0.1)).apply(STARTS, 10)
    for rho in (0.0, 0.3):
        expected = sd.Map(SADDLE, sd.SAM(lr=0.1, rho=rho)).apply(middle, 10)
        np.testing.assert_array_equal(run.final.sel(rho=rho), expected)


def test_statistics_equal_those_of_the_stored_trajectory():
    system = sd.Map(SADDLE, sd.SAM(lr=0.05, rho=0.1))
    run = sd.simulate(
        system,
        STARTS,
        200,
        record=1,
        statistics={"r2": "x**2 + y**2", "height": "loss", "slope": "grad_norm"},
        after=50,
    )
    w = run.w.sel(time=slice(50, None)).values
    series = {
        "r2": np.sum(w**2, axis=-1),
        "height": SADDLE.value(w),
        "slope": np.linalg.norm(SADDLE.grad(w), axis=-1),
    }
    for name, values in series.items():
        np.testing.assert_allclose(run[f"{name}_mean"], values.mean(axis=1), rtol=1e-12)
        np.testing.assert_allclose(run[f"{name}_variance"], values.var(axis=1), rtol=1e-9)
        np.testing.assert_allclose(run[f"{name}_min"], values.min(axis=1), rtol=1e-15)
        np.testing.assert_allclose(run[f"{name}_max"], values.max(axis=1), rtol=1e-15)


def test_statistics_stop_where_the_particle_stops():
    system = sd.Map(sd.Loss("-x**2/2"), sd.GD(lr=0.5))
    escape = sd.Escape("x > 10")
    run = sd.simulate(system, [1.0], 100, record=1, until=escape, statistics={"x_": "x"})
    path = run.w.values[: int(run.steps) + 1, 0]
    np.testing.assert_allclose(run.x__mean, path.mean(), rtol=1e-14)
    assert run.x__max == path[-1] == run.final[0]


def test_statistics_that_never_counted_are_nan():
    system = sd.Map(sd.Loss("-x**2/2"), sd.GD(lr=0.5))
    run = sd.simulate(
        system, [1.0], 100, until=sd.Escape("x > 10"), statistics={"q": "x"}, after=90
    )
    assert np.isnan(run.q_mean)
    assert np.isnan(run.q_max)


def test_initial_ensembles_are_reproducible_and_inside():
    points = sd.ball(500, center=(1.0, -1.0), radius=0.5, seed=3)
    assert np.all(np.linalg.norm(points.values - [1.0, -1.0], axis=1) <= 0.5)
    np.testing.assert_array_equal(points, sd.ball(500, center=(1.0, -1.0), radius=0.5, seed=3))
    box = sd.uniform(500, seed=3, x=(0, 1), y=(5, 6))
    assert np.all((box.values >= [0, 5]) & (box.values <= [1, 6]))
    # the mean squared distance of a uniform disc of radius R is R^2/2; variance R^4/12
    squared = np.sum((points.values - [1.0, -1.0]) ** 2, axis=1)
    assert abs(squared.mean() - 0.125) < 4 * np.sqrt(0.5**4 / 12 / 500)


def test_provenance_is_complete():
    run = sd.simulate(
        sd.Map(SADDLE, sd.SAM(lr=0.05, rho=0.1)), sd.ball(3, center=(0, 0), radius=1, seed=7), 5
    )
    assert run.attrs["formula"] == SADDLE.formula
    assert run.attrs["latex"] == SADDLE.latex
    assert run.attrs["samdyn"] == sd.__version__
    assert "'seed': '7'" in run.attrs["initial_points"].replace('"', "'")
    assert run.rho.attrs if "rho" in run.coords else True
    for name in ("numpy", "numba", "python", "created", "seconds", "recipe", "algorithm"):
        assert name in run.attrs
    for variable in run.data_vars.values():
        assert "long_name" in variable.attrs
    swept = sd.simulate(sd.Map(SADDLE, sd.SAM(lr=0.05, rho=[0.1])), [0.0, 0.1], 1)
    assert swept.rho.attrs["latex"] == r"\rho"
