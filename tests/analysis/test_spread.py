"""Moments about a point against closed forms, plain loops and Monte Carlo."""

import numpy as np
import pytest
from scipy.linalg import expm

import samdyn as sd
from samdyn.analysis.spread.displacement import directions, displacement
from samdyn.analysis.spread.moments import mean_square_growth, moments, stationary_covariance
from samdyn.analysis.spread.saddles import (
    diffused,
    printed_displacement,
    separate_displacement,
    trapping_rho,
    unperturbed_displacement,
    usam_displacement,
    usam_variance,
)
from samdyn.systems.formula_sde import FormulaSDE

S = 0.3
RNG = np.random.default_rng(7)
ROWS, TARGETS = RNG.standard_normal((5, 2)), RNG.standard_normal(5)
REGRESSION = sd.Loss(
    "(a*x + b*y - t)**2/2", variables="x y", data={"a": ROWS[:, 0], "b": ROWS[:, 1], "t": TARGETS}
)
AWAY = np.array([0.3, -0.2])
OPTIMUM = np.linalg.lstsq(ROWS, TARGETS, rcond=None)[0]


def additive(*eigenvalues):
    """A diagonal quadratic with independent gradient noise of standard deviation S."""
    names = [f"x{i}" for i in range(len(eigenvalues))]
    terms = [
        f"({v!r})*{x}**2/2 + {S}*xi{i}*{x}"
        for i, (x, v) in enumerate(zip(names, eigenvalues, strict=True))
    ]
    noise = [f"xi{i}" for i in range(len(eigenvalues))]
    return sd.Loss(" + ".join(terms), variables=names, noise=noise)


@pytest.mark.parametrize(
    ("eigenvalue", "lr", "rho"),
    [(1.0, 0.01, 0.5), (-2.0, 0.01, 1.0), (-1.0, 0.01, 3.0), (3.0, 0.02, 0.3)],
)
def test_usam_has_its_stationary_variance(eigenvalue, lr, rho):
    found = stationary_covariance(sd.Map(additive(eigenvalue), sd.USAM(lr=lr, rho=rho)), [0.0])
    gain = 1 + rho * eigenvalue
    exact = lr * S**2 * gain / (eigenvalue * (2 - lr * eigenvalue * gain))
    np.testing.assert_allclose(found, [[exact]], rtol=1e-12)
    assert float(usam_variance(eigenvalue, lr, rho, S)) == pytest.approx(exact, rel=1e-12)
    assert exact == pytest.approx(lr * S**2 / 2 * gain / eigenvalue, rel=0.07)  # the SDE's


def test_fresh_noise_has_its_own_variance():
    """Two draws a step: the noise of one gradient is lr s sqrt(1 + rho^2 l^2)."""
    lr, rho, value = 0.05, 0.4, 1.5
    system = sd.Map(additive(value), sd.USAM(lr=lr, rho=rho), fresh_noise=True)
    multiplier = 1 - lr * value * (1 + rho * value)
    exact = (lr * S) ** 2 * (1 + (rho * value) ** 2) / (1 - multiplier**2)
    np.testing.assert_allclose(stationary_covariance(system, [0.0]), [[exact]], rtol=1e-12)


@pytest.mark.parametrize("momentum", [0.5, 0.9])
def test_momentum_follows_the_two_by_two_recursion(momentum):
    """P <- M P M^T + Q on (w, v), written out by hand; a saddle direction included."""
    lr, rho = 0.05, 0.3
    system = sd.Map(additive(1.0, -0.5), sd.USAM(lr=lr, rho=rho, momentum=momentum))
    about = moments(system, [0.0, 0.0], 60)
    for k, value in enumerate((1.0, -0.5)):
        strength, gain = value * (1 + rho * value), 1 + rho * value
        matrix = np.array([[1 - lr * strength, -lr * momentum], [strength, momentum]])
        kick = np.array([-lr, 1.0]) * S * gain
        p = np.zeros((2, 2))
        for step in range(1, 61):
            p = matrix @ p @ matrix.T + np.outer(kick, kick)
            rows = [f"x{k}", f"velocity_x{k}"]
            found = about.covariance.sel(row=rows, other=rows).values[step]
            np.testing.assert_allclose(found, p, rtol=1e-10)
    assert float(about.covariance.sel(row="x0", other="x1")[-1]) == pytest.approx(0.0, abs=1e-15)


def test_free_momentum_spreads_in_its_closed_form():
    """MSD = lr^2 s^2 [n - 2g(1-g^n)/(1-g) + g^2(1-g^2n)/(1-g^2)]/(1-g)^2 where the loss is flat."""
    loss = sd.Loss(f"y**2 + {S}*xi*x", variables="x y", noise="xi")
    g, lr, n = 0.9, 0.1, 50
    about = moments(sd.Map(loss, sd.GD(lr=lr, momentum=g)), [0.0, 0.0], n)
    sums = n - 2 * g * (1 - g**n) / (1 - g) + g**2 * (1 - g ** (2 * n)) / (1 - g**2)
    exact = (lr * S) ** 2 * sums / (1 - g) ** 2
    assert float(about.covariance[-1, 0, 0]) == pytest.approx(exact, rel=1e-10)


def test_noise_in_the_hessian_is_a_polynomial_summed_exactly():
    """Multiplicative noise, l(xi) = 1 + 0.5 xi: E[(1 - lr l (1 + rho l))^2] by Gaussian moments."""
    lr, rho = 0.1, 0.2
    loss = sd.Loss("(1 + 0.5*xi)*x**2/2 + 0.1*eta*x", variables="x", noise="xi eta")
    system = sd.Map(loss, sd.USAM(lr=lr, rho=rho))
    # E l = 1, E l^2 = 1.25, E l^3 = 1.75, E l^4 = 1 + 6/4 + 3/16
    powers = {2: 1.25, 3: 1.75, 4: 1 + 1.5 + 3 / 16}
    second = (
        1
        - 2 * lr * (1 + rho * 1.25)
        + lr**2 * (powers[2] + 2 * rho * powers[3] + rho**2 * powers[4])
    )
    assert mean_square_growth(system, 0.0) == pytest.approx(second, rel=1e-12)
    gain = 1 + 2 * rho + rho**2 * 1.25
    exact = (0.1 * lr) ** 2 * gain / (1 - second)
    np.testing.assert_allclose(stationary_covariance(system, 0.0), [[exact]], rtol=1e-11)


def plain_batches(order, size):
    """All batches in the order drawn, with one weight: a slow, plain enumeration."""
    grid = np.stack(np.meshgrid(*[range(5)] * size, indexing="ij"), -1).reshape(-1, size)
    return grid if order == "replacement" else np.array([b for b in grid if len(set(b)) == size])


@pytest.mark.parametrize("order", ["replacement", "subset"])
@pytest.mark.parametrize("m", [None, 1, 2])
def test_a_finite_sum_is_enumerated(order, m):
    """USAM and m-SAM on a regression, against E[A (x) A] written out with NumPy."""
    lr, rho, size = 0.05, 0.2, 3
    system = sd.Map(REGRESSION, sd.USAM(lr=lr, rho=rho, m=m), batch_size=size, sampling=order)
    batches = plain_batches(order, size)
    second, square, mixed, first = np.zeros((4, 4)), np.zeros(4), np.zeros((4, 2)), np.zeros((2, 2))
    offset = np.zeros(2)
    for batch in batches:
        matrix, vector = np.eye(2), np.zeros(2)
        width = m or size
        for start in range(0, size, width):
            part = batch[start : start + width]
            h = ROWS[part].T @ ROWS[part] / len(part)
            g = ROWS[part].T @ (ROWS[part] @ OPTIMUM - TARGETS[part]) / len(part)
            share = lr * len(part) / size
            matrix -= share * h @ (np.eye(2) + rho * h)
            vector -= share * (np.eye(2) + rho * h) @ g
        second += np.kron(matrix, matrix)
        mixed += np.kron(matrix, vector[:, None]) + np.kron(vector[:, None], matrix)
        square += np.kron(vector, vector)
        first += matrix
        offset += vector
    second, mixed, square, first, offset = (
        x / len(batches) for x in (second, mixed, square, first, offset)
    )
    radius = np.max(np.abs(np.linalg.eigvals(second)))
    assert mean_square_growth(system, OPTIMUM) == pytest.approx(radius, rel=1e-11)
    mean = np.linalg.solve(np.eye(2) - first, offset)
    whole = np.linalg.solve(np.eye(4) - second, mixed @ mean + square).reshape(2, 2)
    found = stationary_covariance(system, OPTIMUM)
    np.testing.assert_allclose(found, whole - np.outer(mean, mean), rtol=1e-9)


@pytest.mark.parametrize("order", ["replacement", "subset"])
def test_one_hessian_needs_no_enumeration(order):
    """Batches of 400 out of 1000: only the covariance of the mean counts, fpc for subsets."""
    n, size, lr, rho = 1000, 400, 0.1, 0.5
    u = RNG.standard_normal(n) ** 3
    loss = sd.Loss("(x - u)**2", variables="x", data={"u": u})
    system = sd.Map(loss, sd.USAM(lr=lr, rho=rho), batch_size=size, sampling=order)
    noise = 4 * np.var(u) / size * ((n - size) / (n - 1) if order == "subset" else 1)
    exact = usam_variance(2.0, lr, rho, np.sqrt(noise))
    np.testing.assert_allclose(stationary_covariance(system, u.mean()), [[exact]], rtol=1e-10)


def test_the_algorithm_itself_spreads_like_that():
    """2e5 particles of Map.apply, noise in the Hessian, 4 standard errors."""
    n, steps = 200_000, 20
    system = sd.Map(REGRESSION, sd.USAM(lr=0.05, rho=0.2, momentum=0.5), batch_size=2)
    about = moments(system, OPTIMUM, steps, start=OPTIMUM + AWAY)
    final = system.apply(np.broadcast_to(OPTIMUM + AWAY, (n, 2)), steps, seed=4)
    covariance = about.covariance.values[-1, :2, :2]
    spread = np.sqrt(np.diag(covariance) / n)
    assert np.all(np.abs(final.mean(0) - about["mean"].values[-1, :2]) < 4 * spread)
    centred = final - about["mean"].values[-1, :2]
    products = centred[:, :, None] * centred[:, None, :]
    error = products.std(axis=0) / np.sqrt(n)
    assert np.all(np.abs(products.mean(axis=0) - covariance) < 4 * error)


def test_an_ornstein_uhlenbeck_process_has_its_covariance():
    """A rotating drift: the integral of exp(As) Q exp(A's) by fine quadrature."""
    a, b = np.array([[-1.0, 0.7], [-0.4, -0.5]]), np.array([[0.5, 0.0], [0.3, 0.2]])
    system = FormulaSDE(
        {"x": "-x + 0.7*y", "y": "-0.4*x - 0.5*y"}, {"x": ["0.5", "0"], "y": ["0.3", "0.2"]}, dt=0.1
    )
    about = moments(system, [0.0, 0.0], 20, start=[1.0, -1.0])
    nodes, weights = np.polynomial.legendre.leggauss(30)
    s = nodes + 1.0
    exact = sum(w * expm(a * t) @ b @ b.T @ expm(a * t).T for t, w in zip(s, weights, strict=True))
    assert about.time.values[-1] == pytest.approx(2.0)
    np.testing.assert_allclose(about.covariance.values[-1], exact, rtol=1e-10)
    np.testing.assert_allclose(about["mean"].values[-1], expm(2 * a) @ [1.0, -1.0], rtol=1e-10)
    still = stationary_covariance(system, [0.0, 0.0])
    np.testing.assert_allclose(a @ still + still @ a.T, -b @ b.T, atol=1e-14)
    assert mean_square_growth(system, [0.0, 0.0]) == pytest.approx(-1.5)


def test_displacements_at_a_saddle():
    """Kim et al.'s setting, lambda = -1, lr = 0.005, B = 16, against the processes themselves."""
    lr, s, time, value = 0.005, 0.25, 2.0, -1.0
    for rho in (0.0, 0.2, 0.5, 1.5):
        drift = value * (1 + rho * value)
        cases = {
            usam_displacement: s * (1 + rho * value),
            separate_displacement: s * np.sqrt(1 + (rho * value) ** 2),
            unperturbed_displacement: s,
        }
        for form, noise in cases.items():
            system = FormulaSDE(
                {"x": "-a*x"}, {"x": "b"}, dt=0.5, a=drift, b=np.sqrt(lr) * abs(noise)
            )
            about = moments(system, 0.0, 4)
            assert float(form(value, lr, rho, s, time)) == pytest.approx(
                float(about.covariance[-1, 0, 0]), rel=1e-10
            )
    # for rho |lambda| > 1 the printed formula grows while every SAM settles
    assert printed_displacement(value, lr, 1.5, s, 20.0) > 10 * usam_displacement(
        value, lr, 1.5, s, 20.0
    )
    assert float(printed_displacement(value, lr, 0.5, s, 1.0)) == pytest.approx(4.05e-4, abs=1e-6)


def test_the_discrete_displacement_tends_to_the_sde():
    """Error of first order in lr at a fixed time, for USAM at a saddle."""
    wrong = []
    for lr in (0.04, 0.02, 0.01):
        system = sd.Map(additive(-1.0), sd.USAM(lr=lr, rho=0.5))
        about = moments(system, [0.0], round(1 / lr))
        wrong.append(
            1 - float(about.covariance[-1, 0, 0] / usam_displacement(-1.0, lr, 0.5, S, 1.0))
        )
    np.testing.assert_allclose(np.array(wrong[:-1]) / wrong[1:], 2.0, rtol=0.1)


def test_trapping_threshold_is_where_the_mean_drift_turns():
    """The mean of xi-noisy ascent near the saddle, by plain Monte Carlo in 2 and 5 dimensions."""
    rng = np.random.default_rng(2)
    for d in (1, 2, 5):
        noise = rng.standard_normal((400_000, d))
        tilt = np.zeros(d)
        tilt[0] = 0.2
        # antithetic: the mean direction of g + s xi, to first order c_d g/s
        both = [n / np.linalg.norm(n, axis=1, keepdims=True) for n in (tilt + noise, tilt - noise)]
        c = np.mean(both[0][:, 0] + both[1][:, 0]) / 2 / 0.2
        assert float(trapping_rho(-2.0, 0.1, d)) == pytest.approx(0.1 / (c * 2.0), rel=0.03)
    assert 1 / float(trapping_rho(-1.0, 1.0, 2)) == pytest.approx(0.62666, abs=1e-5)


def test_flat_directions_diffuse_freely():
    np.testing.assert_allclose(diffused([0.0, 1e-12], 0.5, 3.0), 3.0, rtol=1e-9)


def test_what_has_no_recursion_is_refused():
    gd, sam = sd.GD(lr=0.05), sd.SAM(lr=0.05, rho=0.2)
    with pytest.raises(ValueError, match="epochs"):
        moments(sd.Map(REGRESSION, gd, batch_size=2, sampling="epochs"), OPTIMUM, 1)
    with pytest.raises(ValueError, match="no polynomial"):
        moments(sd.Map(additive(1.0, 2.0), sam), [0.1, 0.2], 1)
    data = {"a": np.arange(1.0, 41.0), "b": np.zeros(40)}
    many = sd.Loss("(a*x - b)**2/2", variables="x", data=data)
    with pytest.raises(ValueError, match="at most 20000"):
        moments(sd.Map(many, sd.USAM(lr=0.05, rho=0.2), batch_size=5), 0.0, 1)
    with pytest.raises(ValueError, match="no stationary covariance.*1.05"):
        stationary_covariance(sd.Map(additive(-0.5), gd), [0.0])
    with pytest.raises(ValueError, match="no derivative"):
        moments(sd.Map(sd.Loss("x**2 + y**2"), sam), [0.0, 0.0], 1)
    with pytest.raises(ValueError, match="one value of lr"):
        moments(sd.Map(sd.Loss("x**2"), sd.GD(lr=[0.1, 0.2])), 0.0, 1)
    with pytest.raises(ValueError, match="entries"):
        moments(sd.Map(additive(1.0), gd), [0.0, 0.0, 0.0], 1)
    with pytest.raises(TypeError, match="no noise"):
        moments(sd.Flow(sd.Loss("x**2"), gd), 0.0, 1)


def test_displacement_along_the_directions_of_a_turned_saddle():
    """A saddle turned by 30 degrees: each direction by itself, in closed form and measured."""
    lr, rho, n, steps = 0.1, 0.4, 100_000, 12
    loss = sd.Loss(
        "u**2 - v**2/2 + 0.3*(p*x + q*y)".replace("u", "(0.8*x + 0.6*y)").replace(
            "v", "(0.8*y - 0.6*x)"
        ),
        variables="x y",
        noise="p q",
    )
    system = sd.Map(loss, sd.USAM(lr=lr, rho=rho))
    theory = displacement(system, [0.0, 0.0], steps)
    np.testing.assert_allclose(theory.eigenvalue, [-1.0, 2.0], rtol=1e-12)
    for k, value in enumerate((-1.0, 2.0)):
        gain = 1 + rho * value
        multiplier = 1 - lr * value * gain
        powers = multiplier ** (2 * np.arange(steps))
        exact = (lr * S * gain) ** 2 * np.concatenate([[0.0], np.cumsum(powers)])
        np.testing.assert_allclose(theory[:, k], exact, rtol=1e-10, atol=1e-18)
    final = system.apply(np.zeros((n, 2)), steps, seed=9)
    squares = (final @ directions(system, [0.0, 0.0])[1]) ** 2
    error = squares.std(axis=0) / np.sqrt(n)
    assert np.all(np.abs(squares.mean(axis=0) - theory[-1].values) < 4 * error)
    sde = FormulaSDE({"x": "-x", "y": "y"}, {"x": "0.1", "y": "0.1"})
    np.testing.assert_allclose(directions(sde, [0.0, 0.0])[0], [-1.0, 1.0])
