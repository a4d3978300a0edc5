"""Sharpness of networks, against closed forms, certificates of the toys and plain loops."""

import numpy as np
import pytest
from scipy.optimize import brentq

torch = pytest.importorskip("torch")

import samdyn as sd  # noqa: E402
from samdyn.networks.problem import Problem, Samples  # noqa: E402
from samdyn.networks.sharpness.finite import KINDS, sharpness  # noqa: E402

RNG = np.random.default_rng(8)
INPUTS, BEST = RNG.standard_normal((9, 5)), RNG.standard_normal(5)
HESSIAN = 2 * INPUTS.T @ INPUTS / 9


def regression(chunk=4):
    x = torch.tensor(INPUTS)
    net = torch.nn.Linear(5, 1, bias=False).double()
    return Problem(net, Samples(x, x @ torch.tensor(BEST)[:, None]), "mse", chunk)


def highest(gradient, hessian, rho):
    """The maximum of a convex quadratic over a ball, from its secular equation."""
    values, columns = np.linalg.eigh(hessian)
    g = columns.T @ gradient

    def length(mu):
        return np.linalg.norm(g / (mu - values)) - rho

    mu = brentq(
        length, values[-1] + 1e-9, values[-1] + 10 * np.linalg.norm(g) / rho + 1, xtol=1e-14
    )
    e = g / (mu - values)
    return g @ e + e @ (values * e) / 2, columns @ e / rho


@pytest.mark.parametrize("rho", [0.1, 3.0])
def test_worst_of_a_linear_network_is_the_solution_of_the_secular_equation(rho):
    problem = regression()
    for away in (np.zeros(5), 0.3 * RNG.standard_normal(5)):
        seen = sharpness(problem, torch.tensor(BEST + away), rho=rho)
        if np.any(away):
            value, v = highest(HESSIAN @ away, HESSIAN, rho)
            np.testing.assert_allclose(seen.direction, v, atol=2e-3)
        else:
            values, columns = np.linalg.eigh(HESSIAN)
            value = values[-1] * rho**2 / 2
            assert abs(seen.direction.numpy() @ columns[:, -1]) == pytest.approx(1, abs=1e-6)
        assert seen.value == pytest.approx(value, rel=1e-6)
        assert seen.value <= value * (1 + 1e-12)
        assert (seen.low, seen.high, seen.standard_error) == (seen.value, np.inf, 0.0)
        reached = problem.value(torch.tensor(BEST + away) + rho * seen.direction)
        start = problem.value(torch.tensor(BEST + away))
        assert seen.value == pytest.approx(float(reached - start), rel=1e-9)


def test_a_maximum_inside_the_ball_is_found():
    net = torch.nn.Linear(1, 1, bias=False).double()
    x = torch.ones(1, 1).double()
    problem = Problem(net, Samples(x, x), lambda out, y: torch.sin(out[:, 0]))
    seen = sharpness(problem, torch.zeros(1).double(), rho=6.0)
    assert seen.value == pytest.approx(1.0, abs=1e-7)
    top = seen.direction.item() * 6.0
    assert min(abs(top - np.pi / 2), abs(top + 3 * np.pi / 2)) < 1e-3


def test_ascent_and_average_of_a_linear_network():
    problem, away = regression(), 0.3 * RNG.standard_normal(5)
    w, g = torch.tensor(BEST + away), HESSIAN @ away
    seen = sharpness(problem, w, "ascent", rho=0.7)
    v = g / np.linalg.norm(g)
    np.testing.assert_allclose(seen.direction, v, rtol=1e-9)
    value = 0.7 * np.linalg.norm(g) + 0.7**2 * v @ HESSIAN @ v / 2
    assert (seen.value, seen.low, seen.high) == (pytest.approx(value, rel=1e-9),) * 3
    assert float(seen) == seen.value
    mean = sharpness(problem, w, "average", rho=0.7, draws=400)
    exact = 0.7**2 * np.trace(HESSIAN) / 10
    assert mean.low < exact < mean.high
    assert abs(mean.value - exact) < 4 * mean.standard_error < 0.2 * exact
    # the spread of v·Hv over the sphere in closed form
    squares = 2 * (5 * np.sum(HESSIAN**2) - np.trace(HESSIAN) ** 2) / (5**2 * (5 + 2))
    spread = 0.7**2 / 2 * np.sqrt(squares / 400)
    assert mean.standard_error == pytest.approx(spread, rel=0.15)
    assert mean.direction is None


def test_a_nonlinear_network_agrees_with_the_certified_toy():
    x, y = np.array([0.5, 1.0, -0.7]), np.array([0.3, -0.2, 0.1])
    toy = sd.Loss("(tanh(u*x)*v - y)**2", "u v", data={"x": x, "y": y})
    net = torch.nn.Sequential(
        torch.nn.Linear(1, 1, bias=False), torch.nn.Tanh(), torch.nn.Linear(1, 1, bias=False)
    ).double()
    samples = Samples(torch.tensor(x)[:, None], torch.tensor(y)[:, None])
    problem, p = Problem(net, samples, "mse"), [0.8, -0.6]
    w = torch.tensor(p, dtype=torch.float64)
    for kind in KINDS:
        for m, per_sample in ((None, False), (1, True)):
            seen = sharpness(problem, w, kind, rho=0.4, m=m)
            right = sd.sharpness(toy, p, kind, rho=0.4, per_sample=per_sample, tol=1e-6)
            if kind == "average":
                assert seen.low <= float(right) <= seen.high
                continue
            tol = 1e-6 if kind == "worst" else 1e-9
            assert seen.value == pytest.approx(float(right), rel=tol)
            assert seen.value <= right.high
            if m is None:
                np.testing.assert_allclose(seen.direction, right.direction, atol=1e-3)
            else:
                assert seen.direction is None
                assert seen.parts.shape == (3,)


def test_m_sharpness_is_the_mean_over_parts_whatever_the_chunk():
    torch_rng = torch.Generator().manual_seed(5)
    order = torch.randperm(9, generator=torch_rng)
    w = torch.tensor(BEST + 0.2)
    for kind in ("ascent", "worst"):
        wanted, shares = [], []
        for first in (0, 4, 8):
            part = order[first : first + 4]
            alone = Problem(regression().model, regression().samples.take(part), "mse")
            wanted.append(sharpness(alone, w, kind, rho=0.3).value)
            shares.append(len(part) / 9)
        for chunk in (3, 4, 5, 100):  # in chunks, part by part, and all at once
            seen = sharpness(regression(chunk), w, kind, rho=0.3, m=4, seed=5)
            np.testing.assert_allclose(seen.parts, wanted, rtol=1e-6)
            assert seen.value == pytest.approx(np.dot(shares, wanted), rel=1e-6)
    whole = sharpness(regression(), w, "ascent", rho=0.3)
    assert sharpness(regression(), w, "ascent", rho=0.3, m=9).value == whole.value
    assert seen.value > sharpness(regression(), w, rho=0.3).value


def test_more_restarts_never_lower_the_worst():
    torch.manual_seed(0)
    with torch.random.fork_rng():
        torch.manual_seed(1)
        net = torch.nn.Sequential(
            torch.nn.Linear(2, 6), torch.nn.Tanh(), torch.nn.Linear(6, 2)
        ).double()
        samples = Samples(torch.randn(6, 2).double(), torch.arange(6) % 2)
    problem = Problem(net, samples)
    state = torch.random.get_rng_state()
    one, more = (sharpness(problem, problem.start(), rho=2.0, restarts=k, seed=3) for k in (0, 6))
    assert more.value >= one.value * (1 - 1e-9)
    assert more.value >= sharpness(problem, problem.start(), "ascent", rho=2.0).value
    assert torch.linalg.vector_norm(more.direction) <= 1 + 1e-12
    assert torch.equal(torch.random.get_rng_state(), state)


def test_where_the_gradient_is_zero_there_is_no_ascent():
    problem = regression()
    zero = Problem(problem.model, Samples(problem.samples.inputs, torch.zeros(9, 1)), "mse")
    w = torch.zeros(5, dtype=torch.float64)
    seen = sharpness(zero, w, "ascent", rho=0.1)
    assert (seen.value, seen.low, seen.high) == (np.inf,) * 3
    assert torch.isnan(seen.direction).all()
    assert sharpness(zero, w, "ascent", rho=0.1, m=1).value == np.inf
    top = np.linalg.eigvalsh(HESSIAN)[-1]
    assert sharpness(zero, w, rho=0.1).value == pytest.approx(top * 0.01 / 2, rel=1e-6)


def test_refusals():
    problem = regression()
    w = problem.start()
    for options, words in (
        (dict(kind="best", rho=0.1), "kind must be"),
        (dict(rho=0.0), "rho must be above 0"),
        (dict(rho=[0.1, 0.2]), "rho must be one number"),
        (dict(rho=0.1, m=10), "m must be at most the 9 samples"),
        (dict(rho=0.1, m=0), "m must be a whole number"),
        (dict(rho=0.1, restarts=-1), "restarts must be"),
        (dict(rho=0.1, steps=0), "steps must be"),
        (dict(rho=0.1, tol=0.0), "tol must be"),
        (dict(kind="average", rho=0.1, draws=1), "draws must be"),
        (dict(rho=0.1, seed=-2), "seed must be"),
    ):
        with pytest.raises(ValueError, match=words):
            sharpness(problem, w, **options)
    with pytest.raises(ValueError, match=r"w must be .*\(5,\)"):
        sharpness(problem, w[:3], rho=0.1)
