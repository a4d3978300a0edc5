"""Phi, the limit of gradient flow, against conserved quantities and the lemmas of Wen et al."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import solve_ivp

import samdyn as sd
from samdyn.analysis.minimizers.distances import along_and_across
from samdyn.analysis.minimizers.projection import project
from samdyn.analysis.minimizers.split import split

PRODUCT = sd.losses.scalar_factorization()
NET = sd.losses.two_residuals()


def hyperbola(w):
    """Where x*y = 1 and x**2 - y**2 is what it was, from the branch x > 0."""
    c = w[..., 0] ** 2 - w[..., 1] ** 2
    x = np.sqrt((c + np.sqrt(c**2 + 4)) / 2)
    return np.stack([x, 1 / x], axis=-1)


@settings(max_examples=6)
@given(st.lists(st.tuples(st.floats(0.2, 3), st.floats(0.2, 3)), min_size=1, max_size=5))
def test_gradient_flow_of_a_product_keeps_the_difference_of_squares(points):
    w = np.array(points)
    found = project(PRODUCT, w)
    assert found.converged.all()
    np.testing.assert_allclose(found.point, hyperbola(w), rtol=0, atol=3e-12)
    np.testing.assert_allclose(
        found.distance, np.linalg.norm(w - hyperbola(w), axis=-1), atol=1e-11
    )


def test_the_axes_of_a_neuron_are_reached_where_the_difference_of_squares_says():
    w = np.array([[0.5, 2.0], [2.0, -0.3], [1.0, 1.5]])
    found = project(sd.losses.single_neuron(), w)
    c = w[:, 0] ** 2 - w[:, 1] ** 2
    end = np.sqrt(np.abs(c))
    exact = np.where((c > 0)[:, None], np.stack([end, 0 * end], -1), np.stack([0 * end, end], -1))
    np.testing.assert_allclose(found.point, exact, atol=1e-12)


def test_a_general_integrator_ends_at_the_same_point():
    w = np.array([0.5, 0.3, 0.8, -0.6, 0.9])
    end = solve_ivp(
        lambda _, x: -NET.grad(x), (0, 60), w, method="Radau", jac=lambda _, x: -NET.hessian(x),
        rtol=1e-10, atol=1e-12,
    ).y[:, -1]  # fmt: skip
    np.testing.assert_allclose(project(NET, w).point, end, atol=2e-8)


def test_stiffness_is_no_obstacle():
    """Eigenvalues of 1e6 and about 1: the fast directions are slaved at once."""
    loss = sd.Loss("(x*y - 1)**2 + 500000*(z - 2)**2")
    found = project(loss, [2.0, 1.0, 2.5])
    np.testing.assert_allclose(found.point[:2], hyperbola(np.array([2.0, 1.0])), atol=1e-11)
    assert found.point[2] == pytest.approx(2.0, abs=1e-14)
    assert found.rank == 2


def derivative(loss, w, step=1e-4):
    """The derivative of Phi at a point, by differences of fourth order."""
    d = len(w)
    shifts = step * np.array([1, -1, 2, -2])
    points = w + shifts[:, None, None] * np.eye(d)
    a, b, c, e = project(loss, points).point
    return ((8 * (a - b) - (c - e)) / (12 * step)).T


@pytest.mark.parametrize("loss", [PRODUCT, NET], ids=["product", "residuals"])
def test_lemmas_of_wen(loss):
    """Everywhere dPhi(w) grad L(w) = 0; on the minimisers dPhi is the tangent projector."""
    w = np.array([1.5, 1.2]) if loss is PRODUCT else np.array([0.4, 0.3, 0.8, -0.6, 0.9])
    assert np.abs(derivative(loss, w) @ loss.grad(w)).max() < 1e-7
    base = project(loss, w).point
    tangent = split(loss, base).along
    np.testing.assert_allclose(derivative(loss, base), tangent, atol=1e-7)
    np.testing.assert_allclose(tangent @ loss.hessian(base), 0, atol=1e-12)
    np.testing.assert_allclose(tangent @ tangent, tangent, atol=1e-14)


def test_what_is_no_minimum_is_said():
    assert project(PRODUCT, [[1.0, -1.0], [0.0, 0.0], [2.0, 2.0]]).kind.tolist() == [
        "saddle",
        "saddle",
        "minimum",
    ]
    assert project(sd.Loss("-x**2 + y**2"), [0.0, 0.0]).kind == "saddle"
    assert project(sd.Loss("-x**2 - y**2"), [0.0, 0.0]).kind == "maximum"
    for formula, start in (
        ("y**2 - x**2", [0.1, 1]),
        ("exp(-x) + y**2", [1, 1]),
        ("x**4 + y**2", [1, 1]),
    ):
        found = project(sd.Loss(formula), start)
        assert found.kind == "none"
        assert np.all(np.isnan(found.point))
    assert project(PRODUCT, [2.0, 1.0], steps=2).kind == "none"


def test_shapes_follow_the_points():
    found = project(PRODUCT, np.full((2, 3, 2), 1.3))
    assert found.point.shape == (2, 3, 2)
    assert found.kind.shape == found.rank.shape == found.distance.shape == (2, 3)


def test_projection_refuses():
    with pytest.raises(ValueError, match=r"w must have shape \(…, 2\)"):
        project(PRODUCT, [1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match="w must be finite"):
        project(PRODUCT, [np.nan, 1.0])
    with pytest.raises(ValueError, match="one value of constant target"):
        project(PRODUCT.replace(target=np.array([1.0, 2.0])), [1.0, 1.0])
    with pytest.raises(TypeError, match=r"loss must be a samdyn\.Loss"):
        project("x**2", [1.0])


def test_lengths_along_the_hyperbola_and_across_it():
    """A path that oscillates across x*y = 1 while it goes along it."""
    s = np.linspace(0.7, 0.0, 201)
    base = np.stack([np.exp(s), np.exp(-s)], axis=-1)
    normal = base[:, ::-1] / np.linalg.norm(base, axis=-1, keepdims=True)
    path = base + 1e-4 * (-1.0) ** np.arange(201)[:, None] * normal
    found = along_and_across(PRODUCT, path)
    fine = np.linspace(0.0, 0.7, 20_001)
    length = np.trapezoid(np.sqrt(2 * np.cosh(2 * fine)), fine)
    assert float(found.along[-1]) == pytest.approx(length, rel=2e-5)
    np.testing.assert_allclose(found.across, 1e-4, rtol=1e-3)
    chord = np.linalg.norm(base[-1] - base[0])
    assert float(found.chord[-1]) == pytest.approx(chord, abs=1e-6)
    shifted = along_and_across(PRODUCT, path, origin=[1.0, 1.0])
    assert float(shifted.along[0]) == pytest.approx(float(shifted.chord[0]))
    assert float(shifted.chord[-1]) < 1e-6


def test_a_path_through_the_saddles_line_is_marked_not_lost():
    found = along_and_across(PRODUCT, [[[1.0, 1.2], [1.0, -1.0], [1.2, 1.0]]])
    assert found.along.dims == ("path", "time")
    assert np.isnan(found.along.values[0]).tolist() == [False, True, False]
    assert found["rank"].values.tolist() == [[1, -1, 1]]
    gap = np.linalg.norm(found.projection.values[0, 2] - found.projection.values[0, 0])
    assert float(found.along[0, 2]) == pytest.approx(gap)
    later = along_and_across(PRODUCT, [[1.0, -1.0], [1.0, 1.2], [1.2, 1.0]])
    assert np.isnan(later.chord.values).tolist() == [True, False, False]
    assert later.along.values[1:].tolist() == [0.0, pytest.approx(gap)]
    assert bool(along_and_across(PRODUCT, [[1.0, -1.0]]).along.isnull().all())
    with pytest.raises(ValueError, match=r"one for each path, of shape \(2,\); got \(3, 2\)"):
        along_and_across(PRODUCT, [[1.0, 1.2]], origin=np.ones((3, 2)))
    with pytest.raises(ValueError, match="its time is empty"):
        along_and_across(PRODUCT, later.projection.isel(time=slice(0, 0)))
    with pytest.raises(ValueError, match="origin must be a point from which gradient flow ends"):
        along_and_across(PRODUCT, [[1.0, 1.2]], origin=[1.0, -1.0])
    with pytest.raises(ValueError, match=r"path must have shape \(…, time, 2\)"):
        along_and_across(PRODUCT, [1.0, 1.2])


@pytest.mark.parametrize(
    ("formula", "start", "kind"),
    [
        ("(x*y*z - 1)**2", [0.0, 0.0, 0.0], "none"),
        ("x**3", [1.0], "none"),
        ("x**2 - y**4", [1.0, 0.0], "saddle"),
        ("-x**2 - y**4", [0.0, 0.0], "maximum"),
        ("x**2*(1 + y**2)", [1.0, 0.5], "minimum"),
    ],
)
def test_degenerate_points_are_no_minima(formula, start, kind):
    assert sd.project(sd.Loss(formula), start).kind == kind
