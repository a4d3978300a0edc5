"""The density of eigenvalues against all of them."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from samdyn.networks.curvature import dense, density, trace  # noqa: E402


def spectrum(problem, w):
    return np.linalg.eigvalsh(dense(problem, w).numpy())


def test_each_rule_is_gauss_rule_of_its_probe(network):
    """Of n nodes it is exact for v.H^p v up to p = 2 n - 1, and not beyond."""
    problem, w = network()
    found = density(problem, w, probes=2, steps=5, seed=4)
    generator = torch.Generator().manual_seed(4)
    matrix = dense(problem, w)
    for nodes, weights in zip(found.nodes, found.weights, strict=True):
        v = (2.0 * torch.randint(0, 2, (92,), generator=generator) - 1).double()
        mixed, exact = v.clone(), []
        for _ in range(11):
            exact.append((v @ mixed / 92).item())
            mixed = matrix @ mixed
        moments = [np.sum(weights * nodes**p) for p in range(11)]
        np.testing.assert_allclose(moments[:10], exact[:10], rtol=1e-10)
        assert abs(moments[10] / exact[10] - 1) > 1e-8


@pytest.mark.parametrize("loss", ["mse", "cross_entropy"])
def test_moments_within_four_standard_errors(network, loss):
    problem, w = network(loss)
    found, true = density(problem, w, probes=20, steps=10), spectrum(problem, w)
    assert found.products == 200
    for power in (1, 2, 3, 4):
        mean = found.moment(power)
        assert 0 < mean.standard_error < np.mean(np.abs(true) ** power)
        assert abs(mean.value - np.mean(true**power)) <= 4 * mean.standard_error
    assert found.moment(0).value == pytest.approx(1, rel=1e-12)


def test_the_first_moment_is_hutchinsons_trace(network):
    problem, w = network()
    mean, whole = density(problem, w, probes=12, steps=3).moment(1), trace(problem, w, 12)
    assert 92 * mean.value == pytest.approx(whole.value, rel=1e-12)
    assert 92 * mean.standard_error == pytest.approx(whole.standard_error, rel=1e-10)


def test_the_curve_is_that_of_all_eigenvalues(network):
    problem, w = network("cross_entropy")
    found, true = density(problem, w, probes=20, steps=25), spectrum(problem, w)
    width = 0.05 * np.ptp(true)
    x, curve, error = found.curve(width=width)
    exact = np.exp(-0.5 * ((x[:, None] - true) / width) ** 2).mean(axis=1)
    exact /= width * np.sqrt(2 * np.pi)
    assert np.trapezoid(curve, x) == pytest.approx(1, abs=1e-3)
    off = np.abs(curve - exact)
    assert np.all(off <= 5 * error + 1e-3 * exact.max())
    assert np.mean(off <= 2 * error + 1e-3 * exact.max()) >= 0.8
    again = found.curve(eigenvalues=[0.0, width], width=width)
    np.testing.assert_allclose(again.density, np.interp([0, width], x, curve), rtol=1e-2)
    assert found.curve().eigenvalue.shape == (1000,)


def test_the_share_of_negative_eigenvalues(network):
    problem, w = network()
    found, true = density(problem, w, probes=6, steps=92), spectrum(problem, w)
    share = found.share(high=-1e-3)
    assert abs(share.value - np.mean(true < -1e-3)) <= 4 * share.standard_error
    assert found.share().value == pytest.approx(1)


def test_few_distinct_eigenvalues_end_a_probe_early(quadratic):
    problem, w, *_ = quadratic([2.0] * 10 + [-1.0] * 30)
    found = density(problem, w, probes=20, steps=10)
    assert found.products == 40
    assert found.nodes.shape == (20, 10)
    np.testing.assert_allclose(found.nodes[:, 0], -1, rtol=1e-12)
    np.testing.assert_allclose(found.nodes[:, 1:], 2, rtol=1e-12)
    assert not found.weights[:, 2:].any()
    share = found.share(low=1.0)
    assert abs(share.value - 0.25) <= 4 * share.standard_error
    flat, at, *_ = quadratic([0.0] * 5)
    none = density(flat, at, probes=2)
    assert none.share(0, 0).value == 1
    assert np.trapezoid(none.curve().density, none.curve().eigenvalue) == pytest.approx(1, 1e-3)


def test_chunks_and_precision_make_no_difference(network):
    whole, short = (density(*network(chunk=c), probes=2, steps=8) for c in (4096, 17))
    np.testing.assert_allclose(short.nodes, whole.nodes, rtol=0, atol=1e-12 * whole.nodes.max())
    np.testing.assert_allclose(short.weights, whole.weights, rtol=0, atol=1e-12)
    single = density(*network(dtype=torch.float32), probes=2, steps=8)
    np.testing.assert_allclose(single.nodes, whole.nodes, rtol=0, atol=1e-5 * whole.nodes.max())
    np.testing.assert_allclose(single.weights, whole.weights, rtol=0, atol=1e-4)


def test_steps_beyond_the_number_of_weights_are_not_taken(network):
    found = density(*network(sizes=(2, 2, 2)), probes=2, steps=500)
    assert found.nodes.shape == (2, 12)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"probes": 1}, "probes must be a whole number >= 2, got 1"),
        ({"steps": 0}, "steps must be a whole number >= 1, got 0"),
        ({"seed": -1}, "seed must be a whole number >= 0, got -1"),
    ],
)
def test_what_is_refused(network, arguments, said):
    with pytest.raises(ValueError, match=said):
        density(*network(), **arguments)


def test_a_curve_needs_a_width(network):
    with pytest.raises(ValueError, match="width must be above 0"):
        density(*network(), probes=2, steps=2).curve(width=0)
