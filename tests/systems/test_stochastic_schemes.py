"""Schemes for SDEs: their moments in closed form, and their orders as slopes.

Expectations over a step's normals are Gauss-Hermite sums, and over its two-point variables plain
sums, so that the weak orders below have no sampling error: the error of a slope is that of the
straight line through the points.
"""

from itertools import product

import numpy as np
import pytest
import sympy
from scipy.interpolate import CubicSpline
from scipy.linalg import expm

from samdyn.systems.formula_sde import FormulaSDE
from samdyn.systems.stochastic import (
    STOCHASTIC_SCHEMES,
    StochasticScheme,
    euler_maruyama,
    pairs,
    platen,
    stochastic_heun,
)

SCHEMES = list(STOCHASTIC_SCHEMES.values())
each_scheme = pytest.mark.parametrize("scheme", SCHEMES, ids=repr)


def line(steps, errors):
    """The slope of log(error) against log(step), and its standard error."""
    x, y = np.log(steps), np.log(np.abs(errors))
    (slope, _), covariance = np.polyfit(x, y, 1, cov=True)
    return slope, np.sqrt(covariance[0, 0])


def draws(brownian, extra, nodes=8):
    """Weights and values of a step's normals, exact for polynomials up to degree 15."""
    x, w = np.polynomial.hermite_e.hermegauss(nodes)
    w = w / w.sum()
    points = list(
        product(*[list(zip(x, w, strict=True))] * brownian, *[[(-1.0, 0.5), (1.0, 0.5)]] * extra)
    )
    values = np.array([[value for value, _ in point] for point in points]).T
    return np.array([np.prod([weight for _, weight in point]) for point in points]), values


# --- Ornstein and Uhlenbeck -----------------------------------------------------------------


def ou_step(scheme, k, s, dt):
    """Factor of the mean and variance of one step."""
    if scheme is euler_maruyama:
        return 1.0 - k * dt, s**2 * dt
    return 1.0 - k * dt + (k * dt) ** 2 / 2, s**2 * dt * (1.0 - k * dt / 2) ** 2


@each_scheme
def test_one_step_of_ornstein_uhlenbeck(scheme):
    k, s, dt, x = 1.3, 0.7, 0.2, 0.9
    sde = FormulaSDE({"x": "-k*x"}, {"x": "s"}, dt, scheme, k=k, s=s)
    assert sde.noise == ("dW1",)
    weights, (normal,) = draws(1, 0)
    (moved,) = sde.program(x, *sde.numbers.values(), normal)
    factor, variance = ou_step(scheme, k, s, dt)
    assert weights @ moved == pytest.approx(factor * x, rel=1e-14)
    assert weights @ (moved - factor * x) ** 2 == pytest.approx(variance, rel=1e-13)


@each_scheme
def test_many_paths_of_ornstein_uhlenbeck(scheme):
    k, s, dt, n, paths = 1.3, 0.7, 0.2, 12, 100_000
    sde = FormulaSDE({"x": "-k*x"}, {"x": "s"}, dt, scheme, k=k, s=s)
    x = sde.apply(np.full((paths, 1), 0.9), n, seed=3)[:, 0]
    factor, variance = ou_step(scheme, k, s, dt)
    variance *= (1 - factor ** (2 * n)) / (1 - factor**2)
    assert abs(x.mean() - 0.9 * factor**n) < 4 * np.sqrt(variance / paths)
    assert abs(x.var() - variance) < 4 * variance * np.sqrt(2 / paths)


# --- weak order: linear equations, whose moments are matrices -------------------------------


def linear(seed, d, m):
    """Drift and noise matrices of dX = A X dt + sum_j B_j X dW_j."""
    rng = np.random.default_rng(seed)
    a = rng.uniform(-0.6, 0.6, (d, d)) - 0.5 * np.eye(d)
    return a, rng.uniform(-0.5, 0.5, (m, d, d))


def linear_sde(a, b, dt, scheme):
    names = [f"x{i}" for i in range(len(a))]

    def formula(row):
        return " + ".join(
            f"({float(entry)!r})*{name}" for entry, name in zip(row, names, strict=True)
        )

    drift = {name: formula(row) for name, row in zip(names, a, strict=True)}
    diffusion = {name: [formula(matrix[i]) for matrix in b] for i, name in enumerate(names)}
    return FormulaSDE(drift, diffusion, dt, scheme)


def second_moments(sde, steps):
    """What so many steps make of E[X X^T], as a matrix on its entries."""
    d = len(sde.coordinates)
    weights, normals = draws(sde.brownian, len(sde.noise) - sde.brownian, nodes=5)
    columns = [sde.program(*unit, sde.dt, *normals) for unit in np.eye(d)]
    step = np.array([[np.broadcast_to(x, weights.shape) for x in column] for column in columns])
    step = np.moveaxis(step, -1, 0).swapaxes(1, 2)  # X' = step X
    twice = np.einsum("n,nij,nkl->ikjl", weights, step, step).reshape(d * d, d * d)
    return np.linalg.matrix_power(twice, steps)


def exact_moments(a, b):
    one = np.eye(len(a))
    return expm(np.kron(a, one) + np.kron(one, a) + sum(np.kron(m, m) for m in b))


SYSTEMS = {"scalar": (0, 1, 1), "two": (1, 2, 2), "three": (2, 3, 3)}


@pytest.mark.parametrize("name", SYSTEMS)
@each_scheme
def test_weak_order_by_exact_second_moments(scheme, name):
    a, b = linear(*SYSTEMS[name])
    if name != "scalar":
        assert np.abs(b[0] @ b[1] - b[1] @ b[0]).max() > 0.05  # the noise does not commute
    exact = exact_moments(a, b)
    counts = np.array([32, 64, 128, 256])
    errors = [
        np.linalg.norm(second_moments(linear_sde(a, b, 1 / n, scheme), n) - exact) for n in counts
    ]
    assert errors[-1] > 1e-10
    slope, error = line(1 / counts, errors)
    assert error < 0.03
    assert slope == pytest.approx(scheme.weak_order, abs=0.06), (slope, error)


def test_the_two_point_variables_matter():
    """With signs that are always 1, Platen's scheme does not even converge."""
    a, b = linear(*SYSTEMS["two"])
    one_sided = StochasticScheme(
        "one_sided",
        lambda drift, diffusion, z, dt, normals: platen(
            drift, diffusion, z, dt, [*normals[:2], 1.0]
        ),
        weak_order=0.0,
        strong_order=0.0,
        extra=pairs,
    )
    errors = [
        np.linalg.norm(second_moments(linear_sde(a, b, 1 / n, one_sided), n) - exact_moments(a, b))
        for n in (64, 256)
    ]
    assert errors[1] > 0.9 * errors[0] > 1e-3


# --- weak order: nonlinear equations --------------------------------------------------------

CURVED = {
    "drift": {"x": "sin(y) - x/2", "y": "cos(x) - y**2/4"},
    "diffusion": {"x": ["(1 + y**2)/4", "x/3"], "y": ["sin(x)/2", "(2 + x*y)/5"]},
}
PLACE = {"x": 0.4, "y": -0.3}
X, Y = sympy.symbols("x y", real=True)


def at_place(expression):
    return float(expression.subs(dict(zip((X, Y), PLACE.values(), strict=True))))


def generator(sde, f):
    """The generator of the diffusion on a function, by symbol."""
    names = (X, Y)
    matrix = sympy.Matrix(sde.matrix)
    covariance = matrix * matrix.T
    second = sum(
        covariance[i, j] * sympy.diff(f, p, q)
        for i, p in enumerate(names)
        for j, q in enumerate(names)
    )
    first = sum(a * sympy.diff(f, x) for a, x in zip(sde.expressions, names, strict=True))
    return first + second / 2


@each_scheme
def test_local_weak_order_on_curved_noise_that_does_not_commute(scheme):
    """One step against f + dt L f + dt^2/2 L^2 f: what is left has the order and 1 more."""
    steps = np.array([0.04, 0.02, 0.01, 0.005])
    weights, normals = draws(2, 1, nodes=14)
    slopes = []
    for f in (X, Y, X * Y, Y**2, X**2 * Y):
        left = []
        for dt in steps:
            sde = FormulaSDE(**CURVED, dt=dt, scheme=scheme)
            moved = sde.program(*PLACE.values(), dt, *normals[: len(sde.noise)])
            once = generator(sde, f)
            said = f + dt * once + dt**2 / 2 * generator(sde, once)
            left.append(weights @ sympy.lambdify([X, Y], f)(*moved) - at_place(said))
        slope, error = line(steps, left)
        assert error < 0.06, (f, left)
        slopes.append(slope)
    # some functions do better by accident, none does worse
    assert min(slopes) == pytest.approx(scheme.weak_order + 1.0, abs=0.06), slopes


SINH = {"drift": {"x": "x/2 + sqrt(x**2 + 1)"}, "diffusion": {"x": "sqrt(x**2 + 1)"}}
"""X = sinh(t + W + arsinh(X_0)); Kloeden and Platen, equation 4.4.40 onwards."""


def polynomial(y):
    return y**3 - 6.0 * y**2 + 8.0 * y


def expected(sde, steps, y0):
    """E[f(arsinh X)] after so many steps, step by step backwards on a grid of arsinh(x)."""
    y = np.linspace(-14.0, 16.0, 600)
    weights, (normals,) = draws(1, 0, nodes=20)
    (moved,) = sde.program(np.sinh(y)[:, None], sde.dt, normals)
    there, u = np.arcsinh(moved), polynomial(y)
    for _ in range(steps):
        u = CubicSpline(y, u)(there) @ weights
    return float(CubicSpline(y, u)(y0))


@each_scheme
def test_weak_order_on_a_nonlinear_equation(scheme):
    """With y = arsinh(X) = y0 + t + W: E[y^3 - 6 y^2 + 8 y] in closed form."""
    y0, t = 0.2, 1.0
    mean = y0 + t
    exact = mean**3 + 3 * mean * t - 6 * (mean**2 + t) + 8 * mean
    counts = np.array([16, 32, 64, 128]) * (1 if scheme is platen else 4)
    errors = [expected(FormulaSDE(**SINH, dt=t / n, scheme=scheme), n, y0) - exact for n in counts]
    slope, error = line(t / counts, errors)
    assert error < 0.05
    assert slope == pytest.approx(scheme.weak_order, abs=0.12), (slope, error, errors)


@pytest.mark.slow
@pytest.mark.parametrize("scheme", [euler_maruyama, platen], ids=repr)
def test_weak_order_by_simulation(scheme):
    """As above by paths, against exact ones with the same noise: what is left is small."""
    y0, counts, paths, batches = 0.2, np.array([2, 4, 8]), 400_000, 16
    biases = np.empty((batches, len(counts)))
    rng = np.random.default_rng(5)
    for batch in range(batches):
        for k, n in enumerate(counts):
            sde = FormulaSDE(**SINH, dt=1 / n, scheme=scheme)
            normals = rng.standard_normal((n, paths))
            x = np.full(paths, np.sinh(y0))
            for normal in normals:
                (x,) = sde.program(x, sde.dt, normal)
            path = y0 + 1.0 + normals.sum(axis=0) / np.sqrt(n)
            biases[batch, k] = np.mean(polynomial(np.arcsinh(x)) - polynomial(path))
    mean, error = biases.mean(axis=0), biases.std(axis=0, ddof=1) / np.sqrt(batches)
    exact = np.array(
        [
            expected(FormulaSDE(**SINH, dt=1 / n, scheme=scheme), n, y0)
            - (1.2**3 + 3.6 - 14.64 + 9.6)
            for n in counts
        ]
    )
    np.testing.assert_array_less(np.abs(mean - exact), 4 * error)
    x = np.log(1 / counts)
    weight = (x - x.mean()) / np.sum((x - x.mean()) ** 2)
    slope, spread = weight @ np.log(np.abs(mean)), np.sqrt(np.sum((weight * error / mean) ** 2))
    assert spread < 0.1
    assert abs(slope - weight @ np.log(np.abs(exact))) < 4 * spread


# --- strong order ---------------------------------------------------------------------------


def strong_slope(make, exact, levels, increments, groups=20):
    """Mean over groups of paths of the slope of E|X - exact| against dt, and its error.

    ``increments`` (fine steps, motions, paths) are summed up for the coarser steps.
    """
    fine, motions, paths = increments.shape
    rng = np.random.default_rng(11)
    errors = []
    for n in levels:
        sde = make(1 / n)
        dw = increments.reshape(n, fine // n, motions, paths).sum(axis=1)
        z = [np.full(paths, 1.0) for _ in sde.coordinates]
        for step in dw:
            extra = rng.standard_normal((len(sde.noise) - motions, paths))
            z = sde.program(*z, *sde.numbers.values(), *(step * np.sqrt(n)), *extra)
        errors.append(np.abs(z[-1] - exact).reshape(groups, -1).mean(axis=1))
    slopes = np.polyfit(np.log(1 / np.array(levels)), np.log(errors), 1)[0]
    return slopes.mean(), slopes.std(ddof=1) / np.sqrt(groups)


@each_scheme
def test_strong_order_on_geometric_brownian_motion(scheme):
    a, b, fine = 0.3, 0.6, 1024
    dw = np.random.default_rng(1).standard_normal((fine, 1, 6000)) / np.sqrt(fine)
    exact = np.exp(a - b**2 / 2 + b * dw.sum(axis=(0, 1)))
    slope, error = strong_slope(
        lambda dt: FormulaSDE({"x": "a*x"}, {"x": "b*x"}, dt, scheme, a=a, b=b),
        exact,
        [128, 256, 512, 1024],
        dw,
    )
    assert error < 0.02
    order = scheme.commuting_order or scheme.strong_order
    assert abs(slope - order) < 4 * error + 0.02, (slope, error)


@each_scheme
def test_strong_order_where_the_noise_does_not_commute(scheme):
    """With dx = dW1, dy = x dW2, y holds the area between the motions: order 1/2 for all."""
    fine = 2048
    dw = np.random.default_rng(2).standard_normal((fine, 2, 2000)) / np.sqrt(fine)
    before = 1.0 + np.cumsum(dw[:, 0], axis=0) - dw[:, 0]
    exact = 1.0 + np.sum((before + 0.5 * dw[:, 0]) * dw[:, 1], axis=0)
    slope, error = strong_slope(
        lambda dt: FormulaSDE({"x": 0, "y": 0}, {"x": [1, 0], "y": [0, "x"]}, dt, scheme),
        exact,
        [8, 16, 32, 64],
        dw,
    )
    assert error < 0.02
    assert abs(slope - scheme.strong_order) < 4 * error + 0.02, (slope, error)


# --- Ito and Stratonovich -------------------------------------------------------------------


def test_the_corrected_drift_is_that_of_the_textbook():
    sde = FormulaSDE(**CURVED, scheme=stochastic_heun)
    names = sympy.Matrix([X, Y])
    matrix = sympy.Matrix(sde.matrix)
    correction = sum(
        (matrix[:, j].jacobian(names) * matrix[:, j] for j in range(2)), sympy.zeros(2, 1)
    )
    said = sympy.Matrix(sde.expressions) - correction / 2
    found = sde.stratonovich_drift(list(PLACE.values()), sde.numbers)
    np.testing.assert_allclose(found, [at_place(rate) for rate in said], rtol=1e-14)


def test_by_itself_heuns_scheme_follows_stratonovich():
    """Mean growth of dX = a X dt + b X dW: a in Ito's sense, a + b^2/2 in Stratonovich's."""
    a, b, n = 0.3, 0.8, 400
    weights, normals = draws(1, 0)
    (bare,) = stochastic_heun(lambda z: [a * z[0]], lambda z: [[b * z[0]]], [1.0], 1 / n, normals)
    sde = FormulaSDE({"x": "a*x"}, {"x": "b*x"}, 1 / n, stochastic_heun, a=a, b=b)
    (system,) = sde.program(1.0, *sde.numbers.values(), *normals)
    assert n * np.log(weights @ bare) == pytest.approx(a + b**2 / 2, abs=1e-3)
    assert n * np.log(weights @ system) == pytest.approx(a, abs=1e-3)


# --- what a step takes ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("diffusion", "noise"),
    [
        ({"x": "s", "y": "2"}, ("dW1", "dW2")),
        ({"x": "x", "y": "y**2"}, ("dW1", "dW2")),
        ({"x": "y", "y": "1"}, ("dW1", "dW2", "dV1")),
        ({"x": ["1", "2"], "y": ["s", "1"]}, ("dW1", "dW2")),
        ({"y": "x"}, ("dW1",)),
        ({"x": ["y", "1", "0"], "y": ["0", "x", "1"]}, ("dW1", "dW2", "dW3", "dV1", "dV2")),
    ],
)
def test_platens_scheme_draws_only_what_it_uses(diffusion, noise):
    given = {"s": 0.5} if "s" in repr(diffusion) else {}
    sde = FormulaSDE({"x": "-x", "y": "-y"}, diffusion, scheme=platen, **given)
    assert sde.noise == noise
    assert FormulaSDE({"x": "-x", "y": "-y"}, diffusion, **given).noise == noise[: sde.brownian]


def test_with_constant_noise_platens_scheme_is_heuns():
    given = dict(drift={"x": "x - x**3"}, diffusion={"x": "s"}, dt=0.1, s=0.7)
    one, other = (FormulaSDE(**given, scheme=scheme) for scheme in (platen, stochastic_heun))
    assert len(one.program.lines) <= len(other.program.lines) + 3
    normals = np.linspace(-3, 3, 11)
    np.testing.assert_allclose(
        one.program(0.4, 0.7, 0.1, normals), other.program(0.4, 0.7, 0.1, normals), rtol=1e-13
    )


@each_scheme
def test_traced_and_plain_readings_agree(scheme):
    """Where a trace leaves out what cancels, plain arrays compute it all."""
    for diffusion in (CURVED["diffusion"], {"x": "x/2", "y": "x*y"}, {"x": "1", "y": "x"}):
        sde = FormulaSDE(CURVED["drift"], diffusion, 0.1, scheme)
        rng = np.random.default_rng(0)
        z, normals = list(rng.uniform(-1, 1, (2, 9))), list(rng.standard_normal((3, 9)))
        drift = sde.stratonovich_drift if scheme.stratonovich else sde.drift
        plain = scheme(
            lambda y, drift=drift, sde=sde: drift(y, sde.numbers),
            lambda y, sde=sde: sde.diffusion(y, sde.numbers),
            z,
            0.1,
            normals[: 2 + scheme.extra(2)],
        )
        traced = sde.program(*z, 0.1, *normals[: len(sde.noise)])
        np.testing.assert_allclose(traced, plain, rtol=1e-12)
