"""The backward equation in two dimensions against closed forms and one-dimensional quadrature."""

import numpy as np
import pytest

import samdyn as sd
from samdyn.analysis.escape.backward import solve
from samdyn.analysis.escape.interval import passage
from samdyn.analysis.escape.passage import first_passage
from samdyn.systems.formula_sde import FormulaSDE

POINTS = np.array([[0.0, 0.0], [0.3, 0.2], [0.6, 0.7], [0.0, 0.95], [-0.9, 0.1]])
DISC = sd.Escape(center=(0, 0), radius=1.0)


def isotropic(drift, s, **more):
    return FormulaSDE({"x": f"{drift}*x", "y": f"{drift}*y"}, {"x": f"{s}", "y": f"{s}"}, **more)


def radial(rate, s, radius=1.0):
    """The radius of dX = rate X dt + s dW in the plane: a one-dimensional diffusion."""
    return passage(
        lambda r: rate * r + s * s / (2 * r),
        lambda r: np.full(r.shape, s * s),
        1e-12,
        radius,
        (False, True),
        np.array([]),
    )


def test_brownian_motion_leaves_a_disc_in_its_closed_form():
    """(R^2 - r^2)/(2 d D) with 2 D = 0.49, d = 2; the second moment, by its own equation."""
    disc = sd.Escape(center=(0.5, -1.0), radius=2.0)
    time = first_passage(isotropic(0, 0.7), disc, cells=64)
    points = np.array([0.5, -1.0]) + 2 * POINTS
    r2 = 4 * np.sum(POINTS**2, axis=1)
    np.testing.assert_allclose(time(points), (4 - r2) / 0.98, rtol=1e-9)
    # u2 = 2 * integral: for the generator (s^2/2) Laplacian, E T^2 = (R^2-r^2)(3R^2-r^2)/(8 s^4/4)
    second = (4 - r2) * (12 - r2) / (8 * 0.49**2) * 1.0
    np.testing.assert_allclose(time.std(points) ** 2 + time(points) ** 2, second, rtol=2e-4)


@pytest.mark.parametrize("rate", [-3.0, -1.0, 1.0, 8.0])
def test_radially_symmetric_processes_agree_with_quadrature(rate):
    exact = radial(rate, 0.5)
    r = np.maximum(np.linalg.norm(POINTS, axis=1), 1e-12)
    time = first_passage(isotropic(rate, 0.5), DISC)
    np.testing.assert_allclose(time(POINTS), exact.mean(r), rtol=4e-4)
    np.testing.assert_allclose(time.std(POINTS), exact.std(r), rtol=4e-3)
    wrong = np.abs(time(POINTS) / exact.mean(r) - 1)
    assert np.all(wrong < 3 * time.error(POINTS) + 1e-6)
    assert np.all(time.error(POINTS) < 3e-3)


def test_the_scheme_is_of_second_order():
    """Error by a factor of four for half the cells, on a ball that no grid line fits."""
    exact = radial(-1.0, 0.5).mean(np.array([1e-12]))[0]
    errors = []
    for n in (32, 64, 128):
        solved = solve(
            lambda z: -z,
            lambda z: np.broadcast_to(0.25 * np.eye(2), (*z.shape[:-1], 2, 2)),
            lambda z: np.sum(z * z, axis=-1) <= 1.0,
            np.array([[-1.07, 1.03], [-1.01, 1.09]]),
            (n, n),
        )
        middle = solved.interpolated(np.zeros((1, 2)), solved.nodes, solved.on(solved.nodes))
        errors.append(abs(middle[0, 0] / exact - 1))
    slope = np.polyfit(np.log([32, 64, 128]), np.log(errors), 1)[0]
    assert slope == pytest.approx(-2.0, abs=0.2)


def test_correlated_noise_in_an_ellipse():
    """Brownian motion of covariance C leaves x^T C^-1 x < 1 in (1 - x^T C^-1 x)/2."""
    system = FormulaSDE({"x": "0", "y": "0"}, {"x": ["1", "0"], "y": ["0.8", "0.6"]})
    inverse = np.linalg.inv([[1.0, 0.8], [0.8, 1.0]])
    region = sd.Escape("(x**2 - 1.6*x*y + y**2)/0.36 > 1")
    time = first_passage(system, region, box=[(-1.05, 1.05), (-1.1, 1.1)], cells=64)
    points = np.array([[0.0, 0.0], [0.5, 0.5], [0.2, -0.1], [-0.6, -0.3]])
    form = np.einsum("mi,ij,mj->m", points, inverse, points)
    np.testing.assert_allclose(time(points), (1 - form) / 2, rtol=1e-8)


def test_a_separable_problem_is_the_one_dimensional_one():
    """Escape by x alone, with y beside it: 5.9050 from (-1, anything)."""
    system = FormulaSDE({"x": "x - x**3", "y": "-y"}, {"x": "0.7", "y": "0.7"})
    time = first_passage(system, sd.Escape("x > 0"), box=[(-3, 1), (-3, 3)])
    np.testing.assert_allclose(time([[-1.0, 0.0], [-1.0, 1.3]]), 5.904995914, rtol=1e-5)
    assert float(time.std([-1.0, 0.0])) == pytest.approx(5.50055520, rel=1e-5)
    assert float(time([0.4, 0.0])) == 0.0


def test_noise_that_depends_on_the_state_and_a_turned_frame():
    """A rotation of two independent processes: drift and noise couple, the time does not change."""
    c, s = np.cos(0.4), np.sin(0.4)
    u, v = f"({c}*x + {s}*y)", f"({c}*y - {s}*x)"
    a, b = f"(-{u})", f"(-2*{v})"
    p, q = f"(0.5 + 0.2*{u}**2)", "0.3"
    turned = FormulaSDE(
        {"x": f"{c}*{a} - {s}*{b}", "y": f"{s}*{a} + {c}*{b}"},
        {"x": [f"{c}*{p}", f"-{s}*{q}"], "y": [f"{s}*{p}", f"{c}*{q}"]},
    )
    straight = FormulaSDE({"u": "-u"}, {"u": "0.5 + 0.2*u**2"})
    exact = float(first_passage(straight, sd.Escape(box=[(-1, 1)]))(0.3))
    time = first_passage(
        turned, sd.Escape(f"{u} < -1 or {u} > 1"), box=[(-2.2, 2.2), (-2.2, 2.2)], cells=160
    )
    point = [0.3 * c, 0.3 * s]
    assert float(time(point)) == pytest.approx(exact, rel=2e-3)


def test_the_square_has_its_series():
    """Brownian motion out of the unit square from its middle, by the double sine series."""
    k = np.arange(1, 400, 2)[:, None]
    m = k.T
    signs = np.sin(k * np.pi / 2) * np.sin(m * np.pi / 2)
    series = np.sum(signs * 32 / (np.pi**4 * k * m * (k**2 + m**2)))
    time = first_passage(isotropic(0, 1), sd.Escape(box=[(0, 1), (0, 1)]), cells=64)
    assert float(time([0.5, 0.5])) == pytest.approx(series, rel=1e-4)


def test_bad_input_is_refused():
    system = isotropic(-1, 0.5)
    with pytest.raises(ValueError, match="box must be given"):
        first_passage(system, sd.Escape("x > 0"))
    with pytest.raises(ValueError, match="never leaves"):
        first_passage(system, sd.Escape("x > 5"), box=[(-1, 1), (-1, 1)])
    with pytest.raises(ValueError, match="multiple of 4"):
        first_passage(system, DISC, cells=30)
    with pytest.raises(ValueError, match=r"shape \(…, 2\)"):
        first_passage(system, DISC, cells=16)([0.0, 0.0, 0.0])
    with pytest.raises(ValueError, match="too rare"):
        first_passage(isotropic(-60, 0.5), DISC, cells=32)


def test_noise_aslant_to_every_line_of_the_grid():
    """Rank-one noise at an angle that no diagonal has: still the one-dimensional time."""
    system = FormulaSDE({"x": "-x", "y": "-y"}, {"x": ["1"], "y": ["0.3"]})
    time = first_passage(system, DISC, cells=64)([0.0, 0.0])
    line = FormulaSDE({"x": "-x"}, {"x": "s"}, s=float(np.sqrt(1.09)))
    exact = first_passage(line, sd.Escape(box=[(-1, 1)]))(0.0)
    assert float(time) == pytest.approx(float(exact), rel=1e-3)
