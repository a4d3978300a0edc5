import json

import numpy as np
import pytest
import xarray as xr

import samdyn as sd
from samdyn.ensembles.recipe import (
    RecipeError,
    build_algorithm,
    build_event,
    build_loss,
    build_points,
    describe_algorithm,
    describe_event,
    describe_loss,
)
from samdyn.ensembles.run import follow

SADDLE = sd.Loss("a*x**2/2 - y**2/2 + y**4/4", variables="x y", a=[1.0, 2.0])
SYSTEMS = {
    "sweep": sd.Map(SADDLE, sd.SAM(lr=0.05, rho=[0.0, 0.1], momentum=0.9, nesterov=True)),
    "asam": sd.Map(SADDLE, sd.ASAM(lr=0.05, rho=0.1, weight_decay=1e-3, ascent_steps=2)),
    "lookahead": sd.Map(SADDLE, sd.Lookahead(sd.USAM(lr=0.05, rho=0.1), k=3, alpha=[0.5, 0.8])),
    "switch": sd.Map(
        SADDLE, sd.Switch([(0, sd.GD(lr=0.1)), (7, sd.SAM(lr=0.1, rho=0.1))], momentum="reset")
    ),
    "together": sd.Map(
        SADDLE,
        sd.SAM(
            lr=xr.DataArray([0.05, 0.1], dims="pair", coords={"pair": [10, 20]}),
            rho=xr.DataArray([0.1, 0.2], dims="pair"),
        ),
    ),
}
OPTIONS = {
    "steps": 20,
    "record": [0, 5, 20],
    "until": [sd.Escape("y > 0.9"), sd.Escape(center=(0, 0), radius=3.0), sd.Converged(1e-9)],
    "statistics": {"r2": "x**2 + y**2"},
    "after": 3,
}


@pytest.mark.parametrize("name", SYSTEMS)
def test_a_result_survives_a_file_and_runs_again(name, tmp_path):
    points = sd.grid(x=(-1, 1, 3), y=0.3)
    run = sd.simulate(SYSTEMS[name], points, **OPTIONS)
    run.to_netcdf(tmp_path / "run.nc", engine="h5netcdf")
    with xr.open_dataset(tmp_path / "run.nc", engine="h5netcdf") as file:
        read = file.load()
    for variable in run.variables:
        np.testing.assert_array_equal(read[variable], run[variable])
        assert read[variable].dims == run[variable].dims
        for key, value in run[variable].attrs.items():
            np.testing.assert_array_equal(read[variable].attrs[key], value)
    assert read.attrs == run.attrs
    again = sd.rerun(read, progress=False)
    for variable in run.variables:
        np.testing.assert_array_equal(again[variable], run[variable])
        assert again[variable].dims == run[variable].dims
    assert again.kernels == run.kernels


def test_a_run_of_many_particles_runs_again():
    run = sd.simulate(SYSTEMS["sweep"], sd.ball(5, center=(0, 0), radius=1, seed=0), 5)
    np.testing.assert_array_equal(sd.rerun(run).final, run.final)
    np.testing.assert_array_equal(sd.rerun(run, steps=9).steps, 9)


def test_description_and_building_are_inverse():
    for system in SYSTEMS.values():
        described = json.loads(json.dumps(describe_algorithm(system.algorithm)))
        assert json.loads(json.dumps(describe_algorithm(build_algorithm(described)))) == described
    loss = describe_loss(SADDLE)
    assert describe_loss(build_loss(loss)) == loss
    for event in (*OPTIONS["until"], sd.Escape(box=[(0, 1), (2, 3)]), sd.Diverged(5.0)):
        assert build_event(json.loads(json.dumps(describe_event(event)))) == event


def test_library_losses_by_name():
    loss = build_loss({"name": "beale"})
    assert loss.value([3.0, 0.5]) == 0.0
    well = build_loss({"name": "double_well", "constants": {}})
    assert well.formula == sd.losses.double_well().formula


def test_points_of_every_kind():
    np.testing.assert_array_equal(build_points([[0, 1]]), [[0.0, 1.0]])
    built = build_points({"grid": {"x": [-1, 1, 3], "y": 0.5}})
    xr.testing.assert_equal(built, sd.grid(x=(-1, 1, 3), y=0.5))
    ball = build_points({"ball": {"count": 4, "center": [0, 0], "radius": 1.0, "seed": 1}})
    xr.testing.assert_equal(ball, sd.ball(4, center=(0, 0), radius=1.0, seed=1))
    box = build_points({"uniform": {"count": 4, "x": [0, 1], "y": [0, 1], "seed": 1}})
    xr.testing.assert_equal(box, sd.uniform(4, x=(0, 1), y=(0, 1), seed=1))


def test_spaced_numbers():
    built = build_algorithm({"name": "SAM", "lr": 0.1, "rho": {"linspace": [0, 1, 5]}})
    np.testing.assert_array_equal(built.rho, np.linspace(0, 1, 5))
    built = build_algorithm({"name": "GD", "lr": {"geomspace": [0.1, 10, 3]}})
    np.testing.assert_allclose(built.lr, [0.1, 1.0, 10.0])


GOOD = {
    "loss": {"formula": "x**2 - y**2"},
    "algorithm": {"name": "GD", "lr": 0.1},
    "simulate": {"x0": [0.1, 0.1], "steps": 5},
}


def changed(table, **entries):
    return {**GOOD, table: {**GOOD[table], **entries}}


REFUSALS = {
    "no table": ({"loss": GOOD["loss"]}, r"needs a table \[algorithm\]"),
    "unknown table": ({**GOOD, "plot": {}}, "does not know 'plot'"),
    "unknown entry": (changed("simulate", stpes=3), "does not know 'stpes'; it takes x0, steps"),
    "no steps": ({**GOOD, "simulate": {"x0": [0.1, 0.1]}}, "needs an entry steps"),
    "no formula": ({**GOOD, "loss": {"variables": "x"}}, "needs a formula, or the name"),
    "loss entry": (changed("loss", constant={}), "loss does not know 'constant'"),
    "loss name": ({**GOOD, "loss": {"name": "bale"}}, "beale"),
    "loss argument": ({**GOOD, "loss": {"name": "beale", "q": 1}}, "unexpected keyword.*'q'"),
    "algorithm": (changed("algorithm", name="ADAM"), "must be one of GD, SAM.*got 'ADAM'"),
    "hyperparameter": (changed("algorithm", rho=0.1), "GD: .*unexpected keyword argument 'rho'"),
    "spacing": (changed("algorithm", lr={"range": [0, 1]}), r"\{linspace = \[a, b, n\]\}"),
    "event": (changed("simulate", until=[{"event": "Leave"}]), "must be one of Escape.*'Leave'"),
    "event entry": (
        changed("simulate", until=[{"event": "Escape", "radus": 1}]),
        "Escape: .*'radus'",
    ),
    "points": (changed("simulate", x0={"cube": {}}), "one of grid, uniform, ball"),
    "code": (changed("loss", formula="__import__('os').getcwd()"), "not a known function|contains"),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_bad_recipes_are_refused_in_one_sentence(name):
    recipe, message = REFUSALS[name]
    with pytest.raises(ValueError, match=message) as caught:
        follow(recipe)
    assert "\n" not in str(caught.value)


def test_functions_cannot_be_followed_again():
    @sd.algorithm
    def mine(grad, w, *, lr):
        return w - lr * grad(w)

    run = sd.simulate(sd.Map(sd.Loss("x**2"), mine(lr=0.1)), [1.0], 3)
    assert "def mine" in run.attrs["recipe"]
    with pytest.raises(RecipeError, match="given as a Python function"):
        sd.rerun(run)
    loss = sd.Loss(lambda w: sd.words.dot(w, w), variables="x")
    run = sd.simulate(sd.Map(loss, sd.GD(lr=0.1)), [1.0], 3)
    with pytest.raises(RecipeError, match="given as a Python function"):
        sd.rerun(run)
    with pytest.raises(RecipeError, match="no result of simulate"):
        sd.rerun(xr.Dataset())


def test_long_arrays_stand_in_the_result_once():
    lr = xr.DataArray(np.linspace(0.01, 0.1, 2000), dims="particle")
    system = sd.Map(SADDLE.replace(a=1.0), sd.SAM(lr=lr, rho=np.linspace(0.0, 0.1, 1500)))
    run = sd.simulate(system, np.full((2000, 2), 0.1), 2)
    assert len(run.attrs["recipe"]) < 2000
    np.testing.assert_array_equal(sd.rerun(run).final, run.final)
