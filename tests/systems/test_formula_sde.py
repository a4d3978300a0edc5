"""SDEs by formula: what they are, and their steps against plain NumPy."""

import numpy as np
import pytest
import sympy

import samdyn as sd
from samdyn.losses.formula import FormulaError
from samdyn.random import keys, normals
from samdyn.systems.diffusion import Diffusion
from samdyn.systems.formula_sde import FormulaSDE
from samdyn.systems.schemes import rk4
from samdyn.systems.stochastic import StochasticScheme, euler_maruyama, platen, stochastic_heun

WELL = FormulaSDE({"x": "x - x**3"}, {"x": "s"}, dt=0.01, s=0.7)
SHARED = FormulaSDE(
    {"x": "-k*x", "y": "x - y"}, {"x": ["s", "0"], "y": ["s*x", "cos(y)"]}, dt=0.05, k=2.0, s=0.5
)
PLACES = np.random.default_rng(0).uniform(-1.5, 1.5, (4, 5, 2))


def test_what_it_is():
    assert isinstance(SHARED, Diffusion)
    assert SHARED.continuous
    assert SHARED.loss is None
    assert SHARED.coordinates == SHARED.rows == ("x", "y")
    assert SHARED.numbers == {"k": 2.0, "s": 0.5, "dt": 0.05}
    assert SHARED.constants == {"k": 2.0, "s": 0.5}
    assert (SHARED.brownian, SHARED.noise) == (2, ("dW1", "dW2"))
    assert SHARED.program.inputs == ("x", "y", "k", "s", "dt", "dW1", "dW2")
    assert SHARED.random
    assert SHARED.duration == 0.05


def test_drift_and_covariance_at_places():
    x, y = np.moveaxis(PLACES, -1, 0)
    np.testing.assert_allclose(SHARED.rate(PLACES), np.stack([-2 * x, x - y], -1), rtol=1e-14)
    expected = [[0.25 + 0 * x, 0.25 * x], [0.25 * x, 0.25 * x**2 + np.cos(y) ** 2]]
    found = SHARED.covariance(PLACES)
    assert found.shape == (4, 5, 2, 2)
    np.testing.assert_allclose(found, np.moveaxis(expected, (0, 1), (-2, -1)), rtol=1e-13)
    assert WELL.covariance([0.3]).tolist() == [[0.7 * 0.7]]
    swept = WELL.replace(s=[0.1, 0.2, 0.3]).covariance([0.3])
    np.testing.assert_allclose(swept[:, 0, 0], [0.01, 0.04, 0.09])
    with pytest.raises(ValueError, match=r"z must have shape \(…, 2\), got \(3,\)"):
        SHARED.rate([1.0, 2.0, 3.0])


def test_the_law_is_the_drift():
    assert SHARED.law.inputs == ("x", "y", "k", "s", "dt")
    assert SHARED.law(0.3, 0.4, 2.0, 0.5, 0.05) == pytest.approx((-0.6, -0.1))


def test_a_path_is_a_plain_loop():
    """Euler and Maruyama's scheme in plain NumPy, on the draws of the particles' streams."""
    x0, steps, seed = PLACES.reshape(-1, 2), 30, 7
    x, y = x0.T
    key = keys(seed, np.arange(len(x0)))
    for step in range(steps):
        first, second = np.sqrt(0.05) * np.array(normals(key, step, 2))
        x, y = (
            x + 0.05 * (-2.0 * x) + 0.5 * first,
            y + 0.05 * (x - y) + 0.5 * x * first + np.cos(y) * second,
        )
    found = SHARED.apply(x0, steps, seed=seed)
    np.testing.assert_allclose(found, np.stack([x, y], -1), rtol=1e-11, atol=1e-13)


def test_forms_of_the_diffusion():
    drift = {"x": "-x", "y": "-y", "z": "-z"}
    own = FormulaSDE(drift, {"z": 2, "x": "y"})
    assert own.matrix == ((sympy.Symbol("y", real=True), 0), (0, 0), (0, 2))
    rows = FormulaSDE(drift, {"z": [0, sympy.Integer(2)], "x": ("y", 0.0)})
    assert rows.matrix == own.matrix
    assert FormulaSDE(drift, {"x": "0", "y": "1"}).brownian == 1
    assert own.program.outputs == rows.program.outputs


def test_no_line_for_what_is_zero():
    """An entry 0 leaves no trace: y moves by its drift alone."""
    sde = FormulaSDE({"x": "-x", "y": "x"}, {"x": "1"})
    said = sorted(line.operation for line in sde.program.lines)
    assert said == ["add"] * 3 + ["multiply"] * 3 + ["negative", "sqrt"]


@pytest.mark.parametrize(
    "scheme",
    [
        platen,
        pytest.param(euler_maruyama, marks=pytest.mark.slow),
        pytest.param(stochastic_heun, marks=pytest.mark.slow),
    ],
    ids=repr,
)
def test_the_compiled_kernel_takes_the_same_steps(scheme):
    noise = {"x": "s*y", "y": "1"}
    sde = FormulaSDE({"x": "-k*x", "y": "x - y"}, noise, 0.05, scheme, k=2.0, s=0.5)
    x0 = PLACES.reshape(-1, 2)
    run = sd.simulate(sde, x0, 20, seed=3)
    np.testing.assert_allclose(run.final, sde.apply(x0, 20, seed=3), rtol=1e-12, atol=1e-14)
    assert run.attrs["scheme"] == scheme.name


def test_it_is_written():
    assert SHARED.title == "dx = -k*x dt + s dW1, dy = (x - y) dt + s*x dW1 + cos(y) dW2"
    assert WELL.title == "dx = (x - x**3) dt + s dW"
    assert FormulaSDE({"x": "0"}, {"x": "1"}).title == "dx = dW"
    assert FormulaSDE({"x": "1"}, {"x": "-x"}).title == "dx = dt + (-x) dW"
    assert repr(WELL) == (
        "FormulaSDE(drift={'x': 'x - x**3'}, diffusion={'x': 's'}, dt=0.01, "
        "scheme=euler_maruyama, s=0.7)"
    )
    assert WELL.about == {
        "drift": "{'x': 'x - x**3'}",
        "diffusion": "{'x': 's'}",
        "scheme": "euler_maruyama",
    }
    assert WELL.latex == (
        r"\begin{aligned} \mathrm{d}x &= \left(- x^{3} + x\right) \mathrm{d}t + s\, \mathrm{d}W "
        r"\end{aligned}"
    )
    assert r"\mathrm{d}W_{2}" in SHARED._repr_latex_()


def test_other_numbers():
    other = SHARED.replace(k=[1.0, 3.0], dt=0.1)
    assert other.numbers["k"].tolist() == [1.0, 3.0]
    assert other.dt == 0.1
    assert other.title == SHARED.title
    assert SHARED.dt == 0.05
    assert WELL.replace(s=0.1).scheme is WELL.scheme
    symbolic = FormulaSDE({"x": -sympy.Symbol("x")}, {"x": sympy.Symbol("s")}, s=1.0)
    assert symbolic.replace(s=2.0).covariance([0.0]) == 4.0
    with pytest.raises(ValueError, match="q is no number of this SDE; it has s, dt"):
        WELL.replace(q=1.0)


def test_a_sweep_over_dt_and_noise():
    dt, s = np.array([[0.01], [0.02]]), np.array([0.1, 0.2, 0.3])
    swept = WELL.replace(dt=dt, s=s).apply(np.full((2, 3, 1), -1.0), 5)
    key = keys(0, np.arange(6)).reshape(2, 2, 3)
    x = np.full((2, 3), -1.0)
    for step in range(5):
        x = x + dt * (x - x**3) + s * np.sqrt(dt) * normals(key, step, 1)[0]
    np.testing.assert_allclose(swept[..., 0], x, rtol=1e-13)


def test_a_scheme_of_ones_own():
    """Drift-implicit Euler on dx = -k x dt + s dW, in closed form."""

    def implicit(drift, diffusion, z, dt, normals):
        (rate,) = drift([1.0])  # linear
        ((s,),) = diffusion(z)
        return [(z[0] + s * normals[0] * dt**0.5) / (1.0 - dt * rate)]

    mine = StochasticScheme("implicit", implicit, weak_order=1.0, strong_order=1.0)
    sde = FormulaSDE({"x": "-k*x"}, {"x": "s"}, 0.1, mine, k=2.0, s=0.5)
    assert sde.about["scheme"] == "implicit"
    (moved,) = sde.program(1.0, 2.0, 0.5, 0.1, 0.3)
    assert moved == pytest.approx((1.0 + 0.5 * 0.3 * np.sqrt(0.1)) / 1.2)


@pytest.mark.parametrize("scheme", [euler_maruyama, stochastic_heun, platen], ids=repr)
def test_without_noise_it_is_the_scheme_for_the_flow(scheme):
    sde = FormulaSDE({"x": "x - x**3"}, {"x": "s"}, 0.1, scheme, s=0.0)
    x = 0.4
    for _ in range(10):
        rate = x - x**3
        if scheme is euler_maruyama:
            x = x + 0.1 * rate
        else:
            ahead = x + 0.1 * rate
            x = x + 0.05 * (rate + ahead - ahead**3)
    assert sde.apply([0.4], 10)[0] == pytest.approx(x, rel=1e-14)


X = {"x": "-x"}
REFUSED = {
    "no drift": (TypeError, "drift must map each variable", lambda: FormulaSDE("-x", {"x": "1"})),
    "no diffusion": (TypeError, "diffusion must map variables", lambda: FormulaSDE(X, "0.7")),
    "not a variable": (
        ValueError,
        "names y, which has no drift",
        lambda: FormulaSDE(X, {"y": "1"}),
    ),
    "noiseless": (ValueError, "no variable has noise", lambda: FormulaSDE(X, {})),
    "zeros": (ValueError, "no variable has noise", lambda: FormulaSDE(X, {"x": ["0", 0]})),
    "mixed": (
        TypeError,
        "gives y a list and x none",
        lambda: FormulaSDE({"x": "-x", "y": "-y"}, {"x": "1", "y": ["1", "0"]}),
    ),
    "ragged": (
        ValueError,
        "as many entries for each variable, got 1 for x, 2 for y",
        lambda: FormulaSDE({"x": "-x", "y": "-y"}, {"x": ["1"], "y": ["1", "0"]}),
    ),
    "unknown name": (FormulaError, "names s, which is neither", lambda: FormulaSDE(X, {"x": "s"})),
    "unused": (FormulaError, "constant s does not occur", lambda: FormulaSDE(X, {"x": "1"}, s=1.0)),
    "no formula": (FormulaError, "does not parse", lambda: FormulaSDE(X, {"x": "1 +"})),
    "no text": (
        TypeError,
        "the diffusion of x must be a formula",
        lambda: FormulaSDE(X, {"x": None}),
    ),
    "nan": (FormulaError, "names nan", lambda: FormulaSDE(X, {"x": float("nan")})),
    "no word": (
        FormulaError,
        "has no counterpart in words",
        lambda: FormulaSDE(X, {"x": sympy.besselj(0, sympy.Symbol("x"))}),
    ),
    "dt": (ValueError, "dt must be above 0, got 0", lambda: FormulaSDE(X, {"x": "1"}, dt=0.0)),
    "dt text": (TypeError, "dt must be a number", lambda: FormulaSDE(X, {"x": "1"}, dt="fast")),
    "scheme": (
        TypeError,
        "such as samdyn.euler_maruyama",
        lambda: FormulaSDE(X, {"x": "1"}, 1, rk4),
    ),
    "scheme's step": (
        TypeError,
        "step of a scheme must be a function, got 'euler'",
        lambda: StochasticScheme("mine", "euler", 1.0, 0.5),
    ),
    "dt as a variable": (
        ValueError,
        "dt is the name of the step length",
        lambda: FormulaSDE({"dt": "-dt"}, {"dt": "1"}),
    ),
    "time": (
        ValueError,
        "t is the name of the time of an SDE",
        lambda: FormulaSDE({"x": "-t*x"}, {"x": "1"}, t=1.0),
    ),
    "noise": (
        ValueError,
        "dW1 is the name of the noise of an SDE",
        lambda: FormulaSDE({"x": "-x*dW1"}, {"x": "1"}, dW1=1.0),
    ),
    "extra noise": (
        ValueError,
        "dV1 is the name of the noise",
        lambda: FormulaSDE({"x": "dV1", "dV1": "x"}, {"x": "1", "dV1": "1"}, scheme=platen),
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_bad_input_is_refused(name):
    error, said, make = REFUSED[name]
    with pytest.raises(error, match=said):
        make()
