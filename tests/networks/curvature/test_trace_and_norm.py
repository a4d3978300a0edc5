"""Random estimates of trace and norm, and whether their standard errors are honest."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from samdyn.networks.curvature import NotConverged, dense, frobenius, trace  # noqa: E402


def true_trace(matrix):
    return matrix.trace().item()


def true_norm(matrix):
    return torch.linalg.matrix_norm(matrix).item()


@pytest.mark.parametrize("loss", ["mse", "cross_entropy"])
@pytest.mark.parametrize(
    ("estimated", "true", "arguments"),
    [
        (trace, true_trace, {}),
        (trace, true_trace, {"sketch": 20}),
        (frobenius, true_norm, {}),
    ],
)
def test_within_four_standard_errors_of_the_dense(network, loss, estimated, true, arguments):
    problem, w = network(loss)
    found, expected = estimated(problem, w, 200, **arguments), true(dense(problem, w))
    assert abs(found.value - expected) <= 4 * found.standard_error
    assert 0 < found.standard_error <= 0.1 * expected
    assert found.probes == 200
    assert found.products == 200 + 2 * arguments.get("sketch", 0)


@pytest.mark.parametrize(
    ("estimated", "true", "arguments"),
    [
        (trace, true_trace, {}),
        (trace, true_trace, {"sketch": 3}),
        (frobenius, true_norm, {}),
    ],
)
def test_standard_errors_are_honest(quadratic, estimated, true, arguments):
    """Over many seeds the errors, in units of their own estimates, have a spread of 1."""
    problem, w, matrix, _ = quadratic([5.0, 3.0, 2.0, 1.0, 0.5, -1.0, -0.5, *np.zeros(8)])
    found = [estimated(problem, w, 40, seed=seed, **arguments) for seed in range(150)]
    off = np.array([one.value for one in found]) - true(matrix)
    errors = np.array([one.standard_error for one in found])
    assert 0.85 <= np.sqrt(np.mean((off / errors) ** 2)) <= 1.18
    assert abs(np.mean(off)) <= 4 * np.std(off) / np.sqrt(len(off))
    assert np.mean(errors) == pytest.approx(np.std(off), rel=0.2)


def test_the_spread_of_a_probe_is_hutchinsons(quadratic):
    """Var(v.A v) = 2 (|A|_F^2 - the sum of the squared diagonal) for random signs."""
    problem, w, matrix, _ = quadratic([4.0, 2.0, 1.0, -1.0, 0.0, 0.0])
    found = trace(problem, w, 3000)
    expected = 2 * (true_norm(matrix) ** 2 - (matrix.diagonal() ** 2).sum().item())
    assert found.standard_error**2 * 3000 == pytest.approx(expected, rel=0.1)


def test_a_sketch_of_more_than_the_rank_leaves_no_error(quadratic):
    problem, w, matrix, _ = quadratic([7.0, 4.0, -2.0, 1.0, *np.zeros(60)])
    plain, sketched = trace(problem, w, 20), trace(problem, w, 4, sketch=8)
    assert sketched.products == plain.products == 20
    assert sketched.value == pytest.approx(true_trace(matrix), rel=1e-12)
    assert sketched.standard_error <= 1e-12
    assert plain.standard_error > 0.5


def test_it_stops_at_the_tolerance(network):
    problem, w = network()
    expected = true_trace(dense(problem, w))
    found = trace(problem, w, 10_000, tol=0.03)
    assert 20 <= found.probes < 10_000
    assert found.standard_error <= 0.03 * found.value
    assert abs(found.value - expected) <= 4 * found.standard_error
    assert found == trace(problem, w, found.probes)
    assert frobenius(problem, w, tol=0.1).standard_error <= 0.1 * found.value


def test_too_few_probes_raise_with_what_was_found(network):
    problem, w = network()
    with pytest.raises(NotConverged, match="trace did not converge with 30 probes") as out:
        trace(problem, w, 30, tol=1e-4)
    assert out.value.best == trace(problem, w, 30)


@pytest.mark.parametrize("estimated", [trace, frobenius])
def test_chunks_and_precision_make_no_difference(network, estimated):
    whole, short = (estimated(*network(chunk=chunk), 10) for chunk in (4096, 17))
    assert short.value == pytest.approx(whole.value, rel=1e-12)
    assert short.standard_error == pytest.approx(whole.standard_error, rel=1e-11)
    problem, w = network(dtype=torch.float32)
    single = estimated(problem, w, 10)  # of the same probes, in single precision
    assert single.value == pytest.approx(whole.value, rel=1e-5)


def test_what_is_exact(quadratic):
    problem, w, *_ = quadratic([0.0] * 5)
    assert trace(problem, w, tol=0.1)[:2] == (0, 0)
    assert frobenius(problem, w)[:2] == (0, 0)
    one, at, *_ = quadratic([-3.0])
    assert trace(one, at, 2).value == pytest.approx(-3)
    assert frobenius(one, at, 2).value == pytest.approx(3)
    assert trace(one, at, 2, sketch=1).value == pytest.approx(-3)


def test_torchs_own_random_numbers_are_left_alone(network):
    problem, w = network()
    torch.manual_seed(3)
    state = torch.get_rng_state()
    first, again, other = (trace(problem, w, 5, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), state)
    assert first == again != other


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"probes": 1}, "probes must be a whole number >= 2, got 1"),
        ({"sketch": -1}, "sketch must be a whole number >= 0, got -1"),
        ({"sketch": 93}, "sketch must be at most the number of weights, 92, got 93"),
        ({"tol": 0.0}, "tol must be above 0"),
        ({"seed": 0.5}, "seed must be a whole number >= 0, got 0.5"),
    ],
)
def test_what_is_refused(network, arguments, said):
    with pytest.raises(ValueError, match=said):
        trace(*network(), **arguments)
