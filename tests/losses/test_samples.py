"""The samples of a finite sum against losses of one sample each."""

import numpy as np
import pytest

import samdyn as sd

A, B = np.array([1.0, -0.5, 2.0]), np.array([0.3, 0.1, -0.2])
MANY = sd.Loss("c*(tanh(a*x*y) - b)**2/2 + x**3*a", variables="x y", data={"a": A, "b": B}, c=1.5)
POINTS = np.array([[[0.3, -0.2], [1.0, 0.4]]])


def test_each_sample_is_a_loss():
    found = MANY.samples
    assert len(found) == 3
    rng = np.random.default_rng(0)
    u, v = rng.normal(size=(2, 1, 2, 3, 2))
    for k, (a, b) in enumerate(zip(A, B, strict=True)):
        one = sd.Loss("c*(tanh(a*x*y) - b)**2/2 + x**3*a", variables="x y", a=a, b=b, c=1.5)
        assert found.value(POINTS)[..., k] == pytest.approx(one.value(POINTS), rel=1e-14)
        assert found.grad(POINTS)[..., k, :] == pytest.approx(one.grad(POINTS), rel=1e-13)
        assert found.hessian(POINTS)[..., k, :, :] == pytest.approx(one.hessian(POINTS), rel=1e-12)
        third = one.third(POINTS, u[..., k, :], v[..., k, :])
        assert found.third(POINTS, u, v)[..., k, :] == pytest.approx(third, rel=1e-12)


def test_their_mean_is_the_loss():
    assert MANY.samples.value(POINTS).mean(-1) == pytest.approx(MANY.value(POINTS), rel=1e-14)
    assert MANY.samples.hessian(POINTS).mean(-3) == pytest.approx(MANY.hessian(POINTS), rel=1e-12)


def test_refusals():
    with pytest.raises(TypeError, match="must be a finite sum"):
        sd.Loss("x**2").samples  # noqa: B018
    with pytest.raises(ValueError, match="constant c"):
        MANY.replace(c=[1.0, 2.0]).samples  # noqa: B018
    with pytest.raises(ValueError, match=r"shape \(…, 2\)"):
        MANY.samples.value([1.0])
