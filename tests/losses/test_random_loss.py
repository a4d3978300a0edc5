"""Random losses: their means, what they refuse, and their recipes.

Means over Gaussian noise are held against Gauss-Hermite quadrature of the draw, and exact moments;
means over data against the average over the samples, each differentiated by itself.
"""

import itertools
import json

import numpy as np
import pytest
import sympy
import xarray as xr
from numpy.polynomial.hermite_e import hermegauss

import samdyn as sd
from samdyn.ensembles.describe import describe_loss
from samdyn.ensembles.recipe import RecipeError, build_loss
from samdyn.ensembles.run import follow
from samdyn.losses.formula import FormulaError
from samdyn.tracer import DefinitionError
from samdyn.words import tanh

RNG = np.random.default_rng(4)
A, B = RNG.normal(1.0, 1.0, 7), RNG.normal(size=7)
POINTS = RNG.uniform(-1.5, 1.5, (5, 2))


def slow_derivatives(expression, variables):
    """Value, gradient and Hessian as NumPy functions of variables and then all other names."""
    w = [sympy.Symbol(name, real=True) for name in variables]
    more = sorted(expression.free_symbols - set(w), key=str)
    parts = [
        expression,
        [sympy.diff(expression, x) for x in w],
        [[sympy.diff(expression, x, y) for x in w] for y in w],
    ]
    nearly_everywhere = {"DiracDelta": lambda *_: 0.0}
    functions = [sympy.lambdify([*w, *more], one, [nearly_everywhere, "numpy"]) for one in parts]
    return functions, [s.name for s in more]


def averaged(loss, weighted_draws, point):
    """Value, gradient and Hessian averaged over draws, a dictionary and a weight each."""
    functions, names = slow_derivatives(loss.sample.expression, loss.variables)
    totals = [0.0, 0.0, 0.0]
    for draw, weight in weighted_draws:
        known = {**loss.constants, **draw}
        for k, function in enumerate(functions):
            value = function(*point, *(known[name] for name in names))
            totals[k] = totals[k] + weight * np.array(value, float)
    return totals


def agree(loss, weighted_draws, rtol):
    weighted_draws = list(weighted_draws)
    for point in POINTS[:, : loss.dimension]:
        value, gradient, hessian = averaged(loss, weighted_draws, point)
        size = 1.0 + abs(value)
        np.testing.assert_allclose(loss.value(point), value, rtol=rtol, atol=rtol * size)
        np.testing.assert_allclose(loss.grad(point), gradient, rtol=rtol, atol=rtol * size)
        np.testing.assert_allclose(loss.hessian(point), hessian, rtol=rtol, atol=rtol * size)


# --- Gaussian noise


@pytest.mark.parametrize(
    ("formula", "noise"),
    [
        ("x**2/2 - y**2/2 + 0.1*(u*x + v*y)", "u v"),
        ("(x + 0.3*u)**8 + y*u**3", "u"),
        ("(x*u + y*v - u*v)**4", "u v"),
        ("exp(x*y)*u**6 + tanh(x)*(u - v)**4*t**2 + abs(y)*t", "u v t"),
        ("((x + u)**2 - 1)**2/4 + c*(y - v)**3*u", "u v"),
        ("x**2 + y + u", "u"),
    ],
)
def test_the_mean_over_noise_is_that_of_gauss_and_hermite(formula, noise):
    constants = {"c": 0.7} if "c*" in formula else {}
    loss = sd.Loss(formula, "x y", noise=noise, **constants)
    nodes, weights = hermegauss(8)  # exact to the 15th power
    names = noise.split()
    assert loss.sample.noise == tuple(names)
    draws = (
        (dict(zip(names, place, strict=True)), np.prod(share) / (2 * np.pi) ** (len(names) / 2))
        for place, share in zip(
            itertools.product(nodes, repeat=len(names)),
            itertools.product(weights, repeat=len(names)),
            strict=True,
        )
    )
    agree(loss, draws, 1e-11)


@pytest.mark.parametrize("n", [1, 2, 5, 8, 21])
def test_moments_of_a_normal_are_exact(n):
    loss = sd.Loss(f"y*(x + u)**{n} + y + x", noise="u")
    x, y = sympy.symbols("x y", real=True)
    double = [1, 0] * (n + 1)  # E u^k is (k - 1)!! for even k
    for k in range(2, n + 1, 2):
        double[k] = (k - 1) * double[k - 2]
    exact = sum(sympy.binomial(n, k) * double[k] * x ** (n - k) for k in range(0, n + 1, 2))
    assert sympy.expand(loss.expression - y * exact - x - y) == 0


def test_noises_are_independent():
    loss = sd.Loss("x*u**2*v**4*t**6 + x*u*v**2 + x*(u + v + t)**2", noise="u, v, t")
    assert sympy.expand(loss.expression) == 48 * loss_symbol("x")


def loss_symbol(name):
    return sympy.Symbol(name, real=True)


# --- data


@pytest.mark.parametrize(
    "formula",
    [
        "(a*x + b*y)**2/2",
        "a*x**4 - b**3*y**2*x + 3",
        "c*a*x**2 + c**2*b*y",
        "exp(a)*x**2 + sin(b)*y + a*b",
        "tanh(a*x + b*y)",
        "log(1 + exp(-a*(x - c*y)))",
        "abs(x - a) + abs(y)*b",
        "1/(1 + (x - a)**2) + y**2",
        "exp(c*a)*x**2 + b*y",
        "y**2/(a**2 + c) + x",
        "abs(a)**c*x + max(c*b, a)*y**2",
        "max(x - a, b*y)",
        "sqrt(x**2 + a**2)*y + (1 + c)**2*(1 + a*x)**3",
        "(tanh(a*x + b) - y)**2/2",
        "x**2 + y**2 + 0*(a + b)",
    ],
)
def test_the_mean_over_data_is_the_average_of_the_samples(formula):
    data = {name: values for name, values in (("a", A), ("b", B)) if name in formula}
    constants = {"c": 1.3} if "c" in formula else {}
    loss = sd.Loss(formula, "x y", data=data, **constants)
    assert loss.sample.fields == tuple(data)
    np.testing.assert_array_equal(loss.sample.table, np.stack(list(data.values()), axis=1))
    rows = [dict(zip(data, row, strict=True)) for row in loss.sample.table]
    agree(loss, [(row, 1 / len(rows)) for row in rows], 1e-12)


def test_a_draw_s_program_is_the_formula_at_that_sample():
    loss = sd.Loss("(a*x - b*y)**2/2 + c*x**3", "x y", data={"a": A, "b": B}, c=0.4)
    x, y, a, b = 0.3, -0.8, 1.7, -0.2
    assert loss.sample.program(0)(x, y, a, b, 0.4)[0] == pytest.approx(
        (a * x - b * y) ** 2 / 2 + 0.4 * x**3, rel=1e-15
    )
    slope = [a * (a * x - b * y) + 1.2 * x**2, -b * (a * x - b * y)]
    np.testing.assert_allclose(loss.sample.program(1)(x, y, a, b, 0.4), slope, rtol=1e-14)
    noisy = sd.Loss("x**2*u + v*y*c", noise="v u", c=2.0).sample
    assert noisy.names == ("v", "u")
    assert noisy.program(1)(0.5, 9.0, 3.0, 5.0, 2.0) == (5.0, 6.0)  # x, y, v, u, c


def test_a_million_samples_separate_at_once():
    a = np.arange(1_000_000) % 7.0
    loss = sd.Loss("(a*x - 1)**2", "x", data={"a": a})
    assert loss.value([2.0]) == pytest.approx(np.mean((2 * a - 1) ** 2), rel=1e-12)


# --- functions, names, text


def test_a_function_may_have_noise_or_data():
    noisy = sd.Loss(lambda w, u, s: w[0] ** 2 * (1 + s * u) ** 2, "x", noise="u", s=0.5)
    assert noisy.value([2.0]) == pytest.approx(4 * 1.25)
    finite = sd.Loss(lambda w, a, s: tanh(a * w[0]) ** 2 * s, "x", data={"a": A}, s=0.5)
    assert finite.value([0.7]) == pytest.approx(np.mean(np.tanh(0.7 * A) ** 2) / 2, rel=1e-13)
    assert finite.replace(s=2.0).value([0.7]) == pytest.approx(4 * finite.value([0.7]))
    expression = sympy.Symbol("x") ** 2 * sympy.Symbol("u") ** 2
    assert sd.Loss(expression, noise="u").expression == loss_symbol("x") ** 2


def test_variables_are_what_is_neither_constant_nor_drawn():
    assert sd.Loss("c*x2*u + x10*v + a", noise="u v", c=1.0, a=2.0).variables == ("x2", "x10")
    assert sd.Loss("a*x + z", data={"a": A}).variables == ("x", "z")


def test_what_is_shown_is_one_draw():
    noisy = sd.Loss("c*x**2 + x*xi", noise="xi", c=1.5)
    assert noisy.latex == r"c x^{2} + x \xi"
    assert noisy._repr_latex_() == r"$\displaystyle L(x) = c x^{2} + x \xi$"
    assert repr(noisy) == "Loss('c*x**2 + x*xi', variables='x', noise='xi', c=1.5)"
    finite = sd.Loss("(a*x - b)**2", "x", data={"a": A, "b": B})
    assert finite.latex == r"\left(a x - b\right)^{2}"
    assert repr(finite) == "Loss('(a*x - b)**2', variables='x', data of 7 samples: a, b)"
    assert finite.formula == "(a*x - b)**2"


def test_the_mean_loss_is_a_loss_without_noise():
    noisy = sd.Loss("c*x**2 + s*x*xi", noise="xi", c=1.5, s=2.0)
    assert noisy.mean.sample is None
    assert noisy.mean.mean is noisy.mean
    assert noisy.mean.constants == {"c": 1.5}  # s is in no mean
    assert noisy.mean.value([2.0]) == noisy.value([2.0]) == 6.0
    moved = noisy.replace(c=3.0)
    assert moved.mean.value([2.0]) == moved.value([2.0]) == 12.0
    assert moved.sample is not None
    assert noisy.replace(s=7.0).mean.constants == {"c": 1.5}
    plain = sd.Loss("x**2")
    assert plain.mean is plain
    assert plain.sample is None


def test_critical_points_and_checks_are_those_of_the_mean():
    loss = sd.Loss("(x**2 - 1)**2/4 + x*u + y**2*(1 + v)**2/2", noise="u v")
    kinds = [c.kind for c in loss.critical_points([(-2, 2), (-2, 2)], starts=64)]
    assert kinds == ["minimum", "minimum", "saddle"]
    assert loss.check().ok
    assert sd.Loss("(tanh(a*x) - b)**2", "x", data={"a": A, "b": B}).check().ok


def test_the_samples_are_a_copy_that_nobody_changes():
    given = A.copy()
    loss = sd.Loss("a*x", data={"a": given})
    given[:] = 0.0
    np.testing.assert_array_equal(loss.sample.table[:, 0], A)
    with pytest.raises(ValueError, match="read-only"):
        loss.sample.table[0] = 1.0
    assert sd.Loss("a*x", data={"a": xr.DataArray(A, dims="sample")}).value([1.0]) == A.mean()
    assert sd.Loss("a*x", data={"a": [1, 2]}).value([1.0]) == 1.5


# --- refusals

TWO = {"a": [1.0, 2.0]}


@pytest.mark.parametrize(
    ("formula", "given", "sentence"),
    [
        ("x*sin(u)", {"noise": "u"}, "noise must enter the formula as a polynomial"),
        ("x/(1 + u)", {"noise": "u"}, "noise must enter the formula as a polynomial"),
        ("x*abs(u)*v", {"noise": "u v"}, r"x\*v\*Abs\(u\) is none in u, v|Abs\(u\).* is none"),
        ("sqrt(u**2 + x)", {"noise": "u"}, "as a polynomial"),
        ("x*u*a", {"noise": "u", "data": TWO}, "noise and data do not go together"),
        ("x*a*b", {"data": {"a": [1, 2], "b": [1]}}, "must have one length.*got a 2, b 1"),
        ("x*a", {"data": {"a": [1.0, np.nan]}}, "data a must be finite"),
        ("x*a", {"data": {"a": [1.0, np.inf]}}, "data a must be finite"),
        ("x*a", {"data": {"a": [[1.0, 2.0]]}}, r"data a must be one value a sample, shape \(n,\)"),
        ("x*a", {"data": {"a": 1.0}}, r"data a must be one value a sample, shape \(n,\)"),
        ("x*a", {"data": {"a": []}}, "data a must have at least one value"),
        ("x*a", {"data": {}}, "data must map names to arrays"),
        ("x*a", {"data": [1.0]}, "data must map names to arrays"),
        ("x*a", {"data": {3: [1.0]}}, "data must map names to arrays.*got 3"),
        ("x*a", {"data": {"a": ["one"]}}, "data a must be a number or an array of numbers"),
        ("x*a", {"data": {"a": [1j]}}, "data a must be a number or an array of numbers"),
        ("x*a", {"data": {"pi": [1.0]}}, "name 'pi' is taken"),
        ("x*a", {"data": {"a b": [1.0]}}, "must be letters, digits and _"),
        ("x*a", {"data": TWO, "a": 2.0}, "a is given both as a constant and as noise or data"),
        ("x*u", {"noise": "u", "u": 2.0}, "u is given both as a constant and as noise or data"),
        ("x*u", {"noise": "u", "variables": "x u"}, "u is given both"),
        ("x*a", {"data": TWO, "variables": "x a"}, "a is given both"),
        ("x*u", {"noise": "u v"}, "v does not occur in the formula"),
        ("x", {"data": TWO}, "a does not occur in the formula"),
        ("x*u", {"noise": "u u"}, "noise must be different names"),
        ("x*u", {"noise": ""}, "noise must be different names, at least one"),
        ("x*u", {"noise": 3}, "noise must be names such as"),
        ("x*u", {"noise": ["u", 1]}, "noise must be names such as"),
        ("x*u", {"noise": "sin"}, "name 'sin' is taken"),
        ("u**2", {"noise": "u"}, "has no variables"),
        ("x*u + k", {"noise": "u", "variables": "x"}, "formula names k"),
        ("log(a)*x", {"data": {"a": [-1.0, 1.0]}}, "mean of log.a. over the data must be finite"),
        ("x/a", {"data": {"a": [0.0, 1.0]}}, "mean of 1/a over the data must be finite, got inf"),
        ("log(a)*tanh(a*x)", {"data": {"a": [2.0, -1.0]}}, "at a = -1 it is not"),
        ("tanh(x + a)/a", {"data": {"a": [2.0, 0.0]}}, "at a = 0 it is not"),
        ("tanh(a*x)", {"data": {"a": np.arange(4097.0)}}, "4097 terms.*give fewer samples"),
        (
            "tanh(a*x) + exp(a*x)",
            {"data": {"a": np.arange(2049.0)}},
            "mean over 2049 samples has 4098 terms",
        ),
    ],
)
@pytest.mark.filterwarnings("error")
def test_refusals(formula, given, sentence):
    with pytest.raises((TypeError, ValueError), match=sentence):
        sd.Loss(formula, **given)


def test_refusals_of_functions():
    with pytest.raises(TypeError, match="grad does not go with noise or data"):
        sd.Loss(lambda w, u: w[0] * u, "x", noise="u", grad=lambda w, u: w)
    with pytest.raises(FormulaError, match="as a polynomial"):
        sd.Loss(lambda w, u: w[0] * tanh(u), "x", noise="u")
    with pytest.raises(DefinitionError):
        sd.Loss(lambda w: w[0], "x", noise="u")
    with pytest.raises(DefinitionError):
        sd.Loss(lambda w, a: w[0] if w[0] > a else 0, "x", data=TWO)
    with pytest.raises(FormulaError, match="does not occur in the formula"):
        sd.Loss(lambda w, a: w[0], "x", data=TWO)
    with pytest.raises(ValueError, match="v is no constant of this loss"):
        sd.Loss("x*v", noise="v").replace(v=1.0)


FINITE = sd.Loss("a*x**2", data={"a": [1.0, 2.0, 3.0]})
NOISY = sd.Loss("x**2 + x*u", noise="u")
GD = sd.GD(lr=0.1)


@pytest.mark.parametrize(
    ("loss", "algorithm", "given", "sentence"),
    [
        (NOISY, GD, {"batch_size": 2}, "batch_size goes with a loss of data; this one has none"),
        (NOISY.mean, GD, {"batch_size": 2}, "batch_size goes with a loss of data"),
        (NOISY.mean, GD, {"fresh_noise": True}, "fresh_noise goes with a random loss"),
        (FINITE, GD, {"batch_size": 0}, "whole numbers from 1 on, got 0"),
        (FINITE, GD, {"batch_size": 4, "sampling": "subset"}, "from 1 to the 3 samples, got 4"),
        (FINITE, GD, {"batch_size": 1.5}, "whole numbers from 1 on, got 1.5"),
        (FINITE, GD, {"batch_size": [1, 4], "sampling": "epochs"}, "from 1 to the 3 samples"),
        (FINITE, GD, {"batch_size": True}, "batch_size must be a number"),
        (FINITE, GD, {"batch_size": "all"}, "batch_size must be a number"),
        (FINITE, GD, {"batch_size": np.nan}, "batch_size must be finite"),
        (FINITE, GD, {"sampling": "shuffled"}, "one of replacement, subset, epochs, got"),
        (FINITE, GD, {"batch_size": 1, "fresh_noise": 1}, "fresh_noise must be True or False"),
        (sd.Loss("x*lr", noise="lr"), GD, {}, "lr names both a hyperparameter and .*noise"),
        (
            sd.Loss("x*u + velocity_x", noise="u"),
            sd.GD(lr=0.1, momentum=0.9),
            {},
            "velocity_x names both",
        ),
        (
            sd.Loss("a*x + batch_size", data=TWO),
            GD,
            {"batch_size": 2},
            "batch_size names both a variable of the loss and a hyperparameter",
        ),
        (
            sd.Loss("a*x*batch_size", data=TWO, batch_size=2.0),
            GD,
            {"batch_size": 2},
            "batch_size names both a constant of the loss and a hyperparameter",
        ),
    ],
)
def test_refusals_of_a_map(loss, algorithm, given, sentence):
    with pytest.raises((TypeError, ValueError), match=sentence):
        sd.Map(loss, algorithm, **given)


def test_m_needs_a_minibatch():
    for loss in (FINITE, NOISY, NOISY.mean):
        with pytest.raises(TypeError, match="m goes with minibatches"):
            sd.Map(loss, sd.SAM(lr=0.1, rho=0.1, m=1)).apply([1.0])
    sam = sd.SAM(lr=0.1, rho=0.1, m=1)
    for algorithm in (sam, sd.Lookahead(sam, k=2)):
        with pytest.raises(ValueError, match="m does not go with fresh_noise"):
            sd.Map(FINITE, algorithm, batch_size=2, fresh_noise=True).apply([1.0])
    for m in (0, 1.5, True):
        with pytest.raises((TypeError, ValueError), match="m must be"):
            sd.SAM(lr=0.1, rho=0.1, m=m)


def test_without_a_batch_size_a_finite_sum_is_its_mean():
    system = sd.Map(FINITE, GD)
    assert not system.random
    assert system.noise == ()
    assert system.apply([1.0], 3) == pytest.approx((1 - 0.4) ** 3)
    assert sd.Map(FINITE, GD, batch_size=1).mean.apply([1.0], 3) == pytest.approx(0.6**3)
    assert sd.Map(NOISY, GD).random


# --- recipes


def same(a, b):
    for name in a.data_vars:
        np.testing.assert_array_equal(a[name], b[name], err_msg=str(name))


@pytest.fixture(scope="module")
def noisy_run():
    loss = sd.Loss("c*x**2/2 + s*x*u", "x", noise="u", c=1.0, s=[0.1, 0.2])
    system = sd.Map(loss, sd.SAM(lr=0.1, rho=0.2), fresh_noise=True)
    return sd.simulate(system, [[1.0], [2.0]], 5, seed=2**63 + 1, record=2, progress=False)


@pytest.fixture(scope="module")
def finite_run():
    loss = sd.Loss("(a*x - b)**2/2", "x", data={"a": A, "b": B})
    system = sd.Map(loss, sd.GD(lr=0.1), batch_size=[1, 3], sampling="subset")
    return sd.simulate(system, [[1.0], [2.0]], 5, seed=3, common_noise=True, progress=False)


@pytest.mark.parametrize("which", ["noisy_run", "finite_run"])
def test_a_result_is_run_again(which, request, tmp_path):
    run = request.getfixturevalue(which)
    same(run, sd.rerun(run, progress=False))
    run.to_netcdf(tmp_path / "run.nc", engine="h5netcdf")
    again = sd.rerun(tmp_path / "run.nc", progress=False)
    same(run, again)
    assert again.attrs["recipe"] == run.attrs["recipe"]
    assert again.attrs["seed"] == run.attrs["seed"]
    np.testing.assert_array_equal(again.stream, run.stream)
    part = sd.rerun(run.isel(particle=[1]), progress=False)
    np.testing.assert_array_equal(part.final, run.final.isel(particle=[1]))


def test_what_a_recipe_says_of_draws(noisy_run, finite_run):
    said = json.loads(noisy_run.attrs["recipe"])
    assert said["loss"]["noise"] == ["u"]
    assert said["batches"] == {"fresh_noise": True}
    assert said["simulate"]["seed"] == 2**63 + 1
    assert noisy_run.attrs["seed"] == str(2**63 + 1)
    assert noisy_run.attrs["random"] == sd.random.NAME
    assert noisy_run.attrs["bridge"] == "False"
    said = json.loads(finite_run.attrs["recipe"])
    assert said["loss"]["data"] == {"a": A.tolist(), "b": B.tolist()}
    assert said["batches"] == {"batch_size": [1.0, 3.0], "sampling": "subset"}
    assert said["simulate"]["common_noise"] is True
    plain = sd.simulate(sd.Map(sd.Loss("x**2/2"), GD), [1.0], 1, progress=False)
    said = json.loads(plain.attrs["recipe"])
    assert "batches" not in said
    assert "seed" not in said["simulate"]
    assert not {"random", "seed", "bridge"} & set(plain.attrs)
    assert "stream" not in plain.coords


def test_a_recipe_written_by_hand(finite_run, noisy_run):
    written = {
        "loss": {
            "formula": "(a*x - b)**2/2",
            "variables": "x",
            "data": {"a": A.tolist(), "b": B.tolist()},
        },
        "algorithm": {"name": "GD", "lr": 0.1},
        "batches": {"batch_size": [1, 3], "sampling": "subset"},
        "simulate": {"x0": [[1.0], [2.0]], "steps": 5, "seed": 3, "common_noise": True},
    }
    same(follow(written, progress=False), finite_run)
    written["batches"] = {"batch_size": {"linspace": [1, 3, 2]}, "sampling": "subset"}
    same(follow(written, progress=False), finite_run)
    noisy = {
        "loss": {
            "formula": "c*x**2/2 + s*x*u",
            "variables": ["x"],
            "noise": "u",
            "constants": {"c": 1.0, "s": [0.1, 0.2]},
        },
        "algorithm": {"name": "SAM", "lr": 0.1, "rho": 0.2},
        "batches": {"fresh_noise": True},
        "simulate": {"x0": [[1.0], [2.0]], "steps": 5, "seed": 2**63 + 1, "record": 2},
    }
    same(follow(noisy, progress=False), noisy_run)
    for table, entry, sentence in (
        ("batches", {"size": 3}, r"\[batches\] does not know 'size'; it takes batch_size"),
        ("batches", 3, "batches must be a table"),
        ("batches", {"batch_size": {"from": 1}}, "batch_size must be a number"),
        ("loss", {"formula": "a*x", "data": [1.0]}, "data must be a table"),
        ("loss", {"formula": "a*x", "noise": 3}, "variables|noise"),
        ("loss", {"formula": "a*x", "noises": "a"}, "loss does not know 'noises'"),
    ):
        with pytest.raises(RecipeError, match=sentence):
            follow({**written, table: entry}, progress=False)


def test_a_recipe_leaves_out_very_many_data():
    many = np.linspace(0.0, 1.0, 100_001)
    said = describe_loss(sd.Loss("(x - a)**2/2", "x", data={"a": many}))
    assert said["data"] == "left out"
    with pytest.raises(RecipeError, match="more data than a recipe holds"):
        build_loss(said)
    assert len(describe_loss(sd.Loss("a*x", "x", data={"a": many[:-1]}))["data"]["a"]) == 100_000


def test_a_function_of_words_is_described_by_what_it_said():
    loss = sd.Loss(lambda w, u: w[0] ** 2 / 2 + 0.1 * u * w[0], "x", noise="u")
    again = build_loss(json.loads(json.dumps(describe_loss(loss))))
    assert again.sample.program(1)(0.3, 1.7) == loss.sample.program(1)(0.3, 1.7)
    assert again.sample.noise == loss.sample.noise
    finite = sd.Loss(lambda w, a: tanh(a * w[0]) ** 2, "x", data={"a": A})
    again = build_loss(json.loads(json.dumps(describe_loss(finite))))
    np.testing.assert_array_equal(again.sample.table, finite.sample.table)
    assert again.expression == finite.expression
