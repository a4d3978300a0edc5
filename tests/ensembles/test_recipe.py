import json

import numpy as np
import pytest
import sympy
import xarray as xr

import samdyn as sd
from samdyn.ensembles.describe import (
    describe_algorithm,
    describe_event,
    describe_loss,
    describe_system,
)
from samdyn.ensembles.points import checked_points
from samdyn.ensembles.recipe import (
    RecipeError,
    build_algorithm,
    build_event,
    build_loss,
    build_points,
    build_system,
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
    "flow": sd.Flow(SADDLE, sd.USAM(lr=0.05, rho=[0.0, 0.1]), dt=[0.01, 0.02], scheme=sd.euler),
    "flow with momentum": sd.Flow(
        SADDLE.replace(a=2.0), sd.GD(lr=[0.05, 0.1], momentum=0.5), dt=0.01, scheme=sd.euler
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
        whole = json.loads(json.dumps(describe_system(system)))
        assert json.loads(json.dumps(describe_system(build_system(whole)))) == whole
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
    "loss argument": (
        {**GOOD, "loss": {"name": "beale", "q": 1}},
        "does not know 'q'; it takes nothing",
    ),
    "algorithm": (changed("algorithm", name="ADAM"), "must be one of GD, SAM.*got 'ADAM'"),
    "hyperparameter": (
        changed("algorithm", rho=0.1),
        "GD does not know 'rho'; it takes lr, momentum",
    ),
    "spacing": (changed("algorithm", lr={"range": [0, 1]}), r"\{linspace = \[a, b, n\]\}"),
    "event": (changed("simulate", until=[{"event": "Leave"}]), "must be one of Escape.*'Leave'"),
    "event entry": (
        changed("simulate", until=[{"event": "Escape", "radus": 1}]),
        "Escape does not know 'radus'; it takes region",
    ),
    "points": (changed("simulate", x0={"cube": {}}), "one of grid, uniform, ball"),
    "typo": (
        changed("algorithm", name="SAM", roh=0.1),
        "SAM does not know 'roh'; it takes lr, rho, momentum",
    ),
    "learning rate": (
        {**GOOD, "algorithm": {"name": "GD", "learning_rate": 0.1}},
        "GD does not know 'learning_rate'; it takes lr",
    ),
    "no rho": (changed("algorithm", name="SAM"), "SAM needs an entry rho"),
    "no rho of USAM": (changed("algorithm", name="USAM"), "USAM needs an entry rho"),
    "statistics": (changed("simulate", statistics=["x"]), "statistics must be a table"),
    "constants": (changed("loss", constants=3), "constants must be a table.*got 3"),
    "variables": (changed("loss", variables=[1, 2]), "a variable must be a text, got 1"),
    "constant named variables": (
        changed("loss", constants={"variables": 1}),
        "loss: .*'variables'",
    ),
    "grid list": (changed("simulate", x0={"grid": [1, 2]}), "grid must be a table"),
    "x0 text": (changed("simulate", x0="abc"), "x0 must be real numbers.*'abc'"),
    "until text": (changed("simulate", until="x > 1"), "until must be a list"),
    "until table": (changed("simulate", until={"event": "Converged"}), "until must be a list"),
    "until entry": (changed("simulate", until=["x > 1"]), "an entry of until must be a table"),
    "center": (
        changed("simulate", until=[{"event": "Escape", "center": 0, "radius": 1}]),
        "center of Escape must be a list",
    ),
    "box": (
        changed("simulate", until=[{"event": "Escape", "box": [1, 2]}]),
        "an interval in box of Escape must be a list",
    ),
    "linspace": (changed("algorithm", lr={"linspace": 3}), "linspace must be a list"),
    "linspace of two": (changed("algorithm", lr={"linspace": [0, 1]}), r"\[first, last, count\]"),
    "linspace of texts": (changed("algorithm", lr={"linspace": ["a", 1, 3]}), "linspace of lr"),
    "name": (changed("algorithm", name=["SAM"]), "must be a text, got \\['SAM'\\]"),
    "phases": (changed("algorithm", name="Switch", phases=3), "phases must be a list"),
    "phase": (
        {**GOOD, "algorithm": {"name": "Switch", "phases": [[0, 3]]}},
        "an algorithm must be a table",
    ),
    "no phases": ({**GOOD, "algorithm": {"name": "Switch"}}, "Switch needs an entry phases"),
    "inner": (
        {**GOOD, "algorithm": {"name": "Lookahead", "algorithm": 3}},
        "an algorithm must be a table",
    ),
    "ball": (changed("simulate", x0={"ball": {"count": 3}}), "ball needs an entry center"),
    "map and loss": ({**GOOD, "map": {"formulas": {"x": "2*x"}}}, "does not know 'algorithm'"),
    "empty map": ({"map": {}, "simulate": {}}, "a table \\[formulas\\]"),
    "map": ({"map": 3, "simulate": {}}, "map must be a table"),
    "map entry": ({"map": {"formulas": {}, "x": "2*x"}, "simulate": {}}, "does not know 'x'"),
    "map formula": (
        {"map": {"formulas": {"x": 2}}, "simulate": {}},
        "the formula of x must be a text, got 2",
    ),
    "map constant": (
        {"map": {"formulas": {"x": "r*x"}, "constants": {"r": "a"}}, "simulate": {}},
        "constant r must be a number",
    ),
    "map name": ({"map": {"formulas": {"x": "r*x"}}, "simulate": {}}, "names r, which is neither"),
    "flow": ({**GOOD, "flow": 0.1}, "flow must be a table"),
    "flow entry": ({**GOOD, "flow": {"h": 0.1}}, "does not know 'h'; it takes dt, scheme"),
    "flow scheme": ({**GOOD, "flow": {"scheme": "rk5"}}, "one of euler, heun, rk4, got 'rk5'"),
    "flow dt": ({**GOOD, "flow": {"dt": -1.0}}, "dt must be above 0, got -1"),
    "flow algorithm": (
        {**changed("algorithm", name="Switch", phases=[]), "flow": {}},
        "Switch does not know 'lr'",
    ),
    "flow of a switch": (
        {
            **GOOD,
            "algorithm": {"name": "Switch", "phases": [[0, GOOD["algorithm"]]]},
            "flow": {},
        },
        "a Switch is several maps",
    ),
    "code": (changed("loss", formula="__import__('os').getcwd()"), "not a known function|contains"),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_bad_recipes_are_refused_in_one_sentence(name):
    recipe, message = REFUSALS[name]
    with pytest.raises((ValueError, TypeError), match=message) as caught:
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


@pytest.mark.parametrize(
    "loss",
    [
        sd.losses.log_cosh().replace(a=[1.0, 2.0]),
        sd.losses.beale(),
        sd.losses.rosenbrock(dimension=3, b=10.0),
        sd.losses.quadratic(eigenvalues=(3.0, -1.0)),
    ],
    ids=lambda loss: loss.name,
)
def test_losses_of_the_library_run_again_under_their_name(loss, tmp_path):
    system = sd.Map(loss, sd.GD(lr=1e-3))
    run = sd.simulate(system, np.full(loss.dimension, 0.5), 5)
    assert build_loss(describe_loss(loss)).name == loss.name
    run.to_netcdf(tmp_path / "run.nc", engine="h5netcdf")
    for file in (tmp_path / "run.nc", str(tmp_path / "run.nc")):
        again = sd.rerun(file)
        xr.testing.assert_equal(again, run)
        assert again.attrs["recipe"] == run.attrs["recipe"]
        assert again.kernels == run.kernels


def test_a_run_again_knows_where_its_points_came_from():
    run = sd.simulate(SYSTEMS["asam"], sd.ball(5, center=(0, 0), radius=1, seed=7), 5)
    again = sd.rerun(run)
    assert json.loads(again.attrs["initial_points"])["seed"] == "7"
    assert again.attrs["initial_points"] == run.attrs["initial_points"]


def test_an_expression_that_is_no_formula_cannot_be_followed_again():
    x = sympy.Symbol("x")
    loss = sd.Loss(sympy.Piecewise((x**2, x < 0), (x**4, True)))
    run = sd.simulate(sd.Map(loss, sd.GD(lr=0.1)), [1.0], 3)
    with pytest.raises(RecipeError, match="given as a SymPy expression"):
        sd.rerun(run)
    with pytest.raises(RecipeError, match="no result of simulate"):
        sd.rerun(3)


def test_files_that_hold_no_run(tmp_path):
    with pytest.raises(RecipeError, match="there is no file"):
        sd.rerun(tmp_path / "run.nc")
    (tmp_path / "run.nc").write_text("text")
    with pytest.raises(RecipeError, match="is no netCDF file"):
        sd.rerun(str(tmp_path / "run.nc"))


def test_names_that_a_recipe_uses_itself():
    loss = sd.Loss("variable*x**2", variables="x", variable=2.0)
    run = sd.simulate(sd.Map(loss, sd.GD(lr=0.1)), [1.0], 3, statistics={"variable2": "x"})
    xr.testing.assert_equal(sd.rerun(run), run)


def test_points_over_spaced_values():
    built = build_points({"grid": {"x": {"geomspace": [0.1, 10, 3]}, "y": [0, 1, 2]}})
    np.testing.assert_allclose(built.x, [0.1, 1.0, 10.0])


POINTS = {
    "list": (lambda: sd.grid(x=[-1, 1, 5]), r"write \(low, high, count\) as a tuple, or numpy.arr"),
    "none": (lambda: sd.grid(x=None), "axis x must be a number"),
    "nan axis": (lambda: sd.grid(x=np.array([0.0, np.nan])), "axis x must be finite"),
    "nan range": (lambda: sd.grid(x=(0.0, np.inf, 3)), "axis x must be finite"),
    "center": (lambda: sd.ball(3, center=0, radius=1, seed=0), "center must be a point.*got 0"),
    "nan": (lambda: sd.ball(3, center=(0, np.nan), radius=1, seed=0), "center must be finite"),
    "radius": (lambda: sd.ball(3, center=(0, 0), radius="1", seed=0), "radius must be a number"),
    "names": (
        lambda: sd.ball(3, center=(0, 0), radius=1, seed=0, names=["x"]),
        "names must be 2",
    ),
    "count": (lambda: sd.ball(0, center=(0, 0), radius=1, seed=0), "count must be a whole"),
    "part": (lambda: sd.uniform(2.5, seed=0, x=(0, 1)), "count must be a whole.*got 2.5"),
    "seed": (lambda: sd.uniform(2, seed="a", x=(0, 1)), "seed must be a whole.*got 'a'"),
    "interval": (lambda: sd.uniform(2, seed=0, x=(-1, 1, 5)), r"interval .* for x, got \(-1, 1, 5"),
    "no interval": (lambda: sd.uniform(2, seed=0), "needs an interval for each"),
    "ragged": (lambda: checked_points([[1, 2], [3]], ("x", "y")), "x0 must be real numbers"),
    "complex": (lambda: checked_points([1j, 2], ("x", "y")), "x0 must be real numbers"),
    "dict": (lambda: checked_points({"x": 1}, ("x",)), "x0 must be real numbers.*'x': 1"),
    "string": (lambda: checked_points("1", ("x",)), "x0 must be real numbers.*got '1'"),
    "no x0": (lambda: checked_points(None, ("x",)), "x0 must be real numbers.*got None"),
    "texts": (
        lambda: checked_points(xr.DataArray(["a"], dims="coord"), ("x",)),
        "x0 must be real numbers",
    ),
}


@pytest.mark.parametrize("name", POINTS)
def test_points_are_refused_in_one_sentence(name):
    make, message = POINTS[name]
    with pytest.raises((ValueError, TypeError), match=message) as caught:
        make()
    assert "\n" not in str(caught.value)


def test_numbers_are_points_of_one_variable():
    assert checked_points(0.5, ("x",)).shape == (1,)
    assert checked_points([0.5], ("x",)).shape == (1,)
    points = checked_points([0.5, 1.0, 2.0], ("x",))
    assert points.dims == ("particle", "coord")
    np.testing.assert_array_equal(points, [[0.5], [1.0], [2.0]])


def test_points_carry_where_they_came_from():
    points = checked_points(sd.uniform(3, seed=4, x=(0, 1), y=(0, 1)), ("y", "x"))
    assert points.attrs["seed"] == 4
    assert checked_points(sd.grid(x=(0, 1, 2)), ("x",)).attrs["distribution"] == "grid"


def test_long_arrays_stand_in_the_result_once():
    lr = xr.DataArray(np.linspace(0.01, 0.1, 2000), dims="particle")
    system = sd.Map(SADDLE.replace(a=1.0), sd.SAM(lr=lr, rho=np.linspace(0.0, 0.1, 1500)))
    run = sd.simulate(system, np.full((2000, 2), 0.1), 2)
    assert len(run.attrs["recipe"]) < 2000
    np.testing.assert_array_equal(sd.rerun(run).final, run.final)


def halved(field, z, dt):
    return sd.euler(field, z, 0.5 * dt)


def test_a_flow_of_ones_own_scheme_cannot_be_followed_again():
    run = sd.simulate(sd.Flow(sd.Loss("x**2"), sd.GD(lr=0.1), scheme=halved), [1.0], 3)
    assert "def halved" in run.attrs["recipe"]
    assert run.attrs["scheme"] == "halved"
    with pytest.raises(RecipeError, match="the scheme was given as a Python function"):
        sd.rerun(run)


def test_a_scheme_that_only_has_the_name_is_not_taken_for_the_known_one():
    def rk4(field, z, dt):
        return sd.euler(field, z, dt)

    run = sd.simulate(sd.Flow(sd.Loss("x**2"), sd.GD(lr=0.1), scheme=rk4), [1.0], 3)
    with pytest.raises(RecipeError, match="the scheme was given as a Python function"):
        sd.rerun(run)


def test_many_step_lengths_stand_in_the_result_once():
    flow = sd.Flow(sd.Loss("x**2"), sd.GD(lr=0.1), dt=np.linspace(0.001, 0.1, 1500))
    run = sd.simulate(flow, [1.0], 3, record=1)
    assert len(run.attrs["recipe"]) < 2000
    xr.testing.assert_equal(sd.rerun(run), run)


def test_a_loss_that_is_a_function_may_flow():
    loss = sd.Loss(lambda w: sd.words.dot(w, w), variables="x")
    run = sd.simulate(sd.Flow(loss, sd.GD(lr=0.1), dt=0.1), [1.0], 10)
    np.testing.assert_allclose(run.final, np.exp(-2.0), rtol=1e-4)
    with pytest.raises(RecipeError, match="the loss was given as a Python function"):
        sd.rerun(run)
