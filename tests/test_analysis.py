import numpy as np
import pytest

import samdyn as sd
from samdyn.analysis.alignment import alignment

SADDLE = sd.Loss("x**2 - y**2")


def test_alignment_is_one_for_gradient_descent_and_far_from_critical_points():
    points = np.random.default_rng(0).normal(size=(50, 2))
    np.testing.assert_allclose(alignment(sd.Map(SADDLE, sd.GD(lr=0.1)), points), 1.0)
    far = alignment(sd.Map(SADDLE, sd.SAM(lr=0.1, rho=1e-6)), points)
    np.testing.assert_allclose(far, 1.0, atol=1e-9)


@pytest.mark.parametrize("rho", [0.05, 0.2])
def test_alignment_against_the_gradients_themselves(rho):
    """On x^2 - y^2 the gradient is (2x, -2y), and w^p = w + rho g/|g|."""
    points = np.random.default_rng(1).normal(size=(50, 2)) * 0.1
    g = points * [2.0, -2.0]
    perturbed = points + rho * g / np.linalg.norm(g, axis=1, keepdims=True)
    h = perturbed * [2.0, -2.0]
    expected = np.sum(g * h, axis=1) / np.linalg.norm(g, axis=1) / np.linalg.norm(h, axis=1)
    found = alignment(sd.Map(SADDLE, sd.SAM(lr=0.1, rho=rho)), points)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_alignment_flips_across_the_saddle_and_is_nan_on_it():
    system = sd.Map(SADDLE, sd.SAM(lr=0.1, rho=0.5))
    np.testing.assert_allclose(alignment(system, [[0.0, 0.1], [0.0, 1.0]]), [-1.0, 1.0])
    assert np.isnan(alignment(system, [0.0, 0.0]))


def test_alignment_refuses_an_algorithm_that_does_not_name_its_gradient():
    @sd.algorithm
    def mine(grad, w, *, lr):
        return w - lr * grad(w)

    for algorithm in (mine(lr=0.1), sd.Lookahead(mine(lr=0.1))):
        with pytest.raises(TypeError, match="does not say along which gradient it descends"):
            alignment(sd.Map(SADDLE, algorithm), [0.1, 0.1])
