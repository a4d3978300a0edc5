"""Maps by formula, against plain loops."""

import numpy as np
import pytest
import sympy
import xarray as xr

import samdyn as sd
from samdyn.ensembles.recipe import RecipeError
from samdyn.losses.formula import FormulaError
from samdyn.readings.symbolic import formulas, jacobian_formula
from samdyn.symbols import symbols

HENON = sd.FormulaMap({"x": "1 - a*x**2 + y", "y": "b*x"}, a=1.4, b=0.3)
LOGISTIC = sd.FormulaMap({"x": "r*x*(1 - x)"}, r=4.0)


def henon(w, steps, a=1.4, b=0.3):
    path = [tuple(w)]
    for _ in range(steps):
        x, y = path[-1]
        path.append((1.0 - a * (x * x) + y, b * x))
    return np.array(path)


def test_henon_is_a_plain_loop():
    x0 = np.random.default_rng(0).uniform(-0.1, 0.1, (70, 2))
    run = sd.simulate(HENON, x0, 30, record=1)
    expected = np.array([henon(w, 30) for w in x0])
    # SymPy may sum in another order, and chaos doubles a rounding error every second step
    np.testing.assert_allclose(run.w, expected, atol=1e-10)
    np.testing.assert_array_equal(run.final, HENON.apply(x0, 30))


def test_the_result_has_no_loss():
    run = sd.simulate(HENON, [0.1, 0.1], 5, record=1)
    assert set(run.data_vars) == {"w", "final", "steps", "reason", "which"}
    assert "formula" not in run.attrs
    assert "algorithm" not in run.attrs
    assert run.attrs["formulas"] == repr({"x": "1 - a*x**2 + y", "y": "b*x"})
    assert run.attrs["title"] == "x -> 1 - a*x**2 + y, y -> b*x"


def test_a_constant_may_be_swept():
    a = np.array([0.2, 1.0, 1.4])
    run = sd.simulate(HENON.replace(a=a), [0.1, 0.1], 20)
    assert run.final.dims == ("a", "coord")
    for i, value in enumerate(a):
        np.testing.assert_allclose(run.final[i], henon([0.1, 0.1], 20, value)[-1], atol=1e-11)


def test_the_logistic_map_in_closed_form():
    """At r = 4 the orbit is sin(2**n theta)**2."""
    run = sd.simulate(LOGISTIC, 0.3, 12, record=1)
    theta = np.arcsin(np.sqrt(0.3))
    np.testing.assert_allclose(run.w[:, 0], np.sin(2.0 ** np.arange(13) * theta) ** 2, atol=1e-11)


def test_events_and_statistics_name_constants():
    # from x = y = 0.9 the orbit of these maps leaves for good
    start, until = [0.9, 0.9], [sd.Escape("x < -a - 1"), sd.Escape("y > 2*b + 10")]
    run = sd.simulate(HENON.replace(a=2.0), start, 30, until=until, statistics={"q": "a*x + b"})
    path = henon(start, 30, a=2.0)
    first = int(np.argmax(path[:, 0] < -3.0))
    assert path[first, 0] < -3.0
    assert (int(run.steps), int(run.which)) == (first, 0)
    np.testing.assert_allclose(run.q_mean, np.mean(2.0 * path[: first + 1, 0] + 0.3), rtol=1e-12)


def test_convergence_is_that_of_the_step():
    cosine = sd.FormulaMap({"x": "cos(x)"})
    run = sd.simulate(cosine, 1.0, 1000, until=sd.Converged(tol=None, step=1e-13))
    assert run.reason == 2
    np.testing.assert_allclose(run.final, [0.7390851332151607], atol=1e-12)  # Dottie's number
    with pytest.raises(ValueError, match=r"gradient of a loss, .* Converged\(tol=None, step="):
        sd.simulate(cosine, 1.0, 10, until=sd.Converged(tol=1e-8))
    with pytest.raises(FormulaError, match="names loss, which is none of x"):
        sd.simulate(cosine, 1.0, 10, until=sd.Escape("loss > 1"))


def test_a_map_survives_a_file_and_runs_again(tmp_path):
    system = HENON.replace(a=[0.5, 1.0], b=xr.DataArray([0.1, 0.2, 0.3], dims="particle"))
    points = sd.uniform(3, seed=1, x=(-0.1, 0.1), y=(-0.1, 0.1))
    run = sd.simulate(system, points, 25, record=5, until=sd.Diverged(10.0))
    run.to_netcdf(tmp_path / "run.nc", engine="h5netcdf")
    again = sd.rerun(tmp_path / "run.nc", progress=False)
    xr.testing.assert_equal(again, run)
    assert again.kernels == run.kernels
    assert again.attrs["recipe"] == run.attrs["recipe"]


def test_formulas_may_be_sympy():
    x, r = sympy.symbols("x r")
    system = sd.FormulaMap({"x": r * x * (1 - x)}, r=4.0)
    np.testing.assert_array_equal(system.apply([0.3], 5), LOGISTIC.apply([0.3], 5))
    run = sd.simulate(system, 0.3, 5)
    xr.testing.assert_equal(sd.rerun(run), run)


def test_a_map_that_is_no_formula_of_samdyn_cannot_be_followed_again():
    x = sympy.Symbol("x")
    tent = sd.FormulaMap({"x": sympy.Piecewise((2 * x, x < 0.5), (2 - 2 * x, True))})
    run = sd.simulate(tent, 0.3, 3, record=1)
    np.testing.assert_allclose(run.w[:, 0], [0.3, 0.6, 0.8, 0.4])
    with pytest.raises(RecipeError, match="the map was given as SymPy expressions"):
        sd.rerun(run)


def test_replace_keeps_the_formulas_and_the_rest():
    other = HENON.replace(a=1.0)
    assert other.formulas == HENON.formulas
    assert other.numbers == {"a": 1.0, "b": 0.3}
    assert HENON.numbers == {"a": 1.4, "b": 0.3}
    with pytest.raises(ValueError, match="c is no number of this map; it has a, b"):
        HENON.replace(c=1.0)
    with pytest.raises(ValueError, match="constant a must be finite"):
        HENON.replace(a=np.nan)


def test_formula_and_jacobian():
    x, y, a, b = symbols(["x", "y", "a", "b"])
    assert formulas(HENON) == (1 - a * x**2 + y, b * x)
    assert jacobian_formula(HENON) == sympy.Matrix([[-2 * a * x, 1], [b, 0]])


X = sympy.Symbol("x")
REFUSALS = {
    "no mapping": (lambda: sd.FormulaMap("r*x"), "formulas must map each variable to its next"),
    "empty": (lambda: sd.FormulaMap({}), "formulas must map each variable"),
    "number": (lambda: sd.FormulaMap({"x": 0}), "formula of x must be text or SymPy, got 0"),
    "unknown": (lambda: sd.FormulaMap({"x": "r*x"}), r"names r, which is neither .* it a value"),
    "unused": (lambda: sd.FormulaMap({"x": "2*x"}, r=1.0), "constant r does not occur"),
    "both": (lambda: sd.FormulaMap({"x": "2*x"}, x=1.0), "both as a variable and as a constant"),
    "power": (lambda: sd.FormulaMap({"x": "x^2"}), "powers are written"),
    "code": (lambda: sd.FormulaMap({"x": "x.__class__"}), "contains"),
    "variable": (lambda: sd.FormulaMap({"pi": "2*pi"}), "name 'pi' is taken"),
    "constant": (lambda: sd.FormulaMap({"x": "sin*x"}, sin=1.0), "name 'sin' is taken"),
    "value": (lambda: sd.FormulaMap({"x": "r*x"}, r="a"), "constant r must be a number"),
    "no word": (lambda: sd.FormulaMap({"x": sympy.gamma(X)}), "gamma has no counterpart"),
    "reserved": (
        lambda: sd.simulate(sd.FormulaMap({"x": "time*x"}, time=[1.0, 2.0]), 0.1, 3),
        "time would be a dimension called 'time', which every result has for something else",
    ),
    "reserved grid": (
        lambda: sd.simulate(sd.FormulaMap({"loss": "loss/2"}), sd.grid(loss=(0, 1, 3)), 3),
        "x0 would be a dimension called 'loss'",
    ),
    "shape": (lambda: sd.simulate(HENON, [0.1], 3), r"x0 must have shape \(2,\) or \(n, 2\), one"),
    "shape of apply": (lambda: HENON.apply([0.1]), r"w must have shape \(…, 2\), got \(1,\)"),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_a_map_is_refused_in_one_sentence(name):
    make, message = REFUSALS[name]
    with pytest.raises((ValueError, TypeError), match=message) as caught:
        make()
    assert "\n" not in str(caught.value)
