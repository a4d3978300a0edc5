"""The SDE of an algorithm as a system: paths, stationary laws, formulas, refusals."""

import numpy as np
import pytest
import sympy

import samdyn as sd
from samdyn.symbols import symbols
from samdyn.systems.modified.factor import lower_triangle
from samdyn.systems.sde import SDE

BOWL = sd.Loss("x**2 + x*y/2 + y**2/4 + 0.3*(xi1*x + 2*xi2*y + xi2*x)", noise="xi1 xi2")


def test_on_a_quadratic_usam_is_euler_maruyama_of_its_sde():
    lr = 0.05
    usam = sd.USAM(lr=lr, rho=0.4)
    sde = SDE(BOWL, usam, dt=lr, order=None)
    step = sd.Map(BOWL, usam)
    random = np.random.default_rng(0)
    z, numbers = list(random.normal(size=(2, 50))), random.normal(size=(2, 50))
    drawn = dict(zip(step.noise, numbers, strict=True))
    ours = dict(zip(sde.noise, numbers, strict=True))
    found = sde.step(z, {**sde.numbers, **ours})
    expected = step.step(z, {**step.numbers, **drawn})
    np.testing.assert_allclose(found, expected, rtol=0, atol=4e-16 * 50)


def test_the_kernel_follows_the_definition():
    sde = SDE(BOWL, sd.USAM(lr=0.05, rho=0.4), dt=0.02)
    w = np.random.default_rng(0).normal(size=(70, 2))
    run = sd.simulate(sde, w, steps=25, record=None, seed=3, progress=False)
    np.testing.assert_allclose(run.final.values, sde.apply(w, 25, seed=3), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("eigenvalue", [1.0, 3.0])
def test_the_stationary_variance_of_usam(eigenvalue):
    lr, rho, s = 0.01, 0.5, 1.0
    loss = sd.Loss("h*x**2/2 + s*xi*x", noise="xi", h=eigenvalue, s=s)
    sde = SDE(loss, sd.USAM(lr=lr, rho=rho), order=None)
    x = symbols("x")[0]
    rate = float(-sde.drift_formula.diff(x)[0].subs({"h": eigenvalue, "rho": rho, "x": 0}).subs(
        dict(zip(symbols(["h", "rho"]), [eigenvalue, rho], strict=True))
    ))  # fmt: skip
    variance = sde.covariance([0.0])[0, 0] / (2 * rate)
    assert variance == pytest.approx(lr * s**2 / 2 * (1 + rho * eigenvalue) / eigenvalue)
    # the discrete one: v = (1 - lr k)^2 v + lr^2 c
    k = eigenvalue * (1 + rho * eigenvalue)
    exact = lr * s**2 * (1 + rho * eigenvalue) / (eigenvalue * (2 - lr * k))
    step = SDE(loss, sd.USAM(lr=lr, rho=rho), order=None, dt=lr)
    contraction = 1 + lr * step.rate([1.0])[0]
    discrete = lr * step.covariance([0.0])[0, 0] / (1 - contraction**2)
    assert discrete == pytest.approx(exact)


def test_formulas_can_be_read():
    loss = sd.Loss("h*x**2/2 + s*xi*x", noise="xi", h=1.0, s=0.5)
    h, s, x, rho, lr = symbols(["h", "s", "x", "rho", "lr"])
    sgd = SDE(loss, sd.GD(lr=0.1))
    assert sgd.drift_formula == sympy.Matrix([-h * x])
    assert sgd.covariance_formula == sympy.Matrix([[lr * s**2]])
    assert sgd.implicit_loss == h * x**2 / 2
    assert r"\mathrm{d}x" in sgd.latex
    sam = SDE(loss, sd.SAM(lr=0.1, rho=0.2))
    mean = h * rho * sympy.erf(sympy.sqrt(2) * h * x / (2 * sympy.Abs(s)))
    positive = {s: sympy.Symbol("s", positive=True)}
    assert sympy.simplify((sam.drift_formula[0] + h * x + mean).xreplace(positive)) == 0
    usam = SDE(loss, sd.USAM(lr=0.1, rho=0.2))
    difference = usam.implicit_loss - (h * x**2 / 2 + rho / 2 * (h**2 * x**2 + s**2))
    assert sympy.expand(difference) == 0
    assert usam._repr_latex_().startswith("$")


def test_numbers_may_be_swept_and_replaced():
    data = {"a": np.linspace(-1, 1, 7), "b": np.linspace(0, 2, 7) ** 2}
    loss = sd.Loss("c*(a*x - b)**2/2", variables="x", data=data, c=1.0)
    sde = SDE(loss, sd.GD(lr=0.1), batch_size=np.array([1, 2, 4]))
    assert set(sde.numbers) == {"lr", "batch_size", "c", "dt"}
    spread = sde.covariance([0.5])[:, 0, 0]
    np.testing.assert_allclose(spread * [1, 2, 4], spread[0])
    other = sde.replace(batch_size=8, lr=0.2, c=2.0, dt=0.5)
    assert other.covariance([0.5])[0, 0] == pytest.approx(spread[0] / 8 * 2 * 4)
    with pytest.raises(ValueError, match="rho"):
        sde.replace(rho=1.0)


def test_the_triangle_of_a_semi_definite_matrix():
    random = np.random.default_rng(0)
    columns = random.normal(size=(4, 2))
    matrix = columns @ columns.T
    factor = np.array(lower_triangle(matrix.tolist(), [0, 1, 2, 3]), float)
    np.testing.assert_allclose(factor @ factor.T, matrix, atol=1e-13)
    none = np.array(lower_triangle([[-1.0, 0.0], [0.0, 4.0]], [0, 1]), float)
    np.testing.assert_allclose(none, [[0, 0], [0, 2]])


def test_a_variable_without_noise_has_no_brownian_motion():
    sde = SDE(sd.Loss("x**2 + y**2 + xi*x", noise="xi"), sd.USAM(lr=0.1, rho=0.1))
    assert sde.brownian == 1
    with pytest.raises(ValueError, match="Flow"):
        SDE(sd.Loss("x**2 + xi*0", noise="xi"), sd.GD(lr=0.1))


def test_what_is_refused():
    loss = sd.Loss("x**2 + xi*x", noise="xi")
    with pytest.raises(ValueError, match="order"):
        SDE(loss, sd.GD(lr=0.1), order=2)
    with pytest.raises(ValueError, match="batch_size"):
        SDE(loss, sd.GD(lr=0.1), batch_size=2)
    with pytest.raises(ValueError, match="symmetric"):
        SDE(loss, sd.GD(lr=0.1), covariance=[[1, 2]])
    with pytest.raises(ValueError, match="covariance names"):
        SDE(loss, sd.GD(lr=0.1), covariance=[["q"]])
    with pytest.raises(TypeError, match="Loss"):
        SDE("x**2", sd.GD(lr=0.1))
