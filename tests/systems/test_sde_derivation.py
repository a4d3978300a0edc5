"""SDEs derived from algorithms: drift and covariance against exact enumeration and quadrature."""

import itertools
from functools import cache

import numpy as np
import pytest

import samdyn as sd
from samdyn.algorithms import DNSAM
from samdyn.losses.formula import FormulaError
from samdyn.systems.modified.covariance import absolute_hessian
from samdyn.systems.modified.derivation import Derivation
from samdyn.systems.sde import SDE

pytestmark = pytest.mark.slow  # formulas take their time; test_sde.py has the quick ones

RHOS = 0.02 * 2.0 ** -np.arange(5)
PLACE = np.array([0.4, -0.7])
random = np.random.default_rng(1)
A, B, C = random.normal(size=(3, 5))
FINITE = sd.Loss(
    "a*x**2/2 + b*x*y + c*y**2/2 + c*x**3/6 + a*y + b*x + y**4/8",
    variables="x y",
    data={"a": A, "b": B, "c": C},
)
WAVES = sd.Loss("sin(a*x + b*y) + c*x*y", variables="x y", data={"a": A, "b": B, "c": C})


def gradients(loss, w):
    """The gradient of every sample, by NumPy: (n, d)."""
    values = [np.broadcast_to(g, len(A)) for g in loss.sample.program(1)(*w, *loss.sample.table.T)]
    return np.stack(values, axis=1)


def exact_moments(loss, w, rho, ascent, size=1):
    """Mean and covariance of the step's gradient over all ordered batches."""
    found = []
    for batch in itertools.product(range(len(A)), repeat=size):
        rows = list(batch)
        g = gradients(loss, w)[rows].mean(axis=0)
        move = ascent(g, gradients(loss, w).mean(axis=0))
        found.append(gradients(loss, w + rho * move)[rows].mean(axis=0))
    found = np.array(found)
    return found.mean(axis=0), np.cov(found.T, bias=True)


ALGORITHMS = {
    "usam": (sd.USAM, lambda g, mean: g),
    "sam": (sd.SAM, lambda g, mean: g / np.linalg.norm(g)),
    "dnsam": (DNSAM, lambda g, mean: g / np.linalg.norm(mean)),
}


@cache
def of_waves(make):
    """A formula that takes seconds to derive; rho is data."""
    return SDE(WAVES, make(lr=1.0, rho=RHOS), batch_size=1)


def slopes(errors):
    return np.diff(np.log(errors)) / np.diff(np.log(RHOS))


@pytest.mark.parametrize(
    "loss",
    [
        pytest.param(FINITE, id="polynomial"),
        pytest.param(WAVES, id="waves", marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize("name", ALGORITHMS)
def test_one_step_moments_have_residuals_of_second_order_in_rho(name, loss):
    make, ascent = ALGORITHMS[name]
    sde = of_waves(make) if loss is WAVES else SDE(loss, make(lr=1.0, rho=RHOS), batch_size=1)
    drift, covariance = sde.rate(PLACE), sde.covariance(PLACE)
    off = []
    for k, rho in enumerate(RHOS):
        mean, spread = exact_moments(loss, PLACE, rho, ascent)
        off.append((np.abs(drift[k] + mean).max(), np.abs(covariance[k] - spread).max()))
    for errors in np.transpose(off):
        np.testing.assert_allclose(slopes(errors)[-2:], 2.0, atol=0.1)


@pytest.mark.parametrize("name", ALGORITHMS)
@pytest.mark.parametrize("size", [2, pytest.param(3, marks=pytest.mark.slow)])
def test_batches_have_exact_moments_of_first_order(name, size):
    make, ascent = ALGORITHMS[name]
    sde = SDE(FINITE, make(lr=1.0, rho=RHOS), batch_size=size)
    drift, covariance = sde.rate(PLACE), sde.covariance(PLACE)
    mean, spread = exact_moments(FINITE, PLACE, RHOS[-1], ascent, size)
    assert np.abs(drift[-1] + mean).max() < 1e-4
    assert np.abs(covariance[-1] - spread).max() < 1e-4
    before = exact_moments(FINITE, PLACE, RHOS[-2], ascent, size)
    off = np.abs(covariance[-2] - before[1]).max(), np.abs(covariance[-1] - spread).max()
    np.testing.assert_allclose(np.log2(off[0] / off[1]), 2.0, atol=0.1)


@pytest.mark.parametrize("size", [1, 2])
@pytest.mark.parametrize("name", ALGORITHMS)
def test_without_an_order_the_moments_are_those_of_the_step(name, size):
    make, ascent = ALGORITHMS[name]
    sde = SDE(FINITE, make(lr=1.0, rho=0.7), batch_size=size, order=None)
    mean, spread = exact_moments(FINITE, PLACE, 0.7, ascent, size)
    np.testing.assert_allclose(sde.rate(PLACE), -mean, rtol=1e-11)
    np.testing.assert_allclose(sde.covariance(PLACE), spread, rtol=1e-10)


def difference_quotient(value, w, h=1e-5):
    steps = h * np.eye(len(w))
    return np.array([(value(w + s) - value(w - s)) / (2 * h) for s in steps])


@pytest.mark.parametrize(
    ("make", "regulariser"),
    [
        (sd.USAM, lambda w: (gradients(WAVES, w) ** 2).sum(axis=1).mean() / 2),
        (sd.SAM, lambda w: np.linalg.norm(gradients(WAVES, w), axis=1).mean()),
    ],
)
def test_the_term_in_rho_is_the_gradient_of_the_regulariser(make, regulariser):
    sde = of_waves(make).replace(rho=np.array([0.0, 1.0]))
    drift = sde.rate(PLACE)
    found = drift[0] - drift[1]
    np.testing.assert_allclose(found, difference_quotient(regulariser, PLACE), rtol=1e-8)
    assert sde.implicit_loss is not None


@pytest.mark.slow
def test_dnsam_with_a_random_hessian_has_no_implicit_loss():
    sde = of_waves(DNSAM).replace(rho=np.array([0.0, 1.0]))
    drift = sde.rate(PLACE)
    length = difference_quotient(lambda w: np.linalg.norm(WAVES.grad(w)), PLACE)
    assert np.abs(drift[0] - drift[1] - length).max() > 0.01
    assert sde.implicit_loss is None


# --- Gaussian noise ---------------------------------------------------------------------------


def by_nodes(loss, w, rho, ascent, xi, weight):
    """Moments over given nodes xi (K, n) with weights (n,)."""
    sample = loss.sample
    n = len(weight)

    def slope(p):
        out = sample.program(1)(*p, *xi)
        return np.stack([np.broadcast_to(g, n) for g in out])

    g = slope([np.full(n, x) for x in w])
    there = np.asarray(w)[:, None] + rho * ascent(g)
    value = slope(list(there))
    mean = value @ weight
    off = value - mean[:, None]
    return g, mean, (off * weight) @ off.T


def line_nodes(jump):
    """Gauss-Legendre nodes for a normal, split where the step jumps."""
    x, u = np.polynomial.legendre.leggauss(200)
    ends = [(-12.0, jump), (jump, 12.0)]
    places = np.concatenate([(b - a) / 2 * x + (a + b) / 2 for a, b in ends])
    weights = np.concatenate([(b - a) / 2 * u for a, b in ends])
    density = np.exp(-(places**2) / 2) / np.sqrt(2 * np.pi)
    return places[None], weights * density


def plane_nodes(centre):
    """Nodes for two normals, in polar coordinates around the point where the gradient is 0."""
    x, u = np.polynomial.legendre.leggauss(300)
    r, v = 8.0 * (x + 1.0), 8.0 * u
    angle = np.arange(256) * (2 * np.pi / 256)
    radius, angles = np.meshgrid(r, angle, indexing="ij")
    xi = np.array([radius * np.cos(angles) - centre[0], radius * np.sin(angles) - centre[1]])
    weight = (v * r)[:, None] * (2 * np.pi / 256) * np.exp(-(xi**2).sum(axis=0) / 2) / (2 * np.pi)
    return xi.reshape(2, -1), weight.ravel()


def unit(g):
    return g / np.linalg.norm(g, axis=0)


@pytest.mark.parametrize("order", [1, None])
def test_normalised_sam_with_noise_on_the_line(order):
    loss = sd.Loss("x**2/2 + x**4/8 + 0.5*xi*x", variables="x", noise="xi")
    rho = 0.3 if order is None else 1e-3
    sde = SDE(loss, sd.SAM(lr=1.0, rho=rho), order=order)
    for x in (0.0, 0.3, -1.1):
        jump = -(x + x**3 / 2) / 0.5
        _, mean, spread = by_nodes(loss, [x], rho, np.sign, *line_nodes(jump))
        tolerance = 1e-12 if order is None else 4 * rho**2
        np.testing.assert_allclose(sde.rate([x]), -mean, atol=tolerance)
        np.testing.assert_allclose(sde.covariance([x]), spread, atol=tolerance)


def test_normalised_sam_with_noise_in_the_plane():
    loss = sd.Loss("x**2 - y**2/2 + x*y/3 + 0.5*(xi1*x + xi2*y)", noise="xi1 xi2")
    rho = 0.8
    sde = SDE(loss, sd.SAM(lr=1.0, rho=rho), order=None)
    for place in ((0.0, 0.0), (1e-4, 0.0), (0.3, -0.2), (0.9, 0.35), (2.0, -3.0)):
        centre = loss.grad(place) / 0.5
        _, mean, spread = by_nodes(loss, place, rho, unit, *plane_nodes(centre))
        np.testing.assert_allclose(sde.rate(place), -mean, atol=1e-10)
        np.testing.assert_allclose(sde.covariance(place), spread, atol=1e-10)


def test_noise_in_the_hessian_in_the_plane():
    noise = "0.5*(xi1*x + xi2*y) + 0.2*xi1*(x**2 + y**2)/2"
    with pytest.raises(FormulaError, match="isotropic"):
        SDE(sd.Loss("x**2 - y**2/2 + " + noise, noise="xi1 xi2"), sd.SAM(lr=1.0, rho=0.1))


def test_three_dimensions_have_a_closed_form():
    loss = sd.Loss("x**2 - y**2/2 + z**2/4 + s*(a*x + b*y + c*z)", variables="x y z",
                   noise="a b c", s=0.5)  # fmt: skip
    sde = SDE(loss, sd.SAM(lr=1.0, rho=np.array([0.0, 1e-3])))
    xi = np.random.default_rng(0).normal(size=(3, 400_000))
    xi = np.concatenate([xi, -xi], axis=1)
    for place in ([0.0, 0.0, 0.0], [0.3, -0.2, 0.1], [2.0, 1.0, 1.0]):
        m = loss.grad(place)
        h = np.diag([2.0, -1.0, 0.5])
        y = m[:, None] + 0.5 * xi
        drift = sde.rate(place)
        found = (drift[0] - drift[1]) / 1e-3
        np.testing.assert_allclose(found, h @ unit(y).mean(axis=1), atol=5e-3)
        change = (sde.covariance(place)[1] - sde.covariance(place)[0]) / 1e-3
        c = (y - m[:, None]) @ (h @ unit(y)).T / xi.shape[1]
        np.testing.assert_allclose(change, c + c.T, atol=5e-3)


def test_gauss_hermite_nodes_agree_where_the_step_is_smooth():
    loss = sd.Loss("cos(x) + 0.5*xi*x", noise="xi")
    with pytest.raises(FormulaError, match="nodes"):
        SDE(loss, sd.USAM(lr=1.0, rho=0.2), order=None)
    sde = SDE(loss, sd.USAM(lr=1.0, rho=0.2), order=None, nodes=16)
    x, s = 0.7, 0.1
    a = x - 0.2 * np.sin(x)  # w^p = a + s xi; E sin = sin(a) exp(-s^2/2)
    mean = -np.sin(a) * np.exp(-(s**2) / 2)
    np.testing.assert_allclose(sde.rate([x]), [-mean], rtol=1e-12)
    square = (1 - np.cos(2 * a) * np.exp(-2 * s**2)) / 2
    cross = -0.5 * s * np.cos(a) * np.exp(-(s**2) / 2)
    variance = square - mean**2 + 0.25 + 2 * cross
    np.testing.assert_allclose(sde.covariance([x]), [[variance]], rtol=1e-11)


# --- other forms ----------------------------------------------------------------------------


def test_m_sam_of_batches_is_the_mean_of_independent_parts():
    whole = SDE(FINITE, sd.SAM(lr=1.0, rho=0.1), batch_size=1)
    parts = SDE(FINITE, sd.SAM(lr=1.0, rho=0.1, m=1), batch_size=4)
    np.testing.assert_allclose(parts.rate(PLACE), whole.rate(PLACE), rtol=1e-13)
    np.testing.assert_allclose(parts.covariance(PLACE), whole.covariance(PLACE) / 4, rtol=1e-12)
    with pytest.raises(ValueError, match="multiple of m"):
        SDE(FINITE, sd.SAM(lr=1.0, rho=0.1, m=2), batch_size=3)


def test_weight_decay_has_no_noise():
    loss = sd.Loss("x**2/2 + xi*x", noise="xi")
    sde = SDE(loss, sd.GD(lr=0.1, weight_decay=0.3))
    np.testing.assert_allclose(sde.rate([2.0]), [-2.6])
    np.testing.assert_allclose(sde.covariance([2.0]), [[0.1]])
    assert sde.implicit_loss is not None


def test_momentum_carries_the_noise_in_the_velocity():
    loss = sd.Loss("h*x**2/2 + s*xi*x", noise="xi", h=2.0, s=0.5)
    lr, momentum = 0.1, 0.9
    sde = SDE(loss, sd.GD(lr=lr, momentum=momentum))
    x, v = 0.7, -0.2
    flow = sd.Flow(loss.mean, sd.GD(lr=lr, momentum=momentum))
    np.testing.assert_allclose(sde.rate([x, v]), flow.rate([x, v]), rtol=1e-13)
    # a step's noise is s (xi, of the velocity) and -lr s xi (of the weight): over a time lr
    noise = 0.5 * np.array([-lr, 1.0])
    np.testing.assert_allclose(sde.covariance([x, v]), np.outer(noise, noise) / lr, rtol=1e-12)


def test_a_given_covariance_acts_at_the_perturbed_point():
    loss = sd.Loss("x**2/2 - y**2 + x**3/3", variables="x y")
    sde = SDE(loss, sd.USAM(lr=0.1, rho=0.5), batch_size=4, covariance=absolute_hessian)
    place = np.array([0.4, 0.2])
    there = place + 0.5 * loss.grad(place)
    np.testing.assert_allclose(sde.rate(place), -loss.grad(there), rtol=1e-13)
    expected = 0.1 / 4 * np.abs(loss.hessian(there))
    np.testing.assert_allclose(sde.covariance(place), expected, atol=1e-15)


def test_the_absolute_hessian_of_two_variables():
    loss = sd.Loss("x**2*y + x*y - y**3/3")
    derived = absolute_hessian(loss)
    for place in np.random.default_rng(0).normal(size=(5, 2)):
        values, vectors = np.linalg.eigh(loss.hessian(place))
        expected = vectors @ np.diag(np.abs(values)) @ vectors.T
        numbers = {s: place["xy".index(s.name)] for s in derived.free_symbols}
        np.testing.assert_allclose(
            np.array(derived.subs(numbers), float), expected, rtol=1e-12, atol=1e-12
        )


def test_the_step_is_asked_for_its_form():
    loss = sd.Loss("x**2/2 + xi*x", noise="xi")
    with pytest.raises(TypeError, match="w - lr"):
        SDE(loss, sd.Lookahead(sd.GD(lr=0.1)))
    with pytest.raises(TypeError, match="Switch"):
        SDE(loss, sd.Switch([(0, sd.GD(lr=0.1))]))
    with pytest.raises(ValueError, match="covariance"):
        SDE(loss.mean, sd.GD(lr=0.1))
    with pytest.raises(ValueError, match="batch_size"):
        SDE(FINITE, sd.GD(lr=0.1))
    assert Derivation(loss, sd.GD(lr=0.1)).weights[0].name == "x"
